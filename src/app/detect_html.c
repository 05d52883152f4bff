#include "app/detect_html.h"

#include <math.h>

#include "app/detect_report.h"
#include "base/attrs.h"
#include "codec/text.h"

enum { WIDTH = 1000, HEIGHT = 160 };

static size_t drawn(const struct toc_detect_case *c) {
    return c->trace.lines - 4;
}

static struct toc_trace_span with_margin(struct toc_trace_span s) {
    if (!(s.low <= s.high))
        return (struct toc_trace_span){0, 1};
    float margin = fmaxf((s.high - s.low) * 0.05f, fabsf(s.high) * 1e-6f + 1e-9f);
    return (struct toc_trace_span){s.low - margin, s.high + margin};
}

static double x_of(const struct toc_detect_case *c, double row) {
    return row * WIDTH / (double)TOC_MAX(c->rows, (uint64_t)2);
}

static double y_of(struct toc_trace_span s, float v) {
    double share = (double)(v - s.low) / (double)(s.high - s.low);
    return HEIGHT * (1 - fmin(fmax(share, 0), 1));
}

static void write_line(const struct toc_detect_case *c, size_t line, struct toc_trace_span span,
                       const char *kind, struct toc_buf *out) {
    toc_buf_printf(out, "<polyline class=\"%s\" points=\"", kind);
    for (size_t b = 0; b < toc_trace_buckets(&c->trace); b++) {
        struct toc_trace_span here = toc_trace_at(&c->trace, b, line);
        double x = x_of(c, (double)(b * c->trace.per_bucket));
        if (here.low <= here.high)
            toc_buf_printf(out, "%.1f,%.1f ", x, y_of(span, here.low));
        if (here.low < here.high)
            toc_buf_printf(out, "%.1f,%.1f ", x, y_of(span, here.high));
    }
    toc_buf_append_cstr(out, "\"/>\n");
}

static void begin_chart(const struct toc_detect_case *c, struct toc_sv title,
                        struct toc_trace_span span, struct toc_buf *out) {
    toc_buf_append_cstr(out, "<h3>");
    toc_html_escape(title, out);
    toc_buf_printf(out, " <small>%.6g to %.6g</small></h3>\n<svg viewBox=\"0 0 %d %d\">\n",
                   (double)span.low, (double)span.high, WIDTH, HEIGHT);
    for (size_t i = 0; i < c->alerts.count; i++) {
        double x = x_of(c, (double)c->alerts.items[i].first);
        double end = x_of(c, (double)c->alerts.items[i].last + 1);
        toc_buf_printf(out,
                       "<rect class=\"alert\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"%d\"/>\n",
                       x, fmax(end - x, 1.5), HEIGHT);
    }
}

static void write_column(const struct toc_detect_case *c, size_t column, struct toc_buf *out) {
    struct toc_trace_span span = with_margin(toc_trace_extent(&c->trace, column));
    begin_chart(c, toc_sv_cstr(c->columns[column]), span, out);
    if (c->column_count == 1) {
        write_line(c, drawn(c) + 2, span, "band", out);
        write_line(c, drawn(c) + 3, span, "band", out);
    }
    write_line(c, column, span, "value", out);
    toc_buf_append_cstr(out, "</svg>\n");
}

static void write_surprise(const struct toc_detect_case *c, struct toc_buf *out) {
    size_t surprise = drawn(c), bar = surprise + 1;
    struct toc_trace_span a = with_margin(toc_trace_extent(&c->trace, surprise));
    struct toc_trace_span b = with_margin(toc_trace_extent(&c->trace, bar));
    struct toc_trace_span span = {0, fmaxf(a.high, b.high)};
    begin_chart(c, TOC_SV("surprise, and the bar for an alert"), span, out);
    write_line(c, surprise, span, "value", out);
    write_line(c, bar, span, "band", out);
    toc_buf_append_cstr(out, "</svg>\n");
}

static void write_alert(const struct toc_detect_case *c, const struct toc_detect_alert *a,
                        struct toc_buf *out) {
    struct toc_buf why = TOC_BUF_INIT;
    toc_buf_append_cstr(out, "<tr><td>");
    toc_html_escape(toc_sv_cstr(a->start), out);
    toc_buf_printf(out, "</td><td>%llu</td><td>", (unsigned long long)(a->last - a->first + 1));
    toc_html_escape(toc_sv_cstr(a->at_peak), out);
    toc_buf_printf(out, "</td><td>%.2f</td><td>%.2f</td><td>", a->result.surprise, a->result.bar);
    if (isfinite(a->value) && a->result.lower < a->result.upper)
        toc_buf_printf(out, "%.6g, expected %.6g to %.6g. ", a->value, (double)a->result.lower,
                       (double)a->result.upper);
    toc_detect_case_reason(c, a, &why);
    toc_html_escape(toc_buf_sv(&why), out);
    toc_buf_append_cstr(out, "</td></tr>\n");
    toc_buf_fini(&why);
}

static void write_alerts(const struct toc_detect_case *c, struct toc_buf *out) {
    struct toc_buf notes = TOC_BUF_INIT;
    toc_buf_printf(out, "<p>%llu alert%s in %llu rows; method %s.",
                   (unsigned long long)c->alert_count, c->alert_count == 1 ? "" : "s",
                   (unsigned long long)c->rows, c->method);
    toc_detect_write_notes(c, &notes);
    if (notes.n) {
        toc_buf_append_cstr(out, " <strong>");
        toc_html_escape(toc_buf_sv(&notes), out);
        toc_buf_append_cstr(out, "</strong>");
    }
    toc_buf_append_cstr(out, "</p>\n");
    toc_buf_fini(&notes);
    if (!c->alerts.count)
        return;
    toc_buf_append_cstr(out, "<table><tr><th>start</th><th>rows</th><th>peak</th><th>surprise</th>"
                             "<th>bar</th><th>why</th></tr>\n");
    for (size_t i = 0; i < c->alerts.count; i++)
        write_alert(c, &c->alerts.items[i], out);
    toc_buf_append_cstr(out, "</table>\n");
}

void toc_detect_html_begin(struct toc_buf *out) {
    toc_buf_append_cstr(
        out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<title>tocsin detect</title>\n<style>body{font:14px sans-serif;margin:2em auto;"
             "max-width:64em}svg{width:100%;background:#fafafa;border:1px solid #ddd}"
             "h2{font-size:1.1em;margin:2em 0 .2em}h3{font-size:1em;margin:1em 0 .2em}"
             "small{color:#666;font-weight:normal}"
             "polyline{fill:none;stroke-width:1}.value{stroke:#1f5fa8}.band{stroke:#999;"
             "stroke-dasharray:4 3}.alert{fill:#d33;fill-opacity:.25}td,th{text-align:left;"
             "vertical-align:top;padding:.2em .8em .2em 0}</style></head><body>\n"
             "<h1>tocsin detect</h1>\n");
}

void toc_detect_html_case(const struct toc_detect_case *c, bool is_one_of_many,
                          struct toc_buf *out) {
    if (is_one_of_many) {
        toc_buf_append_cstr(out, "<h2>");
        toc_html_escape(toc_sv_cstr(c->name), out);
        toc_buf_append_cstr(out, "</h2>\n");
    }
    write_alerts(c, out);
    for (size_t i = 0; i < drawn(c); i++)
        write_column(c, i, out);
    if (c->column_count > drawn(c))
        toc_buf_printf(out, "<p>%zu more columns were judged and are not drawn.</p>\n",
                       c->column_count - drawn(c));
    write_surprise(c, out);
}

void toc_detect_html_end(struct toc_buf *out) {
    toc_buf_append_cstr(out, "</body></html>\n");
}
