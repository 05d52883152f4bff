/* Subqueries: the inner expression at its own aligned steps, then windows over the result. */
#include <string.h>

#include "promql/eval_priv.h"

enum { DEFAULT_STEP_MS = 60 * 1000, STEP_BYTES = 48 };

/* The first multiple of step (counted from the epoch) in the left-open window. */
static int64_t first_step(int64_t open_start, int64_t step) {
    int64_t first = step * (open_start / step); /* truncates towards zero */
    return first <= open_start ? first + step : first;
}

int toc_subquery_eval(const struct toc_eval *outer, const struct toc_node *n,
                      struct toc_eval *out_inner) {
    int64_t fallback =
        outer->options->subquery_step_ms ? outer->options->subquery_step_ms : DEFAULT_STEP_MS;
    int64_t step = n->step_ms ? n->step_ms : fallback;
    int64_t to = toc_look_ms(outer, n, outer->step_count - 1);
    *out_inner = *outer;
    out_inner->is_inner = true;
    out_inner->start_ms = first_step(toc_look_ms(outer, n, 0) - n->range_ms, step);
    out_inner->end_ms = to;
    out_inner->step_ms = step;
    out_inner->step_count = 0;
    if (out_inner->start_ms > to)
        return 0;
    uint64_t steps = ((uint64_t)to - (uint64_t)out_inner->start_ms) / (uint64_t)step + 1;
    if (steps > outer->query->max_samples)
        return toc_errf(outer->err, TOC_ELIMIT,
                        "query processing would load too many samples into memory in query "
                        "execution");
    /* Scratch memory of one series lies outside the arenas: its samples and its windows. */
    if (steps > outer->arena->budget_bytes / STEP_BYTES)
        return toc_eval_no_memory(outer);
    out_inner->step_count = (size_t)steps;
    return 0;
}

/* The values of a column without the steps that have none. */
static void take_samples(const struct toc_eval *inner, const struct toc_column *c, int64_t *t_ms,
                         double *v, const struct toc_histogram **h, struct toc_samples *out) {
    size_t n = 0;
    for (size_t i = 0; i < inner->step_count; i++) {
        if (toc_is_absent(c->values[i]))
            continue;
        t_ms[n] = toc_step_ms(inner, i);
        v[n] = c->values[i];
        h[n] = toc_column_histogram(c, i);
        n++;
    }
    *out = (struct toc_samples){c->labels, t_ms, v, c->histograms ? h : NULL, NULL, n};
}

struct memory {
    int64_t *t_ms;
    double *v;
    const struct toc_histogram **h;
};

/* In a subquery's result nothing is known about counter resets between its points. */
static int forget_hints(struct toc_eval *e, const struct toc_histogram **h, size_t count) {
    for (size_t i = 0; h && i < count; i++) {
        if (!h[i] || h[i]->reset_hint == TOC_RESET_UNKNOWN || h[i]->reset_hint == TOC_RESET_GAUGE)
            continue;
        struct toc_histogram *copy = TOC_ARENA_NEW(e->arena, struct toc_histogram);
        if (!copy)
            return toc_eval_no_memory(e);
        *copy = *h[i];
        copy->reset_hint = TOC_RESET_UNKNOWN;
        h[i] = copy;
    }
    return 0;
}

static int one_column(struct toc_eval *e, const struct toc_eval *inner, struct memory *m,
                      const struct toc_node *call, const struct toc_column *parameters,
                      size_t parameter_count, const struct toc_column *in,
                      struct toc_eval_columns *out) {
    struct toc_worker *w = &e->query->workers[0];
    struct toc_samples s;
    bool any = false;
    take_samples(inner, in, m->t_ms, m->v, m->h, &s);
    int rc = s.h ? forget_hints(e, m->h, s.count) : 0;
    if (rc < 0 || !s.count)
        return rc;
    struct toc_column *c = toc_eval_columns_add(e, out, in->labels);
    if (!c)
        return TOC_ELIMIT;
    c->drop_name = in->drop_name;
    w->eval = e;
    w->notes = &e->query->notes;
    w->err = (struct toc_err){0};
    rc = toc_slide_windows(e, w, call, parameters, parameter_count, &s, c, &any);
    if (rc < 0) {
        if (!w->err.code)
            return toc_eval_no_memory(e);
        if (e->err)
            *e->err = w->err;
        return rc;
    }
    if (!any) {
        out->count--;
        return toc_query_loaded(e->query, 0, e->err);
    }
    if (c->histograms) {
        const struct toc_histogram **kept =
            toc_arena_calloc(e->arena, e->step_count, sizeof(const struct toc_histogram *));
        if (!kept)
            return toc_eval_no_memory(e);
        memcpy(kept, c->histograms, e->step_count * sizeof *kept);
        c->histograms = kept;
    }
    return toc_query_hold(e->query, e->step_count, e->err);
}

int toc_eval_subquery_windows(struct toc_eval *e, const struct toc_node *call,
                              const struct toc_column *parameters, size_t parameter_count,
                              struct toc_eval_columns *out) {
    const struct toc_node *n = toc_call_range(call);
    struct toc_eval inner;
    struct toc_eval_columns columns = {0};
    int rc = toc_subquery_eval(e, n, &inner);
    if (rc < 0 || inner.step_count == 0)
        return rc;
    rc = toc_eval_node(&inner, n->left, &columns);
    struct memory m = {
        .t_ms = toc_arena_calloc(e->arena, inner.step_count, sizeof *m.t_ms),
        .v = toc_arena_calloc(e->arena, inner.step_count, sizeof *m.v),
        .h = toc_arena_calloc(e->arena, inner.step_count, sizeof(const struct toc_histogram *)),
    };
    if (rc == 0 && (!m.t_ms || !m.v || !m.h))
        rc = toc_eval_no_memory(e);
    for (size_t i = 0; i < columns.count && rc == 0; i++)
        rc = one_column(e, &inner, &m, call, parameters, parameter_count, &columns.items[i], out);
    toc_eval_columns_fini(&columns);
    return rc;
}
