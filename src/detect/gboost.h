/*
 * Gradient-boosted decision trees for two classes (Friedman 2001) with logistic loss, Newton leaf
 * values and splits found over histograms of quantile bins (as XGBoost and LightGBM do). Trees may
 * see random shares of rows and columns (Friedman 2002); the seed is part of the parameters, so the
 * same rows in the same order give the same bytes.
 *
 * A missing value (NaN) goes left in every node. Trees are complete binary trees of `depth` levels;
 * a node that could not be split sends everything left.
 */
#ifndef TOC_DETECT_GBOOST_H
#define TOC_DETECT_GBOOST_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "detect/iforest.h" /* struct toc_matrix */

enum {
    TOC_GBOOST_TREES_MAX = 1000,
    TOC_GBOOST_DEPTH_MAX = 6,
    TOC_GBOOST_COLUMNS_MAX = 64,
    TOC_GBOOST_ROWS_MAX = 1 << 16, /* bounds a training: rows x columns x depth x trees additions */
    TOC_GBOOST_BINS = 64,
};

struct toc_gboost_params {
    size_t trees, depth;
    double rate;         /* shrinkage of each tree, in (0, 1] */
    double l2;           /* added to the hessian of a leaf */
    double min_weight;   /* of the rows on each side of a split */
    size_t node_columns; /* tried at each node, drawn at random; 0: all */
    double row_share;    /* of the rows that a tree learns from, drawn at random; 0: all */
    uint64_t seed;
};
/* 150 trees of depth 4, rate 0.05, l2 1, min_weight 10, all rows and columns, seed 0. */
struct toc_gboost_params toc_gboost_params_default(void);

struct toc_gboost; /* opaque, immutable: any number of threads may predict with it */

/* Trains on x with labels 0 or 1 and weights > 0 (NULL: all 1). TOC_EINVAL for bad parameters,
 * values beyond float64 or only one class; TOC_ELIMIT, TOC_ENOMEM. Memory: rows x (columns + 24)
 * bytes. */
int toc_gboost_fit(const struct toc_gboost_params *p, struct toc_matrix x, const uint8_t *labels,
                   const double *weights, struct toc_gboost **out,
                   struct toc_err *err) TOC_MUST_CHECK;
void toc_gboost_free(struct toc_gboost **g);

size_t toc_gboost_columns(const struct toc_gboost *g);
/* Log odds of class 1 for a row of toc_gboost_columns values. */
double toc_gboost_log_odds(const struct toc_gboost *g, const double *row);
/* Adds what each column was worth (sum of split gains at training) to a share; they sum to 1, or to
 * 0 when no split was found. */
void toc_gboost_importance(const struct toc_gboost *g, double *out_shares);

/* Versioned, checksummed bytes; any bytes decode to a usable model or an error (TOC_EVERSION,
 * TOC_ETRUNCATED, TOC_ECORRUPT, TOC_ELIMIT). */
void toc_gboost_encode(const struct toc_gboost *g, struct toc_buf *out);
int toc_gboost_decode(struct toc_sv bytes, struct toc_gboost **out,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
