#include "app/learn_rows.h"

#include <math.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/num.h"

static size_t column_named(const struct toc_detect_input *in, const char *name) {
    for (size_t c = 0; c < in->columns.header_count; c++)
        if (toc_sv_eq_cstr(toc_sv_trim(in->columns.header[c]), name))
            return c;
    return SIZE_MAX;
}

static bool is_feature(const struct toc_detect_input *in, size_t column) {
    static const char *const others[] = {"alert",     "label", "weight",  "series",
                                         "first_row", "row",   "last_row"};
    if (column == in->columns.time)
        return false;
    for (size_t i = 0; i < TOC_ARRAY_LEN(others); i++)
        if (toc_sv_eq_cstr(toc_sv_trim(in->columns.header[column]), others[i]))
            return false;
    return true;
}

static double cell(const struct toc_learn_rows *r, size_t row, size_t column) {
    double v;
    return toc_parse_f64(toc_sv_trim(r->in.rows.items[row][column]), &v) < 0 ? NAN : v;
}

static int read_label(struct toc_learn_rows *r, size_t row, size_t column, struct toc_err *err) {
    double v = column == SIZE_MAX ? 0 : cell(r, row, column);
    if (v != 0 && v != 1)
        return toc_err_at(err, TOC_EPARSE, (int)row + 2, 0,
                          "label must be 1 (a true alert) or 0 (a false alarm)");
    r->labels[row] = (uint8_t)v;
    return 0;
}

static int read_weight(struct toc_learn_rows *r, size_t row, size_t column, struct toc_err *err) {
    r->weights[row] = column == SIZE_MAX ? 1 : cell(r, row, column);
    if (r->weights[row] > 0 && r->weights[row] <= 1000)
        return 0;
    return toc_err_at(err, TOC_EPARSE, (int)row + 2, 0, "weight must lie above 0, at most 1000");
}

/* Rows of one alert stand together and carry the same name; a new name is a new alert. */
static void set_group(struct toc_learn_rows *r, size_t row, size_t column) {
    bool is_same = row > 0 && column != SIZE_MAX &&
                   toc_sv_eq(r->in.rows.items[row][column], r->in.rows.items[row - 1][column]);
    r->groups[row] = row == 0 ? 0 : r->groups[row - 1] + !is_same;
}

/* The first row of a series is its number. */
static void set_series(struct toc_learn_rows *r, size_t column) {
    struct toc_map first = TOC_MAP_INIT;
    for (size_t row = 0; row < r->rows; row++) {
        if (column == SIZE_MAX) {
            r->series[row] = r->groups[row];
            continue;
        }
        void *known = toc_map_get(&first, r->in.rows.items[row][column]);
        r->series[row] = known ? (uint32_t)((uintptr_t)known - 1) : (uint32_t)row;
        if (!known)
            toc_map_put(&first, r->in.rows.items[row][column], (void *)((uintptr_t)row + 1));
    }
    toc_map_fini(&first);
}

static int fill(struct toc_learn_rows *r, struct toc_err *err) {
    size_t alert = column_named(&r->in, "alert"), label = column_named(&r->in, "label"),
           weight = column_named(&r->in, "weight"), at = 0;
    int rc = 0;
    r->has_labels = label != SIZE_MAX;
    for (size_t row = 0; row < r->rows && rc == 0; row++) {
        for (size_t c = 0; c < r->in.columns.header_count; c++)
            if (is_feature(&r->in, c))
                r->values[at++] = cell(r, row, c);
        set_group(r, row, alert);
        rc = read_label(r, row, label, err);
        if (rc == 0)
            rc = read_weight(r, row, weight, err);
    }
    set_series(r, column_named(&r->in, "series"));
    return rc;
}

int toc_learn_rows_read(struct toc_learn_rows *r, const char *path, struct toc_err *err) {
    *r = (struct toc_learn_rows){0};
    int rc = toc_detect_input_read(&r->in, path, NULL, true, err);
    if (rc < 0)
        return rc;
    r->rows = r->in.rows.count;
    r->score = SIZE_MAX;
    for (size_t c = 0; c < r->in.columns.header_count; c++) {
        if (is_feature(&r->in, c) && c == column_named(&r->in, "peak"))
            r->score = r->columns;
        r->columns += is_feature(&r->in, c);
    }
    if (r->columns == 0)
        return toc_errf(err, TOC_EPARSE, "the header names no feature");
    r->values = toc_try_calloc(r->rows * r->columns + 1, sizeof *r->values);
    r->labels = toc_try_calloc(r->rows + 1, sizeof *r->labels);
    r->groups = toc_try_calloc(r->rows + 1, sizeof *r->groups);
    r->weights = toc_try_calloc(r->rows + 1, sizeof *r->weights);
    r->series = toc_try_calloc(r->rows + 1, sizeof *r->series);
    if (!r->values || !r->labels || !r->groups || !r->weights || !r->series)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu rows", r->rows);
    return fill(r, err);
}

void toc_learn_rows_fini(struct toc_learn_rows *r) {
    toc_detect_input_fini(&r->in);
    toc_free(r->values);
    toc_free(r->labels);
    toc_free(r->groups);
    toc_free(r->weights);
    toc_free(r->series);
    *r = (struct toc_learn_rows){0};
}

struct toc_examples toc_learn_rows_examples(const struct toc_learn_rows *r) {
    return (struct toc_examples){
        {r->values, r->rows, r->columns}, r->labels, r->weights, r->groups};
}
