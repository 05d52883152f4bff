/*
 * Snapshots: snapshots/NAME is a whole database of its own: hard links to the immutable files of
 * the blocks, a block of what the head holds, and the exemplars. Made beside and renamed.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"
#include "sys/random.h"

struct snapshot {
    struct toc_metricdb *db;
    char path[4096];   /* while it is made */
    char blocks[4096]; /* its folder of the store at hand */
    const char *from, *to;
    int rc;
};

static int copy_file(struct toc_vfs *vfs, const char *from, const char *to) {
    enum { FILE_MAX = 1 << 30 };
    struct toc_buf bytes = {.limit_bytes = (size_t)FILE_MAX + 65536};
    int rc = toc_vfs_read_file(vfs, from, FILE_MAX, &bytes);
    if (!rc)
        rc = toc_vfs_write_file(vfs, to, toc_buf_sv(&bytes));
    toc_buf_fini(&bytes);
    return rc;
}

static int link_file(void *ctx, const char *name) {
    struct snapshot *s = ctx;
    struct toc_vfs *vfs = s->db->vfs;
    char from[8192], to[8192];
    snprintf(from, sizeof from, "%s/%s", s->from, name);
    snprintf(to, sizeof to, "%s/%s", s->to, name);
    int rc = vfs->link(vfs, from, to);
    if (rc) /* a file system without hard links */
        rc = copy_file(vfs, from, to);
    s->rc = rc;
    return rc;
}

static int link_block(struct snapshot *s, const struct toc_block *b) {
    struct toc_vfs *vfs = s->db->vfs;
    char to[8192];
    const char *slash = strrchr(b->path, '/');
    snprintf(to, sizeof to, "%s%s", s->blocks, slash ? slash : "/");
    int rc = vfs->mkdir(vfs, to);
    s->from = b->path;
    s->to = to;
    s->rc = 0;
    if (!rc)
        rc = vfs->list(vfs, b->path, link_file, s);
    rc = rc ? rc : s->rc;
    return rc ? rc : vfs->sync_dir(vfs, to);
}

static void enter_store(struct snapshot *s, int store) {
    snprintf(s->blocks, sizeof s->blocks, "%.4000s/%s", s->path, toc_metricdb_store_dir(store));
}

static int link_blocks(struct snapshot *s, int store) {
    struct toc_block **blocks;
    size_t n =
        toc_blocks_overlapping(toc_metricdb_store(s->db, store), INT64_MIN, INT64_MAX, &blocks);
    enter_store(s, store);
    int rc = toc_vfs_make_dirs(s->db->vfs, s->blocks);
    for (size_t i = 0; i < n; i++) {
        if (!rc)
            rc = link_block(s, blocks[i]);
        toc_block_unref(&blocks[i]);
    }
    toc_free(blocks);
    return rc ? rc : s->db->vfs->sync_dir(s->db->vfs, s->blocks);
}

static int copy_metadata(struct snapshot *s) {
    char from[8192], to[8192];
    snprintf(from, sizeof from, "%s/metadata", s->db->dir);
    snprintf(to, sizeof to, "%s/metadata", s->path);
    int rc = toc_metricdb_save_metadata(s->db);
    if (rc || !toc_vfs_exists(s->db->vfs, from))
        return rc;
    return copy_file(s->db->vfs, from, to);
}

static int make_dirs(struct snapshot *s) {
    struct toc_vfs *vfs = s->db->vfs;
    char wal[8192];
    enter_store(s, TOC_METRICDB_RAW);
    snprintf(wal, sizeof wal, "%s/wal", s->path);
    int rc = toc_vfs_make_dirs(vfs, s->blocks);
    return rc ? rc : vfs->mkdir(vfs, wal);
}

static int fill(struct snapshot *s, bool with_head) {
    struct toc_vfs *vfs = s->db->vfs;
    char exemplars[8192];
    int rc = make_dirs(s);
    snprintf(exemplars, sizeof exemplars, "%s/exemplars", s->path);
    /* Before the head: a write adds its exemplars behind its samples, so none is here without its
     * sample. */
    if (!rc && with_head)
        rc = toc_exemplar_log_copy(s->db, exemplars);
    for (int k = TOC_METRICDB_STORE_COUNT; k-- > 0 && !rc;) /* raw samples last */
        rc = link_blocks(s, k);
    if (!rc && with_head)
        rc = toc_metricdb_write_head_block(s->db, s->blocks);
    if (!rc)
        rc = copy_metadata(s);
    if (!rc)
        rc = vfs->sync_dir(vfs, s->blocks);
    return rc ? rc : vfs->sync_dir(vfs, s->path);
}

static int remove_block(void *ctx, const char *name) {
    struct snapshot *s = ctx;
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", s->blocks, name);
    toc_block_remove_dir(s->db->vfs, path);
    return 0;
}

static void remove_snapshot(struct snapshot *s) {
    struct toc_vfs *vfs = s->db->vfs;
    char wal[8192];
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++) {
        enter_store(s, k);
        (void)vfs->list(vfs, s->blocks, remove_block, s);
        toc_block_remove_dir(vfs, s->blocks);
    }
    snprintf(wal, sizeof wal, "%s/wal", s->path);
    toc_block_remove_dir(vfs, wal);
    toc_block_remove_dir(vfs, s->path);
}

static int publish(struct snapshot *s, const char *dir, const char *name) {
    struct toc_vfs *vfs = s->db->vfs;
    char to[8192];
    snprintf(to, sizeof to, "%s/%s", dir, name);
    int rc = vfs->rename(vfs, s->path, to);
    return rc ? rc : vfs->sync_dir(vfs, dir);
}

static void choose_name(struct toc_metricdb *db, char *out, size_t out_size) {
    uint64_t r;
    toc_random_bytes(&r, sizeof r);
    struct toc_civil c = toc_ts_civil(toc_clock_now(db->clock));
    snprintf(out, out_size, "%04lld%02d%02dT%02d%02d%02dZ-%016llx", (long long)c.year, c.month,
             c.day, c.hour, c.minute, c.second, (unsigned long long)r);
}

int toc_metricdb_snapshot(struct toc_metricdb *db, bool with_head,
                          char out_name[TOC_SNAPSHOT_NAME_MAX], struct toc_err *err) {
    struct snapshot s = {.db = db};
    char dir[4096];
    int partial = toc_metricdb_need_whole(db, "copied in full", err);
    if (partial)
        return partial;
    snprintf(dir, sizeof dir, "%.4000s/snapshots", db->dir);
    choose_name(db, out_name, TOC_SNAPSHOT_NAME_MAX);
    snprintf(s.path, sizeof s.path, "%.4000s/tmp-%.64s", dir, out_name);
    toc_mutex_lock(&db->maintain_mutex);
    (void)toc_metricdb_finish_trim(db);
    int rc = toc_vfs_make_dirs(db->vfs, dir);
    if (!rc)
        rc = db->vfs->sync_dir(db->vfs, db->dir);
    if (!rc)
        rc = fill(&s, with_head);
    if (!rc)
        rc = publish(&s, dir, out_name);
    if (rc)
        remove_snapshot(&s);
    toc_mutex_unlock(&db->maintain_mutex);
    return rc ? toc_errf(err, rc, "cannot make a snapshot in %s: %s", dir, toc_strerror(rc)) : 0;
}

/* Those that a crash left half made. */
static int clean_one(void *ctx, const char *name) {
    struct toc_metricdb *db = ctx;
    struct snapshot s = {.db = db};
    if (strncmp(name, "tmp-", 4) != 0)
        return 0;
    snprintf(s.path, sizeof s.path, "%.3000s/snapshots/%.900s", db->dir, name);
    remove_snapshot(&s);
    return 0;
}

void toc_metricdb_clean_snapshots(struct toc_metricdb *db) {
    char dir[4096];
    snprintf(dir, sizeof dir, "%.4000s/snapshots", db->dir);
    (void)db->vfs->list(db->vfs, dir, clean_one, db);
}
