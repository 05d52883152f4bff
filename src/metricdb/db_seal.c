/* Sealing: old samples of the head become blocks. */
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"
#include "metricdb/seal.h"

enum {
    WINDOWS_PER_STEP = 8,
    DRAIN_MS = 5000,
    BUSY_MS = 60000,     /* a window that got a late sample since then waits for more */
    FULL_BUSY_MS = 2000, /* the same when memory is short */
    LOOK_AGAIN_MS = 5000,
};

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
        if (i % TOC_SERIES_PER_LOOK == TOC_SERIES_PER_LOOK - 1)
            toc_checkpoints_maintain(s->db);
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
    unsigned damaged;
    char *path = toc_xprintf("%s/b-%010llu", db->block_dir, (unsigned long long)id);
    int rc = toc_block_open(db->vfs, path, out, &damaged);
    toc_free(path);
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
    /* What could not be read is not in the block: the next start looks at those segments again. */
    meta.first_unsealed = TOC_MIN(toc_wal_rotate(db->wal), db->first_unread);
    uint64_t id = meta.id;
    int rc = write_range(s, db->block_dir, &meta);
    if (!rc && !s->samples)
        return 0;
    if (!rc)
        rc = publish(db, id);
    if (rc) {
        toc_blocks_disown(&db->blocks, db->vfs, db->block_dir, id);
        return rc;
    }
    atomic_fetch_add_explicit(&db->blocks_sealed, 1, memory_order_relaxed);
    s->is_listed = true;
    toc_checkpoints_outdate(db);
    return 0;
}

int toc_metricdb_write_head_block(struct toc_metricdb *db, const char *dir) {
    struct toc_head_bounds b = toc_head_bounds(&db->head);
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
        toc_checkpoints_outdate(db); /* one may have been taken since the block was written */
        toc_metricdb_free_seal(&db->untrimmed);
    }
    return true;
}

/* --- what to seal --- */

static int64_t align_down(int64_t t, int64_t span) {
    int64_t rest = t % span;
    return t - (rest < 0 ? rest + span : rest);
}

/* Distance without overflow. */
static bool is_older_by(int64_t older, int64_t newer, int64_t ms) {
    return newer > older && (uint64_t)newer - (uint64_t)older > (uint64_t)ms;
}

struct plan {
    int64_t boundary; /* everything at or before it may be sealed; INT64_MIN for nothing */
    bool is_full;
};

static struct plan make_plan(struct toc_metricdb *db, const struct toc_head_bounds *b) {
    const struct toc_metricdb_limits *l = &db->limits;
    struct plan p = {INT64_MIN, false};
    if (!b->samples)
        return p;
    /* A clock that jumped ahead left samples of the far future: they must not push the present out.
     */
    int64_t newest = TOC_MIN(b->max_ms, toc_clock_now(db->clock).ms);
    int64_t latest = newest - l->out_of_order_ms - 1;
    uint64_t series = atomic_load_explicit(&db->head.series_count, memory_order_relaxed);
    p.is_full = b->chunk_bytes > l->head_base_bytes + series * l->head_series_bytes;
    if (is_older_by(b->min_ms, newest, l->block_span_ms + l->block_span_ms / 2)) {
        int64_t aligned = align_down(newest - l->block_span_ms / 2, l->block_span_ms) - 1;
        p.boundary = TOC_MIN(aligned, latest);
    } else if (p.is_full && is_older_by(b->min_ms, latest, l->block_span_ms / 8)) {
        p.boundary = latest;
    }
    return p;
}

/* --- windows that are being filled late --- */

static struct toc_late_window *window_at(struct toc_metricdb *db, int64_t t_ms) {
    int64_t window = align_down(t_ms, db->limits.block_span_ms) / db->limits.block_span_ms;
    return &db->late_windows[(uint64_t)window % TOC_LATE_WINDOWS];
}

int64_t toc_metricdb_note_late(struct toc_metricdb *db, int64_t t_ms, int64_t mono_ns) {
    struct toc_late_window *w = window_at(db, t_ms);
    int64_t start_ms = align_down(t_ms, db->limits.block_span_ms);
    atomic_store_explicit(&w->start_ms, start_ms, memory_order_relaxed);
    atomic_store_explicit(&w->touched_ns, mono_ns, memory_order_relaxed);
    return start_ms;
}

static bool is_busy(struct toc_metricdb *db, int64_t start_ms, bool is_full) {
    const struct toc_late_window *w = window_at(db, start_ms);
    int64_t touched = atomic_load_explicit(&w->touched_ns, memory_order_relaxed);
    if (!touched || atomic_load_explicit(&w->start_ms, memory_order_relaxed) != start_ms)
        return false;
    int64_t wait_ms = is_full ? FULL_BUSY_MS : BUSY_MS;
    return toc_clock_mono(db->clock).ns - touched < wait_ms * 1000000;
}

struct times {
    TOC_VEC_FIELDS(int64_t)
};

/* Where the series that have samples in the range end there. */
static void find_ends(struct toc_head *h, int64_t min_ms, int64_t max_ms, struct times *out) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &h->shards[i];
        toc_mutex_lock(&shard->mutex);
        for (size_t k = 0; k < shard->slots.count; k++) {
            const struct toc_series *s = shard->slots.items[k].series;
            int64_t last_ms = s ? toc_series_last_sample(s, max_ms) : INT64_MIN;
            if (last_ms >= min_ms)
                TOC_VEC_PUSH(out, last_ms);
        }
        toc_mutex_unlock(&shard->mutex);
    }
}

static int by_time(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A window that is being filled is sealed as far as nearly all series have come: what they get next
 * is new then, and need not be looked up in the block. Unless that would leave most of it. */
static int64_t filled_until(struct toc_metricdb *db, int64_t min_ms, int64_t max_ms) {
    struct times ends = {0};
    int64_t until_ms = max_ms;
    find_ends(&db->head, min_ms, max_ms, &ends);
    if (ends.count) {
        qsort(ends.items, ends.count, sizeof *ends.items, by_time);
        int64_t early_ms = ends.items[ends.count / 20], last_ms = ends.items[ends.count - 1];
        until_ms = early_ms - min_ms >= (last_ms - min_ms) / 2 ? early_ms : last_ms;
    }
    TOC_VEC_FINI(&ends);
    return until_ms;
}

/* --- the loop --- */

static int seal_window(struct toc_metricdb *db, int64_t min_ms, int64_t max_ms) {
    struct toc_seal *s = TOC_NEW(struct toc_seal);
    if (is_busy(db, min_ms, false))
        max_ms = filled_until(db, min_ms, max_ms);
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

/* Seals the first window at or behind *io_from that may be; moves *io_from behind what it saw.
 * *out_more false: there is none. */
static int seal_next(struct toc_metricdb *db, const struct plan *p, int64_t *io_from,
                     bool *out_worked, bool *out_more) {
    int64_t first = toc_head_next_sample(&db->head, *io_from);
    int64_t start = align_down(first, db->limits.block_span_ms);
    int64_t end = TOC_MIN(start + db->limits.block_span_ms - 1, p->boundary);
    *out_more = first <= p->boundary;
    if (!*out_more)
        return 0;
    *io_from = end + 1;
    if (is_busy(db, start, p->is_full))
        return 0;
    *out_worked = true;
    return seal_window(db, start, end);
}

static int seal_windows(struct toc_metricdb *db, const struct plan *p, bool *out_worked) {
    int64_t from = INT64_MIN;
    int rc = 0;
    bool more = p->boundary != INT64_MIN;
    for (int i = 0; i < WINDOWS_PER_STEP && !rc && more; i++) {
        rc = seal_next(db, p, &from, out_worked, &more);
        if (!toc_metricdb_finish_trim(db))
            return rc;
    }
    return rc;
}

/* Memory is short and every window is being filled: the oldest goes nevertheless. */
static int seal_oldest(struct toc_metricdb *db, const struct plan *p, bool *out_worked) {
    int64_t first = toc_head_next_sample(&db->head, INT64_MIN);
    int64_t start = align_down(first, db->limits.block_span_ms);
    int64_t end = TOC_MIN(start + db->limits.block_span_ms - 1, p->boundary);
    if (first > p->boundary)
        return 0;
    *out_worked = true;
    int rc = seal_window(db, start, end);
    (void)toc_metricdb_finish_trim(db);
    return rc;
}

int toc_metricdb_seal(struct toc_metricdb *db, bool *out_worked) {
    *out_worked = db->untrimmed != NULL;
    if (!toc_metricdb_finish_trim(db))
        return 0;
    struct toc_head_bounds b = toc_head_bounds(&db->head);
    struct plan p = make_plan(db, &b);
    int64_t now = toc_clock_mono(db->clock).ns;
    if (p.boundary == INT64_MIN || b.min_ms > p.boundary || (!p.is_full && now < db->next_look_ns))
        return 0;
    bool sealed = false;
    int rc = seal_windows(db, &p, &sealed);
    if (!rc && !sealed && p.is_full && !db->untrimmed)
        rc = seal_oldest(db, &p, &sealed);
    /* When all windows wait for more, looking through all series again soon would be a waste. */
    db->next_look_ns = sealed ? 0 : now + (int64_t)LOOK_AGAIN_MS * 1000000;
    if (sealed)
        toc_head_rebound_all(&db->head);
    *out_worked |= sealed;
    return rc;
}

bool toc_metricdb_is_window_busy(struct toc_metricdb *db, int64_t t_ms) {
    return is_busy(db, align_down(t_ms, db->limits.block_span_ms), false);
}

int toc_metricdb_seal_all(struct toc_metricdb *db, bool *out_worked) {
    int rc = 0;
    int64_t newest = toc_head_bounds(&db->head).max_ms;
    *out_worked = db->untrimmed != NULL;
    if (!toc_metricdb_finish_trim(db))
        return TOC_EBUSY;
    for (int64_t from = INT64_MIN; !rc && !db->untrimmed;) {
        int64_t first = toc_head_next_sample(&db->head, from);
        int64_t start = align_down(first, db->limits.block_span_ms);
        if (first > newest)
            break;
        from = start + db->limits.block_span_ms;
        *out_worked = true;
        rc = seal_window(db, start, TOC_MIN(from - 1, newest));
        if (!rc && !toc_metricdb_finish_trim(db))
            rc = TOC_EBUSY;
    }
    if (*out_worked)
        toc_head_rebound_all(&db->head);
    return rc;
}
