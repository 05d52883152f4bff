/* Functions of one window about when samples were, and exponential smoothing. */
#include <math.h>

#include "promql/eval_priv.h"
#include "promql/range_functions_priv.h"

static double seconds(const struct toc_window *w, size_t i) {
    return (double)w->t_ms[i] / 1000.0;
}

int toc_window_first(const struct toc_window *w, struct toc_window_result *out) {
    out->value = w->v[0];
    return 1;
}

int toc_window_ts_of_first(const struct toc_window *w, struct toc_window_result *out) {
    out->value = seconds(w, 0);
    return 1;
}
int toc_window_ts_of_last(const struct toc_window *w, struct toc_window_result *out) {
    out->value = seconds(w, w->count - 1);
    return 1;
}

/* The last of equal extremes; NaN only when there is nothing else. */
static size_t extreme_at(const struct toc_window *w, bool is_max) {
    size_t best = 0;
    for (size_t i = 1; i < w->count; i++)
        if (isnan(w->v[best]) || (is_max ? w->v[i] >= w->v[best] : w->v[i] <= w->v[best]))
            best = i;
    return best;
}

int toc_window_ts_of_min(const struct toc_window *w, struct toc_window_result *out) {
    out->value = seconds(w, extreme_at(w, false));
    return 1;
}
int toc_window_ts_of_max(const struct toc_window *w, struct toc_window_result *out) {
    out->value = seconds(w, extreme_at(w, true));
    return 1;
}

static int bad_factor(const struct toc_window *w, const char *what, const char *name, double v) {
    return toc_errf(&w->worker->err, TOC_EINVAL, "invalid %s factor. Expected: 0 < %s < 1, got: %f",
                    what, name, v);
}

/* Holt's linear method: a level and a trend, both smoothed. */
int toc_window_smoothing(const struct toc_window *w, struct toc_window_result *out) {
    double share = w->parameters[0], trend_share = w->parameters[1];
    if (share <= 0 || share >= 1)
        return bad_factor(w, "smoothing", "sf", share);
    if (trend_share <= 0 || trend_share >= 1)
        return bad_factor(w, "trend", "tf", trend_share);
    if (w->count < 2)
        return 0;
    double level_before = 0, level = w->v[0], trend = w->v[1] - w->v[0];
    for (size_t i = 1; i < w->count; i++) {
        if (i > 1)
            trend = trend_share * (level - level_before) + (1 - trend_share) * trend;
        level_before = level;
        level = share * w->v[i] + (1 - share) * (level + trend);
    }
    out->value = level;
    return 1;
}
