/* The stretching of an increase to the ends of its window, shared by the functions of one window
 * and those that slide, so that both give the same bits. */
#ifndef TOC_PROMQL_EXTRAPOLATE_PRIV_H
#define TOC_PROMQL_EXTRAPOLATE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a window's samples lie in it. */
struct toc_window_shape {
    int64_t to_first_ms, sampled_ms, to_end_ms; /* start to first, first to last, last to end */
    size_t intervals;                           /* samples − 1, at least 1 */
};

/* The same in seconds, with the ends cut to what is extrapolated over: no more than half a sampling
 * interval where the series begins or ends inside the window. */
struct toc_window_reach {
    double to_start, sampled, to_end,
        factor; /* factor: of an increase that none of its ends cuts */
};

static inline struct toc_window_reach toc_window_reach(struct toc_window_shape x) {
    struct toc_window_reach r = {.to_start = (double)x.to_first_ms / 1000.0,
                                 .sampled = (double)x.sampled_ms / 1000.0,
                                 .to_end = (double)x.to_end_ms / 1000.0};
    double average = r.sampled / (double)x.intervals, threshold = average * 1.1;
    if (r.to_start >= threshold)
        r.to_start = average / 2;
    if (r.to_end >= threshold)
        r.to_end = average / 2;
    r.factor = (r.sampled + r.to_start + r.to_end) / r.sampled;
    return r;
}

/* Where the series begins inside the window, `start_to_last_ms` before its last sample: nothing is
 * missing on the left. */
static inline struct toc_window_reach toc_window_reach_from(struct toc_window_shape x,
                                                            int64_t start_to_last_ms) {
    struct toc_window_reach r = {.sampled = (double)start_to_last_ms / 1000.0,
                                 .to_end = (double)x.to_end_ms / 1000.0,
                                 .factor = 1};
    double average = x.intervals ? (double)x.sampled_ms / 1000.0 / (double)x.intervals : 0;
    if (r.to_end >= average * 1.1)
        r.to_end = average / 2;
    if (r.sampled != 0)
        r.factor = (r.sampled + r.to_end) / r.sampled;
    return r;
}

/* What a counter's increase is multiplied with: it is not extrapolated beyond its zero. A counter
 * that is at least twice its increase cannot have been zero so near, which saves the division. */
static inline double toc_counter_factor(const struct toc_window_reach *r, double first_value,
                                        double increase) {
    if (!(increase > 0 && first_value >= 0) || first_value >= 2 * increase)
        return r->factor;
    double to_zero = r->sampled * (first_value / increase);
    if (!(to_zero < r->to_start))
        return r->factor;
    return (r->sampled + to_zero + r->to_end) / r->sampled;
}

#endif
