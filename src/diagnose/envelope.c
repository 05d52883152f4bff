/* What earlier runs of the same recipe had at each step: the band that a run's loss is judged by.
 */
#include "diagnose/doctor_priv.h"
#include "model/sample.h"

#include <string.h>

bool toc_envelope_band(const struct toc_envelope *e, double step, double *out_lower,
                       double *out_upper) {
    /* How far runs of one recipe lie apart shows only in several. TrainCheck (OSDI'25): invariants
     * from 2-3 runs have less than 5 % false positives, from 5-6 less than 2 %. */
    static const double margins[] = {0, 0.15, 0.1, 0.06};
    static const double young = 0.05, earlier = 0.9;
    size_t n = 0;
    *out_lower = INFINITY;
    *out_upper = -INFINITY;
    for (size_t i = 0; i < e->run_count; i++) {
        const struct toc_course *c = e->runs[i].loss;
        double v = toc_course_value_at(c, step), before = toc_course_value_at(c, step * earlier);
        if (!isfinite(v) || step < young * toc_course_end_step(c))
            continue;
        n++;
        *out_lower = TOC_MIN(*out_lower, v);
        *out_upper = TOC_MAX(*out_upper, isfinite(before) ? TOC_MAX(v, before) : v);
    }
    if (!n)
        return false;
    double margin = margins[TOC_MIN(n, TOC_ARRAY_LEN(margins) - 1)] * fabs(*out_upper);
    *out_lower -= margin;
    *out_upper += margin;
    return true;
}

void toc_envelope_fini(struct toc_envelope *e) {
    for (size_t i = 0; i < e->run_count; i++)
        toc_free(e->runs[i].loss);
    for (size_t i = 0; i < e->candidates.count; i++)
        toc_free((void *)(uintptr_t)e->candidates.items[i].p);
    TOC_VEC_FINI(&e->candidates);
    *e = (struct toc_envelope){0};
}

struct naming {
    struct toc_envelope *e;
    struct toc_sv own;
};

static int on_earlier_run(void *ctx, struct toc_sv run) {
    enum { MAX = 32 };
    struct naming *n = ctx;
    if (!toc_sv_eq(run, n->own) && n->e->candidates.count < MAX)
        TOC_VEC_PUSH(&n->e->candidates, toc_sv_make(toc_sv_dup_cstr(run), run.n));
    return 0;
}

static int name_earlier_runs(struct toc_doctor *d, struct toc_run_model *m, struct toc_err *err) {
    struct toc_envelope *e = &m->learn.envelope;
    struct naming n = {e, m->name};
    struct toc_matcher matchers[] = {
        {.op = TOC_MATCH_EQ, .name = TOC_METRIC_NAME, .value = TOC_SV("train_run_info")},
        {.op = TOC_MATCH_EQ, .name = TOC_SV("recipe"), .value = toc_sv_cstr(e->recipe)}};
    struct toc_select select = {.matchers = matchers,
                                .matcher_count = 2,
                                .min_ms = d->now_ms - TOC_ENVELOPE_BACK_MS,
                                .max_ms = d->now_ms,
                                .labels_only = true};
    e->is_named = true;
    return d->o.querier->label_values(d->o.querier, TOC_SV("run"), &select, on_earlier_run, &n,
                                      err);
}

struct loading {
    struct toc_time_index steps;
    struct toc_course *curve;
    double state;
    int64_t state_ms;
    bool is_second_pass;
};

static int on_earlier_series(void *ctx, const struct toc_series_view *s) {
    struct loading *x = ctx;
    struct toc_sv metric = toc_labels_get(s->labels, TOC_METRIC_NAME);
    bool is_loss = toc_sv_eq_cstr(metric, "train_loss");
    if (toc_labels_has(s->labels, TOC_SV("rank")) || is_loss != x->is_second_pass)
        return 0;
    for (size_t i = 0; i < s->count; i++) {
        if (toc_is_stale_nan(s->values[i]))
            continue;
        if (is_loss)
            toc_course_add(x->curve, s->t_ms[i], toc_time_index_at(&x->steps, s->t_ms[i]),
                           s->values[i], NAN);
        else if (toc_sv_eq_cstr(metric, "train_step"))
            toc_time_index_add(&x->steps, s->t_ms[i], s->values[i]);
        else if (s->t_ms[i] >= x->state_ms)
            x->state_ms = s->t_ms[i], x->state = s->values[i];
    }
    return 0;
}

/* The latest runs stay. */
static void keep(struct toc_envelope *e, struct toc_course *curve, int64_t ended_ms) {
    size_t place = e->run_count;
    if (place == TOC_ENVELOPE_RUNS) {
        place = 0;
        for (size_t i = 1; i < e->run_count; i++)
            if (e->runs[i].ended_ms < e->runs[place].ended_ms)
                place = i;
        if (e->runs[place].ended_ms >= ended_ms) {
            toc_free(curve);
            return;
        }
        toc_free(e->runs[place].loss);
    } else {
        e->run_count++;
    }
    e->runs[place].loss = curve;
    e->runs[place].ended_ms = ended_ms;
}

static int load_one(struct toc_doctor *d, struct toc_envelope *e, struct toc_sv run,
                    struct toc_err *err) {
    enum { LEAST_POINTS = 10 };
    struct loading x = {.curve = TOC_NEW(struct toc_course), .state = NAN};
    x.steps.before = NAN;
    struct toc_matcher matchers[] = {d->envelope_metrics,
                                     {.op = TOC_MATCH_EQ, .name = TOC_SV("run"), .value = run}};
    struct toc_select select = {.matchers = matchers,
                                .matcher_count = 2,
                                .min_ms = d->now_ms - TOC_ENVELOPE_BACK_MS,
                                .max_ms = d->now_ms};
    int rc = d->o.querier->select(d->o.querier, &select, on_earlier_series, &x, err);
    x.is_second_pass = true;
    if (!rc)
        rc = d->o.querier->select(d->o.querier, &select, on_earlier_series, &x, err);
    toc_time_index_fini(&x.steps);
    bool is_good = !rc && x.state == 0 && x.curve->count >= LEAST_POINTS &&
                   isfinite(toc_course_end_step(x.curve));
    if (is_good) /* what failed or still runs is no example */
        keep(e, x.curve, x.state_ms);
    else
        toc_free(x.curve);
    return rc;
}

int toc_envelope_learn(struct toc_doctor *d, struct toc_run_model *m, struct toc_err *err) {
    struct toc_envelope *e = &m->learn.envelope;
    if (!e->recipe[0] || m->is_dormant)
        return 0;
    if (!e->is_named)
        return name_earlier_runs(d, m, err);
    if (!e->candidates.count)
        return 0;
    struct toc_sv run = e->candidates.items[--e->candidates.count]; /* one a tick */
    int rc = load_one(d, e, run, err);
    toc_free((void *)(uintptr_t)run.p);
    return rc;
}
