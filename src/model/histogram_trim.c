/* Trimming: which observations of a histogram lie at or below (or above) a limit. */
#include <math.h>

#include "model/histogram_priv.h"

/* What is left of one bucket. */
struct remainder {
    double count, middle;
};

static double finite_or_zero(double v) {
    return isinf(v) ? 0 : v;
}

/* Where the observations of an interval are taken to lie. */
static double middle_of(double lower, double upper, bool is_linear) {
    if (isinf(lower))
        return isinf(upper) ? 0 : upper > 0 ? upper / 2 : upper;
    if (isinf(upper))
        return lower;
    if (is_linear)
        return (lower + upper) / 2;
    double mean = sqrt(fabs(lower * upper));
    return lower < 0 || upper < 0 ? -mean : mean;
}

/* The share of the bucket that lies at or below the limit, which is inside. */
static double share_below(struct toc_bucket b, double limit, bool is_linear) {
    if (is_linear)
        return (limit - b.lower) / (b.upper - b.lower);
    double low = log2(fabs(b.lower)), high = log2(fabs(b.upper)), at = log2(fabs(limit));
    return (at - low) / (high - low);
}

/* Buckets that end at an infinity have no known shape: a cut inside loses them, except that the
 * lowest custom bucket of a positive bound is taken to begin at 0. */
static struct remainder trim_infinite(struct toc_bucket b, double limit, bool is_upper) {
    bool begins_at_zero = isinf(b.lower) && !isinf(b.upper) && b.upper > 0;
    if (isinf(b.lower) && is_upper) {
        if (limit >= b.upper)
            return (struct remainder){b.count, middle_of(b.lower, b.upper, true)};
        if (begins_at_zero && limit > 0)
            return (struct remainder){b.count * limit / b.upper, limit / 2};
        if (b.upper <= 0)
            return (struct remainder){b.count, limit};
        return (struct remainder){0, finite_or_zero(b.upper)};
    }
    if (isinf(b.lower)) {
        if (limit <= b.lower)
            return (struct remainder){b.count, middle_of(b.lower, b.upper, true)};
        if (begins_at_zero && limit >= 0 && b.upper > limit)
            return (struct remainder){b.count * (1 - limit / b.upper), (limit + b.upper) / 2};
        return (struct remainder){0, finite_or_zero(b.upper)};
    }
    if (is_upper)
        return (struct remainder){0, finite_or_zero(b.lower)};
    return (struct remainder){b.count, limit >= b.lower ? limit : b.lower};
}

static struct remainder trim_bucket(struct toc_bucket b, double limit, bool is_upper,
                                    bool is_linear) {
    struct remainder whole = {b.count, middle_of(b.lower, b.upper, is_linear)}, none = {0, 0};
    if (isnan(limit))
        return none;
    if (is_upper ? b.upper <= limit : b.lower >= limit)
        return whole;
    if (is_upper ? b.lower >= limit : b.upper <= limit)
        return none;
    if (isinf(b.lower) || isinf(b.upper))
        return trim_infinite(b, limit, is_upper);
    double below = share_below(b, limit, is_linear);
    return is_upper
               ? (struct remainder){b.count * below, middle_of(b.lower, limit, is_linear)}
               : (struct remainder){b.count * (1 - below), middle_of(limit, b.upper, is_linear)};
}

static bool is_populated(struct toc_buckets b) {
    for (size_t i = 0; i < b.size; i++)
        if (b.count[i] != 0)
            return true;
    return false;
}

static struct toc_bucket zero_bucket(const struct toc_histogram *h) {
    struct toc_bucket zero = {-h->zero_threshold, h->zero_threshold, h->zero_count};
    bool has_positive = is_populated(h->positive), has_negative = is_populated(h->negative);
    if (has_positive && !has_negative)
        zero.lower = 0;
    if (has_negative && !has_positive)
        zero.upper = 0;
    return zero;
}

struct totals {
    double count, sum;
    bool has_changed;
};

static double keep(struct totals *t, double before, struct remainder r) {
    t->count += r.count;
    t->sum += r.count != 0 ? r.count * r.middle : 0;
    t->has_changed |= r.count != before;
    return r.count;
}

static bool trim_side(const struct toc_histogram *h, struct toc_buckets side, bool is_negative,
                      double limit, bool is_upper, struct totals *t, struct toc_arena *arena,
                      struct toc_buckets *out) {
    double *count = toc_arena_calloc(arena, side.size + 1, sizeof *count);
    struct toc_bucket b;
    struct toc_histogram one = *h;
    if (!count)
        return false;
    for (size_t i = 0; i < side.size; i++) {
        if (side.count[i] == 0)
            continue;
        one.zero_count = 0;
        struct toc_buckets single = {&side.index[i], &side.count[i], 1};
        one.positive = one.negative = (struct toc_buckets){0};
        *(is_negative ? &one.negative : &one.positive) = single;
        toc_histogram_layout(&one, &b);
        count[i] =
            keep(t, side.count[i], trim_bucket(b, limit, is_upper, toc_histogram_is_custom(h)));
    }
    *out = (struct toc_buckets){side.index, count, side.size};
    return true;
}

struct toc_histogram *toc_histogram_trim(const struct toc_histogram *from, double limit,
                                         bool is_upper, struct toc_arena *arena) {
    struct toc_histogram *h = TOC_ARENA_NEW(arena, struct toc_histogram);
    struct totals t = {0};
    if (!h)
        return NULL;
    *h = *from;
    if (!trim_side(from, from->positive, false, limit, is_upper, &t, arena, &h->positive) ||
        !trim_side(from, from->negative, true, limit, is_upper, &t, arena, &h->negative))
        return NULL;
    if (from->zero_count > 0)
        h->zero_count =
            keep(&t, from->zero_count, trim_bucket(zero_bucket(from), limit, is_upper, true));
    if (!t.has_changed)
        return h;
    h->count = t.count;
    h->sum = t.sum;
    return toc_histogram_compact(h, arena);
}
