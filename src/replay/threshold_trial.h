/* What an alert rule of the running manager would have done with another threshold: a back-test of
 * that rule alone; series that other rules record are taken from history. */
#ifndef TOC_REPLAY_THRESHOLD_TRIAL_H
#define TOC_REPLAY_THRESHOLD_TRIAL_H

#include "replay/replay.h"

struct toc_trial_options {
    struct toc_rules *rules;
    struct toc_querier *querier;
    struct toc_executor *executor; /* may be NULL */
    unsigned features;
    int64_t lookback_ms;
    struct toc_zone_source zones;
    struct toc_sv routing; /* Alertmanager's configuration */
    /* As toc_replay_options; may be NULL. */
    bool (*on_progress)(void *ctx, int64_t done_ms, int64_t total_ms);
    void *ctx;
};

struct toc_trial_effect {
    uint64_t alerts, pages, night_pages;
    int64_t firing_ms;
};

/* threshold NaN: the one in force. *out_in_force gets that one. TOC_ENOENT when no alert rule has
 * the name, TOC_EUNSUPPORTED when its expression is not `EXPR op NUMBER`; errors of the replay. */
int toc_threshold_trial(const struct toc_trial_options *o, struct toc_sv rule, double threshold,
                        int64_t from_ms, int64_t to_ms, struct toc_trial_effect *out,
                        double *out_in_force, struct toc_err *err) TOC_MUST_CHECK;

#endif
