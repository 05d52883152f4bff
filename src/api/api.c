#include "api/api.h"

#include <stdio.h>

#include "api/events.h"
#include "api/prom_priv.h"
#include "shim/regex.h"

struct toc_api *toc_api_new(const struct toc_api_parts *parts) {
    struct toc_api *api = TOC_NEW(struct toc_api);
    api->parts = *parts;
    api->events = toc_api_events_new();
    api->queries = toc_query_gate_new(parts->clock, &parts->query_limits);
    atomic_init(&api->features, parts->features);
    toc_mutex_init(&api->labels_mutex, TOC_LOCK_QUEUE);
    return api;
}

void toc_api_free(struct toc_api **ap) {
    if (!*ap)
        return;
    toc_api_events_free(&(*ap)->events);
    toc_query_gate_free(&(*ap)->queries);
    toc_labels_free(&(*ap)->external_labels);
    toc_mutex_fini(&(*ap)->labels_mutex);
    toc_free(*ap);
    *ap = NULL;
}

void toc_api_set_queries(struct toc_api *api, const struct toc_query_limits *limits,
                         unsigned features) {
    toc_query_gate_set(api->queries, limits);
    atomic_store(&api->features, features);
}

void toc_api_set_external_labels(struct toc_api *api, struct toc_labels labels) {
    struct toc_labels fresh = toc_labels_dup(labels);
    toc_mutex_lock(&api->labels_mutex);
    toc_labels_free(&api->external_labels);
    api->external_labels = fresh;
    toc_mutex_unlock(&api->labels_mutex);
}

void toc_api_refuse_queries(struct toc_api *api, bool refuses) {
    toc_query_gate_refuse(api->queries, refuses);
}

struct toc_query_stats toc_api_query_stats(struct toc_api *api) {
    return toc_query_gate_stats(api->queries);
}

void toc_api_publish(struct toc_api *api, const char *type, struct toc_sv json) {
    toc_api_events_publish(api->events, type, json);
}

size_t toc_api_body_limit(void *ctx, struct toc_sv method, struct toc_sv path) {
    (void)ctx;
    struct toc_route_match m;
    toc_route_find(method, path, &m);
    return m.route && m.route->max_body_bytes ? m.route->max_body_bytes : 1;
}

struct toc_credentials toc_api_credentials(const struct toc_http_request *req) {
    return (struct toc_credentials){
        .authorization = toc_http_header(req, "Authorization"),
        .cookie = toc_http_cookie(req, TOC_SESSION_COOKIE),
        .csrf = toc_http_header(req, "X-Tocsin-CSRF"),
        .host = toc_http_header(req, "Host"),
        .origin = toc_http_header(req, "Origin"),
        .sec_fetch_site = toc_http_header(req, "Sec-Fetch-Site"),
        .peer = req->peer,
        .peer_is_loopback = req->peer_is_loopback,
    };
}

static enum toc_permission permission_of(enum toc_access access) {
    switch (access) {
    case TOC_ACCESS_INGEST:
        return TOC_PERM_INGEST;
    case TOC_ACCESS_RESPOND:
        return TOC_PERM_RESPOND;
    case TOC_ACCESS_EDIT:
        return TOC_PERM_EDIT;
    case TOC_ACCESS_ADMIN:
        return TOC_PERM_ADMIN;
    default:
        return TOC_PERM_READ;
    }
}

static bool is_change(const struct toc_route *r) {
    return r->access != TOC_ACCESS_READ && strcmp(r->method, "GET") != 0;
}

/* The compatible APIs answer in their own envelopes. */
static void refuse(struct toc_api_call *c, int rc, const struct toc_err *err) {
    bool is_prom = toc_sv_starts_with(c->req->path, TOC_SV("/api/v1/"));
    if (is_prom)
        toc_prom_error(c,
                       rc == TOC_ELIMIT       ? TOC_PROM_TOO_MANY_FAILURES
                       : rc == TOC_EFORBIDDEN ? TOC_PROM_FORBIDDEN
                                              : TOC_PROM_UNAUTHORIZED,
                       "%s", err->message);
    else if (rc == TOC_ELIMIT)
        toc_api_problem(c, 429, "too_many_failures", "%s", err->message);
    else
        toc_api_fail(c, rc, err);
    if (rc == TOC_EAUTH)
        toc_http_response_header(c->res, "WWW-Authenticate", "Bearer realm=\"tocsin\"");
}

static bool is_allowed(struct toc_api_call *c, struct toc_principal *who) {
    struct toc_credentials credentials = toc_api_credentials(c->req);
    struct toc_err err = {0};
    int rc;
    *who = (struct toc_principal){0};
    if (c->route->access == TOC_ACCESS_PUBLIC)
        rc = toc_guard_check_origin(c->api->parts.guard, &credentials, is_change(c->route), &err);
    else
        rc = toc_guard_authorise(c->api->parts.guard, &credentials, permission_of(c->route->access),
                                 is_change(c->route), c->now, who, &err);
    toc_sv_copy(toc_sv_cstr(who->name[0] ? who->name : "anonymous"), c->actor, sizeof c->actor);
    if (rc < 0)
        refuse(c, rc, &err);
    return rc >= 0;
}

static void audit(struct toc_api_call *c, const struct toc_principal *who) {
    char route[128], outcome[32];
    struct toc_err err = {0};
    snprintf(route, sizeof route, "%s %s", c->route->method, c->route->pattern);
    snprintf(outcome, sizeof outcome, "%d", c->res->status);
    if (toc_guard_audit(c->api->parts.guard, who, toc_sv_cstr(route), c->req->path,
                        toc_sv_cstr(outcome), c->now, &err) < 0 &&
        c->res->status < 300)
        toc_http_response_header(c->res, "Warning", "199 - \"the audit log could not be written\"");
}

static void add_security_headers(struct toc_api_call *c) {
    struct toc_http_response *r = c->res;
    toc_http_response_header(r, "X-Content-Type-Options", "nosniff");
    toc_http_response_header(r, "Referrer-Policy", "no-referrer");
    toc_http_response_header(
        r, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
    toc_http_response_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    if (c->api->parts.has_tls)
        toc_http_response_header(r, "Strict-Transport-Security", "max-age=31536000");
    if (toc_sv_starts_with(c->req->path, TOC_SV("/api/")) && !r->stream.read)
        toc_http_response_header(r, "Cache-Control", "no-store");
}

/* The compatible API may be read by pages of configured origins. */
static void add_cors_headers(struct toc_api_call *c) {
    const struct toc_regex *allowed = c->api->parts.cors_origin;
    struct toc_sv origin = toc_http_header(c->req, "Origin");
    if (!allowed || origin.n == 0 || !toc_sv_starts_with(c->req->path, TOC_SV("/api/v1/")))
        return;
    toc_http_response_header(c->res, "Vary", "Origin");
    if (!toc_regex_matches(allowed, origin))
        return;
    toc_http_response_header(c->res, "Access-Control-Allow-Origin", "%.*s", TOC_SV_ARG(origin));
    toc_http_response_header(c->res, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    toc_http_response_header(c->res, "Access-Control-Allow-Headers",
                             "Accept, Authorization, Content-Type, Origin");
    toc_http_response_header(c->res, "Access-Control-Expose-Headers", "Date");
}

static bool is_preflight(const struct toc_http_request *req) {
    return toc_sv_eq(req->method, TOC_SV("OPTIONS")) &&
           toc_sv_starts_with(req->path, TOC_SV("/api/v1/"));
}

static void answer_no_route(struct toc_api_call *c, const struct toc_route_match *m) {
    if (m->is_method_wrong)
        toc_api_problem(c, 405, "method_not_allowed", "%.*s does not take %.*s",
                        TOC_SV_ARG(c->req->path), TOC_SV_ARG(c->req->method));
    else
        toc_api_problem(c, 404, "not_found", "there is nothing at %.*s", TOC_SV_ARG(c->req->path));
}

/* Whatever handler says "not now" also says when. */
static void add_retry_after(struct toc_http_response *res) {
    for (size_t i = 0; i < res->header_count; i++)
        if (!strcmp(res->headers[i].name, "Retry-After"))
            return;
    toc_http_response_header(res, "Retry-After", "5");
}

void toc_api_handle(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    struct toc_api *api = ctx;
    struct toc_api_call c = {.api = api, .req = req, .res = res};
    struct toc_route_match m;
    struct toc_principal who = {0};
    c.now = toc_clock_now(api->parts.clock);
    toc_json_writer_init(&c.json, &res->body);
    toc_route_find(req->method, req->path, &m);
    c.route = m.route;
    for (size_t i = 0; i < m.param_count; i++)
        c.params[i] = m.params[i];
    if (is_preflight(req)) {
        res->status = 204;
    } else if (!m.route) {
        answer_no_route(&c, &m);
    } else {
        if (is_allowed(&c, &who))
            m.route->handler(&c);
        if (m.route->is_audited)
            audit(&c, &who);
    }
    if (res->status == 503)
        add_retry_after(res);
    add_security_headers(&c);
    add_cors_headers(&c);
}
