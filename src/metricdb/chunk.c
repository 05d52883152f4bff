#include "metricdb/chunk.h"

#include <math.h>

#include "base/assert.h"
#include "metricdb/chunk_priv.h"
#include "model/sample.h"
#include "model/series_buffer.h"

enum { SCALE_MAX = 15 };

static const double g_pow10[SCALE_MAX + 1] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
#define INTEGER_LIMIT 4503599627370496.0 /* 2^52: exact in a double */

/* --- decimals --- */

/* The nearest integer, ties to even; |x| < 2^52, where adding 2^52 leaves no fraction. */
static double round_even(double x) {
    const double anchor = copysign(INTEGER_LIMIT, x);
    return x + anchor - anchor;
}

static bool to_decimal(double v, unsigned scale, int64_t *out) {
    double x = v * g_pow10[scale];
    if (!(x > -INTEGER_LIMIT && x < INTEGER_LIMIT))
        return false;
    *out = (int64_t)round_even(x);
    return toc_f64_bits((double)*out / g_pow10[scale]) == toc_f64_bits(v);
}

struct decimals {
    int64_t integers[TOC_CHUNK_SAMPLES_MAX];
    unsigned scale;
    size_t exceptions;
    uint16_t exception_at[TOC_CHUNK_SAMPLES_MAX];
};

/* The smallest scale at which most samples are exact. The integers of samples from *out_from on are
 * left in d, if there is no odd one. */
static bool guess_scale(const double *v, size_t n, struct decimals *d, size_t *out_from,
                        size_t *out_odd) {
    unsigned scale = 0;
    *out_from = *out_odd = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned k = scale;
        while (k <= SCALE_MAX && !to_decimal(v[i], k, &d->integers[i]))
            k++;
        if (k > SCALE_MAX) {
            if (++*out_odd > 1 + n / 16)
                return false;
        } else if (k > scale) {
            scale = k;
            *out_from = i;
        }
    }
    d->scale = scale;
    return true;
}

static bool make_decimals(const double *v, size_t n, struct decimals *d) {
    size_t from, odd;
    if (!guess_scale(v, n, d, &from, &odd))
        return false;
    d->exceptions = 0;
    int64_t last = 0;
    for (size_t i = 0; i < (odd ? n : from); i++) {
        if (to_decimal(v[i], d->scale, &d->integers[i])) {
            last = d->integers[i];
            continue;
        }
        if (d->exceptions > 1 + n / 16)
            return false;
        d->integers[i] = last;
        d->exception_at[d->exceptions++] = (uint16_t)i;
    }
    return true;
}

static bool put_decimals(const double *v, size_t n, struct toc_buf *out) {
    struct decimals d;
    if (!make_decimals(v, n, &d))
        return false;
    toc_buf_append_u8(out, (uint8_t)d.scale);
    toc_buf_append_varint(out, d.exceptions);
    size_t last = 0;
    for (size_t i = 0; i < d.exceptions; i++) {
        toc_buf_append_varint(out, d.exception_at[i] - last);
        toc_buf_append_u64(out, toc_f64_bits(v[d.exception_at[i]]));
        last = d.exception_at[i];
    }
    toc_ints_encode(d.integers, n, out);
    return true;
}

/* (double)v[i]. An integer of less than 2^51 added to the bits of 1.5 * 2^52 gives those of their
 * sum: two operations that vector units have, where converting 64 bits is one that most lack. */
static void to_doubles(const int64_t *v, double *out, size_t n) {
    const uint64_t half = 1ULL << 51;
    uint64_t any = 0;
    for (size_t i = 0; i < n; i++)
        any |= (uint64_t)v[i] + half;
    if (any >> 52) {
        for (size_t i = 0; i < n; i++)
            out[i] = (double)v[i];
        return;
    }
    const double anchor = 1.5 * 0x1p52;
    const uint64_t anchor_bits = toc_f64_bits(anchor);
    for (size_t i = 0; i < n; i++)
        out[i] = toc_f64_from_bits((uint64_t)v[i] + anchor_bits) - anchor;
}

static void get_decimals(struct toc_reader *r, double *out, size_t n) {
    unsigned scale = toc_read_u8(r);
    uint64_t exceptions = toc_read_varint(r);
    if (!r->error && (scale > SCALE_MAX || exceptions > n))
        r->error = TOC_ECORRUPT;
    if (r->error)
        return;
    struct toc_reader list = *r;
    for (uint64_t i = 0; i < exceptions; i++) {
        toc_read_varint(r);
        toc_read_u64(r);
    }
    int64_t integers[TOC_CHUNK_SAMPLES_MAX];
    toc_ints_decode(r, integers, n);
    if (r->error)
        return;
    double divisor = g_pow10[scale];
    to_doubles(integers, out, n);
    for (size_t i = 0; i < n && scale; i++)
        out[i] /= divisor;
    uint64_t at = 0;
    for (uint64_t i = 0; i < exceptions; i++) {
        uint64_t step = toc_read_varint(&list);
        uint64_t bits = toc_read_u64(&list);
        if (step >= n || (at += step) >= n) {
            r->error = TOC_ECORRUPT;
            return;
        }
        out[at] = toc_f64_from_bits(bits);
    }
}

/* --- values --- */

static bool all_same(const double *v, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (toc_f64_bits(v[i]) != toc_f64_bits(v[0]))
            return false;
    return true;
}

unsigned toc_chunk_put_values(const double *v, size_t n, struct toc_buf *out) {
    if (all_same(v, n)) {
        toc_buf_append_u64(out, toc_f64_bits(v[0]));
        return TOC_CHUNK_CONST;
    }
    size_t start = out->n;
    bool is_decimal = put_decimals(v, n, out);
    size_t decimal_end = out->n;
    /* A decimal coding at two bytes a value is rarely beaten: do not try. */
    if (is_decimal && decimal_end - start <= 2 * n)
        return TOC_CHUNK_DECIMAL;
    toc_chunk_put_xor(v, n, out);
    size_t xor_n = out->n - decimal_end;
    if (is_decimal && decimal_end - start <= xor_n) {
        out->n = decimal_end;
        return TOC_CHUNK_DECIMAL;
    }
    if (xor_n < n * 8 && !out->error) {
        memmove(out->p + start, out->p + decimal_end, xor_n);
        out->n = start + xor_n;
        return TOC_CHUNK_XOR;
    }
    out->n = start;
    for (size_t i = 0; i < n; i++)
        toc_buf_append_f64(out, v[i]);
    return TOC_CHUNK_RAW;
}

void toc_chunk_get_values(struct toc_reader *r, unsigned codec, double *out, size_t n) {
    switch (codec) {
    case TOC_CHUNK_CONST: {
        double v = toc_read_f64(r);
        size_t i = 0;
        for (; i + 4 <= n; i += 4)
            out[i] = out[i + 1] = out[i + 2] = out[i + 3] = v;
        for (; i < n; i++)
            out[i] = v;
        return;
    }
    case TOC_CHUNK_DECIMAL:
        get_decimals(r, out, n);
        return;
    case TOC_CHUNK_XOR:
        toc_chunk_get_xor(r, out, n);
        return;
    case TOC_CHUNK_RAW:
        for (size_t i = 0; i < n && !r->error; i++)
            out[i] = toc_read_f64(r);
        return;
    default:
        r->error = TOC_ECORRUPT;
    }
}

/* --- times --- */

/* Jittered scrapes: distances from t0 + i * mean step are smaller than differences. */
static size_t grid_residuals(const int64_t *t, size_t n, int64_t *out_step, int64_t *out) {
    uint64_t span = (uint64_t)t[n - 1] - (uint64_t)t[0];
    uint64_t step = n > 1 ? (span + (n - 1) / 2) / (n - 1) : 0;
    *out_step = (int64_t)step;
    for (size_t i = 0; i < n; i++)
        out[i] = (int64_t)((uint64_t)t[i] - (uint64_t)t[0] - step * i);
    return n;
}

bool toc_chunk_put_times(const int64_t *t, size_t n, struct toc_buf *out) {
    size_t start = out->n;
    toc_ints_encode(t, n, out);
    size_t plain = out->n - start;
    if (plain <= n / 4 + 16) /* regular already */
        return false;
    int64_t residuals[TOC_CHUNK_SAMPLES_MAX], step;
    grid_residuals(t, n, &step, residuals);
    toc_buf_append_zigzag(out, t[0]);
    toc_buf_append_zigzag(out, step);
    toc_ints_encode(residuals, n, out);
    size_t grid = out->n - start - plain;
    if (grid >= plain) {
        out->n = start + plain;
        return false;
    }
    memmove(out->p + start, out->p + start + plain, grid);
    out->n = start + grid;
    return true;
}

/* Do they rise? Differences of which none is 0 or, taken modulo 2^64, negative: the usual case,
 * seen without a comparison each. */
static bool do_rise(const int64_t *t, size_t n) {
    uint64_t any = 0, more = 0;
    size_t i = 1;
    for (; i + 1 < n; i += 2) {
        any |= (uint64_t)t[i] - (uint64_t)t[i - 1] - 1;
        more |= (uint64_t)t[i + 1] - (uint64_t)t[i] - 1;
    }
    if (i < n)
        any |= (uint64_t)t[i] - (uint64_t)t[i - 1] - 1;
    if (!((any | more) >> 63))
        return true;
    for (i = 1; i < n; i++)
        if (t[i] <= t[i - 1])
            return false;
    return true;
}

void toc_chunk_get_times(struct toc_reader *r, bool on_grid, int64_t *out, size_t n) {
    uint64_t t0 = on_grid ? (uint64_t)toc_read_zigzag(r) : 0;
    uint64_t step = on_grid ? (uint64_t)toc_read_zigzag(r) : 0;
    toc_ints_decode(r, out, n);
    for (size_t i = 0; i < n && on_grid && !r->error; i++, t0 += step)
        out[i] = (int64_t)((uint64_t)out[i] + t0);
    if (!r->error && !do_rise(out, n))
        r->error = TOC_ECORRUPT;
}

void toc_chunk_encode(const int64_t *t_ms, const double *values, size_t n, struct toc_buf *out) {
    TOC_ASSERT(n >= 1 && n <= TOC_CHUNK_SAMPLES_MAX);
    size_t at = out->n;
    toc_buf_append_u8(out, 0);
    toc_buf_append_varint(out, n);
    bool on_grid = toc_chunk_put_times(t_ms, n, out);
    unsigned codec = toc_chunk_put_values(values, n, out);
    TOC_ASSERT(!out->error);
    out->p[at] = (char)(codec | (on_grid ? TOC_CHUNK_GRID : 0));
}

int toc_chunk_decode(struct toc_sv bytes, int64_t *out_t, double *out_v, size_t *out_n) {
    struct toc_reader r = toc_reader_make(bytes);
    unsigned tag = toc_read_u8(&r);
    uint64_t n = toc_read_varint(&r);
    if (r.error || n < 1 || n > TOC_CHUNK_SAMPLES_MAX || tag & ~0x1fu)
        return TOC_ECORRUPT;
    toc_chunk_get_times(&r, tag & TOC_CHUNK_GRID, out_t, (size_t)n);
    if (!r.error)
        toc_chunk_get_values(&r, tag & 0x0f, out_v, (size_t)n);
    if (r.error || toc_reader_left(&r))
        return TOC_ECORRUPT;
    *out_n = (size_t)n;
    return 0;
}

int toc_chunk_append(struct toc_sv bytes, int64_t min_ms, int64_t max_ms,
                     struct toc_series_buffer *out) {
    if (bytes.n && ((uint8_t)bytes.p[0] & 0x0f) == TOC_CHUNK_HISTOGRAM)
        return toc_histogram_chunk_append(bytes, min_ms, max_ms, out);
    size_t n = 0;
    toc_series_buffer_reserve(out, TOC_CHUNK_SAMPLES_MAX);
    int rc = toc_chunk_decode(bytes, out->t_ms + out->count, out->values + out->count, &n);
    for (size_t i = 0; i < n && out->has_histograms && !rc; i++)
        out->histograms[out->count + i] = NULL;
    out->count += rc ? 0 : n;
    return rc;
}
