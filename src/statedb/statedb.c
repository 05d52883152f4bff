#include "statedb/statedb_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* "TOCS": marks the file as ours in SQLite's header. */
enum { APPLICATION_ID = 0x544f4353, BUSY_TIMEOUT_MS = 5000, DEFAULT_READERS = 4 };

static int fail_open(struct toc_statedb *db, struct toc_err *err, int rc, const char *reason) {
    if (rc == TOC_ECORRUPT)
        return toc_errf(
            err, rc,
            "state database %s is damaged or is not an SQLite file (%s): restore it from "
            "a backup, or move it away to start with an empty one",
            db->path, reason);
    return toc_errf(err, rc, "state database %s cannot be opened: %s (%s)", db->path, reason,
                    toc_strerror(rc));
}

static int run(struct toc_statedb *db, struct toc_conn *c, const char *sql, struct toc_err *err) {
    int rc = sqlite3_exec(c->handle, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return fail_open(db, err, toc_sqlite_code(rc), sqlite3_errmsg(c->handle));
    return 0;
}

static int open_conn(struct toc_statedb *db, struct toc_conn *c, int flags, struct toc_err *err) {
    int rc = sqlite3_open_v2(db->path, &c->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return fail_open(db, err, toc_sqlite_code(rc),
                         c->handle ? sqlite3_errmsg(c->handle) : "out of memory");
    sqlite3_extended_result_codes(c->handle, 0);
    sqlite3_busy_timeout(c->handle, BUSY_TIMEOUT_MS);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(c->handle, SQLITE_LIMIT_ATTACHED, 0);
    return run(db, c,
               "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; "
               "PRAGMA cell_size_check=ON;",
               err);
}

static void close_conn(struct toc_conn *c) {
    for (size_t i = 0; i < c->stmts.count; i++)
        sqlite3_finalize(c->stmts.items[i].stmt);
    TOC_VEC_FINI(&c->stmts);
    sqlite3_close(c->handle);
    c->handle = NULL;
}

/* First column of the first row as text; "" without one. */
static int pragma_text(struct toc_statedb *db, const char *sql, char *out, size_t out_size,
                       struct toc_err *err) {
    sqlite3_stmt *stmt = NULL;
    out[0] = '\0';
    int rc = sqlite3_prepare_v2(db->writer.handle, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        toc_sv_copy(toc_sv_cstr((const char *)sqlite3_column_text(stmt, 0)), out, out_size);
    int code = toc_sqlite_code(rc);
    if (code)
        fail_open(db, err, code, sqlite3_errmsg(db->writer.handle));
    sqlite3_finalize(stmt);
    return code;
}

static int check_integrity(struct toc_statedb *db, const char *pragma, struct toc_err *err) {
    char verdict[200];
    int rc = pragma_text(db, pragma, verdict, sizeof verdict, err);
    if (rc == 0 && strcmp(verdict, "ok") != 0)
        rc = fail_open(db, err, TOC_ECORRUPT, verdict);
    return rc;
}

/* A file that another program made must not be changed. */
static int check_ownership(struct toc_statedb *db, struct toc_err *err) {
    char id[32], tables[32], mark[64];
    int rc = pragma_text(db, "PRAGMA application_id", id, sizeof id, err);
    if (rc == 0)
        rc = pragma_text(db, "SELECT count(*) FROM sqlite_schema", tables, sizeof tables, err);
    if (rc)
        return rc;
    snprintf(mark, sizeof mark, "%d", APPLICATION_ID);
    if (strcmp(id, mark) == 0)
        return 0;
    if (strcmp(id, "0") != 0 || strcmp(tables, "0") != 0)
        return toc_errf(err, TOC_ECORRUPT,
                        "%s is an SQLite database of another program: give Tocsin another data "
                        "directory or move the file away",
                        db->path);
    snprintf(mark, sizeof mark, "PRAGMA application_id=%d", APPLICATION_ID);
    return run(db, &db->writer, mark, err);
}

/* The file is made here so that it (and SQLite's files beside it) is readable by its owner only. */
static int touch_file(struct toc_statedb *db, struct toc_vfs *vfs, struct toc_err *err) {
    struct toc_file *f = NULL;
    int rc = vfs->open(vfs, db->path, TOC_OPEN_READ | TOC_OPEN_WRITE | TOC_OPEN_CREATE, &f);
    if (rc)
        return toc_errf(err, rc, "state database %s cannot be opened: %s", db->path,
                        toc_strerror(rc));
    vfs->close(vfs, &f);
    return 0;
}

static int open_readers(struct toc_statedb *db, struct toc_err *err) {
    for (unsigned i = 0; i < db->reader_count; i++) {
        struct toc_conn *c = &db->readers[i];
        int rc = open_conn(db, c, SQLITE_OPEN_READWRITE, err);
        if (rc == 0)
            rc = run(db, c, "PRAGMA query_only=ON", err);
        if (rc)
            return rc;
        c->next_free = db->free_readers;
        db->free_readers = c;
    }
    return 0;
}

static int open_all(struct toc_statedb *db, struct toc_vfs *vfs, struct toc_err *err) {
    int rc = touch_file(db, vfs, err);
    if (rc == 0)
        rc = open_conn(db, &db->writer, SQLITE_OPEN_READWRITE, err);
    if (rc == 0)
        rc = check_integrity(db, "PRAGMA quick_check(1)", err);
    if (rc == 0)
        rc = check_ownership(db, err);
    if (rc == 0)
        rc = run(db, &db->writer, "PRAGMA journal_mode=WAL", err);
    if (rc == 0)
        rc = toc_statedb_migrate(db, err);
    if (rc == 0)
        rc = open_readers(db, err);
    return rc;
}

int toc_statedb_open(const struct toc_statedb_options *o, struct toc_statedb **out,
                     struct toc_err *err) {
    struct toc_statedb *db = TOC_NEW(struct toc_statedb);
    db->clock = o->clock;
    db->path = toc_xstrdup(o->path);
    db->health.is_ok = true;
    unsigned readers = o->readers ? o->readers : DEFAULT_READERS;
    db->reader_count = TOC_MIN(readers, TOC_STATEDB_READERS_MAX);
    toc_mutex_init(&db->writer_mutex, TOC_LOCK_STATEDB);
    toc_mutex_init(&db->readers_mutex, TOC_LOCK_QUEUE);
    toc_cond_init(&db->readers_cond);
    int rc = open_all(db, o->vfs, err);
    if (rc)
        toc_statedb_close(&db);
    *out = db;
    return rc;
}

void toc_statedb_close(struct toc_statedb **db) {
    if (!*db)
        return;
    struct toc_statedb *d = *db;
    for (unsigned i = 0; i < d->reader_count; i++)
        close_conn(&d->readers[i]);
    close_conn(&d->writer); /* last, so that it folds the write-ahead log in */
    toc_cond_fini(&d->readers_cond);
    toc_mutex_fini(&d->readers_mutex);
    toc_mutex_fini(&d->writer_mutex);
    toc_free(d->path);
    toc_free(d);
    *db = NULL;
}

void toc_statedb_get_health(struct toc_statedb *db, struct toc_statedb_health *out) {
    toc_mutex_lock(&db->readers_mutex);
    *out = db->health;
    toc_mutex_unlock(&db->readers_mutex);
}

int toc_statedb_verify(struct toc_statedb *db, struct toc_err *err) {
    toc_mutex_lock(&db->writer_mutex);
    int rc = check_integrity(db, "PRAGMA integrity_check(1)", err);
    toc_mutex_unlock(&db->writer_mutex);
    return rc;
}

/* A few hundred pages at a time, so that writers get in between. */
static int copy_pages(sqlite3 *from, sqlite3 *to) {
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return sqlite3_errcode(to);
    int rc;
    do {
        rc = sqlite3_backup_step(b, 256);
    } while (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED);
    sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int toc_statedb_backup(struct toc_statedb *db, const char *path, struct toc_err *err) {
    struct toc_vfs *vfs = toc_vfs_system();
    struct toc_file *f = NULL;
    int rc = vfs->open(vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_EXCLUSIVE, &f);
    if (rc)
        return toc_errf(err, rc, "backup %s: %s", path, toc_strerror(rc));
    vfs->close(vfs, &f);
    struct toc_txn t;
    toc_txn_begin_read(&t, db, err);
    sqlite3 *to = NULL;
    rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = copy_pages(t.conn->handle, to);
    if (rc != SQLITE_OK)
        toc_txn_fail(&t, toc_sqlite_code(rc), "backup %s: %s", path, sqlite3_errstr(rc));
    if (sqlite3_close(to) != SQLITE_OK)
        toc_txn_fail(&t, TOC_EIO, "backup %s: cannot be closed", path);
    rc = toc_txn_end(&t);
    if (rc)
        vfs->remove(vfs, path);
    return rc;
}
