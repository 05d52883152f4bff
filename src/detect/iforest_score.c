#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/iforest_priv.h"

/* Thirty-two independent walks per tree: their loads overlap, so memory latency is paid once. */
static void walk_tree(const struct toc_iforest *f, const struct toc_iforest_tree *tree,
                      const float *x, double *sum) {
    const struct toc_iforest_node *nodes = f->nodes + tree->first;
    const float *path = f->path + tree->first;
    uint32_t at[TOC_IFOREST_BLOCK] = {0};
    for (uint32_t level = 0; level < tree->depth; level++) {
        for (size_t lane = 0; lane < TOC_IFOREST_BLOCK; lane++) {
            struct toc_iforest_node n = nodes[at[lane]];
            uint32_t column = n.link & TOC_IFOREST_FEATURE_MASK;
            uint32_t child = n.link >> TOC_IFOREST_FEATURE_BITS;
            at[lane] = child + (uint32_t)(x[column * TOC_IFOREST_BLOCK + lane] > n.threshold);
        }
    }
    for (size_t lane = 0; lane < TOC_IFOREST_BLOCK; lane++)
        sum[lane] += (double)path[at[lane]];
}

void toc_iforest_walk_portable(const struct toc_iforest *f, const float *x, double *sum) {
    for (size_t t = 0; t < f->tree_count; t++)
        walk_tree(f, &f->trees[t], x, sum);
}

static toc_iforest_walk *choose_walk(enum toc_iforest_kernel kernel) {
    toc_iforest_walk *fast = kernel == TOC_IFOREST_KERNEL_AUTO ? toc_iforest_walk_avx2() : NULL;
    return fast ? fast : toc_iforest_walk_portable;
}

/* Rows from `first` into columns of lanes; unused lanes repeat zeros and are ignored. */
static void transpose_block(struct toc_matrix x, size_t first, size_t lanes, float *block) {
    for (size_t lane = 0; lane < lanes; lane++) {
        const double *row = x.values + (first + lane) * x.columns;
        for (size_t c = 0; c < x.columns; c++)
            block[c * TOC_IFOREST_BLOCK + lane] = (float)row[c];
    }
}

static void score_blocks(const struct toc_iforest *f, toc_iforest_walk *walk, struct toc_matrix x,
                         float *block, double *out_scores) {
    double expected = (double)f->tree_count * toc_iforest_average_path(f->max_samples);
    for (size_t first = 0; first < x.rows; first += TOC_IFOREST_BLOCK) {
        size_t lanes = TOC_MIN(x.rows - first, (size_t)TOC_IFOREST_BLOCK);
        double sum[TOC_IFOREST_BLOCK] = {0};
        transpose_block(x, first, lanes, block);
        walk(f, block, sum);
        for (size_t lane = 0; lane < lanes; lane++)
            out_scores[first + lane] = expected > 0 ? -exp2(-sum[lane] / expected) : -0.5;
    }
}

int toc_iforest_score_with(const struct toc_iforest *f, enum toc_iforest_kernel kernel,
                           struct toc_matrix x, double *out_scores, struct toc_err *err) {
    if (x.rows == 0)
        return 0;
    if (x.columns != f->columns)
        return toc_errf(err, TOC_EINVAL, "the forest was trained on %zu columns, got %zu",
                        f->columns, x.columns);
    int rc = toc_iforest_check_values(x, err);
    if (rc < 0)
        return rc;
    float *block = toc_try_calloc(x.columns * TOC_IFOREST_BLOCK, sizeof *block);
    if (!block)
        return toc_errf(err, TOC_ENOMEM, "scoring %zu columns: out of memory", x.columns);
    score_blocks(f, choose_walk(kernel), x, block, out_scores);
    toc_free(block);
    return 0;
}

int toc_iforest_score(const struct toc_iforest *f, struct toc_matrix x, double *out_scores,
                      struct toc_err *err) {
    return toc_iforest_score_with(f, TOC_IFOREST_KERNEL_AUTO, x, out_scores, err);
}

struct toc_iforest_info toc_iforest_info(const struct toc_iforest *f) {
    return (struct toc_iforest_info){f->tree_count, f->columns, f->max_samples,
                                     f->node_count, f->offset,  f->contamination};
}
