/*
 * Why rows are strange: which column, in which respect, how far outside, since when, and which past
 * windows were alike. Answers come from the last rows alone (a ring of TOC_EXPLAIN_ROWS), whatever
 * detector found the rows. docs/design/detect.md, "Explanations". Pure; one thread per object.
 */
#ifndef TOC_DETECT_EXPLAIN_H
#define TOC_DETECT_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    TOC_EXPLAIN_ROWS = 4096, /* remembered */
    TOC_EXPLAIN_BEFORE = 30, /* rows before the strange ones for anything to be said */
    TOC_EXPLAIN_WINDOW = 16, /* rows of a window, and of a spread */
    TOC_EXPLAIN_CAUSES = 3,
    TOC_EXPLAIN_SIMILAR = 3,
};

/* X(NAME, "name", "what is compared with its own past") */
#define TOC_RESPECT_TABLE(X)                                   \
    X(VALUE, "value", "the value")                             \
    X(CHANGE, "change", "the change from one row to the next") \
    X(SPREAD, "spread", "how much 16 rows move (standard deviation)")

enum toc_respect {
#define TOC_RESPECT_ENUM(name, text, help) TOC_RESPECT_##name,
    TOC_RESPECT_TABLE(TOC_RESPECT_ENUM)
#undef TOC_RESPECT_ENUM
        TOC_RESPECTS
};
/* "value" and so on. */
const char *toc_respect_name(enum toc_respect r);

struct toc_explain_cause {
    size_t column;
    enum toc_respect respect;
    double seen;         /* where it was furthest outside */
    double lower, upper; /* usual: median ∓ 3 robust standard deviations of the rows before */
    double z;            /* robust, with its sign */
    uint64_t row;        /* of `seen`, counted from 0 over all rows */
    uint64_t since;      /* first of the rows up to it that lie outside without a break */
    double since_seconds;
};

struct toc_explain_similar {
    uint64_t first, last; /* rows */
    double seconds;       /* of the first */
    double distance;      /* root mean square of differences, in usual deviations of the column */
};

struct toc_explanation {
    struct toc_explain_cause
        causes[TOC_EXPLAIN_CAUSES]; /* the furthest outside first, one per column */
    size_t cause_count;
    /* Windows of the first cause's column before the strange rows, nearest first, apart from each
     * other; only those that leave less than half of what is strange unexplained. */
    struct toc_explain_similar similar[TOC_EXPLAIN_SIMILAR];
    size_t similar_count;
    size_t before; /* rows that they were compared with */
};

struct toc_explainer;

/* columns 1 to 1024. TOC_ENOMEM. */
int toc_explainer_new(size_t columns, struct toc_explainer **out,
                      struct toc_err *err) TOC_MUST_CHECK;
void toc_explainer_free(struct toc_explainer **e);
/* The next row; NaN and infinity are missing values. */
void toc_explainer_add(struct toc_explainer *e, double seconds, const double *values);
/* Rows `first` to `last` (counted from 0) against those before. No causes with fewer than
 * TOC_EXPLAIN_BEFORE rows before, or when `last` is no longer remembered. Cost: columns *
 * TOC_EXPLAIN_ROWS. */
void toc_explain(struct toc_explainer *e, uint64_t first, uint64_t last,
                 struct toc_explanation *out);
/* Time of a remembered row; NaN of another. */
double toc_explainer_seconds(const struct toc_explainer *e, uint64_t row);

#endif
