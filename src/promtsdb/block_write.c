#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "codec/json_writer.h"
#include "promtsdb/big_endian.h"
#include "promtsdb/block.h"
#include "promtsdb/format.h"
#include "promtsdb/histogram_chunk.h"
#include "promtsdb/index_write.h"
#include "promtsdb/xor_chunk.h"
#include "sys/random.h"

enum {
    CHUNK_SAMPLES = 120, /* as Prometheus' head makes them */
    FLUSH_BYTES = 1 << 20,
};
#define SEGMENT_BYTES ((uint64_t)512 << 20)
#define INDEX_BYTES_MAX ((size_t)1 << 30) /* what the reader takes */

struct toc_prom_block_writer {
    struct toc_vfs *vfs;
    char *dir, *begun, *final; /* the folder, the block's name while it is made and afterwards */
    struct toc_prom_block_meta meta;
    struct toc_prom_index_writer index;
    struct toc_file *segment;
    uint32_t segment_number; /* from 1; 0: none yet */
    uint64_t segment_bytes;  /* written and in `out` */
    struct toc_buf out, data;
    TOC_VEC(struct toc_prom_chunk_info) chunks; /* of the series at hand */
    struct toc_arena scratch;
};

/* Crockford's base 32: 48 bits of time, 80 bits of chance (github.com/ulid/spec). */
static void make_ulid(int64_t now_ms, char out[TOC_PROM_ULID_BYTES + 1]) {
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint8_t chance[16];
    uint64_t time = (uint64_t)now_ms;
    toc_random_bytes(chance, sizeof chance);
    for (int i = 9; i >= 0; i--, time >>= 5)
        out[i] = digits[time & 31];
    for (int i = 0; i < 16; i++)
        out[10 + i] = digits[chance[i] & 31];
    out[TOC_PROM_ULID_BYTES] = '\0';
}

/* --- files --- */

static int flush(struct toc_prom_block_writer *w) {
    if (w->out.error)
        return w->out.error;
    int64_t put = w->out.n ? w->vfs->append(w->vfs, w->segment, w->out.p, w->out.n) : 0;
    if (put != (int64_t)w->out.n)
        return put < 0 ? (int)put : TOC_EIO;
    toc_buf_reset(&w->out);
    return 0;
}

static int end_segment(struct toc_prom_block_writer *w) {
    if (!w->segment)
        return 0;
    int rc = flush(w);
    if (!rc)
        rc = w->vfs->sync(w->vfs, w->segment);
    toc_file_close(w->vfs, &w->segment);
    return rc;
}

static int begin_segment(struct toc_prom_block_writer *w) {
    int rc = end_segment(w);
    if (rc)
        return rc;
    char *path = toc_xprintf("%s/chunks/%06u", w->begun, ++w->segment_number);
    rc = toc_file_open(w->vfs, path,
                       TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_EXCLUSIVE | TOC_OPEN_APPEND,
                       &w->segment);
    toc_free(path);
    toc_put_be32(&w->out, TOC_PROM_CHUNKS_MAGIC);
    toc_put_be32(&w->out, TOC_PROM_CHUNKS_VERSION << 24);
    w->segment_bytes = TOC_PROM_CHUNKS_HEADER_BYTES;
    return rc;
}

static int write_file(struct toc_prom_block_writer *w, const char *name, const struct toc_buf *b) {
    char *path = toc_xprintf("%s/%s", w->begun, name);
    int rc = b->error ? b->error : toc_vfs_write_file(w->vfs, path, toc_buf_sv(b));
    toc_free(path);
    return rc;
}

/* --- a block --- */

static void free_writer(struct toc_prom_block_writer **wp) {
    struct toc_prom_block_writer *w = *wp;
    toc_file_close(w->vfs, &w->segment);
    toc_prom_index_writer_fini(&w->index);
    toc_buf_fini(&w->out);
    toc_buf_fini(&w->data);
    TOC_VEC_FINI(&w->chunks);
    toc_arena_fini(&w->scratch);
    toc_free(w->dir);
    toc_free(w->begun);
    toc_free(w->final);
    toc_free(w);
    *wp = NULL;
}

static void remove_child(struct toc_prom_block_writer *w, const char *name) {
    char *path = toc_xprintf("%s/%s", w->begun, name);
    (void)w->vfs->remove(w->vfs, path); /* most are not there */
    toc_free(path);
}

void toc_prom_block_writer_abort(struct toc_prom_block_writer **wp) {
    struct toc_prom_block_writer *w = *wp;
    if (!w)
        return;
    toc_file_close(w->vfs, &w->segment);
    for (uint32_t i = 1; i <= w->segment_number; i++) {
        char name[32];
        snprintf(name, sizeof name, "chunks/%06u", i);
        remove_child(w, name);
    }
    static const char *const names[] = {"chunks", "index", "tombstones", "meta.json"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        remove_child(w, names[i]);
    (void)w->vfs->remove(w->vfs, w->begun);
    free_writer(wp);
}

int toc_prom_block_writer_new(struct toc_vfs *vfs, const char *dir, int64_t min_ms, int64_t max_ms,
                              int64_t now_ms, struct toc_prom_block_writer **out,
                              struct toc_err *err) {
    struct toc_prom_block_writer *w = TOC_NEW(struct toc_prom_block_writer);
    w->vfs = vfs;
    w->meta.min_ms = min_ms;
    w->meta.max_ms = max_ms;
    make_ulid(now_ms, w->meta.ulid);
    w->dir = toc_xstrdup(dir);
    /* A name that Prometheus takes for a compaction which was interrupted. */
    w->begun = toc_xprintf("%s/%s.tmp-for-creation", dir, w->meta.ulid);
    w->final = toc_xprintf("%s/%s", dir, w->meta.ulid);
    char *chunks = toc_xprintf("%s/chunks", w->begun);
    int rc = toc_vfs_make_dirs(vfs, chunks);
    if (rc) {
        toc_errf(err, rc, "cannot make %s: %s", chunks, toc_strerror(rc));
        toc_prom_block_writer_abort(&w);
    }
    toc_free(chunks);
    *out = w;
    return rc;
}

/* Writes w->data: encoding and chunk. */
static int put_chunk(struct toc_prom_block_writer *w, int64_t min_ms, int64_t max_ms) {
    if (!w->segment || w->segment_bytes + w->data.n + 16 > SEGMENT_BYTES) {
        int rc = begin_segment(w);
        if (rc)
            return rc;
    }
    size_t before = w->out.n;
    struct toc_prom_chunk_info info = {
        min_ms, max_ms, toc_prom_chunk_ref(w->segment_number - 1, (uint32_t)w->segment_bytes)};
    TOC_VEC_PUSH(&w->chunks, info);
    toc_buf_append_varint(&w->out, w->data.n - 1);
    toc_buf_append_sv(&w->out, toc_buf_sv(&w->data));
    toc_put_be32(&w->out, toc_crc32c(0, w->data.p, w->data.n));
    w->segment_bytes += w->out.n - before;
    w->meta.chunks++;
    return w->out.n >= FLUSH_BYTES ? flush(w) : w->out.error;
}

static int put_floats(struct toc_prom_block_writer *w, const int64_t *t_ms, const double *values,
                      size_t n) {
    toc_buf_reset(&w->data);
    toc_buf_append_u8(&w->data, TOC_PROM_CHUNK_XOR);
    toc_prom_xor_encode(t_ms, values, n, &w->data);
    return put_chunk(w, t_ms[0], t_ms[n - 1]);
}

static int put_histograms(struct toc_prom_block_writer *w, const int64_t *t_ms,
                          const struct toc_histogram *const *h, size_t n, bool is_float) {
    toc_arena_reset(&w->scratch);
    toc_buf_reset(&w->data);
    toc_buf_append_u8(&w->data,
                      is_float ? TOC_PROM_CHUNK_FLOAT_HISTOGRAM : TOC_PROM_CHUNK_HISTOGRAM);
    int rc = toc_prom_histogram_encode(t_ms, h, n, is_float, &w->scratch, &w->data);
    return rc ? rc : put_chunk(w, t_ms[0], t_ms[n - 1]);
}

/* From the first of the samples on, how many are of its kind. */
static size_t count_alike(const struct toc_histogram *const *h, size_t n) {
    size_t k = 1;
    while (k < n && !h[k] == !h[0])
        k++;
    return k;
}

static int put_samples(struct toc_prom_block_writer *w, const int64_t *t_ms, const double *values,
                       const struct toc_histogram *const *h, size_t n, size_t *out_written) {
    size_t k = h ? count_alike(h, n) : n;
    bool is_float = false;
    if (h && h[0]) {
        *out_written = toc_prom_histogram_run(h, k, &is_float);
        return put_histograms(w, t_ms, h, *out_written, is_float);
    }
    *out_written = TOC_MIN(k, (size_t)CHUNK_SAMPLES);
    return put_floats(w, t_ms, values, *out_written);
}

int toc_prom_block_writer_add(struct toc_prom_block_writer *w, struct toc_labels labels,
                              const int64_t *t_ms, const double *values,
                              const struct toc_histogram *const *histograms, size_t n) {
    int rc = 0;
    w->chunks.count = 0;
    for (size_t i = 0, k = 0; i < n && !rc; i += k)
        rc = put_samples(w, t_ms + i, values + i, histograms ? histograms + i : NULL, n - i, &k);
    if (rc || !n)
        return rc;
    toc_prom_index_writer_add(&w->index, labels, w->chunks.items, w->chunks.count);
    w->meta.series++;
    w->meta.samples += n;
    return 0;
}

static void put_meta(const struct toc_prom_block_meta *m, struct toc_buf *out) {
    struct toc_json_writer j;
    toc_json_writer_init(&j, out);
    toc_json_begin_object(&j);
    toc_json_kv_cstr(&j, "ulid", m->ulid);
    toc_json_kv_int(&j, "minTime", m->min_ms);
    toc_json_kv_int(&j, "maxTime", m->max_ms);
    toc_json_key(&j, "stats");
    toc_json_begin_object(&j);
    toc_json_kv_int(&j, "numSamples", (int64_t)m->samples);
    toc_json_kv_int(&j, "numSeries", (int64_t)m->series);
    toc_json_kv_int(&j, "numChunks", (int64_t)m->chunks);
    toc_json_end_object(&j);
    toc_json_key(&j, "compaction");
    toc_json_begin_object(&j);
    toc_json_kv_int(&j, "level", 1);
    toc_json_key(&j, "sources");
    toc_json_begin_array(&j);
    toc_json_cstr(&j, m->ulid);
    toc_json_end_array(&j);
    toc_json_end_object(&j);
    toc_json_kv_int(&j, "version", 1);
    toc_json_end_object(&j);
}

static void put_tombstones(struct toc_buf *out) {
    toc_put_be32(out, TOC_PROM_TOMBSTONES_MAGIC);
    toc_buf_append_u8(out, TOC_PROM_TOMBSTONES_VERSION);
    toc_put_be32(out, toc_crc32c(0, "", 0));
}

static int write_rest(struct toc_prom_block_writer *w) {
    struct toc_buf index = {.limit_bytes = INDEX_BYTES_MAX}, meta = TOC_BUF_INIT,
                   stones = TOC_BUF_INIT;
    toc_prom_index_writer_put(&w->index, &index);
    put_meta(&w->meta, &meta);
    put_tombstones(&stones);
    int rc = end_segment(w);
    if (!rc)
        rc = write_file(w, "index", &index);
    if (!rc)
        rc = write_file(w, "tombstones", &stones);
    if (!rc)
        rc = write_file(w, "meta.json", &meta);
    toc_buf_fini(&index);
    toc_buf_fini(&meta);
    toc_buf_fini(&stones);
    return rc;
}

static int publish(struct toc_prom_block_writer *w) {
    char *chunks = toc_xprintf("%s/chunks", w->begun);
    int rc = w->vfs->sync_dir(w->vfs, chunks);
    toc_free(chunks);
    if (!rc)
        rc = w->vfs->sync_dir(w->vfs, w->begun);
    if (!rc)
        rc = w->vfs->rename(w->vfs, w->begun, w->final);
    return rc ? rc : w->vfs->sync_dir(w->vfs, w->dir);
}

int toc_prom_block_writer_finish(struct toc_prom_block_writer **wp,
                                 struct toc_prom_block_meta *out_meta, struct toc_err *err) {
    struct toc_prom_block_writer *w = *wp;
    int rc = 0;
    *out_meta = w->meta;
    if (w->meta.samples) {
        rc = write_rest(w);
        if (!rc)
            rc = publish(w);
        if (!rc) {
            free_writer(wp);
            return 0;
        }
        toc_errf(err, rc, "cannot write the block %s: %s", w->final, toc_strerror(rc));
    }
    toc_prom_block_writer_abort(wp);
    return rc;
}
