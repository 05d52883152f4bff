/* The list of blocks as people see it. */
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
