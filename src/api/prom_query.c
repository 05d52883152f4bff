/* query, query_range, format_query: PromQL over HTTP with upstream's parameters and envelopes. */
#include <math.h>

#include "api/api_priv.h"
#include "promql/promql.h"

/* Upstream's guard against a forgotten step. */
enum { POINTS_PER_SERIES_MAX = 11000 };
enum { QUERY_TIMEOUT_DEFAULT_MS = 2 * 60 * 1000 };

struct deadline {
    struct toc_clock *clock;
    int64_t end_ns;
};

static bool is_past(void *ctx) {
    struct deadline *d = ctx;
    return toc_clock_mono(d->clock).ns > d->end_ns;
}

static bool start_deadline(struct toc_api_call *c, struct deadline *d) {
    int64_t timeout_ms;
    if (!toc_prom_duration(c, "timeout", QUERY_TIMEOUT_DEFAULT_MS, &timeout_ms))
        return false;
    if (timeout_ms > QUERY_TIMEOUT_DEFAULT_MS)
        timeout_ms = QUERY_TIMEOUT_DEFAULT_MS;
    d->clock = c->api->parts.clock;
    d->end_ns = toc_clock_mono(d->clock).ns + timeout_ms * 1000000;
    return true;
}

static struct toc_promql_options query_options(struct toc_api_call *c, struct deadline *d) {
    return (struct toc_promql_options){
        .querier = c->api->parts.querier, .is_cancelled = is_past, .cancel_ctx = d};
}

static void answer_error(struct toc_api_call *c, int rc, const struct toc_err *err) {
    if (rc == TOC_ECANCELED || rc == TOC_ETIMEDOUT)
        toc_prom_error(c, 503, "timeout", "query timed out in expression evaluation");
    else if (rc == TOC_EPARSE || rc == TOC_ETYPE)
        toc_prom_error(c, 400, "bad_data", "invalid parameter \"query\": %d:%d: parse error: %s",
                       err->line, err->column, err->message);
    else
        toc_prom_error(c, 422, "execution", "%s",
                       err->message[0] ? err->message : toc_strerror(rc));
}

static bool parse_query(struct toc_api_call *c, struct toc_promql_expr **out) {
    struct toc_err err = {0};
    int rc = toc_promql_parse(toc_api_param(c, "query"), out, &err);
    if (rc < 0)
        answer_error(c, rc, &err);
    return rc >= 0;
}

static void write_series(struct toc_json_writer *w, const struct toc_promql_series *s,
                         bool is_matrix) {
    toc_json_begin_object(w);
    toc_json_key(w, "metric");
    toc_json_labels(w, s->labels);
    toc_json_key(w, is_matrix ? "values" : "value");
    if (is_matrix)
        toc_json_begin_array(w);
    for (size_t i = 0; i < s->count; i++)
        toc_prom_point(w, s->points[i].t_ms, s->points[i].value);
    if (is_matrix)
        toc_json_end_array(w);
    toc_json_end_object(w);
}

static void write_result(struct toc_json_writer *w, const struct toc_promql_result *r) {
    static const char *const names[] = {
        [TOC_PROMQL_SCALAR] = "scalar",
        [TOC_PROMQL_VECTOR] = "vector",
        [TOC_PROMQL_MATRIX] = "matrix",
        [TOC_PROMQL_STRING] = "string",
    };
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "resultType", names[r->type]);
    toc_json_key(w, "result");
    if (r->type == TOC_PROMQL_SCALAR) {
        toc_prom_point(w, r->scalar_t_ms, r->scalar);
    } else if (r->type == TOC_PROMQL_STRING) {
        toc_json_begin_array(w);
        toc_json_double(w, (double)r->scalar_t_ms / 1000.0);
        toc_json_string(w, r->string);
        toc_json_end_array(w);
    } else {
        toc_json_begin_array(w);
        for (size_t i = 0; i < r->series_count; i++)
            write_series(w, &r->series[i], r->type == TOC_PROMQL_MATRIX);
        toc_json_end_array(w);
    }
    toc_json_end_object(w);
}

static void write_notes(struct toc_json_writer *w, const char *key, const struct toc_sv *notes,
                        size_t count) {
    if (count == 0)
        return;
    toc_json_key(w, key);
    toc_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        toc_json_string(w, notes[i]);
    toc_json_end_array(w);
}

static void answer_result(struct toc_api_call *c, const struct toc_promql_result *r) {
    toc_prom_begin(c);
    write_result(&c->json, r);
    write_notes(&c->json, "warnings", r->warnings, r->warning_count);
    write_notes(&c->json, "infos", r->infos, r->info_count);
    toc_prom_end(c);
}

void toc_api_prom_query(struct toc_api_call *c) {
    int64_t at_ms;
    struct deadline deadline;
    struct toc_promql_expr *expr = NULL;
    if (!toc_prom_time(c, "time", c->now.ms, &at_ms) || !start_deadline(c, &deadline) ||
        !parse_query(c, &expr))
        return;
    struct toc_promql_options options = query_options(c, &deadline);
    struct toc_promql_result result = {0};
    struct toc_err err = {0};
    int rc = toc_promql_instant(expr, &options, at_ms, &result, &err);
    if (rc < 0)
        answer_error(c, rc, &err);
    else
        answer_result(c, &result);
    toc_promql_result_fini(&result);
    toc_promql_expr_free(&expr);
}

static bool read_range(struct toc_api_call *c, int64_t *start, int64_t *end, int64_t *step) {
    static const char *const required[] = {"start", "end", "step"};
    for (size_t i = 0; i < 3; i++) {
        if (toc_api_param(c, required[i]).n == 0) {
            toc_prom_error(c, 400, "bad_data", "invalid parameter \"%s\": it is missing",
                           required[i]);
            return false;
        }
    }
    if (!toc_prom_time(c, "start", 0, start) || !toc_prom_time(c, "end", 0, end) ||
        !toc_prom_duration(c, "step", 0, step))
        return false;
    if (*end < *start) {
        toc_prom_error(c, 400, "bad_data",
                       "invalid parameter \"end\": end timestamp must not be before start time");
        return false;
    }
    if (*step <= 0) {
        toc_prom_error(c, 400, "bad_data",
                       "invalid parameter \"step\": zero or negative query "
                       "resolution step widths are not accepted. Try a positive integer");
        return false;
    }
    if (((uint64_t)*end - (uint64_t)*start) / (uint64_t)*step > POINTS_PER_SERIES_MAX) {
        toc_prom_error(c, 400, "bad_data",
                       "exceeded maximum resolution of 11,000 points per "
                       "timeseries. Try decreasing the query resolution (?step=XX)");
        return false;
    }
    return true;
}

void toc_api_prom_query_range(struct toc_api_call *c) {
    int64_t start, end, step;
    struct deadline deadline;
    struct toc_promql_expr *expr = NULL;
    if (!read_range(c, &start, &end, &step) || !start_deadline(c, &deadline) ||
        !parse_query(c, &expr))
        return;
    enum toc_promql_type type = toc_promql_expr_type(expr);
    if (type != TOC_PROMQL_SCALAR && type != TOC_PROMQL_VECTOR) {
        toc_prom_error(c, 400, "bad_data",
                       "invalid parameter \"query\": invalid expression type "
                       "\"%s\" for range query, must be Scalar or instant Vector",
                       type == TOC_PROMQL_STRING ? "string" : "range vector");
        toc_promql_expr_free(&expr);
        return;
    }
    struct toc_promql_options options = query_options(c, &deadline);
    struct toc_promql_result result = {0};
    struct toc_err err = {0};
    int rc = toc_promql_range(expr, &options, start, end, step, &result, &err);
    if (rc < 0)
        answer_error(c, rc, &err);
    else
        answer_result(c, &result);
    toc_promql_result_fini(&result);
    toc_promql_expr_free(&expr);
}

void toc_api_prom_format_query(struct toc_api_call *c) {
    struct toc_promql_expr *expr = NULL;
    if (!parse_query(c, &expr))
        return;
    struct toc_buf text = TOC_BUF_INIT;
    toc_promql_format(expr, true, &text);
    toc_prom_begin(c);
    toc_json_string(&c->json, toc_buf_sv(&text));
    toc_prom_end(c);
    toc_buf_fini(&text);
    toc_promql_expr_free(&expr);
}
