/* Streaming detection: what it promises about the past, missing values and ordinary data. */
#include <math.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "detect/alert_budget.h"
#include "detect/half.h"
#include "detect/quick_log.h"
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

/* Metrics and entities in turn, so that each kind looks ahead at both. */
static void many_streams_step_as_one_by_one(void **state) {
    (void)state;
    enum { STREAMS = 9 };
    struct toc_stream *together[STREAMS], *alone[STREAMS];
    double numbers[STREAMS][2];
    const double *values[STREAMS];
    for (size_t i = 0; i < STREAMS; i++) {
        together[i] = new_stream(i % 3 == 2 ? 2 : 1);
        alone[i] = new_stream(i % 3 == 2 ? 2 : 1);
        values[i] = numbers[i];
    }
    struct toc_rng r;
    toc_rng_seed(&r, 3);
    for (size_t row = 0; row < 700; row++) {
        for (size_t i = 0; i < STREAMS; i++)
            numbers[i][0] = numbers[i][1] = row % 50 == i ? NAN : wave(&r, row);
        struct toc_stream_result results[STREAMS];
        size_t count = row % (STREAMS + 1);
        toc_stream_step_many(together, count, (double)row * 60, values, results);
        for (size_t i = 0; i < count; i++) {
            struct toc_stream_result x = toc_stream_step(alone[i], (double)row * 60, values[i]);
            assert_true(x.score == results[i].score && x.surprise == results[i].surprise);
            assert_true(x.bar == results[i].bar && x.is_alert == results[i].is_alert);
            assert_true(x.lower == results[i].lower && x.upper == results[i].upper);
        }
    }
    for (size_t i = 0; i < STREAMS; i++) {
        toc_stream_free(&together[i]);
        toc_stream_free(&alone[i]);
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
    struct toc_window_shape_options uneven = {1, 64, 10, 8, false}, coarse = {1, 64, 4, 8, true};
    assert_int_equal(toc_window_memory_new(&uneven, &m, NULL), TOC_EINVAL);
    assert_int_equal(toc_window_memory_new(&coarse, &m, NULL), TOC_EINVAL);
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
            assert_true(fabs(f[TOC_STREAM_LOG_INTERVAL] - log10(60)) < 1e-4);
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
        toc_tail_learn(&s.tail, -log(1 - toc_rng_unit(&r)));
    assert_true(fabs(toc_tail_upper(&s.tail, 0.02) + log(0.02)) < 0.15);
    for (double t = 1; t < 12; t += 1) {
        double truth = t * M_LOG10E;
        assert_true(fabs(toc_tail_surprise(&s.tail, t) - truth) < 0.08 * truth + 0.05);
    }
}

/* A bounded tail: the highest of n values so far has a surprise of log10(n + 1), although a fitted
 * tail without an end calls it ordinary; of values so far no more than a share p are above -log10
 * p.
 */
static void the_highest_ever_is_as_rare_as_its_rank(void **state) {
    (void)state;
    struct toc_tail_sketch s = {0};
    struct toc_rng r;
    toc_rng_seed(&r, 19);
    size_t above[4] = {0};
    enum { N = 20000 };
    for (size_t i = 0; i < N; i++) {
        double v = 10 + toc_rng_unit(&r);
        for (size_t k = 1; k < 4; k++)
            above[k] += toc_tail_surprise(&s.tail, v) >= (double)k;
        toc_tail_learn(&s.tail, v);
    }
    assert_true(toc_tail_surprise(&s.tail, 13) >= log10(N + 1) - 1e-9);
    for (size_t k = 1; k < 4; k++)
        assert_true((double)above[k] <= 1.5 * N * pow(10, -(double)k) + 3);
}

/* A score whose peaks understate the rate of alerts: with the alerts counted the budget is kept. */
static void alerts_that_happened_move_the_bar(void **state) {
    (void)state;
    struct toc_budget_state s = {0};
    const struct toc_budget_options o = {.budget_seconds = 600 * 60, .k = 1, .m = 1};
    size_t rows = 0, late = 0, alerts_late = 0, quiet = 100;
    struct toc_rng r;
    toc_rng_seed(&r, 47);
    for (; rows < 200000; rows++) { /* twice as many of every surprise as there should be */
        double surprise = -log10(toc_rng_unit(&r) + 1e-12) + 0.3;
        bool is_alert = toc_budget_step(&s, &o, surprise, 60, 60);
        late += rows >= 100000;
        alerts_late += rows >= 100000 && is_alert && quiet > 10;
        quiet = is_alert ? 0 : quiet + 1;
    }
    double allowed = (double)late / 600;
    print_message("%zu alerts, %.0f allowed\n", alerts_late, allowed);
    assert_true((double)alerts_late > 0.6 * allowed && (double)alerts_late < 1.3 * allowed);
    for (size_t i = 0; i < 2; i++) { /* alerts without any chance of being below */
        s = (struct toc_budget_state){0};
        for (size_t k = 0; k < 40000; k++)
            toc_budget_step(&s, &o, i && k % 100 == 0 ? 8 : 0, 60, 60);
        assert_true(i ? s.spent > 0.15 : s.spent < -0.3);
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
    struct toc_window_shape_options shape = {1, WIDTH, PIECES, N, false};
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
            assert_true(fabs(got - best) < 4e-3 * (1 + best)); /* binary16 */
    }
    toc_window_memory_free(&m);
}

/* With an answer per piece: at its last row what a memory with answers for every row says there,
 * and that again until the next. */
static void an_answer_per_piece_holds_until_the_next(void **state) {
    (void)state;
    for (uint32_t channels = 1; channels <= 3; channels += 2) {
        struct toc_window_memory *every, *rare;
        struct toc_window_shape_options shape = {channels, 32, 8, 20, false};
        assert_int_equal(toc_window_memory_new(&shape, &every, NULL), 0);
        shape.is_per_unit = true;
        assert_int_equal(toc_window_memory_new(&shape, &rare, NULL), 0);
        assert_true(toc_window_memory_bytes(rare) < toc_window_memory_bytes(every));
        struct toc_rng r;
        toc_rng_seed(&r, 43);
        double held = -1;
        for (size_t i = 0; i < 2000; i++) {
            if (i == 1001) { /* in the middle of a piece */
                toc_window_memory_break(every);
                toc_window_memory_break(rare);
                held = -1;
            }
            float x[3];
            for (size_t c = 0; c < 3; c++)
                x[c] = (float)(3 * sin((double)i / 9) + toc_rng_normal(&r));
            double a = toc_window_memory_step(every, x).squared,
                   b = toc_window_memory_step(rare, x).squared;
            bool is_last = (i < 1001 ? i + 1 : i - 1000) % 4 == 0;
            assert_true(is_last ? fabs(a - b) <= 1e-5 * (1 + fabs(a)) : b == held);
            held = b;
        }
        assert_true(held > 0);
        toc_window_memory_free(&every);
        toc_window_memory_free(&rare);
    }
}

/* Both searches see the same memory: the same bits come out, for one channel and for several. */
static void both_searches_give_the_same_bits(void **state) {
    (void)state;
    for (size_t channels = 1; channels <= 5; channels += 4) {
        struct toc_window_memory *fast, *portable;
        struct toc_window_shape_options shape = {(uint32_t)channels, 16, 8, 20, false};
        assert_int_equal(toc_window_memory_new(&shape, &fast, NULL), 0);
        assert_int_equal(toc_window_memory_new(&shape, &portable, NULL), 0);
        toc_window_memory_set_portable(portable, true);
        struct toc_rng r;
        toc_rng_seed(&r, 29);
        for (size_t i = 0; i < 1000; i++) {
            float x[5];
            for (size_t c = 0; c < channels; c++)
                x[c] =
                    (float)(toc_rng_normal(&r) * (i % 97 == 0 ? 1e9 : 1) + 1e5 * (channels == 1));
            struct toc_window_distance a = toc_window_memory_step(fast, x),
                                       b = toc_window_memory_step(portable, x);
            assert_memory_equal(&a, &b, sizeof a);
        }
        toc_window_memory_free(&fast);
        toc_window_memory_free(&portable);
    }
}

static void halves_round_to_the_nearest(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) { /* every finite positive one, and what lies between */
        float v = toc_half_to_float((uint16_t)h), next = toc_half_to_float((uint16_t)(h + 1));
        assert_int_equal(toc_half_from_float(v), h);
        assert_int_equal(toc_half_from_float(-v), h | 0x8000);
        if (h + 1 < 0x7c00) {
            float middle = (v + next) / 2;
            assert_true(v < next);
            assert_int_equal(toc_half_from_float(nextafterf(middle, 0)), h);
            assert_int_equal(toc_half_from_float(nextafterf(middle, next)), h + 1);
            assert_int_equal(toc_half_from_float(middle), h + (h & 1)); /* ties to even */
        }
    }
    assert_int_equal(toc_half_from_float(1e9f), TOC_HALF_INFINITY);
    assert_true(toc_half_to_float(0x3c00) == 1 && toc_half_to_float(0x7bff) == TOC_HALF_MAX);
}

static void the_quick_logarithm_is_close_and_rises(void **state) {
    (void)state;
    float last = -1000;
    for (float v = 1e-6f; v < 1e6f; v *= 1.001f) {
        float got = toc_quick_log2(v);
        assert_true(got > last && fabs(got - log2(v)) < 1.5e-4);
        last = got;
    }
}

/* White noise, two budgets. */
static void the_budget_is_kept_on_noise(void **state) {
    (void)state;
    static const double per[] = {1000, 10000};
    for (size_t b = 0; b < 2; b++) {
        size_t alerts = 0, rows = 0;
        for (uint64_t seed = 1; seed <= 6; seed++) {
            struct toc_stream_options o = {.columns = 1, .budget_seconds = per[b] * 60};
            struct toc_stream *s;
            struct toc_rng r;
            toc_rng_seed(&r, seed);
            assert_int_equal(toc_stream_new(&o, &s, NULL), 0);
            size_t quiet = 1000;
            for (size_t i = 0; i < 60000; i++, rows++) {
                double v = 5 + toc_rng_normal(&r);
                bool is_alert = toc_stream_step(s, (double)i * 60, &v).is_alert;
                alerts += is_alert && quiet > 10;
                quiet = is_alert ? 0 : quiet + 1;
            }
            toc_stream_free(&s);
        }
        double allowed = (double)rows / per[b];
        print_message("one in %.0f rows: %zu alerts, %.0f allowed\n", per[b], alerts, allowed);
        assert_true((double)alerts >= 0.3 * allowed && (double)alerts <= 1.5 * allowed);
    }
}

/* Stored and read back in the middle: the rest comes out the same, bit for bit. */
static void a_restored_stream_goes_on_bit_for_bit(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct toc_rng r;
        toc_rng_seed(&r, seed);
        size_t columns = seed % 3 ? 1 : 4, cut = (size_t)toc_rng_below(&r, 900);
        struct toc_stream_options o = {.columns = columns, .windows = 24, .k = 1, .m = 2};
        struct toc_stream *whole, *parts;
        assert_int_equal(toc_stream_new(&o, &whole, NULL), 0);
        assert_int_equal(toc_stream_new(&o, &parts, NULL), 0);
        for (size_t i = 0; i < 1500; i++) {
            double v[4];
            for (size_t c = 0; c < 4; c++)
                v[c] = wave(&r, i + c) + (toc_rng_below(&r, 300) == 0 ? 40 : 0);
            if (i == cut || i == cut + 333) {
                struct toc_buf bytes = TOC_BUF_INIT;
                toc_stream_state_encode(parts, &bytes);
                toc_stream_free(&parts);
                assert_int_equal(toc_stream_state_decode(toc_buf_sv(&bytes), &parts, NULL), 0);
                toc_buf_fini(&bytes);
            }
            double t = (double)i * 300 + (i > 700 ? 1e6 : 0);
            struct toc_stream_result a = toc_stream_step(whole, t, v),
                                     b = toc_stream_step(parts, t, v);
            assert_true(a.score == b.score && a.surprise == b.surprise && a.bar == b.bar &&
                        a.lower == b.lower && a.upper == b.upper && a.is_alert == b.is_alert);
            float f[TOC_STREAM_FEATURES] = {0}, g[TOC_STREAM_FEATURES] = {0};
            assert_int_equal(toc_stream_features(whole, f), toc_stream_features(parts, g));
            assert_memory_equal(f, g, sizeof f);
        }
        toc_stream_free(&whole);
        toc_stream_free(&parts);
    }
}

static void damaged_states_are_refused(void **state) {
    (void)state;
    struct toc_stream *s = new_stream(1), *back;
    struct toc_rng r;
    toc_rng_seed(&r, 31);
    for (size_t i = 0; i < 400; i++) {
        double v = wave(&r, i);
        toc_stream_step(s, (double)i, &v);
    }
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_stream_state_encode(s, &bytes);
    struct toc_err err = {0};
    for (size_t n = 0; n < bytes.n; n += 37)
        assert_true(toc_stream_state_decode(toc_sv_make(bytes.p, n), &back, &err) < 0 && !back);
    for (size_t i = 0; i < bytes.n; i += 11) {
        bytes.p[i] ^= 4;
        assert_true(toc_stream_state_decode(toc_buf_sv(&bytes), &back, NULL) < 0);
        bytes.p[i] ^= 4;
    }
    bytes.p[3] = '9';
    assert_int_equal(toc_stream_state_decode(toc_buf_sv(&bytes), &back, &err), TOC_EVERSION);
    toc_buf_fini(&bytes);
    toc_stream_free(&s);
}

static void a_stream_of_a_metric_fits_in_8_kib(void **state) {
    (void)state;
    struct toc_stream *s;
    assert_int_equal(toc_stream_new(&(struct toc_stream_options){.columns = 1}, &s, NULL), 0);
    assert_true(toc_stream_bytes(s) <= 8192);
    toc_stream_free(&s);
}

static void a_direction_hears_its_side_only(void **state) {
    (void)state;
    for (int up = 0; up < 2; up++) {
        struct toc_stream_options o = {.columns = 1,
                                       .direction = up ? TOC_STREAM_UP : TOC_STREAM_DOWN};
        struct toc_stream *s;
        struct toc_rng r;
        toc_rng_seed(&r, 7);
        assert_int_equal(toc_stream_new(&o, &s, NULL), 0);
        bool was_alert = false;
        for (size_t i = 0; i < ROWS; i++) {
            double v = wave(&r, i) + (i >= 2500 && i < 2502 ? 25 : 0);
            bool is_alert = toc_stream_step(s, (double)i * 60, &v).is_alert;
            was_alert |= i >= 2500 && i < 2502 && is_alert;
        }
        assert_int_equal(was_alert, up);
        toc_stream_free(&s);
    }
}

/* Six columns of noise; one of them gets a fault. */
static size_t first_alert_of_entity(void (*fault)(double *v, size_t i), size_t from) {
    struct toc_stream_options o = {.columns = 6, .is_infinity_alert = true};
    struct toc_stream *s;
    struct toc_rng r;
    toc_rng_seed(&r, 41);
    assert_int_equal(toc_stream_new(&o, &s, NULL), 0);
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < from + 40 && found == SIZE_MAX; i++) {
        double v[6];
        for (size_t c = 0; c < 6; c++)
            v[c] = wave(&r, i + 50 * c);
        if (i >= from)
            fault(v, i - from);
        bool is_alert = toc_stream_step(s, (double)i * 60, v).is_alert;
        if (i > 600 && is_alert)
            found = i;
    }
    toc_stream_free(&s);
    return found;
}

static void spike(double *v, size_t i) {
    v[3] += i < 3 ? 30 : 0;
}

static void stand_still(double *v, size_t i) {
    (void)i;
    v[3] = 11;
}

static void no_number(double *v, size_t i) {
    (void)i;
    v[3] = INFINITY;
}

static void a_fault_of_one_column_is_an_alert_of_the_entity(void **state) {
    (void)state;
    assert_in_range(first_alert_of_entity(spike, 3000), 3000, 3002);
    assert_in_range(first_alert_of_entity(stand_still, 3000), 3002, 3006);
    assert_int_equal(first_alert_of_entity(no_number, 3000), 3000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spike_is_an_alert_and_ranks_first),
        cmocka_unit_test(a_score_depends_on_the_past_alone),
        cmocka_unit_test(many_streams_step_as_one_by_one),
        cmocka_unit_test(a_constant_series_is_quiet),
        cmocka_unit_test(scores_are_finite_whatever_comes),
        cmocka_unit_test(a_missing_row_repeats_the_score),
        cmocka_unit_test(an_open_alert_has_features),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(the_sketch_knows_the_tail),
        cmocka_unit_test(the_highest_ever_is_as_rare_as_its_rank),
        cmocka_unit_test(alerts_that_happened_move_the_bar),
        cmocka_unit_test(the_memory_finds_the_nearest_window),
        cmocka_unit_test(an_answer_per_piece_holds_until_the_next),
        cmocka_unit_test(both_searches_give_the_same_bits),
        cmocka_unit_test(halves_round_to_the_nearest),
        cmocka_unit_test(the_quick_logarithm_is_close_and_rises),
        cmocka_unit_test(the_budget_is_kept_on_noise),
        cmocka_unit_test(a_restored_stream_goes_on_bit_for_bit),
        cmocka_unit_test(damaged_states_are_refused),
        cmocka_unit_test(a_stream_of_a_metric_fits_in_8_kib),
        cmocka_unit_test(a_fault_of_one_column_is_an_alert_of_the_entity),
        cmocka_unit_test(a_direction_hears_its_side_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
