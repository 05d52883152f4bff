#include <math.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/attrs.h"
#include "detect/method_priv.h"

enum {
    NEIGHBOUR_ROWS = 16,
    NEIGHBOUR_PIECES = 8,
    NEIGHBOUR_WINDOWS = 256,
    ROBUST_ROWS = 256,
    ROBUST_ROWS_MIN = 30,
    LEVEL_ROWS_MIN = 20,
    SEASON_ROWS = 2048, /* looked at once for a season of at most half of them */
};
static const double BAND_Z = 3, Z_CLIP = 20;
/* A confirmed change lies 4.5 standard errors of medians off: -log10 of the two-sided normal tail.
 */
static const double SURPRISE_OF_CHANGE = 5.17;

int toc_method_column_init(struct method_column *c, enum toc_method m, struct toc_err *err) {
    static const struct toc_holt_options plain = {0};
    int rc = 0;
    *c = (struct method_column){0};
    if (m == TOC_METHOD_NEAREST_NEIGHBOUR)
        return toc_window_memory_new(&(struct toc_window_shape_options){1, NEIGHBOUR_ROWS,
                                                                        NEIGHBOUR_PIECES,
                                                                        NEIGHBOUR_WINDOWS, false},
                                     &c->windows, err);
    if (m == TOC_METHOD_ROBUST_Z)
        rc = toc_robust_window_init(&c->robust, ROBUST_ROWS);
    if (m == TOC_METHOD_EWMA)
        rc = toc_holt_init(&c->smooth.holt, &plain);
    if (m == TOC_METHOD_HOLT_WINTERS) {
        c->smooth.waiting = toc_try_calloc(SEASON_ROWS, sizeof *c->smooth.waiting);
        rc = c->smooth.waiting ? toc_holt_init(&c->smooth.holt, &plain) : TOC_ENOMEM;
    }
    return rc < 0 ? toc_errf(err, rc, "cannot prepare a detector: %s", toc_strerror(rc)) : 0;
}

void toc_method_column_fini(struct method_column *c, enum toc_method m) {
    if (m == TOC_METHOD_NEAREST_NEIGHBOUR)
        toc_window_memory_free(&c->windows);
    else if (m == TOC_METHOD_ROBUST_Z)
        toc_robust_window_fini(&c->robust);
    else if (m == TOC_METHOD_EWMA || m == TOC_METHOD_HOLT_WINTERS) {
        toc_holt_fini(&c->smooth.holt);
        toc_free(c->smooth.waiting);
    }
}

size_t toc_method_column_bytes(const struct method_column *c, enum toc_method m) {
    size_t bytes = sizeof *c;
    if (m == TOC_METHOD_NEAREST_NEIGHBOUR)
        bytes += toc_window_memory_bytes(c->windows);
    else if (m == TOC_METHOD_ROBUST_Z)
        bytes += 2 * c->robust.capacity * sizeof(double);
    else if (m == TOC_METHOD_EWMA || m == TOC_METHOD_HOLT_WINTERS)
        bytes += (c->smooth.waiting ? SEASON_ROWS : 0) * sizeof(double) +
                 c->smooth.holt.options.season * sizeof(double);
    return bytes;
}

void toc_method_column_break(struct method_column *c, enum toc_method m) {
    if (m == TOC_METHOD_NEAREST_NEIGHBOUR)
        toc_window_memory_break(c->windows);
}

/* How far in the watched direction. */
static double watched(enum toc_stream_direction d, double residual) {
    if (d == TOC_STREAM_UP)
        return fmax(residual, 0);
    return d == TOC_STREAM_DOWN ? fmax(-residual, 0) : fabs(residual);
}

static struct method_verdict of_score(double score) {
    return (struct method_verdict){score, -1, NAN, NAN};
}

/* A residual to what was expected. The band is what 2 % of the residuals so far exceed. */
static struct method_verdict of_residual(const struct method_column *c, enum toc_stream_direction d,
                                         double value, double residual) {
    struct method_verdict v = of_score(watched(d, residual));
    double usual = c->tail.tail.threshold > 0 ? (double)c->tail.tail.threshold : NAN;
    v.lower = value - residual - usual;
    v.upper = value - residual + usual;
    return v;
}

static struct method_verdict step_energy(struct method_column *c, double value) {
    double z = toc_moments_z(&c->moments, value, toc_moments_spread(&c->moments), Z_CLIP);
    double sum = toc_block_sum_add(&c->energy, z * z);
    return of_score(c->moments.count <= TOC_BLOCK_VALUES ? -1 : sqrt(sum));
}

static struct method_verdict step_level(struct method_column *c, enum toc_stream_direction d,
                                        double value) {
    double residual = toc_level_residual(&c->level, value);
    return c->level.count <= LEVEL_ROWS_MIN ? of_score(-1) : of_residual(c, d, value, residual);
}

static struct method_verdict step_seasonal(struct method_column *c, enum toc_stream_direction d,
                                           double seconds, double value) {
    struct toc_season_residuals r = toc_seasons_step(&c->seasons, seconds, value);
    if (!r.has_day && !r.has_week)
        return of_score(-1);
    bool is_week = r.has_week && (!r.has_day || fabs(r.week) < fabs(r.day));
    return of_residual(c, d, value, is_week ? r.week : r.day);
}

static struct method_verdict of_forecast(struct toc_forecast f, enum toc_stream_direction d) {
    if (!isfinite(f.expected) || !(f.scale > 0))
        return of_score(-1);
    return (struct method_verdict){watched(d, f.z), -1, f.expected - BAND_Z * f.scale,
                                   f.expected + BAND_Z * f.scale};
}

/* Begins again with the season that the first rows show, if they show one, and learns them. */
static void look_for_season(struct method_smooth *s) {
    size_t season = toc_season_find(s->waiting, s->count, s->count / 2);
    const struct toc_holt_options o = {.season = (uint32_t)season};
    struct toc_holt fresh;
    if (season && toc_holt_init(&fresh, &o) == 0) {
        toc_holt_fini(&s->holt);
        s->holt = fresh;
        for (size_t i = 0; i < s->count; i++)
            (void)toc_holt_step(&s->holt, s->waiting[i]);
    }
    toc_free(s->waiting);
    s->waiting = NULL;
}

static struct method_verdict step_smooth(struct method_smooth *s, enum toc_stream_direction d,
                                         double value) {
    struct method_verdict v = of_forecast(toc_holt_step(&s->holt, value), d);
    if (s->waiting) {
        s->waiting[s->count++] = value;
        if (s->count == SEASON_ROWS)
            look_for_season(s);
    }
    return v;
}

/* No more surprise than the own record proves, as of the anomaly bit: of a series that changes its
 * level every hour a change is no news. */
static double surprise_of_change(struct method_column *c) {
    double proven = log10(((double)c->rows + 1000) / ((double)c->changes + 0.5));
    c->changes++;
    return fmin(SURPRISE_OF_CHANGE, proven);
}

static struct method_verdict step_change(struct method_column *c, enum toc_stream_direction d,
                                         double value) {
    static const struct toc_change_options defaults = {0};
    struct toc_level_change l = toc_change_point_step(&c->change, &defaults, value);
    bool is_watched = l.is_change && watched(d, l.after - l.before) > 0;
    return (struct method_verdict){l.probability, is_watched ? surprise_of_change(c) : 0, l.lower,
                                   l.upper};
}

static struct method_verdict step_robust(struct method_column *c, enum toc_stream_direction d,
                                         double value) {
    struct method_verdict v = of_score(-1);
    if (c->robust.count >= ROBUST_ROWS_MIN) {
        struct toc_robust fit;
        toc_robust_window_fit(&c->robust, &fit);
        v.score = watched(d, toc_robust_z(&fit, value));
        toc_robust_band(&fit, BAND_Z, &v.lower, &v.upper);
    }
    toc_robust_window_add(&c->robust, value);
    return v;
}

static struct method_verdict of_surprise(double surprise) {
    return (struct method_verdict){surprise, surprise, NAN, NAN};
}

static struct method_verdict step_bit(struct toc_anomaly_bit *s, double seconds, double value) {
    bool is_judged = toc_anomaly_bit_step(s, (int64_t)(seconds * 1000), value);
    return of_surprise(is_judged ? (double)s->surprise : 0);
}

struct method_verdict toc_method_column_step(struct method_column *c,
                                             const struct toc_method_options *o, double seconds,
                                             double value) {
    enum toc_stream_direction d = o->stream.direction;
    bool has_moved = !c->has_last || value != c->last;
    float point = (float)value;
    c->last = value;
    c->has_last = true;
    c->rows++;
    switch (o->method) {
    case TOC_METHOD_NEAREST_NEIGHBOUR:
        return of_score(toc_window_memory_step(c->windows, &point).squared);
    case TOC_METHOD_ENERGY:
        return step_energy(c, value);
    case TOC_METHOD_LEVEL:
        return step_level(c, d, value);
    case TOC_METHOD_LINE:
        return of_score(toc_line_residual(&c->line, value));
    case TOC_METHOD_SEASONAL:
        return step_seasonal(c, d, seconds, value);
    case TOC_METHOD_EWMA:
    case TOC_METHOD_HOLT_WINTERS:
        return step_smooth(&c->smooth, d, value);
    case TOC_METHOD_CHANGE_POINT:
        return step_change(c, d, value);
    case TOC_METHOD_ROBUST_Z:
        return step_robust(c, d, value);
    case TOC_METHOD_FLAT_LINE:
        return of_surprise(toc_quiet_step(&c->quiet, has_moved));
    case TOC_METHOD_EVERY_SERIES:
        return step_bit(&c->bit, seconds, value);
    case TOC_METHOD_ENSEMBLE:
    case TOC_METHOD_ISOLATION_FOREST:
    case TOC_METHODS:
        break;
    }
    TOC_UNREACHABLE();
}
