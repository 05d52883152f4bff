/*
 * What becomes of an error signature (packs/failures.tsv): the kind of its incident, how strong a
 * cause it is, what it explains, who has to act. Immutable: any number of threads.
 */
#ifndef TOC_DIAGNOSE_FAILURE_RULE_H
#define TOC_DIAGNOSE_FAILURE_RULE_H

#include "base/error.h"
#include "base/sv.h"
#include "diagnose/signature.h"
#include "diagnose/xid.h"
#include "model/finding.h"

enum { TOC_FAILURE_RULES_MAX = 256, TOC_FAILURE_STRENGTH_MAX = 9 };

struct toc_failure_rule {
    struct toc_sv name;    /* class, signature, signature:code, signature:owner */
    enum toc_kind kind;    /* TOC_KIND_COUNT: never an incident */
    unsigned strength;     /* a cause explains weaker signs only; 0: never a cause */
    unsigned opens;        /* lines that open an incident; 0: never by itself */
    struct toc_sv in_job;  /* words it explains anywhere in its job; "*" = all, "-" = none */
    struct toc_sv on_host; /* and on its own host */
    struct toc_sv owner, title, action;
};

struct toc_failure_rules; /* opaque */

/* Errors carry row and column. */
int toc_failure_rules_parse(struct toc_sv text, struct toc_failure_rules **out_rules,
                            struct toc_err *err) TOC_MUST_CHECK;
int toc_failure_rules_builtin(struct toc_failure_rules **out_rules,
                              struct toc_err *err) TOC_MUST_CHECK;
void toc_failure_rules_free(struct toc_failure_rules **rules);
size_t toc_failure_rules_count(const struct toc_failure_rules *rules);
const struct toc_failure_rule *toc_failure_rules_get(const struct toc_failure_rules *rules,
                                                     size_t i);
/* The most special row: signature:code, signature:owner (of `xid`, NULL: none), signature, class.
 * NULL when the table has none. */
const struct toc_failure_rule *toc_failure_rules_find(const struct toc_failure_rules *rules,
                                                      const struct toc_signature *s,
                                                      struct toc_sv code,
                                                      const struct toc_xid *xid);
/* Does a list of words name the signature, its class or that row? */
bool toc_failure_rule_lists(struct toc_sv words, const struct toc_signature *s,
                            const struct toc_failure_rule *rule);

#endif
