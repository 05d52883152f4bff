/* Health, status, changes, discovery, detectors: how the daemon itself is doing. */
#include <stdlib.h>

#include "api/api_priv.h"
#include "base/alloc.h"
#include "base/num.h"
#include "collect/discovery.h"
#include "statedb/changes.h"
#include "sys/env.h"

void toc_api_healthy(struct toc_api_call *c) {
    c->res->content_type = "text/plain; charset=utf-8";
    toc_buf_append_cstr(&c->res->body, "Tocsin is healthy.\n");
}

void toc_api_ready(struct toc_api_call *c) {
    c->res->content_type = "text/plain; charset=utf-8";
    toc_buf_append_cstr(&c->res->body, "Tocsin is ready.\n");
}

void toc_api_reload(struct toc_api_call *c) {
    struct toc_err err = {0};
    int rc = c->api->parts.reload(c->api->parts.daemon, &err);
    if (rc < 0)
        toc_api_fail(c, rc == TOC_EPARSE || rc == TOC_EUNKNOWN_KEY ? rc : TOC_EINVAL, &err);
}

/* Offered by upstream behind a flag that is off by default; a service manager does it better. */
void toc_api_quit(struct toc_api_call *c) {
    c->res->status = 403;
    c->res->content_type = "text/plain; charset=utf-8";
    toc_buf_append_cstr(&c->res->body, "Lifecycle API is not enabled.");
}

struct problems {
    struct toc_json_writer *w;
    int count;
};

static void write_problem(void *ctx, const char *kind, const char *text, struct toc_ts since) {
    struct problems *p = ctx;
    toc_json_begin_object(p->w);
    toc_json_kv_cstr(p->w, "kind", kind);
    toc_json_kv_cstr(p->w, "text", text);
    toc_json_kv_time(p->w, "since", since);
    toc_json_end_object(p->w);
    p->count++;
}

struct target_counts {
    int64_t up, down;
};

static void count_target(void *ctx, const struct toc_target_info *t) {
    struct target_counts *n = ctx;
    n->up += t->health == TOC_TARGET_UP;
    n->down += t->health == TOC_TARGET_DOWN;
}

static void count_run(void *ctx, const struct toc_run_info *r) {
    *(int64_t *)ctx += r->state != TOC_RUN_FINISHED && r->state != TOC_RUN_FAILED;
}

static void write_counts(struct toc_api_call *c) {
    const struct toc_api_parts *p = &c->api->parts;
    struct toc_rules_stats rules = toc_rules_stats(p->rules);
    struct toc_alert_stats alerts = toc_alert_manager_stats(p->alerts);
    struct toc_incident_counters incidents;
    struct toc_metricdb_stats metrics;
    struct target_counts targets = {0};
    int64_t runs = 0;
    toc_incident_get_counters(p->incidents, &incidents);
    toc_metricdb_stats(p->metrics, &metrics);
    toc_scraper_list(p->scraper, count_target, &targets);
    toc_run_receiver_list(p->runs, count_run, &runs);
    toc_json_key(&c->json, "counts");
    toc_json_begin_object(&c->json);
    toc_json_kv_int(&c->json, "alerts_firing", (int64_t)alerts.alerts_firing);
    toc_json_kv_int(&c->json, "alerts_pending", (int64_t)rules.alerts_pending);
    toc_json_kv_int(&c->json, "incidents_open", (int64_t)incidents.open_count);
    toc_json_kv_int(&c->json, "series", (int64_t)metrics.series);
    toc_json_kv_int(&c->json, "samples_total", (int64_t)metrics.samples_total);
    toc_json_kv_int(&c->json, "targets_up", targets.up);
    toc_json_kv_int(&c->json, "targets_down", targets.down);
    toc_json_kv_int(&c->json, "runs_running", runs);
    toc_json_end_object(&c->json);
}

void toc_api_status(struct toc_api_call *c) {
    struct problems problems = {&c->json, 0};
    const struct toc_api_parts *p = &c->api->parts;
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "version", TOC_VERSION);
    toc_json_kv_time(&c->json, "started_at", p->started_at);
    toc_json_kv_time(&c->json, "now", c->now);
    toc_json_key(&c->json, "problems");
    toc_json_begin_array(&c->json);
    p->each_problem(p->daemon, write_problem, &problems);
    toc_json_end_array(&c->json);
    toc_json_kv_cstr(&c->json, "health", problems.count ? "degraded" : "ok");
    write_counts(c);
    toc_json_kv_int(&c->json, "rss_bytes", (int64_t)toc_process_rss_bytes());
    toc_json_kv_bool(&c->json, "ui_built", toc_api_has_ui());
    toc_json_end_object(&c->json);
}

struct metrics_writer {
    struct toc_buf *out;
    const char *last_name;
};

/* A label's value in the exposition format. */
static void append_escaped(struct toc_buf *out, const char *s) {
    for (; *s; s++) {
        if (*s == '\\' || *s == '"')
            toc_buf_append_char(out, '\\');
        if (*s == '\n')
            toc_buf_append_cstr(out, "\\n");
        else
            toc_buf_append_char(out, *s);
    }
}

static void write_metric(void *ctx, const char *name, const char *type, const char *help,
                         const char *label, const char *label_value, double value) {
    struct metrics_writer *w = ctx;
    if (!w->last_name || strcmp(w->last_name, name) != 0)
        toc_buf_printf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    w->last_name = name;
    toc_buf_append_cstr(w->out, name);
    if (label) {
        toc_buf_printf(w->out, "{%s=\"", label);
        append_escaped(w->out, label_value);
        toc_buf_append_cstr(w->out, "\"}");
    }
    toc_buf_append_char(w->out, ' ');
    toc_format_f64(value, w->out);
    toc_buf_append_char(w->out, '\n');
}

static void write_labelled_metric(void *ctx, const char *name, const char *type, const char *help,
                                  const struct toc_label *labels, size_t count, double value) {
    struct metrics_writer *w = ctx;
    if (!w->last_name || strcmp(w->last_name, name) != 0)
        toc_buf_printf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    w->last_name = name;
    toc_buf_append_cstr(w->out, name);
    for (size_t i = 0; i < count; i++) {
        toc_buf_printf(w->out, "%c%.*s=\"", i ? ',' : '{', TOC_SV_ARG(labels[i].name));
        append_escaped(w->out, labels[i].value.p);
        toc_buf_append_char(w->out, '"');
    }
    toc_buf_append_cstr(w->out, count ? "} " : " ");
    toc_format_f64(value, w->out);
    toc_buf_append_char(w->out, '\n');
}

void toc_api_self_metrics(struct toc_api_call *c) {
    struct metrics_writer w = {&c->res->body, NULL};
    c->res->content_type = "text/plain; version=0.0.4; charset=utf-8";
    c->api->parts.each_metric(c->api->parts.daemon, write_metric, &w);
    if (c->api->parts.each_labelled_metric)
        c->api->parts.each_labelled_metric(c->api->parts.daemon, write_labelled_metric, &w);
}

static int write_change(void *ctx, const struct toc_change *change) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_int(w, "id", change->id);
    toc_json_kv_string(w, "kind", change->kind);
    toc_json_kv_string(w, "subject", change->subject);
    toc_json_kv_string(w, "before", change->before);
    toc_json_kv_string(w, "after", change->after);
    toc_json_kv_string(w, "actor", change->actor);
    toc_json_kv_time(w, "at", change->at);
    toc_json_kv_string(w, "incident_id", change->incident_id);
    toc_json_end_object(w);
    return 0;
}

void toc_api_changes(struct toc_api_call *c) {
    struct toc_err err = {0};
    size_t limit;
    if (!toc_api_limit(c, 100, 1000, &limit))
        return;
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "changes");
    toc_json_begin_array(&c->json);
    int rc = toc_changes_list(c->api->parts.state, toc_api_param(c, "incident"), limit,
                              write_change, &c->json, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

static void write_found(void *ctx, const struct toc_discover_info *i) {
    struct toc_json_writer *w = ctx;
    if (i->kind.n == 0)
        return;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "url", i->url);
    toc_json_kv_string(w, "kind", i->kind);
    toc_json_kv_string(w, "name", i->name);
    toc_json_kv_cstr(w, "state", i->state == TOC_DISCOVER_GONE ? "down" : "up");
    toc_json_kv_time(w, "since", i->since);
    toc_json_end_object(w);
}

static void write_source(void *ctx, const struct toc_discovery_source_info *i) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "mechanism", i->mechanism);
    toc_json_kv_string(w, "job", i->job);
    toc_json_kv_string(w, "where", i->where);
    toc_json_kv_cstr(w, "state",
                     i->failing_since.ms ? "failing"
                     : i->is_started     ? "ok"
                                         : "starting");
    toc_json_kv_int(w, "targets", (int64_t)i->targets);
    toc_json_kv_int(w, "groups", (int64_t)i->groups);
    toc_json_kv_int(w, "refreshes", (int64_t)i->refreshes);
    toc_json_kv_int(w, "failures", (int64_t)i->failures);
    toc_json_kv_string(w, "last_error", i->last_error);
    toc_json_kv_time(w, "last_success", i->last_success);
    toc_json_kv_time(w, "failing_since", i->failing_since);
    toc_json_end_object(w);
}

void toc_api_discovery(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "found");
    toc_json_begin_array(&c->json);
    if (c->api->parts.discover)
        toc_discover_list(c->api->parts.discover, write_found, &c->json);
    toc_json_end_array(&c->json);
    toc_json_key(&c->json, "sources");
    toc_json_begin_array(&c->json);
    toc_discovery_list(toc_scraper_discovery(c->api->parts.scraper), write_source, &c->json);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

static void write_detector(void *ctx, const struct toc_detector_view *v) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", v->name);
    toc_json_kv_string(w, "expr", v->expr);
    toc_json_kv_string(w, "method", v->method);
    toc_json_kv_string(w, "state", v->state);
    toc_json_kv_bool(w, "built_in", v->is_builtin);
    toc_json_kv_double(w, "interval_s", (double)v->interval_ms / 1000);
    toc_json_kv_double(w, "threshold", v->threshold);
    toc_json_key(w, "features");
    toc_json_begin_array(w);
    for (size_t i = 0; i < v->features; i++) {
        toc_json_begin_object(w);
        toc_json_kv_string(w, "name", v->feature_list[i].name);
        toc_json_kv_string(w, "expr", v->feature_list[i].expr);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_kv_int(w, "model_version", v->model_version);
    toc_json_kv_time(w, "trained_at", v->trained_at);
    toc_json_kv_int(w, "training_points", (int64_t)v->training_points);
    toc_json_kv_double(w, "last_score", v->last_score);
    toc_json_kv_int(w, "series", (int64_t)v->series);
    toc_json_kv_int(w, "anomalies", (int64_t)v->anomalies);
    toc_json_kv_int(w, "state_bytes", (int64_t)v->state_bytes);
    toc_json_kv_string(w, "last_error", v->last_error);
    toc_json_end_object(w);
}

void toc_api_detectors(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "detectors");
    toc_json_begin_array(&c->json);
    toc_detectors_each(c->api->parts.detectors, write_detector, &c->json);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

/* ---- anomalies ---- */

enum { ANOMALIES_SHOWN = 200, ANOMALIES_MAX = 20000, ANOMALY_LABEL_BYTES = 4 << 20 };

static int by_surprise(const void *a, const void *b) {
    const struct toc_anomalous_series *x = a, *y = b;
    return (x->surprise < y->surprise) - (x->surprise > y->surprise);
}

static void write_anomaly(struct toc_json_writer *w, const struct toc_anomalous_series *s,
                          struct toc_labels labels) {
    toc_json_begin_object(w);
    toc_json_key(w, "labels");
    toc_json_labels(w, labels);
    toc_json_kv_double(w, "value", s->value);
    toc_json_kv_double(w, "surprise", s->surprise);
    toc_json_kv_cstr(w, "direction", s->is_above ? "up" : "down");
    toc_json_kv_time(w, "time", (struct toc_ts){s->t_ms});
    toc_json_end_object(w);
}

/* Series whose newest sample is anomalous, the strangest first. */
void toc_api_anomalies(struct toc_api_call *c) {
    struct toc_series_watch *watch = c->api->parts.series_watch;
    struct toc_newest_source *source = c->api->parts.newest;
    struct toc_anomalous_series *list = TOC_NEW_ARRAY(struct toc_anomalous_series, ANOMALIES_MAX);
    struct toc_arena arena;
    size_t count = watch ? toc_series_watch_anomalous(watch, list, ANOMALIES_MAX) : 0;
    qsort(list, count, sizeof *list, by_surprise);
    toc_arena_init(&arena, ANOMALY_LABEL_BYTES);
    toc_json_begin_object(&c->json);
    toc_json_kv_bool(&c->json, "is_enabled", watch != NULL);
    toc_json_kv_int(&c->json, "count", (int64_t)count);
    toc_json_key(&c->json, "series");
    toc_json_begin_array(&c->json);
    for (size_t i = 0; i < TOC_MIN(count, (size_t)ANOMALIES_SHOWN); i++) {
        struct toc_labels labels;
        if (source->labels(source, list[i].ref, &arena, &labels))
            write_anomaly(&c->json, &list[i], labels);
    }
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_arena_fini(&arena);
    toc_free(list);
}
