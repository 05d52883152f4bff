#include "replay/threshold_suggest.h"

#include <math.h>
#include <stdio.h>

#include "base/time.h"
#include "promql/promql.h"
#include "replay/replay_json.h"
#include "replay/threshold_history.h"

enum { LABEL_MARGIN_MS = 600000, DIGITS = 4 };

struct work {
    const struct toc_suggest_request *r;
    enum toc_threshold_op op;
    struct toc_promql_expr *left;
    struct toc_buf left_text;
    struct toc_threshold_history history;
    int64_t split_ms;
};

static int read_expr(struct work *w, struct toc_err *err) {
    struct toc_promql_threshold t = {0};
    struct toc_promql_expr *whole = NULL;
    int rc = toc_promql_parse(w->r->expr, &whole, err);
    if (rc < 0)
        return rc;
    w->op = w->r->is_down ? TOC_THRESHOLD_LT : TOC_THRESHOLD_GT;
    toc_promql_threshold(whole, &t);
    if (t.is_set && toc_threshold_op_parse(t.op, &w->op) == 0)
        toc_buf_append_sv(&w->left_text, toc_buf_sv(&t.left_text));
    else
        toc_promql_format(whole, false, &w->left_text);
    toc_buf_fini(&t.left_text);
    toc_promql_expr_free(&whole);
    rc = toc_promql_parse(toc_buf_sv(&w->left_text), &w->left, err);
    if (rc == 0 && toc_promql_expr_type(w->left) != TOC_PROMQL_VECTOR)
        rc = toc_errf(err, TOC_ETYPE, "the expression must be an instant vector");
    return rc;
}

static int read_history(struct work *w, struct toc_err *err) {
    const struct toc_suggest_request *r = w->r;
    w->split_ms = r->from_ms + (r->to_ms - r->from_ms) / 3 * 2;
    int rc = toc_threshold_history_read(r->querier, w->left, r->from_ms, r->to_ms, r->interval_ms,
                                        r->executor, &w->history, err);
    if (rc == 0 && r->known)
        toc_threshold_history_leave_out(&w->history, r->known, LABEL_MARGIN_MS);
    return rc;
}

static int suggest(const struct work *w, int64_t end_ms, struct toc_budget_suggestion *out,
                   struct toc_err *err) {
    const struct toc_suggest_request *r = w->r;
    struct toc_history *series = toc_threshold_history_until(&w->history, end_ms);
    const struct toc_budget_request q = {.op = w->op,
                                         .series = series,
                                         .series_count = w->history.count,
                                         .step_ms = r->interval_ms,
                                         .budget_period_ms = r->budget_period_ms,
                                         .fors_ms = r->for_ms >= 0 ? &r->for_ms : NULL,
                                         .for_count = 1,
                                         .allows_seasonal = !r->is_static,
                                         .seed = r->seed};
    int rc = toc_budget_suggest(&q, out);
    toc_free(series);
    return rc < 0 ? toc_errf(err, rc, "cannot suggest a threshold: %s", toc_strerror(rc)) : 0;
}

/* -------------------------------------------------------------------------------------- the rule
 */

/* Away from what is normal, to four digits. */
static void append_number(double v, bool is_upper, struct toc_buf *out) {
    double unit = v == 0 ? 1 : pow(10, floor(log10(fabs(v))) - (DIGITS - 1));
    double rounded = is_upper ? ceil(v / unit) * unit : floor(v / unit) * unit;
    toc_buf_printf(out, "%.*g", DIGITS + 1, rounded);
}

/* Holds in the hours and on the days of the first threshold. */
static void append_hours(const struct toc_budget_suggestion *g, struct toc_buf *out) {
    bool is_all_day = g->high_from_hour == 0 && g->high_to_hour == 24;
    const char *days = g->high_days == TOC_BUDGET_WEEKEND
                           ? "(day_of_week() == 0 or day_of_week() == 6)"
                           : "(day_of_week() > 0 < 6)";
    bool has_days = g->high_days != TOC_BUDGET_ALL_DAYS;
    if (has_days && is_all_day) {
        toc_buf_append_cstr(out, days);
        return;
    }
    toc_buf_append_cstr(out, has_days ? "((" : "(");
    if (g->high_from_hour < g->high_to_hour)
        toc_buf_printf(out, "hour() >= %d < %d", g->high_from_hour, g->high_to_hour);
    else
        toc_buf_printf(out, "hour() >= %d or hour() < %d", g->high_from_hour, g->high_to_hour);
    toc_buf_append_char(out, ')');
    if (has_days)
        toc_buf_printf(out, " and on () %s)", days);
}

static void append_expr(const struct work *w, const struct toc_budget_suggestion *g,
                        struct toc_buf *out) {
    const char *op = toc_threshold_op_text(w->op);
    bool is_upper = w->op == TOC_THRESHOLD_GT || w->op == TOC_THRESHOLD_GE;
    toc_buf_printf(out, "%s(%.*s) %s ", g->is_seasonal ? "((" : "",
                   TOC_SV_ARG(toc_buf_sv(&w->left_text)), op);
    append_number(g->level.threshold, is_upper, out);
    if (!g->is_seasonal)
        return;
    struct toc_buf high = TOC_BUF_INIT;
    append_hours(g, &high);
    toc_buf_printf(out, ") and on () %s) or (((%.*s) %s ", toc_buf_cstr(&high),
                   TOC_SV_ARG(toc_buf_sv(&w->left_text)), op);
    append_number(g->low_hours.threshold, is_upper, out);
    toc_buf_printf(out, ") unless on () %s)", toc_buf_cstr(&high));
    toc_buf_fini(&high);
}

static void append_rule(const struct work *w, const struct toc_budget_suggestion *g,
                        struct toc_buf *out) {
    struct toc_buf expr = TOC_BUF_INIT;
    append_expr(w, g, &expr);
    toc_buf_printf(out, "- alert: %.*s\n  expr: >-\n    %s\n", TOC_SV_ARG(w->r->name),
                   toc_buf_cstr(&expr));
    if (g->for_ms) {
        toc_buf_append_cstr(out, "  for: ");
        toc_duration_format(g->for_ms, out);
        toc_buf_append_char(out, '\n');
    }
    toc_buf_append_cstr(out, "  keep_firing_for: ");
    toc_duration_format(TOC_BUDGET_KEEP_MS, out);
    toc_buf_append_char(out, '\n');
    toc_buf_fini(&expr);
}

/* ------------------------------------------------------------------------------------ back-test */

static int try_out(const struct work *w, struct toc_sv rule, int64_t from_ms, int64_t to_ms,
                   struct toc_suggest_trial *out, struct toc_err *err) {
    static const char routing[] = "route: {receiver: r, group_by: [alertname], group_wait: 0s, "
                                  "group_interval: 1m, repeat_interval: 8760h}\n"
                                  "receivers: [{name: r}]\n";
    const struct toc_suggest_request *r = w->r;
    struct toc_buf text = TOC_BUF_INIT, interval = TOC_BUF_INIT;
    struct toc_rule_file *f = NULL;
    struct toc_alert_config *config = NULL;
    struct toc_sv line;
    toc_duration_format(r->interval_ms, &interval);
    toc_buf_printf(&text, "groups:\n- name: suggested\n  interval: %s\n  rules:\n",
                   toc_buf_cstr(&interval));
    while (rule.n && toc_sv_split(&rule, '\n', &line))
        toc_buf_printf(&text, "  %.*s\n", TOC_SV_ARG(line));
    const struct toc_replay_options o = {.history = r->querier,
                                         .from_ms = from_ms,
                                         .to_ms = to_ms,
                                         .executor = r->executor,
                                         .features = r->features,
                                         .lookback_ms = r->lookback_ms,
                                         .zones = r->zones,
                                         .on_progress = r->on_progress,
                                         .ctx = r->ctx};
    const struct toc_score_options scoring = {.known = r->known, .zones = r->zones};
    int rc = toc_rule_file_parse(TOC_SV("suggested.yml"), toc_buf_sv(&text), false, &f, err);
    if (rc == 0)
        rc = toc_alert_config_parse(toc_sv_cstr(routing), NULL, &config, err);
    if (rc == 0)
        rc = toc_replay_run(&o, &f, 1, config, &out->record, err);
    if (rc == 0)
        toc_replay_score(&out->record, &scoring, &out->score);
    out->allowed = (double)(to_ms - from_ms) / (double)r->budget_period_ms;
    toc_buf_fini(&text);
    toc_buf_fini(&interval);
    return rc;
}

static int answer(struct work *w, struct toc_suggestion *a, struct toc_err *err) {
    const struct toc_suggest_request *r = w->r;
    struct toc_buf learnt = TOC_BUF_INIT;
    int rc = suggest(w, r->to_ms, &a->all, err);
    if (rc == 0)
        rc = suggest(w, w->split_ms, &a->learnt, err);
    if (rc == 0 && a->all.is_available) {
        append_expr(w, &a->all, &a->expr);
        append_rule(w, &a->all, &a->rule);
        rc = try_out(w, toc_buf_sv(&a->rule), r->from_ms, r->to_ms, &a->whole, err);
    }
    if (rc == 0 && a->all.is_available && a->learnt.is_available) {
        append_rule(w, &a->learnt, &learnt);
        rc = try_out(w, toc_buf_sv(&learnt), w->split_ms, r->to_ms, &a->held_out, err);
    }
    toc_buf_fini(&learnt);
    return rc;
}

int toc_threshold_suggest(const struct toc_suggest_request *r, struct toc_suggestion *out,
                          struct toc_err *err) {
    struct work w = {.r = r};
    *out = (struct toc_suggestion){0};
    toc_replay_record_init(&out->held_out.record);
    toc_replay_record_init(&out->whole.record);
    int rc = read_expr(&w, err);
    if (rc == 0)
        rc = read_history(&w, err);
    if (rc == 0)
        rc = answer(&w, out, err);
    toc_threshold_history_fini(&w.history);
    toc_promql_expr_free(&w.left);
    toc_buf_fini(&w.left_text);
    return rc;
}

static void trial_fini(struct toc_suggest_trial *t) {
    toc_score_fini(&t->score);
    toc_replay_record_fini(&t->record);
}

void toc_suggestion_fini(struct toc_suggestion *s) {
    trial_fini(&s->held_out);
    trial_fini(&s->whole);
    toc_buf_fini(&s->rule);
    toc_buf_fini(&s->expr);
}

/* --------------------------------------------------------------------------------------- output */

void toc_suggestion_hours(const struct toc_budget_suggestion *g, struct toc_buf *out) {
    static const char *const days[] = {"", "weekdays", "weekend"};
    toc_buf_append_cstr(out, days[g->high_days]);
    if (g->high_from_hour != 0 || g->high_to_hour != 24)
        toc_buf_printf(out, "%s%02d-%02d h UTC", g->high_days ? " " : "", g->high_from_hour,
                       g->high_to_hour);
}

static void put_level(struct toc_json_writer *w, const char *key,
                      const struct toc_budget_level *l) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_double(w, "threshold", l->threshold);
    toc_json_kv_double(w, "low", l->low);
    toc_json_kv_double(w, "high", l->high);
    toc_json_kv_int(w, "peaks", (int64_t)l->peaks);
    toc_json_end_object(w);
}

static void put_trial(struct toc_json_writer *w, const char *key,
                      const struct toc_suggest_trial *t) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_time(w, "from", (struct toc_ts){t->record.from_ms});
    toc_json_kv_time(w, "to", (struct toc_ts){t->record.to_ms});
    toc_json_kv_double(w, "budget", t->allowed);
    toc_json_key(w, "result");
    toc_replay_score_json(w, &t->record, &t->score);
    toc_json_end_object(w);
}

static void put_season(struct toc_json_writer *w, const struct toc_budget_suggestion *g) {
    static const char *const days[] = {"all", "weekdays", "weekend"};
    put_level(w, "low_hours", &g->low_hours);
    toc_json_kv_int(w, "high_from_hour", g->high_from_hour);
    toc_json_kv_int(w, "high_to_hour", g->high_to_hour);
    toc_json_kv_cstr(w, "high_days", days[g->high_days]);
}

void toc_suggestion_json(struct toc_json_writer *w, const struct toc_suggest_request *r,
                         const struct toc_suggestion *s) {
    const struct toc_budget_suggestion *g = &s->all;
    toc_json_begin_object(w);
    toc_json_kv_bool(w, "available", g->is_available);
    toc_json_kv_cstr(w, "reason", g->reason);
    toc_json_kv_int(w, "seed", (int64_t)r->seed);
    toc_json_kv_int(w, "samples", (int64_t)g->samples);
    toc_json_kv_double(w, "history_s", (double)g->history_ms / 1000);
    if (g->is_available) {
        put_level(w, "level", &g->level);
        toc_json_kv_double(w, "for_s", (double)g->for_ms / 1000);
        toc_json_kv_bool(w, "seasonal", g->is_seasonal);
        if (g->is_seasonal)
            put_season(w, g);
        toc_json_kv_string(w, "expr", toc_buf_sv(&s->expr));
        toc_json_kv_string(w, "rule", toc_buf_sv(&s->rule));
        put_trial(w, "whole", &s->whole);
    }
    if (g->is_available && s->learnt.is_available)
        put_trial(w, "held_out", &s->held_out);
    toc_json_end_object(w);
}
