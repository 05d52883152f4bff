/* Classic histograms at one step. */
#include <math.h>

#include "promql/histograms_priv.h"

/* Relative difference that float arithmetic on rates may leave between equal buckets (upstream's
 * 1e-12). */
static bool is_almost_equal(double a, double b) {
    return a == b || fabs(a - b) / (fabs(a) + fabs(b)) < 1e-12;
}

/* Buckets with equal bounds are one. */
static size_t coalesce(struct toc_le_bucket *b, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept && b[kept - 1].upper == b[i].upper)
            b[kept - 1].count += b[i].count;
        else
            b[kept++] = b[i];
    }
    return kept;
}

static void note_repair(struct toc_le_repair *r, double upper, double difference, bool is_first,
                        int64_t t_ms) {
    if (is_first) {
        r->first_ms = r->samples ? (t_ms < r->first_ms ? t_ms : r->first_ms) : t_ms;
        r->last_ms = r->samples ? (t_ms > r->last_ms ? t_ms : r->last_ms) : t_ms;
        if (!r->samples)
            r->min_upper = r->max_upper = upper;
        r->samples++;
    }
    r->min_upper = fmin(r->min_upper, upper);
    r->max_upper = fmax(r->max_upper, upper);
    r->max_difference = fmax(r->max_difference, difference);
}

/* Cumulative counts must not fall: what falls is raised. */
static void make_monotonic(struct toc_le_bucket *b, size_t n, int64_t t_ms,
                           struct toc_le_repair *r) {
    bool was_repaired = false;
    double last = b[0].count;
    for (size_t i = 1; i < n; i++) {
        if (is_almost_equal(b[i].count, last)) {
            b[i].count = last;
        } else if (b[i].count < last) {
            note_repair(r, b[i].upper, last - b[i].count, !was_repaired, t_ms);
            was_repaired = true;
            b[i].count = last;
        } else {
            last = b[i].count;
        }
    }
}

double toc_classic_quantile(double q, struct toc_le_bucket *b, size_t n, int64_t t_ms,
                            struct toc_le_repair *repair) {
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    if (n == 0 || !isinf(b[n - 1].upper) || b[n - 1].upper < 0)
        return NAN;
    n = coalesce(b, n);
    make_monotonic(b, n, t_ms, repair);
    double observations = b[n - 1].count;
    if (n < 2 || observations == 0 || isnan(observations))
        return NAN;
    double rank = q * observations;
    size_t i = 0;
    while (i < n - 1 && b[i].count < rank)
        i++;
    if (i == n - 1)
        return b[n - 2].upper;
    if (i == 0 && b[0].upper <= 0)
        return b[0].upper;
    double start = i ? b[i - 1].upper : 0, before = i ? b[i - 1].count : 0;
    return start + (b[i].upper - start) * ((rank - before) / (b[i].count - before));
}

/* How many observations are ≤ v; the last bucket's are above every number. */
static double rank_of(double v, const struct toc_le_bucket *b, size_t n) {
    double below = 0, lower = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 && b[0].upper > 0)
            lower = 0;
        if (lower >= v)
            return below;
        if (b[i].upper > v) {
            if (isinf(lower)) /* as wide as the numbers: all of it lies below v */
                return b[i].count;
            return below + (b[i].count - below) * (v - lower) / (b[i].upper - lower);
        }
        below = b[i].count;
        lower = b[i].upper;
    }
    return below;
}

double toc_classic_fraction(double lower, double upper, struct toc_le_bucket *b, size_t n) {
    if (n == 0 || !isinf(b[n - 1].upper) || b[n - 1].upper < 0)
        return NAN;
    n = coalesce(b, n);
    double observations = b[n - 1].count;
    if (observations == 0 || isnan(lower) || isnan(upper))
        return NAN;
    if (lower >= upper)
        return 0;
    double from = fmin(rank_of(lower, b, n), observations);
    return (fmin(rank_of(upper, b, n), observations) - from) / observations;
}
