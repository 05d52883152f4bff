#include "detect/stream.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/attrs.h"
#include "detect/quick_log.h"
#include "detect/stream_priv.h"

enum {
    COLUMNS_MAX = 1024,
    WINDOWS_OF_METRIC = TOC_STREAM_WINDOWS,
    WINDOWS_OF_ENTITY = 96,
    WINDOWS_MAX = 4096,
    GAP_ROWS = 128
};

static const double SURPRISE_OF_INFINITY = 100, SCORE_OF_INFINITY = 0.98;

double toc_row_surprise(double surprise) {
    return surprise + 0.15;
}

double toc_stretch_surprise(double a, double b) {
    static const double at = 2.3, bar = 3.3, flat = 0.2, steep = 1;
    double mean = sqrt((1 + a) * (1 + b)) - 1;
    double on_bar = bar + (mean - at) / (mean < at ? flat : steep);
    return on_bar > 0 ? on_bar : 0;
}

static int check_options(const struct toc_stream_options *o, struct toc_err *err) {
    if (!o->columns || o->columns > COLUMNS_MAX)
        return toc_errf(err, TOC_EINVAL, "%zu columns: expected 1 to %d", o->columns, COLUMNS_MAX);
    if (o->windows > WINDOWS_MAX)
        return toc_errf(err, TOC_EINVAL, "%zu windows: expected 1 to %d", o->windows, WINDOWS_MAX);
    if (o->k > o->m || o->m > 32)
        return toc_errf(err, TOC_EINVAL, "%u of %u rows: expected k of m with m at most 32", o->k,
                        o->m);
    if (!(o->budget_seconds >= 0 && o->budget_seconds < 1e12) ||
        !(o->threshold >= 0 && o->threshold < 1e6) || (unsigned)o->direction > TOC_STREAM_DOWN)
        return toc_errf(err, TOC_EINVAL, "budget, threshold or direction out of range");
    return 0;
}

static size_t windows_of(const struct toc_stream_options *o) {
    return o->windows ? o->windows : o->columns == 1 ? WINDOWS_OF_METRIC : WINDOWS_OF_ENTITY;
}

/* The stream; of a metric with all its parts, so that a row of many streams in turn touches one
 * place and its address is known at once. */
static size_t block_bytes(const struct toc_stream_options *o) {
    return sizeof(struct toc_stream) + o->columns * sizeof(double) +
           (o->columns == 1 ? toc_stream_metric_bytes(windows_of(o)) : 0);
}

static void fill_defaults(struct toc_stream *s) {
    struct toc_stream_options *o = &s->options;
    o->windows = windows_of(o);
    o->k = o->k ? o->k : 1;
    o->m = o->m ? o->m : 1;
    o->budget_seconds = o->budget_seconds > 0 ? o->budget_seconds : TOC_STREAM_BUDGET_SECONDS;
    s->alert_options = (struct toc_budget_options){o->budget_seconds, o->threshold, o->k, o->m};
}

int toc_stream_new(const struct toc_stream_options *options, struct toc_stream **out,
                   struct toc_err *err) {
    *out = NULL;
    int rc = check_options(options, err);
    if (rc < 0)
        return rc;
    struct toc_stream *s = *out = toc_try_calloc(1, block_bytes(options));
    if (!s)
        return toc_errf(err, TOC_ENOMEM, "no memory for a stream of %zu columns", options->columns);
    s->options = *options;
    fill_defaults(s);
    if (options->columns == 1)
        s->metric = toc_stream_metric_place(s->options.windows, s->values + 1);
    else
        rc = toc_stream_entity_new(options->columns, s->options.windows, &s->entity, err);
    if (rc < 0)
        toc_stream_free(out);
    return rc;
}

void toc_stream_free(struct toc_stream **s) {
    if (!*s)
        return;
    toc_stream_entity_free(&(*s)->entity);
    toc_free(*s);
    *s = NULL;
}

size_t toc_stream_columns(const struct toc_stream *s) {
    return s->options.columns;
}

size_t toc_stream_bytes(const struct toc_stream *s) {
    return block_bytes(&s->options) + (s->entity ? toc_stream_entity_bytes(s->entity) : 0);
}

/* A missing value repeats the column's last one; false when all are missing. */
static bool fill(struct toc_stream *s, const double *values) {
    bool any = false;
    for (size_t i = 0; i < s->options.columns; i++) {
        if (!isfinite(values[i]) || fabs(values[i]) > 1e30)
            continue;
        any = true;
        s->values[i] = values[i];
    }
    return any;
}

/* Keeps what the row says where the alert is at its highest. */
static void note_alert(struct toc_stream *s, struct toc_verdict *v, bool is_first) {
    if (is_first)
        s->alert_rows = 0;
    s->alert_rows += s->alert_rows < UINT32_MAX;
    v->features[TOC_STREAM_SURPRISE] = (float)v->surprise;
    v->features[TOC_STREAM_PEAK_EXCESS] = (float)(v->surprise - s->last.bar);
    v->features[TOC_STREAM_SCORE] = (float)s->last.score;
    v->features[TOC_STREAM_LOG_INTERVAL] = s->log_interval * 0.30103f;
    if (is_first || v->features[TOC_STREAM_SURPRISE] > s->features[TOC_STREAM_SURPRISE])
        memcpy(s->features, v->features, sizeof s->features);
    s->features[TOC_STREAM_LOG_ROWS] = (float)log10(s->alert_rows);
}

/* The usual distance of rows: a mean of logarithms in which one row moves it by an octave at most.
 */
static void learn_interval(struct toc_stream *s, double seconds) {
    double since = seconds - s->last_seconds;
    since = TOC_MIN(TOC_MAX(since, 1e-9), 1e12);
    float off = toc_quick_log2((float)since) - s->log_interval;
    s->intervals += s->intervals < UINT32_MAX;
    if (s->intervals == 1)
        s->log_interval += off;
    else
        s->log_interval += TOC_MIN(TOC_MAX(off, -1.0f), 1.0f) *
                           (s->intervals < 64 ? 1.0f / (float)s->intervals : 1.0f / 64);
    if (s->intervals < 64 || s->intervals % 16 == 0)
        s->interval = exp2f(s->log_interval);
}

static struct toc_stream_result without_row(const struct toc_stream *s) {
    struct toc_stream_result r = s->last;
    r.surprise = 0;
    r.is_alert = false;
    return r;
}

/* A value that should be a number is none. Nothing is learnt from the row. */
static struct toc_stream_result take_infinity(struct toc_stream *s, double seconds) {
    struct toc_verdict v = {.surprise = SURPRISE_OF_INFINITY};
    s->was_alert = s->last.is_alert;
    s->last_seconds = seconds;
    s->has_row = true;
    s->last.score = SCORE_OF_INFINITY;
    s->last.surprise = v.surprise;
    s->last.is_alert = true;
    note_alert(s, &v, !s->was_alert);
    return s->last;
}

static bool has_infinity(const struct toc_stream *s, const double *values) {
    for (size_t i = 0; i < s->options.columns && s->options.is_infinity_alert; i++)
        if (isinf(values[i]))
            return true;
    return false;
}

static void note_time(struct toc_stream *s, double seconds) {
    if (s->has_row) {
        bool is_gap =
            s->intervals > 8 && seconds - s->last_seconds > (double)GAP_ROWS * s->interval;
        if (is_gap && s->metric)
            toc_stream_metric_break(s->metric);
        else if (is_gap)
            toc_stream_entity_break(s->entity);
        learn_interval(s, seconds);
    }
    s->has_row = true;
    s->last_seconds = seconds;
}

static struct toc_stream_result step(struct toc_stream *s, double seconds, const double *values,
                                     const struct toc_stream_ahead *ahead) {
    bool is_late = s->has_row && !(seconds > s->last_seconds);
    if (!is_late && fabs(seconds) < 1e15 && has_infinity(s, values))
        return take_infinity(s, seconds);
    if (is_late || !(fabs(seconds) < 1e15) || !fill(s, values))
        return without_row(s);
    double since = s->has_row ? seconds - s->last_seconds : 0;
    note_time(s, seconds);
    struct toc_metric_seen seen;
    struct toc_verdict v = s->metric ? toc_stream_metric_step(s->metric, s->options.direction,
                                                              seconds, s->values[0], ahead, &seen)
                                     : toc_stream_entity_step(s->entity, s->values);
    double interval = s->interval > 0 ? s->interval : 1;
    s->was_alert = s->last.is_alert;
    bool is_open = toc_budget_step(&s->alert, &s->alert_options, v.surprise, since, interval);
    s->last = (struct toc_stream_result){v.rank / (v.rank + 2),
                                         v.surprise,
                                         toc_budget_bar(&s->alert, &s->alert_options),
                                         v.lower,
                                         v.upper,
                                         is_open};
    if (is_open && s->metric)
        toc_stream_metric_features(s->metric, &seen, v.features);
    if (is_open)
        note_alert(s, &v, !s->was_alert);
    return s->last;
}

struct toc_stream_result toc_stream_step(struct toc_stream *s, double seconds,
                                         const double *values) {
    return step(s, seconds, values, NULL);
}

/* Of the stream after the next the address alone is known, which is enough for what every step
 * touches; the next one's state is there by now and says what only its next step needs. */
static struct toc_stream_ahead look_ahead(struct toc_stream *const *streams, size_t left) {
    struct toc_stream_ahead a = {0};
    a.all = (const char *)streams[left > 2 ? 2 : 0];
    if (left > 1 && streams[1]->metric)
        toc_stream_metric_look_ahead(streams[1]->metric, &a);
    return a;
}

void toc_stream_step_many(struct toc_stream *const *streams, size_t count, double seconds,
                          const double *const *values, struct toc_stream_result *results) {
    for (size_t i = 0; i < count && i < 2; i++)
        toc_stream_metric_prefetch((const char *)streams[i]);
    for (size_t i = 0; i < count; i++) {
        struct toc_stream_ahead ahead = look_ahead(streams + i, count - i);
        results[i] = step(streams[i], seconds, values[i], &ahead);
    }
}

const char *toc_stream_feature_name(enum toc_stream_feature f) {
    static const char *const names[] = {
#define NAME(name, text, meaning) #text,
        TOC_STREAM_FEATURE_TABLE(NAME)
#undef NAME
    };
    return f >= 0 && f < TOC_STREAM_FEATURES ? names[f] : NULL;
}

bool toc_stream_features(const struct toc_stream *s, float out[TOC_STREAM_FEATURES]) {
    if (!s->last.is_alert && !s->was_alert)
        return false;
    memcpy(out, s->features, sizeof s->features);
    return true;
}
