/* Shared by the handler files of src/api. */
#ifndef TOC_API_API_PRIV_H
#define TOC_API_API_PRIV_H

#include <stdatomic.h>

#include "api/api.h"
#include "api/parts.h"
#include "api/query_gate.h"
#include "api/route.h"
#include "codec/json.h"
#include "codec/json_writer.h"
#include "sys/thread.h"

struct toc_api_events;

struct toc_api {
    struct toc_api_parts parts;
    struct toc_api_events *events;
    struct toc_query_gate *queries;
    atomic_uint features;         /* TOC_FEATURE_… */
    atomic_ullong export_skipped; /* histograms that an export had no form for */
    struct toc_mutex labels_mutex;
    struct toc_labels external_labels; /* owned, under it */
};

/* One request on its way through. */
struct toc_api_call {
    struct toc_api *api;
    const struct toc_http_request *req;
    struct toc_http_response *res;
    const struct toc_route *route;
    struct toc_sv params[TOC_ROUTE_PARAMS_MAX];
    struct toc_ts now;
    char actor[128];             /* who calls, for timelines and the audit log */
    struct toc_json_writer json; /* onto res->body */
};

/* Was the web UI there when the program was built? */
bool toc_api_has_ui(void);

#define TOC_SESSION_COOKIE "tocsin_session"

/* What the request brings along for the guard. */
struct toc_credentials toc_api_credentials(const struct toc_http_request *req);

static inline struct toc_sv toc_api_param(const struct toc_api_call *c, const char *name) {
    return toc_http_param_get(c->req, name);
}

/* Tocsin's API: problem JSON (RFC 9457) with the status that fits the code. */
void toc_api_problem(struct toc_api_call *c, int status, const char *code, const char *fmt, ...)
    TOC_PRINTF(4, 5);
void toc_api_fail(struct toc_api_call *c, int rc, const struct toc_err *err);
/* HTTP status for a TOC_E… code. */
int toc_api_status_of(int rc);
/* The body as a JSON object in the request's arena; an empty body gives NULL. False: answered
 * already. */
bool toc_api_body(struct toc_api_call *c, const struct toc_json **out);
/* Optional string member of the body; false: answered already. */
bool toc_api_body_string(struct toc_api_call *c, const struct toc_json *body, const char *key,
                         struct toc_sv *out);
/* `limit` parameter within 1..max; false: answered already. */
bool toc_api_limit(struct toc_api_call *c, size_t fallback, size_t max, size_t *out);

void toc_json_labels(struct toc_json_writer *w, struct toc_labels labels);

/* What a handler had begun to write gives way to something else. */
void toc_api_restart(struct toc_api_call *c);

/* The handlers, file by file; route.c tells their paths. */
toc_api_handler toc_api_healthy, toc_api_ready, toc_api_reload, toc_api_self_metrics,
    toc_api_status, toc_api_snapshot, toc_api_changes, toc_api_discovery, toc_api_detectors,
    toc_api_anomalies;
toc_api_handler toc_api_ui;
toc_api_handler toc_api_prom_query, toc_api_prom_query_range, toc_api_prom_format_query,
    toc_api_prom_parse_query;
toc_api_handler toc_api_prom_exemplars;
toc_api_handler toc_api_prom_series, toc_api_prom_labels, toc_api_prom_label_values;
toc_api_handler toc_api_prom_search_metric_names, toc_api_prom_search_label_names,
    toc_api_prom_search_label_values;
toc_api_handler toc_api_prom_metadata, toc_api_prom_targets_metadata;
toc_api_handler toc_api_prom_rules, toc_api_prom_alerts, toc_api_prom_alertmanagers;
toc_api_handler toc_api_prom_targets, toc_api_prom_scrape_pools, toc_api_prom_scrape_pool_config,
    toc_api_prom_relabel_steps;
toc_api_handler toc_api_prom_buildinfo, toc_api_prom_runtimeinfo, toc_api_prom_config,
    toc_api_prom_flags, toc_api_prom_features, toc_api_prom_version, toc_api_prom_self_metrics;
toc_api_handler toc_api_prom_notifications, toc_api_prom_notifications_live;
toc_api_handler toc_api_prom_tsdb, toc_api_prom_blocks, toc_api_prom_walreplay;
toc_api_handler toc_api_prom_delete_series, toc_api_prom_clean_tombstones, toc_api_prom_snapshot;
toc_api_handler toc_api_federate;
toc_api_handler toc_api_quit, toc_api_old_graph, toc_api_old_alerts, toc_api_prom_openapi;
toc_api_handler toc_api_queries;
toc_api_handler toc_api_am_status, toc_api_am_receivers, toc_api_am_alerts_get,
    toc_api_am_alerts_post, toc_api_am_groups, toc_api_am_silences_get, toc_api_am_silences_post,
    toc_api_am_silence_get, toc_api_am_silence_delete;
toc_api_handler toc_api_incidents, toc_api_incident, toc_api_incident_acknowledge,
    toc_api_incident_assign, toc_api_incident_comment, toc_api_incident_mitigate,
    toc_api_incident_verdict, toc_api_incident_resolve, toc_api_incident_review,
    toc_api_incident_summary, toc_api_incident_proposal, toc_api_incident_proposal_apply,
    toc_api_incident_ack_page, toc_api_incident_ack_link;
toc_api_handler toc_api_detector_explanation, toc_api_threshold_suggest;
toc_api_handler toc_api_backtest, toc_api_threshold_reviews, toc_api_threshold_review_propose,
    toc_api_threshold_review_accept, toc_api_threshold_review_reject;
toc_api_handler toc_api_packs, toc_api_pack_set, toc_api_dashboards, toc_api_dashboard;
toc_api_handler toc_api_runs, toc_api_run_coverage, toc_api_ingest_run;
toc_api_handler toc_api_learn, toc_api_learn_report, toc_api_learn_alerts, toc_api_learn_preview,
    toc_api_learn_apply, toc_api_learn_roll_back, toc_api_learn_verdict;
toc_api_handler toc_api_remote_write, toc_api_remote_read;
toc_api_handler toc_api_otlp_metrics, toc_api_otlp_traces;
toc_api_handler toc_api_influx_write, toc_api_influx_ping, toc_api_influx_health,
    toc_api_influx_query;
toc_api_handler toc_api_import_jsonl, toc_api_import_csv, toc_api_import_exposition;
toc_api_handler toc_api_export_jsonl, toc_api_export_csv, toc_api_export_openmetrics;
toc_api_handler toc_api_receivers, toc_api_receiver_test, toc_api_deliveries;
toc_api_handler toc_api_events;
toc_api_handler toc_api_session_get, toc_api_session_post, toc_api_session_delete,
    toc_api_tokens_get, toc_api_tokens_post, toc_api_tokens_delete;

#endif
