/*
 * A better static threshold after a false alarm, and what it would have done: peaks over threshold
 * on the stored history (the level that the tail of the history exceeds once in ten histories),
 * bounded so that a proposal can never amount to switching the rule off. Pure; times are those of
 * the samples.
 */
#ifndef TOC_DETECT_THRESHOLD_H
#define TOC_DETECT_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attrs.h"

enum toc_threshold_op { TOC_THRESHOLD_GT, TOC_THRESHOLD_GE, TOC_THRESHOLD_LT, TOC_THRESHOLD_LE };
/* ">", ">=", "<", "<="; TOC_EINVAL for anything else ("==" and "!=" have no level to move). */
int toc_threshold_op_parse(const char *text, enum toc_threshold_op *out) TOC_MUST_CHECK;
const char *toc_threshold_op_text(enum toc_threshold_op op);

/* One series of history in rising time order; borrowed. NaN is "no sample". */
struct toc_history {
    const int64_t *t_ms;
    const double *values;
    size_t count;
};

struct toc_threshold_rule {
    enum toc_threshold_op op;
    double threshold;
    int64_t for_ms; /* how long the condition must hold */
    int64_t gap_ms; /* silence longer than this ends an alert; 0 = 5 minutes */
};

struct toc_threshold_effect {
    size_t alerts;
    double firing_s;
};
/* What the rule would have done over the history: each series alerts for itself. */
void toc_threshold_simulate(const struct toc_threshold_rule *rule, const struct toc_history *series,
                            size_t series_count, struct toc_threshold_effect *out);

struct toc_threshold_bucket {
    int64_t at_ms; /* begin */
    double peak;   /* largest value (smallest for < and <=); NaN in an empty bucket */
};

enum { TOC_THRESHOLD_BUCKETS_MAX = 200, TOC_THRESHOLD_SAMPLES_MIN = 60 };

struct toc_threshold_proposal {
    bool is_available;
    double threshold; /* NaN when not available */
    char reason[256]; /* for a person: why so, or why there is none */
    char method[160];
    size_t samples;
    double history_s;
    struct toc_threshold_effect current, proposed;
    struct toc_threshold_bucket buckets[TOC_THRESHOLD_BUCKETS_MAX];
    size_t bucket_count;
};
/* After the verdict "false alarm" the whole history counts as normal. At most 200 buckets.
 * TOC_ENOMEM; "not enough data" and the like are no errors but a proposal that is not available. */
int toc_threshold_propose(const struct toc_threshold_rule *rule, const struct toc_history *series,
                          size_t series_count, struct toc_threshold_proposal *out) TOC_MUST_CHECK;

#endif
