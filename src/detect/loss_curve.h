/*
 * A loss as training goes on: it falls steeply, then ever more slowly, with noise that has a heavy
 * upper tail (odd batches). docs/design/detect.md, "Training curves", has the reasons and figures.
 *
 * The value is seen as its logarithm (as it is, once a value was not positive) over the logarithm
 * of the number of values. Trend: a straight line there, discounted least squares with a memory of
 * a quarter of the course, so that the steep section is forgotten as it passes; values beyond three
 * scales are learnt as if they lay there. Pure; one thread per state.
 */
#ifndef TOC_DETECT_LOSS_CURVE_H
#define TOC_DETECT_LOSS_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "detect/block_course.h"
#include "detect/curve.h"
#include "detect/quiet.h"

enum {
    TOC_LOSS_WARM_UP = 64,     /* values before the noise is known */
    TOC_LOSS_COURSE_MIN = 128, /* before anything is said of its course: the steep section */
    TOC_LOSS_RUN = 8,          /* values in a row that make a spike */
};

struct toc_loss_trend { /* sums with fading weights */
    double weight, x, y, xx, xy;
    double scale; /* of the residuals, as a standard deviation */
};

/* All zero is the empty state. */
struct toc_loss_curve {
    bool is_linear; /* a value was not positive */
    uint64_t count;
    double first[20]; /* until the trend begins */
    struct toc_loss_trend trend;
    float row_surprises[TOC_LOSS_RUN]; /* of the last values, newest first; 0 below the trend */
    double rise;                       /* cumulative sum, natural logarithm */
    double rise_level;                 /* of the trend where the sum left 0 */
    double batch;                      /* sum of the scaled residuals of the batch being filled */
    double long_run;                   /* their variance over batches, per value; 0: as if 1 */
    struct toc_quiet quiet;
    double last;
    struct toc_block_course course; /* of the values, odd ones as if they were as expected */
    uint64_t course_begin;          /* number of its first value */
};

/* The next value; NaN and infinity are failures. `bar`: the surprise that makes an alert: what
 * passed it is told once, and its judge begins anew behind it. */
struct toc_curve_verdict toc_loss_curve_step(struct toc_loss_curve *c, double value, double bar);

void toc_loss_curve_encode(const struct toc_loss_curve *c, struct toc_buf *out);
int toc_loss_curve_decode(struct toc_reader *r, struct toc_loss_curve *out) TOC_MUST_CHECK;

#endif
