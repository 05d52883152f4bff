/* Anchored and smoothed ranges over native histograms; see range_edges.c. */
#include "model/histogram_math.h"
#include "promql/eval_priv.h"
#include "promql/range_edges_priv.h"

/* The histogram on the line between two samples; a counter that fell began again from nothing. */
static const struct toc_histogram *between(const struct toc_window *w, size_t i, int64_t t,
                                           bool is_counter, struct toc_histogram_notes *notes) {
    struct toc_arena *arena = &w->worker->arena;
    const struct toc_histogram *a = w->h[i], *b = w->h[i + 1];
    double share = (double)(t - w->t_ms[i]) / (double)(w->t_ms[i + 1] - w->t_ms[i]);
    if (is_counter && toc_histogram_has_reset(b, a, arena))
        return toc_histogram_scale(b, share, arena);
    const struct toc_histogram *step = toc_histogram_sub(b, a, arena, notes);
    if (step)
        step = toc_histogram_scale(step, share, arena);
    return step ? toc_histogram_add(a, step, arena, notes) : NULL;
}

struct sides {
    const struct toc_histogram *left, *right;
    bool left_is_drawn, right_is_drawn; /* interpolated, no sample */
};

static void find_sides(const struct toc_window *w, const struct toc_edges *e, bool is_counter,
                       struct sides *out, struct toc_histogram_notes *notes) {
    *out = (struct sides){w->h[e->first], w->h[e->last], false, false};
    if (!e->is_smoothed)
        return;
    if (w->t_ms[e->first] < w->start_ms && e->first < e->last) {
        out->left = between(w, e->first, w->start_ms, is_counter, notes);
        out->left_is_drawn = true;
    }
    if (e->last > e->first && w->t_ms[e->last] > w->end_ms) {
        out->right = between(w, e->last - 1, w->end_ms, is_counter, notes);
        out->right_is_drawn = true;
    }
}

/* Adds what was reached before each reset, the edges included. */
static const struct toc_histogram *with_resets(const struct toc_window *w,
                                               const struct toc_edges *e, const struct sides *s,
                                               const struct toc_histogram *total,
                                               struct toc_histogram_notes *notes) {
    struct toc_arena *arena = &w->worker->arena;
    const struct toc_histogram *previous = s->left;
    bool right_is_seen = false;
    /* Both edges on one line: the left one has taken the reset into account. */
    if (s->left_is_drawn && s->right_is_drawn && e->last == e->first + 1)
        return total;
    for (size_t i = e->first; i <= e->last && total; i++) {
        if (w->t_ms[i] <= w->start_ms || w->t_ms[i] >= w->end_ms)
            continue;
        bool is_left = w->h[i] == s->left;
        if (!is_left && toc_histogram_has_reset(w->h[i], previous, arena))
            total = toc_histogram_add(total, previous, arena, notes);
        previous = w->h[i];
        right_is_seen = w->h[i] == s->right;
    }
    if (total && !right_is_seen && s->right != s->left &&
        toc_histogram_has_reset(s->right, previous, arena))
        total = toc_histogram_add(total, previous, arena, notes);
    return total;
}

int toc_edges_change_histograms(const struct toc_window *w, const struct toc_edges *e,
                                bool is_counter, bool is_rate, struct toc_window_result *out) {
    struct toc_histogram_notes notes = {0};
    struct toc_window inside = *w;
    struct sides s;
    inside.h += e->first;
    inside.count = e->last - e->first + 1;
    toc_mixed_check_hints(&inside, is_counter);
    find_sides(w, e, is_counter, &s, &notes);
    const struct toc_histogram *total =
        s.left && s.right ? toc_histogram_sub(s.right, s.left, &w->worker->arena, &notes) : NULL;
    if (total && is_counter)
        total = with_resets(w, e, &s, total, &notes);
    if (notes.is_incompatible)
        return toc_mixed_schemas(w);
    double factor = is_rate ? 1000.0 / (double)(w->end_ms - w->start_ms) : 1;
    return toc_mixed_finish(w, total, factor, out);
}
