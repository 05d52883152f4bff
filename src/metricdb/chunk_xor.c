/* The XOR codec of values: Gorilla (Pelkonen et al., VLDB 2015), the reading of which looks at
 * whole words. */
#include "metricdb/bits.h"
#include "metricdb/chunk_priv.h"
#include "model/sample.h"

void toc_chunk_put_xor(const double *v, size_t n, struct toc_buf *out) {
    struct toc_bit_writer w = {.out = out};
    uint64_t last = toc_f64_bits(v[0]);
    unsigned lead = 0, width = 0;
    toc_bits_put(&w, last, 64);
    for (size_t i = 1; i < n; i++) {
        uint64_t bits = toc_f64_bits(v[i]), x = bits ^ last;
        last = bits;
        if (!x) {
            toc_bits_put(&w, 0, 1);
            continue;
        }
        unsigned l = (unsigned)__builtin_clzll(x), t = (unsigned)__builtin_ctzll(x);
        l = l > 31 ? 31 : l;
        if (width && l >= lead && t >= 64 - lead - width) {
            toc_bits_put(&w, 1, 2); /* 1 then 0 */
        } else {
            lead = l;
            width = 64 - l - t;
            toc_bits_put(&w, 3, 2);
            toc_bits_put(&w, lead, 5);
            toc_bits_put(&w, width - 1, 6);
        }
        toc_bits_put(&w, x >> (64 - lead - width), width);
    }
    toc_bits_finish(&w);
}

/* Bits from `bit` on: at least 57 of them. Eight bytes must be there. */
static inline uint64_t peek(const uint8_t *p, uint64_t bit) {
    uint64_t word;
    memcpy(&word, p + bit / 8, 8);
    return word >> (bit % 8);
}

/* The same for 64 bits; nine bytes must be there. */
static inline uint64_t peek64(const uint8_t *p, uint64_t bit) {
    unsigned shift = (unsigned)(bit % 8);
    uint64_t low = peek(p, bit), high = p[bit / 8 + 8];
    return shift ? low | high << (64 - shift) : low;
}

struct xor_state {
    uint64_t last;
    unsigned lead, width;
};

/* Samples that lie XOR_SLACK bytes or more before the end; returns the first that was left over. */
enum { XOR_SLACK = 24, XOR_HEADER_BITS = 13 };
static size_t get_xor_fast(struct toc_bit_reader *b, struct xor_state *s, double *out, size_t n) {
    uint64_t end = b->n > XOR_SLACK ? (b->n - XOR_SLACK) * 8 : 0, at = b->at, last = s->last;
    unsigned lead = s->lead, width = s->width;
    size_t i = 1;
    for (; i < n && at < end; i++) {
        uint64_t word = peek(b->p, at);
        if (!(word & 1)) {
            at++;
            out[i] = toc_f64_from_bits(last);
            continue;
        }
        if (word & 2) {
            lead = (unsigned)(word >> 2) & 31;
            width = ((unsigned)(word >> 7) & 63) + 1;
            at += XOR_HEADER_BITS;
        } else {
            at += 2;
        }
        if (!width || lead + width > 64)
            break; /* no chunk of ours */
        uint64_t bits = peek64(b->p, at) & (~0ULL >> (64 - width));
        last ^= bits << (64 - lead - width);
        at += width;
        out[i] = toc_f64_from_bits(last);
    }
    if (i < n && at < end)
        b->error = TOC_ECORRUPT;
    b->at = at;
    *s = (struct xor_state){last, lead, width};
    return i;
}

void toc_chunk_get_xor(struct toc_reader *r, double *out, size_t n) {
    struct toc_bit_reader b = {.p = r->p + r->at, .n = toc_reader_left(r)};
    struct xor_state s = {.last = toc_bits_get(&b, 64)};
    out[0] = toc_f64_from_bits(s.last);
    for (size_t i = get_xor_fast(&b, &s, out, n); i < n && !b.error; i++) {
        if (toc_bits_get(&b, 1)) {
            if (toc_bits_get(&b, 1)) {
                s.lead = (unsigned)toc_bits_get(&b, 5);
                s.width = (unsigned)toc_bits_get(&b, 6) + 1;
            }
            if (!s.width || s.lead + s.width > 64) {
                r->error = TOC_ECORRUPT;
                return;
            }
            s.last ^= toc_bits_get(&b, s.width) << (64 - s.lead - s.width);
        }
        out[i] = toc_f64_from_bits(s.last);
    }
    r->error = b.error;
    r->at += (size_t)((b.at + 7) / 8);
}
