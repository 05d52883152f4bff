/* Compensated summation (Neumaier, Zeitschrift fuer Angewandte Mathematik und Mechanik 54, 1974).
 * The error of each addition is taken without asking which operand is larger (Knuth, The Art of
 * Computer Programming 2, 4.2.2): it is exact either way, and there is no branch to mispredict.
 */
#ifndef TOC_BASE_SUM_H
#define TOC_BASE_SUM_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* Adds v; *lost collects what rounding took. The sum is *sum + *lost, or *sum alone when infinite.
 */
static inline void toc_sum_add(double *sum, double *lost, double v) {
    double t = *sum + v, part = t - *sum;
    double error = (*sum - (t - part)) + (v - part);
    *lost = isinf(t) ? 0 : *lost + error;
    *sum = t;
}

/* A mean: the sum over the count while the sum is finite, from then on carried along from value to
 * value, so that it does not overflow. Starts zeroed. */
struct toc_mean {
    double value, lost;
    size_t count;
    bool is_carried;
};

static inline void toc_mean_add(struct toc_mean *m, double v) {
    double n = (double)++m->count;
    if (!m->is_carried) {
        double sum = m->value, lost = m->lost;
        toc_sum_add(&sum, &lost, v);
        if (!isinf(sum) || m->count == 1) {
            m->value = sum;
            m->lost = lost;
            return;
        }
        m->is_carried = true;
        m->value /= n - 1;
        m->lost /= n - 1;
    }
    m->value *= (n - 1) / n;
    m->lost *= (n - 1) / n;
    toc_sum_add(&m->value, &m->lost, v / n);
}

static inline double toc_mean_value(const struct toc_mean *m) {
    if (m->is_carried || isinf(m->value))
        return m->value + m->lost;
    return (m->value + m->lost) / (double)m->count;
}

#endif
