/*
 * Ranges with a modifier: `anchored` takes the value at the left edge from the sample before it,
 * `smoothed` draws a straight line to both edges. Nothing is extrapolated. The window's samples
 * reach one lookback beyond the edges.
 */
#include <math.h>

#include "promql/eval_priv.h"
#include "promql/range_functions_priv.h"

struct edges {
    size_t first, last; /* samples that stand for the edges */
    double left, right; /* the values there */
};

/* The value at t on the line between two samples; a counter that fell began again from zero. */
static double between(const struct toc_window *w, size_t i, int64_t t, bool is_counter,
                      bool is_left) {
    double a = w->v[i], b = w->v[i + 1];
    if (is_counter && b < a) {
        if (is_left)
            a = 0;
        else
            b += a;
    }
    return a + (b - a) * (double)(t - w->t_ms[i]) / (double)(w->t_ms[i + 1] - w->t_ms[i]);
}

/* false: nothing lies behind the left edge. */
static bool find_edges(const struct toc_window *w, bool is_counter, struct edges *out) {
    bool is_smoothed = toc_call_range(w->call)->modifier == TOC_RANGE_SMOOTHED;
    size_t last = w->count - 1, first = 0;
    while (first < last && w->t_ms[first + 1] <= w->start_ms)
        first++;
    size_t end = is_smoothed ? 0 : last;
    while (end < last && w->t_ms[end] < w->end_ms)
        end++;
    if (w->t_ms[end] <= w->start_ms)
        return false;
    *out = (struct edges){first, end, w->v[first], w->v[end]};
    if (is_smoothed && w->t_ms[first] < w->start_ms && first < last)
        out->left = between(w, first, w->start_ms, is_counter, true);
    if (is_smoothed && end > 0 && w->t_ms[end] > w->end_ms)
        out->right = between(w, end - 1, w->end_ms, is_counter, false);
    return true;
}

/* What was reached before each fall, the edges included. */
static double lost_by_resets(const struct toc_window *w, const struct edges *e) {
    double lost = 0, previous = e->left;
    for (size_t i = e->first; i <= e->last; i++) {
        if (w->t_ms[i] <= w->start_ms || w->t_ms[i] >= w->end_ms)
            continue;
        lost += w->v[i] < previous ? previous : 0;
        previous = w->v[i];
    }
    return lost + (e->right < previous ? previous : 0);
}

static int change(const struct toc_window *w, bool is_counter, bool is_rate,
                  struct toc_window_result *out) {
    struct edges e;
    if (!find_edges(w, is_counter, &e))
        return 0;
    out->value = e.right - e.left + (is_counter ? lost_by_resets(w, &e) : 0);
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
    struct edges e;
    if (!find_edges(w, false, &e))
        return 0;
    struct toc_window inside = *w;
    inside.t_ms += e.first;
    inside.v += e.first;
    inside.count -= e.first;
    return w->call->function->window(&inside, out);
}

int toc_edges_changes(const struct toc_window *w, struct toc_window_result *out) {
    return count_from_edge(w, out);
}
int toc_edges_resets(const struct toc_window *w, struct toc_window_result *out) {
    return count_from_edge(w, out);
}
