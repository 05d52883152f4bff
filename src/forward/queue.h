/*
 * What was read from the log and is not delivered yet, in shards. A series belongs to one shard, a
 * shard delivers in order, so the order of a series is kept. From the front of all shards follows
 * up to where in the log everything is delivered: that position may be written down.
 *
 * Pure memory: no clock, no sockets. Of one thread.
 */
#ifndef TOC_FORWARD_QUEUE_H
#define TOC_FORWARD_QUEUE_H

#include "forward/series.h"
#include "metricdb/follow.h"

/* X(enum, reason): why a sample does not arrive. Counted, never silent. */
#define TOC_FORWARD_DROP_TABLE(X)                              \
    X(TOC_FORWARD_DROP_RELABEL, "relabel")                     \
    X(TOC_FORWARD_DROP_HISTOGRAM_OFF, "native_histograms_off") \
    X(TOC_FORWARD_DROP_TOO_OLD, "too_old")                     \
    X(TOC_FORWARD_DROP_REFUSED, "refused_by_remote")           \
    X(TOC_FORWARD_DROP_BACKLOG_BYTES, "backlog_bytes")         \
    X(TOC_FORWARD_DROP_BACKLOG_AGE, "backlog_age")             \
    X(TOC_FORWARD_DROP_DISK_FULL, "disk_full")                 \
    X(TOC_FORWARD_DROP_NO_SERIES, "damaged_log")

enum toc_forward_drop {
#define X(name, text) name,
    TOC_FORWARD_DROP_TABLE(X)
#undef X
        TOC_FORWARD_DROP_COUNT
};
const char *toc_forward_drop_text(enum toc_forward_drop reason);

enum toc_forward_kind { TOC_FORWARD_FLOAT, TOC_FORWARD_HISTOGRAM, TOC_FORWARD_EXEMPLAR };

/* Bytes of a histogram (histogram_code.h), or of an exemplar: its labels as in a series. */
struct toc_forward_blob {
    double value; /* of the exemplar */
    size_t n;
    char bytes[];
};

struct toc_forward_item {
    struct toc_forward_series *series; /* a reference */
    uint64_t order;                    /* of all items, rising */
    int64_t t_ms;
    enum toc_forward_kind kind;
    union {
        double value;
        struct toc_forward_blob *blob; /* owned */
    };
};

struct toc_forward_shard_queue {
    struct toc_forward_item *items; /* a ring */
    size_t capacity, first, count;
};

struct toc_forward_mark {
    uint64_t order; /* all items below it come from before `position` */
    struct toc_log_position position;
};

struct toc_forward_queue {
    TOC_VEC(struct toc_forward_shard_queue) shards;
    TOC_VEC(struct toc_forward_mark) marks;
    size_t first_mark;
    uint64_t next_order;
    size_t count;                      /* of all shards */
    struct toc_log_position delivered; /* everything before it is */
};

void toc_forward_queue_init(struct toc_forward_queue *q, size_t shard_count,
                            const struct toc_log_position *from);
void toc_forward_queue_fini(struct toc_forward_queue *q);
/* Only while it is empty. */
void toc_forward_queue_reshard(struct toc_forward_queue *q, size_t shard_count);
/* Takes over item->blob, adds a reference to the series. */
void toc_forward_queue_push(struct toc_forward_queue *q, const struct toc_forward_item *item);
/* Everything pushed so far comes from before this position. */
void toc_forward_queue_mark(struct toc_forward_queue *q, const struct toc_log_position *position);
/* Does no shard hold `capacity` items? */
bool toc_forward_queue_has_room(const struct toc_forward_queue *q, size_t capacity);
/* The i-th item of a shard from its front; borrowed until the next change. */
struct toc_forward_item *toc_forward_queue_at(const struct toc_forward_queue *q, size_t shard,
                                              size_t i);
/* The first n items of a shard are done with. */
void toc_forward_queue_pop(struct toc_forward_queue *q, size_t shard, size_t n);
/* Up to where everything is delivered; looks anew. */
struct toc_log_position toc_forward_queue_delivered(struct toc_forward_queue *q);

struct toc_forward_blob *toc_forward_blob_new(struct toc_sv bytes, double value);

#endif
