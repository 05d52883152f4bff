/* Test files that pass, and that every kind of disagreement is found. */
#include "unit/cmocka_prelude.h"

#include <stdio.h>

#include "base/buf.h"
#include "promqltest/load.h"
#include "promqltest/runner.h"

static struct toc_buf g_why;

static void keep(void *ctx, int line, struct toc_sv expr, struct toc_sv why) {
    (void)ctx;
    if (why.n)
        toc_buf_printf(&g_why, "%d: %.*s: %.*s\n", line, TOC_SV_ARG(expr), TOC_SV_ARG(why));
}

static struct toc_promqltest_outcome run(const char *text) {
    struct toc_promqltest_options o = {.features = TOC_PROMQLTEST_FEATURES, .on_result = keep};
    struct toc_promqltest_outcome outcome = {0};
    struct toc_test_script *s = NULL;
    struct toc_err err = {0};
    toc_buf_reset(&g_why);
    if (toc_test_script_parse(toc_sv_cstr(text), &s, &err) < 0)
        fail_msg("line %d: %s", err.line, err.message);
    toc_promqltest_run(s, &o, &outcome);
    toc_test_script_free(&s);
    return outcome;
}

static void passes(const char *text, size_t count) {
    struct toc_promqltest_outcome o = run(text);
    if (o.failed)
        fail_msg("%s", toc_buf_cstr(&g_why));
    assert_int_equal(o.passed, count);
}

/* One eval fails, at this line and with a text that contains this. */
static void fails(const char *text, const char *why) {
    struct toc_promqltest_outcome o = run(text);
    assert_int_equal(o.failed, 1);
    if (!strstr(toc_buf_cstr(&g_why), why))
        fail_msg("got %s, wanted %s", toc_buf_cstr(&g_why), why);
}

static void refuses(const char *text, int line, const char *why) {
    struct toc_test_script *s = NULL;
    struct toc_err err = {0};
    assert_true(toc_test_script_parse(toc_sv_cstr(text), &s, &err) < 0);
    assert_int_equal(err.line, line);
    if (!strstr(err.message, why))
        fail_msg("got %s, wanted %s", err.message, why);
}

#define LOAD "load 1m\n  m{a=\"x\"} 0+1x10\n  m{a=\"y\"} 0+2x10\n\n"

static void agreement_passes(void **state) {
    (void)state;
    passes(LOAD
           "eval instant at 5m m\n  m{a=\"y\"} 10\n  m{a=\"x\"} 5\n\n"
           "eval range from 1m to 3m step 1m sum(m)\n  {} 3 6 9\n\n"
           "eval instant at 0 1 + 1\n  2\n\n"
           "eval instant at 0 \"a\"\n  expect string `a`\n\n"
           "eval instant at 5m sort_desc(m)\n  expect ordered\n  m{a=\"y\"} 10\n  m{a=\"x\"} 5\n\n"
           "eval instant at 3m m{a=\"x\"}[2m]\n"
           "  expect range vector from 2m to 3m step 1m\n  m{a=\"x\"} 2 3\n\n"
           "eval instant at 5m m + on(a) group_left() m{a=\"x\"} \n  {a=\"x\"} 10\n",
           7);
}

static void loads_add_up_and_clear_empties(void **state) {
    (void)state;
    passes("load 1m\n  m 1 2\n\nload 1m\n  m _ _ 3\n\n"
           "eval instant at 2m count_over_time(m[10m])\n  {} 3\n\nclear\n\n"
           "eval instant at 2m m\n",
           2);
}

static void every_disagreement_is_found(void **state) {
    (void)state;
    fails(LOAD "eval instant at 5m m\n  m{a=\"x\"} 5\n", "5: m: unexpected series: m{a=\"y\"} 10");
    fails(LOAD "eval instant at 5m m{a=\"x\"}\n  m{a=\"x\"} 5.1\n", "got m{a=\"x\"} 5");
    fails(LOAD "eval instant at 5m m{a=\"z\"}\n  m{a=\"z\"} 5\n", "got no such series");
    fails(LOAD "eval instant at 5m sort(m)\n  expect ordered\n  m{a=\"y\"} 10\n  m{a=\"x\"} 5\n",
          "expected at position 2, came at 1");
    fails(LOAD "eval instant at 5m m\n  7\n", "expected a result of type scalar");
    fails(LOAD "eval instant at 5m 1\n  2\n", "expected 2, got 1");
    fails(LOAD "eval instant at 5m m\n  expect fail\n", "expected a failure, got a result");
    fails(LOAD "eval instant at 5m m / on() m\n", "the query failed: ");
    fails(LOAD "eval instant at 5m m / on() m\n  expect fail msg: no\n",
          "expected the failure: no");
    fails(LOAD "eval instant at 5m m{a=\"x\"}\n  expect warn\n  m{a=\"x\"} 5\n",
          "expected warning");
    fails(LOAD "eval range from 1m to 2m step 1m m{a=\"x\"}\n  m{a=\"x\"} 1 2 3\n",
          "more points expected");
    fails(LOAD "eval range from 1m to 2m step 1m m{a=\"x\"}\n  m{a=\"x\"} 1 _\n", "got m{a=\"x\"}");
    fails(LOAD "eval instant at 5m m(\n", "does not parse");
    fails("load_with_nhcb 1m\n  h_bucket{le=\"1\"} 5\n  h_bucket{le=\"2\"} 3\n", "not cumulative");
}

static void refuses_what_is_no_language(void **state) {
    (void)state;
    refuses("\nlod 5m\n", 2, "invalid command \"lod\"");
    refuses("load x\n", 1, "invalid step");
    refuses("load 1m\n  m 1 2y\n", 2, "unexpected text");
    refuses("load 1m\n  m@st 0\n", 2, "@st line has no following sample line");
    refuses("load 1m\n  m@st 0\n  n 1\n", 3, "@st metric does not match");
    refuses("load 1m\n  m@st 0 0\n  m 1\n", 3, "@st line has 2 values but sample line has 1");
    refuses("eval instant at 1m m\n  m 1 2\n", 2, "expecting multiple values");
    refuses("eval instant at 1m m\n  expect warn\n  expect no_warn\n", 3, "both expected");
    refuses("eval instant at 1m m\n  expect fail\n  expect fail\n", 3, "twice");
    refuses("eval instant at 1m m\n  expect nothing\n", 2, "unknown expectation");
    refuses("eval range from 2m to 1m step 1m m\n", 1, "ends before");
    refuses("eval instant at 1m m\n  expect fail regex:(\n", 2, "invalid expression");
}

static void classic_histograms_become_native(void **state) {
    (void)state;
    struct toc_test_script *s = NULL;
    struct toc_memory_querier store;
    struct toc_label pairs[] = {{TOC_METRIC_NAME, TOC_SV("h")}, {TOC_SV("a"), TOC_SV("b")}};
    assert_int_equal(toc_test_script_parse(TOC_SV("load_with_nhcb 1m\n"
                                                  "  h_bucket{le=\"1\",a=\"b\"} 1\n"
                                                  "  h_bucket{le=\"2.5\",a=\"b\"} 3\n"
                                                  "  h_bucket{le=\"+Inf\",a=\"b\"} 4\n"
                                                  "  h_sum{a=\"b\"} 9\n"),
                                           &s, NULL),
                     0);
    toc_memory_querier_init(&store);
    assert_int_equal(toc_test_load_apply(&s->items[0].load, 0, &store, NULL), 0);
    const struct toc_memory_series *series =
        toc_memory_querier_find(&store, (struct toc_labels){pairs, 2});
    assert_non_null(series);
    const struct toc_histogram *h = series->histograms.items[0];
    assert_true(h->count == 4 && h->sum == 9 && h->custom_bound_count == 2);
    assert_true(h->custom_bounds[1] == 2.5 && h->positive.size == 3 && h->positive.count[1] == 2);
    toc_memory_querier_fini(&store);
    toc_test_script_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement_passes),
        cmocka_unit_test(loads_add_up_and_clear_empties),
        cmocka_unit_test(every_disagreement_is_found),
        cmocka_unit_test(refuses_what_is_no_language),
        cmocka_unit_test(classic_histograms_become_native),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    toc_buf_fini(&g_why);
    return failed;
}
