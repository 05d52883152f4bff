/* Prometheus' envelope, and reading of its parameters. */
#include <math.h>
#include <stdio.h>

#include "api/prom_priv.h"
#include "base/num.h"

void toc_prom_begin(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "status", "success");
    toc_json_key(&c->json, "data");
}

void toc_prom_end(struct toc_api_call *c) {
    toc_json_end_object(&c->json);
}

void toc_prom_end_limited(struct toc_api_call *c, bool was_cut) {
    if (was_cut) {
        toc_json_key(&c->json, "warnings");
        toc_json_raw(&c->json, TOC_SV("[\"" TOC_PROM_CUT "\"]"));
    }
    toc_prom_end(c);
}

static const struct {
    const char *text;
    int status;
} g_errors[] = {
#define X(name, text, status) [name] = {text, status},
    TOC_PROM_ERROR_TABLE(X)
#undef X
};

static void answer_error(struct toc_api_call *c, enum toc_prom_error type, struct toc_sv text) {
    toc_api_restart(c);
    c->res->status = g_errors[type].status;
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "status", "error");
    toc_json_kv_cstr(&c->json, "errorType", g_errors[type].text);
    toc_json_kv_string(&c->json, "error", text);
    toc_json_end_object(&c->json);
}

void toc_prom_error(struct toc_api_call *c, enum toc_prom_error type, const char *fmt, ...) {
    struct toc_buf text = TOC_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    answer_error(c, type, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

void toc_prom_bad(struct toc_api_call *c, const char *name, const char *fmt, ...) {
    struct toc_buf text = TOC_BUF_INIT;
    va_list ap;
    toc_buf_printf(&text, "invalid parameter \"%s\": ", name);
    va_start(ap, fmt);
    toc_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    answer_error(c, TOC_PROM_BAD_DATA, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

void toc_prom_fail(struct toc_api_call *c, int rc, const struct toc_err *err) {
    toc_prom_error(c, TOC_PROM_EXECUTION, "%s", err->message[0] ? err->message : toc_strerror(rc));
}

/* ------------------------------------------------------------------------------------------
 * times */

/* Beyond, milliseconds leave int64_t. */
static const double SECONDS_MAX = 9.2e15;

/* How upstream's clients write "from the beginning" and "to the end". */
static const char g_min_time[] = "-292273086-05-16T16:47:06Z";
static const char g_max_time[] = "292277025-08-18T07:12:54.999999999Z";
static const int64_t MIN_TIME_MS = INT64_MIN / 2, MAX_TIME_MS = INT64_MAX / 2;

static int parse_time(struct toc_sv text, int64_t *out_ms) {
    double seconds;
    struct toc_ts t;
    if (toc_parse_f64(text, &seconds) == 0) {
        if (!(fabs(seconds) < SECONDS_MAX))
            return TOC_EPARSE;
        *out_ms = (int64_t)llround(seconds * 1000.0);
        return 0;
    }
    if (toc_ts_parse_rfc3339(text, &t, NULL) == 0)
        *out_ms = t.ms;
    else if (toc_sv_eq_cstr(text, g_min_time))
        *out_ms = MIN_TIME_MS;
    else if (toc_sv_eq_cstr(text, g_max_time))
        *out_ms = MAX_TIME_MS;
    else
        return TOC_EPARSE;
    return 0;
}

bool toc_prom_time(struct toc_api_call *c, const char *name, int64_t fallback_ms, int64_t *out_ms) {
    struct toc_sv text = toc_api_param(c, name);
    *out_ms = fallback_ms;
    if (text.n == 0 || parse_time(text, out_ms) == 0)
        return true;
    toc_prom_bad(c, name, "invalid time value for '%s': cannot parse %s to a valid timestamp", name,
                 toc_prom_quote(c, text));
    return false;
}

bool toc_prom_time_required(struct toc_api_call *c, const char *name, int64_t *out_ms) {
    struct toc_sv text = toc_api_param(c, name);
    if (parse_time(text, out_ms) == 0)
        return true;
    toc_prom_bad(c, name, "cannot parse %s to a valid timestamp", toc_prom_quote(c, text));
    return false;
}

bool toc_prom_time_range(struct toc_api_call *c, int64_t *start_ms, int64_t *end_ms) {
    return toc_prom_time(c, "start", MIN_TIME_MS, start_ms) &&
           toc_prom_time(c, "end", MAX_TIME_MS, end_ms);
}

int toc_prom_duration_parse(struct toc_sv text, int64_t *out_ms) {
    double seconds;
    if (toc_parse_f64(text, &seconds) < 0)
        return toc_duration_parse(text, out_ms, NULL);
    if (!(fabs(seconds) < SECONDS_MAX / 1e6)) /* upstream counts nanoseconds */
        return isnan(seconds) ? TOC_EPARSE : TOC_ELIMIT;
    *out_ms = (int64_t)(seconds * 1e9) / 1000000;
    return 0;
}

const char *toc_prom_duration_error(struct toc_api_call *c, struct toc_sv text, int rc) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b, "cannot parse %s to a valid duration%s", toc_prom_quote(c, text),
                   rc == TOC_ELIMIT ? ". It overflows int64" : "");
    const char *kept = toc_arena_dup_sv(c->req->arena, toc_buf_sv(&b)).p;
    toc_buf_fini(&b);
    return kept ? kept : "";
}

/* ------------------------------------------------------------------------------------------
 * numbers */

bool toc_prom_limit(struct toc_api_call *c, const char *name, size_t *out) {
    struct toc_sv text = toc_api_param(c, name);
    int64_t n = 0;
    *out = 0;
    if (text.n && toc_parse_i64(text, &n) < 0) {
        toc_prom_bad(c, name, "strconv.Atoi: parsing %s: invalid syntax", toc_prom_quote(c, text));
        return false;
    }
    if (n < 0) {
        toc_prom_bad(c, name, "limit must be non-negative");
        return false;
    }
    *out = (size_t)n;
    return true;
}

int toc_prom_bool_parse(struct toc_sv text, bool *out) {
    static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        *out = toc_sv_eq_cstr(text, yes[i]);
        if (*out || toc_sv_eq_cstr(text, no[i]))
            return 0;
    }
    return TOC_EPARSE;
}

bool toc_prom_bool(struct toc_api_call *c, const char *name, struct toc_sv text, bool *out) {
    *out = false;
    if (text.n == 0 || toc_prom_bool_parse(text, out) == 0)
        return true;
    toc_prom_bad(c, name, "strconv.ParseBool: parsing %s: invalid syntax", toc_prom_quote(c, text));
    return false;
}

const char *toc_prom_quote(struct toc_api_call *c, struct toc_sv text) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_append_char(&b, '"');
    for (size_t i = 0; i < text.n; i++) {
        unsigned char byte = (unsigned char)text.p[i];
        if (byte == '"' || byte == '\\')
            toc_buf_printf(&b, "\\%c", byte);
        else if (byte == '\n')
            toc_buf_append_cstr(&b, "\\n");
        else if (byte == '\t')
            toc_buf_append_cstr(&b, "\\t");
        else if (byte == '\r')
            toc_buf_append_cstr(&b, "\\r");
        else if (byte < 0x20 || byte == 0x7f)
            toc_buf_printf(&b, "\\x%02x", byte);
        else
            toc_buf_append_char(&b, (char)byte);
    }
    toc_buf_append_char(&b, '"');
    const char *kept = toc_arena_dup_sv(c->req->arena, toc_buf_sv(&b)).p;
    toc_buf_fini(&b);
    return kept ? kept : "";
}
