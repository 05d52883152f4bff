/* metadata, rules, alerts, targets and the status endpoints: how Prometheus would see the daemon.
 */
#include <math.h>

#include "api/prom_priv.h"
#include "base/num.h"
#include "promql/promql.h"
#include "rules/rules.h"

static void kv_duration(struct toc_json_writer *w, const char *key, int64_t ms) {
    toc_json_key(w, key);
    toc_json_double(w, (double)ms / 1000.0);
}

static void kv_value(struct toc_json_writer *w, const char *key, double v) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_format_f64_g(v, &text);
    toc_json_kv_string(w, key, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

static int write_metadata(void *ctx, const struct toc_metric_metadata *m) {
    struct toc_json_writer *w = ctx;
    toc_json_key_sv(w, m->metric);
    toc_json_begin_array(w);
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "type", toc_metric_type_text(m->type));
    toc_json_kv_string(w, "help", m->help);
    toc_json_kv_string(w, "unit", m->unit);
    toc_json_end_object(w);
    toc_json_end_array(w);
    return 0;
}

void toc_api_prom_metadata(struct toc_api_call *c) {
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_metricdb_metadata(c->api->parts.metrics, toc_api_param(c, "metric"), write_metadata,
                          &c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

/* ---------------------------------------------------------------------------------------------
 * rules */

struct rules_writer {
    struct toc_json_writer *w;
    bool wants_alerts, wants_records;
};

static void write_alert(struct toc_json_writer *w, const struct toc_rule_alert_view *a) {
    toc_json_begin_object(w);
    toc_json_key(w, "labels");
    toc_json_labels(w, a->labels);
    toc_json_key(w, "annotations");
    toc_json_labels(w, a->annotations);
    toc_json_kv_cstr(w, "state", toc_rule_alert_state_text(a->state));
    toc_json_kv_time(w, "activeAt", a->active_at);
    if (a->keep_firing_since.ms)
        toc_json_kv_time(w, "keepFiringSince", a->keep_firing_since);
    kv_value(w, "value", a->value);
    toc_json_end_object(w);
}

static void write_texts(struct toc_json_writer *w, const char *key, const struct toc_rule_text *t,
                        size_t n) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        toc_json_key_sv(w, t[i].name);
        toc_json_string(w, t[i].text);
    }
    toc_json_end_object(w);
}

static void write_alerting(struct toc_json_writer *w, const struct toc_rule_view *r) {
    toc_json_kv_cstr(w, "state", toc_rule_alert_state_text(r->state));
    kv_duration(w, "duration", r->rule->for_ms);
    kv_duration(w, "keepFiringFor", r->rule->keep_firing_for_ms);
    write_texts(w, "annotations", r->rule->annotations, r->rule->annotation_count);
    if (r->is_overridden)
        toc_json_kv_double(w, "fileThreshold", r->file_threshold);
    toc_json_key(w, "alerts");
    toc_json_begin_array(w);
    for (size_t i = 0; i < r->alert_count; i++)
        write_alert(w, &r->alerts[i]);
    toc_json_end_array(w);
}

static void write_rule(struct toc_json_writer *w, const struct toc_rule_view *r) {
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", r->rule->name);
    toc_json_kv_string(w, "query", r->query);
    write_texts(w, "labels", r->rule->labels, r->rule->label_count);
    toc_json_kv_cstr(w, "health", toc_rule_health_text(r->health));
    if (r->last_error.n)
        toc_json_kv_string(w, "lastError", r->last_error);
    toc_json_kv_double(w, "evaluationTime", r->evaluation_s);
    toc_json_kv_time(w, "lastEvaluation", r->last_evaluation);
    toc_json_kv_cstr(w, "type", r->rule->is_alert ? "alerting" : "recording");
    if (r->rule->is_alert)
        write_alerting(w, r);
    toc_json_end_object(w);
}

static void write_group(void *ctx, const struct toc_rule_group_view *g) {
    struct rules_writer *rw = ctx;
    struct toc_json_writer *w = rw->w;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", g->group->name);
    toc_json_kv_string(w, "file", g->file);
    kv_duration(w, "interval", g->interval_ms);
    toc_json_kv_int(w, "limit", g->group->limit);
    toc_json_kv_double(w, "evaluationTime", g->evaluation_s);
    toc_json_kv_time(w, "lastEvaluation", g->last_evaluation);
    toc_json_key(w, "rules");
    toc_json_begin_array(w);
    for (size_t i = 0; i < g->rule_count; i++)
        if (g->rules[i].rule->is_alert ? rw->wants_alerts : rw->wants_records)
            write_rule(w, &g->rules[i]);
    toc_json_end_array(w);
    toc_json_end_object(w);
}

void toc_api_prom_rules(struct toc_api_call *c) {
    struct toc_sv type = toc_api_param(c, "type");
    if (type.n && !toc_sv_eq(type, TOC_SV("alert")) && !toc_sv_eq(type, TOC_SV("record"))) {
        toc_prom_error(c, TOC_PROM_BAD_DATA,
                       "invalid parameter \"type\": not supported value \"%.*s\"",
                       TOC_SV_ARG(type));
        return;
    }
    struct rules_writer w = {&c->json, !toc_sv_eq(type, TOC_SV("record")),
                             !toc_sv_eq(type, TOC_SV("alert"))};
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "groups");
    toc_json_begin_array(&c->json);
    toc_rules_each_group(c->api->parts.rules, write_group, &w);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

static void write_group_alerts(void *ctx, const struct toc_rule_group_view *g) {
    for (size_t i = 0; i < g->rule_count; i++)
        for (size_t k = 0; k < g->rules[i].alert_count; k++)
            write_alert(ctx, &g->rules[i].alerts[k]);
}

/* Alerts that rules do not make (the doctor's, those from outside) are listed beside the rules'
 * own. */
static void write_other_alert(void *ctx, const struct toc_alert_view *v) {
    struct toc_json_writer *w = ctx;
    if (v->is_resolved)
        return;
    struct toc_rule_alert_view a = {.labels = v->alert->labels,
                                    .annotations = v->alert->annotations,
                                    .state = TOC_RULE_FIRING,
                                    .active_at = v->alert->starts_at,
                                    .value = v->alert->value};
    if (toc_sv_eq(toc_labels_get(a.labels, TOC_SV("source")), TOC_SV("doctor")))
        write_alert(w, &a);
}

void toc_api_prom_alerts(struct toc_api_call *c) {
    struct toc_alert_filter all = TOC_ALERT_FILTER_ALL;
    struct toc_err err = {0};
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "alerts");
    toc_json_begin_array(&c->json);
    toc_rules_each_group(c->api->parts.rules, write_group_alerts, &c->json);
    int rc = toc_alert_manager_each_alert(c->api->parts.alerts, &all, c->now, write_other_alert,
                                          &c->json, &err);
    if (rc < 0) {
        toc_prom_error(c, TOC_PROM_INTERNAL, "%s", err.message);
        return;
    }
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

/* -------------------------------------------------------------------------------------------
 * targets */

static void kv_seconds_text(struct toc_json_writer *w, const char *key, int64_t ms) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_duration_format(ms, &text);
    toc_json_kv_string(w, key, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

static void write_target(void *ctx, const struct toc_target_info *t) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_key(w, "discoveredLabels");
    toc_json_labels(w, t->discovered);
    toc_json_key(w, "labels");
    toc_json_labels(w, t->labels);
    toc_json_kv_string(w, "scrapePool", t->pool);
    toc_json_kv_string(w, "scrapeUrl", t->url);
    toc_json_kv_string(w, "globalUrl", t->url);
    toc_json_kv_string(w, "lastError", t->last_error);
    toc_json_kv_time(w, "lastScrape", t->last_scrape);
    toc_json_kv_double(w, "lastScrapeDuration", t->last_duration_s);
    toc_json_kv_cstr(w, "health", toc_target_health_text(t->health));
    kv_seconds_text(w, "scrapeInterval", t->interval_ms);
    kv_seconds_text(w, "scrapeTimeout", t->timeout_ms);
    toc_json_end_object(w);
}

static void write_dropped(void *ctx, struct toc_sv pool, struct toc_labels discovered) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_key(w, "discoveredLabels");
    toc_json_labels(w, discovered);
    toc_json_kv_string(w, "scrapePool", pool);
    toc_json_end_object(w);
}

void toc_api_prom_targets(struct toc_api_call *c) {
    struct toc_sv state = toc_api_param(c, "state");
    bool active = !toc_sv_eq(state, TOC_SV("dropped")),
         dropped = !toc_sv_eq(state, TOC_SV("active"));
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "activeTargets");
    toc_json_begin_array(&c->json);
    if (active)
        toc_scraper_list(c->api->parts.scraper, write_target, &c->json);
    toc_json_end_array(&c->json);
    toc_json_key(&c->json, "droppedTargets");
    toc_json_begin_array(&c->json);
    if (dropped)
        toc_scraper_list_dropped(c->api->parts.scraper, write_dropped, &c->json);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

/* --------------------------------------------------------------------------------------------
 * status */

void toc_api_prom_buildinfo(struct toc_api_call *c) {
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    /* Grafana reads the version to know what the API can do: it is Prometheus' that we speak. */
    toc_json_kv_cstr(&c->json, "version", "3.0.0");
    toc_json_kv_cstr(&c->json, "revision", "tocsin-" TOC_VERSION);
    toc_json_kv_cstr(&c->json, "branch", "");
    toc_json_kv_cstr(&c->json, "buildUser", "");
    toc_json_kv_cstr(&c->json, "buildDate", "");
    toc_json_kv_cstr(&c->json, "goVersion", "");
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

void toc_api_prom_runtimeinfo(struct toc_api_call *c) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(c->api->parts.metrics, &s);
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_kv_time(&c->json, "startTime", c->api->parts.started_at);
    toc_json_kv_bool(&c->json, "reloadConfigSuccess", true);
    toc_json_kv_int(&c->json, "corruptionCount", (int64_t)s.corruptions);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

void toc_api_prom_config(struct toc_api_call *c) {
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "yaml", c->api->parts.config_text ? c->api->parts.config_text : "");
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

void toc_api_prom_tsdb(struct toc_api_call *c) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(c->api->parts.metrics, &s);
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "headStats");
    toc_json_begin_object(&c->json);
    toc_json_kv_int(&c->json, "numSeries", (int64_t)s.series);
    toc_json_kv_int(&c->json, "minTime", s.oldest_ms);
    toc_json_kv_int(&c->json, "maxTime", s.newest_ms);
    toc_json_end_object(&c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}
