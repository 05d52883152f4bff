#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "codec/json.h"
#include "promtsdb/big_endian.h"
#include "promtsdb/block.h"
#include "promtsdb/format.h"
#include "promtsdb/histogram_chunk.h"
#include "promtsdb/index_read.h"
#include "promtsdb/msb_bits.h"
#include "promtsdb/xor_chunk.h"

enum {
    META_BYTES_MAX = 1 << 20,
    TOMBSTONES_BYTES_MAX = 256 << 20,
    SEGMENT_BYTES_MAX = 1 << 30,
    WINDOW_BYTES = 1 << 20, /* of a segment, read at once */
    CHUNK_BYTES_MAX = 1 << 20,
    PATH_BYTES = 4096,
};

struct stone {
    uint64_t series;
    int64_t min_ms, max_ms;
};

/* A stretch of one chunk segment. */
struct window {
    struct toc_file *file;
    uint32_t segment; /* valid while file is set */
    uint64_t at;
    struct toc_buf bytes;
};

struct toc_prom_block {
    struct toc_vfs *vfs;
    char *path;
    struct toc_prom_block_meta meta;
    struct toc_prom_index index;
    TOC_VEC(struct stone) stones; /* by series */
    bool has_bad_stones;
    size_t stone_first, stone_count; /* of the series at hand */
    struct window window;
    struct toc_prom_series series;
    TOC_VEC(int64_t) t_ms;
    TOC_VEC(double) values;
    struct toc_arena histograms; /* of the chunk at hand */
};

/* --- opening --- */

static int read_meta(struct toc_prom_block *b, struct toc_err *err) {
    char *path = toc_xprintf("%s/meta.json", b->path);
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_arena arena = TOC_ARENA_INIT;
    const struct toc_json *doc = NULL;
    struct toc_sv ulid = TOC_SV_NULL;
    int64_t version = 0;
    int rc = toc_vfs_read_file(b->vfs, path, META_BYTES_MAX, &text);
    if (rc)
        toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc));
    if (!rc)
        rc = toc_json_parse(toc_buf_sv(&text), &arena, &doc, err);
    if (!rc)
        rc = toc_json_get_string(doc, "ulid", TOC_SV(""), &ulid, err);
    if (!rc)
        rc = toc_json_get_int(doc, "minTime", 0, &b->meta.min_ms, err);
    if (!rc)
        rc = toc_json_get_int(doc, "maxTime", 0, &b->meta.max_ms, err);
    if (!rc)
        rc = toc_json_get_int(doc, "version", 0, &version, err);
    if (!rc && version != 1)
        rc = toc_errf(err, TOC_EVERSION, "version %lld; 1 is read", (long long)version);
    if (!rc)
        toc_sv_copy(ulid, b->meta.ulid, sizeof b->meta.ulid);
    else
        toc_err_prefix(err, "%s: ", path);
    toc_arena_fini(&arena);
    toc_buf_fini(&text);
    toc_free(path);
    return rc;
}

static int by_series(const void *a, const void *b) {
    const struct stone *x = a, *y = b;
    return x->series < y->series ? -1 : x->series > y->series;
}

/* magic, version | (varint series, zigzag from, zigzag to) … | checksum of those. */
static int parse_stones(struct toc_prom_block *b, struct toc_sv text) {
    struct toc_reader r = toc_reader_make(text);
    if (text.n < 9 || toc_get_be32(&r) != TOC_PROM_TOMBSTONES_MAGIC ||
        toc_read_u8(&r) != TOC_PROM_TOMBSTONES_VERSION)
        return TOC_ECORRUPT;
    struct toc_sv body = toc_read_bytes(&r, text.n - 9);
    if (toc_get_be32(&r) != toc_crc32c(0, body.p, body.n))
        return TOC_ECORRUPT;
    struct toc_reader in = toc_reader_make(body);
    while (toc_reader_left(&in) && !in.error) {
        struct stone s = {.series = toc_read_varint(&in)};
        s.min_ms = toc_read_zigzag(&in);
        s.max_ms = toc_read_zigzag(&in);
        if (!in.error)
            TOC_VEC_PUSH(&b->stones, s);
    }
    if (b->stones.count > 1)
        qsort(b->stones.items, b->stones.count, sizeof *b->stones.items, by_series);
    return in.error ? TOC_ECORRUPT : 0;
}

static void read_stones(struct toc_prom_block *b) {
    char *path = toc_xprintf("%s/tombstones", b->path);
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_vfs_read_file(b->vfs, path, TOMBSTONES_BYTES_MAX, &text);
    if (!rc)
        rc = parse_stones(b, toc_buf_sv(&text));
    b->has_bad_stones = rc && rc != TOC_ENOENT;
    toc_buf_fini(&text);
    toc_free(path);
}

int toc_prom_block_open(struct toc_vfs *vfs, const char *path, struct toc_prom_block **out,
                        struct toc_err *err) {
    struct toc_prom_block *b = TOC_NEW(struct toc_prom_block);
    b->vfs = vfs;
    b->path = toc_xstrdup(path);
    char *index = toc_xprintf("%s/index", path);
    int rc = read_meta(b, err);
    if (!rc)
        rc = toc_prom_index_load(vfs, index, &b->index, err);
    if (!rc)
        read_stones(b);
    toc_free(index);
    if (rc)
        toc_prom_block_close(&b);
    *out = b;
    return rc;
}

void toc_prom_block_close(struct toc_prom_block **bp) {
    struct toc_prom_block *b = *bp;
    if (!b)
        return;
    toc_file_close(b->vfs, &b->window.file);
    toc_buf_fini(&b->window.bytes);
    toc_prom_index_fini(&b->index);
    toc_prom_series_fini(&b->series);
    TOC_VEC_FINI(&b->stones);
    TOC_VEC_FINI(&b->t_ms);
    TOC_VEC_FINI(&b->values);
    toc_arena_fini(&b->histograms);
    toc_free(b->path);
    toc_free(b);
    *bp = NULL;
}

const struct toc_prom_block_meta *toc_prom_block_meta(const struct toc_prom_block *b) {
    return &b->meta;
}

/* --- chunks --- */

static int open_segment(struct toc_prom_block *b, uint32_t segment) {
    struct window *w = &b->window;
    if (w->file && w->segment == segment)
        return 0;
    toc_file_close(b->vfs, &w->file);
    w->bytes.n = 0;
    w->segment = segment;
    char *path = toc_xprintf("%s/chunks/%06u", b->path, segment + 1);
    int rc = toc_file_open(b->vfs, path, TOC_OPEN_READ, &w->file);
    toc_free(path);
    return rc;
}

/* `need` bytes at `at`, or as many as there are. */
static int look_at(struct toc_prom_block *b, uint64_t at, size_t need, struct toc_sv *out) {
    struct window *w = &b->window;
    if (at < w->at || at + need > w->at + w->bytes.n) {
        toc_buf_reset(&w->bytes);
        size_t want = need > WINDOW_BYTES ? need : WINDOW_BYTES;
        char *room = toc_buf_reserve(&w->bytes, want);
        int64_t got = room ? b->vfs->pread(b->vfs, w->file, room, want, at) : TOC_ENOMEM;
        if (got < 0)
            return (int)got;
        w->at = at;
        w->bytes.n = (size_t)got;
    }
    *out = toc_sv_sub(toc_buf_sv(&w->bytes), (size_t)(at - w->at), need);
    return 0;
}

/* length | encoding | data | checksum of encoding and data */
static int read_chunk(struct toc_prom_block *b, uint64_t ref, unsigned *out_encoding,
                      struct toc_sv *out_data) {
    enum { HEAD = 10 };
    struct toc_sv head = TOC_SV_NULL, whole = TOC_SV_NULL;
    uint32_t at = (uint32_t)ref;
    int rc = open_segment(b, (uint32_t)(ref >> 32));
    if (!rc)
        rc = look_at(b, at, HEAD, &head);
    if (rc)
        return rc;
    struct toc_reader r = toc_reader_make(head);
    uint64_t n = toc_read_varint(&r);
    if (r.error || n > CHUNK_BYTES_MAX || at < TOC_PROM_CHUNKS_HEADER_BYTES)
        return TOC_ECORRUPT;
    size_t prefix = r.at;
    rc = look_at(b, at + prefix, (size_t)n + 5, &whole);
    if (rc)
        return rc;
    r = toc_reader_make(whole);
    struct toc_sv covered = toc_read_bytes(&r, (size_t)n + 1);
    if (toc_get_be32(&r) != toc_crc32c(0, covered.p, covered.n) || r.error)
        return TOC_ECORRUPT;
    *out_encoding = (uint8_t)covered.p[0];
    *out_data = toc_sv_sub(covered, 1, covered.n);
    return 0;
}

static int append_chunk(struct toc_prom_block *b, struct toc_sv data) {
    size_t n = toc_prom_xor_count(data), had = b->t_ms.count;
    TOC_VEC_RESERVE(&b->t_ms, had + n);
    TOC_VEC_RESERVE(&b->values, had + n);
    int rc = toc_prom_xor_decode(data, b->t_ms.items + had, b->values.items + had);
    if (!rc)
        b->t_ms.count = b->values.count = had + n;
    return rc;
}

/* --- series --- */

/* The stones of the series at hand; series come in the order of their ids. */
static void find_stones(struct toc_prom_block *b) {
    size_t i = b->stone_first + b->stone_count;
    while (i < b->stones.count && b->stones.items[i].series < b->series.id)
        i++;
    b->stone_first = i;
    while (i < b->stones.count && b->stones.items[i].series == b->series.id)
        i++;
    b->stone_count = i - b->stone_first;
}

static bool is_deleted(const struct toc_prom_block *b, int64_t t_ms) {
    for (size_t i = b->stone_first; i < b->stone_first + b->stone_count; i++)
        if (t_ms >= b->stones.items[i].min_ms && t_ms <= b->stones.items[i].max_ms)
            return true;
    return false;
}

/* Chunks may overlap the range, and, after a merge of overlapping blocks, each other. */
static void keep_wanted(struct toc_prom_block *b, int64_t min_ms, int64_t max_ms) {
    size_t kept = 0;
    for (size_t i = 0; i < b->t_ms.count; i++) {
        int64_t t = b->t_ms.items[i];
        if (t < min_ms || t > max_ms || is_deleted(b, t) || (kept && t <= b->t_ms.items[kept - 1]))
            continue;
        b->t_ms.items[kept] = t;
        b->values.items[kept++] = b->values.items[i];
    }
    b->t_ms.count = b->values.count = kept;
}

static void tell_chunk(const struct toc_prom_visitor *v, uint64_t ref, int rc) {
    char file[32], what[128];
    snprintf(file, sizeof file, "chunks/%06u", (unsigned)(ref >> 32) + 1);
    snprintf(what, sizeof what, "a chunk cannot be read: %s", toc_strerror(rc));
    v->damage(v->ctx, file, (uint32_t)ref, what);
}

static void keep_wanted_histograms(const struct toc_prom_block *b, int64_t min_ms, int64_t max_ms,
                                   struct toc_prom_histograms *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        int64_t t = c->t_ms[i];
        if (t < min_ms || t > max_ms || is_deleted(b, t))
            continue;
        c->t_ms[kept] = t;
        c->items[kept++] = c->items[i];
    }
    c->count = kept;
}

/* Floats are collected, histograms told at once: *out_stop is what the visitor returned. */
static int take_chunk(struct toc_prom_block *b, unsigned encoding, struct toc_sv data,
                      int64_t min_ms, int64_t max_ms, const struct toc_prom_visitor *v,
                      int *out_stop) {
    struct toc_labels labels = {b->series.labels.items, b->series.labels.count};
    struct toc_prom_histograms c;
    if (encoding == TOC_PROM_CHUNK_XOR)
        return append_chunk(b, data);
    if (encoding != TOC_PROM_CHUNK_HISTOGRAM && encoding != TOC_PROM_CHUNK_FLOAT_HISTOGRAM)
        return TOC_EUNSUPPORTED;
    toc_arena_reset(&b->histograms);
    int rc = toc_prom_histogram_decode(data, encoding == TOC_PROM_CHUNK_FLOAT_HISTOGRAM,
                                       &b->histograms, &c);
    if (rc)
        return rc;
    keep_wanted_histograms(b, min_ms, max_ms, &c);
    if (c.count)
        *out_stop = v->histograms(v->ctx, labels, c.t_ms, c.items, c.count);
    return 0;
}

static int read_one(struct toc_prom_block *b, int64_t min_ms, int64_t max_ms,
                    const struct toc_prom_visitor *v) {
    struct toc_labels labels = {b->series.labels.items, b->series.labels.count};
    int stop = 0;
    b->t_ms.count = b->values.count = 0;
    find_stones(b);
    for (size_t i = 0; i < b->series.chunks.count && !stop; i++) {
        const struct toc_prom_chunk_info *c = &b->series.chunks.items[i];
        unsigned encoding = 0;
        struct toc_sv data;
        if (c->max_ms < min_ms || c->min_ms > max_ms)
            continue;
        int rc = read_chunk(b, c->ref, &encoding, &data);
        if (!rc)
            rc = take_chunk(b, encoding, data, min_ms, max_ms, v, &stop);
        if (rc)
            tell_chunk(v, c->ref, rc);
    }
    keep_wanted(b, min_ms, max_ms);
    if (stop || !b->t_ms.count)
        return stop;
    return v->samples(v->ctx, labels, b->t_ms.items, b->values.items, b->t_ms.count);
}

int toc_prom_block_read(struct toc_prom_block *b, int64_t min_ms, int64_t max_ms,
                        const struct toc_prom_visitor *v, struct toc_err *err) {
    uint64_t at = b->index.series_begin, damaged;
    b->stone_first = b->stone_count = 0;
    if (b->has_bad_stones)
        v->damage(v->ctx, "tombstones", 0,
                  "the list of deletions cannot be read: what was deleted is back");
    for (;;) {
        bool is_there = toc_prom_index_next(&b->index, &at, &b->series, &damaged);
        if (damaged)
            v->damage(v->ctx, "index", damaged, "series cannot be read");
        if (!is_there)
            return 0;
        int rc = read_one(b, min_ms, max_ms, v);
        if (rc)
            return toc_errf(err, rc, "reading of %s stopped: %s", b->path, toc_strerror(rc));
    }
}
