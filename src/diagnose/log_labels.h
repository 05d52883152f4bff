/*
 * Job, host and rank from the path of a log, by a pattern such as
 *
 *   /logs/{run}/{host}/rank{rank}.log      *  anything within one part of the path
 *
 * A field takes as little as makes the rest fit; {rank} takes digits only. Without a leading slash
 * the pattern may begin at any part of the path. Pure.
 */
#ifndef TOC_DIAGNOSE_LOG_LABELS_H
#define TOC_DIAGNOSE_LOG_LABELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"

struct toc_log_labels {
    struct toc_sv job, host; /* "" = not in the path; borrowed from it */
    int64_t rank;            /* -1 */
};
#define TOC_LOG_LABELS_NONE ((struct toc_log_labels){.rank = -1})

struct toc_regex;
struct toc_log_pattern {
    struct toc_regex *regex;
    int job, host, rank; /* groups; 0 = none; {run} and {job} are the same */
};

/* TOC_EPARSE with the reason: an unknown field, one given twice, an open brace. */
int toc_log_pattern_parse(struct toc_sv text, struct toc_log_pattern *out,
                          struct toc_err *err) TOC_MUST_CHECK;
void toc_log_pattern_fini(struct toc_log_pattern *p);
bool toc_log_pattern_match(const struct toc_log_pattern *p, struct toc_sv path,
                           struct toc_log_labels *out);
/* What paths say by custom, without a pattern: rank7, rank_7, rank-7, r7 before a dot; a part that
 * holds "node" or "host" and a number. */
struct toc_log_labels toc_log_labels_guess(struct toc_sv path);

#endif
