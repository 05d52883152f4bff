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

static int take_sample(struct write_batch *b, uint64_t ref, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    double value = 0;
    int64_t t_ms = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            value = toc_pb_double(&r, &f);
        else if (f.number == 2)
            t_ms = toc_pb_i64(&r, &f);
    }
    if (!r.error)
        toc_write_add_float(b, ref, t_ms, value);
    return r.error;
}

static int take_field(struct write_batch *b, uint64_t ref, struct toc_pb_reader *r,
                      const struct toc_pb_field *f) {
    switch (f->number) {
    case SAMPLES:
        return take_sample(b, ref, toc_pb_bytes(r, f));
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

/* Senders put the labels first; then their bytes, in one piece, are the key. Are they apart, they
 * are gathered. The whole message is looked over, so that a broken one stores nothing. */
static int label_bytes(struct write_batch *b, struct toc_sv body, struct toc_sv *out_raw,
                       size_t *out_labels_end) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    const uint8_t *begin = r.p, *end = r.p;
    bool is_apart = false;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number != LABELS)
            break;
        end = r.p;
    }
    *out_labels_end = (size_t)(end - begin);
    *out_raw = toc_sv_sub(body, 0, *out_labels_end);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        is_apart = is_apart || f.number == LABELS;
    if (r.error || !is_apart)
        return r.error;
    size_t from = b->gathered.n;
    r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == LABELS)
            toc_pb_put_bytes(&b->gathered, LABELS, toc_pb_bytes(&r, &f));
    *out_labels_end = 0;
    *out_raw = toc_arena_dup_sv(&b->arena, toc_sv_make(b->gathered.p + from, b->gathered.n - from));
    toc_buf_reset(&b->gathered);
    return r.error ? r.error : out_raw->p ? 0 : TOC_ENOMEM;
}

static int take_series(struct write_batch *b, struct toc_sv body) {
    struct toc_sv raw;
    size_t at;
    int rc = label_bytes(b, body, &raw, &at);
    if (rc)
        return rc;
    uint64_t ref = toc_write_begin_series(b, toc_label_cache_key(b->cache, raw.p, raw.n), raw);
    if (!ref)
        return b->parse_error;
    struct toc_pb_reader r = toc_pb_reader_make(toc_sv_sub(body, at, body.n));
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);)
        rc = take_field(b, ref, &r, &f);
    return rc ? rc : r.error;
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
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == TIMESERIES && b->series.count < TOC_REMOTE_SERIES_MAX)
            rc = take_series(b, toc_pb_bytes(&r, &f));
        else if (f.number == TIMESERIES)
            rc = TOC_ELIMIT;
        else if (f.number == METADATA)
            rc = take_metadata(b, toc_pb_bytes(&r, &f));
    }
    return rc ? rc : r.error;
}
