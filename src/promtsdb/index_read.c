#include "promtsdb/index_read.h"

#include "base/hash.h"
#include "promtsdb/big_endian.h"
#include "promtsdb/format.h"
#include "promtsdb/msb_bits.h"

enum { INDEX_BYTES_MAX = 1 << 30 };

void toc_prom_index_fini(struct toc_prom_index *x) {
    toc_buf_fini(&x->bytes);
    TOC_VEC_FINI(&x->symbols);
}

void toc_prom_series_fini(struct toc_prom_series *s) {
    TOC_VEC_FINI(&s->labels);
    TOC_VEC_FINI(&s->chunks);
}

static struct toc_sv part(const struct toc_prom_index *x, uint64_t at, uint64_t n) {
    return at <= x->bytes.n && n <= x->bytes.n - at ? toc_sv_make(x->bytes.p + at, (size_t)n)
                                                    : TOC_SV_NULL;
}

/* The last bytes: where the sections begin, and their checksum. */
struct sections {
    uint64_t symbols, series, label_indices, label_indices_table, postings, postings_table;
};

static int read_sections(const struct toc_prom_index *x, struct sections *out) {
    if (x->bytes.n < TOC_PROM_INDEX_HEADER_BYTES + TOC_PROM_TOC_BYTES)
        return TOC_ETRUNCATED;
    struct toc_reader r =
        toc_reader_make(part(x, x->bytes.n - TOC_PROM_TOC_BYTES, TOC_PROM_TOC_BYTES));
    uint32_t crc = toc_crc32c(0, r.p, TOC_PROM_TOC_BYTES - 4);
    out->symbols = toc_get_be64(&r);
    out->series = toc_get_be64(&r);
    out->label_indices = toc_get_be64(&r);
    out->label_indices_table = toc_get_be64(&r);
    out->postings = toc_get_be64(&r);
    out->postings_table = toc_get_be64(&r);
    return toc_get_be32(&r) == crc ? 0 : TOC_ECORRUPT;
}

/* The series end where the next section begins. */
static uint64_t end_of_series(const struct toc_prom_index *x, const struct sections *s) {
    const uint64_t others[] = {s->symbols, s->label_indices, s->label_indices_table, s->postings,
                               s->postings_table};
    uint64_t end = x->bytes.n - TOC_PROM_TOC_BYTES;
    for (size_t i = 0; i < TOC_ARRAY_LEN(others); i++)
        if (others[i] > s->series && others[i] < end)
            end = others[i];
    return end;
}

/* length | count | (varint length, bytes) … | checksum */
static int read_symbols(struct toc_prom_index *x, uint64_t at) {
    struct toc_reader head = toc_reader_make(part(x, at, 4));
    uint32_t bytes = toc_get_be32(&head);
    struct toc_sv body = part(x, at + 4, bytes), sum = part(x, at + 4 + bytes, 4);
    struct toc_reader check = toc_reader_make(sum), r = toc_reader_make(body);
    if (head.error || !body.n || toc_get_be32(&check) != toc_crc32c(0, body.p, body.n))
        return TOC_ECORRUPT;
    uint32_t count = toc_get_be32(&r);
    if (count > bytes)
        return TOC_ECORRUPT;
    TOC_VEC_RESERVE(&x->symbols, count);
    for (uint32_t i = 0; i < count && !r.error; i++)
        x->symbols.items[x->symbols.count++] = toc_read_string(&r);
    return r.error ? TOC_ECORRUPT : 0;
}

static int read_head(const struct toc_prom_index *x, const char *path, struct toc_err *err) {
    struct toc_reader r = toc_reader_make(toc_buf_sv(&x->bytes));
    if (toc_get_be32(&r) != TOC_PROM_INDEX_MAGIC)
        return toc_errf(err, TOC_ECORRUPT, "%s is no index of a Prometheus block", path);
    unsigned version = toc_read_u8(&r);
    if (version != TOC_PROM_INDEX_VERSION)
        return toc_errf(err, TOC_EVERSION,
                        "%s has version %u; only version %d (Prometheus 2.0 and later) is read",
                        path, version, TOC_PROM_INDEX_VERSION);
    return 0;
}

int toc_prom_index_load(struct toc_vfs *vfs, const char *path, struct toc_prom_index *out,
                        struct toc_err *err) {
    struct sections s;
    *out = (struct toc_prom_index){.bytes = {.limit_bytes = (size_t)INDEX_BYTES_MAX + 4096}};
    int rc = toc_vfs_read_file(vfs, path, INDEX_BYTES_MAX, &out->bytes);
    if (rc)
        return toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc));
    rc = read_head(out, path, err);
    if (rc)
        return rc;
    rc = read_sections(out, &s);
    if (!rc)
        rc = read_symbols(out, s.symbols);
    if (!rc && (s.series < TOC_PROM_INDEX_HEADER_BYTES || s.series > out->bytes.n))
        rc = TOC_ECORRUPT;
    if (rc)
        return toc_errf(err, TOC_ECORRUPT, "%s is damaged: its table of sections or its symbols",
                        path);
    out->series_begin = s.series;
    out->series_end = end_of_series(out, &s);
    return 0;
}

/* --- series --- */

static uint64_t align(uint64_t at) {
    return (at + TOC_PROM_SERIES_ALIGN - 1) / TOC_PROM_SERIES_ALIGN * TOC_PROM_SERIES_ALIGN;
}

static bool read_labels(const struct toc_prom_index *x, struct toc_reader *r,
                        struct toc_prom_series *out) {
    uint64_t count = toc_read_varint(r);
    out->labels.count = 0;
    for (uint64_t i = 0; i < count && !r->error; i++) {
        uint64_t name = toc_read_varint(r), value = toc_read_varint(r);
        if (name >= x->symbols.count || value >= x->symbols.count)
            return false;
        struct toc_label l = {x->symbols.items[name], x->symbols.items[value]};
        TOC_VEC_PUSH(&out->labels, l);
    }
    return !r->error;
}

static bool read_chunks(struct toc_reader *r, struct toc_prom_series *out) {
    uint64_t count = toc_read_varint(r);
    struct toc_prom_chunk_info c = {0};
    out->chunks.count = 0;
    for (uint64_t i = 0; i < count && !r->error; i++) {
        uint64_t first = i ? toc_read_varint(r) : (uint64_t)toc_read_zigzag(r);
        c.min_ms = (int64_t)(i ? (uint64_t)c.max_ms + first : first);
        c.max_ms = (int64_t)((uint64_t)c.min_ms + toc_read_varint(r));
        c.ref = i ? c.ref + (uint64_t)toc_read_zigzag(r) : toc_read_varint(r);
        TOC_VEC_PUSH(&out->chunks, c);
    }
    return !r->error;
}

/* length | labels, chunks | checksum. How many bytes it takes; 0: no series is here. */
static uint64_t read_series(const struct toc_prom_index *x, uint64_t at,
                            struct toc_prom_series *out) {
    struct toc_reader r = toc_reader_make(part(x, at, x->series_end - at));
    struct toc_sv body = toc_read_string(&r);
    uint32_t crc = toc_get_be32(&r);
    if (r.error || !body.n || toc_crc32c(0, body.p, body.n) != crc)
        return 0;
    struct toc_reader in = toc_reader_make(body);
    out->id = at / TOC_PROM_SERIES_ALIGN;
    return read_labels(x, &in, out) && read_chunks(&in, out) ? r.at : 0;
}

bool toc_prom_index_next(const struct toc_prom_index *x, uint64_t *io_at,
                         struct toc_prom_series *out, uint64_t *out_damaged) {
    uint64_t begin = align(*io_at);
    *out_damaged = 0;
    for (uint64_t at = begin; at < x->series_end; at += TOC_PROM_SERIES_ALIGN) {
        uint64_t bytes = read_series(x, at, out);
        if (!bytes)
            continue;
        *out_damaged = at > begin ? begin : 0;
        *io_at = at + bytes;
        return true;
    }
    *out_damaged = begin < x->series_end ? begin : 0;
    *io_at = x->series_end;
    return false;
}
