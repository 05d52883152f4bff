#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"
#include "sys/log.h"

enum { SERIES_MAX = 8000000, LABELS_BYTES_MAX = 65536, EXEMPLARS_MAX = 10000000 };

static struct toc_metricdb_limits fill_limits(const struct toc_metricdb_limits *given) {
    struct toc_metricdb_limits l = *given;
#define X(field, type, value, what) \
    if (!l.field)                   \
        l.field = (type)(value);
    TOC_METRICDB_LIMIT_TABLE(X)
#undef X
    /* What the formats can hold. */
    l.max_series = TOC_MIN(l.max_series, SERIES_MAX);
    l.max_label_count = TOC_MIN(l.max_label_count, TOC_SERIES_LABELS_MAX);
    l.max_exemplars = TOC_MIN(l.max_exemplars, EXEMPLARS_MAX);
    l.max_labels_bytes = TOC_MIN(l.max_labels_bytes, LABELS_BYTES_MAX);
    return l;
}

static char *join(const char *dir, const char *name) {
    return toc_xprintf("%s/%s", dir, name);
}

static struct toc_metricdb *make(const struct toc_metricdb_options *o) {
    struct toc_metricdb *db = TOC_NEW(struct toc_metricdb);
    db->vfs = o->vfs ? o->vfs : toc_vfs_system();
    db->clock = o->clock ? o->clock : toc_clock_system();
    db->dir = toc_xstrdup(o->dir);
    db->wal_dir = join(o->dir, "wal");
    db->held_dir = join(o->dir, "held");
    db->block_dir = join(o->dir, "blocks");
    db->limits = fill_limits(&o->limits);
    db->durability = o->durability;
    db->wants_starts = o->wants_starts;
    db->next_block = 1;
    db->first_unread = UINT64_MAX;
    atomic_init(&db->sealed_ms, INT64_MIN);
    toc_mutex_init(&db->maintain_mutex, TOC_LOCK_METRICDB_MAINTAIN);
    toc_mutex_init(&db->notes_mutex, TOC_LOCK_METRICDB_NOTES);
    toc_head_init(&db->head, db->limits.block_span_ms);
    toc_blocks_init(&db->blocks, db->limits.index_cache_bytes);
    for (int k = 0; k < 2; k++)
        toc_blocks_init(&db->rollups[k], db->limits.index_cache_bytes / 4);
    toc_exemplars_init(&db->exemplars, (size_t)db->limits.max_exemplars);
    toc_exemplar_log_init(&db->exemplar_log);
    toc_checkpoints_init(db);
    toc_admission_init(&db->admission);
    toc_metricdb_init_sink(db);
    toc_metricdb_init_querier(db);
    return db;
}

void toc_metricdb_store_path(const struct toc_metricdb *db, int store, char *out, size_t out_size) {
    snprintf(out, out_size, "%.4000s/%s", db->dir, toc_metricdb_store_dir(store));
}

/* Advisory locks exist on the machine's own files only. */
static int take_lock(struct toc_metricdb *db, struct toc_err *err) {
    if (db->vfs != toc_vfs_system())
        return 0;
    char *path = join(db->dir, "LOCK");
    int rc = toc_lock_acquire(path, &db->lock);
    toc_free(path);
    if (rc == TOC_ELOCKED)
        return toc_errf(err, rc,
                        "the data directory %s is in use by another process: stop it or choose "
                        "another directory",
                        db->dir);
    return rc ? toc_errf(err, rc, "cannot lock the data directory %s: %s", db->dir,
                         toc_strerror(rc))
              : 0;
}

/* The names of the folders on the way to the database must survive power loss, too; whether an
 * earlier start came as far as this is not known. Folders that we may not open were not made by us.
 */
static int sync_ancestors(struct toc_metricdb *db) {
    char *path = toc_xstrdup(db->dir), *slash;
    int rc = 0;
    while (!rc && (slash = strrchr(path, '/'))) {
        bool is_root = slash == path;
        slash[is_root] = '\0';
        rc = db->vfs->sync_dir(db->vfs, path);
        rc = rc == TOC_EACCES || rc == TOC_EINVAL ? 0 : rc;
        if (is_root)
            break;
    }
    if (!rc && path[0] != '/')
        rc = db->vfs->sync_dir(db->vfs, ".");
    toc_free(path);
    return rc;
}

static int make_dirs(struct toc_metricdb *db, struct toc_err *err) {
    char rollups[2][4096];
    const char *dirs[] = {db->dir, db->wal_dir, db->block_dir, rollups[0], rollups[1]};
    toc_metricdb_store_path(db, TOC_METRICDB_ROLLUP_5M, rollups[0], sizeof rollups[0]);
    toc_metricdb_store_path(db, TOC_METRICDB_ROLLUP_1H, rollups[1], sizeof rollups[1]);
    for (size_t i = 0; i < TOC_ARRAY_LEN(dirs); i++) {
        int rc = toc_vfs_make_dirs(db->vfs, dirs[i]);
        if (rc)
            return toc_errf(err, rc, "cannot make the directory %s: %s", dirs[i], toc_strerror(rc));
    }
    int rc = db->vfs->sync_dir(db->vfs, db->dir);
    if (!rc)
        rc = sync_ancestors(db);
    return rc ? toc_errf(err, rc, "cannot sync %s: %s", db->dir, toc_strerror(rc)) : 0;
}

/* --- blocks found at start --- */

struct listing {
    TOC_VEC_FIELDS(char *)
};

static int note_name(void *ctx, const char *name) {
    struct listing *l = ctx;
    TOC_VEC_PUSH(l, toc_xstrdup(name));
    return 0;
}

static void open_block(struct toc_metricdb *db, int store, const char *path) {
    struct toc_metricdb_loss loss = {0};
    struct toc_block *b;
    unsigned damaged = 0;
    int rc = toc_block_open(db->vfs, path, &b, &damaged);
    toc_sv_copy(toc_sv_cstr(path), loss.path, sizeof loss.path);
    if (rc || damaged)
        toc_metricdb_note_loss(db, &loss);
    const char *digits = strrchr(path, '-');
    uint64_t id = digits ? strtoull(digits + 1, NULL, 10) : 0;
    db->next_block = TOC_MAX(db->next_block, id + 1);
    db->unopened_blocks += rc && rc != TOC_ECORRUPT && rc != TOC_ENOENT;
    if (rc)
        return;
    db->next_block = TOC_MAX(db->next_block, b->meta.id + 1);
    if (store == TOC_METRICDB_RAW &&
        b->meta.range_max > atomic_load_explicit(&db->sealed_ms, memory_order_relaxed))
        atomic_store_explicit(&db->sealed_ms, b->meta.range_max, memory_order_relaxed);
    toc_blocks_add(toc_metricdb_store(db, store), b);
}

static bool replaces(const struct toc_block *b, uint64_t id) {
    for (size_t i = 0; i < b->replaced.count; i++)
        if (b->replaced.items[i] == id)
            return true;
    return b->meta.replaces == id;
}

static bool is_replaced(const struct toc_blocks *set, const struct toc_block *b) {
    for (size_t i = 0; i < set->list.count; i++)
        if (set->list.items[i] != b && replaces(set->list.items[i], b->meta.id))
            return true;
    return false;
}

/* A crash came between the two steps of replacing blocks. */
static void drop_replaced(struct toc_blocks *set) {
    for (size_t i = 0; i < set->list.count;) {
        if (is_replaced(set, set->list.items[i]))
            toc_blocks_delete(set, set->list.items[i]);
        else
            i++;
    }
}

/* Never finished, or half removed. A removal begins by renaming the block, and a disk may write
 * what follows before that: unless it is durable, the block could come back without its list of
 * deletions. What cannot be removed now waits for another start, and nothing else gets its number.
 */
static void remove_unfinished(struct toc_metricdb *db, const char *dir, const struct listing *l) {
    int rc = 1;
    for (size_t i = 0; i < l->count; i++) {
        if (strncmp(l->items[i], "tmp-", 4) != 0)
            continue;
        db->next_block = TOC_MAX(db->next_block, strtoull(l->items[i] + 4, NULL, 10) + 1);
        if (rc > 0)
            rc = db->vfs->sync_dir(db->vfs, dir);
        if (rc)
            continue;
        char *path = join(dir, l->items[i]);
        toc_block_remove_dir(db->vfs, path);
        toc_free(path);
    }
    if (rc < 0)
        toc_log(TOC_LOG_WARN, "metricdb", "unfinished blocks in %s stay until the next start: %s",
                dir, toc_strerror(rc));
}

static int open_store(struct toc_metricdb *db, int store, struct toc_err *err) {
    struct listing l = {0};
    char dir[4096];
    toc_metricdb_store_path(db, store, dir, sizeof dir);
    int rc = db->vfs->list(db->vfs, dir, note_name, &l);
    remove_unfinished(db, dir, &l);
    for (size_t i = 0; i < l.count; i++) {
        char *path = join(dir, l.items[i]);
        if (!strncmp(l.items[i], "b-", 2))
            open_block(db, store, path);
        toc_free(path);
        toc_free(l.items[i]);
    }
    TOC_VEC_FINI(&l);
    drop_replaced(toc_metricdb_store(db, store));
    return rc ? toc_errf(err, rc, "cannot list %s: %s", dir, toc_strerror(rc)) : 0;
}

static int open_blocks(struct toc_metricdb *db, struct toc_err *err) {
    int rc = 0;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT && !rc; k++)
        rc = open_store(db, k, err);
    return rc;
}

static void destroy(struct toc_metricdb **out) {
    struct toc_metricdb *db = *out;
    toc_wal_free(&db->wal);
    toc_blocks_fini(&db->blocks);
    for (int k = 0; k < 2; k++)
        toc_blocks_fini(&db->rollups[k]);
    toc_exemplar_log_fini(db);
    toc_exemplars_fini(&db->exemplars);
    toc_head_fini(&db->head);
    toc_metricdb_fini_notes(db);
    toc_admission_fini(&db->admission);
    toc_metricdb_free_rules(db);
    toc_metricdb_free_seal(&db->untrimmed);
    toc_checkpoints_fini(db);
    TOC_VEC_FINI(&db->dead_series);
    TOC_VEC_FINI(&db->empty_stretches);
    toc_scrub_fini(&db->scrub);
    toc_mutex_fini(&db->maintain_mutex);
    toc_mutex_fini(&db->notes_mutex);
    toc_lock_release(&db->lock);
    toc_free(db->dir);
    toc_free(db->wal_dir);
    toc_free(db->held_dir);
    toc_free(db->block_dir);
    toc_free(db);
    *out = NULL;
}

int toc_metricdb_open(const struct toc_metricdb_options *options, struct toc_metricdb **out,
                      struct toc_err *err) {
    struct toc_metricdb *db = make(options);
    int rc = toc_metricdb_copy_rules(db, options, err);
    if (!rc)
        rc = make_dirs(db, err);
    if (!rc)
        rc = take_lock(db, err);
    if (!rc)
        rc = open_blocks(db, err);
    if (!rc)
        rc = toc_metricdb_replay(db, err);
    if (rc) {
        destroy(&db);
        *out = NULL;
        return rc;
    }
    toc_admission_tick(db); /* what was replayed is no churn */
    db->head.growth = &db->admission.growth;
    toc_metricdb_load_metadata(db);
    toc_exemplar_log_load(db);
    toc_metricdb_clean_snapshots(db);
    *out = db;
    return 0;
}

void toc_metricdb_close(struct toc_metricdb **db) {
    if (!db || !*db)
        return;
    struct toc_err err = {0};
    if (toc_metricdb_flush(*db, &err) || toc_metricdb_save_metadata(*db))
        toc_log(TOC_LOG_WARN, "metricdb", "not everything could be written at the end: %s",
                err.message);
    toc_exemplar_log_maintain(*db);
    destroy(db);
}
