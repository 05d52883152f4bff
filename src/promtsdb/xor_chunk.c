#include "promtsdb/xor_chunk.h"

#include <string.h>

#include "base/assert.h"
#include "base/zigzag.h"
#include "promtsdb/xor_value.h"

static uint64_t bits_of(double v) {
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

/* --- writing --- */

static bool fits(int64_t v, unsigned bits) {
    int64_t most = (int64_t)1 << (bits - 1);
    return v > -most && v <= most;
}

static void put_change(struct toc_msb_writer *w, int64_t change) {
    if (change == 0) {
        toc_msb_put(w, 0, 1);
    } else if (fits(change, 14)) {
        toc_msb_put(w, 2, 2);
        toc_msb_put(w, (uint64_t)change, 14);
    } else if (fits(change, 17)) {
        toc_msb_put(w, 6, 3);
        toc_msb_put(w, (uint64_t)change, 17);
    } else if (fits(change, 20)) {
        toc_msb_put(w, 14, 4);
        toc_msb_put(w, (uint64_t)change, 20);
    } else {
        toc_msb_put(w, 15, 4);
        toc_msb_put(w, (uint64_t)change, 64);
    }
}

void toc_prom_xor_encode(const int64_t *t_ms, const double *values, size_t n, struct toc_buf *out) {
    TOC_ASSERT(n >= 1 && n <= TOC_PROM_CHUNK_SAMPLES_MAX);
    struct toc_msb_writer w = {.out = out};
    struct toc_xor_value last = toc_xor_value_make(bits_of(values[0]));
    uint64_t distance = 0;
    toc_msb_put(&w, n, 16);
    toc_msb_put_varint(&w, toc_zigzag(t_ms[0]));
    toc_msb_put(&w, bits_of(values[0]), 64);
    for (size_t i = 1; i < n; i++) {
        uint64_t now = (uint64_t)t_ms[i] - (uint64_t)t_ms[i - 1];
        if (i == 1)
            toc_msb_put_varint(&w, now);
        else
            put_change(&w, (int64_t)(now - distance));
        distance = now;
        toc_xor_put(&w, &last, bits_of(values[i]));
    }
    toc_msb_finish(&w);
}

/* --- reading --- */

size_t toc_prom_xor_count(struct toc_sv data) {
    return data.n < 2 ? 0 : (size_t)((uint8_t)data.p[0] << 8 | (uint8_t)data.p[1]);
}

static int64_t get_change(struct toc_msb_reader *r) {
    static const unsigned widths[] = {0, 14, 17, 20, 64};
    unsigned ones = 0;
    while (ones < 4 && toc_msb_get(r, 1))
        ones++;
    unsigned width = widths[ones];
    uint64_t v = toc_msb_get(r, width);
    if (width && width < 64 && v > 1ULL << (width - 1))
        v -= 1ULL << width;
    return (int64_t)v;
}

int toc_prom_xor_decode(struct toc_sv data, int64_t *out_t, double *out_v) {
    struct toc_msb_reader r = {.p = (const uint8_t *)data.p, .n = data.n};
    struct toc_xor_value last = {0};
    size_t n = (size_t)toc_msb_get(&r, 16);
    uint64_t t = 0, distance = 0;
    for (size_t i = 0; i < n && !r.error; i++) {
        if (i == 0) {
            t = (uint64_t)toc_unzigzag(toc_msb_get_varint(&r));
            last = toc_xor_value_make(toc_msb_get(&r, 64));
        } else {
            distance = i == 1 ? toc_msb_get_varint(&r) : distance + (uint64_t)get_change(&r);
            t += distance;
            (void)toc_xor_get(&r, &last);
        }
        out_t[i] = (int64_t)t;
        memcpy(&out_v[i], &last.bits, sizeof last.bits);
        if (i && out_t[i] <= out_t[i - 1])
            return TOC_ECORRUPT;
    }
    return r.error || !n ? TOC_ECORRUPT : 0;
}
