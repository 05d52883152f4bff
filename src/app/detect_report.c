#include "app/detect_report.h"

#include <math.h>
#include <stdio.h>

#include "app/table.h"
#include "codec/json_writer.h"

static void add_number(struct toc_table *t, const char *format, double v) {
    char text[32];
    (void)snprintf(text, sizeof text, format, v);
    toc_table_add(t, toc_sv_cstr(text));
}

void toc_detect_write_notes(const struct toc_detect_case *c, struct toc_buf *out) {
    if (toc_detect_case_is_short(c))
        toc_buf_printf(out,
                       "not enough data: %llu row%s, and %s says nothing before %zu; no alert here "
                       "does not mean that all is well",
                       (unsigned long long)c->rows, c->rows == 1 ? "" : "s", c->method,
                       c->rows_min);
    if (c->late_rows)
        toc_buf_printf(out,
                       "%s%llu row%s not later than a row before (first in line %d) and were "
                       "not judged: sort the file by time",
                       out->n ? "; " : "", (unsigned long long)c->late_rows,
                       c->late_rows == 1 ? " is" : "s are", c->first_late_line);
    if (c->note_count)
        toc_buf_printf(out, "%sat %s: %s; no alert (%llu such change%s)", out->n ? "; " : "",
                       c->noted, toc_curve_event_meaning(c->note),
                       (unsigned long long)c->note_count, c->note_count == 1 ? "" : "s");
}

void toc_detect_print_table(const struct toc_detect_case *c, bool is_one_of_many) {
    static const char *titles[] = {"start", "rows", "peak", "surprise", "why"};
    struct toc_table t;
    struct toc_buf text = TOC_BUF_INIT;
    toc_table_init(&t, titles, TOC_ARRAY_LEN(titles));
    for (size_t i = 0; i < c->alerts.count; i++) {
        const struct toc_detect_alert *a = &c->alerts.items[i];
        toc_table_add(&t, toc_sv_cstr(a->start));
        add_number(&t, "%.0f", (double)(a->last - a->first + 1));
        toc_table_add(&t, toc_sv_cstr(a->at_peak));
        add_number(&t, "%.2f", a->result.surprise);
        toc_buf_reset(&text);
        toc_detect_case_reason(c, a, &text);
        toc_table_add(&t, toc_buf_sv(&text));
    }
    if (is_one_of_many)
        printf("%s:\n", c->name);
    if (c->alerts.count)
        toc_table_print(&t, TOC_OUTPUT_TABLE);
    toc_table_fini(&t);
    if (c->alert_count > c->alerts.count)
        printf("The first %zu alerts.\n", c->alerts.count);
    printf("%llu alert%s in %llu rows.%s", (unsigned long long)c->alert_count,
           c->alert_count == 1 ? "" : "s", (unsigned long long)c->rows,
           is_one_of_many ? "\n\n" : "\n");
    toc_buf_fini(&text);
}

static void write_time(const struct toc_detect_case *c, const char *key, uint64_t row,
                       double seconds, struct toc_json_writer *w) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_detect_case_time(c, row, seconds, &text);
    toc_json_key(w, key);
    toc_json_string(w, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

static void write_span(const char *key, double lower, double upper, struct toc_json_writer *w) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_double(w, "lower", lower);
    toc_json_kv_double(w, "upper", upper);
    toc_json_end_object(w);
}

static void write_cause(const struct toc_detect_case *c, const struct toc_explain_cause *cause,
                        struct toc_json_writer *w) {
    toc_json_begin_object(w);
    toc_json_key(w, "column");
    toc_json_string(w, toc_sv_cstr(c->columns[cause->column]));
    toc_json_key(w, "respect");
    toc_json_string(w, toc_sv_cstr(toc_respect_name(cause->respect)));
    toc_json_kv_double(w, "seen", cause->seen);
    write_span("usual", cause->lower, cause->upper, w);
    toc_json_kv_double(w, "deviations", cause->z);
    write_time(c, "since", cause->since, cause->since_seconds, w);
    toc_json_kv_int(w, "since_row", (int64_t)cause->since + 1);
    toc_json_end_object(w);
}

static void write_similar(const struct toc_detect_case *c, const struct toc_explain_similar *s,
                          struct toc_json_writer *w) {
    toc_json_begin_object(w);
    write_time(c, "start", s->first, s->seconds, w);
    toc_json_kv_int(w, "first_row", (int64_t)s->first + 1);
    toc_json_kv_int(w, "last_row", (int64_t)s->last + 1);
    toc_json_kv_double(w, "distance", s->distance);
    toc_json_end_object(w);
}

static void write_reasons(const struct toc_detect_case *c, const struct toc_detect_alert *a,
                          struct toc_json_writer *w) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_detect_case_reason(c, a, &text);
    toc_json_key(w, "why");
    toc_json_string(w, toc_buf_sv(&text));
    toc_buf_fini(&text);
    toc_json_key(w, "causes");
    toc_json_begin_array(w);
    for (size_t i = 0; i < a->why.cause_count; i++)
        write_cause(c, &a->why.causes[i], w);
    toc_json_end_array(w);
    toc_json_key(w, "similar");
    toc_json_begin_array(w);
    for (size_t i = 0; i < a->why.similar_count; i++)
        write_similar(c, &a->why.similar[i], w);
    toc_json_end_array(w);
}

static void write_alert(const struct toc_detect_case *c, const struct toc_detect_alert *a,
                        struct toc_json_writer *w) {
    toc_json_begin_object(w);
    toc_json_kv_int(w, "first_row", (int64_t)a->first + 1);
    toc_json_kv_int(w, "last_row", (int64_t)a->last + 1);
    toc_json_key(w, "start");
    toc_json_string(w, toc_sv_cstr(a->start));
    toc_json_key(w, "peak");
    toc_json_string(w, toc_sv_cstr(a->at_peak));
    toc_json_kv_double(w, "surprise", a->result.surprise);
    toc_json_kv_double(w, "bar", a->result.bar);
    if (isfinite(a->value)) {
        toc_json_kv_double(w, "value", a->value);
        if (a->result.lower < a->result.upper)
            write_span("expected", (double)a->result.lower, (double)a->result.upper, w);
    }
    if (a->event != TOC_CURVE_NOTHING) {
        toc_json_key(w, "event");
        toc_json_string(w, toc_sv_cstr(toc_curve_event_name(a->event)));
        toc_json_key(w, "column");
        toc_json_string(w, toc_sv_cstr(c->columns[a->column]));
    }
    write_reasons(c, a, w);
    toc_json_end_object(w);
}

void toc_detect_write_json(const struct toc_detect_case *c, struct toc_buf *out) {
    struct toc_json_writer w;
    struct toc_buf notes = TOC_BUF_INIT;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_key(&w, "file");
    toc_json_string(&w, toc_sv_cstr(c->name));
    toc_json_key(&w, "method");
    toc_json_string(&w, toc_sv_cstr(c->method));
    toc_json_kv_int(&w, "rows", (int64_t)c->rows);
    toc_json_kv_int(&w, "alert_count", (int64_t)c->alert_count);
    toc_detect_write_notes(c, &notes);
    if (notes.n) {
        toc_json_key(&w, "note");
        toc_json_string(&w, toc_buf_sv(&notes));
    }
    toc_json_key(&w, "alerts");
    toc_json_begin_array(&w);
    for (size_t i = 0; i < c->alerts.count; i++)
        write_alert(c, &c->alerts.items[i], &w);
    toc_json_end_array(&w);
    toc_json_end_object(&w);
    toc_buf_fini(&notes);
}
