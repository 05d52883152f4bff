/* A back-test as JSON: for `tocsin backtest --output json` and the API. */
#ifndef TOC_REPLAY_REPLAY_JSON_H
#define TOC_REPLAY_REPLAY_JSON_H

#include "codec/json_writer.h"
#include "replay/replay_cause.h"

enum { TOC_REPLAY_LISTED_MAX = 1000 };

/* The numbers of one rule set; an object. */
void toc_replay_score_json(struct toc_json_writer *w, const struct toc_replay_record *r,
                           const struct toc_score *s);
/* Alerts, notifications and incidents, the first TOC_REPLAY_LISTED_MAX of each; members of the
 * object that is open. */
void toc_replay_record_json(struct toc_json_writer *w, const struct toc_replay_record *r);
/* Why alerts of rules were false; an array. */
void toc_replay_causes_json(struct toc_json_writer *w, const struct toc_causes *c);
/* Alerts gained and lost; an object with totals and the first TOC_REPLAY_LISTED_MAX of each. */
void toc_replay_difference_json(struct toc_json_writer *w, const struct toc_replay_difference *d);

/* One set of rules over the history. */
struct toc_replay_side {
    const char *name; /* "rules", "before", "after" */
    const struct toc_replay_record *record;
    const struct toc_score *score;
    const struct toc_causes *causes; /* NULL: nothing is known */
};
/* The whole answer, an object: numbers of each side, the difference (NULL: none), lists of the last
 * side. */
void toc_replay_json(struct toc_json_writer *w, const struct toc_replay_side *sides, size_t count,
                     const struct toc_replay_difference *difference);

#endif
