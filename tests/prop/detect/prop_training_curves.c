/*
 * Models of training curves on random courses with faults, gaps and odd numbers: what is told of a
 * row depends on the rows up to it alone, never is NaN, does not change with the unit of the
 * values, and is the same for a state that was stored and restored at any row.
 *
 *   prop_training_curves [--seed FIRST] [--count COURSES]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/rng.h"
#include "detect/loss_curve.h"
#include "detect/pace_curve.h"

enum { ROWS_MAX = 1500 };
static const double BAR = 6;

struct course {
    double values[ROWS_MAX];
    int rows;
};

/* Falls or grows as a power, with steps, slopes, stretches that stand still and odd numbers. */
static void make(struct toc_rng *r, bool has_odd, struct course *c) {
    double level = exp(3 * toc_rng_normal(r)), power = 0.4 * toc_rng_normal(r), slope = 0;
    double noise = 0.1 * toc_rng_unit(r);
    c->rows = 50 + (int)toc_rng_below(r, ROWS_MAX - 50);
    for (int i = 0; i < c->rows; i++) {
        if (toc_rng_below(r, 400) == 0)
            level *= exp(toc_rng_normal(r));
        if (toc_rng_below(r, 400) == 0)
            slope = 1e-3 * toc_rng_normal(r);
        level *= exp(slope);
        double v = level * pow(i + 1, power) * exp(noise * toc_rng_normal(r));
        if (i > 0 && toc_rng_below(r, 20) == 0)
            v = c->values[i - 1];
        if (has_odd && toc_rng_below(r, 100) == 0) {
            static const double odd[] = {0, -1, 1e-200, 1e149, -1e149};
            v = odd[toc_rng_below(r, TOC_ARRAY_LEN(odd))];
        }
        if (has_odd && toc_rng_below(r, 200) == 0)
            v = NAN;
        c->values[i] = v;
    }
}

struct both {
    struct toc_loss_curve loss;
    struct toc_pace_curve pace;
};

struct verdicts {
    struct toc_curve_verdict loss, pace;
};

static struct verdicts step(struct both *b, double v) {
    return (struct verdicts){toc_loss_curve_step(&b->loss, v, BAR),
                             toc_pace_curve_step(&b->pace, v, BAR)};
}

static bool is_sound(const struct toc_curve_verdict *v) {
    bool is_band = isnan(v->lower) || v->lower <= v->upper;
    return v->surprise >= 0 && isfinite(v->surprise) && is_band && v->event < TOC_CURVE_EVENTS &&
           (v->surprise == 0) == (v->event == TOC_CURVE_NOTHING);
}

static bool are_equal(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static bool are_same(const struct toc_curve_verdict *a, const struct toc_curve_verdict *b) {
    return a->surprise == b->surprise && a->event == b->event && a->note == b->note &&
           are_equal(a->lower, b->lower) && are_equal(a->upper, b->upper);
}

static void restore(struct both *b) {
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_loss_curve_encode(&b->loss, &bytes);
    toc_pace_curve_encode(&b->pace, &bytes);
    memset(b, 0, sizeof *b);
    struct toc_reader r = toc_reader_make(toc_buf_sv(&bytes));
    if (toc_loss_curve_decode(&r, &b->loss) < 0 || toc_pace_curve_decode(&r, &b->pace) < 0 ||
        toc_reader_left(&r) != 0)
        abort();
    toc_buf_fini(&bytes);
}

/* A state that goes on, one that is stored now and then; the first row where they differ or say
 * what they may not, -1 when none. */
static int run(const struct course *c, struct toc_rng *r) {
    static struct both a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    for (int i = 0; i < c->rows; i++) {
        struct verdicts x = step(&a, c->values[i]), y = step(&b, c->values[i]);
        if (!is_sound(&x.loss) || !is_sound(&x.pace) || !are_same(&x.loss, &y.loss) ||
            !are_same(&x.pace, &y.pace))
            return i;
        if (toc_rng_below(r, 30) == 0)
            restore(&b);
    }
    return -1;
}

/* Seconds or milliseconds: powers of two keep every ratio but the logarithm's last bits. */
static int run_scaled(const struct course *c) {
    static struct both a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    for (int i = 0; i < c->rows; i++) {
        struct verdicts x = step(&a, c->values[i]), y = step(&b, 1024 * c->values[i]);
        double limit = 1e-5 * (1 + x.loss.surprise + x.pace.surprise);
        bool is_near_bar =
            fabs(x.loss.surprise - BAR) < limit || fabs(x.pace.surprise - BAR) < limit;
        if (is_near_bar) /* may be told once and not the other time */
            return -1;
        if (fabs(x.loss.surprise - y.loss.surprise) > limit ||
            fabs(x.pace.surprise - y.pace.surprise) > limit)
            return i;
    }
    return -1;
}

int main(int argc, char **argv) {
    uint64_t seed = args_number(argc, argv, "--seed", 1),
             count = args_number(argc, argv, "--count", 200);
    for (uint64_t k = 0; k < count; k++) {
        static struct course c;
        struct toc_rng r;
        toc_rng_seed(&r, seed + k);
        make(&r, k % 2 == 1, &c);
        int wrong = run(&c, &r);
        if (wrong < 0 && k % 2 == 0)
            wrong = run_scaled(&c);
        if (wrong >= 0) {
            fprintf(stderr, "seed %llu: row %d of %d\n", (unsigned long long)(seed + k), wrong,
                    c.rows);
            return 1;
        }
    }
    printf("%llu courses\n", (unsigned long long)count);
    return 0;
}
