/*
 * The distribution of everything a score has been so far, in fixed memory, and how surprising a new
 * value is: an empirical share below the 98th percentile, above it a generalised Pareto tail
 * (Pickands 1975) from two quantiles of the excesses: the median sets the scale (one giant does
 * not), and the excess passed by one in eight the shape, 0 (exponential) to 0.5. The shape begins
 * at 0.5, as if 3000 values had said so: a tail that is not known yet is taken as heavy. Never less
 * surprise than the ranks prove: the highest of n values so far has log10(n + 1).
 *
 * Bins are eight to an octave, linear within it (relative width 1/8 to 1/16), and span 22 octaves
 * that follow the values; zeros are counted apart, what lies outside goes to the outermost bins.
 * Counts are halved together when one would overflow. Threshold, scale and the quantiles below are
 * worked out again after every value at first, later after every 32.
 */
#ifndef TOC_DETECT_TAIL_SKETCH_H
#define TOC_DETECT_TAIL_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { TOC_TAIL_BINS = 176, TOC_TAIL_KNOTS = 4, TOC_TAIL_ESTIMATE_EVERY = 32 };

/* What a value is judged by. The counts lie elsewhere, so that several heads may lie side by side.
 */
struct toc_tail {
    uint32_t total; /* zeros and the sum of counts */
    uint32_t zeros;
    float knots[TOC_TAIL_KNOTS];   /* exceeded by 50, 20, 10 and 5 % of the values */
    float threshold, scale, shape; /* exceeded by 2 %; scale and shape of the tail */
    int16_t base;                  /* position of the first bin */
    uint16_t since_estimate;       /* values learnt since */
    uint16_t counts_at;            /* the counts follow so many bytes behind this head */
    uint16_t usual_at;             /* the median's place among them at the last estimate */
};
struct toc_tail_sketch {
    struct toc_tail tail;
    uint16_t counts[TOC_TAIL_BINS];
};

/* Starts zeroed but for counts_at. Scores are finite and not negative; others are taken as 0. */
void toc_tail_learn(struct toc_tail *s, double score);
/* Where among the counts the next value will be learnt, most likely: to bring it into the caches
 * some work before. */
static inline const void *toc_tail_usual(const struct toc_tail *s) {
    return (const char *)s + sizeof *s + s->counts_at + s->usual_at * sizeof(uint16_t);
}
/* The next value has threshold and quantiles worked out again from all counts: where they begin. */
static inline bool toc_tail_is_due(const struct toc_tail *s) {
    return s->since_estimate + 1 >= TOC_TAIL_ESTIMATE_EVERY;
}
static inline const void *toc_tail_counts(const struct toc_tail *s) {
    return (const char *)s + sizeof *s + s->counts_at;
}
/* The value that a share of all values exceeds; 0 when nothing was learnt. */
double toc_tail_upper(const struct toc_tail *s, double share);
/* -log10 of the estimated probability of a value at least as large; 0 before 20 values. The score
 * itself must be learnt afterwards. */
double toc_tail_surprise(const struct toc_tail *s, double score);
/* log(1 + score / threshold), less while few values are known: times n / (n + 300). */
double toc_tail_excess(const struct toc_tail *s, double score);
/* The excess, or the surprise, of a score against its own past; then it is learnt. A negative score
 * says that there is none yet: nothing to judge, nothing to learn. */
double toc_tail_take_excess(struct toc_tail *s, double score);
double toc_tail_take_surprise(struct toc_tail *s, double score);

/* Appends the sketch; decoding gives TOC_ECORRUPT or TOC_ETRUNCATED for what learning cannot make.
 */
void toc_tail_encode(const struct toc_tail *s, struct toc_buf *out);
int toc_tail_decode(struct toc_tail *s, struct toc_reader *r) TOC_MUST_CHECK;

#endif
