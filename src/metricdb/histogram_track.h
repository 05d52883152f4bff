/*
 * The native histograms of a series of the head, beside its floats: closed chunks and an open part
 * whose samples are kept one by one (histogram_code.h) until there are enough for a chunk. A series
 * that never had a histogram has no track. Everything runs under the lock of the shard.
 *
 *   open part   per sample: 8 bytes t, varint length, bytes
 */
#ifndef TOC_METRICDB_HISTOGRAM_TRACK_H
#define TOC_METRICDB_HISTOGRAM_TRACK_H

#include "base/buf.h"
#include "metricdb/head.h"

struct toc_histogram_track {
    struct toc_head_chunk **chunks; /* in time order, never overlapping, all before the open part */
    size_t chunk_count, chunk_capacity;
    struct toc_buf open;
    size_t open_count, open_last; /* samples; where the last one begins */
    uint64_t open_layout;         /* hash of schema, threshold, bounds */
    int64_t open_first_ms, open_last_ms;
};

/* `encoded` is the histogram as toc_histogram_encode writes it. Floats are not looked at. */
enum toc_append toc_histogram_track_append(struct toc_head *h, struct toc_head_shard *shard,
                                           struct toc_histogram_track *track, int64_t t_ms,
                                           const struct toc_histogram *histogram,
                                           struct toc_sv encoded);
bool toc_histogram_track_is_empty(const struct toc_histogram_track *track);
/* First and last time; false when it is empty. */
bool toc_histogram_track_bounds(const struct toc_histogram_track *track, int64_t *out_min_ms,
                                int64_t *out_max_ms);
/* As toc_series_next_sample. */
int64_t toc_histogram_track_next_sample(const struct toc_histogram_track *track, int64_t from_ms);
bool toc_histogram_track_overlaps(const struct toc_histogram_track *track, int64_t min_ms,
                                  int64_t max_ms);
/* Appends the samples in the range behind what the buffer holds. TOC_ENOMEM: its arena is full. */
int toc_histogram_track_read(const struct toc_histogram_track *track, int64_t min_ms,
                             int64_t max_ms, struct toc_series_buffer *out) TOC_MUST_CHECK;
/* Deletes the samples in the range. */
void toc_histogram_track_cut(struct toc_head_shard *shard, struct toc_histogram_track *track,
                             int64_t min_ms, int64_t max_ms);

/* As head_restore.h has it; `track` may be NULL in the first. */
struct toc_restored_chunk;
int toc_histogram_track_restore_keep(struct toc_head_shard *shard,
                                     struct toc_histogram_track *track,
                                     uint64_t keep) TOC_MUST_CHECK;
int toc_histogram_track_restore_chunk(struct toc_head_shard *shard,
                                      struct toc_histogram_track *track,
                                      const struct toc_restored_chunk *c) TOC_MUST_CHECK;
int toc_histogram_track_restore_open(struct toc_head_shard *shard,
                                     struct toc_histogram_track *track, uint64_t count,
                                     struct toc_sv bytes) TOC_MUST_CHECK;
void toc_histogram_track_free(struct toc_histogram_track **track);

#endif
