/*
 * A threshold for an expression from stored history and a budget of alerts, with its back-test:
 * what `tocsin threshold suggest` prints and the UI shows. Learnt from everything for the
 * suggestion, from the first two thirds for the trial on the last third.
 */
#ifndef TOC_REPLAY_THRESHOLD_SUGGEST_H
#define TOC_REPLAY_THRESHOLD_SUGGEST_H

#include "codec/json_writer.h"
#include "detect/threshold_budget.h"
#include "model/querier.h"
#include "replay/replay.h"
#include "replay/replay_score.h"

struct toc_suggest_request {
    struct toc_querier *querier;
    struct toc_executor *executor; /* NULL: none */
    unsigned features;             /* of PromQL */
    int64_t lookback_ms;           /* 0: the default */
    struct toc_zone_source zones;
    struct toc_sv expr, name; /* of the rule; a comparison in expr decides the direction */
    bool is_down;             /* else: low values are bad */
    bool is_static;           /* one threshold for all hours */
    int64_t for_ms;           /* only this `for`; -1: the one that fits */
    int64_t from_ms, to_ms, interval_ms;
    int64_t budget_period_ms; /* one alert in that time */
    uint64_t seed;
    const struct toc_known_incidents *known; /* NULL: none; left out of what is normal */
    bool (*on_progress)(void *ctx, int64_t done_ms,
                        int64_t total_ms); /* false stops; may be NULL */
    void *ctx;
};

struct toc_suggest_trial {
    struct toc_replay_record record;
    struct toc_score score;
    double allowed; /* alerts of the budget in that time */
};

struct toc_suggestion {
    struct toc_budget_suggestion all, learnt; /* from everything; from the first two thirds */
    struct toc_buf expr, rule; /* the suggested condition; the rule as an item of a rule file */
    struct toc_suggest_trial held_out, whole; /* when learnt or all are available */
};

/* TOC_EPARSE with line and column of a bad expression, TOC_ETYPE, TOC_ELIMIT, TOC_ECANCELED. Fini
 * it in any case. "Not enough data" is no error: look at all.is_available. */
int toc_threshold_suggest(const struct toc_suggest_request *r, struct toc_suggestion *out,
                          struct toc_err *err) TOC_MUST_CHECK;
void toc_suggestion_fini(struct toc_suggestion *s);
/* An object. */
void toc_suggestion_json(struct toc_json_writer *w, const struct toc_suggest_request *r,
                         const struct toc_suggestion *s);
/* "weekdays 08-18 h UTC" and the like: when the threshold `level` holds. */
void toc_suggestion_hours(const struct toc_budget_suggestion *g, struct toc_buf *out);

#endif
