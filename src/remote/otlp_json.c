/*
 * The JSON encoding (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"): lowerCamelCase
 * names, 64-bit integers as decimal strings or numbers, ids in hexadecimal, enumerations as
 * integers; names of enumerations are taken too, as the Collector does. Unknown members are stepped
 * over.
 */
#include <math.h>

#include "base/num.h"
#include "codec/json.h"
#include "codec/text.h"
#include "remote/otlp_message.h"
#include "remote/otlp_value.h"

struct decoder {
    struct toc_arena *arena;
    size_t points;
    int error;        /* the first one; sticky */
    const char *what; /* the member that is wrong, or the limit */
};

static void fail(struct decoder *d, int error, const char *what) {
    if (!d->error) {
        d->error = error;
        d->what = what;
    }
}

static void *array(struct decoder *d, size_t count, size_t size) {
    if (!count || d->error)
        return NULL;
    void *p = toc_arena_calloc(d->arena, count, size);
    if (!p)
        fail(d, TOC_ELIMIT, OTLP_TOO_LARGE);
    return p;
}

/* --- typed members; absent and null give the zero value --- */

/* NULL when absent, null or another type (which is an error). */
static const struct toc_json *member(struct decoder *d, const struct toc_json *o, const char *key,
                                     enum toc_json_type type) {
    const struct toc_json *m = toc_json_get(o, key);
    if (!m || m->type == TOC_JSON_NULL)
        return NULL;
    if (m->type != type) {
        fail(d, TOC_EPARSE, key);
        return NULL;
    }
    return m;
}

static struct toc_sv string_of(struct decoder *d, const struct toc_json *o, const char *key) {
    const struct toc_json *m = member(d, o, key, TOC_JSON_STRING);
    return m ? m->string : TOC_SV("");
}

static bool bool_of(struct decoder *d, const struct toc_json *o, const char *key) {
    const struct toc_json *m = member(d, o, key, TOC_JSON_BOOL);
    return m && m->boolean;
}

static int64_t to_i64(struct decoder *d, const struct toc_json *m, const char *key) {
    int64_t v = 0;
    if (m->type == TOC_JSON_INT)
        return m->integer;
    /* 1e3 and 5.0 are integers, too */
    if (m->type == TOC_JSON_DOUBLE && m->number == floor(m->number) && fabs(m->number) < 0x1p63)
        return (int64_t)m->number;
    if (m->type != TOC_JSON_STRING || toc_parse_i64(m->string, &v))
        fail(d, TOC_EPARSE, key);
    return v;
}

static uint64_t to_u64(struct decoder *d, const struct toc_json *m, const char *key) {
    uint64_t v = 0;
    if (m->type == TOC_JSON_INT && m->integer >= 0)
        return (uint64_t)m->integer;
    if (m->type == TOC_JSON_DOUBLE && m->number == floor(m->number) && m->number >= 0 &&
        m->number < 0x1p64)
        return (uint64_t)m->number;
    if (m->type != TOC_JSON_STRING || toc_parse_u64(m->string, &v))
        fail(d, TOC_EPARSE, key);
    return v;
}

static double to_double(struct decoder *d, const struct toc_json *m, const char *key) {
    double v = 0;
    if (m->type == TOC_JSON_INT || m->type == TOC_JSON_DOUBLE)
        return m->number;
    if (m->type != TOC_JSON_STRING || toc_parse_f64(m->string, &v))
        fail(d, TOC_EPARSE, key);
    return v;
}

static const struct toc_json *present(const struct toc_json *o, const char *key) {
    const struct toc_json *m = toc_json_get(o, key);
    return m && m->type != TOC_JSON_NULL ? m : NULL;
}

static uint64_t u64_of(struct decoder *d, const struct toc_json *o, const char *key) {
    const struct toc_json *m = present(o, key);
    return m ? to_u64(d, m, key) : 0;
}

static double double_of(struct decoder *d, const struct toc_json *o, const char *key) {
    const struct toc_json *m = present(o, key);
    return m ? to_double(d, m, key) : 0;
}

static int32_t i32_of(struct decoder *d, const struct toc_json *o, const char *key) {
    const struct toc_json *m = present(o, key);
    int64_t v = m ? to_i64(d, m, key) : 0;
    if (v < INT32_MIN || v > INT32_MAX)
        fail(d, TOC_EPARSE, key);
    return (int32_t)v;
}

static int64_t time_of(struct decoder *d, const struct toc_json *o, const char *key) {
    uint64_t ns = u64_of(d, o, key);
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

/* An array of objects; NULL when there is none. */
static const struct toc_json *objects(struct decoder *d, const struct toc_json *o,
                                      const char *key) {
    const struct toc_json *m = member(d, o, key, TOC_JSON_ARRAY);
    for (size_t i = 0; m && i < m->count; i++)
        if (m->items[i].type != TOC_JSON_OBJECT) {
            fail(d, TOC_EPARSE, key);
            return NULL;
        }
    return m;
}

/* --- values of attributes --- */

struct frame {
    const struct toc_json *values; /* of an arrayValue or a kvlistValue; NULL: none */
    struct toc_json *node;
    size_t at;
};

static struct toc_sv bytes_text(struct decoder *d, struct toc_sv base64) {
    struct toc_buf bytes = TOC_BUF_INIT;
    if (toc_base64_decode(base64, &bytes))
        fail(d, TOC_EPARSE, "bytesValue");
    struct toc_sv text = otlp_base64(toc_buf_sv(&bytes), d->arena);
    toc_buf_fini(&bytes);
    return text;
}

/* One AnyValue into a node; a composite leaves its values in *out_values for a frame of its own. */
static bool read_any(struct decoder *d, const struct toc_json *any, struct toc_json *out,
                     const struct toc_json **out_values) {
    const struct toc_json *m;
    if (!any || any->type == TOC_JSON_NULL)
        return false;
    if (any->type != TOC_JSON_OBJECT) {
        fail(d, TOC_EPARSE, "value");
    } else if ((m = member(d, any, "stringValue", TOC_JSON_STRING))) {
        out->type = TOC_JSON_STRING;
        out->string = m->string;
    } else if ((m = member(d, any, "boolValue", TOC_JSON_BOOL))) {
        out->type = TOC_JSON_BOOL;
        out->boolean = m->boolean;
    } else if ((m = present(any, "intValue"))) {
        out->type = TOC_JSON_INT;
        out->integer = to_i64(d, m, "intValue");
    } else if ((m = present(any, "doubleValue"))) {
        out->type = TOC_JSON_DOUBLE;
        out->number = to_double(d, m, "doubleValue");
    } else if ((m = member(d, any, "bytesValue", TOC_JSON_STRING))) {
        out->type = TOC_JSON_STRING;
        out->string = bytes_text(d, m->string);
    } else if ((m = member(d, any, "arrayValue", TOC_JSON_OBJECT))) {
        out->type = TOC_JSON_ARRAY;
        *out_values = objects(d, m, "values");
        return true;
    } else if ((m = member(d, any, "kvlistValue", TOC_JSON_OBJECT))) {
        out->type = TOC_JSON_OBJECT;
        *out_values = objects(d, m, "values");
        return true;
    }
    return false;
}

static void open_frame(struct decoder *d, struct frame *f, struct toc_json *node,
                       const struct toc_json *values) {
    node->count = values ? values->count : 0;
    node->items = array(d, node->count, sizeof *node->items);
    *f = (struct frame){values, node, 0};
}

static void read_composite(struct decoder *d, struct toc_json *root,
                           const struct toc_json *values) {
    struct frame stack[TOC_OTLP_VALUE_DEPTH_MAX];
    size_t depth = 1;
    open_frame(d, &stack[0], root, values);
    while (depth && !d->error) {
        struct frame *f = &stack[depth - 1];
        if (f->at == f->node->count) {
            depth--;
            continue;
        }
        const struct toc_json *value = &f->values->items[f->at], *inner = NULL;
        struct toc_json *child = &f->node->items[f->at++];
        if (f->node->type == TOC_JSON_OBJECT) {
            child->key = string_of(d, value, "key");
            value = toc_json_get(value, "value");
        }
        if (!read_any(d, value, child, &inner))
            continue;
        if (depth == TOC_OTLP_VALUE_DEPTH_MAX)
            fail(d, TOC_ELIMIT, OTLP_TOO_DEEP);
        else
            open_frame(d, &stack[depth++], child, inner);
    }
}

static void read_attributes(struct decoder *d, const struct toc_json *o, const char *key,
                            struct otlp_attributes *out) {
    const struct toc_json *list = objects(d, o, key);
    out->items = array(d, list ? list->count : 0, sizeof *out->items);
    for (size_t i = 0; out->items && i < list->count && !d->error; i++) {
        struct toc_json value = {.type = TOC_JSON_NULL};
        const struct toc_json *inner = NULL;
        struct otlp_attribute *a = &out->items[out->count++];
        a->key = string_of(d, &list->items[i], "key");
        if (read_any(d, toc_json_get(&list->items[i], "value"), &value, &inner))
            read_composite(d, &value, inner);
        if (!d->error)
            a->value = otlp_value_text(&value, d->arena);
        if (d->arena->overflowed)
            fail(d, TOC_ELIMIT, OTLP_TOO_LARGE);
    }
}

/* --- points --- */

/* asDouble or asInt */
static bool read_value(struct decoder *d, const struct toc_json *o, double *out) {
    const struct toc_json *m = present(o, "asDouble");
    if (m) {
        *out = to_double(d, m, "asDouble");
        return true;
    }
    if (!(m = present(o, "asInt")))
        return false;
    *out = (double)to_i64(d, m, "asInt");
    return true;
}

/* The hexadecimal of an id in one form: lower case, and none for zeros. */
static struct toc_sv id_of(struct decoder *d, const struct toc_json *o, const char *key) {
    struct toc_buf bytes = TOC_BUF_INIT;
    if (toc_hex_decode(string_of(d, o, key), &bytes))
        fail(d, TOC_EPARSE, key);
    struct toc_sv text = otlp_hex(toc_buf_sv(&bytes), d->arena);
    toc_buf_fini(&bytes);
    return text;
}

static void read_exemplars(struct decoder *d, const struct toc_json *o, struct otlp_point *p) {
    const struct toc_json *list = objects(d, o, "exemplars");
    p->exemplars = array(d, list ? list->count : 0, sizeof *p->exemplars);
    for (size_t i = 0; p->exemplars && i < list->count && !d->error; i++) {
        const struct toc_json *from = &list->items[i];
        struct otlp_exemplar *e = &p->exemplars[p->exemplar_count++];
        e->time_ns = time_of(d, from, "timeUnixNano");
        (void)read_value(d, from, &e->value);
        e->span_id = id_of(d, from, "spanId");
        e->trace_id = id_of(d, from, "traceId");
        read_attributes(d, from, "filteredAttributes", &e->attributes);
    }
}

static void read_numbers(struct decoder *d, const struct toc_json *o, const char *key,
                         bool is_integer, struct otlp_numbers *out) {
    const struct toc_json *list = member(d, o, key, TOC_JSON_ARRAY);
    if (list && list->count > TOC_OTLP_BUCKETS_MAX)
        fail(d, TOC_ELIMIT, OTLP_TOO_MANY_BUCKETS);
    out->items = array(d, list ? list->count : 0, sizeof *out->items);
    for (size_t i = 0; out->items && i < list->count && !d->error; i++)
        out->items[out->count++] = is_integer ? (double)to_u64(d, &list->items[i], key)
                                              : to_double(d, &list->items[i], key);
}

static void read_buckets(struct decoder *d, const struct toc_json *o, const char *key,
                         struct otlp_buckets *out) {
    const struct toc_json *m = member(d, o, key, TOC_JSON_OBJECT);
    if (!m)
        return;
    out->offset = i32_of(d, m, "offset");
    read_numbers(d, m, "bucketCounts", true, &out->counts);
}

static void read_quantiles(struct decoder *d, const struct toc_json *o,
                           struct otlp_distribution *x) {
    const struct toc_json *list = objects(d, o, "quantileValues");
    x->quantiles = array(d, list ? list->count : 0, sizeof *x->quantiles);
    for (size_t i = 0; x->quantiles && i < list->count; i++)
        x->quantiles[x->quantile_count++] = (struct otlp_quantile){
            double_of(d, &list->items[i], "quantile"), double_of(d, &list->items[i], "value")};
}

static void read_distribution(struct decoder *d, const struct toc_json *o, enum otlp_kind kind,
                              struct otlp_point *p) {
    struct otlp_distribution *x = p->distribution = array(d, 1, sizeof *x);
    if (!x)
        return;
    x->count = u64_of(d, o, "count");
    x->has_sum = present(o, "sum") != NULL;
    x->sum = double_of(d, o, "sum");
    if (kind == OTLP_HISTOGRAM) {
        read_numbers(d, o, "bucketCounts", true, &x->counts);
        read_numbers(d, o, "explicitBounds", false, &x->bounds);
    } else if (kind == OTLP_EXPONENTIAL) {
        x->scale = i32_of(d, o, "scale");
        x->zero_count = (double)u64_of(d, o, "zeroCount");
        x->zero_threshold = double_of(d, o, "zeroThreshold");
        read_buckets(d, o, "positive", &x->positive);
        read_buckets(d, o, "negative", &x->negative);
    } else {
        read_quantiles(d, o, x);
    }
}

static void read_point(struct decoder *d, const struct toc_json *o, enum otlp_kind kind,
                       struct otlp_point *p) {
    p->start_ns = time_of(d, o, "startTimeUnixNano");
    p->time_ns = time_of(d, o, "timeUnixNano");
    p->flags = (uint32_t)u64_of(d, o, "flags");
    if (kind == OTLP_GAUGE || kind == OTLP_SUM)
        p->has_value = read_value(d, o, &p->value);
    else
        read_distribution(d, o, kind, p);
    read_attributes(d, o, "attributes", &p->attributes);
    if (kind != OTLP_SUMMARY)
        read_exemplars(d, o, p);
}

/* --- metrics, scopes, resources --- */

static enum otlp_temporality temporality_of(struct decoder *d, const struct toc_json *data) {
    static const char *const names[] = {"AGGREGATION_TEMPORALITY_UNSPECIFIED",
                                        "AGGREGATION_TEMPORALITY_DELTA",
                                        "AGGREGATION_TEMPORALITY_CUMULATIVE"};
    const struct toc_json *m = present(data, "aggregationTemporality");
    if (!m)
        return OTLP_UNSPECIFIED;
    for (size_t i = 0; m->type == TOC_JSON_STRING && i < sizeof names / sizeof *names; i++)
        if (toc_sv_eq_cstr(m->string, names[i]))
            return (enum otlp_temporality)i;
    int64_t v = to_i64(d, m, "aggregationTemporality");
    return v >= OTLP_UNSPECIFIED && v <= OTLP_CUMULATIVE ? (enum otlp_temporality)v
                                                         : OTLP_UNSPECIFIED;
}

static void read_data(struct decoder *d, const struct toc_json *data, struct otlp_metric *m) {
    const struct toc_json *list = objects(d, data, "dataPoints");
    size_t count = list ? list->count : 0;
    d->points += count;
    if (d->points > TOC_OTLP_POINTS_MAX)
        fail(d, TOC_ELIMIT, OTLP_TOO_MANY_POINTS);
    if (m->kind != OTLP_GAUGE && m->kind != OTLP_SUMMARY)
        m->temporality = temporality_of(d, data);
    m->is_monotonic = m->kind == OTLP_SUM && bool_of(d, data, "isMonotonic");
    m->points = array(d, count, sizeof *m->points);
    for (size_t i = 0; m->points && i < count && !d->error; i++)
        read_point(d, &list->items[i], m->kind, &m->points[m->count++]);
}

static void read_metric(struct decoder *d, const struct toc_json *o, struct otlp_metric *m) {
    static const struct {
        const char *key;
        enum otlp_kind kind;
    } kinds[] = {{"gauge", OTLP_GAUGE},
                 {"sum", OTLP_SUM},
                 {"histogram", OTLP_HISTOGRAM},
                 {"exponentialHistogram", OTLP_EXPONENTIAL},
                 {"summary", OTLP_SUMMARY}};
    m->name = string_of(d, o, "name");
    m->description = string_of(d, o, "description");
    m->unit = string_of(d, o, "unit");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct toc_json *data = member(d, o, kinds[i].key, TOC_JSON_OBJECT);
        if (!data)
            continue;
        m->kind = kinds[i].kind;
        read_data(d, data, m);
        return;
    }
}

static void read_scope(struct decoder *d, const struct toc_json *o, struct otlp_scope *s) {
    const struct toc_json *info = member(d, o, "scope", TOC_JSON_OBJECT);
    const struct toc_json *list = objects(d, o, "metrics");
    if (info) {
        s->name = string_of(d, info, "name");
        s->version = string_of(d, info, "version");
        read_attributes(d, info, "attributes", &s->attributes);
    }
    s->schema_url = string_of(d, o, "schemaUrl");
    s->metrics = array(d, list ? list->count : 0, sizeof *s->metrics);
    for (size_t i = 0; s->metrics && i < list->count && !d->error; i++)
        read_metric(d, &list->items[i], &s->metrics[s->count++]);
}

static void read_resource(struct decoder *d, const struct toc_json *o, struct otlp_resource *out) {
    const struct toc_json *resource = member(d, o, "resource", TOC_JSON_OBJECT);
    const struct toc_json *list = objects(d, o, "scopeMetrics");
    if (resource)
        read_attributes(d, resource, "attributes", &out->attributes);
    out->scopes = array(d, list ? list->count : 0, sizeof *out->scopes);
    for (size_t i = 0; out->scopes && i < list->count && !d->error; i++)
        read_scope(d, &list->items[i], &out->scopes[out->count++]);
}

static void read_message(struct decoder *d, const struct toc_json *root, struct otlp_message *out) {
    if (root->type != TOC_JSON_OBJECT) {
        fail(d, TOC_EPARSE, "message");
        return;
    }
    const struct toc_json *list = objects(d, root, "resourceMetrics");
    out->resources = array(d, list ? list->count : 0, sizeof *out->resources);
    for (size_t i = 0; out->resources && i < list->count && !d->error; i++)
        read_resource(d, &list->items[i], &out->resources[out->count++]);
    out->point_count = d->points;
}

static int too_large(struct toc_err *err, const char *what) {
    return toc_errf(err, TOC_ELIMIT, "the message is too large: %s", what);
}

int otlp_decode_json(struct toc_sv body, struct toc_arena *arena, struct otlp_message *out,
                     struct toc_err *err) {
    struct decoder d = {.arena = arena};
    const struct toc_json *root;
    *out = (struct otlp_message){0};
    if (body.n > TOC_OTLP_JSON_BYTES_MAX)
        return too_large(err, OTLP_JSON_TOO_LARGE);
    int rc = toc_json_parse(body, arena, &root, err);
    if (rc && arena->overflowed) {
        toc_err_reset(err);
        return too_large(err, OTLP_TOO_LARGE);
    }
    if (rc)
        return rc;
    read_message(&d, root, out);
    if (d.error == TOC_ELIMIT)
        return too_large(err, d.what);
    if (!d.error)
        return 0;
    return toc_errf(err, d.error, "the body is no ExportMetricsServiceRequest in JSON: \"%s\": %s",
                    d.what, toc_strerror(d.error));
}
