/*
 * What rows of the table said of lines before, by the shape of the line: its bytes with every digit
 * made 0. A table whose expressions and prefilters tell no digit from another says the same of all
 * lines of one shape, groups at the same places, so the expressions need not run again.
 */
#ifndef TOC_COLLECT_RUN_LOG_SHAPE_PRIV_H
#define TOC_COLLECT_RUN_LOG_SHAPE_PRIV_H

#include "collect/run_log_cut_priv.h"

struct toc_run_log_shapes; /* opaque; one feed's, one thread at a time */
struct toc_run_log_shapes *toc_run_log_shapes_new(void);
void toc_run_log_shapes_free(struct toc_run_log_shapes **s);

/* What a match of a line gives. */
struct toc_run_log_matched {
    const struct toc_run_log_row *row; /* NULL: no row knows the line */
    struct toc_sv groups[TOC_RUN_LOG_GROUPS_MAX];
    bool may_show_time;            /* false: toc_run_log_time finds none */
    struct toc_run_log_cuts *cuts; /* of the shape, until the next line; NULL: it is not kept */
};

/* The row of a line and its groups, as toc_run_log_match gives them. */
void toc_run_log_shapes_match(struct toc_run_log_shapes *s, const struct toc_run_log_table *t,
                              struct toc_sv line, struct toc_run_log_matched *out);
/* Lines that were known by their shape. */
uint64_t toc_run_log_shapes_known(const struct toc_run_log_shapes *s);

/* Does the RE2 expression take any digit for any other? Digits may stand in it as 0-9 within a
 * class, in counts such as {2,8} and in names of groups only. */
bool toc_run_log_pattern_is_blind(struct toc_sv pattern);

#endif
