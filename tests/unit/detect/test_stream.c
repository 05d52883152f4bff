/* Streaming detection: what it promises about the past, missing values and ordinary data. */
#include <math.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "detect/stream.h"
#include "detect/tail_sketch.h"
#include "detect/window_memory.h"

enum { ROWS = 3000 };

static struct toc_stream *new_stream(size_t columns) {
    struct toc_stream *s;
    struct toc_stream_options o = {.columns = columns, .windows = 64};
    assert_int_equal(toc_stream_new(&o, &s, NULL), 0);
    return s;
}

/* Noise around a daily wave at one row a minute. */
static double wave(struct toc_rng *r, size_t i) {
    return 10 + 3 * sin((double)i * 2 * M_PI / 1440) + 0.3 * toc_rng_normal(r);
}

static void a_spike_is_an_alert_and_ranks_first(void **state) {
    (void)state;
    struct toc_stream *s = new_stream(1);
    struct toc_rng r;
    toc_rng_seed(&r, 7);
    double highest = 0;
    size_t at = 0, alerts_before = 0;
    bool was_alert = false;
    for (size_t i = 0; i < ROWS; i++) {
        double v = wave(&r, i) + (i >= 2500 && i < 2505 ? 25 : 0);
        struct toc_stream_result x = toc_stream_step(s, (double)i * 60, &v);
        if (i > 600 && i < 2500)
            alerts_before += x.is_alert;
        was_alert |= i >= 2500 && i < 2505 && x.is_alert;
        if (x.score > highest) {
            highest = x.score;
            at = i;
        }
    }
    assert_true(was_alert);
    assert_true(alerts_before < 19); /* under 1 % of rows */
    assert_in_range(at, 2500, 2600);
    toc_stream_free(&s);
}

static void a_score_depends_on_the_past_alone(void **state) {
    (void)state;
    double first[400];
    for (int pass = 0; pass < 2; pass++) {
        struct toc_stream *s = new_stream(3);
        struct toc_rng r;
        toc_rng_seed(&r, 11);
        for (size_t i = 0; i < 800; i++) {
            double v[3] = {wave(&r, i), wave(&r, i + 99), (double)(i % 7)};
            if (pass && i >= 400)
                v[0] = v[1] = 1e9; /* another future */
            struct toc_stream_result x = toc_stream_step(s, (double)i, v);
            if (i < 400 && !pass)
                first[i] = x.score;
            else if (i < 400)
                assert_memory_equal(&first[i], &x.score, sizeof x.score);
        }
        toc_stream_free(&s);
    }
}

static void a_constant_series_is_quiet(void **state) {
    (void)state;
    struct toc_stream *s = new_stream(1);
    double v = 42;
    for (size_t i = 0; i < ROWS; i++)
        assert_false(toc_stream_step(s, (double)i, &v).is_alert);
    toc_stream_free(&s);
}

static void scores_are_finite_whatever_comes(void **state) {
    (void)state;
    static const double odd[] = {NAN, INFINITY, -INFINITY, 1e308, -1e308, 0, 1e30, 5e-324};
    struct toc_stream *one = new_stream(1), *two = new_stream(2);
    struct toc_rng r;
    toc_rng_seed(&r, 3);
    for (size_t i = 0; i < ROWS; i++) {
        double v[2] = {odd[toc_rng_below(&r, 8)], toc_rng_normal(&r)};
        if (toc_rng_below(&r, 3) == 0)
            v[1] = odd[toc_rng_below(&r, 8)];
        double t = (double)toc_rng_below(&r, 5000); /* unordered and repeated */
        struct toc_stream_result a = toc_stream_step(one, t, v), b = toc_stream_step(two, t, v);
        assert_true(a.score >= 0 && a.score < 1 && isfinite(a.surprise));
        assert_true(b.score >= 0 && b.score < 1 && isfinite(b.surprise));
    }
    toc_stream_free(&one);
    toc_stream_free(&two);
}

static void a_missing_row_repeats_the_score(void **state) {
    (void)state;
    struct toc_stream *s = new_stream(1);
    struct toc_rng r;
    toc_rng_seed(&r, 5);
    struct toc_stream_result last = {0};
    for (size_t i = 0; i < 700; i++) {
        double v = wave(&r, i);
        last = toc_stream_step(s, (double)i, &v);
    }
    double missing = NAN;
    struct toc_stream_result x = toc_stream_step(s, 700, &missing);
    assert_true(x.score == last.score && !x.is_alert);
    toc_stream_free(&s);
}

static void impossible_shapes_are_refused(void **state) {
    (void)state;
    struct toc_stream *s;
    struct toc_err err = {0};
    struct toc_stream_options none = {0}, many = {.columns = 5000};
    assert_int_equal(toc_stream_new(&none, &s, &err), TOC_EINVAL);
    assert_int_equal(toc_stream_new(&many, &s, NULL), TOC_EINVAL);
    assert_non_null(strstr(err.message, "expected 1 to 1024"));
    struct toc_window_memory *m;
    struct toc_window_shape_options uneven = {1, 64, 10, 8};
    assert_int_equal(toc_window_memory_new(&uneven, &m, NULL), TOC_EINVAL);
}

static void an_open_alert_has_features(void **state) {
    (void)state;
    struct toc_stream *s = new_stream(1);
    struct toc_rng r;
    toc_rng_seed(&r, 7);
    float f[TOC_STREAM_FEATURES];
    bool had_spike = false, was_alert = false;
    for (size_t i = 0; i < ROWS; i++) {
        double v = wave(&r, i) + (i >= 2500 && i < 2505 ? 25 : 0);
        bool is_alert = toc_stream_step(s, (double)i * 60, &v).is_alert;
        assert_int_equal(toc_stream_features(s, f), is_alert || was_alert);
        for (size_t k = 0; (is_alert || was_alert) && k < TOC_STREAM_FEATURES; k++)
            assert_true(isfinite(f[k]));
        if (is_alert && i == 2501) {
            had_spike = true;
            assert_true(f[TOC_STREAM_SIGNED_Z] > 5 && f[TOC_STREAM_PEAK_EXCESS] > 0);
            assert_true(fabs(f[TOC_STREAM_LOG_INTERVAL] - log10(60)) < 1e-6);
        }
        was_alert = is_alert;
    }
    assert_true(had_spike);
    for (int k = 0; k < TOC_STREAM_FEATURES; k++)
        assert_non_null(toc_stream_feature_name((enum toc_stream_feature)k));
    assert_null(toc_stream_feature_name(TOC_STREAM_FEATURES));
    toc_stream_free(&s);
}

/* ------------------------------------------------------------------------------------- parts */

static void the_sketch_knows_the_tail(void **state) {
    (void)state;
    struct toc_tail_sketch s = {0};
    struct toc_rng r;
    toc_rng_seed(&r, 17);
    for (size_t i = 0; i < 100000; i++) /* exponential: P(x > t) = exp(-t) */
        toc_tail_learn(&s, -log(1 - toc_rng_unit(&r)));
    assert_true(fabs(toc_tail_upper(&s, 0.02) + log(0.02)) < 0.15);
    for (double t = 1; t < 12; t += 1) {
        double truth = t * M_LOG10E;
        assert_true(fabs(toc_tail_surprise(&s, t) - truth) < 0.08 * truth + 0.05);
    }
}

/* The same with plain loops over all points. */
static double naive_distance(const float *x, size_t now, size_t then, size_t width, size_t pieces) {
    size_t piece = width / pieces;
    double sum = 0;
    for (size_t p = 0; p < pieces; p++) {
        double a = 0, b = 0;
        for (size_t i = 0; i < piece; i++) {
            a += x[now - width + 1 + p * piece + i];
            b += x[then - width + 1 + p * piece + i];
        }
        sum += pow((a - b) / (double)piece, 2);
    }
    return sqrt(sum * (double)width / (double)pieces);
}

static void the_memory_finds_the_nearest_window(void **state) {
    (void)state;
    enum { N = 400, WIDTH = 12, PIECES = 4 };
    float x[N];
    struct toc_rng r;
    struct toc_window_memory *m;
    /* More room than windows: all are kept, so the answer is exact. */
    struct toc_window_shape_options shape = {1, WIDTH, PIECES, N};
    toc_rng_seed(&r, 23);
    assert_int_equal(toc_window_memory_new(&shape, &m, NULL), 0);
    for (size_t i = 0; i < N; i++) {
        x[i] = (float)toc_rng_normal(&r);
        double got = toc_window_memory_step(m, &x[i]).squared, best = INFINITY;
        for (size_t then = WIDTH - 1; then + 2 * WIDTH <= i; then++)
            best = fmin(best, naive_distance(x, i, then, WIDTH, PIECES));
        if (i + 1 < 3 * WIDTH)
            assert_true(got == -1);
        else
            assert_true(fabs(got - best) < 1e-4 * (1 + best));
    }
    toc_window_memory_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spike_is_an_alert_and_ranks_first),
        cmocka_unit_test(a_score_depends_on_the_past_alone),
        cmocka_unit_test(a_constant_series_is_quiet),
        cmocka_unit_test(scores_are_finite_whatever_comes),
        cmocka_unit_test(a_missing_row_repeats_the_score),
        cmocka_unit_test(an_open_alert_has_features),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(the_sketch_knows_the_tail),
        cmocka_unit_test(the_memory_finds_the_nearest_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
