#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/hash_index.h"
#include "codec/compress.h"
#include "metricdb/block.h"
#include "metricdb/block_format.h"
#include "metricdb/chunk.h"

enum { FLUSH_BYTES = 1 << 20, CHUNK_SAMPLES = 480 };

/* A label pair in the order of first use, which is its number. */
struct pair {
    struct toc_sv name, value; /* owned copies in one block at name.p */
    struct toc_buf postings;
    uint32_t series, last;
};

struct toc_block_writer {
    struct toc_vfs *vfs;
    char *dir, *tmp_path, *final_path;
    struct toc_block_meta meta;
    struct toc_file *file;
    uint64_t file_at; /* bytes of the chunks file that were written */
    struct toc_buf out;
    TOC_VEC(struct pair) pairs;
    struct toc_hash_index pair_index;
    struct toc_buf entries;
    TOC_VEC(uint32_t) entry_at;
    struct toc_buf key;
    struct toc_buf replaces; /* the file of that name; empty: none */
};

static char *join(const char *dir, const char *prefix, uint64_t id) {
    return toc_xprintf("%s/%s%010llu", dir, prefix, (unsigned long long)id);
}

static void child(const char *dir, const char *name, char *out, size_t out_size) {
    snprintf(out, out_size, "%s/%s", dir, name);
}

static void free_writer(struct toc_block_writer **writer) {
    struct toc_block_writer *w = *writer;
    if (w->file)
        toc_file_close(w->vfs, &w->file);
    for (size_t i = 0; i < w->pairs.count; i++) {
        toc_free((void *)(uintptr_t)w->pairs.items[i].name.p);
        toc_buf_fini(&w->pairs.items[i].postings);
    }
    TOC_VEC_FINI(&w->pairs);
    TOC_VEC_FINI(&w->entry_at);
    toc_hash_index_fini(&w->pair_index);
    toc_buf_fini(&w->out);
    toc_buf_fini(&w->entries);
    toc_buf_fini(&w->key);
    toc_buf_fini(&w->replaces);
    toc_free(w->dir);
    toc_free(w->tmp_path);
    toc_free(w->final_path);
    toc_free(w);
    *writer = NULL;
}

void toc_block_writer_abort(struct toc_block_writer **writer) {
    if (!*writer)
        return;
    struct toc_block_writer *w = *writer;
    if (w->file)
        toc_file_close(w->vfs, &w->file);
    toc_block_remove_dir(w->vfs, w->tmp_path);
    free_writer(writer);
}

int toc_block_writer_new(struct toc_vfs *vfs, const char *dir, const struct toc_block_meta *meta,
                         struct toc_block_writer **out) {
    struct toc_block_writer *w = TOC_NEW(struct toc_block_writer);
    char path[4096];
    w->vfs = vfs;
    w->meta = *meta;
    w->meta.min_ms = INT64_MAX;
    w->meta.max_ms = INT64_MIN;
    w->meta.series = w->meta.samples = w->meta.chunks = 0;
    w->dir = toc_xstrdup(dir);
    w->tmp_path = join(dir, "tmp-", meta->id);
    w->final_path = join(dir, "b-", meta->id);
    toc_block_remove_dir(vfs, w->tmp_path); /* of an earlier try */
    int rc = vfs->mkdir(vfs, w->tmp_path);
    child(w->tmp_path, "chunks", path, sizeof path);
    if (!rc)
        rc = vfs->open(vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE, &w->file);
    toc_buf_append_cstr(&w->out, TOC_BLOCK_CHUNKS_MAGIC);
    if (rc)
        toc_block_writer_abort(&w);
    *out = w;
    return rc;
}

/* --- chunks --- */

static int flush(struct toc_block_writer *w) {
    int64_t put = w->vfs->pwrite(w->vfs, w->file, w->out.p, w->out.n, w->file_at);
    if (put != (int64_t)w->out.n)
        return put < 0 ? (int)put : TOC_ENOSPC;
    w->file_at += w->out.n;
    toc_buf_reset(&w->out);
    return 0;
}

/* One chunk from the front of the samples [from, end), which are of one kind; how many it took. */
static size_t put_chunk(struct toc_block_writer *w, const struct toc_series_buffer *b, size_t from,
                        size_t end, struct toc_block_chunk *out) {
    size_t at = w->out.n, n = end - from;
    if (b->has_histograms && b->histograms[from]) {
        n = toc_histogram_chunk_encode(b->t_ms + from, b->histograms + from, n, &w->out);
    } else {
        size_t chunks = (n + CHUNK_SAMPLES - 1) / CHUNK_SAMPLES;
        n = n / chunks; /* all about as long */
        toc_chunk_encode(b->t_ms + from, b->values + from, n, &w->out);
    }
    *out = (struct toc_block_chunk){.offset = w->file_at + at,
                                    .bytes = (uint32_t)(w->out.n - at),
                                    .samples = (uint32_t)n,
                                    .min_ms = b->t_ms[from],
                                    .max_ms = b->t_ms[from + n - 1]};
    toc_buf_append_u32(&w->out, toc_crc32c(0, w->out.p + at, w->out.n - at));
    return n;
}

/* Where the kind of sample changes. */
static size_t run_end(const struct toc_series_buffer *b, size_t from) {
    size_t end = from + 1;
    if (!b->has_histograms)
        return b->count;
    while (end < b->count && !b->histograms[end] == !b->histograms[from])
        end++;
    return end;
}

/* --- entries --- */

static void add_pair(struct toc_block_writer *w, struct toc_label l) {
    char *copy = toc_xalloc(l.name.n + l.value.n);
    memcpy(copy, l.name.p, l.name.n);
    if (l.value.n)
        memcpy(copy + l.name.n, l.value.p, l.value.n);
    struct pair p = {.name = {copy, l.name.n}, .value = {copy + l.name.n, l.value.n}};
    TOC_VEC_PUSH(&w->pairs, p);
}

static uint32_t pair_number(struct toc_block_writer *w, struct toc_label l) {
    uint32_t hash = (uint32_t)toc_hash64(l.value.p, l.value.n, toc_hash64(l.name.p, l.name.n, 0));
    uint32_t number;
    struct toc_hash_walk walk = toc_hash_index_walk(&w->pair_index, hash);
    while (toc_hash_walk_next(&walk, &number)) {
        const struct pair *p = &w->pairs.items[number];
        if (toc_sv_eq(p->value, l.value) && toc_sv_eq(p->name, l.name))
            return number;
    }
    number = (uint32_t)w->pairs.count;
    toc_hash_index_put(&w->pair_index, hash, number);
    add_pair(w, l);
    return number;
}

static void put_labels(struct toc_block_writer *w, struct toc_labels labels) {
    toc_buf_append_varint(&w->entries, labels.count);
    for (size_t i = 0; i < labels.count; i++) {
        uint32_t number = pair_number(w, labels.items[i]);
        struct pair *p = &w->pairs.items[number];
        toc_buf_append_varint(&p->postings, w->meta.series - p->last);
        if (p->postings.error)
            w->entries.error = p->postings.error;
        p->last = (uint32_t)w->meta.series;
        p->series++;
        toc_buf_append_varint(&w->entries, number);
    }
}

static void put_chunk_entry(struct toc_buf *out, const struct toc_block_chunk *c, uint64_t *io_end,
                            int64_t *io_last_ms) {
    toc_buf_append_varint(out, c->offset - *io_end);
    toc_buf_append_varint(out, c->bytes);
    toc_buf_append_zigzag(out, (int64_t)((uint64_t)c->min_ms - (uint64_t)*io_last_ms));
    toc_buf_append_varint(out, (uint64_t)c->max_ms - (uint64_t)c->min_ms);
    toc_buf_append_varint(out, c->samples);
    *io_end = c->offset + c->bytes;
    *io_last_ms = c->max_ms;
}

bool toc_block_writer_is_empty(const struct toc_block_writer *w) {
    return !w->meta.samples;
}

/* Writes the chunks, their entries go to w->key; how many. */
static size_t put_chunks(struct toc_block_writer *w, const struct toc_series_buffer *b) {
    size_t chunks = 0;
    uint64_t file_end = 0;
    int64_t last_ms = 0;
    toc_buf_reset(&w->key);
    for (size_t from = 0; from < b->count;) {
        size_t end = run_end(b, from);
        for (; from < end; chunks++) {
            struct toc_block_chunk c;
            from += put_chunk(w, b, from, end, &c);
            put_chunk_entry(&w->key, &c, &file_end, &last_ms);
        }
    }
    return chunks;
}

/* Ends the entry of a series whose chunk entries stand in w->key. */
static int end_series(struct toc_block_writer *w, size_t chunks, uint64_t samples, int64_t min_ms,
                      int64_t max_ms) {
    toc_buf_append_varint(&w->entries, chunks);
    toc_buf_append_sv(&w->entries, toc_buf_sv(&w->key));
    w->meta.series++;
    w->meta.samples += samples;
    w->meta.chunks += chunks;
    w->meta.min_ms = TOC_MIN(w->meta.min_ms, min_ms);
    w->meta.max_ms = TOC_MAX(w->meta.max_ms, max_ms);
    if (w->entries.error || w->out.error || w->key.error)
        return TOC_ENOMEM;
    return w->out.n >= FLUSH_BYTES ? flush(w) : 0;
}

int toc_block_writer_add(struct toc_block_writer *w, struct toc_labels labels,
                         const struct toc_series_buffer *samples) {
    if (!samples->count)
        return 0;
    TOC_VEC_PUSH(&w->entry_at, (uint32_t)w->entries.n);
    put_labels(w, labels);
    size_t chunks = put_chunks(w, samples);
    return end_series(w, chunks, samples->count, samples->t_ms[0],
                      samples->t_ms[samples->count - 1]);
}

int toc_block_writer_add_raw(struct toc_block_writer *w, struct toc_labels labels,
                             const struct toc_block_chunk *chunks, size_t count,
                             struct toc_sv bytes) {
    uint64_t file_end = 0, samples = 0;
    int64_t last_ms = 0;
    size_t at = 0;
    TOC_VEC_PUSH(&w->entry_at, (uint32_t)w->entries.n);
    put_labels(w, labels);
    toc_buf_reset(&w->key);
    for (size_t i = 0; i < count; i++) {
        struct toc_block_chunk c = chunks[i];
        c.offset = w->file_at + w->out.n;
        toc_buf_append(&w->out, bytes.p + at, c.bytes);
        toc_buf_append_u32(&w->out, toc_crc32c(0, bytes.p + at, c.bytes));
        put_chunk_entry(&w->key, &c, &file_end, &last_ms);
        samples += c.samples;
        at += c.bytes;
    }
    return end_series(w, count, samples, chunks[0].min_ms, chunks[count - 1].max_ms);
}

void toc_block_writer_replaces(struct toc_block_writer *w, const struct toc_ids64 *ids) {
    toc_buf_reset(&w->replaces);
    toc_buf_append_cstr(&w->replaces, TOC_BLOCK_REPLACES_MAGIC);
    toc_buf_append_varint(&w->replaces, ids->count);
    for (size_t i = 0; i < ids->count; i++)
        toc_buf_append_u64(&w->replaces, ids->items[i]);
    toc_buf_append_u32(&w->replaces, toc_crc32c(0, w->replaces.p, w->replaces.n));
}

/* --- the index --- */

static int by_label(const void *a, const void *b) {
    const struct pair *x = *(struct pair *const *)a, *y = *(struct pair *const *)b;
    int c = toc_sv_cmp(x->name, y->name);
    return c ? c : toc_sv_cmp(x->value, y->value);
}

/* Its list is not needed any more. */
static void put_pair(struct toc_block_writer *w, struct pair *p, struct toc_buf *out) {
    toc_buf_append_varint(out, (uint64_t)(p - w->pairs.items));
    toc_buf_append_varint(out, p->value.n);
    toc_buf_append_sv(out, p->value);
    toc_buf_append_varint(out, p->series);
    toc_buf_append_varint(out, p->postings.n);
    toc_buf_append_sv(out, toc_buf_sv(&p->postings));
    toc_buf_fini(&p->postings);
}

/* About what the names take, and what follows them. */
static size_t body_bytes(const struct toc_block_writer *w) {
    size_t n = w->entries.n + w->entry_at.count * 4 + 64;
    for (size_t i = 0; i < w->pairs.count; i++) {
        const struct pair *p = &w->pairs.items[i];
        n += p->name.n + p->value.n + p->postings.n + 20;
    }
    return n;
}

static void put_names(struct toc_block_writer *w, struct toc_buf *out) {
    struct pair **order = TOC_NEW_ARRAY(struct pair *, w->pairs.count + 1);
    for (size_t i = 0; i < w->pairs.count; i++)
        order[i] = &w->pairs.items[i];
    qsort(order, w->pairs.count, sizeof *order, by_label);
    uint64_t names = 0;
    for (size_t i = 0; i < w->pairs.count; i++)
        names += !i || !toc_sv_eq(order[i]->name, order[i - 1]->name);
    toc_buf_append_varint(out, names);
    toc_buf_append_varint(out, w->pairs.count);
    for (size_t i = 0; i < w->pairs.count;) {
        size_t end = i + 1;
        while (end < w->pairs.count && toc_sv_eq(order[end]->name, order[i]->name))
            end++;
        toc_buf_append_varint(out, order[i]->name.n);
        toc_buf_append_sv(out, order[i]->name);
        toc_buf_append_varint(out, end - i);
        for (; i < end; i++)
            put_pair(w, order[i], out);
    }
    toc_free(order);
}

static void put_index(struct toc_block_writer *w, struct toc_buf *out) {
    struct toc_buf body = TOC_BUF_INIT;
    toc_buf_reserve(&body, body_bytes(w)); /* growing would have it twice */
    put_names(w, &body);
    size_t entries = body.n;
    toc_buf_append_sv(&body, toc_buf_sv(&w->entries));
    toc_buf_fini(&w->entries);
    for (size_t i = 0; i < w->entry_at.count; i++)
        toc_buf_append_u32(&body, w->entry_at.items[i]);
    toc_buf_append_u32(&body, (uint32_t)entries);
    w->meta.body_bytes = body.n;
    toc_block_put_meta(out, &w->meta);
    int rc = body.error ? body.error : toc_compress(TOC_COMPRESSION_ZSTD, toc_buf_sv(&body), out);
    toc_buf_append_u32(out, toc_crc32c(0, out->p, out->n));
    if (rc)
        out->error = rc;
    toc_buf_fini(&body);
}

static int write_whole(struct toc_block_writer *w, const char *name, const struct toc_buf *bytes) {
    char path[4096];
    struct toc_file *f = NULL;
    child(w->tmp_path, name, path, sizeof path);
    int rc = w->vfs->open(w->vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE, &f);
    if (rc)
        return rc;
    int64_t put = w->vfs->pwrite(w->vfs, f, bytes->p, bytes->n, 0);
    rc = put == (int64_t)bytes->n ? w->vfs->sync(w->vfs, f) : put < 0 ? (int)put : TOC_ENOSPC;
    toc_file_close(w->vfs, &f);
    return rc;
}

static int finish(struct toc_block_writer *w) {
    struct toc_buf index = TOC_BUF_INIT;
    int rc = flush(w);
    if (!rc)
        rc = w->vfs->sync(w->vfs, w->file);
    put_index(w, &index);
    if (!rc)
        rc = index.error;
    if (!rc)
        rc = write_whole(w, "index", &index);
    if (!rc)
        rc = write_whole(w, "index2", &index);
    toc_buf_fini(&index);
    if (!rc)
        rc = w->replaces.error;
    if (!rc && w->replaces.n)
        rc = write_whole(w, "replaces", &w->replaces);
    if (!rc)
        rc = w->vfs->sync_dir(w->vfs, w->tmp_path);
    if (!rc)
        rc = w->vfs->rename(w->vfs, w->tmp_path, w->final_path);
    return rc ? rc : w->vfs->sync_dir(w->vfs, w->dir);
}

int toc_block_writer_finish(struct toc_block_writer **writer, struct toc_block_meta *out_meta) {
    int rc = finish(*writer);
    *out_meta = (*writer)->meta;
    if (rc)
        toc_block_writer_abort(writer);
    else
        free_writer(writer);
    return rc;
}
