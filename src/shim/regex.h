/* RE2 behind a C face: PromQL and Alertmanager define their expressions by RE2's syntax. */
#ifndef TOC_SHIM_REGEX_H
#define TOC_SHIM_REGEX_H

#include <stdbool.h>

#include "base/error.h"
#include "base/sv.h"

struct toc_regex;

enum toc_regex_flags {
    TOC_REGEX_SEARCH = 0,   /* match anywhere */
    TOC_REGEX_ANCHORED = 1, /* match the whole text; '.' matches newline, as Prometheus does */
    TOC_REGEX_LATE = 2,     /* compile it when it is first needed; a bad one matches nothing, so
                               toc_regex_check is for whoever does not know that it is good */
};

/* flags: of toc_regex_flags. TOC_EPARSE with RE2's reason; programs over 8 MiB are refused.
 * Immutable: any number of threads. */
int toc_regex_new(struct toc_sv pattern, unsigned flags, struct toc_regex **out,
                  struct toc_err *err) TOC_MUST_CHECK;
/* Compiles a late one now; what toc_regex_new says of another one. */
int toc_regex_check(const struct toc_regex *re, struct toc_err *err) TOC_MUST_CHECK;
void toc_regex_free(struct toc_regex **re);
bool toc_regex_matches(const struct toc_regex *re, struct toc_sv text);
/* Capture groups, 0 = whole match; `groups` has room for `max` views borrowed from text. Returns
 * the number of groups filled, 0 when there is no match. */
int toc_regex_capture(const struct toc_regex *re, struct toc_sv text, struct toc_sv *groups,
                      int max);
/* The same, searching from byte `from`; what stands before it still counts for ^ and \b. */
int toc_regex_capture_from(const struct toc_regex *re, struct toc_sv text, size_t from,
                           struct toc_sv *groups, int max);
/* Number of capture groups, without group 0. */
int toc_regex_group_count(const struct toc_regex *re);
/* Name of group i (1-based), "" when unnamed; borrowed. */
const char *toc_regex_group_name(const struct toc_regex *re, int i);

#endif
