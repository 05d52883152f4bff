/* Taking checkpoints, and the life of their files. */
#include "metricdb/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/histogram_track.h"
#include "metricdb/metricdb_priv.h"
#include "sys/log.h"

enum {
    PLACES_PER_LOCK = 256, /* series that are copied under one lock of their shard */
    /* Of many series the open parts are most of a checkpoint: then they are to be worth it. */
    MANY_SERIES = 10000,
    SAMPLES_PER_SERIES = 10,
    /* What may be written without being asked for: so much at once, and as time goes by. */
    FREE_BYTES = 1 << 20,
    BYTES_PER_MS = 4 << 10,
};

/* --- sets of ids --- */

/* Puts the id in; was it there? */
static bool add_bit(struct toc_checkpoint_bits *set, uint32_t id) {
    size_t at = id / 64;
    TOC_VEC_RESERVE(set, at + 1);
    while (set->count <= at)
        TOC_VEC_PUSH(set, 0);
    bool had = set->items[at] >> id % 64 & 1;
    set->items[at] |= 1ULL << id % 64;
    return had;
}

/* --- files --- */

void toc_checkpoints_init(struct toc_metricdb *db) {
    db->checkpoints =
        (struct toc_checkpoints){.dir = toc_xprintf("%s/head", db->dir), .next_number = 1};
}

void toc_checkpoints_fini(struct toc_metricdb *db) {
    toc_free(db->checkpoints.dir);
    TOC_VEC_FINI(&db->checkpoints.series);
    TOC_VEC_FINI(&db->checkpoints.pairs);
}

struct names {
    TOC_VEC_FIELDS(char *)
};

static int note_name(void *ctx, const char *name) {
    struct names *list = ctx;
    TOC_VEC_PUSH(list, toc_xstrdup(name));
    return 0;
}

static bool is_kept(const struct toc_checkpoints *c, const char *name) {
    enum toc_checkpoint_kind kind;
    uint64_t n = toc_checkpoint_number(name, &kind);
    if (kind == TOC_CHECKPOINT_OPEN_FILE)
        return n && (n == c->newest || n == c->before);
    return n && (n == c->chain || n == c->before_chain);
}

/* Removes every file that none of the finished checkpoints needs. */
static int remove_others(struct toc_metricdb *db) {
    struct toc_checkpoints *c = &db->checkpoints;
    struct names list = {0};
    int rc = db->vfs->list(db->vfs, c->dir, note_name, &list);
    bool is_gone = rc == TOC_ENOENT;
    for (size_t i = 0; i < list.count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", c->dir, list.items[i]);
        int one = is_kept(c, list.items[i]) ? 0 : db->vfs->remove(db->vfs, path);
        rc = rc || one == TOC_ENOENT ? rc : one;
        toc_free(list.items[i]);
    }
    TOC_VEC_FINI(&list);
    return is_gone ? 0 : rc ? rc : db->vfs->sync_dir(db->vfs, c->dir);
}

static void forget_chain(struct toc_checkpoints *c) {
    c->has_chain = false;
    c->series.count = c->pairs.count = 0;
    c->series_count = 0;
}

int toc_checkpoints_drop(struct toc_metricdb *db) {
    struct toc_checkpoints *c = &db->checkpoints;
    forget_chain(c);
    c->newest = c->before = c->chain = c->before_chain = 0;
    int rc = c->has_files ? remove_others(db) : 0;
    c->has_files = c->has_files && rc != 0;
    c->is_outdated = c->is_outdated && rc != 0;
    return rc;
}

void toc_checkpoints_outdate(struct toc_metricdb *db) {
    forget_chain(&db->checkpoints);
    db->checkpoints.is_outdated = db->checkpoints.has_files;
}

/* --- copying --- */

struct taking {
    struct toc_metricdb *db;
    struct toc_checkpoints *c;
    struct toc_checkpoint_writer chunks, open;
    struct toc_buf pairs_out, series_out, open_out; /* records in the making */
    unsigned shard;
    bool is_full; /* the first of a chain */
};

static void define_pairs(struct taking *t, const struct toc_series *s) {
    for (size_t i = 0; i < s->pair_count; i++) {
        if (add_bit(&t->c->pairs, s->pairs[i]))
            continue;
        struct toc_label l = toc_index_label(&t->db->head.index, s->pairs[i]);
        toc_buf_append_varint(&t->pairs_out, s->pairs[i]);
        toc_buf_append_varint(&t->pairs_out, l.name.n);
        toc_buf_append_sv(&t->pairs_out, l.name);
        toc_buf_append_varint(&t->pairs_out, l.value.n);
        toc_buf_append_sv(&t->pairs_out, l.value);
    }
}

/* How many of the first chunks does the chain have? */
static size_t saved_chunks(const struct taking *t, struct toc_head_chunk *const *chunks,
                           size_t count) {
    size_t saved = t->is_full ? 0 : count;
    while (saved && !chunks[saved - 1]->is_saved)
        saved--;
    return saved;
}

static void put_chunks(struct toc_buf *out, struct toc_head_chunk *const *chunks, size_t saved,
                       size_t count) {
    toc_buf_append_varint(out, saved);
    toc_buf_append_varint(out, count - saved);
    for (size_t i = saved; i < count; i++) {
        struct toc_head_chunk *c = chunks[i];
        toc_buf_append_zigzag(out, c->min_ms);
        toc_buf_append_varint(out, (uint64_t)toc_head_chunk_max(c) - (uint64_t)c->min_ms);
        toc_buf_append_varint(out, c->count);
        toc_buf_append_varint(out, c->n);
        toc_buf_append(out, c->bytes, c->n);
        c->is_saved = true;
    }
}

static void put_closed(struct taking *t, struct toc_series *s) {
    const struct toc_histogram_track *h = s->histograms;
    struct toc_head_chunk *const *more = h ? h->chunks : NULL;
    size_t more_count = h ? h->chunk_count : 0;
    bool is_known = add_bit(&t->c->series, s->id);
    size_t saved = saved_chunks(t, s->chunks, s->chunk_count);
    size_t more_saved = saved_chunks(t, more, more_count);
    if (is_known && saved == s->chunk_count && more_saved == more_count)
        return;
    toc_buf_append_varint(&t->series_out, s->id);
    toc_buf_append_varint(&t->series_out, is_known ? 0 : s->pair_count);
    if (!is_known) {
        t->c->series_count++;
        define_pairs(t, s);
        for (size_t i = 0; i < s->pair_count; i++)
            toc_buf_append_varint(&t->series_out, s->pairs[i]);
    }
    put_chunks(&t->series_out, s->chunks, saved, s->chunk_count);
    put_chunks(&t->series_out, more, more_saved, more_count);
}

static void put_open(struct taking *t, const struct toc_series *s) {
    const struct toc_histogram_track *h = s->histograms;
    bool has_histograms = h && h->open_count;
    if (!s->open.count && !has_histograms)
        return;
    size_t n = s->open.count ? s->open.n : 0;
    toc_buf_append_varint(&t->open_out, s->id);
    toc_buf_append_varint(&t->open_out, s->open.count);
    toc_buf_append_varint(&t->open_out, n);
    if (n)
        toc_buf_append(&t->open_out, s->open.p, n);
    toc_buf_append_varint(&t->open_out, has_histograms ? h->open_count : 0);
    toc_buf_append_varint(&t->open_out, has_histograms ? h->open.n : 0);
    if (has_histograms)
        toc_buf_append_sv(&t->open_out, toc_buf_sv(&h->open));
}

static void write_records(struct taking *t) {
    toc_checkpoint_put(&t->chunks, TOC_CHECKPOINT_PAIRS, t->shard, &t->pairs_out);
    toc_checkpoint_put(&t->chunks, TOC_CHECKPOINT_SERIES, t->shard, &t->series_out);
    toc_checkpoint_put(&t->open, TOC_CHECKPOINT_OPEN, t->shard, &t->open_out);
}

/* Copies some series from `place` on; false behind the last. */
static bool copy_places(struct taking *t, size_t place) {
    struct toc_head_shard *shard = &t->db->head.shards[t->shard];
    toc_mutex_lock(&shard->mutex);
    size_t count = shard->slots.count, end = TOC_MIN(place + PLACES_PER_LOCK, count);
    for (size_t i = place; i < end; i++) {
        struct toc_series *s = shard->slots.items[i].series;
        int64_t first, last;
        if (i + 4 < end)
            __builtin_prefetch(shard->slots.items[i + 4].series);
        if (!s || s->is_dead)
            continue;
        if (!toc_series_bounds(s, &first, &last)) {
            toc_wal_undefine(t->db->wal, s->id); /* a start would not know it */
            continue;
        }
        put_closed(t, s);
        put_open(t, s);
    }
    toc_mutex_unlock(&shard->mutex);
    if (t->series_out.n + t->open_out.n + t->pairs_out.n >= TOC_CHECKPOINT_TARGET_BYTES)
        write_records(t);
    return end < count;
}

static int copy_head(struct taking *t) {
    toc_checkpoint_begin(&t->pairs_out);
    toc_checkpoint_begin(&t->series_out);
    toc_checkpoint_begin(&t->open_out);
    for (t->shard = 0; t->shard < TOC_HEAD_SHARDS; t->shard++) {
        for (size_t place = 0; copy_places(t, place); place += PLACES_PER_LOCK)
            if (t->chunks.error || t->open.error)
                return t->chunks.error ? t->chunks.error : t->open.error;
        write_records(t);
    }
    return t->chunks.error ? t->chunks.error : t->open.error;
}

/* --- one checkpoint --- */

static int make_dir(struct toc_metricdb *db) {
    int rc = db->vfs->mkdir(db->vfs, db->checkpoints.dir);
    if (rc == TOC_EEXIST)
        return 0;
    return rc ? rc : db->vfs->sync_dir(db->vfs, db->dir);
}

static void open_chain(struct taking *t, uint64_t *out_chain) {
    struct toc_checkpoints *c = t->c;
    char path[4096];
    t->is_full = !c->has_chain;
    if (t->is_full)
        forget_chain(c);
    *out_chain = t->is_full ? c->next_number++ : c->chain;
    toc_checkpoint_path(c->dir, TOC_CHECKPOINT_CHUNKS_FILE, *out_chain, path, sizeof path);
    if (t->is_full) {
        toc_checkpoint_create(&t->chunks, t->db->vfs, path, *out_chain);
        return;
    }
    t->chunks = (struct toc_checkpoint_writer){.vfs = t->db->vfs,
                                               .at = c->chain_bytes,
                                               .sequence = c->chain_sequence,
                                               .salt_crc = c->chain_salt_crc};
    t->chunks.error = toc_file_open(t->db->vfs, path, TOC_OPEN_WRITE, &t->chunks.file);
}

static int sync_and_close(struct toc_checkpoint_writer *w, int rc) {
    rc = rc ? rc : w->error;
    if (!rc)
        rc = w->vfs->sync(w->vfs, w->file);
    if (w->file)
        toc_file_close(w->vfs, &w->file);
    return rc;
}

/* Copies the head into both files and makes them durable, under the name of the open one beside. */
static int write_files(struct taking *t, struct toc_checkpoint_end *end, const char *beside,
                       uint64_t number) {
    toc_checkpoint_create(&t->open, t->db->vfs, beside, number);
    int rc = t->chunks.error ? t->chunks.error : copy_head(t);
    end->chain_bytes = t->chunks.at;
    end->series = t->c->series_count;
    if (!rc) {
        toc_checkpoint_put_end(&t->open_out, end);
        toc_checkpoint_put(&t->open, TOC_CHECKPOINT_END, 0, &t->open_out);
    }
    rc = sync_and_close(&t->chunks, rc);
    return sync_and_close(&t->open, rc);
}

static void note_taken(struct taking *t, const struct toc_checkpoint_end *end, uint64_t number) {
    struct toc_checkpoints *c = t->c;
    c->written_bytes += t->open.at + t->chunks.at - (t->is_full ? 0 : c->chain_bytes);
    c->step_bytes = t->open.at + (t->is_full ? 0 : t->chunks.at - c->chain_bytes);
    c->before = c->is_outdated ? 0 : c->newest;
    c->before_chain = c->is_outdated ? 0 : c->chain;
    c->newest = number;
    c->chain = end->chain;
    c->chain_bytes = t->chunks.at;
    c->chain_sequence = t->chunks.sequence;
    c->chain_salt_crc = t->chunks.salt_crc;
    c->has_chain = true;
    c->taken++;
}

static int take(struct taking *t, struct toc_checkpoint_end *end) {
    struct toc_metricdb *db = t->db;
    char path[4096], beside[4096];
    int rc = make_dir(db);
    if (rc)
        return rc;
    t->c->has_files = true;
    open_chain(t, &end->chain);
    uint64_t number = t->c->next_number++;
    toc_checkpoint_path(t->c->dir, TOC_CHECKPOINT_OPEN_FILE, number, path, sizeof path);
    snprintf(beside, sizeof beside, "%s/tmp", t->c->dir);
    rc = write_files(t, end, beside, number);
    /* What was copied is in the log before anybody can find it here. */
    if (!rc)
        rc = toc_wal_flush(db->wal, NULL);
    if (!rc)
        rc = db->vfs->rename(db->vfs, beside, path);
    if (!rc)
        rc = db->vfs->sync_dir(db->vfs, t->c->dir);
    if (!rc)
        note_taken(t, end, number);
    return rc;
}

int toc_checkpoints_take(struct toc_metricdb *db) {
    struct toc_checkpoints *c = &db->checkpoints;
    struct taking t = {.db = db, .c = c};
    struct toc_checkpoint_end end = {0};
    uint64_t total = toc_wal_written_samples(db->wal);
    c->has_begun = true;
    c->begun_ns = toc_clock_mono(db->clock).ns;
    c->bytes_before = toc_wal_written_bytes(db->wal);
    /* The position first: what older segments hold is in the head before it is copied. */
    /* Behind the position there must be nothing of a series that is gone by now. */
    int rc = toc_wal_flush(db->wal, NULL);
    toc_wal_position(db->wal, &end.position);
    rc = rc ? rc : take(&t, &end);
    c->samples_before = total;
    c->tail_samples = c->tail_bytes = 0;
    c->has_failed = rc != 0;
    if (rc) { /* parts of the chain may be marked as saved that are not */
        forget_chain(c);
        c->failures++;
        toc_log(TOC_LOG_WARN, "metricdb",
                "cannot write a checkpoint in %s: %s; the next start will read more of the log",
                c->dir, toc_strerror(rc));
    }
    int removed = remove_others(db); /* tried again next time */
    c->is_outdated = c->is_outdated && (rc || removed);
    toc_buf_fini(&t.pairs_out);
    toc_buf_fini(&t.series_out);
    toc_buf_fini(&t.open_out);
    toc_checkpoint_fini_end(&end);
    return rc ? rc : removed;
}

/* Samples that a start would read from the log. */
static uint64_t unsaved_samples(struct toc_metricdb *db) {
    const struct toc_checkpoints *c = &db->checkpoints;
    uint64_t total = toc_wal_written_samples(db->wal);
    uint64_t since = total - c->samples_before + c->tail_samples;
    if (c->newest || c->has_failed)
        return since;
    return toc_head_bounds(&db->head).samples;
}

/* What the head holds must be what log and blocks say, or what a block holds already. */
static bool is_possible(const struct toc_metricdb *db) {
    return !toc_metricdb_is_partial(db) && !toc_wal_is_in_doubt(db->wal);
}

static uint64_t wanted_samples(const struct toc_metricdb *db) {
    uint64_t series = atomic_load_explicit(&db->head.series_count, memory_order_relaxed);
    uint64_t wanted = db->limits.checkpoint_samples;
    return series > MANY_SERIES ? TOC_MAX(wanted, series * SAMPLES_PER_SERIES) : wanted;
}

/* One writes no more than was logged since the one before began, and a little as time goes by. So
 * what they cost is bounded by what writing costs, and the log that a start reads by what one
 * checkpoint is large. */
static bool is_paid(struct toc_metricdb *db) {
    const struct toc_checkpoints *c = &db->checkpoints;
    int64_t since_ms = (toc_clock_mono(db->clock).ns - c->begun_ns) / 1000000;
    uint64_t logged = toc_wal_written_bytes(db->wal) - c->bytes_before + c->tail_bytes;
    uint64_t cost = c->has_chain ? c->step_bytes : toc_head_bounds(&db->head).chunk_bytes;
    return !c->has_begun || cost <= FREE_BYTES + logged + (uint64_t)since_ms * BYTES_PER_MS;
}

void toc_checkpoints_maintain(struct toc_metricdb *db) {
    struct toc_checkpoints *c = &db->checkpoints;
    uint64_t wanted = wanted_samples(db), unsaved = unsaved_samples(db);
    if (unsaved >= wanted && is_paid(db) && is_possible(db)) {
        (void)!toc_checkpoints_take(db);
        unsaved = unsaved_samples(db);
    }
    uint64_t total = toc_wal_written_samples(db->wal);
    uint64_t left = unsaved < wanted ? wanted - unsaved : wanted / 4;
    atomic_store_explicit(&c->wake_samples, total + left, memory_order_relaxed);
}

bool toc_metricdb_wants_checkpoint(struct toc_metricdb *db) {
    uint64_t total = toc_wal_written_samples(db->wal);
    return total >= atomic_load_explicit(&db->checkpoints.wake_samples, memory_order_relaxed);
}

int toc_checkpoints_renew(struct toc_metricdb *db) {
    struct toc_checkpoints *c = &db->checkpoints;
    if (!c->is_outdated)
        return 0;
    if (!db->untrimmed && is_possible(db) && toc_checkpoints_take(db) == 0)
        return 0;
    return toc_checkpoints_drop(db);
}

/* --- start --- */

static int newest_first(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

struct numbers {
    TOC_VEC_FIELDS(uint64_t)
};

static int find_checkpoints(struct toc_metricdb *db, struct numbers *out) {
    struct names list = {0};
    int rc = db->vfs->list(db->vfs, db->checkpoints.dir, note_name, &list);
    for (size_t i = 0; i < list.count; i++) {
        enum toc_checkpoint_kind kind;
        uint64_t n = toc_checkpoint_number(list.items[i], &kind);
        db->checkpoints.next_number = TOC_MAX(db->checkpoints.next_number, n + 1);
        if (n && kind == TOC_CHECKPOINT_OPEN_FILE)
            TOC_VEC_PUSH(out, n);
        toc_free(list.items[i]);
    }
    TOC_VEC_FINI(&list);
    if (out->count)
        qsort(out->items, out->count, sizeof *out->items, newest_first);
    return rc;
}

static void cut_range(struct toc_metricdb *db, int64_t min_ms, int64_t max_ms) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &db->head.shards[i];
        for (size_t k = 0; k < shard->slots.count; k++)
            if (shard->slots.items[k].series)
                toc_series_cut(shard, shard->slots.items[k].series, min_ms, max_ms);
    }
}

/* Was the block there before the checkpoint, or in the making? A seal begins a segment. */
static bool is_known(const struct toc_block_meta *m, const struct toc_wal_position *at) {
    return m->first_unsealed < at->segment || (m->first_unsealed == at->segment && at->offset);
}

/* What was sealed after the checkpoint. With the same position nothing was logged between the two,
 * and the head had nothing that the block has not. */
static void cut_sealed(struct toc_metricdb *db, const struct toc_checkpoint_end *end) {
    bool has_cut = false;
    for (size_t i = 0; i < db->blocks.list.count; i++) {
        const struct toc_block_meta *m = &db->blocks.list.items[i]->meta;
        if (is_known(m, &end->position))
            continue;
        cut_range(db, m->range_min, m->range_max);
        db->checkpoints.is_outdated |= m->first_unsealed > end->position.segment;
        has_cut = true;
    }
    if (has_cut)
        toc_head_rebound_all(&db->head);
}

static int load_one(struct toc_metricdb *db, uint64_t number, struct toc_checkpoint_end *out) {
    struct toc_checkpoints *c = &db->checkpoints;
    int rc = toc_checkpoint_restore(db->vfs, c->dir, number, &db->head, out);
    if (!rc) {
        cut_sealed(db, out);
        c->newest = number;
        c->chain = out->chain;
        return 0;
    }
    toc_head_fini(&db->head);
    toc_head_init(&db->head, db->limits.block_span_ms);
    c->refused++;
    toc_log(TOC_LOG_WARN, "metricdb",
            "the checkpoint %llu in %s cannot be used: %s; more of the log is read instead",
            (unsigned long long)number, c->dir, toc_strerror(rc));
    return rc;
}

bool toc_checkpoints_load(struct toc_metricdb *db, struct toc_checkpoint_end *out_end) {
    struct toc_checkpoints *c = &db->checkpoints;
    struct numbers list = {0};
    int rc = find_checkpoints(db, &list);
    bool is_loaded = false;
    c->has_files = rc != TOC_ENOENT;
    /* With a block that cannot be read now only the log tells which samples are its own. */
    for (size_t i = 0; i < list.count && !is_loaded && !db->unopened_blocks; i++)
        is_loaded = load_one(db, list.items[i], out_end) == 0;
    TOC_VEC_FINI(&list);
    if (!is_loaded && c->has_files)
        c->has_files = toc_checkpoints_drop(db) != 0;
    return is_loaded;
}
