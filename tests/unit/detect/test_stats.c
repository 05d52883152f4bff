/* Window statistics against numbers from numpy and naive formulas. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/stats.h"
#include "near.h"

static uint64_t g_seed = 1;

static void known_values(void **state) {
    (void)state;
    const double v[] = {2, 4, 4, 4, 5, 5, 7, 9};
    struct toc_stats s;
    toc_stats_compute(v, 8, &s);
    assert_int_equal(s.count, 8);
    assert_near(s.mean, 5, 1e-12);
    assert_near(s.variance, 4, 1e-12);
    assert_near(s.stddev, 2, 1e-12);
    assert_near(s.sample_variance, 32.0 / 7, 1e-12);
    assert_near(s.skewness, 0.65625, 1e-12);
    assert_near(s.excess_kurtosis, -0.21875, 1e-12);
    assert_true(s.min == 2 && s.max == 9 && s.sum == 40 && s.first == 2 && s.last == 9);
    toc_stats_compute(v, 0, &s);
    assert_int_equal(s.count, 0);
    assert_true(isnan(s.mean) && isnan(s.min));
}

static void far_from_zero_nothing_cancels(void **state) {
    (void)state;
    double v[1000];
    for (size_t i = 0; i < 1000; i++)
        v[i] = 1e9 + (double)(i % 2);
    struct toc_stats s;
    toc_stats_compute(v, 1000, &s);
    assert_near(s.variance, 0.25, 1e-6);
}

static void merged_halves_equal_the_whole(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    struct toc_welford all = {0}, a = {0}, b = {0};
    for (int i = 0; i < 500; i++) {
        double v = toc_rng_normal(&rng) * 3 + 100;
        toc_welford_add(&all, v);
        toc_welford_add(i < 123 ? &a : &b, v);
    }
    toc_welford_merge(&a, &b);
    assert_int_equal(a.count, all.count);
    assert_near(a.mean, all.mean, 1e-9);
    assert_near(toc_welford_variance(&a), toc_welford_variance(&all), 1e-9);
}

static void quantiles_as_numpy(void **state) {
    (void)state;
    double v[] = {15, 20, 35, 40, 50};
    assert_near(toc_quantile_sorted(v, 5, 0.4), 29, 1e-12);
    assert_true(toc_quantile_sorted(v, 5, 0) == 15 && toc_quantile_sorted(v, 5, 1) == 50);
    assert_true(isnan(toc_quantile_sorted(v, 0, 0.5)));
    assert_true(toc_quantile_sorted(v, 1, 0.3) == 15);
}

static void selection_equals_sorting(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    for (int round = 0; round < 300; round++) {
        double a[200], b[200];
        size_t n = 1 + (size_t)toc_rng_below(&rng, 200);
        for (size_t i = 0; i < n; i++)
            a[i] = b[i] = (double)toc_rng_below(&rng, 1 + (uint64_t)round);
        double q = toc_rng_unit(&rng);
        toc_sort_f64(b, n);
        for (size_t i = 1; i < n; i++)
            assert_true(b[i - 1] <= b[i]);
        assert_true(toc_quantile_select(a, n, q) == toc_quantile_sorted(b, n, q));
        size_t k = (size_t)toc_rng_below(&rng, n);
        assert_true(toc_select_kth(a, n, k) == b[k]);
    }
}

static void slope_of_a_line(void **state) {
    (void)state;
    int64_t t[50];
    double v[50];
    for (int i = 0; i < 50; i++) {
        t[i] = 1700000000000 + i * 2000;
        v[i] = 3 + 0.5 * (double)(i * 2);
    }
    struct toc_slope s = toc_slope_compute(t, v, 50);
    assert_near(s.per_second, 0.5, 1e-12);
    assert_near(s.at_end, 52, 1e-9);
    t[1] = t[0];
    assert_true(isnan(toc_slope_compute(t, v, 2).per_second));
    assert_true(isnan(toc_slope_compute(t, v, 1).per_second));
}

static void compaction_keeps_order(void **state) {
    (void)state;
    double v[] = {NAN, 1, INFINITY, 2, -INFINITY, 3};
    assert_int_equal(toc_finite_compact(v, 6), 3);
    assert_true(v[0] == 1 && v[1] == 2 && v[2] == 3);
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--seed") == 0)
            g_seed = strtoull(argv[i + 1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(far_from_zero_nothing_cancels),
        cmocka_unit_test(merged_halves_equal_the_whole),
        cmocka_unit_test(quantiles_as_numpy),
        cmocka_unit_test(selection_equals_sorting),
        cmocka_unit_test(slope_of_a_line),
        cmocka_unit_test(compaction_keeps_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
