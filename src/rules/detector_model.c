/* Training and judging by both methods. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "detect/stats.h"
#include "rules/detector_stream.h"

#define BAND_TAIL 0.005 /* a forest's band: this share of training values lies on either side */
enum { NORM_VALUES_MIN = 8 };

static bool is_usable(double v) {
    return fabs(v) <= (double)FLT_MAX;
}

struct detector_series *toc_detector_series(struct toc_detectors *d, struct detector *x,
                                            struct toc_labels labels) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_labels_encode(labels, &key);
    struct detector_series *s = toc_map_get(&x->series, toc_buf_sv(&key));
    if (!s && d->series_count >= d->options.max_series) {
        d->stats.series_dropped++;
    } else if (!s) {
        s = TOC_NEW(struct detector_series);
        s->labels = toc_labels_dup(labels);
        if (x->config.preprocess.denoise != TOC_DENOISE_NONE)
            s->tail = TOC_NEW_ARRAY(double, x->config.feature_count *TOC_DETECTOR_TAIL);
        toc_map_put(&x->series, toc_buf_sv(&key), s);
        d->series_count++;
    }
    toc_buf_fini(&key);
    return s;
}

static void series_free(struct detector_series *s) {
    toc_labels_free(&s->labels);
    toc_robust_window_fini(&s->window);
    toc_free(s->tail);
    toc_free(s);
}

void toc_detector_series_clear(struct toc_detectors *d, struct detector *x) {
    size_t cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        toc_detector_stream_free(&x->config, e->value);
        series_free(e->value);
        d->series_count--;
    }
    toc_map_fini(&x->series);
}

void toc_detector_series_expire(struct toc_detectors *d, struct detector *x, int64_t now_ms) {
    size_t cursor = 0;
    bool has_old = false;
    for (const struct toc_map_entry *e; !has_old && (e = toc_map_next(&x->series, &cursor));)
        has_old = now_ms - ((struct detector_series *)e->value)->seen_ms > x->config.window_ms;
    if (!has_old)
        return;
    struct toc_map kept = TOC_MAP_INIT;
    cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        struct detector_series *s = e->value;
        if (now_ms - s->seen_ms <= x->config.window_ms) {
            toc_map_put(&kept, e->key, s);
            continue;
        }
        toc_detector_stream_free(&x->config, s);
        series_free(s);
        d->series_count--;
    }
    toc_map_fini(&x->series);
    x->series = kept;
}

/* ---- training ---- */

/* A window with the newest values of the column; keeps the old one when that knows more. */
static int refill_window(struct detector *x, struct detector_series *s,
                         const struct detector_grid *g, const double *cells) {
    struct toc_robust_window w;
    int rc = toc_robust_window_init(&w, toc_detector_window_points(&x->config));
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < g->steps; i++)
        toc_robust_window_add(&w, cells[i]);
    struct toc_robust_window old = s->window;
    bool is_better = w.count >= old.count;
    s->window = is_better ? w : old;
    toc_robust_window_fini(is_better ? &old : &w);
    return 0;
}

/* The newest raw values, for denoising the ones that follow. */
static void refill_tail(struct detector_series *s, const struct detector_grid *g,
                        const double *cells, size_t feature) {
    if (!s->tail)
        return;
    double *tail = s->tail + feature * TOC_DETECTOR_TAIL;
    size_t count = 0;
    for (size_t i = g->steps; i-- > 0 && count < TOC_DETECTOR_TAIL;)
        if (is_usable(cells[i * g->features + feature]))
            tail[TOC_DETECTOR_TAIL - ++count] = cells[i * g->features + feature];
    memmove(tail, tail + TOC_DETECTOR_TAIL - count, count * sizeof *tail);
    s->tail_count[feature] = count;
}

static int train_robust(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                        const struct detector_grid *g, struct toc_err *err) {
    size_t ready = 0, most = 0;
    uint64_t points = 0;
    for (size_t i = 0; i < g->series.count; i++) {
        struct detector_row_set *r = &g->series.items[i];
        struct detector_series *s = toc_detector_series(d, x, r->labels);
        if (!s)
            continue;
        s->seen_ms = TOC_MAX(s->seen_ms, at_ms);
        refill_tail(s, g, r->cells, 0);
        int rc = toc_detector_preprocess_column(&x->config, g, r->cells, 0);
        if (rc == 0)
            rc = refill_window(x, s, g, r->cells);
        if (rc < 0)
            return toc_errf(err, rc, "training: %s", toc_strerror(rc));
        points += s->window.count;
        most = TOC_MAX(most, s->window.count);
        ready += s->window.count >= (size_t)x->config.min_points;
    }
    x->points_missing = x->config.min_points - (int64_t)most;
    if (ready == 0)
        return toc_errf(err, TOC_ENODATA, "not enough data: no series has %lld values yet",
                        (long long)x->config.min_points);
    x->training_points = points;
    return 0;
}

static bool is_complete(const double *row, size_t features) {
    for (size_t f = 0; f < features; f++)
        if (!is_usable(row[f]))
            return false;
    return true;
}

/* Learns each feature's centre and scale, and applies them to the cells. */
static int normalise_series(const struct detector_config *c, struct detector_series *s,
                            const struct detector_grid *g, double *cells) {
    double *column = toc_try_calloc(2 * g->steps, sizeof *column);
    if (!column)
        return TOC_ENOMEM;
    s->has_norms = true;
    for (size_t f = 0; f < g->features; f++) {
        size_t count = 0;
        for (size_t i = 0; i < g->steps; i++)
            if (is_usable(cells[i * g->features + f]))
                column[count++] = cells[i * g->features + f];
        s->has_norms = s->has_norms && count >= NORM_VALUES_MIN;
        s->norms[f] = toc_normalise_fit(c->preprocess.normalise, column, count, column + g->steps);
        for (size_t i = 0; i < g->steps; i++)
            cells[i * g->features + f] =
                toc_normalise_apply(&s->norms[f], cells[i * g->features + f]);
    }
    toc_free(column);
    return 0;
}

/* Denoises and normalises in place; returns how many rows are complete. */
static int64_t prepare_rows(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                            const struct detector_grid *g) {
    int64_t rows = 0;
    for (size_t i = 0; i < g->series.count; i++) {
        struct detector_row_set *r = &g->series.items[i];
        struct detector_series *s = toc_detector_series(d, x, r->labels);
        int rc = 0;
        for (size_t f = 0; rc == 0 && s && f < g->features; f++) {
            refill_tail(s, g, r->cells, f);
            rc = toc_detector_preprocess_column(&x->config, g, r->cells, f);
        }
        if (rc == 0 && s)
            rc = normalise_series(&x->config, s, g, r->cells);
        if (rc < 0)
            return rc;
        if (!s || !s->has_norms) {
            r->cells = NULL;
            continue;
        }
        s->seen_ms = TOC_MAX(s->seen_ms, at_ms);
        for (size_t k = 0; k < g->steps; k++)
            rows += is_complete(r->cells + k * g->features, g->features);
    }
    return rows;
}

/* Every `stride`-th complete row. */
static size_t gather_rows(const struct detector_grid *g, size_t stride, double *out) {
    size_t seen = 0, kept = 0;
    for (size_t i = 0; i < g->series.count; i++) {
        const double *cells = g->series.items[i].cells;
        for (size_t k = 0; cells && k < g->steps; k++) {
            const double *row = cells + k * g->features;
            if (!is_complete(row, g->features) || seen++ % stride != 0)
                continue;
            memcpy(out + kept++ * g->features, row, g->features * sizeof *row);
        }
    }
    return kept;
}

static int fit_forest(struct detector *x, struct toc_matrix rows, struct toc_err *err) {
    struct toc_iforest_params p = toc_iforest_params_default();
    p.n_estimators = x->config.n_estimators;
    p.contamination = x->config.contamination;
    p.seed = (uint64_t)x->config.seed;
    double *column = toc_try_calloc(rows.rows, sizeof *column);
    if (!column)
        return toc_errf(err, TOC_ENOMEM, "training: out of memory");
    struct toc_iforest *fresh = NULL;
    int rc = toc_iforest_fit(&p, rows, &fresh, err);
    for (size_t f = 0; rc == 0 && f < rows.columns; f++) {
        for (size_t i = 0; i < rows.rows; i++)
            column[i] = rows.values[i * rows.columns + f];
        x->band_lower[f] = toc_quantile_select(column, rows.rows, BAND_TAIL);
        x->band_upper[f] = toc_quantile_select(column, rows.rows, 1 - BAND_TAIL);
    }
    toc_free(column);
    if (rc < 0)
        return rc;
    toc_iforest_free(&x->forest);
    x->forest = fresh;
    x->training_points = rows.rows;
    return 0;
}

static int train_forest(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                        const struct detector_grid *g, struct toc_err *err) {
    int64_t rows = prepare_rows(d, x, at_ms, g);
    if (rows < 0)
        return toc_errf(err, (int)rows, "training: %s", toc_strerror((int)rows));
    int64_t series = TOC_MAX((int64_t)g->series.count, 1);
    x->points_missing = (x->config.min_points - rows + series - 1) / series;
    if (rows < x->config.min_points)
        return toc_errf(err, TOC_ENODATA,
                        "not enough data: %lld complete rows of the %lld that min_points asks for",
                        (long long)rows, (long long)x->config.min_points);
    size_t stride = ((size_t)rows + TOC_DETECTOR_ROWS_MAX - 1) / TOC_DETECTOR_ROWS_MAX;
    double *values = toc_try_calloc(((size_t)rows / stride + 1) * g->features, sizeof *values);
    if (!values)
        return toc_errf(err, TOC_ENOMEM, "training on %lld rows: out of memory", (long long)rows);
    struct toc_matrix m = {values, gather_rows(g, stride, values), g->features};
    int rc = fit_forest(x, m, err);
    toc_free(values);
    return rc;
}

/* With denoising history has the step of live evaluation, else it may be thinned. */
static int64_t training_step(const struct detector_config *c) {
    int64_t points = c->history_ms / c->interval_ms;
    bool is_fixed = c->method == TOC_DETECTOR_ROBUST_Z || c->preprocess.denoise != TOC_DENOISE_NONE;
    int64_t stride = (points + TOC_DETECTOR_POINTS_MAX - 1) / TOC_DETECTOR_POINTS_MAX;
    return c->interval_ms * (is_fixed ? 1 : TOC_MAX(stride, 1));
}

static int train_with_step(struct toc_detectors *d, struct detector *x, int64_t at_ms, int64_t step,
                           struct toc_err *err) {
    const struct detector_config *c = &x->config;
    int64_t end = at_ms - c->interval_ms;
    int64_t steps = TOC_MIN(c->history_ms / step, (int64_t)2 * TOC_DETECTOR_POINTS_MAX);
    struct detector_grid g;
    int rc = toc_detector_query(d, c, end - (steps - 1) * step, end, step, &g, err);
    if (rc == 0)
        rc = c->method == TOC_DETECTOR_FOREST ? train_forest(d, x, at_ms, &g, err)
                                              : train_robust(d, x, at_ms, &g, err);
    toc_detector_grid_fini(&g);
    return rc;
}

int toc_detector_train(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                       struct toc_err *err) {
    int64_t step = training_step(&x->config);
    int rc = train_with_step(d, x, at_ms, step, err);
    /* Young history has too few points on the thinned grid, but may have enough on the live one. */
    if (rc == TOC_ENODATA && step > x->config.interval_ms && !x->forest) {
        toc_err_reset(err);
        rc = train_with_step(d, x, at_ms, x->config.interval_ms, err);
    }
    if (rc < 0)
        return rc;
    x->model_version++;
    x->trained_at.ms = at_ms;
    d->stats.trainings++;
    toc_detector_feedback_replay(d, x);
    toc_detector_save(d, x);
    return 0;
}

/* ---- judging ---- */

/* The value after denoising with those before it. */
static int denoise(const struct detector_config *c, struct detector_series *s, size_t feature,
                   double *value) {
    if (!s->tail)
        return 0;
    double *tail = s->tail + feature * TOC_DETECTOR_TAIL, copy[TOC_DETECTOR_TAIL];
    int64_t t_ms[TOC_DETECTOR_TAIL];
    size_t *count = &s->tail_count[feature];
    if (*count == TOC_DETECTOR_TAIL)
        memmove(tail, tail + 1, --*count * sizeof *tail);
    tail[(*count)++] = *value;
    memcpy(copy, tail, *count * sizeof *copy);
    for (size_t i = 0; i < *count; i++)
        t_ms[i] = (int64_t)i;
    int64_t left = toc_preprocess_series(&c->preprocess, t_ms, copy, *count);
    if (left <= 0)
        return TOC_ENOMEM;
    *value = copy[left - 1];
    return 0;
}

static double directed(enum toc_detector_direction direction, double z) {
    if (direction == TOC_DIRECTION_BOTH)
        return fabs(z);
    return fmax(direction == TOC_DIRECTION_UP ? z : -z, 0);
}

static void judge_robust(struct detector *x, struct detector_series *s, double value,
                         struct judgement *out) {
    const struct detector_config *c = &x->config;
    struct toc_robust r;
    if (!s->window.ring && toc_robust_window_init(&s->window, toc_detector_window_points(c)) < 0)
        return;
    toc_robust_window_fit(&s->window, &r);
    toc_robust_window_add(&s->window, value);
    if (r.count < (size_t)c->min_points)
        return;
    out->is_judged = true;
    out->score = directed(c->direction, toc_robust_z(&r, value));
    out->is_anomaly = out->score > c->threshold;
    toc_robust_band(&r, c->threshold, &out->lower[0], &out->upper[0]);
}

static void judge_forest(struct detector *x, struct detector_series *s, double *values,
                         struct judgement *out) {
    const struct detector_config *c = &x->config;
    bool needs_norms = c->preprocess.normalise != TOC_NORMALISE_NONE;
    if (!x->forest || (needs_norms && !s->has_norms))
        return;
    for (size_t f = 0; f < c->feature_count; f++) {
        struct toc_normalisation n = needs_norms ? s->norms[f] : (struct toc_normalisation){0, 1};
        values[f] = toc_normalise_apply(&n, values[f]);
        out->lower[f] = toc_normalise_undo(&n, x->band_lower[f]);
        out->upper[f] = toc_normalise_undo(&n, x->band_upper[f]);
    }
    double score;
    struct toc_matrix row = {values, 1, c->feature_count};
    if (toc_iforest_score(x->forest, row, &score, NULL) < 0)
        return;
    out->is_judged = true;
    out->score = -score;
    out->feedback_score = toc_detector_feedback_score(x, values);
    out->is_anomaly = isnan(c->threshold)
                          ? toc_iforest_is_anomaly(score, toc_iforest_info(x->forest).offset)
                          : out->score > c->threshold;
}

void toc_detector_judge(struct toc_detectors *d, struct detector *x, struct detector_series *s,
                        const double *values, struct judgement *out) {
    double copy[TOC_DETECTOR_FEATURES_MAX];
    *out = (struct judgement){.feedback_score = NAN};
    if (!is_complete(values, x->config.feature_count)) {
        d->stats.values_skipped++;
        return;
    }
    for (size_t f = 0; f < x->config.feature_count; f++) {
        copy[f] = values[f];
        if (denoise(&x->config, s, f, &copy[f]) < 0)
            return;
    }
    if (x->config.method == TOC_DETECTOR_FOREST)
        judge_forest(x, s, copy, out);
    else
        judge_robust(x, s, copy[0], out);
    if (!out->is_judged)
        return;
    s->recent = s->recent << 1 | out->is_anomaly;
    s->recent_count = TOC_MIN(s->recent_count + 1, (unsigned)TOC_DETECTOR_RATE_SPAN);
}
