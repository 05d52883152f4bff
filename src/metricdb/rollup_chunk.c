#include "metricdb/rollup_chunk.h"

#include <stddef.h>

#include "base/assert.h"
#include "base/vec.h"
#include "metricdb/chunk_priv.h"
#include "model/sample.h"

enum { KIND = 5, MIN_IS_FIRST = 1, MAX_IS_LAST = 2, NO_DROPS = 4, ALL_FLAGS = 7 };
#define NUMBER_MAX (INT64_MAX / 2)

/* The columns of values in their order, with the flag that leaves one out. */
static const struct {
    size_t offset;
    unsigned flag;
} g_columns[] = {
    {offsetof(struct toc_rollup, first), 0},
    {offsetof(struct toc_rollup, last), 0},
    {offsetof(struct toc_rollup, min), MIN_IS_FIRST},
    {offsetof(struct toc_rollup, max), MAX_IS_LAST},
    {offsetof(struct toc_rollup, sum), 0},
    {offsetof(struct toc_rollup, drops), NO_DROPS},
};

static double *cell(struct toc_rollup *b, size_t column) {
    return (double *)(void *)((char *)b + g_columns[column].offset);
}

/* --- encoding --- */

static bool is_same(double a, double b) {
    return toc_f64_bits(a) == toc_f64_bits(b);
}

static unsigned flags_of(const struct toc_rollup *b, size_t n) {
    unsigned flags = ALL_FLAGS;
    for (size_t i = 0; i < n; i++) {
        if (!b[i].count)
            continue;
        flags &= is_same(b[i].min, b[i].first) ? ALL_FLAGS : ~(unsigned)MIN_IS_FIRST;
        flags &= is_same(b[i].max, b[i].last) ? ALL_FLAGS : ~(unsigned)MAX_IS_LAST;
        flags &= is_same(b[i].drops, 0) ? ALL_FLAGS : ~(unsigned)NO_DROPS;
    }
    return flags;
}

static void put_columns(const struct toc_rollup *b, size_t n, struct toc_buf *out) {
    double values[TOC_ROLLUP_CHUNK_MAX];
    unsigned flags = flags_of(b, n);
    toc_buf_append_u8(out, (uint8_t)flags);
    for (size_t c = 0; c < TOC_ARRAY_LEN(g_columns); c++) {
        size_t m = 0, at = out->n;
        if (g_columns[c].flag & flags)
            continue;
        for (size_t i = 0; i < n; i++)
            if (b[i].count)
                values[m++] =
                    *(const double *)(const void *)((const char *)&b[i] + g_columns[c].offset);
        toc_buf_append_u8(out, 0);
        unsigned codec = toc_chunk_put_values(values, m, out);
        if (!out->error)
            out->p[at] = (char)codec;
    }
}

/* Distances of the samples from the ends of their buckets. */
static size_t put_places(const struct toc_rollup *b, size_t n, bool last, struct toc_buf *out) {
    int64_t v[TOC_ROLLUP_CHUNK_MAX];
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (b[i].count)
            v[m++] = b[i].end_ms - (last ? b[i].last_ms : b[i].first_ms);
    if (m)
        toc_ints_encode(v, m, out);
    return m;
}

void toc_rollup_chunk_encode(const struct toc_rollup *b, size_t n, int64_t resolution_ms,
                             struct toc_buf *out) {
    int64_t v[TOC_ROLLUP_CHUNK_MAX];
    TOC_ASSERT(n && n <= TOC_ROLLUP_CHUNK_MAX);
    toc_buf_append_u8(out, KIND);
    toc_buf_append_varint(out, n);
    toc_buf_append_varint(out, (uint64_t)resolution_ms);
    for (size_t i = 0; i < n; i++)
        v[i] = b[i].end_ms / resolution_ms;
    toc_ints_encode(v, n, out);
    for (size_t i = 0; i < n; i++)
        v[i] = b[i].count;
    toc_ints_encode(v, n, out);
    for (size_t i = 0; i < n; i++)
        v[i] = 2 * (int64_t)b[i].histograms + b[i].ends_stale;
    toc_ints_encode(v, n, out);
    if (!put_places(b, n, false, out))
        return;
    (void)put_places(b, n, true, out);
    put_columns(b, n, out);
}

/* --- decoding --- */

struct decoder {
    struct toc_reader r;
    int64_t resolution_ms;
    struct toc_rollup *b; /* n of them */
    size_t n, m;
    int64_t ints[TOC_ROLLUP_CHUNK_MAX];
    double values[TOC_ROLLUP_CHUNK_MAX];
};

static void refuse(struct decoder *d, bool bad) {
    if (bad && !d->r.error)
        d->r.error = TOC_ECORRUPT;
}

static void get_ends(struct decoder *d) {
    toc_ints_decode(&d->r, d->ints, d->n);
    int64_t limit = NUMBER_MAX / d->resolution_ms;
    for (size_t i = 0; i < d->n && !d->r.error; i++) {
        refuse(d, d->ints[i] > limit || d->ints[i] < -limit || (i && d->ints[i] <= d->ints[i - 1]));
        d->b[i] = (struct toc_rollup){0};
        if (!d->r.error)
            d->b[i].end_ms = d->ints[i] * d->resolution_ms;
    }
}

static void get_counts(struct decoder *d) {
    if (!d->r.error)
        toc_ints_decode(&d->r, d->ints, d->n);
    for (size_t i = 0; i < d->n && !d->r.error; i++) {
        refuse(d, d->ints[i] < 0 || d->ints[i] > UINT32_MAX);
        d->b[i].count = (uint32_t)d->ints[i];
        d->m += d->b[i].count > 0;
    }
    if (!d->r.error)
        toc_ints_decode(&d->r, d->ints, d->n);
    for (size_t i = 0; i < d->n && !d->r.error; i++) {
        refuse(d, d->ints[i] < 0 || d->ints[i] / 2 > UINT32_MAX);
        d->b[i].histograms = (uint32_t)(d->ints[i] / 2);
        d->b[i].ends_stale = d->ints[i] & 1;
    }
}

static void get_places(struct decoder *d, bool last) {
    size_t k = 0;
    if (!d->r.error)
        toc_ints_decode(&d->r, d->ints, d->m);
    for (size_t i = 0; i < d->n && !d->r.error; i++) {
        if (!d->b[i].count)
            continue;
        int64_t before = d->ints[k++];
        refuse(d, before < 0 || before >= d->resolution_ms);
        if (d->r.error)
            return;
        *(last ? &d->b[i].last_ms : &d->b[i].first_ms) = d->b[i].end_ms - before;
        refuse(d, last && d->b[i].last_ms < d->b[i].first_ms);
    }
}

static void get_columns(struct decoder *d) {
    unsigned flags = toc_read_u8(&d->r);
    refuse(d, flags > ALL_FLAGS);
    for (size_t c = 0; c < TOC_ARRAY_LEN(g_columns) && !d->r.error; c++) {
        size_t k = 0;
        if (g_columns[c].flag & flags)
            continue;
        unsigned codec = toc_read_u8(&d->r);
        toc_chunk_get_values(&d->r, codec, d->values, d->m);
        for (size_t i = 0; i < d->n && !d->r.error; i++)
            if (d->b[i].count)
                *cell(&d->b[i], c) = d->values[k++];
    }
    for (size_t i = 0; i < d->n && !d->r.error; i++) {
        if (flags & MIN_IS_FIRST)
            d->b[i].min = d->b[i].first;
        if (flags & MAX_IS_LAST)
            d->b[i].max = d->b[i].last;
    }
}

int toc_rollup_chunk_decode(struct toc_sv bytes, int64_t resolution_ms, struct toc_rollups *out) {
    struct decoder d;
    d.r = toc_reader_make(bytes);
    d.resolution_ms = resolution_ms;
    d.m = 0;
    unsigned kind = toc_read_u8(&d.r);
    uint64_t n = toc_read_varint(&d.r), resolution = toc_read_varint(&d.r);
    if (d.r.error || kind != KIND || !n || n > TOC_ROLLUP_CHUNK_MAX ||
        resolution != (uint64_t)resolution_ms)
        return TOC_ECORRUPT;
    d.n = (size_t)n;
    TOC_VEC_RESERVE(out, out->count + d.n);
    d.b = out->items + out->count;
    get_ends(&d);
    get_counts(&d);
    if (d.m && !d.r.error) {
        get_places(&d, false);
        get_places(&d, true);
        get_columns(&d);
    }
    if (!d.r.error && toc_reader_left(&d.r))
        d.r.error = TOC_ECORRUPT;
    out->count += d.r.error ? 0 : d.n;
    return d.r.error ? TOC_ECORRUPT : 0;
}
