/* The two kinds of streaming ensembles behind stream.h. */
#ifndef TOC_DETECT_STREAM_PRIV_H
#define TOC_DETECT_STREAM_PRIV_H

#include <stddef.h>

#include "detect/alert_budget.h"
#include "detect/residual.h"
#include "detect/stream.h"
#include "detect/tail_sketch.h"
#include "detect/window_memory.h"

enum { TOC_STREAM_WINDOWS = 64 }; /* remembered of a metric, per length */

struct toc_stream {
    /* Most rows do not touch these, nor the budget's peaks, which come first there: what they touch
     * lies together with the head of the metric behind. */
    float features[TOC_STREAM_FEATURES]; /* of the alert that is open, or ended with the row before
                                          * the last one */
    struct toc_budget_state alert;
    struct toc_stream_options options;
    struct toc_budget_options alert_options;
    struct toc_stream_metric *metric; /* one column: behind the values, in the same block */
    struct toc_stream_entity *entity; /* several: owned */
    double last_seconds;
    float log_interval, interval; /* the usual seconds between rows, and their log2 */
    uint32_t intervals;
    uint32_t alert_rows;
    struct toc_stream_result last;
    bool has_row, was_alert; /* was_alert: at the row before the last one */
    double values[];         /* the row with missing values filled */
};
/* Bytes of a stream in front of what every row touches. */
#define TOC_STREAM_COLD_BYTES \
    (offsetof(struct toc_stream, alert) + sizeof(((struct toc_budget_state *)0)->peaks))

struct toc_verdict {
    double rank;                         /* ≥ 0, for the score */
    double surprise;                     /* ≥ 0, on the scale of the bar */
    float lower, upper;                  /* where the value was expected; a metric's only */
    float features[TOC_STREAM_FEATURES]; /* of an entity */
};

/*
 * Surprises of two sorts on the scale of the bar, which is -log10 of the share of rows: a residual
 * of a single row, and the geometric mean of (1 + surprise) of two scores over a stretch, which is
 * much smaller for the same share. Constants from the development half: docs/design/detect.md.
 */
double toc_row_surprise(double surprise);
double toc_stretch_surprise(double a, double b);

/* Pieces of stream_codec.c. Numbers beyond ±limit are TOC_ECORRUPT. */
int toc_read_number(struct toc_reader *r, double limit, double *out);
int toc_read_float(struct toc_reader *r, double limit, float *out);
void toc_moments_encode(const struct toc_moments *m, struct toc_buf *out);
int toc_moments_decode(struct toc_moments *m, struct toc_reader *r);

/* stream_metric.c: one column. */
struct toc_stream_metric;
size_t toc_stream_metric_bytes(size_t windows);
/* In zeroed memory of the caller. */
struct toc_stream_metric *toc_stream_metric_place(size_t windows, void *place);
/* What a row looked like: its features are worked out from this when an alert is open only. */
struct toc_metric_seen {
    double spread, z, energy, far, level, noise;
    struct toc_season_residuals season;
    float residual, smooth, short_window; /* surprises */
};
/* What the steps after this one will touch. A core has a dozen or two lines of memory under way, no
 * more: asked for at once, they would make this step wait; so it asks for a few at a time. */
struct toc_stream_ahead {
    const char *all;     /* a stream of which every step touches the same places */
    const char *windows; /* of the next: the long windows, when its step looks at them; or NULL */
    const struct toc_stream_metric *next; /* or NULL */
};
/* ahead: NULL when nothing is known to follow. */
struct toc_verdict toc_stream_metric_step(struct toc_stream_metric *m,
                                          enum toc_stream_direction direction, double seconds,
                                          double v, const struct toc_stream_ahead *ahead,
                                          struct toc_metric_seen *seen);
/* Right after the step that saw it. Those of the whole stream are left alone. */
void toc_stream_metric_features(const struct toc_stream_metric *m,
                                const struct toc_metric_seen *seen, float *f);
/* All that every step touches of a stream of one column. Nothing is read there: of another stream
 * it asks in vain. */
void toc_stream_metric_prefetch(const char *stream);
/* What the next step of m will touch beyond that. */
void toc_stream_metric_look_ahead(const struct toc_stream_metric *m, struct toc_stream_ahead *out);
void toc_stream_metric_break(struct toc_stream_metric *m);
void toc_stream_metric_encode(const struct toc_stream_metric *m, struct toc_buf *out);
int toc_stream_metric_decode(struct toc_stream_metric *m, struct toc_reader *r) TOC_MUST_CHECK;

/* stream_entity.c: several columns. */
struct toc_stream_entity;
int toc_stream_entity_new(size_t columns, size_t windows, struct toc_stream_entity **out,
                          struct toc_err *err);
void toc_stream_entity_free(struct toc_stream_entity **m);
struct toc_verdict toc_stream_entity_step(struct toc_stream_entity *m, const double *values);
void toc_stream_entity_break(struct toc_stream_entity *m);
size_t toc_stream_entity_bytes(const struct toc_stream_entity *m);
void toc_stream_entity_encode(const struct toc_stream_entity *m, struct toc_buf *out);
int toc_stream_entity_decode(struct toc_stream_entity *m, struct toc_reader *r) TOC_MUST_CHECK;

#endif
