/*
 * Streaming anomaly scores: one call per row, every answer from the rows so far. One column is a
 * metric, several are an entity whose columns belong together. docs/design/detect.md has the
 * formulas, their sources and what each part cannot see.
 */
#ifndef TOC_DETECT_STREAM_H
#define TOC_DETECT_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct toc_stream;

struct toc_stream_options {
    size_t columns;   /* 1 to 1024 */
    size_t windows;   /* remembered per window length; 0: 256 */
    double threshold; /* of `surprise` for an alert; 0: TOC_STREAM_THRESHOLD */
};
/* Chosen on the development half of NAB as the lowest level on the plateau of its standard score.
 */
#define TOC_STREAM_THRESHOLD 1.85

struct toc_stream_result {
    double score;    /* [0, 1), rises with strangeness; for ranking */
    double surprise; /* about -log10 of the probability of such a row */
    bool is_alert;
};

int toc_stream_new(const struct toc_stream_options *options, struct toc_stream **out,
                   struct toc_err *err) TOC_MUST_CHECK;
void toc_stream_free(struct toc_stream **s);
/* The next row: seconds (rising; a row that is not later gets the last score) and `columns`
 * values; NaN and infinity mean missing. A row in which every value is missing gets the last score
 * and no alert. */
struct toc_stream_result toc_stream_step(struct toc_stream *s, double seconds,
                                         const double *values);
/* Bytes of state. */
size_t toc_stream_bytes(const struct toc_stream *s);

/*
 * What a classifier of alerts looks at: X(name, meaning). A part that the kind of stream does not
 * have (a metric has no columns, an entity no seasons) is 0. Surprises are -log10 p of the row
 * where the alert's surprise was highest so far.
 */
#define TOC_STREAM_FEATURE_TABLE(X)                                                            \
    X(LONG_WINDOW, long_window, "surprise of the window of 64 points")                         \
    X(SHORT_WINDOW, short_window, "surprise of the window of 16 points")                       \
    X(POINT_WINDOW, point_window, "surprise of the window of 4 points")                        \
    X(ENERGY, energy, "surprise of the energy")                                                \
    X(RESIDUAL, residual, "surprise of the smallest residual to level, day and week")          \
    X(LINE, line, "surprise of the residual to a straight line, mean over the columns")        \
    X(SURPRISE, surprise, "surprise of all together")                                          \
    X(PEAK_EXCESS, peak_excess, "surprise above the threshold")                                \
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
