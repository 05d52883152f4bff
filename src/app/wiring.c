/* The places where one part's output becomes another's input. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/daemon_priv.h"
#include "base/num.h"
#include "model/incident_json.h"
#include "promql/promql.h"
#include "statedb/silences.h"
#include "sys/log.h"

enum {
    SPARK_WINDOW_MS = 10 * 60 * 1000,
    SPARK_STEP_MS = 15 * 1000,
    ALERTS_PER_MESSAGE_MAX = 200,
    ACK_LINK_LIFE_MS = 24 * 3600 * 1000
};

/* ------------------------------------------------------------------------------- runs → doctor,
 * logs
 */

static void on_run_event(struct toc_run_listener *l, const struct toc_run_event *e) {
    struct toc_run_listener_adapter *a = (struct toc_run_listener_adapter *)(void *)l;
    bool is_start = e->kind == TOC_RUN_EVENT_START, is_again = e->kind == TOC_RUN_EVENT_RESTART;
    a->doctor->on_event(a->doctor, e);
    if (e->kind == TOC_RUN_EVENT_JOB)
        toc_log_watch_note_change(a->logs, e->run, e->t, e->message);
    if (!is_start && !is_again)
        return;
    toc_log_watch_note_attempt(a->logs, e->run, e->t);
    toc_log_watch_note_change(a->logs, e->run, e->t,
                              is_start ? TOC_SV("the run was started")
                                       : TOC_SV("the run was restarted"));
}

void toc_run_listener_adapter_init(struct toc_run_listener_adapter *a,
                                   struct toc_run_listener *doctor, struct toc_log_watch *logs) {
    *a = (struct toc_run_listener_adapter){{on_run_event}, doctor, logs};
}

/* ---------------------------------------------------------------------------- groups →
 * notifications */

static struct toc_labels common_of(const struct toc_alert_flush *f, bool annotations,
                                   struct toc_arena *a) {
    struct toc_labels first =
        annotations ? f->alerts[0].alert->annotations : f->alerts[0].alert->labels;
    struct toc_label *items = toc_arena_calloc(a, first.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < first.count; i++) {
        bool is_common = true;
        for (size_t k = 1; k < f->count && is_common; k++) {
            struct toc_labels other =
                annotations ? f->alerts[k].alert->annotations : f->alerts[k].alert->labels;
            is_common = toc_sv_eq(toc_labels_get(other, first.items[i].name), first.items[i].value);
        }
        if (is_common)
            items[out.count++] = first.items[i];
    }
    return out;
}

/* The alert that the message is about: a firing one of the highest root rank. */
static const struct toc_flush_alert *leader_of(const struct toc_alert_flush *f) {
    const struct toc_flush_alert *best = &f->alerts[0];
    int best_rank = -1;
    for (size_t i = 0; i < f->count; i++) {
        const struct toc_finding *finding = f->alerts[i].alert->finding;
        int rank = (finding ? toc_kind_info(finding->kind)->root_rank : 15) +
                   (f->alerts[i].is_resolved ? 0 : 1000);
        if (rank > best_rank) {
            best_rank = rank;
            best = &f->alerts[i];
        }
    }
    return best;
}

static struct toc_sv annotation(const struct toc_alert *a, const char *name) {
    return toc_labels_get(a->annotations, toc_sv_cstr(name));
}

static void set_texts(struct toc_notification *n, const struct toc_alert *a) {
    const struct toc_finding *f = a->finding;
    n->title = f && f->title.n ? f->title : annotation(a, "summary");
    if (n->title.n == 0)
        n->title = toc_labels_get(a->labels, TOC_SV("alertname"));
    n->summary = f && f->summary.n ? f->summary : annotation(a, "description");
    n->action = f && f->action.n ? f->action : annotation(a, "action");
    n->runbook_url = annotation(a, "runbook_url");
    n->cause = f && f->cause_count ? f->causes[0].text : TOC_SV_NULL;
    n->severity =
        f ? f->severity : toc_severity_parse(toc_labels_get(a->labels, TOC_SV("severity")));
    n->since = f && f->first_seen.ms ? f->first_seen : a->starts_at;
}

static void set_numbers(struct toc_notification *n, const struct toc_alert *a) {
    const struct toc_evidence *e =
        a->finding && a->finding->evidence_count ? &a->finding->evidence[0] : NULL;
    n->value = e ? e->value : a->value;
    if (e) {
        n->threshold = e->threshold;
        n->expected_lower = e->expected_lower;
        n->expected_upper = e->expected_upper;
        n->unit = e->unit;
    }
}

/* The evidence of the last ten minutes, as a sparkline; nothing when it cannot be computed. */
static void set_spark(struct toc_daemon *d, struct toc_notification *n, const struct toc_alert *a,
                      struct toc_ts now, struct toc_arena *arena) {
    const struct toc_evidence *e =
        a->finding && a->finding->evidence_count ? &a->finding->evidence[0] : NULL;
    struct toc_promql_expr *expr = NULL;
    struct toc_promql_result r = {0};
    struct toc_promql_options o = {
        .querier = toc_metricdb_querier(d->metrics), .max_samples = 1000000, .max_bytes = 16 << 20};
    if (!e || e->expr.n == 0 || toc_promql_parse(e->expr, &expr, NULL) < 0)
        return;
    enum toc_promql_type type = toc_promql_expr_type(expr);
    bool is_drawable = type == TOC_PROMQL_SCALAR || type == TOC_PROMQL_VECTOR;
    if (is_drawable &&
        toc_promql_range(expr, &o, now.ms - SPARK_WINDOW_MS, now.ms, SPARK_STEP_MS, &r, NULL) ==
            0 &&
        r.series_count == 1) {
        double *values = toc_arena_calloc(arena, r.series[0].count + 1, sizeof *values);
        for (size_t i = 0; values && i < r.series[0].count; i++)
            values[i] = r.series[0].points[i].value;
        n->spark = values;
        n->spark_count = values ? r.series[0].count : 0;
    }
    toc_promql_result_fini(&r);
    toc_promql_expr_free(&expr);
}

static void set_links(struct toc_daemon *d, struct toc_notification *n, const char *incident_id,
                      struct toc_ts now, struct toc_arena *a) {
    struct toc_buf text = TOC_BUF_INIT, token = TOC_BUF_INIT;
    struct toc_sv base = d->config->external_url.n ? d->config->external_url : toc_sv_cstr(d->url);
    n->external_url = base;
    if (!incident_id[0])
        return;
    n->incident_id = toc_arena_dup_sv(a, toc_sv_cstr(incident_id));
    toc_buf_printf(&text, "%.*s/#/incident/%s", TOC_SV_ARG(base), incident_id);
    n->incident_url = toc_arena_dup_sv(a, toc_buf_sv(&text));
    if (!n->is_resolved) {
        toc_ack_token_make(d->ack_key, n->incident_id, (struct toc_ts){now.ms + ACK_LINK_LIFE_MS},
                           &token);
        toc_buf_reset(&text);
        toc_ack_link_page(base, n->incident_id, toc_buf_sv(&token), &text);
        n->ack_url = toc_arena_dup_sv(a, toc_buf_sv(&text));
        toc_buf_reset(&text);
        toc_ack_link_post(base, n->incident_id, toc_buf_sv(&token), &text);
        n->ack_post_url = toc_arena_dup_sv(a, toc_buf_sv(&text));
    }
    toc_buf_fini(&text);
    toc_buf_fini(&token);
}

static void set_alerts(struct toc_notification *n, const struct toc_alert_flush *f,
                       struct toc_arena *a) {
    size_t count = f->count < ALERTS_PER_MESSAGE_MAX ? f->count : ALERTS_PER_MESSAGE_MAX;
    struct toc_notification_alert *items = toc_arena_calloc(a, count, sizeof *items);
    for (size_t i = 0; items && i < count; i++) {
        const struct toc_alert *alert = f->alerts[i].alert;
        items[i] = (struct toc_notification_alert){.is_resolved = f->alerts[i].is_resolved,
                                                   .labels = alert->labels,
                                                   .annotations = alert->annotations,
                                                   .starts_at = alert->starts_at,
                                                   .ends_at = alert->ends_at,
                                                   .generator_url = alert->generator_url};
    }
    n->alerts = items;
    n->alert_count = items ? count : 0;
    n->truncated_alerts = f->count - n->alert_count;
}

/* One key per flush: the group, its time and its reason. The same flush offered again after a crash
 * is the same message. */
static struct toc_sv flush_key(const struct toc_alert_flush *f, struct toc_arena *a) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_buf_printf(&key, "%.*s|%.*s|%lld", TOC_SV_ARG(f->receiver), TOC_SV_ARG(f->group_key),
                   (long long)f->now.ms);
    struct toc_sv kept = toc_arena_dup_sv(a, toc_buf_sv(&key));
    toc_buf_fini(&key);
    return kept;
}

bool toc_daemon_tells_anybody(void *ctx, struct toc_sv receiver) {
    struct toc_daemon *d = ctx;
    struct toc_receiver_set *set = toc_notifier_receivers(d->notifier);
    const struct toc_receiver *r = toc_receiver_find(set, receiver);
    bool tells = !r || r->channel_count; /* one that is missing is an error to be told */
    toc_receiver_set_unref(&set);
    return tells;
}

bool toc_daemon_flush(void *ctx, const struct toc_alert_flush *f) {
    struct toc_daemon *d = ctx;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_notification n = toc_notification_empty();
    struct toc_err err = {0};
    char incident_id[TOC_INCIDENT_ID_MAX] = "";
    const struct toc_flush_alert *leader = leader_of(f);
    n.is_resolved = true;
    for (size_t i = 0; i < f->count; i++)
        n.is_resolved = n.is_resolved && f->alerts[i].is_resolved;
    toc_incident_of_alert(d->incidents, leader->fingerprint, incident_id);
    n.key = flush_key(f, &arena);
    n.receiver = f->receiver;
    n.at = f->now;
    n.group_key = f->group_key;
    n.group_labels = f->group_labels;
    n.common_labels = common_of(f, false, &arena);
    n.common_annotations = common_of(f, true, &arena);
    n.subject = n.common_labels;
    set_texts(&n, leader->alert);
    set_numbers(&n, leader->alert);
    set_spark(d, &n, leader->alert, f->now, &arena);
    set_links(d, &n, incident_id, f->now, &arena);
    set_alerts(&n, f, &arena);
    int rc = toc_notifier_send(d->notifier, &n, NULL, &err);
    if (rc < 0)
        toc_log(TOC_LOG_ERROR, "notify", "a notification for %.*s could not be kept: %s",
                TOC_SV_ARG(f->receiver), err.message);
    toc_arena_fini(&arena);
    return rc == 0;
}

void toc_daemon_on_delivery(void *ctx, const struct toc_notifier_event *e) {
    struct toc_daemon *d = ctx;
    struct toc_err err = {0};
    struct toc_buf text = TOC_BUF_INIT;
    int rc = 0;
    if (e->incident_id.n == 0)
        return;
    toc_buf_printf(&text, "%.*s by %.*s: %s", TOC_SV_ARG(e->receiver), TOC_SV_ARG(e->channel),
                   e->detail);
    if (e->ok)
        rc = toc_incident_notified(d->incidents, e->incident_id, toc_buf_sv(&text), e->at, &err);
    else if (e->gave_up ||
             e->attempt == 1) /* the ledger has every attempt, the timeline what matters */
        rc = toc_incident_note(d->incidents, e->incident_id, TOC_SV("tocsin"),
                               TOC_TIMELINE_DELIVERY, toc_buf_sv(&text), e->at, &err);
    if (rc < 0 && rc != TOC_ENOENT)
        toc_log(TOC_LOG_WARN, "incident", "a delivery could not be noted: %s", err.message);
    toc_buf_fini(&text);
}

void toc_daemon_on_incident(void *ctx, enum toc_incident_event event,
                            const struct toc_incident *i) {
    struct toc_daemon *d = ctx;
    struct toc_buf json = TOC_BUF_INIT;
    struct toc_json_writer w;
    (void)event;
    toc_json_writer_init(&w, &json);
    toc_incident_write_json(&w, i, NULL, 0);
    if (d->api)
        toc_api_publish(d->api, "incident", toc_buf_sv(&json));
    toc_buf_fini(&json);
}

/* ------------------------------------------------------------------------------------------
 * silences */

static int silence_put(struct toc_silence_store *s, const struct toc_silence_record *r) {
    struct toc_silence_row row = {.id = r->id,
                                  .matchers = r->matchers,
                                  .starts_at = r->starts_at,
                                  .ends_at = r->ends_at,
                                  .updated_at = r->updated_at,
                                  .created_by = r->created_by,
                                  .comment = r->comment,
                                  .is_until_resolved = r->is_until_resolved};
    return toc_silences_put(((struct toc_silence_adapter *)s)->db, &row, NULL);
}

static int silence_remove(struct toc_silence_store *s, struct toc_sv id) {
    return toc_silences_remove(((struct toc_silence_adapter *)s)->db, id, NULL);
}

struct each_silence {
    toc_on_silence_record *fn;
    void *ctx;
};

static int on_row(void *ctx, const struct toc_silence_row *row) {
    struct each_silence *e = ctx;
    struct toc_silence_record r = {.id = row->id,
                                   .matchers = row->matchers,
                                   .starts_at = row->starts_at,
                                   .ends_at = row->ends_at,
                                   .updated_at = row->updated_at,
                                   .created_by = row->created_by,
                                   .comment = row->comment,
                                   .is_until_resolved = row->is_until_resolved};
    return e->fn(e->ctx, &r);
}

static int silence_each(struct toc_silence_store *s, toc_on_silence_record *fn, void *ctx) {
    struct each_silence e = {fn, ctx};
    return toc_silences_each(((struct toc_silence_adapter *)s)->db, on_row, &e, NULL);
}

void toc_silence_adapter_init(struct toc_silence_adapter *a, struct toc_statedb *db) {
    *a =
        (struct toc_silence_adapter){.base = {silence_put, silence_remove, silence_each}, .db = db};
}

/* ----------------------------------------------------------------------------------------
 * thresholds */

#define THRESHOLD_NS "threshold"

struct find_rule {
    struct toc_sv name;
    struct toc_buf *expr;
    int64_t *for_ms, *interval_ms;
    bool is_found;
};

static void look_in_group(void *ctx, const struct toc_rule_group_view *g) {
    struct find_rule *f = ctx;
    for (size_t i = 0; i < g->rule_count && !f->is_found; i++) {
        const struct toc_rule_view *r = &g->rules[i];
        if (!r->rule->is_alert || !toc_sv_eq(r->rule->name, f->name))
            continue;
        toc_buf_append_sv(f->expr, r->query);
        *f->for_ms = r->rule->for_ms;
        *f->interval_ms = g->interval_ms;
        f->is_found = true;
    }
}

static int threshold_get(struct toc_threshold_access *access, struct toc_sv rule,
                         struct toc_buf *out_expr, int64_t *out_for_ms, int64_t *out_interval_ms,
                         struct toc_err *err) {
    struct toc_threshold_adapter *a = (struct toc_threshold_adapter *)access;
    struct find_rule f = {rule, out_expr, out_for_ms, out_interval_ms, false};
    toc_rules_each_group(a->rules, look_in_group, &f);
    if (!f.is_found)
        return toc_errf(err, TOC_ENOENT,
                        "\"%.*s\" is not an alert rule with a threshold that could be changed",
                        TOC_SV_ARG(rule));
    return 0;
}

static int threshold_set(struct toc_threshold_access *access, struct toc_sv rule, double threshold,
                         struct toc_err *err) {
    struct toc_threshold_adapter *a = (struct toc_threshold_adapter *)access;
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_rules_set_threshold(a->rules, rule, threshold, err);
    if (rc == 0) {
        toc_format_f64_g(threshold, &text);
        rc = a->blobs->put(a->blobs, THRESHOLD_NS, rule, toc_buf_sv(&text), err);
    }
    toc_buf_fini(&text);
    return rc;
}

void toc_threshold_adapter_init(struct toc_threshold_adapter *a, struct toc_rules *rules,
                                struct toc_blob_store *blobs) {
    *a = (struct toc_threshold_adapter){
        .base = {threshold_get, threshold_set}, .rules = rules, .blobs = blobs};
}

static int restore_one(void *ctx, struct toc_sv rule, struct toc_sv value) {
    struct toc_threshold_adapter *a = ctx;
    double threshold;
    struct toc_err err = {0};
    if (toc_parse_f64(value, &threshold) < 0)
        return 0;
    int rc = toc_rules_set_threshold(a->rules, rule, threshold, &err);
    if (rc < 0 && rc != TOC_ENOENT)
        toc_log(TOC_LOG_WARN, "rules", "the threshold of %.*s could not be set again: %s",
                TOC_SV_ARG(rule), err.message);
    return 0;
}

int toc_threshold_adapter_restore(struct toc_threshold_adapter *a, struct toc_err *err) {
    return a->blobs->each(a->blobs, THRESHOLD_NS, restore_one, a, err);
}
