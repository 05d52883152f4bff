#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/iforest_ranked.h"

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

/* ---- one row ---- */

enum { TREES_TOGETHER = 8 };

/* Adds the trees' path lengths in their order, as the walks of blocks do. */
static double row_path(const struct toc_iforest *f, const float *x) {
    double sum = 0;
    for (size_t first = 0; first < f->tree_count; first += TREES_TOGETHER) {
        size_t count = TOC_MIN(f->tree_count - first, (size_t)TREES_TOGETHER);
        const struct toc_iforest_node *root[TREES_TOGETHER];
        uint32_t at[TREES_TOGETHER] = {0}, depth = 0;
        for (size_t k = 0; k < TREES_TOGETHER; k++) {
            const struct toc_iforest_tree *tree = &f->trees[first + TOC_MIN(k, count - 1)];
            root[k] = f->nodes + tree->first;
            depth = TOC_MAX(depth, tree->depth);
        }
        for (uint32_t level = 0; level < depth; level++)
            for (size_t k = 0; k < TREES_TOGETHER; k++) {
                struct toc_iforest_node n = root[k][at[k]];
                at[k] = (n.link >> TOC_IFOREST_FEATURE_BITS) +
                        (uint32_t)(x[n.link & TOC_IFOREST_FEATURE_MASK] > n.threshold);
            }
        for (size_t k = 0; k < count; k++)
            sum += (double)f->path[f->trees[first + k].first + at[k]];
    }
    return sum;
}

static double score_of(double path, double expected) {
    return expected > 0 ? -exp2(-path / expected) : -0.5;
}

static double expected_path(const struct toc_iforest *f) {
    return (double)f->tree_count * toc_iforest_average_path(f->max_samples);
}

static int score_rows(const struct toc_iforest *f, struct toc_matrix x, double *out_scores) {
    float row[TOC_IFOREST_COLUMNS_MAX];
    for (size_t i = 0; i < x.rows; i++) {
        for (size_t c = 0; c < x.columns; c++)
            row[c] = (float)x.values[i * x.columns + c];
        out_scores[i] = score_of(row_path(f, row), expected_path(f));
    }
    return 0;
}

/* ---- blocks of rows ---- */

/* Rows from `first` into columns of lanes; unused lanes keep what they had and are ignored. */
static void transpose_block(struct toc_matrix x, size_t first, size_t lanes, size_t width,
                            float *block) {
    for (size_t lane = 0; lane < lanes; lane++) {
        const double *row = x.values + (first + lane) * x.columns;
        for (size_t c = 0; c < x.columns; c++)
            block[c * width + lane] = (float)row[c];
    }
}

static int score_blocks(const struct toc_iforest *f, toc_iforest_walk *walk, struct toc_matrix x,
                        double *out_scores) {
    float *block = toc_try_calloc(x.columns * TOC_IFOREST_BLOCK, sizeof *block);
    if (!block)
        return TOC_ENOMEM;
    for (size_t first = 0; first < x.rows; first += TOC_IFOREST_BLOCK) {
        size_t lanes = TOC_MIN(x.rows - first, (size_t)TOC_IFOREST_BLOCK);
        double sum[TOC_IFOREST_BLOCK] = {0};
        transpose_block(x, first, lanes, TOC_IFOREST_BLOCK, block);
        walk(f, block, sum);
        for (size_t lane = 0; lane < lanes; lane++)
            out_scores[first + lane] = score_of(sum[lane], expected_path(f));
    }
    toc_free(block);
    return 0;
}

/* ---- ranked ---- */

struct toc_iforest_ranked toc_iforest_unranked;

void toc_iforest_drop_ranked(struct toc_iforest *f) {
    struct toc_iforest_ranked *r = atomic_load_explicit(&f->ranked, memory_order_acquire);
    if (r != &toc_iforest_unranked)
        toc_iforest_ranked_free(&r);
}

/* The forest's ranked form, made when it is not there; NULL when it cannot be made. */
static const struct toc_iforest_ranked *ranked_of(const struct toc_iforest *forest) {
    /* Only this member changes, once, after training. */
    struct toc_iforest *f = (struct toc_iforest *)(uintptr_t)forest;
    struct toc_iforest_ranked *r = atomic_load_explicit(&f->ranked, memory_order_acquire);
    if (!r) {
        struct toc_iforest_ranked *fresh;
        int rc = toc_iforest_ranked_new(f, &fresh);
        if (rc == TOC_ENOMEM)
            return NULL; /* the other walks need little; tried again next time */
        fresh = rc < 0 ? &toc_iforest_unranked : fresh;
        if (atomic_compare_exchange_strong_explicit(&f->ranked, &r, fresh, memory_order_acq_rel,
                                                    memory_order_acquire))
            r = fresh;
        else if (fresh != &toc_iforest_unranked)
            toc_iforest_ranked_free(&fresh); /* another thread was first */
    }
    return r == &toc_iforest_unranked ? NULL : r;
}

static int score_ranked(const struct toc_iforest *f, const struct toc_iforest_ranked *ranked,
                        struct toc_matrix x, double *out_scores) {
    float block[TOC_RANKED_COLUMNS_MAX * TOC_RANKED_BLOCK] = {0};
    for (size_t first = 0; first < x.rows; first += TOC_RANKED_BLOCK) {
        size_t lanes = TOC_MIN(x.rows - first, (size_t)TOC_RANKED_BLOCK);
        uint64_t sum[TOC_RANKED_BLOCK] = {0};
        transpose_block(x, first, lanes, TOC_RANKED_BLOCK, block);
        toc_iforest_walk_avx512(ranked, block, sum);
        for (size_t lane = 0; lane < lanes; lane++)
            out_scores[first + lane] =
                score_of(ldexp((double)sum[lane], -TOC_RANKED_PATH_BITS), expected_path(f));
    }
    return 0;
}

/* ---- choice ---- */

enum { ROWS_ALONE_MAX = 8, ROWS_RANKED_MIN = 4096 };

static enum toc_iforest_kernel choose_kernel(enum toc_iforest_kernel kernel, size_t rows) {
    if (kernel != TOC_IFOREST_KERNEL_AUTO)
        return kernel;
    if (rows <= ROWS_ALONE_MAX)
        return TOC_IFOREST_KERNEL_ROW;
    return rows >= ROWS_RANKED_MIN ? TOC_IFOREST_KERNEL_AVX512 : TOC_IFOREST_KERNEL_AVX2;
}

static int score_by(const struct toc_iforest *f, enum toc_iforest_kernel kernel,
                    struct toc_matrix x, double *out_scores) {
    if (kernel == TOC_IFOREST_KERNEL_ROW)
        return score_rows(f, x, out_scores);
    bool is_ranked = kernel == TOC_IFOREST_KERNEL_AVX512 && toc_iforest_has_avx512();
    const struct toc_iforest_ranked *ranked = is_ranked ? ranked_of(f) : NULL;
    if (ranked)
        return score_ranked(f, ranked, x, out_scores);
    toc_iforest_walk *fast = kernel == TOC_IFOREST_KERNEL_PORTABLE ? NULL : toc_iforest_walk_avx2();
    return score_blocks(f, fast ? fast : toc_iforest_walk_portable, x, out_scores);
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
    rc = score_by(f, choose_kernel(kernel, x.rows), x, out_scores);
    if (rc < 0)
        return toc_errf(err, rc, "scoring %zu columns: %s", x.columns, toc_strerror(rc));
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
