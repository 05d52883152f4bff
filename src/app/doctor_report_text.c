/* The report for a terminal. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "app/doctor_report.h"
#include "app/doctor_words.h"
#include "base/alloc.h"
#include "base/num.h"
#include "diagnose/coverage_list.h"

enum { SPARK_WIDTH = 48, EVENTS_SHOWN = 8, UNREAD_SHOWN = 12, CURVES_SHOWN = 6 };

enum colour { PLAIN, BOLD, DIM, RED, YELLOW, GREEN, BLUE };

/* One report being written. */
struct page {
    const struct toc_doctor_report *r;
    struct toc_buf *out;
};

static void paint(struct page *p, enum colour c) {
    static const char *const codes[] = {"0", "1", "2", "31;1", "33;1", "32;1", "36"};
    if (p->r->is_coloured)
        toc_buf_printf(p->out, "\033[%sm", codes[c]);
}

static void say(struct page *p, enum colour c, const char *fmt, ...) TOC_PRINTF(3, 4);
static void say(struct page *p, enum colour c, const char *fmt, ...) {
    struct toc_buf text = TOC_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (c != PLAIN)
        paint(p, c);
    toc_doctor_append_printable(toc_buf_sv(&text), p->out);
    if (c != PLAIN)
        paint(p, PLAIN);
    toc_buf_fini(&text);
}

static enum colour severity_colour(enum toc_severity s) {
    return s == TOC_SEVERITY_CRITICAL ? RED : s == TOC_SEVERITY_WARNING ? YELLOW : BLUE;
}

static void say_time(struct page *p, int64_t ms) {
    toc_doctor_append_time(ms, p->out);
}

/* --- findings --- */

static void say_evidence(struct page *p, const struct toc_evidence *e) {
    say(p, DIM, "      evidence  ");
    say(p, PLAIN, "%.*s ", TOC_SV_ARG(e->title));
    toc_doctor_append_number(e->value, e->unit, p->out);
    if (!isnan(e->threshold)) {
        say(p, PLAIN, ", limit ");
        toc_doctor_append_number(e->threshold, e->unit, p->out);
    }
    toc_doctor_append_band(e, p->out);
    say(p, DIM, "  %.*s\n", TOC_SV_ARG(e->expr));
}

static void say_when(struct page *p, const struct toc_incident *i) {
    say(p, DIM, "      since     ");
    say_time(p, i->started_at.ms);
    if (i->has_step)
        say(p, PLAIN, ", step %lld", (long long)i->step);
    struct toc_buf after = TOC_BUF_INIT;
    toc_duration_format_human(TOC_MAX(i->detected_at.ms - i->started_at.ms, (int64_t)0), &after);
    say(p, PLAIN, "; a live Tocsin says so after %s; ", toc_buf_cstr(&after));
    toc_buf_fini(&after);
    if (i->resolved_at.ms) {
        say(p, PLAIN, "over at ");
        say_time(p, i->resolved_at.ms);
    } else {
        say(p, PLAIN, "never ended");
    }
    toc_buf_append_char(p->out, '\n');
}

static void say_finding(struct page *p, const struct toc_incident *i) {
    const struct toc_kind_info *kind = toc_kind_info(i->kind);
    say(p, severity_colour(i->severity), "  %s %s", toc_severity_text(i->severity), kind->name);
    say(p, BOLD, "  %.*s\n", TOC_SV_ARG(i->title));
    if (i->summary.n)
        say(p, PLAIN, "      %.*s\n", TOC_SV_ARG(i->summary));
    say_when(p, i);
    for (size_t n = 0; n < i->evidence_count; n++)
        say_evidence(p, &i->evidence[n].shown);
    for (size_t n = 0; n < i->cause_count; n++) {
        const struct toc_cause *c = &i->causes[n];
        say(p, DIM, "      cause     ");
        say(p, PLAIN, "%.0f %%  %.*s", 100 * c->confidence, TOC_SV_ARG(c->text));
        if (c->evidence.n)
            say(p, DIM, "  (%.*s)", TOC_SV_ARG(c->evidence));
        toc_buf_append_char(p->out, '\n');
    }
    say(p, DIM, "      do first  ");
    say(p, PLAIN, "%.*s\n", TOC_SV_ARG(i->action));
    say(p, DIM, "      run book  ");
    say(p, PLAIN, "%.*s\n", TOC_SV_ARG(i->runbook_url));
    for (size_t n = 0; n < i->cascade_count; n++) {
        say(p, DIM, "      with it   ");
        say_time(p, i->cascades[n].started_at.ms);
        say(p, PLAIN, "  %s: %.*s\n", toc_kind_info(i->cascades[n].kind)->name,
            TOC_SV_ARG(i->cascades[n].title));
    }
}

/* --- curves --- */

/* A mark per column: its mean between the smallest and largest of the curve; "!" is non-finite. */
static void spark(struct page *p, const struct toc_curve *c, struct toc_curve_range range) {
    static const char *const marks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    size_t n = c->buckets.count, width = TOC_MIN(n, (size_t)SPARK_WIDTH);
    for (size_t x = 0; x < width; x++) {
        double sum = 0;
        uint64_t count = 0, bad = 0;
        for (size_t i = x * n / width; i < (x + 1) * n / width; i++) {
            sum += c->buckets.items[i].sum;
            count += c->buckets.items[i].count;
            bad += c->buckets.items[i].nonfinite;
        }
        double height = count && range.max > range.min
                            ? (sum / (double)count - range.min) / (range.max - range.min)
                            : 0;
        if (bad)
            say(p, RED, "!");
        else if (count)
            say(p, PLAIN, "%s", marks[TOC_MIN((size_t)(height * 8), (size_t)7)]);
        else
            toc_buf_append_char(p->out, ' ');
    }
    for (size_t x = width; x < SPARK_WIDTH; x++)
        toc_buf_append_char(p->out, ' ');
}

static void say_curves(struct page *p, const struct toc_patient *run) {
    size_t shown = 0;
    for (size_t i = 0; i < run->curves.count && shown < CURVES_SHOWN; i++) {
        const struct toc_patient_curve *c = run->curves.items[i];
        struct toc_curve_range range = toc_curve_range(&c->curve);
        if (!toc_doctor_is_curve_shown(c->metric) || (!range.count && !range.nonfinite))
            continue;
        shown++;
        say(p, DIM, "  %-24.24s ", toc_doctor_metric_text(c->metric));
        spark(p, &c->curve, range);
        toc_buf_append_cstr(p->out, "  ");
        struct toc_sv unit = toc_doctor_metric_unit(c->metric);
        toc_doctor_append_number(range.min, unit, p->out);
        toc_buf_append_cstr(p->out, " … ");
        toc_doctor_append_number(range.max, unit, p->out);
        toc_buf_append_cstr(p->out, ", last ");
        toc_doctor_append_number(range.last, unit, p->out);
        toc_buf_append_char(p->out, '\n');
    }
}

/* --- runs --- */

static void say_verdict(struct page *p, const struct toc_patient *run) {
    const char *why;
    enum toc_doctor_verdict v = toc_doctor_verdict_of(p->r, run, &why);
    enum colour c = v == TOC_DOCTOR_HEALTHY ? GREEN : v == TOC_DOCTOR_UNHEALTHY ? RED : YELLOW;
    say(p, BOLD, "%s", run->name);
    say(p, c, "  %s", toc_doctor_verdict_word(v));
    if (*why)
        say(p, PLAIN, ": %s", why);
    toc_buf_append_char(p->out, '\n');
}

static void say_reach(struct page *p, const struct toc_patient *run) {
    struct toc_buf span = TOC_BUF_INIT;
    toc_duration_format_human(run->last_ms - run->first_ms, &span);
    say(p, PLAIN, "  %s; ", toc_patient_end_text(run->end));
    say_time(p, run->first_ms);
    say(p, PLAIN, " to ");
    say_time(p, run->last_ms);
    say(p, PLAIN, " (%s)", toc_buf_cstr(&span));
    if (isfinite(run->first_step))
        say(p, PLAIN, ", steps %.0f to %.0f", run->first_step, run->last_step);
    if (run->ranks > 1)
        say(p, PLAIN, ", %zu ranks", run->ranks);
    if (run->restarts)
        say(p, PLAIN, ", %llu restarts", (unsigned long long)run->restarts);
    toc_buf_append_char(p->out, '\n');
    toc_buf_fini(&span);
    for (size_t i = 0; i < run->note_count; i++)
        say(p, PLAIN, "  note: %s\n", run->notes[i]);
    if (run->late)
        say(p, PLAIN, "  note: %llu samples are older than what came before them in their file\n",
            (unsigned long long)run->late);
    if (run->reports_dropped)
        say(p, PLAIN, "  note: the sender lost %llu reports\n",
            (unsigned long long)run->reports_dropped);
}

static void say_events(struct page *p, const struct toc_patient *run) {
    size_t shown = 0;
    for (size_t i = 0; i < run->events.count; i++) {
        const struct toc_patient_event *e = &run->events.items[i];
        if (e->kind == TOC_RUN_EVENT_CHECKPOINT || ++shown > EVENTS_SHOWN)
            continue;
        say(p, DIM, "  event  ");
        say_time(p, e->t_ms);
        say(p, PLAIN, "  %s", e->is_inferred ? "inferred" : toc_run_event_text(e->kind));
        if (e->rank)
            say(p, PLAIN, ", rank %lld", (long long)e->rank);
        if (e->has_step)
            say(p, PLAIN, ", step %lld", (long long)e->step);
        say(p, PLAIN, "%s%s\n", e->message[0] ? ": " : "", e->message);
    }
    if (shown > EVENTS_SHOWN)
        say(p, DIM, "  %zu more events\n", shown - EVENTS_SHOWN);
}

/* What could have been found, and what not, whatever happened. */
static void say_coverage(struct page *p, const struct toc_patient *run) {
    struct toc_coverage_list coverage;
    if (toc_coverage_collect(run->doctor, run->o.name, &coverage))
        return;
    say(p, DIM, "  coverage: %zu of %zu failure modes watched\n", coverage.watched, coverage.count);
    for (size_t i = 0; i < coverage.count; i++)
        if (!coverage.items[i].is_watched)
            say(p, DIM, "    not %s: needs %s\n", toc_kind_info(coverage.items[i].kind)->name,
                coverage.items[i].missing);
    toc_coverage_fini(&coverage);
}

static void say_run(struct page *p, const struct toc_patient *run) {
    size_t count;
    const struct toc_incident **list = toc_doctor_findings(p->r, run, &count);
    say_verdict(p, run);
    if (run->samples)
        say_reach(p, run);
    for (size_t i = 0; i < count; i++) {
        toc_buf_append_char(p->out, '\n');
        say_finding(p, list[i]);
    }
    if (count)
        toc_buf_append_char(p->out, '\n');
    say_events(p, run);
    say_curves(p, run);
    say_coverage(p, run);
    toc_buf_append_char(p->out, '\n');
    toc_free(list);
}

/* --- what was read --- */

static void say_unread(struct page *p) {
    const struct toc_doctor_scan *s = p->r->scan;
    if (!s->unread.count)
        return;
    say(p, BOLD, "What could not be read\n");
    for (size_t i = 0; i < s->unread.count && i < UNREAD_SHOWN; i++) {
        const struct toc_doctor_unread *u = &s->unread.items[i];
        say(p, PLAIN, "  %s: ", u->name);
        if (!u->is_whole && u->count > 1)
            say(p, PLAIN, "%llu lines, the first is ", (unsigned long long)u->count);
        if (u->first_line && toc_sv_find(toc_sv_cstr(u->reason), TOC_SV("line ")) != 0)
            say(p, PLAIN, "line %lld: ", (long long)u->first_line);
        say(p, PLAIN, "%s\n", u->reason);
    }
    if (s->unread.count > UNREAD_SHOWN)
        say(p, PLAIN, "  and %zu more; --output json lists them\n", s->unread.count - UNREAD_SHOWN);
    toc_buf_append_char(p->out, '\n');
}

/* "1 file", "2 files" */
static void say_count(struct page *p, uint64_t n, const char *what) {
    say(p, DIM, "%llu %s%s", (unsigned long long)n, what, n == 1 ? "" : "s");
}

static void say_sources(struct page *p) {
    const struct toc_doctor_feed_counts *c = &p->r->counts;
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_format_bytes((double)c->bytes, &bytes);
    say(p, DIM, "%s: ", p->r->path);
    say_count(p, c->files, "file");
    say(p, DIM, " of reports, ");
    say_count(p, c->lines, "line");
    say(p, DIM, " (%s) read, ", toc_buf_cstr(&bytes));
    say_count(p, c->lines_skipped, "line");
    say(p, DIM, " skipped; ");
    if (c->logs) {
        say_count(p, c->log_lines, "line");
        say(p, DIM, " of ");
        say_count(p, c->logs, "log");
        say(p, DIM, " searched for known errors, ");
        say_count(p, c->log_hits, "sign");
        say(p, DIM, " found; ");
    }
    say_count(p, c->files_left_alone + p->r->scan->left_alone, "other file");
    say(p, DIM, " left alone\n");
    toc_buf_fini(&bytes);
}

void toc_doctor_report_text(const struct toc_doctor_report *r, struct toc_buf *out) {
    struct page p = {r, out};
    for (size_t i = 0; i < r->replay->patients.count; i++)
        say_run(&p, r->replay->patients.items[i]);
    if (!r->replay->patients.count)
        say(&p, YELLOW, "No file in %s holds reports of a run: nothing could be judged.\n\n",
            r->path);
    if (r->replay->runs_dropped_samples)
        say(&p, YELLOW, "More than %d runs: the others were not judged; name one with --run.\n\n",
            TOC_REPLAY_RUNS_MAX);
    say_unread(&p);
    say_sources(&p);
}
