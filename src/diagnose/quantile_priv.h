/* Distributions told by seven quantiles: distance between two, and a watch over a series of them.
 */
#ifndef TOC_DIAGNOSE_QUANTILE_PRIV_H
#define TOC_DIAGNOSE_QUANTILE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOC_QUANTILES = 7, TOC_QUANTILE_ROWS = 32 };

struct toc_quantile_row {
    int64_t t_ms;
    double step;
    float q[TOC_QUANTILES];
    uint8_t mask; /* which are there; complete = 0x7f */
};

/* Population stability index of `now` against `then`: the bins are those between the quantiles of
 * `then`. NaN when `then` has no spread. */
double toc_quantile_psi(const float then[TOC_QUANTILES], const float now[TOC_QUANTILES]);

/* The newest rows; is the distribution still the one of some reports ago? */
struct toc_quantile_watch {
    struct toc_quantile_row rows[TOC_QUANTILE_ROWS]; /* ring by time, incomplete ones among them */
    size_t start, count;
    uint32_t complete, held, open_reports;
    double psi, usual; /* newest; largest one that was calm, fading */
    bool is_open;
    float reference[TOC_QUANTILES]; /* frozen while open */
    int64_t since_ms;
    double since_step;
};
/* place: 0..6 of q01, q05, q25, q50, q75, q95, q99. */
void toc_quantile_take(struct toc_quantile_watch *w, size_t place, int64_t t_ms, double step,
                       double value, double limit);

#endif
