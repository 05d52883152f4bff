/* A query: budgets, nodes, results. */
#include "promql/eval_priv.h"

#include "model/histogram_math.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LOOKBACK_MS = 5 * 60 * 1000, STEPS_MAX = 11001 * 60 };
static const uint64_t DEFAULT_MAX_SAMPLES = 50000000;
static const size_t DEFAULT_MAX_BYTES = (size_t)1 << 30;

/* ------------------------------------------------------------------------------------ budgets */

int toc_query_too_many(struct toc_err *err) {
    return toc_errf(err, TOC_ELIMIT,
                    "query processing would load too many samples into memory in query execution");
}

uint64_t toc_query_room(struct toc_query *q) {
    uint64_t held = atomic_load_explicit(&q->samples_held, memory_order_relaxed);
    return held > q->max_samples ? 0 : q->max_samples - held;
}

int toc_query_hold(struct toc_query *q, uint64_t samples, struct toc_err *err) {
    uint64_t held =
        atomic_fetch_add_explicit(&q->samples_held, samples, memory_order_relaxed) + samples;
    uint64_t peak = atomic_load_explicit(&q->samples_peak, memory_order_relaxed);
    while (held > peak && !atomic_compare_exchange_weak(&q->samples_peak, &peak, held))
        ;
    return held > q->max_samples ? toc_query_too_many(err) : 0;
}

int toc_query_loaded(struct toc_query *q, uint64_t samples, struct toc_err *err) {
    atomic_fetch_add_explicit(&q->samples_loaded, samples, memory_order_relaxed);
    const struct toc_promql_options *o = q->options;
    if (o->is_cancelled && o->is_cancelled(o->cancel_ctx))
        return toc_errf(err, TOC_ECANCELED, "query was canceled in query execution");
    return 0;
}

/* -------------------------------------------------------------------------------------- nodes */

static int eval_number(struct toc_eval *e, double v, struct toc_eval_columns *out) {
    struct toc_column *c = toc_eval_columns_add(e, out, TOC_LABELS_EMPTY);
    if (!c)
        return TOC_ELIMIT;
    for (size_t i = 0; i < e->step_count; i++)
        c->values[i] = v;
    return 0;
}

static int negate_column(struct toc_eval *e, struct toc_column *c) {
    for (size_t k = 0; k < e->step_count; k++) {
        const struct toc_histogram *h = toc_column_histogram(c, k);
        if (h) {
            c->histograms[k] = toc_histogram_scale(h, -1, e->arena);
            if (!c->histograms[k])
                return toc_eval_no_memory(e);
        } else if (!toc_is_absent(c->values[k])) {
            c->values[k] = -c->values[k];
        }
    }
    return 0;
}

static int eval_negate(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    int rc = toc_eval_node(e, n->left, out);
    if (rc < 0 || n->is_plus)
        return rc;
    for (size_t i = 0; i < out->count && rc == 0; i++) {
        toc_column_drop_name(e, &out->items[i]);
        rc = negate_column(e, &out->items[i]);
    }
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, true);
}

static int eval_kind(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    switch (n->kind) {
    case TOC_NODE_NUMBER:
        return eval_number(e, n->number, out);
    case TOC_NODE_STRING:
        out->string = n->string;
        return 0;
    case TOC_NODE_PAREN:
        return toc_eval_node(e, n->left, out);
    case TOC_NODE_SELECTOR:
        return toc_eval_selector(e, n, TOC_WANT_VALUE, out);
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

/* What is the same at all steps: one value spread over all of them. */
static int spread(struct toc_eval *e, struct toc_eval_columns *c) {
    for (size_t i = 0; i < c->count; i++) {
        struct toc_column *column = &c->items[i];
        double v = column->values[0];
        const struct toc_histogram *h = toc_column_histogram(column, 0);
        column->values = toc_arena_calloc(e->arena, e->step_count, sizeof *column->values);
        column->histograms = NULL;
        if (!column->values)
            return toc_eval_no_memory(e);
        for (size_t k = 0; k < e->step_count; k++) {
            column->values[k] = v;
            int rc = h ? toc_column_set_histogram(e, column, k, h) : 0;
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int eval_once(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval first = *e;
    first.end_ms = e->start_ms;
    first.step_count = 1;
    int rc = eval_kind(&first, n, out);
    return rc < 0 || n->type == TOC_PROMQL_STRING ? rc : spread(e, out);
}

int toc_eval_node(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    uint64_t held = atomic_load_explicit(&e->query->samples_held, memory_order_relaxed);
    int rc = n->is_invariant && e->step_count > 1 ? eval_once(e, n, out) : eval_kind(e, n, out);
    if (rc < 0)
        return rc;
    /* What the node's parts held is gone; its own result stays. */
    atomic_store_explicit(&e->query->samples_held, held, memory_order_relaxed);
    bool is_vector = n->type == TOC_PROMQL_VECTOR;
    rc = toc_query_hold(e->query, is_vector ? (uint64_t)out->count * e->step_count : 0, e->err);
    return rc < 0 ? rc : toc_query_loaded(e->query, 0, e->err);
}

/* ------------------------------------------------------------------------------------ results */

static int copy_points(struct toc_eval *e, const struct toc_column *c,
                       struct toc_promql_series *s) {
    s->labels = toc_labels_dup_arena(c->labels, e->arena);
    s->count = 0;
    for (size_t i = 0; i < e->step_count; i++)
        s->count += !toc_is_absent(c->values[i]);
    s->points = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_point, s->count + 1);
    if (!s->points)
        return toc_eval_no_memory(e);
    size_t n = 0;
    const struct toc_histogram *seen = NULL, *kept = NULL;
    for (size_t i = 0; i < e->step_count; i++) {
        if (toc_is_absent(c->values[i]))
            continue;
        const struct toc_histogram *h = toc_column_histogram(c, i);
        if (h && h != seen) {
            seen = h;
            kept = toc_histogram_dup(h, e->arena);
        }
        s->points[n++] =
            (struct toc_promql_point){toc_step_ms(e, i), c->values[i], h ? kept : NULL};
    }
    return e->arena->overflowed ? toc_eval_no_memory(e) : 0;
}

static int copy_series(struct toc_eval *e, const struct toc_eval_columns *c,
                       struct toc_promql_result *out) {
    out->series = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_series, c->count + 1);
    if (!out->series)
        return toc_eval_no_memory(e);
    for (size_t i = 0; i < c->count; i++) {
        struct toc_promql_series *s = &out->series[out->series_count];
        int rc = copy_points(e, &c->items[i], s);
        if (rc < 0)
            return rc;
        out->series_count += s->count > 0;
    }
    return 0;
}

static int by_labels(const void *a, const void *b) {
    const struct toc_promql_series *x = a, *y = b;
    return toc_labels_cmp(x->labels, y->labels);
}

static void sort_series(struct toc_promql_result *out) {
    if (out->series_count)
        qsort(out->series, out->series_count, sizeof *out->series, by_labels);
}

static void keep_notes(struct toc_eval *e, struct toc_promql_result *out) {
    const struct toc_notes *notes = &e->query->notes;
    struct toc_sv *warnings = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_sv, notes->count + 1);
    struct toc_sv *infos = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_sv, notes->count + 1);
    for (size_t i = 0; warnings && infos && i < notes->count; i++) {
        struct toc_sv text = toc_arena_dup_sv(e->arena, notes->items[i].text);
        if (notes->items[i].level == TOC_NOTE_WARNING)
            warnings[out->warning_count++] = text;
        else
            infos[out->info_count++] = text;
    }
    out->warnings = warnings;
    out->infos = infos;
}

/* -------------------------------------------------------------------------------------- query */

/* Half of the memory is for the result and what is computed on the calling thread, half for the
 * workers. */
static void start_query(struct toc_query *q, struct toc_promql_result *out) {
    const struct toc_promql_options *o = q->options;
    size_t bytes = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES;
    q->lookback_ms = o->lookback_ms ? o->lookback_ms : DEFAULT_LOOKBACK_MS;
    q->max_samples = o->max_samples ? o->max_samples : DEFAULT_MAX_SAMPLES;
    q->worker_count = toc_executor_width(o->executor);
    q->workers = TOC_NEW_ARRAY(struct toc_worker, q->worker_count);
    toc_arena_init(&out->arena, bytes / 2);
    for (size_t i = 0; i < q->worker_count; i++) {
        toc_arena_init(&q->workers[i].arena, bytes / 2 / q->worker_count);
        q->workers[i].label_items = TOC_NEW_ARRAY(struct toc_label, TOC_SERIES_LABELS_MAX);
    }
}

static void fini_worker(struct toc_worker *w) {
    toc_arena_fini(&w->arena);
    toc_series_buffer_fini(&w->buffer);
    toc_free(w->label_items);
    TOC_VEC_FINI(&w->group_items);
    TOC_VEC_FINI(&w->first);
    TOC_VEC_FINI(&w->end);
    TOC_VEC_FINI(&w->scratch);
    TOC_VEC_FINI(&w->values);
    TOC_VEC_FINI(&w->t_ms);
    TOC_VEC_FINI(&w->v);
    TOC_VEC_FINI(&w->h);
    TOC_VEC_FINI(&w->histograms);
    TOC_VEC_FINI(&w->start_ms);
}

static void end_query(struct toc_query *q) {
    for (size_t i = 0; i < q->sets.count; i++)
        q->sets.items[i]->close(&q->sets.items[i]);
    TOC_VEC_FINI(&q->sets);
    for (size_t i = 0; i < q->worker_count; i++)
        fini_worker(&q->workers[i]);
    toc_free(q->workers);
    TOC_VEC_FINI(&q->notes);
}

static int eval_instant(struct toc_eval *e, const struct toc_node *root,
                        struct toc_promql_result *out) {
    if (out->type == TOC_PROMQL_MATRIX)
        return toc_eval_matrix(e, toc_node_bare(root), out);
    struct toc_eval_columns c = {0};
    int rc = toc_eval_node(e, root, &c);
    if (rc == 0)
        rc = toc_eval_columns_drop_names(e, &c);
    if (rc == 0 && out->type == TOC_PROMQL_SCALAR)
        out->scalar = c.items[0].values[0];
    else if (rc == 0 && out->type == TOC_PROMQL_VECTOR)
        rc = copy_series(e, &c, out);
    else if (rc == 0)
        out->string = toc_arena_dup_sv(e->arena, c.string);
    toc_eval_columns_fini(&c);
    return rc;
}

static int eval_range(struct toc_eval *e, const struct toc_node *root,
                      struct toc_promql_result *out) {
    struct toc_eval_columns c = {0};
    int rc = toc_eval_node(e, root, &c);
    if (rc == 0)
        rc = toc_eval_columns_drop_names(e, &c);
    if (rc == 0)
        rc = copy_series(e, &c, out);
    if (rc == 0)
        sort_series(out);
    toc_eval_columns_fini(&c);
    return rc;
}

/* Both kinds of query from here on. times->step_ms is 0 for an instant one. */
static int run_query(const struct toc_promql_expr *expr, const struct toc_promql_options *o,
                     const struct toc_query_times *times, size_t step_count,
                     struct toc_promql_result *out, struct toc_err *err) {
    struct toc_query q = {.options = o,
                          .expr = expr,
                          .start_ms = times->start_ms,
                          .end_ms = times->end_ms,
                          .step_ms = times->step_ms};
    start_query(&q, out);
    struct toc_eval e = {.query = &q,
                         .options = o,
                         .arena = &out->arena,
                         .err = err,
                         .start_ms = times->start_ms,
                         .end_ms = times->end_ms,
                         .step_ms = times->step_ms ? times->step_ms : 1,
                         .step_count = step_count};
    struct toc_node *root;
    int rc = toc_prepare(expr, times, &out->arena, &root, err);
    if (rc == 0)
        rc = times->step_ms ? eval_range(&e, root, out) : eval_instant(&e, root, out);
    out->samples_loaded = atomic_load(&q.samples_loaded);
    out->samples_peak = atomic_load(&q.samples_peak);
    if (rc == 0)
        keep_notes(&e, out);
    end_query(&q);
    return rc;
}

int toc_promql_instant(const struct toc_promql_expr *expr, const struct toc_promql_options *o,
                       int64_t at_ms, struct toc_promql_result *out, struct toc_err *err) {
    struct toc_query_times times = {at_ms, at_ms, 0};
    *out = (struct toc_promql_result){.type = expr->root->type, .scalar_t_ms = at_ms};
    return run_query(expr, o, &times, 1, out, err);
}

int toc_promql_range(const struct toc_promql_expr *expr, const struct toc_promql_options *o,
                     int64_t start_ms, int64_t end_ms, int64_t step_ms,
                     struct toc_promql_result *out, struct toc_err *err) {
    static const char *const names[] = {"scalar", "instant vector", "range vector", "string"};
    *out = (struct toc_promql_result){.type = TOC_PROMQL_MATRIX};
    if (step_ms <= 0 || end_ms < start_ms)
        return toc_errf(err, TOC_EINVAL, "the range needs start ≤ end and a step above zero");
    uint64_t steps = ((uint64_t)end_ms - (uint64_t)start_ms) / (uint64_t)step_ms + 1;
    if (steps > STEPS_MAX)
        return toc_errf(err, TOC_ELIMIT, "more than %d steps", STEPS_MAX);
    if (expr->root->type != TOC_PROMQL_SCALAR && expr->root->type != TOC_PROMQL_VECTOR)
        return toc_errf(err, TOC_ETYPE,
                        "invalid expression type \"%s\" for range query, must be Scalar or instant "
                        "Vector",
                        names[expr->root->type]);
    struct toc_query_times times = {start_ms, end_ms, step_ms};
    return run_query(expr, o, &times, (size_t)steps, out, err);
}

void toc_promql_result_fini(struct toc_promql_result *r) {
    toc_arena_fini(&r->arena);
    *r = (struct toc_promql_result){0};
}
