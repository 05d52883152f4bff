/*
 * Roll-ups: what a bucket of time tells about the float samples in it, so that functions of whole
 * buckets give what they would give from the samples. A bucket is (end - resolution, end], as the
 * windows of PromQL are; ends are multiples of the resolution.
 *
 * Sums are compensated inside a bucket and may differ from a sum over all samples in the last bits.
 */
#ifndef TOC_MODEL_ROLLUP_H
#define TOC_MODEL_ROLLUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toc_series_buffer;

struct toc_rollup {
    int64_t end_ms;
    int64_t first_ms, last_ms; /* times of the samples; only with count > 0 */
    double first, last, min, max, sum;
    double drops;        /* what a counter lost by resets between samples of this bucket */
    uint32_t count;      /* floats without staleness markers; may be 0 */
    uint32_t histograms; /* native histograms, which are not rolled up */
    bool ends_stale;     /* the last thing in the bucket is a staleness marker */
};

/* The end of the bucket in which a time lies. */
int64_t toc_rollup_end(int64_t t_ms, int64_t resolution_ms);
/* The last end at or before a time. */
int64_t toc_rollup_floor(int64_t t_ms, int64_t resolution_ms);

/* `next` comes behind `into` in time; the end of `into` stays. */
void toc_rollup_join(struct toc_rollup *into, const struct toc_rollup *next);
/* One bucket told twice. What is apart in time is joined; else one of them was made of samples
 * that the other lacks, and the one of more samples stays (the second of equals). */
struct toc_rollup toc_rollup_unite(const struct toc_rollup *a, const struct toc_rollup *b);

/* Buckets that grow, in rising order. Starts zeroed. */
struct toc_rollups {
    struct toc_rollup *items;
    size_t count, capacity;
};
void toc_rollups_push(struct toc_rollups *r, const struct toc_rollup *bucket);
void toc_rollups_fini(struct toc_rollups *r);
/* Appends the buckets of samples [from, count) of the buffer, which rise. */
void toc_rollups_add_samples(struct toc_rollups *r, const struct toc_series_buffer *samples,
                             size_t from, int64_t resolution_ms);
/* Appends both lists united, bucket by bucket. */
void toc_rollups_add_united(struct toc_rollups *r, const struct toc_rollup *a, size_t a_count,
                            const struct toc_rollup *b, size_t b_count);

#endif
