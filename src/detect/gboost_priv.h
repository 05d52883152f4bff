/* The trees behind gboost.h. */
#ifndef TOC_DETECT_GBOOST_PRIV_H
#define TOC_DETECT_GBOOST_PRIV_H

#include "detect/gboost.h"

/* Node i of a tree has the children 2i + 1 (value <= threshold, or NaN) and 2i + 2. The nodes are
 * followed by the leaves, so that walking `depth` steps from 0 ends at a leaf. */
struct toc_gboost_node {
    double threshold; /* +infinity: everything goes left */
    uint8_t column;
};

struct toc_gboost {
    size_t trees, depth, columns;
    double base;                         /* log odds before the first tree */
    struct toc_gboost_node *nodes;       /* trees x (2^depth - 1) */
    double *leaves;                      /* trees x 2^depth */
    double gain[TOC_GBOOST_COLUMNS_MAX]; /* of training */
};

static inline size_t toc_gboost_inner(size_t depth) {
    return ((size_t)1 << depth) - 1;
}

/* Without trees filled in; NULL without memory. */
struct toc_gboost *toc_gboost_new(size_t trees, size_t depth, size_t columns);

#endif
