#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "codec/json.h"
#include "codec/json_writer.h"
#include "notify/message.h"

/* X(field): the plain texts of a notification, stored under their own name. */
#define TEXT_FIELDS(X)                                                                      \
    X(key)                                                                                  \
    X(incident_id) X(receiver) X(title) X(summary) X(comparison) X(unit) X(cause) X(action) \
        X(runbook_url) X(incident_url) X(ack_url) X(ack_post_url) X(group_key) X(external_url)
#define NUMBER_FIELDS(X) X(value) X(threshold) X(expected_lower) X(expected_upper)
#define LABEL_FIELDS(X) X(subject) X(group_labels) X(common_labels) X(common_annotations)

struct toc_notification toc_notification_empty(void) {
    return (struct toc_notification){
        .value = NAN, .threshold = NAN, .expected_lower = NAN, .expected_upper = NAN};
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

static void write_alert(struct toc_json_writer *w, const struct toc_notification_alert *a) {
    toc_json_begin_object(w);
    toc_json_kv_bool(w, "is_resolved", a->is_resolved);
    write_labels(w, "labels", a->labels);
    write_labels(w, "annotations", a->annotations);
    toc_json_kv_int(w, "starts_at_ms", a->starts_at.ms);
    toc_json_kv_int(w, "ends_at_ms", a->ends_at.ms);
    toc_json_kv_string(w, "generator_url", a->generator_url);
    toc_json_end_object(w);
}

static void write_lists(struct toc_json_writer *w, const struct toc_notification *n) {
    toc_json_key(w, "spark");
    toc_json_begin_array(w);
    for (size_t i = 0; i < n->spark_count; i++)
        toc_json_double(w, n->spark[i]);
    toc_json_end_array(w);
    toc_json_key(w, "alerts");
    toc_json_begin_array(w);
    for (size_t i = 0; i < n->alert_count; i++)
        write_alert(w, &n->alerts[i]);
    toc_json_end_array(w);
}

void toc_notification_encode(const struct toc_notification *n, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_kv_int(&w, "format", 1);
#define X(field)    \
    if (n->field.n) \
        toc_json_kv_string(&w, #field, n->field);
    TEXT_FIELDS(X)
#undef X
#define X(field)          \
    if (!isnan(n->field)) \
        toc_json_kv_double(&w, #field, n->field);
    NUMBER_FIELDS(X)
#undef X
#define X(field)        \
    if (n->field.count) \
        write_labels(&w, #field, n->field);
    LABEL_FIELDS(X)
#undef X
    toc_json_kv_bool(&w, "is_resolved", n->is_resolved);
    toc_json_kv_bool(&w, "is_test", n->is_test);
    toc_json_kv_cstr(&w, "severity", toc_severity_text(n->severity));
    toc_json_kv_int(&w, "at_ms", n->at.ms);
    toc_json_kv_int(&w, "since_ms", n->since.ms);
    toc_json_kv_int(&w, "truncated_alerts", (int64_t)n->truncated_alerts);
    write_lists(&w, n);
    toc_json_end_object(&w);
}

/* Numbers, and the words that stand for those JSON has no number for. */
static double number_of(const struct toc_json *j) {
    double v = NAN;
    if (j && (j->type == TOC_JSON_INT || j->type == TOC_JSON_DOUBLE))
        return j->number;
    if (j && j->type == TOC_JSON_STRING && toc_parse_f64(j->string, &v) == 0)
        return v;
    return NAN;
}

static int compare_names(const void *a, const void *b) {
    return toc_sv_cmp(((const struct toc_label *)a)->name, ((const struct toc_label *)b)->name);
}

static int read_labels(const struct toc_json *parent, const char *key, struct toc_arena *a,
                       struct toc_labels *out, struct toc_err *err) {
    const struct toc_json *j = toc_json_get(parent, key);
    *out = TOC_LABELS_EMPTY;
    if (!j || !j->count)
        return 0;
    struct toc_label *items = TOC_ARENA_NEW_ARRAY(a, struct toc_label, j->count);
    if (!items)
        return toc_errf(err, TOC_ENOMEM, "no memory for labels");
    for (size_t i = 0; i < j->count; i++) {
        if (j->type != TOC_JSON_OBJECT || j->items[i].type != TOC_JSON_STRING)
            return toc_errf(err, TOC_ETYPE, "\"%s\" must be an object of strings", key);
        items[i] = (struct toc_label){j->items[i].key, j->items[i].string};
    }
    qsort(items, j->count, sizeof *items, compare_names);
    *out = (struct toc_labels){items, j->count};
    return 0;
}

static int read_alert(const struct toc_json *j, struct toc_arena *a,
                      struct toc_notification_alert *out, struct toc_err *err) {
    int rc = toc_json_get_bool(j, "is_resolved", false, &out->is_resolved, err);
    if (!rc)
        rc = read_labels(j, "labels", a, &out->labels, err);
    if (!rc)
        rc = read_labels(j, "annotations", a, &out->annotations, err);
    if (!rc)
        rc = toc_json_get_int(j, "starts_at_ms", 0, &out->starts_at.ms, err);
    if (!rc)
        rc = toc_json_get_int(j, "ends_at_ms", 0, &out->ends_at.ms, err);
    return rc ? rc : toc_json_get_string(j, "generator_url", TOC_SV(""), &out->generator_url, err);
}

static int read_alerts(const struct toc_json *root, struct toc_arena *a,
                       struct toc_notification *out, struct toc_err *err) {
    const struct toc_json *j = toc_json_get(root, "alerts");
    if (!j || j->type != TOC_JSON_ARRAY || !j->count)
        return 0;
    struct toc_notification_alert *items =
        TOC_ARENA_NEW_ARRAY(a, struct toc_notification_alert, j->count);
    if (!items)
        return toc_errf(err, TOC_ENOMEM, "no memory for alerts");
    int rc = 0;
    for (size_t i = 0; i < j->count && !rc; i++)
        rc = read_alert(&j->items[i], a, &items[i], err);
    out->alerts = items;
    out->alert_count = rc ? 0 : j->count;
    return rc;
}

static int read_spark(const struct toc_json *root, struct toc_arena *a,
                      struct toc_notification *out, struct toc_err *err) {
    const struct toc_json *j = toc_json_get(root, "spark");
    if (!j || j->type != TOC_JSON_ARRAY || !j->count)
        return 0;
    double *values = TOC_ARENA_NEW_ARRAY(a, double, j->count);
    if (!values)
        return toc_errf(err, TOC_ENOMEM, "no memory for the sparkline");
    for (size_t i = 0; i < j->count; i++)
        values[i] = number_of(&j->items[i]);
    out->spark = values;
    out->spark_count = j->count;
    return 0;
}

static int read_plain(const struct toc_json *root, struct toc_arena *a, struct toc_notification *n,
                      struct toc_err *err) {
    int rc = 0;
    int64_t truncated = 0;
    struct toc_sv severity = TOC_SV_NULL;
#define X(field) \
    if (!rc)     \
        rc = toc_json_get_string(root, #field, TOC_SV(""), &n->field, err);
    TEXT_FIELDS(X)
#undef X
#define X(field) n->field = number_of(toc_json_get(root, #field));
    NUMBER_FIELDS(X)
#undef X
#define X(field) \
    if (!rc)     \
        rc = read_labels(root, #field, a, &n->field, err);
    LABEL_FIELDS(X)
#undef X
    if (!rc)
        rc = toc_json_get_bool(root, "is_resolved", false, &n->is_resolved, err);
    if (!rc)
        rc = toc_json_get_bool(root, "is_test", false, &n->is_test, err);
    if (!rc)
        rc = toc_json_get_string(root, "severity", TOC_SV("warning"), &severity, err);
    if (!rc)
        rc = toc_json_get_int(root, "at_ms", 0, &n->at.ms, err);
    if (!rc)
        rc = toc_json_get_int(root, "since_ms", 0, &n->since.ms, err);
    if (!rc)
        rc = toc_json_get_int(root, "truncated_alerts", 0, &truncated, err);
    n->severity = toc_severity_parse(severity);
    n->truncated_alerts = (uint64_t)truncated;
    return rc;
}

int toc_notification_decode(struct toc_sv json, struct toc_arena *a, struct toc_notification *out,
                            struct toc_err *err) {
    const struct toc_json *root;
    struct toc_notification n = toc_notification_empty();
    int rc = toc_json_parse(json, a, &root, err);
    if (!rc && root->type != TOC_JSON_OBJECT)
        rc = toc_errf(err, TOC_ETYPE, "a notification must be a JSON object");
    if (!rc)
        rc = read_plain(root, a, &n, err);
    if (!rc)
        rc = read_spark(root, a, &n, err);
    if (!rc)
        rc = read_alerts(root, a, &n, err);
    if (!rc)
        *out = n;
    return rc;
}
