/* Small forecasters: how far a value lies from what the last values promise. Finite inputs. */
#ifndef TOC_DETECT_RESIDUAL_H
#define TOC_DETECT_RESIDUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Running mean and variance of everything (Welford 1962). */
struct toc_moments {
    double mean, squares;
    uint64_t count;
};
/* Standard deviation; 0 of fewer than two values. */
double toc_moments_spread(const struct toc_moments *m);
/* The z-score of v against what came before, whose spread that is, clipped to ±clip; then v is
 * learnt. 0 for the first six values and for a constant history. */
double toc_moments_z(struct toc_moments *m, double v, double spread, double clip);

/* Straight line through the past, discounted least squares (Brown 1963) with span 32. */
struct toc_line {
    double s0, s1, s2, t0, t1;
    uint64_t count;
};
/* |v − forecast|, 0 for the first eight values; then v is learnt. */
double toc_line_residual(struct toc_line *l, double v);

/* Exponentially weighted level with span 128; v − level, then v is learnt. */
struct toc_level {
    double level;
    uint64_t count;
};
double toc_level_residual(struct toc_level *l, double v);

/* Sum over a sliding window of at most TOC_SLIDE_MAX values. */
enum { TOC_SLIDE_MAX = 16 };
struct toc_sliding_sum {
    float values[TOC_SLIDE_MAX];
    uint32_t width, at;
    double sum;
};
/* The sum with v and without what fell out. v ≥ 0. */
double toc_sliding_sum_add(struct toc_sliding_sum *s, double v);

/* Sum over about the last 200 values: eight blocks of 25 and the one that is being filled; the
 * oldest block leaves gradually. */
enum { TOC_BLOCKS = 8, TOC_BLOCK_VALUES = 25 };
struct toc_block_sum {
    float blocks[TOC_BLOCKS];
    double filling;
    uint32_t count, oldest;
};
double toc_block_sum_add(struct toc_block_sum *s, double v);

/* Levels of the time of day (half hours) and of the week (hours), each the exponentially weighted
 * mean (share 0.2, plain mean at first) of the means of that slot on earlier days or weeks. */
enum { TOC_DAY_SLOTS = 48, TOC_WEEK_SLOTS = 168 };
struct toc_season_slot { /* being filled */
    double sum;
    uint32_t count;
    int16_t at;     /* from 1; 0 when none is */
    uint8_t visits; /* earlier ones, with the level that they left: a row within a slot */
    float level;    /* does not touch the tables below */
};
struct toc_seasons {
    struct toc_season_slot day_slot, week_slot;
    float day[TOC_DAY_SLOTS], week[TOC_WEEK_SLOTS];
    uint8_t day_visits[TOC_DAY_SLOTS], week_visits[TOC_WEEK_SLOTS];
};
/* v − level of the same time of day, or of the week; false when that time was not seen yet. Then v
 * is learnt. seconds since the epoch (UTC), within ±1e15. */
struct toc_season_residuals {
    double day, week;
    bool has_day, has_week;
};
struct toc_season_residuals toc_seasons_step(struct toc_seasons *s, double seconds, double v);

#endif
