/* Bit streams, least significant bit first, over a growing buffer and over borrowed bytes. */
#ifndef TOC_METRICDB_BITS_H
#define TOC_METRICDB_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

struct toc_bit_writer {
    struct toc_buf *out;
    uint64_t acc;
    unsigned held; /* bits in acc, below 8 between calls */
};

/* Room for eight bytes, mostly without a call. */
static inline char *toc_bits_room(struct toc_buf *b) {
    bool has_room = !b->error && !b->limit_bytes && b->n + 9 <= b->capacity;
    return has_room ? b->p + b->n : toc_buf_reserve(b, 8);
}

/* The low `width` bits of v, width 0…64. */
static inline void toc_bits_put(struct toc_bit_writer *w, uint64_t v, unsigned width) {
    char *to = width <= 56 ? toc_bits_room(w->out) : NULL;
    if (to) { /* all at once: with what is held they fit the accumulator */
        w->acc |= (v & ((1ULL << width) - 1)) << w->held;
        w->held += width;
        memcpy(to, &w->acc, 8);
        w->out->n += w->held / 8;
        w->acc >>= w->held & ~7u;
        w->held &= 7;
        return;
    }
    while (width) {
        unsigned take = 64 - w->held < width ? 64 - w->held : width;
        uint64_t part = take == 64 ? v : v & ((1ULL << take) - 1);
        w->acc |= part << w->held;
        w->held += take;
        width -= take;
        v = take == 64 ? 0 : v >> take;
        unsigned whole = w->held / 8;
        toc_buf_append(w->out, &w->acc, whole);
        w->acc = whole == 8 ? 0 : w->acc >> (whole * 8);
        w->held -= whole * 8;
    }
}

/* Pads the last byte with zeros. */
static inline void toc_bits_finish(struct toc_bit_writer *w) {
    if (w->held)
        toc_buf_append(w->out, &w->acc, 1);
    w->acc = 0;
    w->held = 0;
}

struct toc_bit_reader {
    const uint8_t *p;
    size_t n;
    uint64_t at; /* bit position */
    int error;   /* sticky: read past the end */
};

static inline uint64_t toc_bits_get(struct toc_bit_reader *r, unsigned width) {
    if (!width)
        return 0;
    if (r->error || width > r->n * 8 - r->at) {
        r->error = TOC_ETRUNCATED;
        return 0;
    }
    size_t byte = (size_t)(r->at / 8);
    unsigned shift = (unsigned)(r->at % 8);
    uint64_t low = 0;
    size_t left = r->n - byte;
    memcpy(&low, r->p + byte, left < 8 ? left : 8);
    uint64_t v = low >> shift;
    if (shift && shift + width > 64)
        v |= (uint64_t)r->p[byte + 8] << (64 - shift);
    r->at += width;
    return width == 64 ? v : v & ((1ULL << width) - 1);
}

#endif
