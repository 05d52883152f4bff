/* The syntax tree in the form that query builders read. */
#include "../cmocka_prelude.h"

#include "promql/ast_json.h"

static void expect(const char *text, const char *wanted) {
    struct toc_promql_expr *e = NULL;
    struct toc_err err = {0};
    struct toc_buf out = TOC_BUF_INIT;
    if (toc_promql_parse_with(toc_sv_cstr(text), TOC_PROMQL_ALL_FEATURES, &e, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    toc_promql_write_ast(e, &out);
    assert_string_equal(toc_buf_cstr(&out), wanted);
    toc_buf_fini(&out);
    toc_promql_expr_free(&e);
}

static void literals_keep_their_values(void **state) {
    (void)state;
    expect("1e-9", "{\"type\":\"numberLiteral\",\"val\":\"0.000000001\"}");
    expect("(+Inf)", "{\"expr\":{\"type\":\"numberLiteral\",\"val\":\"+Inf\"},"
                     "\"type\":\"parenExpr\"}");
    expect("\"a\\\"b\"", "{\"type\":\"stringLiteral\",\"val\":\"a\\\"b\"}");
}

#define MATCHERS(name) \
    "\"matchers\":[{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"" name "\"}]"

static void selectors_tell_range_offset_and_at(void **state) {
    (void)state;
    expect("m offset 5m @ 1.5",
           "{\"anchored\":false," MATCHERS("m") ",\"name\":\"m\",\"offset\":300000,"
                                                "\"smoothed\":false,\"startOrEnd\":null,"
                                                "\"timestamp\":1500,\"type\":\"vectorSelector\"}");
    expect("{a=~\"x|y\"}[1h] @ start()",
           "{\"anchored\":false,\"matchers\":[{\"name\":\"a\",\"type\":\"=~\",\"value\":\"x|y\"}],"
           "\"name\":\"\",\"offset\":0,\"range\":3600000,\"smoothed\":false,"
           "\"startOrEnd\":\"start\",\"timestamp\":null,\"type\":\"matrixSelector\"}");
}

static void operators_tell_their_matching(void **state) {
    (void)state;
    expect("1 > bool 2", "{\"bool\":true,\"lhs\":{\"type\":\"numberLiteral\",\"val\":\"1\"},"
                         "\"matching\":null,\"op\":\"\\u003e\","
                         "\"rhs\":{\"type\":\"numberLiteral\",\"val\":\"2\"},"
                         "\"type\":\"binaryExpr\"}");
#define SELECTOR(name)                                            \
    "{\"anchored\":false," MATCHERS(                              \
        name) ",\"name\":\"" name "\",\"offset\":0,\"smoothed\":" \
              "false,\"startOrEnd\":null,\"timestamp\":null,\"type\":\"vectorSelector\"}"
    expect(
        "a and ignoring (x) b",
        "{\"bool\":false,\"lhs\":" SELECTOR(
            "a") ",\"matching\":{\"card\":\"many-to-many\","
                 "\"fillValues\":{\"lhs\":null,\"rhs\":null},\"include\":[],\"labels\":[\"x\"],"
                 "\"on\":false},\"op\":\"and\",\"rhs\":" SELECTOR("b") ",\"type\":\"binaryExpr\"}");
    expect("topk without (l) (3, a)",
           "{\"expr\":" SELECTOR(
               "a") ",\"grouping\":[\"l\"],\"op\":\"topk\",\"param\":"
                    "{\"type\":\"numberLiteral\",\"val\":\"3\"},\"type\":\"aggregation\","
                    "\"without\":true}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_keep_their_values),
        cmocka_unit_test(selectors_tell_range_offset_and_at),
        cmocka_unit_test(operators_tell_their_matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
