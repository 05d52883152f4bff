/* Numbers, times and histograms as Prometheus writes them in JSON. */
#include "../cmocka_prelude.h"

#include <math.h>

#include "api/prom_priv.h"

static void expect(struct toc_buf *b, const char *text) {
    assert_string_equal(toc_buf_cstr(b), text);
    toc_buf_reset(b);
}

static void points_have_upstreams_form(void **state) {
    (void)state;
    static const struct {
        int64_t t_ms;
        double v;
        const char *text;
    } cases[] = {
        {1435781451781, 1, "[1435781451.781,\"1\"]"},
        {1435781451000, 0.1, "[1435781451,\"0.1\"]"},
        {1435781451100, -0.0, "[1435781451.100,\"-0\"]"},
        {1, 1e-6, "[0.001,\"0.000001\"]"},
        {-1, 9.5e-7, "[-0.001,\"9.5e-07\"]"},
        {-1500, 1e20, "[-1.500,\"100000000000000000000\"]"},
        {0, 1e21, "[0,\"1e+21\"]"},
        {0, NAN, "[0,\"NaN\"]"},
        {0, INFINITY, "[0,\"+Inf\"]"},
        {0, -INFINITY, "[0,\"-Inf\"]"},
        {0, 5e-324, "[0,\"5e-324\"]"},
        {INT64_MIN, 1.7976931348623157e308, "[-9223372036854775.808,\"1.7976931348623157e+308\"]"},
    };
    struct toc_buf b = TOC_BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        toc_prom_point(&b, cases[i].t_ms, cases[i].v);
        expect(&b, cases[i].text);
    }
    toc_buf_fini(&b);
}

static void exponential_histograms_show_their_buckets(void **state) {
    (void)state;
    const int32_t positive[] = {1, 2}, negative[] = {1};
    const double up[] = {3, 0}, down[] = {2};
    struct toc_histogram h = {.schema = 0,
                              .zero_threshold = 0.001,
                              .zero_count = 1,
                              .count = 6,
                              .sum = 2.5,
                              .positive = {positive, up, 2},
                              .negative = {negative, down, 1}};
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf b = TOC_BUF_INIT;
    assert_int_equal(toc_prom_histogram(&b, &h, &arena), 0);
    expect(&b, "{\"count\":\"6\",\"sum\":\"2.5\",\"buckets\":[[1,\"-2\",\"-1\",\"2\"],"
               "[3,\"-0.001\",\"0.001\",\"1\"],[0,\"1\",\"2\",\"3\"]]}");
    toc_buf_fini(&b);
    toc_arena_fini(&arena);
}

static void histograms_without_observations_have_no_buckets(void **state) {
    (void)state;
    struct toc_histogram h = {.sum = NAN};
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf b = TOC_BUF_INIT;
    assert_int_equal(toc_prom_histogram(&b, &h, &arena), 0);
    expect(&b, "{\"count\":\"0\",\"sum\":\"NaN\"}");
    toc_buf_fini(&b);
    toc_arena_fini(&arena);
}

static void custom_bounds_are_closed_at_minus_infinity(void **state) {
    (void)state;
    const int32_t index[] = {0, 2};
    const double count[] = {1, 4}, bounds[] = {5, 10};
    struct toc_histogram h = {.schema = TOC_HISTOGRAM_SCHEMA_CUSTOM,
                              .count = 5,
                              .sum = 60,
                              .positive = {index, count, 2},
                              .custom_bounds = bounds,
                              .custom_bound_count = 2};
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf b = TOC_BUF_INIT;
    assert_int_equal(toc_prom_histogram(&b, &h, &arena), 0);
    expect(&b, "{\"count\":\"5\",\"sum\":\"60\",\"buckets\":[[3,\"-Inf\",\"5\",\"1\"],"
               "[0,\"10\",\"+Inf\",\"4\"]]}");
    toc_buf_fini(&b);
    toc_arena_fini(&arena);
}

static void durations_are_seconds_or_texts(void **state) {
    (void)state;
    int64_t ms;
    assert_int_equal(toc_prom_duration_parse(TOC_SV("1.9999"), &ms), 0);
    assert_int_equal(ms, 1999);
    assert_int_equal(toc_prom_duration_parse(TOC_SV("1h30m"), &ms), 0);
    assert_int_equal(ms, 5400000);
    assert_int_equal(toc_prom_duration_parse(TOC_SV("-5"), &ms), 0);
    assert_int_equal(ms, -5000);
    assert_true(toc_prom_duration_parse(TOC_SV("1e20"), &ms) < 0);
    assert_true(toc_prom_duration_parse(TOC_SV("NaN"), &ms) < 0);
    assert_true(toc_prom_duration_parse(TOC_SV(""), &ms) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_have_upstreams_form),
        cmocka_unit_test(exponential_histograms_show_their_buckets),
        cmocka_unit_test(histograms_without_observations_have_no_buckets),
        cmocka_unit_test(custom_bounds_are_closed_at_minus_infinity),
        cmocka_unit_test(durations_are_seconds_or_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
