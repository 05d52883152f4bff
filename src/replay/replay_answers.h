/*
 * Queries of rules over many times in one go. An expression that reads nothing that rules write,
 * and for which a range query gives at each step what an instant query gives (promql: stepwise), is
 * evaluated over a stretch of its group's grid; the rule manager then finds each time's result
 * here. Rules of a group that compare the same left side with different numbers share its
 * evaluation. Everything else, and a stretch that could not be evaluated as a whole, is "not
 * known": the manager runs its query as ever.
 *
 * Two stretches are held: while one is replayed, the next is filled on other threads.
 */
#ifndef TOC_REPLAY_REPLAY_ANSWERS_H
#define TOC_REPLAY_REPLAY_ANSWERS_H

#include "promql/promql.h"
#include "replay/replay_view.h"
#include "rules/rules.h"

struct toc_replay_answers;

struct toc_replay_answers_options {
    struct toc_querier *history;
    const struct toc_replay_view *view; /* which names rules write */
    unsigned features;
    int64_t lookback_ms, subquery_step_ms;
    int64_t late_ms; /* how long after its slot a group may be evaluated */
};

struct toc_replay_answers *toc_replay_answers_new(const struct toc_replay_answers_options *o);
void toc_replay_answers_free(struct toc_replay_answers **a);
/* The queries of a group, whose rules must outlive this; before the first fill. */
struct toc_replay_grid {
    int64_t first_slot_ms, interval_ms, offset_ms; /* evaluated for slot - offset */
};
void toc_replay_answers_add_group(struct toc_replay_answers *a, const struct toc_rule_group *g,
                                  struct toc_replay_grid grid);
/* How many queries there are to fill. */
size_t toc_replay_answers_count(const struct toc_replay_answers *a);
/* What query i is asked for while the clock is in [from, to), into buffer 0 or 1. Different i on
 * different threads. */
void toc_replay_answers_fill(struct toc_replay_answers *a, size_t i, size_t buffer, int64_t from_ms,
                             int64_t to_ms);
/* Which buffer the manager is answered from; on the manager's thread. */
void toc_replay_answers_use(struct toc_replay_answers *a, size_t buffer);
struct toc_rule_answers *toc_replay_answers_face(struct toc_replay_answers *a);

struct toc_replay_answers_stats {
    uint64_t range_queries, samples, asked_known, asked_unknown;
    bool is_thinned;
};
struct toc_replay_answers_stats toc_replay_answers_stats(const struct toc_replay_answers *a);

#endif
