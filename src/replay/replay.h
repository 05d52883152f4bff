/*
 * Back-test: what a set of rules would have done to stored history. The live rule manager, alert
 * manager and incident manager run under a virtual clock that jumps from one thing that is due to
 * the next; what they would have seen then is all they see. See docs/design/backtest.md.
 *
 * Pure: history comes through a querier, threads through an executor. What is fast about it is that
 * a query which reads no output of rules is evaluated over many times in one go (replay_answers.h).
 */
#ifndef TOC_REPLAY_REPLAY_H
#define TOC_REPLAY_REPLAY_H

#include "alert/alert_manager.h"
#include "base/executor.h"
#include "model/querier.h"
#include "replay/replay_record.h"
#include "rules/rules.h"

enum {
    TOC_REPLAY_TICK_MS = 200, /* how often the daemon's engine looks whether something is due */
    TOC_REPLAY_SPAN_MAX_DAYS = 3700,
};

struct toc_replay_options {
    /* Read by several threads at once when there is an executor, and by nobody's leave written
     * meanwhile. */
    struct toc_querier *history;
    int64_t from_ms, to_ms; /* rules are evaluated at slots in [from, to) */
    struct toc_executor *executor;
    unsigned features;               /* TOC_PROMQL_… */
    int64_t default_interval_ms;     /* as toc_rules_options */
    int64_t default_query_offset_ms; /* as toc_rules_options */
    int64_t lookback_ms;             /* as toc_rules_options */
    struct toc_labels external_labels;
    struct toc_zone_source zones;                                     /* of time intervals */
    int64_t tick_ms;                                                  /* 0: TOC_REPLAY_TICK_MS */
    int64_t incident_hold_ms, incident_reopen_ms, incident_window_ms; /* 0: as the daemon's */
    bool runs_each_query; /* every query at its own time: the slow way, to check the fast one */
    /* Beside the record, in order; may be NULL. */
    struct toc_alert_observer *observer;
    void (*on_flush)(void *ctx, const struct toc_alert_flush *f);
    /* After each stretch of time; false stops with TOC_ECANCELED. */
    bool (*on_progress)(void *ctx, int64_t done_ms, int64_t total_ms);
    void *ctx;
};

/* Takes the rule files and the routing, also when it fails. *out is the caller's to fini in every
 * case. TOC_EINVAL for an empty or overlong range, TOC_ELIMIT for a record that grows too large,
 * TOC_ECANCELED. Queries that fail are not errors: they are counted per rule, as live. */
int toc_replay_run(const struct toc_replay_options *o, struct toc_rule_file **take_files,
                   size_t file_count, struct toc_alert_config *take_alerting,
                   struct toc_replay_record *out, struct toc_err *err) TOC_MUST_CHECK;

#endif
