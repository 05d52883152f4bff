/*
 * How the pairs of a line are cut, remembered with the line's shape (run_log_shape_priv.h): where a
 * pair begins and ends no digit tells, so lines of one shape are cut at the same places.
 */
#ifndef TOC_COLLECT_RUN_LOG_CUT_PRIV_H
#define TOC_COLLECT_RUN_LOG_CUT_PRIV_H

#include "collect/run_log_names_priv.h"
#include "collect/run_log_priv.h"

struct toc_run_log_cut {
    uint32_t name_from, name_n, text_from, text_n; /* in the line */
    bool is_fixed;                      /* the name has no digit: it is that of all the lines */
    struct toc_run_log_meaning meaning; /* is_fixed */
};

struct toc_run_log_cuts {
    bool is_known;
    TOC_VEC(struct toc_run_log_cut) items;
};

void toc_run_log_cuts_reset(struct toc_run_log_cuts *c);
void toc_run_log_cuts_fini(struct toc_run_log_cuts *c);

/* The pairs of `text`, a part of `line`, with what their names mean. Styles that take words for
 * pairs ask whether they are numbers and are not remembered. cuts: of the line's shape, NULL: it
 * has none. */
void toc_run_log_cut_pairs(
    struct toc_run_log_cuts *cuts, enum toc_run_log_pairs style, struct toc_sv line,
    struct toc_sv text, struct toc_run_log_names *names, bool is_eval,
    void (*fn)(void *ctx, struct toc_run_log_meaning m, struct toc_sv number), void *ctx);

#endif
