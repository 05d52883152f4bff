/*
 * The report as one HTML page: text in two languages, curves as inline SVG, style and script
 * within. Everything that comes from files is escaped; the page's policy forbids it to load
 * anything.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "app/doctor_chart.h"
#include "app/doctor_report.h"
#include "app/doctor_words.h"
#include "base/alloc.h"
#include "base/num.h"
#include "codec/text.h"
#include "diagnose/coverage_list.h"

extern const unsigned char toc_doctor_page_css_bytes[], toc_doctor_page_js_bytes[];
extern const unsigned long toc_doctor_page_css_size, toc_doctor_page_js_size;

struct page {
    const struct toc_doctor_report *r;
    struct toc_buf *out;
    struct toc_buf charts; /* members of the object of numbers */
    int chart_count;
};

static void raw(struct page *p, const char *text) {
    toc_buf_append_cstr(p->out, text);
}

/* Formatted and escaped. */
static void say(struct page *p, const char *fmt, ...) TOC_PRINTF(2, 3);
static void say(struct page *p, const char *fmt, ...) {
    struct toc_buf text = TOC_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    toc_html_escape(toc_buf_sv(&text), p->out);
    toc_buf_fini(&text);
}

/* A text of the page itself, in both languages. */
static void both(struct page *p, const char *en, const char *zh) {
    toc_buf_printf(
        p->out, "<span class=\"en\">%s</span><span class=\"zh\" lang=\"zh-CN\">%s</span>", en, zh);
}

static void time_of(struct page *p, int64_t ms) {
    toc_doctor_append_time(ms, p->out);
}

static void number_of(struct page *p, double v, struct toc_sv unit) {
    toc_doctor_append_number(v, unit, p->out);
}

static void fact(struct page *p, const char *en, const char *zh) {
    raw(p, "<tr><th scope=\"row\">");
    both(p, en, zh);
    raw(p, "</th><td>");
}

static void fact_end(struct page *p) {
    raw(p, "</td></tr>");
}

static const char *severity_zh(enum toc_severity s) {
    return s == TOC_SEVERITY_CRITICAL ? "严重" : s == TOC_SEVERITY_WARNING ? "警告" : "提示";
}

static void verdict_badge(struct page *p, enum toc_doctor_verdict v) {
    static const char *const zh[] = {"健康", "异常", "无法判断"};
    const char *word = toc_doctor_verdict_word(v);
    toc_buf_printf(p->out, "<span class=\"badge %s\">", word);
    both(p, word, zh[v]);
    raw(p, "</span>");
}

static const char *end_zh(enum toc_patient_end end) {
    static const char *const zh[] = {"已完成", "已失败", "仍在运行", "未声明即结束",
                                     "已结束；文件中没有结束标记"};
    return zh[end];
}

/* --- findings --- */

static void evidence_row(struct page *p, const struct toc_evidence *e) {
    raw(p, "<tr><td>");
    say(p, "%.*s", TOC_SV_ARG(e->title));
    raw(p, "</td><td>");
    number_of(p, e->value, e->unit);
    raw(p, "</td><td>");
    if (!isnan(e->threshold))
        number_of(p, e->threshold, e->unit);
    raw(p, "</td><td>");
    if (!isnan(e->expected_lower))
        number_of(p, e->expected_lower, e->unit);
    if (!isnan(e->expected_lower) || !isnan(e->expected_upper))
        raw(p, " … ");
    if (!isnan(e->expected_upper))
        number_of(p, e->expected_upper, e->unit);
    raw(p, "</td><td><code>");
    say(p, "%.*s", TOC_SV_ARG(e->expr));
    raw(p, "</code></td></tr>");
}

static void heading4(struct page *p, const char *en, const char *zh) {
    raw(p, "<h4>");
    both(p, en, zh);
    raw(p, "</h4>");
}

static void evidence(struct page *p, const struct toc_incident *i) {
    static const char *const heads[][2] = {{"signal", "信号"},
                                           {"value", "数值"},
                                           {"limit", "阈值"},
                                           {"usual", "通常"},
                                           {"query", "查询"}};
    if (!i->evidence_count)
        return;
    heading4(p, "Evidence", "证据");
    raw(p, "<table><thead><tr>");
    for (size_t n = 0; n < TOC_ARRAY_LEN(heads); n++) {
        raw(p, "<th scope=\"col\">");
        both(p, heads[n][0], heads[n][1]);
        raw(p, "</th>");
    }
    raw(p, "</tr></thead><tbody>");
    for (size_t n = 0; n < i->evidence_count; n++)
        evidence_row(p, &i->evidence[n].shown);
    raw(p, "</tbody></table>");
}

static void causes(struct page *p, const struct toc_incident *i) {
    if (!i->cause_count)
        return;
    heading4(p, "Likely causes", "可能原因");
    raw(p, "<table><tbody>");
    for (size_t n = 0; n < i->cause_count; n++) {
        const struct toc_cause *c = &i->causes[n];
        toc_buf_printf(p->out, "<tr><td>%.0f %%</td><td>", 100 * c->confidence);
        say(p, "%.*s", TOC_SV_ARG(c->text));
        raw(p, "</td><td class=\"muted\">");
        say(p, "%.*s", TOC_SV_ARG(c->evidence));
        raw(p, "</td></tr>");
    }
    raw(p, "</tbody></table>");
}

static void cascades(struct page *p, const struct toc_incident *i) {
    if (!i->cascade_count)
        return;
    heading4(p, "Came along with it", "伴随现象");
    raw(p, "<table><tbody>");
    for (size_t n = 0; n < i->cascade_count; n++) {
        const struct toc_cascade *c = &i->cascades[n];
        raw(p, "<tr><td class=\"tight\">");
        time_of(p, c->started_at.ms);
        raw(p, "</td><td class=\"tight\"><code>");
        raw(p, toc_kind_info(c->kind)->name);
        raw(p, "</code></td><td>");
        say(p, "%.*s", TOC_SV_ARG(c->title));
        raw(p, "</td></tr>");
    }
    raw(p, "</tbody></table>");
}

static void since(struct page *p, const struct toc_incident *i) {
    raw(p, "<p class=\"muted\">");
    both(p, "since", "开始于");
    raw(p, " ");
    time_of(p, i->started_at.ms);
    if (i->has_step) {
        raw(p, ", ");
        both(p, "step", "步");
        say(p, " %lld", (long long)i->step);
    }
    raw(p, "; ");
    if (i->resolved_at.ms) {
        both(p, "over at", "结束于");
        raw(p, " ");
        time_of(p, i->resolved_at.ms);
    } else {
        both(p, "never ended", "至结束未恢复");
    }
    raw(p, "</p>");
}

static void finding(struct page *p, const struct toc_incident *i, int number) {
    const struct toc_kind_info *kind = toc_kind_info(i->kind);
    const char *severity = toc_severity_text(i->severity);
    toc_buf_printf(p->out,
                   "<article class=\"panel finding %s\"><h3><span class=\"number\">%d</span>",
                   severity, number);
    say(p, "%.*s", TOC_SV_ARG(i->title));
    raw(p, "</h3><p><span class=\"badge\">");
    both(p, severity, severity_zh(i->severity));
    raw(p, "</span> <code>");
    raw(p, kind->name);
    raw(p, "</code> ");
    both(p, kind->title, toc_doctor_kind_zh(i->kind));
    raw(p, "</p>");
    since(p, i);
    raw(p, "<p>");
    say(p, "%.*s", TOC_SV_ARG(i->summary));
    raw(p, "</p>");
    evidence(p, i);
    causes(p, i);
    heading4(p, "Do first", "首先处置");
    raw(p, "<p>");
    say(p, "%.*s", TOC_SV_ARG(i->action));
    raw(p, "</p>");
    cascades(p, i);
    raw(p, "</article>");
}

/* --- curves --- */

/* The limit of the first finding whose evidence is this very curve. */
static double limit_of(const struct toc_patient *run, const char *metric,
                       const struct toc_incident **list, size_t count) {
    struct toc_buf expr = TOC_BUF_INIT;
    double limit = NAN;
    toc_buf_printf(&expr, "%s{run=\"%s\"}", metric, run->name);
    for (size_t i = 0; i < count && isnan(limit); i++)
        for (size_t n = 0; n < list[i]->evidence_count && isnan(limit); n++)
            if (toc_sv_eq(list[i]->evidence[n].shown.expr, toc_buf_sv(&expr)))
                limit = list[i]->evidence[n].shown.threshold;
    toc_buf_fini(&expr);
    return limit;
}

static void chart(struct page *p, struct toc_chart *c, const char *metric) {
    struct toc_curve_range range = toc_curve_range(c->curve);
    struct toc_buf label = TOC_BUF_INIT;
    toc_buf_printf(&label, "%s: ", toc_doctor_metric_text(metric));
    toc_doctor_append_number(range.min, c->unit, &label);
    toc_buf_append_cstr(&label, " to ");
    toc_doctor_append_number(range.max, c->unit, &label);
    toc_buf_append_cstr(&label, ", last ");
    toc_doctor_append_number(range.last, c->unit, &label);
    c->label = toc_buf_cstr(&label);
    toc_buf_printf(p->out, "<figure class=\"panel\" data-chart=\"%d\"><figcaption><span>",
                   p->chart_count);
    struct toc_buf name = TOC_BUF_INIT; /* of a metric of the run's own choosing */
    toc_html_escape(toc_sv_cstr(toc_doctor_metric_text(metric)), &name);
    both(p, toc_buf_cstr(&name),
         toc_doctor_is_curve_shown(metric) ? toc_doctor_metric_text_zh(metric)
                                           : toc_buf_cstr(&name));
    toc_buf_fini(&name);
    raw(p, "</span><span class=\"muted\">");
    number_of(p, range.min, c->unit);
    raw(p, " … ");
    number_of(p, range.max, c->unit);
    raw(p, "</span></figcaption>");
    toc_chart_svg(c, p->out);
    raw(p, "<div class=\"tip\"></div></figure>");
    toc_buf_printf(&p->charts, "%s\"%d\":", p->chart_count ? "," : "", p->chart_count);
    toc_chart_numbers(c, &p->charts);
    p->chart_count++;
    toc_buf_fini(&label);
}

static size_t marks_of(const struct toc_incident **list, size_t count,
                       struct toc_chart_mark out[TOC_CHART_MARKS_MAX]) {
    size_t n = TOC_MIN(count, (size_t)TOC_CHART_MARKS_MAX);
    for (size_t i = 0; i < n; i++)
        out[i] = (struct toc_chart_mark){list[i]->started_at.ms, (int)i + 1, list[i]->severity};
    return n;
}

static void charts(struct page *p, const struct toc_patient *run, const struct toc_incident **list,
                   size_t count) {
    struct toc_chart_mark marks[TOC_CHART_MARKS_MAX];
    struct toc_chart c = {.steps = toc_patient_curve(run, "train_step"),
                          .from_ms = run->first_ms,
                          .to_ms = TOC_MAX(run->last_ms, run->first_ms + 1),
                          .marks = marks,
                          .mark_count = marks_of(list, count, marks)};
    raw(p, "<div class=\"charts\">");
    /* The usual ones first, then what the run reports of its own. */
    for (int is_own = 0; is_own <= 1; is_own++)
        for (size_t i = 0; i < run->curves.count; i++) {
            const struct toc_patient_curve *one = run->curves.items[i];
            struct toc_curve_range range = toc_curve_range(&one->curve);
            if (toc_doctor_is_curve_shown(one->metric) == (is_own == 1) || &one->curve == c.steps ||
                range.count + range.nonfinite == 0)
                continue;
            c.curve = &one->curve;
            c.unit = toc_doctor_metric_unit(one->metric);
            c.limit = limit_of(run, one->metric, list, count);
            chart(p, &c, one->metric);
        }
    raw(p, "</div>");
}

/* --- runs --- */

static void facts(struct page *p, const struct toc_patient *run) {
    struct toc_buf span = TOC_BUF_INIT;
    toc_duration_format_human(run->last_ms - run->first_ms, &span);
    raw(p, "<table><tbody>");
    fact(p, "End", "结束方式");
    both(p, toc_patient_end_text(run->end), end_zh(run->end));
    fact_end(p);
    fact(p, "Time", "时间");
    time_of(p, run->first_ms);
    raw(p, " – ");
    time_of(p, run->last_ms);
    say(p, " (%s)", toc_buf_cstr(&span));
    fact_end(p);
    if (isfinite(run->first_step)) {
        fact(p, "Steps", "步数");
        say(p, "%.0f – %.0f", run->first_step, run->last_step);
        fact_end(p);
    }
    fact(p, "Ranks, restarts", "进程数、重启次数");
    say(p, "%zu, %llu", run->ranks, (unsigned long long)run->restarts);
    fact_end(p);
    for (size_t i = 0; i < run->labels.count; i++) {
        raw(p, "<tr><th scope=\"row\">");
        say(p, "%.*s", TOC_SV_ARG(run->labels.items[i].name));
        raw(p, "</th><td>");
        say(p, "%.*s", TOC_SV_ARG(run->labels.items[i].value));
        fact_end(p);
    }
    for (size_t i = 0; i < run->note_count; i++) {
        fact(p, "Note", "说明");
        say(p, "%s", run->notes[i]);
        fact_end(p);
    }
    raw(p, "</tbody></table>");
    toc_buf_fini(&span);
}

static void events(struct page *p, const struct toc_patient *run) {
    if (!run->events.count)
        return;
    heading4(p, "Events", "事件");
    raw(p, "<div class=\"panel\"><table><tbody>");
    for (size_t i = 0; i < run->events.count; i++) {
        const struct toc_patient_event *e = &run->events.items[i];
        raw(p, "<tr><td>");
        time_of(p, e->t_ms);
        raw(p, "</td><td>");
        if (e->is_inferred)
            both(p, "inferred", "推断");
        else
            raw(p, toc_run_event_text(e->kind));
        raw(p, "</td><td>");
        if (e->has_step)
            say(p, "#%lld", (long long)e->step);
        raw(p, "</td><td>");
        say(p, "%s", e->message);
        raw(p, "</td></tr>");
    }
    raw(p, "</tbody></table></div>");
}

static void coverage_row(struct page *p, const struct toc_coverage_item *item) {
    const struct toc_kind_info *kind = toc_kind_info(item->kind);
    raw(p,
        item->is_watched ? "<tr><td class=\"tight watched\">" : "<tr><td class=\"tight blind\">");
    both(p, item->is_watched ? "watched" : "blind", item->is_watched ? "监视中" : "不可见");
    raw(p, "</td><td class=\"tight\"><code>");
    raw(p, kind->name);
    raw(p, "</code></td><td>");
    both(p, kind->title, toc_doctor_kind_zh(item->kind));
    raw(p, "</td><td>");
    if (!item->is_watched) {
        both(p, "needs", "需要");
        say(p, " %s", item->missing);
    }
    raw(p, "</td></tr>");
}

/* Blind ones first: they are what somebody can change. */
static void coverage(struct page *p, const struct toc_patient *run) {
    struct toc_coverage_list list;
    if (toc_coverage_collect(run->doctor, run->o.name, &list))
        return;
    heading4(p, "Coverage", "覆盖范围");
    raw(p, "<details class=\"panel\"><summary>");
    toc_buf_printf(p->out, "%zu / %zu ", list.watched, list.count);
    both(p, "failure modes watched", "种故障模式受监视");
    raw(p, "</summary><table><tbody>");
    for (int is_watched = 0; is_watched <= 1; is_watched++)
        for (size_t i = 0; i < list.count; i++)
            if (list.items[i].is_watched == (is_watched == 1))
                coverage_row(p, &list.items[i]);
    raw(p, "</tbody></table></details>");
    toc_coverage_fini(&list);
}

static void run_section(struct page *p, const struct toc_patient *run, size_t index) {
    const char *why;
    size_t count;
    enum toc_doctor_verdict v = toc_doctor_verdict_of(p->r, run, &why);
    const struct toc_incident **list = toc_doctor_findings(p->r, run, &count);
    toc_buf_printf(p->out, "<section class=\"run\" id=\"run-%zu\"><h2>", index);
    say(p, "%s ", run->name);
    verdict_badge(p, v);
    raw(p, "</h2>");
    if (*why) {
        raw(p, "<p>");
        say(p, "%s", why);
        raw(p, "</p>");
    }
    for (size_t i = 0; i < count; i++)
        finding(p, list[i], (int)i + 1);
    if (run->samples) {
        raw(p, "<div class=\"panel\">");
        facts(p, run);
        raw(p, "</div>");
        charts(p, run, list, count);
        coverage(p, run);
        events(p, run);
    }
    raw(p, "</section>");
    toc_free(list);
}

static void overview_row(struct page *p, const struct toc_patient *run, size_t index) {
    const char *why;
    size_t count;
    toc_free(toc_doctor_findings(p->r, run, &count));
    toc_buf_printf(p->out, "<tr><td><a href=\"#run-%zu\">", index);
    say(p, "%s", run->name);
    raw(p, "</a></td><td>");
    verdict_badge(p, toc_doctor_verdict_of(p->r, run, &why));
    toc_buf_printf(p->out, "</td><td>%zu</td><td>", count);
    both(p, toc_patient_end_text(run->end), end_zh(run->end));
    raw(p, "</td><td>");
    if (isfinite(run->last_step))
        say(p, "%.0f", run->last_step);
    raw(p, "</td></tr>");
}

static void overview(struct page *p) {
    static const char *const heads[][2] = {{"Run", "训练"},
                                           {"Verdict", "结论"},
                                           {"Findings", "发现"},
                                           {"End", "结束方式"},
                                           {"Last step", "最近一步"}};
    if (p->r->replay->patients.count < 2)
        return;
    raw(p, "<div class=\"panel\"><table><thead><tr>");
    for (size_t i = 0; i < TOC_ARRAY_LEN(heads); i++) {
        raw(p, "<th scope=\"col\">");
        both(p, heads[i][0], heads[i][1]);
        raw(p, "</th>");
    }
    raw(p, "</tr></thead><tbody>");
    for (size_t i = 0; i < p->r->replay->patients.count; i++)
        overview_row(p, p->r->replay->patients.items[i], i);
    raw(p, "</tbody></table></div>");
}

/* --- the page --- */

static void unread(struct page *p) {
    const struct toc_doctor_scan *s = p->r->scan;
    if (!s->unread.count)
        return;
    raw(p, "<section><h2>");
    both(p, "What could not be read", "无法读取的内容");
    raw(p, "</h2><div class=\"panel\"><table><tbody>");
    for (size_t i = 0; i < s->unread.count; i++) {
        const struct toc_doctor_unread *u = &s->unread.items[i];
        raw(p, "<tr><td>");
        say(p, "%s", u->name);
        raw(p, "</td><td>");
        say(p, "%s", u->reason);
        raw(p, "</td><td>");
        if (!u->is_whole)
            say(p, "%llu×", (unsigned long long)u->count);
        raw(p, "</td></tr>");
    }
    raw(p, "</tbody></table></div></section>");
}

static void head(struct page *p) {
    raw(p,
        "<!doctype html>\n<html lang=\"en\" data-theme=\"auto\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\"><link rel=\"icon\" "
        "href=\"data:,\"><title>Tocsin doctor: ");
    say(p, "%s", p->r->path);
    raw(p, "</title><style>\n");
    toc_buf_append(p->out, toc_doctor_page_css_bytes, toc_doctor_page_css_size);
    raw(p, "</style></head><body><header><h1>Tocsin doctor <span class=\"muted\">");
    say(p, "%s", p->r->path);
    raw(p, "</span></h1><div class=\"controls\"><button id=\"language\" type=\"button\">"
           "<span class=\"en\" lang=\"zh-CN\">简体中文</span><span class=\"zh\" lang=\"en\">English"
           "</span></button><button id=\"theme\" type=\"button\">");
    both(p, "Dark or light", "深色/浅色");
    raw(p, "</button></div></header><main>");
}

static void foot(struct page *p) {
    const struct toc_doctor_feed_counts *c = &p->r->counts;
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_format_bytes((double)c->bytes, &bytes);
    raw(p, "</main><footer>");
    both(p, "Judged at", "判断时间");
    raw(p, " ");
    time_of(p, p->r->now_ms);
    say(p, " · Tocsin " TOC_VERSION " · %zu ", c->files);
    both(p, "files", "个文件");
    say(p, ", %llu ", (unsigned long long)c->lines);
    both(p, "lines", "行");
    say(p, " (%s)", toc_buf_cstr(&bytes));
    raw(p, "</footer><script type=\"application/json\" id=\"charts\">{");
    toc_buf_append_sv(p->out, toc_buf_sv(&p->charts));
    raw(p, "}</script><script>\n");
    toc_buf_append(p->out, toc_doctor_page_js_bytes, toc_doctor_page_js_size);
    raw(p, "</script></body></html>\n");
    toc_buf_fini(&bytes);
}

void toc_doctor_report_html(const struct toc_doctor_report *r, struct toc_buf *out) {
    struct page p = {.r = r, .out = out};
    head(&p);
    overview(&p);
    for (size_t i = 0; i < r->replay->patients.count; i++)
        run_section(&p, r->replay->patients.items[i], i);
    if (!r->replay->patients.count) {
        raw(&p, "<p>");
        both(&p, "No file holds reports of a run: nothing could be judged.",
             "没有包含训练上报的文件，无法判断。");
        raw(&p, "</p>");
    }
    unread(&p);
    foot(&p);
    toc_buf_fini(&p.charts);
}
