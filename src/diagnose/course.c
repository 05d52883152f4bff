#include "diagnose/course_priv.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "diagnose/history_priv.h"

static void merge_pairs(struct toc_course *c) {
    for (size_t i = 0; i + 1 < c->count; i += 2) {
        const struct toc_course_point *a = &c->points[i], *b = &c->points[i + 1];
        c->points[i / 2] = (struct toc_course_point){
            .step = a->step,
            .last_step = b->last_step,
            .t_ms = a->t_ms,
            .mean = (a->mean + b->mean) / 2,
            .rate = b->rate,
            .jumps2 = (a->jumps2 + b->jumps2) / 2,
            .reports = a->reports + b->reports,
        };
    }
    c->count /= 2;
    c->per_point *= 2;
}

static void close_point(struct toc_course *c) {
    if (c->count == TOC_COURSE_POINTS)
        merge_pairs(c);
    c->points[c->count++] = c->open;
    c->open = (struct toc_course_point){0};
}

static void go_back(struct toc_course *c, double step) {
    while (c->count && c->points[c->count - 1].last_step >= step)
        c->count--;
    c->open = (struct toc_course_point){0};
    c->last_value = c->count ? c->points[c->count - 1].mean : NAN;
    if (!c->count)
        c->reports = 0;
}

void toc_course_add(struct toc_course *c, int64_t t_ms, double step, double value, double rate) {
    if (!isfinite(value) || (isfinite(step) && step < 0))
        return;
    if (c->reports && isfinite(step) && step < c->last_step)
        go_back(c, step);
    struct toc_course_point *p = &c->open;
    if (!c->reports++) {
        c->first_step = step;
        c->last_value = value;
        c->per_point = c->per_point ? c->per_point : 1;
    }
    if (!p->reports) {
        p->step = step;
        p->t_ms = t_ms;
    }
    double n = ++p->reports;
    double jump = isfinite(c->last_value) ? value - c->last_value : 0;
    p->mean += (value - p->mean) / n;
    p->jumps2 += (jump * jump - p->jumps2) / n;
    p->last_step = step;
    p->rate = rate;
    c->last_value = value;
    c->last_step = step;
    if (p->reports >= c->per_point)
        close_point(c);
}

double toc_course_mean(const struct toc_course *c, size_t from, size_t to) {
    double sum = 0;
    to = TOC_MIN(to, c->count);
    for (size_t i = from; i < to; i++)
        sum += c->points[i].mean;
    return to > from ? sum / (double)(to - from) : NAN;
}

double toc_course_rate(const struct toc_course *c, size_t from, size_t to) {
    double sum = 0;
    to = TOC_MIN(to, c->count);
    for (size_t i = from; i < to; i++)
        sum += c->points[i].rate;
    return to > from ? sum / (double)(to - from) : NAN;
}

double toc_course_noise(const struct toc_course *c, size_t from, size_t to) {
    double sum = 0;
    to = TOC_MIN(to, c->count);
    for (size_t i = from; i < to; i++)
        sum += c->points[i].jumps2;
    return to > from ? sqrt(sum / (double)(to - from) / 2) : NAN;
}

double toc_course_end_step(const struct toc_course *c) {
    return c->count ? c->points[c->count - 1].last_step : NAN;
}

double toc_course_value_at(const struct toc_course *c, double step) {
    enum { AROUND = 3 };
    size_t low = 0, high = c->count;
    if (!c->count || step < c->points[0].step || step > toc_course_end_step(c))
        return NAN;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c->points[mid].last_step < step)
            low = mid + 1;
        else
            high = mid;
    }
    return toc_course_mean(c, low > AROUND ? low - AROUND : 0, low + AROUND + 1);
}

/* Noise as most of the course has it, or where it is compared when that is more: a single peak of
 * thousands would hide everything after it. */
static double usual_noise(const struct toc_course *c, size_t width, size_t best_at) {
    double noises[TOC_COURSE_POINTS];
    size_t n = 0, last = c->count - width;
    for (size_t at = 0; at + width <= c->count; at += width)
        noises[n++] = toc_course_noise(c, at, at + width);
    double compared =
        TOC_MAX(toc_course_noise(c, best_at, best_at + width), toc_course_noise(c, last, c->count));
    return TOC_MAX(toc_history_median(noises, n), compared);
}

static size_t stretch_width(const struct toc_course *c) {
    enum { STRETCHES = 24, LEAST_POINTS = 4 };
    return TOC_MAX(c->count / STRETCHES, (size_t)LEAST_POINTS);
}

bool toc_course_rise(const struct toc_course *c, struct toc_course_rise *out) {
    enum { LEAST_STRETCHES = 6 };
    size_t width = stretch_width(c);
    if (c->count < LEAST_STRETCHES * width)
        return false;
    size_t last = c->count - width, best_at = 0;
    *out = (struct toc_course_rise){.best = INFINITY, .now = toc_course_mean(c, last, c->count)};
    for (size_t at = 0; at + width <= last; at += width) {
        double v = toc_course_mean(c, at, at + width);
        if (v < out->best) {
            out->best = v;
            best_at = at;
        }
    }
    out->lowest_now = out->now;
    for (size_t i = 2; i <= 4; i++)
        out->lowest_now = TOC_MIN(
            out->lowest_now, toc_course_mean(c, c->count - i * width, c->count - (i - 1) * width));
    out->after = best_at + width;
    out->error = usual_noise(c, width, best_at) / sqrt((double)width * (double)c->per_point);
    return true;
}

size_t toc_course_jump(const struct toc_course *c, const struct toc_course_rise *rise) {
    static const double at_once = 0.6; /* of the rise */
    size_t width = stretch_width(c), found = 0;
    double largest = at_once * (rise->now - rise->best);
    for (size_t at = TOC_MAX(rise->after, width); at + width <= c->count; at++) {
        double step = toc_course_mean(c, at, at + width) - toc_course_mean(c, at - width, at);
        if (step > largest) {
            largest = step;
            found = at;
        }
    }
    return found;
}

void toc_evals_add(struct toc_evals *e, struct toc_eval x) {
    if (!isfinite(x.value) || (e->count && e->items[e->count - 1].value == x.value))
        return;
    while (e->count && x.step < e->items[e->count - 1].step) /* went back to a checkpoint */
        e->count--;
    if (e->count == TOC_EVALS) { /* every second one stays: the course matters, not the detail */
        for (size_t i = 0; i < TOC_EVALS / 2; i++)
            e->items[i] = e->items[2 * i + 1];
        e->count = TOC_EVALS / 2;
    }
    e->items[e->count++] = x;
}
