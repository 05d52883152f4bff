#include "promtsdb/data_dir.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"

struct opening {
    struct toc_prom_data_dir *dir;
    TOC_VEC(char *) names;
    TOC_VEC(struct toc_prom_block *) blocks;
};

/* The name of a block; what is being made or removed has something behind it. */
static bool is_ulid(const char *name) {
    return strlen(name) == TOC_PROM_ULID_BYTES &&
           strspn(name, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == TOC_PROM_ULID_BYTES;
}

static int take_name(void *ctx, const char *name) {
    struct opening *o = ctx;
    if (is_ulid(name))
        TOC_VEC_PUSH(&o->names, toc_xstrdup(name));
    return 0;
}

static int by_time(const void *a, const void *b) {
    const struct toc_prom_block_meta *x = toc_prom_block_meta(*(struct toc_prom_block *const *)a);
    const struct toc_prom_block_meta *y = toc_prom_block_meta(*(struct toc_prom_block *const *)b);
    if (x->min_ms != y->min_ms)
        return x->min_ms < y->min_ms ? -1 : 1;
    return strcmp(x->ulid, y->ulid);
}

static void open_blocks(struct opening *o,
                        void (*damage)(void *ctx, const char *path, const char *what), void *ctx) {
    for (size_t i = 0; i < o->names.count; i++) {
        char *path = toc_xprintf("%s/%s", o->dir->path, o->names.items[i]);
        struct toc_prom_block *b = NULL;
        struct toc_err err = {0};
        if (toc_prom_block_open(o->dir->vfs, path, &b, &err))
            damage(ctx, path, err.message);
        else
            TOC_VEC_PUSH(&o->blocks, b);
        toc_free(path);
        toc_free(o->names.items[i]);
    }
    TOC_VEC_FINI(&o->names);
    if (o->blocks.count > 1)
        qsort(o->blocks.items, o->blocks.count, sizeof *o->blocks.items, by_time);
}

int toc_prom_data_dir_open(struct toc_vfs *vfs, const char *path, struct toc_prom_data_dir *out,
                           void (*damage)(void *ctx, const char *path, const char *what), void *ctx,
                           struct toc_err *err) {
    *out = (struct toc_prom_data_dir){.vfs = vfs, .head_min_ms = INT64_MIN};
    struct opening o = {.dir = out};
    out->path = toc_xstrdup(path);
    out->wal = toc_xprintf("%s/wal", path);
    out->wbl = toc_xprintf("%s/wbl", path);
    int rc = vfs->list(vfs, path, take_name, &o);
    if (rc)
        return toc_errf(err, rc, "cannot list %s: %s", path, toc_strerror(rc));
    if (!o.names.count && !toc_vfs_exists(vfs, out->wal))
        return toc_errf(err, TOC_ENOENT,
                        "%s is no data directory of Prometheus: it has neither blocks nor a folder "
                        "\"wal\"",
                        path);
    open_blocks(&o, damage, ctx);
    out->blocks = o.blocks.items;
    out->block_count = o.blocks.count;
    for (size_t i = 0; i < out->block_count; i++)
        out->head_min_ms = TOC_MAX(out->head_min_ms, toc_prom_block_meta(out->blocks[i])->max_ms);
    return 0;
}

void toc_prom_data_dir_close(struct toc_prom_data_dir *d) {
    for (size_t i = 0; i < d->block_count; i++)
        toc_prom_block_close(&d->blocks[i]);
    toc_free(d->blocks);
    toc_free(d->wal);
    toc_free(d->wbl);
    toc_free(d->path);
}
