#include "promql/rollup_windows_priv.h"

#include <math.h>

#include "base/sum.h"
#include "promql/extrapolate_priv.h"
#include "promql/range_functions_priv.h"

/* The buckets of a window with floats in them joined, and the window that they stand for. */
struct joined {
    struct toc_rollup all;
    int64_t start_ms, end_ms;
};

typedef bool rollup_fn(const struct joined *j, double *out);

/* ------------------------------------------------------------------------------- functions */

static bool extrapolate(const struct joined *j, bool is_counter, bool is_rate, double *out) {
    const struct toc_rollup *r = &j->all;
    if (r->count < 2)
        return false;
    double result = r->last - r->first + (is_counter ? r->drops : 0);
    struct toc_window_reach reach = toc_window_reach((struct toc_window_shape){
        r->first_ms - j->start_ms, r->last_ms - r->first_ms, j->end_ms - r->last_ms, r->count - 1});
    double factor = is_counter ? toc_counter_factor(&reach, r->first, result) : reach.factor;
    if (is_rate)
        factor /= (double)(j->end_ms - j->start_ms) / 1000.0;
    *out = result * factor;
    return true;
}

static bool rate(const struct joined *j, double *out) {
    return extrapolate(j, true, true, out);
}
static bool increase(const struct joined *j, double *out) {
    return extrapolate(j, true, false, out);
}
static bool delta(const struct joined *j, double *out) {
    return extrapolate(j, false, false, out);
}
static bool sum(const struct joined *j, double *out) {
    *out = j->all.sum;
    return true;
}
static bool average(const struct joined *j, double *out) {
    *out = j->all.sum / (double)j->all.count;
    return true;
}
static bool count(const struct joined *j, double *out) {
    *out = j->all.count;
    return true;
}
static bool lowest(const struct joined *j, double *out) {
    *out = j->all.min;
    return true;
}
static bool highest(const struct joined *j, double *out) {
    *out = j->all.max;
    return true;
}
static bool last(const struct joined *j, double *out) {
    *out = j->all.last;
    return true;
}
static bool present(const struct joined *j, double *out) {
    (void)j;
    *out = 1;
    return true;
}

static const struct {
    toc_window_fn *window;
    rollup_fn *fn;
} g_served[] = {
    {toc_window_rate, rate},       {toc_window_increase, increase}, {toc_window_delta, delta},
    {toc_window_sum, sum},         {toc_window_avg, average},       {toc_window_count, count},
    {toc_window_min, lowest},      {toc_window_max, highest},       {toc_window_last, last},
    {toc_window_present, present},
};

static rollup_fn *served(const struct toc_node *node) {
    if (node->kind != TOC_NODE_CALL)
        return NULL;
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_served); i++)
        if (node->function->window == g_served[i].window)
            return g_served[i].fn;
    return NULL;
}

/* ------------------------------------------------------------------------------------ hint */

static int64_t divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

void toc_rollup_hint(const struct toc_eval *e, const struct toc_node *node,
                     const struct toc_node *selector, enum toc_wanted wanted,
                     struct toc_select *io_select) {
    bool is_served =
        node->kind == TOC_NODE_SELECTOR ? wanted != TOC_WANT_START : served(node) != NULL;
    io_select->rollups = TOC_ROLLUP_LAST;
    if (!is_served || selector->modifier != TOC_RANGE_PLAIN)
        return;
    io_select->rollups = TOC_ROLLUP_BUCKETS;
    bool moves = e->step_count > 1 && selector->at_kind == TOC_AT_NONE;
    /* One look at a selector reads few samples. */
    if (node->kind == TOC_NODE_SELECTOR && !moves)
        return;
    io_select->aligned_ms =
        divisor(divisor(toc_look_ms(e, selector, 0), moves ? e->step_ms : 0), selector->range_ms);
}

/* ----------------------------------------------------------------------------------- steps */

static void note_moved(struct toc_worker *w, const struct toc_node *at, int64_t resolution_ms) {
    toc_worker_note(w, TOC_NOTE_INFO, at,
                    "samples of this range are no longer kept: windows are made of whole roll-ups "
                    "of %lldm and end at multiples of it",
                    (long long)(resolution_ms / 60000));
}

const char *toc_rollup_thinned_text(void) {
    return "samples of this range are no longer kept: the last one of each roll-up stands in for "
           "them";
}

/* Joins the buckets [first, end) that have floats. */
static void join(const struct toc_rollup *b, size_t first, size_t end, struct joined *out) {
    double total = 0, lost = 0;
    out->all = (struct toc_rollup){0};
    for (size_t i = first; i < end; i++) {
        if (!b[i].count)
            continue;
        toc_rollup_join(&out->all, &b[i]);
        toc_sum_add(&total, &lost, b[i].sum);
    }
    out->all.sum = isinf(total) ? total : total + lost;
}

/* The value at t: the last sample, unless it is too old or a marker came behind it. */
static bool look_at(const struct toc_eval *e, const struct toc_rollup *b, size_t end, int64_t t,
                    enum toc_wanted wanted, double *out) {
    if (!end || b[end - 1].ends_stale || !b[end - 1].count ||
        b[end - 1].last_ms <= t - e->query->lookback_ms)
        return false;
    *out = wanted == TOC_WANT_TIME ? (double)b[end - 1].last_ms / 1000.0 : b[end - 1].last;
    return true;
}

void toc_rollup_steps(const struct toc_eval *e, struct toc_worker *w, const struct toc_node *node,
                      const struct toc_node *selector, enum toc_wanted wanted,
                      const struct toc_series_view *s, struct toc_column *out, bool *out_any) {
    const struct toc_rollup *b = s->rollups;
    int64_t resolution = s->resolution_ms;
    int64_t range = toc_rollup_end(selector->range_ms, resolution);
    rollup_fn *fn = served(node);
    size_t first = 0, end = 0;
    bool is_moved = fn && range != selector->range_ms;
    for (size_t i = 0; i < e->step_count; i++) {
        int64_t look = toc_look_ms(e, selector, i), to = toc_rollup_floor(look, resolution);
        double value;
        while (end < s->rollup_count && b[end].end_ms <= to)
            end++;
        while (fn && first < end && b[first].end_ms <= to - range)
            first++;
        struct joined j = {.start_ms = to - range, .end_ms = to};
        if (fn)
            join(b, first, end, &j);
        bool is_there = fn ? j.all.count && fn(&j, &value) : look_at(e, b, end, to, wanted, &value);
        w->queryable += is_there ? fn ? j.all.count : 1 : 0;
        if (w->step_samples && is_there)
            toc_count_step(w, e, i, fn ? j.all.count : 1);
        is_moved |= is_there && to != look;
        if (is_there)
            out->values[i] = value;
        *out_any |= is_there;
    }
    if (is_moved && *out_any)
        note_moved(w, selector, resolution);
}
