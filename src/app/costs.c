/* The section `costs`: a table of prices, and budgets. */
#include "app/costs.h"

#include <math.h>

#include "base/alloc.h"
#include "codec/yaml.h"
#include "shim/regex.h"

struct section {
    struct toc_sv currency;
    int64_t interval_ms;
    const struct toc_yaml *sources, *prices, *budgets;
};
struct price_row {
    struct toc_sv model;
    double input, output, input_cached;
};
struct budget_row {
    struct toc_sv name, per, model, tenant;
    double amount;
};

static const double NOT_SET = -1;

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_costs[] = {
    {"currency", TOC_SCHEMA_STRING, AT(currency), true, NULL, 0, 0,
     "what prices and budgets are in, such as USD: a label of the series"},
    {"interval", TOC_SCHEMA_DURATION, AT(interval_ms), false, "30s", 0, 0,
     "how often costs are computed; 1s to 5m"},
    {"sources", TOC_SCHEMA_NODE, AT(sources), false, NULL, 0, 0,
     "whose tokens count: spans, genai, vllm, sglang, trtllm, litellm; spans when absent"},
    {"prices", TOC_SCHEMA_NODE, AT(prices), true, NULL, 0, 0, "the first that fits a model counts"},
    {"budgets", TOC_SCHEMA_NODE, AT(budgets), false, NULL, 0, 0, "what may be spent"},
    {0},
};
#undef AT
#define AT(member) offsetof(struct price_row, member)
static const struct toc_schema_key g_price[] = {
    {"model", TOC_SCHEMA_STRING, AT(model), true, NULL, 0, 0,
     "regular expression of the whole name of the model"},
    {"input", TOC_SCHEMA_DOUBLE, AT(input), true, NULL, 0, 1e12, "per million tokens read"},
    {"output", TOC_SCHEMA_DOUBLE, AT(output), true, NULL, 0, 1e12, "per million tokens written"},
    {"input_cached", TOC_SCHEMA_DOUBLE, AT(input_cached), false, "-1", -1, 1e12,
     "per million tokens read that come from a cache; as input when absent"},
    {0},
};
#undef AT
#define AT(member) offsetof(struct budget_row, member)
static const struct toc_schema_key g_budget[] = {
    {"name", TOC_SCHEMA_STRING, AT(name), true, NULL, 0, 0,
     "label budget of its series and alerts"},
    {"amount", TOC_SCHEMA_DOUBLE, AT(amount), true, NULL, 0, 1e12, "what may be spent"},
    {"per", TOC_SCHEMA_STRING, AT(per), true, NULL, 0, 0, "day or month, of the calendar in UTC"},
    {"model", TOC_SCHEMA_STRING, AT(model), false, "", 0, 0,
     "regular expression of the models it holds for; all when absent"},
    {"tenant", TOC_SCHEMA_STRING, AT(tenant), false, "", 0, 0,
     "the same of tenants: services of spans, jobs of servers, teams of LiteLLM"},
    {0},
};
#undef AT

static int check_pattern(const struct toc_yaml *n, const char *key, struct toc_sv pattern,
                         struct toc_err *err) {
    const struct toc_yaml *at = toc_yaml_get(n, key);
    struct toc_regex *regex = NULL;
    struct toc_err why = {0};
    if (!pattern.n)
        return 0;
    int rc = toc_regex_new(pattern, 0, &regex, &why);
    toc_regex_free(&regex);
    return rc < 0 ? toc_err_at(err, TOC_EINVAL, at->line, at->column,
                               "%s \"%.*s\" is no regular expression: %s", key, TOC_SV_ARG(pattern),
                               why.message)
                  : 0;
}

static int read_price(const struct toc_yaml *n, struct toc_cost_price *out, struct toc_err *err) {
    struct price_row row = {0};
    int rc = toc_schema_read(n, g_price, &row, err);
    if (rc == 0 && !row.model.n)
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "model is empty; .* fits all");
    if (rc == 0)
        rc = check_pattern(n, "model", row.model, err);
    bool has_cached = row.input_cached != NOT_SET;
    if (rc == 0 && has_cached && row.input_cached < 0)
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "input_cached must not be below 0");
    *out = (struct toc_cost_price){row.model, row.input, row.output,
                                   has_cached ? row.input_cached : row.input};
    return rc;
}

static int read_budget(const struct toc_yaml *n, struct toc_cost_budget *out, struct toc_err *err) {
    struct budget_row row = {0};
    int rc = toc_schema_read(n, g_budget, &row, err);
    bool is_daily = toc_sv_eq_cstr(row.per, "day"), is_monthly = toc_sv_eq_cstr(row.per, "month");
    if (rc == 0 && !is_daily && !is_monthly)
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column,
                        "per must be day or month, got \"%.*s\"", TOC_SV_ARG(row.per));
    if (rc == 0 && (!row.name.n || row.name.n > 100))
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "name must have 1 to 100 bytes");
    if (rc == 0 && !(row.amount > 0))
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "amount must be above 0");
    if (rc == 0)
        rc = check_pattern(n, "model", row.model, err);
    if (rc == 0)
        rc = check_pattern(n, "tenant", row.tenant, err);
    *out = (struct toc_cost_budget){row.name, row.model, row.tenant, row.amount, is_monthly};
    return rc;
}

static int check_list(const struct toc_yaml *list, const char *name, size_t most,
                      struct toc_err *err) {
    if (list && (list->type != TOC_YAML_SEQUENCE || list->count > most))
        return toc_err_at(err, TOC_EINVAL, list->line, list->column,
                          "costs.%s must be a list of at most %zu", name, most);
    return 0;
}

static int read_prices(const struct toc_yaml *list, struct toc_arena *a, struct toc_costs *out,
                       struct toc_err *err) {
    int rc = check_list(list, "prices", TOC_COST_PRICES_MAX, err);
    if (rc)
        return rc;
    out->prices = TOC_ARENA_NEW_ARRAY(a, struct toc_cost_price, list->count + 1);
    if (!out->prices)
        return toc_errf(err, TOC_ELIMIT, "too little memory for the prices");
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = read_price(&list->items[i], &out->prices[i], err);
    out->price_count = list->count;
    return rc;
}

static int read_budgets(const struct toc_yaml *list, struct toc_arena *a, struct toc_costs *out,
                        struct toc_err *err) {
    int rc = check_list(list, "budgets", TOC_COST_BUDGETS_MAX, err);
    size_t count = list ? list->count : 0;
    out->budgets = TOC_ARENA_NEW_ARRAY(a, struct toc_cost_budget, count + 1);
    if (rc || !out->budgets)
        return rc ? rc : toc_errf(err, TOC_ELIMIT, "too little memory for the budgets");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = read_budget(&list->items[i], &out->budgets[i], err);
        for (size_t k = 0; rc == 0 && k < i; k++)
            if (toc_sv_eq(out->budgets[i].name, out->budgets[k].name))
                rc = toc_err_at(err, TOC_EDUPLICATE, list->items[i].line, list->items[i].column,
                                "there are two budgets \"%.*s\"", TOC_SV_ARG(out->budgets[i].name));
    }
    out->budget_count = count;
    return rc;
}

static int read_sources(const struct toc_yaml *list, struct toc_costs *out, struct toc_err *err) {
    static const char *const names[] = {
#define X(name, text, input, output, cached, model, tenant) text,
        TOC_COST_SOURCE_TABLE(X)
#undef X
    };
    if (!list) {
        out->sources = 1u << TOC_COST_SPANS;
        return 0;
    }
    int rc = check_list(list, "sources", TOC_COST_SOURCE_COUNT, err);
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        struct toc_sv word = TOC_SV_NULL;
        unsigned found = 0;
        rc = toc_yaml_string(&list->items[i], &word, err);
        for (size_t k = 0; k < TOC_ARRAY_LEN(names); k++)
            if (toc_sv_eq_cstr(word, names[k]))
                found = 1u << k;
        out->sources |= found;
        if (rc == 0 && !found)
            rc = toc_err_at(err, TOC_EINVAL, list->items[i].line, list->items[i].column,
                            "costs.sources has no \"%.*s\": they are spans, genai, vllm, sglang, "
                            "trtllm and litellm",
                            TOC_SV_ARG(word));
    }
    return rc;
}

int toc_costs_read(const struct toc_yaml *node, struct toc_arena *a, struct toc_costs *out,
                   struct toc_err *err) {
    struct section s = {0};
    *out = (struct toc_costs){0};
    if (!node)
        return 0;
    int rc = toc_schema_read(node, g_costs, &s, err);
    if (rc == 0 && (s.interval_ms < 1000 || s.interval_ms > 300000))
        rc = toc_err_at(err, TOC_EINVAL, node->line, node->column,
                        "costs.interval must be 1s to 5m");
    if (rc == 0 && (!s.currency.n || s.currency.n > 16))
        rc = toc_err_at(err, TOC_EINVAL, node->line, node->column,
                        "costs.currency must have 1 to 16 bytes");
    if (rc == 0)
        rc = read_sources(s.sources, out, err);
    if (rc == 0)
        rc = read_prices(s.prices, a, out, err);
    if (rc == 0)
        rc = read_budgets(s.budgets, a, out, err);
    out->currency = s.currency;
    out->interval_ms = s.interval_ms;
    out->is_on = rc == 0;
    return rc;
}
