/*
 * The protobuf encoding. A repeated field is counted first, so that its array is made once; a
 * message is small against what it names.
 */
#include "codec/protobuf.h"
#include "remote/otlp_message.h"
#include "remote/otlp_value.h"

struct decoder {
    struct toc_arena *arena;
    size_t points;
    int error;        /* the first one; sticky */
    const char *what; /* of TOC_ELIMIT */
};

static void fail(struct decoder *d, int error) {
    d->error = d->error ? d->error : error;
}

static void fail_limit(struct decoder *d, const char *what) {
    if (!d->error)
        d->what = what;
    fail(d, TOC_ELIMIT);
}

/* Ends the reading of a message. */
static void finish(struct decoder *d, const struct toc_pb_reader *r) {
    if (r->error)
        fail(d, r->error);
}

static size_t count_fields(struct decoder *d, struct toc_sv body, uint32_t number) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t n = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        n += f.number == number;
    finish(d, &r);
    return n;
}

/* An array for `count` things; NULL with count 0 or an error. */
static void *array(struct decoder *d, size_t count, size_t size) {
    if (!count || d->error)
        return NULL;
    void *p = toc_arena_calloc(d->arena, count, size);
    if (!p)
        fail_limit(d, OTLP_TOO_LARGE);
    return p;
}

/* --- values of attributes --- */

struct frame {
    struct toc_pb_reader r; /* of an ArrayValue or a KeyValueList: their values are field 1 */
    struct toc_json *node;
    size_t at;
};

/* One AnyValue into a node; a composite leaves its body in *out_body for a frame of its own. */
static bool read_any(struct decoder *d, struct toc_sv body, struct toc_json *out,
                     struct toc_sv *out_body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        struct toc_json v = {.key = out->key};
        if (f.number == 1) {
            v.type = TOC_JSON_STRING;
            v.string = toc_pb_bytes(&r, &f);
        } else if (f.number == 2) {
            v.type = TOC_JSON_BOOL;
            v.boolean = toc_pb_u64(&r, &f) != 0;
        } else if (f.number == 3) {
            v.type = TOC_JSON_INT;
            v.integer = toc_pb_i64(&r, &f);
        } else if (f.number == 4) {
            v.type = TOC_JSON_DOUBLE;
            v.number = toc_pb_double(&r, &f);
        } else if (f.number == 5 || f.number == 6) {
            v.type = f.number == 5 ? TOC_JSON_ARRAY : TOC_JSON_OBJECT;
            *out_body = toc_pb_bytes(&r, &f);
        } else if (f.number == 7) {
            v.type = TOC_JSON_STRING;
            v.string = otlp_base64(toc_pb_bytes(&r, &f), d->arena);
        } else {
            continue;
        }
        *out = v; /* the last of a oneof is the one */
    }
    finish(d, &r);
    return !d->error && (out->type == TOC_JSON_ARRAY || out->type == TOC_JSON_OBJECT);
}

static void open_frame(struct decoder *d, struct frame *f, struct toc_json *node,
                       struct toc_sv body) {
    node->count = count_fields(d, body, 1);
    node->items = array(d, node->count, sizeof *node->items);
    *f = (struct frame){toc_pb_reader_make(body), node, 0};
}

/* A member of a map: its key; returns its value's bytes. */
static struct toc_sv read_member(struct decoder *d, struct toc_sv body, struct toc_sv *out_key) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct toc_sv value = TOC_SV_NULL;
    *out_key = TOC_SV("");
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            *out_key = toc_pb_bytes(&r, &f);
        else if (f.number == 2)
            value = toc_pb_bytes(&r, &f);
    }
    finish(d, &r);
    return value;
}

static void read_composite(struct decoder *d, struct toc_json *root, struct toc_sv body) {
    struct frame stack[TOC_OTLP_VALUE_DEPTH_MAX];
    size_t depth = 1;
    open_frame(d, &stack[0], root, body);
    while (depth && !d->error) {
        struct frame *f = &stack[depth - 1];
        struct toc_pb_field field;
        if (!toc_pb_next(&f->r, &field)) {
            finish(d, &f->r);
            depth--;
            continue;
        }
        if (field.number != 1 || f->at == f->node->count)
            continue;
        struct toc_sv value = toc_pb_bytes(&f->r, &field), inner = TOC_SV_NULL;
        struct toc_json *child = &f->node->items[f->at++];
        if (f->node->type == TOC_JSON_OBJECT)
            value = read_member(d, value, &child->key);
        if (!read_any(d, value, child, &inner))
            continue;
        if (depth == TOC_OTLP_VALUE_DEPTH_MAX)
            fail_limit(d, OTLP_TOO_DEEP);
        else
            open_frame(d, &stack[depth++], child, inner);
    }
}

static void read_attribute(struct decoder *d, struct toc_sv body, struct otlp_attribute *out) {
    struct toc_json value = {.type = TOC_JSON_NULL};
    struct toc_sv inner = TOC_SV_NULL;
    struct toc_sv any = read_member(d, body, &out->key);
    if (read_any(d, any, &value, &inner))
        read_composite(d, &value, inner);
    if (d->error)
        return;
    out->value = otlp_value_text(&value, d->arena);
    if (d->arena->overflowed)
        fail_limit(d, OTLP_TOO_LARGE);
}

/* All KeyValues that are field `number` of the message. */
static void read_attributes(struct decoder *d, struct toc_sv body, uint32_t number, size_t count,
                            struct otlp_attributes *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    out->items = array(d, count, sizeof *out->items);
    if (!out->items)
        return;
    for (struct toc_pb_field f; out->count < count && !d->error && toc_pb_next(&r, &f);)
        if (f.number == number)
            read_attribute(d, toc_pb_bytes(&r, &f), &out->items[out->count++]);
    finish(d, &r);
}

/* --- points --- */

static int64_t time_of(struct toc_pb_reader *r, const struct toc_pb_field *f) {
    uint64_t ns = toc_pb_is(r, f, TOC_PB_I64) ? f->scalar : 0;
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static void read_exemplar(struct decoder *d, struct toc_sv body, struct otlp_exemplar *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 2)
            out->time_ns = time_of(&r, &f);
        else if (f.number == 3)
            out->value = toc_pb_double(&r, &f);
        else if (f.number == 4)
            out->span_id = otlp_hex(toc_pb_bytes(&r, &f), d->arena);
        else if (f.number == 5)
            out->trace_id = otlp_hex(toc_pb_bytes(&r, &f), d->arena);
        else if (f.number == 6 && toc_pb_is(&r, &f, TOC_PB_I64))
            out->value = (double)(int64_t)f.scalar;
    }
    finish(d, &r);
    read_attributes(d, body, 7, count_fields(d, body, 7), &out->attributes);
}

static void read_exemplars(struct decoder *d, struct toc_sv body, uint32_t number, size_t count,
                           struct otlp_point *p) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    p->exemplars = array(d, count, sizeof *p->exemplars);
    if (!p->exemplars)
        return;
    for (struct toc_pb_field f; p->exemplar_count < count && !d->error && toc_pb_next(&r, &f);)
        if (f.number == number)
            read_exemplar(d, toc_pb_bytes(&r, &f), &p->exemplars[p->exemplar_count++]);
    finish(d, &r);
}

static void read_number(struct decoder *d, struct toc_sv body, struct otlp_point *p) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t attributes = 0, exemplars = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        switch (f.number) {
        case 2:
            p->start_ns = time_of(&r, &f);
            break;
        case 3:
            p->time_ns = time_of(&r, &f);
            break;
        case 4:
            p->value = toc_pb_double(&r, &f);
            p->has_value = true;
            break;
        case 5:
            exemplars++;
            break;
        case 6: /* sfixed64 */
            p->value = toc_pb_is(&r, &f, TOC_PB_I64) ? (double)(int64_t)f.scalar : 0;
            p->has_value = true;
            break;
        case 7:
            attributes++;
            break;
        case 8:
            p->flags = (uint32_t)toc_pb_u64(&r, &f);
            break;
        default:
            break;
        }
    }
    finish(d, &r);
    read_attributes(d, body, 7, attributes, &p->attributes);
    read_exemplars(d, body, 5, exemplars, p);
}

static void put_number(struct decoder *d, struct otlp_numbers *n, size_t capacity, double v) {
    if (n->count < capacity)
        n->items[n->count++] = v;
    else
        fail(d, TOC_EPARSE);
}

/* How the numbers of a repeated field are written. */
enum number_type { NUMBER_FIXED64, NUMBER_DOUBLE, NUMBER_VARINT };

static double number_of(uint64_t bits, enum number_type type) {
    return type == NUMBER_DOUBLE ? toc_pb_double_of(bits) : (double)bits;
}

/* A repeated number, packed or one by one, perhaps in pieces. */
static void read_numbers(struct decoder *d, struct toc_sv body, uint32_t number,
                         enum number_type type, struct otlp_numbers *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t capacity = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == number)
            capacity += f.wire == TOC_PB_LEN ? f.bytes.n / (type == NUMBER_VARINT ? 1 : 8) : 1;
    if (capacity > TOC_OTLP_BUCKETS_MAX * (size_t)(type == NUMBER_VARINT ? 10 : 1))
        fail_limit(d, OTLP_TOO_MANY_BUCKETS);
    out->items = array(d, capacity, sizeof *out->items);
    if (!out->items)
        return;
    r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !d->error && toc_pb_next(&r, &f);) {
        if (f.number != number)
            continue;
        if (f.wire != TOC_PB_LEN) {
            put_number(d, out, capacity, number_of(f.scalar, type));
            continue;
        }
        struct toc_pb_reader packed = toc_pb_reader_make(f.bytes);
        while (!toc_pb_is_at_end(&packed) && !d->error)
            put_number(
                d, out, capacity,
                number_of(type == NUMBER_VARINT ? toc_pb_varint(&packed) : toc_pb_fixed64(&packed),
                          type));
        finish(d, &packed);
    }
    if (out->count > TOC_OTLP_BUCKETS_MAX)
        fail_limit(d, OTLP_TOO_MANY_BUCKETS);
}

static void read_buckets(struct decoder *d, struct toc_sv body, struct otlp_buckets *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == 1)
            out->offset = (int32_t)toc_pb_sint(&r, &f);
    finish(d, &r);
    read_numbers(d, body, 2, NUMBER_VARINT, &out->counts);
}

static void read_quantile(struct decoder *d, struct toc_sv body, struct otlp_quantile *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            out->quantile = toc_pb_double(&r, &f);
        else if (f.number == 2)
            out->value = toc_pb_double(&r, &f);
    }
    finish(d, &r);
}

static void read_quantiles(struct decoder *d, struct toc_sv body, struct otlp_distribution *x) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t count = count_fields(d, body, 6);
    x->quantiles = array(d, count, sizeof *x->quantiles);
    if (!x->quantiles)
        return;
    for (struct toc_pb_field f; x->quantile_count < count && !d->error && toc_pb_next(&r, &f);)
        if (f.number == 6)
            read_quantile(d, toc_pb_bytes(&r, &f), &x->quantiles[x->quantile_count++]);
}

/* Fields that histograms, exponential histograms and summaries have in common. */
static bool read_common(struct decoder *d, struct toc_pb_reader *r, const struct toc_pb_field *f,
                        struct otlp_point *p) {
    (void)d;
    switch (f->number) {
    case 2:
        p->start_ns = time_of(r, f);
        return true;
    case 3:
        p->time_ns = time_of(r, f);
        return true;
    case 4:
        p->distribution->count = toc_pb_is(r, f, TOC_PB_I64) ? f->scalar : 0;
        return true;
    case 5:
        p->distribution->sum = toc_pb_double(r, f);
        p->distribution->has_sum = true;
        return true;
    default:
        return false;
    }
}

static bool begin_distribution(struct decoder *d, struct otlp_point *p) {
    p->distribution = array(d, 1, sizeof *p->distribution);
    return p->distribution != NULL;
}

static void read_histogram(struct decoder *d, struct toc_sv body, struct otlp_point *p) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t attributes = 0, exemplars = 0;
    if (!begin_distribution(d, p))
        return;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        attributes += f.number == 9;
        exemplars += f.number == 8;
        if (f.number == 10)
            p->flags = (uint32_t)toc_pb_u64(&r, &f);
        else
            read_common(d, &r, &f, p);
    }
    finish(d, &r);
    read_numbers(d, body, 6, NUMBER_FIXED64, &p->distribution->counts);
    read_numbers(d, body, 7, NUMBER_DOUBLE, &p->distribution->bounds);
    read_attributes(d, body, 9, attributes, &p->attributes);
    read_exemplars(d, body, 8, exemplars, p);
}

static void read_exponential_field(struct decoder *d, struct toc_pb_reader *r,
                                   const struct toc_pb_field *f, struct otlp_point *p) {
    struct otlp_distribution *x = p->distribution;
    if (f->number == 6)
        x->scale = (int32_t)toc_pb_sint(r, f);
    else if (f->number == 7)
        x->zero_count = toc_pb_is(r, f, TOC_PB_I64) ? (double)f->scalar : 0;
    else if (f->number == 8)
        read_buckets(d, toc_pb_bytes(r, f), &x->positive);
    else if (f->number == 9)
        read_buckets(d, toc_pb_bytes(r, f), &x->negative);
    else if (f->number == 10)
        p->flags = (uint32_t)toc_pb_u64(r, f);
    else if (f->number == 14)
        x->zero_threshold = toc_pb_double(r, f);
    else
        read_common(d, r, f, p);
}

static void read_exponential(struct decoder *d, struct toc_sv body, struct otlp_point *p) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t attributes = 0, exemplars = 0;
    if (!begin_distribution(d, p))
        return;
    for (struct toc_pb_field f; !d->error && toc_pb_next(&r, &f);) {
        attributes += f.number == 1;
        exemplars += f.number == 11;
        read_exponential_field(d, &r, &f, p);
    }
    finish(d, &r);
    read_attributes(d, body, 1, attributes, &p->attributes);
    read_exemplars(d, body, 11, exemplars, p);
}

static void read_summary(struct decoder *d, struct toc_sv body, struct otlp_point *p) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t attributes = 0;
    if (!begin_distribution(d, p))
        return;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        attributes += f.number == 7;
        if (f.number == 8)
            p->flags = (uint32_t)toc_pb_u64(&r, &f);
        else
            read_common(d, &r, &f, p);
    }
    finish(d, &r);
    read_quantiles(d, body, p->distribution);
    read_attributes(d, body, 7, attributes, &p->attributes);
}

typedef void read_point(struct decoder *d, struct toc_sv body, struct otlp_point *p);

/* --- metrics, scopes, resources --- */

static enum otlp_temporality temporality_of(uint64_t v) {
    return v <= OTLP_CUMULATIVE ? (enum otlp_temporality)v : OTLP_UNSPECIFIED;
}

/* Gauge, Sum, Histogram, ExponentialHistogram, Summary: points are field 1 of each. */
static void read_data(struct decoder *d, struct toc_sv body, struct otlp_metric *m) {
    static read_point *const readers[] = {
        [OTLP_GAUGE] = read_number,        [OTLP_SUM] = read_number,
        [OTLP_HISTOGRAM] = read_histogram, [OTLP_EXPONENTIAL] = read_exponential,
        [OTLP_SUMMARY] = read_summary,
    };
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t count = count_fields(d, body, 1);
    d->points += count;
    if (d->points > TOC_OTLP_POINTS_MAX)
        fail_limit(d, OTLP_TOO_MANY_POINTS);
    m->count = 0;
    m->points = array(d, count, sizeof *m->points);
    for (struct toc_pb_field f; !d->error && toc_pb_next(&r, &f);) {
        if (f.number == 1 && m->count < count)
            readers[m->kind](d, toc_pb_bytes(&r, &f), &m->points[m->count++]);
        else if (f.number == 2 && m->kind != OTLP_GAUGE && m->kind != OTLP_SUMMARY)
            m->temporality = temporality_of(toc_pb_u64(&r, &f));
        else if (f.number == 3 && m->kind == OTLP_SUM)
            m->is_monotonic = toc_pb_u64(&r, &f) != 0;
    }
    finish(d, &r);
}

static enum otlp_kind kind_of(uint32_t number) {
    static const enum otlp_kind kinds[] = {[5] = OTLP_GAUGE,
                                           [7] = OTLP_SUM,
                                           [9] = OTLP_HISTOGRAM,
                                           [10] = OTLP_EXPONENTIAL,
                                           [11] = OTLP_SUMMARY};
    return number < sizeof kinds / sizeof *kinds ? kinds[number] : OTLP_NONE;
}

static void read_metric(struct decoder *d, struct toc_sv body, struct otlp_metric *m) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !d->error && toc_pb_next(&r, &f);) {
        enum otlp_kind kind = kind_of(f.number);
        if (f.number == 1)
            m->name = toc_pb_bytes(&r, &f);
        else if (f.number == 2)
            m->description = toc_pb_bytes(&r, &f);
        else if (f.number == 3)
            m->unit = toc_pb_bytes(&r, &f);
        else if (kind != OTLP_NONE) {
            d->points -= m->count; /* the last of a oneof is the one */
            m->kind = kind;
            m->temporality = OTLP_UNSPECIFIED;
            m->is_monotonic = false;
            read_data(d, toc_pb_bytes(&r, &f), m);
        }
    }
    finish(d, &r);
}

/* InstrumentationScope */
static void read_scope_info(struct decoder *d, struct toc_sv body, struct otlp_scope *s) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            s->name = toc_pb_bytes(&r, &f);
        else if (f.number == 2)
            s->version = toc_pb_bytes(&r, &f);
    }
    finish(d, &r);
    s->attributes.count = 0;
    read_attributes(d, body, 3, count_fields(d, body, 3), &s->attributes);
}

/* ScopeMetrics */
static void read_scope(struct decoder *d, struct toc_sv body, struct otlp_scope *s) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t count = count_fields(d, body, 2);
    s->metrics = array(d, count, sizeof *s->metrics);
    for (struct toc_pb_field f; !d->error && toc_pb_next(&r, &f);) {
        if (f.number == 1)
            read_scope_info(d, toc_pb_bytes(&r, &f), s);
        else if (f.number == 2 && s->count < count)
            read_metric(d, toc_pb_bytes(&r, &f), &s->metrics[s->count++]);
        else if (f.number == 3)
            s->schema_url = toc_pb_bytes(&r, &f);
    }
    finish(d, &r);
}

/* ResourceMetrics */
static void read_resource(struct decoder *d, struct toc_sv body, struct otlp_resource *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t count = count_fields(d, body, 2);
    out->scopes = array(d, count, sizeof *out->scopes);
    for (struct toc_pb_field f; !d->error && toc_pb_next(&r, &f);) {
        if (f.number == 1) {
            struct toc_sv resource = toc_pb_bytes(&r, &f);
            out->attributes.count = 0;
            read_attributes(d, resource, 1, count_fields(d, resource, 1), &out->attributes);
        } else if (f.number == 2 && out->count < count) {
            read_scope(d, toc_pb_bytes(&r, &f), &out->scopes[out->count++]);
        }
    }
    finish(d, &r);
}

int otlp_decode_proto(struct toc_sv body, struct toc_arena *arena, struct otlp_message *out,
                      struct toc_err *err) {
    struct decoder d = {.arena = arena};
    struct toc_pb_reader r = toc_pb_reader_make(body);
    *out = (struct otlp_message){0};
    size_t count = count_fields(&d, body, 1);
    out->resources = array(&d, count, sizeof *out->resources);
    for (struct toc_pb_field f; !d.error && toc_pb_next(&r, &f);)
        if (f.number == 1 && out->count < count)
            read_resource(&d, toc_pb_bytes(&r, &f), &out->resources[out->count++]);
    finish(&d, &r);
    out->point_count = d.points;
    if (!d.error)
        return 0;
    if (d.what)
        return toc_errf(err, TOC_ELIMIT, "the message is too large: %s", d.what);
    return toc_errf(err, d.error, "the body is no ExportMetricsServiceRequest in protobuf: %s",
                    toc_strerror(d.error));
}
