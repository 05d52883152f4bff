/* The whole course of a number over a run in bounded memory: points of equally many reports, which
 * are merged in pairs when they become too many. */
#ifndef TOC_DIAGNOSE_CURVE_PRIV_H
#define TOC_DIAGNOSE_CURVE_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOC_COURSE_POINTS = 512, TOC_EVALS = 128 };

struct toc_course_point {
    double step, last_step; /* of its first and its last report; NaN = unknown */
    int64_t t_ms;
    double mean, rate; /* rate: learning rate of its last report, NaN = unknown */
    double jumps2;     /* mean square of the differences between reports: twice the noise */
    uint32_t reports;
};

struct toc_course {
    struct toc_course_point points[TOC_COURSE_POINTS], open;
    size_t count;
    uint32_t per_point;
    double last_value, last_step, first_step;
    uint64_t reports;
};

/* Steps that go back (a restart from a checkpoint) take the points beyond back. */
void toc_course_add(struct toc_course *c, int64_t t_ms, double step, double value, double rate);
/* Mean of points [from, to). NaN when there is none. */
double toc_course_mean(const struct toc_course *c, size_t from, size_t to);
double toc_course_rate(const struct toc_course *c, size_t from, size_t to);
/* Standard deviation of one report around the course, over points [from, to). */
double toc_course_noise(const struct toc_course *c, size_t from, size_t to);
/* The value near that step, smoothed; NaN outside the course. */
double toc_course_value_at(const struct toc_course *c, double step);
double toc_course_end_step(const struct toc_course *c);

/* A slow rise: the newest stretch lies above the best one before it. */
struct toc_course_rise {
    double best, now, error; /* error: standard error of such a stretch */
    double lowest_now;       /* of the newest four stretches */
    size_t after;            /* point that follows the best stretch */
};
/* False with too short a course. */
bool toc_course_rise(const struct toc_course *c, struct toc_course_rise *out);
/* The point at which the rise happened, when most of it happened at once; 0 when it is gradual. */
size_t toc_course_jump(const struct toc_course *c, const struct toc_course_rise *rise);

/* Evaluations: few, and repeated by senders until the next one. */
struct toc_eval {
    int64_t t_ms;
    double step, value;
    double train; /* the same number of training at that time */
};
struct toc_evals {
    struct toc_eval items[TOC_EVALS];
    size_t count;
};
void toc_evals_add(struct toc_evals *e, struct toc_eval x);

#endif
