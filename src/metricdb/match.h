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

/* a keeps what is not in b; both sorted. */
void toc_ids_subtract(struct toc_ids *a, const uint32_t *b, size_t n);
void toc_ids_sort(struct toc_ids *a);

/*
 * A matcher made ready for many values: what can be told without the regular expression is.
 * Literal alternatives (a|b, (a|b)), a literal beginning, .* and .+ are seen.
 */
enum toc_value_shape {
    TOC_VALUE_ANY,     /* =~".*" */
    TOC_VALUE_PRESENT, /* =~".+", !="" */
    TOC_VALUE_PREFIX,  /* =~"literal.*" */
    TOC_VALUE_OTHER,   /* asks the matcher, after the literal beginning */
};
struct toc_value_test {
    const struct toc_matcher *m;
    enum toc_value_shape shape; /* of the expression, before negation */
    struct toc_sv prefix;       /* every match begins with it */
    size_t least_bytes;         /* no match is shorter */
    bool is_negated;
};
struct toc_value_test toc_value_test_make(const struct toc_matcher *m);
bool toc_value_test_matches(const struct toc_value_test *t, struct toc_sv value);

/* Who keeps lists of series by (name, value); every list is sorted. */
struct toc_postings {
    const void *x;
    uint32_t limit; /* every id is below */
    size_t (*pair_size)(const void *x, struct toc_sv name, struct toc_sv value);
    void (*append_pair)(const void *x, struct toc_sv name, struct toc_sv value,
                        struct toc_ids *out);
    /* The list itself, to read in place while x does not change; NULL when there is none. Not set
     * where lists are packed. */
    const struct toc_ids *(*lend_pair)(const void *x, struct toc_sv name, struct toc_sv value);
    /* The lists of all values of m's name for which the test says `verdict`. */
    void (*append_where)(const void *x, const struct toc_value_test *test, bool verdict,
                         struct toc_ids *out);
    void (*append_all)(const void *x, struct toc_ids *out);
    /* Keeps of `found` the series that satisfy all matchers, by a look at each. NULL where lists
     * cost less than that. */
    void (*keep_fitting)(const void *x, const struct toc_matcher *m, size_t count,
                         struct toc_ids *found);
};

/* The sorted series that satisfy all matchers, appended to out. */
void toc_postings_match(const struct toc_postings *p, const struct toc_matcher *m, size_t count,
                        struct toc_ids *out);

#endif
