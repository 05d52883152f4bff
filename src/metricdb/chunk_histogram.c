/* Chunks of histograms; the layout stands in chunk.h. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/vec.h"
#include "metricdb/chunk_priv.h"
#include "metricdb/histogram_code.h"
#include "model/sample.h"
#include "model/series_buffer.h"

enum { MIXED_HINTS = 4, CELLS_MAX = 1 << 22 };

struct indexes {
    TOC_VEC_FIELDS(int32_t)
};

/* The buckets of a chunk, and where its columns lie. */
struct layout {
    struct indexes sides[2]; /* positive, negative */
    bool is_custom;
    size_t columns;
};

static size_t first_bucket(const struct layout *l) {
    return l->is_custom ? 1 : 2; /* behind count and zero count */
}

static void count_columns(struct layout *l) {
    l->columns = first_bucket(l) + l->sides[0].count + l->sides[1].count + 1;
}

static void free_layout(struct layout *l) {
    TOC_VEC_FINI(&l->sides[0]);
    TOC_VEC_FINI(&l->sides[1]);
}

/* --- what goes into one chunk --- */

static bool is_same_double(double a, double b) {
    return toc_f64_bits(a) == toc_f64_bits(b);
}

static bool are_compatible(const struct toc_histogram *a, const struct toc_histogram *b) {
    if (a->schema != b->schema || !is_same_double(a->zero_threshold, b->zero_threshold) ||
        a->custom_bound_count != b->custom_bound_count)
        return false;
    for (size_t i = 0; i < a->custom_bound_count; i++)
        if (!is_same_double(a->custom_bounds[i], b->custom_bounds[i]))
            return false;
    return true;
}

/* Adds the populated buckets to a sorted list. */
static void unite(struct indexes *list, const struct toc_buckets *b) {
    size_t at = 0;
    for (size_t i = 0; i < b->size; i++) {
        if (b->count[i] == 0)
            continue;
        while (at < list->count && list->items[at] < b->index[i])
            at++;
        if (at < list->count && list->items[at] == b->index[i])
            continue;
        TOC_VEC_PUSH(list, 0);
        memmove(list->items + at + 1, list->items + at,
                (list->count - 1 - at) * sizeof *list->items);
        list->items[at] = b->index[i];
    }
}

/* How many samples from the first on make a chunk. */
static size_t choose(const struct toc_histogram *const *h, size_t n, struct layout *l) {
    size_t taken = 0;
    l->is_custom = toc_histogram_is_custom(h[0]);
    for (; taken < n && taken < TOC_HISTOGRAM_CHUNK_SAMPLES_MAX; taken++) {
        if (taken && (!are_compatible(h[0], h[taken]) || l->columns * (taken + 1) > CELLS_MAX / 8))
            break;
        unite(&l->sides[0], &h[taken]->positive);
        unite(&l->sides[1], &h[taken]->negative);
        count_columns(l);
    }
    return taken;
}

/* --- encoding --- */

static void put_hints(const struct toc_histogram *const *h, size_t n, struct toc_buf *out) {
    int64_t hints[TOC_HISTOGRAM_CHUNK_SAMPLES_MAX];
    bool mixed = false;
    for (size_t i = 0; i < n; i++) {
        hints[i] = (int64_t)h[i]->reset_hint;
        mixed |= hints[i] != hints[0];
    }
    toc_buf_append_u8(out, mixed ? MIXED_HINTS : (uint8_t)h[0]->reset_hint);
    if (mixed)
        toc_ints_encode(hints, n, out);
}

static void put_layout(const struct toc_histogram *h, const struct layout *l, struct toc_buf *out) {
    toc_buf_append_zigzag(out, h->schema);
    if (l->is_custom) {
        toc_buf_append_varint(out, h->custom_bound_count);
        for (size_t i = 0; i < h->custom_bound_count; i++)
            toc_buf_append_f64(out, h->custom_bounds[i]);
    } else {
        toc_buf_append_f64(out, h->zero_threshold);
    }
    for (int side = 0; side < 2; side++) {
        const struct indexes *list = &l->sides[side];
        int64_t next = 0;
        toc_buf_append_varint(out, list->count);
        for (size_t i = 0; i < list->count; i++) {
            toc_buf_append_zigzag(out, list->items[i] - next);
            next = (int64_t)list->items[i] + 1;
        }
    }
}

static void put_column(const double *v, size_t n, struct toc_buf *out) {
    size_t at = out->n;
    toc_buf_append_u8(out, 0);
    unsigned codec = toc_chunk_put_values(v, n, out);
    if (!out->error)
        out->p[at] = (char)codec;
}

/* Column by column: cells[column * n + sample]. */
static void fill_buckets(double *cells, size_t n, size_t sample, const struct indexes *list,
                         const struct toc_buckets *b) {
    size_t at = 0;
    for (size_t i = 0; i < b->size; i++) {
        if (b->count[i] == 0)
            continue;
        while (list->items[at] < b->index[i])
            at++;
        cells[at * n + sample] = b->count[i];
    }
}

static void fill_cells(const struct toc_histogram *const *h, size_t n, const struct layout *l,
                       double *cells) {
    size_t positive = first_bucket(l), negative = positive + l->sides[0].count;
    for (size_t i = 0; i < n; i++) {
        cells[i] = h[i]->count;
        if (!l->is_custom)
            cells[n + i] = h[i]->zero_count;
        fill_buckets(cells + positive * n, n, i, &l->sides[0], &h[i]->positive);
        fill_buckets(cells + negative * n, n, i, &l->sides[1], &h[i]->negative);
        cells[(l->columns - 1) * n + i] = h[i]->sum;
    }
}

size_t toc_histogram_chunk_encode(const int64_t *t_ms, const struct toc_histogram *const *h,
                                  size_t count, struct toc_buf *out) {
    struct layout l = {0};
    size_t n = choose(h, count, &l), at = out->n;
    toc_buf_append_u8(out, 0);
    toc_buf_append_varint(out, n);
    bool on_grid = toc_chunk_put_times(t_ms, n, out);
    put_hints(h, n, out);
    put_layout(h[0], &l, out);
    double *cells = TOC_NEW_ARRAY(double, l.columns *n);
    fill_cells(h, n, &l, cells);
    for (size_t i = 0; i < l.columns; i++)
        put_column(cells + i * n, n, out);
    TOC_ASSERT(!out->error);
    out->p[at] = (char)(TOC_CHUNK_HISTOGRAM | (on_grid ? TOC_CHUNK_GRID : 0));
    toc_free(cells);
    free_layout(&l);
    return n;
}

/* --- decoding --- */

struct decoder {
    struct toc_reader r;
    struct layout l;
    struct toc_histogram common; /* schema, threshold, bounds */
    size_t n;
    int64_t t_ms[TOC_HISTOGRAM_CHUNK_SAMPLES_MAX];
    int64_t hints[TOC_HISTOGRAM_CHUNK_SAMPLES_MAX];
    double *cells;
};

static void refuse(struct decoder *d, bool bad) {
    if (bad && !d->r.error)
        d->r.error = TOC_ECORRUPT;
}

static void get_hints(struct decoder *d) {
    unsigned all = toc_read_u8(&d->r);
    refuse(d, all > MIXED_HINTS);
    if (d->r.error)
        return;
    for (size_t i = 0; i < d->n; i++)
        d->hints[i] = all;
    if (all == MIXED_HINTS)
        toc_ints_decode(&d->r, d->hints, d->n);
    for (size_t i = 0; i < d->n && !d->r.error; i++)
        refuse(d, d->hints[i] < 0 || d->hints[i] > TOC_RESET_GAUGE);
}

static void get_bounds(struct decoder *d, struct toc_arena *arena) {
    uint64_t n = toc_read_varint(&d->r);
    refuse(d, n > TOC_HISTOGRAM_BUCKETS_MAX);
    double *bounds = d->r.error || !n ? NULL : TOC_ARENA_NEW_ARRAY(arena, double, n);
    for (uint64_t i = 0; i < n && bounds; i++)
        bounds[i] = toc_read_f64(&d->r);
    d->common.custom_bounds = bounds;
    d->common.custom_bound_count = bounds ? (size_t)n : 0;
}

static void get_side(struct decoder *d, struct indexes *list) {
    uint64_t n = toc_read_varint(&d->r), next = 0;
    refuse(d, n > toc_reader_left(&d->r));
    for (uint64_t i = 0; i < n && !d->r.error; i++) {
        int64_t at = (int64_t)(next + (uint64_t)toc_read_zigzag(&d->r));
        refuse(d, at > INT32_MAX || at < INT32_MIN || (i && at <= list->items[i - 1]));
        TOC_VEC_PUSH(list, (int32_t)at);
        next = (uint64_t)at + 1;
    }
}

static void get_layout(struct decoder *d, struct toc_arena *arena) {
    int64_t schema = toc_read_zigzag(&d->r);
    refuse(d, schema > INT32_MAX || schema < INT32_MIN);
    d->common.schema = (int32_t)schema;
    d->l.is_custom = schema == TOC_HISTOGRAM_SCHEMA_CUSTOM;
    if (d->l.is_custom)
        get_bounds(d, arena);
    else
        d->common.zero_threshold = toc_read_f64(&d->r);
    get_side(d, &d->l.sides[0]);
    get_side(d, &d->l.sides[1]);
    count_columns(&d->l);
    refuse(d, d->l.columns * d->n > CELLS_MAX);
}

static void get_cells(struct decoder *d) {
    if (d->r.error)
        return;
    d->cells = toc_try_calloc(d->l.columns * d->n, sizeof *d->cells);
    if (!d->cells)
        d->r.error = TOC_ENOMEM;
    for (size_t i = 0; i < d->l.columns && !d->r.error; i++) {
        unsigned codec = toc_read_u8(&d->r);
        refuse(d, codec > TOC_CHUNK_RAW);
        if (!d->r.error)
            toc_chunk_get_values(&d->r, codec, d->cells + i * d->n, d->n);
    }
    refuse(d, toc_reader_left(&d->r) != 0);
}

static void parse(struct decoder *d, struct toc_arena *arena) {
    unsigned tag = toc_read_u8(&d->r);
    uint64_t n = toc_read_varint(&d->r);
    refuse(d, n < 1 || n > TOC_HISTOGRAM_CHUNK_SAMPLES_MAX ||
                  (tag & ~(unsigned)TOC_CHUNK_GRID) != TOC_CHUNK_HISTOGRAM);
    if (d->r.error)
        return;
    d->n = (size_t)n;
    toc_chunk_get_times(&d->r, tag & TOC_CHUNK_GRID, d->t_ms, d->n);
    if (!d->r.error)
        get_hints(d);
    if (!d->r.error)
        get_layout(d, arena);
    get_cells(d);
}

/* The buckets of one sample that are not empty. */
static struct toc_buckets gather(const struct decoder *d, const struct indexes *list, size_t column,
                                 size_t sample, struct toc_arena *arena) {
    const double *cells = d->cells + column * d->n + sample;
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += cells[i * d->n] != 0;
    struct toc_buckets b = {0};
    int32_t *index = n ? TOC_ARENA_NEW_ARRAY(arena, int32_t, n) : NULL;
    double *count = n ? TOC_ARENA_NEW_ARRAY(arena, double, n) : NULL;
    if (!index || !count)
        return b;
    for (size_t i = 0; i < list->count; i++) {
        if (cells[i * d->n] == 0)
            continue;
        index[b.size] = list->items[i];
        count[b.size++] = cells[i * d->n];
    }
    b.index = index;
    b.count = count;
    return b;
}

static struct toc_histogram *make_sample(const struct decoder *d, size_t i,
                                         struct toc_arena *arena) {
    struct toc_histogram *h = TOC_ARENA_NEW(arena, struct toc_histogram);
    size_t positive = first_bucket(&d->l), negative = positive + d->l.sides[0].count;
    if (!h)
        return NULL;
    *h = d->common;
    h->reset_hint = (enum toc_reset_hint)d->hints[i];
    h->count = d->cells[i];
    h->zero_count = d->l.is_custom ? 0 : d->cells[d->n + i];
    h->sum = d->cells[(d->l.columns - 1) * d->n + i];
    h->positive = gather(d, &d->l.sides[0], positive, i, arena);
    h->negative = gather(d, &d->l.sides[1], negative, i, arena);
    return h;
}

int toc_histogram_chunk_append(struct toc_sv bytes, int64_t min_ms, int64_t max_ms,
                               struct toc_series_buffer *out) {
    struct decoder d = {.r = toc_reader_make(bytes)};
    struct toc_arena *arena = &out->histogram_arena;
    size_t before = out->count;
    toc_series_buffer_add_histograms(out);
    parse(&d, arena);
    toc_series_buffer_reserve(out, d.n);
    for (size_t i = 0; i < d.n && !d.r.error; i++) {
        if (d.t_ms[i] < min_ms || d.t_ms[i] > max_ms)
            continue;
        out->t_ms[out->count] = d.t_ms[i];
        out->values[out->count] = 0;
        out->histograms[out->count++] = make_sample(&d, i, arena);
    }
    if (arena->overflowed)
        d.r.error = TOC_ENOMEM;
    if (d.r.error)
        out->count = before;
    toc_free(d.cells);
    free_layout(&d.l);
    return d.r.error == 0 || d.r.error == TOC_ENOMEM ? d.r.error : TOC_ECORRUPT;
}
