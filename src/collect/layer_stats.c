/*
 * Quantiles are interpolated inside a bucket. The share of zeros is known only when zero lies in a
 * bucket that is narrow beside the values: writers of the exponential form (PyTorch, TensorFlow 1)
 * have one of width 1e-12 there, those of TensorFlow 2 have 30 of equal width and cannot tell.
 */
#include "collect/layer_stats_priv.h"

#include <math.h>

static const double NARROW = 1e-6; /* of the largest value */

static double total_of(const struct toc_tfevents_histogram *h) {
    double sum = 0;
    for (size_t i = 0; i < h->bucket_count; i++)
        sum += h->buckets[i].count;
    return sum;
}

static double within(const struct toc_tfevents_histogram *h, double v) {
    if (isfinite(h->min))
        v = fmax(v, h->min);
    return isfinite(h->max) ? fmin(v, h->max) : v;
}

static double quantile(const struct toc_tfevents_histogram *h, double total, double q) {
    double wanted = q * total, below = 0, value = 0;
    for (size_t i = 0; i < h->bucket_count; i++) {
        const struct toc_tfevents_bucket *b = &h->buckets[i];
        if (b->count <= 0)
            continue;
        double left = within(h, b->left), right = within(h, b->right);
        value = right;
        if (below + b->count >= wanted)
            return left + (right - left) * ((wanted - below) / b->count);
        below += b->count;
    }
    return value;
}

static void find_zeros(const struct toc_tfevents_histogram *h, struct toc_layer_stats *s) {
    double largest = fmax(fabs(h->min), fabs(h->max)), zeros = 0;
    s->has_zero_ratio = isfinite(h->min) && isfinite(h->max) && h->bucket_count > 0;
    if (largest == 0) {
        s->zero_ratio = 1;
        return;
    }
    for (size_t i = 0; i < h->bucket_count; i++) {
        const struct toc_tfevents_bucket *b = &h->buckets[i];
        bool holds_zero =
            b->count > 0 && ((b->left <= 0 && b->right > 0) || (b->left == 0 && b->right == 0));
        if (!holds_zero)
            continue;
        zeros += b->count;
        s->has_zero_ratio &= b->right - b->left <= NARROW * largest;
    }
    s->zero_ratio = zeros / h->count;
}

/* Writers leave what is not finite out of the buckets, while it spoils minimum and maximum. */
static void find_nonfinite(const struct toc_tfevents_histogram *h, double total,
                           struct toc_layer_stats *s) {
    bool is_finite = isfinite(h->min) && isfinite(h->max);
    s->has_nonfinite_ratio = is_finite || (!h->is_estimated && total < h->count);
    s->nonfinite_ratio = is_finite ? 0 : (h->count - total) / h->count;
}

struct toc_layer_stats toc_layer_stats_of(const struct toc_tfevents_histogram *h) {
    struct toc_layer_stats s = {.mean = h->mean, .std = h->std, .min = h->min, .max = h->max};
    double total = total_of(h);
    if (!(h->count > 0))
        return s;
    s.has_moments = s.has_range = true;
    s.has_norm = !h->is_estimated;
    s.norm = sqrt(h->sum_squares);
    s.has_quantiles = total > 0;
    find_zeros(h, &s);
    find_nonfinite(h, total, &s);
    if (!s.has_quantiles)
        return s;
#define X(member, name, q) s.member = quantile(h, total, q);
    TOC_LAYER_QUANTILE_TABLE(X)
#undef X
    return s;
}
