/* Inside the guard. */
#ifndef TOC_GUARD_GUARD_PRIV_H
#define TOC_GUARD_GUARD_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "guard/guard.h"
#include "sys/thread.h"

enum { TOC_HASH_BYTES = 32, TOC_SECRET_BYTES = 32, TOC_TOUCH_EVERY_MS = 60 * 1000 };

/* Failed attempts of one peer. */
struct toc_peer_failures {
    struct toc_ts window_start;
    unsigned count;
};

struct toc_guard {
    struct toc_guard_options options; /* allowed_hosts: see hosts */
    struct {
        TOC_VEC_FIELDS(char *)
    } hosts;
    struct toc_mutex mutex;  /* TOC_LOCK_GUARD: failures, counters */
    struct toc_map failures; /* peer address → struct toc_peer_failures */
    struct toc_guard_counters counters;
};

/* secrets.c: a new secret as text with `prefix`; its hash (domain-separated). */
void toc_secret_new(const char *prefix, char out[TOC_SECRET_TEXT_MAX]);
void toc_secret_hash(const char *domain, struct toc_sv secret, unsigned char out[TOC_HASH_BYTES]);
/* The CSRF token that belongs to a cookie: derived, so that it needs no storage. */
void toc_secret_csrf(struct toc_sv cookie, char out[TOC_SECRET_TEXT_MAX]);
/* In constant time for texts of the same length. */
bool toc_secret_equal(struct toc_sv a, struct toc_sv b);

#define TOC_TOKEN_DOMAIN "tocsin token v1"
#define TOC_SESSION_DOMAIN "tocsin session v1"

/* limiter.c */
bool toc_limiter_is_blocked(struct toc_guard *g, struct toc_sv peer, struct toc_ts now,
                            struct toc_err *err);
void toc_limiter_failed(struct toc_guard *g, struct toc_sv peer, struct toc_ts now);

/* tokens.c: who holds this secret now? TOC_ENOENT when unknown or expired. */
int toc_token_lookup(struct toc_guard *g, struct toc_sv secret, struct toc_ts now,
                     struct toc_principal *out, struct toc_err *err);
struct toc_token_row;
/* Fills the principal; TOC_ENOENT when the token has expired or its role is not known. */
int toc_principal_of_token(const struct toc_token_row *row, struct toc_ts now,
                           struct toc_principal *out);

/* sessions.c: who holds this cookie now? TOC_ENOENT. */
int toc_session_lookup(struct toc_guard *g, struct toc_sv cookie, struct toc_ts now,
                       struct toc_principal *out, struct toc_err *err);

#endif
