/*
 * Who may do what: tokens, browser sessions, the rules for loopback, Host and Origin checks, and
 * the audit log. Secrets are 256 random bits; only their hashes are stored. Any thread; `now` is
 * given.
 */
#ifndef TOC_GUARD_GUARD_H
#define TOC_GUARD_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "statedb/statedb.h"

/* X(ENUM, "scope name", what it allows) */
#define TOC_PERMISSION_TABLE(X)                                        \
    X(READ, "read", "look at everything but secrets")                  \
    X(INGEST, "ingest", "send samples, runs and alerts")               \
    X(RESPOND, "respond", "handle incidents")                          \
    X(EDIT, "edit", "change silences, thresholds, send test messages") \
    X(ADMIN, "admin", "tokens, configuration, reload")                 \
    X(AUDIT, "audit", "read the audit log")

enum toc_permission {
#define X(e, name, what) TOC_PERM_##e,
    TOC_PERMISSION_TABLE(X)
#undef X
        TOC_PERM_COUNT
};

#define TOC_PERM_BIT(e) (1U << TOC_PERM_##e)
#define TOC_PERM_ALL ((1U << TOC_PERM_COUNT) - 1)

/* X(ENUM, "role", permissions) */
#define TOC_ROLE_TABLE(X)                                                                        \
    X(VIEWER, "viewer", TOC_PERM_BIT(READ))                                                      \
    X(RESPONDER, "responder", TOC_PERM_BIT(READ) | TOC_PERM_BIT(INGEST) | TOC_PERM_BIT(RESPOND)) \
    X(EDITOR, "editor",                                                                          \
      TOC_PERM_BIT(READ) | TOC_PERM_BIT(INGEST) | TOC_PERM_BIT(RESPOND) | TOC_PERM_BIT(EDIT))    \
    X(ADMIN, "admin", TOC_PERM_ALL)                                                              \
    X(AUDITOR, "auditor", TOC_PERM_BIT(READ) | TOC_PERM_BIT(AUDIT))

enum toc_role {
#define X(e, name, permissions) TOC_ROLE_##e,
    TOC_ROLE_TABLE(X)
#undef X
        TOC_ROLE_COUNT
};
const char *toc_role_text(enum toc_role r);
/* TOC_ROLE_COUNT when unknown. */
enum toc_role toc_role_parse(struct toc_sv name);
unsigned toc_role_permissions(enum toc_role r);

/* X(ENUM, "auth.loopback value", permissions without a token for peers on loopback) */
#define TOC_LOOPBACK_TABLE(X)                                  \
    X(TOKEN, "token", 0)                                       \
    X(READ, "read", TOC_PERM_BIT(READ) | TOC_PERM_BIT(INGEST)) \
    X(OPEN, "open", TOC_PERM_ALL)

enum toc_loopback_mode {
#define X(e, name, permissions) TOC_LOOPBACK_##e,
    TOC_LOOPBACK_TABLE(X)
#undef X
        TOC_LOOPBACK_COUNT
};
/* TOC_LOOPBACK_COUNT when unknown. */
enum toc_loopback_mode toc_loopback_parse(struct toc_sv name);

struct toc_guard;

struct toc_guard_options {
    struct toc_statedb *db;          /* borrowed */
    enum toc_loopback_mode loopback; /* the default of the program is TOC_LOOPBACK_READ */
    /* Host names, without port, by which the server may be called, beside localhost, 127.0.0.1 and
     * [::1]; copied. */
    const struct toc_sv *allowed_hosts;
    size_t allowed_host_count;
    int64_t session_idle_ms;     /* 0 = 8 h */
    int64_t session_absolute_ms; /* 0 = 7 d */
    unsigned failed_logins_max;  /* per peer within the window; 0 = 10 */
    int64_t failed_window_ms;    /* 0 = 5 min */
};

int toc_guard_new(const struct toc_guard_options *o, struct toc_guard **out,
                  struct toc_err *err) TOC_MUST_CHECK;
void toc_guard_free(struct toc_guard **g);

enum { TOC_SECRET_TEXT_MAX = 64, TOC_ACTOR_MAX = 128 };

/* --- tokens --- */

/* When no token exists yet (first start), makes the admin token "admin" and writes its secret into
 * `out`; the caller puts it into an owner-only file and says where. *out_is_new tells which. */
int toc_guard_first_token(struct toc_guard *g, struct toc_ts now, char out[TOC_SECRET_TEXT_MAX],
                          bool *out_is_new, struct toc_err *err) TOC_MUST_CHECK;

struct toc_token_request {
    struct toc_sv name; /* who holds it: 1 to 64 characters of [A-Za-z0-9._@-] */
    enum toc_role role;
    struct toc_sv scopes;  /* comma-separated permissions that limit the role; empty = all of it */
    int64_t expires_in_ms; /* 0 = never */
    struct toc_sv created_by;
};
/* The secret is shown this once. TOC_EINVAL, TOC_EDUPLICATE. */
int toc_guard_token_add(struct toc_guard *g, const struct toc_token_request *r, struct toc_ts now,
                        char out_secret[TOC_SECRET_TEXT_MAX], int64_t *out_id,
                        struct toc_err *err) TOC_MUST_CHECK;
/* Listing is toc_tokens_each of statedb/tokens.h. Removing ends the token's sessions too.
 * TOC_ENOENT; TOC_ECONFLICT for the last admin token. */
int toc_guard_token_remove(struct toc_guard *g, int64_t id, struct toc_err *err) TOC_MUST_CHECK;

/* --- requests --- */

/* What a request brings along. Absent = empty view. */
struct toc_credentials {
    struct toc_sv authorization;  /* header, "Bearer …" */
    struct toc_sv cookie;         /* value of the session cookie */
    struct toc_sv csrf;           /* header X-Tocsin-CSRF */
    struct toc_sv host;           /* header */
    struct toc_sv origin;         /* header */
    struct toc_sv sec_fetch_site; /* header */
    struct toc_sv peer;           /* "127.0.0.1:54321" */
    bool peer_is_loopback;
};

enum toc_auth_method { TOC_AUTH_NONE, TOC_AUTH_LOOPBACK, TOC_AUTH_TOKEN, TOC_AUTH_SESSION };

struct toc_principal {
    enum toc_auth_method method;
    char name[TOC_ACTOR_MAX]; /* token's name; "local" for an open loopback; "" for nobody */
    enum toc_role role;       /* meaningful with a token or a session */
    unsigned permissions;
    int64_t token_id; /* 0 without a token */
};

/* Decides about one request. `changes_state`: the route changes something (then a session needs its
 * CSRF token and a foreign Origin is refused). TOC_EAUTH (nobody or unknown credentials),
 * TOC_EFORBIDDEN (known, but not allowed; wrong Host or Origin; missing CSRF token), TOC_ELIMIT
 * (too many failures from this peer). */
int toc_guard_authorise(struct toc_guard *g, const struct toc_credentials *c,
                        enum toc_permission needed, bool changes_state, struct toc_ts now,
                        struct toc_principal *out, struct toc_err *err) TOC_MUST_CHECK;
/* Host and Origin only: for public routes. */
int toc_guard_check_origin(struct toc_guard *g, const struct toc_credentials *c, bool changes_state,
                           struct toc_err *err) TOC_MUST_CHECK;

/* --- browser sessions --- */

struct toc_session {
    char cookie[TOC_SECRET_TEXT_MAX]; /* for Set-Cookie; empty from toc_guard_session_get */
    char csrf[TOC_SECRET_TEXT_MAX];
    struct toc_principal principal;
};
/* Exchanges a token's secret for a session. TOC_EAUTH, TOC_ELIMIT, TOC_EFORBIDDEN. */
int toc_guard_login(struct toc_guard *g, const struct toc_credentials *c, struct toc_sv token,
                    struct toc_ts now, struct toc_session *out, struct toc_err *err) TOC_MUST_CHECK;
/* The session of the cookie. TOC_EAUTH. */
int toc_guard_session_get(struct toc_guard *g, const struct toc_credentials *c, struct toc_ts now,
                          struct toc_session *out, struct toc_err *err) TOC_MUST_CHECK;
/* Ends it; succeeds without one. With a live session the CSRF token is needed: TOC_EFORBIDDEN. */
int toc_guard_logout(struct toc_guard *g, const struct toc_credentials *c, struct toc_ts now,
                     struct toc_err *err) TOC_MUST_CHECK;

/* --- audit --- */

/* One row of the hash-chained log per state change, refused ones too. Durable when it returns 0.
 * Verification: toc_audit_verify of statedb/audit.h. */
int toc_guard_audit(struct toc_guard *g, const struct toc_principal *who, struct toc_sv route,
                    struct toc_sv object, struct toc_sv outcome, struct toc_ts now,
                    struct toc_err *err) TOC_MUST_CHECK;

struct toc_guard_counters {
    uint64_t refused_auth, refused_forbidden, refused_limit, refused_host, refused_origin;
};
void toc_guard_get_counters(struct toc_guard *g, struct toc_guard_counters *out);

#endif
