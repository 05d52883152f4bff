/*
 * The state database: one SQLite file in WAL mode with synchronous=FULL. One writer connection
 * behind TOC_LOCK_STATEDB and a small group of reader connections. A write that returned 0 is on
 * disk. A failed write (disk full, input/output error) changes nothing, is counted, and leaves the
 * database usable. All functions may be called from any thread.
 */
#ifndef TOC_STATEDB_STATEDB_H
#define TOC_STATEDB_STATEDB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attrs.h"
#include "base/error.h"
#include "base/time.h"
#include "sys/clock.h"
#include "sys/vfs.h"

struct toc_statedb;

struct toc_statedb_options {
    struct toc_vfs *vfs;     /* makes the file with mode 0600; toc_vfs_system() */
    const char *path;        /* its folder must exist */
    struct toc_clock *clock; /* stamps migrations and health */
    unsigned readers;        /* 0 = 4 */
};

/* Opens or makes the file, checks its integrity, applies missing migrations. TOC_ECORRUPT (damaged
 * or not ours), TOC_EVERSION (written by a newer release), TOC_ENOENT, TOC_EACCES, TOC_ENOSPC,
 * TOC_EIO, each with one sentence that says what to do. */
int toc_statedb_open(const struct toc_statedb_options *o, struct toc_statedb **out,
                     struct toc_err *err) TOC_MUST_CHECK;
/* No other thread may be inside. NULL is accepted. */
void toc_statedb_close(struct toc_statedb **db);

struct toc_statedb_health {
    bool is_ok; /* the last write succeeded */
    int schema_version;
    uint64_t writes;             /* committed */
    uint64_t write_errors;       /* refused or rolled back because of the disk */
    struct toc_ts failing_since; /* 0 when ok */
    char problem[256];           /* sentence of the last failure, "" when ok */
};
void toc_statedb_get_health(struct toc_statedb *db, struct toc_statedb_health *out);

/* A consistent copy into a new file while the database is in use (SQLite's online backup).
 * TOC_EEXIST when `path` is there. */
int toc_statedb_backup(struct toc_statedb *db, const char *path,
                       struct toc_err *err) TOC_MUST_CHECK;
/* Full integrity check; TOC_ECORRUPT with SQLite's first complaint. */
int toc_statedb_verify(struct toc_statedb *db, struct toc_err *err) TOC_MUST_CHECK;

#endif
