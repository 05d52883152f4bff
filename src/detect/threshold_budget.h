/*
 * A threshold from history and a budget of alerts: "at most one a week". Pure and deterministic:
 * the same input and seed give the same answer.
 *
 * - Level at a time: the value held all through `for` (its minimum, for > and >=).
 * - Peak: the highest level of a cluster above the base u, the 98th percentile of levels. Levels of
 *   all series belong to one process; what is less than 15 minutes apart is one cluster: a rule
 * with that threshold should have `keep_firing_for: 15m`.
 * - Tail: peaks over u follow a generalised Pareto distribution (Pickands 1975), fitted by
 *   probability-weighted moments (Hosking and Wallis, Technometrics 29, 1987), shape within ±0.5.
 *   The threshold is the level that peaks cross once per budget.
 * - Interval: percentiles of the thresholds of resampled days (blocks of a day keep what hangs
 *   together: Künsch, Annals of Statistics 17, 1989).
 *
 * A longer `for` is chosen when it lowers the threshold's distance from the median by 30 % or more;
 * two thresholds by the hour of the day, by weekday and weekend, or both, when the history has such
 * a profile and the lower one is 30 % closer.
 */
#ifndef TOC_DETECT_THRESHOLD_BUDGET_H
#define TOC_DETECT_THRESHOLD_BUDGET_H

#include "detect/threshold.h"

enum {
    TOC_BUDGET_FORS_MAX = 8,
    TOC_BUDGET_PEAKS_MIN = 8,    /* less says nothing about a tail */
    TOC_BUDGET_KEEP_MS = 900000, /* for how long a rule should keep firing */
    TOC_BUDGET_STRETCH_MAX = 5,  /* a budget's period may be this many histories long */
    TOC_BUDGET_ROUNDS_DEFAULT = 200,
};

struct toc_budget_request {
    enum toc_threshold_op op;
    const struct toc_history *series; /* on one grid of step_ms */
    size_t series_count;
    int64_t step_ms;
    int64_t budget_period_ms; /* one alert in that time */
    const int64_t *fors_ms;   /* candidates, rising; NULL: 0, 1, 2, 5, 10, 15 and 30 minutes */
    size_t for_count;
    bool allows_seasonal;
    uint64_t seed;
    int rounds; /* of resampling; 0: TOC_BUDGET_ROUNDS_DEFAULT */
};

/* The days on which the first of two thresholds holds. UTC. */
enum toc_budget_days { TOC_BUDGET_ALL_DAYS, TOC_BUDGET_WEEKDAYS, TOC_BUDGET_WEEKEND };

/* A number with what resampling makes of it. */
struct toc_budget_level {
    double threshold, low, high; /* 95 % */
    size_t peaks;
};

struct toc_budget_suggestion {
    bool is_available;
    char reason[256]; /* for a person: what was found, or why there is no suggestion */
    int64_t for_ms;
    struct toc_budget_level level; /* of the whole day, or of the high hours */
    bool is_seasonal;
    /* When `level` holds: on these days, in [from, to), which may wrap; 0 to 24 is all day. UTC. */
    enum toc_budget_days high_days;
    int high_from_hour, high_to_hour;
    struct toc_budget_level low_hours; /* else */
    double median;
    size_t samples;
    int64_t history_ms;
};

/* TOC_EINVAL for a request that makes no sense, TOC_ENOMEM. "Not enough data" is no error. */
int toc_budget_suggest(const struct toc_budget_request *r,
                       struct toc_budget_suggestion *out) TOC_MUST_CHECK;

/* The threshold in force at a time. */
double toc_budget_threshold_at(const struct toc_budget_suggestion *s, int64_t t_ms);

#endif
