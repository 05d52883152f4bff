/* Reading a checkpoint into an empty head: the pairs, then the shards side by side, then the index.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/checkpoint.h"
#include "metricdb/head_restore.h"
#include "metricdb/wal.h"
#include "sys/pool.h"

enum { WORKERS = 4 };

struct load {
    struct toc_head *head;
    struct toc_checkpoint_reader chunks, open;
    int codes[TOC_HEAD_SHARDS];
    struct toc_buf buffers[WORKERS]; /* one per worker */
};

void toc_checkpoint_path(const char *dir, enum toc_checkpoint_kind kind, uint64_t number, char *out,
                         size_t out_size) {
    snprintf(out, out_size, "%s/%010llu.%s", dir, (unsigned long long)number,
             kind == TOC_CHECKPOINT_OPEN_FILE ? "open" : "chunks");
}

uint64_t toc_checkpoint_number(const char *name, enum toc_checkpoint_kind *out_kind) {
    uint64_t number = 0;
    size_t n = 0;
    for (; name[n] >= '0' && name[n] <= '9' && number < UINT32_MAX; n++)
        number = number * 10 + (uint64_t)(name[n] - '0');
    struct toc_sv end = toc_sv_cstr(name + n);
    *out_kind =
        toc_sv_eq(end, TOC_SV(".open")) ? TOC_CHECKPOINT_OPEN_FILE : TOC_CHECKPOINT_CHUNKS_FILE;
    return n == 10 && (toc_sv_eq(end, TOC_SV(".open")) || toc_sv_eq(end, TOC_SV(".chunks")))
               ? number
               : 0;
}

/* --- pairs --- */

static int take_pairs(struct load *l, struct toc_sv payload) {
    struct toc_reader r = toc_reader_make(payload);
    while (!r.error && toc_reader_left(&r)) {
        uint64_t id = toc_read_varint(&r);
        struct toc_label label = {0};
        label.name = toc_read_string(&r);
        label.value = toc_read_string(&r);
        if (r.error || id > UINT32_MAX ||
            !toc_index_restore_pair(&l->head->index, (uint32_t)id, label))
            return TOC_ECORRUPT;
    }
    return r.error ? TOC_ECORRUPT : 0;
}

static int load_pairs(struct load *l) {
    int rc = 0;
    for (size_t i = 0; i < l->chunks.records.count && !rc; i++) {
        const struct toc_checkpoint_record *x = &l->chunks.records.items[i];
        if (x->type != TOC_CHECKPOINT_PAIRS)
            continue;
        rc = toc_checkpoint_read(&l->chunks, x, &l->buffers[0]);
        if (!rc)
            rc = take_pairs(l, toc_buf_sv(&l->buffers[0]));
    }
    return rc;
}

/* --- shards --- */

static int take_chunks(struct toc_head_shard *shard, struct toc_series *s, bool histograms,
                       struct toc_reader *r) {
    int rc = toc_series_restore_keep(shard, s, histograms, toc_read_varint(r));
    uint64_t count = toc_read_varint(r);
    for (uint64_t i = 0; i < count && !rc; i++) {
        struct toc_restored_chunk c = {.min_ms = toc_read_zigzag(r)};
        c.max_ms = (int64_t)((uint64_t)c.min_ms + toc_read_varint(r));
        c.count = toc_read_varint(r);
        c.bytes = toc_read_string(r);
        rc = r->error ? TOC_ECORRUPT : toc_series_restore_chunk(shard, s, histograms, &c);
    }
    return rc;
}

/* The series that an entry is about, made when the entry has its pairs. */
static int take_series(struct load *l, struct toc_head_shard *shard, struct toc_reader *r,
                       struct toc_series **out) {
    uint32_t pairs[TOC_SERIES_LABELS_MAX];
    uint64_t id = toc_read_varint(r), count = toc_read_varint(r);
    if (r->error || count > TOC_SERIES_LABELS_MAX || id > UINT32_MAX)
        return TOC_ECORRUPT;
    *out = toc_head_restored(l->head, shard, id);
    if (!count)
        return *out ? 0 : TOC_ECORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t pair = toc_read_varint(r);
        if (!toc_index_has_pair(&l->head->index, pair))
            return TOC_ECORRUPT;
        pairs[i] = (uint32_t)pair;
    }
    return r->error ? TOC_ECORRUPT
                    : toc_head_restore_series(l->head, shard, (uint32_t)id, pairs, count, out);
}

static int take_closed(struct load *l, struct toc_head_shard *shard, struct toc_sv payload) {
    struct toc_reader r = toc_reader_make(payload);
    int rc = 0;
    while (!rc && !r.error && toc_reader_left(&r)) {
        struct toc_series *s;
        rc = take_series(l, shard, &r, &s);
        if (!rc)
            rc = take_chunks(shard, s, false, &r);
        if (!rc)
            rc = take_chunks(shard, s, true, &r);
    }
    return rc ? rc : r.error ? TOC_ECORRUPT : 0;
}

static int take_open(struct load *l, struct toc_head_shard *shard, struct toc_sv payload) {
    struct toc_reader r = toc_reader_make(payload);
    int rc = 0;
    while (!rc && !r.error && toc_reader_left(&r)) {
        struct toc_series *s = toc_head_restored(l->head, shard, toc_read_varint(&r));
        uint64_t count = toc_read_varint(&r);
        struct toc_sv bytes = toc_read_string(&r);
        uint64_t histogram_count = toc_read_varint(&r);
        struct toc_sv histograms = toc_read_string(&r);
        rc = !s || r.error
                 ? TOC_ECORRUPT
                 : toc_series_restore_open(shard, s, count, bytes, histogram_count, histograms);
    }
    return rc ? rc : r.error ? TOC_ECORRUPT : 0;
}

static int load_records(struct load *l, const struct toc_checkpoint_reader *file,
                        enum toc_checkpoint_type type, size_t number, struct toc_buf *buffer) {
    struct toc_head_shard *shard = &l->head->shards[number];
    int rc = 0;
    for (size_t i = 0; i < file->records.count && !rc; i++) {
        const struct toc_checkpoint_record *x = &file->records.items[i];
        if (x->type != type || x->shard != number)
            continue;
        rc = toc_checkpoint_read(file, x, buffer);
        if (!rc)
            rc = type == TOC_CHECKPOINT_SERIES ? take_closed(l, shard, toc_buf_sv(buffer))
                                               : take_open(l, shard, toc_buf_sv(buffer));
    }
    return rc;
}

static void load_shard(void *arg, size_t number, size_t worker) {
    struct load *l = arg;
    struct toc_buf *buffer = &l->buffers[worker];
    int rc = load_records(l, &l->chunks, TOC_CHECKPOINT_SERIES, number, buffer);
    if (!rc)
        rc = load_records(l, &l->open, TOC_CHECKPOINT_OPEN, number, buffer);
    if (!rc)
        toc_head_restore_sums(&l->head->shards[number]);
    l->codes[number] = rc;
}

static int load_shards(struct load *l) {
    struct toc_pool *pool = NULL;
    struct toc_executor *x = NULL;
    if (toc_pool_new(WORKERS, &pool, NULL) == 0)
        x = toc_pool_executor(pool);
    toc_execute(x, TOC_HEAD_SHARDS, load_shard, l);
    toc_pool_free(&pool);
    int rc = 0;
    for (int i = 0; i < TOC_HEAD_SHARDS; i++)
        rc = rc ? rc : l->codes[i];
    return rc;
}

/* --- one checkpoint --- */

/* Are these records of the kinds and shards that a file of this kind has? */
static bool are_kinds_right(const struct toc_checkpoint_reader *file, bool is_open_file) {
    for (size_t i = 0; i < file->records.count; i++) {
        const struct toc_checkpoint_record *x = &file->records.items[i];
        bool is_last = i + 1 == file->records.count;
        bool fits = is_open_file
                        ? x->type == (is_last ? TOC_CHECKPOINT_END : TOC_CHECKPOINT_OPEN)
                        : x->type == TOC_CHECKPOINT_PAIRS || x->type == TOC_CHECKPOINT_SERIES;
        if (!fits || x->shard >= TOC_HEAD_SHARDS)
            return false;
    }
    return file->records.count || !is_open_file;
}

static int read_end(struct load *l, struct toc_checkpoint_end *out) {
    if (!are_kinds_right(&l->open, true))
        return TOC_ECORRUPT;
    const struct toc_checkpoint_record *last = &l->open.records.items[l->open.records.count - 1];
    int rc = toc_checkpoint_read(&l->open, last, &l->buffers[0]);
    return rc ? rc : toc_checkpoint_get_end(toc_buf_sv(&l->buffers[0]), out);
}

static int open_files(struct load *l, struct toc_vfs *vfs, const char *dir, uint64_t number,
                      struct toc_checkpoint_end *end) {
    char path[4096];
    toc_checkpoint_path(dir, TOC_CHECKPOINT_OPEN_FILE, number, path, sizeof path);
    int rc = toc_checkpoint_open(&l->open, vfs, path, number, UINT64_MAX);
    if (!rc)
        rc = read_end(l, end);
    if (rc)
        return rc;
    toc_checkpoint_path(dir, TOC_CHECKPOINT_CHUNKS_FILE, end->chain, path, sizeof path);
    rc = toc_checkpoint_open(&l->chunks, vfs, path, end->chain, end->chain_bytes);
    return rc ? rc : are_kinds_right(&l->chunks, false) ? 0 : TOC_ECORRUPT;
}

int toc_checkpoint_restore(struct toc_vfs *vfs, const char *dir, uint64_t number,
                           struct toc_head *head, struct toc_checkpoint_end *out) {
    struct load *l = TOC_NEW(struct load);
    struct toc_checkpoint_end end = {0};
    l->head = head;
    int rc = open_files(l, vfs, dir, number, &end);
    if (!rc)
        rc = load_pairs(l);
    if (!rc)
        rc = load_shards(l);
    if (!rc)
        toc_head_restore_index(head);
    if (!rc && atomic_load_explicit(&head->series_count, memory_order_relaxed) != end.series)
        rc = TOC_ECORRUPT;
    for (int i = 0; i < WORKERS; i++)
        toc_buf_fini(&l->buffers[i]);
    toc_checkpoint_close(&l->open);
    toc_checkpoint_close(&l->chunks);
    toc_free(l);
    if (rc)
        toc_checkpoint_fini_end(&end);
    *out = end;
    return rc;
}
