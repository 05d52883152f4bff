/* The selectors of `match[]`: several are a union. */
#ifndef TOC_API_PROM_MATCH_H
#define TOC_API_PROM_MATCH_H

#include "api/prom_priv.h"
#include "promql/promql.h"

enum { TOC_PROM_MATCH_MAX = 64 };

struct toc_prom_matches {
    struct toc_promql_expr *exprs[TOC_PROM_MATCH_MAX]; /* owned */
    struct toc_select selects[TOC_PROM_MATCH_MAX];     /* matchers borrowed from exprs */
    size_t count;
};

/* All `match[]` of the request; false: answered already, nothing to release. Errors name the
 * parameter when `names_parameter`. */
bool toc_prom_matches_read(struct toc_api_call *c, bool names_parameter,
                           struct toc_prom_matches *out);
/* The same for a parameter of another name, without the demand to say something. */
bool toc_prom_matches_read_named(struct toc_api_call *c, const char *name,
                                 struct toc_prom_matches *out);
/* As the first, with `start` and `end`, for labels only; without any `match[]` one selection of
 * everything. */
bool toc_prom_matches_read_range(struct toc_api_call *c, bool names_parameter,
                                 struct toc_prom_matches *out);
void toc_prom_matches_fini(struct toc_prom_matches *m);
/* Do the labels satisfy one of the selectors? True without selectors. */
bool toc_prom_matches_labels(const struct toc_prom_matches *m, struct toc_labels labels);

#endif
