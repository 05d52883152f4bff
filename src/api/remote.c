/* What other servers of metrics speak: remote write in, remote read. Refusals are plain text, as
 * theirs. */
#include <stdio.h>

#include "api/api_priv.h"
#include "codec/compress.h"
#include "remote/remote_read.h"

enum { MESSAGE_MAX = 32 << 20 }; /* after decompression */

static void answer_text(struct toc_api_call *c, int status, const char *fmt, ...) TOC_PRINTF(3, 4);

static void answer_text(struct toc_api_call *c, int status, const char *fmt, ...) {
    toc_api_restart(c);
    c->res->status = status;
    c->res->content_type = "text/plain; charset=utf-8";
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&c->res->body, fmt, ap);
    va_end(ap);
    toc_buf_append_char(&c->res->body, '\n');
}

/* `application/x-protobuf`, with the message in `proto=`; without: 1.0, as old senders do. */
static bool parse_message(struct toc_sv type, enum toc_remote_message *out) {
    struct toc_sv rest = type, part;
    *out = TOC_REMOTE_WRITE_1;
    if (!type.n)
        return true;
    if (!toc_sv_split(&rest, ';', &part) ||
        !toc_sv_eq_nocase(toc_sv_trim(part), TOC_SV("application/x-protobuf")))
        return false;
    while (toc_sv_split(&rest, ';', &part)) {
        struct toc_sv p = toc_sv_trim(part);
        if (!toc_sv_starts_with(p, TOC_SV("proto=")))
            continue;
        struct toc_sv name = toc_sv_sub(p, 6, p.n);
        if (toc_sv_eq(name, TOC_SV("io.prometheus.write.v2.Request")))
            *out = TOC_REMOTE_WRITE_2;
        else if (!toc_sv_eq(name, TOC_SV("prometheus.WriteRequest")))
            return false;
    }
    return true;
}

/* The HTTP server has undone `Content-Encoding: snappy`; a sender that leaves the header out sends
 * snappy all the same. */
static bool read_message(struct toc_api_call *c, struct toc_buf *own, struct toc_sv *out) {
    struct toc_sv coding = toc_http_header(c->req, "Content-Encoding");
    struct toc_err err = {0};
    *out = c->req->body;
    if (coding.n && !toc_sv_eq_nocase(coding, TOC_SV("snappy"))) {
        answer_text(c, 415,
                    "%.*s encoding (compression) is not accepted by this server; only "
                    "snappy is acceptable",
                    TOC_SV_ARG(coding));
        return false;
    }
    if (coding.n)
        return true;
    int rc = toc_decompress(TOC_COMPRESSION_SNAPPY, c->req->body, MESSAGE_MAX, own, &err);
    *out = toc_buf_sv(own);
    if (rc)
        answer_text(c, rc == TOC_ELIMIT ? 413 : 400, "%s", err.message);
    return rc == 0;
}

static void add_written(struct toc_api_call *c, const struct toc_remote_outcome *o) {
    toc_http_response_header(c->res, "X-Prometheus-Remote-Write-Samples-Written", "%zu",
                             o->samples);
    toc_http_response_header(c->res, "X-Prometheus-Remote-Write-Histograms-Written", "%zu",
                             o->histograms);
    toc_http_response_header(c->res, "X-Prometheus-Remote-Write-Exemplars-Written", "%zu",
                             o->exemplars);
}

/* 4xx: the sender drops the request; 5xx: it comes again. */
static int failure_status(int rc) {
    if (rc == TOC_EPARSE || rc == TOC_ETRUNCATED || rc == TOC_ELIMIT)
        return 400;
    return 503;
}

/* false: answered. 409, as a sender gives up on it: another try would be no better. */
static bool check_way(struct toc_api_call *c, bool *is_echo) {
    struct toc_remote_path *path = c->api->parts.remote_path;
    enum toc_remote_way way =
        path ? toc_remote_path_meet(path, toc_http_header(c->req, TOC_REMOTE_PATH_HEADER),
                                    c->req->peer)
             : TOC_REMOTE_WAY_FREE;
    *is_echo = way == TOC_REMOTE_WAY_LOOP;
    if (way != TOC_REMOTE_WAY_OWN)
        return true;
    answer_text(c, 409,
                "this server sent it to itself, and has these samples: take the receiver whose url "
                "leads here out of remote_write");
    return false;
}

void toc_api_remote_write(struct toc_api_call *c) {
    struct toc_remote_write *rw = c->api->parts.remote_write;
    enum toc_remote_message message;
    struct toc_buf own = TOC_BUF_INIT;
    struct toc_remote_outcome o = {0};
    struct toc_err err = {0};
    struct toc_sv body;
    bool is_echo;
    if (!rw) {
        answer_text(c, 404, "remote write receiver needs to be enabled");
    } else if (!parse_message(c->req->content_type, &message)) {
        answer_text(c, 415, "%.*s is not accepted by this server",
                    TOC_SV_ARG(c->req->content_type));
    } else if (check_way(c, &is_echo) && read_message(c, &own, &body)) {
        int rc = toc_remote_write_receive(rw, message, is_echo, body, &o, &err);
        if (rc)
            answer_text(c, failure_status(rc), "%s", err.message);
        else if (o.is_partial)
            answer_text(c, 400, "%.*s", TOC_SV_ARG(toc_buf_sv(&o.text)));
        else
            c->res->status = 204;
        if (message == TOC_REMOTE_WRITE_2)
            add_written(c, &o);
    }
    toc_buf_fini(&o.text);
    toc_buf_fini(&own);
}

static void answer_samples(struct toc_api_call *c, struct toc_query *q, struct toc_sv body) {
    struct toc_query_limits limits = toc_query_gate_limits(c->api->queries);
    struct toc_remote_read_options o = {.querier = c->api->parts.querier,
                                        .max_samples = limits.max_samples,
                                        .should_stop = toc_query_should_stop,
                                        .ctx = q};
    struct toc_buf plain = TOC_BUF_INIT;
    struct toc_err err = {0};
    plain.limit_bytes = limits.max_bytes;
    int rc = toc_remote_read(&o, body, &plain, &q->samples, &err);
    if (!rc)
        rc = toc_compress(TOC_COMPRESSION_SNAPPY, toc_buf_sv(&plain), &c->res->body);
    toc_buf_fini(&plain);
    if (rc) {
        bool is_theirs =
            rc == TOC_EPARSE || rc == TOC_ETRUNCATED || rc == TOC_EUNSUPPORTED || rc == TOC_ELIMIT;
        answer_text(c, is_theirs ? 400 : 500, "%s", err.message);
        return;
    }
    c->res->content_type = "application/x-protobuf";
    toc_http_response_header(c->res, "Content-Encoding", "snappy");
}

void toc_api_remote_read(struct toc_api_call *c) {
    struct toc_query q = {.request = c->req,
                          .kind = "remote_read",
                          .text = TOC_SV("remote read"),
                          .actor = toc_sv_cstr(c->actor)};
    struct toc_buf own = TOC_BUF_INIT;
    struct toc_sv body;
    if (!read_message(c, &own, &body))
        return;
    if (toc_query_begin(c->api->queries, &q, 0) < 0) {
        answer_text(c, 503, "too many queries run");
    } else {
        answer_samples(c, &q, body);
        toc_query_end(&q);
    }
    toc_buf_fini(&own);
}
