#include "app/detect_stream.h"

#include <stdio.h>
#include <string.h>

#include "app/detect_features.h"
#include "app/detect_html.h"
#include "app/detect_judge.h"
#include "app/detect_report.h"
#include "base/num.h"
#include "codec/csv.h"
#include "codec/json_writer.h"

enum { FLUSH_BYTES = 1 << 16, FEATURE_ROWS_MAX = 1 << 22 };

/* The files of one call. */
struct work {
    const struct toc_detect_stream_options *options;
    size_t count; /* of files */
    struct toc_buf out;
    struct toc_buf header; /* of the first file, for csv */
    uint64_t alerts;
};

/* What --output features looks at: every row. */
struct track {
    TOC_VEC(double) seconds;
    TOC_VEC(double) values; /* rows x columns */
    TOC_VEC(struct toc_stream_result) results;
};

static bool is_many(const struct work *w) {
    return w->count > 1;
}

static int flush(struct work *w, size_t from_bytes, struct toc_err *err) {
    int rc = toc_buf_error(&w->out);
    if (rc == 0 && w->out.n >= from_bytes) {
        if (fwrite(w->out.p, 1, w->out.n, stdout) != w->out.n)
            rc = TOC_EIO;
        toc_buf_reset(&w->out);
    }
    return rc < 0 ? toc_errf(err, rc, "cannot write the result: %s", toc_strerror(rc)) : 0;
}

/* -------------------------------------------------------------------- scores and csv, row by row
 */

static int begin_csv(struct work *w, const struct toc_detect_rows *rows, bool is_first,
                     struct toc_err *err) {
    struct toc_buf header = TOC_BUF_INIT;
    int rc = 0;
    for (size_t i = 0; i < rows->columns.header_count; i++) {
        toc_csv_write_field(&header, rows->columns.header[i]);
        toc_buf_append_char(&header, ',');
    }
    if (is_first) {
        toc_buf_append_cstr(&w->out, is_many(w) ? "file," : "");
        toc_buf_append_sv(&w->out, toc_buf_sv(&header));
        toc_buf_append_cstr(&w->out, "score,anomaly\n");
        toc_buf_append_sv(&w->header, toc_buf_sv(&header));
    } else if (!toc_sv_eq(toc_buf_sv(&header), toc_buf_sv(&w->header))) {
        rc = toc_err_at(err, TOC_EPARSE, 1, 1,
                        "the header differs from the first file's; csv has one header for all: "
                        "take another form, or one call per file");
    }
    toc_buf_fini(&header);
    return rc;
}

static void write_csv_row(struct work *w, const struct toc_detect_rows *rows,
                          const struct toc_method_result *r) {
    for (size_t i = 0; i < rows->columns.header_count; i++) {
        toc_csv_write_field(&w->out, rows->fields[i]);
        toc_buf_append_char(&w->out, ',');
    }
    toc_buf_printf(&w->out, "%.12f,%d\n", r->row.score, r->row.is_alert);
}

static void write_score_row(struct work *w, const struct toc_detect_rows *rows,
                            const struct toc_method_result *r) {
    if (rows->columns.time == SIZE_MAX)
        toc_buf_printf(&w->out, "%llu", (unsigned long long)rows->count);
    else
        toc_csv_write_field(&w->out, rows->fields[rows->columns.time]);
    toc_buf_printf(&w->out, ",%.12f,%d\n", r->row.score, r->row.is_alert);
}

static int write_row(struct work *w, const struct toc_detect_rows *rows,
                     const struct toc_method_result *r, struct toc_err *err) {
    enum toc_detect_form form = w->options->form;
    if (form != TOC_DETECT_CSV && form != TOC_DETECT_SCORES)
        return 0;
    if (is_many(w)) {
        toc_csv_write_field(&w->out, toc_sv_cstr(rows->name));
        toc_buf_append_char(&w->out, ',');
    }
    if (form == TOC_DETECT_CSV)
        write_csv_row(w, rows, r);
    else
        write_score_row(w, rows, r);
    return flush(w, FLUSH_BYTES, err);
}

/* ------------------------------------------------------------------------------------- features */

static int keep_row(struct track *t, const struct toc_detect_rows *rows,
                    const struct toc_method_result *r, struct toc_err *err) {
    if (rows->count > FEATURE_ROWS_MAX)
        return toc_err_at(err, TOC_ELIMIT, rows->line, 1,
                          "more than %d rows: features look at all of them at once; give fewer, or "
                          "take another form",
                          FEATURE_ROWS_MAX);
    TOC_VEC_PUSH(&t->seconds, rows->seconds);
    TOC_VEC_PUSH(&t->results, r->row);
    for (size_t i = 0; i < rows->columns.chosen.count; i++)
        TOC_VEC_PUSH(&t->values, rows->values[i]);
    return 0;
}

static void write_features(const struct track *t, size_t columns, struct toc_buf *out) {
    enum { YOUNG_ROWS = 50 }; /* the bar there is what the budget alone gives */
    size_t rows = t->results.count;
    double bar = t->results.items[TOC_MIN(rows - 1, (size_t)YOUNG_ROWS)].bar;
    const struct toc_detect_track track = {
        t->seconds.items, t->values.items, t->results.items, rows, columns, bar};
    toc_detect_write_features(&track, out);
}

static void track_fini(struct track *t) {
    TOC_VEC_FINI(&t->seconds);
    TOC_VEC_FINI(&t->values);
    TOC_VEC_FINI(&t->results);
}

/* ------------------------------------------------------------------------------------- one file */

static int judge_rows(struct work *w, struct toc_detect_rows *rows, struct toc_detect_judge *judge,
                      struct toc_detect_case *c, struct track *track, struct toc_err *err) {
    for (;;) {
        int rc = toc_detect_rows_next(rows, err);
        if (rc < 0)
            return rc == TOC_EEND ? 0 : rc;
        struct toc_method_result r = toc_detect_judge_step(judge, rows->seconds, rows->values);
        if (rows->count <= w->options->train_rows)
            r.row.is_alert = false;
        toc_detect_case_add(c, rows, &r);
        rc = write_row(w, rows, &r, err);
        if (rc == 0 && w->options->form == TOC_DETECT_FEATURES)
            rc = keep_row(track, rows, &r, err);
        if (rc < 0)
            return rc;
    }
}

/* Notes go where they do not disturb: into the page or the object, else to standard error. */
static void report(struct work *w, const struct toc_detect_case *c, const struct track *track) {
    enum toc_detect_form form = w->options->form;
    struct toc_buf notes = TOC_BUF_INIT;
    if (form == TOC_DETECT_TABLE)
        toc_detect_print_table(c, is_many(w));
    else if (form == TOC_DETECT_JSON)
        toc_detect_write_json(c, &w->out);
    else if (form == TOC_DETECT_FEATURES)
        write_features(track, c->column_count, &w->out);
    else if (form == TOC_DETECT_HTML)
        toc_detect_html_case(c, is_many(w), &w->out);
    if (form != TOC_DETECT_HTML && form != TOC_DETECT_JSON)
        toc_detect_write_notes(c, &notes);
    if (notes.n)
        fprintf(stderr, "tocsin detect: %s: %s\n", c->name, toc_buf_cstr(&notes));
    toc_buf_fini(&notes);
}

static int detect_file(struct work *w, const char *path, bool is_first, struct toc_err *err) {
    enum toc_detect_form form = w->options->form;
    bool has_reasons =
        form == TOC_DETECT_TABLE || form == TOC_DETECT_JSON || form == TOC_DETECT_HTML;
    struct toc_detect_rows rows;
    struct toc_detect_case c = {0};
    struct track track = {0};
    struct toc_detect_judge *judge = NULL;
    int rc = toc_detect_rows_open(&rows, path, w->options->columns, err);
    if (rc == 0 && form == TOC_DETECT_CSV)
        rc = begin_csv(w, &rows, is_first, err);
    if (rc == 0)
        rc = toc_detect_judge_new(&rows.columns, w->options, &judge, err);
    if (rc == 0)
        rc = toc_detect_case_init(&c, &rows, judge, has_reasons, form == TOC_DETECT_HTML, err);
    if (rc == 0)
        rc = judge_rows(w, &rows, judge, &c, &track, err);
    if (rc == 0 && rows.count == 0)
        rc = toc_errf(err, TOC_ENODATA, "no rows below the header");
    if (rc == 0) {
        toc_detect_case_end(&c);
        report(w, &c, &track);
        rc = flush(w, FLUSH_BYTES, err);
    }
    w->alerts += c.alert_count;
    toc_detect_judge_free(&judge);
    toc_detect_case_fini(&c);
    track_fini(&track);
    toc_detect_rows_fini(&rows);
    return rc;
}

/* -------------------------------------------------------------------------------- all the files */

static void begin(struct work *w) {
    enum toc_detect_form form = w->options->form;
    if (form == TOC_DETECT_SCORES)
        toc_buf_append_cstr(&w->out, is_many(w) ? "file,timestamp,score,alert\n"
                                                : "timestamp,score,alert\n");
    else if (form == TOC_DETECT_JSON && is_many(w))
        toc_buf_append_cstr(&w->out, "[\n");
    else if (form == TOC_DETECT_HTML)
        toc_detect_html_begin(&w->out);
}

static int end(struct work *w, struct toc_err *err) {
    enum toc_detect_form form = w->options->form;
    if (form == TOC_DETECT_JSON)
        toc_buf_append_cstr(&w->out, is_many(w) ? "\n]\n" : "\n");
    else if (form == TOC_DETECT_HTML)
        toc_detect_html_end(&w->out);
    int rc = flush(w, 1, err);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = toc_errf(err, TOC_EIO, "cannot write the result: %s", toc_strerror(TOC_EIO));
    return rc;
}

int toc_detect_budget_parse(struct toc_sv text, double *out_seconds) {
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"hour", 3600}, {"day", 86400}, {"week", 604800}, {"month", 2592000}};
    struct toc_sv rest = text, number;
    double count;
    if (!toc_sv_split(&rest, '/', &number) || toc_parse_f64(number, &count) < 0 ||
        !(count >= 1e-3 && count <= 1e6))
        return TOC_EPARSE;
    for (size_t i = 0; i < TOC_ARRAY_LEN(units); i++)
        if (toc_sv_eq(rest, toc_sv_cstr(units[i].name))) {
            *out_seconds = units[i].seconds / count;
            return 0;
        }
    return TOC_EPARSE;
}

int toc_detect_stream(const char *const *paths, size_t count,
                      const struct toc_detect_stream_options *o, uint64_t *out_alerts,
                      size_t *out_at, struct toc_err *err) {
    struct work w = {.options = o, .count = count};
    int rc = 0;
    begin(&w);
    for (*out_at = 0; rc == 0 && *out_at < count; ++*out_at) {
        if (*out_at && o->form == TOC_DETECT_JSON)
            toc_buf_append_cstr(&w.out, ",\n");
        rc = detect_file(&w, paths[*out_at], *out_at == 0, err);
        if (rc < 0)
            break;
    }
    if (rc == 0)
        rc = end(&w, err);
    *out_alerts = w.alerts;
    toc_buf_fini(&w.out);
    toc_buf_fini(&w.header);
    return rc;
}
