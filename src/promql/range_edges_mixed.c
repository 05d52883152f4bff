/* Anchored and smoothed ranges over native histograms; see range_edges.c. */
#include "model/histogram_math.h"
#include "promql/eval_priv.h"
#include "promql/range_edges_priv.h"

struct change {
    const struct toc_window *w;
    const struct toc_edges *e;
    bool is_counter;
    struct toc_arena *arena;
    struct toc_histogram_notes notes;
};

static bool begins_anew(const struct change *c, const struct toc_histogram *h,
                        const struct toc_histogram *previous) {
    return toc_histogram_has_reset(h, previous, c->arena);
}

/* The histogram at t on the line between samples i and i + 1; a counter that was reset began again
 * from nothing. */
static const struct toc_histogram *between(struct change *c, size_t i, int64_t t) {
    const struct toc_window *w = c->w;
    const struct toc_histogram *a = w->h[i], *b = w->h[i + 1];
    double share = (double)(t - w->t_ms[i]) / (double)(w->t_ms[i + 1] - w->t_ms[i]);
    if (c->is_counter && begins_anew(c, b, a))
        return toc_histogram_scale(b, share, c->arena);
    struct toc_histogram *step = toc_histogram_sub(b, a, c->arena, &c->notes);
    step = step ? toc_histogram_scale(step, share, c->arena) : NULL;
    if (!step)
        return NULL;
    step->reset_hint = b->reset_hint; /* a point on the way is what both ends are */
    return toc_histogram_add(a, step, c->arena, &c->notes);
}

/* The values at the edges; false without memory. */
static bool find_sides(struct change *c, const struct toc_histogram **left,
                       const struct toc_histogram **right) {
    const struct toc_window *w = c->w;
    const struct toc_edges *e = c->e;
    *left = w->h[e->first];
    *right = w->h[e->last];
    if (e->is_smoothed && w->t_ms[e->first] < w->start_ms)
        *left = between(c, e->first, w->start_ms);
    if (e->is_smoothed && e->last > 0 && w->t_ms[e->last] > w->end_ms)
        *right = between(c, e->last - 1, w->end_ms);
    return *left && *right;
}

/* Adds what was reached before each reset. The last sample is left out: the right edge is the same
 * or carries its hint. */
static const struct toc_histogram *with_resets(struct change *c, const struct toc_histogram *left,
                                               const struct toc_histogram *right,
                                               const struct toc_histogram *total) {
    const struct toc_window *w = c->w;
    const struct toc_edges *e = c->e;
    const struct toc_histogram *previous = left;
    size_t next = e->first + 1;
    if (e->first == e->last)
        return total;
    /* A line on the left that spans a reset has taken it into account. */
    if (e->is_smoothed && w->t_ms[e->first] < w->start_ms &&
        begins_anew(c, w->h[next], w->h[e->first]))
        previous = w->h[next++];
    if (next > e->last)
        return total;
    for (; next < e->last && total; next++) {
        if (begins_anew(c, w->h[next], previous))
            total = toc_histogram_add(total, previous, c->arena, &c->notes);
        previous = w->h[next];
    }
    if (total && begins_anew(c, right, previous))
        total = toc_histogram_add(total, previous, c->arena, &c->notes);
    return total;
}

/* One kind of buckets throughout; counters that are gauges are noted. */
static bool check_samples(const struct change *c) {
    const struct toc_window *w = c->w;
    bool is_custom = toc_histogram_is_custom(w->h[c->e->first]), any_gauge = false;
    bool is_mixed = false;
    for (size_t i = c->e->first; i <= c->e->last && !is_mixed; i++) {
        is_mixed = toc_histogram_is_custom(w->h[i]) != is_custom;
        any_gauge |= !is_mixed && w->h[i]->reset_hint == TOC_RESET_GAUGE;
    }
    if (c->is_counter && any_gauge)
        toc_mixed_not(w, "counter");
    return !is_mixed;
}

int toc_edges_change_histograms(const struct toc_window *w, const struct toc_edges *e,
                                bool is_counter, bool is_rate, struct toc_window_result *out) {
    struct change c = {.w = w, .e = e, .is_counter = is_counter, .arena = &w->worker->arena};
    const struct toc_histogram *left, *right;
    if (!check_samples(&c))
        return toc_mixed_schemas(w);
    bool has_sides = find_sides(&c, &left, &right);
    if (has_sides && !is_counter &&
        (left->reset_hint != TOC_RESET_GAUGE || right->reset_hint != TOC_RESET_GAUGE))
        toc_mixed_not(w, "gauge");
    const struct toc_histogram *total =
        has_sides ? toc_histogram_sub(right, left, c.arena, &c.notes) : NULL;
    toc_mixed_note_reconciled(w, &c.notes, "subtraction");
    c.notes.has_reconciled_buckets = false;
    if (total && is_counter)
        total = with_resets(&c, left, right, total);
    toc_mixed_note_reconciled(w, &c.notes, "addition");
    double factor = is_rate ? 1000.0 / (double)(w->end_ms - w->start_ms) : 1;
    return toc_mixed_finish(w, total, factor, out);
}
