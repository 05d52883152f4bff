/*
 * Filling an empty head from a checkpoint: shards by several threads, each by one; then the index
 * by one. Nobody else knows the head yet, so nothing is locked. Whatever does not fit gives
 * TOC_ECORRUPT, and the head is good for nothing but toc_head_fini.
 */
#ifndef TOC_METRICDB_HEAD_RESTORE_H
#define TOC_METRICDB_HEAD_RESTORE_H

#include "base/buf.h"
#include "metricdb/head.h"

/* A new series; its pairs are in the index. TOC_ECORRUPT also when it is there already. */
int toc_head_restore_series(struct toc_head *h, struct toc_head_shard *shard, uint32_t id,
                            const uint32_t *pairs, size_t pair_count,
                            struct toc_series **out) TOC_MUST_CHECK;
/* The series of an id of the shard, or NULL. */
struct toc_series *toc_head_restored(struct toc_head *h, const struct toc_head_shard *shard,
                                     uint64_t id);

/* A chunk as a file has it. */
struct toc_restored_chunk {
    int64_t min_ms, max_ms;
    uint64_t count;
    struct toc_sv bytes;
};
/* Drops all chunks but the first `keep`. */
int toc_series_restore_keep(struct toc_head_shard *shard, struct toc_series *s, bool histograms,
                            uint64_t keep) TOC_MUST_CHECK;
/* Puts a chunk behind the others, after a look at what is in it. */
int toc_series_restore_chunk(struct toc_head_shard *shard, struct toc_series *s, bool histograms,
                             const struct toc_restored_chunk *c) TOC_MUST_CHECK;
/* The open parts; 0 samples: there is none. */
int toc_series_restore_open(struct toc_head_shard *shard, struct toc_series *s, uint64_t count,
                            struct toc_sv bytes, uint64_t histogram_count,
                            struct toc_sv histogram_bytes) TOC_MUST_CHECK;

/* When a shard is complete: its bounds and free places. */
void toc_head_restore_sums(struct toc_head_shard *shard);
/* When all shards are: the index and what is common. */
void toc_head_restore_index(struct toc_head *h);

#endif
