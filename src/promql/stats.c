/* What a query cost: samples per step for the API, a trace of its nodes for a person. */
#include <string.h>

#include "promql/eval_priv.h"

/* ---------------------------------------------------------------------------------- samples */

static size_t mark_width(const struct toc_query *q) {
    return 1 + (q->options->wants_step_samples ? q->step_count : 0);
}

void toc_stats_mark(const struct toc_query *q, struct toc_stats_mark *out) {
    size_t width = mark_width(q);
    out->loaded = atomic_load(&q->samples_loaded);
    out->queryable = TOC_NEW_ARRAY(uint64_t, q->worker_count * width);
    for (size_t i = 0; i < q->worker_count; i++) {
        const struct toc_worker *w = &q->workers[i];
        out->queryable[i * width] = w->queryable;
        if (w->step_samples)
            memcpy(out->queryable + i * width + 1, w->step_samples,
                   q->step_count * sizeof *w->step_samples);
    }
}

void toc_stats_return(struct toc_query *q, const struct toc_stats_mark *m) {
    size_t width = mark_width(q);
    atomic_store(&q->samples_loaded, m->loaded);
    for (size_t i = 0; i < q->worker_count; i++) {
        struct toc_worker *w = &q->workers[i];
        w->queryable = m->queryable[i * width];
        if (w->step_samples)
            memcpy(w->step_samples, m->queryable + i * width + 1,
                   q->step_count * sizeof *w->step_samples);
    }
}

void toc_stats_mark_fini(struct toc_stats_mark *m) {
    toc_free(m->queryable);
    *m = (struct toc_stats_mark){0};
}

static void sum_steps(struct toc_eval *e, struct toc_promql_result *out) {
    const struct toc_query *q = e->query;
    uint64_t *steps = TOC_ARENA_NEW_ARRAY(e->arena, uint64_t, q->step_count);
    for (size_t i = 0; steps && i < q->worker_count; i++)
        for (size_t k = 0; k < q->step_count; k++)
            steps[k] += q->workers[i].step_samples[k];
    out->step_samples = steps;
    out->step_count = steps ? q->step_count : 0;
}

void toc_result_take_stats(struct toc_eval *e, struct toc_promql_result *out) {
    const struct toc_query *q = e->query;
    out->samples_loaded = atomic_load(&q->samples_loaded);
    out->samples_peak = atomic_load(&q->samples_peak);
    for (size_t i = 0; i < q->worker_count; i++)
        out->samples_queryable += q->workers[i].queryable;
    if (q->options->wants_step_samples)
        sum_steps(e, out);
    struct toc_promql_trace *trace =
        TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_trace, q->trace.count + 1);
    for (size_t i = 0; trace && i < q->trace.count; i++) {
        trace[i] = q->trace.items[i];
        trace[i].text = toc_arena_dup_sv(e->arena, trace[i].text);
    }
    out->trace = trace;
    out->trace_count = trace ? q->trace.count : 0;
}

/* ------------------------------------------------------------------------------------ trace */

static uint64_t now_ns(const struct toc_eval *e) {
    const struct toc_promql_options *o = e->options;
    return o->clock_ns ? o->clock_ns(o->clock_ctx) : 0;
}

/* Where the text of a node ends: operators end with their last operand. */
static size_t end_of(const struct toc_node *n) {
    while (n && !n->end)
        n = n->right ? n->right : n->left;
    return n ? n->end : 0;
}

size_t toc_trace_begin(struct toc_eval *e, const struct toc_node *n) {
    struct toc_query *q = e->query;
    size_t at = n->at < q->expr->text.n ? n->at : q->expr->text.n;
    size_t end = end_of(n);
    end = end > at && end <= q->expr->text.n ? end : at;
    struct toc_promql_trace entry = {
        .text = {q->expr->text.p + at, end - at},
        .depth = q->trace_depth++,
        .is_once = n->is_invariant && q->step_count > 1,
        .samples = atomic_load_explicit(&q->samples_loaded, memory_order_relaxed),
        .took_ns = now_ns(e),
    };
    TOC_VEC_PUSH(&q->trace, entry);
    return q->trace.count - 1;
}

void toc_trace_end(struct toc_eval *e, size_t entry, size_t series) {
    struct toc_query *q = e->query;
    struct toc_promql_trace *t = &q->trace.items[entry];
    q->trace_depth--;
    t->series = series;
    t->samples = atomic_load_explicit(&q->samples_loaded, memory_order_relaxed) - t->samples;
    t->took_ns = now_ns(e) - t->took_ns;
}
