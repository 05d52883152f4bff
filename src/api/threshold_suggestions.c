/* A threshold from stored history and a budget, with its back-test, for the UI: one request, one
 * answer, as long as a query may take. Changes nothing. */
#include <math.h>

#include "api/api_priv.h"
#include "api/feature.h"
#include "replay/threshold_suggest.h"

#define WEEK_S (7 * 86400.0)
#define DEFAULT_HISTORY_S (30 * 86400.0)

struct asked {
    struct toc_sv rule, expr, direction;
    double budget_count, budget_period_s, history_s, interval_s;
    bool is_static;
    struct toc_buf found; /* the expression of the rule */
    int64_t for_ms;       /* its own: a review changes the number alone */
    bool is_found;
};

static bool invalid(struct toc_api_call *c, const char *what) {
    toc_api_problem(c, 400, "invalid", "%s", what);
    return false;
}

static bool read_number(struct toc_api_call *c, const struct toc_json *body, const char *key,
                        double fallback, double least, double most, double *out) {
    struct toc_err err = {0};
    if (toc_json_get_double(body, key, fallback, out, &err) < 0)
        return invalid(c, err.message);
    if (*out >= least && *out <= most)
        return true;
    toc_api_problem(c, 400, "invalid", "\"%s\" must be a number from %g to %g", key, least, most);
    return false;
}

static bool read_body(struct toc_api_call *c, struct asked *a) {
    const struct toc_json *body;
    struct toc_err err = {0};
    double interval_s = (double)c->api->parts.subquery_step_ms / 1000;
    if (!toc_api_body(c, &body))
        return false;
    if (!body || !toc_api_body_string(c, body, "expr", &a->expr) ||
        !toc_api_body_string(c, body, "rule", &a->rule) ||
        !toc_api_body_string(c, body, "direction", &a->direction))
        return body ? false : invalid(c, "the body needs \"expr\" or \"rule\"");
    if ((a->expr.n > 0) == (a->rule.n > 0))
        return invalid(c, "the body needs either \"expr\" or \"rule\"");
    if (a->direction.n && !toc_sv_eq(a->direction, TOC_SV("up")) &&
        !toc_sv_eq(a->direction, TOC_SV("down")))
        return invalid(c, "\"direction\" is up or down");
    if (toc_json_get_bool(body, "static", false, &a->is_static, &err) < 0)
        return invalid(c, err.message);
    return read_number(c, body, "budget_count", 1, 1e-3, 1e4, &a->budget_count) &&
           read_number(c, body, "budget_period_s", WEEK_S, 60, 1e9, &a->budget_period_s) &&
           read_number(c, body, "history_s", DEFAULT_HISTORY_S, 600, 1e9, &a->history_s) &&
           read_number(c, body, "interval_s", fmax(interval_s, 1), 1, 86400, &a->interval_s);
}

static void find_rule(void *ctx, const struct toc_rule_group_view *g) {
    struct asked *a = ctx;
    for (size_t i = 0; i < g->rule_count && !a->is_found; i++)
        if (g->rules[i].rule->is_alert && toc_sv_eq(g->rules[i].rule->name, a->rule)) {
            toc_buf_append_sv(&a->found, g->rules[i].query);
            a->for_ms = g->rules[i].rule->for_ms;
            a->is_found = true;
        }
}

static bool on_progress(void *ctx, int64_t done_ms, int64_t total_ms) {
    (void)done_ms;
    (void)total_ms;
    return !toc_query_should_stop(ctx);
}

static struct toc_suggest_request request_of(struct toc_api_call *c, const struct asked *a,
                                             struct toc_query *q) {
    const struct toc_api_parts *p = &c->api->parts;
    struct toc_metricdb_stats stats;
    int64_t to_ms = c->now.ms;
    toc_metricdb_stats(p->metrics, &stats);
    int64_t from_ms = TOC_MAX(to_ms - (int64_t)(a->history_s * 1000), stats.oldest_ms);
    return (struct toc_suggest_request){
        .querier = p->querier,
        .executor = p->executor,
        .features = toc_feature_promql(atomic_load(&c->api->features)),
        .lookback_ms = toc_query_gate_limits(c->api->queries).lookback_ms,
        .zones = p->zones,
        .expr = a->is_found ? toc_buf_sv(&a->found) : a->expr,
        .name = a->rule.n ? a->rule : TOC_SV("Suggested"),
        .is_down = toc_sv_eq(a->direction, TOC_SV("down")),
        .is_static = a->is_static,
        .for_ms = a->is_found ? a->for_ms : -1,
        .from_ms = TOC_MIN(from_ms, to_ms - 1),
        .to_ms = to_ms,
        .interval_ms = (int64_t)(a->interval_s * 1000),
        .budget_period_ms = (int64_t)(a->budget_period_s / a->budget_count * 1000),
        .seed = 1,
        .on_progress = on_progress,
        .ctx = q};
}

static void suggest(struct toc_api_call *c, const struct asked *a) {
    struct toc_query q = {.request = c->req,
                          .kind = "suggestion",
                          .text = a->is_found ? toc_buf_sv(&a->found) : a->expr,
                          .actor = toc_sv_cstr(c->actor)};
    struct toc_suggestion s;
    struct toc_err err = {0};
    if (toc_query_begin(c->api->queries, &q, 0) < 0) {
        toc_api_problem(c, 503, "busy", "too many queries run; try again later");
        return;
    }
    const struct toc_suggest_request r = request_of(c, a, &q);
    int rc = toc_threshold_suggest(&r, &s, &err);
    toc_query_end(&q);
    if (rc == TOC_ECANCELED)
        toc_api_problem(c, 503, "timeout",
                        "the suggestion took longer than a query may (query.timeout): take less "
                        "history, or tocsin threshold suggest on a backup");
    else if (rc < 0)
        toc_api_fail(c, rc == TOC_EPARSE || rc == TOC_ETYPE ? TOC_EINVAL : rc, &err);
    else
        toc_suggestion_json(&c->json, &r, &s);
    toc_suggestion_fini(&s);
}

void toc_api_threshold_suggest(struct toc_api_call *c) {
    struct asked a = {0};
    bool is_good = read_body(c, &a);
    if (is_good && a.rule.n)
        toc_rules_each_group(c->api->parts.rules, find_rule, &a);
    if (is_good && a.rule.n && !a.is_found)
        toc_api_problem(c, 404, "not_found", "there is no alert rule \"%.*s\"", TOC_SV_ARG(a.rule));
    else if (is_good)
        suggest(c, &a);
    toc_buf_fini(&a.found);
}
