/*
 * Change of level: Bayesian online change point detection (Adams and MacKay
 * 2007) with a normal model of unknown mean and variance (Student-t
 * predictions), pruned to the most likely run lengths. A change counts when the
 * most likely run has lasted `confirm` values, carries most of the probability,
 * and the medians before and after differ by more than the least shift and by
 * more than chance. A spike is no change: the medians agree. Pure; one thread
 * per state.
 */
#ifndef TOC_DETECT_CHANGE_POINT_H
#define TOC_DETECT_CHANGE_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    TOC_CHANGE_RUNS = 64,    /* run lengths kept */
    TOC_CHANGE_RECENT = 128, /* values kept for medians */
    TOC_CHANGE_WARM_UP = 20, /* values before anything is said */
};

struct toc_change_options {
    double hazard_points; /* mean distance of changes; 0: 500 */
    double least_ratio;   /* of the level before; 0: 0.05 */
    double least_shift;   /* in the unit of the values; 0: none */
    uint32_t confirm;     /* values behind the change; 0: 8; at most 16 */
};

struct toc_change_run {
    double mean, beta;
    double log_p;
    uint32_t length;
};

/* All zero is the empty state. */
struct toc_change_point {
    struct toc_change_run runs[TOC_CHANGE_RUNS];
    uint32_t run_count;
    double recent[TOC_CHANGE_RECENT]; /* ring */
    uint64_t points;                  /* since the last restart of the state */
    double centre, scale;             /* what the values are measured in; set after the warm-up */
};

struct toc_level_change {
    bool is_change;       /* told once per change */
    double before, after; /* medians, when it is one */
    uint32_t age;         /* values since the change, this one included */
    double probability;   /* that the level changed within the last 4 * confirm
                             values */
    double lower, upper;  /* where 99.9 % of the next values lie; NaN during the warm-up */
};

/* The next finite value; others are ignored (probability 0). */
struct toc_level_change toc_change_point_step(struct toc_change_point *s,
                                              const struct toc_change_options *o, double value);

/* Bytes of the state, version included; decoding takes any bytes:
 * TOC_ETRUNCATED, TOC_EVERSION, TOC_ECORRUPT. */
void toc_change_point_encode(const struct toc_change_point *s, struct toc_buf *out);
int toc_change_point_decode(struct toc_reader *r, struct toc_change_point *out) TOC_MUST_CHECK;

#endif
