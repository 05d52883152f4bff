#include "detect/tail_sketch.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/attrs.h"
#include "detect/quick_log.h"

enum {
    BINS = TOC_TAIL_BINS,
    VALUES_MIN = 20,
    EVERY_VALUE = 200,
    ESTIMATE_EVERY = TOC_TAIL_ESTIMATE_EVERY,
    FRACTION_BITS = 20, /* of a float's 23 below a bin's three */
    POSITIONS = 2048,   /* exponent and three bits */
    SHIFT = BINS / 4,
};
/* What every value goes through: of one piece each for those who take a value. */
#define INLINED static inline __attribute__((always_inline))
static const double TAIL_SHARE = 0.02, HALF_CONFIDENCE = 300;
static const double SHAPE_MAX = 0.5, SHAPE_VALUES_MIN = 400, SHAPE_TRUST = 3000;
static const double KNOT_SHARES[TOC_TAIL_KNOTS] = {0.5, 0.2, 0.1, 0.05};
#define TAIL_SURPRISE 1.69897
/* Of the knots, between nothing and the threshold. */
static const double SURPRISES[TOC_TAIL_KNOTS + 2] = {0, 0.30103, 0.69897,
                                                     1, 1.30103, TAIL_SURPRISE};

static uint16_t *counts_of(const struct toc_tail *s) {
    return (uint16_t *)((char *)(struct toc_tail *)s + sizeof *s + s->counts_at);
}

/* The bin counted from the smallest float on; 0 for what is no positive number. */
static int bin_of(double score) {
    float v = score > 0 && score < 1e38 ? (float)score : 0;
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (int)(bits >> FRACTION_BITS);
}

/* The place of a bin among the counts; outside of the span the outermost. */
static size_t place_of(const struct toc_tail *s, int bin) {
    int at = bin - s->base;
    at = at < 0 ? 0 : at;
    return (size_t)TOC_MIN(at, BINS - 1);
}

static double value_at(double position) {
    const double highest = 2039;
    position = position > 0 ? TOC_MIN(position, highest) : 0;
    uint32_t bits = (uint32_t)(position * (1 << FRACTION_BITS));
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

__attribute__((noinline)) static void halve(struct toc_tail *s) {
    uint16_t *counts = counts_of(s);
    s->total = s->zeros /= 2;
    for (size_t i = 0; i < BINS; i++) {
        counts[i] /= 2;
        s->total += counts[i];
    }
}

static uint32_t sum_of(const uint16_t *counts, size_t n) {
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += counts[i];
    return sum;
}

static uint32_t needed_for(const struct toc_tail *s, double share) {
    double values = share * s->total;
    uint32_t whole = (uint32_t)values;
    whole += (double)whole < values;
    return TOC_MAX(whole, 1u);
}

/* The values that the shares, falling, of all values exceed. Sums of blocks first: the walk over
 * single bins then is short. A share is reached with its whole number of values. */
static void upper_values(const struct toc_tail *s, const double *shares, size_t n, double *out) {
    enum { BLOCK = 16, BLOCKS = BINS / BLOCK };
    uint32_t above = 0, needed = needed_for(s, shares[n - 1]);
    size_t k = n;
    for (size_t b = BLOCKS; b-- > 0 && k > 0;) {
        const uint16_t *counts = counts_of(s) + b * BLOCK;
        uint32_t sum = sum_of(counts, BLOCK);
        if (above + sum < needed) {
            above += sum;
            continue;
        }
        for (size_t i = BLOCK; i-- > 0 && k > 0;) {
            while (above + counts[i] >= needed && k > 0) {
                double into = (shares[k - 1] * s->total - above) / counts[i];
                out[--k] = value_at(s->base + (double)(b * BLOCK + i + 1) - into);
                needed = k > 0 ? needed_for(s, shares[k - 1]) : UINT32_MAX;
            }
            above += counts[i];
        }
    }
    while (k > 0)
        out[--k] = 0;
}

double toc_tail_upper(const struct toc_tail *s, double share) {
    double v;
    upper_values(s, &share, 1, &v);
    return v;
}

/* Moves the span by `by` bins; what leaves it joins the outermost bin. */
static void move_span(struct toc_tail *s, int by) {
    uint32_t moved[BINS] = {0};
    uint16_t *counts = counts_of(s);
    for (int i = 0; i < BINS; i++) {
        int to = i - by;
        moved[to < 0 ? 0 : to >= BINS ? BINS - 1 : to] += counts[i];
    }
    s->total = s->zeros;
    for (int i = 0; i < BINS; i++) {
        counts[i] = (uint16_t)(moved[i] > UINT16_MAX ? UINT16_MAX : moved[i]);
        s->total += counts[i];
    }
    s->base = (int16_t)(s->base + by);
}

/* The threshold stays away from both ends of the span. */
static void follow_values(struct toc_tail *s) {
    if (s->zeros == s->total)
        return;
    int at = bin_of(s->threshold) - s->base;
    if (at > BINS - SHIFT && s->base + BINS + SHIFT < POSITIONS)
        move_span(s, SHIFT);
    else if (s->threshold > 0 && at < SHIFT && s->base >= SHIFT)
        move_span(s, -SHIFT);
}

/* From the excesses passed by 1/2 and 1/8: (8^x - 1) / (2^x - 1) = 4^x + 2^x + 1. */
static double shape_of(double median, double eighth, double n) {
    double ratio = median > 0 ? eighth / median : 0;
    double seen = ratio > 3 ? fmin(log2((sqrt(4 * ratio - 3) - 1) / 2), SHAPE_MAX) : 0;
    if (n < SHAPE_VALUES_MIN)
        return SHAPE_MAX;
    return (seen * n + SHAPE_MAX * SHAPE_TRUST) / (n + SHAPE_TRUST);
}

static void note_usual(struct toc_tail *s) {
    s->usual_at = (uint16_t)place_of(s, bin_of(s->knots[0]));
}

/* Apart, so that what every value goes through needs no stack of its own. */
__attribute__((noinline)) static void estimate(struct toc_tail *s) {
    double shares[TOC_TAIL_KNOTS + 3], values[TOC_TAIL_KNOTS + 3];
    memcpy(shares, KNOT_SHARES, sizeof KNOT_SHARES);
    shares[TOC_TAIL_KNOTS] = TAIL_SHARE;
    shares[TOC_TAIL_KNOTS + 1] = TAIL_SHARE / 2;
    shares[TOC_TAIL_KNOTS + 2] = TAIL_SHARE / 8;
    upper_values(s, shares, TOC_TAIL_KNOTS + 3, values);
    for (size_t k = 0; k < TOC_TAIL_KNOTS; k++)
        s->knots[k] = (float)values[k];
    s->threshold = (float)values[TOC_TAIL_KNOTS];
    double median_excess = values[TOC_TAIL_KNOTS + 1] - values[TOC_TAIL_KNOTS];
    s->shape = (float)shape_of(median_excess, values[TOC_TAIL_KNOTS + 2] - s->threshold, s->total);
    if (median_excess <= 0) /* nothing is known of the tail: some share of the level */
        median_excess = 0.07 * s->threshold;
    s->scale = (float)(median_excess / log(2));
    s->since_estimate = 0;
    follow_values(s);
    note_usual(s);
}

INLINED void learn(struct toc_tail *s, double score) {
    int at = bin_of(score);
    if (at == 0)
        s->zeros++;
    else {
        if (s->total == s->zeros) /* the first number: in the middle */
            s->base = (int16_t)(at > BINS / 2 ? at - BINS / 2 : 0);
        uint16_t *count = &counts_of(s)[place_of(s, at)];
        if (*count == UINT16_MAX)
            halve(s);
        ++*count;
    }
    if (++s->total >= UINT32_MAX / 2)
        halve(s);
    s->since_estimate++;
    if (s->since_estimate >= ESTIMATE_EVERY || s->total < EVERY_VALUE)
        estimate(s);
}

void toc_tail_learn(struct toc_tail *s, double score) {
    learn(s, score);
}

/* Between the quantiles on a straight line; from nothing at 0. Where values fall is a matter of
 * chance: their place is counted and looked up, not branched upon. */
INLINED double surprise_below(const struct toc_tail *s, double score) {
    const float *knots = s->knots;
    float edges[TOC_TAIL_KNOTS + 2];
    edges[0] = 0;
    memcpy(edges + 1, knots, sizeof s->knots);
    edges[TOC_TAIL_KNOTS + 1] = s->threshold;
    _Static_assert(TOC_TAIL_KNOTS == 4, "as many comparisons");
    size_t k = (size_t)(score > knots[0]) + (score > knots[1]) + (score > knots[2]) +
               (score > knots[3]); /* knots below */
    double low = edges[k], wide = edges[k + 1] - low;
    return wide > 0 ? SURPRISES[k] + (SURPRISES[k + 1] - SURPRISES[k]) * (score - low) / wide
                    : SURPRISES[k];
}

static double surprise_above(const struct toc_tail *s, double over) {
    if (!(s->shape > 1e-3F))
        return TAIL_SURPRISE + over * M_LOG10E;
    float inside = (float)TOC_MIN(s->shape * over, 1e30);
    return TAIL_SURPRISE + (double)toc_quick_log1p(inside) * M_LOG10E / s->shape;
}

/* What the ranks alone say: the share of values that lay in the same bin or above, this one counted
 * (a conformal p-value; Vovk, Gammerman, Shafer 2005). It needs no form of the tail: where a tail
 * is bounded, the fitted one, which is not, takes the highest value ever for an ordinary one. */
__attribute__((noinline)) static double surprise_of_rank(const struct toc_tail *s, double score) {
    size_t at = place_of(s, bin_of(score));
    uint32_t above = 1 + sum_of(counts_of(s) + at, BINS - at);
    return log10((s->total + 1.0) / above);
}

INLINED double surprise(const struct toc_tail *s, double score) {
    if (s->total < VALUES_MIN || !(score > 0))
        return 0;
    if (!(s->threshold > 0)) /* nearly always 0: any number is as rare as numbers are */
        return -log10((s->total - s->zeros + 1.0) / (s->total + 1.0));
    if (score > s->threshold)
        return fmax(surprise_above(s, (score - s->threshold) / s->scale),
                    surprise_of_rank(s, score));
    return surprise_below(s, score);
}

double toc_tail_surprise(const struct toc_tail *s, double score) {
    return surprise(s, score);
}

INLINED double excess(const struct toc_tail *s, double score) {
    if (s->total < VALUES_MIN || !(s->threshold > 0))
        return 0;
    double ratio = TOC_MIN(score / s->threshold, 1e30);
    return (double)toc_quick_log1p((float)ratio) * s->total / (s->total + HALF_CONFIDENCE);
}

double toc_tail_excess(const struct toc_tail *s, double score) {
    return excess(s, score);
}

double toc_tail_take_excess(struct toc_tail *s, double score) {
    if (score < 0)
        return 0;
    double e = excess(s, score);
    learn(s, score);
    return e;
}

double toc_tail_take_surprise(struct toc_tail *s, double score) {
    if (score < 0)
        return 0;
    double u = surprise(s, score);
    learn(s, score);
    return u;
}

/* ---------------------------------------------------------------------------------------- bytes */

void toc_tail_encode(const struct toc_tail *s, struct toc_buf *out) {
    toc_buf_append_varint(out, s->zeros);
    toc_buf_append_zigzag(out, s->base);
    toc_buf_append_varint(out, s->since_estimate);
    for (size_t k = 0; k < TOC_TAIL_KNOTS; k++)
        toc_buf_append_f64(out, s->knots[k]);
    toc_buf_append_f64(out, s->threshold);
    toc_buf_append_f64(out, s->scale);
    toc_buf_append_f64(out, s->shape);
    for (size_t i = 0; i < BINS; i++)
        toc_buf_append_varint(out, counts_of(s)[i]);
}

static bool read_positive(struct toc_reader *r, float *out) {
    double v = toc_read_f64(r);
    bool is_sound = v >= 0 && v < 1e38;
    *out = is_sound ? (float)v : 0;
    return is_sound;
}

int toc_tail_decode(struct toc_tail *s, struct toc_reader *r) {
    uint64_t zeros = toc_read_varint(r), total = zeros;
    int64_t base = toc_read_zigzag(r);
    uint64_t since = toc_read_varint(r);
    bool is_sound =
        zeros < UINT32_MAX / 2 && base >= 0 && base < POSITIONS - BINS && since < ESTIMATE_EVERY;
    for (size_t k = 0; k < TOC_TAIL_KNOTS; k++)
        is_sound &= read_positive(r, &s->knots[k]);
    is_sound &= read_positive(r, &s->threshold);
    for (size_t k = 1; k < TOC_TAIL_KNOTS; k++)
        is_sound &= s->knots[k - 1] <= s->knots[k];
    is_sound &= s->knots[TOC_TAIL_KNOTS - 1] <= s->threshold;
    is_sound &= read_positive(r, &s->scale);
    is_sound &= read_positive(r, &s->shape);
    is_sound &= s->shape <= SHAPE_MAX;
    is_sound &= !(s->threshold > 0) || s->scale > 0;
    for (size_t i = 0; i < BINS; i++) {
        uint64_t count = toc_read_varint(r);
        is_sound &= count <= UINT16_MAX;
        counts_of(s)[i] = (uint16_t)count;
        total += (uint16_t)count;
    }
    if (r->error)
        return r->error;
    if (!is_sound || total >= UINT32_MAX / 2)
        return TOC_ECORRUPT;
    s->zeros = (uint32_t)zeros;
    s->total = (uint32_t)total;
    s->base = (int16_t)base;
    s->since_estimate = (uint16_t)since;
    note_usual(s);
    return 0;
}
