/*
 * A forest for wide vectors: complete trees of depth 8 whose thresholds are 16-bit ranks.
 *
 * Per column all thresholds of a group of trees are sorted; a node holds the index of its own, a
 * row's value the number of thresholds below it. So  value > threshold  is the same as
 * rank(value) > rank(threshold), exactly. The column stands in the upper bits of both words, and
 * whole levels of a tree fit into a few registers: a step is a permutation and a comparison of 32
 * rows, without a load from memory that depends on the data.
 *
 *     tree:  u16 nodes[256]      heap order, the root at 1; column << (16 - bits) | rank
 *            u16 low[256], high[256]   path length of the leaf in units of 2^-26
 *
 * A leaf above depth 8 is copied to all leaves below it; its inner nodes do not matter then.
 */
#ifndef TOC_DETECT_IFOREST_RANKED_H
#define TOC_DETECT_IFOREST_RANKED_H

#include "detect/iforest_priv.h"

enum {
    TOC_RANKED_DEPTH = 8,
    TOC_RANKED_LEAVES = 1 << TOC_RANKED_DEPTH,
    TOC_RANKED_TREE_WORDS = 3 * TOC_RANKED_LEAVES,
    TOC_RANKED_COLUMNS_MAX = 32,
    TOC_RANKED_BLOCK = 256,    /* rows ranked and walked together */
    TOC_RANKED_PATH_BITS = 26, /* fraction bits of a path length */
    TOC_RANKED_PIVOTS = 32,
    TOC_RANKED_PIVOT_LEVELS = 5,
};

/* Thresholds of one column in one group, rising, filled up with +inf to 2^levels - 1. */
struct toc_ranked_column {
    uint32_t first, levels;          /* in `thresholds`; levels ≥ TOC_RANKED_PIVOT_LEVELS */
    float pivots[TOC_RANKED_PIVOTS]; /* the upper five levels of the search, heap order from 1 */
};

/* Trees that share the ranks: as many as the bits of a rank allow. */
struct toc_ranked_group {
    uint32_t first_tree, tree_count;
    struct toc_ranked_column columns[TOC_RANKED_COLUMNS_MAX];
};

struct toc_iforest_ranked {
    size_t columns, column_bits; /* 2^column_bits ≥ columns */
    struct toc_ranked_group *groups;
    size_t group_count, group_capacity;
    float *thresholds;
    size_t threshold_count, threshold_capacity;
    uint16_t *trees; /* TOC_RANKED_TREE_WORDS each, at a multiple of 64 bytes */
    void *tree_memory;
};

/* TOC_EUNSUPPORTED when the forest does not fit the form (deeper trees, more columns), TOC_ENOMEM.
 */
int toc_iforest_ranked_new(const struct toc_iforest *f,
                           struct toc_iforest_ranked **out) TOC_MUST_CHECK;
void toc_iforest_ranked_free(struct toc_iforest_ranked **r);

/* Can this processor walk it? */
bool toc_iforest_has_avx512(void);
/* Path lengths of the rows in units of 2^-26, summed over all trees. x: columns of
 * TOC_RANKED_BLOCK lanes. */
void toc_iforest_walk_avx512(const struct toc_iforest_ranked *r, const float *x, uint64_t *sum);

#endif
