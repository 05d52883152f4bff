#include "app/doctor_curve.h"

#include <math.h>

#include "base/attrs.h"

enum { FIRST_WIDTH_MS = 10 };

static const struct toc_curve_bucket empty = {INFINITY, -INFINITY, 0, NAN, 0, 0};

static struct toc_curve_bucket merged(const struct toc_curve_bucket *a,
                                      const struct toc_curve_bucket *b) {
    bool has_last = b->count || b->nonfinite;
    return (struct toc_curve_bucket){
        .min = TOC_MIN(a->min, b->min),
        .max = TOC_MAX(a->max, b->max),
        .sum = a->sum + b->sum,
        .last = has_last ? b->last : a->last,
        .count = a->count + b->count,
        .nonfinite = a->nonfinite + b->nonfinite,
    };
}

static void widen(struct toc_curve *c) {
    size_t n = c->buckets.count;
    for (size_t i = 0; i < (n + 1) / 2; i++)
        c->buckets.items[i] =
            merged(&c->buckets.items[2 * i], 2 * i + 1 < n ? &c->buckets.items[2 * i + 1] : &empty);
    c->buckets.count = (n + 1) / 2;
    c->width_ms *= 2;
    c->latest_ms = INT64_MIN;
}

/* The bucket of a time. Samples mostly come one after the other, into the same one. */
static struct toc_curve_bucket *bucket_of(struct toc_curve *c, int64_t t_ms) {
    if ((uint64_t)t_ms - (uint64_t)c->latest_ms < (uint64_t)c->width_ms)
        return &c->buckets.items[c->latest];
    int64_t after_ms = t_ms > c->start_ms ? t_ms - c->start_ms : 0;
    while (after_ms / c->width_ms >= TOC_CURVE_BUCKETS)
        widen(c);
    c->latest = (size_t)(after_ms / c->width_ms);
    c->latest_ms = c->start_ms + (int64_t)c->latest * c->width_ms;
    while (c->buckets.count <= c->latest)
        TOC_VEC_PUSH(&c->buckets, empty);
    return &c->buckets.items[c->latest];
}

void toc_curve_add(struct toc_curve *c, int64_t t_ms, double value) {
    if (!c->width_ms) {
        c->start_ms = t_ms;
        c->width_ms = FIRST_WIDTH_MS;
        c->latest_ms = INT64_MIN;
    }
    struct toc_curve_bucket *b = bucket_of(c, t_ms);
    b->last = value;
    if (!isfinite(value)) {
        b->nonfinite++;
        return;
    }
    b->min = TOC_MIN(b->min, value);
    b->max = TOC_MAX(b->max, value);
    b->sum += value;
    b->count++;
}

void toc_curve_fini(struct toc_curve *c) {
    TOC_VEC_FINI(&c->buckets);
}

struct toc_curve_range toc_curve_range(const struct toc_curve *c) {
    struct toc_curve_bucket all = empty;
    for (size_t i = 0; i < c->buckets.count; i++)
        all = merged(&all, &c->buckets.items[i]);
    return (struct toc_curve_range){
        .min = all.count ? all.min : NAN,
        .max = all.count ? all.max : NAN,
        .last = all.last,
        .count = all.count,
        .nonfinite = all.nonfinite,
    };
}

double toc_curve_at(const struct toc_curve *c, int64_t t_ms) {
    if (!c->width_ms || t_ms < c->start_ms)
        return NAN;
    size_t at = TOC_MIN((size_t)((t_ms - c->start_ms) / c->width_ms) + 1, c->buckets.count);
    while (at-- > 0)
        if (c->buckets.items[at].count || c->buckets.items[at].nonfinite)
            return c->buckets.items[at].last;
    return NAN;
}
