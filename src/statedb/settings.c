/* Small tables without rules of their own: blobs, silences, changes. */
#include <inttypes.h>

#include "base/alloc.h"
#include "statedb/blobs.h"
#include "statedb/changes.h"
#include "statedb/changes_priv.h"
#include "statedb/silences.h"
#include "statedb/statedb_priv.h"

enum { BLOB_KEY_MAX_BYTES = 1024, BLOB_VALUE_MAX_BYTES = 64 << 20, CHANGES_LIMIT_DEFAULT = 100 };

static struct toc_statedb *blob_db(struct toc_blob_store *s) {
    return TOC_CONTAINER_OF(s, struct toc_blobs, base)->db;
}

static int check_size(const struct toc_blob_change *c, struct toc_err *err) {
    if (c->key.n <= BLOB_KEY_MAX_BYTES && c->value.n <= BLOB_VALUE_MAX_BYTES)
        return 0;
    return toc_errf(err, TOC_ELIMIT, "%s: a key of %zu and a value of %zu bytes are over the limit",
                    c->ns, c->key.n, c->value.n);
}

static void blob_change(struct toc_txn *t, const struct toc_blob_change *c) {
    if (c->value.n)
        toc_txn_exec(t,
                     "INSERT INTO blobs(ns, key, value) VALUES(?,?,?) "
                     "ON CONFLICT(ns, key) DO UPDATE SET value = excluded.value",
                     "sbb", toc_sv_cstr(c->ns), c->key, c->value);
    else
        toc_txn_exec(t, "DELETE FROM blobs WHERE ns = ? AND key = ?", "sb", toc_sv_cstr(c->ns),
                     c->key);
}

static int blob_apply(struct toc_blob_store *s, const struct toc_blob_change *changes, size_t count,
                      struct toc_err *err) {
    struct toc_txn t;
    for (size_t i = 0; i < count; i++) {
        int rc = check_size(&changes[i], err);
        if (rc)
            return rc;
    }
    toc_txn_begin_write(&t, blob_db(s), err);
    for (size_t i = 0; i < count; i++)
        blob_change(&t, &changes[i]);
    return toc_txn_end(&t);
}

static int blob_put(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                    struct toc_sv value, struct toc_err *err) {
    const struct toc_blob_change change = {ns, key, value};
    return blob_apply(s, &change, 1, err);
}

static int blob_remove(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                       struct toc_err *err) {
    const struct toc_blob_change change = {ns, key, TOC_SV_NULL};
    return blob_apply(s, &change, 1, err);
}

static int blob_get(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                    struct toc_buf *out, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_read(&t, blob_db(s), err);
    toc_txn_query(&t, "SELECT value FROM blobs WHERE ns = ? AND key = ?", "sb", toc_sv_cstr(ns),
                  key);
    bool is_found = toc_txn_row(&t);
    if (is_found)
        toc_buf_append_sv(out, toc_txn_text(&t, 0));
    int rc = toc_txn_end(&t);
    if (rc)
        return rc;
    return is_found ? toc_buf_error(out) : TOC_ENOENT;
}

static int blob_each(struct toc_blob_store *s, const char *ns,
                     int (*fn)(void *ctx, struct toc_sv key, struct toc_sv value), void *ctx,
                     struct toc_err *err) {
    struct toc_txn t;
    int stopped = 0;
    toc_txn_begin_read(&t, blob_db(s), err);
    toc_txn_query(&t, "SELECT key, value FROM blobs WHERE ns = ? ORDER BY key", "s",
                  toc_sv_cstr(ns));
    while (!stopped && toc_txn_row(&t))
        stopped = fn(ctx, toc_txn_text(&t, 0), toc_txn_text(&t, 1));
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

void toc_blobs_init(struct toc_blobs *b, struct toc_statedb *db) {
    *b = (struct toc_blobs){.base = {blob_put, blob_get, blob_remove, blob_each, blob_apply},
                            .db = db};
}

int toc_silences_put(struct toc_statedb *db, const struct toc_silence_row *r, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t,
                 "INSERT OR REPLACE INTO silences(id, matchers, starts_at, ends_at, updated_at, "
                 "created_by, comment, is_until_resolved) VALUES(?,?,?,?,?,?,?,?)",
                 "sbtttssi", r->id, r->matchers, r->starts_at, r->ends_at, r->updated_at,
                 r->created_by, r->comment, (int64_t)r->is_until_resolved);
    return toc_txn_end(&t);
}

int toc_silences_remove(struct toc_statedb *db, struct toc_sv id, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "DELETE FROM silences WHERE id = ?", "s", id);
    if (t.rc == 0 && toc_txn_changes(&t) == 0)
        toc_txn_fail(&t, TOC_ENOENT, "there is no silence %.*s", TOC_SV_ARG(id));
    return toc_txn_end(&t);
}

int toc_silences_each(struct toc_statedb *db,
                      int (*fn)(void *ctx, const struct toc_silence_row *row), void *ctx,
                      struct toc_err *err) {
    struct toc_txn t;
    int stopped = 0;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t,
                  "SELECT id, matchers, starts_at, ends_at, updated_at, created_by, comment, "
                  "is_until_resolved FROM silences ORDER BY id",
                  "");
    while (!stopped && toc_txn_row(&t)) {
        struct toc_silence_row r = {
            .id = toc_txn_text(&t, 0),
            .matchers = toc_txn_text(&t, 1),
            .starts_at = toc_txn_ts(&t, 2),
            .ends_at = toc_txn_ts(&t, 3),
            .updated_at = toc_txn_ts(&t, 4),
            .created_by = toc_txn_text(&t, 5),
            .comment = toc_txn_text(&t, 6),
            .is_until_resolved = toc_txn_int(&t, 7) != 0,
        };
        stopped = fn(ctx, &r);
    }
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

int toc_silences_prune(struct toc_statedb *db, struct toc_ts before, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "DELETE FROM silences WHERE ends_at < ?", "t", before);
    return toc_txn_end(&t);
}

int64_t toc_changes_insert(struct toc_txn *t, const struct toc_change *c) {
    toc_txn_exec(t,
                 "INSERT INTO changes(kind, subject, before, after, actor, at, incident_id) "
                 "VALUES(?,?,?,?,?,?,?)",
                 "ssssstS", c->kind, c->subject, c->before, c->after, c->actor, c->at,
                 c->incident_id);
    return t->rc ? 0 : toc_txn_last_id(t);
}

int toc_changes_add(struct toc_statedb *db, const struct toc_change *c, int64_t *out_id,
                    struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    int64_t id = toc_changes_insert(&t, c);
    int rc = toc_txn_end(&t);
    if (rc == 0 && out_id)
        *out_id = id;
    return rc;
}

int toc_changes_read(struct toc_txn *t, toc_on_change *fn, void *ctx) {
    int stopped = 0;
    while (!stopped && toc_txn_row(t)) {
        struct toc_change c = {
            .id = toc_txn_int(t, 0),
            .kind = toc_txn_text(t, 1),
            .subject = toc_txn_text(t, 2),
            .before = toc_txn_text(t, 3),
            .after = toc_txn_text(t, 4),
            .actor = toc_txn_text(t, 5),
            .at = toc_txn_ts(t, 6),
            .incident_id = toc_txn_text(t, 7),
        };
        stopped = fn(ctx, &c);
    }
    return stopped;
}

int toc_changes_list(struct toc_statedb *db, struct toc_sv incident_id, size_t limit,
                     toc_on_change *fn, void *ctx, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t,
                  "SELECT " TOC_CHANGE_COLUMNS " FROM changes WHERE ?1 IS NULL OR incident_id = ?1 "
                  "ORDER BY id DESC LIMIT ?2",
                  "Si", incident_id, (int64_t)(limit ? limit : CHANGES_LIMIT_DEFAULT));
    int stopped = toc_changes_read(&t, fn, ctx);
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}
