/* Isolation Forest: scikit-learn's definitions exactly, its scores in distribution. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/rng.h"
#include "detect/iforest.h"
#include "detect/stats.h"
#include "near.h"

static uint64_t g_seed = 1;

static struct toc_iforest *fit(const struct toc_iforest_params *p, struct toc_matrix x) {
    struct toc_iforest *f = NULL;
    struct toc_err err = {0};
    if (toc_iforest_fit(p, x, &f, &err) < 0)
        fail_msg("%s", err.message);
    return f;
}

static void score(const struct toc_iforest *f, struct toc_matrix x, double *out) {
    assert_int_equal(toc_iforest_score(f, x, out, NULL), 0);
}

static const double g_founding[] = {10, 20, 12, 22, 11, 21, 9, 18, 13, 24, 15, 26, 14, 25, 12, 22};
static const struct toc_matrix g_founding_x = {g_founding, 8, 2};

static size_t flagged(const double *scores, size_t n, double offset, size_t *out_last) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (toc_iforest_is_anomaly(scores[i], offset)) {
            count++;
            *out_last = i;
        }
    return count;
}

/* With 8 rows the interpolated percentile at 0.1 lies between the two lowest scores: one row,
 * always. */
static void founding_example_flags_row_3_or_5(void **state) {
    (void)state;
    int third = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct toc_iforest_params p = toc_iforest_params_default();
        p.contamination = 0.1;
        p.seed = seed;
        struct toc_iforest *f = fit(&p, g_founding_x);
        double s[8];
        size_t which = 99;
        score(f, g_founding_x, s);
        size_t count = flagged(s, 8, toc_iforest_info(f).offset, &which);
        assert_int_equal(count, s[3] == s[5] ? 0 : 1); /* an exact tie lies on the offset */
        assert_true(count == 0 || which == 3 || which == 5);
        assert_true(s[1] == s[7]);
        third += which == 3;
        toc_iforest_free(&f);
    }
    assert_in_range(third, 75, 99);
}

static void founding_example_with_many_trees(void **state) {
    (void)state;
    struct toc_iforest_params p = toc_iforest_params_default();
    p.n_estimators = 10000;
    struct toc_iforest *f = fit(&p, g_founding_x);
    double s[8];
    score(f, g_founding_x, s);
    assert_true(s[3] > -0.63 && s[3] < -0.61);
    assert_true(s[5] > -0.60 && s[5] < -0.56);
    assert_true(toc_iforest_info(f).offset == -0.5);
    toc_iforest_free(&f);
}

static void average_path_as_sklearn(void **state) {
    (void)state;
    assert_true(toc_iforest_average_path(0) == 0);
    assert_true(toc_iforest_average_path(1) == 0);
    assert_true(toc_iforest_average_path(2) == 1);
    assert_near(toc_iforest_average_path(256), 10.244770920119917, 1e-12);
    assert_near(toc_iforest_average_path(999), 12.967939884427995, 1e-12);
}

static double *random_rows(struct toc_rng *rng, size_t rows, size_t columns) {
    double *x = toc_xcalloc(rows * columns + 1, sizeof *x);
    for (size_t i = 0; i < rows * columns; i++)
        x[i] = toc_rng_normal(rng) * 10;
    return x;
}

/* Row counts on either side of a block, columns on either side of what the kernels allow, values
 * that meet thresholds exactly, more thresholds than ranks in one group. */
static void all_kernels_give_the_same_bits(void **state) {
    (void)state;
    static const enum toc_iforest_kernel kernels[] = {
        TOC_IFOREST_KERNEL_AUTO, TOC_IFOREST_KERNEL_AVX2, TOC_IFOREST_KERNEL_AVX512,
        TOC_IFOREST_KERNEL_ROW};
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    for (int n = 0; n < 40; n++) {
        size_t rows = 1 + (size_t)toc_rng_below(&rng, 600);
        size_t columns = 1 + (size_t)toc_rng_below(&rng, 36);
        double *x = random_rows(&rng, rows, columns);
        for (size_t i = 0; n % 4 == 0 && i < rows * columns; i++)
            x[i] = round(x[i]) * (i % 3 ? 1 : -0.0);
        struct toc_matrix m = {x, rows, columns};
        struct toc_iforest_params p = toc_iforest_params_default();
        p.n_estimators = n % 8 == 7 ? 700 : 1 + (int64_t)toc_rng_below(&rng, 50);
        p.max_samples = (struct toc_iforest_size){TOC_IFOREST_COUNT, n % 5 == 4 ? 500 : 256};
        p.bootstrap = n % 2 == 0;
        p.seed = toc_rng_u64(&rng);
        struct toc_iforest *f = fit(&p, m);
        double *a = toc_xcalloc(rows, sizeof *a), *b = toc_xcalloc(rows, sizeof *b);
        assert_int_equal(toc_iforest_score_with(f, TOC_IFOREST_KERNEL_PORTABLE, m, b, NULL), 0);
        for (size_t i = 0; i < rows; i++)
            assert_true(b[i] >= -1 && b[i] < 0);
        for (size_t k = 0; k < TOC_ARRAY_LEN(kernels); k++) {
            assert_int_equal(toc_iforest_score_with(f, kernels[k], m, a, NULL), 0);
            assert_memory_equal(a, b, rows * sizeof *a);
        }
        toc_free(a);
        toc_free(b);
        toc_free(x);
        toc_iforest_free(&f);
    }
}

static void many_rows_at_once_are_scored_as_one_by_one(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    enum { ROWS = 5000, COLUMNS = 8 };
    double *x = random_rows(&rng, ROWS, COLUMNS), all[ROWS], one;
    struct toc_iforest_params p = toc_iforest_params_default();
    struct toc_iforest *f = fit(&p, (struct toc_matrix){x, ROWS, COLUMNS});
    score(f, (struct toc_matrix){x, ROWS, COLUMNS}, all);
    for (size_t i = 0; i < ROWS; i++) {
        score(f, (struct toc_matrix){x + i * COLUMNS, 1, COLUMNS}, &one);
        assert_true(one == all[i]);
    }
    toc_iforest_free(&f);
    toc_free(x);
}

static void same_seed_same_forest_other_seed_another(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    double *x = random_rows(&rng, 300, 3);
    struct toc_matrix m = {x, 300, 3};
    struct toc_iforest_params p = toc_iforest_params_default();
    struct toc_buf bytes[3] = {0};
    for (int i = 0; i < 3; i++) {
        p.seed = i == 2 ? 8 : 7;
        struct toc_iforest *f = fit(&p, m);
        toc_iforest_encode(f, &bytes[i]);
        toc_iforest_free(&f);
    }
    assert_int_equal(bytes[0].n, bytes[1].n);
    assert_memory_equal(bytes[0].p, bytes[1].p, bytes[0].n);
    assert_true(bytes[0].n != bytes[2].n || memcmp(bytes[0].p, bytes[2].p, bytes[0].n) != 0);
    for (int i = 0; i < 3; i++)
        toc_buf_fini(&bytes[i]);
    toc_free(x);
}

static void contamination_flags_its_share(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    enum { ROWS = 2000 };
    double *x = random_rows(&rng, ROWS, 4), scores[ROWS];
    struct toc_matrix m = {x, ROWS, 4};
    struct toc_iforest_params p = toc_iforest_params_default();
    p.contamination = 0.05;
    struct toc_iforest *f = fit(&p, m);
    score(f, m, scores);
    size_t last, count = flagged(scores, ROWS, toc_iforest_info(f).offset, &last);
    assert_in_range(count, 99, 101);
    double copy[ROWS];
    memcpy(copy, scores, sizeof copy);
    assert_true(toc_iforest_info(f).offset == toc_quantile_select(copy, ROWS, 0.05));
    toc_iforest_free(&f);
    toc_free(x);
}

static void planted_outliers_score_lowest(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    enum { ROWS = 1000 };
    double *x = random_rows(&rng, ROWS, 3), scores[ROWS];
    for (size_t i = 0; i < 5; i++)
        x[i * 3] = x[i * 3 + 1] = 200;
    struct toc_matrix m = {x, ROWS, 3};
    struct toc_iforest_params p = toc_iforest_params_default();
    struct toc_iforest *f = fit(&p, m);
    score(f, m, scores);
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 5; k < ROWS; k++)
            assert_true(scores[i] < scores[k]);
    toc_iforest_free(&f);
    toc_free(x);
}

static void constant_columns_are_skipped(void **state) {
    (void)state;
    double x[40], scores[20];
    for (size_t i = 0; i < 20; i++) {
        x[2 * i] = 7;
        x[2 * i + 1] = i == 19 ? 500 : (double)i;
    }
    struct toc_matrix m = {x, 20, 2};
    struct toc_iforest_params p = toc_iforest_params_default();
    struct toc_iforest *f = fit(&p, m);
    score(f, m, scores);
    for (size_t i = 0; i < 19; i++)
        assert_true(scores[19] < scores[i]);
    toc_iforest_free(&f);
}

static void all_equal_rows_and_one_row_do_not_flag(void **state) {
    (void)state;
    double x[32], scores[32];
    for (size_t i = 0; i < 32; i++)
        x[i] = 3;
    struct toc_iforest_params p = toc_iforest_params_default();
    for (size_t rows = 1; rows <= 32; rows += 31) {
        struct toc_matrix m = {x, rows, 1};
        struct toc_iforest *f = fit(&p, m);
        score(f, m, scores);
        for (size_t i = 0; i < rows; i++)
            assert_near(scores[i], -0.5, 1e-6);
        toc_iforest_free(&f);
    }
}

static void sizes_as_sklearn(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    double *x = random_rows(&rng, 1000, 2);
    struct toc_matrix m = {x, 1000, 2};
    static const struct {
        const char *text;
        size_t samples;
    } cases[] = {{"auto", 256}, {"100", 100},  {"5000", 1000},
                 {"0.5", 500},  {"1.0", 1000}, {"1", 1}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_iforest_params p = toc_iforest_params_default();
        p.n_estimators = 3;
        assert_int_equal(toc_iforest_size_parse(toc_sv_cstr(cases[i].text), &p.max_samples), 0);
        struct toc_iforest *f = fit(&p, m);
        assert_int_equal(toc_iforest_info(f).max_samples, cases[i].samples);
        toc_iforest_free(&f);
    }
    static const char *const bad[] = {"0", "-1", "1.5", "0.0", "", "all", "nan"};
    struct toc_iforest_size size;
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++)
        assert_int_equal(toc_iforest_size_parse(toc_sv_cstr(bad[i]), &size), TOC_EPARSE);
    toc_free(x);
}

static void bad_input_is_refused_with_its_place(void **state) {
    (void)state;
    double x[] = {1, 2, 3, NAN, 5, 6};
    struct toc_matrix m = {x, 3, 2};
    struct toc_iforest *f = NULL;
    struct toc_iforest_params p = toc_iforest_params_default();
    struct toc_err err = {0};
    assert_int_equal(toc_iforest_fit(&p, m, &f, &err), TOC_EINVAL);
    assert_non_null(strstr(err.message, "row 2, column 2"));
    x[3] = 1e300;
    assert_int_equal(toc_iforest_fit(&p, m, &f, NULL), TOC_EINVAL);
    x[3] = 4;
    p.contamination = 0.6;
    assert_int_equal(toc_iforest_fit(&p, m, &f, NULL), TOC_EINVAL);
    p.contamination = 0;
    p.n_estimators = 0;
    assert_int_equal(toc_iforest_fit(&p, m, &f, NULL), TOC_EINVAL);
    p.n_estimators = 5;
    assert_int_equal(toc_iforest_fit(&p, (struct toc_matrix){x, 0, 2}, &f, NULL), TOC_ENODATA);
    f = fit(&p, m);
    double scores[3];
    assert_int_equal(toc_iforest_score(f, (struct toc_matrix){x, 2, 3}, scores, NULL), TOC_EINVAL);
    toc_iforest_free(&f);
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    struct toc_iforest_params p = toc_iforest_params_default();
    p.contamination = 0.1;
    for (uint64_t nth = 1; nth < 100; nth++) {
        struct toc_iforest *f = NULL;
        toc_alloc_fail_after(nth);
        int rc = toc_iforest_fit(&p, g_founding_x, &f, NULL);
        toc_alloc_fail_after(0);
        if (rc == 0) {
            assert_true(nth > 8);
            toc_iforest_free(&f);
            return;
        }
        assert_int_equal(rc, TOC_ENOMEM);
        assert_null(f);
    }
    fail_msg("never succeeded");
}

static void stored_model_scores_alike(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    double *x = random_rows(&rng, 700, 5), a[700], b[700];
    struct toc_matrix m = {x, 700, 5};
    struct toc_iforest_params p = toc_iforest_params_default();
    p.contamination = 0.02;
    struct toc_iforest *f = fit(&p, m), *back = NULL;
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_iforest_encode(f, &bytes);
    assert_int_equal(toc_iforest_decode(toc_buf_sv(&bytes), &back, NULL), 0);
    score(f, m, a);
    score(back, m, b);
    assert_memory_equal(a, b, sizeof a);
    assert_true(toc_iforest_info(f).offset == toc_iforest_info(back).offset);
    toc_iforest_free(&back);
    for (size_t n = 0; n < bytes.n; n += 1 + n / 64)
        assert_true(toc_iforest_decode(toc_sv_make(bytes.p, n), &back, NULL) < 0);
    bytes.p[bytes.n / 2] ^= 1;
    struct toc_err err = {0};
    assert_int_equal(toc_iforest_decode(toc_buf_sv(&bytes), &back, &err), TOC_ECORRUPT);
    bytes.p[3] = '9';
    assert_int_equal(toc_iforest_decode(toc_buf_sv(&bytes), &back, NULL), TOC_EVERSION);
    toc_buf_fini(&bytes);
    toc_iforest_free(&f);
    toc_free(x);
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--seed") == 0)
            g_seed = strtoull(argv[i + 1], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(founding_example_flags_row_3_or_5),
        cmocka_unit_test(founding_example_with_many_trees),
        cmocka_unit_test(average_path_as_sklearn),
        cmocka_unit_test(all_kernels_give_the_same_bits),
        cmocka_unit_test(many_rows_at_once_are_scored_as_one_by_one),
        cmocka_unit_test(same_seed_same_forest_other_seed_another),
        cmocka_unit_test(contamination_flags_its_share),
        cmocka_unit_test(planted_outliers_score_lowest),
        cmocka_unit_test(constant_columns_are_skipped),
        cmocka_unit_test(all_equal_rows_and_one_row_do_not_flag),
        cmocka_unit_test(sizes_as_sklearn),
        cmocka_unit_test(bad_input_is_refused_with_its_place),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(stored_model_scores_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
