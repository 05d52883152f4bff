/* Aggregations: columns are assigned to groups once, then folded step by step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "promql/eval_priv.h"
#include "promql/sum_priv.h"

struct group {
    struct toc_labels labels;
    TOC_VEC(size_t) members; /* column numbers */
};

struct groups {
    TOC_VEC_FIELDS(struct group)
    struct toc_map by_hash; /* group number + 1 */
};

static bool in_list(const struct toc_node *n, struct toc_sv name) {
    for (size_t i = 0; i < n->grouping_count; i++)
        if (toc_sv_eq(n->grouping[i], name))
            return true;
    return false;
}

static struct toc_labels group_labels(struct toc_eval *e, const struct toc_node *n,
                                      struct toc_labels l) {
    struct toc_label *items = toc_arena_calloc(e->arena, l.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < l.count; i++) {
        bool is_listed = in_list(n, l.items[i].name);
        bool is_name = toc_sv_eq(l.items[i].name, TOC_METRIC_NAME);
        if (n->is_without ? !is_listed && !is_name : is_listed)
            items[out.count++] = l.items[i];
    }
    return out;
}

static void assign_groups(struct toc_eval *e, const struct toc_node *n,
                          const struct toc_eval_columns *in, struct groups *g) {
    for (size_t i = 0; i < in->count; i++) {
        struct toc_labels labels = group_labels(e, n, in->items[i].labels);
        uint64_t hash = toc_labels_hash(labels);
        void *found = toc_map_get(&g->by_hash, toc_map_u64(&hash));
        if (!found) {
            struct group fresh = {.labels = labels};
            TOC_VEC_PUSH(g, fresh);
            found = (void *)(uintptr_t)g->count;
            toc_map_put(&g->by_hash, toc_map_u64(&hash), found);
        }
        TOC_VEC_PUSH(&g->items[(uintptr_t)found - 1].members, i);
    }
}

static void fini_groups(struct groups *g) {
    for (size_t i = 0; i < g->count; i++)
        TOC_VEC_FINI(&g->items[i].members);
    TOC_VEC_FINI(g);
    toc_map_fini(&g->by_hash);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) /* NaN sorts first, as upstream's vectors do */
        return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

double toc_promql_quantile(double q, double *values, size_t count) {
    if (count == 0 || isnan(q))
        return NAN;
    if (q < 0)
        return -INFINITY;
    if (q > 1)
        return INFINITY;
    qsort(values, count, sizeof *values, by_value);
    double rank = q * (double)(count - 1), low = floor(rank);
    size_t below = (size_t)low, above = below + 1 < count ? below + 1 : count - 1;
    double weight = rank - low;
    return values[below] * (1 - weight) + values[above] * weight;
}

static double fold_sum(const double *v, size_t n) {
    double sum = 0, lost = 0;
    for (size_t i = 0; i < n; i++)
        toc_sum_add(&sum, &lost, v[i]);
    return isinf(sum) ? sum : sum + lost;
}

/* The running mean where the sum would overflow. */
static double fold_avg(const double *v, size_t n) {
    double sum = fold_sum(v, n);
    if (!isinf(sum))
        return sum / (double)n;
    double mean = 0;
    for (size_t i = 0; i < n; i++) {
        if (isinf(v[i]) && isinf(mean) && (v[i] > 0) == (mean > 0))
            continue;
        mean += v[i] / (double)(i + 1) - mean / (double)(i + 1);
    }
    return mean;
}

static double fold_variance(const double *v, size_t n) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double delta = v[i] - mean;
        mean += delta / (double)(i + 1);
        squares += delta * (v[i] - mean);
    }
    return squares / (double)n;
}

static double fold_extreme(const double *v, size_t n, bool is_max) {
    double best = v[0];
    for (size_t i = 1; i < n; i++)
        if (isnan(best) || (is_max ? v[i] > best : v[i] < best))
            best = v[i];
    return best;
}

static double fold(enum toc_aggregate_op op, double *v, size_t n, double parameter) {
    switch (op) {
    case TOC_AGGREGATE_SUM:
        return fold_sum(v, n);
    case TOC_AGGREGATE_AVG:
        return fold_avg(v, n);
    case TOC_AGGREGATE_MIN:
        return fold_extreme(v, n, false);
    case TOC_AGGREGATE_MAX:
        return fold_extreme(v, n, true);
    case TOC_AGGREGATE_COUNT:
        return (double)n;
    case TOC_AGGREGATE_GROUP:
        return 1;
    case TOC_AGGREGATE_STDDEV:
        return sqrt(fold_variance(v, n));
    case TOC_AGGREGATE_STDVAR:
        return fold_variance(v, n);
    case TOC_AGGREGATE_QUANTILE:
        return toc_promql_quantile(parameter, v, n);
    default:
        return NAN;
    }
}

static int fold_groups(struct toc_eval *e, const struct toc_node *n,
                       const struct toc_eval_columns *in, const struct groups *g,
                       const struct toc_column *parameter, struct toc_eval_columns *out) {
    double *present = toc_arena_calloc(e->arena, in->count + 1, sizeof *present);
    if (!present)
        return TOC_ELIMIT;
    for (size_t i = 0; i < g->count; i++) {
        const struct group *group = &g->items[i];
        struct toc_column *c = toc_eval_columns_add(e, out, group->labels);
        if (!c)
            return TOC_ELIMIT;
        for (size_t step = 0; step < e->step_count; step++) {
            size_t count = 0;
            for (size_t m = 0; m < group->members.count; m++) {
                double v = in->items[group->members.items[m]].values[step];
                if (!toc_is_absent(v))
                    present[count++] = v;
            }
            if (count)
                c->values[step] =
                    fold(n->aggregate, present, count, parameter ? parameter->values[step] : 0);
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------------------- topk,
 * bottomk */

struct ranked {
    double value;
    size_t column;
};

static int by_rank(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (isnan(x->value) || isnan(y->value)) /* NaN is worse than anything */
        return isnan(x->value) - isnan(y->value)
                   ? isnan(x->value) - isnan(y->value)
                   : (x->column > y->column) - (x->column < y->column);
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return (x->column > y->column) - (x->column < y->column);
}

static int by_rank_up(const void *a, const void *b) {
    struct ranked x = *(const struct ranked *)a, y = *(const struct ranked *)b;
    x.value = -x.value;
    y.value = -y.value;
    return by_rank(&x, &y);
}

static size_t rank_step(const struct toc_node *n, const struct toc_eval_columns *in,
                        const struct group *g, size_t step, struct ranked *out) {
    size_t count = 0;
    for (size_t m = 0; m < g->members.count; m++) {
        size_t column = g->members.items[m];
        double v = in->items[column].values[step];
        if (!toc_is_absent(v))
            out[count++] = (struct ranked){v, column};
    }
    if (count)
        qsort(out, count, sizeof *out, n->aggregate == TOC_AGGREGATE_TOPK ? by_rank : by_rank_up);
    return count;
}

/* Keeps the input's columns; what is not among the best k of its group becomes absent. An instant
 * query's result is in rank order. */
static int keep_best(struct toc_eval *e, const struct toc_node *n,
                     const struct toc_eval_columns *in, const struct groups *g,
                     const struct toc_column *parameter, struct toc_eval_columns *out) {
    struct ranked *ranked = toc_arena_calloc(e->arena, in->count + 1, sizeof *ranked);
    struct toc_column **made =
        toc_arena_calloc(e->arena, in->count + 1, sizeof(struct toc_column *));
    if (!ranked || !made)
        return TOC_ELIMIT;
    TOC_VEC_RESERVE(out, in->count + 1); /* pointers into out stay valid */
    for (size_t i = 0; i < g->count; i++)
        for (size_t step = 0; step < e->step_count; step++) {
            double k = parameter->values[step];
            if (isnan(k))
                return toc_errf(e->err, TOC_EINVAL, "Parameter value is NaN");
            size_t count = rank_step(n, in, &g->items[i], step, ranked);
            for (size_t r = 0; r < count && (double)r < trunc(k); r++) {
                size_t column = ranked[r].column;
                if (!made[column])
                    made[column] = toc_eval_columns_add(e, out, in->items[column].labels);
                if (!made[column])
                    return TOC_ELIMIT;
                made[column]->values[step] = ranked[r].value;
            }
        }
    return 0;
}

/* ----------------------------------------------------------------------------------------
 * count_values */

static int count_one(struct toc_eval *e, const struct group *g, struct toc_sv label, double v,
                     size_t step, struct toc_map *made, struct toc_eval_columns *out) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_format_f64(v, &text);
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, g->labels);
    toc_labels_builder_set(&b, label, toc_buf_sv(&text));
    struct toc_labels labels = toc_labels_builder_finish(&b);
    uint64_t hash = toc_labels_hash(labels);
    void *found = toc_map_get(made, toc_map_u64(&hash));
    int rc = 0;
    if (!found) {
        if (toc_eval_columns_add(e, out, toc_labels_dup_arena(labels, e->arena))) {
            found = (void *)(uintptr_t)out->count;
            toc_map_put(made, toc_map_u64(&hash), found);
        } else {
            rc = TOC_ELIMIT;
        }
    }
    if (rc == 0) {
        double *cell = &out->items[(uintptr_t)found - 1].values[step];
        *cell = toc_is_absent(*cell) ? 1 : *cell + 1;
    }
    toc_labels_builder_fini(&b);
    toc_buf_fini(&text);
    return rc;
}

static int count_values(struct toc_eval *e, struct toc_sv label, const struct toc_eval_columns *in,
                        const struct groups *g, struct toc_eval_columns *out) {
    struct toc_map made = {0};
    int rc = label.n && toc_sv_is_utf8(label)
                 ? 0
                 : toc_errf(e->err, TOC_EINVAL, "invalid label name \"%.*s\"", TOC_SV_ARG(label));
    for (size_t i = 0; i < g->count && rc == 0; i++)
        for (size_t m = 0; m < g->items[i].members.count && rc == 0; m++)
            for (size_t step = 0; step < e->step_count && rc == 0; step++) {
                double v = in->items[g->items[i].members.items[m]].values[step];
                if (!toc_is_absent(v))
                    rc = count_one(e, &g->items[i], label, v, step, &made, out);
            }
    toc_map_fini(&made);
    return rc;
}

int toc_eval_aggregate(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0}, parameter = {0};
    struct groups g = {0};
    int rc = toc_eval_node(e, n->left, &in);
    if (rc == 0 && n->right)
        rc = toc_eval_node(e, n->right, &parameter);
    if (rc == 0)
        assign_groups(e, n, &in, &g);
    const struct toc_column *p = parameter.count ? &parameter.items[0] : NULL;
    if (rc == 0 && (n->aggregate == TOC_AGGREGATE_TOPK || n->aggregate == TOC_AGGREGATE_BOTTOMK))
        rc = keep_best(e, n, &in, &g, p, out);
    else if (rc == 0 && n->aggregate == TOC_AGGREGATE_COUNT_VALUES)
        rc = count_values(e, parameter.string, &in, &g, out);
    else if (rc == 0)
        rc = fold_groups(e, n, &in, &g, p, out);
    fini_groups(&g);
    toc_eval_columns_fini(&in);
    toc_eval_columns_fini(&parameter);
    return rc < 0 ? rc : toc_eval_spend(e, 0);
}
