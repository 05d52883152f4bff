/*
 * Counters whose samples tell when the series began (start timestamps): a beginning behind the
 * sample before is a reset even when the value did not fall, and a beginning inside the window is
 * where the counter was zero.
 */
#include <math.h>

#include "promql/eval_priv.h"
#include "promql/extrapolate_priv.h"
#include "promql/range_functions_priv.h"

/* A start at or after its own sample says nothing. */
static bool is_known(const struct toc_window *w, size_t i) {
    return w->sample_start_ms[i] != 0 && w->sample_start_ms[i] < w->t_ms[i];
}

bool toc_window_starts_anew(const struct toc_window *w, size_t i) {
    if (!w->sample_start_ms || !is_known(w, i))
        return false;
    int64_t start = w->sample_start_ms[i], before = w->t_ms[i - 1];
    return start > before || (start == before && is_known(w, i - 1));
}

bool toc_window_starts_inside(const struct toc_window *w) {
    return w->sample_start_ms && is_known(w, 0) && w->sample_start_ms[0] > w->start_ms;
}

static bool begins_anew(const struct toc_window *w, size_t i) {
    return w->v[i] < w->v[i - 1] || toc_window_starts_anew(w, i);
}

void toc_window_note_overlap(const struct toc_window *w) {
    for (size_t i = 1; w->sample_start_ms && i < w->count; i++) {
        int64_t start = w->sample_start_ms[i];
        if (start == 0 || start >= w->t_ms[i - 1] || start == w->sample_start_ms[i - 1])
            continue;
        struct toc_sv name = toc_labels_get(w->labels, TOC_METRIC_NAME);
        toc_worker_note(w->worker, TOC_NOTE_WARNING, toc_call_range(w->call),
                        "sample has start time that overlaps with previous sample timestamp for "
                        "metric \"%.*s\"",
                        TOC_SV_ARG(name));
        return;
    }
}

static bool extrapolate(const struct toc_window *w, bool is_rate, double *out) {
    size_t last = w->count - 1;
    bool is_whole = toc_window_starts_inside(w);
    if (w->count < 2 && !is_whole)
        return false;
    toc_window_note_overlap(w);
    double result = w->v[last] - w->v[0];
    for (size_t i = 1; i <= last; i++)
        if (begins_anew(w, i))
            result += w->v[i - 1];
    struct toc_window_shape shape = {w->t_ms[0] - w->start_ms, w->t_ms[last] - w->t_ms[0],
                                     w->end_ms - w->t_ms[last], last};
    double factor;
    if (is_whole) { /* a sample of zero there, and nothing before it */
        result += w->v[0];
        factor = toc_window_reach_from(shape, w->t_ms[last] - w->sample_start_ms[0]).factor;
    } else {
        struct toc_window_reach reach = toc_window_reach(shape);
        factor = toc_counter_factor(&reach, w->v[0], result);
    }
    if (is_rate)
        factor /= (double)(w->end_ms - w->start_ms) / 1000.0;
    *out = result * factor;
    return true;
}

int toc_start_rate(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, true, &out->value);
}
int toc_start_increase(const struct toc_window *w, struct toc_window_result *out) {
    return extrapolate(w, false, &out->value);
}

int toc_start_irate(const struct toc_window *w, struct toc_window_result *out) {
    size_t last = w->count - 1;
    int64_t ms = last ? w->t_ms[last] - w->t_ms[last - 1] : 0;
    if (ms == 0)
        return 0;
    double increase = begins_anew(w, last) ? w->v[last] : w->v[last] - w->v[last - 1];
    out->value = increase / ((double)ms / 1000.0);
    return 1;
}

int toc_start_resets(const struct toc_window *w, struct toc_window_result *out) {
    double n = 0;
    for (size_t i = 1; i < w->count; i++)
        n += begins_anew(w, i);
    out->value = n;
    return 1;
}
