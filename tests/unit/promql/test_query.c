/* What surrounds the values of a query: order of results, budgets, cancellation, cost. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "promql/memory_querier.h"
#include "promql/promql.h"
#include "sys/pool.h"

enum { HOSTS = 700, SAMPLES = 10, INTERVAL_MS = 30000, END_MS = (SAMPLES - 1) * INTERVAL_MS };

static struct toc_memory_querier g_q;

static void add(const char *name, int host, int64_t t_ms, double v) {
    char text[24];
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    snprintf(text, sizeof text, "h%03d", host);
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(name));
    toc_labels_builder_set(&b, TOC_SV("host"), toc_sv_cstr(text));
    toc_memory_querier_add(&g_q, toc_labels_builder_finish(&b), t_ms, v);
    toc_labels_builder_fini(&b);
}

static int set_up(void **state) {
    (void)state;
    toc_memory_querier_init(&g_q);
    for (int host = HOSTS - 1; host >= 0; host--) /* stored in falling order */
        for (int i = 0; i < SAMPLES; i++)
            add("up_total", host, (int64_t)i * INTERVAL_MS, host + i);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    toc_memory_querier_fini(&g_q);
    return 0;
}

static int instant(const char *text, struct toc_promql_options o, struct toc_promql_result *r,
                   struct toc_err *err) {
    struct toc_promql_expr *e = NULL;
    o.querier = &g_q.querier;
    assert_int_equal(toc_promql_parse(toc_sv_cstr(text), &e, err), 0);
    int rc = toc_promql_instant(e, &o, END_MS, r, err);
    toc_promql_expr_free(&e);
    return rc;
}

static int range(const char *text, struct toc_promql_options o, struct toc_promql_result *r,
                 struct toc_err *err) {
    struct toc_promql_expr *e = NULL;
    o.querier = &g_q.querier;
    assert_int_equal(toc_promql_parse(toc_sv_cstr(text), &e, err), 0);
    int rc = toc_promql_range(e, &o, END_MS - 60000, END_MS, INTERVAL_MS, r, err);
    toc_promql_expr_free(&e);
    return rc;
}

static void assert_host(const struct toc_promql_result *r, size_t i, const char *host) {
    assert_true(i < r->series_count);
    assert_true(toc_sv_eq_cstr(toc_labels_get(r->series[i].labels, TOC_SV("host")), host));
}

/* --- order --- */

static void an_instant_keeps_the_order_of_its_last_operator(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    assert_int_equal(instant("up_total < 3 + 9", (struct toc_promql_options){0}, &r, NULL), 0);
    assert_int_equal(r.series_count, 3);
    assert_host(&r, 0, "h002"); /* as stored */
    toc_promql_result_fini(&r);
    assert_int_equal(instant("bottomk(2, up_total)", (struct toc_promql_options){0}, &r, NULL), 0);
    assert_host(&r, 0, "h000");
    assert_host(&r, 1, "h001");
    toc_promql_result_fini(&r);
}

static void a_range_is_sorted_by_labels(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    assert_int_equal(range("up_total", (struct toc_promql_options){0}, &r, NULL), 0);
    assert_int_equal(r.series_count, HOSTS);
    for (size_t i = 1; i < r.series_count; i++)
        assert_true(toc_labels_cmp(r.series[i - 1].labels, r.series[i].labels) < 0);
    toc_promql_result_fini(&r);
}

/* --- memory of results --- */

static void a_large_result_has_its_labels_until_it_ends(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    struct toc_pool *pool = NULL;
    assert_int_equal(toc_pool_new(3, &pool, NULL), 0);
    struct toc_promql_options o = {.executor = toc_pool_executor(pool)};
    assert_int_equal(instant("rate(up_total[1m])", o, &r, NULL), 0);
    assert_int_equal(r.series_count, HOSTS);
    assert_non_null(r.memory);
    for (size_t i = 0; i < HOSTS; i++) {
        char host[24];
        snprintf(host, sizeof host, "h%03d", (int)(HOSTS - 1 - i));
        assert_host(&r, i, host);
        assert_false(toc_labels_has(r.series[i].labels, TOC_METRIC_NAME));
    }
    toc_promql_result_fini(&r);
    assert_null(r.memory);
    toc_pool_free(&pool);
}

static void a_small_result_lets_go_of_what_was_read(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    assert_int_equal(instant("sum(up_total)", (struct toc_promql_options){0}, &r, NULL), 0);
    assert_null(r.memory);
    assert_int_equal(r.series_count, 1);
    toc_promql_result_fini(&r);
}

/* --- budgets --- */

static void samples_held_at_once_are_limited(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    struct toc_err err = {0};
    struct toc_promql_options o = {.max_samples = HOSTS};
    assert_int_equal(instant("up_total", o, &r, &err), 0);
    assert_int_equal(r.samples_peak, HOSTS);
    toc_promql_result_fini(&r);
    o.max_samples = HOSTS - 1;
    assert_int_equal(instant("up_total", o, &r, &err), TOC_ELIMIT);
    assert_string_equal(err.message, "query processing would load too many samples into memory in "
                                     "query execution");
    toc_promql_result_fini(&r);
    /* Adding up while reading holds no series. */
    assert_int_equal(instant("sum(up_total)", o, &r, &err), 0);
    toc_promql_result_fini(&r);
    o.max_samples = 1;
    assert_int_equal(instant("sum(up_total)", o, &r, &err), 0);
    toc_promql_result_fini(&r);
    assert_int_equal(instant("sum(rate(up_total[5m]))", o, &r, &err), TOC_ELIMIT);
    toc_promql_result_fini(&r);
}

static void memory_is_limited_for_results_and_for_groups(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    struct toc_err err = {0};
    struct toc_promql_options o = {.max_bytes = 40000};
    assert_int_equal(instant("sum(up_total)", o, &r, &err), 0);
    toc_promql_result_fini(&r);
    assert_int_equal(instant("up_total + 1", o, &r, &err), TOC_ELIMIT);
    assert_non_null(strstr(err.message, "bytes of memory"));
    toc_promql_result_fini(&r);
    assert_int_equal(range("sum by (host) (up_total)", o, &r, &err), TOC_ELIMIT);
    assert_non_null(strstr(err.message, "bytes of memory"));
    toc_promql_result_fini(&r);
}

static bool count_down(void *ctx) {
    int *left = ctx;
    return --*left < 0;
}

static void a_query_stops_when_it_is_cancelled(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    struct toc_err err = {0};
    int left = 0;
    struct toc_promql_options o = {.is_cancelled = count_down, .cancel_ctx = &left};
    assert_int_equal(instant("sum(up_total)", o, &r, &err), TOC_ECANCELED);
    toc_promql_result_fini(&r);
    left = 1; /* after the first block */
    assert_int_equal(instant("up_total", o, &r, &err), TOC_ECANCELED);
    toc_promql_result_fini(&r);
}

/* --- cost --- */

static void samples_are_counted_per_step(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    struct toc_promql_options o = {.wants_step_samples = true};
    assert_int_equal(range("sum(up_total)", o, &r, NULL), 0);
    assert_int_equal(r.step_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(r.step_samples[i], HOSTS);
    assert_int_equal(r.samples_queryable, 3 * HOSTS);
    toc_promql_result_fini(&r);
    assert_int_equal(range("rate(up_total{host=\"h007\"}[1m])", o, &r, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(r.step_samples[i], 2); /* left-open: 1 m holds two */
    toc_promql_result_fini(&r);
}

static uint64_t tick(void *ctx) {
    uint64_t *now = ctx;
    return *now += 10;
}

static void a_trace_tells_what_each_node_cost(void **state) {
    (void)state;
    struct toc_promql_result r = {0};
    uint64_t now = 0;
    struct toc_promql_options o = {.wants_trace = true, .clock_ns = tick, .clock_ctx = &now};
    assert_int_equal(range("(up_total > 5) and sum(up_total @ 60)", o, &r, NULL), 0);
    static const struct {
        const char *text;
        unsigned depth;
        bool is_once;
    } wanted[] = {
        {"(up_total > 5) and sum(up_total @ 60)", 0, false},
        {"up_total > 5", 1, false},
        {"up_total", 2, false},
        {"5", 2, true},
        {"sum(up_total @ 60)", 1, true},
    };
    for (size_t i = 0; i < r.trace_count; i++)
        assert_true(r.trace[i].took_ns >= 10);
    assert_int_equal(r.trace_count, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < r.trace_count; i++) {
        if (!toc_sv_eq_cstr(r.trace[i].text, wanted[i].text))
            fail_msg("%.*s", TOC_SV_ARG(r.trace[i].text));
        assert_int_equal(r.trace[i].depth, wanted[i].depth);
        assert_int_equal(r.trace[i].is_once, wanted[i].is_once);
    }
    assert_int_equal(r.trace[2].series, HOSTS);
    assert_int_equal(r.trace[3].samples, 0);
    assert_true(r.trace[0].samples >= r.trace[1].samples + r.trace[4].samples);
    toc_promql_result_fini(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instant_keeps_the_order_of_its_last_operator),
        cmocka_unit_test(a_range_is_sorted_by_labels),
        cmocka_unit_test(a_large_result_has_its_labels_until_it_ends),
        cmocka_unit_test(a_small_result_lets_go_of_what_was_read),
        cmocka_unit_test(samples_held_at_once_are_limited),
        cmocka_unit_test(memory_is_limited_for_results_and_for_groups),
        cmocka_unit_test(a_query_stops_when_it_is_cancelled),
        cmocka_unit_test(samples_are_counted_per_step),
        cmocka_unit_test(a_trace_tells_what_each_node_cost),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
