/*
 * Ranges with a modifier: `anchored` takes the value at the left edge from the sample before it,
 * `smoothed` draws a straight line to both edges. Nothing is extrapolated. The window's samples
 * reach one lookback beyond the edges.
 */
#include "promql/eval_priv.h"
#include "promql/range_edges_priv.h"

/* The value at t on the line between two samples; a counter that fell began again from zero. */
static double between(const struct toc_window *w, size_t i, int64_t t, bool is_counter) {
    double a = w->v[i], b = w->v[i + 1];
    if (is_counter && b < a)
        a = 0;
    return a + (b - a) * (double)(t - w->t_ms[i]) / (double)(w->t_ms[i + 1] - w->t_ms[i]);
}

/* false: nothing lies behind the left edge. */
static bool find_edges(const struct toc_window *w, struct toc_edges *out) {
    bool is_smoothed = toc_call_range(w->call)->modifier == TOC_RANGE_SMOOTHED;
    size_t last = w->count - 1, first = 0;
    while (first < last && w->t_ms[first + 1] <= w->start_ms)
        first++;
    size_t end = is_smoothed ? 0 : last;
    while (end < last && w->t_ms[end] < w->end_ms)
        end++;
    *out = (struct toc_edges){first, end, is_smoothed};
    return w->t_ms[end] > w->start_ms && !(is_smoothed && w->t_ms[first] > w->end_ms);
}

/* What was reached before each fall, the edges included. */
static double lost_by_resets(const struct toc_window *w, const struct toc_edges *e, double left,
                             double right) {
    double lost = 0, previous = left;
    for (size_t i = e->first; i <= e->last; i++) {
        if (w->t_ms[i] <= w->start_ms || w->t_ms[i] >= w->end_ms)
            continue;
        lost += w->v[i] < previous ? previous : 0;
        previous = w->v[i];
    }
    return lost + (right < previous ? previous : 0);
}

static double change_of_floats(const struct toc_window *w, const struct toc_edges *e,
                               bool is_counter) {
    double left = w->v[e->first], right = w->v[e->last];
    if (e->is_smoothed && w->t_ms[e->first] < w->start_ms && e->first < e->last)
        left = between(w, e->first, w->start_ms, is_counter);
    if (e->is_smoothed && e->last > 0 && w->t_ms[e->last] > w->end_ms)
        right = between(w, e->last - 1, w->end_ms, is_counter);
    return right - left + (is_counter ? lost_by_resets(w, e, left, right) : 0);
}

static size_t count_histograms(const struct toc_window *w) {
    size_t n = 0;
    for (size_t i = 0; w->h && i < w->count; i++)
        n += w->h[i] != NULL;
    return n;
}

static int change(const struct toc_window *w, bool is_counter, bool is_rate,
                  struct toc_window_result *out) {
    struct toc_edges e;
    size_t histograms = count_histograms(w);
    if (histograms && histograms != w->count)
        return toc_mixed_floats(w);
    if (!find_edges(w, &e))
        return 0;
    if (histograms)
        return toc_edges_change_histograms(w, &e, is_counter, is_rate, out);
    out->value = change_of_floats(w, &e, is_counter);
    if (is_rate)
        out->value /= (double)(w->end_ms - w->start_ms) / 1000.0;
    return 1;
}

int toc_edges_rate(const struct toc_window *w, struct toc_window_result *out) {
    return change(w, true, true, out);
}
int toc_edges_increase(const struct toc_window *w, struct toc_window_result *out) {
    return change(w, true, false, out);
}
int toc_edges_delta(const struct toc_window *w, struct toc_window_result *out) {
    return change(w, false, false, out);
}

/* Counting functions begin with the sample that stands for the left edge. */
static int count_from_edge(const struct toc_window *w, struct toc_window_result *out) {
    struct toc_edges e;
    if (!find_edges(w, &e))
        return 0;
    struct toc_window inside = *w;
    bool has_histograms = false;
    inside.t_ms += e.first;
    inside.v += e.first;
    inside.sample_start_ms += inside.sample_start_ms ? e.first : 0;
    inside.count -= e.first;
    for (size_t i = e.first; w->h && i < w->count; i++)
        has_histograms |= w->h[i] != NULL;
    inside.h = has_histograms ? w->h + e.first : NULL;
    const struct toc_function *f = w->call->function;
    if (has_histograms)
        return f->mixed(&inside, out);
    return inside.sample_start_ms && f->starts ? f->starts(&inside, out) : f->window(&inside, out);
}

int toc_edges_changes(const struct toc_window *w, struct toc_window_result *out) {
    return count_from_edge(w, out);
}
int toc_edges_resets(const struct toc_window *w, struct toc_window_result *out) {
    return count_from_edge(w, out);
}
