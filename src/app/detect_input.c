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
        return toc_errf(
            err, rc,
            "%s is larger than %d MiB: a forest over the whole file needs all of it in memory. "
            "--stream judges files of any length row by row",
            name, TOC_DETECT_INPUT_BYTES_MAX >> 20);
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

static int read_rows(struct toc_detect_input *in, const struct toc_sv **out_header,
                     size_t *out_count, int **out_lines, struct toc_err *err) {
    struct toc_csv_reader r;
    TOC_VEC(int) lines = {0};
    toc_csv_reader_init(&r, toc_buf_sv(&in->text));
    int rc = toc_csv_read(&r, &in->arena, out_header, out_count, err);
    if (rc == TOC_EEND)
        rc = toc_errf(err, TOC_EPARSE, "the file is empty; its first line must name the columns");
    while (rc == 0) {
        const struct toc_sv *fields;
        size_t count;
        rc = toc_csv_read(&r, &in->arena, &fields, &count, err);
        if (rc == 0 && count != *out_count)
            rc = toc_err_at(err, TOC_EPARSE, r.line, 1, "%zu fields, but the header has %zu", count,
                            *out_count);
        if (rc == 0 && in->rows.count == TOC_DETECT_ROWS_MAX)
            rc = toc_err_at(
                err, TOC_ELIMIT, r.line, 1,
                "more than %d rows: a forest over the whole file needs all of them in memory. "
                "--stream judges files of any length row by row",
                TOC_DETECT_ROWS_MAX);
        if (rc == 0) {
            TOC_VEC_PUSH(&in->rows, fields);
            TOC_VEC_PUSH(&lines, r.line);
        }
    }
    *out_lines = lines.items;
    return rc == TOC_EEND ? 0 : rc;
}

/* 0, 1 for a missing value, or an error. */
static int read_cell(const struct toc_detect_input *in, struct toc_sv cell, int line, size_t column,
                     bool allows_missing, double *out, struct toc_err *err) {
    int rc = toc_detect_cell_parse(cell, out);
    if (rc == 0 || (rc == 1 && allows_missing))
        return rc;
    return toc_detect_cell_refuse(&in->columns, column, cell, line, column_of(in, cell), err);
}

static int read_row(struct toc_detect_input *in, size_t row, int line, bool allows_missing,
                    struct toc_err *err) {
    double *to = in->values + in->complete.count * in->columns.chosen.count;
    bool is_complete = true;
    for (size_t i = 0; i < in->columns.chosen.count; i++) {
        size_t column = in->columns.chosen.items[i];
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
    in->values = toc_try_calloc(in->rows.count * in->columns.chosen.count + 1, sizeof *in->values);
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
    const struct toc_sv *header;
    size_t header_count;
    int rc = read_text(in, path, err);
    if (rc == 0)
        rc = read_rows(in, &header, &header_count, &lines, err);
    if (rc == 0)
        rc = toc_detect_columns_choose(&in->columns, header, header_count, columns, err);
    if (rc == 0)
        rc = read_values(in, lines, allows_missing, err);
    toc_free(lines);
    if (rc == 0 && in->rows.count == 0)
        rc = toc_errf(err, TOC_ENODATA, "no rows below the header");
    return rc;
}

void toc_detect_input_fini(struct toc_detect_input *in) {
    TOC_VEC_FINI(&in->rows);
    toc_detect_columns_fini(&in->columns);
    TOC_VEC_FINI(&in->complete);
    toc_free(in->values);
    toc_arena_fini(&in->arena);
    toc_buf_fini(&in->text);
    *in = (struct toc_detect_input){0};
}
