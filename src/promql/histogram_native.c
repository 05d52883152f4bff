/* Native histograms at one step: interpolation is linear in the zero bucket and between custom
 * bounds, exponential elsewhere (prometheus.io/docs/specs/native_histograms). */
#include <math.h>

#include "base/sum.h"
#include "model/histogram_math.h"
#include "promql/histograms_priv.h"

static struct toc_bucket *buckets_of(const struct toc_histogram *h, struct toc_arena *arena,
                                     size_t *out_count) {
    struct toc_bucket *b =
        toc_arena_calloc(arena, h->positive.size + h->negative.size + 1, sizeof *b);
    *out_count = b ? toc_histogram_buckets(h, b) : 0;
    return b;
}

static bool holds_zero(const struct toc_bucket *b) {
    return b->lower <= 0 && b->upper >= 0;
}

/* The zero bucket of a histogram with one side only does not reach to the other. */
static void clip_zero_bucket(const struct toc_histogram *h, struct toc_bucket *b) {
    if (!h->negative.size && h->positive.size)
        b->lower = 0;
    else if (!h->positive.size && h->negative.size)
        b->upper = 0;
}

static bool has_nan_observations(const struct toc_histogram *h, const struct toc_bucket *b,
                                 size_t n) {
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += b[i].count;
    return isnan(h->sum) && h->count > total;
}

static double interpolate(const struct toc_histogram *h, const struct toc_bucket *b,
                          double fraction) {
    if (toc_histogram_is_custom(h) || holds_zero(b))
        return b->lower + (b->upper - b->lower) * fraction;
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(lower + (upper - lower) * fraction);
    return -exp2(upper + (lower - upper) * (1 - fraction));
}

/* The bucket of the rank, counted from below or from above; *count includes it. */
static struct toc_bucket bucket_of_rank(const struct toc_bucket *b, size_t n, double rank,
                                        bool is_from_above, double *count) {
    struct toc_bucket found = {0};
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct toc_bucket *at = &b[is_from_above ? n - 1 - i : i];
        if (at->count == 0)
            continue;
        found = *at;
        *count += at->count;
        if (*count >= rank)
            break;
    }
    return found;
}

/* The ends of custom buckets are open: false when the result is *out already. */
static bool close_custom_bucket(struct toc_bucket *b, double *out) {
    if (isinf(b->lower)) {
        *out = b->upper;
        if (b->upper <= 0)
            return false;
        b->lower = 0;
    } else if (isinf(b->upper)) {
        *out = b->lower;
        return false;
    }
    return true;
}

double toc_native_quantile(double q, const struct toc_histogram *h, struct toc_arena *arena,
                           struct toc_native_notes *notes) {
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (h->count == 0 || isnan(q))
        return NAN;
    size_t n;
    const struct toc_bucket *all = buckets_of(h, arena, &n);
    if (!all)
        return NAN;
    /* Observations of NaN are in no bucket but count as above all: only from below it is known
     * where a rank lies. */
    bool is_from_above = !isnan(h->sum) && q >= 0.5;
    double rank = (is_from_above ? 1 - q : q) * h->count, count, result;
    struct toc_bucket b = bucket_of_rank(all, n, rank, is_from_above, &count);
    bool has_nan = has_nan_observations(h, all, n);
    if (toc_histogram_is_custom(h)) {
        if (!close_custom_bucket(&b, &result) && !(has_nan && count < rank)) {
            notes->is_skewed |= has_nan;
            return result;
        }
    } else if (holds_zero(&b)) {
        clip_zero_bucket(h, &b);
    }
    count = fmin(count, h->count);
    if (count < rank && isnan(h->sum)) {
        notes->is_nan_result = true;
        return NAN;
    }
    notes->is_skewed |= has_nan;
    if (count < rank)
        return is_from_above ? b.lower : b.upper;
    rank = is_from_above ? count - rank : rank - (count - b.count);
    return interpolate(h, &b, rank / b.count);
}

/* Observations of bucket b that are ≤ v, which lies inside. */
static double share_below(const struct toc_histogram *h, const struct toc_bucket *b, bool is_zero,
                          double v) {
    if (toc_histogram_is_custom(h) || is_zero)
        return isinf(b->lower) ? b->count /* as wide as the numbers: all of it lies below v */
                               : b->count * (v - b->lower) / (b->upper - b->lower);
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper)), at = log2(fabs(v));
    double fraction = v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper);
    return b->count * fraction;
}

/* How many observations are ≤ v; all of `count` when no bucket reaches as far. */
static double rank_of(double v, const struct toc_histogram *h, const struct toc_bucket *all,
                      size_t n, double count) {
    double below = 0;
    for (size_t i = 0; i < n; i++) {
        struct toc_bucket b = all[i];
        bool is_zero = holds_zero(&b);
        if (toc_histogram_is_custom(h))
            b.lower = isinf(b.lower) && b.upper > 0 ? 0 : b.lower;
        else if (is_zero)
            clip_zero_bucket(h, &b);
        if (b.lower >= v)
            return fmin(below, count);
        if (b.upper > v)
            return fmin(below + share_below(h, &b, is_zero, v), count);
        below += b.count;
    }
    return count;
}

double toc_native_fraction(double lower, double upper, const struct toc_histogram *h,
                           struct toc_arena *arena, struct toc_native_notes *notes) {
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    size_t n;
    const struct toc_bucket *all = buckets_of(h, arena, &n);
    if (!all)
        return NAN;
    double count = h->count; /* without observations of NaN, which are in no bucket */
    if (isnan(h->sum)) {
        count = 0;
        for (size_t i = 0; i < n; i++)
            count += all[i].count;
        notes->excludes_nan |= count < h->count;
    }
    return (rank_of(upper, h, all, n, count) - rank_of(lower, h, all, n, count)) / h->count;
}

static double middle_of(const struct toc_histogram *h, const struct toc_bucket *b) {
    if (toc_histogram_is_custom(h))
        return (b->upper + b->lower) / 2;
    if (holds_zero(b))
        return 0;
    double middle = sqrt(b->upper * b->lower);
    return b->upper < 0 ? -middle : middle;
}

double toc_native_variance(const struct toc_histogram *h, struct toc_arena *arena) {
    double mean = h->sum / h->count, squares = 0, lost = 0;
    size_t n;
    const struct toc_bucket *all = buckets_of(h, arena, &n);
    for (size_t i = 0; i < n; i++) {
        if (all[i].count == 0)
            continue;
        double delta = middle_of(h, &all[i]) - mean;
        toc_sum_add(&squares, &lost, all[i].count * delta * delta);
    }
    return all ? (squares + lost) / h->count : NAN;
}
