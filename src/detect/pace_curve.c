#include "detect/pace_curve.h"

#include <math.h>
#include <string.h>

#include "base/attrs.h"
#include "detect/broken_line.h"
#include "detect/robust.h"
#include "detect/stats.h"

enum {
    WARM_UP = 32, /* values: compilation, caches */
    BEFORE_MIN = 12,
    LOOK_SHORT = 3, /* blocks behind a shift that must tell it */
    LOOK_LONG = 6,
    LAG = 12, /* blocks until one is part of the course: a shift in them is known by then */
    SETTLE = 6,
    DRIFT_BEFORE = 8,
    DRIFT_AFTER = 6,
    DRIFT_BLOCKS = 32, /* growth within fewer is no drift */
    VERSION = 1
};
static const double LEAST_RATIO = 1.075; /* a tenth, less what the noise of two blocks takes */
static const double LEAST_NOISE = 0.002; /* of a block; clocks tick in milliseconds */
/* A block in which the shift happened lies between; the ones behind it agree. */
static const double AGREE_SHARE = 0.03, AGREE_NOISES = 4;
/* At once and from one steady level to another: work that was raised. Doubling it makes steps 1.6
 * to 2 times as long; the same increment once more is the next step of the same ladder. */
static const double WORK_RATIO = 1.6, WORK_RATIO_MAX = 3, SAME_INCREMENT = 0.08;
static const double LEAST_DRIFT = 0.04; /* growth beyond what the trend before promised */

/* ---- levels ---- */

struct level {
    double median, noise; /* of blocks */
};

static struct level level_of(const double *blocks, uint32_t count) {
    double v[TOC_PACE_RECENT], steps[TOC_PACE_RECENT];
    struct toc_robust r;
    memcpy(v, blocks, count * sizeof *v);
    for (uint32_t i = 0; i + 1 < count; i++)
        steps[i] = fabs(blocks[i + 1] - blocks[i]);
    toc_robust_fit(v, count, &r);
    double of_steps = toc_robust_median(steps, count - 1) * 1.4826 / M_SQRT2;
    return (struct level){r.median, fmax(fmax(r.mad * 1.4826, of_steps), LEAST_NOISE)};
}

/* Pauses and the slowest and fastest steps do not count; steps that alternate between two lengths
 * count alike. */
static double block_level(const double *values) {
    enum { QUARTER = TOC_PACE_BLOCK / 4 };
    double v[TOC_PACE_BLOCK], sum = 0;
    memcpy(v, values, sizeof v);
    toc_sort_f64(v, TOC_PACE_BLOCK);
    for (size_t i = QUARTER; i < TOC_PACE_BLOCK - QUARTER; i++)
        sum += v[i];
    return log(sum / (TOC_PACE_BLOCK - 2 * QUARTER));
}

static void push(struct toc_pace_curve *c, double level) {
    if (c->recent_count == TOC_PACE_RECENT) {
        memmove(c->recent, c->recent + 1, (TOC_PACE_RECENT - 1) * sizeof c->recent[0]);
        c->recent_count--;
    }
    c->recent[c->recent_count++] = level;
}

/* The level is higher by delta from the newest `after` blocks on: what came before is seen from
 * there. */
static void rebase(struct toc_pace_curve *c, double delta, uint32_t after) {
    for (uint32_t i = 0; i + after < c->recent_count; i++)
        c->recent[i] += delta;
    toc_block_course_shift(&c->course, delta);
}

/* ---- shifts ---- */

struct shift {
    double size, before; /* of the logarithm */
    double surprise;
};

static bool agree(const double *blocks, uint32_t count, double limit) {
    double low = blocks[0], high = blocks[0];
    for (uint32_t i = 1; i < count; i++) {
        low = fmin(low, blocks[i]);
        high = fmax(high, blocks[i]);
    }
    return high - low <= limit;
}

/* Where blocks as high came before (modes that alternate, cut by pauses), only many in a row say
 * something: the share of such blocks, to the power of how many there are now. The newest before
 * may be of the shift itself. */
static double by_record(const struct toc_pace_curve *c, uint32_t before, uint32_t after,
                        const struct shift *s) {
    uint32_t alike = 0, known = before > LOOK_LONG ? before - LOOK_LONG : 0;
    for (uint32_t i = 0; i < known; i++)
        alike += (c->recent[i] - s->before) / s->size > 0.5;
    return alike ? after * log10((known + 1) / (alike + 0.5)) : INFINITY;
}

/* The newest `after` blocks against those before, one left out. */
static bool find_shift(const struct toc_pace_curve *c, uint32_t after, struct shift *out) {
    if (c->recent_count < BEFORE_MIN + 1 + after)
        return false;
    uint32_t before = c->recent_count - after - 1;
    const double *behind = c->recent + before + 1;
    struct level l = level_of(c->recent, before);
    double range = after > LOOK_SHORT ? AGREE_NOISES + 1 : AGREE_NOISES, sum = 0;
    for (uint32_t i = 0; i < after; i++)
        sum += behind[i];
    out->before = l.median;
    out->size = sum / after - l.median;
    double error = l.noise * sqrt(1.0 / after + M_PI_2 / before); /* of a mean and a median */
    out->surprise = toc_student_surprise(fabs(out->size) / error, before - 1);
    out->surprise = fmin(out->surprise, by_record(c, before, after, out)) +
                    log10((double)TOC_PACE_BLOCK / 2); /* two looks a block */
    return fabs(out->size) >= log(LEAST_RATIO) &&
           agree(behind, after, fmax(AGREE_SHARE * fabs(out->size), range * l.noise));
}

/* How far the increment is from that of the rise before, or from twice that: the next step of a
 * ladder of batches. Large when there was none. */
static double off_ladder(const struct toc_pace_curve *c, const struct shift *s) {
    double level = exp(s->before), increment = exp(s->before + s->size) - level;
    double usual = level - c->work_from;
    if (c->work_from <= 0 || usual <= 0)
        return INFINITY;
    return fmin(fabs(increment / usual - 1), fabs(increment / (2 * usual) - 1));
}

static bool is_more_work(const struct toc_pace_curve *c, const struct shift *s) {
    double ratio = exp(s->size);
    if (c->has_work || s->size < 0)
        return false;
    if (c->work_from > 0)
        return off_ladder(c, s) < SAME_INCREMENT;
    return ratio >= WORK_RATIO && ratio < WORK_RATIO_MAX;
}

/* What looks like a step of the ladder, but not quite, is measured again over more blocks. */
static bool is_unsure(const struct toc_pace_curve *c, const struct shift *s, uint32_t after) {
    double off = off_ladder(c, s);
    return after < LOOK_LONG && s->size > 0 && !c->has_work && off >= SAME_INCREMENT &&
           off < 2 * SAME_INCREMENT;
}

static void take_shift(struct toc_pace_curve *c, const struct shift *s,
                       struct toc_curve_verdict *out) {
    if (is_more_work(c, s)) {
        c->work_from = exp(s->before);
        out->note = TOC_CURVE_MORE_WORK;
        return;
    }
    c->work_from *= exp(s->size); /* a slower or faster machine changes all levels alike */
    if (s->size > 0) {
        out->event = TOC_CURVE_SLOWER;
        out->surprise = s->surprise;
    }
}

static bool judge_shift(struct toc_pace_curve *c, uint32_t after, double bar,
                        struct toc_curve_verdict *out) {
    struct shift s;
    if (!find_shift(c, after, &s) || s.surprise <= bar || is_unsure(c, &s, after))
        return false;
    take_shift(c, &s, out);
    rebase(c, s.size, after);
    c->is_after_work = false;
    c->unsettled = 1;
    return true;
}

/* ---- drift ---- */

static void judge_break(const struct toc_pace_curve *c, const double *x, uint32_t k,
                        struct toc_curve_verdict *out) {
    const struct toc_block_course *s = &c->course;
    struct toc_broken_line b;
    double least = LEAST_NOISE * LEAST_NOISE / (4.0 * s->width);
    if (!toc_broken_line_fit(x, s->means, s->count, k, least, &b))
        return;
    double blocks = s->count - k, growth = fmin(b.change, b.slope + b.change) * blocks;
    if (growth < LEAST_DRIFT)
        return;
    double looks = (double)TOC_PACE_BLOCK * s->width;
    double surprise = toc_student_surprise(b.change / b.error, s->count - 3.0) + log10(looks);
    if (surprise > out->surprise) {
        out->surprise = surprise;
        out->event = TOC_CURVE_DRIFT;
    }
}

static void judge_drift(struct toc_pace_curve *c, double bar, struct toc_curve_verdict *out) {
    double x[TOC_COURSE_BLOCKS];
    for (uint32_t i = 0; i < c->course.count; i++)
        x[i] = i;
    /* Every second place: a drift is no matter of one block. */
    for (uint32_t k = DRIFT_BEFORE; k + DRIFT_AFTER <= c->course.count; k += 2)
        if ((c->course.count - k) * c->course.width >= DRIFT_BLOCKS)
            judge_break(c, x, k, out);
    if (out->surprise > bar)
        c->course = (struct toc_block_course){0};
}

/* ---- one block ---- */

/* The level changed a moment ago: what it is now, the next blocks tell better than the first. A
 * rise that is left to do is a second one. */
static void settle(struct toc_pace_curve *c, struct toc_curve_verdict *out) {
    if (c->unsettled++ < SETTLE)
        return;
    uint32_t before = c->recent_count - SETTLE;
    c->unsettled = 0;
    if (before < 2)
        return;
    double behind[SETTLE];
    memcpy(behind, c->recent + before, sizeof behind);
    struct level l = level_of(c->recent, before);
    double delta = toc_robust_median(behind, SETTLE) - l.median;
    if (!c->is_after_work && delta >= log(LEAST_RATIO)) {
        double error = l.noise * sqrt(M_PI_2 / SETTLE + M_PI_2 / before);
        out->event = TOC_CURVE_SLOWER;
        out->surprise = toc_student_surprise(delta / error, before - 1);
    }
    rebase(c, delta, SETTLE);
}

/* The block that is old enough becomes part of the course, an odd one as if it were not so odd. */
static bool extend_course(struct toc_pace_curve *c) {
    if (c->recent_count < LAG + BEFORE_MIN)
        return false;
    struct level l = level_of(c->recent, c->recent_count);
    double limit = AGREE_NOISES * l.noise, v = c->recent[c->recent_count - 1 - LAG];
    return toc_block_course_add(&c->course, 1, fmin(fmax(v, l.median - limit), l.median + limit));
}

static void take_block(struct toc_pace_curve *c, double bar, struct toc_curve_verdict *out) {
    push(c, block_level(c->filling));
    if (c->unsettled) {
        settle(c, out);
        return;
    }
    bool is_further = extend_course(c);
    if (judge_shift(c, LOOK_SHORT, bar, out) || judge_shift(c, LOOK_LONG, bar, out))
        return;
    if (is_further)
        judge_drift(c, bar, out);
}

static void set_band(struct toc_pace_curve *c) {
    c->lower = c->upper = 0;
    if (c->recent_count < BEFORE_MIN || c->unsettled)
        return;
    struct level l = level_of(c->recent, c->recent_count);
    double half = fmax(log(LEAST_RATIO), AGREE_NOISES * l.noise);
    c->lower = exp(l.median - half);
    c->upper = exp(l.median + half);
}

struct toc_curve_verdict toc_pace_curve_step(struct toc_pace_curve *c, double value, double bar) {
    struct toc_curve_verdict out = {.lower = NAN, .upper = NAN};
    if (c->upper > 0) {
        out.lower = c->lower;
        out.upper = c->upper;
    }
    if (!(value > 1e-150 && value < 1e150))
        return out;
    if (c->count++ < WARM_UP)
        return out;
    c->filling[c->filled++] = value;
    if (c->filled < TOC_PACE_BLOCK)
        return out;
    c->filled = 0;
    take_block(c, bar, &out);
    set_band(c);
    return out;
}

void toc_pace_curve_new_work(struct toc_pace_curve *c) {
    c->has_work = true;
    c->filled = 0;
    c->unsettled = 1;
    c->is_after_work = true;
    c->lower = c->upper = 0;
}

/* ---- bytes ---- */

static void append_all(struct toc_buf *out, const double *v, uint32_t count) {
    toc_buf_append_varint(out, count);
    for (uint32_t i = 0; i < count; i++)
        toc_buf_append_f64(out, v[i]);
}

void toc_pace_curve_encode(const struct toc_pace_curve *c, struct toc_buf *out) {
    toc_buf_append_u8(out, VERSION);
    toc_buf_append_varint(out, c->count);
    append_all(out, c->filling, c->filled);
    append_all(out, c->recent, c->recent_count);
    toc_buf_append_f64(out, c->work_from);
    toc_buf_append_u8(out, c->has_work);
    toc_buf_append_varint(out, c->unsettled);
    toc_buf_append_u8(out, c->is_after_work);
    toc_block_course_encode(&c->course, out);
}

static bool read_all(struct toc_reader *r, double *v, uint32_t limit, uint32_t *out_count) {
    uint64_t count = toc_read_varint(r);
    if (r->error || count > limit)
        return false;
    bool is_sound = true;
    for (uint64_t i = 0; i < count; i++)
        is_sound &= fabs(v[i] = toc_read_f64(r)) < 1e150;
    *out_count = (uint32_t)count;
    return is_sound && !r->error;
}

int toc_pace_curve_decode(struct toc_reader *r, struct toc_pace_curve *out) {
    struct toc_pace_curve c = {0};
    uint8_t version = toc_read_u8(r);
    if (r->error)
        return r->error;
    if (version != VERSION)
        return TOC_EVERSION;
    c.count = toc_read_varint(r);
    bool is_sound = c.count < UINT64_MAX / 2 &&
                    read_all(r, c.filling, TOC_PACE_BLOCK - 1, &c.filled) &&
                    read_all(r, c.recent, TOC_PACE_RECENT, &c.recent_count);
    for (uint32_t i = 0; i < c.filled; i++)
        is_sound &= c.filling[i] > 0;
    c.work_from = toc_read_f64(r);
    is_sound &= c.work_from >= 0 && c.work_from < 1e200;
    uint8_t has_work = toc_read_u8(r);
    uint64_t unsettled = toc_read_varint(r);
    uint8_t is_after_work = toc_read_u8(r);
    if (r->error || !is_sound || has_work > 1 || is_after_work > 1 || unsettled > SETTLE ||
        (unsettled > 0 && c.recent_count + 1 < unsettled))
        return r->error ? r->error : TOC_ECORRUPT;
    c.has_work = has_work;
    c.is_after_work = is_after_work;
    c.unsettled = (uint32_t)unsettled;
    int rc = toc_block_course_decode(r, &c.course);
    if (rc < 0)
        return rc;
    set_band(&c);
    *out = c;
    return 0;
}
