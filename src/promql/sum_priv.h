/* Compensated summation (Neumaier, Zeitschrift fuer Angewandte Mathematik und Mechanik 54, 1974).
 */
#ifndef TOC_PROMQL_SUM_PRIV_H
#define TOC_PROMQL_SUM_PRIV_H

#include <math.h>

/* Adds v; *lost collects what rounding took. The sum is *sum + *lost, or *sum alone when infinite.
 */
static inline void toc_sum_add(double *sum, double *lost, double v) {
    double t = *sum + v;
    if (isinf(t))
        *lost = 0;
    else if (fabs(*sum) >= fabs(v))
        *lost += (*sum - t) + v;
    else
        *lost += (v - t) + *sum;
    *sum = t;
}

#endif
