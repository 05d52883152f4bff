/* CSV with the columns that the request describes. */
#include <math.h>

#include "base/num.h"
#include "base/time.h"
#include "codec/csv.h"
#include "remote/import_batch.h"

struct record {
    const struct toc_sv *fields;
    size_t count;
};

static struct toc_sv field_of(const struct record *r, const struct toc_csv_column *c) {
    return c->position < r->count ? r->fields[c->position] : TOC_SV_NULL;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static bool parse_time(struct toc_sv s, enum toc_csv_time format, int64_t *out) {
    struct toc_ts t;
    double seconds;
    int64_t n;
    switch (format) {
    case TOC_CSV_RFC3339:
        if (toc_ts_parse_rfc3339(s, &t, NULL))
            return false;
        *out = t.ms;
        return true;
    case TOC_CSV_UNIX_S: /* with a fraction, as programs write it */
        if (toc_parse_f64(s, &seconds) || !(fabs(seconds) < 9e15))
            return false;
        *out = llround(seconds * 1000);
        return true;
    default:
        if (toc_parse_i64(s, &n))
            return false;
        *out = format == TOC_CSV_UNIX_MS ? n
                                         : floor_div(n, format == TOC_CSV_UNIX_US ? 1000 : 1000000);
        return true;
    }
}

/* Labels and time; false: refused. */
static bool take_row(struct import_batch *b, const struct record *r, int64_t *t_ms) {
    const struct toc_csv_columns *columns = b->options->columns;
    for (size_t i = 0; i < columns->count; i++) {
        const struct toc_csv_column *c = &columns->items[i];
        struct toc_sv field = field_of(r, c);
        if (c->type == TOC_CSV_LABEL)
            toc_labels_builder_set(&b->labels, c->name, field);
        if (c->type != TOC_CSV_TIME)
            continue;
        field = toc_sv_trim(field);
        if (field.n && !parse_time(field, c->time, t_ms)) {
            import_batch_refuse(b, TOC_IMPORT_BAD_TIME, "column %zu: \"%.*s\" is no %.*s",
                                c->position + 1, (int)(field.n > 40 ? 40 : field.n), field.p,
                                TOC_SV_ARG(c->name));
            return false;
        }
    }
    return true;
}

static void take_value(struct import_batch *b, const struct toc_csv_column *c, struct toc_sv field,
                       int64_t t_ms) {
    struct toc_labels labels;
    double value;
    if (toc_parse_f64(field, &value)) {
        import_batch_refuse(b, TOC_IMPORT_BAD_VALUE, "column %zu: \"%.*s\" is no number",
                            c->position + 1, (int)(field.n > 40 ? 40 : field.n), field.p);
        return;
    }
    toc_labels_builder_set(&b->labels, TOC_METRIC_NAME, c->name);
    uint64_t ref = import_batch_series(b, &labels);
    if (ref)
        import_batch_add(b, ref, labels, t_ms, value);
}

static void take_record(struct import_batch *b, const struct record *r) {
    const struct toc_csv_columns *columns = b->options->columns;
    int64_t t_ms = b->now_ms;
    size_t values = 0;
    if (!take_row(b, r, &t_ms))
        return;
    for (size_t i = 0; i < columns->count; i++) {
        const struct toc_csv_column *c = &columns->items[i];
        struct toc_sv field = toc_sv_trim(field_of(r, c));
        if (c->type != TOC_CSV_METRIC || !field.n) /* an empty field is no sample */
            continue;
        take_value(b, c, field, t_ms);
        values++;
    }
    if (!values)
        import_batch_refuse(b, TOC_IMPORT_BAD_VALUE, "no value: %zu fields, none of a metric",
                            r->count);
}

/* Behind the line break that follows the bad record's beginning: its quotes are not trusted. */
static void skip_record(struct toc_csv_reader *r, size_t begin, int line) {
    size_t n = toc_sv_find_char(toc_sv_sub(r->text, begin, SIZE_MAX), '\n');
    r->at = n == SIZE_MAX ? r->text.n : begin + n + 1;
    r->next_line = line + 1;
}

static void skip_line_ends(struct toc_csv_reader *r) {
    for (; r->at < r->text.n; r->at++) {
        bool is_cr =
            r->text.p[r->at] == '\r' && (r->at + 1 == r->text.n || r->text.p[r->at + 1] == '\n');
        if (!is_cr && r->text.p[r->at] != '\n')
            return;
        r->next_line += r->text.p[r->at] == '\n';
    }
}

int import_csv(struct import_batch *b, struct toc_sv text, struct toc_err *err) {
    struct toc_csv_reader reader;
    toc_csv_reader_init(&reader, text);
    reader.next_line = 1;
    for (;;) {
        struct record r = {0};
        struct toc_err why = {0};
        toc_arena_reset(&b->line_arena);
        skip_line_ends(&reader);
        size_t begin = reader.at;
        int line = reader.next_line;
        int rc = toc_csv_read(&reader, &b->line_arena, &r.fields, &r.count, &why);
        if (rc == TOC_EEND)
            return import_batch_write(b, true, err);
        import_batch_begin_line(b, line);
        if (rc) {
            import_batch_refuse(b, rc == TOC_EPARSE ? TOC_IMPORT_MALFORMED : TOC_IMPORT_TOO_LARGE,
                                "%s", why.message);
            skip_record(&reader, begin, line);
        } else {
            take_record(b, &r);
        }
        rc = import_batch_write(b, false, err);
        if (rc)
            return rc;
    }
}
