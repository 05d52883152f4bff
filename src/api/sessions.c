/* Browser sessions and access tokens. */
#include "api/api_priv.h"
#include "base/num.h"
#include "statedb/tokens.h"

static void write_session(struct toc_api_call *c, const struct toc_session *s) {
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "user", s->principal.name);
    toc_json_kv_cstr(&c->json, "role", toc_role_text(s->principal.role));
    toc_json_kv_cstr(&c->json, "csrf", s->csrf);
    toc_json_end_object(&c->json);
}

static void set_cookie(struct toc_api_call *c, const char *value, const char *age) {
    toc_http_response_header(c->res, "Set-Cookie",
                             TOC_SESSION_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict%s%s", value,
                             c->api->parts.has_tls ? "; Secure" : "", age);
}

void toc_api_session_get(struct toc_api_call *c) {
    struct toc_credentials credentials = toc_api_credentials(c->req);
    struct toc_session s;
    struct toc_err err = {0};
    int rc = toc_guard_session_get(c->api->parts.guard, &credentials, c->now, &s, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        write_session(c, &s);
}

void toc_api_session_post(struct toc_api_call *c) {
    struct toc_credentials credentials = toc_api_credentials(c->req);
    const struct toc_json *body;
    struct toc_sv token;
    struct toc_session s;
    struct toc_err err = {0};
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "token", &token))
        return;
    int rc = toc_guard_login(c->api->parts.guard, &credentials, token, c->now, &s, &err);
    if (rc == TOC_ELIMIT) {
        toc_api_problem(c, 429, "too_many_failures", "%s", err.message);
    } else if (rc < 0) {
        toc_api_fail(c, rc, &err);
    } else {
        toc_sv_copy(toc_sv_cstr(s.principal.name), c->actor, sizeof c->actor);
        set_cookie(c, s.cookie, "");
        write_session(c, &s);
    }
}

void toc_api_session_delete(struct toc_api_call *c) {
    struct toc_credentials credentials = toc_api_credentials(c->req);
    struct toc_err err = {0};
    int rc = toc_guard_logout(c->api->parts.guard, &credentials, c->now, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    set_cookie(c, "", "; Max-Age=0");
    c->res->status = 204;
}

static int write_token(void *ctx, const struct toc_token_row *t) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_int(w, "id", t->id);
    toc_json_kv_string(w, "name", t->name);
    toc_json_kv_string(w, "role", t->role);
    toc_json_kv_string(w, "scopes", t->scopes);
    toc_json_kv_time(w, "created_at", t->created_at);
    toc_json_kv_time(w, "expires_at", t->expires_at);
    toc_json_kv_time(w, "last_used_at", t->last_used_at);
    toc_json_end_object(w);
    return 0;
}

void toc_api_tokens_get(struct toc_api_call *c) {
    struct toc_err err = {0};
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "tokens");
    toc_json_begin_array(&c->json);
    int rc = toc_tokens_each(c->api->parts.state, write_token, &c->json, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

void toc_api_tokens_post(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_sv role;
    struct toc_token_request r = {.created_by = toc_sv_cstr(c->actor)};
    struct toc_err err = {0};
    int64_t expires_s = 0, id;
    char secret[TOC_SECRET_TEXT_MAX];
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "name", &r.name) ||
        !toc_api_body_string(c, body, "role", &role) ||
        !toc_api_body_string(c, body, "scopes", &r.scopes))
        return;
    r.role = toc_role_parse(role);
    int rc =
        r.role == TOC_ROLE_COUNT
            ? toc_errf(&err, TOC_EINVAL,
                       "role must be viewer, responder, editor, admin or auditor, got \"%.*s\"",
                       TOC_SV_ARG(role))
            : toc_json_get_int(body, "expires_in_s", 0, &expires_s, &err);
    if (rc == 0 && (expires_s < 0 || expires_s > INT64_MAX / 1000))
        rc = toc_errf(&err, TOC_EINVAL, "expires_in_s must be a positive number of seconds");
    r.expires_in_ms = expires_s * 1000;
    if (rc == 0)
        rc = toc_guard_token_add(c->api->parts.guard, &r, c->now, secret, &id, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    toc_json_begin_object(&c->json);
    toc_json_kv_int(&c->json, "id", id);
    toc_json_kv_cstr(&c->json, "token", secret);
    toc_json_end_object(&c->json);
}

void toc_api_tokens_delete(struct toc_api_call *c) {
    struct toc_err err = {0};
    int64_t id;
    if (toc_parse_i64(c->params[0], &id) < 0) {
        toc_api_problem(c, 404, "not_found", "there is no token \"%.*s\"",
                        TOC_SV_ARG(c->params[0]));
        return;
    }
    int rc = toc_guard_token_remove(c->api->parts.guard, id, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        c->res->status = 204;
}
