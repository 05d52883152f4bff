#include "statedb/tokens.h"

#include <inttypes.h>

#include "statedb/statedb_priv.h"

#define TOKEN_COLUMNS                                                                    \
    "tokens.id, name, role, scopes, tokens.hash, tokens.created_at, tokens.expires_at, " \
    "last_used_at, created_by"
enum { TOKEN_COLUMN_COUNT = 9 };

static struct toc_token_row read_token(const struct toc_txn *t) {
    return (struct toc_token_row){
        .id = toc_txn_int(t, 0),
        .name = toc_txn_text(t, 1),
        .role = toc_txn_text(t, 2),
        .scopes = toc_txn_text(t, 3),
        .hash = toc_txn_text(t, 4),
        .created_at = toc_txn_ts(t, 5),
        .expires_at = toc_txn_ts(t, 6),
        .last_used_at = toc_txn_ts(t, 7),
        .created_by = toc_txn_text(t, 8),
    };
}

int toc_tokens_add(struct toc_statedb *db, const struct toc_token_row *r, int64_t *out_id,
                   struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_query(&t, "SELECT 1 FROM tokens WHERE name = ?", "s", r->name);
    if (toc_txn_row(&t))
        toc_txn_fail(&t, TOC_EDUPLICATE,
                     "a token named \"%.*s\" exists already: choose another name "
                     "or remove that token first",
                     TOC_SV_ARG(r->name));
    toc_txn_exec(&t,
                 "INSERT INTO tokens(name, role, scopes, hash, created_at, expires_at, created_by) "
                 "VALUES(?,?,?,?,?,?,?)",
                 "sssbtTs", r->name, r->role, r->scopes, r->hash, r->created_at, r->expires_at,
                 r->created_by);
    int64_t id = t.rc ? 0 : toc_txn_last_id(&t);
    int rc = toc_txn_end(&t);
    if (rc == 0 && out_id)
        *out_id = id;
    return rc;
}

int toc_tokens_find(struct toc_statedb *db, struct toc_sv hash, toc_on_token *fn, void *ctx,
                    struct toc_err *err) {
    struct toc_txn t;
    int stopped = TOC_ENOENT;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t, "SELECT " TOKEN_COLUMNS " FROM tokens WHERE tokens.hash = ?", "b", hash);
    if (toc_txn_row(&t)) {
        struct toc_token_row row = read_token(&t);
        stopped = fn(ctx, &row);
    }
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

int toc_tokens_each(struct toc_statedb *db, toc_on_token *fn, void *ctx, struct toc_err *err) {
    struct toc_txn t;
    int stopped = 0;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t, "SELECT " TOKEN_COLUMNS " FROM tokens ORDER BY id", "");
    while (!stopped && toc_txn_row(&t)) {
        struct toc_token_row row = read_token(&t);
        stopped = fn(ctx, &row);
    }
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

int toc_tokens_remove(struct toc_statedb *db, int64_t id, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "DELETE FROM tokens WHERE id = ?", "i", id);
    if (t.rc == 0 && toc_txn_changes(&t) == 0)
        toc_txn_fail(&t, TOC_ENOENT, "there is no token %" PRId64, id);
    return toc_txn_end(&t);
}

int toc_tokens_touch(struct toc_statedb *db, int64_t id, struct toc_ts at, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "UPDATE tokens SET last_used_at = ? WHERE id = ?", "ti", at, id);
    return toc_txn_end(&t);
}

int toc_session_rows_add(struct toc_statedb *db, const struct toc_session_row *r,
                         struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t,
                 "INSERT INTO sessions(hash, token_id, created_at, last_seen_at, expires_at) "
                 "VALUES(?,?,?,?,?)",
                 "bittt", r->hash, r->token_id, r->created_at, r->last_seen_at, r->expires_at);
    return toc_txn_end(&t);
}

int toc_session_rows_find(struct toc_statedb *db, struct toc_sv hash,
                          int (*fn)(void *ctx, const struct toc_session_row *row,
                                    const struct toc_token_row *token),
                          void *ctx, struct toc_err *err) {
    struct toc_txn t;
    int stopped = TOC_ENOENT;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t,
                  "SELECT " TOKEN_COLUMNS ", sessions.hash, token_id, sessions.created_at, "
                  "last_seen_at, sessions.expires_at FROM sessions "
                  "JOIN tokens ON tokens.id = sessions.token_id WHERE sessions.hash = ?",
                  "b", hash);
    if (toc_txn_row(&t)) {
        struct toc_token_row token = read_token(&t);
        struct toc_session_row row = {
            .hash = toc_txn_text(&t, TOKEN_COLUMN_COUNT),
            .token_id = toc_txn_int(&t, TOKEN_COLUMN_COUNT + 1),
            .created_at = toc_txn_ts(&t, TOKEN_COLUMN_COUNT + 2),
            .last_seen_at = toc_txn_ts(&t, TOKEN_COLUMN_COUNT + 3),
            .expires_at = toc_txn_ts(&t, TOKEN_COLUMN_COUNT + 4),
        };
        stopped = fn(ctx, &row, &token);
    }
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

int toc_session_rows_touch(struct toc_statedb *db, struct toc_sv hash, struct toc_ts at,
                           struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "UPDATE sessions SET last_seen_at = ? WHERE hash = ?", "tb", at, hash);
    return toc_txn_end(&t);
}

int toc_session_rows_remove(struct toc_statedb *db, struct toc_sv hash, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "DELETE FROM sessions WHERE hash = ?", "b", hash);
    return toc_txn_end(&t);
}

int toc_session_rows_prune(struct toc_statedb *db, struct toc_ts now, struct toc_ts idle_before,
                           struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "DELETE FROM sessions WHERE expires_at <= ? OR last_seen_at < ?", "tt", now,
                 idle_before);
    return toc_txn_end(&t);
}
