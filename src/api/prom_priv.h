/* Prometheus' envelope, parameters and values, shared by the prom_*.c files. */
#ifndef TOC_API_PROM_PRIV_H
#define TOC_API_PROM_PRIV_H

#include "api/api_priv.h"
#include "model/histogram.h"

/* begin writes {"status":"success","data": ; the handler writes the data; end closes. */
void toc_prom_begin(struct toc_api_call *c);
void toc_prom_end(struct toc_api_call *c);
/* As end; says first that the answer was cut to a limit when it was. */
void toc_prom_end_limited(struct toc_api_call *c, bool was_cut);
#define TOC_PROM_CUT "results truncated due to limit"

/* X(enum, errorType, status) */
#define TOC_PROM_ERROR_TABLE(X)                       \
    X(TOC_PROM_BAD_DATA, "bad_data", 400)             \
    X(TOC_PROM_EXECUTION, "execution", 422)           \
    X(TOC_PROM_CANCELED, "canceled", 499)             \
    X(TOC_PROM_TIMEOUT, "timeout", 503)               \
    X(TOC_PROM_INTERNAL, "internal", 500)             \
    X(TOC_PROM_UNAVAILABLE, "unavailable", 500)       \
    X(TOC_PROM_NOT_FOUND, "not_found", 404)           \
    X(TOC_PROM_NOT_ACCEPTABLE, "not_acceptable", 406) \
    X(TOC_PROM_UNAUTHORIZED, "unauthorized", 401)     \
    X(TOC_PROM_FORBIDDEN, "forbidden", 403)           \
    X(TOC_PROM_TOO_MANY_FAILURES, "too_many_failures", 429)

enum toc_prom_error {
#define X(name, text, status) name,
    TOC_PROM_ERROR_TABLE(X)
#undef X
};
void toc_prom_error(struct toc_api_call *c, enum toc_prom_error type, const char *fmt, ...)
    TOC_PRINTF(3, 4);
/* bad_data: `invalid parameter "NAME": …` */
void toc_prom_bad(struct toc_api_call *c, const char *name, const char *fmt, ...) TOC_PRINTF(3, 4);
/* What went wrong below the API while it read stored data. */
void toc_prom_fail(struct toc_api_call *c, int rc, const struct toc_err *err);

/* The readers of parameters return false when they have answered already. */
/* Time: RFC 3339 or seconds. */
bool toc_prom_time(struct toc_api_call *c, const char *name, int64_t fallback_ms, int64_t *out_ms);
bool toc_prom_time_required(struct toc_api_call *c, const char *name, int64_t *out_ms);
/* start and end of the endpoints about metadata: everything when absent. */
bool toc_prom_time_range(struct toc_api_call *c, int64_t *start_ms, int64_t *end_ms);
/* Seconds or a PromQL duration; negative values are possible. TOC_EPARSE, or TOC_ELIMIT beyond 292
 * years. */
int toc_prom_duration_parse(struct toc_sv text, int64_t *out_ms) TOC_MUST_CHECK;
/* The reason as upstream words it, in the request's arena. */
const char *toc_prom_duration_error(struct toc_api_call *c, struct toc_sv text, int rc);
/* `limit`-like: absent, empty and 0 are no limit (0). */
bool toc_prom_limit(struct toc_api_call *c, const char *name, size_t *out);
/* A boolean as Go reads one (1, t, true, …). TOC_EPARSE. */
int toc_prom_bool_parse(struct toc_sv text, bool *out) TOC_MUST_CHECK;
/* The same as a parameter; empty is false. */
bool toc_prom_bool(struct toc_api_call *c, const char *name, struct toc_sv text, bool *out);

struct toc_promql_expr;
/* The expression in `query`; false: answered already. */
bool toc_prom_parse_expr(struct toc_api_call *c, struct toc_promql_expr **out);

/* `"text"` with Go's %q escapes, in the request's arena, for messages. */
const char *toc_prom_quote(struct toc_api_call *c, struct toc_sv text);

/* Appends what `U__…` stands for; false when the name is not escaped, or not rightly: then it is
 * meant as it is. */
bool toc_prom_unescape_name(struct toc_sv escaped, struct toc_buf *out);

/* Seconds as upstream writes them: three decimals unless they are zero. */
void toc_prom_seconds(struct toc_buf *out, int64_t t_ms);
/* [seconds,"value"] */
void toc_prom_point(struct toc_buf *out, int64_t t_ms, double value);
/* {"count":…,"sum":…,"buckets":[…]}; `scratch` is for the bucket list. TOC_ELIMIT. */
int toc_prom_histogram(struct toc_buf *out, const struct toc_histogram *h,
                       struct toc_arena *scratch) TOC_MUST_CHECK;
/* A time that has not come yet is the year 1, as Go writes it. */
void toc_prom_kv_time(struct toc_json_writer *w, const char *key, struct toc_ts t);
void toc_prom_labels(struct toc_buf *out, struct toc_labels labels);

#endif
