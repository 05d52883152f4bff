#include "state_fixture.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cmocka_prelude.h"

int state_fixture_open(struct state_fixture *f, struct toc_err *err) {
    struct toc_statedb_options o = {
        .vfs = toc_vfs_system(), .path = f->path, .clock = &f->clock.base, .readers = 2};
    return toc_statedb_open(&o, &f->db, err);
}

void state_fixture_setup(struct state_fixture *f) {
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/tocsin-state-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/state.db", f->folder);
    toc_clock_virtual_init(&f->clock, (struct toc_ts){1795526400000}); /* 2026-11-24T13:20:00Z */
    struct toc_err err = {0};
    int rc = state_fixture_open(f, &err);
    if (rc)
        print_error("%s\n", err.message);
    assert_int_equal(rc, 0);
}

void state_fixture_reopen(struct state_fixture *f) {
    struct toc_err err = {0};
    toc_statedb_close(&f->db);
    assert_int_equal(state_fixture_open(f, &err), 0);
}

void state_fixture_teardown(struct state_fixture *f) {
    static const char *const suffixes[] = {"", "-wal", "-shm", ".copy", ".copy-wal", ".copy-shm"};
    toc_statedb_close(&f->db);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", f->path, suffixes[i]);
        unlink(path);
    }
    rmdir(f->folder);
}

/* --- failing disk: SQLite's own file layer with two methods replaced --- */

static _Atomic int g_fault;
static sqlite3_vfs g_vfs;
static sqlite3_vfs *g_real;
/* SQLite has one table of methods for the database and one for its log. */
static struct methods {
    const sqlite3_io_methods *real;
    sqlite3_io_methods replaced;
} g_methods[4];

static const sqlite3_io_methods *real_of(sqlite3_file *f) {
    for (size_t i = 0; i < 4; i++)
        if (f->pMethods == &g_methods[i].replaced)
            return g_methods[i].real;
    abort();
}

static int failing_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
    int fault = atomic_load(&g_fault);
    if (fault == DISK_FULL)
        return SQLITE_FULL;
    if (fault == DISK_WRITE_ERROR)
        return SQLITE_IOERR_WRITE;
    return real_of(f)->xWrite(f, p, n, at);
}

static int failing_sync(sqlite3_file *f, int flags) {
    if (atomic_load(&g_fault) == DISK_SYNC_ERROR)
        return SQLITE_IOERR_FSYNC;
    return real_of(f)->xSync(f, flags);
}

static int open_file(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out) {
    (void)v;
    int rc = g_real->xOpen(g_real, name, f, flags, out);
    if (rc != SQLITE_OK || !f->pMethods)
        return rc;
    for (size_t i = 0; i < 4; i++) {
        struct methods *m = &g_methods[i];
        if (m->real && m->real != f->pMethods)
            continue;
        m->real = f->pMethods;
        m->replaced = *m->real;
        m->replaced.xWrite = failing_write;
        m->replaced.xSync = failing_sync;
        f->pMethods = &m->replaced;
        break;
    }
    return rc;
}

void state_disk_install(void) {
    if (g_real) /* it is there already */
        return;
    g_real = sqlite3_vfs_find(NULL);
    g_vfs = *g_real;
    g_vfs.zName = "failing";
    g_vfs.xOpen = open_file;
    sqlite3_vfs_register(&g_vfs, 1);
}

void state_disk_set(enum disk_fault fault) {
    atomic_store(&g_fault, (int)fault);
}
