/*
 * What is known around a candidate alert, as numbers that mean the same for every series: the input
 * of the classifier that learns from verdicts. Pure and causal: the last row is the moment of the
 * decision, later ones are not there. See docs/design/learning.md.
 */
#ifndef TOC_DETECT_ALERT_FEATURES_H
#define TOC_DETECT_ALERT_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TOC_ALERT_BASELINE_ROWS = 256, /* before the alert: what counts as usual */
    TOC_ALERT_HISTORY_ROWS = 1024, /* looked at for the rate of alerts */
    TOC_ALERT_SAMPLE_ROWS = 2048,  /* of the whole history, evenly thinned */
    TOC_ALERT_COLUMNS_MAX = 64,    /* of an entity; further ones are not looked at */
    TOC_ALERT_PARTS_MAX = 8,
};

/* X(enum, name, what it says). asinh keeps signs and tames large numbers; scale is 1.4826 x MAD of
 * the baseline, at least 1e-3 of its largest magnitude; the quartile distance has the same floor.
 */
#define TOC_ALERT_FEATURE_TABLE(X)                                                               \
    X(PEAK, "peak", "log of the highest score so far over the threshold")                        \
    X(NOW, "now", "log of the score now over the threshold")                                     \
    X(MEAN, "mean", "log of the mean score of the alert so far over the threshold")              \
    X(DURATION, "duration", "log of rows since the alert began")                                 \
    X(QUIET, "quiet", "mean score of the baseline over the threshold")                           \
    X(RATE, "rate", "share of the history's rows over the threshold")                            \
    X(SINCE, "since", "log of rows since the last row over the threshold before the alert")      \
    X(SHIFT, "shift", "asinh of (mean of the alert - median of the baseline) / scale")           \
    X(REACH, "reach", "asinh of the largest distance from the baseline's median / scale")        \
    X(OUTSIDE, "outside", "largest distance over the largest distance of the baseline, log")     \
    X(NOISE, "noise", "log of scale over the median's magnitude")                                \
    X(JUMP, "jump", "asinh of the largest step in the alert over the usual step")                \
    X(RECOVERED, "recovered", "how much of the reach has gone again, 0 to 1")                    \
    X(TREND, "trend", "asinh of the baseline's change from first to last quarter / scale")       \
    X(LEVELS, "levels", "share of baseline rows that differ from the row before")                \
    X(DAY, "day", "log of the distance to the same time a day before over the reach")            \
    X(WEEK, "week", "the same a week before")                                                    \
    X(ZERO, "zero", "share of baseline rows whose value is zero")                                \
    X(WIDTH, "width", "share of columns beyond 4 scales")                                        \
    X(COLUMNS, "columns", "log of the number of columns")                                        \
    X(INTERVAL, "interval", "log of seconds between rows")                                       \
    X(AGE, "age", "log of rows of history")                                                      \
    X(BEYOND, "beyond", "log of distance outside 1 % to 99 % of the history / that span")        \
    X(BEYOND_TOP, "beyond_top", "the same, mean of the three columns farthest out")              \
    X(BEYOND_WIDTH, "beyond_width", "share of columns more than 0.2 of that span outside")       \
    X(LEVEL, "level", "asinh of the alert's mean from the history's median / quartile distance") \
    X(LEVEL_TOP, "level_top", "the same, mean of three columns")                                 \
    X(LEVEL_WIDTH, "level_width", "share of columns more than two quartile distances away")      \
    X(REACH_TOP, "reach_top", "asinh of reach / quartile distance, mean of three columns")       \
    X(REACH_MEAN, "reach_mean", "the same, mean of all columns")                                 \
    X(REACH_WIDTH, "reach_width", "share of columns beyond eight quartile distances")            \
    X(RECORD, "record", "share of columns outside everything in the history")                    \
    X(SPREAD, "spread", "log of standard deviation in the alert over that of the baseline")      \
    X(KNOWN, "known", "log of the share of the history that went 0.7 of the reach or farther")   \
    X(MIDDLE, "middle", "asinh of the alert's median from the baseline's / quartile distance")   \
    X(PLACE, "place", "share of the history below the value now")                                \
    X(CALM, "calm", "log of standard deviation of the baseline over that of the history")        \
    X(SUSTAINED, "sustained", "log of (largest distance of the alert's median / largest reach)")

enum toc_alert_feature {
#define X(e, name, what) TOC_ALERT_FEATURE_##e,
    TOC_ALERT_FEATURE_TABLE(X)
#undef X
        TOC_ALERT_FEATURE_PART /* the first of TOC_ALERT_PARTS_MAX */
};
enum { TOC_ALERT_FEATURES = TOC_ALERT_FEATURE_PART + TOC_ALERT_PARTS_MAX };

/* "peak", …, "part1", … */
const char *toc_alert_feature_name(size_t feature);

/* Rows up to now, oldest first; borrowed. Missing values are NaN. */
struct toc_alert_context {
    const double *seconds; /* rising */
    const double *values;  /* rows x columns */
    const double *scores;  /* of the detector, >= 0 */
    const double *parts;   /* scores of its parts, rows x part_count; NULL without */
    size_t rows, columns, part_count;
    size_t start;     /* row at which the alert began */
    double threshold; /* of the score, > 0 */
};
/* TOC_ALERT_FEATURES numbers; NaN where history does not reach. */
void toc_alert_features(const struct toc_alert_context *c, double *out);

#endif
