/*
 * Arithmetic of native histograms. Semantics follow the specification
 * (prometheus.io/docs/specs/native_histograms) and what PromQL documents of its operators. Every
 * function leaves its inputs alone and returns a new histogram in the arena, NULL without memory.
 */
#ifndef TOC_MODEL_HISTOGRAM_MATH_H
#define TOC_MODEL_HISTOGRAM_MATH_H

#include "model/histogram.h"

/* The bounds of a bucket; the lower one is open, the upper one closed. */
struct toc_bucket {
    double lower, upper, count;
};

/* Upper bound of bucket `index` on the positive side of an exponential schema. */
double toc_histogram_bound(int32_t index, int32_t schema);

/* All populated buckets in rising order of value, zero bucket included. At most
 * positive.size + negative.size + 1 of them go to `out`; returns how many. */
size_t toc_histogram_buckets(const struct toc_histogram *h, struct toc_bucket *out);

/* What came up while two histograms were combined. */
struct toc_histogram_notes {
    bool is_incompatible;        /* exponential with custom bounds: there is no result */
    bool has_reset_conflict;     /* one side says reset, the other says not */
    bool has_reconciled_buckets; /* custom bounds differed: their common ones were taken */
};
struct toc_histogram *toc_histogram_add(const struct toc_histogram *a,
                                        const struct toc_histogram *b, struct toc_arena *arena,
                                        struct toc_histogram_notes *notes);
/* The result is a gauge. */
struct toc_histogram *toc_histogram_sub(const struct toc_histogram *a,
                                        const struct toc_histogram *b, struct toc_arena *arena,
                                        struct toc_histogram_notes *notes);
/* Of one or more histograms, with compensated summation of each bucket, compacted. A mean does not
 * overflow where the sum does. */
struct toc_histogram *toc_histogram_sum(const struct toc_histogram *const *h, size_t count,
                                        struct toc_arena *arena, struct toc_histogram_notes *notes);
struct toc_histogram *toc_histogram_mean(const struct toc_histogram *const *h, size_t count,
                                         struct toc_arena *arena,
                                         struct toc_histogram_notes *notes);
/* Every count and the sum times `factor`; a negative factor makes a gauge. */
struct toc_histogram *toc_histogram_scale(const struct toc_histogram *h, double factor,
                                          struct toc_arena *arena);
/* Divided; by 0 there are no buckets left and counts are what IEEE 754 says. */
struct toc_histogram *toc_histogram_divide(const struct toc_histogram *h, double divisor,
                                           struct toc_arena *arena);
/* At a coarser exponential schema (no change when it is not coarser). */
struct toc_histogram *toc_histogram_coarsen(const struct toc_histogram *h, int32_t schema,
                                            struct toc_arena *arena);
/* Without empty buckets. */
struct toc_histogram *toc_histogram_compact(const struct toc_histogram *h, struct toc_arena *arena);
/* Only observations ≤ limit (is_upper), or > limit: the bucket that is cut is split by
 * interpolation and the sum estimated from midpoints. */
struct toc_histogram *toc_histogram_trim(const struct toc_histogram *h, double limit, bool is_upper,
                                         struct toc_arena *arena);

/* Equal bit for bit apart from empty buckets and reset hints. */
bool toc_histogram_eq(const struct toc_histogram *a, const struct toc_histogram *b);
/* Did the counter start again between `previous` and `h`? false without memory. */
bool toc_histogram_has_reset(const struct toc_histogram *h, const struct toc_histogram *previous,
                             struct toc_arena *arena);

/* `{count:4, sum:5, (0.5,1]:2}`. */
void toc_histogram_format(const struct toc_histogram *h, struct toc_buf *out);

#endif
