/* Smoothing of level, trend and season; finding the season. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/holt_winters.h"
#include "near.h"

static uint64_t g_seed = 1;

static double daily(struct toc_rng *r, int i) {
    return 100 + 30 * sin(2 * M_PI * i / 48) + 0.05 * i + toc_rng_normal(r);
}

static void a_season_with_trend_is_foretold(void **state) {
    (void)state;
    struct toc_holt h;
    struct toc_rng r;
    double worst_late = 0, sum = 0;
    int over = 0;
    toc_rng_seed(&r, g_seed);
    assert_int_equal(toc_holt_init(&h, &(struct toc_holt_options){.beta = 0.02, .season = 48}), 0);
    for (int i = 0; i < 2000; i++) {
        double v = daily(&r, i);
        struct toc_forecast f = toc_holt_step(&h, v);
        if (i < 96)
            assert_true(isnan(f.expected) && f.z == 0);
        if (i < 500)
            continue;
        sum += fabs(v - f.expected);
        over += fabs(f.z) > 4;
        worst_late = fmax(worst_late, fabs(f.expected - v));
    }
    assert_true(sum / 1500 < 1.6); /* noise alone: 0.8 */
    assert_true(over <= 5);
    struct toc_forecast f = toc_holt_step(&h, daily(&r, 2000) + 15);
    assert_true(f.z > 6);
    toc_holt_fini(&h);
}

/* One giant does not bend what is expected next. */
static void an_outlier_is_not_learnt(void **state) {
    (void)state;
    struct toc_holt h;
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    assert_int_equal(toc_holt_init(&h, &(struct toc_holt_options){0}), 0);
    for (int i = 0; i < 300; i++)
        (void)toc_holt_step(&h, 50 + toc_rng_normal(&r));
    assert_true(toc_holt_step(&h, 1e9).z > 1e6);
    struct toc_forecast f = toc_holt_step(&h, 50);
    assert_true(fabs(f.expected - 50) < 2 && fabs(f.z) < 3);
    toc_holt_fini(&h);
}

static void ewma_is_the_exponential_mean(void **state) {
    (void)state;
    struct toc_holt h;
    double mean = 3;
    assert_int_equal(toc_holt_init(&h, &(struct toc_holt_options){.alpha = 0.25}), 0);
    for (int i = 0; i < 16; i++) { /* nothing is clipped during the warm-up */
        double v = 3 + i % 3;
        (void)toc_holt_step(&h, v);
        mean += 0.25 * (v - mean);
        assert_near(h.level, mean, 1e-12);
    }
    toc_holt_fini(&h);
}

static void gaps_move_the_phase(void **state) {
    (void)state;
    struct toc_holt h;
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    assert_int_equal(toc_holt_init(&h, &(struct toc_holt_options){.season = 48}), 0);
    for (int i = 0; i < 1000; i++)
        (void)toc_holt_step(&h, 100 + 30 * sin(2 * M_PI * i / 48) + toc_rng_normal(&r));
    for (int i = 1000; i < 1017; i++)
        assert_true(isnan(toc_holt_step(&h, NAN).expected));
    struct toc_forecast f = toc_holt_step(&h, 100 + 30 * sin(2 * M_PI * 1017 / 48));
    assert_true(fabs(f.z) < 4);
    toc_holt_fini(&h);
}

static void a_stored_state_goes_on_alike(void **state) {
    (void)state;
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    for (uint32_t season = 0; season <= 24; season += 12) {
        struct toc_holt a, b;
        struct toc_holt_options o = {.beta = 0.01, .season = season};
        assert_int_equal(toc_holt_init(&a, &o) + toc_holt_init(&b, &o), 0);
        for (int i = 0; i < 300; i++) {
            double v = i % 40 == 39 ? NAN : toc_rng_normal(&r) + i % 12;
            struct toc_forecast x = toc_holt_step(&a, v), y = toc_holt_step(&b, v);
            assert_true(x.z == y.z && a.level == b.level && a.scale == b.scale);
            struct toc_buf bytes = TOC_BUF_INIT;
            toc_holt_encode(&b, &bytes);
            toc_holt_fini(&b);
            for (size_t cut = 0; cut < bytes.n && i % 50 == 0; cut++) {
                struct toc_reader short_one = toc_reader_make(toc_sv_make(bytes.p, cut));
                assert_true(toc_holt_decode(&short_one, &b) < 0);
            }
            struct toc_reader reader = toc_reader_make(toc_buf_sv(&bytes));
            assert_int_equal(toc_holt_decode(&reader, &b), 0);
            assert_int_equal(toc_reader_left(&reader), 0);
            toc_buf_fini(&bytes);
        }
        toc_holt_fini(&a);
        toc_holt_fini(&b);
    }
}

static void bad_factors_are_refused(void **state) {
    (void)state;
    struct toc_holt h;
    static const struct toc_holt_options bad[] = {{.alpha = 1.5},
                                                  {.beta = -0.1},
                                                  {.gamma = NAN},
                                                  {.season = 1},
                                                  {.season = TOC_HOLT_SEASON_MAX + 1}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        assert_int_equal(toc_holt_init(&h, &bad[i]), TOC_EINVAL);
        toc_holt_fini(&h);
    }
}

static void the_season_is_found(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    static double v[COUNT];
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    for (size_t season = 7; season <= 288; season += 17) {
        for (int i = 0; i < COUNT; i++)
            v[i] = i % 97 == 5
                       ? NAN
                       : 5 * sin(2 * M_PI * i / (double)season) + 0.1 * i + toc_rng_normal(&r);
        size_t found = toc_season_find(v, COUNT, 400);
        size_t slack = 1 + season / 25;
        if (found + slack < season || found > season + slack)
            fail_msg("season %zu found as %zu", season, found);
    }
    for (int i = 0; i < COUNT; i++)
        v[i] = toc_rng_normal(&r);
    assert_int_equal(toc_season_find(v, COUNT, 400), 0);
    for (int i = 0; i < COUNT; i++)
        v[i] = 5;
    assert_int_equal(toc_season_find(v, COUNT, 400), 0);
    for (int i = 0; i < COUNT; i++)
        v[i] = i;
    assert_int_equal(toc_season_find(v, COUNT, 400), 0);
    assert_int_equal(toc_season_find(v, 6, 400), 0);
}

int main(void) {
    const char *seed = getenv("TOC_TEST_SEED");
    g_seed = seed ? strtoull(seed, NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_season_with_trend_is_foretold),
        cmocka_unit_test(an_outlier_is_not_learnt),
        cmocka_unit_test(ewma_is_the_exponential_mean),
        cmocka_unit_test(gaps_move_the_phase),
        cmocka_unit_test(a_stored_state_goes_on_alike),
        cmocka_unit_test(bad_factors_are_refused),
        cmocka_unit_test(the_season_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
