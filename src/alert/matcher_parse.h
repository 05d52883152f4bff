/*
 * Alertmanager's matcher text: `a=b`, `{severity=~"warning|critical", team!=""}`. The UTF-8 grammar
 * is tried first, then the classic one.
 */
#ifndef TOC_ALERT_MATCHER_PARSE_H
#define TOC_ALERT_MATCHER_PARSE_H

#include "base/error.h"
#include "base/vec.h"
#include "model/matcher.h"

struct toc_matcher_list {
    TOC_VEC_FIELDS(struct toc_matcher)
};

enum { TOC_MATCHERS_MAX = 200, TOC_MATCHER_TEXT_MAX = 16384 };

/* Appends the matchers of `text`. TOC_EPARSE, TOC_ELIMIT; the list keeps what it had before. */
int toc_matcher_list_parse(struct toc_matcher_list *list, struct toc_sv text,
                           struct toc_err *err) TOC_MUST_CHECK;
int toc_matcher_list_add(struct toc_matcher_list *list, enum toc_match_op op, struct toc_sv name,
                         struct toc_sv value, struct toc_err *err) TOC_MUST_CHECK;
bool toc_matcher_list_matches(const struct toc_matcher_list *list, struct toc_labels l);
/* `{a="1",b=~"x"}` */
void toc_matcher_list_format(const struct toc_matcher_list *list, struct toc_buf *out);
void toc_matcher_list_fini(struct toc_matcher_list *list);

#endif
