/* A query from its options to its result: budgets, workers, both kinds of evaluation. */
#include "promql/eval_priv.h"

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

bool toc_query_take_bytes(struct toc_query *q, size_t bytes) {
    size_t taken = atomic_fetch_add_explicit(&q->heap_bytes, bytes, memory_order_relaxed) + bytes;
    if (taken <= q->heap_budget_bytes)
        return true;
    toc_query_return_bytes(q, bytes);
    return false;
}

void toc_query_return_bytes(struct toc_query *q, size_t bytes) {
    atomic_fetch_sub_explicit(&q->heap_bytes, bytes, memory_order_relaxed);
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
    q->heap_budget_bytes = bytes / 2;
    toc_arena_init(&out->arena, bytes / 2);
    for (size_t i = 0; i < q->worker_count; i++) {
        toc_arena_init(&q->workers[i].arena, bytes / 2 / q->worker_count);
        q->workers[i].label_items = TOC_NEW_ARRAY(struct toc_label, TOC_SERIES_LABELS_MAX);
        if (o->wants_step_samples)
            q->workers[i].step_samples = TOC_NEW_ARRAY(uint64_t, q->step_count);
    }
}

static void fini_worker(struct toc_worker *w) {
    toc_series_buffer_fini(&w->buffer);
    toc_free(w->label_items);
    toc_free(w->step_samples);
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
    TOC_VEC_FINI(&w->hinted);
    TOC_VEC_FINI(&w->hinted_refs);
    toc_arena_fini(&w->arena);
}

static void end_query(struct toc_query *q) {
    for (size_t i = 0; i < q->worker_count; i++)
        fini_worker(&q->workers[i]);
    toc_free(q->workers);
    for (size_t i = 0; i < q->sets.count; i++)
        q->sets.items[i]->close(&q->sets.items[i]);
    TOC_VEC_FINI(&q->sets);
    TOC_VEC_FINI(&q->notes);
    TOC_VEC_FINI(&q->trace);
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
        rc = toc_result_take(e, &c, out);
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
        rc = toc_result_take(e, &c, out);
    if (rc == 0)
        toc_result_sort(out);
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
                          .step_ms = times->step_ms,
                          .step_count = step_count};
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
    toc_result_take_stats(&e, out);
    if (rc == 0)
        toc_result_take_notes(&e, out);
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
