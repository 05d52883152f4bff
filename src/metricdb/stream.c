#include "metricdb/stream.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "model/sample.h"

enum { INTEGER_BASE = 0, XOR_BASE = 9, HAS_DOD = 0x80 };

static uint64_t zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static int64_t unzigzag(uint64_t u) {
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

static unsigned byte_length(uint64_t u) {
    return u ? 8 - (unsigned)__builtin_clzll(u) / 8 : 0;
}

/* Is the value an integer that fits 52 bits and survives the way there and back bit by bit? */
static int as_integer(uint64_t bits, int64_t *out) {
    double v = toc_f64_from_bits(bits);
    if (!(v > -4503599627370496.0 && v < 4503599627370496.0))
        return 0;
    *out = (int64_t)v;
    return toc_f64_bits((double)*out) == bits;
}

static void reserve(struct toc_stream *s, unsigned more) {
    if (s->n + more <= s->capacity)
        return;
    unsigned grown = s->capacity + s->capacity / 2u + 24u;
    TOC_ASSERT(grown <= UINT16_MAX);
    s->p = toc_xrealloc(s->p, grown);
    s->capacity = (uint16_t)grown;
}

static void put_varint(struct toc_stream *s, uint64_t u) {
    while (u >= 0x80) {
        s->p[s->n++] = (uint8_t)(u | 0x80);
        u >>= 7;
    }
    s->p[s->n++] = (uint8_t)u;
}

static void put_bytes(struct toc_stream *s, uint64_t u, unsigned n) {
    memcpy(s->p + s->n, &u, n);
    s->n = (uint16_t)(s->n + n);
}

/* Code of the value (low 7 bits of the control byte) and its bytes. */
static unsigned value_code(uint64_t last, uint64_t bits, uint64_t *out_payload, unsigned *out_n) {
    *out_n = 0;
    if (last == bits)
        return 0;
    uint64_t x = last ^ bits;
    unsigned zeros = (unsigned)__builtin_clzll(x) / 8;
    unsigned trailing = (unsigned)__builtin_ctzll(x) / 8;
    unsigned xor_n = 8 - zeros - trailing;
    int64_t a, b;
    if (as_integer(last, &a) && as_integer(bits, &b)) {
        uint64_t difference = zigzag(b - a);
        unsigned n = byte_length(difference);
        if (n &&
            n <= xor_n) { /* n is 0 between 0.0 and -0.0 only, which are not both integers here */
            *out_payload = difference;
            *out_n = n;
            return INTEGER_BASE + n;
        }
    }
    *out_payload = x >> (8 * trailing);
    *out_n = xor_n;
    return XOR_BASE + 8 * zeros + xor_n - 1;
}

void toc_stream_append(struct toc_stream *s, int64_t t_ms, double value) {
    uint64_t bits = toc_f64_bits(value);
    reserve(s, TOC_STREAM_SAMPLE_MAX);
    if (!s->count) {
        put_varint(s, zigzag(t_ms));
        put_bytes(s, bits, 8);
        s->first_ms = t_ms;
        s->delta_ms = 0;
    } else {
        int64_t delta = (int64_t)((uint64_t)t_ms - (uint64_t)s->last_ms);
        int64_t dod = (int64_t)((uint64_t)delta - (uint64_t)s->delta_ms);
        uint64_t payload = 0;
        unsigned n, code = value_code(s->value_bits, bits, &payload, &n);
        s->p[s->n++] = (uint8_t)(code | (dod ? HAS_DOD : 0));
        if (dod)
            put_varint(s, zigzag(dod));
        put_bytes(s, payload, n);
        s->delta_ms = delta;
    }
    s->last_ms = t_ms;
    s->value_bits = bits;
    s->count++;
}

static uint64_t get_varint(const uint8_t **p) {
    uint64_t u = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = *(*p)++;
        u |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return u;
    }
}

static uint64_t get_bytes(const uint8_t **p, unsigned n) {
    uint64_t u = 0;
    memcpy(&u, *p, n);
    *p += n;
    return u;
}

static uint64_t get_value(const uint8_t **p, unsigned code, uint64_t last) {
    if (!code)
        return last;
    if (code < XOR_BASE) {
        int64_t difference = unzigzag(get_bytes(p, code));
        return toc_f64_bits(toc_f64_from_bits(last) + (double)difference);
    }
    unsigned zeros = (code - XOR_BASE) / 8, n = (code - XOR_BASE) % 8 + 1;
    return last ^ (get_bytes(p, n) << (8 * (8 - zeros - n)));
}

size_t toc_stream_decode(const struct toc_stream *s, int64_t *out_t, double *out_v) {
    if (!s->count)
        return 0;
    const uint8_t *p = s->p;
    uint64_t t = (uint64_t)unzigzag(get_varint(&p)), delta = 0;
    uint64_t bits = get_bytes(&p, 8);
    out_t[0] = (int64_t)t;
    out_v[0] = toc_f64_from_bits(bits);
    for (size_t i = 1; i < s->count; i++) {
        unsigned control = *p++;
        if (control & HAS_DOD)
            delta += (uint64_t)unzigzag(get_varint(&p));
        t += delta;
        bits = get_value(&p, control & 0x7f, bits);
        out_t[i] = (int64_t)t;
        out_v[i] = toc_f64_from_bits(bits);
    }
    TOC_ASSERT(p == s->p + s->n);
    return s->count;
}

void toc_stream_reset(struct toc_stream *s, size_t keep_bytes) {
    if (s->capacity > keep_bytes) {
        toc_free(s->p);
        s->p = NULL;
        s->capacity = 0;
    }
    s->n = 0;
    s->count = 0;
    s->delta_ms = 0;
}
