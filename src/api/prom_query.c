/* query, query_range, format_query: PromQL over HTTP with upstream's parameters and answers. */
#include "api/feature.h"
#include "api/prom_result.h"
#include "promql/ast_json.h"

/* Upstream's guard against a forgotten step. */
enum { POINTS_PER_SERIES_MAX = 11000 };

/* What both kinds of query take. */
struct query_call {
    struct toc_query query;
    struct toc_query_limits limits;
    struct toc_promql_expr *expr; /* owned */
    int64_t timeout_ms, lookback_ms;
    size_t limit;
    bool wants_stats;
    const char *more_warning;
};

static int64_t now_ns(struct toc_api_call *c) {
    return toc_clock_mono(c->api->parts.clock).ns;
}

/* ------------------------------------------------------------------------------------------
 * errors */

static const char *stage_text(bool is_waiting) {
    return is_waiting ? "query queue" : "expression evaluation";
}

static void answer_stopped(struct toc_api_call *c, const struct toc_query *q, bool is_waiting) {
    int why = atomic_load(&q->why);
    if (why == TOC_QUERY_REFUSED)
        toc_prom_error(c, TOC_PROM_TIMEOUT, "query refused in %s: %s", stage_text(is_waiting),
                       TOC_QUERY_REFUSED_TEXT);
    else if (why == TOC_QUERY_CANCELED)
        toc_prom_error(c, TOC_PROM_CANCELED, "query was canceled in %s", stage_text(is_waiting));
    else
        toc_prom_error(c, TOC_PROM_TIMEOUT, "query timed out in %s", stage_text(is_waiting));
}

/* Reading stored data failed, as opposed to computing with it. */
static bool is_storage_error(int rc) {
    return rc == TOC_EIO || rc == TOC_ECORRUPT || rc == TOC_ENOSPC || rc == TOC_ETRUNCATED;
}

static void answer_failed(struct toc_api_call *c, const struct toc_query *q, int rc,
                          const struct toc_err *err) {
    const char *text = err->message[0] ? err->message : toc_strerror(rc);
    if (rc == TOC_ECANCELED || rc == TOC_ETIMEDOUT)
        answer_stopped(c, q, false);
    else if (is_storage_error(rc))
        toc_prom_error(c, TOC_PROM_INTERNAL, "expanding series: %s", text);
    else
        toc_prom_error(c, TOC_PROM_EXECUTION, "%s", text);
}

static void answer_unparsed(struct toc_api_call *c, const struct toc_err *err) {
    if (err->line > 0)
        toc_prom_bad(c, "query", "%d:%d: parse error: %s", err->line, err->column, err->message);
    else
        toc_prom_bad(c, "query", "unknown position: parse error: %s", err->message);
}

/* ------------------------------------------------------------------------------------------
 * parameters */

static bool read_timeout(struct toc_api_call *c, struct query_call *q) {
    struct toc_sv text = toc_api_param(c, "timeout");
    int rc = text.n ? toc_prom_duration_parse(text, &q->timeout_ms) : 0;
    if (rc < 0)
        toc_prom_bad(c, "timeout", "%s", toc_prom_duration_error(c, text, rc));
    if (text.n && q->timeout_ms <= 0)
        q->timeout_ms = 1; /* 0 would mean the limit */
    return rc >= 0;
}

static bool read_lookback(struct toc_api_call *c, struct query_call *q) {
    struct toc_sv text = toc_api_param(c, "lookback_delta");
    int rc = text.n ? toc_prom_duration_parse(text, &q->lookback_ms) : 0;
    if (rc < 0)
        toc_prom_error(c, TOC_PROM_BAD_DATA, "error parsing lookback delta duration: %s",
                       toc_prom_duration_error(c, text, rc));
    if (q->lookback_ms <= 0)
        q->lookback_ms = q->limits.lookback_ms;
    return rc >= 0;
}

static void read_stats(struct toc_api_call *c, struct query_call *q) {
    struct toc_sv text = toc_api_param(c, "stats");
    q->wants_stats = text.n > 0;
    if (q->wants_stats && !toc_sv_eq(text, TOC_SV("true")) && !toc_sv_eq(text, TOC_SV("all")))
        q->more_warning = "unknown value for the stats parameter, taken as \"true\"";
}

bool toc_prom_parse_expr(struct toc_api_call *c, struct toc_promql_expr **out) {
    struct toc_err err = {0};
    unsigned features = toc_feature_promql(atomic_load(&c->api->features));
    int rc = toc_promql_parse_with(toc_api_param(c, "query"), features, out, &err);
    if (rc < 0)
        answer_unparsed(c, &err);
    return rc >= 0;
}

static bool read_common(struct toc_api_call *c, struct query_call *q) {
    q->limits = toc_query_gate_limits(c->api->queries);
    if (!read_timeout(c, q) || !read_lookback(c, q))
        return false;
    read_stats(c, q);
    return toc_prom_parse_expr(c, &q->expr);
}

/* ------------------------------------------------------------------------------------------
 * running */

static struct toc_promql_options options_of(struct toc_api_call *c, struct query_call *q) {
    return (struct toc_promql_options){
        .querier = c->api->parts.querier,
        .lookback_ms = q->lookback_ms,
        .max_samples = q->limits.max_samples,
        .max_bytes = (size_t)q->limits.max_bytes,
        .is_cancelled = toc_query_should_stop,
        .cancel_ctx = &q->query,
        .features = toc_feature_promql(atomic_load(&c->api->features)),
        .subquery_step_ms = c->api->parts.subquery_step_ms,
        .executor = c->api->parts.executor,
    };
}

static bool admit(struct toc_api_call *c, struct query_call *q, const char *kind) {
    q->query.request = c->req;
    q->query.kind = kind;
    q->query.text = toc_api_param(c, "query");
    q->query.actor = toc_sv_cstr(c->actor);
    int rc = toc_query_begin(c->api->queries, &q->query, q->timeout_ms);
    if (rc < 0)
        answer_stopped(c, &q->query, true);
    return rc == 0;
}

static void answer(struct toc_api_call *c, struct query_call *q, int rc,
                   struct toc_promql_result *result, const struct toc_err *err) {
    struct toc_prom_stats stats = {
        .queue_s = (double)(q->query.admitted_ns - q->query.begun_ns) / 1e9,
        .evaluate_s = (double)(now_ns(c) - q->query.admitted_ns) / 1e9,
        .total_s = (double)(now_ns(c) - q->query.begun_ns) / 1e9,
        .samples = result->samples_queryable,
        .peak_samples = result->samples_peak,
        .samples_read = result->samples_loaded,
    };
    if (rc < 0)
        answer_failed(c, &q->query, rc, err);
    else
        toc_prom_answer_result(c, result, q->limit, q->wants_stats ? &stats : NULL,
                               q->more_warning);
}

void toc_api_prom_query(struct toc_api_call *c) {
    int64_t at_ms;
    struct query_call q = {0};
    /* In the order in which upstream looks: a request wrong in two ways is told the same. */
    if (toc_prom_limit(c, "limit", &q.limit) && toc_prom_time(c, "time", c->now.ms, &at_ms) &&
        read_common(c, &q) && admit(c, &q, "instant")) {
        struct toc_promql_options options = options_of(c, &q);
        struct toc_promql_result result = {0};
        struct toc_err err = {0};
        int rc = toc_promql_instant(q.expr, &options, at_ms, &result, &err);
        q.query.samples = result.samples_loaded;
        toc_query_end(&q.query);
        answer(c, &q, rc, &result, &err);
        toc_promql_result_fini(&result);
    }
    toc_promql_expr_free(&q.expr);
}

static bool read_step(struct toc_api_call *c, int64_t *out_ms) {
    struct toc_sv text = toc_api_param(c, "step");
    int rc = toc_prom_duration_parse(text, out_ms);
    if (rc < 0) {
        toc_prom_bad(c, "step", "%s", toc_prom_duration_error(c, text, rc));
        return false;
    }
    if (*out_ms <= 0) {
        toc_prom_bad(c, "step",
                     "zero or negative query resolution step widths are not accepted. Try a "
                     "positive integer");
        return false;
    }
    return true;
}

static bool read_range(struct toc_api_call *c, int64_t *start, int64_t *end, int64_t *step) {
    if (!toc_prom_time_required(c, "start", start) || !toc_prom_time_required(c, "end", end))
        return false;
    if (*end < *start) {
        toc_prom_bad(c, "end", "end timestamp must not be before start time");
        return false;
    }
    if (!read_step(c, step))
        return false;
    if (((uint64_t)*end - (uint64_t)*start) / (uint64_t)*step > POINTS_PER_SERIES_MAX) {
        toc_prom_error(c, TOC_PROM_BAD_DATA,
                       "exceeded maximum resolution of 11,000 points per timeseries. Try "
                       "decreasing the query resolution (?step=XX)");
        return false;
    }
    return true;
}

static bool can_be_ranged(struct toc_api_call *c, const struct toc_promql_expr *expr) {
    enum toc_promql_type type = toc_promql_expr_type(expr);
    if (type == TOC_PROMQL_SCALAR || type == TOC_PROMQL_VECTOR)
        return true;
    toc_prom_bad(c, "query",
                 "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
                 type == TOC_PROMQL_STRING ? "string" : "range vector");
    return false;
}

void toc_api_prom_query_range(struct toc_api_call *c) {
    int64_t start, end, step;
    struct query_call q = {0};
    if (toc_prom_limit(c, "limit", &q.limit) && read_range(c, &start, &end, &step) &&
        read_common(c, &q) && can_be_ranged(c, q.expr) && admit(c, &q, "range")) {
        struct toc_promql_options options = options_of(c, &q);
        struct toc_promql_result result = {0};
        struct toc_err err = {0};
        int rc = toc_promql_range(q.expr, &options, start, end, step, &result, &err);
        q.query.samples = result.samples_loaded;
        toc_query_end(&q.query);
        answer(c, &q, rc, &result, &err);
        toc_promql_result_fini(&result);
    }
    toc_promql_expr_free(&q.expr);
}

void toc_api_prom_format_query(struct toc_api_call *c) {
    struct toc_promql_expr *expr = NULL;
    if (!toc_prom_parse_expr(c, &expr))
        return;
    struct toc_buf text = TOC_BUF_INIT;
    toc_promql_format(expr, true, &text);
    toc_prom_begin(c);
    toc_json_string(&c->json, toc_buf_sv(&text));
    toc_prom_end(c);
    toc_buf_fini(&text);
    toc_promql_expr_free(&expr);
}

void toc_api_prom_parse_query(struct toc_api_call *c) {
    struct toc_promql_expr *expr = NULL;
    if (!toc_prom_parse_expr(c, &expr))
        return;
    struct toc_buf tree = TOC_BUF_INIT;
    toc_promql_write_ast(expr, &tree);
    toc_prom_begin(c);
    toc_json_raw(&c->json, toc_buf_sv(&tree));
    toc_prom_end(c);
    toc_buf_fini(&tree);
    toc_promql_expr_free(&expr);
}

/* ------------------------------------------------------------------------------------------
 * the queries themselves */

static void write_query(void *ctx, const struct toc_query_view *v) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "kind", v->kind);
    toc_json_kv_string(w, "query", v->text);
    toc_json_kv_string(w, "actor", v->actor);
    toc_json_kv_time(w, "started_at", v->started_at);
    toc_json_kv_double(w, "seconds", v->seconds);
    toc_json_kv_bool(w, "is_waiting", v->is_waiting);
    toc_json_kv_int(w, "samples", (int64_t)v->samples);
    toc_json_end_object(w);
}

void toc_api_queries(struct toc_api_call *c) {
    struct toc_json_writer *w = &c->json;
    toc_json_begin_object(w);
    toc_json_key(w, "active");
    toc_json_begin_array(w);
    toc_query_gate_each_active(c->api->queries, write_query, w);
    toc_json_end_array(w);
    toc_json_key(w, "slow");
    toc_json_begin_array(w);
    toc_query_gate_each_slow(c->api->queries, write_query, w);
    toc_json_end_array(w);
    toc_json_end_object(w);
}
