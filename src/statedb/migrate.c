/*
 * The schema as a numbered list of steps. A step that has been released never changes: its checksum
 * is kept in the database and compared on every open.
 */
#include "statedb/statedb_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "statedb/schema_priv.h"

/* X(version, name, sql) */
#define MIGRATIONS(X)                       \
    X(1, "incidents", TOC_SCHEMA_INCIDENTS) \
    X(2, "outbox", TOC_SCHEMA_OUTBOX)       \
    X(3, "settings", TOC_SCHEMA_SETTINGS)   \
    X(4, "access", TOC_SCHEMA_ACCESS)

static const struct migration {
    int64_t version;
    const char *name;
    const char *sql;
} g_migrations[] = {
#define X(version, name, sql) {version, name, sql},
    MIGRATIONS(X)
#undef X
};
enum { MIGRATION_COUNT = sizeof g_migrations / sizeof g_migrations[0] };

static int64_t checksum(const char *sql) {
    return (int64_t)toc_hash64(sql, strlen(sql), 0);
}

static void check_applied(struct toc_txn *t, int64_t version, int64_t have) {
    if (version > MIGRATION_COUNT) {
        toc_txn_fail(t, TOC_EVERSION,
                     "state database %s was written by a newer release (schema %" PRId64
                     ", this one knows %d): run that release or restore an older backup",
                     t->db->path, version, MIGRATION_COUNT);
        return;
    }
    const struct migration *m = &g_migrations[version - 1];
    if (have != checksum(m->sql))
        toc_txn_fail(t, TOC_ECORRUPT,
                     "state database %s: step %" PRId64
                     " (%s) of the schema is not the one that this "
                     "release knows: it was written by an unofficial build",
                     t->db->path, version, m->name);
}

static int64_t applied_version(struct toc_txn *t) {
    int64_t last = 0;
    toc_txn_query(t, "SELECT version, checksum FROM schema_migrations ORDER BY version", "");
    while (toc_txn_row(t)) {
        int64_t version = toc_txn_int(t, 0), have = toc_txn_int(t, 1);
        if (version != last + 1)
            toc_txn_fail(t, TOC_ECORRUPT, "state database %s: the list of schema steps has a hole",
                         t->db->path);
        else
            check_applied(t, version, have);
        last = version;
    }
    return last;
}

static void apply(struct toc_txn *t, const struct migration *m) {
    if (t->rc)
        return;
    int rc = sqlite3_exec(t->conn->handle, m->sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        toc_txn_fail_sqlite(t, rc);
    toc_txn_exec(
        t, "INSERT INTO schema_migrations(version, name, checksum, applied_at) VALUES(?,?,?,?)",
        "isit", m->version, toc_sv_cstr(m->name), checksum(m->sql), toc_clock_now(t->db->clock));
}

int toc_statedb_migrate(struct toc_statedb *db, struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(
        &t,
        "CREATE TABLE IF NOT EXISTS schema_migrations(version INTEGER PRIMARY KEY, "
        "name TEXT NOT NULL, checksum INTEGER NOT NULL, applied_at INTEGER NOT NULL) STRICT",
        "");
    int64_t version = applied_version(&t);
    for (int64_t i = version; t.rc == 0 && i < MIGRATION_COUNT; i++)
        apply(&t, &g_migrations[i]);
    int rc = toc_txn_end(&t);
    if (rc == 0)
        db->health.schema_version = MIGRATION_COUNT;
    return rc;
}
