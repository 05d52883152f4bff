#include "metricdb/checkpoint_file.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "metricdb/wal.h"
#include "sys/random.h"

#define FILE_MAGIC "TOCHEAD1"
enum { VERSION = 1, CRC_AT = 20 };
static const uint32_t g_record_magic = 0x9c71e5a2u;

static uint32_t crc_of_salt(uint64_t salt) {
    return toc_crc32c(0, &salt, sizeof salt);
}

/* --- writing --- */

static void note_error(struct toc_checkpoint_writer *w, int rc) {
    w->error = w->error ? w->error : rc;
}

static void put_bytes(struct toc_checkpoint_writer *w, const char *p, size_t n) {
    if (w->error)
        return;
    int64_t put = w->vfs->pwrite(w->vfs, w->file, p, n, w->at);
    if (put != (int64_t)n)
        note_error(w, put < 0 ? (int)put : TOC_ENOSPC);
    w->at += n;
}

void toc_checkpoint_create(struct toc_checkpoint_writer *w, struct toc_vfs *vfs, const char *path,
                           uint64_t number) {
    uint64_t salt = 0;
    struct toc_buf b = TOC_BUF_INIT;
    *w = (struct toc_checkpoint_writer){.vfs = vfs};
    toc_random_bytes(&salt, sizeof salt);
    w->salt_crc = crc_of_salt(salt);
    note_error(
        w, vfs->open(vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE, &w->file));
    toc_buf_append(&b, FILE_MAGIC, 8);
    toc_buf_append_u32(&b, VERSION);
    toc_buf_append_u32(&b, (uint32_t)number);
    toc_buf_append_u64(&b, salt);
    toc_buf_append_u32(&b, 0);
    note_error(w, b.error);
    if (!w->error)
        toc_buf_append_u32(&b, toc_crc32c(0, b.p, b.n));
    note_error(w, b.error);
    put_bytes(w, b.p, b.n);
    toc_buf_fini(&b);
}

void toc_checkpoint_begin(struct toc_buf *record) {
    static const char room[TOC_CHECKPOINT_RECORD_HEADER_BYTES];
    toc_buf_reset(record);
    toc_buf_append(record, room, sizeof room);
}

void toc_checkpoint_put(struct toc_checkpoint_writer *w, enum toc_checkpoint_type type,
                        unsigned shard, struct toc_buf *record) {
    note_error(w, record->error);
    if (!w->error && toc_checkpoint_is_empty(record))
        return;
    size_t bytes = record->n - TOC_CHECKPOINT_RECORD_HEADER_BYTES;
    if (!w->error && bytes > TOC_CHECKPOINT_PAYLOAD_MAX)
        note_error(w, TOC_ELIMIT);
    if (!w->error) {
        struct toc_buf h = TOC_BUF_INIT;
        toc_buf_append_u32(&h, g_record_magic);
        toc_buf_append_u8(&h, (uint8_t)type);
        toc_buf_append_u8(&h, VERSION);
        toc_buf_append_u8(&h, (uint8_t)shard);
        toc_buf_append_u8(&h, (uint8_t)(shard >> 8));
        toc_buf_append_u32(&h, (uint32_t)bytes);
        toc_buf_append_u64(&h, w->sequence++);
        note_error(w, h.error);
        if (!w->error) {
            uint32_t crc = toc_crc32c(w->salt_crc, h.p, CRC_AT);
            memcpy(record->p, h.p, CRC_AT);
            crc = toc_crc32c(crc, record->p + TOC_CHECKPOINT_RECORD_HEADER_BYTES, bytes);
            memcpy(record->p + CRC_AT, &crc, sizeof crc);
        }
        toc_buf_fini(&h);
        put_bytes(w, record->p, record->n);
    }
    toc_checkpoint_begin(record);
}

/* --- reading --- */

static int pread_all(struct toc_vfs *vfs, struct toc_file *f, void *p, size_t n, uint64_t at) {
    int64_t got = vfs->pread(vfs, f, p, n, at);
    if (got < 0)
        return (int)got;
    return (size_t)got == n ? 0 : TOC_ECORRUPT;
}

static int read_header(struct toc_checkpoint_reader *r, uint64_t number, uint32_t *out_salt_crc) {
    char bytes[TOC_CHECKPOINT_FILE_HEADER_BYTES];
    int rc = pread_all(r->vfs, r->file, bytes, sizeof bytes, 0);
    if (rc)
        return rc;
    struct toc_reader in = toc_reader_make(toc_sv_make(bytes, sizeof bytes));
    bool fits = toc_sv_eq(toc_read_bytes(&in, 8), TOC_SV(FILE_MAGIC));
    fits &= toc_read_u32(&in) == VERSION;
    fits &= toc_read_u32(&in) == (uint32_t)number;
    *out_salt_crc = crc_of_salt(toc_read_u64(&in));
    toc_read_u32(&in);
    fits &= toc_read_u32(&in) == toc_crc32c(0, bytes, sizeof bytes - 4);
    return fits ? 0 : TOC_ECORRUPT;
}

static int read_record_header(struct toc_checkpoint_reader *r, uint64_t at, uint32_t salt_crc) {
    char bytes[TOC_CHECKPOINT_RECORD_HEADER_BYTES];
    struct toc_checkpoint_record x = {.at = at + sizeof bytes};
    int rc = pread_all(r->vfs, r->file, bytes, sizeof bytes, at);
    if (rc)
        return rc;
    struct toc_reader in = toc_reader_make(toc_sv_make(bytes, sizeof bytes));
    bool fits = toc_read_u32(&in) == g_record_magic;
    x.type = toc_read_u8(&in);
    fits &= toc_read_u8(&in) == VERSION;
    x.shard = toc_read_u8(&in);
    x.shard = (uint16_t)(x.shard | toc_read_u8(&in) << 8);
    x.bytes = toc_read_u32(&in);
    x.sequence = toc_read_u64(&in);
    x.crc = toc_read_u32(&in);
    x.header_crc = toc_crc32c(salt_crc, bytes, CRC_AT);
    if (!fits || x.sequence != r->records.count || x.bytes > TOC_CHECKPOINT_PAYLOAD_MAX)
        return TOC_ECORRUPT;
    TOC_VEC_PUSH(&r->records, x);
    return 0;
}

int toc_checkpoint_open(struct toc_checkpoint_reader *r, struct toc_vfs *vfs, const char *path,
                        uint64_t number, uint64_t bytes) {
    struct toc_file_info info;
    uint32_t salt_crc = 0;
    *r = (struct toc_checkpoint_reader){.vfs = vfs};
    int rc = vfs->info(vfs, path, &info);
    if (!rc)
        rc = toc_file_open(vfs, path, TOC_OPEN_READ, &r->file);
    if (!rc)
        rc = read_header(r, number, &salt_crc);
    if (!rc && bytes == UINT64_MAX)
        bytes = info.size_bytes;
    uint64_t at = TOC_CHECKPOINT_FILE_HEADER_BYTES;
    if (!rc && (bytes > info.size_bytes || bytes < at))
        rc = TOC_ECORRUPT;
    while (!rc && at < bytes) {
        rc = read_record_header(r, at, salt_crc);
        if (!rc)
            at += TOC_CHECKPOINT_RECORD_HEADER_BYTES +
                  (uint64_t)r->records.items[r->records.count - 1].bytes;
    }
    return rc ? rc : at == bytes ? 0 : TOC_ECORRUPT;
}

int toc_checkpoint_read(const struct toc_checkpoint_reader *r,
                        const struct toc_checkpoint_record *record, struct toc_buf *out) {
    toc_buf_reset(out);
    char *p = toc_buf_reserve(out, record->bytes + 1u);
    if (!p)
        return out->error;
    int rc = pread_all(r->vfs, r->file, p, record->bytes, record->at);
    if (!rc && toc_crc32c(record->header_crc, p, record->bytes) != record->crc)
        rc = TOC_ECORRUPT;
    out->n = rc ? 0 : record->bytes;
    return rc;
}

void toc_checkpoint_close(struct toc_checkpoint_reader *r) {
    if (r->file)
        toc_file_close(r->vfs, &r->file);
    TOC_VEC_FINI(&r->records);
}

/* --- the last record --- */

void toc_checkpoint_put_end(struct toc_buf *record, const struct toc_checkpoint_end *end) {
    const struct toc_wal_position *at = &end->position;
    toc_buf_append_varint(record, end->chain);
    toc_buf_append_varint(record, end->chain_bytes);
    toc_buf_append_varint(record, end->series);
    toc_buf_append_varint(record, at->segment);
    toc_buf_append_varint(record, at->last_sequence);
    toc_buf_append_varint(record, at->segment_count);
    for (size_t i = 0; i < at->segment_count; i++) {
        const struct toc_wal_segment *s = &at->segments[i];
        toc_buf_append_varint(record, s->number);
        toc_buf_append_varint(record, s->bytes);
        toc_buf_append_zigzag(record, s->min_ms);
        toc_buf_append_zigzag(record, s->max_ms);
        toc_buf_append_u8(record, s->has_deletions);
    }
    toc_buf_append_varint(record, at->offset);
}

int toc_checkpoint_get_end(struct toc_sv payload, struct toc_checkpoint_end *out) {
    struct toc_reader r = toc_reader_make(payload);
    struct toc_checkpoint_end end = {0};
    struct toc_wal_position *at = &end.position;
    end.chain = toc_read_varint(&r);
    end.chain_bytes = toc_read_varint(&r);
    end.series = toc_read_varint(&r);
    at->segment = toc_read_varint(&r);
    at->last_sequence = toc_read_varint(&r);
    uint64_t count = toc_read_varint(&r);
    if (r.error || count > toc_reader_left(&r))
        return TOC_ECORRUPT;
    at->segments = TOC_NEW_ARRAY(struct toc_wal_segment, count + 1);
    for (uint64_t i = 0; i < count; i++) {
        struct toc_wal_segment *s = &at->segments[at->segment_count++];
        s->number = toc_read_varint(&r);
        s->bytes = toc_read_varint(&r);
        s->min_ms = toc_read_zigzag(&r);
        s->max_ms = toc_read_zigzag(&r);
        s->has_deletions = toc_read_u8(&r) != 0;
    }
    if (!r.error && toc_reader_left(&r)) /* earlier versions began a segment with each checkpoint */
        at->offset = toc_read_varint(&r);
    if (r.error || toc_reader_left(&r)) {
        toc_checkpoint_fini_end(&end);
        return TOC_ECORRUPT;
    }
    *out = end;
    return 0;
}

void toc_checkpoint_fini_end(struct toc_checkpoint_end *end) {
    toc_free(end->position.segments);
    *end = (struct toc_checkpoint_end){0};
}
