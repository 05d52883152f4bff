/* What OTLP/HTTP answers: ExportMetricsServiceResponse, google.rpc.Status. */
#include <stdio.h>

#include "codec/json_writer.h"
#include "codec/protobuf.h"
#include "remote/otlp.h"

static void put_json_response(const struct toc_otlp_outcome *x, struct toc_buf *out) {
    struct toc_json_writer w;
    char rejected[24]; /* 64-bit integers are strings */
    snprintf(rejected, sizeof rejected, "%zu", x->rejected_points);
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    if (x->text.n || x->rejected_points) {
        toc_json_key(&w, "partialSuccess");
        toc_json_begin_object(&w);
        if (x->rejected_points)
            toc_json_kv_cstr(&w, "rejectedDataPoints", rejected);
        toc_json_kv_string(&w, "errorMessage", toc_buf_sv(&x->text));
        toc_json_end_object(&w);
    }
    toc_json_end_object(&w);
}

static void put_proto_response(const struct toc_otlp_outcome *x, struct toc_buf *out) {
    if (!x->text.n && !x->rejected_points)
        return; /* the empty message */
    size_t mark = toc_pb_begin(out, 1);
    if (x->rejected_points)
        toc_pb_put_u64(out, 1, x->rejected_points);
    toc_pb_put_bytes(out, 2, toc_buf_sv(&x->text));
    toc_pb_end(out, mark);
}

void toc_otlp_put_response(enum toc_otlp_encoding encoding, const struct toc_otlp_outcome *outcome,
                           struct toc_buf *out) {
    if (encoding == TOC_OTLP_JSON)
        put_json_response(outcome, out);
    else
        put_proto_response(outcome, out);
}

void toc_otlp_put_status(enum toc_otlp_encoding encoding, enum toc_otlp_status code,
                         struct toc_sv message, struct toc_buf *out) {
    if (encoding == TOC_OTLP_PROTOBUF) {
        toc_pb_put_u64(out, 1, (uint64_t)code);
        toc_pb_put_bytes(out, 2, message);
        return;
    }
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_kv_int(&w, "code", code);
    toc_json_kv_string(&w, "message", message);
    toc_json_end_object(&w);
}
