/* Small forecasters: how far a value lies from what the last values promise. Finite inputs. */
#ifndef TOC_DETECT_RESIDUAL_H
#define TOC_DETECT_RESIDUAL_H

#include <stddef.h>
#include <stdint.h>

/* Running mean and variance of everything (Welford 1962). */
struct toc_moments {
    double mean, squares;
    uint64_t count;
};
/* The z-score of v against what came before, clipped to ±clip; then v is learnt. 0 for the first
 * six values and for a constant history. */
double toc_moments_z(struct toc_moments *m, double v, double clip);

/* Straight line through the past, discounted least squares (Brown 1963) with span 32. */
struct toc_line {
    double s0, s1, s2, t0, t1;
    uint64_t count;
};
/* |v − forecast|, 0 for the first eight values; then v is learnt. */
double toc_line_residual(struct toc_line *l, double v);

/* Exponentially weighted level with span 128. */
struct toc_level {
    double level;
    uint64_t count;
};
double toc_level_residual(struct toc_level *l, double v);

/* Sum over a sliding window of at most TOC_SLIDE_MAX values. */
enum { TOC_SLIDE_MAX = 200 };
struct toc_sliding_sum {
    float values[TOC_SLIDE_MAX];
    size_t width;
    uint64_t count;
    double sum;
};
/* The sum with v and without what fell out. v ≥ 0. */
double toc_sliding_sum_add(struct toc_sliding_sum *s, double v);

/* Values of the same time of day or week: |v − median of the last five|, or a negative number when
 * fewer than two are known. */
struct toc_season;
struct toc_season *toc_season_new(size_t capacity); /* points kept; NULL without memory */
void toc_season_free(struct toc_season **s);
double toc_season_residual(const struct toc_season *s, double v, size_t period);
void toc_season_learn(struct toc_season *s, double v);

#endif
