/*
 * Access tokens and browser sessions on disk. Only hashes of secrets come here; what a role may do
 * is the guard's business.
 */
#ifndef TOC_STATEDB_TOKENS_H
#define TOC_STATEDB_TOKENS_H

#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "statedb/statedb.h"

struct toc_token_row {
    int64_t id;
    struct toc_sv name; /* who holds it; the actor in timelines and audit */
    struct toc_sv role;
    struct toc_sv scopes;                               /* "" = all that the role may do */
    struct toc_sv hash;                                 /* unique */
    struct toc_ts created_at, expires_at, last_used_at; /* 0 = never */
    struct toc_sv created_by;
};
typedef int toc_on_token(void *ctx, const struct toc_token_row *row);

/* row->id is ignored. TOC_EDUPLICATE when the name or the hash is taken. */
int toc_tokens_add(struct toc_statedb *db, const struct toc_token_row *row, int64_t *out_id,
                   struct toc_err *err) TOC_MUST_CHECK;
/* Calls fn once; TOC_ENOENT (without a message) when no token has this hash. */
int toc_tokens_find(struct toc_statedb *db, struct toc_sv hash, toc_on_token *fn, void *ctx,
                    struct toc_err *err) TOC_MUST_CHECK;
/* Ordered by id. */
int toc_tokens_each(struct toc_statedb *db, toc_on_token *fn, void *ctx,
                    struct toc_err *err) TOC_MUST_CHECK;
/* Removes the token and its sessions. TOC_ENOENT. */
int toc_tokens_remove(struct toc_statedb *db, int64_t id, struct toc_err *err) TOC_MUST_CHECK;
int toc_tokens_touch(struct toc_statedb *db, int64_t id, struct toc_ts at,
                     struct toc_err *err) TOC_MUST_CHECK;

struct toc_session_row {
    struct toc_sv hash; /* of the cookie */
    int64_t token_id;   /* the token it was opened with; the session ends with it */
    struct toc_ts created_at, last_seen_at, expires_at;
};
int toc_session_rows_add(struct toc_statedb *db, const struct toc_session_row *row,
                         struct toc_err *err) TOC_MUST_CHECK;
/* Calls fn once with the session and its token; TOC_ENOENT (without a message). */
int toc_session_rows_find(struct toc_statedb *db, struct toc_sv hash,
                          int (*fn)(void *ctx, const struct toc_session_row *row,
                                    const struct toc_token_row *token),
                          void *ctx, struct toc_err *err) TOC_MUST_CHECK;
int toc_session_rows_touch(struct toc_statedb *db, struct toc_sv hash, struct toc_ts at,
                           struct toc_err *err) TOC_MUST_CHECK;
/* Removing what is not there succeeds. */
int toc_session_rows_remove(struct toc_statedb *db, struct toc_sv hash,
                            struct toc_err *err) TOC_MUST_CHECK;
/* Forgets sessions past expires_at, or idle since before idle_before. */
int toc_session_rows_prune(struct toc_statedb *db, struct toc_ts now, struct toc_ts idle_before,
                           struct toc_err *err) TOC_MUST_CHECK;

#endif
