#include "detect/loss_curve.h"

#include <math.h>
#include <string.h>

#include "base/attrs.h"
#include "detect/broken_line.h"

enum {
    FIRST = 20,
    BLOCK = 8,
    MEMORY_MIN = 32,
    BEFORE_MIN = 4,
    AFTER_MIN = 6,
    BATCH = 16,
    VERSION = 1
};
static const double MEMORY_SHARE = 0.25; /* of the course */
static const double CLIP = 3;            /* scales; beyond nothing more is learnt */
/* Upper tail of the residuals in scales: passed by TAIL_SHARE at TAIL_FROM, falling with the third
 * power: odd batches. */
static const double TAIL_FROM = 2.5, TAIL_SHARE = 0.03, TAIL_POWER = 3;
static const double Z_MAX = 1e9; /* of a curve without noise */
/* A spike is at least so much above the trend (as a ratio of losses); a single value more. */
static const double SPIKE_RATIO = 1.25, SINGLE_RATIO = 2.5, SINGLE_SCALES = 8;
static const double RISE_SHIFT = 1; /* scales: the change that the cumulative sum waits for */
/* A plateau: the slope fell by at least STOPPED of what it was, and surely by more than HALF. */
static const double HALF = 0.5, STOPPED = 0.75;
/* The break lies in the last seven eighths of the course, and the trend before it is that of four
 * fifths of what was before it. */
static const double FORGOTTEN = 1.0 / 8, TREND_FROM = 1.0 / 5;

static double x_of(double count) {
    return log(count + FIRST);
}

/* ---- trend ---- */

struct line {
    double at, slope; /* value at x, and per unit of x */
};

static struct line line_at(const struct toc_loss_trend *t, double x) {
    double mean_x = t->x / t->weight, mean_y = t->y / t->weight;
    double variance = t->xx / t->weight - mean_x * mean_x;
    double slope = variance > 1e-12 ? (t->xy / t->weight - mean_x * mean_y) / variance : 0;
    return (struct line){mean_y + slope * (x - mean_x), slope};
}

static void learn(struct toc_loss_trend *t, double x, double y, double memory) {
    double keep = 1 - 1 / memory;
    t->weight = t->weight * keep + 1;
    t->x = t->x * keep + x;
    t->y = t->y * keep + y;
    t->xx = t->xx * keep + x * x;
    t->xy = t->xy * keep + x * y;
}

/* Noise of the first values: distances of neighbours, which the steep trend hardly moves. */
static double first_scale(const double *v) {
    double sum = 0;
    for (size_t i = 1; i < FIRST; i++)
        sum += fabs(v[i] - v[i - 1]);
    return sum / (FIRST - 1) * 1.2533 / M_SQRT2;
}

static double memory_of(const struct toc_loss_curve *c) {
    return fmax(MEMORY_MIN, (double)c->count * MEMORY_SHARE);
}

static double floor_of(double y) {
    return fmax(1e-9 * fabs(y), 1e-12);
}

static void begin(struct toc_loss_curve *c, double y) {
    c->first[c->count] = y;
    learn(&c->trend, x_of((double)c->count), y, MEMORY_MIN);
    if (c->count + 1 == FIRST) {
        c->trend.scale = fmax(first_scale(c->first), floor_of(y));
        c->course_begin = FIRST;
    }
}

/* ---- judges ---- */

static void tell(struct toc_curve_verdict *v, enum toc_curve_event e, double surprise) {
    if (surprise > v->surprise) {
        v->surprise = surprise;
        v->event = e;
    }
}

static double row_surprise(double z) {
    return z > TAIL_FROM ? TAIL_POWER * log10(z / TAIL_FROM) - log10(TAIL_SHARE) : 0;
}

/* n values in a row, each at least so surprising: n times the least of them. */
static void judge_spike(struct toc_loss_curve *c, double residual, double z,
                        struct toc_curve_verdict *out) {
    bool is_above = c->is_linear || residual > log(SPIKE_RATIO);
    memmove(c->row_surprises + 1, c->row_surprises,
            (TOC_LOSS_RUN - 1) * sizeof c->row_surprises[0]);
    c->row_surprises[0] = is_above ? (float)row_surprise(z) : 0;
    double least = INFINITY;
    for (size_t n = 0; n < TOC_LOSS_RUN && c->row_surprises[n] > 0; n++) {
        least = fmin(least, c->row_surprises[n]);
        tell(out, TOC_CURVE_SPIKE, (double)(n + 1) * least);
    }
}

/* One value alone says that much only when the loss is a multiple. */
static bool is_single_spike(const struct toc_loss_curve *c, double residual, double z) {
    return !c->is_linear && residual > log(SINGLE_RATIO) && z > SINGLE_SCALES;
}

/* Variance of the sum of a batch of residuals per value: 1 of white noise, more where they wander
 * together (batch means). */
static void learn_long_run(struct toc_loss_curve *c, double z, double memory) {
    c->batch += z;
    if ((c->count + 1) % BATCH != 0)
        return;
    double usual = fmax(c->long_run, 1);
    double now = fmin(c->batch * c->batch / BATCH, CLIP * CLIP * usual);
    c->long_run = usual + (now - usual) * fmin(BATCH / memory, 0.5);
    c->batch = 0;
}

/* Page's cumulative sum of the log likelihood ratio of a shift up: it passes h once in e^h values
 * without one (Lorden 1971). The shift is one above the trend and above where the sum began: a fall
 * that becomes slower is no rise. What is far beyond the bar is not added, so that it ends with its
 * cause. */
static void judge_rise(struct toc_loss_curve *c, double y, double expected, double bar,
                       struct toc_curve_verdict *out) {
    if (c->rise == 0)
        c->rise_level = expected;
    bool was_told = c->rise * M_LOG10E > bar;
    double z = (y - fmax(expected, c->rise_level)) / c->trend.scale;
    z = fmin(fmax(z, -CLIP), CLIP);
    c->rise = fmax(0, c->rise + RISE_SHIFT * (z - RISE_SHIFT / 2) / fmax(c->long_run, 1));
    c->rise = fmin(c->rise, (bar + 1) / M_LOG10E);
    if (was_told && c->rise * M_LOG10E <= bar)
        c->rise = 0; /* it is over, and the next one is another */
    tell(out, TOC_CURVE_RISE, c->rise * M_LOG10E);
}

/* Rises and plateaus that only the whole course shows: does a broken line fit it that falls less
 * than half as fast behind the break? One look per block, so as rare as that many values. */
struct look {
    double x[TOC_COURSE_BLOCKS];
    size_t oldest, n;
    double least_variance;
};

static size_t first_after(const struct look *l, double count) {
    size_t i = l->oldest;
    while (i < l->n && l->x[i] < x_of(count))
        i++;
    return i;
}

static void judge_break(const struct toc_loss_curve *c, const struct look *l, size_t k,
                        struct toc_curve_verdict *out) {
    size_t from = first_after(l, (exp(l->x[k]) - FIRST) * TREND_FROM);
    struct toc_broken_line b;
    if (k < from + BEFORE_MIN || !toc_broken_line_fit(l->x + from, c->course.means + from,
                                                      l->n - from, k - from, l->least_variance, &b))
        return;
    double fall = fmax(-b.slope, 0);
    if (b.change < STOPPED * fall)
        return;
    double t = (b.change - HALF * fall) / b.error;
    double surprise =
        toc_student_surprise(t, (double)c->count * MEMORY_SHARE) + log10((double)c->course.width);
    bool is_rise = b.slope + b.change > CLIP * b.error;
    tell(out, is_rise ? TOC_CURVE_RISE : TOC_CURVE_PLATEAU, surprise);
}

static void judge_course(const struct toc_loss_curve *c, struct toc_curve_verdict *out) {
    const struct toc_block_course *s = &c->course;
    struct look l = {.n = s->count};
    double width = s->width;
    for (size_t i = 0; i < l.n; i++)
        l.x[i] = x_of((double)c->course_begin + width * ((double)i + 0.5));
    l.least_variance = c->trend.scale * c->trend.scale / width;
    l.oldest = first_after(&l, (double)c->count * FORGOTTEN);
    for (size_t k = l.oldest + BEFORE_MIN; k + AFTER_MIN <= l.n; k++)
        judge_break(c, &l, k, out);
}

/* ---- one value ---- */

/* Learns the value, an odd one as if it were not so odd. */
static void learn_value(struct toc_loss_curve *c, double x, double expected, double residual) {
    double memory = memory_of(c);
    double limit = CLIP * c->trend.scale, kept = fmin(fmax(residual, -limit), limit);
    learn(&c->trend, x, expected + kept, memory);
    c->trend.scale += (fabs(kept) * 1.2533 - c->trend.scale) / memory;
    c->trend.scale = fmax(c->trend.scale, floor_of(expected));
}

static void restart_course(struct toc_loss_curve *c) {
    c->course = (struct toc_block_course){0};
    c->course_begin = c->count + 1;
}

static void judge(struct toc_loss_curve *c, double y, double bar, struct toc_curve_verdict *out) {
    double x = x_of((double)c->count);
    struct line l = line_at(&c->trend, x);
    double residual = y - l.at, scale = c->trend.scale;
    double z = fmin(fmax(residual / scale, -Z_MAX), Z_MAX);
    double clipped = fmin(fmax(z, -CLIP), CLIP);
    out->lower = l.at - CLIP * scale;
    out->upper = l.at + CLIP * scale;
    if (c->count >= TOC_LOSS_WARM_UP) {
        judge_spike(c, residual, z, out);
        if (c->count >= TOC_LOSS_COURSE_MIN)
            judge_rise(c, y, l.at, bar, out);
        learn_long_run(c, clipped, memory_of(c));
        if (is_single_spike(c, residual, z))
            tell(out, TOC_CURVE_SPIKE, bar + 1);
    }
    learn_value(c, x, l.at, residual);
    /* A spike tells nothing of the course; where the level moved, the trend follows. */
    double of_course = fabs(z) > CLIP ? l.at : y;
    if (!toc_block_course_add(&c->course, BLOCK, of_course) || c->count < TOC_LOSS_COURSE_MIN)
        return;
    struct toc_curve_verdict course = {0};
    judge_course(c, &course);
    tell(out, course.event, course.surprise);
    if (course.surprise > bar)
        restart_course(c);
}

static void begin_linear(struct toc_loss_curve *c) {
    *c = (struct toc_loss_curve){.is_linear = true, .quiet = c->quiet, .last = c->last};
}

struct toc_curve_verdict toc_loss_curve_step(struct toc_loss_curve *c, double value, double bar) {
    struct toc_curve_verdict out = {.lower = NAN, .upper = NAN};
    if (!isfinite(value) || fabs(value) > 1e150) {
        tell(&out, TOC_CURVE_NOT_A_NUMBER, bar + 1);
        out.is_certain = true;
        return out;
    }
    if (value <= 0 && !c->is_linear)
        begin_linear(c);
    bool is_new = c->count == 0 || value != c->last;
    tell(&out, TOC_CURVE_STANDSTILL, toc_quiet_step(&c->quiet, is_new));
    c->last = value;
    double y = c->is_linear ? value : log(value);
    if (c->count < FIRST)
        begin(c, y);
    else
        judge(c, y, bar, &out);
    c->count++;
    if (!c->is_linear) {
        out.lower = exp(out.lower);
        out.upper = exp(out.upper);
    }
    return out;
}

/* ---- bytes ---- */

void toc_loss_curve_encode(const struct toc_loss_curve *c, struct toc_buf *out) {
    const struct toc_loss_trend *t = &c->trend;
    const double numbers[] = {t->weight, t->x,          t->y,     t->xx,       t->xy,  t->scale,
                              c->rise,   c->rise_level, c->batch, c->long_run, c->last};
    toc_buf_append_u8(out, VERSION);
    toc_buf_append_u8(out, c->is_linear);
    toc_buf_append_varint(out, c->count);
    for (size_t i = 0; i < TOC_MIN(c->count, (uint64_t)FIRST); i++)
        toc_buf_append_f64(out, c->first[i]);
    for (size_t i = 0; i < TOC_ARRAY_LEN(numbers); i++)
        toc_buf_append_f64(out, numbers[i]);
    for (size_t i = 0; i < TOC_LOSS_RUN; i++)
        toc_buf_append_f64(out, (double)c->row_surprises[i]);
    toc_quiet_encode(&c->quiet, out);
    toc_block_course_encode(&c->course, out);
    toc_buf_append_varint(out, c->course_begin);
}

static bool is_between(double v, double low, double high) {
    return v >= low && v <= high;
}

static void decode_numbers(struct toc_reader *r, struct toc_loss_curve *c, bool *is_sound) {
    struct toc_loss_trend *t = &c->trend;
    double *const numbers[] = {&t->weight, &t->x,        &t->y,    &t->xx,
                               &t->xy,     &t->scale,    &c->rise, &c->rise_level,
                               &c->batch,  &c->long_run, &c->last};
    for (size_t i = 0; *is_sound && i < TOC_MIN(c->count, (uint64_t)FIRST); i++)
        *is_sound = fabs(c->first[i] = toc_read_f64(r)) <= 1e150;
    for (size_t i = 0; i < TOC_ARRAY_LEN(numbers); i++)
        *is_sound &= fabs(*numbers[i] = toc_read_f64(r)) <= 1e200;
    for (size_t i = 0; i < TOC_LOSS_RUN; i++) {
        double s = toc_read_f64(r);
        *is_sound &= is_between(s, 0, 1e6);
        c->row_surprises[i] = *is_sound ? (float)s : 0;
    }
    *is_sound &= t->weight >= (c->count > 0) && t->scale >= 0 && is_between(c->rise, 0, 1e6) &&
                 fabs(c->batch) <= CLIP * BATCH && is_between(c->long_run, 0, 1e6);
    *is_sound &= c->count < FIRST || t->scale > 0;
}

int toc_loss_curve_decode(struct toc_reader *r, struct toc_loss_curve *out) {
    struct toc_loss_curve c = {0};
    uint8_t version = toc_read_u8(r), is_linear = toc_read_u8(r);
    if (r->error)
        return r->error;
    if (version != VERSION)
        return TOC_EVERSION;
    c.is_linear = is_linear;
    c.count = toc_read_varint(r);
    bool is_sound = is_linear <= 1 && c.count < UINT64_MAX / 2;
    decode_numbers(r, &c, &is_sound);
    int rc = toc_quiet_decode(r, &c.quiet);
    if (rc == 0)
        rc = toc_block_course_decode(r, &c.course);
    c.course_begin = toc_read_varint(r);
    if (rc < 0 || r->error)
        return rc < 0 ? rc : r->error;
    if (!is_sound || c.course_begin > c.count + 1)
        return TOC_ECORRUPT;
    *out = c;
    return 0;
}
