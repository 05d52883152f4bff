/*
 * The list `remote_write` as upstream writes it, read from YAML into an immutable,
 * reference-counted set. Every string is NUL-terminated and lives as long as the set.
 */
#ifndef TOC_FORWARD_CONFIG_H
#define TOC_FORWARD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/yaml.h"
#include "collect/http_settings.h"
#include "collect/relabel.h"
#include "model/labels.h"

enum toc_forward_message {
    TOC_FORWARD_1, /* prometheus.WriteRequest */
    TOC_FORWARD_2, /* io.prometheus.write.v2.Request */
};
const char *toc_forward_message_name(enum toc_forward_message m);

/* X(key, kind, default, min, max, what): `queue_config`. Defaults as upstream's, but for
 * retry_on_http_429 (there: false), as a sample that a busy receiver did not take is not to be
 * thrown away. */
#define TOC_FORWARD_QUEUE_TABLE(X)                                                              \
    X(capacity, INT, "10000", 1, 1e6, "samples that a shard holds in memory")                   \
    X(max_shards, INT, "50", 1, 1000, "requests under way at once at most")                     \
    X(min_shards, INT, "1", 1, 1000, "and at least")                                            \
    X(max_samples_per_send, INT, "2000", 1, 1e6, "samples of one request")                      \
    X(batch_send_deadline, DURATION, "5s", 0, 0, "how long a request waits to be full")         \
    X(min_backoff, DURATION, "30ms", 0, 0, "wait before the first repetition; then it doubles") \
    X(max_backoff, DURATION, "5s", 0, 0, "and no longer than this")                             \
    X(sample_age_limit, DURATION, "0s", 0, 0, "older samples are not sent; 0s: all are")

struct toc_forward_queue_config {
#define X(key, kind, fallback, min, max, what) int64_t key;
    TOC_FORWARD_QUEUE_TABLE(X)
#undef X
    bool retry_on_http_429;
};

struct toc_forward_metadata_config {
    bool send;
    int64_t send_interval, max_samples_per_send;
};

struct toc_forward_config {
    struct toc_sv name; /* what metrics and logs call it: as written, or made of the URL */
    struct toc_sv url;
    struct toc_sv key; /* its position is kept under this: the name, else the URL */
    int64_t remote_timeout_ms;
    enum toc_forward_message message;
    bool send_exemplars, send_native_histograms;
    struct toc_http_settings http;
    struct toc_relabel relabel;
    struct toc_forward_queue_config queue;
    struct toc_forward_metadata_config metadata;
    struct toc_labels external_labels; /* of `global` */
    uint64_t digest;                   /* of all of it */
};

struct toc_forward_set; /* opaque, immutable */

enum { TOC_FORWARD_REMOTES_MAX = 32 };

/* Reads the list (NULL: none). Errors carry line and column. The caller owns one reference. */
int toc_forward_set_read(const struct toc_yaml *remote_write, struct toc_labels external_labels,
                         const char *base_dir, struct toc_forward_set **out,
                         struct toc_err *err) TOC_MUST_CHECK;
struct toc_forward_set *toc_forward_set_ref(struct toc_forward_set *s);
/* NULL is accepted. */
void toc_forward_set_unref(struct toc_forward_set **s);
size_t toc_forward_set_count(const struct toc_forward_set *s);
const struct toc_forward_config *toc_forward_set_get(const struct toc_forward_set *s, size_t i);

#endif
