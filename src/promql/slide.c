/* Windows that slide over the samples of one series: one function result per step. */
#include <string.h>

#include "promql/eval_priv.h"

/* Samples that window functions may see between two looks at whether the query is still wanted. */
enum { POLL_SAMPLES = 1 << 20 };

/* Samples without staleness markers; what holds none is used as it is. */
static void without_stale(struct toc_worker *w, struct toc_samples *s) {
    size_t stale = 0;
    for (size_t i = 0; i < s->count; i++)
        stale += s->h && s->h[i] ? toc_histogram_is_stale(s->h[i]) : toc_is_stale_nan(s->v[i]);
    if (!stale)
        return;
    w->t_ms.count = w->v.count = w->h.count = w->start_ms.count = 0;
    TOC_VEC_RESERVE(&w->t_ms, s->count);
    TOC_VEC_RESERVE(&w->v, s->count);
    TOC_VEC_RESERVE(&w->h, s->h ? s->count : 0);
    TOC_VEC_RESERVE(&w->start_ms, s->start_ms ? s->count : 0);
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->h && s->h[i] ? toc_histogram_is_stale(s->h[i]) : toc_is_stale_nan(s->v[i]))
            continue;
        w->t_ms.items[n] = s->t_ms[i];
        w->v.items[n] = s->v[i];
        if (s->h)
            w->h.items[n] = s->h[i];
        if (s->start_ms)
            w->start_ms.items[n] = s->start_ms[i];
        n++;
    }
    s->t_ms = w->t_ms.items;
    s->v = w->v.items;
    s->h = s->h ? w->h.items : NULL;
    s->start_ms = s->start_ms ? w->start_ms.items : NULL;
    s->count = n;
}

/* Bounds of the windows of all steps; both ends move forward only. Wider with a modifier. The
 * samples of a window are held at once. */
static int find_windows(const struct toc_eval *e, struct toc_worker *w, const struct toc_node *n,
                        const struct toc_samples *s) {
    int64_t before = n->modifier == TOC_RANGE_PLAIN ? 0 : e->query->lookback_ms;
    int64_t behind = n->modifier == TOC_RANGE_SMOOTHED ? e->query->lookback_ms : 0;
    TOC_VEC_RESERVE(&w->first, e->step_count);
    TOC_VEC_RESERVE(&w->end, e->step_count);
    int64_t look = toc_look_ms(e, n, 0), step = n->at_kind == TOC_AT_NONE ? e->step_ms : 0;
    int64_t from = look - n->range_ms - before, to = look + behind;
    size_t first = 0, end = 0, first_stride = 0, end_stride = 0;
    bool is_counted = w->step_samples != NULL;
    uint64_t seen = 0;
    size_t largest = 0;
    for (size_t i = 0; i < e->step_count; i++, from += step, to += step) {
        end = toc_advance(s->t_ms, s->count, end, to, &end_stride);
        first = toc_advance(s->t_ms, end, first, from, &first_stride);
        w->first.items[i] = (uint32_t)first;
        w->end.items[i] = (uint32_t)end;
        seen += end - first;
        largest = end - first > largest ? end - first : largest;
        if (is_counted)
            toc_count_step(w, e, i, end - first);
    }
    w->queryable += seen;
    return largest > toc_query_room(e->query) ? toc_query_too_many(&w->err) : 0;
}

static void slide_floats(const struct toc_eval *e, struct toc_worker *w,
                         const struct toc_node *call, const struct toc_node *range,
                         const struct toc_samples *s, struct toc_column *out, bool *out_any) {
    TOC_VEC_RESERVE(&w->scratch, s->count + 1);
    int64_t to = toc_look_ms(e, range, 0);
    struct toc_slide slide = {.t_ms = s->t_ms,
                              .v = s->v,
                              .count = s->count,
                              .step_count = e->step_count,
                              .first = w->first.items,
                              .end = w->end.items,
                              .start_ms = to - range->range_ms,
                              .end_ms = to,
                              .step_ms = e->step_ms,
                              .scratch = w->scratch.items,
                              .starts_anew = e->options->is_stepwise};
    call->function->slide(&slide, out->values);
    for (size_t i = 0; i < e->step_count && !*out_any; i++)
        *out_any = !toc_is_absent(out->values[i]);
}

static int put_result(struct toc_worker *w, size_t steps, size_t i,
                      const struct toc_window_result *r, struct toc_column *out) {
    out->values[i] = r->histogram ? 0 : r->value;
    if (!r->histogram)
        return 0;
    if (!out->histograms) {
        TOC_VEC_RESERVE(&w->histograms, steps);
        memset(w->histograms.items, 0, steps * sizeof *w->histograms.items);
        out->histograms = w->histograms.items;
    }
    /* The function may hand back one of its inputs, which live in the reader's buffer. */
    out->histograms[i] = toc_histogram_dup(r->histogram, &w->arena);
    return out->histograms[i] ? 0 : TOC_ELIMIT;
}

static bool has_histograms(const struct toc_window *w) {
    for (size_t i = 0; w->h && i < w->count; i++)
        if (w->h[i])
            return true;
    return false;
}

/* Which form of the function fits the window. */
static toc_window_fn *form_for(const struct toc_function *f, const struct toc_node *range,
                               struct toc_window *w) {
    if (range->modifier != TOC_RANGE_PLAIN)
        return f->edges;
    if (has_histograms(w))
        return f->mixed ? f->mixed : toc_window_of_floats;
    w->h = NULL;
    return w->sample_start_ms && f->starts ? f->starts : f->window;
}

static int each_window(const struct toc_eval *e, struct toc_worker *w, const struct toc_node *call,
                       const struct toc_node *range, const struct toc_column *parameters,
                       size_t parameter_count, const struct toc_samples *s, struct toc_column *out,
                       bool *out_any) {
    double values[TOC_FUNCTION_ARGS_MAX] = {0};
    size_t looked_at = 0;
    for (size_t i = 0; i < e->step_count; i++) {
        size_t first = w->first.items[i], end = w->end.items[i];
        if (first == end)
            continue;
        /* One series may have many long windows: whoever gave up is not kept waiting for them. */
        looked_at += end - first;
        if (looked_at > POLL_SAMPLES) {
            looked_at = 0;
            int rc = toc_query_loaded(e->query, 0, &w->err);
            if (rc < 0)
                return rc;
        }
        for (size_t k = 0; k < parameter_count; k++)
            values[k] = parameters[k].values[i];
        int64_t to = toc_look_ms(e, range, i);
        struct toc_window window = {
            .t_ms = s->t_ms + first,
            .v = s->v + first,
            .h = s->h ? s->h + first : NULL,
            .sample_start_ms = s->start_ms ? s->start_ms + first : NULL,
            .count = end - first,
            .start_ms = to - range->range_ms,
            .end_ms = to,
            .eval_ms = toc_step_ms(e, i),
            .lookback_ms = e->query->lookback_ms,
            .parameters = values,
            .labels = s->labels,
            .call = call,
            .worker = w,
        };
        struct toc_window_result result = {0};
        int rc = form_for(call->function, range, &window)(&window, &result);
        if (rc == 1)
            rc = put_result(w, e->step_count, i, &result, out);
        else if (rc == 0)
            continue;
        if (rc < 0)
            return rc;
        *out_any = true;
    }
    return 0;
}

int toc_slide_windows(struct toc_eval *e, struct toc_worker *w, const struct toc_node *call,
                      const struct toc_column *parameters, size_t parameter_count,
                      const struct toc_samples *samples, struct toc_column *out, bool *out_any) {
    const struct toc_node *range = toc_call_range(call);
    struct toc_samples s = *samples;
    without_stale(w, &s);
    if (!toc_eval_has(e, TOC_PROMQL_USE_START_TIMESTAMPS))
        s.start_ms = NULL;
    int rc = find_windows(e, w, range, &s);
    if (rc < 0)
        return rc;
    out->histograms = NULL; /* until a result is one */
    bool is_fixed = range->at_kind != TOC_AT_NONE;
    if (call->function->slide && !s.h && !s.start_ms && !is_fixed &&
        range->modifier == TOC_RANGE_PLAIN) {
        slide_floats(e, w, call, range, &s, out, out_any);
    } else {
        rc = each_window(e, w, call, range, parameters, parameter_count, &s, out, out_any);
        if (rc < 0)
            return rc;
    }
    if (*out_any)
        toc_note_doubtful_name(w, call, s.labels, out);
    return 0;
}
