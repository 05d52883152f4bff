#include "guard/guard.h"

#include <sodium.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/text.h"
#include "guard/guard_priv.h"
#include "statedb/audit.h"

enum {
    DEFAULT_IDLE_MS = 8 * 3600 * 1000,
    DEFAULT_ABSOLUTE_MS = 7 * 24 * 3600 * 1000,
    DEFAULT_FAILED_MAX = 10,
    DEFAULT_FAILED_WINDOW_MS = 5 * 60 * 1000,
};

static void set_default(int64_t *value, int64_t fallback) {
    if (*value <= 0)
        *value = fallback;
}

int toc_guard_new(const struct toc_guard_options *o, struct toc_guard **out, struct toc_err *err) {
    *out = NULL;
    if (sodium_init() < 0)
        return toc_errf(err, TOC_EUNAVAILABLE, "libsodium cannot be initialised on this machine");
    struct toc_guard *g = TOC_NEW(struct toc_guard);
    g->options = *o;
    set_default(&g->options.session_idle_ms, DEFAULT_IDLE_MS);
    set_default(&g->options.session_absolute_ms, DEFAULT_ABSOLUTE_MS);
    set_default(&g->options.failed_window_ms, DEFAULT_FAILED_WINDOW_MS);
    if (!g->options.failed_logins_max)
        g->options.failed_logins_max = DEFAULT_FAILED_MAX;
    for (size_t n = 0; n < o->allowed_host_count; n++)
        TOC_VEC_PUSH(&g->hosts, toc_sv_dup_cstr(o->allowed_hosts[n]));
    g->options.allowed_hosts = NULL;
    toc_mutex_init(&g->mutex, TOC_LOCK_GUARD);
    *out = g;
    return 0;
}

void toc_guard_free(struct toc_guard **guard) {
    if (!*guard)
        return;
    struct toc_guard *g = *guard;
    size_t cursor = 0;
    const struct toc_map_entry *e;
    while ((e = toc_map_next(&g->failures, &cursor)))
        toc_free(e->value);
    toc_map_fini(&g->failures);
    for (size_t n = 0; n < g->hosts.count; n++)
        toc_free(g->hosts.items[n]);
    TOC_VEC_FINI(&g->hosts);
    toc_mutex_fini(&g->mutex);
    toc_free(g);
    *guard = NULL;
}

static int refuse(struct toc_guard *g, uint64_t *counter, int rc) {
    toc_mutex_lock(&g->mutex);
    ++*counter;
    toc_mutex_unlock(&g->mutex);
    return rc;
}

/* --- Host and Origin --- */

/* "name:port" → "name", "[::1]:port" → "[::1]". */
static struct toc_sv host_name(struct toc_sv authority) {
    size_t end = authority.n && authority.p[0] == '[' ? toc_sv_find_char(authority, ']')
                                                      : toc_sv_find_char(authority, ':');
    if (end == SIZE_MAX)
        return authority;
    return toc_sv_sub(authority, 0, authority.p[0] == '[' ? end + 1 : end);
}

/* A page of another site can make its own name point at us, but never an address. */
static bool is_address(struct toc_sv name) {
    if (name.n && name.p[0] == '[')
        return true;
    size_t dots = 0;
    for (size_t n = 0; n < name.n; n++) {
        if (name.p[n] != '.' && (name.p[n] < '0' || name.p[n] > '9'))
            return false;
        dots += name.p[n] == '.';
    }
    return dots == 3;
}

static bool is_configured_host(const struct toc_guard *g, struct toc_sv name) {
    for (size_t n = 0; n < g->hosts.count; n++)
        if (toc_sv_eq_nocase(name, toc_sv_cstr(g->hosts.items[n])))
            return true;
    return false;
}

static bool is_host_allowed(const struct toc_guard *g, struct toc_sv host) {
    struct toc_sv name = host_name(host);
    return !host.n || is_address(name) || toc_sv_eq_nocase(name, TOC_SV("localhost")) ||
           is_configured_host(g, name);
}

static bool is_origin_allowed(const struct toc_guard *g, const struct toc_credentials *c) {
    if (!c->origin.n)
        return !toc_sv_eq(c->sec_fetch_site, TOC_SV("cross-site"));
    size_t at = toc_sv_find(c->origin, TOC_SV("://"));
    if (at == SIZE_MAX)
        return false; /* "null" and nonsense */
    struct toc_sv authority = toc_sv_sub(c->origin, at + 3, c->origin.n);
    return toc_sv_eq_nocase(authority, c->host) || is_configured_host(g, host_name(authority));
}

int toc_guard_check_origin(struct toc_guard *g, const struct toc_credentials *c, bool changes_state,
                           struct toc_err *err) {
    if (!is_host_allowed(g, c->host)) {
        toc_errf(err, TOC_EFORBIDDEN,
                 "the host name \"%.*s\" is not known here: add it to the allowed hosts in the "
                 "configuration if this server may be called so",
                 TOC_SV_ARG(toc_sv_sub(c->host, 0, 100)));
        return refuse(g, &g->counters.refused_host, TOC_EFORBIDDEN);
    }
    if (changes_state && !is_origin_allowed(g, c)) {
        toc_errf(err, TOC_EFORBIDDEN, "a page of another site (%.*s) may not change anything here",
                 TOC_SV_ARG(toc_sv_sub(c->origin, 0, 100)));
        return refuse(g, &g->counters.refused_origin, TOC_EFORBIDDEN);
    }
    return 0;
}

/* --- who is it --- */

/* The token in the header: `Bearer TOKEN`; `Token TOKEN`, as clients of InfluxDB call it; or
 * `Basic`, for clients that know only names and passwords: the password is the token. The view
 * borrows from the header or from `plain`. False: none of them. */
static bool token_in(struct toc_sv header, struct toc_buf *plain, struct toc_sv *out) {
    size_t blank = toc_sv_find_char(header, ' ');
    struct toc_sv scheme = toc_sv_sub(header, 0, blank);
    *out = toc_sv_trim(toc_sv_sub(header, blank, SIZE_MAX));
    if (blank == SIZE_MAX)
        return false;
    if (toc_sv_eq_nocase(scheme, TOC_SV("bearer")) || toc_sv_eq_nocase(scheme, TOC_SV("token")))
        return true;
    if (!toc_sv_eq_nocase(scheme, TOC_SV("basic")) || toc_base64_decode(*out, plain))
        return false;
    size_t colon = toc_sv_find_char(toc_buf_sv(plain), ':');
    *out = colon == SIZE_MAX ? TOC_SV_NULL : toc_sv_sub(toc_buf_sv(plain), colon + 1, SIZE_MAX);
    return colon != SIZE_MAX;
}

static int look_up(struct toc_guard *g, const struct toc_credentials *c, struct toc_ts now,
                   struct toc_principal *out, struct toc_err *err) {
    struct toc_buf plain = TOC_BUF_INIT;
    struct toc_sv secret;
    int rc = token_in(c->authorization, &plain, &secret)
                 ? toc_token_lookup(g, secret, now, out, err)
                 : toc_errf(err, TOC_EAUTH, "the Authorization header must be \"Bearer TOKEN\"");
    if (plain.p)
        sodium_memzero(plain.p, plain.n);
    toc_buf_fini(&plain);
    return rc;
}

static int identify_bearer(struct toc_guard *g, const struct toc_credentials *c, struct toc_ts now,
                           struct toc_principal *out, struct toc_err *err) {
    int rc = look_up(g, c, now, out, err);
    if (rc != TOC_ENOENT)
        return rc;
    *out = (struct toc_principal){0};
    /* Tokens cannot be guessed; the limit keeps a wrong one from being tried for ever. */
    if (toc_limiter_is_blocked(g, c->peer, now, err))
        return TOC_ELIMIT;
    toc_limiter_failed(g, c->peer, now);
    return toc_errf(err, TOC_EAUTH, "this token is not known or has expired");
}

static void add_loopback(const struct toc_guard *g, const struct toc_credentials *c,
                         struct toc_principal *out) {
    static const unsigned permissions[] = {
#define X(e, name, bits) bits,
        TOC_LOOPBACK_TABLE(X)
#undef X
    };
    unsigned open = c->peer_is_loopback ? permissions[g->options.loopback] : 0;
    out->permissions |= open;
    if (out->method == TOC_AUTH_NONE && open) {
        out->method = TOC_AUTH_LOOPBACK;
        toc_sv_copy(TOC_SV("local"), out->name, sizeof out->name);
    }
}

static int identify(struct toc_guard *g, const struct toc_credentials *c, struct toc_ts now,
                    struct toc_principal *out, struct toc_err *err) {
    *out = (struct toc_principal){0};
    if (c->authorization.n)
        return identify_bearer(g, c, now, out, err);
    int rc = c->cookie.n ? toc_session_lookup(g, c->cookie, now, out, err) : TOC_ENOENT;
    if (rc == TOC_ENOENT)
        *out = (struct toc_principal){0}; /* an old cookie is no reason to refuse what is open */
    else if (rc)
        return rc;
    add_loopback(g, c, out);
    return 0;
}

/* --- may it --- */

static const char *smallest_role(enum toc_permission needed) {
    for (int r = 0; r < TOC_ROLE_COUNT; r++)
        if (toc_role_permissions((enum toc_role)r) & (1U << needed))
            return toc_role_text((enum toc_role)r);
    return toc_role_text(TOC_ROLE_ADMIN);
}

static int check_permission(struct toc_guard *g, const struct toc_principal *who,
                            enum toc_permission needed, struct toc_err *err) {
    static const char *const what[] = {
#define X(e, name, text) text,
        TOC_PERMISSION_TABLE(X)
#undef X
    };
    if (who->permissions & (1U << needed))
        return 0;
    if (!who->token_id) {
        toc_errf(
            err, TOC_EAUTH,
            "this needs a token of role %s or higher (to %s): send it as \"Authorization: Bearer "
            "TOKEN\" or log in",
            smallest_role(needed), what[needed]);
        return refuse(g, &g->counters.refused_auth, TOC_EAUTH);
    }
    toc_errf(err, TOC_EFORBIDDEN, "%s (%s) may not %s: that needs the role %s", who->name,
             toc_role_text(who->role), what[needed], smallest_role(needed));
    return refuse(g, &g->counters.refused_forbidden, TOC_EFORBIDDEN);
}

static int check_csrf(struct toc_guard *g, const struct toc_credentials *c, struct toc_err *err) {
    char want[TOC_SECRET_TEXT_MAX];
    toc_secret_csrf(c->cookie, want);
    if (toc_secret_equal(c->csrf, toc_sv_cstr(want)))
        return 0;
    toc_errf(err, TOC_EFORBIDDEN, "the header X-Tocsin-CSRF is missing or wrong: reload the page");
    return refuse(g, &g->counters.refused_forbidden, TOC_EFORBIDDEN);
}

int toc_guard_authorise(struct toc_guard *g, const struct toc_credentials *c,
                        enum toc_permission needed, bool changes_state, struct toc_ts now,
                        struct toc_principal *out, struct toc_err *err) {
    *out = (struct toc_principal){0};
    bool is_reading = needed == TOC_PERM_READ || needed == TOC_PERM_AUDIT;
    int rc = toc_guard_check_origin(g, c, changes_state || !is_reading, err);
    if (rc)
        return rc;
    rc = identify(g, c, now, out, err);
    if (rc)
        return rc == TOC_EAUTH ? refuse(g, &g->counters.refused_auth, rc) : rc;
    rc = check_permission(g, out, needed, err);
    if (rc == 0 && out->method == TOC_AUTH_SESSION && changes_state)
        rc = check_csrf(g, c, err);
    return rc;
}

int toc_guard_audit(struct toc_guard *g, const struct toc_principal *who, struct toc_sv route,
                    struct toc_sv object, struct toc_sv outcome, struct toc_ts now,
                    struct toc_err *err) {
    struct toc_audit_entry e = {
        .at = now,
        .actor = who->name[0] ? toc_sv_cstr(who->name) : TOC_SV("nobody"),
        .route = route,
        .object = object,
        .outcome = outcome,
    };
    return toc_audit_append(g->options.db, &e, err);
}

void toc_guard_get_counters(struct toc_guard *g, struct toc_guard_counters *out) {
    toc_mutex_lock(&g->mutex);
    *out = g->counters;
    toc_mutex_unlock(&g->mutex);
}
