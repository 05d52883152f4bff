/* A block's index in memory: the file's bytes with tables of where things are. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "codec/compress.h"
#include "metricdb/block.h"
#include "metricdb/block_format.h"
#include "metricdb/chunk.h"

enum {
    COUNTS_AT_LEAST = 128 * 1024,
};
#define BODY_MAX ((size_t)4 << 30)

struct pair {
    struct toc_sv name, value, postings;
    uint32_t series;
};

struct name {
    struct toc_sv name;
    uint32_t first, count; /* in order[] */
};

struct toc_block_index {
    atomic_uint refs;
    struct toc_vfs *vfs;
    struct toc_file *chunks;
    struct toc_buf bytes;
    struct toc_block_meta meta;
    struct pair *pairs; /* by number */
    uint32_t pair_count;
    uint32_t *order;    /* pair numbers, by name then value */
    struct name *names; /* sorted */
    uint32_t name_count;
    struct toc_sv entries;       /* series entries */
    const uint8_t *entry_at;     /* u32 each, little-endian */
    atomic_uint_fast64_t *links; /* by series */
};

/* --- header --- */

void toc_block_put_meta(struct toc_buf *out, const struct toc_block_meta *m) {
    size_t at = out->n;
    toc_buf_append(out, TOC_BLOCK_INDEX_MAGIC, 8);
    toc_buf_append_u32(out, TOC_BLOCK_VERSION);
    toc_buf_append_u32(out, m->replaces);
    const uint64_t fields[] = {m->id,
                               (uint64_t)m->min_ms,
                               (uint64_t)m->max_ms,
                               (uint64_t)m->range_min,
                               (uint64_t)m->range_max,
                               m->first_unsealed,
                               m->series,
                               m->samples,
                               m->chunks,
                               m->body_bytes};
    for (size_t i = 0; i < TOC_ARRAY_LEN(fields); i++)
        toc_buf_append_u64(out, fields[i]);
    toc_buf_append_u32(out, toc_crc32c(0, out->p + at, out->n - at));
}

int toc_block_get_meta(struct toc_sv bytes, struct toc_block_meta *m) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_sv magic = toc_read_bytes(&r, 8);
    uint32_t version = toc_read_u32(&r);
    m->is_packed = version >= 2;
    m->replaces = toc_read_u32(&r);
    m->id = toc_read_u64(&r);
    m->min_ms = (int64_t)toc_read_u64(&r);
    m->max_ms = (int64_t)toc_read_u64(&r);
    m->range_min = (int64_t)toc_read_u64(&r);
    m->range_max = (int64_t)toc_read_u64(&r);
    m->first_unsealed = toc_read_u64(&r);
    m->series = toc_read_u64(&r);
    m->samples = toc_read_u64(&r);
    m->chunks = toc_read_u64(&r);
    m->body_bytes = toc_read_u64(&r);
    uint32_t crc = toc_read_u32(&r);
    if (r.error || !toc_sv_eq(magic, TOC_SV(TOC_BLOCK_INDEX_MAGIC)) || version < 1 ||
        version > TOC_BLOCK_VERSION || crc != toc_crc32c(0, bytes.p, TOC_BLOCK_META_BYTES - 4))
        return TOC_ECORRUPT;
    return 0;
}

/* --- parsing --- */

static void parse_pair(struct toc_block_index *x, struct toc_reader *r, struct toc_sv name,
                       uint32_t place) {
    uint64_t number = toc_read_varint(r);
    struct toc_sv value = toc_read_string(r);
    uint64_t series = toc_read_varint(r);
    struct toc_sv postings = toc_read_string(r);
    if (!r->error && (number >= x->pair_count || series > x->meta.series || series > postings.n ||
                      x->pairs[number].value.p))
        r->error = TOC_ECORRUPT;
    if (r->error)
        return;
    x->pairs[number] = (struct pair){name, value, postings, (uint32_t)series};
    x->order[place] = (uint32_t)number;
}

static void parse_names(struct toc_block_index *x, struct toc_reader *r) {
    uint64_t names = toc_read_varint(r), pairs = toc_read_varint(r);
    if (r->error || names > toc_reader_left(r) || pairs > toc_reader_left(r) || names > pairs) {
        r->error = TOC_ECORRUPT;
        return;
    }
    x->name_count = (uint32_t)names;
    x->pair_count = (uint32_t)pairs;
    x->names = TOC_NEW_ARRAY(struct name, names + 1);
    x->pairs = TOC_NEW_ARRAY(struct pair, pairs + 1);
    x->order = TOC_NEW_ARRAY(uint32_t, pairs + 1);
    uint32_t place = 0;
    for (uint32_t i = 0; i < names && !r->error; i++) {
        struct toc_sv name = toc_read_string(r);
        uint64_t count = toc_read_varint(r);
        if (r->error || count > pairs - place) {
            r->error = TOC_ECORRUPT;
            return;
        }
        x->names[i] = (struct name){name, place, (uint32_t)count};
        for (uint64_t k = 0; k < count && !r->error; k++)
            parse_pair(x, r, name, place++);
    }
    if (place != pairs)
        r->error = TOC_ECORRUPT;
}

/* Checks the file and leaves header and plain body in x->bytes. */
static int unpack(struct toc_block_index *x) {
    struct toc_sv all = toc_buf_sv(&x->bytes);
    uint32_t crc;
    int rc = toc_block_get_meta(all, &x->meta);
    if (rc || all.n < TOC_BLOCK_META_BYTES + 8)
        return TOC_ECORRUPT;
    memcpy(&crc, all.p + all.n - 4, 4);
    if (crc != toc_crc32c(0, all.p, all.n - 4))
        return TOC_ECORRUPT;
    struct toc_sv body = toc_sv_sub(all, TOC_BLOCK_META_BYTES, all.n - 4 - TOC_BLOCK_META_BYTES);
    if (!x->meta.is_packed)
        return body.n == x->meta.body_bytes ? 0 : TOC_ECORRUPT;
    struct toc_buf plain = {.limit_bytes = BODY_MAX + 65536};
    toc_buf_append(&plain, all.p, TOC_BLOCK_META_BYTES);
    rc = x->meta.body_bytes > BODY_MAX
             ? TOC_ECORRUPT
             : toc_decompress(TOC_COMPRESSION_ZSTD, body, (size_t)x->meta.body_bytes, &plain, NULL);
    if (!rc && plain.n != TOC_BLOCK_META_BYTES + x->meta.body_bytes)
        rc = TOC_ECORRUPT;
    toc_buf_fini(&x->bytes);
    x->bytes = plain;
    return rc;
}

static int parse(struct toc_block_index *x) {
    int rc = unpack(x);
    if (rc)
        return rc;
    struct toc_sv all = toc_buf_sv(&x->bytes);
    uint64_t body = x->meta.body_bytes, series = x->meta.series;
    if (series > body / 4 || body < 4 * series + 4)
        return TOC_ECORRUPT;
    const char *start = all.p + TOC_BLOCK_META_BYTES;
    size_t tables = (size_t)(body - 4 - 4 * series);
    uint32_t entries;
    memcpy(&entries, start + body - 4, 4);
    if (entries > tables)
        return TOC_ECORRUPT;
    x->entries = toc_sv_make(start + entries, tables - entries);
    x->entry_at = (const uint8_t *)start + tables;
    x->links = toc_xcalloc((size_t)series + 1, sizeof *x->links);
    struct toc_reader r = toc_reader_make(toc_sv_make(start, entries));
    parse_names(x, &r);
    return r.error || toc_reader_left(&r) ? TOC_ECORRUPT : 0;
}

int toc_block_index_parse(struct toc_buf *take_bytes, struct toc_block_index **out) {
    struct toc_block_index *x = TOC_NEW(struct toc_block_index);
    atomic_init(&x->refs, 1);
    x->bytes = *take_bytes;
    *take_bytes = TOC_BUF_INIT;
    int rc = parse(x);
    if (rc)
        toc_block_index_unref(&x);
    *out = x;
    return rc;
}

struct toc_block_index *toc_block_index_ref(struct toc_block_index *x) {
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void toc_block_index_unref(struct toc_block_index **index) {
    struct toc_block_index *x = *index;
    *index = NULL;
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (x->chunks)
        toc_file_close(x->vfs, &x->chunks);
    toc_buf_fini(&x->bytes);
    toc_free(x->pairs);
    toc_free(x->order);
    toc_free(x->names);
    toc_free(x->links);
    toc_free(x);
}

size_t toc_block_index_bytes(const struct toc_block_index *x) {
    size_t n = x->bytes.capacity + x->pair_count * (sizeof(struct pair) + 4) +
               (size_t)x->meta.series * sizeof *x->links;
    return TOC_MAX(n, COUNTS_AT_LEAST);
}

void toc_block_index_take_file(struct toc_block_index *x, struct toc_vfs *vfs,
                               struct toc_file *take_file) {
    x->vfs = vfs;
    x->chunks = take_file;
}

int64_t toc_block_pread(const struct toc_block_index *x, void *p, size_t n, uint64_t at) {
    return x->vfs->pread(x->vfs, x->chunks, p, n, at);
}

const struct toc_block_meta *toc_block_index_meta(const struct toc_block_index *x) {
    return &x->meta;
}

/* --- series --- */

/* The entry of a series, which begins with its labels. */
static struct toc_reader entry_of(const struct toc_block_index *x, uint32_t series) {
    struct toc_reader r = {.error = TOC_ECORRUPT};
    if (series >= x->meta.series)
        return r;
    uint32_t at;
    memcpy(&at, x->entry_at + 4 * (size_t)series, 4);
    if (at <= x->entries.n)
        r = toc_reader_make(toc_sv_sub(x->entries, at, x->entries.n));
    return r;
}

int toc_block_index_labels(const struct toc_block_index *x, uint32_t series,
                           struct toc_label *items, struct toc_labels *out) {
    struct toc_reader r = entry_of(x, series);
    uint64_t count = toc_read_varint(&r);
    if (r.error || count > TOC_SERIES_LABELS_MAX)
        return TOC_ECORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = toc_read_varint(&r);
        if (r.error || number >= x->pair_count)
            return TOC_ECORRUPT;
        items[i] = (struct toc_label){x->pairs[number].name, x->pairs[number].value};
    }
    *out = (struct toc_labels){items, (size_t)count};
    return 0;
}

bool toc_block_index_find(const struct toc_block_index *x, struct toc_labels labels,
                          uint32_t *out_series) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    uint32_t low = 0, high = (uint32_t)x->meta.series;
    while (low < high) {
        struct toc_labels at;
        uint32_t middle = low + (high - low) / 2;
        if (toc_block_index_labels(x, middle, items, &at))
            return false;
        int c = toc_labels_cmp(at, labels);
        if (c == 0) {
            *out_series = middle;
            return true;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

int toc_block_index_chunks(const struct toc_block_index *x, uint32_t series,
                           struct toc_block_cursor *out) {
    struct toc_reader r = entry_of(x, series);
    uint64_t pairs = toc_read_varint(&r);
    for (uint64_t i = 0; i < pairs && !r.error; i++)
        toc_read_varint(&r);
    uint64_t left = toc_read_varint(&r);
    *out = (struct toc_block_cursor){.r = r, .left = left};
    return r.error ? TOC_ECORRUPT : 0;
}

bool toc_block_cursor_next(struct toc_block_cursor *cursor, struct toc_block_chunk *out) {
    struct toc_reader *r = &cursor->r;
    if (!cursor->left)
        return false;
    cursor->left--;
    out->offset = cursor->end + toc_read_varint(r);
    out->bytes = (uint32_t)toc_read_varint(r);
    out->min_ms = (int64_t)((uint64_t)cursor->last_ms + (uint64_t)toc_read_zigzag(r));
    out->max_ms = (int64_t)((uint64_t)out->min_ms + toc_read_varint(r));
    out->samples = (uint32_t)toc_read_varint(r);
    cursor->end = out->offset + out->bytes;
    cursor->last_ms = out->max_ms;
    if (r->error)
        cursor->left = 0;
    return !r->error;
}

uint64_t toc_block_index_link(const struct toc_block_index *x, uint32_t series) {
    return atomic_load_explicit(&x->links[series], memory_order_relaxed);
}

void toc_block_index_set_link(const struct toc_block_index *x, uint32_t series, uint64_t link) {
    atomic_store_explicit(&x->links[series], link, memory_order_relaxed);
}

/* --- pairs --- */

static const struct name *find_name(const struct toc_block_index *x, struct toc_sv name) {
    size_t low = 0, high = x->name_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = toc_sv_cmp(x->names[middle].name, name);
        if (c == 0)
            return &x->names[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* A bit for each pair that a series of the list has. */
static uint64_t *mark_pairs(const struct toc_block_index *x, const struct toc_ids *series) {
    uint64_t *bits = toc_xcalloc((size_t)x->pair_count / 64 + 1, sizeof *bits);
    for (size_t i = 0; i < series->count; i++) {
        struct toc_reader r = entry_of(x, series->items[i]);
        uint64_t count = toc_read_varint(&r);
        for (uint64_t k = 0; k < count && !r.error; k++) {
            uint64_t number = toc_read_varint(&r);
            if (!r.error && number < x->pair_count)
                bits[number / 64] |= 1ULL << number % 64;
        }
    }
    return bits;
}

void toc_block_index_each_pair(const struct toc_block_index *x, const struct toc_ids *series,
                               struct toc_sv name, toc_on_block_pair *fn, void *ctx) {
    const struct name *n = name.n ? find_name(x, name) : NULL;
    uint32_t first = n ? n->first : 0, count = n ? n->count : name.n ? 0 : x->pair_count;
    uint64_t *bits = series ? mark_pairs(x, series) : NULL;
    for (uint32_t i = first; i < first + count; i++) {
        uint32_t number = x->order[i];
        const struct pair *p = &x->pairs[number];
        if (!bits || bits[number / 64] >> number % 64 & 1)
            fn(ctx, (struct toc_label){p->name, p->value});
    }
    toc_free(bits);
}

/* --- matching --- */

static const struct pair *find_pair(const struct toc_block_index *x, struct toc_sv name,
                                    struct toc_sv value) {
    const struct name *n = find_name(x, name);
    size_t low = n ? n->first : 0, high = n ? n->first + n->count : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct pair *p = &x->pairs[x->order[middle]];
        int c = toc_sv_cmp(p->value, value);
        if (c == 0)
            return p;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void append_postings(const struct toc_block_index *x, const struct pair *p,
                            struct toc_ids *out) {
    struct toc_reader r = toc_reader_make(p->postings);
    uint64_t id = 0;
    TOC_VEC_RESERVE(out, out->count + p->series);
    for (uint32_t i = 0; i < p->series && !r.error; i++) {
        id += toc_read_varint(&r);
        if (!r.error && id < x->meta.series)
            TOC_VEC_PUSH(out, (uint32_t)id);
    }
}

static size_t pair_size(const void *ctx, struct toc_sv name, struct toc_sv value) {
    const struct pair *p = find_pair(ctx, name, value);
    return p ? p->series : 0;
}

static void append_pair(const void *ctx, struct toc_sv name, struct toc_sv value,
                        struct toc_ids *out) {
    const struct pair *p = find_pair(ctx, name, value);
    if (p)
        append_postings(ctx, p, out);
}

static void append_where(const void *ctx, const struct toc_value_test *test, bool verdict,
                         struct toc_ids *out) {
    const struct toc_block_index *x = ctx;
    const struct name *n = find_name(x, test->m->name);
    for (uint32_t i = 0; n && i < n->count; i++) {
        const struct pair *p = &x->pairs[x->order[n->first + i]];
        if (toc_value_test_matches(test, p->value) == verdict)
            append_postings(x, p, out);
    }
}

static void append_all(const void *ctx, struct toc_ids *out) {
    const struct toc_block_index *x = ctx;
    TOC_VEC_RESERVE(out, out->count + (size_t)x->meta.series);
    for (uint32_t i = 0; i < x->meta.series; i++)
        TOC_VEC_PUSH(out, i);
}

/* What an entry must have: the pairs of the equalities, by number, and what the other matchers say
 * of the texts. */
enum { WANTED_MAX = 32 };
struct wanted {
    uint32_t pairs[WANTED_MAX];
    size_t pair_count;
    const struct toc_matcher *matchers;
    size_t count;
    bool pairs_suffice; /* each matcher is one of the pairs */
};

static struct wanted want(const struct toc_block_index *x, const struct toc_matcher *m,
                          size_t count) {
    struct wanted w = {.matchers = m, .count = count, .pairs_suffice = true};
    for (size_t i = 0; i < count; i++) {
        bool is_pair = m[i].op == TOC_MATCH_EQ && m[i].value.n && w.pair_count < WANTED_MAX;
        const struct pair *p = is_pair ? find_pair(x, m[i].name, m[i].value) : NULL;
        if (p)
            w.pairs[w.pair_count++] = (uint32_t)(p - x->pairs);
        else
            w.pairs_suffice = false;
    }
    return w;
}

/* Numbers are compared, not texts. A damaged entry has all: whoever reads it says so. */
static bool has_pairs(const struct toc_block_index *x, uint32_t id, const struct wanted *w) {
    struct toc_reader r = entry_of(x, id);
    uint64_t count = toc_read_varint(&r), all = ((uint64_t)1 << w->pair_count) - 1, seen = 0;
    if (r.error || count > TOC_SERIES_LABELS_MAX)
        return true;
    for (uint64_t i = 0; i < count && seen != all; i++) {
        uint64_t number = toc_read_varint(&r);
        if (r.error || number >= x->pair_count)
            return true;
        for (size_t k = 0; k < w->pair_count; k++)
            seen |= (uint64_t)(w->pairs[k] == number) << k;
    }
    return seen == all;
}

static bool satisfies(const struct toc_block_index *x, uint32_t id, const struct wanted *w) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels labels;
    if (toc_block_index_labels(x, id, items, &labels) < 0)
        return true;
    for (size_t i = 0; i < w->count; i++)
        if (!toc_matcher_matches(&w->matchers[i], toc_labels_get(labels, w->matchers[i].name)))
            return false;
    return true;
}

static void keep_fitting(const void *ctx, const struct toc_matcher *m, size_t count,
                         struct toc_ids *found) {
    const struct toc_block_index *x = ctx;
    struct wanted w = want(x, m, count);
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        uint32_t id = found->items[i];
        if (has_pairs(x, id, &w) && (w.pairs_suffice || satisfies(x, id, &w)))
            found->items[kept++] = id;
    }
    found->count = kept;
}

void toc_block_index_match(const struct toc_block_index *x, const struct toc_matcher *m,
                           size_t count, struct toc_ids *out) {
    uint32_t limit = (uint32_t)x->meta.series;
    struct toc_postings p = {.x = x,
                             .limit = limit,
                             .pair_size = pair_size,
                             .append_pair = append_pair,
                             .append_where = append_where,
                             .append_all = append_all,
                             .keep_fitting = keep_fitting};
    toc_postings_match(&p, m, count, out);
}
