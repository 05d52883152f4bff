/*
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), read and written by hand:
 * the messages of this program are few and hot.
 *
 * Reading: a cursor over borrowed bytes with a sticky error; views point into the input, nothing is
 * copied. Unknown fields are stepped over, so newer peers are understood. Groups, which proto3 does
 * not have, are refused.
 *
 *   struct toc_pb_reader r = toc_pb_reader_make(bytes);
 *   for (struct toc_pb_field f; toc_pb_next(&r, &f);)
 *       switch (f.number) {
 *       case 1: name = toc_pb_bytes(&r, &f); break;
 *       case 2: value = toc_pb_double(&r, &f); break;
 *       }
 *   if (r.error) …
 */
#ifndef TOC_CODEC_PROTOBUF_H
#define TOC_CODEC_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum toc_pb_wire { TOC_PB_VARINT = 0, TOC_PB_I64 = 1, TOC_PB_LEN = 2, TOC_PB_I32 = 5 };

struct toc_pb_reader {
    const uint8_t *p, *end;
    int error; /* 0, TOC_ETRUNCATED or TOC_EPARSE; sticky */
};

struct toc_pb_field {
    uint32_t number;
    uint32_t wire;       /* enum toc_pb_wire */
    uint64_t scalar;     /* of a varint, an i64, an i32 */
    struct toc_sv bytes; /* of a length-delimited field */
};

static inline struct toc_pb_reader toc_pb_reader_make(struct toc_sv s) {
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : "");
    return (struct toc_pb_reader){p, p + s.n, 0};
}

uint64_t toc_pb_varint_slow(struct toc_pb_reader *r);
/* The next bare varint, as in packed fields. */
static inline uint64_t toc_pb_varint(struct toc_pb_reader *r) {
    if (r->p < r->end && *r->p < 0x80)
        return *r->p++;
    return toc_pb_varint_slow(r);
}
/* The next bare fixed 64 bits, as in packed fields; 0 on error. */
uint64_t toc_pb_fixed64(struct toc_pb_reader *r);

/* The next field; false at the end and on an error. */
bool toc_pb_next(struct toc_pb_reader *r, struct toc_pb_field *out);
static inline bool toc_pb_is_at_end(const struct toc_pb_reader *r) {
    return r->error || r->p == r->end;
}

/* The field as its type; another wire type is TOC_EPARSE and gives 0. */
static inline bool toc_pb_is(struct toc_pb_reader *r, const struct toc_pb_field *f, uint32_t wire) {
    if (f->wire == wire)
        return true;
    r->error = r->error ? r->error : TOC_EPARSE;
    return false;
}
static inline uint64_t toc_pb_u64(struct toc_pb_reader *r, const struct toc_pb_field *f) {
    return toc_pb_is(r, f, TOC_PB_VARINT) ? f->scalar : 0;
}
static inline int64_t toc_pb_i64(struct toc_pb_reader *r, const struct toc_pb_field *f) {
    return (int64_t)toc_pb_u64(r, f);
}
static inline int64_t toc_pb_zigzag(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
static inline int64_t toc_pb_sint(struct toc_pb_reader *r, const struct toc_pb_field *f) {
    return toc_pb_zigzag(toc_pb_u64(r, f));
}
static inline double toc_pb_double_of(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
static inline double toc_pb_double(struct toc_pb_reader *r, const struct toc_pb_field *f) {
    return toc_pb_is(r, f, TOC_PB_I64) ? toc_pb_double_of(f->scalar) : 0;
}
static inline struct toc_sv toc_pb_bytes(struct toc_pb_reader *r, const struct toc_pb_field *f) {
    return toc_pb_is(r, f, TOC_PB_LEN) ? f->bytes : TOC_SV_NULL;
}

/* Writing: fields onto a buffer, whose sticky error is the error. */
void toc_pb_put_u64(struct toc_buf *out, uint32_t number, uint64_t v);
void toc_pb_put_sint(struct toc_buf *out, uint32_t number, int64_t v);
void toc_pb_put_double(struct toc_buf *out, uint32_t number, double v);
void toc_pb_put_bytes(struct toc_buf *out, uint32_t number, struct toc_sv bytes);
/* A message or a packed field within: what is appended between the two belongs to it. begin returns
 * the mark that end wants. */
size_t toc_pb_begin(struct toc_buf *out, uint32_t number);
void toc_pb_end(struct toc_buf *out, size_t mark);

#endif
