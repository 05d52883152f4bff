#include "codec/protobuf.h"

enum { VARINT_BYTES_MAX = 10, FIELD_NUMBER_MAX = (1 << 29) - 1 };

static uint64_t fail(struct toc_pb_reader *r, int error) {
    r->error = r->error ? r->error : error;
    r->p = r->end;
    return 0;
}

uint64_t toc_pb_varint_slow(struct toc_pb_reader *r) {
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        if (r->p == r->end)
            return fail(r, TOC_ETRUNCATED);
        uint8_t byte = *r->p++;
        if (i == VARINT_BYTES_MAX - 1 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return v;
    }
    return fail(r, TOC_EPARSE);
}

static uint64_t fixed(struct toc_pb_reader *r, size_t bytes) {
    uint64_t v = 0;
    if ((size_t)(r->end - r->p) < bytes)
        return fail(r, TOC_ETRUNCATED);
    for (size_t i = 0; i < bytes; i++)
        v |= (uint64_t)r->p[i] << (8 * i);
    r->p += bytes;
    return v;
}

uint64_t toc_pb_fixed64(struct toc_pb_reader *r) {
    return fixed(r, 8);
}

static struct toc_sv take_bytes(struct toc_pb_reader *r) {
    uint64_t n = toc_pb_varint(r);
    if (r->error)
        return TOC_SV_NULL;
    if (n > (uint64_t)(r->end - r->p)) {
        fail(r, TOC_ETRUNCATED);
        return TOC_SV_NULL;
    }
    struct toc_sv s = toc_sv_make((const char *)r->p, (size_t)n);
    r->p += n;
    return s;
}

bool toc_pb_next(struct toc_pb_reader *r, struct toc_pb_field *out) {
    if (toc_pb_is_at_end(r))
        return false;
    uint64_t tag = toc_pb_varint(r);
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX) {
        fail(r, TOC_EPARSE);
        return false;
    }
    out->number = (uint32_t)(tag >> 3);
    out->wire = (uint32_t)(tag & 7);
    switch (out->wire) {
    case TOC_PB_VARINT:
        out->scalar = toc_pb_varint(r);
        break;
    case TOC_PB_I64:
        out->scalar = fixed(r, 8);
        break;
    case TOC_PB_LEN:
        out->bytes = take_bytes(r);
        break;
    case TOC_PB_I32:
        out->scalar = fixed(r, 4);
        break;
    default:
        fail(r, TOC_EPARSE);
    }
    return !r->error;
}

static void put_tag(struct toc_buf *out, uint32_t number, enum toc_pb_wire wire) {
    toc_buf_append_varint(out, (uint64_t)number << 3 | wire);
}

void toc_pb_put_u64(struct toc_buf *out, uint32_t number, uint64_t v) {
    put_tag(out, number, TOC_PB_VARINT);
    toc_buf_append_varint(out, v);
}

void toc_pb_put_sint(struct toc_buf *out, uint32_t number, int64_t v) {
    put_tag(out, number, TOC_PB_VARINT);
    toc_buf_append_zigzag(out, v);
}

void toc_pb_put_double(struct toc_buf *out, uint32_t number, double v) {
    put_tag(out, number, TOC_PB_I64);
    toc_buf_append_f64(out, v);
}

void toc_pb_put_bytes(struct toc_buf *out, uint32_t number, struct toc_sv bytes) {
    put_tag(out, number, TOC_PB_LEN);
    toc_buf_append_varint(out, bytes.n);
    toc_buf_append_sv(out, bytes);
}

size_t toc_pb_begin(struct toc_buf *out, uint32_t number) {
    put_tag(out, number, TOC_PB_LEN);
    toc_buf_append_char(out, 0); /* the length, one byte for most */
    return out->n;
}

void toc_pb_end(struct toc_buf *out, size_t mark) {
    if (toc_buf_error(out))
        return;
    size_t n = out->n - mark, extra = 0;
    for (size_t rest = n >> 7; rest; rest >>= 7)
        extra++;
    if (extra && !toc_buf_reserve(out, extra))
        return;
    memmove(out->p + mark + extra, out->p + mark, n);
    out->n += extra;
    char *at = out->p + mark - 1;
    for (size_t i = 0; i < extra; i++, n >>= 7)
        *at++ = (char)(n | 0x80);
    *at = (char)n;
}
