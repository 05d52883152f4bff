/* The list of blocks: as people see it, and who stands for whom. */
#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"

void toc_metricdb_each_block(struct toc_metricdb *db, toc_on_block *fn, void *ctx) {
    struct toc_block **blocks;
    size_t n = toc_blocks_overlapping(&db->blocks, INT64_MIN, INT64_MAX, &blocks);
    for (size_t i = 0; i < n; i++) {
        const struct toc_block *b = blocks[i];
        const struct toc_metricdb_block info = {.id = b->meta.id,
                                                .replaces = b->meta.replaces,
                                                .min_ms = b->meta.min_ms,
                                                .max_ms = b->meta.max_ms,
                                                .series = b->meta.series,
                                                .samples = b->meta.samples,
                                                .chunks = b->meta.chunks,
                                                .bytes = b->bytes};
        fn(ctx, &info);
        toc_block_unref(&blocks[i]);
    }
    toc_free(blocks);
}

void toc_metricdb_name_replaced(struct toc_metricdb *db, struct toc_block_writer *w,
                                struct toc_block *const *blocks, size_t count) {
    struct toc_ids64 ids = {0};
    for (size_t i = 0; i < count; i++)
        TOC_VEC_PUSH(&ids, blocks[i]->meta.id);
    toc_blocks_leftovers(&db->blocks, &ids);
    toc_block_writer_replaces(w, &ids);
    TOC_VEC_FINI(&ids);
}

int toc_metricdb_finish_block(struct toc_metricdb *db, struct toc_block_writer **w,
                              struct toc_block_meta *io_meta, struct toc_block **out) {
    uint64_t id = io_meta->id;
    int rc = toc_block_writer_finish(w, io_meta);
    if (!rc)
        rc = toc_metricdb_open_block(db, id, out);
    if (rc)
        toc_blocks_disown(&db->blocks, db->vfs, db->block_dir, id);
    return rc;
}
