/* Label matchers against posting lists of the head or of a block. */
#ifndef TOC_METRICDB_MATCH_H
#define TOC_METRICDB_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "model/matcher.h"

struct toc_ids {
    TOC_VEC_FIELDS(uint32_t)
};

/* Sorted set operations; a keeps what is (not) in b. */
void toc_ids_intersect(struct toc_ids *a, const uint32_t *b, size_t n);
void toc_ids_subtract(struct toc_ids *a, const uint32_t *b, size_t n);
void toc_ids_sort(struct toc_ids *a);

/* Who keeps lists of series by (name, value); every list is sorted. */
struct toc_postings {
    const void *x;
    size_t (*pair_size)(const void *x, struct toc_sv name, struct toc_sv value);
    void (*append_pair)(const void *x, struct toc_sv name, struct toc_sv value,
                        struct toc_ids *out);
    /* The lists of all values of m's name for which m says `verdict`. */
    void (*append_where)(const void *x, const struct toc_matcher *m, bool verdict,
                         struct toc_ids *out);
    void (*append_all)(const void *x, struct toc_ids *out);
};

/* The sorted series that satisfy all matchers, appended to out. */
void toc_postings_match(const struct toc_postings *p, const struct toc_matcher *m, size_t count,
                        struct toc_ids *out);

#endif
