/*
 * Prices and budgets as rules. Spending is an integral, which recording rules can carry from one
 * evaluation to the next: what was spent before in this window, and the rate by the time since
 * (of five minutes at most: nobody knows what was spent while nobody looked).
 */
#include <stdio.h>

#include "app/costs.h"
#include "codec/json_writer.h"

enum { TOKENS_OF_A_PRICE = 1000000, DAY_S = 86400, MONTH_S = 30 * DAY_S };

static const struct {
    const char *name, *series[3], *model, *tenant;
} sources[] = {
#define X(name, text, input, output, cached, model, tenant) \
    {text, {input, output, cached}, model, tenant},
    TOC_COST_SOURCE_TABLE(X)
#undef X
};
static const char *const directions[] = {"input", "output", "input_cached"};

/* ------------------------------------------------------------------------------------- writing */

/* A text in PromQL's quotes; also right within an expression that YAML quotes. */
static void quote(struct toc_buf *out, struct toc_sv text) {
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            toc_buf_append_char(out, '\\');
        if (text.p[i] == '\n')
            toc_buf_append_cstr(out, "\\n");
        else
            toc_buf_append_char(out, text.p[i]);
    }
    toc_buf_append_char(out, '"');
}

/* `  - record: NAME` or `alert`, and the expression, which is emptied. */
static void begin_rule(struct toc_buf *out, const char *kind, const char *name,
                       struct toc_buf *expr) {
    toc_buf_printf(out, "  - %s: %s\n    expr: ", kind, name);
    toc_json_append_string(out, toc_buf_sv(expr));
    toc_buf_append_char(out, '\n');
    toc_buf_fini(expr);
}

static void add_labels(struct toc_buf *out, const struct toc_costs *c,
                       const struct toc_cost_budget *b) {
    toc_buf_append_cstr(out, "    labels: {budget: ");
    toc_json_append_string(out, b->name);
    toc_buf_printf(out, ", per: %s, currency: ", b->is_monthly ? "month" : "day");
    toc_json_append_string(out, c->currency);
    toc_buf_append_cstr(out, "}\n");
}

static void add_text(struct toc_buf *out, const char *key, struct toc_sv text) {
    toc_buf_printf(out, "      %s: ", key);
    toc_json_append_string(out, text);
    toc_buf_append_char(out, '\n');
}

/* -------------------------------------------------------------------------------------- tokens */

/* Brings the source's label to the name that all have. */
static void begin_relabel(struct toc_buf *expr, const char *name, const char *own) {
    if (!toc_sv_eq_cstr(toc_sv_cstr(own), name))
        toc_buf_append_cstr(expr, "label_replace(");
}

static void end_relabel(struct toc_buf *expr, const char *name, const char *own) {
    if (!toc_sv_eq_cstr(toc_sv_cstr(own), name))
        toc_buf_printf(expr, ", \"%s\", \"$1\", \"%s\", \"(.*)\")", name, own);
}

static void add_tokens(const struct toc_costs *c, struct toc_buf *out) {
    for (int s = 0; s < TOC_COST_SOURCE_COUNT; s++)
        for (size_t d = 0; (c->sources >> s & 1) && d < TOC_ARRAY_LEN(directions); d++) {
            struct toc_buf expr = TOC_BUF_INIT;
            if (!sources[s].series[d][0])
                continue;
            toc_buf_append_cstr(&expr, "sum by (model, tenant) (");
            begin_relabel(&expr, "tenant", sources[s].tenant);
            begin_relabel(&expr, "model", sources[s].model);
            toc_buf_printf(&expr, "rate(%s[5m])", sources[s].series[d]);
            end_relabel(&expr, "model", sources[s].model);
            end_relabel(&expr, "tenant", sources[s].tenant);
            toc_buf_append_char(&expr, ')');
            begin_rule(out, "record", "serve_tokens_per_second", &expr);
            toc_buf_printf(out, "    labels: {source: %s, direction: %s}\n", sources[s].name,
                           directions[d]);
        }
}

/* -------------------------------------------------------------------------------------- prices */

/* What the prices before the i-th take: `, model!~"(?:A)|(?:B)"`. */
static void add_others(const struct toc_costs *c, size_t i, struct toc_buf *expr) {
    struct toc_buf pattern = TOC_BUF_INIT;
    for (size_t k = 0; k < i; k++)
        toc_buf_printf(&pattern, "%s(?:%.*s)", k ? "|" : "", TOC_SV_ARG(c->prices[k].model));
    if (i) {
        toc_buf_append_cstr(expr, ",model!~");
        quote(expr, toc_buf_sv(&pattern));
    }
    toc_buf_fini(&pattern);
}

static void add_part(const struct toc_costs *c, size_t i, const char *direction, double price,
                     struct toc_buf *expr) {
    toc_buf_printf(expr, "serve_tokens_per_second{direction=\"%s\",model=~", direction);
    quote(expr, c->prices[i].model);
    add_others(c, i, expr);
    toc_buf_printf(expr, "} * %.17g", price / TOKENS_OF_A_PRICE);
}

static void add_price(const struct toc_costs *c, size_t i, struct toc_buf *out) {
    const struct toc_cost_price *p = &c->prices[i];
    struct toc_buf expr = TOC_BUF_INIT;
    toc_buf_append_cstr(&expr, "sum by (model, tenant) (");
    add_part(c, i, "input", p->input, &expr);
    toc_buf_append_cstr(&expr, " or ");
    add_part(c, i, "output", p->output, &expr);
    if (p->input_cached != p->input) {
        toc_buf_append_cstr(&expr, " or ");
        add_part(c, i, "input_cached", p->input_cached - p->input, &expr);
    }
    toc_buf_append_char(&expr, ')');
    begin_rule(out, "record", "serve_cost_per_second", &expr);
    toc_buf_append_cstr(out, "    labels: {currency: ");
    toc_json_append_string(out, c->currency);
    toc_buf_append_cstr(out, "}\n");
}

static void add_unpriced(const struct toc_costs *c, struct toc_buf *out) {
    struct toc_buf expr = TOC_BUF_INIT, alert = TOC_BUF_INIT;
    toc_buf_append_cstr(&expr,
                        "sum by (model) (serve_tokens_per_second{direction!=\"input_cached\"");
    add_others(c, c->price_count, &expr);
    toc_buf_append_cstr(&expr, "})");
    begin_rule(out, "record", "serve_unpriced_tokens_per_second", &expr);
    toc_buf_append_cstr(&alert, "serve_unpriced_tokens_per_second > 0");
    begin_rule(out, "alert", "ModelWithoutPrice", &alert);
    toc_buf_append_cstr(out, "    for: 15m\n    labels: {kind: cost_budget, severity: info}\n"
                             "    annotations:\n");
    add_text(out, "summary", TOC_SV("Model {{ $labels.model }} has no price"));
    add_text(out, "description",
             TOC_SV("{{ $value | humanize }} tokens a second are in no cost and no budget."));
    add_text(out, "action", TOC_SV("Add it to costs.prices, with 0 when it costs nothing."));
    add_text(out, "runbook_url", TOC_SV("/docs/runbooks/cost_budget"));
    add_text(out, "unit", TOC_SV("tokens/s"));
}

/* ------------------------------------------------------------------------------------- budgets */

static void add_selector(const struct toc_cost_budget *b, struct toc_buf *expr) {
    const char *comma = "";
    toc_buf_append_cstr(expr, "sum(serve_cost_per_second{");
    if (b->model.n) {
        toc_buf_append_cstr(expr, "model=~");
        quote(expr, b->model);
        comma = ",";
    }
    if (b->tenant.n) {
        toc_buf_printf(expr, "%stenant=~", comma);
        quote(expr, b->tenant);
    }
    toc_buf_append_cstr(expr, "})");
}

/* A series of the budget: `NAME{budget="…"}`. */
static void add_own(const struct toc_cost_budget *b, const char *name, struct toc_buf *expr) {
    toc_buf_printf(expr, "%s{budget=", name);
    quote(expr, b->name);
    toc_buf_append_char(expr, '}');
}

/* Start and end of the window as scalars. */
static const char *window_start(const struct toc_cost_budget *b) {
    return b->is_monthly ? "(time() - time() % 86400 - (scalar(day_of_month()) - 1) * 86400)"
                         : "(time() - time() % 86400)";
}
static const char *window_length(const struct toc_cost_budget *b) {
    return b->is_monthly ? "scalar(days_in_month()) * 86400" : "86400";
}

static void record(const struct toc_costs *c, const struct toc_cost_budget *b, const char *name,
                   struct toc_buf *expr, struct toc_buf *out) {
    begin_rule(out, "record", name, expr);
    add_labels(out, c, b);
}

static void add_spent(const struct toc_costs *c, const struct toc_cost_budget *b,
                      struct toc_buf *out) {
    struct toc_buf expr = TOC_BUF_INIT;
    toc_buf_append_cstr(&expr, "sum((last_over_time(");
    add_own(b, "serve_budget_spent", &expr);
    toc_buf_append_cstr(&expr, "[1d]) and (last_over_time(");
    add_own(b, "serve_budget_counted_timestamp_seconds", &expr);
    toc_buf_printf(&expr, "[1d]) >= %s)) or ", window_start(b));
    add_selector(b, &expr);
    toc_buf_append_cstr(&expr, " * clamp_max(clamp(time() - sum(last_over_time(");
    add_own(b, "serve_budget_counted_timestamp_seconds", &expr);
    toc_buf_printf(&expr, "[1d])), 0, 300), time() - %s) or vector(0))", window_start(b));
    record(c, b, "serve_budget_spent", &expr, out);
    toc_buf_append_cstr(&expr, "vector(time())"); /* behind the rule that reads the one before */
    record(c, b, "serve_budget_counted_timestamp_seconds", &expr, out);
}

static void add_series(const struct toc_costs *c, const struct toc_cost_budget *b,
                       struct toc_buf *out) {
    struct toc_buf expr = TOC_BUF_INIT;
    toc_buf_printf(&expr, "vector(%.17g)", b->amount);
    record(c, b, "serve_budget_amount", &expr, out);
    add_selector(b, &expr);
    toc_buf_append_cstr(&expr, " or vector(0)");
    record(c, b, "serve_budget_cost_per_second", &expr, out);
    add_spent(c, b, out);
    add_own(b, "serve_budget_spent", &expr);
    toc_buf_append_cstr(&expr, " + avg_over_time(");
    add_own(b, "serve_budget_cost_per_second", &expr);
    toc_buf_printf(&expr, "[%s]) * (%s + %s - time())", b->is_monthly ? "6h" : "1h",
                   window_start(b), window_length(b));
    record(c, b, "serve_budget_forecast", &expr, out);
}

static void end_alert(struct toc_buf *out, const char *hold, const char *severity,
                      const char *summary, const char *description, const char *action,
                      const char *unit) {
    toc_buf_printf(out, "    for: %s\n    labels: {kind: cost_budget, severity: %s}\n", hold,
                   severity);
    toc_buf_append_cstr(out, "    annotations:\n");
    add_text(out, "summary", toc_sv_cstr(summary));
    add_text(out, "description", toc_sv_cstr(description));
    add_text(out, "action", toc_sv_cstr(action));
    add_text(out, "runbook_url", TOC_SV("/docs/runbooks/cost_budget"));
    add_text(out, "unit", toc_sv_cstr(unit));
}

static void add_spent_alerts(const struct toc_cost_budget *b, struct toc_buf *out) {
    struct toc_buf expr = TOC_BUF_INIT;
    add_own(b, "serve_budget_spent", &expr);
    toc_buf_printf(&expr, " / %.17g > 1", b->amount);
    begin_rule(out, "alert", "CostBudgetSpent", &expr);
    end_alert(out, "0s", "critical",
              "The budget {{ $labels.budget }} of the {{ $labels.per }} is spent",
              "{{ $value | humanizePercentage }} of it are spent.",
              "Decide whether to stop what spends it, or to raise it.", "ratio");
    add_own(b, "serve_budget_forecast", &expr);
    toc_buf_printf(&expr, " / %.17g > 1", b->amount);
    begin_rule(out, "alert", "CostBudgetForecast", &expr);
    end_alert(
        out, b->is_monthly ? "1h" : "15m", "warning",
        "The budget {{ $labels.budget }} will not last for the {{ $labels.per }}",
        "At the rate of the last hours {{ $value | humanizePercentage }} of it will be spent at "
        "the end of the {{ $labels.per }}.",
        "See which model and tenant spend most (serve_cost_per_second), and whether it is meant.",
        "ratio");
}

/* As error budgets burn (SRE workbook): 14.4 for an hour is a fiftieth of a month; a day's budget
 * is a quarter spent after an hour at 6. The short window ends the alert when the burning ends. */
static void add_burn_alert(const struct toc_cost_budget *b, struct toc_buf *out) {
    struct toc_buf expr = TOC_BUF_INIT;
    double scale = (b->is_monthly ? MONTH_S : DAY_S) / b->amount;
    const char *limit = b->is_monthly ? "14.4" : "6";
    toc_buf_append_cstr(&expr, "(avg_over_time(");
    add_own(b, "serve_budget_cost_per_second", &expr);
    toc_buf_printf(&expr, "[1h]) * %.17g and avg_over_time(", scale);
    add_own(b, "serve_budget_cost_per_second", &expr);
    toc_buf_printf(&expr, "[5m]) * %.17g > %s) > %s", scale, limit, limit);
    begin_rule(out, "alert", "CostBudgetBurnsFast", &expr);
    end_alert(
        out, "0s", "warning",
        "The budget {{ $labels.budget }} burns {{ $value | humanize }} times too fast",
        "The last hour and the last five minutes spent the budget of the {{ $labels.per }} that "
        "many times faster than it lasts.",
        "Look for loops of agents, retry storms and leaked keys; throttle the tenant.", "ratio");
}

void toc_costs_rules(const struct toc_costs *c, struct toc_buf *out) {
    if (!c->is_on)
        return;
    toc_buf_printf(out, "groups:\n- name: costs\n  interval: %lldms\n  rules:\n",
                   (long long)c->interval_ms);
    add_tokens(c, out);
    for (size_t i = 0; i < c->price_count; i++)
        add_price(c, i, out);
    add_unpriced(c, out);
    for (size_t i = 0; i < c->budget_count; i++) {
        add_series(c, &c->budgets[i], out);
        add_spent_alerts(&c->budgets[i], out);
        add_burn_alert(&c->budgets[i], out);
    }
}
