/* Quantiles and fractions of histograms, classic (series with the label "le") and native. */
#ifndef TOC_PROMQL_HISTOGRAMS_PRIV_H
#define TOC_PROMQL_HISTOGRAMS_PRIV_H

#include "model/histogram_math.h"
#include "promql/eval_priv.h"

/* One bucket of a classic histogram: how many observations are ≤ upper. */
struct toc_le_bucket {
    double upper, count;
};

/* What had to be repaired so that counts rise. */
struct toc_le_repair {
    size_t samples; /* histograms that needed it */
    double min_upper, max_upper, max_difference;
    int64_t first_ms, last_ms;
};

/* Classic histogram at one step: buckets in rising order of upper, changed in place. */
double toc_classic_quantile(double q, struct toc_le_bucket *b, size_t count, int64_t t_ms,
                            struct toc_le_repair *repair);
double toc_classic_fraction(double lower, double upper, struct toc_le_bucket *b, size_t count);

/* What a person should know about a native result. */
struct toc_native_notes {
    bool is_nan_result; /* the rank lies among observations of NaN */
    bool is_skewed;     /* there are such observations, counted above all others */
    bool excludes_nan;
};
/* Buckets are worked out in the arena. */
double toc_native_quantile(double q, const struct toc_histogram *h, struct toc_arena *arena,
                           struct toc_native_notes *notes);
double toc_native_fraction(double lower, double upper, const struct toc_histogram *h,
                           struct toc_arena *arena, struct toc_native_notes *notes);
/* Population variance estimated from the middles of the buckets. */
double toc_native_variance(const struct toc_histogram *h, struct toc_arena *arena);

#endif
