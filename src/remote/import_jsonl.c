/* VictoriaMetrics' JSON lines: {"metric":{"__name__":"up",…},"values":[…],"timestamps":[…]}, times
 * in milliseconds. null is a staleness marker; NaN and infinities are texts. */
#include "base/num.h"
#include "codec/json.h"
#include "model/sample.h"
#include "remote/import_batch.h"

static bool take_labels(struct import_batch *b, const struct toc_json *metric) {
    if (!metric || metric->type != TOC_JSON_OBJECT) {
        import_batch_refuse(b, TOC_IMPORT_MALFORMED, "\"metric\" must be an object of labels");
        return false;
    }
    for (size_t i = 0; i < metric->count; i++) {
        const struct toc_json *l = &metric->items[i];
        if (l->type != TOC_JSON_STRING) {
            import_batch_refuse(b, TOC_IMPORT_BAD_LABELS, "the label \"%.*s\" must be a text",
                                TOC_SV_ARG(l->key));
            return false;
        }
        toc_labels_builder_set(&b->labels, l->key, l->string);
    }
    return true;
}

static bool read_value(const struct toc_json *v, double *out) {
    switch (v->type) {
    case TOC_JSON_NULL:
        *out = toc_stale_nan();
        return true;
    case TOC_JSON_INT:
    case TOC_JSON_DOUBLE:
        *out = v->number;
        return true;
    case TOC_JSON_STRING:
        if (toc_parse_f64(v->string, out))
            return false;
        if (*out != *out)
            *out = toc_f64_from_bits(TOC_NORMAL_NAN_BITS);
        return true;
    default:
        return false;
    }
}

static bool are_arrays(struct import_batch *b, const struct toc_json *values,
                       const struct toc_json *times) {
    bool is_good = values && times && values->type == TOC_JSON_ARRAY &&
                   times->type == TOC_JSON_ARRAY && values->count == times->count;
    if (!is_good)
        import_batch_refuse(b, TOC_IMPORT_MALFORMED,
                            "\"values\" and \"timestamps\" must be lists of the same length");
    return is_good;
}

static bool read_sample(struct import_batch *b, const struct toc_json *value,
                        const struct toc_json *time, size_t i, double *out) {
    if (time->type != TOC_JSON_INT)
        import_batch_refuse(b, TOC_IMPORT_BAD_TIME,
                            "timestamps[%zu] must be a whole number of milliseconds", i);
    else if (!read_value(value, out))
        import_batch_refuse(b, TOC_IMPORT_BAD_VALUE,
                            "values[%zu] must be a number, null, \"NaN\" or \"Infinity\"", i);
    else
        return true;
    return false;
}

static void take_document(struct import_batch *b, const struct toc_json *d) {
    const struct toc_json *values = toc_json_get(d, "values"),
                          *times = toc_json_get(d, "timestamps");
    struct toc_labels labels;
    if (!take_labels(b, toc_json_get(d, "metric")) || !are_arrays(b, values, times))
        return;
    uint64_t ref = import_batch_series(b, &labels);
    for (size_t i = 0; ref && i < values->count; i++) {
        double value;
        if (read_sample(b, &values->items[i], &times->items[i], i, &value))
            import_batch_add(b, ref, labels, times->items[i].integer, value);
    }
}

/* A parser's memory is some twenty times its text. */
enum { JSON_LINE_BYTES_MAX = 2 << 20 };

static void take_text(struct import_batch *b, struct toc_sv text) {
    const struct toc_json *d;
    struct toc_err why = {0};
    if (text.n > JSON_LINE_BYTES_MAX) {
        import_batch_refuse(b, TOC_IMPORT_TOO_LARGE,
                            "%zu bytes: a line may have 2 MiB; give a series several lines",
                            text.n);
        return;
    }
    int rc = toc_json_parse(text, &b->line_arena, &d, &why);
    if (rc)
        import_batch_refuse(b, rc == TOC_EPARSE ? TOC_IMPORT_MALFORMED : TOC_IMPORT_TOO_LARGE,
                            "column %d: %s", why.column, why.message);
    else
        take_document(b, d);
}

int import_jsonl(struct import_batch *b, struct toc_sv text, struct toc_err *err) {
    struct toc_sv rest = text, part;
    for (int line = 1; toc_sv_split(&rest, '\n', &part); line++) {
        part = toc_sv_trim(part);
        if (!part.n)
            continue;
        toc_arena_reset(&b->line_arena);
        import_batch_begin_line(b, line);
        take_text(b, part);
        int rc = import_batch_write(b, false, err);
        if (rc)
            return rc;
    }
    return import_batch_write(b, true, err);
}
