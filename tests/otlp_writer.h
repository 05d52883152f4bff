/*
 * Writes a message of OTLP in both encodings, for tests: what the two decoders read must be the
 * same. Values of attributes are strings, as they are after decoding.
 */
#ifndef TOC_TESTS_OTLP_WRITER_H
#define TOC_TESTS_OTLP_WRITER_H

#include <math.h>
#include <stdio.h>

#include "codec/json_writer.h"
#include "codec/protobuf.h"
#include "codec/text.h"
#include "remote/otlp_message.h"

/* --- protobuf --- */

static inline void otlp_proto_fixed(struct toc_buf *b, uint32_t number, uint64_t v) {
    toc_buf_append_varint(b, (uint64_t)number << 3 | TOC_PB_I64);
    toc_buf_append_u64(b, v);
}

/* NaN has one form, as it has in JSON. */
static inline void otlp_proto_double(struct toc_buf *b, uint32_t number, double v) {
    toc_pb_put_double(b, number, isnan(v) ? NAN : v);
}

static inline uint64_t otlp_count(double v) {
    return v < 0x1p64 ? (uint64_t)v : UINT64_MAX;
}

static inline void otlp_proto_attributes(struct toc_buf *b, uint32_t number,
                                         const struct otlp_attributes *a) {
    for (size_t i = 0; i < a->count; i++) {
        size_t mark = toc_pb_begin(b, number);
        toc_pb_put_bytes(b, 1, a->items[i].key);
        size_t value = toc_pb_begin(b, 2);
        toc_pb_put_bytes(b, 1, a->items[i].value);
        toc_pb_end(b, value);
        toc_pb_end(b, mark);
    }
}

static inline void otlp_proto_hex(struct toc_buf *b, uint32_t number, struct toc_sv hex) {
    struct toc_buf bytes = TOC_BUF_INIT;
    if (hex.n && toc_hex_decode(hex, &bytes) == 0)
        toc_pb_put_bytes(b, number, toc_buf_sv(&bytes));
    toc_buf_fini(&bytes);
}

static inline void otlp_proto_exemplars(struct toc_buf *b, uint32_t number,
                                        const struct otlp_point *p) {
    for (size_t i = 0; i < p->exemplar_count; i++) {
        const struct otlp_exemplar *e = &p->exemplars[i];
        size_t mark = toc_pb_begin(b, number);
        otlp_proto_fixed(b, 2, (uint64_t)e->time_ns);
        otlp_proto_double(b, 3, e->value);
        otlp_proto_hex(b, 4, e->span_id);
        otlp_proto_hex(b, 5, e->trace_id);
        otlp_proto_attributes(b, 7, &e->attributes);
        toc_pb_end(b, mark);
    }
}

static inline void otlp_proto_numbers(struct toc_buf *b, uint32_t number, char type,
                                      const struct otlp_numbers *n) {
    if (!n->count)
        return;
    size_t mark = toc_pb_begin(b, number);
    for (size_t i = 0; i < n->count; i++) {
        if (type == 'v')
            toc_buf_append_varint(b, otlp_count(n->items[i]));
        else if (type == 'f')
            toc_buf_append_u64(b, otlp_count(n->items[i]));
        else
            toc_buf_append_f64(b, isnan(n->items[i]) ? NAN : n->items[i]);
    }
    toc_pb_end(b, mark);
}

static inline void otlp_proto_buckets(struct toc_buf *b, uint32_t number,
                                      const struct otlp_buckets *x) {
    size_t mark = toc_pb_begin(b, number);
    toc_pb_put_sint(b, 1, x->offset);
    otlp_proto_numbers(b, 2, 'v', &x->counts);
    toc_pb_end(b, mark);
}

static inline void otlp_proto_distribution(struct toc_buf *b, enum otlp_kind kind,
                                           const struct otlp_distribution *x) {
    otlp_proto_fixed(b, 4, x->count);
    if (x->has_sum)
        otlp_proto_double(b, 5, x->sum);
    if (kind == OTLP_HISTOGRAM) {
        otlp_proto_numbers(b, 6, 'f', &x->counts);
        otlp_proto_numbers(b, 7, 'd', &x->bounds);
    } else if (kind == OTLP_EXPONENTIAL) {
        toc_pb_put_sint(b, 6, x->scale);
        otlp_proto_fixed(b, 7, otlp_count(x->zero_count));
        otlp_proto_buckets(b, 8, &x->positive);
        otlp_proto_buckets(b, 9, &x->negative);
        otlp_proto_double(b, 14, x->zero_threshold);
    }
    for (size_t i = 0; i < x->quantile_count; i++) {
        size_t mark = toc_pb_begin(b, 6);
        otlp_proto_double(b, 1, x->quantiles[i].quantile);
        otlp_proto_double(b, 2, x->quantiles[i].value);
        toc_pb_end(b, mark);
    }
}

static inline void otlp_proto_point(struct toc_buf *b, enum otlp_kind kind,
                                    const struct otlp_point *p) {
    static const struct {
        uint32_t attributes, flags, exemplars;
    } fields[] = {[OTLP_GAUGE] = {7, 8, 5},
                  [OTLP_SUM] = {7, 8, 5},
                  [OTLP_HISTOGRAM] = {9, 10, 8},
                  [OTLP_EXPONENTIAL] = {1, 10, 11},
                  [OTLP_SUMMARY] = {7, 8, 0}};
    size_t mark = toc_pb_begin(b, 1);
    otlp_proto_fixed(b, 2, (uint64_t)p->start_ns);
    otlp_proto_fixed(b, 3, (uint64_t)p->time_ns);
    if (p->has_value)
        otlp_proto_double(b, 4, p->value);
    if (p->distribution)
        otlp_proto_distribution(b, kind, p->distribution);
    otlp_proto_attributes(b, fields[kind].attributes, &p->attributes);
    toc_pb_put_u64(b, fields[kind].flags, p->flags);
    if (fields[kind].exemplars)
        otlp_proto_exemplars(b, fields[kind].exemplars, p);
    toc_pb_end(b, mark);
}

static inline void otlp_proto_metric(struct toc_buf *b, const struct otlp_metric *m) {
    static const uint32_t numbers[] = {[OTLP_GAUGE] = 5,
                                       [OTLP_SUM] = 7,
                                       [OTLP_HISTOGRAM] = 9,
                                       [OTLP_EXPONENTIAL] = 10,
                                       [OTLP_SUMMARY] = 11};
    size_t mark = toc_pb_begin(b, 2);
    toc_pb_put_bytes(b, 1, m->name);
    toc_pb_put_bytes(b, 2, m->description);
    toc_pb_put_bytes(b, 3, m->unit);
    if (m->kind != OTLP_NONE) {
        size_t data = toc_pb_begin(b, numbers[m->kind]);
        for (size_t i = 0; i < m->count; i++)
            otlp_proto_point(b, m->kind, &m->points[i]);
        if (m->kind != OTLP_GAUGE && m->kind != OTLP_SUMMARY)
            toc_pb_put_u64(b, 2, m->temporality);
        if (m->kind == OTLP_SUM)
            toc_pb_put_u64(b, 3, m->is_monotonic);
        toc_pb_end(b, data);
    }
    toc_pb_end(b, mark);
}

static inline void otlp_write_proto(const struct otlp_message *m, struct toc_buf *b) {
    for (size_t i = 0; i < m->count; i++) {
        const struct otlp_resource *r = &m->resources[i];
        size_t resource = toc_pb_begin(b, 1), mark = toc_pb_begin(b, 1);
        otlp_proto_attributes(b, 1, &r->attributes);
        toc_pb_end(b, mark);
        for (size_t k = 0; k < r->count; k++) {
            const struct otlp_scope *s = &r->scopes[k];
            size_t scope = toc_pb_begin(b, 2), info = toc_pb_begin(b, 1);
            toc_pb_put_bytes(b, 1, s->name);
            toc_pb_put_bytes(b, 2, s->version);
            otlp_proto_attributes(b, 3, &s->attributes);
            toc_pb_end(b, info);
            for (size_t n = 0; n < s->count; n++)
                otlp_proto_metric(b, &s->metrics[n]);
            toc_pb_put_bytes(b, 3, s->schema_url);
            toc_pb_end(b, scope);
        }
        toc_pb_end(b, resource);
    }
}

/* --- JSON, which has no texts that are no UTF-8 --- */

static inline bool otlp_attributes_are_utf8(const struct otlp_attributes *a) {
    for (size_t i = 0; i < a->count; i++)
        if (!toc_sv_is_utf8(a->items[i].key) || !toc_sv_is_utf8(a->items[i].value))
            return false;
    return true;
}

static inline bool otlp_metric_is_utf8(const struct otlp_metric *m) {
    if (!toc_sv_is_utf8(m->name) || !toc_sv_is_utf8(m->description) || !toc_sv_is_utf8(m->unit))
        return false;
    for (size_t i = 0; i < m->count; i++) {
        const struct otlp_point *p = &m->points[i];
        if (!otlp_attributes_are_utf8(&p->attributes))
            return false;
        for (size_t k = 0; k < p->exemplar_count; k++)
            if (!otlp_attributes_are_utf8(&p->exemplars[k].attributes))
                return false;
    }
    return true;
}

static inline bool otlp_scope_is_utf8(const struct otlp_scope *s) {
    bool is_good = toc_sv_is_utf8(s->name) && toc_sv_is_utf8(s->version) &&
                   toc_sv_is_utf8(s->schema_url) && otlp_attributes_are_utf8(&s->attributes);
    for (size_t i = 0; i < s->count && is_good; i++)
        is_good = otlp_metric_is_utf8(&s->metrics[i]);
    return is_good;
}

static inline bool otlp_is_utf8(const struct otlp_message *m) {
    for (size_t i = 0; i < m->count; i++) {
        if (!otlp_attributes_are_utf8(&m->resources[i].attributes))
            return false;
        for (size_t k = 0; k < m->resources[i].count; k++)
            if (!otlp_scope_is_utf8(&m->resources[i].scopes[k]))
                return false;
    }
    return true;
}

static inline void otlp_json_u64(struct toc_json_writer *w, const char *key, uint64_t v) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    if (key)
        toc_json_key(w, key);
    toc_json_cstr(w, text);
}

static inline void otlp_json_double(struct toc_json_writer *w, const char *key, double v) {
    if (key)
        toc_json_key(w, key);
    if (isinf(v))
        toc_json_cstr(w, v > 0 ? "Infinity" : "-Infinity");
    else if (v == 0 && signbit(v))
        toc_json_raw(w, TOC_SV("-0.0")); /* "-0" is the integer 0 */
    else
        toc_json_double(w, v);
}

static inline void otlp_json_attributes(struct toc_json_writer *w, const char *key,
                                        const struct otlp_attributes *a) {
    toc_json_key(w, key);
    toc_json_begin_array(w);
    for (size_t i = 0; i < a->count; i++) {
        toc_json_begin_object(w);
        toc_json_kv_string(w, "key", a->items[i].key);
        toc_json_key(w, "value");
        toc_json_begin_object(w);
        toc_json_kv_string(w, "stringValue", a->items[i].value);
        toc_json_end_object(w);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static inline void otlp_json_numbers(struct toc_json_writer *w, const char *key, bool is_integer,
                                     const struct otlp_numbers *n) {
    toc_json_key(w, key);
    toc_json_begin_array(w);
    for (size_t i = 0; i < n->count; i++) {
        if (is_integer)
            otlp_json_u64(w, NULL, otlp_count(n->items[i]));
        else
            otlp_json_double(w, NULL, n->items[i]);
    }
    toc_json_end_array(w);
}

static inline void otlp_json_buckets(struct toc_json_writer *w, const char *key,
                                     const struct otlp_buckets *x) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_int(w, "offset", x->offset);
    otlp_json_numbers(w, "bucketCounts", true, &x->counts);
    toc_json_end_object(w);
}

static inline void otlp_json_quantiles(struct toc_json_writer *w,
                                       const struct otlp_distribution *x) {
    toc_json_key(w, "quantileValues");
    toc_json_begin_array(w);
    for (size_t i = 0; i < x->quantile_count; i++) {
        toc_json_begin_object(w);
        otlp_json_double(w, "quantile", x->quantiles[i].quantile);
        otlp_json_double(w, "value", x->quantiles[i].value);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static inline void otlp_json_distribution(struct toc_json_writer *w, enum otlp_kind kind,
                                          const struct otlp_distribution *x) {
    otlp_json_u64(w, "count", x->count);
    if (x->has_sum)
        otlp_json_double(w, "sum", x->sum);
    if (kind == OTLP_HISTOGRAM) {
        otlp_json_numbers(w, "bucketCounts", true, &x->counts);
        otlp_json_numbers(w, "explicitBounds", false, &x->bounds);
    } else if (kind == OTLP_EXPONENTIAL) {
        toc_json_kv_int(w, "scale", x->scale);
        otlp_json_u64(w, "zeroCount", otlp_count(x->zero_count));
        otlp_json_double(w, "zeroThreshold", x->zero_threshold);
        otlp_json_buckets(w, "positive", &x->positive);
        otlp_json_buckets(w, "negative", &x->negative);
    } else {
        otlp_json_quantiles(w, x);
    }
}

static inline void otlp_json_exemplars(struct toc_json_writer *w, const struct otlp_point *p) {
    toc_json_key(w, "exemplars");
    toc_json_begin_array(w);
    for (size_t i = 0; i < p->exemplar_count; i++) {
        const struct otlp_exemplar *e = &p->exemplars[i];
        toc_json_begin_object(w);
        otlp_json_u64(w, "timeUnixNano", (uint64_t)e->time_ns);
        otlp_json_double(w, "asDouble", e->value);
        toc_json_kv_string(w, "spanId", e->span_id);
        toc_json_kv_string(w, "traceId", e->trace_id);
        otlp_json_attributes(w, "filteredAttributes", &e->attributes);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static inline void otlp_json_point(struct toc_json_writer *w, enum otlp_kind kind,
                                   const struct otlp_point *p) {
    toc_json_begin_object(w);
    otlp_json_attributes(w, "attributes", &p->attributes);
    otlp_json_u64(w, "startTimeUnixNano", (uint64_t)p->start_ns);
    otlp_json_u64(w, "timeUnixNano", (uint64_t)p->time_ns);
    toc_json_kv_int(w, "flags", p->flags);
    if (p->has_value)
        otlp_json_double(w, "asDouble", p->value);
    if (p->distribution)
        otlp_json_distribution(w, kind, p->distribution);
    if (kind != OTLP_SUMMARY)
        otlp_json_exemplars(w, p);
    toc_json_end_object(w);
}

static inline void otlp_json_metric(struct toc_json_writer *w, const struct otlp_metric *m) {
    static const char *const names[] = {[OTLP_GAUGE] = "gauge",
                                        [OTLP_SUM] = "sum",
                                        [OTLP_HISTOGRAM] = "histogram",
                                        [OTLP_EXPONENTIAL] = "exponentialHistogram",
                                        [OTLP_SUMMARY] = "summary"};
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", m->name);
    toc_json_kv_string(w, "description", m->description);
    toc_json_kv_string(w, "unit", m->unit);
    if (m->kind != OTLP_NONE) {
        toc_json_key(w, names[m->kind]);
        toc_json_begin_object(w);
        toc_json_kv_int(w, "aggregationTemporality", m->temporality);
        toc_json_kv_bool(w, "isMonotonic", m->is_monotonic);
        toc_json_key(w, "dataPoints");
        toc_json_begin_array(w);
        for (size_t i = 0; i < m->count; i++)
            otlp_json_point(w, m->kind, &m->points[i]);
        toc_json_end_array(w);
        toc_json_end_object(w);
    }
    toc_json_end_object(w);
}

static inline void otlp_json_scope(struct toc_json_writer *w, const struct otlp_scope *s) {
    toc_json_begin_object(w);
    toc_json_key(w, "scope");
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", s->name);
    toc_json_kv_string(w, "version", s->version);
    otlp_json_attributes(w, "attributes", &s->attributes);
    toc_json_end_object(w);
    toc_json_kv_string(w, "schemaUrl", s->schema_url);
    toc_json_key(w, "metrics");
    toc_json_begin_array(w);
    for (size_t i = 0; i < s->count; i++)
        otlp_json_metric(w, &s->metrics[i]);
    toc_json_end_array(w);
    toc_json_end_object(w);
}

static inline void otlp_write_json(const struct otlp_message *m, struct toc_buf *b) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, b);
    toc_json_begin_object(&w);
    toc_json_key(&w, "resourceMetrics");
    toc_json_begin_array(&w);
    for (size_t i = 0; i < m->count; i++) {
        toc_json_begin_object(&w);
        toc_json_key(&w, "resource");
        toc_json_begin_object(&w);
        otlp_json_attributes(&w, "attributes", &m->resources[i].attributes);
        toc_json_end_object(&w);
        toc_json_key(&w, "scopeMetrics");
        toc_json_begin_array(&w);
        for (size_t k = 0; k < m->resources[i].count; k++)
            otlp_json_scope(&w, &m->resources[i].scopes[k]);
        toc_json_end_array(&w);
        toc_json_end_object(&w);
    }
    toc_json_end_array(&w);
    toc_json_end_object(&w);
}

#endif
