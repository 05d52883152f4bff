/*
 * One metric. The score ranks by two things seen over a window: how unlike any earlier window it is
 * (64 points) and how much energy it has (root mean square z over 200 points). The alert listens to
 * short windows (16 and 4 points) and to the smallest of the residuals to level, day and week: what
 * any of the three explains is normal.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/stream_priv.h"

enum { SEASON_POINTS = 50401, INTERVALS = 31 };

struct toc_stream_metric {
    struct toc_window_memory *long_windows, *short_windows, *point_windows;
    struct toc_moments moments;
    struct toc_sliding_sum energy;
    struct toc_level level;
    struct toc_season *season;
    struct toc_scored long_score, energy_score, short_score, point_score, residual_score;
    double intervals[INTERVALS], last_seconds, interval; /* seconds between rows: a first median */
    size_t interval_count;
};

int toc_stream_metric_new(size_t windows, struct toc_stream_metric **out, struct toc_err *err) {
    struct toc_stream_metric *m = TOC_NEW(struct toc_stream_metric);
    *out = m;
    m->energy.width = 200;
    m->last_seconds = NAN;
    m->season = toc_season_new(SEASON_POINTS);
    int rc = m->season ? 0 : toc_errf(err, TOC_ENOMEM, "no memory for a season");
    if (rc == 0)
        rc = toc_window_memory_new(&(struct toc_window_shape_options){1, 64, 16, windows},
                                   &m->long_windows, err);
    if (rc == 0)
        rc = toc_window_memory_new(&(struct toc_window_shape_options){1, 16, 8, windows},
                                   &m->short_windows, err);
    if (rc == 0)
        rc = toc_window_memory_new(&(struct toc_window_shape_options){1, 4, 4, windows},
                                   &m->point_windows, err);
    if (rc < 0)
        toc_stream_metric_free(out);
    return rc;
}

void toc_stream_metric_free(struct toc_stream_metric **m) {
    if (!*m)
        return;
    toc_window_memory_free(&(*m)->long_windows);
    toc_window_memory_free(&(*m)->short_windows);
    toc_window_memory_free(&(*m)->point_windows);
    toc_season_free(&(*m)->season);
    toc_free(*m);
    *m = NULL;
}

size_t toc_stream_metric_bytes(const struct toc_stream_metric *m) {
    return sizeof *m + toc_window_memory_bytes(m->long_windows) +
           toc_window_memory_bytes(m->short_windows) + toc_window_memory_bytes(m->point_windows) +
           SEASON_POINTS * sizeof(float);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The usual distance of rows, from the first few; seasons wait for it. */
static void learn_interval(struct toc_stream_metric *m, double seconds) {
    if (m->interval_count < INTERVALS && seconds > m->last_seconds)
        m->intervals[m->interval_count++] = seconds - m->last_seconds;
    m->last_seconds = seconds;
    if (m->interval_count < INTERVALS || m->interval > 0)
        return;
    qsort(m->intervals, INTERVALS, sizeof *m->intervals, by_value);
    m->interval = m->intervals[INTERVALS / 2];
}

static size_t period_of(const struct toc_stream_metric *m, double seconds) {
    double points = m->interval > 0 ? round(seconds / m->interval) : 0;
    return points >= 4 && points < SEASON_POINTS ? (size_t)points : 0;
}

/* Residuals to level, day and week; negative where there is none yet. */
struct residuals {
    double level, day, week;
};

static struct residuals residuals_of(struct toc_stream_metric *m, double v) {
    return (struct residuals){toc_level_residual(&m->level, v),
                              toc_season_residual(m->season, v, period_of(m, 86400)),
                              toc_season_residual(m->season, v, period_of(m, 604800))};
}

static double smallest_of(struct residuals r) {
    double residual = r.level;
    residual = r.day >= 0 ? fmin(residual, r.day) : residual;
    return r.week >= 0 ? fmin(residual, r.week) : residual;
}

/* A residual in standard deviations, bounded so that it stays finite. */
static float ratio(const struct toc_stream_metric *m, double residual) {
    double sd = m->moments.count > 1 ? sqrt(m->moments.squares / (double)m->moments.count) : 0;
    return sd > 0 && residual > 0 ? (float)fmin(residual / sd, 1e6) : 0;
}

struct toc_verdict toc_stream_metric_step(struct toc_stream_metric *m, double seconds, double v) {
    struct toc_verdict out = {0};
    float point = (float)v, *f = out.features;
    learn_interval(m, seconds);
    double z = toc_moments_z(&m->moments, v, 20);
    double energy = sqrt(toc_sliding_sum_add(&m->energy, z * z) / (double)m->energy.width);
    double far = toc_window_memory_step(m->long_windows, &point).squared;
    double near = toc_window_memory_step(m->short_windows, &point).squared;
    double now = toc_window_memory_step(m->point_windows, &point).squared;
    struct residuals r = residuals_of(m, v);
    toc_season_learn(m->season, v);
    f[TOC_STREAM_LONG_WINDOW] = far < 0 ? 0 : (float)toc_tail_surprise(&m->long_score.tail, far);
    f[TOC_STREAM_ENERGY] = (float)toc_tail_surprise(&m->energy_score.tail, energy);
    f[TOC_STREAM_NOISE] = ratio(m, m->residual_score.tail.threshold);
    out.rank = toc_scored_excess(&m->long_score, far) + toc_scored_excess(&m->energy_score, energy);
    f[TOC_STREAM_SHORT_WINDOW] = (float)toc_scored_surprise(&m->short_score, near);
    f[TOC_STREAM_POINT_WINDOW] = (float)toc_scored_surprise(&m->point_score, now);
    f[TOC_STREAM_RESIDUAL] = (float)toc_scored_surprise(&m->residual_score, smallest_of(r));
    f[TOC_STREAM_LEVEL_RATIO] = ratio(m, r.level);
    f[TOC_STREAM_DAY_RATIO] = ratio(m, r.day);
    f[TOC_STREAM_WEEK_RATIO] = ratio(m, r.week);
    f[TOC_STREAM_SIGNED_Z] = (float)z;
    double surprise = log1p(f[TOC_STREAM_SHORT_WINDOW]) + log1p(f[TOC_STREAM_POINT_WINDOW]) +
                      log1p(f[TOC_STREAM_RESIDUAL]);
    out.surprise = expm1(surprise / 3);
    return out;
}
