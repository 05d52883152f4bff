/* Normalisation and denoising: known answers, nothing looks ahead. */
#include <math.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/attrs.h"
#include "detect/preprocess.h"
#include "near.h"

enum { N = 8 };

static int64_t run(const struct toc_preprocess *p, double *v, size_t n) {
    int64_t t[64];
    for (size_t i = 0; i < n; i++)
        t[i] = (int64_t)i * 1000;
    return toc_preprocess_series(p, t, v, n);
}

static void median_removes_a_spike(void **state) {
    (void)state;
    double v[N] = {1, 1, 1, 90, 1, 1, 1, 1};
    struct toc_preprocess p = {.denoise = TOC_DENOISE_MEDIAN, .window = 3};
    assert_int_equal(run(&p, v, N), N);
    for (int i = 0; i < N; i++)
        assert_true(v[i] == 1);
}

static void hampel_changes_only_the_spike(void **state) {
    (void)state;
    double v[N] = {1, 2, 1.5, 1.7, 90, 1.6, 1.4, 1.8};
    double before[N];
    memcpy(before, v, sizeof v);
    struct toc_preprocess p = {.denoise = TOC_DENOISE_HAMPEL};
    assert_int_equal(run(&p, v, N), N);
    for (int i = 0; i < N; i++)
        assert_true(i == 4 ? v[i] < 3 : v[i] == before[i]);
}

static void ewma_follows(void **state) {
    (void)state;
    double v[] = {0, 3, 3};
    struct toc_preprocess p = {.denoise = TOC_DENOISE_EWMA, .window = 2};
    assert_int_equal(run(&p, v, 3), 3);
    assert_near(v[1], 2, 1e-12);
    assert_near(v[2], 3 - 1.0 / 3, 1e-12);
}

static void rates_know_counter_resets(void **state) {
    (void)state;
    double v[] = {10, 14, 2, NAN, 6};
    struct toc_preprocess p = {.change = TOC_CHANGE_RATE};
    assert_int_equal(run(&p, v, 5), 3);
    assert_true(v[0] == 4 && v[1] == 2 && v[2] == 2);
}

static void the_future_changes_nothing(void **state) {
    (void)state;
    for (int d = 0; d <= TOC_DENOISE_HAMPEL; d++) {
        struct toc_preprocess p = {.denoise = (enum toc_denoise)d};
        double a[N] = {3, 1, 4, 1, 5, 9, 2, 6}, b[N];
        memcpy(b, a, sizeof a);
        b[N - 1] = 1000;
        assert_int_equal(run(&p, a, N), N);
        assert_int_equal(run(&p, b, N), N);
        assert_memory_equal(a, b, (N - 1) * sizeof *a);
    }
}

static void normalisations(void **state) {
    (void)state;
    const double v[] = {2, 4, 4, 4, 5, 5, 7, 9};
    double scratch[N];
    struct toc_normalisation z = toc_normalise_fit(TOC_NORMALISE_ZSCORE, v, N, scratch);
    assert_near(toc_normalise_apply(&z, 9), 2, 1e-12);
    assert_near(toc_normalise_undo(&z, 2), 9, 1e-12);
    struct toc_normalisation m = toc_normalise_fit(TOC_NORMALISE_MINMAX, v, N, scratch);
    assert_true(toc_normalise_apply(&m, 2) == 0 && toc_normalise_apply(&m, 9) == 1);
    struct toc_normalisation r = toc_normalise_fit(TOC_NORMALISE_ROBUST, v, N, scratch);
    assert_true(toc_normalise_apply(&r, 4.5) == 0);
    const double constant[] = {4, 4, 4};
    for (int n = 0; n <= TOC_NORMALISE_ROBUST; n++) {
        struct toc_normalisation c = toc_normalise_fit((enum toc_normalise)n, constant, 3, scratch);
        assert_true(c.scale == 1);
    }
}

static void names_parse_and_errors_list_them(void **state) {
    (void)state;
    enum toc_denoise d;
    enum toc_normalise n;
    assert_int_equal(toc_denoise_parse(TOC_SV("hampel"), &d, NULL), 0);
    assert_int_equal(d, TOC_DENOISE_HAMPEL);
    assert_int_equal(toc_normalise_parse(TOC_SV("minmax"), &n, NULL), 0);
    struct toc_err err = {0};
    assert_int_equal(toc_normalise_parse(TOC_SV("mixmax"), &n, &err), TOC_EINVAL);
    assert_non_null(strstr(err.message, "none, zscore, minmax, robust"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_removes_a_spike),
        cmocka_unit_test(hampel_changes_only_the_spike),
        cmocka_unit_test(ewma_follows),
        cmocka_unit_test(rates_know_counter_resets),
        cmocka_unit_test(the_future_changes_nothing),
        cmocka_unit_test(normalisations),
        cmocka_unit_test(names_parse_and_errors_list_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
