/* Spans in OTLP's JSON: 64-bit integers are strings, enums are numbers; names are taken, too. */
#include <math.h>

#include "base/num.h"
#include "codec/json.h"
#include "remote/otlp_span.h"

enum { BODY_BYTES_MAX = 8 << 20, TREE_BYTES_MAX = 128 << 20 };

static const struct toc_json *items_of(const struct toc_json *object, const char *key) {
    static const struct toc_json none = {.type = TOC_JSON_ARRAY};
    const struct toc_json *v = toc_json_get(object, key);
    return v && v->type == TOC_JSON_ARRAY ? v : &none;
}

static struct toc_sv text_of(const struct toc_json *object, const char *key) {
    const struct toc_json *v = toc_json_get(object, key);
    return v && v->type == TOC_JSON_STRING ? v->string : TOC_SV_NULL;
}

/* A number, or a string that holds one; NAN: neither. */
static double number_of(const struct toc_json *v) {
    double number = NAN;
    if (v && (v->type == TOC_JSON_INT || v->type == TOC_JSON_DOUBLE))
        return v->number;
    if (v && v->type == TOC_JSON_STRING && toc_parse_f64(v->string, &number) == 0)
        return number;
    return NAN;
}

static uint64_t time_of(const struct toc_json *span, const char *key) {
    const struct toc_json *v = toc_json_get(span, key);
    uint64_t ns = 0;
    if (v && v->type == TOC_JSON_STRING && toc_parse_u64(v->string, &ns) == 0)
        return ns;
    return v && v->type == TOC_JSON_INT && v->integer > 0 ? (uint64_t)v->integer : 0;
}

/* Bytes of all texts in a value. */
static size_t bytes_of(const struct toc_json *root) {
    enum { DEPTH_MAX = 64 };
    const struct toc_json *stack[DEPTH_MAX];
    size_t at[DEPTH_MAX], depth = 0, bytes = root ? root->string.n : 0;
    if (root && root->count)
        stack[depth] = root, at[depth++] = 0;
    while (depth) {
        const struct toc_json *node = stack[depth - 1];
        if (at[depth - 1] == node->count) {
            depth--;
            continue;
        }
        const struct toc_json *child = &node->items[at[depth - 1]++];
        bytes += child->string.n;
        if (child->count && depth < DEPTH_MAX)
            stack[depth] = child, at[depth++] = 0;
    }
    return bytes;
}

static struct otlp_span_value value_of(const struct toc_json *attribute) {
    const struct toc_json *value = toc_json_get(attribute, "value");
    struct otlp_span_value v = {.text = text_of(value, "stringValue"),
                                .number = number_of(toc_json_get(value, "intValue")),
                                .bytes = bytes_of(value)};
    if (isnan(v.number))
        v.number = number_of(toc_json_get(value, "doubleValue"));
    return v;
}

static void take_attribute(struct otlp_span *span, const struct toc_json *attribute) {
    struct otlp_span_value v = value_of(attribute);
    otlp_span_attribute(span, text_of(attribute, "key"), &v);
}

static void take_event(struct otlp_span *span, const struct toc_json *e) {
    struct otlp_span_event event = otlp_span_event_make();
    const struct toc_json *attributes = items_of(e, "attributes");
    event.name = text_of(e, "name");
    event.time_ns = time_of(e, "timeUnixNano");
    event.bytes = bytes_of(e);
    for (size_t i = 0; i < attributes->count; i++) {
        struct otlp_span_value v = value_of(&attributes->items[i]);
        otlp_span_event_attribute(&event, text_of(&attributes->items[i], "key"), &v);
    }
    otlp_span_event_take(span, &event);
}

static bool is_error_status(const struct toc_json *span) {
    const struct toc_json *code = toc_json_get(toc_json_get(span, "status"), "code");
    return code && (number_of(code) == 2 || (code->type == TOC_JSON_STRING &&
                                             toc_sv_eq_cstr(code->string, "STATUS_CODE_ERROR")));
}

static void take_span(const struct toc_json *s, struct toc_sv service, otlp_on_span *fn,
                      void *ctx) {
    struct otlp_span span = otlp_span_make(service);
    span.start_ns = time_of(s, "startTimeUnixNano");
    span.end_ns = time_of(s, "endTimeUnixNano");
    span.is_error = is_error_status(s);
    const struct toc_json *attributes = items_of(s, "attributes"), *events = items_of(s, "events");
    for (size_t i = 0; i < attributes->count; i++)
        take_attribute(&span, &attributes->items[i]);
    for (size_t i = 0; i < events->count; i++)
        take_event(&span, &events->items[i]);
    fn(ctx, &span);
}

static struct toc_sv service_of(const struct toc_json *resource) {
    const struct toc_json *attributes = items_of(resource, "attributes");
    for (size_t i = 0; i < attributes->count; i++)
        if (toc_sv_eq_cstr(text_of(&attributes->items[i], "key"), "service.name"))
            return text_of(toc_json_get(&attributes->items[i], "value"), "stringValue");
    return TOC_SV_NULL;
}

static void take_resource_spans(const struct toc_json *r, otlp_on_span *fn, void *ctx) {
    struct toc_sv service = service_of(toc_json_get(r, "resource"));
    const struct toc_json *scopes = items_of(r, "scopeSpans");
    for (size_t i = 0; i < scopes->count; i++) {
        const struct toc_json *spans = items_of(&scopes->items[i], "spans");
        for (size_t k = 0; k < spans->count; k++)
            take_span(&spans->items[k], service, fn, ctx);
    }
}

int otlp_spans_json(struct toc_sv body, otlp_on_span *fn, void *ctx, struct toc_err *err) {
    const struct toc_json *root;
    struct toc_arena arena;
    if (body.n > BODY_BYTES_MAX)
        return toc_errf(err, TOC_ELIMIT, "%zu bytes of JSON: at most %d; send protobuf", body.n,
                        (int)BODY_BYTES_MAX);
    toc_arena_init(&arena, TREE_BYTES_MAX);
    int rc = toc_json_parse(body, &arena, &root, err);
    if (!rc && root->type != TOC_JSON_OBJECT)
        rc = toc_errf(err, TOC_EPARSE, "an ExportTraceServiceRequest is a JSON object");
    const struct toc_json *resources = rc ? NULL : items_of(root, "resourceSpans");
    for (size_t i = 0; resources && i < resources->count; i++)
        take_resource_spans(&resources->items[i], fn, ctx);
    toc_arena_fini(&arena);
    return rc == TOC_ENOMEM ? TOC_ELIMIT : rc;
}
