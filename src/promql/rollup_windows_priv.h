/* Functions of ranges and instant selectors over roll-ups (model/rollup.h). */
#ifndef TOC_PROMQL_ROLLUP_WINDOWS_PRIV_H
#define TOC_PROMQL_ROLLUP_WINDOWS_PRIV_H

#include "promql/eval_priv.h"

/* What a pass over a selector, alone or in a window function, says to the querier. */
void toc_rollup_hint(const struct toc_eval *e, const struct toc_node *node,
                     const struct toc_node *selector, enum toc_wanted wanted,
                     struct toc_select *io_select);
/* All steps of one series of roll-ups; result to out's memory. Windows that begin or end inside a
 * bucket are widened to whole buckets and moved back to the last end before their own, which is
 * noted. */
void toc_rollup_steps(const struct toc_eval *e, struct toc_worker *w, const struct toc_node *node,
                      const struct toc_node *selector, enum toc_wanted wanted,
                      const struct toc_series_view *s, struct toc_column *out, bool *out_any);

#endif
