#include "detect/anomaly_bit.h"

#include <math.h>
#include <string.h>

#include "base/attrs.h"

static const double FAST = 2.0 / (32 + 1), LEVEL = 2.0 / (128 + 1);
static const float TAIL_SHARE = 0.02f, UPPER_RATE = 0.05f, EXCESS_RATE = 0.2f;
static const float GIANT = 5; /* a surprise that noise does not have */
static const float EXCESS_MIN = 0.02f, EXCESS_MAX = 8;
enum { GAP_INTERVALS = 8, QUIET_SAMPLES = 10 };

/* ---- tails ---- */

/* Generalised Pareto with shape xi = 0.2 whose median is the excess: y = (s - u) / scale. */
static float surprise_of(const struct toc_tail_track *t, float score) {
    const float xi = 0.2f, median_factor = 0.1487f; /* 2^xi - 1 */
    if (!(t->upper > 0))
        return score > 0 ? INFINITY : 0;
    float ratio = score / t->upper;
    if (ratio <= 1)
        return 1.69897f * ratio; /* -log10 of the share above the percentile */
    return 1.69897f + log10f(1 + median_factor * (ratio - 1) / t->excess) / xi;
}

/* During the first samples the percentile is the largest score; then both are tracked. Rates are
 * an eighth while the score is out of all proportion, so that an anomaly is not learnt at once. */
static void learn_tail(struct toc_tail_track *t, float score, float seen, bool is_extreme) {
    if (seen < 32) {
        t->upper = fmaxf(t->upper, score);
        t->excess = 0.5f;
        return;
    }
    float slow = is_extreme ? 0.125f : 1;
    if (!(t->upper > 0)) {
        t->upper = score;
        return;
    }
    if (score <= t->upper) {
        t->upper *= 1 - UPPER_RATE * TAIL_SHARE;
        return;
    }
    float beyond = score / t->upper - 1;
    float rate = EXCESS_RATE * slow * 0.5f;
    t->excess *= beyond > t->excess ? 1 + rate : 1 - rate;
    t->excess = fminf(fmaxf(t->excess, EXCESS_MIN), EXCESS_MAX);
    t->upper *= 1 + UPPER_RATE * slow * (1 - TAIL_SHARE);
}

/* ---- samples ---- */

static void restart(struct toc_anomaly_bit *s, double x) {
    s->level = s->fast = s->fast2 = x;
}

/* What is judged: the value, or a counter's increase per second; NaN where there is none. A counter
 * that fell began again at 0. */
static double judged_value(const struct toc_anomaly_bit *s, int64_t t_ms, double value) {
    if (!s->is_counter)
        return value;
    double increase = value >= s->last ? value - s->last : value;
    return s->last_ms ? increase * 1000 / (double)(t_ms - s->last_ms) : NAN;
}

static void learn_interval(struct toc_anomaly_bit *s, float distance_ms) {
    float rate = s->interval_ms > 0 ? 0.1f : 1, most = 4 * s->interval_ms + distance_ms * rate;
    s->interval_ms += rate * (TOC_MIN(distance_ms, most) - s->interval_ms);
}

/* The surprise that the record of events allows. A series that was constant proves by its length
 * alone; else the tail counts as a thousand samples without an event. What is no surprise is within
 * the limit without a logarithm: log10(51) is over 1.7. */
static float limit_by_record(const struct toc_anomaly_bit *s, float surprise) {
    if (isinf(surprise))
        return log10f(s->seen + 1);
    float events = s->giants + (surprise < GIANT ? s->events : 0);
    if (surprise <= 1.7f && s->seen + 1000 >= 51 * (events + 0.5f))
        return surprise;
    return fminf(surprise, log10f((s->seen + 1000) / (events + 0.5f)));
}

/* Counts an anomaly when it begins: not again while it lasts or soon after. */
static void record(struct toc_anomaly_bit *s, float raw, bool is_extreme) {
    const float keep = 1 - 1.0f / TOC_ANOMALY_BIT_MEMORY;
    if (s->seen >= TOC_ANOMALY_BIT_MEMORY) {
        s->events *= keep;
        s->giants *= keep;
    } else {
        s->seen++;
    }
    if (is_extreme && s->quiet >= QUIET_SAMPLES && raw < GIANT)
        s->events++;
    else if (is_extreme && s->quiet >= QUIET_SAMPLES)
        s->giants++;
    s->quiet = is_extreme ? 0 : (uint8_t)(s->quiet < UINT8_MAX ? s->quiet + 1 : UINT8_MAX);
}

/* At most 1e30, also where the difference is no number. */
static float distance(double x, double from) {
    double d = fabs(x - from);
    return (float)(d < 1e30 ? d : 1e30);
}

static void judge(struct toc_anomaly_bit *s, double x) {
    double forecast = 2 * s->fast - s->fast2 + FAST / (1 - FAST) * (s->fast - s->fast2);
    float line = distance(x, forecast), flat = distance(x, s->level);
    /* Rounding is no deviation. */
    float noise = (float)(fabs(x) * 1e-7);
    line = line > noise ? line : 0;
    flat = flat > noise ? flat : 0;
    float raw = (surprise_of(&s->line, line) + surprise_of(&s->flat, flat)) / 2;
    bool is_extreme =
        raw >= (float)TOC_ANOMALY_BIT_SURPRISE && s->seen >= TOC_ANOMALY_BIT_SAMPLES_MIN;
    bool goes_on = is_extreme && s->is_anomaly;
    s->surprise = goes_on ? TOC_MIN(raw, s->surprise) : limit_by_record(s, raw);
    s->is_anomaly = is_extreme && s->surprise >= (float)TOC_ANOMALY_BIT_SURPRISE;
    s->is_above = x > s->level;
    learn_tail(&s->line, line, s->seen, is_extreme);
    learn_tail(&s->flat, flat, s->seen, is_extreme);
    record(s, raw, is_extreme);
}

bool toc_anomaly_bit_step(struct toc_anomaly_bit *s, int64_t t_ms, double value) {
    if (!isfinite(value) || fabs(value) > 1e300 || t_ms <= s->last_ms)
        return false;
    double x = judged_value(s, t_ms, value);
    float distance_ms = s->last_ms ? (float)(t_ms - s->last_ms) : 0;
    bool is_gap = s->interval_ms > 0 && distance_ms > GAP_INTERVALS * s->interval_ms;
    bool is_first = !(s->interval_ms > 0);
    s->last = value;
    if (s->last_ms)
        learn_interval(s, distance_ms);
    s->last_ms = t_ms;
    if (is_first || is_gap) {
        restart(s, isnan(x) ? 0 : x);
        s->is_anomaly = false;
        s->surprise = 0;
        return false;
    }
    judge(s, x);
    s->level += LEVEL * (x - s->level);
    s->fast += FAST * (x - s->fast);
    s->fast2 += FAST * (s->fast - s->fast2);
    return true;
}

/* ---- bytes ---- */

enum { IS_COUNTER = 1, IS_ANOMALY = 2, IS_ABOVE = 4 };

static void put_float(struct toc_buf *out, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    toc_buf_append_u32(out, bits);
}

static float get_float(struct toc_reader *r) {
    uint32_t bits = toc_read_u32(r);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void toc_anomaly_bit_encode(const struct toc_anomaly_bit *s, struct toc_buf *out) {
    const float floats[] = {s->interval_ms, s->events,     s->giants,
                            s->seen,        s->surprise,   s->line.upper,
                            s->line.excess, s->flat.upper, s->flat.excess};
    toc_buf_append_u8(out,
                      (uint8_t)((s->is_counter ? IS_COUNTER : 0) |
                                (s->is_anomaly ? IS_ANOMALY : 0) | (s->is_above ? IS_ABOVE : 0)));
    toc_buf_append_u8(out, s->quiet);
    toc_buf_append_zigzag(out, s->last_ms);
    toc_buf_append_f64(out, s->last);
    toc_buf_append_f64(out, s->level);
    toc_buf_append_f64(out, s->fast);
    toc_buf_append_f64(out, s->fast2);
    for (size_t i = 0; i < TOC_ARRAY_LEN(floats); i++)
        put_float(out, floats[i]);
}

static bool is_tail(const struct toc_tail_track *t) {
    return t->upper >= 0 && isfinite(t->upper) && t->excess >= 0 && t->excess <= EXCESS_MAX;
}

int toc_anomaly_bit_decode(struct toc_reader *r, struct toc_anomaly_bit *out) {
    uint8_t flags = toc_read_u8(r), quiet = toc_read_u8(r);
    struct toc_anomaly_bit s = {.quiet = quiet};
    float *const floats[] = {&s.interval_ms, &s.events,     &s.giants,
                             &s.seen,        &s.surprise,   &s.line.upper,
                             &s.line.excess, &s.flat.upper, &s.flat.excess};
    s.last_ms = toc_read_zigzag(r);
    s.last = toc_read_f64(r);
    s.level = toc_read_f64(r);
    s.fast = toc_read_f64(r);
    s.fast2 = toc_read_f64(r);
    for (size_t i = 0; i < TOC_ARRAY_LEN(floats); i++)
        *floats[i] = get_float(r);
    if (r->error)
        return r->error;
    s.is_counter = flags & IS_COUNTER;
    s.is_anomaly = flags & IS_ANOMALY;
    s.is_above = flags & IS_ABOVE;
    const double values[] = {s.last, s.level, s.fast, s.fast2};
    bool is_sound = flags < 8 && s.interval_ms >= 0 && isfinite(s.interval_ms) && s.seen >= 0 &&
                    s.seen <= TOC_ANOMALY_BIT_MEMORY && s.events >= 0 && s.events <= s.seen + 1 &&
                    s.giants >= 0 && s.giants <= s.seen + 1 && s.surprise >= 0 &&
                    isfinite(s.surprise) && is_tail(&s.line) && is_tail(&s.flat);
    for (size_t i = 0; i < TOC_ARRAY_LEN(values); i++)
        is_sound = is_sound && fabs(values[i]) <= 1e300;
    if (!is_sound)
        return TOC_ECORRUPT;
    *out = s;
    return 0;
}
