/* Housekeeping: old samples of the head become blocks, then log segments and expired blocks go. */
#include "base/alloc.h"
#include "metricdb/histogram_code.h"
#include "metricdb/rollups.h"
#include "metricdb/seal.h"
#include "model/sample.h"
#include "sys/log.h"

enum {
    RETRY_MS = 10000,
    MERGE_PAUSE_MS = 10000,
    RETENTION_PAUSE_MS = 10000,
    ROLLUP_PAUSE_MS = 60000
};

/* --- the log --- */

enum { RELOG_ENTRIES = 16384, RELOG_SAMPLE_BYTES = 8, RELOG_SERIES_BYTES = 300, RELOG_GAIN = 3 };

struct relog {
    struct toc_metricdb *db;
    struct toc_series_buffer buffer;
    TOC_VEC(struct toc_wal_entry) entries;
};

static int relog_write(struct relog *r) {
    int rc = toc_wal_write(r->db->wal, r->entries.items, r->entries.count, NULL);
    r->entries.count = 0;
    return rc;
}

static int relog_series(struct relog *r, struct toc_head_shard *shard, struct toc_series *s) {
    struct toc_series_buffer *b = &r->buffer;
    toc_series_buffer_reset(b);
    toc_mutex_lock(&shard->mutex);
    uint64_t ref = toc_series_ref(s);
    int rc = toc_series_read(s, INT64_MIN, INT64_MAX, b);
    toc_mutex_unlock(&shard->mutex);
    struct toc_buf bytes = TOC_BUF_INIT;
    for (size_t i = 0; i < b->count && !rc; i++) {
        struct toc_wal_entry e = {ref, b->t_ms[i], toc_f64_bits(b->values[i])};
        if (b->has_histograms && b->histograms[i]) {
            toc_buf_reset(&bytes);
            toc_histogram_encode(b->histograms[i], &bytes);
            rc = bytes.error;
            e = toc_wal_blob_entry(ref, b->t_ms[i], toc_wal_histogram_blob(toc_buf_sv(&bytes)));
        }
        TOC_VEC_PUSH(&r->entries, e);
    }
    toc_buf_fini(&bytes);
    return rc;
}

/* Logs again what the head holds, so that every segment before can go. Whatever is written
 * meanwhile is in a new segment anyway. */
static int relog(struct toc_metricdb *db) {
    struct relog r = {.db = db};
    struct toc_head *h = &db->head;
    uint64_t number = toc_wal_rotate(db->wal);
    int rc = 0;
    /* Place by place over all shards, so that ids rise when the log is read again. */
    for (size_t k = 0, shards = TOC_HEAD_SHARDS; !rc && shards; k++) {
        shards = 0;
        for (uint32_t i = 0; !rc && i < TOC_HEAD_SHARDS; i++) {
            /* No series is freed here: that needs the maintain mutex, too. */
            struct toc_series *s;
            if (!toc_head_series_at(h, i, k, &s))
                continue;
            shards++;
            if (s)
                rc = relog_series(&r, &h->shards[i], s);
            if (!rc && r.entries.count >= RELOG_ENTRIES) {
                rc = relog_write(&r);
                toc_checkpoints_maintain(db); /* a start would read all of it again */
            }
        }
    }
    if (!rc)
        rc = relog_write(&r);
    for (size_t i = 0; i < r.entries.count; i++)
        toc_free(toc_wal_entry_blob(&r.entries.items[i]));
    TOC_VEC_FINI(&r.entries);
    toc_series_buffer_fini(&r.buffer);
    /* Durability `os` does not sync by itself. */
    if (!rc)
        rc = toc_wal_settle(db->wal, NULL);
    if (!rc)
        rc = toc_checkpoints_renew(db);
    return rc ? rc : toc_wal_drop_before(db->wal, number);
}

static int64_t sealed_until(const struct toc_head_bounds *b) {
    return b->samples ? b->min_ms - 1 : INT64_MAX - 1;
}

/* What lies before the oldest sample of the head is in blocks. When some old samples keep a long
 * log, as backfill beside live data does, they are logged again. */
static int shorten_log(struct toc_metricdb *db, bool to_the_end) {
    int rc = toc_checkpoints_renew(db);
    if (rc)
        return rc;
    struct toc_head_bounds b = toc_head_bounds(&db->head);
    uint64_t number = toc_wal_rotate_old(db->wal, sealed_until(&b));
    b = toc_head_bounds(&db->head); /* now that nothing is added to what may go */
    rc = toc_wal_drop(db->wal, number, sealed_until(&b));
    struct toc_metricdb_stats stats = {0};
    toc_wal_stats(db->wal, &stats);
    uint64_t series = atomic_load_explicit(&db->head.series_count, memory_order_relaxed);
    uint64_t relogged = b.samples * RELOG_SAMPLE_BYTES + series * RELOG_SERIES_BYTES;
    bool is_long =
        stats.wal_bytes > db->limits.wal_segment_bytes && stats.wal_bytes > relogged * RELOG_GAIN;
    return rc || !(is_long || to_the_end) ? rc : relog(db);
}

/* --- the step --- */

/* Merging costs disk and processor: at most every few seconds. */
static int merge_now_and_then(struct toc_metricdb *db) {
    int64_t now = toc_clock_mono(db->clock).ns;
    bool worked;
    if (now < db->next_merge_ns)
        return 0;
    db->next_merge_ns = now + (int64_t)MERGE_PAUSE_MS * 1000000;
    return toc_metricdb_merge(db, false, &worked);
}

static int expire_now_and_then(struct toc_metricdb *db, bool has_sealed) {
    int64_t now = toc_clock_mono(db->clock).ns;
    if (!has_sealed && now < db->next_retention_ns)
        return 0;
    db->next_retention_ns = now + (int64_t)RETENTION_PAUSE_MS * 1000000;
    return toc_metricdb_expire(db);
}

static int roll_up_now_and_then(struct toc_metricdb *db) {
    int64_t now = toc_clock_mono(db->clock).ns;
    bool worked;
    if (now < db->next_rollup_ns && !db->has_wanted_stretch)
        return 0;
    int rc = toc_metricdb_roll_up(db, &worked);
    db->next_rollup_ns = worked ? now : now + (int64_t)ROLLUP_PAUSE_MS * 1000000;
    return rc;
}

static int flush_log(struct toc_metricdb *db, struct toc_err *err) {
    if (atomic_load_explicit(&db->shortage, memory_order_relaxed) & TOC_SHORT_OF_DISK)
        return toc_errf(err, TOC_ENOSPC, "the disk is full: nothing is written to %s", db->dir);
    int rc = toc_wal_flush(db->wal, err);
    return rc && toc_wal_is_in_doubt(db->wal) ? relog(db) : rc;
}

/* What a writer that was slow still hands over of them is in a block: before another series gets
 * such an id the log knows. */
static void forget_empty(struct toc_metricdb *db) {
    toc_head_unlink_empty(&db->head, &db->dead_series);
    for (size_t i = 0; i < db->dead_series.count; i++)
        toc_wal_undefine(db->wal, db->dead_series.items[i]);
    toc_head_free_unlinked(&db->head, &db->dead_series);
}

static int step(struct toc_metricdb *db, struct toc_err *err) {
    int rc = flush_log(db, err);
    if (rc) {
        /* Retention may be what makes room. */
        int expired = rc == TOC_ENOSPC ? expire_now_and_then(db, false) : 0;
        return expired && expired != TOC_ENOSPC ? expired : rc;
    }
    rc = toc_metricdb_save_metadata(db);
    if (rc)
        return toc_errf(err, rc, "cannot write %s/metadata: %s", db->dir, toc_strerror(rc));
    uint64_t sealed = atomic_load_explicit(&db->blocks_sealed, memory_order_relaxed);
    bool worked = false;
    toc_checkpoints_maintain(db); /* what comes while a block is written is a long tail already */
    rc = toc_metricdb_seal(db, &worked);
    if (!rc && worked && !db->untrimmed)
        rc = shorten_log(db, false);
    if (worked)
        toc_alloc_trim();
    atomic_store_explicit(&db->degraded_code, rc, memory_order_relaxed);
    if (rc)
        return toc_errf(err, rc, "cannot write a block in %s: %s", db->block_dir, toc_strerror(rc));
    bool has_sealed = sealed != atomic_load_explicit(&db->blocks_sealed, memory_order_relaxed);
    rc = expire_now_and_then(db, has_sealed);
    if (has_sealed || db->dead_series.count || db->has_deleted)
        forget_empty(db);
    db->has_deleted = false;
    rc = rc ? rc : toc_metricdb_sweep(db);
    if (!rc)
        rc = toc_metricdb_rewrite_deleted(db);
    if (!rc && !has_sealed)
        rc = merge_now_and_then(db);
    if (!rc && !has_sealed)
        rc = roll_up_now_and_then(db);
    if (!rc)
        toc_checkpoints_maintain(db);
    atomic_store_explicit(&db->degraded_code, rc, memory_order_relaxed);
    return rc ? toc_errf(err, rc, "cannot rewrite a block in %s: %s", db->block_dir,
                         toc_strerror(rc))
              : 0;
}

int toc_metricdb_maintain(struct toc_metricdb *db, struct toc_err *err) {
    toc_admission_tick(db);
    toc_exemplar_log_maintain(db);
    toc_mutex_lock(&db->maintain_mutex);
    int64_t now = toc_clock_mono(db->clock).ns;
    int rc = db->failed_code;
    if (!rc || now >= db->next_try_mono_ns) {
        rc = step(db, err);
        if (rc && rc != db->failed_code)
            toc_log(TOC_LOG_ERROR, "metricdb", "maintenance of %s: %s", db->dir,
                    err && err->code ? err->message : toc_strerror(rc));
        db->failed_code = rc;
        db->next_try_mono_ns = now + (int64_t)RETRY_MS * 1000000;
    }
    if (!rc)
        toc_metricdb_scrub(db);
    toc_mutex_unlock(&db->maintain_mutex);
    return rc;
}

static int compact(struct toc_metricdb *db, struct toc_err *err) {
    bool worked = false;
    int rc = flush_log(db, err);
    if (rc)
        return rc;
    rc = toc_metricdb_seal_all(db, &worked);
    if (!rc)
        rc = shorten_log(db, true);
    for (size_t left = toc_blocks_count(&db->blocks); !rc && left; left--)
        rc = toc_metricdb_rewrite_deleted(db); /* one block each */
    for (worked = true; !rc && worked;)
        rc = toc_metricdb_merge(db, true, &worked);
    for (worked = true; !rc && worked;)
        rc = toc_metricdb_roll_up(db, &worked);
    toc_alloc_trim();
    return rc ? toc_errf(err, rc, "cannot compact %s: %s", db->dir, toc_strerror(rc)) : 0;
}

int toc_metricdb_compact(struct toc_metricdb *db, struct toc_err *err) {
    toc_mutex_lock(&db->maintain_mutex);
    int rc = compact(db, err);
    toc_mutex_unlock(&db->maintain_mutex);
    return rc;
}

int toc_metricdb_flush(struct toc_metricdb *db, struct toc_err *err) {
    return toc_wal_flush(db->wal, err);
}
