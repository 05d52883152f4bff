/* io.prometheus.write.v2.Request: symbols 4, timeseries 5 {labels_refs 1, samples 2, histograms 3,
 * exemplars 4, metadata 5 {type 1, help_ref 3, unit_ref 4}, created_timestamp 6}. The last is what
 * senders before 2.0 was final wrote instead of a start_timestamp for each sample. */
#include "base/hash.h"
#include "codec/protobuf.h"
#include "remote/write_batch_priv.h"

enum { SYMBOLS = 4, TIMESERIES = 5 };
enum { LABELS_REFS = 1, SAMPLES = 2, HISTOGRAMS = 3, EXEMPLARS = 4, METADATA = 5, CREATED = 6 };
enum { SYMBOLS_MAX = 1 << 20 };

int toc_write_labels_2(struct write_batch *b, struct toc_sv raw) {
    struct toc_pb_reader r = toc_pb_reader_make(raw);
    b->labels.count = 0;
    while (!toc_pb_is_at_end(&r)) {
        uint64_t name = toc_pb_varint(&r), value = toc_pb_varint(&r);
        if (r.error || name >= b->symbols.count || value >= b->symbols.count)
            return TOC_EINVAL;
        if (b->labels.count == TOC_REMOTE_LABELS_MAX)
            return TOC_ELIMIT;
        TOC_VEC_PUSH(&b->labels,
                     ((struct toc_label){b->symbols.items[name], b->symbols.items[value]}));
    }
    return r.error;
}

/* The numbers of symbols mean something in this message only, so the key is made of their hashes.
 */
static struct toc_hash128 key_of(const struct write_batch *b, struct toc_sv raw) {
    struct toc_hash128 parts[2 * TOC_REMOTE_LABELS_MAX];
    size_t n = 0;
    struct toc_pb_reader r = toc_pb_reader_make(raw);
    while (!toc_pb_is_at_end(&r) && n < TOC_ARRAY_LEN(parts)) {
        uint64_t at = toc_pb_varint(&r);
        if (r.error || at >= b->symbols.count)
            return (struct toc_hash128){0, 0}; /* refused when its labels are read */
        parts[n++] = b->symbol_hashes.items[at];
    }
    if (r.p != r.end)
        return (struct toc_hash128){0, 0};
    return toc_label_cache_key(b->cache, parts, n * sizeof parts[0]);
}

struct series {
    struct toc_sv refs, metadata;
    size_t samples, histograms;
    int64_t created_ms;
    bool has_metadata, is_unpacked;
};

static int survey(struct toc_sv body, struct series *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    *out = (struct series){.refs = TOC_SV("")};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        out->samples += f.number == SAMPLES;
        out->histograms += f.number == HISTOGRAMS;
        if (f.number == LABELS_REFS && (f.wire != TOC_PB_LEN || out->refs.n))
            out->is_unpacked = true;
        else if (f.number == LABELS_REFS)
            out->refs = f.bytes;
        if (f.number == METADATA) {
            out->metadata = toc_pb_bytes(&r, &f);
            out->has_metadata = true;
        } else if (f.number == CREATED) {
            out->created_ms = toc_pb_i64(&r, &f);
        }
    }
    return r.error;
}

/* References one by one or in several pieces: legal, rare. */
static int gather_refs(struct write_batch *b, struct toc_sv body, struct toc_sv *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    toc_buf_reset(&b->gathered);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == LABELS_REFS && f.wire == TOC_PB_VARINT)
            toc_buf_append_varint(&b->gathered, f.scalar);
        else if (f.number == LABELS_REFS)
            toc_buf_append_sv(&b->gathered, toc_pb_bytes(&r, &f));
    }
    *out = toc_arena_dup_sv(&b->arena, toc_buf_sv(&b->gathered));
    return r.error ? r.error : out->p ? 0 : TOC_ENOMEM;
}

static const char *find_fault(const struct series *s) {
    if (!s->samples && !s->histograms)
        return "TimeSeries must contain at least one sample or histogram";
    if (s->samples && s->histograms)
        return "TimeSeries must contain either samples or histograms, not both";
    return NULL;
}

static struct toc_sv symbol(const struct write_batch *b, uint64_t at) {
    return at < b->symbols.count ? b->symbols.items[at] : TOC_SV("");
}

/* Told once per series and content: senders repeat it with every sample. */
static int take_metadata(struct write_batch *b, const struct series *s, struct toc_hash128 key) {
    struct toc_pb_reader r = toc_pb_reader_make(s->metadata);
    struct toc_sv help = TOC_SV(""), unit = TOC_SV("");
    uint64_t type = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            type = toc_pb_u64(&r, &f);
        else if (f.number == 3)
            help = symbol(b, toc_pb_u64(&r, &f));
        else if (f.number == 4)
            unit = symbol(b, toc_pb_u64(&r, &f));
    }
    if (r.error)
        return r.error;
    uint32_t hash =
        (uint32_t)(toc_hash64(help.p, help.n, type) ^ toc_hash64(unit.p, unit.n, type + 64)) | 1;
    struct toc_label_cache_entry known = toc_label_cache_get(b->cache, key);
    struct toc_sink *sink = toc_metricdb_sink(b->db);
    struct toc_labels labels;
    if (known.metadata_hash == hash || !sink->metadata || toc_write_label_set(b, s->refs, &labels))
        return 0;
    sink->metadata(sink, toc_labels_get(labels, TOC_METRIC_NAME), toc_write_metric_type(type), help,
                   unit);
    known.metadata_hash = hash;
    if (known.ref)
        toc_label_cache_put(b->cache, &known);
    return 0;
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

static enum toc_metric_type type_of(const struct series *s) {
    struct toc_pb_reader r = toc_pb_reader_make(s->metadata);
    uint64_t type = 0;
    for (struct toc_pb_field f; s->has_metadata && toc_pb_next(&r, &f);)
        if (f.number == 1)
            type = toc_pb_u64(&r, &f);
    return toc_write_metric_type(type);
}

/* May the series have a start timestamp? Quantiles of a summary count nothing. */
static bool has_start(struct write_batch *b, const struct series *s) {
    struct toc_labels labels;
    switch (type_of(s)) {
    case TOC_METRIC_SUMMARY:
        return !toc_write_label_set(b, s->refs, &labels) &&
               !toc_labels_has(labels, TOC_SV("quantile"));
    case TOC_METRIC_COUNTER:
    case TOC_METRIC_HISTOGRAM:
    case TOC_METRIC_UNKNOWN: /* not told: the start itself says it */
        return true;
    default:
        return false;
    }
}

static int take_series(struct write_batch *b, struct toc_sv body) {
    struct series s;
    int rc = survey(body, &s);
    if (!rc && s.is_unpacked)
        rc = gather_refs(b, body, &s.refs);
    if (rc)
        return rc;
    const char *fault = find_fault(&s);
    if (fault) {
        toc_write_refuse_text(b, s.refs, s.samples + s.histograms, fault);
        return 0;
    }
    struct toc_hash128 key = key_of(b, s.refs);
    uint64_t ref = toc_write_begin_series(b, key, s.refs);
    if (!ref)
        return b->parse_error;
    if (b->takes_starts) {
        b->wants_starts = has_start(b, &s);
        b->created_ms = s.created_ms;
    }
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);)
        rc = take_field(b, ref, &r, &f);
    if (!rc && s.has_metadata)
        rc = take_metadata(b, &s, key);
    return rc ? rc : r.error;
}

static int take_symbols(struct write_batch *b, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number != SYMBOLS)
            continue;
        struct toc_sv s = toc_pb_bytes(&r, &f);
        if (b->symbols.count == SYMBOLS_MAX)
            return TOC_ELIMIT;
        TOC_VEC_PUSH(&b->symbols, s);
        TOC_VEC_PUSH(&b->symbol_hashes, toc_label_cache_key(b->cache, s.p, s.n));
    }
    if (!r.error && b->symbols.count && b->symbols.items[0].n)
        return TOC_EPARSE; /* the first symbol is the empty text */
    return r.error;
}

int toc_write_parse_2(struct write_batch *b, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int rc = take_symbols(b, body);
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number != TIMESERIES)
            continue;
        rc = b->series.count < TOC_REMOTE_SERIES_MAX ? take_series(b, toc_pb_bytes(&r, &f))
                                                     : TOC_ELIMIT;
    }
    return rc ? rc : r.error;
}
