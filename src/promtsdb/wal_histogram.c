#include "promtsdb/wal_histogram.h"

#include "model/sample.h"
#include "promtsdb/big_endian.h"

enum { BUCKETS_MAX = 1 << 16, INDEX_MAX = 1 << 30 };

struct parse {
    struct toc_reader *in;
    struct toc_arena *arena;
    bool is_float;
};

static void fail(struct parse *p, int rc) {
    p->in->error = p->in->error ? p->in->error : rc;
}

static double get_f64(struct parse *p) {
    return toc_f64_from_bits(toc_get_be64(p->in));
}

static double get_count(struct parse *p) {
    return p->is_float ? get_f64(p) : (double)toc_read_varint(p->in);
}

/* Makes no memory for more than can follow: each item takes a byte at least. */
static void *new_array(struct parse *p, uint64_t count, size_t size) {
    if (count > toc_reader_left(p->in) || count > BUCKETS_MAX)
        fail(p, TOC_EPARSE);
    void *array = p->in->error ? NULL : toc_arena_calloc(p->arena, count + 1, size);
    if (!array)
        fail(p, TOC_ENOMEM);
    return array;
}

struct span {
    int64_t offset;
    uint64_t length;
};

struct spans {
    struct span *items;
    uint64_t count, buckets;
};

static struct spans get_spans(struct parse *p) {
    struct spans s = {.count = toc_read_varint(p->in)};
    s.items = new_array(p, s.count, sizeof *s.items);
    for (uint64_t i = 0; i < s.count && !p->in->error; i++) {
        s.items[i].offset = toc_read_zigzag(p->in);
        s.items[i].length = toc_read_varint(p->in);
        if (s.items[i].offset < (i ? 0 : -INDEX_MAX) || s.items[i].offset > INDEX_MAX ||
            s.items[i].length > BUCKETS_MAX - s.buckets)
            fail(p, TOC_EPARSE);
        else
            s.buckets += s.items[i].length;
    }
    return s;
}

static void place(struct parse *p, const struct spans *s, int32_t *index) {
    int64_t at = 0;
    for (uint64_t i = 0; i < s->count && !p->in->error; i++) {
        at += s->items[i].offset;
        if (at + (int64_t)s->items[i].length > INDEX_MAX)
            fail(p, TOC_EPARSE);
        for (uint64_t k = 0; k < s->items[i].length && !p->in->error; k++)
            *index++ = (int32_t)at++;
    }
}

static struct toc_buckets get_buckets(struct parse *p, const struct spans *s) {
    uint64_t n = toc_read_varint(p->in), last = 0;
    if (n != s->buckets)
        fail(p, TOC_EPARSE);
    int32_t *index = new_array(p, n, sizeof *index);
    double *count = new_array(p, n, sizeof *count);
    if (p->in->error)
        return (struct toc_buckets){0};
    place(p, s, index);
    for (uint64_t i = 0; i < n; i++) {
        if (!p->is_float)
            last += (uint64_t)toc_read_zigzag(p->in);
        count[i] = p->is_float ? get_f64(p) : (double)(int64_t)last;
    }
    return (struct toc_buckets){index, count, n};
}

static void get_custom_bounds(struct parse *p, struct toc_histogram *h) {
    uint64_t n = toc_read_varint(p->in);
    double *bounds = new_array(p, n, sizeof *bounds);
    for (uint64_t i = 0; i < n && !p->in->error; i++)
        bounds[i] = get_f64(p);
    h->custom_bounds = bounds;
    h->custom_bound_count = n;
}

int toc_prom_wal_histogram_read(struct toc_reader *in, bool is_float, struct toc_arena *arena,
                                struct toc_histogram *out) {
    struct parse p = {in, arena, is_float};
    struct toc_histogram h = {0};
    unsigned hint = toc_read_u8(in);
    h.reset_hint = hint <= TOC_RESET_GAUGE ? (enum toc_reset_hint)hint : TOC_RESET_UNKNOWN;
    int64_t schema = toc_read_zigzag(in);
    if (schema < TOC_HISTOGRAM_SCHEMA_CUSTOM || schema > TOC_HISTOGRAM_SCHEMA_MAX)
        fail(&p, TOC_EPARSE);
    h.schema = (int32_t)schema;
    h.zero_threshold = get_f64(&p);
    h.zero_count = get_count(&p);
    h.count = get_count(&p);
    h.sum = get_f64(&p);
    struct spans positive = get_spans(&p), negative = get_spans(&p);
    if (!in->error) {
        h.positive = get_buckets(&p, &positive);
        h.negative = get_buckets(&p, &negative);
    }
    if (!in->error && toc_histogram_is_custom(&h))
        get_custom_bounds(&p, &h);
    if (!in->error && !toc_histogram_is_stale(&h) && toc_histogram_validate(&h, NULL))
        fail(&p, TOC_EPARSE);
    *out = h;
    return in->error;
}
