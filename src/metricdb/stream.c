#include "metricdb/stream.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "model/sample.h"

enum { INTEGER_BASE = 0, XOR_BASE = 9, HAS_DOD = 0x80 };

static uint64_t zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (0 - (uint64_t)(v < 0));
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

/* In few sizes, which fill what the allocator hands out: the room that one series grows out of is
 * good for the next. */
static size_t grown_capacity(size_t needed) {
    static const uint16_t sizes[] = {40, 88, TOC_STREAM_FULL_BYTES};
    for (size_t i = 0; i < TOC_ARRAY_LEN(sizes); i++)
        if (needed <= sizes[i])
            return sizes[i];
    return needed + needed / 4 + 40;
}

/* Room for the next sample, and for about as many as will come with it. */
static void reserve(struct toc_stream *s, unsigned more, size_t coming) {
    more += TOC_STREAM_SLACK;
    if (s->n + more <= s->capacity)
        return;
    size_t each = s->count ? s->n / s->count + 1u : 0;
    size_t grown = grown_capacity(s->n + (coming > 1 ? coming * each : 0) + more);
    TOC_ASSERT(grown <= UINT16_MAX);
    s->p = toc_xrealloc(s->p, grown);
    s->capacity = (uint16_t)grown;
}

static uint8_t *put_varint(uint8_t *p, uint64_t u) {
    while (u >= 0x80) {
        *p++ = (uint8_t)(u | 0x80);
        u >>= 7;
    }
    *p++ = (uint8_t)u;
    return p;
}

/* The first n of eight bytes: the slack has room for the others. */
static uint8_t *put_bytes(uint8_t *p, uint64_t u, unsigned n) {
    memcpy(p, &u, sizeof u);
    return p + n;
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

static uint8_t *put_restart(struct toc_stream *s, int64_t t_ms, int64_t delta_ms, uint64_t bits) {
    unsigned place = s->count / TOC_STREAM_RESTART;
    if (!s->count)
        s->first_ms = t_ms;
    if (place && place <= TOC_STREAM_RESTARTS)
        s->restarts[place - 1] = s->n;
    uint8_t *p = put_varint(s->p + s->n, zigzag(t_ms));
    return put_bytes(put_varint(p, zigzag(delta_ms)), bits, 8);
}

static uint8_t *put_sample(uint8_t *p, int64_t dod_ms, uint64_t last, uint64_t bits) {
    uint64_t payload = 0;
    unsigned n, code = value_code(last, bits, &payload, &n);
    *p++ = (uint8_t)(code | (dod_ms ? HAS_DOD : 0));
    if (dod_ms)
        p = put_varint(p, zigzag(dod_ms));
    return put_bytes(p, payload, n);
}

[[gnu::cold, gnu::noinline]] static int64_t decoded_delta(const struct toc_stream *s);

static int64_t last_delta(const struct toc_stream *s) {
    return __builtin_expect(s->delta_ms == TOC_STREAM_DELTA_UNKNOWN, 0) ? decoded_delta(s)
                                                                        : s->delta_ms;
}

static void set_delta(struct toc_stream *s, int64_t delta_ms) {
    s->delta_ms = delta_ms == (int32_t)delta_ms ? (int32_t)delta_ms : TOC_STREAM_DELTA_UNKNOWN;
}

void toc_stream_append_many(struct toc_stream *s, const int64_t *t_ms, const double *values,
                            size_t n) {
    int64_t before = last_delta(s);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = toc_f64_bits(values[i]);
        bool restarts = s->count % TOC_STREAM_RESTART == 0;
        reserve(s, restarts ? TOC_STREAM_RESTART_MAX : TOC_STREAM_SAMPLE_MAX, n - i);
        int64_t delta = s->count ? (int64_t)((uint64_t)t_ms[i] - (uint64_t)s->last_ms) : 0;
        int64_t dod = (int64_t)((uint64_t)delta - (uint64_t)before);
        uint8_t *end = restarts ? put_restart(s, t_ms[i], delta, bits)
                                : put_sample(s->p + s->n, dod, s->value_bits, bits);
        s->n = (uint16_t)(end - s->p);
        before = delta;
        s->last_ms = t_ms[i];
        s->value_bits = bits;
        s->count++;
    }
    set_delta(s, before);
}

void toc_stream_append(struct toc_stream *s, int64_t t_ms, double value) {
    toc_stream_append_many(s, &t_ms, &value, 1);
}

/* --- reading --- */

static uint64_t get_varint(const uint8_t **p) {
    uint64_t u = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = *(*p)++;
        u |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return u;
    }
}

/* n bytes, 1…8; eight are readable. */
static inline uint64_t get_bytes(const uint8_t **p, unsigned n) {
    uint64_t u;
    memcpy(&u, *p, 8);
    *p += n;
    return u & (~0ULL >> (64 - 8 * n));
}

static inline double get_value(const uint8_t **p, unsigned code, double last) {
    if (code < XOR_BASE)
        return last + (double)unzigzag(get_bytes(p, code));
    unsigned zeros = (code - XOR_BASE) / 8, n = (code - XOR_BASE) % 8 + 1;
    return toc_f64_from_bits(toc_f64_bits(last) ^ (get_bytes(p, n) << (8 * (8 - zeros - n))));
}

size_t toc_stream_decode_bytes(const uint8_t *start, size_t count, int64_t *out_t, double *out_v) {
    const uint8_t *p = start;
    for (size_t i = 0; i < count;) {
        size_t end = TOC_MIN(i + TOC_STREAM_RESTART, count);
        uint64_t t = (uint64_t)unzigzag(get_varint(&p));
        uint64_t delta = (uint64_t)unzigzag(get_varint(&p));
        double value = toc_f64_from_bits(get_bytes(&p, 8));
        out_t[i] = (int64_t)t;
        out_v[i] = value;
        for (i++; i < end; i++) {
            unsigned control = *p++, code = control & 0x7f;
            if (control & HAS_DOD)
                delta += (uint64_t)unzigzag(get_varint(&p));
            t += delta;
            if (code)
                value = get_value(&p, code, value);
            out_t[i] = (int64_t)t;
            out_v[i] = value;
        }
    }
    return (size_t)(p - start);
}

size_t toc_stream_seek(const struct toc_stream *s, int64_t min_ms, size_t *out_skipped) {
    size_t known = s->count ? (s->count - 1u) / TOC_STREAM_RESTART : 0;
    for (size_t i = TOC_MIN(known, (size_t)TOC_STREAM_RESTARTS); i > 0; i--) {
        const uint8_t *p = s->p + s->restarts[i - 1];
        if (unzigzag(get_varint(&p)) > min_ms)
            continue;
        *out_skipped = i * TOC_STREAM_RESTART;
        return s->restarts[i - 1];
    }
    *out_skipped = 0;
    return 0;
}

size_t toc_stream_decode(const struct toc_stream *s, int64_t *out_t, double *out_v) {
    if (!s->count)
        return 0;
    size_t used = toc_stream_decode_bytes(s->p, s->count, out_t, out_v);
    TOC_ASSERT(used == s->n);
    return s->count;
}

/* --- restoring --- */

/* Of bytes that need not be right: too long a number ends, whatever it is. */
static uint64_t take_varint(const uint8_t **p) {
    uint64_t u = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = *(*p)++;
        u |= shift < 64 ? (uint64_t)(b & 0x7f) << shift : 0;
        if (b < 0x80)
            return u;
    }
}

/* Takes one sample in, whose bytes begin at *p; TOC_STREAM_RESTART_MAX and the slack are readable.
 * *delta_ms goes from the last sample to this one. False when its time does not rise. */
static bool take_sample(struct toc_stream *s, const uint8_t *start, const uint8_t **p,
                        int64_t *delta_ms) {
    uint64_t t = (uint64_t)s->last_ms;
    if (s->count % TOC_STREAM_RESTART == 0) {
        unsigned place = s->count / TOC_STREAM_RESTART;
        if (place && place <= TOC_STREAM_RESTARTS)
            s->restarts[place - 1] = (uint16_t)(*p - start);
        t = (uint64_t)unzigzag(take_varint(p));
        *delta_ms = unzigzag(take_varint(p));
        s->value_bits = get_bytes(p, 8);
    } else {
        unsigned control = *(*p)++, code = control & 0x7f;
        if (control & HAS_DOD)
            *delta_ms = (int64_t)((uint64_t)*delta_ms + (uint64_t)unzigzag(take_varint(p)));
        t += (uint64_t)*delta_ms;
        if (code > XOR_BASE + 63 ||
            (code >= XOR_BASE && (code - XOR_BASE) / 8 + (code - XOR_BASE) % 8 + 1 > 8))
            return false;
        if (code)
            s->value_bits = toc_f64_bits(get_value(p, code, toc_f64_from_bits(s->value_bits)));
    }
    if (s->count && (int64_t)t <= s->last_ms)
        return false;
    if (!s->count)
        s->first_ms = (int64_t)t;
    s->last_ms = (int64_t)t;
    set_delta(s, *delta_ms);
    s->count++;
    return true;
}

static int64_t decoded_delta(const struct toc_stream *s) {
    struct toc_stream again = {0};
    const uint8_t *p = s->p;
    int64_t delta_ms = 0;
    while (again.count < s->count)
        (void)take_sample(&again, s->p, &p, &delta_ms);
    return delta_ms;
}

int toc_stream_restore(struct toc_stream *s, const uint8_t *bytes, size_t n, size_t count) {
    enum { ROOM = TOC_STREAM_RESTART_MAX + TOC_STREAM_SLACK };
    if (!count || n > UINT16_MAX - ROOM || count > UINT16_MAX)
        return TOC_ECORRUPT;
    /* Zeros end any number that would run on behind the last byte. */
    s->p = toc_xalloc(n + ROOM);
    s->capacity = (uint16_t)(n + ROOM);
    memcpy(s->p, bytes, n);
    memset(s->p + n, 0, ROOM);
    const uint8_t *p = s->p;
    int64_t delta_ms = 0;
    bool fits = true;
    while (fits && s->count < count)
        fits = p < s->p + n && take_sample(s, s->p, &p, &delta_ms);
    s->n = (uint16_t)n;
    if (fits && p == s->p + n)
        return 0;
    toc_stream_reset(s, 0);
    return TOC_ECORRUPT;
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
