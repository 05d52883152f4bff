/*
 * Why alerts were false: a first guess per alert, from what the record and the history show.
 *
 *   data        the series began less than 15 minutes before, had a fifth of its points missing in
 * the hour before, or vanished while the alert fired season      six or more of the rule's false
 * alerts on three or more days, and most of them within the same four hours of the day (UTC); those
 * within them model       the rule reads series of an anomaly detector threshold   none of these:
 * the number, or the time it must hold
 */
#ifndef TOC_REPLAY_REPLAY_CAUSE_H
#define TOC_REPLAY_REPLAY_CAUSE_H

#include "model/querier.h"
#include "replay/replay_score.h"

/* X(ENUM, "name") */
#define TOC_FALSE_CAUSE_TABLE(X) \
    X(DATA, "data")              \
    X(SEASON, "season")          \
    X(MODEL, "model")            \
    X(THRESHOLD, "threshold")

enum toc_false_cause {
#define X(e, name) TOC_FALSE_CAUSE_##e,
    TOC_FALSE_CAUSE_TABLE(X)
#undef X
        TOC_FALSE_CAUSE_COUNT
};
const char *toc_false_cause_text(enum toc_false_cause c);

enum { TOC_CAUSE_ALERTS_MAX = 200 }; /* of a rule, whose history is looked at */

struct toc_rule_causes {
    const struct toc_score_rule *rule;
    uint64_t counts[TOC_FALSE_CAUSE_COUNT];
    bool is_poor; /* five or more told, and Wilson's interval lies below a half */
};

struct toc_causes {
    TOC_VEC_FIELDS(struct toc_rule_causes)
};

/* Rules with false alerts, those of poor precision first, then by the number of false alerts. The
 * score must have known incidents; it and the record must outlive the answer. */
void toc_replay_causes(const struct toc_replay_record *r, const struct toc_score *s,
                       struct toc_querier *history, int64_t step_ms, struct toc_causes *out);
void toc_causes_fini(struct toc_causes *c);

#endif
