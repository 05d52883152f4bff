/* histogram_quantile over classic histograms: buckets are series with the label "le". */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "promql/eval_priv.h"
#include "promql/functions_priv.h"

struct bucket {
    double upper, count;
};

struct bucket_group {
    struct toc_labels labels;
    TOC_VEC(size_t) columns;
};

static int by_upper(const void *a, const void *b) {
    double x = ((const struct bucket *)a)->upper, y = ((const struct bucket *)b)->upper;
    return (x > y) - (x < y);
}

/* Relative difference that float arithmetic on rates may leave between equal buckets (upstream's
 * 1e-12). */
static bool is_almost_equal(double a, double b) {
    if (a == b)
        return true;
    return fabs(a - b) / (fabs(a) + fabs(b)) < 1e-12;
}

/* Equal bounds are added up; counts must not fall. */
static size_t tidy(struct bucket *b, size_t n, bool *was_forced) {
    qsort(b, n, sizeof *b, by_upper);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept && b[kept - 1].upper == b[i].upper)
            b[kept - 1].count += b[i].count;
        else
            b[kept++] = b[i];
    }
    for (size_t i = 1; i < kept; i++) {
        if (b[i].count >= b[i - 1].count)
            continue;
        if (!is_almost_equal(b[i].count, b[i - 1].count))
            *was_forced = true;
        b[i].count = b[i - 1].count;
    }
    return kept;
}

static double bucket_quantile(double q, struct bucket *b, size_t n, bool *was_forced) {
    if (isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    n = tidy(b, n, was_forced);
    if (n < 2 || !isinf(b[n - 1].upper) || b[n - 1].count == 0 || isnan(b[n - 1].count))
        return NAN;
    double rank = q * b[n - 1].count;
    size_t i = 0;
    while (i < n - 1 && b[i].count < rank)
        i++;
    if (i == n - 1)
        return b[n - 2].upper;
    if (i == 0 && b[0].upper <= 0)
        return b[0].upper;
    double start = i ? b[i - 1].upper : 0, count = b[i].count - (i ? b[i - 1].count : 0);
    rank -= i ? b[i - 1].count : 0;
    return start + (b[i].upper - start) * (rank / count);
}

static struct toc_labels without_le(struct toc_eval *e, struct toc_labels l) {
    struct toc_label *items = toc_arena_calloc(e->arena, l.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < l.count; i++)
        if (!toc_sv_eq(l.items[i].name, TOC_SV("le")) &&
            !toc_sv_eq(l.items[i].name, TOC_METRIC_NAME))
            items[out.count++] = l.items[i];
    return out;
}

struct bucket_groups {
    TOC_VEC_FIELDS(struct bucket_group)
    struct toc_map by_hash;
    double *uppers; /* per column; NaN: not a bucket */
};

static int group_buckets(struct toc_eval *e, const struct toc_eval_columns *in,
                         struct bucket_groups *g) {
    g->uppers = toc_arena_calloc(e->arena, in->count + 1, sizeof *g->uppers);
    if (!g->uppers)
        return TOC_ELIMIT;
    for (size_t i = 0; i < in->count; i++) {
        struct toc_sv le = toc_labels_get(in->items[i].labels, TOC_SV("le"));
        if (toc_parse_f64(le, &g->uppers[i]) < 0) {
            toc_eval_note(e, TOC_NOTE_WARNING, NULL,
                          "bucket label \"le\" is missing or has a malformed value "
                          "of \"%.*s\"",
                          TOC_SV_ARG(le));
            continue;
        }
        struct toc_labels labels = without_le(e, in->items[i].labels);
        uint64_t hash = toc_labels_hash(labels);
        void *found = toc_map_get(&g->by_hash, toc_map_u64(&hash));
        if (!found) {
            struct bucket_group fresh = {.labels = labels};
            TOC_VEC_PUSH(g, fresh);
            found = (void *)(uintptr_t)g->count;
            toc_map_put(&g->by_hash, toc_map_u64(&hash), found);
        }
        TOC_VEC_PUSH(&g->items[(uintptr_t)found - 1].columns, i);
    }
    return 0;
}

static int quantile_of_group(struct toc_eval *e, const struct bucket_groups *g,
                             const struct bucket_group *group, const struct toc_eval_columns *in,
                             const double *q, struct toc_eval_columns *out) {
    struct bucket *buckets = toc_arena_calloc(e->arena, group->columns.count, sizeof *buckets);
    struct toc_column *c = buckets ? toc_eval_columns_add(e, out, group->labels) : NULL;
    bool was_forced = false;
    if (!c)
        return TOC_ELIMIT;
    for (size_t k = 0; k < e->step_count; k++) {
        size_t n = 0;
        for (size_t i = 0; i < group->columns.count; i++) {
            size_t column = group->columns.items[i];
            double v = in->items[column].values[k];
            if (!toc_is_absent(v))
                buckets[n++] = (struct bucket){g->uppers[column], v};
        }
        if (n)
            c->values[k] = bucket_quantile(q[k], buckets, n, &was_forced);
    }
    if (was_forced)
        toc_eval_note(
            e, TOC_NOTE_INFO, NULL,
            "input to histogram_quantile needed to be fixed for monotonicity (see "
            "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
    return 0;
}

int toc_call_histogram_quantile(struct toc_eval *e, const struct toc_node *n,
                                struct toc_eval_columns *out) {
    struct toc_eval_columns q = {0}, in = {0};
    struct bucket_groups g = {0};
    int rc = toc_eval_node(e, n->args[0], &q);
    if (rc == 0)
        rc = toc_eval_node(e, n->args[1], &in);
    if (rc == 0) {
        double first = q.items[0].values[0];
        if (isnan(first) || first < 0 || first > 1)
            toc_eval_note(e, TOC_NOTE_WARNING, NULL,
                          "quantile value should be between 0 and 1, got %g", first);
        rc = group_buckets(e, &in, &g);
    }
    for (size_t i = 0; i < g.count && rc == 0; i++)
        rc = quantile_of_group(e, &g, &g.items[i], &in, q.items[0].values, out);
    for (size_t i = 0; i < g.count; i++)
        TOC_VEC_FINI(&g.items[i].columns);
    TOC_VEC_FINI(&g);
    toc_map_fini(&g.by_hash);
    toc_eval_columns_fini(&q);
    toc_eval_columns_fini(&in);
    return rc;
}
