#include "../cmocka_prelude.h"

#include <math.h>

#include "base/rng.h"
#include "model/histogram_math.h"
#include "promqltest/series_text.h"

static struct toc_arena g_arena;

static int reset_arena(void **state) {
    (void)state;
    toc_arena_fini(&g_arena);
    g_arena = TOC_ARENA_INIT;
    return 0;
}

/* Histograms are written as test files write them. */
static const struct toc_histogram *make(const char *text) {
    const struct toc_histogram *h;
    struct toc_err err = {0};
    if (toc_histogram_text_parse(toc_sv_cstr(text), &g_arena, &h, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return h;
}

static void expect(const struct toc_histogram *h, const char *text) {
    struct toc_buf got = TOC_BUF_INIT, want = TOC_BUF_INIT;
    assert_non_null(h);
    toc_histogram_text_format(toc_histogram_compact(h, &g_arena), &got);
    toc_histogram_text_format(make(text), &want);
    assert_string_equal(toc_buf_cstr(&got), toc_buf_cstr(&want));
    toc_buf_fini(&got);
    toc_buf_fini(&want);
}

static void bounds_are_those_of_every_client(void **state) {
    (void)state;
    assert_true(toc_histogram_bound(0, 0) == 1 && toc_histogram_bound(3, 0) == 8);
    assert_true(toc_histogram_bound(-3, 0) == 0.125);
    assert_true(toc_histogram_bound(1, 1) == 1.414213562373095);
    assert_true(toc_histogram_bound(-1, 1) == 0.7071067811865475);
    assert_true(toc_histogram_bound(2, -2) == 256 && toc_histogram_bound(-1, -4) == 0x1p-16);
    /* the bound that overflows is the largest double, the one behind it infinite */
    for (int32_t schema = -4; schema <= 8; schema++) {
        int32_t last = schema < 0 ? 1024 >> -schema : 1024 << schema;
        assert_true(toc_histogram_bound(last, schema) == 1.7976931348623157e308);
        assert_true(isinf(toc_histogram_bound(last + 1, schema)));
        assert_true(isfinite(toc_histogram_bound(last - 1, schema)));
    }
}

static void a_coarser_schema_has_every_second_bound(void **state) {
    (void)state;
    for (int32_t schema = -3; schema <= 8; schema++)
        for (int32_t i = -1000; i < 1000; i++)
            assert_true(toc_histogram_bound(2 * i, schema) == toc_histogram_bound(i, schema - 1) ||
                        isinf(toc_histogram_bound(i, schema - 1)));
    for (int32_t i = -2000; i < 2000; i++)
        assert_true(toc_histogram_bound(i, 8) < toc_histogram_bound(i + 1, 8));
}

static void addition_takes_the_coarser_schema(void **state) {
    (void)state;
    struct toc_histogram_notes notes = {0};
    const struct toc_histogram *a = make("{{schema:1 count:10 sum:3 buckets:[1 2 3 4]}}"),
                               *b = make("{{schema:0 count:5 sum:2 buckets:[5] offset:1}}");
    /* buckets 0 | 1 2 | 3 of schema 1 are 0 | 1 | 2 of schema 0 */
    expect(toc_histogram_add(a, b, &g_arena, &notes),
           "{{schema:0 count:15 sum:5 buckets:[1 10 4]}}");
    expect(toc_histogram_add(b, a, &g_arena, &notes),
           "{{schema:0 count:15 sum:5 buckets:[1 10 4]}}");
    expect(toc_histogram_sub(a, b, &g_arena, &notes),
           "{{schema:0 count:5 sum:1 buckets:[1 0 4] counter_reset_hint:gauge}}");
    assert_false(notes.is_incompatible || notes.has_reset_conflict || notes.has_reconciled_buckets);
}

static void addition_widens_the_zero_bucket(void **state) {
    (void)state;
    struct toc_histogram_notes notes = {0};
    /* 0.75 cuts (0.5,1], which is populated: the zero bucket grows to 1 */
    const struct toc_histogram *a = make("{{count:8 sum:4 z_bucket:1 z_bucket_w:0.75 buckets:[2 "
                                         "5] offset:1}}"),
                               *b = make("{{count:9 sum:4 z_bucket:1 z_bucket_w:0.001 buckets:[1 3 "
                                         "1] offset:-1 n_buckets:[3]}}");
    expect(toc_histogram_add(a, b, &g_arena, &notes),
           "{{count:17 sum:8 z_bucket:9 z_bucket_w:1 buckets:[3 5] offset:1}}");
    expect(toc_histogram_add(b, a, &g_arena, &notes),
           "{{count:17 sum:8 z_bucket:9 z_bucket_w:1 buckets:[3 5] offset:1}}");
}

static void custom_buckets_meet_on_common_bounds(void **state) {
    (void)state;
    struct toc_histogram_notes notes = {0};
    const struct toc_histogram *a = make("{{schema:-53 count:10 sum:3 custom_values:[1 2 5] "
                                         "buckets:[1 2 3 4]}}"),
                               *b = make("{{schema:-53 count:6 sum:1 custom_values:[2 3 5] "
                                         "buckets:[1 1 2 2]}}");
    expect(toc_histogram_add(a, a, &g_arena, &notes),
           "{{schema:-53 count:20 sum:6 custom_values:[1 2 5] buckets:[2 4 6 8]}}");
    assert_false(notes.has_reconciled_buckets);
    expect(toc_histogram_add(a, b, &g_arena, &notes),
           "{{schema:-53 count:16 sum:4 custom_values:[2 5] buckets:[4 6 6]}}");
    assert_true(notes.has_reconciled_buckets);
    const struct toc_histogram *far = make("{{schema:-53 count:1 custom_values:[7] buckets:[1]}}");
    expect(toc_histogram_add(a, far, &g_arena, &notes),
           "{{schema:-53 count:11 sum:3 buckets:[11]}}");
    assert_null(toc_histogram_add(a, make("{{count:1 buckets:[1]}}"), &g_arena, &notes));
    assert_true(notes.is_incompatible);
}

static void hints_of_sums(void **state) {
    (void)state;
    enum { U = TOC_RESET_UNKNOWN, Y = TOC_RESET_YES, N = TOC_RESET_NO, G = TOC_RESET_GAUGE };
    static const int cases[][4] = {/* a, b, result, conflict */
                                   {U, U, U, 0}, {Y, Y, Y, 0}, {N, N, N, 0}, {G, G, G, 0},
                                   {G, N, G, 0}, {Y, G, G, 0}, {U, Y, U, 0}, {N, U, U, 0},
                                   {Y, N, U, 1}, {N, Y, U, 1}, {U, G, G, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct toc_histogram_notes notes = {0};
        struct toc_histogram a = *make("{{count:1 buckets:[1]}}"), b = a;
        a.reset_hint = (enum toc_reset_hint)cases[i][0];
        b.reset_hint = (enum toc_reset_hint)cases[i][1];
        assert_int_equal(toc_histogram_add(&a, &b, &g_arena, &notes)->reset_hint, cases[i][2]);
        assert_int_equal(notes.has_reset_conflict, cases[i][3]);
        assert_int_equal(toc_histogram_sub(&a, &b, &g_arena, &notes)->reset_hint, G);
    }
}

static void scaling(void **state) {
    (void)state;
    const struct toc_histogram *h = make("{{count:6 sum:3 z_bucket:2 z_bucket_w:0.1 buckets:[1 3] "
                                         "counter_reset_hint:not_reset}}");
    expect(toc_histogram_scale(h, 2, &g_arena),
           "{{count:12 sum:6 z_bucket:4 z_bucket_w:0.1 buckets:[2 6] "
           "counter_reset_hint:not_reset}}");
    expect(toc_histogram_scale(h, -1, &g_arena),
           "{{count:-6 sum:-3 z_bucket:-2 z_bucket_w:0.1 buckets:[-1 -3] "
           "counter_reset_hint:gauge}}");
    expect(toc_histogram_divide(h, 2, &g_arena),
           "{{count:3 sum:1.5 z_bucket:1 z_bucket_w:0.1 buckets:[0.5 1.5] "
           "counter_reset_hint:not_reset}}");
    expect(toc_histogram_divide(h, 0, &g_arena),
           "{{count:Inf sum:Inf z_bucket:Inf z_bucket_w:0.1 counter_reset_hint:not_reset}}");
}

static void sums_are_compensated_and_means_do_not_overflow(void **state) {
    (void)state;
    struct toc_histogram_notes notes = {0};
    const struct toc_histogram *h[] = {
        make("{{count:8.98846567431158e307 sum:1 buckets:[1e100 1]}}"),
        make("{{count:8.98846567431158e307 sum:1e100 buckets:[3 0 7]}}"),
        make("{{count:1 sum:1 buckets:[-1e100]}}"), make("{{count:1 sum:-1e100}}")};
    expect(toc_histogram_sum(h, 4, &g_arena, &notes), "{{count:Inf sum:2 buckets:[3 1 7]}}");
    expect(toc_histogram_mean(h, 4, &g_arena, &notes),
           "{{count:4.49423283715579e307 sum:0.5 buckets:[0.75 0.25 1.75]}}");
    expect(toc_histogram_sum(h, 1, &g_arena, &notes),
           "{{count:8.98846567431158e307 sum:1 buckets:[1e100 1]}}");
    h[3] = make("{{schema:-53 count:1 custom_values:[1] buckets:[1]}}");
    assert_null(toc_histogram_sum(h, 4, &g_arena, &notes));
    assert_true(notes.is_incompatible);
}

struct reset_case {
    const char *before, *now;
    bool is_reset;
};

static void resets_are_found(void **state) {
    (void)state;
    static const struct reset_case cases[] = {
        {"{{count:3 buckets:[1 2]}}", "{{count:3 buckets:[1 2]}}", false},
        {"{{count:3 buckets:[1 2]}}", "{{count:4 buckets:[2 2]}}", false},
        {"{{count:3 buckets:[1 2]}}", "{{count:2 buckets:[1 2]}}", true},
        {"{{count:3 buckets:[1 2]}}", "{{count:9 buckets:[9 1]}}", true},
        {"{{count:3 buckets:[1 2]}}", "{{count:9 buckets:[9]}}", true},
        {"{{count:3 buckets:[1 0]}}", "{{count:9 buckets:[9]}}", false},
        {"{{schema:1 count:3 buckets:[1 2]}}", "{{schema:0 count:3 buckets:[1 2]}}", false},
        {"{{schema:0 count:3 buckets:[1 2]}}", "{{schema:1 count:3 buckets:[1 2]}}", true},
        {"{{count:3 z_bucket:3 z_bucket_w:1}}", "{{count:3 z_bucket:3 z_bucket_w:0.5}}", true},
        {"{{count:3 z_bucket:1 z_bucket_w:0.5 buckets:[2]}}", "{{count:3 z_bucket:3 z_bucket_w:1}}",
         false},
        {"{{count:3 z_bucket:1 z_bucket_w:0.5 buckets:[2]}}",
         "{{count:3 z_bucket:3 z_bucket_w:0.75}}", true}, /* cuts a populated bucket */
        {"{{count:3 z_bucket:3}}", "{{count:3 z_bucket:2 buckets:[1]}}", true},
        {"{{count:3 n_buckets:[3]}}", "{{count:3 n_buckets:[2 1]}}", true},
        {"{{count:1 buckets:[1]}}", "{{schema:-53 count:1 custom_values:[1] buckets:[1]}}", true},
        {"{{schema:-53 count:1 custom_values:[1] buckets:[1]}}", "{{count:1 buckets:[1]}}", true},
        {"{{schema:-53 count:3 custom_values:[1 2] buckets:[1 2]}}",
         "{{schema:-53 count:3 custom_values:[2] buckets:[3]}}", false},
        {"{{schema:-53 count:3 custom_values:[1 2] buckets:[1 2]}}",
         "{{schema:-53 count:3 custom_values:[2] buckets:[2 1]}}", true},
        {"{{count:9 buckets:[9]}}", "{{count:1 buckets:[1] counter_reset_hint:not_reset}}", false},
        {"{{count:1 buckets:[1]}}", "{{count:9 buckets:[9] counter_reset_hint:reset}}", true},
        {"{{count:9 buckets:[9]}}", "{{count:1 buckets:[1] counter_reset_hint:gauge}}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (toc_histogram_has_reset(make(cases[i].now), make(cases[i].before), &g_arena) !=
            cases[i].is_reset)
            fail_msg("case %zu: %s behind %s", i, cases[i].now, cases[i].before);
}

static void equality_is_of_bits_without_empty_buckets_and_hints(void **state) {
    (void)state;
    const struct toc_histogram *a = make("{{count:3 sum:1 buckets:[0 1 0 2 0]}}");
    assert_true(toc_histogram_eq(a, make("{{count:3 sum:1 buckets:[1 0 2] offset:1 "
                                         "counter_reset_hint:gauge}}")));
    assert_false(toc_histogram_eq(a, make("{{count:3 sum:1 buckets:[1 0 2]}}")));
    assert_false(toc_histogram_eq(a, make("{{count:3 sum:2 buckets:[1 0 2] offset:1}}")));
    assert_false(toc_histogram_eq(make("{{sum:0}}"), make("{{sum:-0}}")));
    assert_true(toc_histogram_eq(make("{{sum:NaN}}"), make("{{sum:NaN}}")));
}

static void trimming(void **state) {
    (void)state;
    const struct toc_histogram *h = make("{{count:4 sum:11 buckets:[1 1 1 1]}}");
    /* a limit on a bound takes whole buckets; the sum is estimated from their middles */
    expect(toc_histogram_trim(h, INFINITY, true, &g_arena), "{{count:4 sum:11 buckets:[1 1 1 1]}}");
    expect(toc_histogram_trim(h, -INFINITY, true, &g_arena), "{{}}");
    expect(toc_histogram_trim(h, INFINITY, false, &g_arena), "{{}}");
    const struct toc_histogram *low = toc_histogram_trim(h, 2, true, &g_arena),
                               *high = toc_histogram_trim(h, 2, false, &g_arena);
    assert_true(low->count == 2 && high->count == 2);
    assert_true(fabs(low->sum - (sqrt(0.5) + sqrt(2))) < 1e-12);
    assert_true(fabs(high->sum - (sqrt(8) + sqrt(32))) < 1e-12);
    /* inside an exponential bucket: by the logarithm */
    assert_true(fabs(toc_histogram_trim(h, sqrt(2), true, &g_arena)->count - 1.5) < 1e-12);
    /* custom buckets: linear */
    const struct toc_histogram *custom =
        make("{{schema:-53 count:8 sum:20 custom_values:[2 4] buckets:[4 2 2]}}");
    expect(toc_histogram_trim(custom, 3, true, &g_arena),
           "{{schema:-53 count:5 sum:6.5 custom_values:[2 4] buckets:[4 1]}}");
}

static void expect_text(const char *histogram, const char *text) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_histogram_format(make(histogram), &b);
    assert_string_equal(toc_buf_cstr(&b), text);
    toc_buf_fini(&b);
}

static void text_form(void **state) {
    (void)state;
    expect_text("{{}}", "{count:0, sum:0}");
    expect_text(
        "{{count:1234567 sum:-0.5 z_bucket:2 z_bucket_w:0.001 buckets:[1 0 2] "
        "n_buckets:[3]}}",
        "{count:1.234567e+06, sum:-0.5, [-1,-0.5):3, [-0.001,0.001]:2, (0.5,1]:1, (2,4]:2}");
    expect_text("{{schema:1 count:1 sum:1 buckets:[1]}}",
                "{count:1, sum:1, (0.7071067811865475,1]:1}");
    expect_text("{{schema:-53 count:6 sum:1 custom_values:[5 10] buckets:[1 2 3]}}",
                "{count:6, sum:1, [-Inf,5]:1, (5,10]:2, (10,+Inf]:3}");
}

/* ---------------------------------------------------------------------------------- properties */

/* No bucket lies within the zero bucket. */
static struct toc_buckets any_buckets(struct toc_rng *rng, const struct toc_histogram *h) {
    size_t n = toc_rng_u64(rng) % 12;
    int32_t *index = toc_arena_calloc(&g_arena, n + 1, sizeof *index);
    double *count = toc_arena_calloc(&g_arena, n + 1, sizeof *count);
    assert_true(index && count);
    int32_t at = (int32_t)(toc_rng_u64(rng) % 40) - 20;
    for (size_t i = 0; i < n; i++) {
        at += 1 + (int32_t)(toc_rng_u64(rng) % 3);
        index[i] = at;
        count[i] = (double)(toc_rng_u64(rng) % 9);
        if (toc_histogram_bound(at, h->schema) <= h->zero_threshold)
            count[i] = 0;
    }
    return (struct toc_buckets){index, count, n};
}

static double population(const struct toc_histogram *h) {
    double n = h->zero_count;
    for (size_t i = 0; i < h->positive.size; i++)
        n += h->positive.count[i];
    for (size_t i = 0; i < h->negative.size; i++)
        n += h->negative.count[i];
    return n;
}

static struct toc_histogram any_histogram(struct toc_rng *rng) {
    static const double thresholds[] = {0, 0.001, 0.5, 1, 1.5};
    struct toc_histogram h = {.schema = (int32_t)(toc_rng_u64(rng) % 5) - 1,
                              .zero_threshold = thresholds[toc_rng_u64(rng) % 5],
                              .zero_count = (double)(toc_rng_u64(rng) % 5),
                              .sum = (double)(toc_rng_u64(rng) % 100)};
    h.positive = any_buckets(rng, &h);
    h.negative = any_buckets(rng, &h);
    h.count = population(&h);
    return h;
}

/* Counts are whole numbers here, so that sums are exact in any order. One by one, a zero bucket may
 * have to take in a bucket that has become coarser than it was: only equal schemas must agree. */
static void a_sum_is_the_additions_one_by_one_and_loses_nobody(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 4242);
    for (int round = 0; round < 3000; round++) {
        struct toc_histogram_notes notes = {0};
        struct toc_histogram h[5];
        const struct toc_histogram *all[5], *one_by_one = NULL;
        size_t n = 1 + toc_rng_u64(&rng) % 5;
        double people = 0;
        bool has_one_schema = true;
        reset_arena(NULL);
        for (size_t i = 0; i < n; i++) {
            h[i] = any_histogram(&rng);
            all[i] = &h[i];
            people += h[i].count;
            has_one_schema &= h[i].schema == h[0].schema;
            one_by_one =
                one_by_one ? toc_histogram_add(one_by_one, &h[i], &g_arena, &notes) : &h[i];
            assert_non_null(one_by_one);
        }
        const struct toc_histogram *sum = toc_histogram_sum(all, n, &g_arena, &notes);
        assert_non_null(sum);
        if (has_one_schema && !toc_histogram_eq(sum, one_by_one))
            fail_msg("round %d of seed 4242", round);
        assert_true(population(sum) == people && sum->count == people);
        const struct toc_histogram *nothing = toc_histogram_sub(sum, sum, &g_arena, &notes);
        assert_true(population(nothing) == 0 && nothing->count == 0);
        assert_true(population(toc_histogram_coarsen(sum, -4, &g_arena)) == people);
        assert_false(toc_histogram_has_reset(one_by_one, &h[n - 1], &g_arena) &&
                     one_by_one->schema == h[n - 1].schema &&
                     one_by_one->zero_threshold == h[n - 1].zero_threshold);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bounds_are_those_of_every_client, reset_arena),
        cmocka_unit_test_teardown(a_coarser_schema_has_every_second_bound, reset_arena),
        cmocka_unit_test_teardown(addition_takes_the_coarser_schema, reset_arena),
        cmocka_unit_test_teardown(addition_widens_the_zero_bucket, reset_arena),
        cmocka_unit_test_teardown(custom_buckets_meet_on_common_bounds, reset_arena),
        cmocka_unit_test_teardown(hints_of_sums, reset_arena),
        cmocka_unit_test_teardown(scaling, reset_arena),
        cmocka_unit_test_teardown(sums_are_compensated_and_means_do_not_overflow, reset_arena),
        cmocka_unit_test_teardown(resets_are_found, reset_arena),
        cmocka_unit_test_teardown(equality_is_of_bits_without_empty_buckets_and_hints, reset_arena),
        cmocka_unit_test_teardown(trimming, reset_arena),
        cmocka_unit_test_teardown(text_form, reset_arena),
        cmocka_unit_test_teardown(a_sum_is_the_additions_one_by_one_and_loses_nobody, reset_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
