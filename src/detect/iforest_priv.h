/*
 * The flattened forest. All trees share one node array; a tree is a run of nodes, its root first.
 * The two children of a node lie side by side, so a step is  next = child + (x > threshold) without
 * a branch.
 *
 *     link:  child index within the tree << FEATURE_BITS | feature
 *
 * A leaf points to itself and has threshold +inf: walking on stays there, so every row of a block
 * takes exactly `depth` steps and eight rows walk in one vector.
 */
#ifndef TOC_DETECT_IFOREST_PRIV_H
#define TOC_DETECT_IFOREST_PRIV_H

#include <stdatomic.h>

#include "detect/iforest.h"

enum {
    TOC_IFOREST_FEATURE_BITS = 10,
    TOC_IFOREST_FEATURE_MASK = (1 << TOC_IFOREST_FEATURE_BITS) - 1,
    TOC_IFOREST_DEPTH_MAX = 20, /* ceil(log2(TOC_IFOREST_SAMPLES_MAX)) */
    TOC_IFOREST_NODES_MAX = 1 << 26,
    TOC_IFOREST_BLOCK = 32, /* rows walked together */
};
_Static_assert(TOC_IFOREST_COLUMNS_MAX <= 1 << TOC_IFOREST_FEATURE_BITS, "feature bits");
_Static_assert(2 * TOC_IFOREST_SAMPLES_MAX <= 1 << (32 - TOC_IFOREST_FEATURE_BITS), "child bits");

struct toc_iforest_node {
    float threshold;
    uint32_t link;
};
_Static_assert(sizeof(struct toc_iforest_node) == 8, "two gathers per node");

struct toc_iforest_tree {
    uint32_t first, count, depth;
};

struct toc_iforest_ranked;
struct toc_iforest {
    size_t columns, max_samples;
    double offset, contamination;
    struct toc_iforest_tree *trees;
    size_t tree_count;
    struct toc_iforest_node *nodes;
    float *path; /* per node: depth + c(rows) of a leaf, 0 inside */
    size_t node_count;
    /* Made by the first call that scores many rows (release) and read by all (acquire); NULL: not
     * yet; toc_iforest_unranked: it cannot be made. */
    _Atomic(struct toc_iforest_ranked *) ranked;
};
extern struct toc_iforest_ranked toc_iforest_unranked;
/* Frees it; no other thread uses the forest. */
void toc_iforest_drop_ranked(struct toc_iforest *f);

static inline bool toc_iforest_node_is_leaf(const struct toc_iforest_node *n, uint32_t at) {
    return n->link >> TOC_IFOREST_FEATURE_BITS == at;
}

/* Adds each lane's path length over all trees to sum. x holds TOC_IFOREST_BLOCK lanes per column.
 */
typedef void toc_iforest_walk(const struct toc_iforest *f, const float *x, double *sum);
void toc_iforest_walk_portable(const struct toc_iforest *f, const float *x, double *sum);
/* NULL when this processor has none. */
toc_iforest_walk *toc_iforest_walk_avx2(void);

/* TOC_EINVAL naming row and column of the first value that float32 cannot hold. */
int toc_iforest_check_values(struct toc_matrix x, struct toc_err *err);

#endif
