/* Compensated summation (Neumaier, Zeitschrift fuer Angewandte Mathematik und Mechanik 54, 1974).
 * The error of each addition is taken without asking which operand is larger (Knuth, The Art of
 * Computer Programming 2, 4.2.2): it is exact either way, and there is no branch to mispredict.
 */
#ifndef TOC_BASE_SUM_H
#define TOC_BASE_SUM_H

#include <math.h>
#include <stddef.h>

/* Adds v; *lost collects what rounding took. The sum is *sum + *lost, or *sum alone when infinite.
 */
static inline void toc_sum_add(double *sum, double *lost, double v) {
    double t = *sum + v, part = t - *sum;
    double error = (*sum - (t - part)) + (v - part);
    *lost = isinf(t) ? 0 : *lost + error;
    *sum = t;
}

/* A mean that is carried along, for values whose sum overflows: v is the i-th from 0. It is
 * *mean + *lost, or *mean alone when infinite. */
static inline void toc_mean_add(double *mean, double *lost, double v, size_t i) {
    if (isinf(*mean)) {
        if (isinf(v) && (v > 0) == (*mean > 0))
            return;
        if (!isinf(v) && !isnan(v))
            return;
    }
    double share = 1 / (double)(i + 1);
    toc_sum_add(mean, lost, v * share - *mean * share - *lost * share);
}

#endif
