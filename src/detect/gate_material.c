#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "detect/gate_priv.h"

static void outcomes_fini(struct toc_outcomes *o) {
    toc_free(o->items);
    toc_free(o->by_p);
    toc_free(o->by_score);
    *o = (struct toc_outcomes){0};
}

static void moment_fini(struct toc_gate_moment *m) {
    outcomes_fini(&m->promised);
    outcomes_fini(&m->came);
}

void toc_gate_material_fini(struct toc_gate_material *g) {
    outcomes_fini(&g->all);
    for (size_t i = 0; i < TOC_GATE_MOMENTS; i++)
        moment_fini(&g->moments[i]);
    toc_free(g->series);
    *g = (struct toc_gate_material){0};
}

/* --- alerts from rows --- */

static struct toc_outcome outcome_of(const struct toc_examples *e,
                                     const struct toc_gate_question *q, const double *p, size_t row,
                                     size_t end, uint32_t number) {
    struct toc_outcome o = {.score = NAN,
                            .series = q->series ? q->series[row] : number,
                            .is_true = e->labels[row] != 0};
    for (; row < end; row++) {
        o.p = fmax(o.p, p[row]);
        if (q->score_column < e->x.columns)
            o.score = fmax(o.score, e->x.values[row * e->x.columns + q->score_column]);
    }
    return o;
}

static void collect(const struct toc_examples *e, const struct toc_gate_question *q,
                    const double *p, size_t first, size_t limit, struct toc_outcomes *out) {
    out->items = TOC_NEW_ARRAY(struct toc_outcome, limit - first + 1);
    for (size_t r = first; r < limit;) {
        size_t end = toc_examples_alert_end(e, r);
        out->items[out->count++] = outcome_of(e, q, p, r, end, (uint32_t)r);
        r = end;
    }
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void list_series(struct toc_gate_material *g, size_t rows) {
    size_t n = g->all.count, kept = 0;
    g->series = TOC_NEW_ARRAY(uint32_t, n + 1);
    for (size_t i = 0; i < n; i++)
        g->series[i] = g->all.items[i].series;
    qsort(g->series, n, sizeof *g->series, by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || g->series[i] != g->series[kept - 1])
            g->series[kept++] = g->series[i];
    g->series_count = kept;
    g->series_max = rows;
}

/* --- moments --- */

/* The row at which the alert after the first `share` of all begins. */
static size_t row_after(const struct toc_examples *e, size_t alerts, double share) {
    size_t row = 0;
    for (size_t left = (size_t)(share * (double)alerts); left > 0; left--)
        row = toc_examples_alert_end(e, row);
    return row;
}

static bool has_both(const struct toc_outcomes *all, const struct toc_examples *e, size_t cut) {
    size_t of[2][2] = {{0}};
    size_t row = 0;
    for (size_t i = 0; i < all->count; i++, row = toc_examples_alert_end(e, row))
        of[row >= cut][all->items[i].is_true]++;
    for (int side = 0; side < 2; side++)
        for (int k = 0; k < 2; k++)
            if (of[side][k] < TOC_CLASSIFIER_CLASS_MIN)
                return false;
    return true;
}

static int judge_later(const struct toc_examples *e, enum toc_classifier_type type, size_t cut,
                       double *p, struct toc_err *err) {
    struct toc_examples before = *e;
    struct toc_classifier *c = NULL;
    before.x.rows = cut;
    int rc = toc_classifier_fit_as(&before, type, &c, err);
    for (size_t r = cut; rc == 0 && r < e->x.rows; r++)
        p[r] = toc_classifier_probability(c, e->x.values + r * e->x.columns);
    toc_classifier_free(&c);
    if (rc == 0)
        rc = toc_classifier_cross_validate(&before, type, p, err);
    return rc;
}

struct keyed {
    double key;
    size_t index;
};

static int by_key_falling(const void *a, const void *b) {
    const struct keyed *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key) - (x->key > y->key)
                            : (x->index > y->index) - (x->index < y->index);
}

static size_t *order(const struct toc_outcomes *o, bool by_score) {
    struct keyed *k = TOC_NEW_ARRAY(struct keyed, o->count + 1);
    size_t *out = TOC_NEW_ARRAY(size_t, o->count + 1);
    for (size_t i = 0; i < o->count; i++) {
        double key = by_score ? o->items[i].score : o->items[i].p;
        k[i] = (struct keyed){isnan(key) ? -INFINITY : key, i};
    }
    qsort(k, o->count, sizeof *k, by_key_falling);
    for (size_t i = 0; i < o->count; i++)
        out[i] = k[i].index;
    toc_free(k);
    return out;
}

static int moment_make(const struct toc_examples *e, const struct toc_gate_question *q,
                       enum toc_classifier_type type, size_t cut, struct toc_gate_moment *m,
                       struct toc_err *err) {
    double *p = toc_try_calloc(e->x.rows + 1, sizeof *p);
    if (!p)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu rows", e->x.rows);
    int rc = judge_later(e, type, cut, p, err);
    if (rc == 0) {
        collect(e, q, p, 0, cut, &m->promised);
        collect(e, q, p, cut, e->x.rows, &m->came);
        m->came.by_p = order(&m->came, false);
        m->came.by_score = order(&m->came, true);
    }
    toc_free(p);
    return rc;
}

int toc_gate_material_make(const struct toc_examples *e, const struct toc_gate_question *q,
                           const double *moments, double *out_p, struct toc_gate_material *out,
                           struct toc_err *err) {
    size_t alerts;
    *out = (struct toc_gate_material){0};
    int rc = toc_examples_check(e, &alerts, err);
    if (rc < 0)
        return rc;
    enum toc_classifier_type type = toc_classifier_type_for(alerts);
    rc = toc_classifier_cross_validate(e, type, out_p, err);
    if (rc < 0)
        return rc;
    collect(e, q, out_p, 0, e->x.rows, &out->all);
    list_series(out, e->x.rows);
    for (size_t i = 0; rc == 0 && i < TOC_GATE_MOMENTS; i++) {
        size_t cut = row_after(e, alerts, moments[i]);
        if (has_both(&out->all, e, cut))
            rc = moment_make(e, q, type, cut, &out->moments[out->moment_count++], err);
    }
    return rc;
}

/* --- learnt against a higher threshold --- */

static bool same_key(const struct toc_outcome *a, const struct toc_outcome *b, bool by_score) {
    return by_score ? a->score == b->score : a->p == b->p;
}

/* The best precision of all levels that keep the share of the true alerts. */
static double precision_at(const struct toc_outcomes *o, bool by_score, double keep,
                           const double *weights) {
    const size_t *at = by_score ? o->by_score : o->by_p;
    double all = 0, right = 0, told = 0, best = 0;
    for (size_t i = 0; i < o->count; i++)
        all += o->items[i].is_true ? (weights ? weights[o->items[i].series] : 1) : 0;
    for (size_t i = 0; i < o->count; i++) {
        const struct toc_outcome *a = &o->items[at[i]];
        double weight = weights ? weights[a->series] : 1;
        bool is_level = i + 1 == o->count || !same_key(a, &o->items[at[i + 1]], by_score);
        told += weight;
        right += a->is_true ? weight : 0;
        if (is_level && told > 0 && right >= keep * all - 1e-9)
            best = fmax(best, right / told);
    }
    return best;
}

static bool has_scores(const struct toc_gate_material *g) {
    for (size_t i = 0; i < g->all.count; i++)
        if (isnan(g->all.items[i].score))
            return false;
    return g->moment_count > 0;
}

struct toc_gate_contest toc_gate_contest(const struct toc_gate_material *g, double keep,
                                         const double *weights) {
    struct toc_gate_contest c = {0};
    if (!has_scores(g))
        return (struct toc_gate_contest){NAN, NAN};
    for (size_t i = 0; i < g->moment_count; i++) {
        const struct toc_outcomes *came = &g->moments[i].came;
        c.learnt += precision_at(came, false, keep, weights) / (double)g->moment_count;
        c.threshold += precision_at(came, true, keep, weights) / (double)g->moment_count;
    }
    return c;
}
