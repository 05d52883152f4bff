/*
 * Logistic regression with an L2 penalty on standardised columns. A fit is the maximum a posteriori
 * by Newton steps (the same optimum as scikit-learn's LogisticRegression with C = 1 / l2); further
 * labels update it one by one with the posterior covariance (an extended Kalman filter), so that a
 * label costs O(columns²). The intercept is not penalised. Deterministic.
 */
#ifndef TOC_DETECT_LOGISTIC_H
#define TOC_DETECT_LOGISTIC_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "detect/iforest.h" /* struct toc_matrix */

enum { TOC_LOGISTIC_COLUMNS_MAX = 64, TOC_LOGISTIC_ROWS_MAX = 1 << 16 };

struct toc_logistic; /* opaque */

/* Labels 0 or 1, weights > 0 (NULL: all 1); NaN counts as the column's mean. TOC_EINVAL (also for
 * one class only), TOC_ELIMIT. */
int toc_logistic_fit(double l2, struct toc_matrix x, const uint8_t *labels, const double *weights,
                     struct toc_logistic **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_logistic_free(struct toc_logistic **l);

size_t toc_logistic_columns(const struct toc_logistic *l);
/* Log odds of class 1 for a row; NaN counts as the column's mean. */
double toc_logistic_log_odds(const struct toc_logistic *l, const double *row);
/* One more labelled row. */
void toc_logistic_learn(struct toc_logistic *l, const double *row, uint8_t label, double weight);
/* Weight per standard deviation of each column. */
void toc_logistic_weights(const struct toc_logistic *l, double *out);

/* Versioned, checksummed bytes; any bytes decode to a usable model or an error. */
void toc_logistic_encode(const struct toc_logistic *l, struct toc_buf *out);
int toc_logistic_decode(struct toc_sv bytes, struct toc_logistic **out,
                        struct toc_err *err) TOC_MUST_CHECK;

#endif
