/* Prices and budgets: what is refused, and that the rules they become compute what they say. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "app/costs.h"
#include "base/alloc.h"
#include "ruletest/ruletest.h"

static struct toc_costs g_costs;

static int read_costs(const char *text, struct toc_arena *a, struct toc_err *err) {
    const struct toc_yaml *root = NULL;
    toc_arena_init(a, 16 << 20);
    assert_int_equal(toc_yaml_parse(toc_sv_cstr(text), a, &root, err), 0);
    return toc_costs_read(root, a, &g_costs, err);
}

static void refuses(const char *text, const char *why) {
    struct toc_arena a;
    struct toc_err err = {0};
    assert_true(read_costs(text, &a, &err) < 0);
    if (!strstr(err.message, why))
        fail_msg("got %s, wanted %s", err.message, why);
    toc_arena_fini(&a);
}

#define PRICE "prices: [{model: '.*', input: 1, output: 2}]\n"

static void a_bad_table_is_refused_with_its_reason(void **state) {
    (void)state;
    refuses("currency: USD\n", "prices");
    refuses(PRICE, "currency");
    refuses("currency: USD\nprices: [{model: 'a(', input: 1, output: 2}]\n",
            "no regular expression");
    refuses("currency: USD\nprices: [{model: a, input: -1, output: 2}]\n", "input");
    refuses("currency: USD\nprices: [{model: a, input: 1}]\n", "output");
    refuses("currency: USD\nprices: [{model: a, input: 1, output: 1, input_cached: -0.5}]\n",
            "input_cached");
    refuses("currency: USD\nsources: [openai]\n" PRICE, "has no \"openai\"");
    refuses("currency: USD\nbudgets: [{name: x, amount: 0, per: day}]\n" PRICE, "amount");
    refuses("currency: USD\nbudgets: [{name: x, amount: 1, per: week}]\n" PRICE, "day or month");
    refuses("currency: USD\nbudgets: [{name: x, amount: 1, per: day}, {name: x, amount: 1, per: "
            "day}]\n" PRICE,
            "two budgets");
    refuses("currency: USD\ninterval: 1h\n" PRICE, "interval");
}

/* ------------------------------------------------------------------------------------- computing
 */

static struct toc_buf g_failures;

static int load_rules(void *ctx, struct toc_rule_files *out, struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    (void)ctx;
    toc_costs_rules(&g_costs, &text);
    out->items = toc_xalloc(sizeof *out->items);
    out->count = 1;
    int rc = toc_rule_file_parse(TOC_SV("costs"), toc_buf_sv(&text), false, &out->items[0], err);
    toc_buf_fini(&text);
    return rc;
}

static void on_test(void *ctx, const struct toc_rule_test *t, struct toc_sv failures,
                    const struct toc_memory_querier *store) {
    (void)ctx;
    (void)t;
    (void)store;
    toc_buf_append_sv(&g_failures, failures);
}

static void passes(const char *config, const char *test) {
    const struct toc_ruletest_options o = {.load_rules = load_rules, .on_test = on_test};
    struct toc_ruletest_outcome outcome = {0};
    struct toc_rule_test_file *file = NULL;
    struct toc_arena a;
    struct toc_err err = {0};
    if (read_costs(config, &a, &err) < 0)
        fail_msg("%s", err.message);
    toc_buf_reset(&g_failures);
    if (toc_rule_test_file_parse(toc_sv_cstr(test), false, &file, &err) < 0)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    toc_ruletest_run(file, &o, &outcome);
    toc_rule_test_file_free(&file);
    toc_arena_fini(&a);
    if (outcome.failed || !outcome.passed)
        fail_msg("%s", toc_buf_cstr(&g_failures));
    toc_buf_fini(&g_failures);
}

/* 1000 tokens a second are read, 500 of them from a cache, and 100 written. */
#define TOKENS(model, service)                                                         \
    "  - {series: 'gen_ai_span_tokens_total{direction=\"input\",model=\"" model        \
    "\",service=\"" service "\"}', values: '0+60000x2000'}\n"                          \
    "  - {series: 'gen_ai_span_tokens_total{direction=\"output\",model=\"" model       \
    "\",service=\"" service "\"}', values: '0+6000x2000'}\n"                           \
    "  - {series: 'gen_ai_span_tokens_total{direction=\"input_cached\",model=\"" model \
    "\",service=\"" service "\"}', values: '0+30000x2000'}\n"
#define HEAD(name) \
    "evaluation_interval: 1m\ntests:\n- name: " name "\n  interval: 1m\n  input_series:\n"

static const char g_two_prices[] = "currency: EUR\ninterval: 1m\nprices:\n"
                                   "- {model: 'big-.*', input: 2, output: 10, input_cached: 0.5}\n"
                                   "- {model: 'big-2|small', input: 1, output: 1}\n";

/* In millionths of the currency a second: 2*500 + 0.5*500 + 10*100; 1*1000 + 1*100. */
static void the_first_price_that_fits_counts(void **state) {
    (void)state;
    passes(
        g_two_prices,
        HEAD("prices") TOKENS("big-2", "a") TOKENS("small", "b") TOKENS(
            "free",
            "c") "  promql_expr_test:\n"
                 "  - {expr: 'round(serve_cost_per_second * 1e9)', eval_time: 20m, exp_samples: [\n"
                 "     {labels: '{model=\"big-2\",tenant=\"a\",currency=\"EUR\"}', value: "
                 "2250000},\n"
                 "     {labels: '{model=\"small\",tenant=\"b\",currency=\"EUR\"}', value: "
                 "1100000}]}\n"
                 "  - {expr: 'round(serve_tokens_per_second{model=\"small\"})', eval_time: 20m, "
                 "exp_samples: [\n"
                 "     {labels: "
                 "'{model=\"small\",tenant=\"b\",source=\"spans\",direction=\"input\"}', value: "
                 "1000},\n"
                 "     {labels: "
                 "'{model=\"small\",tenant=\"b\",source=\"spans\",direction=\"output\"}', "
                 "value: 100},\n"
                 "     {labels: "
                 "'{model=\"small\",tenant=\"b\",source=\"spans\",direction=\"input_cached\"}', "
                 "value: 500}]}\n"
                 "  - {expr: "
                 "'count(ALERTS{alertname=\"ModelWithoutPrice\",alertstate=\"firing\",model="
                 "\"free\"})"
                 "', eval_time: 25m, exp_samples: [{value: 1}]}\n"
                 "  - {expr: 'count(ALERTS{alertname=\"ModelWithoutPrice\",model!=\"free\"})"
                 "', eval_time: 25m, exp_samples: []}\n");
}

static void counters_of_servers_are_taken_when_asked_for(void **state) {
    (void)state;
    passes(
        "currency: EUR\ninterval: 1m\nsources: [vllm, genai]\n"
        "prices: [{model: '.*', input: 3, output: 4}]\n",
        HEAD("servers") TOKENS(
            "big-2",
            "a") "  - {series: 'vllm:prompt_tokens_total{model_name=\"m\",job=\"v\"}', values: "
                 "'0+60000x60'}\n"
                 "  - {series: 'vllm:generation_tokens_total{model_name=\"m\",job=\"v\"}', values: "
                 "'0+60000x60'}\n"
                 "  promql_expr_test:\n"
                 "  - {expr: 'round(serve_cost_per_second * 1e9)', eval_time: 20m, exp_samples: [\n"
                 "     {labels: '{model=\"m\",tenant=\"v\",currency=\"EUR\"}', value: "
                 "7000000}]}\n");
}

/* 0.00225 a second are 8.1 an hour and 194.4 a day. A rate over five minutes rises within its
 * window when tokens begin, and falls the same way when they end: two minutes are counted late. */
static const char g_budgets[] =
    "currency: EUR\ninterval: 1m\n"
    "prices: [{model: 'big-.*', input: 2, output: 10, input_cached: 0.5}]\n"
    "budgets:\n"
    "- {name: tight, amount: 20, per: day, tenant: a}\n"
    "- {name: roomy, amount: 1000, per: month, model: 'big-.*'}\n"
    "- {name: others, amount: 1, per: day, tenant: nobody}\n";

#define FIRING(alert, budget, at, count)                                                      \
    "  - {expr: 'count(ALERTS{alertname=\"" alert "\",alertstate=\"firing\",budget=\"" budget \
    "\"})', eval_time: " at ", exp_samples: [" count "]}\n"

static void budgets_are_spent_forecast_and_begin_anew(void **state) {
    (void)state;
    passes(
        g_budgets,
        HEAD("budgets") TOKENS(
            "big-2",
            "a") "  promql_expr_test:\n"
                 "  - {expr: 'round(serve_budget_spent{budget=\"tight\"}, 0.1)', eval_time: 2h, "
                 "exp_samples: [{labels: '{budget=\"tight\",per=\"day\",currency=\"EUR\"}', value: "
                 "15.9}]}\n"
                 "  - {expr: 'round(serve_budget_spent{budget=\"roomy\"})', eval_time: 23h, "
                 "exp_samples: [{labels: '{budget=\"roomy\",per=\"month\",currency=\"EUR\"}', "
                 "value: 186}]}\n"
                 "  - {expr: 'round(serve_budget_forecast{budget=\"tight\"})', eval_time: 2h, "
                 "exp_samples: [{labels: '{budget=\"tight\",per=\"day\",currency=\"EUR\"}', value: "
                 "194}]}\n"
                 /* after midnight the day begins anew, the month goes on */
                 "  - {expr: 'round(serve_budget_spent{budget=\"tight\"}, 0.1)', eval_time: 25h, "
                 "exp_samples: [{labels: '{budget=\"tight\",per=\"day\",currency=\"EUR\"}', value: "
                 "8.1}]}\n"
                 "  - {expr: 'round(serve_budget_spent{budget=\"roomy\"})', eval_time: 25h, "
                 "exp_samples: [{labels: '{budget=\"roomy\",per=\"month\",currency=\"EUR\"}', "
                 "value: 202}]}\n"
                 "  - {expr: 'serve_budget_spent{budget=\"others\"}', eval_time: 2h, "
                 "exp_samples: [{labels: "
                 "'serve_budget_spent{budget=\"others\",per=\"day\",currency=\"EUR\"}', "
                 "value: 0}]}\n" FIRING("CostBudgetSpent", "tight", "2h", "")
                     FIRING("CostBudgetSpent", "tight", "3h", "{value: 1}")
                         FIRING("CostBudgetSpent", "tight", "25h", "")
                             FIRING("CostBudgetForecast", "tight", "30m", "{value: 1}")
                                 FIRING("CostBudgetForecast", "roomy", "10h", "{value: 1}")
                                     FIRING("CostBudgetForecast", "others", "10h", "")
                                         FIRING("CostBudgetBurnsFast", "tight", "2h", "{value: 1}")
                                             FIRING("CostBudgetBurnsFast", "roomy", "2h", "")
                                                 FIRING("CostBudgetBurnsFast", "others", "2h", ""));
}

static void a_burst_ends_its_alert_when_it_ends(void **state) {
    (void)state;
    passes(g_budgets,
           HEAD("burst") "  - {series: "
                         "'gen_ai_span_tokens_total{direction=\"output\",model=\"big-1\",service="
                         "\"a\"}', "
                         "values: '0x60 0+60000x30 1800000x300'}\n"
                         "  promql_expr_test:\n" FIRING("CostBudgetBurnsFast", "tight", "55m", "")
                             FIRING("CostBudgetBurnsFast", "tight", "90m", "{value: 1}")
                                 FIRING("CostBudgetBurnsFast", "tight", "110m", ""));
}

static void nothing_is_made_of_an_absent_section(void **state) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    (void)state;
    assert_int_equal(toc_costs_read(NULL, NULL, &g_costs, &err), 0);
    toc_costs_rules(&g_costs, &out);
    assert_int_equal(out.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_table_is_refused_with_its_reason),
        cmocka_unit_test(the_first_price_that_fits_counts),
        cmocka_unit_test(counters_of_servers_are_taken_when_asked_for),
        cmocka_unit_test(budgets_are_spent_forecast_and_begin_anew),
        cmocka_unit_test(a_burst_ends_its_alert_when_it_ends),
        cmocka_unit_test(nothing_is_made_of_an_absent_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
