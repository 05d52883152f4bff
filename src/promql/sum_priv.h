/* Compensated summation (Neumaier, Zeitschrift fuer Angewandte Mathematik und Mechanik 54, 1974).
 * The error of each addition is taken without asking which operand is larger (Knuth, The Art of
 * Computer Programming 2, 4.2.2): it is exact either way, and there is no branch to mispredict.
 */
#ifndef TOC_PROMQL_SUM_PRIV_H
#define TOC_PROMQL_SUM_PRIV_H

#include <math.h>

/* Adds v; *lost collects what rounding took. The sum is *sum + *lost, or *sum alone when infinite.
 */
static inline void toc_sum_add(double *sum, double *lost, double v) {
    double t = *sum + v, part = t - *sum;
    double error = (*sum - (t - part)) + (v - part);
    *lost = isinf(t) ? 0 : *lost + error;
    *sum = t;
}

#endif
