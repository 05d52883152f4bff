/* Spans in protobuf: field numbers of opentelemetry/proto/trace/v1/trace.proto. */
#include <math.h>

#include "codec/protobuf.h"
#include "remote/otlp_span.h"

enum { REQUEST_RESOURCE_SPANS = 1, RESOURCE_SPANS_RESOURCE = 1, RESOURCE_SPANS_SCOPE_SPANS = 2 };
enum { RESOURCE_ATTRIBUTES = 1, SCOPE_SPANS_SPANS = 2 };
enum { SPAN_START = 7, SPAN_END = 8, SPAN_ATTRIBUTES = 9, SPAN_EVENTS = 11, SPAN_STATUS = 15 };
enum { EVENT_TIME = 1, EVENT_NAME = 2, EVENT_ATTRIBUTES = 3 };
enum { STATUS_CODE = 3, STATUS_ERROR = 2, KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2 };
enum { ANY_STRING = 1, ANY_INT = 3, ANY_DOUBLE = 4 };

/* The first error of any reader of the message; sticky. */
struct walk {
    int error;
    otlp_on_span *fn;
    void *ctx;
};

static void finish(struct walk *w, const struct toc_pb_reader *r) {
    w->error = w->error ? w->error : r->error;
}

static void read_any(struct walk *w, struct toc_sv any, struct otlp_span_value *out) {
    struct toc_pb_reader r = toc_pb_reader_make(any);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == ANY_STRING)
            out->text = toc_pb_bytes(&r, &f);
        else if (f.number == ANY_INT)
            out->number = (double)toc_pb_i64(&r, &f);
        else if (f.number == ANY_DOUBLE)
            out->number = toc_pb_double(&r, &f);
    }
    finish(w, &r);
}

static void read_attribute(struct walk *w, struct toc_sv body, struct toc_sv *out_key,
                           struct otlp_span_value *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct toc_sv any = TOC_SV_NULL;
    *out_key = TOC_SV_NULL;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == KEY_VALUE_KEY)
            *out_key = toc_pb_bytes(&r, &f);
        else if (f.number == KEY_VALUE_VALUE)
            any = toc_pb_bytes(&r, &f);
    }
    finish(w, &r);
    *out = (struct otlp_span_value){.number = NAN, .bytes = any.n};
    read_any(w, any, out);
}

static void read_event(struct walk *w, struct toc_sv body, struct otlp_span *span) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct otlp_span_event event = otlp_span_event_make();
    event.bytes = body.n;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        struct otlp_span_value value;
        struct toc_sv key;
        if (f.number == EVENT_TIME) {
            event.time_ns = toc_pb_is(&r, &f, TOC_PB_I64) ? f.scalar : 0;
        } else if (f.number == EVENT_NAME) {
            event.name = toc_pb_bytes(&r, &f);
        } else if (f.number == EVENT_ATTRIBUTES) {
            read_attribute(w, toc_pb_bytes(&r, &f), &key, &value);
            otlp_span_event_attribute(&event, key, &value);
        }
    }
    finish(w, &r);
    otlp_span_event_take(span, &event);
}

static bool is_error_status(struct walk *w, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    uint64_t code = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == STATUS_CODE)
            code = toc_pb_u64(&r, &f);
    finish(w, &r);
    return code == STATUS_ERROR;
}

static void read_span(struct walk *w, struct toc_sv body, struct toc_sv service) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct otlp_span span = otlp_span_make(service);
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        struct otlp_span_value value;
        struct toc_sv key;
        switch (f.number) {
        case SPAN_START:
            span.start_ns = toc_pb_is(&r, &f, TOC_PB_I64) ? f.scalar : 0;
            break;
        case SPAN_END:
            span.end_ns = toc_pb_is(&r, &f, TOC_PB_I64) ? f.scalar : 0;
            break;
        case SPAN_ATTRIBUTES:
            read_attribute(w, toc_pb_bytes(&r, &f), &key, &value);
            otlp_span_attribute(&span, key, &value);
            break;
        case SPAN_EVENTS:
            read_event(w, toc_pb_bytes(&r, &f), &span);
            break;
        case SPAN_STATUS:
            span.is_error = is_error_status(w, toc_pb_bytes(&r, &f));
            break;
        default:
            break;
        }
    }
    finish(w, &r);
    if (!w->error)
        w->fn(w->ctx, &span);
}

static struct toc_sv service_of(struct walk *w, struct toc_sv resource) {
    struct toc_pb_reader r = toc_pb_reader_make(resource);
    struct toc_sv service = TOC_SV_NULL;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        struct otlp_span_value value;
        struct toc_sv key;
        if (f.number != RESOURCE_ATTRIBUTES)
            continue;
        read_attribute(w, toc_pb_bytes(&r, &f), &key, &value);
        if (toc_sv_eq(key, TOC_SV("service.name")))
            service = value.text;
    }
    finish(w, &r);
    return service;
}

static void read_scope_spans(struct walk *w, struct toc_sv body, struct toc_sv service) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !w->error && toc_pb_next(&r, &f);)
        if (f.number == SCOPE_SPANS_SPANS)
            read_span(w, toc_pb_bytes(&r, &f), service);
    finish(w, &r);
}

/* The resource may follow its spans, so it is looked for first. */
static void read_resource_spans(struct walk *w, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct toc_sv service = TOC_SV_NULL;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == RESOURCE_SPANS_RESOURCE)
            service = service_of(w, toc_pb_bytes(&r, &f));
    finish(w, &r);
    r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !w->error && toc_pb_next(&r, &f);)
        if (f.number == RESOURCE_SPANS_SCOPE_SPANS)
            read_scope_spans(w, toc_pb_bytes(&r, &f), service);
    finish(w, &r);
}

int otlp_spans_proto(struct toc_sv body, otlp_on_span *fn, void *ctx, struct toc_err *err) {
    struct walk w = {.fn = fn, .ctx = ctx};
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field f; !w.error && toc_pb_next(&r, &f);)
        if (f.number == REQUEST_RESOURCE_SPANS)
            read_resource_spans(&w, toc_pb_bytes(&r, &f));
    finish(&w, &r);
    return w.error ? toc_errf(err, w.error, "not an ExportTraceServiceRequest in protobuf: %s",
                              toc_strerror(w.error))
                   : 0;
}
