#include <math.h>
#include <string.h>

#include "model/sample.h"
#include "promtsdb/histogram_chunk.h"
#include "promtsdb/varbit.h"
#include "promtsdb/xor_value.h"

enum { CUSTOM_SCALE = 1000 };

/* The buckets of one side, the same ones in every sample of the chunk. */
struct side {
    int32_t *index;
    size_t size, capacity;
};

/* One column of integers. */
struct number {
    uint64_t value, difference;
};

struct decoding {
    struct toc_msb_reader r;
    struct toc_arena *arena;
    struct toc_histogram layout; /* what all samples share */
    struct side positive, negative;
    struct number *numbers;      /* integers: one per bucket */
    struct toc_xor_value *xored; /* floats: count, zero count, then one per bucket */
    struct toc_xor_value sum;
    struct number time, count, zero_count;
    bool is_float;
};

static void fail(struct decoding *d, int rc) {
    d->r.error = d->r.error ? d->r.error : rc;
}

static void *new_array(struct decoding *d, size_t count, size_t size) {
    void *p = toc_arena_calloc(d->arena, count ? count : 1, size);
    if (!p)
        fail(d, TOC_ENOMEM);
    return p;
}

static uint64_t bits_left(const struct decoding *d) {
    return d->r.error ? 0 : d->r.n * 8 - d->r.at;
}

/* --- layout --- */

static double get_zero_threshold(struct decoding *d) {
    int byte = (int)toc_msb_get(&d->r, 8);
    if (byte == 255)
        return toc_f64_from_bits(toc_msb_get(&d->r, 64));
    return byte ? ldexp(0.5, byte - 243) : 0;
}

static void make_room(struct decoding *d, struct side *s, size_t size) {
    if (size <= s->capacity)
        return;
    size_t capacity = size > 2 * s->capacity ? size : 2 * s->capacity;
    int32_t *index = new_array(d, capacity, sizeof *index);
    if (!index)
        return;
    if (s->size)
        memcpy(index, s->index, s->size * sizeof *index);
    s->index = index;
    s->capacity = capacity;
}

static void add_span(struct decoding *d, struct side *s, int64_t from, uint64_t length) {
    if (length > TOC_PROM_HISTOGRAM_BUCKETS_MAX - s->size) {
        fail(d, TOC_ELIMIT);
        return;
    }
    make_room(d, s, s->size + length);
    for (uint64_t i = 0; i < length && !d->r.error; i++)
        s->index[s->size++] = (int32_t)(from + (int64_t)i);
}

static struct side get_side(struct decoding *d) {
    enum { INDEX_MAX = 1 << 30 };
    struct side s = {0};
    int64_t at = 0;
    uint64_t spans = toc_varbit_get_uint(&d->r);
    for (uint64_t i = 0; i < spans && !d->r.error; i++) {
        uint64_t length = toc_varbit_get_uint(&d->r);
        int64_t offset = toc_varbit_get_int(&d->r);
        if (offset < (i ? 0 : -INDEX_MAX) || offset > INDEX_MAX || length > INDEX_MAX ||
            at + offset + (int64_t)length > INDEX_MAX) {
            fail(d, TOC_ECORRUPT);
            break;
        }
        add_span(d, &s, at + offset, length);
        at += offset + (int64_t)length;
    }
    return s;
}

static double get_custom_bound(struct decoding *d) {
    uint64_t scaled = toc_varbit_get_uint(&d->r); /* the bit 0 is the number 0 */
    return scaled ? (double)(scaled - 1) / CUSTOM_SCALE : toc_f64_from_bits(toc_msb_get(&d->r, 64));
}

static void get_custom_bounds(struct decoding *d) {
    uint64_t n = toc_varbit_get_uint(&d->r);
    if (n > bits_left(d))
        fail(d, TOC_ECORRUPT);
    else if (n > TOC_PROM_HISTOGRAM_BUCKETS_MAX)
        fail(d, TOC_ELIMIT);
    double *bounds = d->r.error ? NULL : new_array(d, n, sizeof *bounds);
    for (uint64_t i = 0; i < n && !d->r.error; i++)
        bounds[i] = get_custom_bound(d);
    d->layout.custom_bounds = bounds;
    d->layout.custom_bound_count = n;
}

static void get_layout(struct decoding *d) {
    static const enum toc_reset_hint hints[] = {TOC_RESET_UNKNOWN, TOC_RESET_NO, TOC_RESET_YES,
                                                TOC_RESET_GAUGE};
    d->layout.reset_hint = hints[toc_msb_get(&d->r, 8) >> 6];
    d->layout.zero_threshold = get_zero_threshold(d);
    int64_t schema = toc_varbit_get_int(&d->r);
    if (schema != TOC_HISTOGRAM_SCHEMA_CUSTOM &&
        (schema < TOC_HISTOGRAM_SCHEMA_MIN || schema > TOC_HISTOGRAM_SCHEMA_MAX))
        fail(d, TOC_ECORRUPT);
    d->layout.schema = (int32_t)schema;
    d->positive = get_side(d);
    d->negative = get_side(d);
    if (!d->r.error && toc_histogram_is_custom(&d->layout))
        get_custom_bounds(d);
    size_t buckets = d->positive.size + d->negative.size;
    if (d->is_float)
        d->xored = new_array(d, buckets + 2, sizeof *d->xored);
    else
        d->numbers = new_array(d, buckets, sizeof *d->numbers);
}

/* --- samples --- */

static uint64_t get_number(struct decoding *d, struct number *n, size_t row, bool is_unsigned) {
    uint64_t v =
        row == 0 && is_unsigned ? toc_varbit_get_uint(&d->r) : (uint64_t)toc_varbit_get_int(&d->r);
    if (row == 0) {
        n->value = v;
        return v;
    }
    n->difference = row == 1 ? v : n->difference + v;
    n->value += n->difference;
    return n->value;
}

static double get_xored(struct decoding *d, struct toc_xor_value *x, size_t row) {
    if (row)
        return toc_f64_from_bits(toc_xor_get(&d->r, x));
    *x = toc_xor_value_make(toc_msb_get(&d->r, 64));
    return toc_f64_from_bits(x->bits);
}

static struct toc_buckets get_buckets(struct decoding *d, const struct side *s, size_t first,
                                      size_t row) {
    if (s->size > bits_left(d)) /* each takes a bit at least */
        fail(d, TOC_ETRUNCATED);
    double *counts = d->r.error || !s->size ? NULL : new_array(d, s->size, sizeof *counts);
    uint64_t count = 0;
    for (size_t i = 0; i < s->size && !d->r.error; i++) {
        if (d->is_float) {
            counts[i] = get_xored(d, &d->xored[2 + first + i], row);
            continue;
        }
        count += get_number(d, &d->numbers[first + i], row, false);
        if (count >> 63) /* below 0 */
            fail(d, TOC_ECORRUPT);
        else
            counts[i] = (double)count;
    }
    return (struct toc_buckets){s->index, counts, s->size};
}

static void get_sample(struct decoding *d, size_t row, int64_t *out_t, struct toc_histogram *out) {
    struct toc_histogram h = d->layout;
    *out_t = (int64_t)get_number(d, &d->time, row, false);
    if (d->is_float) {
        h.count = get_xored(d, &d->xored[0], row);
        h.zero_count = get_xored(d, &d->xored[1], row);
    } else {
        h.count = (double)get_number(d, &d->count, row, true);
        h.zero_count = (double)get_number(d, &d->zero_count, row, true);
    }
    h.sum = get_xored(d, &d->sum, row);
    if (toc_histogram_is_stale(&h)) {
        *out = (struct toc_histogram){.sum = h.sum};
        return;
    }
    h.positive = get_buckets(d, &d->positive, 0, row);
    h.negative = get_buckets(d, &d->negative, d->positive.size, row);
    if (row && h.reset_hint != TOC_RESET_GAUGE)
        h.reset_hint = TOC_RESET_NO;
    *out = h;
    if (!d->r.error && toc_histogram_validate(out, NULL))
        fail(d, TOC_ECORRUPT);
}

int toc_prom_histogram_decode(struct toc_sv data, bool is_float, struct toc_arena *arena,
                              struct toc_prom_histograms *out) {
    struct decoding d = {
        .r = {.p = (const uint8_t *)data.p, .n = data.n}, .arena = arena, .is_float = is_float};
    size_t n = (size_t)toc_msb_get(&d.r, 16);
    get_layout(&d);
    if (!d.r.error && (!n || n > bits_left(&d)))
        fail(&d, TOC_ECORRUPT);
    struct toc_prom_histograms got = {.count = n};
    if (!d.r.error) {
        got.t_ms = new_array(&d, n, sizeof *got.t_ms);
        got.items = new_array(&d, n, sizeof *got.items);
    }
    for (size_t i = 0; i < n && !d.r.error; i++) {
        get_sample(&d, i, &got.t_ms[i], &got.items[i]);
        if (i && got.t_ms[i] <= got.t_ms[i - 1])
            fail(&d, TOC_ECORRUPT);
    }
    if (d.r.error)
        return d.r.error == TOC_ENOMEM || d.r.error == TOC_ELIMIT ? d.r.error : TOC_ECORRUPT;
    *out = got;
    return 0;
}
