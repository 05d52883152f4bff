#include "app/detect_case.h"

#include <math.h>

#include "base/alloc.h"
#include "base/num.h"
#include "base/time.h"

int toc_detect_case_init(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                         const struct toc_detect_judge *judge, bool has_reasons, bool has_trace,
                         struct toc_err *err) {
    size_t count = rows->columns.chosen.count;
    *c = (struct toc_detect_case){.name = rows->name,
                                  .method = toc_detect_judge_name(judge),
                                  .rows_min = toc_detect_judge_rows_min(judge),
                                  .column_count = count,
                                  .has_times = rows->columns.time != SIZE_MAX,
                                  .takes_late = toc_detect_judge_takes_late(judge),
                                  .has_trace = has_trace};
    c->columns = TOC_NEW_ARRAY(char *, count);
    for (size_t i = 0; i < count; i++)
        c->columns[i] = toc_sv_dup_cstr(rows->columns.header[rows->columns.chosen.items[i]]);
    int rc = has_reasons ? toc_explainer_new(count, &c->explainer, err) : 0;
    if (rc == 0 && has_trace)
        rc = toc_trace_init(&c->trace, TOC_MIN(count, (size_t)TOC_DETECT_LINES_MAX) + 4, err);
    return rc;
}

void toc_detect_case_fini(struct toc_detect_case *c) {
    for (size_t i = 0; i < c->column_count; i++)
        toc_free(c->columns[i]);
    toc_free(c->columns);
    for (size_t i = 0; i < c->alerts.count; i++) {
        toc_free(c->alerts.items[i].start);
        toc_free(c->alerts.items[i].at_peak);
    }
    TOC_VEC_FINI(&c->alerts);
    toc_free(c->noted);
    toc_explainer_free(&c->explainer);
    toc_trace_fini(&c->trace);
    *c = (struct toc_detect_case){0};
}

static struct toc_detect_alert *open_alert(struct toc_detect_case *c) {
    return c->is_open && c->alerts.count ? &c->alerts.items[c->alerts.count - 1] : NULL;
}

static void explain(struct toc_detect_case *c, struct toc_detect_alert *a) {
    if (!c->explainer)
        return;
    toc_explain(c->explainer, a->first, a->last, &a->why);
    if (a->why.before < TOC_EXPLAIN_BEFORE) /* it began too early: its peak against all before */
        toc_explain(c->explainer, a->peak, a->last, &a->why);
    a->is_explained = true;
}

/* The alert cannot grow any more. */
static void close_alert(struct toc_detect_case *c) {
    struct toc_detect_alert *a = open_alert(c);
    if (a && !a->is_explained)
        explain(c, a);
    c->is_open = false;
}

static char *time_of_row(const struct toc_detect_case *c, const struct toc_detect_rows *rows) {
    struct toc_buf text = TOC_BUF_INIT;
    if (c->has_times)
        toc_buf_append_sv(&text, toc_sv_trim(rows->fields[rows->columns.time]));
    else
        toc_buf_printf(&text, "%llu", (unsigned long long)rows->count);
    char *copy = toc_sv_dup_cstr(toc_buf_sv(&text));
    toc_buf_fini(&text);
    return copy;
}

static void note_peak(struct toc_detect_case *c, struct toc_detect_alert *a,
                      const struct toc_detect_rows *rows, const struct toc_method_result *r) {
    toc_free(a->at_peak);
    a->at_peak = time_of_row(c, rows);
    a->peak = c->rows - 1;
    a->value = c->column_count == 1 ? rows->values[0] : NAN;
    a->result = r->row;
    a->column = r->column;
    if (r->event != TOC_CURVE_NOTHING)
        a->event = r->event;
}

static void begin_alert(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                        const struct toc_method_result *r) {
    c->alert_count++;
    c->is_open = true;
    if (c->alerts.count == TOC_DETECT_ALERTS_MAX) {
        c->is_open = false;
        return;
    }
    struct toc_detect_alert fresh = {.first = c->rows - 1, .last = c->rows - 1};
    fresh.start = time_of_row(c, rows);
    note_peak(c, &fresh, rows, r);
    TOC_VEC_PUSH(&c->alerts, fresh);
}

static void note_alert(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                       const struct toc_method_result *r) {
    struct toc_detect_alert *a = open_alert(c);
    uint64_t row = c->rows - 1;
    if (a && row - a->last > TOC_DETECT_JOIN_ROWS) {
        close_alert(c);
        a = NULL;
    }
    if (!r->row.is_alert)
        return;
    if (!a) {
        begin_alert(c, rows, r);
        return;
    }
    a->last = row;
    if (r->row.surprise > a->result.surprise)
        note_peak(c, a, rows, r);
    /* A long alert is explained while the rows before it are still remembered. */
    if (!a->is_explained && row - a->first >= TOC_EXPLAIN_ROWS / 2)
        explain(c, a);
}

static void trace_row(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                      const struct toc_method_result *r) {
    size_t columns = c->trace.lines - 4;
    const double more[] = {fmin(r->row.surprise, 3 * r->row.bar), r->row.bar, r->row.lower,
                           r->row.upper};
    toc_trace_row(&c->trace);
    for (size_t i = 0; i < columns; i++)
        toc_trace_put(&c->trace, i, rows->values[i]);
    for (size_t i = 0; i < TOC_ARRAY_LEN(more); i++)
        toc_trace_put(&c->trace, columns + i, more[i]);
}

static void take_note(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                      const struct toc_method_result *r) {
    if (r->note == TOC_CURVE_NOTHING || c->note_count++ > 0)
        return;
    c->note = r->note;
    c->noted = time_of_row(c, rows);
}

static void note_time(struct toc_detect_case *c, const struct toc_detect_rows *rows) {
    bool is_late = c->rows && !c->takes_late && !(rows->seconds > c->last_seconds);
    if (is_late && c->late_rows++ == 0)
        c->first_late_line = rows->line;
    if (!is_late)
        c->last_seconds = rows->seconds;
    c->time_unit = rows->clock.unit;
}

void toc_detect_case_add(struct toc_detect_case *c, const struct toc_detect_rows *rows,
                         const struct toc_method_result *r) {
    note_time(c, rows);
    c->rows++;
    if (c->explainer)
        toc_explainer_add(c->explainer, rows->seconds, rows->values);
    if (c->has_trace)
        trace_row(c, rows, r);
    note_alert(c, rows, r);
    take_note(c, rows, r);
}

void toc_detect_case_end(struct toc_detect_case *c) {
    close_alert(c);
    toc_explainer_free(&c->explainer);
}

bool toc_detect_case_is_short(const struct toc_detect_case *c) {
    return c->rows < c->rows_min;
}

void toc_detect_case_time(const struct toc_detect_case *c, uint64_t row, double seconds,
                          struct toc_buf *out) {
    if (!c->has_times)
        toc_buf_printf(out, "%llu", (unsigned long long)row + 1);
    else if (c->time_unit != 0)
        toc_buf_printf(out, "%.15g", seconds / c->time_unit);
    else
        toc_ts_format_rfc3339((struct toc_ts){(int64_t)llround(seconds * 1000)}, out);
}

static void tell_cause(const struct toc_detect_case *c, const struct toc_explain_cause *cause,
                       struct toc_buf *out) {
    static const char *const verbs[] = {"", "changes by ", "moves by "};
    toc_buf_printf(out, "%s %s%.4g, usual %.4g to %.4g (%+.1f deviations) since ",
                   c->columns[cause->column], verbs[cause->respect], cause->seen, cause->lower,
                   cause->upper, cause->z);
    toc_detect_case_time(c, cause->since, cause->since_seconds, out);
}

void toc_detect_case_reason(const struct toc_detect_case *c, const struct toc_detect_alert *a,
                            struct toc_buf *out) {
    if (a->event != TOC_CURVE_NOTHING) {
        toc_buf_printf(out, "%s: %s (%s)", c->columns[a->column], toc_curve_event_meaning(a->event),
                       toc_curve_event_name(a->event));
        return; /* what is far outside beside it belongs to a curve that moves by itself */
    }
    if (a->why.cause_count == 0 && a->result.surprise >= 100 && a->column != SIZE_MAX)
        toc_buf_printf(out, "%s is not a number", c->columns[a->column]);
    else if (a->why.cause_count == 0)
        toc_buf_append_cstr(out, a->why.before < TOC_EXPLAIN_BEFORE
                                     ? "not enough rows before it to say why"
                                     : "no column is unusual by itself: their course, or their "
                                       "combination, is");
    for (size_t i = 0; i < a->why.cause_count; i++) {
        toc_buf_append_cstr(out, i ? "; " : "");
        tell_cause(c, &a->why.causes[i], out);
    }
    for (size_t i = 0; i < a->why.similar_count; i++) {
        toc_buf_append_cstr(out, i ? ", " : "; similar at ");
        toc_detect_case_time(c, a->why.similar[i].first, a->why.similar[i].seconds, out);
    }
}
