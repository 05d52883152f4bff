/*
 * Statistics of a window of values: one pass for the moments (Welford, with Terriberry's higher
 * orders), quickselect for order statistics. Pure functions; any thread. Values must be finite:
 * drop NaN and infinities before (toc_finite_compact).
 */
#ifndef TOC_DETECT_STATS_H
#define TOC_DETECT_STATS_H

#include <stddef.h>
#include <stdint.h>

struct toc_stats {
    size_t count;
    double min, max, sum, mean;
    double variance; /* population, as PromQL's stdvar_over_time */
    double stddev;
    double sample_variance; /* n - 1; 0 for one value */
    double skewness;        /* m3 / m2^1.5; 0 for a constant window */
    double excess_kurtosis; /* m4 / m2^2 - 3; 0 for a constant window */
    double first, last;
};

/* All fields NaN except count when count is 0. */
void toc_stats_compute(const double *values, size_t count, struct toc_stats *out);

/* Running moments for windows that only grow. All-zero is the empty state. */
struct toc_welford {
    uint64_t count;
    double mean, m2;
};
void toc_welford_add(struct toc_welford *w, double value);
/* Population variance; 0 when empty. */
double toc_welford_variance(const struct toc_welford *w);
/* As if all of b had been added to a. */
void toc_welford_merge(struct toc_welford *a, const struct toc_welford *b);

/* The k-th smallest (0-based, k < count). Reorders values. */
double toc_select_kth(double *values, size_t count, size_t k);
/* Quantile with linear interpolation between ranks, as numpy.percentile and PromQL do. q is clamped
 * to [0, 1]; NaN when count is 0. The first reorders its values, the second needs them sorted. */
double toc_quantile_select(double *values, size_t count, double q);
double toc_quantile_sorted(const double *sorted, size_t count, double q);
void toc_sort_f64(double *values, size_t count);

/* Least-squares slope of the values per second, and the value the line has at the last time. NaN
 * with fewer than two distinct times. */
struct toc_slope {
    double per_second;
    double at_end;
};
struct toc_slope toc_slope_compute(const int64_t *t_ms, const double *values, size_t count);

/* Moves the finite values to the front, in order; returns how many. */
size_t toc_finite_compact(double *values, size_t count);

/* Wilson's score interval (Wilson, JASA 22, 1927) at 95 % of `hits` among `count`; count 0: 0…1. */
void toc_wilson_interval(uint64_t hits, uint64_t count, double *out_low, double *out_high);

#endif
