/*
 * Streaming anomaly scores: one call per row, every answer from the rows so far. One column is a
 * metric, several are an entity whose columns belong together. docs/design/detect.md has the
 * formulas, their sources and what each part cannot see.
 */
#ifndef TOC_DETECT_STREAM_H
#define TOC_DETECT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct toc_stream;

enum toc_stream_direction { TOC_STREAM_BOTH, TOC_STREAM_UP, TOC_STREAM_DOWN };

struct toc_stream_options {
    size_t columns;        /* 1 to 1024 */
    size_t windows;        /* remembered per window length (of a metric's long ones three eighths
                            * more); 0: 64, 96 of an entity */
    double budget_seconds; /* one alert in so many seconds; 0: TOC_STREAM_BUDGET_SECONDS */
    double threshold;      /* of `surprise` for an alert instead of a budget; 0: the budget */
    enum toc_stream_direction direction; /* of a metric's alerts; an entity's are both */
    bool is_infinity_alert; /* an infinite value opens an alert at once, as in a training's loss */
    uint32_t k, m; /* an alert opens when k of the last m rows are above; 0: 1 of 1; m at most 32 */
};
#define TOC_STREAM_BUDGET_SECONDS 604800.0 /* 1/week */

struct toc_stream_result {
    double score;       /* [0, 1), rises with strangeness; for ranking */
    double surprise;    /* about -log10 of the share of such rows */
    double bar;         /* of the surprise for an alert, as of this row */
    float lower, upper; /* where a metric's value was expected; 0 of an entity */
    bool is_alert;      /* an alert is open */
};

int toc_stream_new(const struct toc_stream_options *options, struct toc_stream **out,
                   struct toc_err *err) TOC_MUST_CHECK;
void toc_stream_free(struct toc_stream **s);
size_t toc_stream_columns(const struct toc_stream *s);
/* The next row: seconds (rising; a row that is not later gets the last score) and `columns`
 * values; NaN and infinity mean missing (but see is_infinity_alert). A row in which every value is
 * missing gets the last score and no alert. After a gap of more than 128 rows windows begin anew.
 */
struct toc_stream_result toc_stream_step(struct toc_stream *s, double seconds,
                                         const double *values);
/* Rows of one time of many streams: results[i] is what toc_stream_step would have said for
 * streams[i] and values[i]. States come into the caches while those before are worked on. No stream
 * twice. */
void toc_stream_step_many(struct toc_stream *const *streams, size_t count, double seconds,
                          const double *const *values, struct toc_stream_result *results);
/* Bytes of state. */
size_t toc_stream_bytes(const struct toc_stream *s);

/* Appends the state: magic and version, options, parts, CRC-32C. A stream made from it gives the
 * same results for the same rows, bit for bit, as this one. Hostile bytes are refused:
 * TOC_ECORRUPT, TOC_ETRUNCATED, TOC_EVERSION, TOC_ELIMIT. */
void toc_stream_state_encode(const struct toc_stream *s, struct toc_buf *out);
int toc_stream_state_decode(struct toc_sv bytes, struct toc_stream **out,
                            struct toc_err *err) TOC_MUST_CHECK;

/*
 * What a classifier of alerts looks at: X(name, meaning). A part that the kind of stream does not
 * have (a metric has no columns, an entity no seasons) is 0. Surprises are -log10 p of the row
 * where the alert's surprise was highest so far.
 */
#define TOC_STREAM_FEATURE_TABLE(X)                                                            \
    X(LONG_WINDOW, long_window, "surprise of the window of 64 points")                         \
    X(SHORT_WINDOW, short_window, "surprise of the window of 16 points")                       \
    X(SMOOTH, smooth, "surprise of the smallest residual smoothed over 8 rows")                \
    X(ENERGY, energy, "surprise of the energy")                                                \
    X(RESIDUAL, residual, "surprise of the smallest residual to level, day and week")          \
    X(LINE, line, "surprise of the residual to a straight line, mean over the columns")        \
    X(SURPRISE, surprise, "surprise of all together")                                          \
    X(PEAK_EXCESS, peak_excess, "surprise above the bar")                                      \
    X(SCORE, score, "the score")                                                               \
    X(LEVEL_RATIO, level_ratio, "residual to the level, in standard deviations")               \
    X(DAY_RATIO, day_ratio, "residual to the same time of day, in standard deviations")        \
    X(WEEK_RATIO, week_ratio, "residual to the same time of the week, in standard deviations") \
    X(SIGNED_Z, signed_z, "z-score against everything before, with its sign")                  \
    X(NOISE, noise, "residual exceeded by 2 % of the values, in standard deviations")          \
    X(LOG_ROWS, log_rows, "log10 of the rows since the alert began")                           \
    X(LOG_INTERVAL, log_interval, "log10 of the seconds between rows")

enum toc_stream_feature {
#define TOC_STREAM_FEATURE_ENUM(name, text, meaning) TOC_STREAM_##name,
    TOC_STREAM_FEATURE_TABLE(TOC_STREAM_FEATURE_ENUM)
#undef TOC_STREAM_FEATURE_ENUM
        TOC_STREAM_FEATURES
};
/* "long_window" and so on; NULL beyond the last. */
const char *toc_stream_feature_name(enum toc_stream_feature f);
/* Features of the alert that is open at the last row or was open at the row before it; all finite.
 * False, and out untouched, when there is none. */
bool toc_stream_features(const struct toc_stream *s, float out[TOC_STREAM_FEATURES]);

#endif
