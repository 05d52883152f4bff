/*
 * Reviewed changes of thresholds: somebody proposes a number for a rule, with what it would have
 * done; somebody accepts or rejects it; accepted ones with a budget are looked at again from time
 * to time. Kept as JSON in the blob store, namespace "threshold_review", key: the id.
 */
#ifndef TOC_REPLAY_THRESHOLD_REVIEW_H
#define TOC_REPLAY_THRESHOLD_REVIEW_H

#include "codec/json_writer.h"
#include "model/blob_store.h"
#include "replay/threshold_trial.h"

/* X(ENUM, "text") */
#define TOC_REVIEW_STATE_TABLE(X) \
    X(PROPOSED, "proposed")       \
    X(ACCEPTED, "accepted")       \
    X(REJECTED, "rejected")

enum toc_review_state {
#define X(e, text) TOC_REVIEW_##e,
    TOC_REVIEW_STATE_TABLE(X)
#undef X
        TOC_REVIEW_STATE_COUNT
};

enum { TOC_REVIEW_ID_MAX = 24, TOC_REVIEWS_MAX = 10000 };

struct toc_threshold_review {
    char id[TOC_REVIEW_ID_MAX]; /* "T-000001"; "" before it is stored */
    enum toc_review_state state;
    struct toc_sv rule, reason, proposed_by, decided_by, comment, note;
    double before, after;
    double budget_count, budget_period_s; /* 0: none */
    int64_t history_ms;                   /* of the two effects */
    struct toc_trial_effect effect_before, effect_after;
    struct toc_ts proposed_at, decided_at, checked_at;
    double checked_pages, checked_allowed; /* of the last look */
    bool is_over_budget;                   /* at the last look */
};

void toc_review_json(struct toc_json_writer *w, const struct toc_threshold_review *r);
/* Texts live in the arena. TOC_ECORRUPT. */
int toc_review_parse(struct toc_sv json, struct toc_arena *a, struct toc_threshold_review *out,
                     struct toc_err *err) TOC_MUST_CHECK;
/* Gives it an id when it has none. TOC_ELIMIT. */
int toc_review_save(struct toc_blob_store *s, struct toc_threshold_review *r,
                    struct toc_err *err) TOC_MUST_CHECK;
/* TOC_ENOENT with a sentence. */
int toc_review_load(struct toc_blob_store *s, struct toc_sv id, struct toc_arena *a,
                    struct toc_threshold_review *out, struct toc_err *err) TOC_MUST_CHECK;
typedef int toc_on_review(void *ctx, const struct toc_threshold_review *r);
/* In the order of their ids; what cannot be read is left out and counted in *out_damaged (may be
 * NULL). fn must not use the store. */
int toc_reviews_each(struct toc_blob_store *s, toc_on_review *fn, void *ctx, size_t *out_damaged,
                     struct toc_err *err) TOC_MUST_CHECK;

/* Writes the decision into r. TOC_ECONFLICT when it was decided before. */
int toc_review_decide(struct toc_threshold_review *r, enum toc_review_state to, struct toc_sv by,
                      struct toc_sv comment, struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

/* Notes what a look found: over the budget when so many pages would come by chance in less than one
 * of twenty such times (Poisson). */
void toc_review_note_check(struct toc_threshold_review *r, uint64_t pages, int64_t span_ms,
                           struct toc_ts now, struct toc_arena *a);

#endif
