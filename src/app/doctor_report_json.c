#include <math.h>

#include "app/doctor_report.h"
#include "base/alloc.h"
#include "codec/json_writer.h"
#include "diagnose/coverage_list.h"
#include "model/incident_json.h"

/* Numbers that may be missing. */
static void number_or_null(struct toc_json_writer *w, const char *key, double v) {
    toc_json_key(w, key);
    if (isnan(v))
        toc_json_null(w);
    else
        toc_json_double(w, v);
}

static void write_findings(const struct toc_doctor_report *r, const struct toc_patient *p,
                           struct toc_json_writer *w) {
    size_t count;
    const struct toc_incident **list = toc_doctor_findings(r, p, &count);
    toc_json_key(w, "findings");
    toc_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        toc_incident_write_json(w, list[i], NULL, 0);
    toc_json_end_array(w);
    toc_free(list);
}

static void write_labels(struct toc_labels l, struct toc_json_writer *w) {
    toc_json_key(w, "labels");
    toc_json_begin_object(w);
    for (size_t i = 0; i < l.count; i++) {
        toc_json_key_sv(w, l.items[i].name);
        toc_json_string(w, l.items[i].value);
    }
    toc_json_end_object(w);
}

static void write_metrics(const struct toc_patient *p, struct toc_json_writer *w) {
    toc_json_key(w, "metrics");
    toc_json_begin_object(w);
    for (size_t i = 0; i < p->curves.count; i++) {
        struct toc_curve_range range = toc_curve_range(&p->curves.items[i]->curve);
        toc_json_key(w, p->curves.items[i]->metric);
        toc_json_begin_object(w);
        toc_json_kv_double(w, "last", range.last);
        number_or_null(w, "min", range.min);
        number_or_null(w, "max", range.max);
        toc_json_kv_int(w, "samples", (int64_t)(range.count + range.nonfinite));
        toc_json_kv_int(w, "nonfinite", (int64_t)range.nonfinite);
        toc_json_end_object(w);
    }
    toc_json_end_object(w);
}

static void write_events(const struct toc_patient *p, struct toc_json_writer *w) {
    toc_json_key(w, "events");
    toc_json_begin_array(w);
    for (size_t i = 0; i < p->events.count; i++) {
        const struct toc_patient_event *e = &p->events.items[i];
        toc_json_begin_object(w);
        toc_json_kv_time(w, "at", (struct toc_ts){e->t_ms});
        toc_json_kv_cstr(w, "event", toc_run_event_text(e->kind));
        toc_json_kv_bool(w, "inferred", e->is_inferred);
        toc_json_kv_int(w, "rank", e->rank);
        toc_json_key(w, "step");
        if (e->has_step)
            toc_json_int(w, e->step);
        else
            toc_json_null(w);
        toc_json_kv_cstr(w, "message", e->message);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_kv_int(w, "events_left_out", (int64_t)p->events_dropped);
}

static void write_unread(const struct toc_doctor_report *r, struct toc_json_writer *w) {
    toc_json_key(w, "not_read");
    toc_json_begin_array(w);
    for (size_t i = 0; i < r->scan->unread.count; i++) {
        const struct toc_doctor_unread *u = &r->scan->unread.items[i];
        toc_json_begin_object(w);
        toc_json_kv_cstr(w, "name", u->name);
        toc_json_kv_cstr(w, "reason", u->reason);
        toc_json_kv_bool(w, "whole", u->is_whole);
        toc_json_kv_int(w, "count", (int64_t)u->count);
        toc_json_key(w, "first_line");
        if (u->first_line)
            toc_json_int(w, u->first_line);
        else
            toc_json_null(w);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static void write_sources(const struct toc_doctor_report *r, struct toc_json_writer *w) {
    toc_json_key(w, "sources");
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "path", r->path);
    toc_json_kv_int(w, "files", (int64_t)r->counts.files);
    toc_json_kv_int(w, "files_left_alone",
                    (int64_t)(r->counts.files_left_alone + r->scan->left_alone));
    toc_json_kv_int(w, "bytes", (int64_t)r->counts.bytes);
    toc_json_kv_int(w, "lines", (int64_t)r->counts.lines);
    toc_json_kv_int(w, "logs", (int64_t)r->counts.logs);
    toc_json_kv_int(w, "log_lines", (int64_t)r->counts.log_lines);
    toc_json_kv_int(w, "log_signs", (int64_t)r->counts.log_hits);
    toc_json_kv_int(w, "lines_skipped", (int64_t)r->counts.lines_skipped);
    toc_json_kv_int(w, "samples_of_runs_left_out", (int64_t)r->replay->runs_dropped_samples);
    toc_json_end_object(w);
    write_unread(r, w);
}

static void write_reach(const struct toc_patient *p, struct toc_json_writer *w) {
    toc_json_kv_cstr(w, "end", toc_patient_end_word(p->end));
    toc_json_kv_time(w, "started_at", (struct toc_ts){p->first_ms});
    toc_json_kv_time(w, "last_report_at", (struct toc_ts){p->last_ms});
    toc_json_kv_time(w, "judged_until", (struct toc_ts){p->judged_until_ms});
    number_or_null(w, "first_step", p->first_step);
    number_or_null(w, "last_step", p->last_step);
    toc_json_kv_int(w, "ranks", (int64_t)p->ranks);
    toc_json_kv_int(w, "restarts", (int64_t)p->restarts);
    toc_json_kv_int(w, "reports_lost_by_sender", (int64_t)p->reports_dropped);
    toc_json_kv_int(w, "samples", (int64_t)p->samples);
    toc_json_kv_int(w, "samples_late", (int64_t)p->late);
}

static void write_coverage(const struct toc_patient *p, struct toc_json_writer *w) {
    struct toc_coverage_list coverage;
    toc_json_key(w, "coverage");
    if (toc_coverage_collect(p->doctor, p->o.name, &coverage)) {
        toc_json_null(w); /* nothing was seen of the run */
        return;
    }
    toc_coverage_json(&coverage, w);
    toc_coverage_fini(&coverage);
}

static void write_run(const struct toc_doctor_report *r, const struct toc_patient *p,
                      struct toc_json_writer *w) {
    const char *why;
    enum toc_doctor_verdict v = toc_doctor_verdict_of(r, p, &why);
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "run", p->name);
    toc_json_kv_cstr(w, "verdict", toc_doctor_verdict_word(v));
    if (*why)
        toc_json_kv_cstr(w, "reason", why);
    write_findings(r, p, w);
    write_coverage(p, w);
    write_reach(p, w);
    write_labels(p->labels, w);
    write_metrics(p, w);
    write_events(p, w);
    toc_json_key(w, "notes");
    toc_json_begin_array(w);
    for (size_t i = 0; i < p->note_count; i++)
        toc_json_cstr(w, p->notes[i]);
    toc_json_end_array(w);
    write_sources(r, w);
    toc_json_end_object(w);
}

static void write_nothing(const struct toc_doctor_report *r, struct toc_json_writer *w) {
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "run", NULL);
    toc_json_kv_cstr(w, "verdict", toc_doctor_verdict_word(TOC_DOCTOR_UNKNOWN));
    toc_json_kv_cstr(w, "reason", "no file holds reports of a run");
    toc_json_key(w, "findings");
    toc_json_begin_array(w);
    toc_json_end_array(w);
    write_sources(r, w);
    toc_json_end_object(w);
}

void toc_doctor_report_json(const struct toc_doctor_report *r, struct toc_buf *out) {
    struct toc_json_writer w;
    size_t count = r->replay->patients.count;
    toc_json_writer_init(&w, out);
    if (!count)
        write_nothing(r, &w);
    if (count > 1)
        toc_json_begin_array(&w);
    for (size_t i = 0; i < count; i++)
        write_run(r, r->replay->patients.items[i], &w);
    if (count > 1)
        toc_json_end_array(&w);
    toc_buf_append_char(out, '\n');
}
