#include "model/incident_json.h"

#include <math.h>
#include <string.h>

#include "codec/json.h"

static void text_or_null(struct toc_json_writer *w, const char *key, struct toc_sv s) {
    toc_json_key(w, key);
    if (s.n)
        toc_json_string(w, s);
    else
        toc_json_null(w);
}

/* NaN is "none" here; the value itself, which may truly be NaN, is written by toc_json_double. */
static void number_or_null(struct toc_json_writer *w, const char *key, double v) {
    toc_json_key(w, key);
    if (isnan(v))
        toc_json_null(w);
    else
        toc_json_double(w, v);
}

static void write_labels(struct toc_json_writer *w, const char *key, struct toc_labels l) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    for (size_t i = 0; i < l.count; i++) {
        toc_json_key_sv(w, l.items[i].name);
        toc_json_string(w, l.items[i].value);
    }
    toc_json_end_object(w);
}

static void write_expected(struct toc_json_writer *w, const struct toc_evidence *e) {
    toc_json_key(w, "expected");
    if (isnan(e->expected_lower) && isnan(e->expected_upper)) {
        toc_json_null(w);
        return;
    }
    toc_json_begin_object(w);
    number_or_null(w, "lower", e->expected_lower);
    number_or_null(w, "upper", e->expected_upper);
    toc_json_end_object(w);
}

static void write_evidence(struct toc_json_writer *w, const struct toc_incident *i) {
    toc_json_key(w, "evidence");
    toc_json_begin_array(w);
    for (size_t n = 0; n < i->evidence_count; n++) {
        const struct toc_evidence *e = &i->evidence[n].shown;
        toc_json_begin_object(w);
        toc_json_kv_string(w, "title", e->title);
        toc_json_kv_string(w, "expr", e->expr);
        toc_json_kv_double(w, "value", e->value);
        number_or_null(w, "threshold", e->threshold);
        write_expected(w, e);
        toc_json_kv_string(w, "unit", e->unit);
        toc_json_kv_string(w, "chart_url", i->evidence[n].chart_url);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static void write_causes(struct toc_json_writer *w, const struct toc_incident *i) {
    toc_json_key(w, "causes");
    toc_json_begin_array(w);
    for (size_t n = 0; n < i->cause_count; n++) {
        toc_json_begin_object(w);
        toc_json_kv_string(w, "text", i->causes[n].text);
        toc_json_kv_double(w, "confidence", i->causes[n].confidence);
        toc_json_kv_string(w, "evidence", i->causes[n].evidence);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static void write_cascades(struct toc_json_writer *w, const struct toc_incident *i) {
    toc_json_key(w, "cascades");
    toc_json_begin_array(w);
    for (size_t n = 0; n < i->cascade_count; n++) {
        const struct toc_cascade *c = &i->cascades[n];
        toc_json_begin_object(w);
        toc_json_kv_cstr(w, "kind", toc_kind_info(c->kind)->name);
        toc_json_kv_string(w, "title", c->title);
        toc_json_kv_string(w, "rule", c->rule);
        write_labels(w, "subject", c->subject);
        toc_json_kv_time(w, "started_at", c->started_at);
        toc_json_kv_int(w, "count", c->count);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static void write_times(struct toc_json_writer *w, const struct toc_incident *i) {
    toc_json_kv_time(w, "started_at", i->started_at);
    toc_json_kv_time(w, "detected_at", i->detected_at);
    toc_json_kv_time(w, "notified_at", i->notified_at);
    toc_json_kv_time(w, "acknowledged_at", i->acknowledged_at);
    toc_json_kv_time(w, "resolved_at", i->resolved_at);
    toc_json_key(w, "step");
    if (i->has_step)
        toc_json_int(w, i->step);
    else
        toc_json_null(w);
}

static void write_durations(struct toc_json_writer *w, const struct toc_incident *i) {
    struct toc_incident_durations d = toc_incident_durations(i);
    toc_json_key(w, "durations");
    toc_json_begin_object(w);
    number_or_null(w, "detect_s", d.detect_s);
    number_or_null(w, "notify_s", d.notify_s);
    number_or_null(w, "acknowledge_s", d.acknowledge_s);
    number_or_null(w, "resolve_s", d.resolve_s);
    toc_json_end_object(w);
}

static void write_timeline(struct toc_json_writer *w, const struct toc_timeline_entry *entries,
                           size_t count) {
    toc_json_key(w, "timeline");
    toc_json_begin_array(w);
    for (size_t n = 0; n < count; n++) {
        toc_json_begin_object(w);
        toc_json_kv_time(w, "at", entries[n].at);
        toc_json_kv_string(w, "actor", entries[n].actor);
        toc_json_kv_cstr(w, "type", toc_timeline_text(entries[n].type));
        toc_json_kv_string(w, "text", entries[n].text);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

void toc_incident_write_json(struct toc_json_writer *w, const struct toc_incident *i,
                             const struct toc_timeline_entry *entries, size_t count) {
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "id", i->id);
    toc_json_kv_cstr(w, "kind", toc_kind_info(i->kind)->name);
    toc_json_kv_cstr(w, "severity", toc_severity_text(i->severity));
    toc_json_kv_cstr(w, "state", toc_incident_state_text(i->state));
    write_labels(w, "subject", i->subject);
    toc_json_kv_string(w, "title", i->title);
    toc_json_kv_string(w, "summary", i->summary);
    write_times(w, i);
    text_or_null(w, "assignee", i->assignee);
    write_evidence(w, i);
    write_causes(w, i);
    toc_json_kv_string(w, "action", i->action);
    toc_json_kv_string(w, "runbook_url", i->runbook_url);
    text_or_null(w, "verdict", toc_sv_cstr(toc_verdict_text(i->verdict)));
    text_or_null(w, "duplicate_of", i->duplicate_of);
    write_cascades(w, i);
    text_or_null(w, "rule", i->rule);
    write_durations(w, i);
    if (entries)
        write_timeline(w, entries, count);
    toc_json_end_object(w);
}

void toc_incident_write_lists(const struct toc_incident *i, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    write_labels(&w, "subject", i->subject);
    write_evidence(&w, i);
    write_causes(&w, i);
    write_cascades(&w, i);
    toc_json_end_object(&w);
}

/* Reading back: missing members read as empty, so that newer releases may add some. */

static struct toc_sv read_text(const struct toc_json *o, const char *key) {
    const struct toc_json *v = toc_json_get(o, key);
    return v && v->type == TOC_JSON_STRING ? v->string : TOC_SV_NULL;
}

static double read_number(const struct toc_json *o, const char *key) {
    const struct toc_json *v = toc_json_get(o, key);
    if (v && (v->type == TOC_JSON_INT || v->type == TOC_JSON_DOUBLE))
        return v->number;
    if (v && toc_sv_eq(v->string, TOC_SV("+Inf")))
        return INFINITY;
    if (v && toc_sv_eq(v->string, TOC_SV("-Inf")))
        return -INFINITY;
    return NAN;
}

static int64_t read_int(const struct toc_json *o, const char *key) {
    const struct toc_json *v = toc_json_get(o, key);
    return v && v->type == TOC_JSON_INT ? v->integer : 0;
}

static struct toc_ts read_time(const struct toc_json *o, const char *key) {
    struct toc_ts t = {0};
    struct toc_sv text = read_text(o, key);
    if (text.n && toc_ts_parse_rfc3339(text, &t, NULL) != 0)
        t = (struct toc_ts){0};
    return t;
}

static void read_labels(const struct toc_json *o, const char *key, struct toc_labels_builder *b) {
    const struct toc_json *l = toc_json_get(o, key);
    toc_labels_builder_reset(b);
    for (size_t i = 0; l && i < l->count; i++)
        toc_labels_builder_set(b, l->items[i].key, l->items[i].string);
}

static void read_evidence(const struct toc_json *list, struct toc_incident *i) {
    struct toc_incident_evidence items[TOC_INCIDENT_EVIDENCE_MAX];
    size_t count = list ? TOC_MIN(list->count, (size_t)TOC_INCIDENT_EVIDENCE_MAX) : 0;
    for (size_t n = 0; n < count; n++) {
        const struct toc_json *o = &list->items[n];
        const struct toc_json *expected = toc_json_get(o, "expected");
        items[n] = (struct toc_incident_evidence){
            .shown = {.title = read_text(o, "title"),
                      .expr = read_text(o, "expr"),
                      .unit = read_text(o, "unit"),
                      .value = read_number(o, "value"),
                      .threshold = read_number(o, "threshold"),
                      .expected_lower = expected ? read_number(expected, "lower") : NAN,
                      .expected_upper = expected ? read_number(expected, "upper") : NAN},
            .chart_url = read_text(o, "chart_url"),
        };
    }
    toc_incident_set_evidence(i, items, count);
}

static void read_causes(const struct toc_json *list, struct toc_incident *i) {
    struct toc_cause items[TOC_INCIDENT_CAUSES_MAX];
    size_t count = list ? TOC_MIN(list->count, (size_t)TOC_INCIDENT_CAUSES_MAX) : 0;
    for (size_t n = 0; n < count; n++)
        items[n] = (struct toc_cause){
            .text = read_text(&list->items[n], "text"),
            .confidence = read_number(&list->items[n], "confidence"),
            .evidence = read_text(&list->items[n], "evidence"),
        };
    toc_incident_set_causes(i, items, count);
}

/* A kind of a newer release is kept as a generic one. */
static enum toc_kind read_kind(const struct toc_json *o) {
    enum toc_kind kind = toc_kind_parse(read_text(o, "kind"));
    return kind == TOC_KIND_COUNT ? TOC_KIND_ANOMALY : kind;
}

static void read_cascades(const struct toc_json *list, struct toc_incident *i,
                          struct toc_labels_builder *b) {
    for (size_t n = 0; list && n < list->count; n++) {
        const struct toc_json *o = &list->items[n];
        read_labels(o, "subject", b);
        struct toc_cascade c = {
            .kind = read_kind(o),
            .title = read_text(o, "title"),
            .rule = read_text(o, "rule"),
            .subject = toc_labels_builder_finish(b),
            .started_at = read_time(o, "started_at"),
            .count = read_int(o, "count"),
        };
        toc_incident_add_cascade(i, &c);
    }
}

int toc_incident_read_lists(struct toc_sv json, struct toc_incident *i, struct toc_err *err) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    const struct toc_json *root = NULL;
    int rc = toc_json_parse(json, &arena, &root, err);
    if (rc == 0 && root->type != TOC_JSON_OBJECT)
        rc = toc_errf(err, TOC_ECORRUPT, "lists of an incident: not an object");
    if (rc == 0) {
        read_labels(root, "subject", &b);
        toc_incident_set_subject(i, toc_labels_builder_finish(&b));
        read_evidence(toc_json_get(root, "evidence"), i);
        read_causes(toc_json_get(root, "causes"), i);
        read_cascades(toc_json_get(root, "cascades"), i, &b);
    }
    toc_labels_builder_fini(&b);
    toc_arena_fini(&arena);
    return rc ? TOC_ECORRUPT : 0;
}
