/* OTLP/HTTP (opentelemetry.io/docs/specs/otlp): answers in the encoding of the request. */
#include "api/api_priv.h"

enum { RETRY_AFTER_S = 5 };

static bool parse_encoding(struct toc_sv type, enum toc_otlp_encoding *out) {
    struct toc_sv rest = type, part = TOC_SV_NULL;
    (void)toc_sv_split(&rest, ';', &part);
    part = toc_sv_trim(part);
    *out = toc_sv_eq_nocase(part, TOC_SV("application/json")) ? TOC_OTLP_JSON : TOC_OTLP_PROTOBUF;
    return *out == TOC_OTLP_JSON || toc_sv_eq_nocase(part, TOC_SV("application/x-protobuf"));
}

static void begin_answer(struct toc_api_call *c, enum toc_otlp_encoding encoding, int status) {
    toc_api_restart(c);
    c->res->status = status;
    c->res->content_type =
        encoding == TOC_OTLP_JSON ? "application/json" : "application/x-protobuf";
}

static void answer_status(struct toc_api_call *c, enum toc_otlp_encoding encoding, int status,
                          enum toc_otlp_status code, const char *message) {
    begin_answer(c, encoding, status);
    toc_otlp_put_status(encoding, code, toc_sv_cstr(message), &c->res->body);
}

/* A sender drops what is answered by 400 and 413, and sends the same again after a 503. */
static void answer_failure(struct toc_api_call *c, enum toc_otlp_encoding encoding, int rc,
                           const struct toc_err *err) {
    if (rc == TOC_EPARSE || rc == TOC_ETRUNCATED) {
        answer_status(c, encoding, 400, TOC_OTLP_INVALID_ARGUMENT, err->message);
    } else if (rc == TOC_ELIMIT) {
        answer_status(c, encoding, 413, TOC_OTLP_RESOURCE_EXHAUSTED, err->message);
    } else {
        answer_status(c, encoding, 503, TOC_OTLP_UNAVAILABLE, err->message);
        toc_http_response_header(c->res, "Retry-After", "%d", RETRY_AFTER_S);
    }
}

static bool need_encoding(struct toc_api_call *c, enum toc_otlp_encoding *out) {
    if (parse_encoding(c->req->content_type, out))
        return true;
    toc_api_problem(c, 415, "unsupported_type",
                    "OTLP is taken as application/x-protobuf or application/json, not \"%.*s\"",
                    TOC_SV_ARG(c->req->content_type));
    return false;
}

/* Spans become metrics; all that are well formed are taken. */
void toc_api_otlp_traces(struct toc_api_call *c) {
    const struct toc_otlp_outcome all_taken = {0};
    enum toc_otlp_encoding encoding;
    struct toc_err err = {0};
    if (!need_encoding(c, &encoding))
        return;
    int rc = toc_spans_receive(c->api->parts.spans, encoding, c->req->body, &err);
    if (rc) {
        answer_failure(c, encoding, rc, &err);
        return;
    }
    begin_answer(c, encoding, 200);
    toc_otlp_put_response(encoding, &all_taken, &c->res->body);
}

void toc_api_otlp_metrics(struct toc_api_call *c) {
    enum toc_otlp_encoding encoding;
    struct toc_otlp_outcome outcome;
    struct toc_err err = {0};
    if (!need_encoding(c, &encoding))
        return;
    int rc = toc_otlp_receive(c->api->parts.otlp, encoding, c->req->body, &outcome, &err);
    if (rc) {
        answer_failure(c, encoding, rc, &err);
    } else {
        begin_answer(c, encoding, 200);
        toc_otlp_put_response(encoding, &outcome, &c->res->body);
    }
    toc_buf_fini(&outcome.text);
}
