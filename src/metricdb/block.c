#include "metricdb/block.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "metricdb/block_format.h"

#define INDEX_FILE_MAX ((size_t)2 << 30)

static void child(const char *dir, const char *name, char *out, size_t out_size) {
    snprintf(out, out_size, "%s/%s", dir, name);
}

/* --- folders --- */

struct removal {
    struct toc_vfs *vfs;
    const char *dir;
    TOC_VEC(char *) names;
};

static int note_name(void *ctx, const char *name) {
    struct removal *r = ctx;
    TOC_VEC_PUSH(&r->names, toc_xstrdup(name));
    return 0;
}

void toc_block_remove_dir(struct toc_vfs *vfs, const char *path) {
    struct removal r = {.vfs = vfs, .dir = path};
    if (vfs->list(vfs, path, note_name, &r) == 0) {
        for (size_t i = 0; i < r.names.count; i++) {
            char file[4096];
            child(path, r.names.items[i], file, sizeof file);
            vfs->remove(vfs, file);
        }
        vfs->remove(vfs, path);
    }
    for (size_t i = 0; i < r.names.count; i++)
        toc_free(r.names.items[i]);
    TOC_VEC_FINI(&r.names);
}

/* Renamed first, so that a crash midway leaves no half block under a block's name; and durably so,
 * because a disk may write the removals before the renaming. */
static int delete_folder(struct toc_vfs *vfs, const char *dir, uint64_t id) {
    char path[4096], gone[4096];
    snprintf(path, sizeof path, "%.4000s/b-%010llu", dir, (unsigned long long)id);
    snprintf(gone, sizeof gone, "%.4000s/tmp-%010llu", dir, (unsigned long long)id);
    int rc = vfs->rename(vfs, path, gone);
    if (!rc || rc == TOC_ENOENT) /* renamed by an earlier try, perhaps not durably */
        rc = vfs->sync_dir(vfs, dir);
    if (!rc)
        toc_block_remove_dir(vfs, gone);
    return rc;
}

/* --- opening --- */

static int read_meta(struct toc_vfs *vfs, const char *path, const char *name,
                     struct toc_block_meta *out, uint64_t *out_bytes) {
    char file[4096], head[TOC_BLOCK_META_BYTES];
    struct toc_file *f = NULL;
    struct toc_file_info info;
    child(path, name, file, sizeof file);
    int rc = vfs->info(vfs, file, &info);
    if (!rc)
        rc = vfs->open(vfs, file, TOC_OPEN_READ, &f);
    if (rc)
        return rc;
    int64_t got = vfs->pread(vfs, f, head, sizeof head, 0);
    toc_file_close(vfs, &f);
    if (got < 0)
        return (int)got;
    *out_bytes += info.size_bytes;
    return toc_block_get_meta(toc_sv_make(head, (size_t)got), out);
}

int toc_block_read_replaced(struct toc_vfs *vfs, const char *path, struct toc_ids64 *out) {
    char file[4096];
    struct toc_buf bytes = {.limit_bytes = 1 << 20};
    uint32_t crc = 0;
    child(path, "replaces", file, sizeof file);
    int rc = toc_vfs_read_file(vfs, file, 1 << 19, &bytes);
    if (rc) {
        toc_buf_fini(&bytes);
        return rc;
    }
    struct toc_reader r = toc_reader_make(toc_buf_sv(&bytes));
    struct toc_sv magic = toc_read_bytes(&r, sizeof TOC_BLOCK_REPLACES_MAGIC - 1);
    uint64_t n = toc_read_varint(&r);
    if (bytes.n >= 4)
        memcpy(&crc, bytes.p + bytes.n - 4, 4);
    bool is_whole = !r.error && toc_sv_eq(magic, TOC_SV(TOC_BLOCK_REPLACES_MAGIC)) && n < bytes.n &&
                    toc_reader_left(&r) == n * 8 + 4 && crc == toc_crc32c(0, bytes.p, bytes.n - 4);
    for (uint64_t i = 0; i < n && is_whole; i++)
        TOC_VEC_PUSH(out, toc_read_u64(&r));
    toc_buf_fini(&bytes);
    return is_whole ? 0 : TOC_ECORRUPT;
}

/* When the list is damaged the others stay, which costs space. An error when it cannot be read now.
 */
static int read_replaced(struct toc_block *b, unsigned *io_damaged) {
    int rc = toc_block_read_replaced(b->vfs, b->path, &b->replaced);
    *io_damaged += rc == TOC_ECORRUPT;
    return rc == TOC_ENOENT || rc == TOC_ECORRUPT ? 0 : rc;
}

/* Damaged deletions cost less than the block; those that cannot be read now may be there later. */
static int read_deletions(struct toc_block *b, unsigned *io_damaged) {
    unsigned damaged;
    int rc = toc_tombstones_read(b->vfs, b->path, &b->tombstones, &damaged);
    *io_damaged += TOC_MAX(damaged, (unsigned)(rc != 0));
    return rc == TOC_ECORRUPT ? 0 : rc;
}

/* Merging and rewriting add nothing, so what is in such a block was in those that it replaces. */
static void note_newest(struct toc_block *b) {
    b->newest = b->meta.replaces ? b->meta.replaces : b->meta.id;
    for (size_t i = 0; i < b->replaced.count; i++)
        b->newest = i ? TOC_MAX(b->newest, b->replaced.items[i]) : b->replaced.items[0];
}

int toc_block_open(struct toc_vfs *vfs, const char *path, struct toc_block **out,
                   unsigned *out_damaged) {
    struct toc_block *b = TOC_NEW(struct toc_block);
    struct toc_block_meta second;
    char file[4096];
    struct toc_file_info info = {0};
    atomic_init(&b->refs, 1);
    b->vfs = vfs;
    b->path = toc_xstrdup(path);
    *out_damaged = 0;
    int first = read_meta(vfs, path, "index", &b->meta, &b->bytes);
    int rc = read_meta(vfs, path, "index2", &second, &b->bytes);
    *out_damaged += (first != 0) + (rc != 0);
    if (first && !rc)
        b->meta = second;
    rc = first && rc ? first : 0;
    child(path, "chunks", file, sizeof file);
    if (!rc)
        rc = vfs->info(vfs, file, &info);
    b->bytes += info.size_bytes;
    if (!rc)
        rc = read_deletions(b, out_damaged);
    if (!rc)
        rc = read_replaced(b, out_damaged);
    if (!rc)
        note_newest(b);
    if (rc)
        toc_block_unref(&b);
    *out = b;
    return rc;
}

struct toc_block *toc_block_ref(struct toc_block *b) {
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

/* The folder of a deleted block goes; when it does not, a later sweep tries again. */
static void leave(struct toc_block *b) {
    struct toc_blocks *s = b->leaves;
    const char *slash = strrchr(b->path, '/');
    char dir[4096];
    snprintf(dir, sizeof dir, "%.*s", (int)(slash - b->path), b->path);
    int rc = delete_folder(b->vfs, dir, b->meta.id);
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->leftovers.count; i++) {
        if (s->leftovers.items[i].id != b->meta.id)
            continue;
        s->leftovers.items[i].is_refused = rc != 0;
        if (!rc)
            TOC_VEC_REMOVE(&s->leftovers, i);
        break;
    }
    toc_mutex_unlock(&s->mutex);
}

void toc_block_unref(struct toc_block **block) {
    struct toc_block *b = *block;
    *block = NULL;
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    toc_block_index_unref(&b->index);
    toc_tombstones_unref(&b->tombstones);
    if (b->leaves)
        leave(b);
    TOC_VEC_FINI(&b->replaced);
    toc_free(b->path);
    toc_free(b);
}

static int open_chunks(const struct toc_block *b, struct toc_block_index **io_index) {
    char path[4096];
    struct toc_file *f = NULL;
    child(b->path, "chunks", path, sizeof path);
    int rc = b->vfs->open(b->vfs, path, TOC_OPEN_READ, &f);
    if (rc)
        toc_block_index_unref(io_index);
    else
        toc_block_index_take_file(*io_index, b->vfs, f);
    return rc;
}

int toc_block_load_index(const struct toc_block *b, struct toc_block_index **out,
                         unsigned *out_damaged) {
    static const char *const names[] = {"index", "index2"};
    int rc = TOC_ECORRUPT;
    *out_damaged = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++) {
        char file[4096];
        struct toc_buf bytes = {.limit_bytes = INDEX_FILE_MAX + 65536};
        child(b->path, names[i], file, sizeof file);
        rc = toc_vfs_read_file(b->vfs, file, INDEX_FILE_MAX, &bytes);
        if (!rc)
            rc = toc_block_index_parse(&bytes, out);
        toc_buf_fini(&bytes);
        if (!rc)
            return open_chunks(b, out);
        ++*out_damaged;
    }
    return rc;
}

/* --- the set --- */

void toc_blocks_init(struct toc_blocks *s, uint64_t cache_limit) {
    *s = (struct toc_blocks){.cache_limit = cache_limit};
    toc_mutex_init(&s->mutex, TOC_LOCK_METRICDB_BLOCKS);
}

void toc_blocks_fini(struct toc_blocks *s) {
    for (size_t i = 0; i < s->list.count; i++)
        toc_block_unref(&s->list.items[i]);
    TOC_VEC_FINI(&s->list);
    TOC_VEC_FINI(&s->leftovers);
    toc_mutex_fini(&s->mutex);
}

/* Under the lock. */
static void insert(struct toc_blocks *s, struct toc_block *take_block) {
    TOC_VEC_PUSH(&s->list, take_block);
    for (size_t i = s->list.count - 1;
         i && s->list.items[i - 1]->meta.id > s->list.items[i]->meta.id; i--) {
        struct toc_block *swap = s->list.items[i];
        s->list.items[i] = s->list.items[i - 1];
        s->list.items[i - 1] = swap;
    }
}

void toc_blocks_add(struct toc_blocks *s, struct toc_block *take_block) {
    toc_mutex_lock(&s->mutex);
    insert(s, take_block);
    toc_mutex_unlock(&s->mutex);
}

size_t toc_blocks_count(struct toc_blocks *s) {
    toc_mutex_lock(&s->mutex);
    size_t n = s->list.count;
    toc_mutex_unlock(&s->mutex);
    return n;
}

size_t toc_blocks_overlapping(struct toc_blocks *s, int64_t min_ms, int64_t max_ms,
                              struct toc_block ***out) {
    size_t n = 0;
    toc_mutex_lock(&s->mutex);
    *out = TOC_NEW_ARRAY(struct toc_block *, s->list.count + 1);
    for (size_t i = 0; i < s->list.count; i++)
        if (s->list.items[i]->meta.min_ms <= max_ms && s->list.items[i]->meta.max_ms >= min_ms)
            (*out)[n++] = toc_block_ref(s->list.items[i]);
    toc_mutex_unlock(&s->mutex);
    return n;
}

/* Drops the index least recently used until the cache fits. Under the lock. */
static void evict(struct toc_blocks *s, const struct toc_block *keep) {
    while (s->cache_bytes > s->cache_limit) {
        struct toc_block *oldest = NULL;
        for (size_t i = 0; i < s->list.count; i++) {
            struct toc_block *b = s->list.items[i];
            if (b->index && b != keep && (!oldest || b->last_use < oldest->last_use))
                oldest = b;
        }
        if (!oldest)
            return;
        s->cache_bytes -= toc_block_index_bytes(oldest->index);
        toc_block_index_unref(&oldest->index);
    }
}

static bool is_listed(const struct toc_blocks *s, const struct toc_block *b) {
    for (size_t i = 0; i < s->list.count; i++)
        if (s->list.items[i] == b)
            return true;
    return false;
}

int toc_blocks_index(struct toc_blocks *s, struct toc_block *b, struct toc_block_index **out,
                     unsigned *out_damaged) {
    *out_damaged = 0;
    toc_mutex_lock(&s->mutex);
    b->last_use = ++s->uses;
    *out = b->index ? toc_block_index_ref(b->index) : NULL;
    toc_mutex_unlock(&s->mutex);
    if (*out)
        return 0;
    int rc = toc_block_load_index(b, out, out_damaged);
    if (rc)
        return rc;
    toc_mutex_lock(&s->mutex);
    if (!b->index && is_listed(s, b)) {
        b->index = toc_block_index_ref(*out);
        s->cache_bytes += toc_block_index_bytes(*out);
        evict(s, b);
    }
    toc_mutex_unlock(&s->mutex);
    return 0;
}

/* Under the lock: false when it is not there. */
static bool take_out(struct toc_blocks *s, struct toc_block *b) {
    for (size_t i = 0; i < s->list.count; i++) {
        if (s->list.items[i] != b)
            continue;
        TOC_VEC_REMOVE(&s->list, i);
        if (b->index)
            s->cache_bytes -= toc_block_index_bytes(b->index);
        b->leaves = s;
        TOC_VEC_PUSH(&s->leftovers, ((struct toc_leftover){b->meta.id, false}));
        return true;
    }
    return false;
}

void toc_blocks_delete(struct toc_blocks *s, struct toc_block *b) {
    toc_mutex_lock(&s->mutex);
    bool was_there = take_out(s, b);
    toc_mutex_unlock(&s->mutex);
    if (was_there)
        toc_block_unref(&b);
}

void toc_blocks_leftovers(struct toc_blocks *s, struct toc_ids64 *out) {
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->leftovers.count; i++)
        TOC_VEC_PUSH(out, s->leftovers.items[i].id);
    toc_mutex_unlock(&s->mutex);
}

bool toc_blocks_has_leftovers(struct toc_blocks *s) {
    toc_mutex_lock(&s->mutex);
    bool has = s->leftovers.count > 0;
    toc_mutex_unlock(&s->mutex);
    return has;
}

/* One that the disk refused; 0 for none (ids begin with 1). Under the maintain mutex, so none comes
 * twice. */
static uint64_t take_refused(struct toc_blocks *s) {
    uint64_t id = 0;
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->leftovers.count && !id; i++)
        if (s->leftovers.items[i].is_refused) {
            id = s->leftovers.items[i].id;
            TOC_VEC_REMOVE(&s->leftovers, i);
        }
    toc_mutex_unlock(&s->mutex);
    return id;
}

static int remove_or_remember(struct toc_blocks *s, struct toc_vfs *vfs, const char *dir,
                              uint64_t id) {
    int rc = delete_folder(vfs, dir, id);
    if (!rc)
        return 0;
    toc_mutex_lock(&s->mutex);
    TOC_VEC_PUSH(&s->leftovers, ((struct toc_leftover){id, true}));
    toc_mutex_unlock(&s->mutex);
    return rc;
}

void toc_blocks_disown(struct toc_blocks *s, struct toc_vfs *vfs, const char *dir, uint64_t id) {
    (void)remove_or_remember(s, vfs, dir, id);
}

int toc_blocks_sweep(struct toc_blocks *s, struct toc_vfs *vfs, const char *dir) {
    uint64_t id;
    int rc = 0;
    while (!rc && (id = take_refused(s)))
        rc = remove_or_remember(s, vfs, dir, id);
    return rc;
}

void toc_blocks_replace(struct toc_blocks *s, struct toc_block *const *old, size_t count,
                        struct toc_block *take_block) {
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < count; i++) {
        /* The caller holds another reference, so none is the last here. */
        struct toc_block *b = old[i];
        if (take_out(s, b))
            toc_block_unref(&b);
    }
    insert(s, take_block);
    toc_mutex_unlock(&s->mutex);
}

struct toc_tombstones *toc_blocks_tombstones(struct toc_blocks *s, struct toc_block *b) {
    toc_mutex_lock(&s->mutex);
    struct toc_tombstones *t = toc_tombstones_ref(b->tombstones);
    toc_mutex_unlock(&s->mutex);
    return t;
}

void toc_blocks_set_tombstones(struct toc_blocks *s, struct toc_block *b,
                               struct toc_tombstones *take_tombstones) {
    toc_mutex_lock(&s->mutex);
    struct toc_tombstones *old = b->tombstones;
    b->tombstones = take_tombstones;
    toc_mutex_unlock(&s->mutex);
    toc_tombstones_unref(&old);
}
