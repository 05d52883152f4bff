#include "app/detect_html.h"

#include <math.h>

#include "base/attrs.h"
#include "codec/text.h"

enum { WIDTH = 1000, HEIGHT = 160, POINTS_MAX = 800, COLUMNS_SHOWN = 64 };

/* One line of a chart: value of a row, NaN where there is none. */
typedef double value_at(const struct toc_detect_html_page *p, size_t row, size_t column);

static double value_of(const struct toc_detect_html_page *p, size_t row, size_t column) {
    return p->values[row * p->columns + column];
}

static double surprise_of(const struct toc_detect_html_page *p, size_t row, size_t column) {
    (void)column;
    return fmin(p->results[row].surprise, 3 * p->results[row].bar);
}

static double bar_of(const struct toc_detect_html_page *p, size_t row, size_t column) {
    (void)column;
    return p->results[row].bar;
}

static double lower_of(const struct toc_detect_html_page *p, size_t row, size_t column) {
    (void)column;
    return p->results[row].lower;
}

static double upper_of(const struct toc_detect_html_page *p, size_t row, size_t column) {
    (void)column;
    return p->results[row].upper;
}

struct span {
    double low, high;
};

static struct span span_of(const struct toc_detect_html_page *p, value_at *at, size_t column) {
    struct span s = {INFINITY, -INFINITY};
    for (size_t i = 0; i < p->rows; i++) {
        double v = at(p, i, column);
        if (isfinite(v)) {
            s.low = fmin(s.low, v);
            s.high = fmax(s.high, v);
        }
    }
    if (!(s.low <= s.high))
        return (struct span){0, 1};
    double margin = fmax((s.high - s.low) * 0.05, fabs(s.high) * 1e-6 + 1e-9);
    return (struct span){s.low - margin, s.high + margin};
}

static double x_of(const struct toc_detect_html_page *p, double row) {
    return row * WIDTH / (double)TOC_MAX(p->rows, (size_t)2);
}

static double y_of(struct span s, double v) {
    double share = (v - s.low) / (s.high - s.low);
    return HEIGHT * (1 - fmin(fmax(share, 0), 1));
}

static void write_line(const struct toc_detect_html_page *p, value_at *at, size_t column,
                       struct span span, const char *kind, struct toc_buf *out) {
    size_t step = (p->rows + POINTS_MAX - 1) / POINTS_MAX;
    toc_buf_printf(out, "<polyline class=\"%s\" points=\"", kind);
    for (size_t i = 0; i < p->rows; i += step) {
        struct span here = {INFINITY, -INFINITY};
        for (size_t k = i; k < i + step && k < p->rows; k++) {
            double v = at(p, k, column);
            if (isfinite(v))
                here = (struct span){fmin(here.low, v), fmax(here.high, v)};
        }
        if (here.low <= here.high)
            toc_buf_printf(out, "%.1f,%.1f ", x_of(p, (double)i), y_of(span, here.low));
        if (here.low < here.high)
            toc_buf_printf(out, "%.1f,%.1f ", x_of(p, (double)i), y_of(span, here.high));
    }
    toc_buf_append_cstr(out, "\"/>\n");
}

static void begin_chart(const struct toc_detect_html_page *p, struct toc_sv title, struct span span,
                        struct toc_buf *out) {
    toc_buf_append_cstr(out, "<h2>");
    toc_html_escape(title, out);
    toc_buf_printf(out, " <small>%.6g to %.6g</small></h2>\n<svg viewBox=\"0 0 %d %d\">\n",
                   span.low, span.high, WIDTH, HEIGHT);
    for (size_t i = 0; i < p->alert_count; i++) {
        double x = x_of(p, (double)p->alerts[i].first);
        double end = x_of(p, (double)p->alerts[i].last + 1);
        toc_buf_printf(out,
                       "<rect class=\"alert\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"%d\"/>\n",
                       x, fmax(end - x, 1.5), HEIGHT);
    }
}

static void write_column(const struct toc_detect_html_page *p, size_t column, struct toc_buf *out) {
    struct span span = span_of(p, value_of, column);
    begin_chart(p, p->names[column], span, out);
    if (p->columns == 1) {
        write_line(p, lower_of, 0, span, "band", out);
        write_line(p, upper_of, 0, span, "band", out);
    }
    write_line(p, value_of, column, span, "value", out);
    toc_buf_append_cstr(out, "</svg>\n");
}

static void write_surprise(const struct toc_detect_html_page *p, struct toc_buf *out) {
    struct span span = {0, fmax(span_of(p, surprise_of, 0).high, span_of(p, bar_of, 0).high)};
    begin_chart(p, TOC_SV("surprise, and the bar for an alert"), span, out);
    write_line(p, surprise_of, 0, span, "value", out);
    write_line(p, bar_of, 0, span, "band", out);
    toc_buf_append_cstr(out, "</svg>\n");
}

static void write_alert(const struct toc_detect_html_page *p, const struct toc_detect_html_alert *a,
                        struct toc_buf *out) {
    const struct toc_stream_result *peak = &p->results[a->peak];
    toc_buf_append_cstr(out, "<tr><td>");
    toc_html_escape(a->start, out);
    toc_buf_printf(out, "</td><td>%zu</td><td>", a->last - a->first + 1);
    toc_html_escape(a->at_peak, out);
    toc_buf_printf(out, "</td><td>%.2f</td><td>%.2f</td><td>", peak->surprise, peak->bar);
    if (p->columns == 1)
        toc_buf_printf(out, "%.6g, expected %.6g to %.6g", value_of(p, a->peak, 0),
                       (double)peak->lower, (double)peak->upper);
    toc_buf_append_cstr(out, "</td></tr>\n");
}

static void write_alerts(const struct toc_detect_html_page *p, struct toc_buf *out) {
    toc_buf_printf(out, "<p>%zu alert%s in %zu rows.</p>\n", p->alert_count,
                   p->alert_count == 1 ? "" : "s", p->rows);
    if (!p->alert_count)
        return;
    toc_buf_append_cstr(out, "<table><tr><th>start</th><th>rows</th><th>peak</th><th>surprise</th>"
                             "<th>bar</th><th>value at the peak</th></tr>\n");
    for (size_t i = 0; i < p->alert_count; i++)
        write_alert(p, &p->alerts[i], out);
    toc_buf_append_cstr(out, "</table>\n");
}

void toc_detect_write_html(const struct toc_detect_html_page *page, struct toc_buf *out) {
    toc_buf_append_cstr(
        out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
             "<title>tocsin detect</title>\n<style>body{font:14px sans-serif;margin:2em auto;"
             "max-width:64em}svg{width:100%;background:#fafafa;border:1px solid #ddd}"
             "h2{font-size:1em;margin:1em 0 .2em}small{color:#666;font-weight:normal}"
             "polyline{fill:none;stroke-width:1}.value{stroke:#1f5fa8}.band{stroke:#999;"
             "stroke-dasharray:4 3}.alert{fill:#d33;fill-opacity:.25}td,th{text-align:left;"
             "padding:.2em .8em .2em 0}</style></head><body>\n<h1>tocsin detect</h1>\n");
    write_alerts(page, out);
    for (size_t c = 0; c < page->columns && c < COLUMNS_SHOWN; c++)
        write_column(page, c, out);
    if (page->columns > COLUMNS_SHOWN)
        toc_buf_printf(out, "<p>%zu more columns were judged and are not drawn.</p>\n",
                       page->columns - COLUMNS_SHOWN);
    write_surprise(page, out);
    toc_buf_append_cstr(out, "</body></html>\n");
}
