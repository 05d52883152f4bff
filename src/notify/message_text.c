/* The default texts. One list of rows serves plain text and HTML; words come from the table in two
 * languages. */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "codec/text.h"
#include "notify/message.h"

/* X(id, English, 简体中文) */
#define WORD_TABLE(X)                    \
    X(FIRING, "FIRING", "告警")          \
    X(RESOLVED, "RESOLVED", "已恢复")    \
    X(TEST, "TEST", "测试")              \
    X(CRITICAL, "critical", "严重")      \
    X(WARNING, "warning", "警告")        \
    X(INFO, "info", "提示")              \
    X(ON, "On", "对象")                  \
    X(SINCE, "Since", "开始时间")        \
    X(ENDED, "Ended", "恢复时间")        \
    X(LASTED, "lasted", "持续")          \
    X(VALUE, "Value", "当前值")          \
    X(LIMIT, "limit", "阈值")            \
    X(EXPECTED, "expected", "正常范围")  \
    X(TREND, "Trend", "趋势")            \
    X(CAUSE, "Likely cause", "可能原因") \
    X(ACTION, "Do first", "建议操作")    \
    X(ALERTS, "Alerts", "告警列表")      \
    X(MORE, "more", "更多")              \
    X(RUNBOOK, "Runbook", "处理手册")    \
    X(INCIDENT, "Incident", "事件详情")  \
    X(ACKNOWLEDGE, "Acknowledge", "确认告警")

enum word {
#define X(id, en, zh) WORD_##id,
    WORD_TABLE(X)
#undef X
};

static const char *word(enum word w, enum toc_language l) {
    static const char *const words[][2] = {
#define X(id, en, zh) {en, zh},
        WORD_TABLE(X)
#undef X
    };
    return words[w][l == TOC_LANGUAGE_ZH];
}

int toc_language_parse(struct toc_sv text, enum toc_language *out) {
    static const struct {
        const char *prefix;
        enum toc_language value;
    } known[] = {{"en", TOC_LANGUAGE_EN}, {"zh", TOC_LANGUAGE_ZH}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(known); i++) {
        bool ends = text.n == 2 || (text.n > 2 && (text.p[2] == '-' || text.p[2] == '_'));
        if (ends && toc_sv_eq_nocase(toc_sv_sub(text, 0, 2), toc_sv_cstr(known[i].prefix))) {
            *out = known[i].value;
            return 0;
        }
    }
    return TOC_EINVAL;
}

enum row_kind { ROW_PLAIN, ROW_LINK };

struct row {
    enum word label;
    enum row_kind kind;
    struct toc_buf value;
};

enum { ROWS_MAX = 16, ALERTS_SHOWN = 5 };

struct rows {
    struct row items[ROWS_MAX];
    size_t count;
    enum toc_language language;
};

static struct toc_buf *add_row(struct rows *r, enum word label, enum row_kind kind) {
    struct row *row = &r->items[r->count++];
    *row = (struct row){.label = label, .kind = kind};
    return &row->value;
}

static void add_text_row(struct rows *r, enum word label, enum row_kind kind, struct toc_sv text) {
    if (text.n)
        toc_buf_append_sv(add_row(r, label, kind), text);
}

static void append_time(struct toc_ts t, struct toc_buf *out) {
    struct toc_civil c = toc_ts_civil(t);
    toc_buf_printf(out, "%04lld-%02d-%02d %02d:%02d:%02d UTC", (long long)c.year, c.month, c.day,
                   c.hour, c.minute, c.second);
}

static void append_number(double v, struct toc_sv unit, struct toc_buf *out) {
    if (!isfinite(v)) {
        toc_format_f64(v, out);
    } else if (toc_sv_eq(unit, TOC_SV("bytes"))) {
        toc_format_bytes(v, out);
    } else if (toc_sv_eq(unit, TOC_SV("ratio"))) {
        toc_buf_printf(out, "%.4g%%", v * 100);
    } else {
        toc_buf_printf(out, "%.6g", v);
        if (unit.n)
            toc_buf_printf(out, " %.*s", TOC_SV_ARG(unit));
    }
}

static void append_value(const struct toc_notification *n, enum toc_language l,
                         struct toc_buf *out) {
    append_number(n->value, n->unit, out);
    if (!isnan(n->threshold)) {
        toc_buf_printf(out, " (%s ", word(WORD_LIMIT, l));
        if (n->comparison.n)
            toc_buf_printf(out, "%.*s ", TOC_SV_ARG(n->comparison));
        append_number(n->threshold, n->unit, out);
        toc_buf_append_char(out, ')');
    }
    if (!isnan(n->expected_lower) && !isnan(n->expected_upper)) {
        toc_buf_printf(out, " (%s ", word(WORD_EXPECTED, l));
        append_number(n->expected_lower, n->unit, out);
        toc_buf_append_cstr(out, " – ");
        append_number(n->expected_upper, n->unit, out);
        toc_buf_append_char(out, ')');
    }
}

static bool has_value(const struct toc_notification *n) {
    return !isnan(n->value) || !isnan(n->threshold);
}

static void append_labels(struct toc_labels l, struct toc_buf *out) {
    for (size_t i = 0; i < l.count; i++)
        toc_buf_printf(out, "%s%.*s=%.*s", i ? ", " : "", TOC_SV_ARG(l.items[i].name),
                       TOC_SV_ARG(l.items[i].value));
}

static void add_alert_rows(struct rows *r, const struct toc_notification *n) {
    if (n->alert_count < 2)
        return; /* the one alert is the message */
    struct toc_buf *out = add_row(r, WORD_ALERTS, ROW_PLAIN);
    for (size_t i = 0; i < n->alert_count && i < ALERTS_SHOWN; i++) {
        const struct toc_notification_alert *a = &n->alerts[i];
        toc_buf_printf(out, "\n  [%s] ",
                       word(a->is_resolved ? WORD_RESOLVED : WORD_FIRING, r->language));
        append_labels(a->labels, out);
    }
    uint64_t more =
        n->truncated_alerts + (n->alert_count > ALERTS_SHOWN ? n->alert_count - ALERTS_SHOWN : 0);
    if (more)
        toc_buf_printf(out, "\n  + %llu %s", (unsigned long long)more,
                       word(WORD_MORE, r->language));
}

static void add_time_rows(struct rows *r, const struct toc_notification *n) {
    if (n->since.ms) {
        struct toc_buf *out = add_row(r, WORD_SINCE, ROW_PLAIN);
        append_time(n->since, out);
        if (!n->is_resolved && n->at.ms > n->since.ms) {
            toc_buf_append_cstr(out, " (");
            toc_duration_format_human(n->at.ms - n->since.ms, out);
            toc_buf_append_char(out, ')');
        }
    }
    if (!n->is_resolved || !n->at.ms)
        return;
    struct toc_buf *out = add_row(r, WORD_ENDED, ROW_PLAIN);
    append_time(n->at, out);
    if (n->since.ms && n->at.ms > n->since.ms) {
        toc_buf_printf(out, " (%s ", word(WORD_LASTED, r->language));
        toc_duration_format_human(n->at.ms - n->since.ms, out);
        toc_buf_append_char(out, ')');
    }
}

static void collect_rows(const struct toc_notification *n, enum toc_language l, struct rows *r) {
    *r = (struct rows){.language = l};
    if (n->subject.count)
        append_labels(n->subject, add_row(r, WORD_ON, ROW_PLAIN));
    add_time_rows(r, n);
    if (has_value(n))
        append_value(n, l, add_row(r, WORD_VALUE, ROW_PLAIN));
    if (n->spark_count > 1)
        toc_sparkline(n->spark, n->spark_count, add_row(r, WORD_TREND, ROW_PLAIN));
    add_text_row(r, WORD_CAUSE, ROW_PLAIN, n->cause);
    add_text_row(r, WORD_ACTION, ROW_PLAIN, n->action);
    add_alert_rows(r, n);
    add_text_row(r, WORD_RUNBOOK, ROW_LINK, n->runbook_url);
    add_text_row(r, WORD_INCIDENT, ROW_LINK, n->incident_url);
    if (!n->is_resolved)
        add_text_row(r, WORD_ACKNOWLEDGE, ROW_LINK, n->ack_url);
}

static void rows_fini(struct rows *r) {
    for (size_t i = 0; i < r->count; i++)
        toc_buf_fini(&r->items[i].value);
}

static enum word status_word(const struct toc_notification *n) {
    return n->is_test ? WORD_TEST : n->is_resolved ? WORD_RESOLVED : WORD_FIRING;
}

static enum word severity_word(enum toc_severity s) {
    return s == TOC_SEVERITY_CRITICAL ? WORD_CRITICAL
           : s == TOC_SEVERITY_INFO   ? WORD_INFO
                                      : WORD_WARNING;
}

void toc_message_subject(const struct toc_notification *n, enum toc_language l,
                         struct toc_buf *out) {
    enum { SUBJECT_MAX_BYTES = 200 };
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_buf line = TOC_BUF_INIT;
    toc_buf_printf(&line, "[%s] ", word(status_word(n), l));
    if (!n->is_resolved && !n->is_test)
        toc_buf_printf(&line, "%s: ", word(severity_word(n->severity), l));
    for (size_t i = 0; i < n->title.n; i++) /* one line, whatever the title holds */
        toc_buf_append_char(&line, (uint8_t)n->title.p[i] < 0x20 ? ' ' : n->title.p[i]);
    toc_buf_append_sv(out, toc_text_cut(toc_buf_sv(&line), SUBJECT_MAX_BYTES, &a));
    toc_buf_fini(&line);
    toc_arena_fini(&a);
}

void toc_message_text(const struct toc_notification *n, enum toc_language l, struct toc_buf *out) {
    struct rows r;
    collect_rows(n, l, &r);
    toc_message_subject(n, l, out);
    toc_buf_append_char(out, '\n');
    if (n->summary.n)
        toc_buf_printf(out, "\n%.*s\n", TOC_SV_ARG(n->summary));
    if (r.count)
        toc_buf_append_char(out, '\n');
    for (size_t i = 0; i < r.count; i++)
        toc_buf_printf(out, "%s: %.*s\n", word(r.items[i].label, l),
                       TOC_SV_ARG(toc_buf_sv(&r.items[i].value)));
    rows_fini(&r);
}

/* A link only when it is one: nothing but http and https becomes clickable. */
static void append_html_value(const struct row *row, struct toc_buf *out) {
    struct toc_sv v = toc_buf_sv(&row->value);
    bool is_link = row->kind == ROW_LINK && (toc_sv_starts_with(v, TOC_SV("http://")) ||
                                             toc_sv_starts_with(v, TOC_SV("https://")));
    if (is_link) {
        toc_buf_append_cstr(out, "<a href=\"");
        toc_html_escape(v, out);
        toc_buf_append_cstr(out, "\">");
    }
    for (struct toc_sv rest = v, line; toc_sv_split(&rest, '\n', &line);) {
        toc_html_escape(line, out);
        if (rest.p)
            toc_buf_append_cstr(out, "<br>");
    }
    if (is_link)
        toc_buf_append_cstr(out, "</a>");
}

static const char *colour(const struct toc_notification *n) {
    if (n->is_resolved)
        return "#1a7f37";
    return n->severity == TOC_SEVERITY_CRITICAL ? "#c62828"
           : n->severity == TOC_SEVERITY_INFO   ? "#1565c0"
                                                : "#b26a00";
}

void toc_message_html(const struct toc_notification *n, enum toc_language l, struct toc_buf *out) {
    struct rows r;
    struct toc_buf subject = TOC_BUF_INIT;
    collect_rows(n, l, &r);
    toc_message_subject(n, l, &subject);
    toc_buf_printf(out,
                   "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"></head>\n"
                   "<body style=\"font-family:sans-serif\">\n<h2 style=\"color:%s\">",
                   l == TOC_LANGUAGE_ZH ? "zh-CN" : "en", colour(n));
    toc_html_escape(toc_buf_sv(&subject), out);
    toc_buf_append_cstr(out, "</h2>\n");
    if (n->summary.n) {
        toc_buf_append_cstr(out, "<p>");
        toc_html_escape(n->summary, out);
        toc_buf_append_cstr(out, "</p>\n");
    }
    toc_buf_append_cstr(out, "<table cellpadding=\"4\">\n");
    for (size_t i = 0; i < r.count; i++) {
        toc_buf_printf(out, "<tr><th align=\"left\" valign=\"top\">%s</th><td>",
                       word(r.items[i].label, l));
        append_html_value(&r.items[i], out);
        toc_buf_append_cstr(out, "</td></tr>\n");
    }
    toc_buf_append_cstr(out, "</table>\n</body></html>\n");
    toc_buf_fini(&subject);
    rows_fini(&r);
}

static void append_short_head(const struct toc_notification *n, enum toc_language l,
                              struct toc_buf *out) {
    toc_message_subject(n, l, out);
    if (has_value(n)) {
        toc_buf_append_cstr(out, "; ");
        append_number(n->value, n->unit, out);
        if (!isnan(n->threshold)) {
            toc_buf_printf(out, " %.*s ",
                           TOC_SV_ARG(n->comparison.n ? n->comparison : TOC_SV("/")));
            append_number(n->threshold, n->unit, out);
        }
    }
    if (n->subject.count) {
        toc_buf_append_cstr(out, "; ");
        append_labels(n->subject, out);
    }
}

/* The longest beginning of `head`, at a character boundary, that leaves room for the tail. */
static void append_cut(struct toc_sv head, struct toc_sv tail, int max_segments,
                       struct toc_buf *out) {
    struct toc_buf tried = TOC_BUF_INIT;
    for (size_t keep = head.n;; keep--) {
        bool is_boundary = keep == head.n || ((uint8_t)head.p[keep] & 0xc0) != 0x80;
        if (!is_boundary)
            continue;
        toc_buf_reset(&tried);
        toc_buf_append(&tried, head.p, keep);
        toc_buf_append_cstr(&tried, keep < head.n ? "..." : "");
        toc_buf_append_sv(&tried, tail);
        if (keep == 0 || toc_sms_segments(toc_buf_sv(&tried)) <= max_segments)
            break;
    }
    toc_buf_append_sv(out, toc_buf_sv(&tried));
    toc_buf_fini(&tried);
}

void toc_message_short(const struct toc_notification *n, enum toc_language l, int max_segments,
                       struct toc_buf *out) {
    struct toc_buf head = TOC_BUF_INIT, tail = TOC_BUF_INIT;
    struct toc_sv link = n->is_resolved || !n->ack_url.n ? n->incident_url : n->ack_url;
    append_short_head(n, l, &head);
    if (link.n)
        toc_buf_printf(&tail, " %.*s", TOC_SV_ARG(link));
    if (toc_sms_segments(toc_buf_sv(&tail)) > max_segments)
        toc_buf_reset(&tail);
    append_cut(toc_buf_sv(&head), toc_buf_sv(&tail), max_segments, out);
    toc_buf_fini(&head);
    toc_buf_fini(&tail);
}

void toc_sparkline(const double *values, size_t count, struct toc_buf *out) {
    static const char blocks[8][4] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t from = count > TOC_SPARKLINE_MAX ? count - TOC_SPARKLINE_MAX : 0;
    double low = INFINITY, high = -INFINITY;
    for (size_t i = from; i < count; i++) {
        if (!isfinite(values[i]))
            continue;
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    for (size_t i = from; i < count; i++) {
        if (isnan(values[i])) {
            toc_buf_append_char(out, ' ');
            continue;
        }
        double v = fmin(fmax(values[i], low), high); /* infinities stand at the edges */
        double place = high > low ? (v / 2 - low / 2) / (high / 2 - low / 2) * 7 : 3;
        place = isfinite(place) ? fmin(fmax(place, 0), 7) : 7;
        toc_buf_append_cstr(out, blocks[(int)(place + 0.5)]);
    }
}

struct toc_sv toc_text_cut(struct toc_sv text, size_t max_bytes, struct toc_arena *a) {
    static const char mark[] = "…";
    if (text.n <= max_bytes)
        return toc_arena_dup_sv(a, text);
    size_t keep = max_bytes > sizeof mark - 1 ? max_bytes - (sizeof mark - 1) : 0;
    while (keep && ((uint8_t)text.p[keep] & 0xc0) == 0x80)
        keep--;
    char *p = toc_arena_alloc(a, keep + sizeof mark);
    if (!p)
        return TOC_SV_NULL;
    memcpy(p, text.p, keep);
    memcpy(p + keep, mark, sizeof mark);
    return toc_sv_make(p, keep + sizeof mark - 1);
}
