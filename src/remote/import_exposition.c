/* The Prometheus text format, pushed instead of scraped. */
#include "codec/exposition.h"
#include "model/sample.h"
#include "remote/import_batch.h"

struct push {
    struct import_batch *b;
    struct toc_err *err;
    int line_base; /* lines before the part at hand */
};

static int take_sample(void *ctx, const struct toc_exposition_sample *s) {
    struct push *p = ctx;
    struct import_batch *b = p->b;
    struct toc_labels labels;
    import_batch_begin_line(b, p->line_base + s->line);
    for (size_t i = 0; i < s->label_count; i++)
        toc_labels_builder_set(&b->labels, s->labels[i].name, s->labels[i].value);
    toc_labels_builder_set(&b->labels, TOC_METRIC_NAME, s->metric);
    uint64_t ref = import_batch_series(b, &labels);
    if (ref)
        import_batch_add(b, ref, labels, s->has_timestamp ? s->timestamp_ms : b->now_ms, s->value);
    return import_batch_write(b, false, p->err);
}

static enum toc_metric_type type_of(struct toc_sv text) {
#define X(name, word)               \
    if (toc_sv_eq_cstr(text, word)) \
        return name;
    TOC_METRIC_TYPE_TABLE(X)
#undef X
    return TOC_METRIC_UNKNOWN;
}

static int take_meta(void *ctx, const struct toc_exposition_meta *m) {
    struct push *p = ctx;
    struct toc_sink *sink = toc_metricdb_sink(p->b->db);
    if (sink->metadata && (m->type.n || m->help.n || m->unit.n))
        sink->metadata(sink, m->metric, type_of(m->type), m->help, m->unit);
    return 0;
}

/* What follows the given line of the text. */
static struct toc_sv behind_line(struct toc_sv text, int line) {
    for (int i = 0; i < line; i++) {
        size_t n = toc_sv_find_char(text, '\n');
        if (n == SIZE_MAX)
            return TOC_SV_NULL;
        text = toc_sv_sub(text, n + 1, SIZE_MAX);
    }
    return text;
}

int import_exposition(struct import_batch *b, struct toc_sv text, struct toc_err *err) {
    struct push p = {.b = b, .err = err};
    const struct toc_exposition_handler handler = {
        .sample = take_sample, .meta = take_meta, .ctx = &p};
    while (text.n) {
        struct toc_err why = {0};
        int rc = toc_exposition_parse(TOC_EXPOSITION_TEXT, text, &TOC_EXPOSITION_DEFAULT_LIMITS,
                                      &handler, &why);
        if (!rc)
            break;
        if (why.line <= 0) /* the store's failure, not the parser's */
            return rc;
        import_batch_begin_line(b, p.line_base + why.line);
        import_batch_refuse(b, rc == TOC_ELIMIT ? TOC_IMPORT_TOO_LARGE : TOC_IMPORT_MALFORMED, "%s",
                            why.message);
        text = behind_line(text, why.line);
        p.line_base += why.line;
    }
    return import_batch_write(b, true, err);
}
