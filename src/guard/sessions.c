#include <string.h>

#include "guard/guard_priv.h"
#include "statedb/tokens.h"

struct lookup {
    struct toc_guard *g;
    struct toc_sv hash;
    struct toc_ts now;
    struct toc_principal *out;
    bool is_touch_due;
};

static int take_session(void *ctx, const struct toc_session_row *row,
                        const struct toc_token_row *token) {
    struct lookup *l = ctx;
    int64_t idle_ms = l->now.ms - row->last_seen_at.ms;
    bool is_over = l->now.ms >= row->expires_at.ms || idle_ms > l->g->options.session_idle_ms;
    if (is_over || !toc_secret_equal(row->hash, l->hash))
        return TOC_ENOENT;
    l->is_touch_due = idle_ms >= TOC_TOUCH_EVERY_MS;
    int rc = toc_principal_of_token(token, l->now, l->out);
    l->out->method = TOC_AUTH_SESSION;
    return rc;
}

static struct toc_sv hash_cookie(struct toc_sv cookie, unsigned char hash[TOC_HASH_BYTES]) {
    toc_secret_hash(TOC_SESSION_DOMAIN, cookie, hash);
    return toc_sv_make((const char *)hash, TOC_HASH_BYTES);
}

int toc_session_lookup(struct toc_guard *g, struct toc_sv cookie, struct toc_ts now,
                       struct toc_principal *out, struct toc_err *err) {
    unsigned char hash[TOC_HASH_BYTES];
    struct lookup l = {.g = g, .hash = hash_cookie(cookie, hash), .now = now, .out = out};
    if (!cookie.n || cookie.n >= TOC_SECRET_TEXT_MAX)
        return TOC_ENOENT;
    int rc = toc_session_rows_find(g->options.db, l.hash, take_session, &l, err);
    /* Best effort, as for tokens. */
    if (rc == 0 && l.is_touch_due && toc_session_rows_touch(g->options.db, l.hash, now, NULL) != 0)
        return 0;
    return rc;
}

static int store_session(struct toc_guard *g, struct toc_session *s, struct toc_ts now,
                         struct toc_err *err) {
    unsigned char hash[TOC_HASH_BYTES];
    struct toc_ts idle_before = {now.ms - g->options.session_idle_ms};
    struct toc_session_row row = {
        .hash = hash_cookie(toc_sv_cstr(s->cookie), hash),
        .token_id = s->principal.token_id,
        .created_at = now,
        .last_seen_at = now,
        .expires_at = {now.ms + g->options.session_absolute_ms},
    };
    int rc = toc_session_rows_prune(g->options.db, now, idle_before, err);
    return rc ? rc : toc_session_rows_add(g->options.db, &row, err);
}

int toc_guard_login(struct toc_guard *g, const struct toc_credentials *c, struct toc_sv token,
                    struct toc_ts now, struct toc_session *out, struct toc_err *err) {
    memset(out, 0, sizeof *out);
    int rc = toc_guard_check_origin(g, c, true, err);
    if (rc)
        return rc;
    if (toc_limiter_is_blocked(g, c->peer, now, err))
        return TOC_ELIMIT;
    rc = toc_token_lookup(g, toc_sv_trim(token), now, &out->principal, err);
    if (rc == TOC_ENOENT) {
        toc_limiter_failed(g, c->peer, now);
        memset(out, 0, sizeof *out);
        return toc_errf(err, TOC_EAUTH, "this token is not known or has expired");
    }
    if (rc)
        return rc;
    out->principal.method = TOC_AUTH_SESSION;
    toc_secret_new("", out->cookie);
    toc_secret_csrf(toc_sv_cstr(out->cookie), out->csrf);
    rc = store_session(g, out, now, err);
    if (rc)
        memset(out, 0, sizeof *out);
    return rc;
}

int toc_guard_session_get(struct toc_guard *g, const struct toc_credentials *c, struct toc_ts now,
                          struct toc_session *out, struct toc_err *err) {
    memset(out, 0, sizeof *out);
    int rc = toc_guard_check_origin(g, c, false, err);
    if (rc == 0)
        rc = toc_session_lookup(g, c->cookie, now, &out->principal, err);
    if (rc == TOC_ENOENT)
        rc = toc_errf(err, TOC_EAUTH, "there is no session: log in with a token");
    if (rc == 0)
        toc_secret_csrf(c->cookie, out->csrf);
    else
        memset(out, 0, sizeof *out);
    return rc;
}

int toc_guard_logout(struct toc_guard *g, const struct toc_credentials *c, struct toc_ts now,
                     struct toc_err *err) {
    struct toc_principal who;
    int rc = toc_guard_check_origin(g, c, true, err);
    if (rc)
        return rc;
    rc = toc_session_lookup(g, c->cookie, now, &who, err);
    if (rc == TOC_ENOENT)
        return 0;
    if (rc)
        return rc;
    char csrf[TOC_SECRET_TEXT_MAX];
    toc_secret_csrf(c->cookie, csrf);
    if (!toc_secret_equal(c->csrf, toc_sv_cstr(csrf)))
        return toc_errf(err, TOC_EFORBIDDEN, "the header X-Tocsin-CSRF is missing or wrong");
    unsigned char hash[TOC_HASH_BYTES];
    return toc_session_rows_remove(g->options.db, hash_cookie(c->cookie, hash), err);
}
