/* Parser and printer: a table of expressions, fixed points, long lines, limits. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "promql/ast_json.h"
#include "promql/promql.h"

enum { PLAIN = 0, ALL = TOC_PROMQL_ALL_FEATURES };

static const struct {
    unsigned features;
    const char *text, *wanted;
} g_cases[] = {
#include "parse_cases.h"
};
enum { CASE_COUNT = sizeof g_cases / sizeof g_cases[0] };

/* The canonical text, or "! LINE:COLUMN: TEXT". */
static void text_of(struct toc_sv text, unsigned features, bool pretty, struct toc_buf *out) {
    struct toc_promql_expr *e = NULL;
    struct toc_err err = {0};
    toc_buf_reset(out);
    if (toc_promql_parse_with(text, features, &e, &err) == 0)
        toc_promql_format(e, pretty, out);
    else if (err.line)
        toc_buf_printf(out, "! %d:%d: %s", err.line, err.column, err.message);
    else
        toc_buf_printf(out, "! unknown position: %s", err.message);
    toc_promql_expr_free(&e);
}

static void every_expression_has_its_text(void **state) {
    (void)state;
    struct toc_buf got = TOC_BUF_INIT;
    size_t wrong = 0;
    for (size_t i = 0; i < CASE_COUNT; i++) {
        const char *wanted = g_cases[i].wanted;
        wanted = strcmp(wanted, "=") == 0 ? g_cases[i].text : wanted;
        text_of(toc_sv_cstr(g_cases[i].text), g_cases[i].features, false, &got);
        /* the table holds the pretty text, which for what fits on one line is the same */
        if (strcmp(toc_buf_cstr(&got), wanted) == 0)
            continue;
        wrong++;
        printf("%s\n  got    %s\n  wanted %s\n", g_cases[i].text, toc_buf_cstr(&got), wanted);
    }
    toc_buf_fini(&got);
    assert_int_equal(wrong, 0);
    assert_true(CASE_COUNT >= 500);
}

static void canonical_text_is_a_fixed_point(void **state) {
    (void)state;
    struct toc_buf once = TOC_BUF_INIT, twice = TOC_BUF_INIT, pretty = TOC_BUF_INIT;
    size_t checked = 0;
    for (size_t i = 0; i < CASE_COUNT; i++) {
        text_of(toc_sv_cstr(g_cases[i].text), g_cases[i].features, false, &once);
        if (once.p[0] == '!')
            continue;
        text_of(toc_sv_cstr(g_cases[i].text), g_cases[i].features, true, &pretty);
        text_of(toc_buf_sv(&once), g_cases[i].features, false, &twice);
        assert_string_equal(toc_buf_cstr(&twice), toc_buf_cstr(&once));
        text_of(toc_buf_sv(&pretty), g_cases[i].features, false, &twice);
        assert_string_equal(toc_buf_cstr(&twice), toc_buf_cstr(&once));
        checked++;
    }
    assert_true(checked >= 250);
    toc_buf_fini(&once);
    toc_buf_fini(&twice);
    toc_buf_fini(&pretty);
}

#define ONE "really_long_metric_name_number_one{label=\"value_one\"}"
#define TWO "really_long_metric_name_number_two{label=\"value_two\"}"

static void long_expressions_are_broken_into_lines(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {ONE " + " TWO, "  " ONE "\n+\n  " TWO},
        {"topk by (x) (5, " ONE " + " TWO ")",
         "topk by (x) (\n  5,\n    " ONE "\n  +\n    " TWO "\n)"},
        {"-(" ONE " + " TWO ")", "-(\n    " ONE "\n  +\n    " TWO "\n)"},
        {ONE " > bool on (a, b) group_left (c) " TWO,
         "  " ONE "\n> bool on (a, b) group_left (c)\n  " TWO},
        {"a + " ONE " + " TWO " * 5", "  a + " ONE "\n+\n  " TWO " * 5"},
        {"label_replace(" ONE ", \"destination\", \"$1\", \"source_label\", \"(.*):.*\")",
         "label_replace(\n  " ONE
         ",\n  \"destination\",\n  \"$1\",\n  \"source_label\",\n  \"(.*):.*\"\n)"},
        {"max_over_time((" ONE " + " TWO ")[10m:1m])",
         "max_over_time(\n  (\n      " ONE "\n    +\n      " TWO "\n  )[10m:1m]\n)"},
    };
    struct toc_buf got = TOC_BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        text_of(toc_sv_cstr(cases[i][0]), PLAIN, true, &got);
        assert_string_equal(toc_buf_cstr(&got), cases[i][1]);
    }
    toc_buf_fini(&got);
}

/* ------------------------------------------------------------------------------------- limits */

static void repeated(const char *text, size_t count, struct toc_buf *out) {
    toc_buf_reset(out);
    for (size_t i = 0; i < count; i++)
        toc_buf_append_cstr(out, text);
}

static void nesting_and_length_are_bounded(void **state) {
    (void)state;
    static const struct {
        const char *unit, *error;
        size_t count;
    } cases[] = {
        {"(", "! 1:257: the expression is nested deeper than 256 levels", 100000},
        {"abs(", "! 1:1025: the expression is nested deeper than 256 levels", 100000},
        {"-", "! 1:257: the expression is nested deeper than 256 levels", 100000},
        {"a + ", "operators in a row", 100000},
        {"a or ", "operators in a row", 100000},
        {"a[(", "! 1:4: unexpected character in duration expression: 'a'", 100000},
        {"a ^ ", "nested deeper than 256", 100000},
        {"{a=~\"b\"} + ", "more than 1000 regular expressions", 50000},
        {"\xff", "! 1:1: unexpected character: '\xef\xbf\xbd'", 1000},
    };
    struct toc_buf text = TOC_BUF_INIT, got = TOC_BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        repeated(cases[i].unit, cases[i].count, &text);
        text_of(toc_buf_sv(&text), PLAIN, false, &got);
        if (!strstr(toc_buf_cstr(&got), cases[i].error))
            fail_msg("%s: %s", cases[i].unit, toc_buf_cstr(&got));
    }
    repeated("a", (1 << 20) + 1, &text);
    text_of(toc_buf_sv(&text), PLAIN, false, &got);
    assert_non_null(strstr(toc_buf_cstr(&got), "larger than 1 MiB"));
    toc_buf_fini(&text);
    toc_buf_fini(&got);
}

/* A parsed tree may be as deep as the limit allows; everything that walks it must bear that. */
static void the_deepest_tree_is_printed_and_parsed_again(void **state) {
    (void)state;
    struct toc_buf text = TOC_BUF_INIT, once = TOC_BUF_INIT, twice = TOC_BUF_INIT;
    repeated("a + ", 999, &text);
    toc_buf_append_cstr(&text, "a");
    text_of(toc_buf_sv(&text), PLAIN, true, &once);
    assert_int_equal(once.p[0], ' ');
    text_of(toc_buf_sv(&text), PLAIN, false, &twice);
    assert_string_equal(toc_buf_cstr(&twice), toc_buf_cstr(&text));
    toc_buf_fini(&text);
    toc_buf_fini(&once);
    toc_buf_fini(&twice);
}

/* ---------------------------------------------------------------------------------- tree as JSON
 */

static void the_tree_is_written_as_json(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"1.5", "{\"type\":\"numberLiteral\",\"val\":\"1.5\"}"},
        {"-a",
         "{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\","
         "\"value\":\"a\"}],\"name\":\"a\",\"offset\":0,\"smoothed\":false,\"startOrEnd\":null,"
         "\"timestamp\":null,\"type\":\"vectorSelector\"},\"op\":\"-\",\"type\":\"unaryExpr\"}"},
        {"(\"x\")", "{\"expr\":{\"type\":\"stringLiteral\",\"val\":\"x\"},\"type\":\"parenExpr\"}"},
    };
    struct toc_buf got = TOC_BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct toc_promql_expr *e = NULL;
        assert_int_equal(toc_promql_parse(toc_sv_cstr(cases[i][0]), &e, NULL), 0);
        toc_buf_reset(&got);
        toc_promql_write_ast(e, &got);
        assert_string_equal(toc_buf_cstr(&got), cases[i][1]);
        toc_promql_expr_free(&e);
    }
    toc_buf_fini(&got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_expression_has_its_text),
        cmocka_unit_test(canonical_text_is_a_fixed_point),
        cmocka_unit_test(long_expressions_are_broken_into_lines),
        cmocka_unit_test(nesting_and_length_are_bounded),
        cmocka_unit_test(the_deepest_tree_is_printed_and_parsed_again),
        cmocka_unit_test(the_tree_is_written_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
