#include "api/route.h"

#include "api/api_priv.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

#define GET "GET"
#define POST "POST"
#define PUT "PUT"
#define DELETE "DELETE"
#define T "/api/tocsin/v1"

static const struct toc_route g_routes[] = {
    /* method, pattern, access, audited, body, handler */
    {GET, "/-/healthy", TOC_ACCESS_PUBLIC, false, 0, toc_api_healthy},
    {GET, "/-/ready", TOC_ACCESS_PUBLIC, false, 0, toc_api_ready},
    {POST, "/-/reload", TOC_ACCESS_ADMIN, true, KIB, toc_api_reload},
    {PUT, "/-/reload", TOC_ACCESS_ADMIN, true, KIB, toc_api_reload},
    {POST, "/-/quit", TOC_ACCESS_ADMIN, true, KIB, toc_api_quit},
    {PUT, "/-/quit", TOC_ACCESS_ADMIN, true, KIB, toc_api_quit},
    {GET, "/metrics", TOC_ACCESS_READ, false, 0, toc_api_self_metrics},

    {GET, "/api/v1/query", TOC_ACCESS_READ, false, 0, toc_api_prom_query},
    {POST, "/api/v1/query", TOC_ACCESS_READ, false, MIB, toc_api_prom_query},
    {GET, "/api/v1/query_range", TOC_ACCESS_READ, false, 0, toc_api_prom_query_range},
    {POST, "/api/v1/query_range", TOC_ACCESS_READ, false, MIB, toc_api_prom_query_range},
    {GET, "/api/v1/query_exemplars", TOC_ACCESS_READ, false, 0, toc_api_prom_exemplars},
    {POST, "/api/v1/query_exemplars", TOC_ACCESS_READ, false, MIB, toc_api_prom_exemplars},
    {GET, "/api/v1/format_query", TOC_ACCESS_READ, false, 0, toc_api_prom_format_query},
    {POST, "/api/v1/format_query", TOC_ACCESS_READ, false, MIB, toc_api_prom_format_query},
    {GET, "/api/v1/parse_query", TOC_ACCESS_READ, false, 0, toc_api_prom_parse_query},
    {POST, "/api/v1/parse_query", TOC_ACCESS_READ, false, MIB, toc_api_prom_parse_query},
    {GET, "/api/v1/labels", TOC_ACCESS_READ, false, 0, toc_api_prom_labels},
    {POST, "/api/v1/labels", TOC_ACCESS_READ, false, MIB, toc_api_prom_labels},
    {GET, "/api/v1/label/{}/values", TOC_ACCESS_READ, false, 0, toc_api_prom_label_values},
    {GET, "/api/v1/series", TOC_ACCESS_READ, false, 0, toc_api_prom_series},
    {POST, "/api/v1/series", TOC_ACCESS_READ, false, MIB, toc_api_prom_series},
    {GET, "/api/v1/search/metric_names", TOC_ACCESS_READ, false, 0,
     toc_api_prom_search_metric_names},
    {POST, "/api/v1/search/metric_names", TOC_ACCESS_READ, false, MIB,
     toc_api_prom_search_metric_names},
    {GET, "/api/v1/search/label_names", TOC_ACCESS_READ, false, 0, toc_api_prom_search_label_names},
    {POST, "/api/v1/search/label_names", TOC_ACCESS_READ, false, MIB,
     toc_api_prom_search_label_names},
    {GET, "/api/v1/search/label_values", TOC_ACCESS_READ, false, 0,
     toc_api_prom_search_label_values},
    {POST, "/api/v1/search/label_values", TOC_ACCESS_READ, false, MIB,
     toc_api_prom_search_label_values},
    {POST, "/api/v1/read", TOC_ACCESS_READ, false, MIB, toc_api_remote_read},
    {POST, "/api/v1/write", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_remote_write},
    {POST, "/api/v1/otlp/v1/metrics", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_otlp_metrics},
    {POST, "/v1/metrics", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_otlp_metrics},
    {POST, "/v1/traces", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_otlp_traces},
    {POST, "/write", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_influx_write},
    {POST, "/api/v2/write", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_influx_write},
    {GET, "/ping", TOC_ACCESS_PUBLIC, false, 0, toc_api_influx_ping},
    {GET, "/health", TOC_ACCESS_PUBLIC, false, 0, toc_api_influx_health},
    {POST, "/query", TOC_ACCESS_READ, false, MIB, toc_api_influx_query},
    {POST, "/api/v1/import", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_import_jsonl},
    {POST, "/api/v1/import/csv", TOC_ACCESS_INGEST, false, 32 * MIB, toc_api_import_csv},
    {POST, "/api/v1/import/prometheus", TOC_ACCESS_INGEST, false, 32 * MIB,
     toc_api_import_exposition},
    {GET, "/api/v1/export", TOC_ACCESS_READ, false, 0, toc_api_export_jsonl},
    {POST, "/api/v1/export", TOC_ACCESS_READ, false, MIB, toc_api_export_jsonl},
    {GET, "/api/v1/export/csv", TOC_ACCESS_READ, false, 0, toc_api_export_csv},
    {POST, "/api/v1/export/csv", TOC_ACCESS_READ, false, MIB, toc_api_export_csv},
    {GET, "/api/v1/export/openmetrics", TOC_ACCESS_READ, false, 0, toc_api_export_openmetrics},
    {POST, "/api/v1/export/openmetrics", TOC_ACCESS_READ, false, MIB, toc_api_export_openmetrics},
    {GET, "/api/v1/metadata", TOC_ACCESS_READ, false, 0, toc_api_prom_metadata},
    {GET, "/api/v1/targets", TOC_ACCESS_READ, false, 0, toc_api_prom_targets},
    {GET, "/api/v1/targets/metadata", TOC_ACCESS_READ, false, 0, toc_api_prom_targets_metadata},
    {GET, "/api/v1/targets/relabel_steps", TOC_ACCESS_READ, false, 0, toc_api_prom_relabel_steps},
    {GET, "/api/v1/scrape_pools", TOC_ACCESS_READ, false, 0, toc_api_prom_scrape_pools},
    {GET, "/api/v1/scrape_pools/config", TOC_ACCESS_ADMIN, false, 0,
     toc_api_prom_scrape_pool_config},
    {GET, "/api/v1/rules", TOC_ACCESS_READ, false, 0, toc_api_prom_rules},
    {GET, "/api/v1/alerts", TOC_ACCESS_READ, false, 0, toc_api_prom_alerts},
    {GET, "/api/v1/alertmanagers", TOC_ACCESS_READ, false, 0, toc_api_prom_alertmanagers},
    {GET, "/api/v1/status/config", TOC_ACCESS_ADMIN, false, 0, toc_api_prom_config},
    {GET, "/api/v1/status/flags", TOC_ACCESS_READ, false, 0, toc_api_prom_flags},
    {GET, "/api/v1/status/runtimeinfo", TOC_ACCESS_READ, false, 0, toc_api_prom_runtimeinfo},
    {GET, "/api/v1/status/buildinfo", TOC_ACCESS_READ, false, 0, toc_api_prom_buildinfo},
    {GET, "/api/v1/status/tsdb", TOC_ACCESS_READ, false, 0, toc_api_prom_tsdb},
    {GET, "/api/v1/status/walreplay", TOC_ACCESS_READ, false, 0, toc_api_prom_walreplay},
    {GET, "/api/v1/status/self_metrics", TOC_ACCESS_READ, false, 0, toc_api_prom_self_metrics},
    {GET, "/api/v1/status/tsdb/blocks", TOC_ACCESS_READ, false, 0, toc_api_prom_blocks},
    {GET, "/api/v1/features", TOC_ACCESS_READ, false, 0, toc_api_prom_features},
    {GET, "/api/v1/notifications", TOC_ACCESS_READ, false, 0, toc_api_prom_notifications},
    {GET, "/api/v1/notifications/live", TOC_ACCESS_READ, false, 0, toc_api_prom_notifications_live},
    {GET, "/api/v1/openapi.yaml", TOC_ACCESS_READ, false, 0, toc_api_prom_openapi},
    {POST, "/api/v1/admin/tsdb/delete_series", TOC_ACCESS_ADMIN, true, MIB,
     toc_api_prom_delete_series},
    {POST, "/api/v1/admin/tsdb/snapshot", TOC_ACCESS_ADMIN, true, MIB, toc_api_prom_snapshot},
    {POST, "/api/v1/admin/tsdb/clean_tombstones", TOC_ACCESS_ADMIN, true, MIB,
     toc_api_prom_clean_tombstones},
    {PUT, "/api/v1/admin/tsdb/delete_series", TOC_ACCESS_ADMIN, true, MIB,
     toc_api_prom_delete_series},
    {PUT, "/api/v1/admin/tsdb/snapshot", TOC_ACCESS_ADMIN, true, MIB, toc_api_prom_snapshot},
    {PUT, "/api/v1/admin/tsdb/clean_tombstones", TOC_ACCESS_ADMIN, true, MIB,
     toc_api_prom_clean_tombstones},

    {GET, "/federate", TOC_ACCESS_READ, false, 0, toc_api_federate},
    {GET, "/version", TOC_ACCESS_READ, false, 0, toc_api_prom_version},
    {GET, "/graph", TOC_ACCESS_PUBLIC, false, 0, toc_api_old_graph},
    {GET, "/alerts", TOC_ACCESS_PUBLIC, false, 0, toc_api_old_alerts},

    {GET, "/api/v2/status", TOC_ACCESS_READ, false, 0, toc_api_am_status},
    {GET, "/api/v2/receivers", TOC_ACCESS_READ, false, 0, toc_api_am_receivers},
    {GET, "/api/v2/alerts", TOC_ACCESS_READ, false, 0, toc_api_am_alerts_get},
    {POST, "/api/v2/alerts", TOC_ACCESS_INGEST, false, 4 * MIB, toc_api_am_alerts_post},
    {GET, "/api/v2/alerts/groups", TOC_ACCESS_READ, false, 0, toc_api_am_groups},
    {GET, "/api/v2/silences", TOC_ACCESS_READ, false, 0, toc_api_am_silences_get},
    {POST, "/api/v2/silences", TOC_ACCESS_EDIT, true, 256 * KIB, toc_api_am_silences_post},
    {GET, "/api/v2/silence/{}", TOC_ACCESS_READ, false, 0, toc_api_am_silence_get},
    {DELETE, "/api/v2/silence/{}", TOC_ACCESS_EDIT, true, 0, toc_api_am_silence_delete},

    {GET, T "/status", TOC_ACCESS_READ, false, 0, toc_api_status},
    {GET, T "/incidents", TOC_ACCESS_READ, false, 0, toc_api_incidents},
    {GET, T "/incidents/{}", TOC_ACCESS_READ, false, 0, toc_api_incident},
    {POST, T "/incidents/{}/acknowledge", TOC_ACCESS_RESPOND, true, 64 * KIB,
     toc_api_incident_acknowledge},
    {POST, T "/incidents/{}/assign", TOC_ACCESS_RESPOND, true, 64 * KIB, toc_api_incident_assign},
    {POST, T "/incidents/{}/comment", TOC_ACCESS_RESPOND, true, 64 * KIB, toc_api_incident_comment},
    {POST, T "/incidents/{}/mitigate", TOC_ACCESS_RESPOND, true, 64 * KIB,
     toc_api_incident_mitigate},
    {POST, T "/incidents/{}/verdict", TOC_ACCESS_RESPOND, true, 64 * KIB, toc_api_incident_verdict},
    {POST, T "/incidents/{}/resolve", TOC_ACCESS_RESPOND, true, 64 * KIB, toc_api_incident_resolve},
    {POST, T "/incidents/{}/review", TOC_ACCESS_RESPOND, true, 64 * KIB, toc_api_incident_review},
    {GET, T "/incidents/{}/summary", TOC_ACCESS_READ, false, 0, toc_api_incident_summary},
    {GET, T "/incidents/{}/proposal", TOC_ACCESS_READ, false, 0, toc_api_incident_proposal},
    {POST, T "/incidents/{}/proposal/apply", TOC_ACCESS_EDIT, true, 64 * KIB,
     toc_api_incident_proposal_apply},
    /* The signed link in a message: the token in the query is the authority. */
    {GET, T "/incidents/{}/ack", TOC_ACCESS_PUBLIC, false, 0, toc_api_incident_ack_page},
    {POST, T "/incidents/{}/acknowledge-link", TOC_ACCESS_PUBLIC, true, 4 * KIB,
     toc_api_incident_ack_link},
    {GET, T "/changes", TOC_ACCESS_READ, false, 0, toc_api_changes},
    {POST, T "/backtests", TOC_ACCESS_EDIT, true, 4096 * KIB, toc_api_backtest},
    {POST, T "/threshold-suggestions", TOC_ACCESS_EDIT, true, 64 * KIB, toc_api_threshold_suggest},
    {GET, T "/threshold-reviews", TOC_ACCESS_READ, false, 0, toc_api_threshold_reviews},
    {POST, T "/threshold-reviews", TOC_ACCESS_EDIT, true, 64 * KIB,
     toc_api_threshold_review_propose},
    {POST, T "/threshold-reviews/{}/accept", TOC_ACCESS_EDIT, true, 64 * KIB,
     toc_api_threshold_review_accept},
    {POST, T "/threshold-reviews/{}/reject", TOC_ACCESS_EDIT, true, 64 * KIB,
     toc_api_threshold_review_reject},
    {GET, T "/learn", TOC_ACCESS_READ, false, 0, toc_api_learn},
    {GET, T "/learn/report", TOC_ACCESS_READ, false, 0, toc_api_learn_report},
    {GET, T "/learn/alerts", TOC_ACCESS_READ, false, 0, toc_api_learn_alerts},
    {POST, T "/learn/alerts/{}/verdict", TOC_ACCESS_RESPOND, true, 4 * KIB, toc_api_learn_verdict},
    {GET, T "/learn/scopes/{}/preview", TOC_ACCESS_READ, false, 0, toc_api_learn_preview},
    {POST, T "/learn/scopes/{}/apply", TOC_ACCESS_EDIT, true, 4 * KIB, toc_api_learn_apply},
    {POST, T "/learn/scopes/{}/rollback", TOC_ACCESS_EDIT, true, 4 * KIB, toc_api_learn_roll_back},
    {GET, T "/packs", TOC_ACCESS_READ, false, 0, toc_api_packs},
    {GET, T "/dashboards", TOC_ACCESS_READ, false, 0, toc_api_dashboards},
    {GET, T "/dashboards/{}", TOC_ACCESS_READ, false, 0, toc_api_dashboard},
    {POST, T "/packs/{}", TOC_ACCESS_EDIT, true, 4 * KIB, toc_api_pack_set},
    {GET, T "/runs", TOC_ACCESS_READ, false, 0, toc_api_runs},
    {GET, T "/runs/{}/coverage", TOC_ACCESS_READ, false, 0, toc_api_run_coverage},
    {GET, T "/receivers", TOC_ACCESS_READ, false, 0, toc_api_receivers},
    {POST, T "/receivers/{}/test", TOC_ACCESS_EDIT, true, 4 * KIB, toc_api_receiver_test},
    {GET, T "/deliveries", TOC_ACCESS_READ, false, 0, toc_api_deliveries},
    {GET, T "/detectors", TOC_ACCESS_READ, false, 0, toc_api_detectors},
    {GET, T "/detectors/{}/explanation", TOC_ACCESS_READ, false, 0, toc_api_detector_explanation},
    {GET, T "/anomalies", TOC_ACCESS_READ, false, 0, toc_api_anomalies},
    {GET, T "/discovery", TOC_ACCESS_READ, false, 0, toc_api_discovery},
    {POST, T "/ingest/run", TOC_ACCESS_INGEST, false, 8 * MIB, toc_api_ingest_run},
    {GET, T "/queries", TOC_ACCESS_ADMIN, false, 0, toc_api_queries},
    {GET, T "/events", TOC_ACCESS_READ, false, 0, toc_api_events},
    {GET, T "/session", TOC_ACCESS_PUBLIC, false, 0, toc_api_session_get},
    {POST, T "/session", TOC_ACCESS_PUBLIC, true, 4 * KIB, toc_api_session_post},
    {DELETE, T "/session", TOC_ACCESS_PUBLIC, true, 0, toc_api_session_delete},
    {POST, T "/snapshot", TOC_ACCESS_ADMIN, true, KIB, toc_api_snapshot},
    {GET, T "/tokens", TOC_ACCESS_ADMIN, false, 0, toc_api_tokens_get},
    {POST, T "/tokens", TOC_ACCESS_ADMIN, true, 4 * KIB, toc_api_tokens_post},
    {DELETE, T "/tokens/{}", TOC_ACCESS_ADMIN, true, 0, toc_api_tokens_delete},

    {GET, "/{*}", TOC_ACCESS_PUBLIC, false, 0, toc_api_ui},
};

const struct toc_route *toc_routes(size_t *out_count) {
    *out_count = sizeof g_routes / sizeof g_routes[0];
    return g_routes;
}

static bool take_segment(struct toc_sv *rest, struct toc_sv *out) {
    if (rest->n == 0 || rest->p[0] != '/')
        return false;
    struct toc_sv tail = toc_sv_sub(*rest, 1, rest->n - 1);
    size_t slash = toc_sv_find_char(tail, '/');
    *out = slash == SIZE_MAX ? tail : toc_sv_sub(tail, 0, slash);
    *rest = slash == SIZE_MAX ? TOC_SV_NULL : toc_sv_sub(tail, slash, tail.n - slash);
    return true;
}

static bool pattern_matches(const char *pattern, struct toc_sv path, struct toc_route_match *m) {
    struct toc_sv want_rest = toc_sv_cstr(pattern), have_rest = path, want, have;
    m->param_count = 0;
    while (take_segment(&want_rest, &want)) {
        if (toc_sv_eq(want, TOC_SV("{*}"))) {
            m->params[m->param_count++] = have_rest;
            return true;
        }
        if (!take_segment(&have_rest, &have))
            return false;
        if (toc_sv_eq(want, TOC_SV("{}"))) {
            if (have.n == 0)
                return false;
            m->params[m->param_count++] = have;
        } else if (!toc_sv_eq(want, have)) {
            return false;
        }
    }
    return have_rest.n == 0;
}

void toc_route_find(struct toc_sv method, struct toc_sv path, struct toc_route_match *out) {
    *out = (struct toc_route_match){0};
    bool is_head = toc_sv_eq(method, TOC_SV("HEAD"));
    struct toc_sv wanted = is_head ? TOC_SV(GET) : method;
    for (size_t i = 0; i < sizeof g_routes / sizeof g_routes[0]; i++) {
        const struct toc_route *r = &g_routes[i];
        bool is_catch_all = r->handler == toc_api_ui;
        if (is_catch_all && (out->is_method_wrong || toc_sv_starts_with(path, TOC_SV("/api/"))))
            break;
        if (!pattern_matches(r->pattern, path, out))
            continue;
        if (toc_sv_eq_cstr(wanted, r->method)) {
            out->route = r;
            out->is_method_wrong = false;
            return;
        }
        out->is_method_wrong = true;
    }
}
