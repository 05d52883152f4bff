/*
 * What the names mean that the lines of one log give numbers under. A log says the same names again
 * and again, mostly in the same order, so each is looked up in the table of aliases once.
 */
#ifndef TOC_COLLECT_RUN_LOG_NAMES_PRIV_H
#define TOC_COLLECT_RUN_LOG_NAMES_PRIV_H

#include "collect/report_field_priv.h"
#include "model/alias.h"

enum {
    TOC_RUN_LOG_NAMES_MAX = 4096, /* kept of one log; a run has 512 tags at most */
    TOC_RUN_LOG_NAME_BYTES_MAX = 128,
};

struct toc_run_log_names; /* opaque */

/* Borrows both. */
struct toc_run_log_names *toc_run_log_names_new(const struct toc_alias_table *aliases,
                                                struct toc_report_fields *fields);
void toc_run_log_names_free(struct toc_run_log_names **n);

struct toc_run_log_meaning {
    const struct toc_alias *alias;  /* NULL: without a meaning */
    struct toc_report_field *field; /* of the protocol, or the tag; NULL: the name cannot be a tag,
                                       or there are too many */
};
/* is_eval: a name without a phase is of the evaluation. */
struct toc_run_log_meaning toc_run_log_name_get(struct toc_run_log_names *n, struct toc_sv name,
                                                bool is_eval);

#endif
