/*
 * A line that breaks once: y = a + slope x + change max(0, x - x_break), least squares. How much a
 * trend changed at a place, and how sure that is. Pure.
 */
#ifndef TOC_DETECT_BROKEN_LINE_H
#define TOC_DETECT_BROKEN_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct toc_broken_line {
    double slope;  /* before the break */
    double change; /* of the slope at the break */
    double error;  /* standard error of the change */
};

/*
 * Fits n points with rising x; the break lies between points k - 1 and k, 0 < k < n. The error
 * follows from the residuals, but their variance counts for at least `least_variance`, and
 * residuals that follow their neighbour (autocorrelation r of one step, less its standard error
 * 1/sqrt(n)) make it larger by (1 + r) / (1 - r). False when the points do not determine it: fewer
 * than five, or x all alike on a side.
 */
bool toc_broken_line_fit(const double *x, const double *y, size_t n, size_t k,
                         double least_variance, struct toc_broken_line *out);

/* -log10 of the chance that Student's t with `degrees` exceeds t; 0.3 for t <= 0. An upper bound of
 * the tail for t >= 1 within 0.3. */
double toc_student_surprise(double t, double degrees);

#endif
