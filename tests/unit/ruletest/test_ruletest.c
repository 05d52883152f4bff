/* Unit tests of rules: what passes, and that each kind of disagreement fails with its reason. */
#include "unit/cmocka_prelude.h"

#include <stdio.h>

#include "base/alloc.h"
#include "ruletest/ruletest.h"

static const char g_rules[] = "groups:\n"
                              "- name: second\n"
                              "  rules:\n"
                              "  - record: b\n"
                              "    expr: a * 2\n"
                              "- name: first\n"
                              "  rules:\n"
                              "  - record: a\n"
                              "    expr: sum(m)\n"
                              "  - alert: High\n"
                              "    expr: m > 2\n"
                              "    for: 2m\n"
                              "    labels: {severity: page}\n"
                              "    annotations: {text: '{{ $labels.x }} is {{ $value }}'}\n";

static struct toc_buf g_failures;
static bool g_has_broken_rule, g_has_diff;

static int load_rules(void *ctx, struct toc_rule_files *out, struct toc_err *err) {
    (void)ctx;
    static const char broken[] =
        "groups:\n- name: broken\n  rules:\n  - record: c\n    expr: m / on() m\n";
    const char *text = g_has_broken_rule ? broken : g_rules;
    out->items = toc_xalloc(sizeof *out->items);
    out->count = 1;
    return toc_rule_file_parse(TOC_SV("rules.yml"), toc_sv_cstr(text), false, &out->items[0], err);
}

static void on_test(void *ctx, const struct toc_rule_test *t, struct toc_sv failures,
                    const struct toc_memory_querier *store) {
    (void)ctx;
    (void)t;
    (void)store;
    toc_buf_append_sv(&g_failures, failures);
}

static struct toc_ruletest_outcome run(const char *text, const struct toc_regex *names) {
    const struct toc_ruletest_options o = {
        .run = names, .has_diff = g_has_diff, .load_rules = load_rules, .on_test = on_test};
    struct toc_ruletest_outcome outcome = {0};
    struct toc_rule_test_file *file = NULL;
    struct toc_err err = {0};
    toc_buf_reset(&g_failures);
    if (toc_rule_test_file_parse(toc_sv_cstr(text), false, &file, &err) < 0)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    toc_ruletest_run(file, &o, &outcome);
    toc_rule_test_file_free(&file);
    return outcome;
}

static void passes(const char *text) {
    struct toc_ruletest_outcome o = run(text, NULL);
    if (o.failed || !o.passed)
        fail_msg("%s", toc_buf_cstr(&g_failures));
}

static void fails(const char *text, const char *why) {
    struct toc_ruletest_outcome o = run(text, NULL);
    assert_int_equal(o.failed, 1);
    if (!strstr(toc_buf_cstr(&g_failures), why))
        fail_msg("got %s, wanted %s", toc_buf_cstr(&g_failures), why);
}

static void refuses(const char *text, int line, const char *why) {
    struct toc_rule_test_file *file = NULL;
    struct toc_err err = {0};
    assert_true(toc_rule_test_file_parse(toc_sv_cstr(text), false, &file, &err) < 0);
    assert_int_equal(err.line, line);
    if (!strstr(err.message, why))
        fail_msg("got %s, wanted %s", err.message, why);
}

#define INPUT                                                \
    "tests:\n- name: one\n  interval: 1m\n  input_series:\n" \
    "  - {series: 'm{x=\"y\"}', values: '1 2 3 4 5 6 _ stale'}\n"

static void alerts_fire_after_their_time(void **state) {
    (void)state;
    passes(INPUT "  alert_rule_test:\n"
                 "  - {eval_time: 3m, alertname: High}\n"
                 "  - eval_time: 4m30s\n"
                 "    alertname: High\n"
                 "    exp_alerts:\n"
                 "    - exp_labels: {x: y, severity: page}\n"
                 "      exp_annotations: {text: y is 5}\n"
                 "  - {eval_time: 7m, alertname: High, exp_alerts: []}\n");
    fails(INPUT "  alert_rule_test:\n  - {eval_time: 4m, alertname: High}\n",
          "alertname: High, time: 4m,\n    exp:[]\n    got:\n        Labels:{alertname=\"High\"");
    fails(INPUT "  alert_rule_test:\n  - {eval_time: 4m}\n", "misses required attribute alertname");
}

static void expressions_see_rules_and_series(void **state) {
    (void)state;
    passes(INPUT "  promql_expr_test:\n"
                 "  - {expr: a, eval_time: 1m, exp_samples: [{labels: a, value: 2}]}\n"
                 "  - {expr: 'count(ALERTS)', eval_time: 3m, exp_samples: [{value: 1}]}\n"
                 "  - {expr: 'time()', eval_time: 3m, exp_samples: [{value: 180}]}\n"
                 "  - {expr: 'm', eval_time: 7m, exp_samples: []}\n");
    fails(INPUT "  promql_expr_test:\n"
                "  - {expr: a, eval_time: 1m, exp_samples: [{labels: a, value: 2.1}]}\n",
          "name: one,\nexpr: \"a\", time: 1m,\n    exp:\n        a 2.1\n    got:\n        a 2");
    fails(INPUT "  promql_expr_test:\n  - {expr: 'm[', eval_time: 1m}\n", "err: ");
    fails(INPUT "  promql_expr_test:\n  - {expr: m, exp_samples: [{labels: 'm{'}]}\n", "labels");
    fails("tests:\n- input_series: [{series: 'm{', values: 1}]\n", "m{: expected a label name");
    g_has_diff = true;
    fails(INPUT "  promql_expr_test:\n"
                "  - {expr: a, eval_time: 1m, exp_samples: [{labels: a, value: 3}]}\n",
          "diff (-expected +got):\n        - a 3\n        + a 2");
    g_has_diff = false;
}

/* `b` reads `a`, which stands behind it in the file: one evaluation late unless told otherwise. */
static void groups_run_in_the_order_asked_for(void **state) {
    (void)state;
    static const char rest[] =
        "  promql_expr_test:\n"
        "  - {expr: b, eval_time: 1m, exp_samples: [{labels: b, value: 4}]}\n";
    char text[600];
    (void)snprintf(text, sizeof text, "group_eval_order: [first, second]\n%s%s", INPUT, rest);
    passes(text);
    (void)snprintf(text, sizeof text, "%s%s", INPUT, rest);
    fails(text, "b 2");
}

static void start_and_external_values_are_set(void **state) {
    (void)state;
    passes("evaluation_interval: 30s\ntests:\n- start_timestamp: \"2024-01-01T00:00:00Z\"\n"
           "  promql_expr_test:\n  - {expr: 'time()', exp_samples: [{value: 1704067200}]}\n"
           "- start_timestamp: 100\n"
           "  input_series: [{series: m, values: '7x3'}]\n"
           "  promql_expr_test:\n"
           "  - {expr: 'm @ 130', eval_time: 30s, exp_samples: [{labels: m, value: 7}]}\n"
           "  - {expr: 'timestamp(m)', eval_time: 30s, exp_samples: [{value: 130}]}\n");
}

static void fuzzy_values_may_differ_by_one_unit(void **state) {
    (void)state;
#define CHECK                                                               \
    "tests:\n- input_series: [{series: m, values: '2.9999999999999996'}]\n" \
    "  promql_expr_test: [{expr: m, exp_samples: [{labels: m, value: 3}]}]\n"
    passes("fuzzy_compare: true\n" CHECK);
    fails(CHECK, "exp:\n        m 3\n    got:\n        m 2.9999999999999996");
}

static void a_failing_rule_ends_the_test(void **state) {
    (void)state;
    g_has_broken_rule = true;
    fails("tests:\n- input_series:\n  - {series: 'm{a=\"1\"}', values: 1}\n"
          "  - {series: 'm{a=\"2\"}', values: 1}\n",
          "rule: c, time: 0s, err: ");
    g_has_broken_rule = false;
}

static void only_named_tests_run(void **state) {
    (void)state;
    struct toc_regex *re = NULL;
    assert_int_equal(toc_regex_new(TOC_SV("^b"), TOC_REGEX_SEARCH, &re, NULL), 0);
    struct toc_ruletest_outcome o = run("tests: [{name: abc}, {name: bc}, {}]\n", re);
    assert_int_equal(o.passed + o.failed, 1);
    toc_regex_free(&re);
}

static void files_are_read_strictly(void **state) {
    (void)state;
    refuses("tests:\n- promql_expr_tests: []\n", 2, "promql_expr_tests");
    refuses("group_eval_order: [a, b, a]\n", 1, "group name repeated in evaluation order: a");
    refuses("tests:\n- start_timestamp: soon\n", 2, "start_timestamp");
    refuses("tests:\n- promql_expr_test: [{exp_samples: [{value: x}]}]\n", 2, "number");
    struct toc_rule_test_file *file = NULL;
    assert_int_equal(toc_rule_test_file_parse(TOC_SV("owner: me\n"), true, &file, NULL), 0);
    toc_rule_test_file_free(&file);
}

static void junit_holds_every_case(void **state) {
    (void)state;
    struct toc_junit_case cases[] = {{TOC_SV("a"), TOC_SV("")},
                                     {TOC_SV("b<"), TOC_SV("x & \"y\"\n")}};
    struct toc_junit_suite suite = {TOC_SV("f.yml"), cases, 2};
    struct toc_buf out = TOC_BUF_INIT;
    toc_junit_write(&suite, 1, &out);
    assert_string_equal(toc_buf_cstr(&out),
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
                        "  <testsuite name=\"f.yml\" tests=\"2\" failures=\"1\" errors=\"0\">\n"
                        "    <testcase name=\"a\"></testcase>\n"
                        "    <testcase name=\"b&#60;\">\n"
                        "      <failure>x &#38; &#34;y&#34;&#xa;</failure>\n    </testcase>\n"
                        "  </testsuite>\n</testsuites>\n");
    toc_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alerts_fire_after_their_time),
        cmocka_unit_test(expressions_see_rules_and_series),
        cmocka_unit_test(groups_run_in_the_order_asked_for),
        cmocka_unit_test(start_and_external_values_are_set),
        cmocka_unit_test(fuzzy_values_may_differ_by_one_unit),
        cmocka_unit_test(a_failing_rule_ends_the_test),
        cmocka_unit_test(only_named_tests_run),
        cmocka_unit_test(files_are_read_strictly),
        cmocka_unit_test(junit_holds_every_case),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    toc_buf_fini(&g_failures);
    return failed;
}
