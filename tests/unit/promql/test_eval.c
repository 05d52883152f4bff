/* Expressions over known series: values, matching, errors, canonical text. */
#include "../cmocka_prelude.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "promql/memory_querier.h"
#include "promql/promql.h"

static struct toc_memory_querier g_q;

static void add(const char *name, const char *job, const char *le, int64_t t_s, double v) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(name));
    toc_labels_builder_set(&b, TOC_SV("job"), toc_sv_cstr(job));
    toc_labels_builder_set(&b, TOC_SV("le"), toc_sv_cstr(le));
    toc_memory_querier_add(&g_q, toc_labels_builder_finish(&b), t_s * 1000, v);
    toc_labels_builder_fini(&b);
}

static int set_up(void **state) {
    (void)state;
    toc_memory_querier_init(&g_q);
    for (int i = 0; i <= 20; i++) {
        add("requests_total", "api", "", i * 30, i * 15.0);
        add("requests_total", "web", "", i * 30, i < 10 ? i * 30.0 : (i - 10) * 30.0);
        add("load", "api", "", i * 30, i % 2 ? 4 : 2);
        add("load", "web", "", i * 30, 10);
        add("limit", "api", "", i * 30, 3);
        add("latency_bucket", "api", "0.1", i * 30, i * 5.0);
        add("latency_bucket", "api", "0.5", i * 30, i * 9.0);
        add("latency_bucket", "api", "+Inf", i * 30, i * 10.0);
    }
    add("gone", "api", "", 540, 1);
    add("gone", "api", "", 570, toc_stale_nan());
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    toc_memory_querier_fini(&g_q);
    return 0;
}

/* "{labels} value" per line, sorted, or the error's text. */
static void evaluate(const char *text, int64_t at_s, struct toc_buf *out) {
    struct toc_promql_expr *expr = NULL;
    struct toc_err err = {0};
    struct toc_promql_options o = {.querier = &g_q.querier};
    struct toc_promql_result r = {0};
    if (toc_promql_parse(toc_sv_cstr(text), &expr, &err) < 0 ||
        toc_promql_instant(expr, &o, at_s * 1000, &r, &err) < 0) {
        toc_buf_printf(out, "error %d:%d %s", err.line, err.column, err.message);
    } else if (r.type == TOC_PROMQL_SCALAR) {
        toc_format_f64(round(r.scalar * 1e9) / 1e9, out);
    } else if (r.type == TOC_PROMQL_STRING) {
        toc_buf_append_sv(out, r.string);
    }
    for (size_t i = 0; i < r.series_count; i++) {
        if (i)
            toc_buf_append_char(out, '|');
        toc_labels_format(r.series[i].labels, out);
        toc_buf_append_char(out, ' ');
        toc_format_f64(round(r.series[i].points[0].value * 1e9) / 1e9, out);
    }
    toc_promql_result_fini(&r);
    toc_promql_expr_free(&expr);
}

static void expect(const char *text, const char *wanted) {
    struct toc_buf got = TOC_BUF_INIT;
    evaluate(text, 600, &got);
    if (strcmp(toc_buf_cstr(&got), wanted) != 0)
        fail_msg("%s\n got    %s\n wanted %s", text, toc_buf_cstr(&got), wanted);
    toc_buf_fini(&got);
}

static void selectors_and_windows(void **state) {
    (void)state;
    expect("load{job=\"api\"}", "load{job=\"api\"} 2");
    expect("load{job=~\"a.*\"} offset 30s", "load{job=\"api\"} 4");
    expect("load{job=\"api\"} @ 30", "load{job=\"api\"} 4");
    expect("{\"load\", job!=\"api\"}", "load{job=\"web\"} 10");
    expect("gone", "");
    expect("last_over_time(gone[5m])", "gone{job=\"api\"} 1");
    expect("rate(requests_total{job=\"api\"}[5m])", "{job=\"api\"} 0.5");
    expect("increase(requests_total{job=\"web\"}[10m])", "{job=\"web\"} 568.421052632");
    expect("resets(requests_total[10m])", "{job=\"api\"} 0|{job=\"web\"} 1");
    expect("changes(load[5m])", "{job=\"api\"} 9|{job=\"web\"} 0");
    expect("avg_over_time(load{job=\"api\"}[2m])", "{job=\"api\"} 3");
    expect("stddev_over_time(load{job=\"api\"}[2m])", "{job=\"api\"} 1");
    expect("quantile_over_time(0.5, load{job=\"api\"}[2m])", "{job=\"api\"} 3");
    expect("max_over_time(rate(requests_total{job=\"api\"}[1m])[5m:1m])", "{job=\"api\"} 0.5");
    expect("deriv(requests_total{job=\"api\"}[5m])", "{job=\"api\"} 0.5");
    expect("predict_linear(requests_total{job=\"api\"}[5m], 60)", "{job=\"api\"} 330");
    expect("count_over_time(load{job=\"api\"}[1m])", "{job=\"api\"} 2");
}

static void arithmetic_and_matching(void **state) {
    (void)state;
    expect("1 + 2 * 3 ^ 2", "19");
    expect("-1 ^ 2", "-1");
    expect("2 ^ 3 ^ 2", "512");
    expect("1h30m", "5400");
    expect("load > 5", "load{job=\"web\"} 10");
    expect("load > bool 5", "{job=\"api\"} 0|{job=\"web\"} 1");
    expect("load / on (job) limit", "{job=\"api\"} 0.666666667");
    expect("load > on (job) limit", "");
    expect("load and on (job) limit", "load{job=\"api\"} 2");
    expect("load unless on (job) limit", "load{job=\"web\"} 10");
    expect("limit or load", "limit{job=\"api\"} 3|load{job=\"web\"} 10");
    expect("load * on () group_left limit", "{job=\"api\"} 6|{job=\"web\"} 30");
    expect("limit * on () load",
           "error 0:0 found duplicate series for the match group {} on the right "
           "hand-side of the operation: [{__name__=\"load\", job=\"web\"}, "
           "{__name__=\"load\", job=\"api\"}];many-to-many matching not allowed: matching "
           "labels must be unique on one side");
    expect("10 % 3 + 7 / 2", "4.5");
    expect("-load{job=\"api\"}", "{job=\"api\"} -2");
}

static void aggregations_and_functions(void **state) {
    (void)state;
    expect("sum(load)", "{} 12");
    expect("avg by (job) (load)", "{job=\"api\"} 2|{job=\"web\"} 10");
    expect("max without (job) (load)", "{} 10");
    expect("topk(1, load)", "load{job=\"web\"} 10");
    expect("bottomk(1, load)", "load{job=\"api\"} 2");
    expect("quantile(0.5, load)", "{} 6");
    expect("count_values(\"v\", load)", "{v=\"2\"} 1|{v=\"10\"} 1");
    expect("stdvar(load)", "{} 16");
    expect("histogram_quantile(0.9, rate(latency_bucket[5m]))", "{job=\"api\"} 0.5");
    expect("histogram_quantile(0.5, latency_bucket)", "{job=\"api\"} 0.1");
    expect("clamp(load, 3, 9)", "{job=\"api\"} 3|{job=\"web\"} 9");
    expect("round(vector(2.5))", "{} 3");
    expect("label_replace(limit, \"x\", \"$1-y\", \"job\", \"(.*)\")",
           "limit{job=\"api\", x=\"api-y\"} 3");
    expect("label_join(limit, \"x\", \"-\", \"job\", \"job\")",
           "limit{job=\"api\", x=\"api-api\"} 3");
    expect("absent(nothing{a=\"b\"})", "{a=\"b\"} 1");
    expect("absent(load)", "");
    expect("absent_over_time({__name__=~\"load|limit\",job=\"api\"}[5m])", "");
    expect("scalar(limit)", "3");
    expect("time()", "600");
    expect("timestamp(limit)", "{job=\"api\"} 600");
    expect("hour(vector(7200))", "{} 2");
    expect("year()", "{} 1970");
    expect("sort_desc(load)", "load{job=\"web\"} 10|load{job=\"api\"} 2");
    expect("\"text\"", "text");
}

static void errors_say_where_and_what(void **state) {
    (void)state;
    expect("ratee(x[5m])", "error 1:1 unknown function with name \"ratee\"");
    assert_string_equal(toc_promql_suggest("unknown function with name \"ratee\""), "rate");
    assert_null(toc_promql_suggest("unknown function with name \"something_else\""));
    assert_null(toc_promql_suggest("unexpected \"ratee\""));
    expect("rate(load)",
           "error 1:6 expected type range vector in call to function \"rate\", got instant vector");
    expect("sum(", "error 1:5 unclosed left parenthesis");
    expect("1 > 2", "error 1:3 comparisons between scalars must use BOOL modifier");
    expect("{a=\"\"}", "error 1:1 vector selector must contain at least one non-empty matcher");
    expect("load{a=~\"(\"}", "error 1:6 error parsing regexp: missing closing ): `^(?s:()$`");
    expect("load\n  $", "error 2:3 unexpected character: '$'");
    expect("", "error 0:0 no expression found in input");
    expect("rate(load[5m]) + requests_total[5m]",
           "error 1:18 binary expression must contain only scalar and instant vector types");
}

static void formatting_is_canonical(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"sum(rate(x{a=\"b\"}[5m]))by(job)", "sum by (job) (rate(x{a=\"b\"}[5m]))"},
        {"a+on(x)group_left(y)b", "a + on (x) group_left (y) b"},
        {"x[1h:] offset -5m", "x[1h:] offset -5m"},
        {"x offset -5m ^ y", "x offset -5m ^ y"},
        {"{\"a.b\",c!~\"d\"}@start()", "{__name__=\"a.b\",c!~\"d\"} @ start()"},
        {"- (1+2)", "-(1 + 2)"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct toc_promql_expr *e = NULL;
        struct toc_err err = {0};
        struct toc_buf out = TOC_BUF_INIT;
        assert_int_equal(toc_promql_parse(toc_sv_cstr(texts[i][0]), &e, &err), 0);
        toc_promql_format(e, false, &out);
        assert_string_equal(toc_buf_cstr(&out), texts[i][1]);
        toc_buf_fini(&out);
        toc_promql_expr_free(&e);
    }
}

static void thresholds_are_found(void **state) {
    (void)state;
    struct toc_promql_expr *e = NULL;
    struct toc_promql_threshold t;
    assert_int_equal(toc_promql_parse(TOC_SV("(rate(x[5m]) > -0.5)"), &e, NULL), 0);
    toc_promql_threshold(e, &t);
    assert_true(t.is_set);
    assert_string_equal(t.op, ">");
    assert_true(t.threshold == -0.5);
    assert_string_equal(toc_buf_cstr(&t.left_text), "rate(x[5m])");
    toc_buf_fini(&t.left_text);
    toc_promql_expr_free(&e);
}

/* A range query gives at each step what an instant query gives at its time. */
static void ranges_agree_with_instants(void **state) {
    (void)state;
    static const char *const texts[] = {"rate(requests_total[2m])",
                                        "load > 3",
                                        "sum(load) by (job)",
                                        "topk(1, load)",
                                        "requests_total / on (job) load",
                                        "max_over_time(load[3m:1m])",
                                        "absent(load > 5)"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct toc_promql_expr *e = NULL;
        struct toc_promql_options o = {.querier = &g_q.querier};
        struct toc_promql_result range, instant;
        assert_int_equal(toc_promql_parse(toc_sv_cstr(texts[i]), &e, NULL), 0);
        assert_int_equal(toc_promql_range(e, &o, 60000, 900000, 45000, &range, NULL), 0);
        size_t seen = 0, total = 0;
        for (int64_t t = 60000; t <= 900000; t += 45000) {
            assert_int_equal(toc_promql_instant(e, &o, t, &instant, NULL), 0);
            for (size_t k = 0; k < instant.series_count; k++)
                for (size_t s = 0; s < range.series_count; s++)
                    for (size_t p = 0; p < range.series[s].count; p++)
                        seen += range.series[s].points[p].t_ms == t &&
                                toc_labels_eq(range.series[s].labels, instant.series[k].labels) &&
                                fabs(range.series[s].points[p].value -
                                     instant.series[k].points[0].value) < 1e-12;
            total += instant.series_count;
            toc_promql_result_fini(&instant);
        }
        size_t points = 0;
        for (size_t s = 0; s < range.series_count; s++)
            points += range.series[s].count;
        assert_int_equal(seen, total);
        assert_int_equal(points, total);
        toc_promql_result_fini(&range);
        toc_promql_expr_free(&e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors_and_windows),      cmocka_unit_test(arithmetic_and_matching),
        cmocka_unit_test(aggregations_and_functions), cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(formatting_is_canonical),    cmocka_unit_test(thresholds_are_found),
        cmocka_unit_test(ranges_agree_with_instants),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
