/* Selectors and windows: one pass over each series' samples serves all steps. */
#include <string.h>

#include "promql/eval_priv.h"

enum { DEFAULT_SUBQUERY_STEP_MS = 60 * 1000 };

/* The time a selector looks at for step i. */
static int64_t look_ms(const struct toc_eval *e, const struct toc_node *n, size_t i) {
    int64_t t = n->at_kind == TOC_AT_TIME    ? n->at_ms
                : n->at_kind == TOC_AT_START ? e->query_start_ms
                : n->at_kind == TOC_AT_END   ? e->query_end_ms
                                             : toc_step_ms(e, i);
    return t - n->offset_ms;
}

/* ------------------------------------------------------------------------------------ instant
 * vectors */

struct instant_ctx {
    struct toc_eval *e;
    const struct toc_node *node;
    struct toc_eval_columns *out;
    bool wants_times;
};

static int on_instant(void *ctx, const struct toc_series_view *s) {
    struct instant_ctx *c = ctx;
    struct toc_eval *e = c->e;
    double *values = NULL;
    size_t next = 0; /* first sample behind the step */
    for (size_t i = 0; i < e->step_count; i++) {
        int64_t t = look_ms(e, c->node, i);
        while (next < s->count && s->t_ms[next] <= t)
            next++;
        /* Left-open: a sample exactly lookback old is out. */
        if (next == 0 || s->t_ms[next - 1] <= t - e->lookback_ms ||
            toc_is_stale_nan(s->values[next - 1]))
            continue;
        if (!values) {
            struct toc_column *column =
                toc_eval_columns_add(e, c->out, toc_labels_dup_arena(s->labels, e->arena));
            if (!column)
                return TOC_ELIMIT;
            values = column->values;
        }
        values[i] = c->wants_times ? (double)s->t_ms[next - 1] / 1000.0 : s->values[next - 1];
    }
    return toc_eval_spend(e, s->count);
}

static int select_instant(struct toc_eval *e, const struct toc_node *n, bool wants_times,
                          struct toc_eval_columns *out) {
    struct instant_ctx c = {e, n, out, wants_times};
    struct toc_select s = {.matchers = n->matchers,
                           .matcher_count = n->matcher_count,
                           .min_ms = look_ms(e, n, 0) - e->lookback_ms + 1,
                           .max_ms = look_ms(e, n, e->step_count - 1)};
    return e->options->querier->select(e->options->querier, &s, on_instant, &c, e->err);
}

int toc_eval_selector(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    return select_instant(e, n, false, out);
}

int toc_eval_selector_times(struct toc_eval *e, const struct toc_node *n,
                            struct toc_eval_columns *out) {
    return select_instant(e, n, true, out);
}

/* ----------------------------------------------------------------------------------------- windows
 */

struct window_ctx {
    struct toc_eval *e;
    const struct toc_node *node; /* selector or subquery */
    toc_window_fn *fn;
    const struct toc_column *parameters;
    size_t parameter_count;
    bool keeps_name;
    struct toc_eval_columns *out;
    TOC_VEC(int64_t) t_ms; /* samples without staleness markers */
    TOC_VEC(double) values;
};

/* fn over each step's window of one series. Both ends move forward only. */
static int slide(struct window_ctx *c, struct toc_labels labels, const int64_t *t_ms,
                 const double *v, size_t count) {
    struct toc_eval *e = c->e;
    double parameters[TOC_FUNCTION_ARGS_MAX] = {0}, *values = NULL;
    size_t first = 0, end = 0;
    for (size_t i = 0; i < e->step_count; i++) {
        int64_t to = look_ms(e, c->node, i), from = to - c->node->range_ms;
        while (end < count && t_ms[end] <= to)
            end++;
        while (first < end && t_ms[first] <= from)
            first++;
        if (first == end)
            continue;
        for (size_t k = 0; k < c->parameter_count; k++)
            parameters[k] = c->parameters[k].values[i];
        struct toc_window w = {t_ms + first, v + first,         end - first, from,
                               to,           toc_step_ms(e, i), parameters};
        double result;
        if (!c->fn(&w, &result))
            continue;
        if (!values) {
            struct toc_labels kept = toc_labels_dup_arena(labels, e->arena);
            struct toc_column *column = toc_eval_columns_add(
                e, c->out, c->keeps_name ? kept : toc_labels_without_name(e, kept));
            if (!column)
                return TOC_ELIMIT;
            values = column->values;
        }
        values[i] = result;
    }
    return 0;
}

static void take_samples(struct window_ctx *c, const int64_t *t_ms, const double *v, size_t count) {
    c->t_ms.count = c->values.count = 0;
    TOC_VEC_RESERVE(&c->t_ms, count);
    TOC_VEC_RESERVE(&c->values, count);
    for (size_t i = 0; i < count; i++) {
        if (toc_is_stale_nan(v[i]))
            continue;
        c->t_ms.items[c->t_ms.count++] = t_ms[i];
        c->values.items[c->values.count++] = v[i];
    }
}

static int on_range(void *ctx, const struct toc_series_view *s) {
    struct window_ctx *c = ctx;
    take_samples(c, s->t_ms, s->values, s->count);
    int rc = slide(c, s->labels, c->t_ms.items, c->values.items, c->t_ms.count);
    return rc < 0 ? rc : toc_eval_spend(c->e, s->count);
}

static int64_t floor_to(int64_t t, int64_t step) {
    int64_t q = t / step;
    if (t % step < 0)
        q--;
    return q * step;
}

/* Evaluates the inner expression at its own aligned steps, then slides over the result. */
static int eval_subquery(struct window_ctx *c) {
    struct toc_eval *outer = c->e, inner = *c->e;
    const struct toc_node *n = c->node;
    int64_t step = n->step_ms ? n->step_ms : DEFAULT_SUBQUERY_STEP_MS;
    int64_t from = look_ms(outer, n, 0) - n->range_ms,
            to = look_ms(outer, n, outer->step_count - 1);
    inner.start_ms = floor_to(from, step) + step; /* the left end is open */
    inner.end_ms = to;
    inner.step_ms = step;
    if (inner.start_ms > to)
        return 0;
    inner.step_count = (size_t)((to - inner.start_ms) / step) + 1;
    if (inner.step_count > outer->max_samples)
        return toc_errf(outer->err, TOC_ELIMIT, "the subquery has more than %llu steps",
                        (unsigned long long)outer->max_samples);
    struct toc_eval_columns columns = {0};
    int rc = toc_eval_node(&inner, n->left, &columns);
    int64_t *times = toc_arena_calloc(outer->arena, inner.step_count, sizeof *times);
    for (size_t i = 0; times && i < inner.step_count; i++)
        times[i] = toc_step_ms(&inner, i);
    outer->samples = inner.samples;
    outer->warnings.items = inner.warnings.items;
    outer->warnings.count = inner.warnings.count;
    outer->warnings.capacity = inner.warnings.capacity;
    for (size_t i = 0; rc == 0 && times && i < columns.count; i++) {
        take_samples(c, times, columns.items[i].values, inner.step_count);
        rc = slide(c, columns.items[i].labels, c->t_ms.items, c->values.items, c->t_ms.count);
        if (rc == 0)
            rc = toc_eval_spend(outer, c->t_ms.count);
    }
    toc_eval_columns_fini(&columns);
    return times || rc < 0 ? rc : TOC_ELIMIT;
}

int toc_eval_windows(struct toc_eval *e, const struct toc_node *range, toc_window_fn *fn,
                     const struct toc_column *parameters, size_t parameter_count, bool keeps_name,
                     struct toc_eval_columns *out) {
    struct window_ctx c = {.e = e,
                           .node = toc_node_bare(range),
                           .fn = fn,
                           .parameters = parameters,
                           .parameter_count = parameter_count,
                           .keeps_name = keeps_name,
                           .out = out};
    int rc;
    if (c.node->kind == TOC_NODE_SUBQUERY) {
        rc = eval_subquery(&c);
    } else {
        struct toc_select s = {.matchers = c.node->matchers,
                               .matcher_count = c.node->matcher_count,
                               .min_ms = look_ms(e, c.node, 0) - c.node->range_ms + 1,
                               .max_ms = look_ms(e, c.node, e->step_count - 1)};
        rc = e->options->querier->select(e->options->querier, &s, on_range, &c, e->err);
    }
    TOC_VEC_FINI(&c.t_ms);
    TOC_VEC_FINI(&c.values);
    return rc < 0 || keeps_name ? rc : toc_eval_columns_merge(e, out);
}
