#include "app/detect_columns.h"

#include <math.h>

#include "base/attrs.h"
#include "base/buf.h"
#include "base/num.h"

static const double FLOAT_MAX = 3.4028234663852886e38;

static size_t find_column(const struct toc_detect_columns *c, struct toc_sv name, size_t from) {
    for (size_t i = from; i < c->header_count; i++)
        if (toc_sv_eq(toc_sv_trim(c->header[i]), name))
            return i;
    return SIZE_MAX;
}

static void find_time_column(struct toc_detect_columns *c) {
    static const char *const names[] = {"timestamp", "time", "date"};
    c->time = SIZE_MAX;
    for (size_t i = 0; i < TOC_ARRAY_LEN(names) && c->time == SIZE_MAX; i++)
        c->time = find_column(c, toc_sv_cstr(names[i]), 0);
}

static int say_unknown(const struct toc_detect_columns *c, struct toc_sv name,
                       struct toc_err *err) {
    struct toc_buf list = TOC_BUF_INIT;
    for (size_t i = 0; i < c->header_count && list.n < 300; i++)
        toc_buf_printf(&list, "%s%.*s", i ? ", " : "", TOC_SV_ARG(c->header[i]));
    int rc = toc_err_at(err, TOC_EPARSE, 1, 0, "there is no column \"%.*s\"; the header has %s",
                        TOC_SV_ARG(name), toc_buf_cstr(&list));
    toc_buf_fini(&list);
    return rc;
}

static int choose(struct toc_detect_columns *c, struct toc_sv name, struct toc_err *err) {
    size_t at = find_column(c, name, 0);
    if (at == SIZE_MAX)
        return say_unknown(c, name, err);
    if (find_column(c, name, at + 1) != SIZE_MAX)
        return toc_err_at(err, TOC_EPARSE, 1, 0, "two columns are called \"%.*s\"",
                          TOC_SV_ARG(name));
    for (size_t i = 0; i < c->chosen.count; i++)
        if (c->chosen.items[i] == at)
            return toc_errf(err, TOC_EINVAL, "--columns names \"%.*s\" twice", TOC_SV_ARG(name));
    TOC_VEC_PUSH(&c->chosen, at);
    return 0;
}

int toc_detect_columns_choose(struct toc_detect_columns *c, const struct toc_sv *header,
                              size_t count, const char *wanted, struct toc_err *err) {
    *c = (struct toc_detect_columns){.header = header, .header_count = count};
    find_time_column(c);
    struct toc_sv rest = toc_sv_cstr(wanted), name;
    int rc = 0;
    for (size_t i = 0; !wanted && i < count; i++)
        if (i != c->time)
            TOC_VEC_PUSH(&c->chosen, i);
    while (rc == 0 && wanted && toc_sv_split(&rest, ',', &name))
        rc = choose(c, toc_sv_trim(name), err);
    if (rc == 0 && c->chosen.count == 0)
        rc = toc_err_at(err, TOC_EPARSE, 1, 1, "the header names no column to look at");
    return rc;
}

void toc_detect_columns_fini(struct toc_detect_columns *c) {
    TOC_VEC_FINI(&c->chosen);
    *c = (struct toc_detect_columns){0};
}

static bool is_missing(struct toc_sv text) {
    static const char *const words[] = {"NA", "na", "N/A", "n/a", "null", "NULL", "None"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(words); i++)
        if (toc_sv_eq_cstr(text, words[i]))
            return true;
    return text.n == 0;
}

int toc_detect_cell_parse(struct toc_sv cell, double *out) {
    struct toc_sv text = toc_sv_trim(cell);
    int rc = toc_parse_f64(text, out);
    if (rc == 0 && fabs(*out) <= FLOAT_MAX)
        return 0;
    if ((rc == 0 && isnan(*out)) || is_missing(text)) {
        *out = NAN;
        return 1;
    }
    return TOC_EPARSE;
}

int toc_detect_cell_refuse(const struct toc_detect_columns *c, size_t at, struct toc_sv cell,
                           int line, int column, struct toc_err *err) {
    double v;
    int rc = toc_detect_cell_parse(cell, &v);
    const char *what = rc > 0                                     ? "a missing value"
                       : toc_parse_f64(toc_sv_trim(cell), &v) < 0 ? "not a number"
                                                                  : "out of range";
    return toc_err_at(err, TOC_EPARSE, line, column,
                      "column %.*s: \"%.*s\" is %s; remove or fill such rows, or choose other "
                      "columns with --columns",
                      TOC_SV_ARG(c->header[at]), (int)TOC_MIN(cell.n, (size_t)40),
                      cell.p ? cell.p : "", what);
}
