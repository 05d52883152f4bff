#include "codec/tfevents.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "codec/tfevents_priv.h"

enum {
    HEADER_BYTES = 12,
    FOOTER_BYTES = 4,
    DEFAULT_RECORD_BYTES = 64 << 20,
    DEFAULT_TAG_BYTES = 512,
    DEFAULT_TAGS = 10000,
    DEFAULT_BUCKETS = 16384,
    TAGS_MAGIC = 0x47415454, /* "TTAG" */
};

struct toc_tfevents *toc_tfevents_new(const struct toc_tfevents_limits *limits) {
    struct toc_tfevents *d = TOC_NEW(struct toc_tfevents);
    if (limits)
        d->limits = *limits;
    if (!d->limits.max_record_bytes)
        d->limits.max_record_bytes = DEFAULT_RECORD_BYTES;
    if (!d->limits.max_tag_bytes)
        d->limits.max_tag_bytes = DEFAULT_TAG_BYTES;
    if (!d->limits.max_tags)
        d->limits.max_tags = DEFAULT_TAGS;
    if (!d->limits.max_buckets)
        d->limits.max_buckets = DEFAULT_BUCKETS;
    d->wanted = HEADER_BYTES;
    return d;
}

void toc_tfevents_free(struct toc_tfevents **d) {
    if (!d || !*d)
        return;
    toc_map_fini(&(*d)->plugins);
    TOC_VEC_FINI(&(*d)->buckets);
    toc_free(*d);
    *d = NULL;
}

static uint32_t u32_at(const char *p) {
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t u64_at(const char *p) {
    return u32_at(p) | (uint64_t)u32_at(p + 4) << 32;
}

uint32_t toc_tfevents_masked_crc(struct toc_sv bytes) {
    uint32_t crc = toc_crc32c(0, bytes.p, bytes.n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static bool is_header(const char *p) {
    return toc_tfevents_masked_crc(toc_sv_make(p, 8)) == u32_at(p + 8);
}

/* Bytes up to the next place that may be a header; the last 11 cannot be judged yet. */
static size_t find_header(const struct toc_tfevents *d, struct toc_sv s) {
    size_t at = 0;
    while (at + HEADER_BYTES <= s.n &&
           !(u64_at(s.p + at) <= d->limits.max_record_bytes && is_header(s.p + at)))
        at++;
    return at;
}

static size_t skip(struct toc_tfevents *d, size_t available) {
    size_t n = d->to_skip < available ? (size_t)d->to_skip : available;
    d->to_skip -= n;
    return n;
}

/* After a header that is not one. */
static size_t look_on(struct toc_tfevents *d, struct toc_sv s) {
    d->counters.bad_length_crc += !d->is_lost;
    d->is_lost = true;
    size_t n = find_header(d, s);
    d->counters.bytes_skipped += n;
    return n;
}

/* A file system may show a file's new size before its bytes: zeros up to the end may become records
 * yet. Zeros with something behind them are damage. */
static bool are_zeros_all(const struct toc_tfevents *d, struct toc_sv s) {
    if (s.n > d->limits.max_record_bytes || s.p[0] != 0)
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] != 0)
            return false;
    return true;
}

/* One step at the start of s; 0 when s is too short for it. */
static size_t step(struct toc_tfevents *d, struct toc_sv s, struct toc_tfevents_visitor *v) {
    if (d->to_skip)
        return skip(d, s.n);
    d->wanted = HEADER_BYTES;
    if (s.n < HEADER_BYTES)
        return 0;
    if (are_zeros_all(d, s)) {
        d->wanted = s.n + 1;
        return 0;
    }
    uint64_t length = u64_at(s.p);
    bool is_too_long = length > d->limits.max_record_bytes;
    /* While lost, an absurd length is no sign of a record. */
    if (!is_header(s.p) || (is_too_long && (d->is_lost || length > INT64_MAX)))
        return look_on(d, s);
    d->is_lost = false;
    if (is_too_long) {
        d->counters.records_too_long++;
        d->to_skip = length + FOOTER_BYTES;
        return HEADER_BYTES;
    }
    size_t whole = HEADER_BYTES + (size_t)length + FOOTER_BYTES;
    if (s.n < whole) {
        d->wanted = whole;
        return 0;
    }
    struct toc_sv data = toc_sv_sub(s, HEADER_BYTES, (size_t)length);
    if (toc_tfevents_masked_crc(data) != u32_at(s.p + whole - FOOTER_BYTES)) {
        d->counters.bad_data_crc++;
        return whole;
    }
    d->counters.records++;
    toc_tfevents_event(d, data, v);
    return whole;
}

size_t toc_tfevents_decode(struct toc_tfevents *d, struct toc_sv bytes,
                           struct toc_tfevents_visitor *v) {
    size_t at = 0;
    for (size_t n = 1; n && at < bytes.n; at += n) {
        d->at = at;
        n = step(d, toc_sv_sub(bytes, at, SIZE_MAX), v);
    }
    return at;
}

size_t toc_tfevents_wanted(const struct toc_tfevents *d) {
    return d->to_skip ? 1 : d->wanted;
}

uint64_t toc_tfevents_to_skip(const struct toc_tfevents *d) {
    return d->to_skip;
}

struct toc_tfevents_counters toc_tfevents_counters(const struct toc_tfevents *d) {
    return d->counters;
}

void toc_tfevents_save_tags(const struct toc_tfevents *d, struct toc_buf *out) {
    size_t start = out->n, cursor = 0;
    const struct toc_map_entry *e;
    toc_buf_append_u32(out, TAGS_MAGIC);
    toc_buf_append_varint(out, d->plugins.count);
    while ((e = toc_map_next(&d->plugins, &cursor))) {
        toc_buf_append_varint(out, e->key.n);
        toc_buf_append_sv(out, e->key);
        toc_buf_append_varint(out, (uintptr_t)e->value);
    }
    if (!toc_buf_error(out))
        toc_buf_append_u32(out, toc_crc32c(0, out->p + start, out->n - start));
}

int toc_tfevents_restore_tags(struct toc_tfevents *d, struct toc_sv bytes) {
    struct toc_reader crc = toc_reader_make(toc_sv_sub(bytes, bytes.n - TOC_MIN(bytes.n, 4), 4));
    struct toc_sv content = toc_sv_sub(bytes, 0, bytes.n - TOC_MIN(bytes.n, 4));
    struct toc_reader r = toc_reader_make(content);
    if (toc_read_u32(&crc) != toc_crc32c(0, content.p, content.n) || crc.error ||
        toc_read_u32(&r) != TAGS_MAGIC)
        return TOC_ECORRUPT;
    uint64_t count = toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !r.error; i++) {
        struct toc_sv tag = toc_read_string(&r);
        uint64_t plugin = toc_read_varint(&r);
        if (!r.error && plugin <= TOC_TFEVENTS_PLUGIN_OTHER &&
            d->plugins.count < d->limits.max_tags)
            toc_map_put(&d->plugins, tag, (void *)(uintptr_t)plugin);
    }
    return 0;
}
