/* Housekeeping: old samples of the head become blocks, then log segments and expired blocks go. */
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"
#include "sys/log.h"

enum { WINDOWS_PER_STEP = 8, DRAIN_MS = 5000, RETRY_MS = 10000 };

struct row {
    const struct toc_index *index;
    struct toc_series *series;
    size_t samples; /* that went into the block */
};

struct toc_seal {
    struct toc_metricdb *db;
    int64_t min_ms, max_ms;
    TOC_VEC(struct row) rows;
    uint64_t samples;
    bool is_listed;
};

/* --- what to seal --- */

struct bounds {
    int64_t min_ms, max_ms;
    uint64_t chunk_bytes, samples;
};

static struct bounds head_bounds(struct toc_metricdb *db) {
    struct bounds b = {INT64_MAX, INT64_MIN, 0, 0};
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &db->head.shards[i];
        toc_mutex_lock(&shard->mutex);
        b.min_ms = TOC_MIN(b.min_ms, shard->min_ms);
        b.max_ms = TOC_MAX(b.max_ms, shard->max_ms);
        b.chunk_bytes += shard->chunk_bytes;
        b.samples += shard->samples;
        toc_mutex_unlock(&shard->mutex);
    }
    return b;
}

static int64_t align_down(int64_t t, int64_t span) {
    int64_t rest = t % span;
    return t - (rest < 0 ? rest + span : rest);
}

/* Distance without overflow. */
static bool is_older_by(int64_t older, int64_t newer, int64_t ms) {
    return newer > older && (uint64_t)newer - (uint64_t)older > (uint64_t)ms;
}

/* Everything at or before the result is to be sealed; INT64_MIN for nothing. */
static int64_t seal_boundary(struct toc_metricdb *db, const struct bounds *b) {
    const struct toc_metricdb_limits *l = &db->limits;
    if (!b->samples)
        return INT64_MIN;
    /* A clock that jumped ahead left samples of the far future: they must not push the present out.
     */
    int64_t newest = TOC_MIN(b->max_ms, toc_clock_now(db->clock).ms);
    int64_t latest = newest - l->out_of_order_ms - 1;
    if (is_older_by(b->min_ms, newest, l->block_span_ms + l->block_span_ms / 2)) {
        int64_t aligned = align_down(newest - l->block_span_ms / 2, l->block_span_ms) - 1;
        return TOC_MIN(aligned, latest);
    }
    uint64_t series = atomic_load_explicit(&db->head.series_count, memory_order_relaxed);
    bool is_full = b->chunk_bytes > l->head_base_bytes + series * l->head_series_bytes;
    bool is_worth_it = is_older_by(b->min_ms, latest, l->block_span_ms / 8);
    return is_full && is_worth_it ? latest : INT64_MIN;
}

/* --- one block --- */

static void gather(struct toc_seal *s) {
    struct toc_head *h = &s->db->head;
    toc_rwlock_read(&h->index_lock);
    for (size_t i = 0; i < h->index.all.count; i++) {
        uint32_t id = h->index.all.items[i];
        struct toc_head_shard *shard = toc_head_shard_of_id(h, id);
        toc_mutex_lock(&shard->mutex);
        struct toc_series *series = shard->slots.items[id / TOC_HEAD_SHARDS].series;
        bool wanted = toc_series_overlaps(series, s->min_ms, s->max_ms);
        toc_mutex_unlock(&shard->mutex);
        if (wanted)
            TOC_VEC_PUSH(&s->rows, ((struct row){&h->index, series, 0}));
    }
    toc_rwlock_unlock(&h->index_lock);
}

/* Order of toc_labels_cmp; equal pairs are told by their ids. */
static int by_labels(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    size_t n = TOC_MIN(x->series->pair_count, y->series->pair_count);
    for (size_t i = 0; i < n; i++) {
        if (x->series->pairs[i] == y->series->pairs[i])
            continue;
        struct toc_label mine = toc_index_label(x->index, x->series->pairs[i]);
        struct toc_label theirs = toc_index_label(y->index, y->series->pairs[i]);
        int c = toc_sv_cmp(mine.name, theirs.name);
        return c ? c : toc_sv_cmp(mine.value, theirs.value);
    }
    return (x->series->pair_count > y->series->pair_count) -
           (x->series->pair_count < y->series->pair_count);
}

static int write_rows(struct toc_seal *s, struct toc_block_writer *w) {
    struct toc_series_buffer c = {0};
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    int rc = 0;
    for (size_t i = 0; i < s->rows.count && !rc; i++) {
        struct row *row = &s->rows.items[i];
        struct toc_head_shard *shard = toc_head_shard_of_id(&s->db->head, row->series->id);
        toc_series_buffer_reset(&c);
        toc_mutex_lock(&shard->mutex);
        rc = toc_series_read(row->series, s->min_ms, s->max_ms, &c);
        toc_mutex_unlock(&shard->mutex);
        if (rc)
            break;
        row->samples = c.count;
        s->samples += c.count;
        rc = toc_block_writer_add(w, toc_series_labels(&s->db->head, row->series, items), &c);
    }
    toc_series_buffer_fini(&c);
    return rc;
}

int toc_metricdb_open_block(struct toc_metricdb *db, uint64_t id, struct toc_block **out) {
    struct toc_buf path = TOC_BUF_INIT;
    unsigned damaged;
    toc_buf_printf(&path, "%s/b-%010llu", db->block_dir, (unsigned long long)id);
    int rc = toc_block_open(db->vfs, toc_buf_cstr(&path), out, &damaged);
    toc_buf_fini(&path);
    return rc;
}

static int publish(struct toc_metricdb *db, uint64_t id) {
    struct toc_block *b;
    int rc = toc_metricdb_open_block(db, id, &b);
    if (!rc)
        toc_blocks_add(&db->blocks, b);
    return rc;
}

static void trim(struct toc_seal *s) {
    for (size_t i = 0; i < s->rows.count; i++) {
        struct row *row = &s->rows.items[i];
        struct toc_head_shard *shard = toc_head_shard_of_id(&s->db->head, row->series->id);
        toc_mutex_lock(&shard->mutex);
        /* A sample that came late stays in the head with its series' window and is sealed again. */
        toc_series_trim(shard, row->series, s->min_ms, s->max_ms, row->samples);
        toc_mutex_unlock(&shard->mutex);
    }
}

/* The samples of the range into a block of `dir`; meta gets the counters. No block and samples 0
 * when there are none. */
static int write_range(struct toc_seal *s, const char *dir, struct toc_block_meta *meta) {
    struct toc_block_writer *w = NULL;
    gather(s);
    if (!s->rows.count)
        return 0;
    qsort(s->rows.items, s->rows.count, sizeof *s->rows.items, by_labels);
    int rc = toc_block_writer_new(s->db->vfs, dir, meta, &w);
    if (rc)
        return rc;
    rc = write_rows(s, w);
    if (rc || !s->samples) {
        toc_block_writer_abort(&w);
        return rc;
    }
    return toc_block_writer_finish(&w, meta);
}

static int write_block(struct toc_seal *s) {
    struct toc_metricdb *db = s->db;
    struct toc_block_meta meta = {.id = db->next_block++, /* never tried twice */
                                  .range_min = s->min_ms,
                                  .range_max = s->max_ms};
    meta.first_unsealed = toc_wal_rotate(db->wal);
    int rc = write_range(s, db->block_dir, &meta);
    if (rc || !s->samples)
        return rc;
    rc = publish(db, meta.id);
    if (rc)
        return rc;
    atomic_fetch_add_explicit(&db->blocks_sealed, 1, memory_order_relaxed);
    s->is_listed = true;
    return 0;
}

int toc_metricdb_write_head_block(struct toc_metricdb *db, const char *dir) {
    struct bounds b = head_bounds(db);
    struct toc_seal *s = TOC_NEW(struct toc_seal);
    *s = (struct toc_seal){.db = db, .min_ms = b.min_ms, .max_ms = b.max_ms};
    struct toc_block_meta meta = {
        .id = db->next_block++, .range_min = b.min_ms, .range_max = b.max_ms};
    int rc = b.samples ? write_range(s, dir, &meta) : 0;
    toc_metricdb_free_seal(&s);
    return rc;
}

void toc_metricdb_free_seal(struct toc_seal **seal) {
    if (!*seal)
        return;
    TOC_VEC_FINI(&(*seal)->rows);
    toc_free(*seal);
    *seal = NULL;
}

bool toc_metricdb_finish_trim(struct toc_metricdb *db) {
    if (db->untrimmed) {
        if (!toc_head_drain_selects(&db->head, DRAIN_MS))
            return false;
        trim(db->untrimmed);
        toc_metricdb_free_seal(&db->untrimmed);
    }
    return true;
}

static struct bounds fresh_bounds(struct toc_metricdb *db) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++)
        toc_head_rebound(&db->head.shards[i]);
    return head_bounds(db);
}

static int seal_window(struct toc_metricdb *db, int64_t min_ms, int64_t max_ms) {
    struct toc_seal *s = TOC_NEW(struct toc_seal);
    *s = (struct toc_seal){.db = db, .min_ms = min_ms, .max_ms = max_ms};
    if (atomic_load_explicit(&db->sealed_ms, memory_order_relaxed) < max_ms)
        atomic_store_explicit(&db->sealed_ms, max_ms, memory_order_release);
    int rc = write_block(s);
    if (s->is_listed)
        db->untrimmed = s;
    else
        toc_metricdb_free_seal(&s);
    return rc;
}

static int seal(struct toc_metricdb *db) {
    bool worked = db->untrimmed != NULL;
    if (!toc_metricdb_finish_trim(db))
        return 0;
    struct bounds b = head_bounds(db);
    int64_t boundary = seal_boundary(db, &b), before = INT64_MIN;
    int rc = 0;
    for (int i = 0; i < WINDOWS_PER_STEP && !rc; i++) {
        if (b.min_ms > boundary || b.min_ms == before)
            break;
        int64_t start = align_down(b.min_ms, db->limits.block_span_ms);
        int64_t end = TOC_MIN(start + db->limits.block_span_ms - 1, boundary);
        before = b.min_ms;
        rc = seal_window(db, start, end);
        worked = true;
        if (!toc_metricdb_finish_trim(db))
            return rc;
        b = fresh_bounds(db);
    }
    if (!worked || rc)
        return rc;
    /* What lies before the oldest sample of the head is in blocks. */
    uint64_t current = toc_wal_rotate(db->wal);
    b = fresh_bounds(db);
    return toc_wal_drop(db->wal, current, b.samples ? b.min_ms - 1 : INT64_MAX - 1);
}

/* --- retention --- */

static int newest_first(const void *a, const void *b) {
    const struct toc_block *x = *(struct toc_block *const *)a, *y = *(struct toc_block *const *)b;
    return (x->meta.max_ms < y->meta.max_ms) - (x->meta.max_ms > y->meta.max_ms);
}

/*
 * A block goes when the blocks newer than it cover the whole retention time. Neither the wall clock
 * nor a stray time stamp decides: a clock that jumps ten years ahead covers no time, so it deletes
 * nothing.
 */
static void expire(struct toc_metricdb *db) {
    struct toc_block **blocks;
    size_t n = toc_blocks_overlapping(&db->blocks, INT64_MIN, INT64_MAX, &blocks);
    uint64_t covered = 0;
    int64_t edge = INT64_MAX;
    qsort(blocks, n, sizeof *blocks, newest_first);
    for (size_t i = 0; i < n; i++) {
        struct toc_block *b = blocks[i];
        if (covered >= (uint64_t)db->limits.retention_ms) {
            toc_blocks_delete(&db->blocks, b);
            atomic_fetch_add_explicit(&db->blocks_deleted, 1, memory_order_relaxed);
        } else {
            int64_t end = TOC_MIN(edge, b->meta.max_ms);
            if (end > b->meta.min_ms)
                covered += (uint64_t)end - (uint64_t)b->meta.min_ms;
            edge = TOC_MIN(edge, b->meta.min_ms);
        }
        toc_block_unref(&blocks[i]);
    }
    toc_free(blocks);
}

/* --- the step --- */

static int step(struct toc_metricdb *db, struct toc_err *err) {
    int rc = toc_wal_flush(db->wal, err);
    if (rc)
        return rc;
    rc = toc_metricdb_save_metadata(db);
    if (rc)
        return toc_errf(err, rc, "cannot write %s/metadata: %s", db->dir, toc_strerror(rc));
    uint64_t sealed = atomic_load_explicit(&db->blocks_sealed, memory_order_relaxed);
    rc = seal(db);
    atomic_store_explicit(&db->degraded_code, rc, memory_order_relaxed);
    if (rc)
        return toc_errf(err, rc, "cannot write a block in %s: %s", db->block_dir, toc_strerror(rc));
    bool has_sealed = sealed != atomic_load_explicit(&db->blocks_sealed, memory_order_relaxed);
    if (has_sealed)
        expire(db);
    if (has_sealed || db->dead_series.count || db->has_deleted)
        toc_head_forget_empty(&db->head, &db->dead_series);
    db->has_deleted = false;
    rc = toc_metricdb_rewrite_deleted(db);
    atomic_store_explicit(&db->degraded_code, rc, memory_order_relaxed);
    return rc ? toc_errf(err, rc, "cannot rewrite a block in %s: %s", db->block_dir,
                         toc_strerror(rc))
              : 0;
}

int toc_metricdb_maintain(struct toc_metricdb *db, struct toc_err *err) {
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
    toc_mutex_unlock(&db->maintain_mutex);
    return rc;
}

int toc_metricdb_flush(struct toc_metricdb *db, struct toc_err *err) {
    return toc_wal_flush(db->wal, err);
}
