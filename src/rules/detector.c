/* Life, schedule and views of the detectors. */
#include "rules/detector.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "rules/detector_stream.h"

struct toc_detectors *toc_detectors_new(const struct toc_detectors_options *o) {
    struct toc_detectors *d = TOC_NEW(struct toc_detectors);
    d->options = *o;
    if (!d->options.max_series)
        d->options.max_series = 5000;
    if (!d->options.lookback_ms)
        d->options.lookback_ms = 300000;
    if (!d->options.max_samples)
        d->options.max_samples = 10000000;
    toc_mutex_init(&d->mutex, TOC_LOCK_RULES);
    return d;
}

static void detector_free(struct toc_detectors *d, struct detector *x) {
    toc_detector_series_clear(d, x);
    toc_detector_feedback_free(x);
    toc_iforest_free(&x->forest);
    toc_detector_config_fini(&x->config);
    toc_free(x);
}

void toc_detectors_free(struct toc_detectors **d) {
    if (!d || !*d)
        return;
    for (size_t i = 0; i < (*d)->count; i++)
        detector_free(*d, (*d)->items[i]);
    TOC_VEC_FINI(*d);
    toc_mutex_fini(&(*d)->mutex);
    toc_free(*d);
    *d = NULL;
}

/* First slot at or after `now`; the name spreads detectors over their interval. */
static int64_t first_slot(const struct detector_config *c, int64_t now_ms) {
    int64_t offset = (int64_t)(toc_hash64(c->name.p, c->name.n, 0) % (uint64_t)c->interval_ms);
    int64_t slot = now_ms - now_ms % c->interval_ms + offset % c->interval_ms;
    return slot < now_ms ? slot + c->interval_ms : slot;
}

enum { LATE_TRAININGS_MAX = 4 };
static int64_t next_training(const struct detector *x, int rc);

static struct detector *detector_new(struct toc_detectors *d, struct detector_config *take_config,
                                     struct toc_ts now) {
    struct detector *x = TOC_NEW(struct detector);
    x->config = *take_config;
    *take_config = (struct detector_config){0};
    x->last_score = NAN;
    toc_detector_load(d, x, now);
    toc_detector_feedback_load(d, x);
    x->next_slot_ms = first_slot(&x->config, now.ms);
    /* A stored forest is as good as before; a window wants the newest values. */
    bool is_warm = x->forest && x->trained_at.ms > 0;
    x->next_save_ms = now.ms;
    x->next_train_ms = is_warm ? x->trained_at.ms + next_training(x, 0) : now.ms;
    return x;
}

/* The series of a detector that is gone end at once. */
static void end_series(struct toc_detectors *d, struct detector *x, int64_t at_ms) {
    struct detector_output o = {0};
    size_t cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        struct detector_series *s = e->value;
        if (s->is_written)
            toc_detector_output_end(&o, x, s, at_ms);
        s->is_written = false;
    }
    if (toc_detector_output_write(d, &o, NULL) < 0)
        return; /* counted there; lookback ends them */
}

/* Takes an unchanged detector out of the old list. */
static struct detector *take_unchanged(struct toc_detectors *d, const struct detector_config *c) {
    for (size_t i = 0; i < d->count; i++) {
        struct detector *x = d->items[i];
        if (!x || x->config.hash != c->hash || !toc_sv_eq(x->config.name, c->name))
            continue;
        d->items[i] = NULL;
        return x;
    }
    return NULL;
}

static void replace(struct toc_detectors *d, struct detector_configs *configs, struct toc_ts now) {
    struct {
        TOC_VEC_FIELDS(struct detector *)
    } fresh = {0};
    for (size_t i = 0; i < configs->count; i++) {
        struct detector *x = take_unchanged(d, &configs->items[i]);
        TOC_VEC_PUSH(&fresh, x);
    }
    for (size_t i = 0; i < d->count; i++) {
        if (!d->items[i])
            continue;
        end_series(d, d->items[i], now.ms);
        detector_free(d, d->items[i]);
    }
    for (size_t i = 0; i < configs->count; i++)
        if (!fresh.items[i])
            fresh.items[i] = detector_new(d, &configs->items[i], now);
    toc_free(d->items);
    d->items = fresh.items;
    d->count = fresh.count;
    d->capacity = fresh.capacity;
    toc_detector_store_sweep(d);
}

int toc_detectors_set(struct toc_detectors *d, const struct toc_yaml *list, struct toc_ts now,
                      struct toc_err *err) {
    struct detector_configs configs;
    int rc = toc_detector_configs_read(list, &configs, err);
    if (rc < 0)
        return rc;
    toc_mutex_lock(&d->mutex);
    replace(d, &configs, now);
    toc_mutex_unlock(&d->mutex);
    toc_detector_configs_fini(&configs);
    return 0;
}

int64_t toc_detectors_next_due(struct toc_detectors *d) {
    int64_t due = INT64_MAX;
    toc_mutex_lock(&d->mutex);
    for (size_t i = 0; i < d->count; i++)
        due = TOC_MIN(due, d->items[i]->next_slot_ms);
    toc_mutex_unlock(&d->mutex);
    return due;
}

/* A model of a young history is replaced when twice as much is there, later every train_interval.
 */
static int64_t next_training(const struct detector *x, int rc) {
    const struct detector_config *c = &x->config;
    int64_t retry_ms = TOC_MAX(c->interval_ms, (int64_t)TOC_DETECTOR_RETRY_MS);
    bool has_model = x->forest != NULL || x->trained_at.ms > 0;
    if (rc == TOC_ENODATA && !has_model) /* not before there can be enough */
        return TOC_MAX(retry_ms, TOC_MIN(x->points_missing * c->interval_ms,
                                         (int64_t)TOC_DETECTOR_RETRY_MAX_MS));
    if (rc < 0 && !has_model)
        return retry_ms;
    uint64_t known = TOC_MIN(x->training_points, (uint64_t)TOC_DETECTOR_POINTS_MAX);
    if (rc == 0 && c->method == TOC_DETECTOR_FOREST)
        return TOC_MIN(c->train_interval_ms, TOC_MAX(retry_ms, (int64_t)known * c->interval_ms));
    return c->train_interval_ms;
}

static void train_once(struct toc_detectors *d, struct detector *x, int64_t at_ms) {
    struct toc_err err = {0};
    int rc = toc_detector_train(d, x, at_ms, &err);
    bool has_model = x->forest != NULL || x->trained_at.ms > 0;
    x->next_train_ms = at_ms + next_training(x, rc);
    x->is_training_failing = rc < 0 && rc != TOC_ENODATA;
    d->stats.training_failures += x->is_training_failing;
    toc_sv_copy(toc_sv_cstr(err.message), x->train_error, sizeof x->train_error);
    if (rc == TOC_ENODATA && has_model)
        x->train_error[0] = '\0'; /* the old model goes on */
}

/* A training that fell due meanwhile is made as of its own slot, so that an interruption does not
 * change the model; of many the last ones count. */
static void train_if_due(struct toc_detectors *d, struct detector *x, int64_t at_ms) {
    for (int i = 0; i < LATE_TRAININGS_MAX && at_ms >= x->next_train_ms; i++) {
        int64_t late = (at_ms - x->next_train_ms) / x->config.interval_ms;
        bool is_as_of_now = x->trained_at.ms == 0 || i + 1 == LATE_TRAININGS_MAX;
        train_once(d, x, is_as_of_now ? at_ms : at_ms - late * x->config.interval_ms);
    }
}

/* One series of the newest step: judged, learned, written. */
static void run_series(struct toc_detectors *d, struct detector *x,
                       const struct detector_row_set *r, struct detector_output *o, int64_t at_ms) {
    struct detector_series *s = toc_detector_series(d, x, r->labels);
    struct judgement j;
    if (!s)
        return;
    s->seen_ms = at_ms;
    toc_detector_judge(d, x, s, r->cells, &j);
    if (!j.is_judged)
        return;
    x->judged++;
    x->anomalies += j.is_anomaly;
    x->last_score = isnan(x->last_score) ? j.score : fmax(x->last_score, j.score);
    toc_detector_output_add(o, x, s, &j, at_ms);
    s->is_written = true;
}

struct telling {
    struct toc_detectors *d;
    struct detector *x;
    struct detector_output *output;
    int64_t at_ms;
};

static void on_judged(void *ctx, struct detector_series *s, const struct judgement *j) {
    struct telling *t = ctx;
    struct detector *x = t->x;
    x->judged++;
    x->anomalies += j->is_anomaly;
    x->last_score = isnan(x->last_score) ? j->score : fmax(x->last_score, j->score);
    toc_detector_output_add(t->output, x, s, j, t->at_ms);
    s->is_written = true;
}

static void end_vanished(struct detector *x, struct detector_output *o, int64_t at_ms) {
    size_t cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        struct detector_series *s = e->value;
        if (!s->is_written || s->seen_ms >= at_ms)
            continue;
        toc_detector_output_end(o, x, s, at_ms);
        s->is_written = false;
    }
}

/* Of `missing` a series ends when it is forgotten. */
static void end_expiring(struct detector *x, struct detector_output *o, int64_t at_ms) {
    size_t cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        struct detector_series *s = e->value;
        if (!s->is_written || at_ms - s->seen_ms <= x->config.window_ms)
            continue;
        toc_detector_output_end(o, x, s, at_ms);
        s->is_written = false;
    }
}

static int evaluate(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                    struct toc_err *err) {
    struct detector_grid g;
    struct detector_output o = {0};
    x->judged = x->anomalies = 0;
    x->last_score = NAN;
    int rc = toc_detector_query(d, &x->config, at_ms, at_ms, 1, &g, err);
    bool is_stream = toc_detector_is_stream(&x->config);
    if (rc == 0 && is_stream)
        toc_detector_stream_judge(d, x, &g, at_ms, on_judged, &(struct telling){d, x, &o, at_ms});
    for (size_t i = 0; rc == 0 && !is_stream && i < g.series.count; i++)
        run_series(d, x, &g.series.items[i], &o, at_ms);
    toc_detector_grid_fini(&g);
    if (rc < 0)
        return rc;
    if (x->config.method != TOC_DETECTOR_MISSING)
        end_vanished(x, &o, at_ms);
    end_expiring(x, &o, at_ms);
    toc_detector_series_expire(d, x, at_ms);
    d->stats.anomalies += x->anomalies;
    return toc_detector_output_write(d, &o, err);
}

/* Learns what came since the last slot and keeps the state now and then. False: history is not
 * through yet, the next call goes on. */
static bool prepare_stream(struct toc_detectors *d, struct detector *x, int64_t at_ms) {
    struct toc_err err = {0};
    bool is_there = false, has_replayed = x->caught_up_ms < at_ms - x->config.interval_ms;
    int rc = toc_detector_catch_up(d, x, at_ms, &is_there, &err);
    x->is_training_failing = rc < 0;
    d->stats.training_failures += rc < 0;
    d->stats.trainings += is_there && has_replayed && x->series.count > 0;
    if (rc == 0 && !is_there)
        (void)toc_errf(&err, TOC_ENODATA, "reading history: %lld s to go",
                       (long long)(at_ms - x->caught_up_ms) / 1000);
    toc_sv_copy(toc_sv_cstr(err.message), x->train_error, sizeof x->train_error);
    if (is_there && x->series.count > 0 && at_ms >= x->next_save_ms) {
        x->next_save_ms = at_ms + TOC_DETECTOR_SAVE_MS;
        x->model_version = 1;
        x->trained_at.ms = x->caught_up_ms;
        toc_detector_save(d, x);
    }
    return is_there;
}

static void run(struct toc_detectors *d, struct detector *x, int64_t now_ms) {
    struct toc_err err = {0};
    int64_t behind = (now_ms - x->next_slot_ms) / x->config.interval_ms;
    int64_t at_ms = x->next_slot_ms + behind * x->config.interval_ms;
    d->stats.missed += (uint64_t)behind;
    x->next_slot_ms = at_ms + x->config.interval_ms;
    if (!toc_detector_is_stream(&x->config))
        train_if_due(d, x, at_ms);
    else if (!prepare_stream(d, x, at_ms))
        return;
    d->stats.evaluations++;
    if (evaluate(d, x, at_ms, &err) < 0)
        d->stats.evaluation_failures++;
    toc_sv_copy(toc_sv_cstr(err.message), x->last_error, sizeof x->last_error);
}

void toc_detectors_run_due(struct toc_detectors *d, struct toc_ts now) {
    toc_mutex_lock(&d->mutex);
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i]->next_slot_ms <= now.ms)
            run(d, d->items[i], now.ms);
    toc_mutex_unlock(&d->mutex);
}

/* Memory of a detector's series, without their labels. */
static size_t state_bytes_of(const struct detector *x) {
    const struct detector_config *c = &x->config;
    size_t bytes = 0, cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&x->series, &cursor));) {
        const struct detector_series *s = e->value;
        bytes += sizeof *s + 2 * sizeof(double) * s->window.capacity * (s->window.ring != NULL) +
                 (s->tail ? c->feature_count * TOC_DETECTOR_TAIL * sizeof(double) : 0) +
                 toc_detector_stream_bytes(c, s);
    }
    return bytes;
}

static enum toc_detector_state state_of(const struct detector *x) {
    if (x->last_error[0] || x->is_training_failing)
        return TOC_DETECTOR_FAILING;
    if (x->judged > 0 || x->forest)
        return TOC_DETECTOR_READY;
    return TOC_DETECTOR_LEARNING;
}

static void describe_features(const struct detector_config *c, struct toc_buf *out) {
    for (size_t i = 0; i < c->feature_count; i++) {
        const struct detector_feature *f = &c->features[i];
        if (f->name.n)
            toc_buf_printf(out, "%s%.*s: ", i ? "; " : "", TOC_SV_ARG(f->name));
        toc_buf_append_sv(out, f->text);
    }
}

void toc_detectors_each(struct toc_detectors *d, toc_on_detector *fn, void *ctx) {
#define X(e, text, ...) text,
    static const char *const methods[] = {TOC_DETECTOR_METHOD_TABLE(X)};
    static const char *const states[] = {TOC_DETECTOR_STATE_TABLE(X)};
#undef X
    toc_mutex_lock(&d->mutex);
    for (size_t i = 0; i < d->count; i++) {
        const struct detector *x = d->items[i];
        struct toc_buf expr = TOC_BUF_INIT;
        struct toc_detector_feature list[TOC_DETECTOR_FEATURES_MAX];
        for (size_t k = 0; k < x->config.feature_count; k++)
            list[k] = (struct toc_detector_feature){x->config.features[k].name,
                                                    x->config.features[k].text};
        describe_features(&x->config, &expr);
        struct toc_detector_view v = {
            .name = x->config.name,
            .expr = toc_buf_sv(&expr),
            .method = toc_sv_cstr(methods[x->config.method]),
            .interval_ms = x->config.interval_ms,
            .threshold = x->config.threshold,
            .features = x->config.feature_count,
            .feature_list = list,
            .state = toc_sv_cstr(states[state_of(x)]),
            .is_builtin = x->config.is_builtin,
            .model_version = x->model_version,
            .trained_at = x->trained_at,
            .training_points = x->training_points,
            .last_score = x->last_score,
            .last_error = toc_sv_cstr(x->last_error[0] ? x->last_error : x->train_error),
            .series = x->judged,
            .anomalies = x->anomalies,
            .state_bytes = state_bytes_of(x),
        };
        fn(ctx, &v);
        toc_buf_fini(&expr);
    }
    toc_mutex_unlock(&d->mutex);
}

struct toc_detectors_stats toc_detectors_stats(struct toc_detectors *d) {
    toc_mutex_lock(&d->mutex);
    struct toc_detectors_stats s = d->stats;
    s.detectors = d->count;
    s.series = d->series_count;
    for (size_t i = 0; i < d->count; i++)
        s.state_bytes += state_bytes_of(d->items[i]);
    toc_mutex_unlock(&d->mutex);
    return s;
}
