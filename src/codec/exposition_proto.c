#include "codec/exposition_proto.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "codec/exposition_proto_priv.h"

int toc_proto_fail(struct proto_parse *p, int code, const char *what) {
    int rc = toc_errf(p->err, code, "metric family %d (%.*s): %s", p->family,
                      (int)TOC_MIN(p->name.n, (size_t)64), p->name.n ? p->name.p : "", what);
    if (p->err)
        p->err->line = p->family;
    if (p->err)
        p->err->column = 1;
    return rc;
}

/* --- labels --- */

static const char *check_label(const struct toc_exposition_limits *m, const struct proto_labels *l,
                               const struct toc_exposition_label *x, int *out_code) {
    *out_code = TOC_EPARSE;
    if (!x->name.n)
        return "a label without a name";
    if (!toc_sv_is_utf8(x->name) || !toc_sv_is_utf8(x->value))
        return "a label that is no valid UTF-8";
    for (size_t i = 0; i < l->count; i++)
        if (toc_sv_eq(l->items[i].name, x->name))
            return "a label is given twice";
    *out_code = TOC_ELIMIT;
    if (x->name.n > m->max_label_name_bytes)
        return "a label name is longer than the limit";
    if (x->value.n > m->max_label_value_bytes)
        return "a label value is longer than the limit";
    return l->count == m->max_labels ? "more labels on one metric than the limit" : NULL;
}

int toc_proto_label(struct proto_parse *p, struct toc_sv body, struct proto_labels *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct toc_exposition_label x = {TOC_SV(""), TOC_SV("")};
    int code;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            x.name = toc_pb_bytes(&r, &f);
        else if (f.number == 2)
            x.value = toc_pb_bytes(&r, &f);
    }
    if (r.error)
        return toc_proto_fail(p, r.error, "a label that is no protobuf");
    const char *wrong = check_label(p->limits, out, &x, &code);
    if (wrong)
        return toc_proto_fail(p, code, wrong);
    out->items[out->count++] = x;
    return 0;
}

int64_t toc_proto_timestamp_ms(struct toc_pb_reader *outer, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int64_t seconds = 0, nanos = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            seconds = toc_pb_i64(&r, &f);
        else if (f.number == 2)
            nanos = toc_pb_i64(&r, &f);
    }
    outer->error = outer->error ? outer->error : r.error;
    double ms = (double)seconds * 1000 + (double)(nanos / 1000000);
    return ms > -9e18 && ms < 9e18 ? (int64_t)ms : ms < 0 ? INT64_MIN : INT64_MAX;
}

int toc_proto_exemplar(struct proto_parse *p, struct toc_sv body,
                       struct toc_exposition_exemplar *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int rc = 0;
    *out = (struct toc_exposition_exemplar){.value = 0};
    p->exemplar_labels.count = 0;
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == 1) {
            rc = toc_proto_label(p, toc_pb_bytes(&r, &f), &p->exemplar_labels);
        } else if (f.number == 2) {
            out->value = toc_pb_double(&r, &f);
        } else if (f.number == 3) {
            out->timestamp_ms = toc_proto_timestamp_ms(&r, toc_pb_bytes(&r, &f));
            out->has_timestamp = true;
        }
    }
    if (!rc && r.error)
        rc = toc_proto_fail(p, r.error, "an exemplar that is no protobuf");
    out->labels = p->exemplar_labels.items;
    out->label_count = p->exemplar_labels.count;
    return rc;
}

/* --- handing out --- */

static bool is_classic_name(struct toc_sv name) {
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && c != '_' && c != ':' && !(c >= '0' && c <= '9' && i))
            return false;
    }
    return name.n > 0;
}

static void put_quoted(struct toc_buf *out, struct toc_sv s) {
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' || c == '"' || c == '\n')
            toc_buf_append_char(out, '\\');
        toc_buf_append_char(out, c == '\n' ? 'n' : c);
    }
    toc_buf_append_char(out, '"');
}

static void put_label_name(struct toc_buf *out, struct toc_sv name) {
    if (is_classic_name(name) && !memchr(name.p, ':', name.n))
        toc_buf_append_sv(out, name);
    else
        put_quoted(out, name);
}

/* `name{a="b"}`, or `{"na.me",a="b"}`. */
static void put_series(struct proto_parse *p, struct toc_sv metric) {
    struct toc_buf *out = &p->text;
    bool is_classic = is_classic_name(metric), is_first = is_classic;
    toc_buf_reset(out);
    if (is_classic)
        toc_buf_append_sv(out, metric);
    if (is_classic && !p->labels.count)
        return;
    toc_buf_append_char(out, '{');
    if (!is_classic)
        put_quoted(out, metric);
    for (size_t i = 0; i < p->labels.count; i++) {
        if (!is_first)
            toc_buf_append_char(out, ',');
        is_first = false;
        put_label_name(out, p->labels.items[i].name);
        toc_buf_append_char(out, '=');
        put_quoted(out, p->labels.items[i].value);
    }
    toc_buf_append_char(out, '}');
}

int toc_proto_begin_sample(struct proto_parse *p, const char *suffix,
                           struct toc_exposition_sample *out) {
    toc_buf_reset(&p->metric);
    toc_buf_append_sv(&p->metric, p->name);
    toc_buf_append_cstr(&p->metric, suffix);
    struct toc_sv metric = toc_buf_sv(&p->metric);
    put_series(p, metric);
    if (toc_buf_error(&p->metric) || toc_buf_error(&p->text))
        return toc_proto_fail(p, TOC_ENOMEM, "no memory for a series");
    *out = (struct toc_exposition_sample){
        .metric = metric,
        .labels = p->labels.items,
        .label_count = p->labels.count,
        .has_timestamp = p->timestamp_ms != 0,
        .timestamp_ms = p->timestamp_ms,
        .start_ms = p->start_ms,
        .series_text = toc_buf_sv(&p->text),
        .line = p->family,
    };
    return 0;
}

static int emit_labelled(struct proto_parse *p, const struct proto_sample *x) {
    struct toc_exposition_sample s;
    struct toc_exposition_exemplar exemplar;
    int rc = toc_proto_begin_sample(p, x->suffix, &s);
    if (!rc && x->exemplar.p)
        rc = toc_proto_exemplar(p, x->exemplar, &exemplar);
    if (rc)
        return rc;
    s.exemplar = x->exemplar.p ? &exemplar : NULL;
    s.value = x->value;
    return p->handler->sample(p->handler->ctx, &s);
}

/* As Go writes it, whose clients made the format. */
static void bound_text(double bound, struct toc_buf *out) {
    if (isinf(bound))
        toc_buf_append_cstr(out, bound > 0 ? "+Inf" : "-Inf");
    else
        toc_format_f64_go(bound, out);
}

int toc_proto_emit(struct proto_parse *p, const struct proto_sample *x) {
    if (!x->label)
        return emit_labelled(p, x);
    struct toc_buf text = TOC_BUF_INIT;
    bound_text(x->bound, &text);
    struct toc_exposition_label label = {toc_sv_cstr(x->label), toc_buf_sv(&text)};
    int rc = 0;
    for (size_t i = 0; i < p->labels.count && !rc; i++)
        if (toc_sv_eq(p->labels.items[i].name, label.name))
            rc = toc_proto_fail(p, TOC_EPARSE, "a label that the type reserves for bounds");
    if (!rc) {
        p->labels.items[p->labels.count++] = label;
        rc = emit_labelled(p, x);
        p->labels.count--;
    }
    toc_buf_fini(&text);
    return rc;
}

/* --- values --- */

/* Counter {value 1, exemplar 2, start_timestamp 3}, Gauge and Untyped {value 1}. */
static int read_number(struct proto_parse *p, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct proto_sample s = {.suffix = ""};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            s.value = toc_pb_double(&r, &f);
        else if (f.number == 2 && p->type == PROTO_COUNTER)
            s.exemplar = toc_pb_bytes(&r, &f);
        else if (f.number == 3 && p->type == PROTO_COUNTER)
            p->start_ms = toc_proto_timestamp_ms(&r, toc_pb_bytes(&r, &f));
    }
    if (r.error)
        return toc_proto_fail(p, r.error, "a value that is no protobuf");
    return toc_proto_emit(p, &s);
}

static int read_quantile(struct proto_parse *p, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct proto_sample s = {.suffix = "", .label = "quantile"};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            s.bound = toc_pb_double(&r, &f);
        else if (f.number == 2)
            s.value = toc_pb_double(&r, &f);
    }
    if (r.error)
        return toc_proto_fail(p, r.error, "a quantile that is no protobuf");
    return toc_proto_emit(p, &s);
}

/* Summary {count 1, sum 2, quantile 3, start_timestamp 4}. Quantiles count nothing: they have no
 * start. */
static int read_summary(struct proto_parse *p, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct proto_sample sum = {.suffix = "_sum"}, count = {.suffix = "_count"};
    int64_t start_ms = 0;
    int rc = 0;
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == 1)
            count.value = (double)toc_pb_u64(&r, &f);
        else if (f.number == 2)
            sum.value = toc_pb_double(&r, &f);
        else if (f.number == 3)
            rc = read_quantile(p, toc_pb_bytes(&r, &f));
        else if (f.number == 4)
            start_ms = toc_proto_timestamp_ms(&r, toc_pb_bytes(&r, &f));
    }
    p->start_ms = start_ms;
    if (!rc && r.error)
        rc = toc_proto_fail(p, r.error, "a summary that is no protobuf");
    if (!rc)
        rc = toc_proto_emit(p, &sum);
    return rc ? rc : toc_proto_emit(p, &count);
}

/* The field of a Metric in which the value of a type stands, and how it is read. */
static const struct {
    const char *type;
    uint32_t field;
    int (*read)(struct proto_parse *p, struct toc_sv body);
} types[PROTO_TYPE_COUNT] = {
    [PROTO_COUNTER] = {"counter", 3, read_number},
    [PROTO_GAUGE] = {"gauge", 2, read_number},
    [PROTO_SUMMARY] = {"summary", 4, read_summary},
    [PROTO_UNTYPED] = {"unknown", 5, read_number},
    [PROTO_HISTOGRAM] = {"histogram", 7, toc_proto_histogram},
    [PROTO_GAUGE_HISTOGRAM] = {"gaugehistogram", 7, toc_proto_histogram},
};

/* Metric {label 1, the value, timestamp_ms 6}. */
static int read_metric(struct proto_parse *p, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct toc_sv value = TOC_SV_NULL;
    int rc = 0;
    p->labels.count = 0;
    p->timestamp_ms = p->start_ms = 0;
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == 1)
            rc = toc_proto_label(p, toc_pb_bytes(&r, &f), &p->labels);
        else if (f.number == 6)
            p->timestamp_ms = toc_pb_i64(&r, &f);
        else if (f.number == types[p->type].field)
            value = toc_pb_bytes(&r, &f);
    }
    if (!rc && r.error)
        rc = toc_proto_fail(p, r.error, "a metric that is no protobuf");
    if (!rc && !value.p)
        rc = toc_proto_fail(p, TOC_EPARSE, "a metric without a value of the family's type");
    return rc ? rc : types[p->type].read(p, value);
}

/* --- families --- */

struct head {
    struct toc_sv name, help, unit;
    uint64_t type;
};

static int check_head(struct proto_parse *p, const struct head *h) {
    size_t most = p->limits->max_line_bytes;
    if (!h->name.n)
        return toc_proto_fail(p, TOC_EPARSE, "no name");
    if (!toc_sv_is_utf8(h->name) || !toc_sv_is_utf8(h->help) || !toc_sv_is_utf8(h->unit))
        return toc_proto_fail(p, TOC_EPARSE, "name, help or unit is no valid UTF-8");
    if (h->name.n > most || h->help.n > most || h->unit.n > most)
        return toc_proto_fail(p, TOC_ELIMIT, "name, help or unit is longer than the limit");
    if (h->type >= PROTO_TYPE_COUNT)
        return toc_proto_fail(p, TOC_EPARSE, "an unknown type");
    return 0;
}

/* MetricFamily {name 1, help 2, type 3, metric 4, unit 5}: all but the metrics first. */
static int read_head(struct proto_parse *p, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct head h = {.help = TOC_SV(""), .unit = TOC_SV("")};
    p->name = TOC_SV("");
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            h.name = toc_pb_bytes(&r, &f);
        else if (f.number == 2)
            h.help = toc_pb_bytes(&r, &f);
        else if (f.number == 3)
            h.type = toc_pb_u64(&r, &f);
        else if (f.number == 5)
            h.unit = toc_pb_bytes(&r, &f);
    }
    if (r.error)
        return toc_proto_fail(p, r.error, "no protobuf");
    int rc = check_head(p, &h);
    if (rc)
        return rc;
    p->name = h.name;
    p->type = (enum proto_type)h.type;
    struct toc_exposition_meta meta = {h.name, toc_sv_cstr(types[h.type].type), h.help, h.unit,
                                       p->family};
    return p->handler->meta ? p->handler->meta(p->handler->ctx, &meta) : 0;
}

static int read_family(struct proto_parse *p, struct toc_sv body) {
    int rc = read_head(p, body);
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);)
        if (f.number == 4)
            rc = read_metric(p, toc_pb_bytes(&r, &f));
    return !rc && r.error ? toc_proto_fail(p, r.error, "no protobuf") : rc;
}

static void release(struct proto_parse *p) {
    struct proto_side *sides[] = {&p->positive, &p->negative};
    for (size_t i = 0; i < TOC_ARRAY_LEN(sides); i++) {
        TOC_VEC_FINI(&sides[i]->spans);
        TOC_VEC_FINI(&sides[i]->index);
        TOC_VEC_FINI(&sides[i]->count);
    }
    toc_buf_fini(&p->metric);
    toc_buf_fini(&p->text);
    toc_free(p->labels.items);
    toc_free(p->exemplar_labels.items);
}

int toc_exposition_proto_parse(struct toc_sv bytes, const struct toc_exposition_limits *limits,
                               const struct toc_exposition_handler *handler, struct toc_err *err) {
    struct proto_parse p = {.limits = limits ? limits : &TOC_EXPOSITION_DEFAULT_LIMITS,
                            .handler = handler,
                            .err = err,
                            .name = TOC_SV("")};
    struct toc_pb_reader r = toc_pb_reader_make(bytes);
    int rc = 0;
    p.labels.items = TOC_NEW_ARRAY(struct toc_exposition_label, p.limits->max_labels + 1);
    p.exemplar_labels.items = TOC_NEW_ARRAY(struct toc_exposition_label, p.limits->max_labels + 1);
    while (!rc && !toc_pb_is_at_end(&r)) {
        uint64_t n = toc_pb_varint(&r);
        p.family++;
        p.name = TOC_SV("");
        if (r.error || n > (uint64_t)(r.end - r.p)) {
            rc = toc_proto_fail(&p, r.error ? r.error : TOC_ETRUNCATED,
                                "its length goes beyond the end of the answer");
            break;
        }
        struct toc_sv body = toc_sv_make((const char *)r.p, (size_t)n);
        r.p += n;
        rc = read_family(&p, body);
    }
    release(&p);
    return rc;
}
