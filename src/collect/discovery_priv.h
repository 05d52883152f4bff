/* What a mechanism of discovery is, and what its thread may call. */
#ifndef TOC_COLLECT_DISCOVERY_PRIV_H
#define TOC_COLLECT_DISCOVERY_PRIV_H

#include "base/map.h"
#include "collect/discovery.h"
#include "net/http_client.h"

struct toc_discovery_source; /* one at work */

struct toc_discovery_kind {
    enum toc_discovery_mechanism mechanism;
    const char *key; /* of a scrape config */
    /* Reads one entry; fills settings and where. */
    int (*read)(const struct toc_yaml *n, const struct toc_config_reader *r,
                struct toc_discovery_config *out);
    /* Its lines, indented by two blanks. */
    void (*format)(const void *settings, struct toc_buf *out);
    const struct toc_http_settings *(*http)(const void *settings); /* NULL: none */
    /* The thread of a source: delivers until toc_discovery_wait_ms says stop. */
    void (*run)(struct toc_discovery_source *s, const void *settings);
};

/* Looks for `refresh_interval`; must be longer than 0. */
int toc_discovery_read_interval(const struct toc_yaml *n, int64_t fallback_ms, int64_t *out_ms,
                                struct toc_err *err) TOC_MUST_CHECK;
/* A URL as a scalar, its password masked. */
void toc_discovery_append_url(struct toc_sv url, struct toc_buf *out);
/* A URL as a scalar, its password masked. */
void toc_discovery_append_url(struct toc_sv url, struct toc_buf *out);
void toc_discovery_format_duration(const char *key, int64_t ms, struct toc_buf *out);

/* All groups at once: others are gone, equal ones stay what they are. The list is one attempt that
 * succeeded. */
void toc_discovery_replace(struct toc_discovery_source *s, const struct toc_target_group *groups,
                           size_t count);
/* One group, told from others by its source; without targets it is gone. */
void toc_discovery_put(struct toc_discovery_source *s, const struct toc_target_group *group);
/* Groups whose source is not a key of the map are gone. */
void toc_discovery_keep_only(struct toc_discovery_source *s, const struct toc_map *sources);
/* Tells those who use the groups when anything changed since the last call. */
void toc_discovery_publish(struct toc_discovery_source *s);
/* An attempt failed: counted, shown, and said in the log when it is another reason than last time.
 */
void toc_discovery_failed(struct toc_discovery_source *s, const struct toc_err *err);
void toc_discovery_succeeded(struct toc_discovery_source *s);
/* Waits; true when the source shall stop. */
bool toc_discovery_wait_ms(struct toc_discovery_source *s, int64_t ms);
/* For is_cancelled of a request; ctx is the source. */
bool toc_discovery_is_stopping(void *source);
struct toc_vfs *toc_discovery_vfs(struct toc_discovery_source *s);
struct toc_clock *toc_discovery_clock(struct toc_discovery_source *s);
/* Asks again and again, at once and then every interval, until the source shall stop. `refresh`
 * calls toc_discovery_replace when it is good. */
void toc_discovery_repeat(struct toc_discovery_source *s, int64_t interval_ms,
                          int (*refresh)(struct toc_discovery_source *s, void *ctx,
                                         struct toc_err *err),
                          void *ctx);

#define X(name, mechanism, key) extern const struct toc_discovery_kind toc_discovery_##mechanism;
TOC_DISCOVERY_TABLE(X)
#undef X
/* discovery_slurm_json.c: what `scontrol show nodes --json` and `squeue --json` say, as groups in
 * `a`: one for each node, one for each job with a target for each of its nodes. */
int toc_slurm_nodes(struct toc_sv text, uint16_t port, struct toc_arena *a,
                    const struct toc_target_group **out, size_t *out_count,
                    struct toc_err *err) TOC_MUST_CHECK;
int toc_slurm_jobs(struct toc_sv text, uint16_t port, struct toc_arena *a,
                   const struct toc_target_group **out, size_t *out_count,
                   struct toc_err *err) TOC_MUST_CHECK;

/* discovery_http.c: an answer of http_sd as groups in `a`; their labels begin with __meta_url. */
int toc_discovery_http_parse(struct toc_sv body, struct toc_sv url, struct toc_arena *a,
                             const struct toc_target_group **out, size_t *out_count,
                             struct toc_err *err) TOC_MUST_CHECK;

#endif
