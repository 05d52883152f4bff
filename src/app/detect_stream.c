#include "app/detect_stream.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/detect_features.h"
#include "app/detect_html.h"
#include "app/table.h"
#include "base/num.h"
#include "base/time.h"
#include "codec/csv.h"
#include "codec/json_writer.h"

enum { JOIN_ROWS = 10 }; /* alerts no further apart are one */

/* Rows in alert, one behind the other. */
struct episode {
    size_t first, last, peak;
};

struct judged {
    const struct toc_detect_input *in;
    struct toc_stream_result *rows;
    double *seconds, *values; /* for the features of alerts: rows, rows x columns; else NULL */
    TOC_VEC(struct episode) episodes;
};

/* Seconds from a number or an RFC 3339 time; the row's number where there is no time column. */
static int time_of(const struct toc_detect_input *in, size_t row, double *out,
                   struct toc_err *err) {
    struct toc_ts t;
    *out = (double)row;
    if (in->time_column == SIZE_MAX)
        return 0;
    struct toc_sv text = toc_sv_trim(in->rows.items[row][in->time_column]);
    if (toc_parse_f64(text, out) == 0 && isfinite(*out))
        return 0;
    if (toc_ts_parse_rfc3339(text, &t, NULL) == 0) {
        *out = (double)t.ms / 1000;
        return 0;
    }
    return toc_err_at(err, TOC_EPARSE, (int)row + 2, 1,
                      "the time \"%.*s\" is neither a number of seconds nor like "
                      "2026-01-31T12:00:00Z",
                      (int)TOC_MIN(text.n, (size_t)40), text.p ? text.p : "");
}

/* A loss or a norm of gradients that is not a number is news; elsewhere that is a missing value. */
static bool is_of_training(struct toc_sv name) {
    return toc_sv_find(name, TOC_SV("loss")) != SIZE_MAX ||
           toc_sv_find(name, TOC_SV("grad")) != SIZE_MAX;
}

/* NaN for a missing value, infinity for one that should be a number; others were refused when the
 * file was read. */
static double value_of(const struct toc_detect_input *in, size_t row, size_t column) {
    struct toc_sv text = toc_sv_trim(in->rows.items[row][column]);
    double v;
    if (text.n == 0 || toc_parse_f64(text, &v) < 0)
        return NAN;
    return isnan(v) && is_of_training(in->header[column]) ? INFINITY : v;
}

static void note_episode(struct judged *j, size_t row) {
    if (!j->rows[row].is_alert)
        return;
    struct episode *last = j->episodes.count ? &j->episodes.items[j->episodes.count - 1] : NULL;
    if (last && row - last->last <= JOIN_ROWS) {
        last->last = row;
        if (j->rows[row].surprise > j->rows[last->peak].surprise)
            last->peak = row;
        return;
    }
    struct episode fresh = {row, row, row};
    TOC_VEC_PUSH(&j->episodes, fresh);
}

/* Features of alerts and charts look back: they want every row. */
static int keep_rows(struct judged *j, enum toc_detect_form form, struct toc_err *err) {
    size_t rows = j->in->rows.count, columns = j->in->columns.count;
    if (form != TOC_DETECT_FEATURES && form != TOC_DETECT_HTML)
        return 0;
    j->seconds = toc_try_calloc(rows + 1, sizeof *j->seconds);
    j->values = toc_try_calloc(rows * columns + 1, sizeof *j->values);
    return j->seconds && j->values ? 0 : toc_errf(err, TOC_ENOMEM, "no memory for %zu rows", rows);
}

static int judge(struct judged *j, const struct toc_detect_stream_options *options,
                 struct toc_err *err) {
    const struct toc_detect_input *in = j->in;
    struct toc_stream_options o = {.columns = in->columns.count,
                                   .threshold = options->threshold,
                                   .budget_seconds = options->budget_seconds,
                                   .direction = options->direction,
                                   .is_infinity_alert = true};
    struct toc_stream *s = NULL;
    double *values = toc_try_calloc(in->columns.count, sizeof *values);
    j->rows = toc_try_calloc(in->rows.count + 1, sizeof *j->rows);
    int rc = values && j->rows
                 ? toc_stream_new(&o, &s, err)
                 : toc_errf(err, TOC_ENOMEM, "no memory for %zu rows", in->rows.count);
    for (size_t row = 0; row < in->rows.count && rc == 0; row++) {
        double seconds;
        rc = time_of(in, row, &seconds, err);
        for (size_t c = 0; c < in->columns.count; c++)
            values[c] = value_of(in, row, in->columns.items[c]);
        if (rc == 0)
            j->rows[row] = toc_stream_step(s, seconds, values);
        if (rc == 0 && j->seconds) {
            j->seconds[row] = seconds;
            memcpy(j->values + row * in->columns.count, values, in->columns.count * sizeof *values);
        }
        if (row < options->train_rows)
            j->rows[row].is_alert = false;
        note_episode(j, row);
    }
    toc_stream_free(&s);
    toc_free(values);
    return rc;
}

static struct toc_sv time_text(const struct judged *j, size_t row, char *space, size_t size) {
    if (j->in->time_column != SIZE_MAX)
        return j->in->rows.items[row][j->in->time_column];
    int n = snprintf(space, size, "%zu", row + 1);
    return toc_sv_make(space, (size_t)n);
}

static void write_scores(const struct judged *j, struct toc_buf *out) {
    char space[24];
    toc_buf_append_cstr(out, "timestamp,score,alert\n");
    for (size_t i = 0; i < j->in->rows.count; i++) {
        toc_csv_write_field(out, time_text(j, i, space, sizeof space));
        toc_buf_printf(out, ",%.12f,%d\n", j->rows[i].score, j->rows[i].is_alert);
    }
}

static void write_csv(const struct judged *j, struct toc_buf *out) {
    const struct toc_detect_input *in = j->in;
    for (size_t c = 0; c < in->header_count; c++) {
        toc_csv_write_field(out, in->header[c]);
        toc_buf_append_char(out, ',');
    }
    toc_buf_append_cstr(out, "score,anomaly\n");
    for (size_t i = 0; i < in->rows.count; i++) {
        for (size_t c = 0; c < in->header_count; c++) {
            toc_csv_write_field(out, in->rows.items[i][c]);
            toc_buf_append_char(out, ',');
        }
        toc_buf_printf(out, "%.12f,%d\n", j->rows[i].score, j->rows[i].is_alert);
    }
}

static void write_json(const struct judged *j, struct toc_buf *out) {
    struct toc_json_writer w;
    char space[24];
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_kv_int(&w, "rows", (int64_t)j->in->rows.count);
    toc_json_key(&w, "alerts");
    toc_json_begin_array(&w);
    for (size_t i = 0; i < j->episodes.count; i++) {
        const struct episode *e = &j->episodes.items[i];
        toc_json_begin_object(&w);
        toc_json_kv_int(&w, "first_row", (int64_t)e->first + 1);
        toc_json_kv_int(&w, "last_row", (int64_t)e->last + 1);
        toc_json_key(&w, "start");
        toc_json_string(&w, time_text(j, e->first, space, sizeof space));
        toc_json_key(&w, "peak");
        toc_json_string(&w, time_text(j, e->peak, space, sizeof space));
        toc_json_kv_double(&w, "surprise", j->rows[e->peak].surprise);
        toc_json_end_object(&w);
    }
    toc_json_end_array(&w);
    toc_json_end_object(&w);
    toc_buf_append_char(out, '\n');
}

static void write_features(const struct judged *j, struct toc_buf *out) {
    enum { YOUNG_ROWS = 50 }; /* the bar there is what the budget alone gives */
    double bar = j->rows[TOC_MIN(j->in->rows.count - 1, (size_t)YOUNG_ROWS)].bar;
    const struct toc_detect_track t = {j->seconds,           j->values, j->rows, j->in->rows.count,
                                       j->in->columns.count, bar};
    toc_detect_write_features(&t, out);
}

static void write_html(const struct judged *j, struct toc_buf *out) {
    size_t columns = j->in->columns.count, count = j->episodes.count;
    struct toc_sv *names = TOC_NEW_ARRAY(struct toc_sv, columns);
    struct toc_detect_html_alert *alerts = TOC_NEW_ARRAY(struct toc_detect_html_alert, count + 1);
    char(*space)[2][24] = toc_xcalloc(count + 1, sizeof *space);
    for (size_t c = 0; c < columns; c++)
        names[c] = j->in->header[j->in->columns.items[c]];
    for (size_t i = 0; i < count; i++) {
        const struct episode *e = &j->episodes.items[i];
        alerts[i] = (struct toc_detect_html_alert){
            e->first, e->last, e->peak, time_text(j, e->first, space[i][0], sizeof space[i][0]),
            time_text(j, e->peak, space[i][1], sizeof space[i][1])};
    }
    const struct toc_detect_html_page page = {j->values, j->rows, names, j->in->rows.count,
                                              columns,   alerts,  count};
    toc_detect_write_html(&page, out);
    toc_free(names);
    toc_free(alerts);
    toc_free(space);
}

static void print_table(const struct judged *j) {
    static const char *titles[] = {"start", "rows", "peak", "surprise"};
    struct toc_table t;
    toc_table_init(&t, titles, TOC_ARRAY_LEN(titles));
    for (size_t i = 0; i < j->episodes.count; i++) {
        const struct episode *e = &j->episodes.items[i];
        char text[32];
        toc_table_add(&t, time_text(j, e->first, text, sizeof text));
        snprintf(text, sizeof text, "%zu", e->last - e->first + 1);
        toc_table_add(&t, toc_sv_cstr(text));
        toc_table_add(&t, time_text(j, e->peak, text, sizeof text));
        snprintf(text, sizeof text, "%.2f", j->rows[e->peak].surprise);
        toc_table_add(&t, toc_sv_cstr(text));
    }
    if (j->episodes.count)
        toc_table_print(&t, TOC_OUTPUT_TABLE);
    toc_table_fini(&t);
    printf("%zu alert%s in %zu rows.\n", j->episodes.count, j->episodes.count == 1 ? "" : "s",
           j->in->rows.count);
}

static int print(const struct judged *j, enum toc_detect_form form, struct toc_err *err) {
    struct toc_buf out = TOC_BUF_INIT;
    if (form == TOC_DETECT_TABLE)
        print_table(j);
    else if (form == TOC_DETECT_JSON)
        write_json(j, &out);
    else if (form == TOC_DETECT_CSV)
        write_csv(j, &out);
    else if (form == TOC_DETECT_FEATURES)
        write_features(j, &out);
    else if (form == TOC_DETECT_HTML)
        write_html(j, &out);
    else
        write_scores(j, &out);
    int rc = toc_buf_error(&out);
    if (rc == 0 && out.n > 0)
        fwrite(out.p, 1, out.n, stdout);
    toc_buf_fini(&out);
    if (fflush(stdout) != 0 || ferror(stdout))
        rc = TOC_EIO;
    return rc < 0 ? toc_errf(err, rc, "cannot write the result: %s", toc_strerror(rc)) : 0;
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

int toc_detect_stream(const struct toc_detect_input *in, const struct toc_detect_stream_options *o,
                      enum toc_detect_form form, size_t *out_alerts, struct toc_err *err) {
    struct judged j = {.in = in};
    int rc = keep_rows(&j, form, err);
    if (rc == 0)
        rc = judge(&j, o, err);
    if (rc == 0)
        rc = print(&j, form, err);
    *out_alerts = j.episodes.count;
    TOC_VEC_FINI(&j.episodes);
    toc_free(j.rows);
    toc_free(j.seconds);
    toc_free(j.values);
    return rc;
}
