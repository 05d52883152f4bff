/* Merging: small blocks of one stretch of time become one. */
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/block_walk.h"
#include "metricdb/seal.h"

/* Stretches in multiples of the span of a block. */
static const int64_t g_spans[] = {1, 4, 12};
enum { WHOLE_CHUNK_SAMPLES = 240, RETENTION_PARTS = 8 };
#define MERGE_SAMPLES_MAX 100000000ull /* some ten seconds of work */

struct merge {
    struct toc_metricdb *db;
    struct toc_block_walk walk;
    struct toc_block_writer *writer;
    struct toc_series_buffer buffer;
    TOC_VEC(struct toc_block_chunk) chunks;
    struct toc_buf bytes;
};

/* --- one series --- */

/* The chunks as they stand, when they are long enough, follow each other and nothing was deleted
 * from them. */
static int take_whole(struct merge *m, struct toc_labels labels, bool *out_whole) {
    int64_t last_ms = INT64_MIN;
    int rc = 0;
    m->chunks.count = 0;
    toc_buf_reset(&m->bytes);
    *out_whole = true;
    for (size_t i = 0; i < m->walk.count && *out_whole && !rc; i++) {
        const struct toc_walk_source *s = &m->walk.sources[i];
        struct toc_block_cursor cursor;
        struct toc_block_chunk c;
        size_t deleted = 0;
        if (!toc_walk_source_is_at(s, labels))
            continue;
        (void)toc_tombstones_of(s->tombstones, s->number, &deleted);
        rc = toc_block_index_chunks(s->index, s->number, &cursor);
        *out_whole = !deleted;
        while (!rc && *out_whole && toc_block_cursor_next(&cursor, &c)) {
            *out_whole = c.samples >= WHOLE_CHUNK_SAMPLES && c.min_ms > last_ms;
            last_ms = c.max_ms;
            if (*out_whole)
                rc = toc_block_load_chunk(s->index, &c, &m->bytes);
            TOC_VEC_PUSH(&m->chunks, c);
        }
    }
    return rc;
}

static int append_source(struct merge *m, const struct toc_walk_source *s) {
    struct toc_series_buffer *b = &m->buffer;
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    size_t from = b->count, deleted;
    int rc = toc_block_index_chunks(s->index, s->number, &cursor);
    while (!rc && toc_block_cursor_next(&cursor, &c))
        rc = toc_block_read_chunk(s->index, &c, INT64_MIN, INT64_MAX, b);
    if (!rc && cursor.r.error)
        rc = TOC_ECORRUPT;
    const struct toc_tombstone *gone = toc_tombstones_of(s->tombstones, s->number, &deleted);
    for (size_t i = 0; i < deleted; i++)
        toc_samples_cut(b, from, gone[i].min_ms, gone[i].max_ms);
    return rc;
}

static int take_samples(struct merge *m, struct toc_labels labels) {
    int rc = 0;
    toc_series_buffer_reset(&m->buffer);
    for (size_t i = 0; i < m->walk.count && !rc; i++)
        if (toc_walk_source_is_at(&m->walk.sources[i], labels))
            rc = append_source(m, &m->walk.sources[i]);
    if (rc)
        return rc;
    toc_samples_sort(&m->buffer);
    return toc_block_writer_add(m->writer, labels, &m->buffer);
}

static int take_series(struct merge *m, struct toc_labels labels) {
    bool is_whole;
    int rc = take_whole(m, labels, &is_whole);
    if (rc)
        return rc;
    if (is_whole && m->chunks.count)
        return toc_block_writer_add_raw(m->writer, labels, m->chunks.items, m->chunks.count,
                                        toc_buf_sv(&m->bytes));
    return take_samples(m, labels);
}

/* --- all of them --- */

static int merge_series(struct merge *m) {
    const struct toc_walk_source *s;
    int rc = toc_block_walk_begin(&m->walk);
    for (size_t i = 1; !rc && (s = toc_block_walk_smallest(&m->walk)); i++) {
        if (i % TOC_SERIES_PER_LOOK == 0)
            toc_checkpoints_maintain(m->db);
        rc = take_series(m, s->labels);
        if (!rc)
            rc = toc_block_walk_next(&m->walk, s);
    }
    return rc;
}

static int open_sources(struct merge *m, struct toc_block **blocks, size_t count) {
    int rc = 0;
    toc_block_walk_init(&m->walk, m->db, count);
    for (size_t i = 0; i < count && !rc; i++)
        rc = toc_block_walk_add(&m->walk, TOC_METRICDB_RAW, blocks[i]);
    return rc;
}

static void close_sources(struct merge *m) {
    toc_block_walk_fini(&m->walk);
    toc_series_buffer_fini(&m->buffer);
    TOC_VEC_FINI(&m->chunks);
    toc_buf_fini(&m->bytes);
}

/* The log has nothing of what the blocks hold, so the new one need not guard any of it. */
static struct toc_block_meta new_meta(struct toc_metricdb *db, struct toc_block **blocks,
                                      size_t count) {
    struct toc_block_meta meta = {
        .id = db->next_block++, .range_min = INT64_MAX, .range_max = INT64_MIN};
    for (size_t i = 0; i < count; i++) {
        meta.range_min = TOC_MIN(meta.range_min, blocks[i]->meta.range_min);
        meta.range_max = TOC_MAX(meta.range_max, blocks[i]->meta.range_max);
    }
    return meta;
}

static int write_merged(struct merge *m, struct toc_block **blocks, size_t count,
                        struct toc_block **out) {
    struct toc_metricdb *db = m->db;
    struct toc_block_meta meta = new_meta(db, blocks, count);
    *out = NULL;
    int rc = toc_block_writer_new(db->vfs, db->block_dir, &meta, &m->writer);
    if (rc)
        return rc;
    toc_metricdb_name_replaced(db, TOC_METRICDB_RAW, m->writer, blocks, count);
    rc = merge_series(m);
    if (rc || toc_block_writer_is_empty(m->writer)) {
        toc_block_writer_abort(&m->writer);
        return rc;
    }
    return toc_metricdb_finish_block(db, TOC_METRICDB_RAW, &m->writer, &meta, out);
}

static int merge_blocks(struct toc_metricdb *db, struct toc_block **blocks, size_t count) {
    struct merge m = {.db = db};
    struct toc_block *merged = NULL;
    int rc = open_sources(&m, blocks, count);
    if (!rc)
        rc = write_merged(&m, blocks, count, &merged);
    close_sources(&m);
    for (size_t i = 0; i < count && merged; i++)
        merged->newest = i ? TOC_MAX(merged->newest, blocks[i]->newest) : blocks[0]->newest;
    if (merged)
        toc_blocks_replace(&db->blocks, blocks, count, merged);
    /* A damaged block stays as it is: a copy would hide the loss. Which one it was is not known. */
    for (size_t i = 0; i < count; i++)
        blocks[i]->is_kept |= rc == TOC_ECORRUPT || (!rc && !merged);
    return rc == TOC_ECORRUPT ? 0 : rc;
}

/* --- which --- */

static int64_t stretch_of(int64_t t_ms, int64_t span) {
    return t_ms >= 0 ? t_ms / span : -((-(t_ms + 1)) / span) - 1;
}

/* Blocks of a stretch for which the head has something are merged later, or they would be again. */
static bool may_merge(struct toc_metricdb *db, const struct toc_block *b, int64_t span,
                      int64_t head_min_ms) {
    int64_t stretch = stretch_of(b->meta.min_ms, span);
    return !b->is_kept && !b->is_empty && stretch == stretch_of(b->meta.max_ms, span) &&
           (stretch + 1) * span <= head_min_ms &&
           b->meta.first_unsealed <= toc_wal_oldest(db->wal) && b->meta.samples < MERGE_SAMPLES_MAX;
}

/* Up to 64 blocks of the stretch of blocks[first], into `group`. */
static size_t gather(struct toc_metricdb *db, struct toc_block **blocks, size_t n, size_t first,
                     int64_t span, int64_t head_min_ms, struct toc_block *group[64]) {
    int64_t stretch = stretch_of(blocks[first]->meta.min_ms, span);
    uint64_t samples = 0;
    size_t count = 0;
    for (size_t i = first; i < n && count < 64; i++) {
        struct toc_block *b = blocks[i];
        if (stretch_of(b->meta.min_ms, span) != stretch || !may_merge(db, b, span, head_min_ms) ||
            samples + b->meta.samples > MERGE_SAMPLES_MAX)
            continue;
        samples += b->meta.samples;
        group[count++] = b;
    }
    return count;
}

static int merge_first(struct toc_metricdb *db, struct toc_block **blocks, size_t n,
                       int64_t head_min_ms, bool *out_worked) {
    struct toc_block *group[64];
    for (size_t level = 0; level < TOC_ARRAY_LEN(g_spans); level++) {
        int64_t span = g_spans[level] * db->limits.block_span_ms;
        if (level && span * RETENTION_PARTS > db->limits.retention_ms)
            break; /* whole blocks expire */
        for (size_t i = 0; i < n; i++) {
            if (!may_merge(db, blocks[i], span, head_min_ms) ||
                toc_metricdb_is_window_busy(db, blocks[i]->meta.min_ms))
                continue;
            size_t count = gather(db, blocks, n, i, span, head_min_ms, group);
            if (count < 2)
                continue;
            *out_worked = true;
            return merge_blocks(db, group, count);
        }
    }
    return 0;
}

int toc_metricdb_merge(struct toc_metricdb *db, bool is_final, bool *out_worked) {
    struct toc_head_bounds head = toc_head_bounds(&db->head);
    struct toc_block **blocks;
    *out_worked = false;
    if (toc_metricdb_is_partial(db))
        return 0;
    size_t n = toc_blocks_overlapping(&db->blocks, INT64_MIN, INT64_MAX, &blocks);
    int rc = n > 1 ? merge_first(db, blocks, n, is_final ? INT64_MAX : head.min_ms, out_worked) : 0;
    for (size_t i = 0; i < n; i++)
        toc_block_unref(&blocks[i]);
    toc_free(blocks);
    return rc;
}
