/*
 * The distribution of everything a score has been so far, in fixed memory, and how surprising a new
 * value is: an empirical share below the 98th percentile, an exponential tail above it whose scale
 * is the median excess (one giant does not set it).
 *
 * Bins are eight to an octave (relative width 2^(1/8)), from 2^-32 to 2^32; what lies outside goes
 * to the outermost bins. Counts are halved together when one would overflow.
 */
#ifndef TOC_DETECT_TAIL_SKETCH_H
#define TOC_DETECT_TAIL_SKETCH_H

#include <stdint.h>

enum { TOC_TAIL_BINS = 512 };

struct toc_tail_sketch {
    uint16_t counts[TOC_TAIL_BINS];
    uint32_t total;          /* sum of counts */
    uint32_t since_estimate; /* values learnt since threshold and scale were worked out */
    float threshold, scale;  /* exceeded by 2 % of the values; scale of the tail */
};

/* Starts zeroed. Scores are finite and not negative; others are taken as 0. */
void toc_tail_learn(struct toc_tail_sketch *s, double score);
/* The value that a share of all values exceeds; 0 when nothing was learnt. */
double toc_tail_upper(const struct toc_tail_sketch *s, double share);
/* -log10 of the estimated probability of a value at least as large; 0 before 20 values. The score
 * itself must be learnt afterwards. */
double toc_tail_surprise(const struct toc_tail_sketch *s, double score);
/* log(1 + score / threshold), less while few values are known: times n / (n + 300). */
double toc_tail_excess(const struct toc_tail_sketch *s, double score);

#endif
