/* The list of blocks: as people see it, and who stands for whom. */
#include <stdio.h>

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

void toc_metricdb_name_replaced(struct toc_metricdb *db, int store, struct toc_block_writer *w,
                                struct toc_block *const *blocks, size_t count) {
    struct toc_ids64 ids = {0};
    for (size_t i = 0; i < count; i++)
        TOC_VEC_PUSH(&ids, blocks[i]->meta.id);
    toc_blocks_leftovers(toc_metricdb_store(db, store), &ids);
    toc_block_writer_replaces(w, &ids);
    TOC_VEC_FINI(&ids);
}

static int open_made(struct toc_metricdb *db, const char *dir, uint64_t id,
                     struct toc_block **out) {
    char path[4200];
    unsigned damaged;
    snprintf(path, sizeof path, "%s/b-%010llu", dir, (unsigned long long)id);
    return toc_block_open(db->vfs, path, out, &damaged);
}

int toc_metricdb_finish_block(struct toc_metricdb *db, int store, struct toc_block_writer **w,
                              struct toc_block_meta *io_meta, struct toc_block **out) {
    char dir[4096];
    uint64_t id = io_meta->id;
    toc_metricdb_store_path(db, store, dir, sizeof dir);
    int rc = toc_block_writer_finish(w, io_meta);
    if (!rc)
        rc = open_made(db, dir, id, out);
    if (rc)
        toc_blocks_disown(toc_metricdb_store(db, store), db->vfs, dir, id);
    return rc;
}

int toc_metricdb_sweep(struct toc_metricdb *db) {
    int rc = 0;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT && !rc; k++) {
        char dir[4096];
        toc_metricdb_store_path(db, k, dir, sizeof dir);
        rc = toc_blocks_sweep(toc_metricdb_store(db, k), db->vfs, dir);
    }
    return rc;
}

int toc_metricdb_need_whole(const struct toc_metricdb *db, const char *what, struct toc_err *err) {
    if (!toc_metricdb_is_partial(db))
        return 0;
    return toc_errf(err, TOC_EBUSY,
                    "parts of %s could not be read at start (see the program's log): nothing can "
                    "be %s until a start reads them",
                    db->dir, what);
}
