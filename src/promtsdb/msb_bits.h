/* Bit streams, most significant bit first, as chunks of Prometheus are. */
#ifndef TOC_PROMTSDB_MSB_BITS_H
#define TOC_PROMTSDB_MSB_BITS_H

#include "base/buf.h"

struct toc_msb_writer {
    struct toc_buf *out;
    uint8_t byte;  /* begun, its upper `held` bits are set */
    unsigned held; /* 0…7 */
};

/* The low `width` bits of v, width 0…64. */
static inline void toc_msb_put(struct toc_msb_writer *w, uint64_t v, unsigned width) {
    while (width) {
        unsigned room = 8 - w->held, take = width < room ? width : room;
        uint64_t part = (v >> (width - take)) & ((1u << take) - 1);
        w->byte |= (uint8_t)(part << (room - take));
        w->held += take;
        width -= take;
        if (w->held == 8) {
            toc_buf_append_u8(w->out, w->byte);
            w->byte = 0;
            w->held = 0;
        }
    }
}

/* LEB128, byte by byte at whatever bit the stream is. */
static inline void toc_msb_put_varint(struct toc_msb_writer *w, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        toc_msb_put(w, (v & 0x7f) | 0x80, 8);
    toc_msb_put(w, v, 8);
}

/* Pads the last byte with zeros. */
static inline void toc_msb_finish(struct toc_msb_writer *w) {
    if (w->held)
        toc_buf_append_u8(w->out, w->byte);
    w->byte = 0;
    w->held = 0;
}

struct toc_msb_reader {
    const uint8_t *p;
    size_t n;
    uint64_t at; /* bit */
    int error;   /* sticky: TOC_ETRUNCATED */
};

static inline uint64_t toc_msb_get(struct toc_msb_reader *r, unsigned width) {
    uint64_t v = 0;
    if (r->error || width > r->n * 8 - r->at) {
        r->error = TOC_ETRUNCATED;
        return 0;
    }
    while (width) {
        unsigned room = 8 - (unsigned)(r->at % 8), take = width < room ? width : room;
        unsigned part = ((unsigned)r->p[r->at / 8] >> (room - take)) & ((1u << take) - 1);
        v = v << take | part;
        r->at += take;
        width -= take;
    }
    return v;
}

static inline uint64_t toc_msb_get_varint(struct toc_msb_reader *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = toc_msb_get(r, 8);
        v |= (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    r->error = r->error ? r->error : TOC_EPARSE;
    return 0;
}

#endif
