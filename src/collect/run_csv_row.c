/* Rows of a CSV body. Most hold nothing but numbers, and are read without being cut first. */
#include "base/num.h"
#include "codec/csv.h"
#include "collect/run_csv_priv.h"

/* Layers appear in the header's order; one without any value in this row is left out. */
static int row_layers(const struct toc_run_decoder *d, const struct toc_run_columns *c,
                      const struct toc_sv *cells, struct toc_run_line *line) {
    if (!c->layer_count)
        return 0;
    struct toc_run_layer **made =
        TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_layer *, c->layer_count + 1);
    if (!made)
        return toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
    for (size_t i = 0; i < c->count; i++) {
        const struct toc_run_column *column = &c->items[i];
        if (column->kind != TOC_RUN_COLUMN_STAT || !toc_sv_trim(cells[i]).n)
            continue;
        if (!made[column->layer])
            made[column->layer] =
                toc_run_add_layer(d, line, c->layers[column->layer], TOC_RUN_STATS_MAX);
        if (!made[column->layer])
            return d->err ? d->err->code : TOC_EPARSE;
        struct toc_run_raw raw = {.type = TOC_RUN_RAW_TEXT, .text = cells[i], .is_csv = true};
        int rc = toc_run_add_stat(d, line, made[column->layer], column->name, &raw);
        if (rc)
            return rc;
    }
    return 0;
}

static void put_value(const struct toc_run_column *column, double number,
                      struct toc_run_line *line) {
    struct toc_run_value *v = &line->values[line->value_count++];
    *v = column->meaning.value;
    v->value = number;
    line->has_loss |= v->kind == TOC_RUN_VALUE_LOSS;
}

/* -0 is an integer of JSON, but not the same as 0. */
static bool is_minus_zero(double number, char first) {
    return number == 0 && first == '-';
}

/* A plain number of a column whose series no other column has: what row_cell would do with it. */
static bool put_plain(const struct toc_run_column *column, struct toc_sv cell,
                      struct toc_run_line *line) {
    double number;
    if (!column->meaning.is_only || !cell.n || toc_read_json_number(cell, &number) != cell.n ||
        is_minus_zero(number, cell.p[0]))
        return false;
    put_value(column, number, line);
    return true;
}

static int row_cell(const struct toc_run_decoder *d, const struct toc_run_column *column,
                    struct toc_sv cell, struct toc_run_line *line) {
    if (put_plain(column, cell, line))
        return 0;
    if (column->kind == TOC_RUN_COLUMN_STAT || !toc_sv_trim(cell).n)
        return 0;
    struct toc_run_raw raw = {.type = TOC_RUN_RAW_TEXT, .text = cell, .is_csv = true};
    if (column->kind == TOC_RUN_COLUMN_LABEL)
        return toc_run_add_label(d, line, column->name, cell);
    return toc_run_set_meant(d, line, column->name, &column->meaning, &raw);
}

/* A row is applied before the next one is read: without layers they share one room. */
static int begin_row(const struct toc_run_decoder *d, const struct toc_run_columns *c, int number,
                     struct toc_run_line *out) {
    if (c->layer_count)
        return toc_run_line_init(d, number, c->count, c->layer_count, out);
    *out = (struct toc_run_line){.number = number, .values = c->values};
    return 0;
}

int toc_run_line_csv(const struct toc_run_decoder *d, const struct toc_run_columns *columns,
                     const struct toc_sv *cells, size_t count, int number,
                     struct toc_run_line *out) {
    if (count != columns->count)
        return toc_run_fail(d, number, "%zu cells, but the header has %zu columns", count,
                            columns->count);
    int rc = begin_row(d, columns, number, out);
    for (size_t i = 0; !rc && i < count; i++)
        rc = row_cell(d, &columns->items[i], cells[i], out);
    return rc ? rc : row_layers(d, columns, cells, out);
}

/* --- rows that are not cut --- */

static bool is_cell_end(const char *p, const char *end) {
    return p == end || *p == ',' || *p == '\n' || (*p == '\r' && p + 1 < end && p[1] == '\n');
}

/* Where the number ends that the cell is; NULL when it is something else. */
static const char *take_number(const struct toc_run_decoder *d, const struct toc_run_column *column,
                               struct toc_sv rest, struct toc_run_line *line) {
    const struct toc_run_meaning *m = &column->meaning;
    double number;
    size_t n = m->is_only || m->takes_number ? toc_read_json_number(rest, &number) : 0;
    if (!n || !is_cell_end(rest.p + n, rest.p + rest.n) || is_minus_zero(number, rest.p[0]))
        return NULL;
    if (m->is_only) {
        put_value(column, number, line);
        return rest.p + n;
    }
    struct toc_run_raw raw = {.type = TOC_RUN_RAW_NUMBER, .number = number};
    return toc_run_set_meant(d, line, column->name, m, &raw) ? NULL : rest.p + n;
}

/* The same of any cell without quotes. */
static const char *take_text(const struct toc_run_decoder *d, const struct toc_run_column *column,
                             struct toc_sv rest, struct toc_run_line *line) {
    enum { LONG = 4096 };
    size_t n = 0;
    while (n < rest.n && !is_cell_end(rest.p + n, rest.p + rest.n) && rest.p[n] != '"')
        n++;
    bool is_odd =
        n > LONG || (n < rest.n && rest.p[n] == '"') || (n == rest.n && n && rest.p[n - 1] == '\r');
    return is_odd || row_cell(d, column, toc_sv_sub(rest, 0, n), line) ? NULL : rest.p + n;
}

size_t toc_run_line_plain_csv(const struct toc_run_decoder *d,
                              const struct toc_run_columns *columns, struct toc_sv text, int number,
                              struct toc_run_line *out) {
    struct toc_run_decoder silent = {d->arena, NULL, d->is_file, d->run, NULL};
    const char *p = text.p, *end = p + text.n;
    if (columns->layer_count || !text.n || *p == '\n' || *p == '\r')
        return 0;
    *out = (struct toc_run_line){.number = number, .values = columns->values};
    for (size_t i = 0; i < columns->count; i++) {
        const struct toc_run_column *column = &columns->items[i];
        struct toc_sv rest = toc_sv_make(p, (size_t)(end - p));
        p = take_number(&silent, column, rest, out);
        p = p ? p : take_text(&silent, column, rest, out);
        if (!p)
            return 0;
        p += p < end && *p == '\r';
        bool is_row_end = p == end || *p == '\n';
        if (is_row_end != (i + 1 == columns->count))
            return 0;
        p += p < end;
    }
    return (size_t)(p - text.p);
}
