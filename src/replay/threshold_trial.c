#include "replay/threshold_trial.h"

#include <math.h>

#include "codec/json_writer.h"
#include "replay/replay_score.h"

/* The rule as YAML; scalars as JSON strings, which YAML reads alike. */
struct copying {
    const struct toc_trial_options *o;
    struct toc_sv rule;
    double threshold, in_force;
    struct toc_buf yaml;
    size_t rules;
    int rc;
    struct toc_err *err;
};

static void put_string(struct toc_buf *y, const char *key, struct toc_sv text) {
    toc_buf_printf(y, "    %s: ", key);
    toc_json_append_string(y, text);
    toc_buf_append_char(y, '\n');
}

static void put_duration(struct toc_buf *y, const char *key, int64_t ms) {
    if (ms <= 0)
        return;
    toc_buf_printf(y, "    %s: ", key);
    toc_duration_format(ms, y);
    toc_buf_append_char(y, '\n');
}

static void put_labels(struct toc_buf *y, const struct toc_rule_text *texts, size_t count,
                       const char *indent) {
    if (count)
        toc_buf_printf(y, "%slabels:\n", indent);
    for (size_t i = 0; i < count; i++) {
        toc_buf_printf(y, "%s  ", indent);
        toc_json_append_string(y, texts[i].name);
        toc_buf_append_cstr(y, ": ");
        toc_json_append_string(y, texts[i].text);
        toc_buf_append_char(y, '\n');
    }
}

static void put_expr(struct copying *c, const struct toc_rule_view *v) {
    struct toc_promql_expr *now = NULL, *changed = NULL;
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_promql_parse_with(v->query, TOC_PROMQL_ALL_FEATURES, &now, c->err);
    if (rc == 0 && !isnan(c->threshold))
        rc = toc_rule_with_threshold(now, c->threshold, &changed, c->err);
    else if (rc == 0 && isnan(v->threshold))
        rc = toc_errf(c->err, TOC_EUNSUPPORTED, "rule \"%.*s\" does not compare with a number",
                      TOC_SV_ARG(c->rule));
    if (rc == 0)
        toc_promql_format(changed ? changed : now, false, &text);
    put_string(&c->yaml, "expr", toc_buf_sv(&text));
    toc_promql_expr_free(&now);
    toc_promql_expr_free(&changed);
    toc_buf_fini(&text);
    c->rc = c->rc ? c->rc : rc;
}

static void put_rule(struct copying *c, const struct toc_rule_view *v) {
    const struct toc_rule *r = v->rule;
    struct toc_buf *y = &c->yaml;
    toc_buf_append_cstr(y, "  - alert: ");
    toc_json_append_string(y, r->name);
    toc_buf_append_char(y, '\n');
    put_expr(c, v);
    put_duration(y, "for", r->for_ms);
    put_duration(y, "keep_firing_for", r->keep_firing_for_ms);
    if (r->confirm)
        put_string(y, "confirm", r->confirm_text);
    if (r->recover == TOC_RECOVER_NUMBER)
        toc_buf_printf(y, "    recover: %.17g\n", r->recover_number);
    else if (r->recover == TOC_RECOVER_EXPR)
        put_string(y, "recover", r->recover_text);
    put_labels(y, r->labels, r->label_count, "    ");
    c->in_force = v->threshold;
    c->rules++;
}

static void copy_group(void *ctx, const struct toc_rule_group_view *g) {
    struct copying *c = ctx;
    bool is_open = false;
    for (size_t i = 0; i < g->rule_count; i++) {
        const struct toc_rule *r = g->rules[i].rule;
        if (!r->is_alert || !toc_sv_eq(r->name, c->rule))
            continue;
        if (!is_open) {
            toc_buf_append_cstr(&c->yaml, "- name: ");
            toc_json_append_string(&c->yaml, g->group->name);
            toc_buf_append_cstr(&c->yaml, "\n  interval: ");
            toc_duration_format(g->interval_ms, &c->yaml);
            if (g->query_offset_ms > 0) {
                toc_buf_append_cstr(&c->yaml, "\n  query_offset: ");
                toc_duration_format(g->query_offset_ms, &c->yaml);
            }
            toc_buf_append_char(&c->yaml, '\n');
            put_labels(&c->yaml, g->group->labels, g->group->label_count, "  ");
            toc_buf_append_cstr(&c->yaml, "  rules:\n");
        }
        is_open = true;
        put_rule(c, &g->rules[i]);
    }
}

static int replay(const struct toc_trial_options *o, struct toc_sv yaml, int64_t from_ms,
                  int64_t to_ms, struct toc_trial_effect *out, struct toc_err *err) {
    const struct toc_rule_file_options parsing = {.features = TOC_PROMQL_ALL_FEATURES};
    const struct toc_replay_options options = {.history = o->querier,
                                               .from_ms = from_ms,
                                               .to_ms = to_ms,
                                               .executor = o->executor,
                                               .features = o->features,
                                               .lookback_ms = o->lookback_ms,
                                               .zones = o->zones,
                                               .on_progress = o->on_progress,
                                               .ctx = o->ctx};
    const struct toc_score_options scoring = {.zones = o->zones};
    struct toc_rule_file *file = NULL;
    struct toc_alert_config *routing = NULL;
    struct toc_replay_record record = {0};
    struct toc_score score = {0};
    int rc = toc_rule_file_parse_with(TOC_SV("trial"), yaml, &parsing, &file, err);
    if (rc == 0)
        rc = toc_alert_config_parse(o->routing, &o->zones, &routing, err);
    if (rc) {
        toc_rule_file_free(&file);
        return rc;
    }
    rc = toc_replay_run(&options, &file, 1, routing, &record, err);
    if (rc == 0) {
        toc_replay_score(&record, &scoring, &score);
        *out = (struct toc_trial_effect){score.all.alerts, score.all.pages, score.all.night_pages,
                                         score.all.firing_ms};
    }
    toc_score_fini(&score);
    toc_replay_record_fini(&record);
    return rc;
}

int toc_threshold_trial(const struct toc_trial_options *o, struct toc_sv rule, double threshold,
                        int64_t from_ms, int64_t to_ms, struct toc_trial_effect *out,
                        double *out_in_force, struct toc_err *err) {
    struct copying c = {.o = o, .rule = rule, .threshold = threshold, .err = err};
    toc_buf_append_cstr(&c.yaml, "groups:\n");
    toc_rules_each_group(o->rules, copy_group, &c);
    if (!c.rules)
        c.rc = toc_errf(err, TOC_ENOENT, "no alert rule is named \"%.*s\"", TOC_SV_ARG(rule));
    if (c.rc == 0)
        c.rc = replay(o, toc_buf_sv(&c.yaml), from_ms, to_ms, out, err);
    *out_in_force = c.in_force;
    toc_buf_fini(&c.yaml);
    return c.rc;
}
