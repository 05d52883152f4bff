#include "app/doctor_chart.h"

#include <math.h>
#include <stdio.h>

#include "app/doctor_words.h"
#include "base/num.h"
#include "base/rounded.h"
#include "base/time.h"
#include "codec/json_writer.h"
#include "codec/text.h"

enum { WIDTH = 640, HEIGHT = 190, LEFT = 64, RIGHT = 628, TOP = 20, BOTTOM = 150, COLUMNS = 256 };

/* One column of the chart: the buckets that fall into it. */
struct column {
    double min, max, sum;
    uint64_t count, bad;
};

struct scale {
    double low, high;
    bool is_log;
};

/* A chart's columns, put together once. */
struct columns {
    struct column at[COLUMNS];
};

static struct column column_at(const struct toc_chart *c, size_t i) {
    struct column col = {INFINITY, -INFINITY, 0, 0, 0};
    int64_t span_ms = TOC_MAX(c->to_ms - c->from_ms, (int64_t)1);
    int64_t from_ms = c->from_ms + (int64_t)((double)span_ms * (double)i / COLUMNS);
    int64_t to_ms = c->from_ms + (int64_t)((double)span_ms * (double)(i + 1) / COLUMNS);
    const struct toc_curve *v = c->curve;
    int64_t first = v->width_ms ? (from_ms - v->start_ms) / v->width_ms : 0;
    for (int64_t b = TOC_MAX(first, (int64_t)0); b < (int64_t)v->buckets.count; b++) {
        int64_t t_ms = v->start_ms + b * v->width_ms;
        const struct toc_curve_bucket *at = &v->buckets.items[b];
        if (t_ms >= to_ms && !(i == COLUMNS - 1 && t_ms == to_ms))
            break;
        if (t_ms < from_ms)
            continue;
        col.min = TOC_MIN(col.min, at->min);
        col.max = TOC_MAX(col.max, at->max);
        col.sum += at->sum;
        col.count += at->count;
        col.bad += at->nonfinite;
    }
    return col;
}

static void gather(const struct toc_chart *c, struct columns *out) {
    for (size_t i = 0; i < COLUMNS; i++)
        out->at[i] = column_at(c, i);
}

/* Powers of ten when the curve spans more than three of them. */
static struct scale scale_of(const struct toc_chart *c) {
    enum { DECADES = 1000 };
    struct toc_curve_range r = toc_curve_range(c->curve);
    struct scale s = {r.min, r.max, false};
    if (!isfinite(s.low) || !isfinite(s.high))
        return (struct scale){0, 1, false};
    s.is_log = s.low > 0 && s.high / s.low > DECADES;
    if (s.is_log)
        s = (struct scale){log10(s.low), log10(s.high), true};
    double room = s.high - s.low > 0 ? 0.06 * (s.high - s.low) : fabs(s.high) * 0.1 + 1e-12;
    s.low -= room;
    s.high += room;
    return s;
}

static double y_of(const struct scale *s, double v) {
    if (s->is_log)
        v = v > 0 ? log10(v) : s->low;
    double y = BOTTOM - (v - s->low) / (s->high - s->low) * (BOTTOM - TOP);
    return TOC_MIN(TOC_MAX(y, (double)TOP), (double)BOTTOM);
}

static double x_of(double column) {
    return LEFT + column / COLUMNS * (RIGHT - LEFT);
}

static double x_of_time(const struct toc_chart *c, int64_t t_ms) {
    double span_ms = (double)TOC_MAX(c->to_ms - c->from_ms, (int64_t)1);
    double part = (double)(t_ms - c->from_ms) / span_ms;
    return LEFT + TOC_MIN(TOC_MAX(part, 0.0), 1.0) * (RIGHT - LEFT);
}

/* ` x="12.5"` */
static void attribute(const char *name, double v, struct toc_buf *out) {
    toc_buf_append_char(out, ' ');
    toc_buf_append_cstr(out, name);
    toc_buf_append(out, "=\"", 2);
    toc_format_fixed(v, 1, out);
    toc_buf_append_char(out, '"');
}

/* --- axes --- */

static void axis_y(const struct toc_chart *c, const struct scale *s, struct toc_buf *out) {
    for (int i = 0; i <= 2; i++) {
        double at = s->low + (s->high - s->low) * (0.06 + 0.44 * i), y = 0;
        double v = s->is_log ? pow(10, at) : at;
        y = y_of(s, v);
        toc_buf_printf(out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                       LEFT, RIGHT, y, y);
        toc_buf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 6, y + 4);
        toc_doctor_append_short(v, c->unit, out);
        toc_buf_append_cstr(out, "</text>");
    }
}

static void time_text(int64_t t_ms, int64_t span_ms, struct toc_buf *out) {
    enum { DAY_MS = 24 * 3600 * 1000, MINUTES_MS = 20 * 60 * 1000 };
    struct toc_civil t = toc_ts_civil((struct toc_ts){t_ms});
    if (span_ms > DAY_MS)
        toc_buf_printf(out, "%02d-%02d %02d:%02d", t.month, t.day, t.hour, t.minute);
    else if (span_ms > MINUTES_MS)
        toc_buf_printf(out, "%02d:%02d", t.hour, t.minute);
    else
        toc_buf_printf(out, "%02d:%02d:%02d", t.hour, t.minute, t.second);
}

static void axis_x(const struct toc_chart *c, struct toc_buf *out) {
    enum { TICKS = 4 };
    static const char *const anchors[] = {"start", "middle", "middle", "middle", "end"};
    int64_t span_ms = TOC_MAX(c->to_ms - c->from_ms, (int64_t)1);
    for (int i = 0; i <= TICKS; i++) {
        int64_t t_ms = c->from_ms + span_ms * i / TICKS;
        double x = x_of_time(c, t_ms), step = c->steps ? toc_curve_at(c->steps, t_ms) : NAN;
        toc_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">", x, BOTTOM + 16,
                       anchors[i]);
        time_text(t_ms, span_ms, out);
        toc_buf_append_cstr(out, "</text>");
        if (isfinite(step))
            toc_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">#%.0f</text>", x,
                           BOTTOM + 31, anchors[i], step);
    }
}

/* --- the curve --- */

static void band(const struct columns *columns, const struct scale *s, struct toc_buf *out) {
    for (size_t i = 0; i < COLUMNS; i++) {
        const struct column *col = &columns->at[i];
        if (!col->count || !(col->max > col->min))
            continue;
        double top = y_of(s, col->max), bottom = y_of(s, col->min);
        toc_buf_append_cstr(out, "<rect class=\"band\"");
        attribute("x", x_of((double)i), out);
        attribute("y", top, out);
        attribute("width", x_of(1) - x_of(0) + 0.2, out);
        attribute("height", bottom - top, out);
        toc_buf_append(out, "/>", 2);
    }
}

static void bad_columns(const struct columns *columns, struct toc_buf *out) {
    for (size_t i = 0; i < COLUMNS; i++) {
        if (!columns->at[i].bad)
            continue;
        toc_buf_append_cstr(out, "<rect class=\"bad\"");
        attribute("x", x_of((double)i), out);
        toc_buf_printf(out, " y=\"%d\"", BOTTOM - 6);
        attribute("width", x_of(1) - x_of(0) + 0.2, out);
        toc_buf_append_cstr(out, " height=\"6\"/>");
    }
}

/* Columns over which means are joined: what the curve's own buckets make them apart, or three times
 * what is usual in a metric that is reported now and then. */
static size_t reach_of(const struct toc_chart *c, const struct columns *columns) {
    double span_ms = (double)TOC_MAX(c->to_ms - c->from_ms, (int64_t)1);
    size_t reach = (size_t)((double)c->curve->width_ms / (span_ms / COLUMNS)) + 8;
    size_t filled = 0, first = 0, last = 0;
    for (size_t i = 0; i < COLUMNS; i++)
        if (columns->at[i].count) {
            first = filled++ ? first : i;
            last = i;
        }
    return filled < 3 ? reach : TOC_MAX(reach, 3 * (last - first) / (filled - 1));
}

static void line(const struct toc_chart *c, const struct columns *columns, const struct scale *s,
                 struct toc_buf *out) {
    size_t reach = reach_of(c, columns), last = 0;
    bool is_drawing = false;
    toc_buf_append_cstr(out, "<path class=\"curve\" d=\"");
    for (size_t i = 0; i < COLUMNS; i++) {
        const struct column *col = &columns->at[i];
        if (!col->count)
            continue;
        bool is_joined = is_drawing && i - last <= reach;
        toc_buf_append_char(out, is_joined ? 'L' : 'M');
        toc_format_fixed(x_of((double)i + 0.5), 1, out);
        toc_buf_append_char(out, ' ');
        toc_format_fixed(y_of(s, col->sum / (double)col->count), 1, out);
        if (!is_joined)
            toc_buf_append_cstr(out, "h.01"); /* a point alone is seen, too */
        is_drawing = true;
        last = i;
    }
    toc_buf_append_cstr(out, "\"/>");
}

static void marks(const struct toc_chart *c, struct toc_buf *out) {
    for (size_t i = 0; i < c->mark_count; i++) {
        const struct toc_chart_mark *m = &c->marks[i];
        const char *severity = toc_severity_text(m->severity);
        double x = x_of_time(c, m->t_ms);
        toc_buf_printf(out,
                       "<line class=\"mark %s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                       "<circle class=\"pin %s\" cx=\"%.1f\" cy=\"%d\" r=\"8\"/>"
                       "<text class=\"pin-number\" x=\"%.1f\" y=\"%d\">%d</text>",
                       severity, x, x, TOP - 4, BOTTOM, severity, x, TOP - 10, x, TOP - 6,
                       m->number);
    }
}

void toc_chart_svg(const struct toc_chart *c, struct toc_buf *out) {
    struct scale s = scale_of(c);
    struct columns columns;
    gather(c, &columns);
    toc_buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH, HEIGHT);
    toc_html_escape(toc_sv_cstr(c->label), out);
    toc_buf_append_cstr(out, "\">");
    axis_y(c, &s, out);
    axis_x(c, out);
    band(&columns, &s, out);
    line(c, &columns, &s, out);
    bad_columns(&columns, out);
    if (isfinite(c->limit))
        toc_buf_printf(out, "<line class=\"limit\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
                       LEFT, RIGHT, y_of(&s, c->limit), y_of(&s, c->limit));
    marks(c, out);
    toc_buf_printf(out, "<line class=\"cross\" x1=\"0\" x2=\"0\" y1=\"%d\" y2=\"%d\"/></svg>", TOP,
                   BOTTOM);
}

/* --- the numbers --- */

static void number(struct toc_json_writer *w, double v) {
    if (!isfinite(v)) {
        toc_json_null(w);
        return;
    }
    char text[TOC_ROUNDED_TEXT_MAX];
    toc_json_raw(w, toc_sv_make(text, toc_digits_text(v, 5, text)));
}

enum what { MEAN, MIN, MAX };

static void one_number(const struct column *col, enum what what, struct toc_json_writer *w) {
    if (what == MEAN && !col->count && col->bad)
        toc_json_cstr(w, "NaN");
    else if (!col->count)
        toc_json_null(w);
    else
        number(w, what == MEAN ? col->sum / (double)col->count : what == MIN ? col->min : col->max);
}

static void one_step(const struct toc_chart *c, size_t i, struct toc_json_writer *w) {
    int64_t span_ms = TOC_MAX(c->to_ms - c->from_ms, (int64_t)1);
    int64_t end_ms = c->from_ms + (int64_t)((double)span_ms * (double)(i + 1) / COLUMNS);
    double step = c->steps ? toc_curve_at(c->steps, end_ms) : NAN;
    if (isfinite(step))
        toc_json_int(w, (int64_t)step);
    else
        toc_json_null(w);
}

void toc_chart_numbers(const struct toc_chart *c, struct toc_buf *out) {
    static const char *const names[] = {"mean", "min", "max"};
    struct toc_json_writer w;
    struct columns columns;
    gather(c, &columns);
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_kv_int(&w, "width", WIDTH);
    toc_json_kv_int(&w, "left", LEFT);
    toc_json_kv_int(&w, "right", RIGHT);
    toc_json_kv_int(&w, "start", c->from_ms);
    toc_json_kv_double(&w, "bucket", (double)(c->to_ms - c->from_ms) / COLUMNS);
    for (int what = MEAN; what <= MAX; what++) {
        toc_json_key(&w, names[what]);
        toc_json_begin_array(&w);
        for (size_t i = 0; i < COLUMNS; i++)
            one_number(&columns.at[i], (enum what)what, &w);
        toc_json_end_array(&w);
    }
    toc_json_key(&w, "step");
    toc_json_begin_array(&w);
    for (size_t i = 0; i < COLUMNS; i++)
        one_step(c, i, &w);
    toc_json_end_array(&w);
    toc_json_end_object(&w);
}
