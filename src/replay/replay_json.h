/* A back-test as JSON: for `tocsin backtest --output json` and the API. */
#ifndef TOC_REPLAY_REPLAY_JSON_H
#define TOC_REPLAY_REPLAY_JSON_H

#include "codec/json_writer.h"
#include "replay/replay_score.h"

enum { TOC_REPLAY_LISTED_MAX = 1000 };

/* The numbers of one rule set; an object. */
void toc_replay_score_json(struct toc_json_writer *w, const struct toc_replay_record *r,
                           const struct toc_score *s);
/* Alerts, notifications and incidents, the first TOC_REPLAY_LISTED_MAX of each; members of the
 * object that is open. */
void toc_replay_record_json(struct toc_json_writer *w, const struct toc_replay_record *r);
/* Alerts gained and lost; an object with totals and the first TOC_REPLAY_LISTED_MAX of each. */
void toc_replay_difference_json(struct toc_json_writer *w, const struct toc_replay_difference *d);

#endif
