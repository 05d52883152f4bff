#include "detect/stream.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/stream_priv.h"

enum { COLUMNS_MAX = 1024, WINDOWS_DEFAULT = 256 };

struct toc_stream {
    struct toc_stream_options options;
    struct toc_stream_metric *metric; /* one column */
    struct toc_stream_entity *entity; /* several */
    double *values;                   /* the row with missing values filled */
    double last_seconds, interval;    /* of the last rows */
    struct toc_stream_result last;
    bool has_row;
    /* The alert that is open, or ended with the row before the last one. */
    float features[TOC_STREAM_FEATURES];
    uint32_t alert_rows;
    bool was_alert; /* at the row before the last one */
};

/* A negative score says that there is none yet: nothing to judge, nothing to learn. */
double toc_scored_excess(struct toc_scored *s, double score) {
    if (score < 0)
        return 0;
    double excess = toc_tail_excess(&s->tail, score);
    toc_tail_learn(&s->tail, score);
    return excess;
}

double toc_scored_surprise(struct toc_scored *s, double score) {
    if (score < 0)
        return 0;
    double surprise = toc_tail_surprise(&s->tail, score);
    toc_tail_learn(&s->tail, score);
    return surprise;
}

int toc_stream_new(const struct toc_stream_options *options, struct toc_stream **out,
                   struct toc_err *err) {
    *out = NULL;
    if (!options->columns || options->columns > COLUMNS_MAX)
        return toc_errf(err, TOC_EINVAL, "%zu columns: expected 1 to %d", options->columns,
                        COLUMNS_MAX);
    struct toc_stream *s = TOC_NEW(struct toc_stream);
    *out = s;
    s->options = *options;
    if (!s->options.windows)
        s->options.windows = WINDOWS_DEFAULT;
    if (!(s->options.threshold > 0))
        s->options.threshold = TOC_STREAM_THRESHOLD;
    s->values = TOC_NEW_ARRAY(double, options->columns);
    int rc = options->columns == 1
                 ? toc_stream_metric_new(s->options.windows, &s->metric, err)
                 : toc_stream_entity_new(options->columns, s->options.windows, &s->entity, err);
    if (rc < 0)
        toc_stream_free(out);
    return rc;
}

void toc_stream_free(struct toc_stream **s) {
    if (!*s)
        return;
    toc_stream_metric_free(&(*s)->metric);
    toc_stream_entity_free(&(*s)->entity);
    toc_free((*s)->values);
    toc_free(*s);
    *s = NULL;
}

size_t toc_stream_bytes(const struct toc_stream *s) {
    return sizeof *s + s->options.columns * sizeof *s->values +
           (s->metric ? toc_stream_metric_bytes(s->metric) : toc_stream_entity_bytes(s->entity));
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
    s->alert_rows++;
    v->features[TOC_STREAM_SURPRISE] = (float)v->surprise;
    v->features[TOC_STREAM_PEAK_EXCESS] = (float)(v->surprise - s->options.threshold);
    v->features[TOC_STREAM_SCORE] = (float)s->last.score;
    v->features[TOC_STREAM_LOG_INTERVAL] = s->interval > 0 ? (float)log10(s->interval) : 0;
    if (is_first || v->features[TOC_STREAM_SURPRISE] > s->features[TOC_STREAM_SURPRISE])
        memcpy(s->features, v->features, sizeof s->features);
    s->features[TOC_STREAM_LOG_ROWS] = (float)log10(s->alert_rows);
}

struct toc_stream_result toc_stream_step(struct toc_stream *s, double seconds,
                                         const double *values) {
    bool is_late = s->has_row && !(seconds > s->last_seconds);
    if (is_late || !fill(s, values))
        return (struct toc_stream_result){s->last.score, 0, false};
    if (s->has_row)
        s->interval = seconds - s->last_seconds;
    s->has_row = true;
    s->last_seconds = seconds;
    struct toc_verdict v = s->metric ? toc_stream_metric_step(s->metric, seconds, s->values[0])
                                     : toc_stream_entity_step(s->entity, s->values);
    s->was_alert = s->last.is_alert;
    s->last = (struct toc_stream_result){v.rank / (v.rank + 2), v.surprise,
                                         v.surprise > s->options.threshold};
    if (s->last.is_alert)
        note_alert(s, &v, !s->was_alert);
    return s->last;
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
