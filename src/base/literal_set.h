/*
 * Many literals searched in one pass over ASCII-case-folded bytes: by the hash of three bytes
 * (literal_filter_priv.h), or, where a literal is a single byte, by the automaton of Aho and
 * Corasick (CACM 1975). Both give the same answers. Each literal carries a number below
 * TOC_LITERAL_SET_MAX; a search says which numbers occur. Immutable once built: any number of
 * threads may search.
 */
#ifndef TOC_BASE_LITERAL_SET_H
#define TOC_BASE_LITERAL_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"

enum {
    TOC_LITERAL_SET_MAX = 512, /* numbers */
    TOC_LITERAL_SET_WORDS = TOC_LITERAL_SET_MAX / 64,
    TOC_LITERAL_SET_BYTES_MAX = 60000, /* of all literals together */
};

struct toc_literal_hits {
    uint64_t words[TOC_LITERAL_SET_WORDS]; /* bit i: a literal with number i occurs */
};

struct toc_literal {
    struct toc_sv text; /* borrowed for the call of toc_literal_set_new */
    unsigned number;
};

struct toc_literal_set;

/* TOC_EINVAL for an empty literal or a number out of range, TOC_ELIMIT for too many bytes. */
int toc_literal_set_new(const struct toc_literal *literals, size_t count,
                        struct toc_literal_set **out_set) TOC_MUST_CHECK;
void toc_literal_set_free(struct toc_literal_set **set);
/* Sets *out_hits; true when anything occurs. */
bool toc_literal_set_search(const struct toc_literal_set *set, struct toc_sv text,
                            struct toc_literal_hits *out_hits);
/* The same by the automaton. */
bool toc_literal_set_walk(const struct toc_literal_set *set, struct toc_sv text,
                          struct toc_literal_hits *out_hits);

static inline bool toc_literal_hits_has(const struct toc_literal_hits *h, unsigned number) {
    return h->words[number / 64] >> (number % 64) & 1;
}

#endif
