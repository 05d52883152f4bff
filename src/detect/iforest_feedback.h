/*
 * Feedback for an isolation forest by online mirror descent (OMD: Siddiqui, Fern, Dietterich et
 * al., KDD 2018): every edge of every tree has a weight, 1 at first, and so has the estimated rest
 * of the path below a leaf. A true anomaly makes its paths shorter, a false alarm longer:
 *
 *     A(x) = -sum over trees of (sum of w_e over the edges on x's path + w_leaf c(rows in leaf))
 *     w <- min(5, max(0, w - eta y s)) on the path,  y = +1 true, -1 false alarm,
 *     s = 1 / (1 + exp(y A')),  A' = A centred on the threshold and divided by the trees
 *
 * The forest itself stays as it is: its own score is always there beside the weighted one.
 */
#ifndef TOC_DETECT_IFOREST_FEEDBACK_H
#define TOC_DETECT_IFOREST_FEEDBACK_H

#include "detect/iforest.h"

struct toc_iforest_feedback; /* weights for one forest, which must outlive it */

#define TOC_IFOREST_WEIGHT_MAX 5.0
#define TOC_IFOREST_FEEDBACK_RATE 0.5

/* All weights 1. TOC_ENOMEM. */
int toc_iforest_feedback_new(const struct toc_iforest *f, struct toc_iforest_feedback **out,
                             struct toc_err *err) TOC_MUST_CHECK;
void toc_iforest_feedback_free(struct toc_iforest_feedback **b);

struct toc_iforest_pair {
    double plain;    /* as toc_iforest_score */
    double weighted; /* in [-1, 0), the same formula over weighted paths */
};
/* One row of the forest's columns, finite. */
struct toc_iforest_pair toc_iforest_feedback_score(const struct toc_iforest_feedback *b,
                                                   const double *row);
/* One verdict on a row; `offset` is the score at which the forest alerts. O(trees x depth). */
void toc_iforest_feedback_learn(struct toc_iforest_feedback *b, const double *row, bool is_true,
                                double offset);
/* Weights that differ from 1, of all. */
size_t toc_iforest_feedback_changed(const struct toc_iforest_feedback *b, size_t *out_all);

/* Versioned, checksummed bytes; they fit only the forest they were learnt on (TOC_ECONFLICT). */
void toc_iforest_feedback_encode(const struct toc_iforest_feedback *b, struct toc_buf *out);
int toc_iforest_feedback_decode(const struct toc_iforest *f, struct toc_sv bytes,
                                struct toc_iforest_feedback **out,
                                struct toc_err *err) TOC_MUST_CHECK;

#endif
