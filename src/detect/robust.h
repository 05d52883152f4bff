/*
 * Robust location and scale: median, median absolute deviation, robust z-score and the expected
 * band that follows from it. One pass of history, or a sliding window of bounded memory. Pure; no
 * locks.
 *
 * When the MAD is 0 because more than half of the values are equal, the mean absolute deviation
 * takes over. When all values are equal there is no scale: the deviation is measured in units of 1
 * % of the median, and never counts for more than the history can prove: after n equal values a
 * change has a surprise of about 1 / (n + 1).
 */
#ifndef TOC_DETECT_ROBUST_H
#define TOC_DETECT_ROBUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attrs.h"

struct toc_robust {
    size_t count;
    double median;
    double mad;     /* raw median absolute deviation */
    double scale;   /* in the unit of a standard deviation; > 0 when count > 0 */
    double z_limit; /* |z| never exceeds it; about the surprise of a first change for a constant
                       history */
    bool is_constant;
};

enum { TOC_ROBUST_Z_MAX = 1000 };

/* Fits to finite values; reorders them (they serve as scratch). */
void toc_robust_fit(double *values, size_t count, struct toc_robust *out);
/* (value - median) / scale, within ±z_limit; 0 without history; NaN for NaN. */
double toc_robust_z(const struct toc_robust *r, double value);
/* The values whose |z| is at most `threshold`. NaN without history. */
void toc_robust_band(const struct toc_robust *r, double threshold, double *out_lower,
                     double *out_upper);

double toc_robust_median(double *values, size_t count); /* reorders; NaN when empty */

/* Two-sided normal quantile: the z that |Z| exceeds with probability p, 0 < p < 1. */
double toc_normal_two_sided(double p);

/* The last `capacity` finite values, kept sorted as well: O(log n) comparisons and one memmove per
 * value, 16 bytes per slot. */
enum { TOC_ROBUST_WINDOW_MAX = 16384 };
struct toc_robust_window {
    double *ring, *sorted; /* owned */
    size_t capacity, count, head;
};
/* capacity is clamped to 1…TOC_ROBUST_WINDOW_MAX. TOC_ENOMEM. */
int toc_robust_window_init(struct toc_robust_window *w, size_t capacity) TOC_MUST_CHECK;
void toc_robust_window_fini(struct toc_robust_window *w);
/* Forgets the oldest value when full. NaN and infinities are ignored. */
void toc_robust_window_add(struct toc_robust_window *w, double value);
/* Median and MAD of what is in the window, without changing it. */
void toc_robust_window_fit(const struct toc_robust_window *w, struct toc_robust *out);

#endif
