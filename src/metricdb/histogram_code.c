#include "metricdb/histogram_code.h"

#include "model/sample.h"

enum { HINT = 3, CUSTOM = 4, INTEGERS = 8 };

/* --- encoding --- */

static bool is_integer(double v) {
    return v >= 0 && v < 4503599627370496.0 && toc_f64_bits((double)(int64_t)v) == toc_f64_bits(v);
}

static bool are_integers(const struct toc_histogram *h) {
    bool all = is_integer(h->count) && is_integer(h->zero_count);
    for (size_t i = 0; i < h->positive.size && all; i++)
        all = h->positive.count[i] == 0 || is_integer(h->positive.count[i]);
    for (size_t i = 0; i < h->negative.size && all; i++)
        all = h->negative.count[i] == 0 || is_integer(h->negative.count[i]);
    return all;
}

static void put_count(double v, bool integers, struct toc_buf *out) {
    if (integers)
        toc_buf_append_varint(out, (uint64_t)v);
    else
        toc_buf_append_f64(out, v);
}

static void put_buckets(const struct toc_buckets *b, bool integers, struct toc_buf *out) {
    size_t n = 0;
    for (size_t i = 0; i < b->size; i++)
        n += b->count[i] != 0;
    toc_buf_append_varint(out, n);
    int64_t next = 0, last = 0;
    for (size_t i = 0; i < b->size; i++) {
        if (b->count[i] == 0)
            continue;
        toc_buf_append_zigzag(out, b->index[i] - next);
        next = (int64_t)b->index[i] + 1;
        if (!integers) {
            toc_buf_append_f64(out, b->count[i]);
            continue;
        }
        toc_buf_append_zigzag(out, (int64_t)b->count[i] - last);
        last = (int64_t)b->count[i];
    }
}

void toc_histogram_encode(const struct toc_histogram *h, struct toc_buf *out) {
    bool custom = toc_histogram_is_custom(h), integers = are_integers(h);
    toc_buf_append_u8(out, (uint8_t)((unsigned)h->reset_hint | (custom ? CUSTOM : 0) |
                                     (integers ? INTEGERS : 0)));
    if (custom) {
        toc_buf_append_varint(out, h->custom_bound_count);
        for (size_t i = 0; i < h->custom_bound_count; i++)
            toc_buf_append_f64(out, h->custom_bounds[i]);
    } else {
        toc_buf_append_zigzag(out, h->schema);
        toc_buf_append_f64(out, h->zero_threshold);
        put_count(h->zero_count, integers, out);
    }
    put_count(h->count, integers, out);
    toc_buf_append_f64(out, h->sum);
    put_buckets(&h->positive, integers, out);
    put_buckets(&h->negative, integers, out);
}

/* --- decoding --- */

static double get_count(struct toc_reader *r, bool integers) {
    if (!integers)
        return toc_read_f64(r);
    return (double)toc_read_varint(r);
}

static void get_bounds(struct toc_reader *r, struct toc_arena *arena, struct toc_histogram *h) {
    uint64_t n = toc_read_varint(r);
    if (!r->error && n > TOC_HISTOGRAM_BUCKETS_MAX)
        r->error = TOC_ECORRUPT;
    if (r->error || !n)
        return;
    double *bounds = TOC_ARENA_NEW_ARRAY(arena, double, n);
    for (uint64_t i = 0; i < n && bounds; i++)
        bounds[i] = toc_read_f64(r);
    h->custom_bounds = bounds;
    h->custom_bound_count = bounds ? n : 0;
}

static struct toc_buckets get_buckets(struct toc_reader *r, struct toc_arena *arena,
                                      bool integers) {
    struct toc_buckets b = {0};
    uint64_t n = toc_read_varint(r);
    if (!r->error && n > TOC_HISTOGRAM_BUCKETS_MAX)
        r->error = TOC_ECORRUPT;
    if (r->error || !n)
        return b;
    int32_t *index = TOC_ARENA_NEW_ARRAY(arena, int32_t, n);
    double *count = TOC_ARENA_NEW_ARRAY(arena, double, n);
    if (!index || !count)
        return b;
    uint64_t next = 0, last = 0;
    for (uint64_t i = 0; i < n && !r->error; i++) {
        int64_t at = (int64_t)(next + (uint64_t)toc_read_zigzag(r));
        if (at > INT32_MAX || at < INT32_MIN || (i && at <= index[i - 1]))
            r->error = TOC_ECORRUPT;
        index[i] = (int32_t)at;
        next = (uint64_t)at + 1;
        if (integers)
            count[i] = (double)(int64_t)(last += (uint64_t)toc_read_zigzag(r));
        else
            count[i] = toc_read_f64(r);
    }
    return (struct toc_buckets){index, count, (size_t)n};
}

int toc_histogram_decode(struct toc_sv bytes, struct toc_arena *arena, struct toc_histogram **out) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_histogram *h = TOC_ARENA_NEW(arena, struct toc_histogram);
    if (!h)
        return TOC_ENOMEM;
    unsigned tag = toc_read_u8(&r);
    bool integers = tag & INTEGERS;
    h->reset_hint = (enum toc_reset_hint)(tag & HINT);
    h->schema = TOC_HISTOGRAM_SCHEMA_CUSTOM;
    if (tag & CUSTOM) {
        get_bounds(&r, arena, h);
    } else {
        h->schema = (int32_t)toc_read_zigzag(&r);
        h->zero_threshold = toc_read_f64(&r);
        h->zero_count = get_count(&r, integers);
    }
    h->count = get_count(&r, integers);
    h->sum = toc_read_f64(&r);
    h->positive = get_buckets(&r, arena, integers);
    h->negative = get_buckets(&r, arena, integers);
    *out = h;
    if (arena->overflowed)
        return TOC_ENOMEM;
    return r.error || toc_reader_left(&r) || tag >> 4 ? TOC_ECORRUPT : 0;
}
