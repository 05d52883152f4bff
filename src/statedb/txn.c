#include "statedb/statedb_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

int toc_sqlite_code(int sqlite_rc) {
    switch (sqlite_rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return TOC_ENOSPC;
    case SQLITE_NOMEM:
        return TOC_ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TOC_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return TOC_ECORRUPT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return TOC_EACCES;
    case SQLITE_CONSTRAINT:
        return TOC_ECONFLICT;
    case SQLITE_TOOBIG:
        return TOC_ELIMIT;
    case SQLITE_CANTOPEN:
        return TOC_ENOENT;
    default:
        return TOC_EIO;
    }
}

int toc_txn_fail_sqlite(struct toc_txn *t, int sqlite_rc) {
    if (t->rc)
        return t->rc;
    int extended = sqlite3_extended_errcode(t->conn->handle);
    bool is_unique =
        extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY;
    t->rc = is_unique ? TOC_EDUPLICATE : toc_sqlite_code(sqlite_rc);
    toc_errf(t->err, t->rc, "state database %s: %s (%s)", t->db->path,
             sqlite3_errmsg(t->conn->handle), toc_strerror(t->rc));
    return t->rc;
}

int toc_txn_fail(struct toc_txn *t, int rc, const char *fmt, ...) {
    if (t->rc)
        return t->rc;
    t->rc = rc;
    if (t->err && !t->err->code) {
        char text[TOC_ERR_MESSAGE_MAX];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        toc_errf(t->err, rc, "%s", text);
    }
    return rc;
}

static struct toc_conn *borrow_reader(struct toc_statedb *db) {
    toc_mutex_lock(&db->readers_mutex);
    while (!db->free_readers)
        toc_cond_wait(&db->readers_cond, &db->readers_mutex);
    struct toc_conn *c = db->free_readers;
    db->free_readers = c->next_free;
    toc_mutex_unlock(&db->readers_mutex);
    return c;
}

static void return_reader(struct toc_statedb *db, struct toc_conn *c) {
    toc_mutex_lock(&db->readers_mutex);
    c->next_free = db->free_readers;
    db->free_readers = c;
    toc_cond_signal(&db->readers_cond);
    toc_mutex_unlock(&db->readers_mutex);
}

void toc_txn_begin_write(struct toc_txn *t, struct toc_statedb *db, struct toc_err *err) {
    *t = (struct toc_txn){.db = db, .conn = &db->writer, .err = err, .is_write = true};
    toc_mutex_lock(&db->writer_mutex);
    toc_txn_exec(t, "BEGIN IMMEDIATE", "");
}

void toc_txn_begin_read(struct toc_txn *t, struct toc_statedb *db, struct toc_err *err) {
    *t = (struct toc_txn){.db = db, .conn = borrow_reader(db), .err = err};
    toc_txn_exec(t, "BEGIN", "");
}

static void finish_active(struct toc_txn *t) {
    if (t->active)
        sqlite3_reset(t->active); /* its error was taken when it was stepped */
    t->active = NULL;
}

/* A failing disk is a state of the daemon, a refused row is an answer to the caller. */
static void note_outcome(struct toc_txn *t, const struct toc_err *err) {
    struct toc_statedb_health *h = &t->db->health;
    bool is_disk = t->rc == TOC_ENOSPC || t->rc == TOC_EIO || t->rc == TOC_ECORRUPT ||
                   t->rc == TOC_EACCES || t->rc == TOC_ENOENT;
    toc_mutex_lock(&t->db->readers_mutex);
    if (t->rc == 0) {
        h->writes++;
        h->is_ok = true;
        h->failing_since = (struct toc_ts){0};
        h->problem[0] = '\0';
    } else if (is_disk) {
        h->write_errors++;
        if (h->is_ok)
            h->failing_since = toc_clock_now(t->db->clock);
        h->is_ok = false;
        toc_sv_copy(toc_sv_cstr(err->message), h->problem, sizeof h->problem);
    }
    toc_mutex_unlock(&t->db->readers_mutex);
}

static void end_write(struct toc_txn *t) {
    /* The reason is needed for the health even when the caller wants none. */
    struct toc_err own = {0};
    struct toc_err *callers = t->err;
    if (!callers || (callers->code && t->rc == 0))
        t->err = &own;
    toc_txn_exec(t, "COMMIT", "");
    if (t->rc && !sqlite3_get_autocommit(t->conn->handle))
        sqlite3_exec(t->conn->handle, "ROLLBACK", NULL, NULL, NULL);
    if (!t->err->code && t->rc)
        toc_errf(t->err, t->rc, "state database %s: %s", t->db->path, toc_strerror(t->rc));
    note_outcome(t, t->err);
    t->err = callers;
    toc_mutex_unlock(&t->db->writer_mutex);
}

int toc_txn_end(struct toc_txn *t) {
    finish_active(t);
    if (t->is_write) {
        end_write(t);
        return t->rc;
    }
    if (!sqlite3_get_autocommit(t->conn->handle))
        sqlite3_exec(t->conn->handle, "COMMIT", NULL, NULL,
                     NULL); /* nothing to lose: it only read */
    return_reader(t->db, t->conn);
    return t->rc;
}

static sqlite3_stmt *cached(struct toc_txn *t, const char *sql) {
    struct toc_conn *c = t->conn;
    for (size_t i = 0; i < c->stmts.count; i++)
        if (c->stmts.items[i].sql == sql)
            return c->stmts.items[i].stmt;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v3(c->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (rc != SQLITE_OK) {
        toc_txn_fail_sqlite(t, rc);
        return NULL;
    }
    TOC_VEC_PUSH(&c->stmts, ((struct toc_cached_stmt){sql, stmt}));
    return stmt;
}

static int bind_sv(sqlite3_stmt *stmt, int at, struct toc_sv v, char type) {
    if (type == 'S' && v.n == 0)
        return sqlite3_bind_null(stmt, at);
    const char *p = v.n ? v.p : "";
    if (type == 'b')
        return sqlite3_bind_blob64(stmt, at, p, v.n, SQLITE_STATIC);
    return sqlite3_bind_text64(stmt, at, p, v.n, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_one(sqlite3_stmt *stmt, int at, char type, va_list *ap) {
    struct toc_ts ts;
    const int64_t *optional;
    double d;
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(stmt, at, va_arg(*ap, int64_t));
    case 'I':
        optional = va_arg(*ap, const int64_t *);
        return optional ? sqlite3_bind_int64(stmt, at, *optional) : sqlite3_bind_null(stmt, at);
    case 'd':
        d = va_arg(*ap, double);
        return isnan(d) ? sqlite3_bind_null(stmt, at) : sqlite3_bind_double(stmt, at, d);
    case 's':
    case 'S':
    case 'b':
        return bind_sv(stmt, at, va_arg(*ap, struct toc_sv), type);
    case 'T':
        ts = va_arg(*ap, struct toc_ts);
        return ts.ms ? sqlite3_bind_int64(stmt, at, ts.ms) : sqlite3_bind_null(stmt, at);
    case 't':
        return sqlite3_bind_int64(stmt, at, va_arg(*ap, struct toc_ts).ms);
    case 'n':
        return sqlite3_bind_null(stmt, at);
    default:
        TOC_UNREACHABLE();
    }
}

static void query(struct toc_txn *t, const char *sql, const char *types, va_list *ap) {
    finish_active(t);
    sqlite3_stmt *stmt = t->rc ? NULL : cached(t, sql);
    if (!stmt)
        return;
    t->active = stmt;
    for (int i = 0; types[i]; i++) {
        int rc = bind_one(stmt, i + 1, types[i], ap);
        if (rc != SQLITE_OK)
            toc_txn_fail_sqlite(t, rc);
    }
}

void toc_txn_query(struct toc_txn *t, const char *sql, const char *types, ...) {
    va_list ap;
    va_start(ap, types);
    query(t, sql, types, &ap);
    va_end(ap);
}

bool toc_txn_row(struct toc_txn *t) {
    if (t->rc || !t->active)
        return false;
    int rc = sqlite3_step(t->active);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        toc_txn_fail_sqlite(t, rc);
    finish_active(t);
    return false;
}

void toc_txn_exec(struct toc_txn *t, const char *sql, const char *types, ...) {
    va_list ap;
    va_start(ap, types);
    query(t, sql, types, &ap);
    va_end(ap);
    while (toc_txn_row(t)) {
    }
}

int64_t toc_txn_changes(const struct toc_txn *t) {
    return sqlite3_changes64(t->conn->handle);
}
int64_t toc_txn_last_id(const struct toc_txn *t) {
    return sqlite3_last_insert_rowid(t->conn->handle);
}

int64_t toc_txn_int(const struct toc_txn *t, int column) {
    return sqlite3_column_int64(t->active, column);
}

bool toc_txn_is_null(const struct toc_txn *t, int column) {
    return sqlite3_column_type(t->active, column) == SQLITE_NULL;
}

double toc_txn_double(const struct toc_txn *t, int column) {
    return toc_txn_is_null(t, column) ? NAN : sqlite3_column_double(t->active, column);
}

struct toc_sv toc_txn_text(const struct toc_txn *t, int column) {
    const void *p = sqlite3_column_blob(t->active, column);
    return toc_sv_make(p, (size_t)sqlite3_column_bytes(t->active, column));
}

struct toc_ts toc_txn_ts(const struct toc_txn *t, int column) {
    return (struct toc_ts){toc_txn_int(t, column)};
}
