/* Deleting: from the head at once and in the log, from blocks by tombstones that maintenance works
 * in. */
#include "base/alloc.h"
#include "metricdb/rollups.h"
#include "sys/log.h"

struct deletion {
    struct toc_metricdb *db;
    const struct toc_select *s;
    int64_t min_ms, max_ms; /* nothing stored lies outside */
    TOC_VEC(uint64_t) refs;
    uint64_t series; /* touched, head and each block counted apart */
};

/* --- the head --- */

/* Series with something in the range. */
static void gather(struct deletion *d) {
    struct toc_head *h = &d->db->head;
    struct toc_ids ids = {0};
    toc_rwlock_read(&h->index_lock);
    toc_index_match(&h->index, d->s->matchers, d->s->matcher_count, &ids);
    for (size_t i = 0; i < ids.count; i++) {
        struct toc_head_shard *shard = toc_head_shard_of_id(h, ids.items[i]);
        toc_mutex_lock(&shard->mutex);
        const struct toc_series *s = shard->slots.items[ids.items[i] / TOC_HEAD_SHARDS].series;
        if (!s->is_dead && toc_series_overlaps(s, d->min_ms, d->max_ms))
            TOC_VEC_PUSH(&d->refs, toc_series_ref(s));
        toc_mutex_unlock(&shard->mutex);
    }
    toc_rwlock_unlock(&h->index_lock);
    TOC_VEC_FINI(&ids);
}

/* They hold what is about to be deleted. */
static int drop_checkpoints(struct deletion *d, struct toc_err *err) {
    int rc = toc_checkpoints_drop(d->db);
    return rc ? toc_errf(err, rc, "cannot remove a checkpoint in %s/head: %s", d->db->dir,
                         toc_strerror(rc))
              : 0;
}

/* The log first. What is written between the two steps counts as written before the deletion. */
static int delete_from_head(struct deletion *d, struct toc_err *err) {
    gather(d);
    int rc = d->refs.count ? drop_checkpoints(d, err) : 0;
    if (rc)
        return rc;
    uint64_t span = (uint64_t)d->max_ms - (uint64_t)d->min_ms;
    struct toc_wal_entry *entries = TOC_NEW_ARRAY(struct toc_wal_entry, d->refs.count + 1);
    for (size_t i = 0; i < d->refs.count; i++)
        entries[i] = toc_wal_blob_entry(d->refs.items[i], d->max_ms, toc_wal_deletion_blob(span));
    rc = toc_wal_write(d->db->wal, entries, d->refs.count, err);
    if (!rc && d->refs.count) /* durability `os` would leave it at that */
        rc = toc_wal_flush(d->db->wal, err);
    toc_free(entries);
    for (size_t i = 0; i < d->refs.count && !rc; i++) {
        struct toc_head_shard *shard;
        struct toc_series *s = toc_head_ref_lock(&d->db->head, d->refs.items[i], &shard);
        if (!s)
            continue;
        d->series += toc_series_cut(shard, s, d->min_ms, d->max_ms) > 0;
        toc_mutex_unlock(&shard->mutex);
    }
    return rc;
}

/* --- blocks --- */

static bool has_chunk(const struct toc_block_index *x, uint32_t number, int64_t min_ms,
                      int64_t max_ms) {
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    if (toc_block_index_chunks(x, number, &cursor))
        return false;
    while (toc_block_cursor_next(&cursor, &c))
        if (c.max_ms >= min_ms && c.min_ms <= max_ms)
            return true;
    return false;
}

/* Up to where what tells of a time lies in a store. */
static int64_t last_end_ms(int store, int64_t t_ms) {
    return store == TOC_METRICDB_RAW ? t_ms : toc_rollup_end(t_ms, toc_metricdb_resolution(store));
}

/* A bucket of which a part is deleted goes as a whole; what samples still tell of it comes back
 * when its roll-ups are made again. */
static int delete_from_index(struct deletion *d, int store, struct toc_block *b,
                             const struct toc_block_index *x) {
    struct toc_blocks *set = toc_metricdb_store(d->db, store);
    int64_t max_ms = last_end_ms(store, d->max_ms);
    struct toc_ids ids = {0};
    TOC_VEC(struct toc_tombstone) more = {0};
    toc_block_index_match(x, d->s->matchers, d->s->matcher_count, &ids);
    for (size_t i = 0; i < ids.count; i++)
        if (has_chunk(x, ids.items[i], d->min_ms, max_ms))
            TOC_VEC_PUSH(&more, ((struct toc_tombstone){ids.items[i], d->min_ms, d->max_ms}));
    TOC_VEC_FINI(&ids);
    if (!more.count)
        return 0;
    /* Nobody else changes them: the maintain mutex is held. */
    struct toc_tombstones *old = toc_blocks_tombstones(set, b);
    struct toc_tombstones *all = toc_tombstones_merge(old, more.items, more.count);
    int rc = toc_tombstones_write(all, b->vfs, b->path);
    /* Also when it failed, as one copy may be on disk: a sample sent again must not be taken for
     * one that is stored. Maintenance writes the block anew without what was deleted. */
    toc_blocks_set_tombstones(set, b, all);
    d->series += rc ? 0 : more.count;
    toc_tombstones_unref(&old);
    TOC_VEC_FINI(&more);
    return rc;
}

static int delete_from_block(struct deletion *d, int store, struct toc_block *b) {
    struct toc_block_index *x;
    unsigned damaged;
    int rc = toc_blocks_index(toc_metricdb_store(d->db, store), b, &x, &damaged);
    if (rc)
        return rc == TOC_ECORRUPT ? 0 : rc; /* nothing of it can be read */
    rc = delete_from_index(d, store, b, x);
    toc_block_index_unref(&x);
    return rc;
}

static int delete_from_blocks(struct deletion *d, int store, struct toc_err *err) {
    struct toc_block **blocks;
    size_t n = toc_blocks_overlapping(toc_metricdb_store(d->db, store), d->min_ms,
                                      last_end_ms(store, d->max_ms), &blocks);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        if (!rc)
            rc = delete_from_block(d, store, blocks[i]);
        toc_block_unref(&blocks[i]);
    }
    toc_free(blocks);
    return rc ? toc_errf(err, rc, "cannot note a deletion in %s: %s", d->db->block_dir,
                         toc_strerror(rc))
              : 0;
}

/* What a start would find, and nobody lists now, would bring the samples back. */
static int check_deletable(struct toc_metricdb *db, struct toc_err *err) {
    int rc = toc_metricdb_need_whole(db, "deleted for good", err);
    if (rc)
        return rc;
    rc = toc_metricdb_sweep(db);
    return rc ? toc_errf(err, rc, "cannot remove a half-made block in %s: %s", db->dir,
                         toc_strerror(rc))
              : 0;
}

int toc_metricdb_delete(struct toc_metricdb *db, const struct toc_select *s, uint64_t *out_series,
                        struct toc_err *err) {
    struct toc_metricdb_stats stats;
    toc_metricdb_stats(db, &stats);
    struct deletion d = {.db = db,
                         .s = s,
                         .min_ms = TOC_MAX(s->min_ms, stats.oldest_ms),
                         .max_ms = TOC_MIN(s->max_ms, stats.newest_ms)};
    *out_series = 0;
    if (d.min_ms > d.max_ms)
        return 0;
    toc_mutex_lock(&db->maintain_mutex);
    /* A sample that is in a block and still in the head is deleted from both. */
    (void)toc_metricdb_finish_trim(db);
    int rc = check_deletable(db, err);
    if (!rc)
        rc = delete_from_head(&d, err);
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT && !rc; k++)
        rc = delete_from_blocks(&d, k, err);
    db->has_deleted |= d.series > 0;
    toc_mutex_unlock(&db->maintain_mutex);
    TOC_VEC_FINI(&d.refs);
    *out_series = d.series;
    return rc;
}

/* --- rewriting --- */

static int copy_series(const struct toc_block_index *x, const struct toc_tombstones *t,
                       uint32_t number, struct toc_series_buffer *buffer,
                       struct toc_block_writer *w) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels labels;
    struct toc_block_cursor cursor = {0};
    struct toc_block_chunk c;
    size_t deleted;
    toc_series_buffer_reset(buffer);
    int rc = toc_block_index_labels(x, number, items, &labels);
    if (!rc)
        rc = toc_block_index_chunks(x, number, &cursor);
    while (!rc && toc_block_cursor_next(&cursor, &c))
        rc = toc_block_read_chunk(x, &c, INT64_MIN, INT64_MAX, buffer);
    if (!rc && cursor.r.error)
        rc = TOC_ECORRUPT;
    if (rc)
        return rc;
    const struct toc_tombstone *gone = toc_tombstones_of(t, number, &deleted);
    for (size_t i = 0; i < deleted; i++)
        toc_samples_cut(buffer, 0, gone[i].min_ms, gone[i].max_ms);
    return toc_block_writer_add(w, labels, buffer);
}

static int write_copy(struct toc_metricdb *db, struct toc_block *b, const struct toc_block_index *x,
                      const struct toc_tombstones *t, struct toc_block **out) {
    struct toc_block_meta meta = {.id = db->next_block++,
                                  .replaces = (uint32_t)b->meta.id,
                                  .range_min = b->meta.range_min,
                                  .range_max = b->meta.range_max,
                                  .first_unsealed = b->meta.first_unsealed};
    struct toc_series_buffer buffer = {0};
    struct toc_block_writer *w;
    *out = NULL;
    int rc = toc_block_writer_new(db->vfs, db->block_dir, &meta, &w);
    if (rc)
        return rc;
    toc_metricdb_name_replaced(db, TOC_METRICDB_RAW, w, &b, 1);
    for (uint32_t i = 0; i < b->meta.series && !rc; i++) {
        if (i % TOC_SERIES_PER_LOOK == TOC_SERIES_PER_LOOK - 1)
            toc_checkpoints_maintain(db);
        rc = copy_series(x, t, i, &buffer, w);
    }
    toc_series_buffer_fini(&buffer);
    if (rc || toc_block_writer_is_empty(w)) {
        toc_block_writer_abort(&w);
        return rc;
    }
    return toc_metricdb_finish_block(db, TOC_METRICDB_RAW, &w, &meta, out);
}

/* Is the block needed to know that samples of the log were sealed? */
static bool guards_log(struct toc_metricdb *db, const struct toc_block *b) {
    return toc_wal_oldest(db->wal) < b->meta.first_unsealed;
}

static int rewrite(struct toc_metricdb *db, struct toc_block *b, const struct toc_tombstones *t) {
    struct toc_block_index *x;
    struct toc_block *copy = NULL;
    unsigned damaged;
    int rc = toc_blocks_index(&db->blocks, b, &x, &damaged);
    if (!rc) {
        rc = write_copy(db, b, x, t, &copy);
        toc_block_index_unref(&x);
    }
    if (copy)
        copy->newest = b->newest;
    if (!rc && copy)
        toc_blocks_replace(&db->blocks, &b, 1, copy);
    b->is_empty = !rc && !copy;
    /* A damaged block stays as it is, tombstones and all: a copy would hide the loss. */
    b->is_kept = rc == TOC_ECORRUPT;
    return b->is_kept ? 0 : rc;
}

/* Whether it did something. */
static bool rewrite_one(struct toc_metricdb *db, struct toc_block *b, int *out_rc) {
    struct toc_tombstones *t =
        b->is_kept || b->is_empty ? NULL : toc_blocks_tombstones(&db->blocks, b);
    bool is_deleted = t != NULL;
    if (t)
        *out_rc = rewrite(db, b, t);
    toc_tombstones_unref(&t);
    if (b->is_empty && !guards_log(db, b) && !toc_blocks_has_leftovers(&db->blocks))
        toc_blocks_delete(&db->blocks, b);
    return is_deleted;
}

int toc_metricdb_rewrite_deleted(struct toc_metricdb *db) {
    struct toc_block **blocks;
    if (toc_metricdb_is_partial(db))
        return 0;
    size_t n = toc_blocks_overlapping(&db->blocks, INT64_MIN, INT64_MAX, &blocks);
    int rc = 0;
    bool is_done = false; /* one block a step */
    for (size_t i = 0; i < n; i++) {
        is_done = is_done || rewrite_one(db, blocks[i], &rc);
        toc_block_unref(&blocks[i]);
    }
    toc_free(blocks);
    return rc;
}
