/* Change of level: what must be told, what must not, and that a stored state
 * goes on alike. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/change_point.h"

static uint64_t g_seed = 1;

struct outcome {
    int changes, delay; /* delay of the first one after `from`; -1: none */
    double after;
};

typedef double signal_at(struct toc_rng *r, int i, void *ctx);

static struct outcome run(signal_at *f, void *ctx, uint64_t seed, int count, int from) {
    struct toc_change_options o = {0};
    struct toc_change_point s = {0};
    struct outcome out = {.delay = -1};
    struct toc_rng r;
    toc_rng_seed(&r, seed);
    for (int i = 0; i < count; i++) {
        struct toc_level_change c = toc_change_point_step(&s, &o, f(&r, i, ctx));
        out.changes += c.is_change;
        if (c.is_change && i >= from && out.delay < 0) {
            out.delay = i - from;
            out.after = c.after;
        }
    }
    return out;
}

/* A step time of 0.5 s with a few per cent of noise, one in a hundred twice as
 * long. */
static double step_time(struct toc_rng *r, int i, void *ctx) {
    double shift = *(double *)ctx, noise = exp(0.02 * toc_rng_normal(r));
    double pause = toc_rng_below(r, 100) == 0 ? 2 : 1;
    return 0.5 * noise * pause * (i >= 600 ? 1 + shift : 1);
}

static void a_step_time_longer_by_a_tenth_is_told(void **state) {
    (void)state;
    for (double shift = 0.12; shift < 1; shift *= 2) {
        int found = 0, early = 0, delay = 0;
        for (uint64_t k = 0; k < 100; k++) {
            struct outcome o = run(step_time, &shift, g_seed * 1000 + k, 660, 600);
            found += o.delay >= 0 && fabs(o.after / (0.5 * (1 + shift)) - 1) < 0.05;
            early += o.changes > (o.delay >= 0);
            delay += o.delay;
        }
        if (found < 97 || early > 1)
            fail_msg("shift %g: found %d, false %d", shift, found, early);
        assert_true(delay / 100 <= 16);
    }
}

static void a_faster_step_is_told_too(void **state) {
    (void)state;
    double shift = -0.2;
    assert_true(run(step_time, &shift, g_seed, 660, 600).delay >= 0);
}

/* No change: noise, with pauses, and a shift too small to matter. */
static void a_steady_step_time_is_quiet(void **state) {
    (void)state;
    int changes = 0;
    for (uint64_t k = 0; k < 40; k++) {
        double shift = k % 2 ? 0.02 : 0;
        changes += run(step_time, &shift, g_seed * 1000 + k, 3000, 0).changes;
    }
    if (changes > 1)
        fail_msg("%d changes in 120000 steady steps", changes);
}

static double spike(struct toc_rng *r, int i, void *ctx) {
    (void)ctx;
    return 10 + toc_rng_normal(r) + (i % 200 == 199 ? 50 : 0) + (i % 500 >= 497 ? 80 : 0);
}

static void spikes_are_no_change(void **state) {
    (void)state;
    for (uint64_t k = 0; k < 20; k++)
        assert_int_equal(run(spike, NULL, g_seed * 100 + k, 2000, 0).changes, 0);
}

static double stairs(struct toc_rng *r, int i, void *ctx) {
    (void)ctx;
    return 100 * (1 + i / 150) + 2 * toc_rng_normal(r);
}

static void every_stair_is_told_once(void **state) {
    (void)state;
    for (uint64_t k = 0; k < 20; k++)
        assert_int_equal(run(stairs, NULL, g_seed * 100 + k, 900, 0).changes, 5);
}

static double constant(struct toc_rng *r, int i, void *ctx) {
    (void)r, (void)ctx;
    return i < 300 ? 4 : 5;
}

static void a_constant_that_changes_is_told(void **state) {
    (void)state;
    struct outcome o = run(constant, NULL, 1, 400, 300);
    assert_int_equal(o.changes, 1);
    assert_true(o.delay <= 10 && o.after == 5);
}

static void hostile_values_stay_finite(void **state) {
    (void)state;
    static const double odd[] = {NAN, INFINITY, 0, -0.0, 1e-310, 1e149, -1e149, 1, 1e-9};
    struct toc_change_options o = {0};
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    for (int n = 0; n < 200; n++) {
        struct toc_change_point s = {0};
        for (int i = 0; i < 300; i++) {
            double v = toc_rng_below(&r, 3) ? ldexp(toc_rng_normal(&r), (int)toc_rng_below(&r, 60))
                                            : odd[toc_rng_below(&r, TOC_ARRAY_LEN(odd))];
            struct toc_level_change c = toc_change_point_step(&s, &o, v);
            assert_true(c.probability >= 0 && c.probability <= 1);
            assert_true(isfinite(s.centre) && isfinite(s.scale));
            for (uint32_t k = 0; k < s.run_count; k++)
                assert_true(isfinite(s.runs[k].mean) && s.runs[k].beta > 0 &&
                            !isnan(s.runs[k].log_p));
        }
    }
}

/* At any moment: encode, decode, go on with both. */
static void a_stored_state_goes_on_alike(void **state) {
    (void)state;
    struct toc_change_options o = {0};
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    struct toc_change_point a = {0}, b = {0};
    for (int i = 0; i < 1200; i++) {
        double v = 10 + toc_rng_normal(&r) + i / 300 * 20;
        struct toc_level_change x = toc_change_point_step(&a, &o, v);
        struct toc_level_change y = toc_change_point_step(&b, &o, v);
        assert_true(x.is_change == y.is_change && x.probability == y.probability);
        if (i % 7)
            continue;
        struct toc_buf bytes = TOC_BUF_INIT;
        toc_change_point_encode(&b, &bytes);
        struct toc_reader reader = toc_reader_make(toc_buf_sv(&bytes));
        memset(&b, 0x5a, sizeof b);
        assert_int_equal(toc_change_point_decode(&reader, &b), 0);
        assert_int_equal(toc_reader_left(&reader), 0);
        for (size_t cut = 0; cut < bytes.n && i % 70 == 0; cut++) {
            struct toc_change_point part;
            struct toc_reader short_one = toc_reader_make(toc_sv_make(bytes.p, cut));
            assert_true(toc_change_point_decode(&short_one, &part) < 0);
        }
        toc_buf_fini(&bytes);
    }
}

int main(void) {
    const char *seed = getenv("TOC_TEST_SEED");
    g_seed = seed ? strtoull(seed, NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_time_longer_by_a_tenth_is_told),
        cmocka_unit_test(a_faster_step_is_told_too),
        cmocka_unit_test(a_steady_step_time_is_quiet),
        cmocka_unit_test(spikes_are_no_change),
        cmocka_unit_test(every_stair_is_told_once),
        cmocka_unit_test(a_constant_that_changes_is_told),
        cmocka_unit_test(hostile_values_stay_finite),
        cmocka_unit_test(a_stored_state_goes_on_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
