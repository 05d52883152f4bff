#include "remote/observations.h"

#include <math.h>

#include "model/histogram_math.h"

/* As Prometheus' client libraries have it. */
static const double ZERO_THRESHOLD = 2.938735877055719e-39;

void observations_init(struct observations *o) {
    *o = (struct observations){.schema = OBSERVATION_SCHEMA};
}

void observations_fini(struct observations *o) {
    TOC_VEC_FINI(&o->positive);
    TOC_VEC_FINI(&o->negative);
}

/* The bucket (bound(i-1), bound(i)] that holds the magnitude: by logarithm, then exactly. */
static int32_t index_of(double magnitude, int32_t schema) {
    int32_t i = (int32_t)ceil(ldexp(log2(magnitude), schema));
    while (toc_histogram_bound(i - 1, schema) >= magnitude)
        i--;
    while (toc_histogram_bound(i, schema) < magnitude)
        i++;
    return i;
}

static void add_to_side(struct observation_side *s, int32_t index, double weight) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->items[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < s->count && s->items[low].index == index) {
        s->items[low].count += weight;
        return;
    }
    TOC_VEC_PUSH(s, ((struct observation_bucket){index, weight}));
    memmove(s->items + low + 1, s->items + low, (s->count - 1 - low) * sizeof *s->items);
    s->items[low] = (struct observation_bucket){index, weight};
}

/* Buckets 2k-1 and 2k become bucket k. */
static void halve(struct observation_side *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct observation_bucket b = s->items[i];
        b.index = (b.index + 1) >> 1;
        if (kept && s->items[kept - 1].index == b.index)
            s->items[kept - 1].count += b.count;
        else
            s->items[kept++] = b;
    }
    s->count = kept;
}

void observations_add(struct observations *o, double value, double weight) {
    o->count += weight;
    o->sum += value * weight;
    if (fabs(value) <= ZERO_THRESHOLD) {
        o->zero_count += weight;
        return;
    }
    add_to_side(value > 0 ? &o->positive : &o->negative, index_of(fabs(value), o->schema), weight);
    while (o->positive.count + o->negative.count > OBSERVATION_BUCKETS_MAX &&
           o->schema > TOC_HISTOGRAM_SCHEMA_MIN) {
        halve(&o->positive);
        halve(&o->negative);
        o->schema--;
    }
}

static struct toc_buckets side_of(const struct observation_side *s, struct toc_arena *a) {
    int32_t *index = TOC_ARENA_NEW_ARRAY(a, int32_t, s->count);
    double *count = TOC_ARENA_NEW_ARRAY(a, double, s->count);
    if (!index || !count)
        return (struct toc_buckets){0};
    for (size_t i = 0; i < s->count; i++) {
        index[i] = s->items[i].index;
        count[i] = s->items[i].count;
    }
    return (struct toc_buckets){index, count, s->count};
}

const struct toc_histogram *observations_histogram(const struct observations *o,
                                                   struct toc_arena *a) {
    struct toc_histogram *h = TOC_ARENA_NEW(a, struct toc_histogram);
    if (!h)
        return NULL;
    *h = (struct toc_histogram){.schema = o->schema,
                                .zero_threshold = ZERO_THRESHOLD,
                                .zero_count = o->zero_count,
                                .count = o->count,
                                .sum = o->sum};
    h->positive = side_of(&o->positive, a);
    h->negative = side_of(&o->negative, a);
    return a->overflowed ? NULL : h;
}
