/*
 * Making roll-ups. A block of roll-ups stands for a stretch of 24 hours, (start, end]. It is made
 * when the stretch is over, or earlier when retention wants to delete raw samples of it, and made
 * again when raw samples came late or something was deleted. Its id tells what went in: of raw
 * blocks everything that was written before. What raw samples no longer tell, because they are
 * gone, is taken over from the block before (toc_rollup_unite).
 */
#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/block_walk.h"
#include "metricdb/rollup_chunk.h"
#include "metricdb/rollups.h"
#include "metricdb/samples.h"
#include "metricdb/seal.h"

static const int64_t g_resolutions[] = {0, 300000, 3600000};
static const char *const g_dirs[] = {"blocks", "rollup-5m", "rollup-1h"};

int64_t toc_metricdb_resolution(int store) {
    return g_resolutions[store];
}
const char *toc_metricdb_store_dir(int store) {
    return g_dirs[store];
}

struct rolling {
    struct toc_metricdb *db;
    int64_t start_ms, end_ms;
    struct toc_block_walk walk;
    struct toc_series_buffer samples;
    struct toc_rollups fresh, old, united;
    struct toc_buf chunk;
    struct toc_block *replaced[TOC_METRICDB_STORE_COUNT]; /* borrowed */
    struct toc_block_writer *writers[TOC_METRICDB_STORE_COUNT];
    struct toc_block_meta metas[TOC_METRICDB_STORE_COUNT];
};

/* --- one series --- */

struct lost {
    struct rolling *r;
    const struct toc_walk_source *source;
};

static void on_loss(void *ctx, const struct toc_block_chunk *c) {
    const struct lost *l = ctx;
    toc_metricdb_note_chunk(l->r->db, l->source->block, l->source->labels, c);
}

/* Damaged chunks are noted and left out: waiting for them would keep raw samples for ever. */
static int take_samples(struct rolling *r, const struct toc_walk_source *s) {
    struct lost lost = {r, s};
    size_t from = r->samples.count, deleted;
    const struct toc_tombstone *gone = toc_tombstones_of(s->tombstones, s->number, &deleted);
    int rc = toc_block_read_series(s->index, s->number, r->start_ms + 1, r->end_ms, &r->samples,
                                   on_loss, &lost);
    for (size_t i = 0; i < deleted; i++)
        toc_samples_cut(&r->samples, from, gone[i].min_ms, gone[i].max_ms);
    return rc;
}

void toc_rollups_cut(struct toc_rollups *b, size_t from, int64_t resolution_ms,
                     const struct toc_tombstone *gone, size_t count) {
    size_t kept = from;
    for (size_t i = from; i < b->count; i++) {
        int64_t end = b->items[i].end_ms;
        bool is_gone = false;
        for (size_t k = 0; k < count && !is_gone; k++)
            is_gone = gone[k].min_ms <= end && gone[k].max_ms > end - resolution_ms;
        if (!is_gone)
            b->items[kept++] = b->items[i];
    }
    b->count = kept;
}

int toc_rollups_read(const struct toc_block_index *x, const struct toc_tombstones *t,
                     uint32_t number, int64_t resolution_ms, toc_on_lost_chunk *lost_fn, void *ctx,
                     struct toc_rollups *out) {
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    struct toc_buf bytes = TOC_BUF_INIT;
    size_t from = out->count, deleted;
    int rc = toc_block_index_chunks(x, number, &cursor);
    while (!rc && toc_block_cursor_next(&cursor, &c)) {
        toc_buf_reset(&bytes);
        rc = toc_block_load_chunk(x, &c, &bytes);
        if (!rc)
            rc = toc_rollup_chunk_decode(toc_buf_sv(&bytes), resolution_ms, out);
        if (rc == TOC_ECORRUPT || rc == TOC_EIO) {
            lost_fn(ctx, &c);
            rc = 0;
        }
    }
    toc_buf_fini(&bytes);
    const struct toc_tombstone *gone = toc_tombstones_of(t, number, &deleted);
    toc_rollups_cut(out, from, resolution_ms, gone, deleted);
    return rc;
}

static int write_buckets(struct rolling *r, int store, struct toc_labels labels) {
    const struct toc_rollups *b = &r->united;
    if (!b->count)
        return 0;
    toc_buf_reset(&r->chunk);
    toc_rollup_chunk_encode(b->items, b->count, g_resolutions[store], &r->chunk);
    struct toc_block_chunk chunk = {.bytes = (uint32_t)r->chunk.n,
                                    .samples = (uint32_t)b->count,
                                    .min_ms = b->items[0].end_ms,
                                    .max_ms = b->items[b->count - 1].end_ms};
    if (r->chunk.error)
        return TOC_ENOMEM;
    return toc_block_writer_add_raw(r->writers[store], labels, &chunk, 1, toc_buf_sv(&r->chunk));
}

static int roll_store(struct rolling *r, int store, struct toc_labels labels) {
    r->fresh.count = r->old.count = r->united.count = 0;
    int rc = 0;
    toc_rollups_add_samples(&r->fresh, &r->samples, 0, g_resolutions[store]);
    for (size_t i = 0; i < r->walk.count && !rc; i++) {
        const struct toc_walk_source *s = &r->walk.sources[i];
        struct lost lost = {r, s};
        if (s->store == store && toc_walk_source_is_at(s, labels))
            rc = toc_rollups_read(s->index, s->tombstones, s->number, g_resolutions[store], on_loss,
                                  &lost, &r->old);
    }
    toc_rollups_add_united(&r->united, r->old.items, r->old.count, r->fresh.items, r->fresh.count);
    return rc ? rc : write_buckets(r, store, labels);
}

static int roll_series(struct rolling *r, struct toc_labels labels) {
    const struct toc_retention_rule *rule = &r->db->rules[toc_metricdb_rule_of(r->db, labels)];
    int rc = 0;
    toc_series_buffer_reset(&r->samples);
    for (size_t i = 0; i < r->walk.count && !rc; i++) {
        const struct toc_walk_source *s = &r->walk.sources[i];
        if (s->store == TOC_METRICDB_RAW && toc_walk_source_is_at(s, labels))
            rc = take_samples(r, s);
    }
    if (rc)
        return rc;
    toc_samples_sort(&r->samples);
    toc_samples_clip(&r->samples, 0, r->start_ms + 1, r->end_ms);
    for (int k = TOC_METRICDB_ROLLUP_5M; k < TOC_METRICDB_STORE_COUNT && !rc; k++)
        if (rule->keep_ms[k] >= 0 && r->writers[k])
            rc = roll_store(r, k, labels);
    return rc;
}

/* --- one stretch --- */

static bool overlaps(const struct toc_block *b, int64_t start_ms, int64_t end_ms) {
    return b->meta.min_ms <= end_ms && b->meta.max_ms > start_ms;
}

static int begin_writer(struct rolling *r, int store) {
    char dir[4096];
    struct toc_block_meta *meta = &r->metas[store];
    *meta = (struct toc_block_meta){
        .id = r->db->next_block++, .range_min = r->start_ms + 1, .range_max = r->end_ms};
    toc_metricdb_store_path(r->db, store, dir, sizeof dir);
    int rc = toc_block_writer_new(r->db->vfs, dir, meta, &r->writers[store]);
    if (!rc)
        toc_metricdb_name_replaced(r->db, store, r->writers[store], &r->replaced[store],
                                   r->replaced[store] != NULL);
    return rc;
}

/* Nothing left of the stretch: the block before goes, and it is not tried again. */
static void note_empty(struct rolling *r, int store) {
    struct toc_blocks *set = toc_metricdb_store(r->db, store);
    toc_block_writer_abort(&r->writers[store]);
    if (toc_blocks_has_leftovers(set))
        return; /* later */
    if (r->replaced[store])
        toc_blocks_delete(set, r->replaced[store]);
    struct toc_empty_stretch e = {r->start_ms, r->metas[store].id, store};
    TOC_VEC_PUSH(&r->db->empty_stretches, e);
}

static int publish(struct rolling *r, int store) {
    struct toc_blocks *set = toc_metricdb_store(r->db, store);
    struct toc_block *made;
    if (toc_block_writer_is_empty(r->writers[store])) {
        note_empty(r, store);
        return 0;
    }
    int rc = toc_metricdb_finish_block(r->db, store, &r->writers[store], &r->metas[store], &made);
    if (rc)
        return rc;
    if (r->replaced[store])
        toc_blocks_replace(set, &r->replaced[store], 1, made);
    else
        toc_blocks_add(set, made);
    atomic_fetch_add_explicit(&r->db->rollups_made, 1, memory_order_relaxed);
    return 0;
}

static int write_all(struct rolling *r) {
    const struct toc_walk_source *s;
    int rc = toc_block_walk_begin(&r->walk);
    for (size_t i = 1; !rc && (s = toc_block_walk_smallest(&r->walk)); i++) {
        if (i % TOC_SERIES_PER_LOOK == 0)
            toc_checkpoints_maintain(r->db);
        rc = roll_series(r, s->labels);
        if (!rc)
            rc = toc_block_walk_next(&r->walk, s);
    }
    for (int k = TOC_METRICDB_ROLLUP_5M; k < TOC_METRICDB_STORE_COUNT && !rc; k++)
        if (r->writers[k])
            rc = publish(r, k);
    return rc;
}

/* --- which --- */

/* All blocks, with the stores that they are of. */
struct inventory {
    struct toc_block **blocks[TOC_METRICDB_STORE_COUNT];
    size_t count[TOC_METRICDB_STORE_COUNT];
};

static void take_inventory(struct toc_metricdb *db, struct inventory *v) {
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++)
        v->count[k] =
            toc_blocks_overlapping(toc_metricdb_store(db, k), INT64_MIN, INT64_MAX, &v->blocks[k]);
}

static void free_inventory(struct inventory *v) {
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++) {
        for (size_t i = 0; i < v->count[k]; i++)
            toc_block_unref(&v->blocks[k][i]);
        toc_free(v->blocks[k]);
    }
}

/* The newest block of roll-ups of the stretch, or NULL. */
static struct toc_block *rollup_of(const struct inventory *v, int store, int64_t start_ms) {
    for (size_t i = v->count[store]; i-- > 0;)
        if (v->blocks[store][i]->meta.range_min == start_ms + 1)
            return v->blocks[store][i];
    return NULL;
}

static uint64_t newest_content(const struct inventory *v, int64_t start_ms, int64_t end_ms) {
    uint64_t newest = 0;
    for (size_t i = 0; i < v->count[0]; i++)
        if (overlaps(v->blocks[0][i], start_ms, end_ms))
            newest = TOC_MAX(newest, v->blocks[0][i]->newest);
    return newest;
}

static bool is_wanted(const struct toc_metricdb *db, int store) {
    for (size_t i = 0; i < db->rule_count; i++)
        if (db->rules[i].keep_ms[store] >= 0)
            return true;
    return false;
}

static bool is_known_empty(const struct toc_metricdb *db, int store, int64_t start_ms,
                           uint64_t newest) {
    for (size_t i = 0; i < db->empty_stretches.count; i++) {
        const struct toc_empty_stretch *e = &db->empty_stretches.items[i];
        if (e->store == store && e->start_ms == start_ms && e->id > newest)
            return true;
    }
    return false;
}

/* Is there something that the roll-ups of the stretch do not tell yet? */
static bool is_behind(struct toc_metricdb *db, const struct inventory *v, int store,
                      int64_t start_ms) {
    const struct toc_block *b = rollup_of(v, store, start_ms);
    uint64_t newest = newest_content(v, start_ms, start_ms + TOC_ROLLUP_STRETCH_MS);
    if (!is_wanted(db, store))
        return false;
    if (b && !b->is_kept && b->tombstones)
        return true; /* nobody else changes them: the maintain mutex is held */
    return newest && (b ? b->meta.id < newest : !is_known_empty(db, store, start_ms, newest));
}

/* Is the stretch over, and does nothing more of it wait in the head? */
static bool is_over(struct toc_metricdb *db, const struct inventory *v, int64_t start_ms) {
    int64_t end_ms = start_ms + TOC_ROLLUP_STRETCH_MS;
    struct toc_head_bounds head = toc_head_bounds(&db->head);
    if ((head.samples && head.min_ms <= end_ms) || toc_metricdb_newest_ms(db) < end_ms)
        return false;
    size_t blocks = 0;
    for (size_t i = 0; i < v->count[0]; i++) {
        if (!overlaps(v->blocks[0][i], start_ms, end_ms))
            continue;
        if (++blocks > TOC_BLOCK_WALK_MAX - 2 ||
            toc_metricdb_is_window_busy(db, v->blocks[0][i]->meta.min_ms))
            return false;
    }
    return true;
}

static bool may_roll(struct toc_metricdb *db, const struct inventory *v, int64_t start_ms) {
    bool is_asked = db->has_wanted_stretch && db->wanted_stretch_ms == start_ms;
    bool is_behind_any = is_behind(db, v, TOC_METRICDB_ROLLUP_5M, start_ms) ||
                         is_behind(db, v, TOC_METRICDB_ROLLUP_1H, start_ms);
    return is_behind_any && (is_asked || is_over(db, v, start_ms));
}

/* The stretch in which a sample lies. */
static int64_t stretch_start(int64_t t_ms) {
    return toc_rollup_end(t_ms, TOC_ROLLUP_STRETCH_MS) - TOC_ROLLUP_STRETCH_MS;
}

enum { STRETCHES_MAX = 4096 };

static bool find(struct toc_metricdb *db, const struct inventory *v, int64_t *out_start_ms) {
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++)
        for (size_t i = 0; i < v->count[k]; i++) {
            const struct toc_block_meta *m = &v->blocks[k][i]->meta;
            int64_t start = stretch_start(k ? m->range_max : m->min_ms);
            for (int n = 0; start < m->max_ms && n < STRETCHES_MAX; n++) {
                if (may_roll(db, v, start)) {
                    *out_start_ms = start;
                    return true;
                }
                start += TOC_ROLLUP_STRETCH_MS;
            }
        }
    return false;
}

/* Nothing of a block without an index can be read. */
static int add_raw(struct rolling *r, struct toc_block *b) {
    int rc = toc_block_walk_add(&r->walk, TOC_METRICDB_RAW, b);
    if (rc == TOC_ECORRUPT)
        b->newest = 0;
    return rc == TOC_ECORRUPT ? 0 : rc;
}

static int open_sources(struct rolling *r, const struct inventory *v) {
    int rc = 0;
    size_t n = 2;
    for (size_t i = 0; i < v->count[0]; i++)
        n += overlaps(v->blocks[0][i], r->start_ms, r->end_ms);
    if (n > TOC_BLOCK_WALK_MAX)
        return TOC_ELIMIT;
    toc_block_walk_init(&r->walk, r->db, n);
    for (size_t i = 0; i < v->count[0] && !rc; i++)
        if (overlaps(v->blocks[0][i], r->start_ms, r->end_ms))
            rc = add_raw(r, v->blocks[0][i]);
    for (int k = TOC_METRICDB_ROLLUP_5M; k < TOC_METRICDB_STORE_COUNT && !rc; k++) {
        if (!is_behind(r->db, v, k, r->start_ms))
            continue;
        r->replaced[k] = rollup_of(v, k, r->start_ms);
        if (r->replaced[k])
            rc = toc_block_walk_add(&r->walk, k, r->replaced[k]);
        if (rc == TOC_ECORRUPT) { /* it stays for repair, the new one stands beside it */
            r->replaced[k] = NULL;
            rc = 0;
        }
        if (!rc)
            rc = begin_writer(r, k);
    }
    return rc;
}

static int roll(struct toc_metricdb *db, const struct inventory *v, int64_t start_ms) {
    struct rolling r = {.db = db, .start_ms = start_ms, .end_ms = start_ms + TOC_ROLLUP_STRETCH_MS};
    int rc = open_sources(&r, v);
    if (!rc)
        rc = write_all(&r);
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++)
        toc_block_writer_abort(&r.writers[k]);
    /* An entry of an index that makes no sense: tried again after a start. */
    for (size_t i = 0; i < r.walk.count && rc == TOC_ECORRUPT; i++)
        r.walk.sources[i].block->newest = 0;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT && rc == TOC_ECORRUPT; k++)
        if (r.replaced[k])
            r.replaced[k]->is_kept = true;
    toc_block_walk_fini(&r.walk);
    toc_series_buffer_fini(&r.samples);
    toc_rollups_fini(&r.fresh);
    toc_rollups_fini(&r.old);
    toc_rollups_fini(&r.united);
    toc_buf_fini(&r.chunk);
    return rc == TOC_ECORRUPT || rc == TOC_ELIMIT ? 0 : rc;
}

int toc_metricdb_roll_up(struct toc_metricdb *db, bool *out_worked) {
    struct inventory v;
    int64_t start_ms;
    int rc = 0;
    *out_worked = false;
    if (toc_metricdb_is_partial(db))
        return 0;
    take_inventory(db, &v);
    *out_worked = find(db, &v, &start_ms);
    if (*out_worked)
        rc = roll(db, &v, start_ms);
    else
        db->has_wanted_stretch = false;
    free_inventory(&v);
    return rc;
}

bool toc_metricdb_is_rolled_up(struct toc_metricdb *db, const struct toc_block *b) {
    struct inventory v;
    bool is_done = true;
    take_inventory(db, &v);
    for (int64_t start = stretch_start(b->meta.min_ms); start < b->meta.max_ms && is_done;
         start += TOC_ROLLUP_STRETCH_MS) {
        is_done = !is_behind(db, &v, TOC_METRICDB_ROLLUP_5M, start) &&
                  !is_behind(db, &v, TOC_METRICDB_ROLLUP_1H, start);
        if (!is_done) {
            db->wanted_stretch_ms = start;
            db->has_wanted_stretch = true;
        }
    }
    free_inventory(&v);
    return is_done;
}
