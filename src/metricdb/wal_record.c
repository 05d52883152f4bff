#include "metricdb/wal_record.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/zigzag.h"
#include "model/sample.h"

enum { VERSION = 2, TYPE_SAMPLES = 1, CRC_AT = 20 };
enum { TAG_SAME_TIME = 0x80, TAG_NEXT = 0x40, TAG_KIND = 0x3f };
enum { TAG_DOUBLE = 8, TAG_HISTOGRAM = 17, TAG_DELETION = 18 };

/* --- headers --- */

void toc_wal_put_header(struct toc_buf *out, uint64_t number, uint64_t salt,
                        uint64_t first_sequence, int64_t created_ms) {
    static const char zeros[20];
    for (int copy = 0; copy < 2; copy++) {
        size_t at = out->n;
        toc_buf_append(out, TOC_WAL_SEGMENT_MAGIC, 8);
        toc_buf_append_u32(out, VERSION);
        toc_buf_append_u32(out, (uint32_t)number);
        toc_buf_append_u64(out, salt);
        toc_buf_append_u64(out, first_sequence);
        toc_buf_append_u64(out, (uint64_t)created_ms);
        toc_buf_append(out, zeros, sizeof zeros);
        toc_buf_append_u32(out, toc_crc32c(0, out->p + at, out->n - at));
    }
}

static bool is_known(uint32_t version) {
    return version >= 1 && version <= VERSION;
}

static int get_copy(struct toc_sv bytes, struct toc_wal_header *out) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_sv magic = toc_read_bytes(&r, 8);
    uint32_t version = toc_read_u32(&r);
    out->number = toc_read_u32(&r);
    out->salt = toc_read_u64(&r);
    out->first_sequence = toc_read_u64(&r);
    out->created_ms = (int64_t)toc_read_u64(&r);
    toc_read_bytes(&r, 20);
    uint32_t crc = toc_read_u32(&r);
    if (r.error || !toc_sv_eq(magic, TOC_SV(TOC_WAL_SEGMENT_MAGIC)) || !version ||
        crc != toc_crc32c(0, bytes.p, TOC_WAL_HEADER_BYTES - 4))
        return TOC_ECORRUPT;
    return is_known(version) ? 0 : TOC_EVERSION;
}

int toc_wal_get_header(struct toc_sv bytes, struct toc_wal_header *out) {
    struct toc_wal_header second = {0};
    *out = (struct toc_wal_header){0};
    int rc = get_copy(toc_sv_sub(bytes, 0, TOC_WAL_HEADER_BYTES), out);
    int other = get_copy(toc_sv_sub(bytes, TOC_WAL_HEADER_BYTES, TOC_WAL_HEADER_BYTES), &second);
    if (rc == TOC_EVERSION || other == TOC_EVERSION)
        return TOC_EVERSION;
    if (rc)
        *out = second;
    out->has_bad_copy = rc != other;
    return rc ? other : 0;
}

uint32_t toc_wal_salt_crc(uint64_t salt) {
    return toc_crc32c(0, &salt, sizeof salt);
}

/* --- building --- */

void toc_wal_record_begin(struct toc_wal_record_builder *b) {
    toc_buf_reset(&b->definitions);
    toc_buf_reset(&b->body);
    b->definition_count = 0;
    b->samples = 0;
    b->last_id = 0;
    b->last_ms = 0;
    b->step_ms = 0;
}

static void note_error(struct toc_wal_record_builder *b) {
    int rc = b->labels.error ? b->labels.error : b->definitions.error;
    rc = rc ? rc : b->body.error;
    b->error = b->error ? b->error : rc;
}

void toc_wal_record_define(struct toc_wal_record_builder *b, uint32_t id) {
    toc_buf_append_varint(&b->definitions, id);
    toc_buf_append_sv(&b->definitions, toc_buf_sv(&b->labels));
    note_error(b);
    b->definition_count++;
}

/* Tag without the time bit; the bytes go to *out_payload, their number to *out_n. */
static unsigned value_tag(uint64_t bits, uint64_t *out_payload, unsigned *out_n) {
    *out_payload = *out_n = 0;
    if (!bits)
        return 0;
    double v = toc_f64_from_bits(bits);
    unsigned top = 8 - (unsigned)__builtin_ctzll(bits) / 8;
    if (v > -4503599627370496.0 && v < 4503599627370496.0) {
        int64_t i = (int64_t)v;
        uint64_t u = toc_zigzag(i);
        unsigned n = u ? 8 - (unsigned)__builtin_clzll(u) / 8 : 0;
        if (toc_f64_bits((double)i) == bits && n <= top) {
            *out_payload = u;
            *out_n = n;
            return n;
        }
    }
    *out_payload = bits >> (64 - 8 * top);
    *out_n = top;
    return TAG_DOUBLE + top;
}

static char *put_varint(char *p, uint64_t u) {
    while (u >= 0x80) {
        *p++ = (char)(u | 0x80);
        u >>= 7;
    }
    *p++ = (char)u;
    return p;
}

void toc_wal_record_sample(struct toc_wal_record_builder *b, uint32_t id, int64_t t_ms,
                           uint64_t bits) {
    enum { SAMPLE_MAX = 32 };
    bool has_room = b->body.capacity - b->body.n > SAMPLE_MAX && !b->body.error;
    char *start = has_room ? b->body.p + b->body.n : toc_buf_reserve(&b->body, SAMPLE_MAX);
    char *p = start;
    if (!p) {
        note_error(b);
        return;
    }
    uint64_t payload;
    unsigned n, tag = value_tag(bits, &payload, &n);
    int64_t step_ms = (int64_t)((uint64_t)t_ms - (uint64_t)b->last_ms);
    if (b->samples && id == b->last_id && step_ms == b->step_ms) {
        *p++ = (char)(tag | TAG_NEXT);
    } else {
        bool same_time = b->samples && !step_ms;
        *p++ = (char)(tag | (same_time ? TAG_SAME_TIME : 0));
        p = put_varint(p, toc_zigzag((int64_t)id - (int64_t)b->last_id));
        if (!same_time)
            p = put_varint(p, toc_zigzag(step_ms));
    }
    memcpy(p, &payload, sizeof payload); /* n bytes count; there is room for all */
    b->body.n += (size_t)(p - start) + n;
    b->last_id = id;
    b->last_ms = t_ms;
    b->step_ms = step_ms;
    b->samples++;
}

void toc_wal_record_blob(struct toc_wal_record_builder *b, uint32_t id, int64_t t_ms,
                         const struct toc_wal_blob *blob) {
    bool is_histogram = blob->kind == TOC_WAL_HISTOGRAM;
    int64_t step_ms = (int64_t)((uint64_t)t_ms - (uint64_t)b->last_ms);
    toc_buf_append_u8(&b->body, is_histogram ? TAG_HISTOGRAM : TAG_DELETION);
    toc_buf_append_zigzag(&b->body, (int64_t)id - (int64_t)b->last_id);
    toc_buf_append_zigzag(&b->body, step_ms);
    toc_buf_append_varint(&b->body, is_histogram ? blob->n : blob->span_ms);
    if (is_histogram)
        toc_buf_append(&b->body, blob->bytes, blob->n);
    note_error(b);
    b->last_id = id;
    b->last_ms = t_ms;
    b->step_ms = step_ms;
    b->samples++;
}

static struct toc_wal_blob *make_blob(enum toc_wal_kind kind, struct toc_sv bytes,
                                      uint64_t span_ms) {
    struct toc_wal_blob *blob = toc_xalloc(sizeof *blob + bytes.n);
    *blob = (struct toc_wal_blob){.kind = kind, .span_ms = span_ms, .n = bytes.n};
    if (bytes.n)
        memcpy(blob->bytes, bytes.p, bytes.n);
    return blob;
}

struct toc_wal_blob *toc_wal_histogram_blob(struct toc_sv bytes) {
    return make_blob(TOC_WAL_HISTOGRAM, bytes, 0);
}

struct toc_wal_blob *toc_wal_deletion_blob(uint64_t span_ms) {
    return make_blob(TOC_WAL_DELETION, TOC_SV_NULL, span_ms);
}

void toc_wal_record_finish(struct toc_wal_record_builder *b, uint32_t salt_crc, uint64_t sequence,
                           struct toc_buf *out) {
    struct toc_buf *counts = &b->labels;
    toc_buf_reset(counts);
    toc_buf_append_varint(counts, b->definition_count);
    size_t first = counts->n;
    toc_buf_append_varint(counts, b->samples);
    size_t payload = counts->n + b->definitions.n + b->body.n, at = out->n;
    toc_buf_append_u32(out, TOC_WAL_RECORD_MAGIC);
    toc_buf_append_u8(out, TYPE_SAMPLES);
    toc_buf_append_u8(out, VERSION);
    toc_buf_append_u8(out, 0);
    toc_buf_append_u8(out, 0);
    toc_buf_append_u32(out, (uint32_t)payload);
    toc_buf_append_u64(out, sequence);
    toc_buf_append_u32(out, 0);
    toc_buf_append(out, counts->p, first);
    toc_buf_append_sv(out, toc_buf_sv(&b->definitions));
    toc_buf_append(out, counts->p + first, counts->n - first);
    toc_buf_append_sv(out, toc_buf_sv(&b->body));
    note_error(b);
    if (out->error)
        return;
    uint32_t crc = toc_crc32c(salt_crc, out->p + at, CRC_AT);
    crc = toc_crc32c(crc, out->p + at + TOC_WAL_RECORD_HEADER_BYTES, payload);
    memcpy(out->p + at + CRC_AT, &crc, sizeof crc);
}

void toc_wal_record_release(struct toc_wal_record_builder *b) {
    toc_buf_fini(&b->definitions);
    toc_buf_fini(&b->body);
    toc_buf_fini(&b->labels);
}

/* --- reading --- */

size_t toc_wal_record_check(struct toc_sv bytes, uint32_t salt_crc, uint64_t *out_sequence) {
    struct toc_reader r = toc_reader_make(bytes);
    if (bytes.n < TOC_WAL_RECORD_HEADER_BYTES)
        return SIZE_MAX;
    uint32_t magic = toc_read_u32(&r);
    unsigned type = toc_read_u8(&r), version = toc_read_u8(&r);
    toc_read_bytes(&r, 2);
    uint32_t payload = toc_read_u32(&r);
    *out_sequence = toc_read_u64(&r);
    uint32_t crc = toc_read_u32(&r);
    if (magic != TOC_WAL_RECORD_MAGIC || type != TYPE_SAMPLES || !is_known(version) ||
        payload > TOC_WAL_PAYLOAD_MAX)
        return 0;
    if (toc_reader_left(&r) < payload)
        return SIZE_MAX;
    uint32_t have = toc_crc32c(salt_crc, bytes.p, CRC_AT);
    have = toc_crc32c(have, bytes.p + TOC_WAL_RECORD_HEADER_BYTES, payload);
    return have == crc ? TOC_WAL_RECORD_HEADER_BYTES + (size_t)payload : 0;
}

static int visit_definitions(struct toc_reader *r, struct toc_arena *scratch,
                             const struct toc_wal_visitor *v) {
    uint64_t count = toc_read_varint(r);
    for (uint64_t i = 0; i < count && !r->error; i++) {
        struct toc_labels labels;
        uint64_t id = toc_read_varint(r);
        toc_arena_reset(scratch);
        int rc = toc_labels_decode(r, scratch, &labels);
        if (rc == TOC_ENOMEM)
            return rc;
        if (rc || r->error || id >= TOC_WAL_ID_MAX)
            return TOC_ECORRUPT;
        if (v->series)
            v->series(v->ctx, (uint32_t)id, labels);
    }
    return r->error ? TOC_ECORRUPT : 0;
}

static uint64_t get_value(struct toc_reader *r, unsigned tag) {
    unsigned n = tag > TAG_DOUBLE ? tag - TAG_DOUBLE : tag;
    uint64_t u = 0;
    struct toc_sv bytes = toc_read_bytes(r, n);
    if (r->error || n > 8)
        return 0;
    if (n)
        memcpy(&u, bytes.p, n);
    return tag > TAG_DOUBLE ? u << (64 - 8 * n) : toc_f64_bits((double)toc_unzigzag(u));
}

/* What follows id and time of one entry. */
static void visit_entry(struct toc_reader *r, unsigned tag, uint32_t id, int64_t t_ms,
                        const struct toc_wal_visitor *v, struct toc_wal_summary *io) {
    struct toc_sv histogram = TOC_SV_NULL;
    uint64_t bits = 0, span = 0;
    if (tag == TAG_HISTOGRAM)
        histogram = toc_read_string(r);
    else if (tag == TAG_DELETION)
        span = toc_read_varint(r);
    else if (tag <= TAG_DOUBLE + 8)
        bits = get_value(r, tag);
    else
        r->error = TOC_ECORRUPT;
    if (r->error)
        return;
    io->min_ms = TOC_MIN(io->min_ms, t_ms);
    io->max_ms = TOC_MAX(io->max_ms, t_ms);
    if (tag == TAG_DELETION) {
        io->deletions++;
        if (v->deletion)
            v->deletion(v->ctx, id, (int64_t)((uint64_t)t_ms - span), t_ms);
        return;
    }
    io->samples++;
    if (tag == TAG_HISTOGRAM && v->histogram)
        v->histogram(v->ctx, id, t_ms, histogram);
    else if (tag != TAG_HISTOGRAM && v->sample)
        v->sample(v->ctx, id, t_ms, toc_f64_from_bits(bits));
}

int toc_wal_payload_visit(struct toc_sv payload, struct toc_arena *scratch,
                          const struct toc_wal_visitor *v, struct toc_wal_summary *io) {
    struct toc_reader r = toc_reader_make(payload);
    int rc = visit_definitions(&r, scratch, v);
    if (rc)
        return rc;
    uint64_t count = toc_read_varint(&r), id = 0, t = 0, step = 0;
    for (uint64_t i = 0; i < count; i++) {
        unsigned tag = toc_read_u8(&r);
        if (!(tag & TAG_NEXT)) {
            id += (uint64_t)toc_read_zigzag(&r);
            step = tag & TAG_SAME_TIME ? 0 : (uint64_t)toc_read_zigzag(&r);
        }
        t += step;
        if (r.error || id >= TOC_WAL_ID_MAX)
            return TOC_ECORRUPT;
        visit_entry(&r, tag & TAG_KIND, (uint32_t)id, (int64_t)t, v, io);
        if (r.error)
            return TOC_ECORRUPT;
    }
    return r.error || toc_reader_left(&r) ? TOC_ECORRUPT : 0;
}
