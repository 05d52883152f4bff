/*
 * Where in a text may a literal be? Each literal is known by the rarest three bytes of it (its
 * window). A bit table says for the hash of every three bytes of a text whether they are the window
 * of a literal: eight bytes give six answers without a branch. What it says yes to is compared
 * byte by byte, so the answers are exact. Rabin and Karp (IBM J. Res. Dev. 31/2, 1987) with windows
 * so short that their hash needs no rolling.
 */
#ifndef TOC_BASE_LITERAL_FILTER_PRIV_H
#define TOC_BASE_LITERAL_FILTER_PRIV_H

#include "base/literal_set.h"

struct toc_literal_filter;

/* TOC_EINVAL when a literal is shorter than two bytes, TOC_ELIMIT for more windows than it can
 * number; *out is NULL then. The literals were checked by the caller. */
int toc_literal_filter_new(const struct toc_literal *literals, size_t count,
                           struct toc_literal_filter **out) TOC_MUST_CHECK;
void toc_literal_filter_free(struct toc_literal_filter **filter);
/* Adds the numbers that occur to *hits; true when there is one. */
bool toc_literal_filter_search(const struct toc_literal_filter *filter, struct toc_sv text,
                               struct toc_literal_hits *hits);

#endif
