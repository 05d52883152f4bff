/* Statistics of a layer from a histogram of its values. */
#ifndef TOC_COLLECT_LAYER_STATS_PRIV_H
#define TOC_COLLECT_LAYER_STATS_PRIV_H

#include "codec/tfevents.h"

/* X(member, name behind "grad_", "param_" or "activation_", share of the values below) */
#define TOC_LAYER_QUANTILE_TABLE(X) \
    X(q01, "q01", 0.01)             \
    X(q05, "q05", 0.05)             \
    X(q25, "q25", 0.25)             \
    X(q50, "q50", 0.50)             \
    X(q75, "q75", 0.75)             \
    X(q95, "q95", 0.95)             \
    X(q99, "q99", 0.99)

/* What a histogram does not tell is absent, not NaN: a value may be NaN. */
struct toc_layer_stats {
    double mean, std, min, max, norm, zero_ratio, nonfinite_ratio;
#define X(member, name, q) double member;
    TOC_LAYER_QUANTILE_TABLE(X)
#undef X
    bool has_moments, has_range, has_norm, has_zero_ratio, has_nonfinite_ratio, has_quantiles;
};

struct toc_layer_stats toc_layer_stats_of(const struct toc_tfevents_histogram *h);

#endif
