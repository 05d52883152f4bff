/* Why a detector finds a series strange: its features around a time against the rows before
 * (detect/explain.h), for the UI. */
#include <math.h>

#include "api/api_priv.h"
#include "api/feature.h"
#include "base/alloc.h"
#include "detect/explain.h"
#include "promql/promql.h"

enum { FEATURES_MAX = 16, REST_ROWS = 16 };

struct asked {
    struct toc_sv name;
    struct toc_labels labels; /* of the series, without its name and `detector`; in the arena */
    int64_t at_ms, interval_ms;
    bool is_found;
    size_t count;
    struct toc_sv names[FEATURES_MAX], exprs[FEATURES_MAX]; /* in the arena */
    struct toc_arena arena;
};

struct rows {
    int64_t from_ms, step_ms;
    size_t count;     /* rows */
    double *values;   /* rows x features */
    uint8_t *anomaly; /* was the row one? */
};

static void find_detector(void *ctx, const struct toc_detector_view *v) {
    struct asked *a = ctx;
    if (a->is_found || !toc_sv_eq(v->name, a->name))
        return;
    a->is_found = true;
    a->interval_ms = v->interval_ms;
    a->count = TOC_MIN(v->features, (size_t)FEATURES_MAX);
    for (size_t i = 0; i < a->count; i++) {
        a->names[i] = toc_arena_dup_sv(&a->arena, v->feature_list[i].name);
        a->exprs[i] = toc_arena_dup_sv(&a->arena, v->feature_list[i].expr);
    }
}

static bool read_labels(struct toc_api_call *c, struct asked *a) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    const struct toc_json *object;
    struct toc_sv text = toc_api_param(c, "labels");
    struct toc_err err = {0};
    bool is_good = toc_json_parse(text.n ? text : TOC_SV("{}"), &a->arena, &object, &err) == 0 &&
                   object->type == TOC_JSON_OBJECT;
    for (size_t i = 0; is_good && i < object->count; i++) {
        is_good = object->items[i].type == TOC_JSON_STRING;
        if (is_good)
            toc_labels_builder_set(&b, object->items[i].key, object->items[i].string);
    }
    toc_labels_builder_del(&b, TOC_SV("__name__"));
    toc_labels_builder_del(&b, TOC_SV("detector"));
    a->labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &a->arena);
    toc_labels_builder_fini(&b);
    if (!is_good)
        toc_api_problem(c, 400, "invalid",
                        "labels is a JSON object of names and values, such as {\"run\":\"r1\"}");
    return is_good;
}

/* The series with the labels asked for, whatever its name. */
static const struct toc_promql_series *pick(const struct toc_promql_result *r,
                                            struct toc_labels wanted) {
    for (size_t i = 0; i < r->series_count; i++) {
        struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
        toc_labels_builder_add_all(&b, r->series[i].labels);
        toc_labels_builder_del(&b, TOC_SV("__name__"));
        toc_labels_builder_del(&b, TOC_SV("detector"));
        bool is_it = toc_labels_eq(toc_labels_builder_finish(&b), wanted);
        toc_labels_builder_fini(&b);
        if (is_it)
            return &r->series[i];
    }
    return NULL;
}

static int read_column(struct toc_api_call *c, const struct asked *a, struct toc_sv text,
                       struct toc_query *q, struct rows *rows, size_t column, struct toc_err *err) {
    struct toc_promql_expr *e = NULL;
    struct toc_promql_result result = {0};
    const struct toc_promql_options o = {
        .querier = c->api->parts.querier,
        .executor = c->api->parts.executor,
        .lookback_ms = toc_query_gate_limits(c->api->queries).lookback_ms,
        .features = toc_feature_promql(atomic_load(&c->api->features)),
        .is_cancelled = toc_query_should_stop,
        .cancel_ctx = q};
    int64_t last_ms = rows->from_ms + (int64_t)(rows->count - 1) * rows->step_ms;
    int rc = toc_promql_parse(text, &e, err);
    if (rc == 0)
        rc = toc_promql_range(e, &o, rows->from_ms, last_ms, rows->step_ms, &result, err);
    const struct toc_promql_series *s = rc == 0 ? pick(&result, a->labels) : NULL;
    for (size_t i = 0; s && i < s->count; i++) {
        size_t row = (size_t)((s->points[i].t_ms - rows->from_ms) / rows->step_ms);
        if (column == SIZE_MAX)
            rows->anomaly[row] = s->points[i].value > 0;
        else if (!s->points[i].histogram)
            rows->values[row * a->count + column] = s->points[i].value;
    }
    toc_promql_result_fini(&result);
    toc_promql_expr_free(&e);
    return rc;
}

static int read_rows(struct toc_api_call *c, const struct asked *a, struct toc_query *q,
                     struct rows *rows, struct toc_err *err) {
    struct toc_buf anomaly = TOC_BUF_INIT;
    int rc = 0;
    rows->step_ms = a->interval_ms;
    rows->count = TOC_EXPLAIN_ROWS;
    rows->from_ms =
        a->at_ms / a->interval_ms * a->interval_ms - (int64_t)(rows->count - 1) * rows->step_ms;
    rows->values = TOC_NEW_ARRAY(double, rows->count * a->count);
    rows->anomaly = TOC_NEW_ARRAY(uint8_t, rows->count);
    for (size_t i = 0; i < rows->count * a->count; i++)
        rows->values[i] = NAN;
    for (size_t i = 0; rc == 0 && i < a->count; i++)
        rc = read_column(c, a, a->exprs[i], q, rows, i, err);
    toc_buf_append_cstr(&anomaly, "tocsin_anomaly{detector=");
    toc_json_append_string(&anomaly, a->name);
    toc_buf_append_char(&anomaly, '}');
    if (rc == 0)
        rc = read_column(c, a, toc_buf_sv(&anomaly), q, rows, SIZE_MAX, err);
    toc_buf_fini(&anomaly);
    return rc;
}

/* First row of the stretch of anomalies that ends at the last; without one, of the last rows. */
static size_t first_strange(const struct rows *rows) {
    size_t at = rows->count - 1, quiet = 0;
    if (!rows->anomaly[at])
        return rows->count - REST_ROWS;
    for (size_t i = at; i > 0 && quiet < REST_ROWS; i--) {
        quiet = rows->anomaly[i] ? 0 : quiet + 1;
        at = rows->anomaly[i] ? i : at;
    }
    return at;
}

static void write_causes(struct toc_api_call *c, const struct asked *a, const struct rows *rows,
                         const struct toc_explanation *why) {
    struct toc_json_writer *w = &c->json;
    toc_json_key(w, "causes");
    toc_json_begin_array(w);
    for (size_t i = 0; i < why->cause_count; i++) {
        const struct toc_explain_cause *x = &why->causes[i];
        toc_json_begin_object(w);
        toc_json_kv_string(w, "feature", a->names[x->column]);
        toc_json_kv_string(w, "expr", a->exprs[x->column]);
        toc_json_kv_cstr(w, "respect", toc_respect_name(x->respect));
        toc_json_kv_double(w, "seen", x->seen);
        toc_json_kv_double(w, "usual_lower", x->lower);
        toc_json_kv_double(w, "usual_upper", x->upper);
        toc_json_kv_double(w, "deviations", x->z);
        toc_json_kv_time(w, "at", (struct toc_ts){rows->from_ms + (int64_t)x->row * rows->step_ms});
        toc_json_kv_time(w, "since",
                         (struct toc_ts){rows->from_ms + (int64_t)x->since * rows->step_ms});
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static void write_similar(struct toc_api_call *c, const struct rows *rows,
                          const struct toc_explanation *why) {
    struct toc_json_writer *w = &c->json;
    toc_json_key(w, "similar");
    toc_json_begin_array(w);
    for (size_t i = 0; i < why->similar_count; i++) {
        const struct toc_explain_similar *x = &why->similar[i];
        toc_json_begin_object(w);
        toc_json_kv_time(w, "from",
                         (struct toc_ts){rows->from_ms + (int64_t)x->first * rows->step_ms});
        toc_json_kv_time(w, "to",
                         (struct toc_ts){rows->from_ms + (int64_t)x->last * rows->step_ms});
        toc_json_kv_double(w, "distance", x->distance);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
}

static size_t known_rows(const struct asked *a, const struct rows *rows) {
    size_t known = 0;
    for (size_t i = 0; i < rows->count; i++) {
        bool has_value = false;
        for (size_t k = 0; k < a->count; k++)
            has_value = has_value || isfinite(rows->values[i * a->count + k]);
        known += has_value;
    }
    return known;
}

static int explain(struct toc_api_call *c, const struct asked *a, const struct rows *rows,
                   struct toc_err *err) {
    struct toc_explainer *e;
    struct toc_explanation why;
    size_t first = first_strange(rows), known = known_rows(a, rows);
    int rc = toc_explainer_new(a->count, &e, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < rows->count; i++)
        toc_explainer_add(e, (double)i, rows->values + i * a->count);
    toc_explain(e, first, rows->count - 1, &why);
    toc_json_begin_object(&c->json);
    toc_json_kv_string(&c->json, "detector", a->name);
    toc_json_kv_time(&c->json, "from",
                     (struct toc_ts){rows->from_ms + (int64_t)first * rows->step_ms});
    toc_json_kv_time(&c->json, "to",
                     (struct toc_ts){rows->from_ms + (int64_t)(rows->count - 1) * rows->step_ms});
    toc_json_kv_bool(&c->json, "anomaly", rows->anomaly[rows->count - 1]);
    toc_json_kv_int(&c->json, "rows", (int64_t)known);
    toc_json_kv_bool(&c->json, "enough_data", known >= TOC_EXPLAIN_BEFORE);
    write_causes(c, a, rows, &why);
    write_similar(c, rows, &why);
    toc_json_end_object(&c->json);
    toc_explainer_free(&e);
    return 0;
}

static void answer(struct toc_api_call *c, const struct asked *a) {
    struct toc_query q = {
        .request = c->req, .kind = "explanation", .text = a->name, .actor = toc_sv_cstr(c->actor)};
    struct rows rows = {0};
    struct toc_err err = {0};
    if (toc_query_begin(c->api->queries, &q, 0) < 0) {
        toc_api_problem(c, 503, "busy", "too many queries run; try again later");
        return;
    }
    int rc = read_rows(c, a, &q, &rows, &err);
    toc_query_end(&q);
    if (rc == 0)
        rc = explain(c, a, &rows, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    toc_free(rows.values);
    toc_free(rows.anomaly);
}

static bool read_time(struct toc_api_call *c, struct asked *a) {
    struct toc_sv text = toc_api_param(c, "time");
    struct toc_ts t = c->now;
    if (text.n && toc_ts_parse_rfc3339(text, &t, NULL) < 0) {
        toc_api_problem(c, 400, "invalid", "time is RFC 3339, such as 2026-01-31T12:00:00Z");
        return false;
    }
    a->at_ms = t.ms;
    return true;
}

void toc_api_detector_explanation(struct toc_api_call *c) {
    struct asked a = {.name = c->params[0]};
    if (read_time(c, &a) && read_labels(c, &a)) {
        toc_detectors_each(c->api->parts.detectors, find_detector, &a);
        if (a.is_found)
            answer(c, &a);
        else
            toc_api_problem(c, 404, "not_found", "there is no detector \"%.*s\"",
                            TOC_SV_ARG(a.name));
    }
    toc_arena_fini(&a.arena);
}
