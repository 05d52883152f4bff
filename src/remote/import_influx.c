/* InfluxDB's line protocol: a field is a series `measurement_field` with the tags as labels. */
#include <limits.h>

#include "base/buf.h"
#include "codec/influx_line.h"
#include "remote/import_batch.h"

int toc_influx_precision_parse(struct toc_sv s, enum toc_influx_precision *out) {
    static const struct {
        const char *text;
        enum toc_influx_precision precision;
    } names[] = {
        {"", TOC_INFLUX_NS},     {"ns", TOC_INFLUX_NS}, {"n", TOC_INFLUX_NS},
        {"us", TOC_INFLUX_US},   {"u", TOC_INFLUX_US},  {"\u00b5", TOC_INFLUX_US},
        {"ms", TOC_INFLUX_MS},   {"s", TOC_INFLUX_S},   {"m", TOC_INFLUX_MINUTES},
        {"h", TOC_INFLUX_HOURS},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (toc_sv_eq_cstr(s, names[i].text)) {
            *out = names[i].precision;
            return 0;
        }
    return TOC_EINVAL;
}

/* Down to whole milliseconds; false when they leave int64_t. */
static bool to_ms(int64_t time, enum toc_influx_precision precision, int64_t *out) {
    static const int64_t per_ms[] = {[TOC_INFLUX_NS] = 1000000, [TOC_INFLUX_US] = 1000};
    static const int64_t ms_per[] = {
        [TOC_INFLUX_MS] = 1,
        [TOC_INFLUX_S] = 1000,
        [TOC_INFLUX_MINUTES] = 60000,
        [TOC_INFLUX_HOURS] = 3600000,
    };
    if (precision >= TOC_INFLUX_MS)
        return !__builtin_mul_overflow(time, ms_per[precision], out);
    int64_t d = per_ms[precision];
    *out = time / d - (time % d < 0);
    return true;
}

static struct toc_sv clean(const struct import_batch *b, struct toc_sv name, bool is_metric,
                           struct toc_arena *a) {
    return b->influx->keeps_names ? name : import_clean_name(name, is_metric, a);
}

static struct toc_sv series_name(struct import_batch *b, const struct toc_influx_line *line,
                                 const struct toc_influx_field *field) {
    const struct toc_influx_options *o = b->influx;
    struct toc_sv separator = toc_sv_cstr(o->separator);
    bool is_plain = o->is_dropping_value && toc_sv_eq_cstr(field->key, "value");
    size_t n = line->measurement.n;
    char *p = toc_arena_alloc(&b->line_arena, n + separator.n + field->key.n + 1);
    if (!p)
        return TOC_SV_NULL;
    memcpy(p, line->measurement.p, n);
    if (!is_plain) {
        memcpy(p + n, separator.p, separator.n);
        memcpy(p + n + separator.n, field->key.p, field->key.n);
        n += separator.n + field->key.n;
    }
    return clean(b, toc_sv_make(p, n), true, &b->line_arena);
}

/* The tags as labels; false: two of them would be one. */
static bool put_tags(struct import_batch *b, const struct toc_influx_line *line) {
    struct toc_sv database = toc_sv_cstr(b->influx->database_label);
    toc_labels_builder_reset(&b->labels);
    if (database.n && b->options->database.n)
        toc_labels_builder_set(&b->labels, database, b->options->database);
    for (size_t i = 0; i < line->tag_count; i++) {
        struct toc_sv name = clean(b, line->tags[i].key, false, &b->line_arena);
        bool is_taken =
            toc_labels_builder_get(&b->labels, name).n || toc_sv_eq(name, TOC_METRIC_NAME);
        if (is_taken) {
            import_batch_refuse(b, TOC_IMPORT_BAD_LABELS, "the tag \"%.*s\" is there twice",
                                TOC_SV_ARG(line->tags[i].key));
            return false;
        }
        toc_labels_builder_set(&b->labels, name, line->tags[i].value);
    }
    return true;
}

static void take_field(struct import_batch *b, const struct toc_influx_line *line,
                       const struct toc_influx_field *field, int64_t t_ms) {
    struct toc_labels labels;
    if (field->type == TOC_INFLUX_STRING) {
        b->out->skipped_strings++;
        return;
    }
    toc_labels_builder_set(&b->labels, TOC_METRIC_NAME, series_name(b, line, field));
    uint64_t ref = import_batch_series(b, &labels);
    if (ref)
        import_batch_add(b, ref, labels, t_ms, field->number);
}

static void take_line(struct import_batch *b, const struct toc_influx_line *line) {
    int64_t t_ms = b->now_ms;
    if (line->has_time && !to_ms(line->time, b->options->precision, &t_ms)) {
        import_batch_refuse(b, TOC_IMPORT_BAD_TIME, "the timestamp is out of range");
        return;
    }
    if (!put_tags(b, line))
        return;
    for (size_t i = 0; i < line->field_count; i++)
        take_field(b, line, &line->fields[i], t_ms);
}

int import_influx(struct import_batch *b, struct toc_sv text, struct toc_err *err) {
    struct toc_influx_reader r;
    toc_influx_reader_init(&r, text);
    for (;;) {
        struct toc_influx_line line;
        struct toc_err why = {0};
        toc_arena_reset(&b->line_arena);
        int rc = toc_influx_read(&r, &b->line_arena, &line, &why);
        if (rc == TOC_EEND)
            return import_batch_write(b, true, err);
        import_batch_begin_line(b, line.number);
        if (rc)
            import_batch_refuse(b, rc == TOC_ELIMIT ? TOC_IMPORT_TOO_LARGE : TOC_IMPORT_MALFORMED,
                                "column %d: %s", why.column, why.message);
        else
            take_line(b, &line);
        rc = import_batch_write(b, false, err);
        if (rc)
            return rc;
    }
}
