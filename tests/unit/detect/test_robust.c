/* Median, MAD and the robust z-score, with the corners where the MAD is 0. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/robust.h"
#include "near.h"

static uint64_t g_seed = 1;

static void median_and_mad(void **state) {
    (void)state;
    double v[] = {1, 1, 2, 2, 4, 6, 9};
    struct toc_robust r;
    toc_robust_fit(v, 7, &r);
    assert_true(r.median == 2 && r.mad == 1);
    assert_near(r.scale, 1.4826, 1e-4);
    assert_near(toc_robust_z(&r, 2 + 3 * 1.4826), 3, 1e-3);
    double lower, upper;
    toc_robust_band(&r, 3, &lower, &upper);
    assert_near(lower, 2 - 3 * r.scale, 1e-12);
    assert_near(upper, 2 + 3 * r.scale, 1e-12);
    assert_true(isnan(toc_robust_z(&r, NAN)));
}

static void outliers_do_not_hide_each_other(void **state) {
    (void)state;
    double v[100];
    for (int i = 0; i < 100; i++)
        v[i] = i < 70 ? 10 + (i % 7) * 0.1 : 1e6;
    struct toc_robust r;
    toc_robust_fit(v, 100, &r);
    assert_true(toc_robust_z(&r, 1e6) == TOC_ROBUST_Z_MAX);
    assert_true(toc_robust_z(&r, 10.3) < 1);
}

static void mostly_equal_values_use_the_mean_deviation(void **state) {
    (void)state;
    double v[] = {5, 5, 5, 5, 5, 5, 5, 8, 5, 5};
    struct toc_robust r;
    toc_robust_fit(v, 10, &r);
    assert_true(r.mad == 0 && !r.is_constant);
    assert_near(r.scale, 0.3 * 1.2533141, 1e-6);
}

static void constant_history_proves_little(void **state) {
    (void)state;
    double few[] = {5, 5, 5}, many[1000];
    for (int i = 0; i < 1000; i++)
        many[i] = 5;
    struct toc_robust a, b;
    toc_robust_fit(few, 3, &a);
    toc_robust_fit(many, 1000, &b);
    assert_true(a.is_constant && b.is_constant);
    assert_true(toc_robust_z(&a, 5) == 0);
    assert_true(toc_robust_z(&a, 6) < 1.2); /* surprise 1/4 */
    assert_true(toc_robust_z(&b, 6) > 3.2 && toc_robust_z(&b, 6) < 3.4);
    assert_true(toc_robust_z(&b, 5.01) < 0.3);
    double zero[] = {0, 0, 0, 0};
    toc_robust_fit(zero, 4, &a);
    assert_true(isfinite(toc_robust_z(&a, 1)));
}

static void no_history_no_verdict(void **state) {
    (void)state;
    struct toc_robust r;
    toc_robust_fit(NULL, 0, &r);
    assert_true(toc_robust_z(&r, 100) == 0);
    double lower, upper;
    toc_robust_band(&r, 3, &lower, &upper);
    assert_true(isnan(lower) && isnan(upper));
}

static void sliding_window_equals_a_fresh_fit(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    struct toc_robust_window w;
    assert_int_equal(toc_robust_window_init(&w, 37), 0);
    double all[500];
    for (size_t i = 0; i < 500; i++) {
        all[i] = (double)toc_rng_below(&rng, 20) + (i % 3 ? toc_rng_unit(&rng) : 0);
        toc_robust_window_add(&w, all[i]);
        toc_robust_window_add(&w, NAN);
        size_t n = i + 1 < 37 ? i + 1 : 37;
        double copy[37];
        memcpy(copy, all + i + 1 - n, n * sizeof *copy);
        struct toc_robust a, b;
        toc_robust_fit(copy, n, &a);
        toc_robust_window_fit(&w, &b);
        assert_int_equal(b.count, n);
        assert_true(a.median == b.median);
        assert_near(a.mad, b.mad, 1e-12);
        assert_near(a.scale, b.scale, 1e-9);
    }
    toc_robust_window_fini(&w);
}

static void normal_quantiles(void **state) {
    (void)state;
    assert_near(toc_normal_two_sided(0.05), 1.959963984540, 1e-9);
    assert_near(toc_normal_two_sided(0.0026997960632), 3, 1e-9);
    assert_near(toc_normal_two_sided(0.9), 0.125661346855, 1e-9);
    assert_true(toc_normal_two_sided(1) == 0);
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--seed") == 0)
            g_seed = strtoull(argv[i + 1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_and_mad),
        cmocka_unit_test(outliers_do_not_hide_each_other),
        cmocka_unit_test(mostly_equal_values_use_the_mean_deviation),
        cmocka_unit_test(constant_history_proves_little),
        cmocka_unit_test(no_history_no_verdict),
        cmocka_unit_test(sliding_window_equals_a_fresh_fit),
        cmocka_unit_test(normal_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
