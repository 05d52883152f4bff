/* Classic histograms as native ones with custom buckets: `x_bucket{le}`, `x_count` and `x_sum` of
 * one time become one histogram named `x`. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"
#include "promqltest/load.h"

struct classic_bucket {
    double le;
    const struct toc_series_text *series;
};

/* The series of one classic histogram. */
struct classic {
    struct toc_labels labels; /* owned: of the native histogram */
    TOC_VEC(struct classic_bucket) buckets;
    const struct toc_series_text *count, *sum;
};
struct classics {
    TOC_VEC_FIELDS(struct classic)
};

enum part { PART_NONE, PART_BUCKET, PART_COUNT, PART_SUM };

static enum part split_name(struct toc_sv name, struct toc_sv *out_base) {
    static const struct toc_sv suffixes[] = {TOC_SV(""), TOC_SV("_bucket"), TOC_SV("_count"),
                                             TOC_SV("_sum")};
    for (int i = PART_BUCKET; i <= PART_SUM; i++)
        if (toc_sv_ends_with(name, suffixes[i])) {
            *out_base = toc_sv_sub(name, 0, name.n - suffixes[i].n);
            return (enum part)i;
        }
    return PART_NONE;
}

static struct classic *find_or_add(struct classics *all, struct toc_labels labels,
                                   struct toc_sv base) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, labels);
    toc_labels_builder_del(&b, TOC_SV("le"));
    toc_labels_builder_set(&b, TOC_METRIC_NAME, base);
    struct toc_labels key = toc_labels_builder_finish(&b);
    struct classic *found = NULL;
    for (size_t i = 0; i < all->count && !found; i++)
        if (toc_labels_eq(all->items[i].labels, key))
            found = &all->items[i];
    if (!found) {
        TOC_VEC_PUSH(all, ((struct classic){.labels = toc_labels_dup(key)}));
        found = &all->items[all->count - 1];
    }
    toc_labels_builder_fini(&b);
    return found;
}

static void collect(struct classics *all, const struct toc_series_text *series) {
    struct toc_sv base = TOC_SV_NULL;
    double le;
    enum part part = split_name(toc_labels_get(series->labels, TOC_METRIC_NAME), &base);
    if (part == PART_BUCKET) {
        if (toc_parse_f64(toc_labels_get(series->labels, TOC_SV("le")), &le) < 0 || isnan(le))
            return;
        struct classic *c = find_or_add(all, series->labels, base);
        TOC_VEC_PUSH(&c->buckets, ((struct classic_bucket){le, series}));
    } else if (part == PART_COUNT) {
        find_or_add(all, series->labels, base)->count = series;
    } else if (part == PART_SUM) {
        find_or_add(all, series->labels, base)->sum = series;
    }
}

/* The float of a series at item i. */
static bool value_at(const struct toc_series_text *s, size_t i, double *out) {
    if (!s || i >= s->count || s->values[i].is_missing || s->values[i].histogram)
        return false;
    *out = s->values[i].value;
    return true;
}

static int by_bound(const void *a, const void *b) {
    double x = ((const struct classic_bucket *)a)->le, y = ((const struct classic_bucket *)b)->le;
    return (x > y) - (x < y);
}

/* A histogram under construction: cumulative counts by rising bound. */
struct build {
    double *bounds, *cumulative;
    size_t size;
    double count, sum;
    bool has_count, has_any;
};

static int gather(const struct classic *c, size_t i, struct build *out, struct toc_err *err) {
    double value;
    for (size_t b = 0; b < c->buckets.count; b++) {
        const struct classic_bucket *bucket = &c->buckets.items[b];
        if (!value_at(bucket->series, i, &value))
            continue;
        out->has_any = true;
        if (isnan(value) || (out->size && value < out->cumulative[out->size - 1]))
            return toc_errf(err, TOC_EINVAL, "classic bucket counts are not cumulative");
        if (out->size && out->bounds[out->size - 1] == bucket->le)
            continue; /* the same bound in another spelling */
        out->bounds[out->size] = bucket->le;
        out->cumulative[out->size++] = value;
    }
    out->has_count = value_at(c->count, i, &out->count);
    out->has_any |= out->has_count;
    if (out->has_count && isnan(out->count))
        return toc_errf(err, TOC_EINVAL, "classic histogram count is NaN");
    out->has_any |= value_at(c->sum, i, &out->sum);
    return 0;
}

/* A last bucket to +Inf and a count that agrees with it. */
static int complete(struct build *b, struct toc_err *err) {
    if (!b->has_count)
        b->count = b->size ? b->cumulative[b->size - 1] : 0;
    if (!b->size || b->bounds[b->size - 1] != INFINITY) {
        if (b->size && b->count < b->cumulative[b->size - 1])
            return toc_errf(err, TOC_EINVAL, "count mismatch");
        b->bounds[b->size] = INFINITY;
        b->cumulative[b->size++] = b->count;
    }
    return b->cumulative[b->size - 1] == b->count ? 0 : toc_errf(err, TOC_EINVAL, "count mismatch");
}

static int append(const struct classic *c, const struct build *b, int64_t t_ms,
                  struct toc_memory_querier *store) {
    int32_t *index = TOC_ARENA_NEW_ARRAY(&store->arena, int32_t, b->size);
    double *counts = TOC_ARENA_NEW_ARRAY(&store->arena, double, b->size);
    if (!index || !counts)
        return TOC_ENOMEM;
    for (size_t i = 0; i < b->size; i++) {
        index[i] = (int32_t)i;
        counts[i] = b->cumulative[i] - (i ? b->cumulative[i - 1] : 0);
    }
    struct toc_histogram h = {.schema = TOC_HISTOGRAM_SCHEMA_CUSTOM,
                              .count = b->count,
                              .sum = b->sum,
                              .positive = {index, counts, b->size},
                              .custom_bounds = b->bounds,
                              .custom_bound_count = b->size - 1};
    struct toc_memory_sample sample = {.t_ms = t_ms, .histogram = &h};
    toc_test_append(store, c->labels, &sample);
    return 0;
}

static size_t longest(const struct classic *c) {
    size_t n = c->count ? c->count->count : 0;
    n = c->sum ? TOC_MAX(n, c->sum->count) : n;
    for (size_t i = 0; i < c->buckets.count; i++)
        n = TOC_MAX(n, c->buckets.items[i].series->count);
    return n;
}

static int append_all(struct classic *c, int64_t start_ms, int64_t step_ms,
                      struct toc_memory_querier *store, struct toc_err *err) {
    size_t items = longest(c), room = c->buckets.count + 1;
    double *bounds = TOC_NEW_ARRAY(double, 2 * room);
    int rc = 0;
    if (c->buckets.count)
        qsort(c->buckets.items, c->buckets.count, sizeof *c->buckets.items, by_bound);
    for (size_t i = 0; i < items && !rc; i++) {
        struct build b = {.bounds = bounds, .cumulative = bounds + room};
        rc = gather(c, i, &b, err);
        if (!rc && b.has_any)
            rc = complete(&b, err);
        if (!rc && b.has_any)
            rc = append(c, &b, start_ms + (int64_t)i * step_ms, store);
    }
    toc_free(bounds);
    return rc;
}

int toc_test_load_nhcb(const struct toc_test_load *load, int64_t start_ms,
                       struct toc_memory_querier *store, struct toc_err *err) {
    struct classics all = {0};
    int rc = 0;
    for (size_t i = 0; i < load->series.count; i++)
        collect(&all, &load->series.items[i].text);
    for (size_t i = 0; i < all.count; i++) {
        if (!rc)
            rc = append_all(&all.items[i], start_ms, load->step_ms, store, err);
        toc_labels_free(&all.items[i].labels);
        TOC_VEC_FINI(&all.items[i].buckets);
    }
    TOC_VEC_FINI(&all);
    return rc;
}
