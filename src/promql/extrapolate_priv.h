/* The stretching of an increase to the ends of its window, shared by the functions of one window
 * and those that slide, so that both give the same bits. */
#ifndef TOC_PROMQL_EXTRAPOLATE_PRIV_H
#define TOC_PROMQL_EXTRAPOLATE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toc_extrapolation {
    int64_t start_ms, end_ms; /* the window, (start, end] */
    int64_t first_ms, last_ms;
    size_t intervals; /* samples − 1, at least 1 */
    double first_value;
    bool is_counter, is_rate;
};

/* What the increase seen between the first and the last sample is multiplied with: it is stretched
 * to the window's ends, but by no more than half a sampling interval where the series begins or
 * ends inside, and a counter not beyond its zero. */
static inline double toc_extrapolation_factor(const struct toc_extrapolation *x, double increase) {
    double to_start = (double)(x->first_ms - x->start_ms) / 1000.0;
    double to_end = (double)(x->end_ms - x->last_ms) / 1000.0;
    double sampled = (double)(x->last_ms - x->first_ms) / 1000.0;
    double average = sampled / (double)x->intervals, threshold = average * 1.1;
    if (to_start >= threshold)
        to_start = average / 2;
    if (x->is_counter && increase > 0 && x->first_value >= 0) {
        double to_zero = sampled * (x->first_value / increase);
        to_start = to_zero < to_start ? to_zero : to_start;
    }
    if (to_end >= threshold)
        to_end = average / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    return x->is_rate ? factor / ((double)(x->end_ms - x->start_ms) / 1000.0) : factor;
}

#endif
