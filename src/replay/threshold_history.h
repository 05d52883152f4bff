/* The values of an expression over a stretch of history, as series on one grid. */
#ifndef TOC_REPLAY_THRESHOLD_HISTORY_H
#define TOC_REPLAY_THRESHOLD_HISTORY_H

#include "base/map.h"
#include "base/vec.h"
#include "detect/threshold.h"
#include "model/querier.h"
#include "promql/promql.h"
#include "replay/replay_labels.h"

enum { TOC_THRESHOLD_POINTS_MAX = 50000000 };

struct toc_threshold_series {
    TOC_VEC(int64_t) t_ms;
    TOC_VEC(double) values;
};

struct toc_threshold_history {
    TOC_VEC_FIELDS(struct toc_threshold_series)
    struct toc_map by_labels; /* encoded labels → index + 1 */
    size_t points;
};

/* Evaluates `e` at from, from + step, … < to, a day at a time. TOC_ELIMIT with a sentence. */
int toc_threshold_history_read(struct toc_querier *q, const struct toc_promql_expr *e,
                               int64_t from_ms, int64_t to_ms, int64_t step_ms,
                               struct toc_executor *executor, struct toc_threshold_history *out,
                               struct toc_err *err) TOC_MUST_CHECK;
/* What lies within known incidents (and a little around them) is no sign of what is normal. */
void toc_threshold_history_leave_out(struct toc_threshold_history *h,
                                     const struct toc_known_incidents *known, int64_t margin_ms);
/* The part before `end_ms`; borrowed from h, the array is the caller's (toc_free). */
struct toc_history *toc_threshold_history_until(const struct toc_threshold_history *h,
                                                int64_t end_ms);
void toc_threshold_history_fini(struct toc_threshold_history *h);

#endif
