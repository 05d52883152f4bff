/* Shared by the handler files of src/api. */
#ifndef TOC_API_API_PRIV_H
#define TOC_API_API_PRIV_H

#include "api/api.h"
#include "api/parts.h"
#include "api/route.h"
#include "codec/json.h"
#include "codec/json_writer.h"

struct toc_api_events;

struct toc_api {
    struct toc_api_parts parts;
    struct toc_api_events *events;
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

/* Prometheus' envelope. begin writes {"status":"success","data": ; the handler writes the data; end
 * closes. */
void toc_prom_begin(struct toc_api_call *c);
void toc_prom_end(struct toc_api_call *c);
/* error_type: bad_data, execution, timeout, canceled, internal, unavailable, not_found */
void toc_prom_error(struct toc_api_call *c, int status, const char *error_type, const char *fmt,
                    ...) TOC_PRINTF(4, 5);
/* Time parameter: RFC 3339 or seconds; absent → fallback. False: answered already. */
bool toc_prom_time(struct toc_api_call *c, const char *name, int64_t fallback_ms, int64_t *out_ms);
/* Duration parameter: PromQL duration or seconds. */
bool toc_prom_duration(struct toc_api_call *c, const char *name, int64_t fallback_ms,
                       int64_t *out_ms);
/* [ seconds, "value" ] */
void toc_prom_point(struct toc_json_writer *w, int64_t t_ms, double value);
void toc_json_labels(struct toc_json_writer *w, struct toc_labels labels);

/* X-list of handlers: one declaration each, used by the route table. */
#define TOC_API_HANDLERS(X)                                                                      \
    X(healthy)                                                                                   \
    X(ready)                                                                                     \
    X(reload) X(self_metrics) X(ui) X(prom_query) X(prom_query_range) X(prom_series)             \
        X(prom_labels) X(prom_label_values) X(prom_metadata) X(prom_format_query) X(prom_rules)  \
            X(prom_alerts) X(prom_targets) X(prom_buildinfo) X(prom_runtimeinfo) X(prom_config)  \
                X(prom_tsdb) X(am_status) X(am_receivers) X(am_alerts_get) X(am_alerts_post)     \
                    X(am_groups) X(am_silences_get) X(am_silences_post) X(am_silence_get)        \
                        X(am_silence_delete) X(status) X(incidents) X(incident)                  \
                            X(incident_acknowledge) X(incident_assign) X(incident_comment)       \
                                X(incident_mitigate) X(incident_verdict) X(incident_resolve)     \
                                    X(incident_review) X(incident_summary) X(incident_proposal)  \
                                        X(incident_proposal_apply) X(incident_ack_page)          \
                                            X(incident_ack_link) X(changes) X(runs) X(receivers) \
                                                X(receiver_test) X(deliveries) X(discovery)      \
                                                    X(detectors) X(ingest_run) X(events)         \
                                                        X(session_get) X(session_post)           \
                                                            X(session_delete) X(tokens_get)      \
                                                                X(tokens_post) X(tokens_delete)

#define X(name) toc_api_handler toc_api_##name;
TOC_API_HANDLERS(X)
#undef X

#endif
