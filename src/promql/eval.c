#include "promql/eval_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LOOKBACK_MS = 5 * 60 * 1000, STEPS_MAX = 11001 * 60 };
static const uint64_t DEFAULT_MAX_SAMPLES = 50000000;
static const size_t DEFAULT_MAX_BYTES = (size_t)1 << 30;

static int no_memory(struct toc_eval *e) {
    return toc_errf(e->err, TOC_ELIMIT,
                    "the query needs more than %zu bytes of memory: ask for fewer series or steps",
                    e->arena->budget_bytes);
}

int toc_eval_spend(struct toc_eval *e, uint64_t samples) {
    e->samples += samples;
    if (e->samples > e->max_samples)
        return toc_errf(
            e->err, TOC_ELIMIT,
            "query processing would load too many samples into memory in query execution");
    if (e->options->is_cancelled && e->options->is_cancelled(e->options->cancel_ctx))
        return toc_errf(e->err, TOC_ECANCELED, "query was canceled");
    return 0;
}

void toc_eval_warn(struct toc_eval *e, const char *fmt, ...) {
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < e->warnings.count; i++)
        if (toc_sv_eq_cstr(e->warnings.items[i], text))
            return;
    TOC_VEC_PUSH(&e->warnings, toc_arena_dup_sv(e->arena, toc_sv_cstr(text)));
}

void toc_eval_columns_fini(struct toc_eval_columns *c) {
    TOC_VEC_FINI(c);
}

struct toc_column *toc_eval_columns_add(struct toc_eval *e, struct toc_eval_columns *c,
                                        struct toc_labels labels) {
    double *values = toc_arena_calloc(e->arena, e->step_count, sizeof *values);
    if (!values) {
        no_memory(e);
        return NULL;
    }
    for (size_t i = 0; i < e->step_count; i++)
        values[i] = toc_stale_nan();
    struct toc_column column = {.labels = labels, .values = values};
    TOC_VEC_PUSH(c, column);
    return &c->items[c->count - 1];
}

struct toc_labels toc_labels_without_name(struct toc_eval *e, struct toc_labels l) {
    if (!toc_labels_has(l, TOC_METRIC_NAME))
        return l;
    struct toc_label *items = toc_arena_calloc(e->arena, l.count, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < l.count; i++)
        if (!toc_sv_eq(l.items[i].name, TOC_METRIC_NAME))
            items[out.count++] = l.items[i];
    return out;
}

/* Moves the values of b into a; false when both have one at some step. */
static bool merge_into(struct toc_column *a, const struct toc_column *b, size_t steps) {
    for (size_t i = 0; i < steps; i++) {
        if (toc_is_absent(b->values[i]))
            continue;
        if (!toc_is_absent(a->values[i]))
            return false;
        a->values[i] = b->values[i];
    }
    return true;
}

int toc_eval_columns_merge(struct toc_eval *e, struct toc_eval_columns *c) {
    struct toc_map by_labels = {0};
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        uint64_t hash = toc_labels_hash(c->items[i].labels);
        void *found = toc_map_get(&by_labels, toc_map_u64(&hash));
        struct toc_column *first = found ? &c->items[(size_t)(uintptr_t)found - 1] : NULL;
        if (first && toc_labels_eq(first->labels, c->items[i].labels)) {
            if (!merge_into(first, &c->items[i], e->step_count))
                rc = toc_errf(e->err, TOC_EINVAL,
                              "vector cannot contain metrics with the same labelset");
            continue;
        }
        c->items[kept++] = c->items[i];
        toc_map_put(&by_labels, toc_map_u64(&hash), (void *)(uintptr_t)kept);
    }
    c->count = kept;
    toc_map_fini(&by_labels);
    return rc;
}

static int eval_number(struct toc_eval *e, double v, struct toc_eval_columns *out) {
    struct toc_column *c = toc_eval_columns_add(e, out, TOC_LABELS_EMPTY);
    if (!c)
        return TOC_ELIMIT;
    for (size_t i = 0; i < e->step_count; i++)
        c->values[i] = v;
    return 0;
}

static int eval_negate(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    int rc = toc_eval_node(e, n->left, out);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < out->count; i++) {
        out->items[i].labels = toc_labels_without_name(e, out->items[i].labels);
        for (size_t k = 0; k < e->step_count; k++)
            if (!toc_is_absent(out->items[i].values[k]))
                out->items[i].values[k] = -out->items[i].values[k];
    }
    return toc_eval_columns_merge(e, out);
}

int toc_eval_node(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    switch (n->kind) {
    case TOC_NODE_NUMBER:
        return eval_number(e, n->number, out);
    case TOC_NODE_STRING:
        out->string = n->string;
        return 0;
    case TOC_NODE_PAREN:
        return toc_eval_node(e, n->left, out);
    case TOC_NODE_SELECTOR:
        return toc_eval_selector(e, n, out);
    case TOC_NODE_CALL:
        return toc_eval_call(e, n, out);
    case TOC_NODE_AGGREGATE:
        return toc_eval_aggregate(e, n, out);
    case TOC_NODE_BINARY:
        return toc_eval_binary(e, n, out);
    case TOC_NODE_NEGATE:
        return eval_negate(e, n, out);
    case TOC_NODE_SUBQUERY:
        break; /* only below functions and at the root, see matrix.c */
    }
    return toc_errf(e->err, TOC_ETYPE, "a range vector stands where an instant vector is needed");
}

/* -------------------------------------------------------------------------------------------
 * results */

static int copy_points(struct toc_eval *e, const struct toc_column *c,
                       struct toc_promql_series *s) {
    s->labels = c->labels;
    s->count = 0;
    for (size_t i = 0; i < e->step_count; i++)
        s->count += !toc_is_absent(c->values[i]);
    s->points = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_point, s->count + 1);
    if (!s->points)
        return no_memory(e);
    size_t n = 0;
    for (size_t i = 0; i < e->step_count; i++)
        if (!toc_is_absent(c->values[i]))
            s->points[n++] =
                (struct toc_promql_point){.t_ms = toc_step_ms(e, i), .value = c->values[i]};
    return 0;
}

static int copy_series(struct toc_eval *e, const struct toc_eval_columns *c,
                       struct toc_promql_result *out) {
    out->series = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_series, c->count + 1);
    if (!out->series)
        return no_memory(e);
    for (size_t i = 0; i < c->count; i++) {
        struct toc_promql_series *s = &out->series[out->series_count];
        int rc = copy_points(e, &c->items[i], s);
        if (rc < 0)
            return rc;
        out->series_count += s->count > 0;
    }
    return 0;
}

static void keep_notes(struct toc_eval *e, struct toc_promql_result *out) {
    struct toc_sv *warnings = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_sv, e->warnings.count + 1);
    if (warnings && e->warnings.count)
        memcpy(warnings, e->warnings.items, e->warnings.count * sizeof *warnings);
    out->warnings = warnings;
    out->warning_count = warnings ? e->warnings.count : 0;
    TOC_VEC_FINI(&e->warnings);
    TOC_VEC_FINI(&e->infos);
}

static struct toc_eval new_eval(const struct toc_promql_options *o, struct toc_promql_result *out,
                                struct toc_err *err) {
    *out = (struct toc_promql_result){0};
    toc_arena_init(&out->arena, o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES);
    return (struct toc_eval){.options = o,
                             .arena = &out->arena,
                             .err = err,
                             .lookback_ms = o->lookback_ms ? o->lookback_ms : DEFAULT_LOOKBACK_MS,
                             .max_samples = o->max_samples ? o->max_samples : DEFAULT_MAX_SAMPLES};
}

static int by_labels(const void *a, const void *b) {
    const struct toc_promql_series *x = a, *y = b;
    return toc_labels_cmp(x->labels, y->labels);
}

/* Does the expression itself decide the order of its result? */
static bool is_ordered(const struct toc_node *n) {
    n = toc_node_bare(n);
    if (n->kind == TOC_NODE_CALL)
        return toc_sv_starts_with(toc_sv_cstr(n->function->name), TOC_SV("sort"));
    return n->kind == TOC_NODE_AGGREGATE &&
           (n->aggregate == TOC_AGGREGATE_TOPK || n->aggregate == TOC_AGGREGATE_BOTTOMK);
}

static int eval_matrix(struct toc_eval *e, const struct toc_node *n, struct toc_promql_result *out);

int toc_promql_instant(const struct toc_promql_expr *expr, const struct toc_promql_options *o,
                       int64_t at_ms, struct toc_promql_result *out, struct toc_err *err) {
    struct toc_eval e = new_eval(o, out, err);
    e.start_ms = e.end_ms = e.query_start_ms = e.query_end_ms = at_ms;
    e.step_ms = 1;
    e.step_count = 1;
    struct toc_eval_columns c = {0};
    int rc;
    out->type = expr->root->type;
    if (out->type == TOC_PROMQL_MATRIX)
        rc = eval_matrix(&e, toc_node_bare(expr->root), out);
    else
        rc = toc_eval_node(&e, expr->root, &c);
    if (rc == 0 && out->type == TOC_PROMQL_SCALAR)
        out->scalar = c.items[0].values[0];
    else if (rc == 0 && out->type == TOC_PROMQL_VECTOR)
        rc = copy_series(&e, &c, out);
    if (rc == 0 && out->type != TOC_PROMQL_SCALAR && out->series_count && !is_ordered(expr->root))
        qsort(out->series, out->series_count, sizeof *out->series, by_labels);
    out->string =
        out->type == TOC_PROMQL_STRING ? toc_arena_dup_sv(e.arena, c.string) : TOC_SV_NULL;
    out->scalar_t_ms = at_ms;
    out->samples_loaded = e.samples;
    keep_notes(&e, out);
    toc_eval_columns_fini(&c);
    return rc;
}

int toc_promql_range(const struct toc_promql_expr *expr, const struct toc_promql_options *o,
                     int64_t start_ms, int64_t end_ms, int64_t step_ms,
                     struct toc_promql_result *out, struct toc_err *err) {
    struct toc_eval e = new_eval(o, out, err);
    out->type = TOC_PROMQL_MATRIX;
    if (step_ms <= 0 || end_ms < start_ms)
        return toc_errf(err, TOC_EINVAL, "the range needs start ≤ end and a step above zero");
    uint64_t steps = ((uint64_t)end_ms - (uint64_t)start_ms) / (uint64_t)step_ms + 1;
    if (steps > STEPS_MAX)
        return toc_errf(err, TOC_ELIMIT, "more than %d steps", STEPS_MAX);
    if (expr->root->type != TOC_PROMQL_SCALAR && expr->root->type != TOC_PROMQL_VECTOR)
        return toc_errf(err, TOC_ETYPE,
                        "only scalars and instant vectors have values over a range");
    e.start_ms = e.query_start_ms = start_ms;
    e.end_ms = e.query_end_ms = end_ms;
    e.step_ms = step_ms;
    e.step_count = (size_t)steps;
    struct toc_eval_columns c = {0};
    int rc = toc_eval_node(&e, expr->root, &c);
    if (rc == 0)
        rc = copy_series(&e, &c, out);
    if (rc == 0 && out->series_count)
        qsort(out->series, out->series_count, sizeof *out->series, by_labels);
    out->samples_loaded = e.samples;
    keep_notes(&e, out);
    toc_eval_columns_fini(&c);
    return rc;
}

void toc_promql_result_fini(struct toc_promql_result *r) {
    toc_arena_fini(&r->arena);
    *r = (struct toc_promql_result){0};
}

/* ------------------------------------------------------------------------- range vectors at the
 * root */

struct matrix_ctx {
    struct toc_eval *e;
    TOC_VEC(struct toc_promql_series) series;
};

static int keep_raw(void *ctx, const struct toc_series_view *s) {
    struct matrix_ctx *m = ctx;
    struct toc_promql_series out = {.labels = toc_labels_dup_arena(s->labels, m->e->arena)};
    out.points = TOC_ARENA_NEW_ARRAY(m->e->arena, struct toc_promql_point, s->count + 1);
    if (!out.points)
        return no_memory(m->e);
    for (size_t i = 0; i < s->count; i++)
        if (!toc_is_stale_nan(s->values[i]))
            out.points[out.count++] = (struct toc_promql_point){s->t_ms[i], s->values[i], NULL};
    if (out.count)
        TOC_VEC_PUSH(&m->series, out);
    return toc_eval_spend(m->e, s->count);
}

static int64_t reference_time(const struct toc_eval *e, const struct toc_node *n) {
    int64_t t = n->at_kind == TOC_AT_TIME    ? n->at_ms
                : n->at_kind == TOC_AT_START ? e->query_start_ms
                : n->at_kind == TOC_AT_END   ? e->query_end_ms
                                             : e->start_ms;
    return t - n->offset_ms;
}

static int eval_matrix(struct toc_eval *e, const struct toc_node *n,
                       struct toc_promql_result *out) {
    struct matrix_ctx m = {.e = e};
    int rc;
    if (n->kind == TOC_NODE_SELECTOR) {
        int64_t t = reference_time(e, n);
        struct toc_select s = {.matchers = n->matchers,
                               .matcher_count = n->matcher_count,
                               .min_ms = t - n->range_ms + 1,
                               .max_ms = t};
        rc = e->options->querier->select(e->options->querier, &s, keep_raw, &m, e->err);
    } else {
        rc = toc_errf(e->err, TOC_EUNSUPPORTED,
                      "a subquery needs a function around it, for example max_over_time(…)");
    }
    out->series = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_series, m.series.count + 1);
    if (rc == 0 && out->series && m.series.count) {
        memcpy(out->series, m.series.items, m.series.count * sizeof *out->series);
        out->series_count = m.series.count;
    }
    TOC_VEC_FINI(&m.series);
    return rc;
}
