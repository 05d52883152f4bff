#include "model/histogram_math.h"

#include <math.h>

#include "base/num.h"
#include "model/histogram_priv.h"
#include "model/sample.h"

static struct toc_histogram *shell(const struct toc_histogram *like, struct toc_arena *arena) {
    struct toc_histogram *h = TOC_ARENA_NEW(arena, struct toc_histogram);
    if (h)
        *h = *like;
    return h;
}

/* ------------------------------------------------------------------------------ add, subtract */

bool toc_histogram_join_hints(struct toc_histogram *to, const struct toc_histogram *other) {
    enum toc_reset_hint a = to->reset_hint, b = other->reset_hint;
    if (a == b || a == TOC_RESET_GAUGE)
        return false;
    if (b == TOC_RESET_GAUGE) {
        to->reset_hint = TOC_RESET_GAUGE;
        return false;
    }
    to->reset_hint = TOC_RESET_UNKNOWN;
    return a != TOC_RESET_UNKNOWN && b != TOC_RESET_UNKNOWN;
}

static bool combine_custom(struct toc_histogram *to, const struct toc_histogram *b, double factor,
                           struct toc_arena *arena, struct toc_histogram_notes *notes) {
    struct toc_buckets x = to->positive, y = b->positive;
    if (!toc_bounds_eq(to, b)) {
        const double *common;
        size_t count;
        notes->has_reconciled_buckets = true;
        if (!toc_bounds_intersect(to, b, arena, &common, &count) ||
            !toc_buckets_rebound(x, to->custom_bounds, to->custom_bound_count, common, count, arena,
                                 &x) ||
            !toc_buckets_rebound(y, b->custom_bounds, b->custom_bound_count, common, count, arena,
                                 &y))
            return false;
        to->custom_bounds = common;
        to->custom_bound_count = count;
    }
    return toc_buckets_add(x, y, factor, arena, &to->positive);
}

static bool combine_side(struct toc_buckets a, int32_t a_schema, struct toc_buckets b,
                         int32_t b_schema, double factor, int32_t schema, double threshold,
                         struct toc_arena *arena, struct toc_buckets *out) {
    return toc_buckets_above(a, a_schema, threshold, arena, &a) &&
           toc_buckets_above(b, b_schema, threshold, arena, &b) &&
           toc_buckets_coarsen(a, a_schema - schema, arena, &a) &&
           toc_buckets_coarsen(b, b_schema - schema, arena, &b) &&
           toc_buckets_add(a, b, factor, arena, out);
}

static bool combine_exponential(struct toc_histogram *to, const struct toc_histogram *b,
                                double factor, struct toc_arena *arena) {
    double threshold = fmax(to->zero_threshold, b->zero_threshold), a_zero, b_zero, before;
    do { /* until the threshold cuts no populated bucket of either */
        before = threshold;
        a_zero = toc_zero_count_for(to, &threshold);
        b_zero = toc_zero_count_for(b, &threshold);
    } while (threshold != before);
    int32_t schema = to->schema < b->schema ? to->schema : b->schema;
    to->zero_threshold = threshold;
    to->zero_count = a_zero + factor * b_zero;
    bool ok = combine_side(to->positive, to->schema, b->positive, b->schema, factor, schema,
                           threshold, arena, &to->positive) &&
              combine_side(to->negative, to->schema, b->negative, b->schema, factor, schema,
                           threshold, arena, &to->negative);
    to->schema = schema;
    return ok;
}

static struct toc_histogram *combine(const struct toc_histogram *a, const struct toc_histogram *b,
                                     double factor, struct toc_arena *arena,
                                     struct toc_histogram_notes *notes) {
    bool is_custom = toc_histogram_is_custom(a);
    if (is_custom != toc_histogram_is_custom(b)) {
        notes->is_incompatible = true;
        return NULL;
    }
    struct toc_histogram *h = shell(a, arena);
    if (!h)
        return NULL;
    notes->has_reset_conflict |= toc_histogram_join_hints(h, b);
    h->count += factor * b->count;
    h->sum += factor * b->sum;
    bool ok = is_custom ? combine_custom(h, b, factor, arena, notes)
                        : combine_exponential(h, b, factor, arena);
    return ok ? h : NULL;
}

struct toc_histogram *toc_histogram_add(const struct toc_histogram *a,
                                        const struct toc_histogram *b, struct toc_arena *arena,
                                        struct toc_histogram_notes *notes) {
    return combine(a, b, 1, arena, notes);
}

struct toc_histogram *toc_histogram_sub(const struct toc_histogram *a,
                                        const struct toc_histogram *b, struct toc_arena *arena,
                                        struct toc_histogram_notes *notes) {
    struct toc_histogram *h = combine(a, b, -1, arena, notes);
    if (h)
        h->reset_hint = TOC_RESET_GAUGE;
    return h;
}

/* ------------------------------------------------------------------------------------ scaling */

static bool map_counts(struct toc_buckets b, double operand, bool is_division,
                       struct toc_arena *arena, struct toc_buckets *out) {
    double *count = toc_arena_calloc(arena, b.size + 1, sizeof *count);
    if (!count)
        return false;
    for (size_t i = 0; i < b.size; i++)
        count[i] = is_division ? b.count[i] / operand : b.count[i] * operand;
    *out = (struct toc_buckets){b.index, count, b.size};
    return true;
}

static struct toc_histogram *scale(const struct toc_histogram *from, double operand,
                                   bool is_division, struct toc_arena *arena) {
    struct toc_histogram *h = shell(from, arena);
    if (!h || !map_counts(from->positive, operand, is_division, arena, &h->positive) ||
        !map_counts(from->negative, operand, is_division, arena, &h->negative))
        return NULL;
    h->zero_count = is_division ? h->zero_count / operand : h->zero_count * operand;
    h->count = is_division ? h->count / operand : h->count * operand;
    h->sum = is_division ? h->sum / operand : h->sum * operand;
    if (is_division && operand == 0)
        h->positive = h->negative = (struct toc_buckets){0};
    if (operand < 0)
        h->reset_hint = TOC_RESET_GAUGE;
    return h;
}

struct toc_histogram *toc_histogram_scale(const struct toc_histogram *h, double factor,
                                          struct toc_arena *arena) {
    return scale(h, factor, false, arena);
}

struct toc_histogram *toc_histogram_divide(const struct toc_histogram *h, double divisor,
                                           struct toc_arena *arena) {
    return scale(h, divisor, true, arena);
}

struct toc_histogram *toc_histogram_coarsen(const struct toc_histogram *from, int32_t schema,
                                            struct toc_arena *arena) {
    struct toc_histogram *h = shell(from, arena);
    if (!h || toc_histogram_is_custom(h) || schema >= h->schema)
        return h;
    if (!toc_buckets_coarsen(from->positive, from->schema - schema, arena, &h->positive) ||
        !toc_buckets_coarsen(from->negative, from->schema - schema, arena, &h->negative))
        return NULL;
    h->schema = schema;
    return h;
}

static bool without_empty(struct toc_buckets b, struct toc_arena *arena, struct toc_buckets *out) {
    struct toc_bucket_list l;
    if (!toc_bucket_list_init(&l, b.size, arena))
        return false;
    for (size_t i = 0; i < b.size; i++)
        if (b.count[i] != 0) {
            l.index[l.size] = b.index[i];
            l.count[l.size++] = b.count[i];
        }
    *out = toc_bucket_list_view(&l);
    return true;
}

struct toc_histogram *toc_histogram_compact(const struct toc_histogram *from,
                                            struct toc_arena *arena) {
    struct toc_histogram *h = shell(from, arena);
    return h && without_empty(from->positive, arena, &h->positive) &&
                   without_empty(from->negative, arena, &h->negative)
               ? h
               : NULL;
}

/* --------------------------------------------------------------------------------- comparison */

static bool same_bits(double a, double b) {
    return toc_f64_bits(a) == toc_f64_bits(b);
}

static bool same_buckets(struct toc_buckets a, struct toc_buckets b) {
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a.size && a.count[i] == 0)
            i++;
        while (k < b.size && b.count[k] == 0)
            k++;
        if (i == a.size || k == b.size)
            return i == a.size && k == b.size;
        if (a.index[i] != b.index[k] || !same_bits(a.count[i], b.count[k]))
            return false;
        i++;
        k++;
    }
}

bool toc_histogram_eq(const struct toc_histogram *a, const struct toc_histogram *b) {
    return a->schema == b->schema && same_bits(a->count, b->count) && same_bits(a->sum, b->sum) &&
           same_bits(a->zero_count, b->zero_count) &&
           same_bits(a->zero_threshold, b->zero_threshold) && toc_bounds_eq(a, b) &&
           same_buckets(a->positive, b->positive) && same_buckets(a->negative, b->negative);
}

/* Is a bucket of `before` gone or larger than the one of `now`? */
static bool has_fallen(struct toc_buckets now, struct toc_buckets before) {
    size_t k = 0;
    for (size_t i = 0; i < before.size; i++) {
        while (k < now.size && now.index[k] < before.index[i])
            k++;
        bool is_there = k < now.size && now.index[k] == before.index[i];
        if (is_there ? now.count[k] < before.count[i] : before.count[i] != 0)
            return true;
    }
    return false;
}

static bool custom_has_reset(const struct toc_histogram *h, const struct toc_histogram *previous,
                             struct toc_arena *arena) {
    struct toc_buckets now = h->positive, before = previous->positive;
    const double *common;
    size_t count;
    if (!toc_bounds_eq(h, previous) &&
        (!toc_bounds_intersect(h, previous, arena, &common, &count) ||
         !toc_buckets_rebound(now, h->custom_bounds, h->custom_bound_count, common, count, arena,
                              &now) ||
         !toc_buckets_rebound(before, previous->custom_bounds, previous->custom_bound_count, common,
                              count, arena, &before)))
        return false;
    return has_fallen(now, before);
}

static bool side_has_reset(struct toc_buckets now, struct toc_buckets before,
                           const struct toc_histogram *h, int32_t previous_schema,
                           struct toc_arena *arena) {
    return toc_buckets_above(before, previous_schema, h->zero_threshold, arena, &before) &&
           toc_buckets_coarsen(before, previous_schema - h->schema, arena, &before) &&
           has_fallen(now, before);
}

bool toc_histogram_has_reset(const struct toc_histogram *h, const struct toc_histogram *previous,
                             struct toc_arena *arena) {
    if (h->reset_hint == TOC_RESET_YES || h->reset_hint == TOC_RESET_NO)
        return h->reset_hint == TOC_RESET_YES;
    if (h->count < previous->count)
        return true;
    if (toc_histogram_is_custom(h) != toc_histogram_is_custom(previous))
        return true;
    if (toc_histogram_is_custom(h))
        return custom_has_reset(h, previous, arena);
    if (h->schema > previous->schema || h->zero_threshold < previous->zero_threshold)
        return true;
    double threshold = h->zero_threshold, zero_count = toc_zero_count_for(previous, &threshold);
    if (threshold != h->zero_threshold || h->zero_count < zero_count)
        return true;
    return side_has_reset(h->positive, previous->positive, h, previous->schema, arena) ||
           side_has_reset(h->negative, previous->negative, h, previous->schema, arena);
}

/* --------------------------------------------------------------------------------------- text */

static void format_side(const struct toc_histogram *h, const struct toc_bucket *b, size_t i,
                        struct toc_buf *out) {
    bool is_zero = h->zero_count != 0 && i == h->negative.size;
    bool is_negative = i < h->negative.size;
    bool is_lowest = toc_histogram_is_custom(h) && h->positive.index[i] == 0;
    toc_buf_append_cstr(out, is_zero || is_negative || is_lowest ? ", [" : ", (");
    toc_format_f64_go(b->lower, out);
    toc_buf_append_char(out, ',');
    toc_format_f64_go(b->upper, out);
    toc_buf_append_cstr(out, is_negative ? "):" : "]:");
    toc_format_f64_go(b->count, out);
}

void toc_histogram_format(const struct toc_histogram *h, struct toc_buf *out) {
    struct toc_arena arena = TOC_ARENA_INIT;
    size_t most = h->positive.size + h->negative.size + 1;
    struct toc_bucket *buckets = toc_arena_calloc(&arena, most, sizeof *buckets);
    size_t count = buckets ? toc_histogram_layout(h, buckets) : 0;
    toc_buf_append_cstr(out, "{count:");
    toc_format_f64_go(h->count, out);
    toc_buf_append_cstr(out, ", sum:");
    toc_format_f64_go(h->sum, out);
    for (size_t i = 0; i < count; i++)
        if (buckets[i].count != 0)
            format_side(h, &buckets[i], i, out);
    toc_buf_append_char(out, '}');
    toc_arena_fini(&arena);
}
