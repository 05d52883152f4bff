#include "remote/otlp_distribution.h"

#include <math.h>

#include "base/alloc.h"

enum { SCALE_MAX = 20 };

/* What a sender leaves out stands for this (as in Prometheus). */
#define ZERO_THRESHOLD 1e-128

static double total_of(struct otlp_numbers n) {
    double total = 0;
    for (size_t i = 0; i < n.count; i++)
        total += n.items[i];
    return total;
}

bool otlp_explicit_is_valid(const struct otlp_distribution *x) {
    if (x->counts.count ? x->counts.count != x->bounds.count + 1 : x->bounds.count > 0)
        return false;
    for (size_t i = 0; i < x->bounds.count; i++)
        if (!isfinite(x->bounds.items[i]) || (i && x->bounds.items[i] <= x->bounds.items[i - 1]))
            return false;
    return true;
}

/* Observations of NaN are in the count and in no bucket; then the sum is NaN. */
static bool is_total_right(const struct otlp_distribution *x, double total) {
    return total == (double)x->count || (x->has_sum && isnan(x->sum) && total < (double)x->count);
}

bool otlp_explicit_adds_up(const struct otlp_distribution *x) {
    return !x->counts.count || is_total_right(x, total_of(x->counts));
}

bool otlp_exponential_is_valid(const struct otlp_distribution *x) {
    double total = x->zero_count + total_of(x->positive.counts) + total_of(x->negative.counts);
    return x->scale >= TOC_HISTOGRAM_SCHEMA_MIN && x->scale <= SCALE_MAX &&
           x->zero_threshold >= 0 && isfinite(x->zero_threshold) && is_total_right(x, total) &&
           (int64_t)x->positive.offset + (int64_t)x->positive.counts.count < INT32_MAX &&
           (int64_t)x->negative.offset + (int64_t)x->negative.counts.count < INT32_MAX;
}

/* --- native histograms --- */

/* Merged by `shift` scales, without empty buckets. */
static bool take_buckets(const struct otlp_buckets *from, unsigned shift, int32_t more,
                         struct toc_arena *arena, struct toc_buckets *out) {
    size_t n = from->counts.count;
    int32_t *index = TOC_ARENA_NEW_ARRAY(arena, int32_t, n + 1);
    double *count = TOC_ARENA_NEW_ARRAY(arena, double, n + 1);
    if (!index || !count)
        return false;
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t at = (int32_t)(((int64_t)from->offset + (int64_t)i) >> shift) + more;
        if (from->counts.items[i] == 0)
            continue;
        if (!size || index[size - 1] != at)
            index[size++] = at;
        count[size - 1] += from->counts.items[i];
    }
    *out = (struct toc_buckets){index, count, size};
    return true;
}

struct toc_histogram *otlp_exponential_histogram(const struct otlp_distribution *x,
                                                 struct toc_arena *arena) {
    struct toc_histogram *h = TOC_ARENA_NEW(arena, struct toc_histogram);
    if (!h)
        return NULL;
    int32_t scale = x->scale > TOC_HISTOGRAM_SCHEMA_MAX ? TOC_HISTOGRAM_SCHEMA_MAX : x->scale;
    unsigned shift = (unsigned)(x->scale - scale);
    *h = (struct toc_histogram){
        .schema = scale,
        .zero_threshold = x->zero_threshold > 0 ? x->zero_threshold : ZERO_THRESHOLD,
        .zero_count = x->zero_count,
        .count = (double)x->count,
        .sum = x->has_sum ? x->sum : 0,
    };
    if (!take_buckets(&x->positive, shift, 1, arena, &h->positive) ||
        !take_buckets(&x->negative, shift, 1, arena, &h->negative))
        return NULL;
    return h;
}

struct toc_histogram *otlp_custom_histogram(const struct otlp_distribution *x,
                                            struct toc_arena *arena) {
    struct toc_histogram *h = TOC_ARENA_NEW(arena, struct toc_histogram);
    struct otlp_buckets buckets = {0, x->counts};
    double whole = (double)x->count;
    if (!x->counts.count && x->count) /* no buckets: everything is in the one up to +Inf */
        buckets.counts = (struct otlp_numbers){&whole, 1};
    if (!h)
        return NULL;
    *h = (struct toc_histogram){
        .schema = TOC_HISTOGRAM_SCHEMA_CUSTOM,
        .count = whole,
        .sum = x->has_sum ? x->sum : 0,
        .custom_bounds = x->bounds.items,
        .custom_bound_count = x->bounds.count,
    };
    return take_buckets(&buckets, 0, 0, arena, &h->positive) ? h : NULL;
}

/* --- sums --- */

/* A range of bucket indexes; empty when end <= first. */
struct range {
    int64_t first, end;
};

static struct range range_of(const struct otlp_buckets *b, unsigned shift) {
    size_t n = b->counts.count, first = 0;
    while (n && b->counts.items[n - 1] == 0)
        n--;
    while (first < n && b->counts.items[first] == 0)
        first++;
    if (first == n)
        return (struct range){0, 0};
    return (struct range){((int64_t)b->offset + (int64_t)first) >> shift,
                          (((int64_t)b->offset + (int64_t)n - 1) >> shift) + 1};
}

static struct range united(struct range a, struct range b) {
    if (a.end <= a.first)
        return b;
    if (b.end <= b.first)
        return a;
    return (struct range){a.first < b.first ? a.first : b.first, a.end > b.end ? a.end : b.end};
}

static bool is_too_wide(struct range r) {
    return r.end - r.first > OTLP_SUM_BUCKETS_MAX;
}

static void add_buckets(struct otlp_buckets *out, const struct otlp_buckets *from, unsigned shift) {
    for (size_t i = 0; i < from->counts.count; i++)
        if (from->counts.items[i] != 0)
            out->counts.items[(((int64_t)from->offset + (int64_t)i) >> shift) - out->offset] +=
                from->counts.items[i];
}

/* A wider zero bucket takes in what lies wholly within it. */
static void widen_zero(struct otlp_distribution *x, struct otlp_buckets *b) {
    for (size_t i = 0; i < b->counts.count; i++) {
        double upper = exp2(ldexp((double)b->offset + (double)i + 1, -x->scale));
        if (upper > x->zero_threshold)
            return;
        x->zero_count += b->counts.items[i];
        b->counts.items[i] = 0;
    }
}

/* The block: the struct, then its numbers. */
static struct otlp_distribution *new_block(size_t numbers, double **out_numbers) {
    struct otlp_distribution *x = toc_try_calloc(1, sizeof *x + numbers * sizeof(double));
    if (x)
        *out_numbers = (double *)(x + 1);
    return x;
}

static void add_totals(struct otlp_distribution *out, const struct otlp_distribution *sum,
                       const struct otlp_distribution *x) {
    out->count = x->count + (sum ? sum->count : 0);
    out->has_sum = x->has_sum && (!sum || sum->has_sum);
    out->sum = x->sum + (sum ? sum->sum : 0);
    out->zero_count = x->zero_count + (sum ? sum->zero_count : 0);
    out->zero_threshold =
        sum && sum->zero_threshold > x->zero_threshold ? sum->zero_threshold : x->zero_threshold;
}

static struct otlp_distribution *add_exponential(const struct otlp_distribution *sum,
                                                 const struct otlp_distribution *x) {
    static const struct otlp_distribution none = {0};
    const struct otlp_distribution *a = sum ? sum : &none;
    int32_t scale = sum && sum->scale < x->scale ? sum->scale : x->scale;
    struct range positive, negative;
    for (;; scale--) {
        unsigned of_a = sum ? (unsigned)(a->scale - scale) : 0, of_x = (unsigned)(x->scale - scale);
        positive = united(range_of(&a->positive, of_a), range_of(&x->positive, of_x));
        negative = united(range_of(&a->negative, of_a), range_of(&x->negative, of_x));
        if (!is_too_wide(positive) && !is_too_wide(negative))
            break;
        if (scale == TOC_HISTOGRAM_SCHEMA_MIN)
            return NULL;
    }
    double *numbers;
    size_t p = (size_t)(positive.end - positive.first), n = (size_t)(negative.end - negative.first);
    struct otlp_distribution *out = new_block(p + n, &numbers);
    if (!out)
        return NULL;
    add_totals(out, sum, x);
    out->scale = scale;
    out->positive = (struct otlp_buckets){(int32_t)positive.first, {numbers, p}};
    out->negative = (struct otlp_buckets){(int32_t)negative.first, {numbers + p, n}};
    if (sum) {
        add_buckets(&out->positive, &sum->positive, (unsigned)(sum->scale - scale));
        add_buckets(&out->negative, &sum->negative, (unsigned)(sum->scale - scale));
    }
    add_buckets(&out->positive, &x->positive, (unsigned)(x->scale - scale));
    add_buckets(&out->negative, &x->negative, (unsigned)(x->scale - scale));
    widen_zero(out, &out->positive);
    widen_zero(out, &out->negative);
    return out;
}

bool otlp_has_equal_bounds(const struct otlp_distribution *a, const struct otlp_distribution *b) {
    if (a->bounds.count != b->bounds.count || a->counts.count != b->counts.count)
        return false;
    for (size_t i = 0; i < a->bounds.count; i++)
        if (a->bounds.items[i] != b->bounds.items[i])
            return false;
    return true;
}

static struct otlp_distribution *add_explicit(const struct otlp_distribution *sum,
                                              const struct otlp_distribution *x) {
    double *numbers;
    size_t counts = x->counts.count, bounds = x->bounds.count;
    if (sum && !otlp_has_equal_bounds(sum, x))
        return NULL;
    struct otlp_distribution *out = new_block(counts + bounds, &numbers);
    if (!out)
        return NULL;
    add_totals(out, sum, x);
    out->counts = (struct otlp_numbers){numbers, counts};
    out->bounds = (struct otlp_numbers){numbers + counts, bounds};
    for (size_t i = 0; i < counts; i++)
        numbers[i] = x->counts.items[i] + (sum ? sum->counts.items[i] : 0);
    for (size_t i = 0; i < bounds; i++)
        numbers[counts + i] = x->bounds.items[i];
    return out;
}

struct otlp_distribution *otlp_distribution_add(const struct otlp_distribution *sum,
                                                const struct otlp_distribution *x,
                                                enum otlp_kind kind) {
    return kind == OTLP_EXPONENTIAL ? add_exponential(sum, x) : add_explicit(sum, x);
}

size_t otlp_distribution_bytes(const struct otlp_distribution *x) {
    return sizeof *x + (x->counts.count + x->bounds.count + x->positive.counts.count +
                        x->negative.counts.count) *
                           sizeof(double);
}
