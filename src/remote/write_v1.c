/* prometheus.WriteRequest: timeseries 1 {labels 1, samples 2, exemplars 3, histograms 4}, metadata
 * 3. */
#include "codec/protobuf.h"
#include "remote/write_batch_priv.h"

enum { TIMESERIES = 1, METADATA = 3 };
enum { LABELS = 1, SAMPLES = 2, EXEMPLARS = 3, HISTOGRAMS = 4 };

static void read_label(struct toc_sv body, struct toc_label *out, struct toc_pb_reader *outer) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    *out = (struct toc_label){TOC_SV(""), TOC_SV("")};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            out->name = toc_pb_bytes(&r, &f);
        else if (f.number == 2)
            out->value = toc_pb_bytes(&r, &f);
    }
    outer->error = outer->error ? outer->error : r.error;
}

int toc_write_labels_1(struct write_batch *b, struct toc_sv raw) {
    struct toc_pb_reader r = toc_pb_reader_make(raw);
    b->labels.count = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        struct toc_label l;
        if (f.number != LABELS)
            continue;
        if (b->labels.count == TOC_REMOTE_LABELS_MAX)
            return TOC_ELIMIT;
        read_label(toc_pb_bytes(&r, &f), &l, &r);
        TOC_VEC_PUSH(&b->labels, l);
    }
    return r.error;
}

static int take_field(struct write_batch *b, uint64_t ref, struct toc_pb_reader *r,
                      const struct toc_pb_field *f) {
    switch (f->number) {
    case SAMPLES:
        return toc_write_add_sample(b, ref, toc_pb_bytes(r, f));
    case HISTOGRAMS:
        return toc_write_add_histogram(b, ref, toc_pb_bytes(r, f));
    case EXEMPLARS:
        TOC_VEC_PUSH(&b->exemplars,
                     ((struct write_exemplar){toc_pb_bytes(r, f), (uint32_t)b->series.count - 1}));
        return 0;
    default:
        return 0;
    }
}

/* Where the labels at the front of a series end. Labels are short: two bytes of head, mostly. */
static int skip_labels(struct toc_sv body, size_t *out_end) {
    const uint8_t *p = (const uint8_t *)body.p;
    size_t at = 0;
    while (at + 2 <= body.n && p[at] == (LABELS << 3 | TOC_PB_LEN)) {
        if (p[at + 1] < 0x80) {
            at += 2 + (size_t)p[at + 1];
        } else {
            struct toc_pb_reader r = toc_pb_reader_make(toc_sv_sub(body, at + 1, body.n));
            uint64_t n = toc_pb_varint(&r);
            if (r.error || n > (uint64_t)(r.end - r.p))
                return TOC_ETRUNCATED;
            at = (size_t)((const char *)r.p - body.p) + (size_t)n;
        }
    }
    *out_end = at;
    return at > body.n ? TOC_ETRUNCATED : 0;
}

/* Labels that stand apart are gathered. The series begins again under its full name. */
static int take_scattered(struct write_batch *b, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    toc_buf_reset(&b->gathered);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == LABELS)
            toc_pb_put_bytes(&b->gathered, LABELS, toc_pb_bytes(&r, &f));
    struct toc_sv raw = toc_arena_dup_sv(&b->arena, toc_buf_sv(&b->gathered));
    if (r.error || !raw.p)
        return r.error ? r.error : TOC_ENOMEM;
    uint64_t ref = toc_write_begin_series(b, toc_label_cache_key(b->cache, raw.p, raw.n), raw);
    if (!ref)
        return b->parse_error;
    int rc = 0;
    r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);)
        rc = f.number == LABELS ? 0 : take_field(b, ref, &r, &f);
    return rc ? rc : r.error;
}

static bool has_labels(struct toc_sv rest) {
    struct toc_pb_reader r = toc_pb_reader_make(rest);
    while (r.end - r.p >= 2 && r.p[0] == (SAMPLES << 3 | TOC_PB_LEN) && r.p[1] < 0x80 &&
           r.end - r.p >= 2 + r.p[1])
        r.p += 2 + r.p[1];
    if (toc_pb_is_at_end(&r)) /* nearly always */
        return false;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == LABELS)
            return true;
    return false;
}

/* A varint of n bytes, 1…8, all of which are readable as one word; false when it is none. */
static inline bool read_varint(const uint8_t *p, unsigned n, uint64_t *out) {
    const uint64_t more = 0x8080808080808080;
    uint64_t w;
    memcpy(&w, p, sizeof w);
    w &= ~0ULL >> (64 - 8 * n);
    if ((w & more) != (more & (~0ULL >> (64 - 8 * n)) >> 8))
        return false;
    w = (w & 0x007f007f007f007f) | (w & 0x7f007f007f007f00) >> 1;
    w = (w & 0x00003fff00003fff) | (w & 0x3fff00003fff0000) >> 2;
    *out = (w & 0x000000000fffffff) | (w & 0x0fffffff00000000) >> 4;
    return true;
}

/* Samples as every sender writes them: value, then time. Ends where one must be read field by
 * field: one at the end of the message or before the epoch, too. */
static void take_plain_samples(struct write_batch *b, uint64_t ref, struct toc_pb_reader *r) {
    enum { HEAD = 12, TIME_MAX = 8, VALUE_TAG = 1 << 3 | TOC_PB_I64 };
    enum { TIME_TAG = 2 << 3 | TOC_PB_VARINT };
    const uint8_t *p = r->p;
    while (p < r->end && b->message_end - p >= HEAD + TIME_MAX) {
        uint64_t bits, t_ms;
        unsigned n = p[1] - (HEAD - 2u);
        if (p[0] != (SAMPLES << 3 | TOC_PB_LEN) || n - 1u >= TIME_MAX || p[2] != VALUE_TAG ||
            p[11] != TIME_TAG || p + HEAD + n > r->end || !read_varint(p + HEAD, n, &t_ms))
            break;
        memcpy(&bits, p + 3, sizeof bits);
        p += HEAD + n;
        toc_write_add_float(b, ref, (int64_t)t_ms, toc_pb_double_of(bits));
    }
    r->p = p;
}

static int take_ahead(struct write_batch *b, const struct write_ahead *x, uint64_t known_ref) {
    struct toc_pb_reader r = toc_pb_reader_make(x->rest);
    uint64_t ref = toc_write_begin_known(b, x->key, x->raw, known_ref);
    if (!ref)
        return b->parse_error;
    int rc = 0;
    for (struct toc_pb_field f; !rc;) {
        take_plain_samples(b, ref, &r);
        if (toc_pb_is_at_end(&r) || !toc_pb_next(&r, &f))
            break;
        rc = take_field(b, ref, &r, &f);
    }
    return rc ? rc : r.error;
}

static int take_all_ahead(struct write_batch *b) {
    struct toc_hash128 keys[TOC_LABEL_CACHE_BATCH];
    uint64_t refs[TOC_LABEL_CACHE_BATCH];
    int rc = 0;
    for (size_t i = 0; i < b->ahead_count; i++)
        keys[i] = b->ahead[i].key;
    toc_label_cache_get_refs(b->cache, keys, b->ahead_count, refs);
    for (size_t i = 0; !rc && i < b->ahead_count; i++)
        rc = take_ahead(b, &b->ahead[i], refs[i]);
    b->ahead_count = 0;
    return rc;
}

/* Senders put the labels first; their bytes, in one piece, are the key. Keys are looked up many at
 * a time. */
static int take_series(struct write_batch *b, struct toc_sv body) {
    size_t end;
    int rc = skip_labels(body, &end);
    if (rc)
        return rc;
    struct write_ahead *x = &b->ahead[b->ahead_count];
    x->raw = toc_sv_sub(body, 0, end);
    x->rest = toc_sv_sub(body, end, body.n);
    if (has_labels(x->rest)) {
        rc = take_all_ahead(b);
        return rc ? rc : take_scattered(b, body);
    }
    x->key = toc_label_cache_key(b->cache, x->raw.p, x->raw.n);
    return ++b->ahead_count == TOC_LABEL_CACHE_BATCH ? take_all_ahead(b) : 0;
}

enum toc_metric_type toc_write_metric_type(uint64_t v) {
    static const enum toc_metric_type types[] = {
        TOC_METRIC_UNKNOWN,         TOC_METRIC_COUNTER, TOC_METRIC_GAUGE, TOC_METRIC_HISTOGRAM,
        TOC_METRIC_GAUGE_HISTOGRAM, TOC_METRIC_SUMMARY, TOC_METRIC_INFO,  TOC_METRIC_STATESET};
    return v < TOC_ARRAY_LEN(types) ? types[v] : TOC_METRIC_UNKNOWN;
}

static int take_metadata(struct write_batch *b, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct toc_sv name = TOC_SV(""), help = TOC_SV(""), unit = TOC_SV("");
    uint64_t type = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            type = toc_pb_u64(&r, &f);
        else if (f.number == 2)
            name = toc_pb_bytes(&r, &f);
        else if (f.number == 4)
            help = toc_pb_bytes(&r, &f);
        else if (f.number == 5)
            unit = toc_pb_bytes(&r, &f);
    }
    struct toc_sink *sink = toc_metricdb_sink(b->db);
    if (!r.error && name.n && sink->metadata)
        sink->metadata(sink, name, toc_write_metric_type(type), help, unit);
    return r.error;
}

int toc_write_parse_1(struct write_batch *b, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int rc = 0;
    b->message_end = r.end;
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == TIMESERIES && b->series.count < TOC_REMOTE_SERIES_MAX)
            rc = take_series(b, toc_pb_bytes(&r, &f));
        else if (f.number == TIMESERIES)
            rc = TOC_ELIMIT;
        else if (f.number == METADATA)
            rc = take_metadata(b, toc_pb_bytes(&r, &f));
    }
    if (!rc && !r.error)
        rc = take_all_ahead(b);
    return rc ? rc : r.error;
}
