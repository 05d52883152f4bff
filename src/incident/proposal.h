/*
 * After a false alarm: a better threshold, with its effect on stored history shown before it is
 * applied. Never for a hard kind, and never one that would have missed an incident with the verdict
 * "true".
 */
#ifndef TOC_INCIDENT_PROPOSAL_H
#define TOC_INCIDENT_PROPOSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "codec/json_writer.h"
#include "incident/backtest.h"
#include "incident/manager.h"
#include "model/querier.h"

/* The rules as far as a proposal needs them; called without any lock of the manager. */
struct toc_threshold_access {
    /* Appends the rule's expression; TOC_ENOENT with a sentence when there is no such alert rule.
     */
    int (*get)(struct toc_threshold_access *a, struct toc_sv rule, struct toc_buf *out_expr,
               int64_t *out_for_ms, int64_t *out_interval_ms, struct toc_err *err);
    /* Makes it the rule's threshold from the next evaluation on, durably. */
    int (*set)(struct toc_threshold_access *a, struct toc_sv rule, double threshold,
               struct toc_err *err);
};

enum { TOC_PROPOSAL_BUCKETS_MAX = 120, TOC_PROPOSAL_REASON_MAX = 256 };

struct toc_proposal {
    bool is_available;
    char reason[TOC_PROPOSAL_REASON_MAX];         /* why (not) */
    struct toc_buf rule, expr;                    /* expr: left side of the comparison */
    enum toc_comparison comparison;               /* TOC_COMPARISON_COUNT when unknown */
    double current_threshold, proposed_threshold; /* NaN when unknown */
    double history_s;
    uint64_t samples;
    struct toc_backtest_effect current, proposed;
    struct {
        struct toc_ts at;
        double max; /* most extreme value in the direction of the comparison */
    } buckets[TOC_PROPOSAL_BUCKETS_MAX];
    size_t bucket_count;
};
void toc_proposal_fini(struct toc_proposal *p);
/* PROPOSAL of the API. */
void toc_proposal_write_json(struct toc_json_writer *w, const struct toc_proposal *p);

struct toc_proposal_options {
    struct toc_incident_manager *manager;
    struct toc_threshold_access *access;
    struct toc_querier *querier;
    int64_t history_ms; /* 0 = 7 d */
};

/* Fills *out (initialised by the call, the caller's to fini). "Not available" is an answer, not an
 * error; TOC_ENOENT for an unknown incident, else errors of the store or the querier. */
int toc_incident_proposal(const struct toc_proposal_options *o, struct toc_sv id, struct toc_ts now,
                          struct toc_proposal *out, struct toc_err *err) TOC_MUST_CHECK;

struct toc_proposal_applied {
    int64_t change_id;
    char rule[128];
    double old_threshold, new_threshold;
    struct toc_ts applied_at;
};
/* Sets the threshold and records the change and a timeline entry in one transaction; when that
 * cannot be stored the old threshold is set again. TOC_ECONFLICT (hard kind, no threshold),
 * TOC_EINVAL. */
int toc_incident_proposal_apply(const struct toc_proposal_options *o, struct toc_sv id,
                                double threshold, struct toc_sv actor, struct toc_sv comment,
                                struct toc_ts now, struct toc_proposal_applied *out,
                                struct toc_err *err) TOC_MUST_CHECK;

#endif
