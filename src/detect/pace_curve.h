/*
 * How long a step of training takes: levels that stay, with pauses (evaluations, checkpoints),
 * modes that alternate from step to step and slow growth that a schedule explains. Told are a level
 * that rose at once by a tenth or so and stays (slower), and growth that began or became faster
 * (drift). docs/design/detect.md, "Training curves".
 *
 * Four values make a block: the logarithm of the mean of their middle half. Pure; one thread per
 * state; all zero is empty.
 */
#ifndef TOC_DETECT_PACE_CURVE_H
#define TOC_DETECT_PACE_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "detect/block_course.h"
#include "detect/curve.h"

enum {
    TOC_PACE_BLOCK = 4,
    TOC_PACE_RECENT = 48, /* blocks in which shifts are looked for */
};

struct toc_pace_curve {
    uint64_t count;
    double filling[TOC_PACE_BLOCK];
    uint32_t filled;
    double recent[TOC_PACE_RECENT]; /* block levels, oldest first, seen from the present level */
    uint32_t recent_count;
    double work_from; /* level before the newest rise that was taken for more work; 0: none */
    bool has_work; /* the work per step is known: rises of the level are not taken for more work */
    uint32_t unsettled;             /* since the level changed: 1 + blocks; 0: it is known */
    bool is_after_work;             /* it changed because the work did: any level may follow */
    double lower, upper;            /* where the next block is expected; 0: not known */
    struct toc_block_course course; /* of block levels, a few blocks behind */
};

/* The next value, > 0 (others are ignored); `bar`: the surprise that makes an alert. What passed it
 * is told once, and is the level from then on. */
struct toc_curve_verdict toc_pace_curve_step(struct toc_pace_curve *c, double value, double bar);
/* The work per step (batch, sequence length) changes with the next value. Once called, every rise
 * of the level without such a notice is told. */
void toc_pace_curve_new_work(struct toc_pace_curve *c);

void toc_pace_curve_encode(const struct toc_pace_curve *c, struct toc_buf *out);
int toc_pace_curve_decode(struct toc_reader *r, struct toc_pace_curve *out) TOC_MUST_CHECK;

#endif
