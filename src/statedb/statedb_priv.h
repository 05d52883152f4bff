/*
 * Inside the state database: connections with cached statements, and transactions with a sticky
 * result. After the first failure all calls on a transaction are no-ops; toc_txn_end rolls back and
 * says why.
 */
#ifndef TOC_STATEDB_STATEDB_PRIV_H
#define TOC_STATEDB_STATEDB_PRIV_H

#include <sqlite3.h>

#include "base/buf.h"
#include "base/vec.h"
#include "statedb/statedb.h"
#include "sys/thread.h"

struct toc_cached_stmt {
    const char *sql; /* static text; compared by address */
    sqlite3_stmt *stmt;
};

struct toc_conn {
    sqlite3 *handle;
    struct toc_conn *next_free; /* readers only */
    struct {
        TOC_VEC_FIELDS(struct toc_cached_stmt)
    } stmts;
};

enum { TOC_STATEDB_READERS_MAX = 16 };

struct toc_statedb {
    struct toc_clock *clock;
    char *path;
    struct toc_mutex writer_mutex; /* TOC_LOCK_STATEDB: writer */
    struct toc_conn writer;
    struct toc_mutex readers_mutex; /* TOC_LOCK_QUEUE: free_readers, health */
    struct toc_cond readers_cond;
    struct toc_conn readers[TOC_STATEDB_READERS_MAX];
    unsigned reader_count;
    struct toc_conn *free_readers;
    struct toc_statedb_health health;
};

struct toc_txn {
    struct toc_statedb *db;
    struct toc_conn *conn;
    sqlite3_stmt *active; /* being stepped; reset before the next one */
    struct toc_err *err;
    int rc; /* 0 or TOC_E…; sticky */
    bool is_write;
};

/* Code for an SQLite result code. */
int toc_sqlite_code(int sqlite_rc);
/* Fails the transaction with SQLite's message. */
int toc_txn_fail_sqlite(struct toc_txn *t, int sqlite_rc);
/* Fails the transaction with our own. */
int toc_txn_fail(struct toc_txn *t, int rc, const char *fmt, ...) TOC_PRINTF(3, 4);

/* A writing transaction holds TOC_LOCK_STATEDB until its end; a reading one borrows a reader. */
void toc_txn_begin_write(struct toc_txn *t, struct toc_statedb *db, struct toc_err *err);
void toc_txn_begin_read(struct toc_txn *t, struct toc_statedb *db, struct toc_err *err);
/* Commits (durably) or rolls back; returns t->rc. */
int toc_txn_end(struct toc_txn *t) TOC_MUST_CHECK;

/*
 * Prepares (cached by the address of `sql`) and binds by `types`: one letter each
 *   i int64_t   I const int64_t *, NULL → NULL   d double   s struct toc_sv as text   S the same,
 * empty → NULL   b struct toc_sv as blob T struct toc_ts, 0 → NULL   t struct toc_ts   n NULL (no
 * argument)
 */
void toc_txn_query(struct toc_txn *t, const char *sql, const char *types, ...);
/* True when there is a row; its columns are valid until the next call on the transaction. */
bool toc_txn_row(struct toc_txn *t);
/* query without rows */
void toc_txn_exec(struct toc_txn *t, const char *sql, const char *types, ...);
int64_t toc_txn_changes(const struct toc_txn *t);
int64_t toc_txn_last_id(const struct toc_txn *t);

/* Columns of the current row. Views are borrowed until the next call. */
int64_t toc_txn_int(const struct toc_txn *t, int column);
double toc_txn_double(const struct toc_txn *t, int column); /* NULL → NaN */
bool toc_txn_is_null(const struct toc_txn *t, int column);
struct toc_sv toc_txn_text(const struct toc_txn *t, int column); /* also blobs */
struct toc_ts toc_txn_ts(const struct toc_txn *t, int column);   /* NULL → 0 */

/* migrate.c: brings the schema up to date; statedb.c calls it once on open. */
int toc_statedb_migrate(struct toc_statedb *db, struct toc_err *err);

#endif
