#include "app/detect_input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/read_input.h"
#include "base/num.h"
#include "codec/csv.h"

static int read_text(struct toc_detect_input *in, const char *path, struct toc_err *err) {
    int rc = toc_read_input(path, TOC_DETECT_INPUT_BYTES_MAX, &in->text);
    const char *name = toc_input_name(path);
    if (rc == TOC_ELIMIT)
        return toc_errf(err, rc, "%s is larger than %d MiB; give fewer rows", name,
                        TOC_DETECT_INPUT_BYTES_MAX >> 20);
    if (rc < 0)
        return toc_errf(err, rc, "cannot read %s: %s", name, toc_strerror(rc));
    return 0;
}

/* 1-based column of a field in its line; 0 when the field is a copy (it held doubled quotes). */
static int column_of(const struct toc_detect_input *in, struct toc_sv field) {
    const char *begin = in->text.p, *p = field.p;
    if (!p || p < begin || p > begin + in->text.n)
        return 0;
    while (p > begin && p[-1] != '\n')
        p--;
    return (int)(field.p - p) + 1;
}

static int read_rows(struct toc_detect_input *in, int **out_lines, struct toc_err *err) {
    struct toc_csv_reader r;
    TOC_VEC(int) lines = {0};
    toc_csv_reader_init(&r, toc_buf_sv(&in->text));
    int rc = toc_csv_read(&r, &in->arena, &in->header, &in->header_count, err);
    if (rc == TOC_EEND)
        rc = toc_errf(err, TOC_EPARSE, "the file is empty; its first line must name the columns");
    while (rc == 0) {
        const struct toc_sv *fields;
        size_t count;
        rc = toc_csv_read(&r, &in->arena, &fields, &count, err);
        if (rc == 0 && count != in->header_count)
            rc = toc_err_at(err, TOC_EPARSE, r.line, 1, "%zu fields, but the header has %zu", count,
                            in->header_count);
        if (rc == 0 && in->rows.count == TOC_DETECT_ROWS_MAX)
            rc = toc_err_at(err, TOC_ELIMIT, r.line, 1, "more than %d rows", TOC_DETECT_ROWS_MAX);
        if (rc == 0) {
            TOC_VEC_PUSH(&in->rows, fields);
            TOC_VEC_PUSH(&lines, r.line);
        }
    }
    *out_lines = lines.items;
    return rc == TOC_EEND ? 0 : rc;
}

static size_t find_column(const struct toc_detect_input *in, struct toc_sv name, size_t from) {
    for (size_t i = from; i < in->header_count; i++)
        if (toc_sv_eq(toc_sv_trim(in->header[i]), name))
            return i;
    return SIZE_MAX;
}

static void find_time_column(struct toc_detect_input *in) {
    static const char *const names[] = {"timestamp", "time", "date"};
    in->time_column = SIZE_MAX;
    for (size_t i = 0; i < TOC_ARRAY_LEN(names) && in->time_column == SIZE_MAX; i++)
        in->time_column = find_column(in, toc_sv_cstr(names[i]), 0);
}

static int say_unknown_column(const struct toc_detect_input *in, struct toc_sv name,
                              struct toc_err *err) {
    struct toc_buf list = TOC_BUF_INIT;
    for (size_t i = 0; i < in->header_count && list.n < 300; i++)
        toc_buf_printf(&list, "%s%.*s", i ? ", " : "", TOC_SV_ARG(in->header[i]));
    int rc = toc_err_at(err, TOC_EPARSE, 1, 0, "there is no column \"%.*s\"; the header has %s",
                        TOC_SV_ARG(name), toc_buf_cstr(&list));
    toc_buf_fini(&list);
    return rc;
}

static int choose_columns(struct toc_detect_input *in, const char *columns, struct toc_err *err) {
    find_time_column(in);
    struct toc_sv rest = toc_sv_cstr(columns), name;
    for (size_t i = 0; !columns && i < in->header_count; i++)
        if (i != in->time_column)
            TOC_VEC_PUSH(&in->columns, i);
    while (columns && toc_sv_split(&rest, ',', &name)) {
        name = toc_sv_trim(name);
        size_t at = find_column(in, name, 0);
        if (at == SIZE_MAX)
            return say_unknown_column(in, name, err);
        if (find_column(in, name, at + 1) != SIZE_MAX)
            return toc_err_at(err, TOC_EPARSE, 1, column_of(in, in->header[at]),
                              "two columns are called \"%.*s\"", TOC_SV_ARG(name));
        for (size_t i = 0; i < in->columns.count; i++)
            if (in->columns.items[i] == at)
                return toc_errf(err, TOC_EINVAL, "--columns names \"%.*s\" twice",
                                TOC_SV_ARG(name));
        TOC_VEC_PUSH(&in->columns, at);
    }
    if (in->columns.count == 0)
        return toc_err_at(err, TOC_EPARSE, 1, 1, "the header names no column to look at");
    return 0;
}

/* 0, 1 for a missing value, or an error. */
static int read_cell(const struct toc_detect_input *in, struct toc_sv cell, int line, size_t column,
                     bool allows_missing, double *out, struct toc_err *err) {
    struct toc_sv text = toc_sv_trim(cell);
    int rc = toc_parse_f64(text, out);
    bool is_missing = text.n == 0 || (rc == 0 && isnan(*out));
    if (is_missing && allows_missing)
        return 1;
    if (rc == 0 && fabs(*out) <= 3.4028234663852886e38)
        return 0;
    const char *what = is_missing ? "a missing value" : rc < 0 ? "not a number" : "out of range";
    return toc_err_at(
        err, TOC_EPARSE, line, column_of(in, cell),
        "column %.*s: \"%.*s\" is %s; remove or fill such rows, or choose other columns "
        "with --columns",
        TOC_SV_ARG(in->header[column]), (int)TOC_MIN(cell.n, (size_t)40), cell.p ? cell.p : "",
        what);
}

static int read_row(struct toc_detect_input *in, size_t row, int line, bool allows_missing,
                    struct toc_err *err) {
    double *to = in->values + in->complete.count * in->columns.count;
    bool is_complete = true;
    for (size_t i = 0; i < in->columns.count; i++) {
        size_t column = in->columns.items[i];
        int rc =
            read_cell(in, in->rows.items[row][column], line, column, allows_missing, &to[i], err);
        if (rc < 0)
            return rc;
        is_complete = is_complete && rc == 0;
    }
    if (is_complete)
        TOC_VEC_PUSH(&in->complete, row);
    return 0;
}

static int read_values(struct toc_detect_input *in, const int *lines, bool allows_missing,
                       struct toc_err *err) {
    in->values = toc_try_calloc(in->rows.count * in->columns.count + 1, sizeof *in->values);
    if (!in->values)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu rows", in->rows.count);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < in->rows.count; i++)
        rc = read_row(in, i, lines[i], allows_missing, err);
    return rc;
}

int toc_detect_input_read(struct toc_detect_input *in, const char *path, const char *columns,
                          bool allows_missing, struct toc_err *err) {
    *in = (struct toc_detect_input){0};
    int *lines = NULL;
    int rc = read_text(in, path, err);
    if (rc == 0)
        rc = read_rows(in, &lines, err);
    if (rc == 0)
        rc = choose_columns(in, columns, err);
    if (rc == 0)
        rc = read_values(in, lines, allows_missing, err);
    toc_free(lines);
    if (rc == 0 && in->rows.count == 0)
        rc = toc_errf(err, TOC_ENODATA, "no rows below the header");
    return rc;
}

void toc_detect_input_fini(struct toc_detect_input *in) {
    TOC_VEC_FINI(&in->rows);
    TOC_VEC_FINI(&in->columns);
    TOC_VEC_FINI(&in->complete);
    toc_free(in->values);
    toc_arena_fini(&in->arena);
    toc_buf_fini(&in->text);
    *in = (struct toc_detect_input){0};
}
