/* Aggregations that keep some of the input's series: topk, bottomk, limitk, limit_ratio. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/num.h"
#include "promql/aggregate_priv.h"

struct ranked {
    double value;
    size_t column;
};

/* Best first; NaN is worse than anything; of equal ones the earlier. */
static int by_rank(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (x->value != y->value && !isnan(x->value))
        return x->value < y->value ? 1 : -1;
    return (x->column > y->column) - (x->column < y->column);
}

static int by_rank_up(const void *a, const void *b) {
    struct ranked x = *(const struct ranked *)a, y = *(const struct ranked *)b;
    x.value = -x.value;
    y.value = -y.value;
    return by_rank(&x, &y);
}

struct pick {
    struct toc_eval *e;
    const struct toc_node *n;
    const struct toc_eval_columns *in;
    struct ranked *ranked;
    struct toc_column **made; /* per input column */
    struct toc_eval_columns *out;
};

static int keep(struct pick *p, size_t column, size_t step) {
    const struct toc_column *from = &p->in->items[column];
    if (!p->made[column]) {
        p->made[column] = toc_eval_columns_add(p->e, p->out, from->labels);
        if (!p->made[column])
            return TOC_ELIMIT;
        p->made[column]->drop_name = from->drop_name;
    }
    const struct toc_histogram *h = toc_column_histogram(from, step);
    if (h)
        return toc_column_set_histogram(p->e, p->made[column], step, h);
    p->made[column]->values[step] = from->values[step];
    return 0;
}

/* Moves the best k to the front and sorts them; the rest stays as it falls. */
static void select_best(struct ranked *r, size_t count, size_t k,
                        int (*order)(const void *, const void *)) {
    size_t low = 0, high = count;
    while (k < count && high - low > 16 && k > low && k < high) { /* quickselect, Hoare 1961 */
        struct ranked pivot = r[low + (high - low) / 2];
        size_t i = low, j = high - 1;
        for (;;) {
            while (order(&r[i], &pivot) < 0)
                i++;
            while (order(&r[j], &pivot) > 0)
                j--;
            if (i >= j)
                break;
            struct ranked swap = r[i];
            r[i++] = r[j];
            r[j--] = swap;
        }
        if (k <= i)
            high = i;
        else
            low = i;
    }
    qsort(r, high < count && high >= k ? high : count, sizeof *r, order);
}

static int rank_step(struct pick *p, const struct toc_group *g, size_t step, size_t k) {
    bool is_top = p->n->aggregate == TOC_AGGREGATE_TOPK;
    size_t count = 0;
    for (size_t m = 0; m < g->members.count; m++) {
        size_t column = g->members.items[m];
        double v = p->in->items[column].values[step];
        if (toc_is_absent(v))
            continue;
        if (toc_column_histogram(&p->in->items[column], step)) {
            toc_eval_note(p->e, TOC_NOTE_INFO, p->n->left, "ignored histogram in %s aggregation",
                          toc_aggregate_text(p->n->aggregate));
            continue;
        }
        p->ranked[count++] = (struct ranked){v, column};
    }
    if (count)
        select_best(p->ranked, count, k, is_top ? by_rank : by_rank_up);
    int rc = 0;
    for (size_t r = 0; r < count && r < k && rc == 0; r++)
        rc = keep(p, p->ranked[r].column, step);
    return rc;
}

static int limit_step(struct pick *p, const struct toc_group *g, size_t step, size_t k) {
    int rc = 0;
    for (size_t m = 0; m < g->members.count && k && rc == 0; m++) {
        size_t column = g->members.items[m];
        if (toc_is_absent(p->in->items[column].values[step]))
            continue;
        rc = keep(p, column, step);
        k--;
    }
    return rc;
}

/* Each series has a fixed place in [0, 1) by the hash of its labels; r and r - 1 complement. */
static bool is_in_ratio(struct toc_labels labels, double ratio) {
    double place = (double)toc_labels_hash(labels) / 0x1p64;
    return ratio >= 0 ? place < ratio : place >= 1 + ratio;
}

static int ratio_step(struct pick *p, const struct toc_group *g, size_t step, double ratio) {
    int rc = 0;
    for (size_t m = 0; m < g->members.count && rc == 0; m++) {
        size_t column = g->members.items[m];
        const struct toc_column *c = &p->in->items[column];
        if (!toc_is_absent(c->values[step]) && is_in_ratio(c->labels, ratio))
            rc = keep(p, column, step);
    }
    return rc;
}

/* k as a count; what does not fit 64 bits is refused as upstream refuses it. */
static int count_of(struct toc_eval *e, double v, size_t *out) {
    char text[TOC_F64_TEXT_MAX + 1];
    if (isnan(v))
        return toc_errf(e->err, TOC_EINVAL, "Parameter value is NaN");
    if (v >= 0x1p63)
        return toc_errf(e->err, TOC_EINVAL, "Scalar value %s overflows int64",
                        toc_f64_cstr(v, text));
    if (v <= -0x1p63)
        return toc_errf(e->err, TOC_EINVAL, "Scalar value %s underflows int64",
                        toc_f64_cstr(v, text));
    *out = v < 1 ? 0 : (size_t)v;
    return 0;
}

static int ratio_of(struct toc_eval *e, const struct toc_node *n, double v, double *out) {
    if (isnan(v))
        return toc_errf(e->err, TOC_EINVAL, "Ratio value is NaN");
    *out = v > 1 ? 1 : v < -1 ? -1 : v;
    char text[TOC_F64_TEXT_MAX + 1];
    if (*out != v)
        toc_eval_note(e, TOC_NOTE_WARNING, n->right,
                      "ratio value should be between -1 and 1, got %s, capping to %d",
                      toc_f64_cstr(v, text), (int)*out);
    return 0;
}

static int pick_step(struct pick *p, const struct toc_groups *g, double parameter, size_t step) {
    size_t k = 0;
    double ratio = 0;
    bool is_ratio = p->n->aggregate == TOC_AGGREGATE_LIMIT_RATIO;
    int rc = is_ratio ? ratio_of(p->e, p->n, parameter, &ratio) : count_of(p->e, parameter, &k);
    for (size_t i = 0; i < g->count && rc == 0; i++) {
        if (is_ratio)
            rc = ratio_step(p, &g->items[i], step, ratio);
        else if (p->n->aggregate == TOC_AGGREGATE_LIMITK)
            rc = limit_step(p, &g->items[i], step, k);
        else if (k)
            rc = rank_step(p, &g->items[i], step, k);
    }
    return rc;
}

int toc_aggregate_pick(struct toc_eval *e, const struct toc_node *n,
                       const struct toc_eval_columns *in, const struct toc_groups *g,
                       const struct toc_column *parameter, struct toc_eval_columns *out) {
    struct pick p = {
        .e = e,
        .n = n,
        .in = in,
        .ranked = toc_arena_calloc(e->arena, in->count + 1, sizeof *p.ranked),
        .made = toc_arena_calloc(e->arena, in->count + 1, sizeof(struct toc_column *)),
        .out = out,
    };
    if (!p.ranked || !p.made)
        return toc_eval_no_memory(e);
    TOC_VEC_RESERVE(out, in->count + 1); /* pointers into out stay valid */
    int rc = 0;
    for (size_t step = 0; step < e->step_count && rc == 0; step++)
        rc = pick_step(&p, g, parameter->values[step], step);
    return rc;
}
