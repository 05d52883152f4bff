/* Samples that come after their time was sealed: is one in a block already? */
#include "base/alloc.h"
#include "metricdb/histogram_code.h"
#include "metricdb/metricdb_priv.h"
#include "model/sample.h"

enum place { UNKNOWN, ABSENT, FOUND };

struct toc_late_block {
    struct toc_block *block;       /* owned reference */
    struct toc_block_index *index; /* owned reference; NULL when not needed yet or damaged */
    struct toc_tombstones *tombstones;
    bool is_loaded;
    enum place place; /* of the series at hand */
    uint32_t number;
};

static void open_late(struct toc_metricdb *db, struct toc_late *late) {
    struct toc_block **blocks;
    late->count = toc_blocks_overlapping(&db->blocks, INT64_MIN, INT64_MAX, &blocks);
    late->blocks = TOC_NEW_ARRAY(struct toc_late_block, late->count + 1);
    for (size_t i = 0; i < late->count; i++)
        late->blocks[i].block = blocks[i];
    toc_free(blocks);
    late->is_open = true;
}

void toc_late_fini(struct toc_late *late) {
    for (size_t i = 0; i < late->count; i++) {
        toc_block_index_unref(&late->blocks[i].index);
        toc_tombstones_unref(&late->blocks[i].tombstones);
        toc_block_unref(&late->blocks[i].block);
    }
    toc_free(late->blocks);
    toc_series_buffer_fini(&late->buffer);
    *late = (struct toc_late){0};
}

/* Is the series in the block? What cannot be read cannot be compared. */
static bool find(struct toc_metricdb *db, struct toc_late_block *b, struct toc_labels labels) {
    unsigned damaged;
    if (!b->is_loaded) {
        b->is_loaded = true;
        if (toc_blocks_index(&db->blocks, b->block, &b->index, &damaged))
            b->index = NULL;
        b->tombstones = toc_blocks_tombstones(&db->blocks, b->block);
    }
    if (b->place == UNKNOWN)
        b->place = b->index && toc_block_index_find(b->index, labels, &b->number) ? FOUND : ABSENT;
    return b->place == FOUND;
}

/* The samples of the chunk in which t_ms lies, without deleted ones. */
static void read_around(const struct toc_late_block *b, int64_t t_ms,
                        struct toc_series_buffer *out) {
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    size_t deleted;
    toc_series_buffer_reset(out);
    if (toc_block_index_chunks(b->index, b->number, &cursor))
        return;
    while (toc_block_cursor_next(&cursor, &c))
        if (c.min_ms <= t_ms && c.max_ms >= t_ms &&
            toc_block_read_chunk(b->index, &c, t_ms, t_ms, out))
            toc_series_buffer_reset(out);
    const struct toc_tombstone *gone = toc_tombstones_of(b->tombstones, b->number, &deleted);
    for (size_t i = 0; i < deleted; i++)
        toc_samples_cut(out, 0, gone[i].min_ms, gone[i].max_ms);
}

static bool is_same(const struct toc_series_buffer *b, size_t i, double value,
                    struct toc_sv encoded) {
    if (!b->has_histograms || !b->histograms[i])
        return !encoded.n && toc_f64_bits(b->values[i]) == toc_f64_bits(value);
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_histogram_encode(b->histograms[i], &bytes);
    bool same = toc_sv_eq(toc_buf_sv(&bytes), encoded);
    toc_buf_fini(&bytes);
    return same;
}

static enum toc_append compare(const struct toc_series_buffer *b, int64_t t_ms, double value,
                               struct toc_sv encoded) {
    for (size_t i = 0; i < b->count; i++)
        if (b->t_ms[i] == t_ms)
            return is_same(b, i, value, encoded) ? TOC_APPEND_SAME : TOC_APPEND_DUPLICATE;
    return TOC_APPEND_DONE;
}

enum toc_append toc_late_check(struct toc_metricdb *db, struct toc_late *late, uint64_t key,
                               struct toc_labels labels, int64_t t_ms, double value,
                               struct toc_sv encoded) {
    enum toc_append result = TOC_APPEND_DONE;
    if (!late->is_open)
        open_late(db, late);
    for (size_t i = 0; i < late->count && key != late->key; i++)
        late->blocks[i].place = UNKNOWN;
    late->key = key;
    for (size_t i = 0; i < late->count && result == TOC_APPEND_DONE; i++) {
        struct toc_late_block *b = &late->blocks[i];
        if (b->block->meta.min_ms > t_ms || b->block->meta.max_ms < t_ms || !find(db, b, labels))
            continue;
        read_around(b, t_ms, &late->buffer);
        result = compare(&late->buffer, t_ms, value, encoded);
    }
    return result;
}
