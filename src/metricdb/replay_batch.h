/*
 * Entries of the log on their way into the head at a start: whoever reads the log fills one batch,
 * sorted by shard, while the shards take the batch before, side by side. A series belongs to one
 * shard, so its entries keep their order.
 */
#ifndef TOC_METRICDB_REPLAY_BATCH_H
#define TOC_METRICDB_REPLAY_BATCH_H

#include "base/arena.h"
#include "metricdb/head.h"

enum {
    TOC_LOG_REPLAY_BATCH_ENTRIES = 1 << 16,
    TOC_LOG_REPLAY_BATCH_BYTES = 4 << 20, /* of its histograms */
};

struct toc_log_replay_entry {
    uint64_t ref;
    int64_t t_ms;
    union {
        double value;
        struct toc_log_replay_extra *extra; /* in the batch's arena */
    };
};

/* What does not fit an entry: a histogram, or (NULL) a deletion from min_ms on. */
struct toc_log_replay_extra {
    const struct toc_histogram *histogram;
    struct toc_sv encoded;
    int64_t min_ms;
};
/* With this bit in `ref` an entry has an extra. No generation gets that far. */
#define TOC_LOG_REPLAY_HAS_EXTRA (1ULL << 63)

struct toc_log_replay_batch {
    struct toc_log_replay_list {
        TOC_VEC_FIELDS(struct toc_log_replay_entry)
    } shards[TOC_HEAD_SHARDS];
    uint64_t samples[TOC_HEAD_SHARDS]; /* that the shard took */
    size_t count;
    struct toc_arena arena;
};

static inline bool toc_log_replay_batch_is_full(const struct toc_log_replay_batch *b) {
    return b->count >= TOC_LOG_REPLAY_BATCH_ENTRIES ||
           b->arena.used_bytes >= TOC_LOG_REPLAY_BATCH_BYTES;
}
static inline void toc_log_replay_batch_put(struct toc_log_replay_batch *b,
                                            struct toc_log_replay_entry e) {
    struct toc_log_replay_list *list = &b->shards[(uint32_t)e.ref % TOC_HEAD_SHARDS];
    TOC_VEC_PUSH(list, e);
    b->count++;
}
/* Puts what one shard is given into the head; its list is empty then. Different shards may do so
 * side by side, and beside a look-up of series by labels. */
void toc_log_replay_batch_apply(struct toc_log_replay_batch *b, struct toc_head *h, size_t shard);
/* When every shard took its part: ready to be filled again. */
void toc_log_replay_batch_reset(struct toc_log_replay_batch *b);
void toc_log_replay_batch_fini(struct toc_log_replay_batch *b);

#endif
