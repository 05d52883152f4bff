/* Answers in their envelopes, and reading of parameters and bodies. */
#include <stdio.h>

#include "api/api_priv.h"
#include "base/num.h"

static const struct {
    int code, status;
    const char *name;
} g_status[] = {
    {TOC_ENOENT, 404, "not_found"},
    {TOC_EPARSE, 400, "malformed"},
    {TOC_EINVAL, 400, "invalid"},
    {TOC_ETYPE, 400, "wrong_type"},
    {TOC_EUNKNOWN_KEY, 400, "unknown_key"},
    {TOC_EUNSUPPORTED, 400, "unsupported"},
    {TOC_EOUT_OF_ORDER, 400, "out_of_order"},
    {TOC_ETOO_OLD, 400, "too_old"},
    {TOC_EAUTH, 401, "not_authenticated"},
    {TOC_EFORBIDDEN, 403, "not_allowed"},
    {TOC_ECONFLICT, 409, "conflict"},
    {TOC_EEXIST, 409, "exists"},
    {TOC_EDUPLICATE, 409, "duplicate"},
    {TOC_ENODATA, 409, "not_enough_data"},
    {TOC_ELIMIT, 413, "too_large"},
    {TOC_ETIMEDOUT, 504, "timeout"},
    {TOC_ENOSPC, 503, "disk_full"},
    {TOC_EUNAVAILABLE, 503, "unavailable"},
    {TOC_EBUSY, 503, "busy"},
    {TOC_ENOMEM, 503, "out_of_memory"},
    {TOC_EREJECTED, 502, "rejected"},
    {TOC_ECONNREFUSED, 502, "unreachable"},
};

int toc_api_status_of(int rc) {
    for (size_t i = 0; i < sizeof g_status / sizeof g_status[0]; i++)
        if (g_status[i].code == rc)
            return g_status[i].status;
    return 500;
}

static const char *name_of(int rc) {
    for (size_t i = 0; i < sizeof g_status / sizeof g_status[0]; i++)
        if (g_status[i].code == rc)
            return g_status[i].name;
    return "internal";
}

void toc_api_restart(struct toc_api_call *c) {
    toc_buf_reset(&c->res->body);
    toc_json_writer_init(&c->json, &c->res->body);
}

static const char *title_of(int status) {
    switch (status) {
    case 400:
        return "Bad request";
    case 401:
        return "Not authenticated";
    case 403:
        return "Not allowed";
    case 404:
        return "Not found";
    case 405:
        return "Method not allowed";
    case 409:
        return "Conflict";
    case 413:
        return "Too large";
    case 429:
        return "Too many requests";
    case 503:
        return "Unavailable";
    default:
        return status < 500 ? "Request refused" : "Failed";
    }
}

void toc_api_problem(struct toc_api_call *c, int status, const char *code, const char *fmt, ...) {
    struct toc_buf detail = TOC_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&detail, fmt, ap);
    va_end(ap);
    toc_api_restart(c);
    c->res->status = status;
    c->res->content_type = "application/problem+json";
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "type", "about:blank");
    toc_json_kv_cstr(&c->json, "title", title_of(status));
    toc_json_kv_int(&c->json, "status", status);
    toc_json_kv_string(&c->json, "detail", toc_buf_sv(&detail));
    toc_json_kv_cstr(&c->json, "code", code);
    toc_json_end_object(&c->json);
    toc_buf_fini(&detail);
    if (status == 503)
        toc_http_response_header(c->res, "Retry-After", "5");
}

void toc_api_fail(struct toc_api_call *c, int rc, const struct toc_err *err) {
    const char *reason = err && err->message[0] ? err->message : toc_strerror(rc);
    if (err && err->line > 0)
        toc_api_problem(c, toc_api_status_of(rc), name_of(rc), "line %d, column %d: %s", err->line,
                        err->column, reason);
    else
        toc_api_problem(c, toc_api_status_of(rc), name_of(rc), "%s", reason);
}

bool toc_api_body(struct toc_api_call *c, const struct toc_json **out) {
    *out = NULL;
    if (toc_sv_trim(c->req->body).n == 0)
        return true;
    struct toc_err err = {0};
    int rc = toc_json_parse(c->req->body, c->req->arena, out, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return false;
    }
    if ((*out)->type != TOC_JSON_OBJECT) {
        toc_api_problem(c, 400, "wrong_type", "the body must be a JSON object");
        return false;
    }
    return true;
}

bool toc_api_body_string(struct toc_api_call *c, const struct toc_json *body, const char *key,
                         struct toc_sv *out) {
    *out = TOC_SV_NULL;
    if (!body)
        return true;
    struct toc_err err = {0};
    int rc = toc_json_get_string(body, key, TOC_SV_NULL, out, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    return rc >= 0;
}

bool toc_api_limit(struct toc_api_call *c, size_t fallback, size_t max, size_t *out) {
    struct toc_sv text = toc_api_param(c, "limit");
    uint64_t n = fallback;
    if (text.p && (toc_parse_u64(text, &n) < 0 || n == 0 || n > max)) {
        toc_api_problem(c, 400, "invalid",
                        "limit must be a whole number from 1 to %zu, got \"%.*s\"", max,
                        TOC_SV_ARG(text));
        return false;
    }
    *out = (size_t)n;
    return true;
}

void toc_json_labels(struct toc_json_writer *w, struct toc_labels labels) {
    toc_json_begin_object(w);
    for (size_t i = 0; i < labels.count; i++) {
        toc_json_key_sv(w, labels.items[i].name);
        toc_json_string(w, labels.items[i].value);
    }
    toc_json_end_object(w);
}
