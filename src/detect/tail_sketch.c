#include "detect/tail_sketch.h"

#include <math.h>
#include <stddef.h>

enum { PER_OCTAVE = 8, VALUES_MIN = 20, EVERY_VALUE = 200, ESTIMATE_EVERY = 16 };
static const double TAIL_SHARE = 0.02, HALF_CONFIDENCE = 300;

static double position_of(double score) {
    double y = score > 0 && isfinite(score) ? log2(score) * PER_OCTAVE + TOC_TAIL_BINS / 2 : 0;
    return fmin(fmax(y, 0), TOC_TAIL_BINS - 1e-9);
}

static double value_at(double position) {
    return exp2((position - TOC_TAIL_BINS / 2) / PER_OCTAVE);
}

static void halve(struct toc_tail_sketch *s) {
    s->total = 0;
    for (size_t i = 0; i < TOC_TAIL_BINS; i++) {
        s->counts[i] = (uint16_t)(s->counts[i] / 2);
        s->total += s->counts[i];
    }
}

double toc_tail_upper(const struct toc_tail_sketch *s, double share) {
    double wanted = share * s->total, above = 0;
    for (size_t i = TOC_TAIL_BINS; i-- > 0;) {
        if (s->counts[i] && above + s->counts[i] >= wanted)
            return value_at((double)(i + 1) - (wanted - above) / s->counts[i]);
        above += s->counts[i];
    }
    return 0;
}

static void estimate(struct toc_tail_sketch *s) {
    s->since_estimate = 0;
    s->threshold = (float)toc_tail_upper(s, TAIL_SHARE);
    double median_excess = toc_tail_upper(s, TAIL_SHARE / 2) - s->threshold;
    if (median_excess <= 0) /* nothing is known of the tail: some share of the level */
        median_excess = 0.07 * s->threshold;
    s->scale = (float)(median_excess / log(2));
}

void toc_tail_learn(struct toc_tail_sketch *s, double score) {
    size_t i = (size_t)position_of(score);
    if (s->counts[i] == UINT16_MAX)
        halve(s);
    s->counts[i]++;
    s->total++;
    if (++s->since_estimate >= ESTIMATE_EVERY || s->total < EVERY_VALUE)
        estimate(s);
}

double toc_tail_surprise(const struct toc_tail_sketch *s, double score) {
    if (s->total < VALUES_MIN)
        return 0;
    if (score > s->threshold && s->scale > 0)
        return -log10(TAIL_SHARE) + (score - s->threshold) / s->scale * M_LOG10E;
    double y = position_of(score), above = 0;
    size_t bin = (size_t)y;
    for (size_t i = bin + 1; i < TOC_TAIL_BINS; i++)
        above += s->counts[i];
    above += s->counts[bin] * (1 - (y - (double)bin));
    return -log10(fmin((above + 1) / (s->total + 1.0), 1));
}

double toc_tail_excess(const struct toc_tail_sketch *s, double score) {
    if (s->total < VALUES_MIN || !(s->threshold > 0))
        return 0;
    return log1p(score / s->threshold) * s->total / (s->total + HALF_CONFIDENCE);
}
