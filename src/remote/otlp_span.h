/*
 * Spans of OTLP (opentelemetry/proto/collector/trace/v1), read for what is told of operations of
 * generative models: how long they took, how they ended, which model, how many tokens. All else is
 * passed over and nothing is kept: attributes and events that hold what people wrote and what
 * models answered are counted, their content is never copied.
 */
#ifndef TOC_REMOTE_OTLP_SPAN_H
#define TOC_REMOTE_OTLP_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"

/* One span; views are borrowed for the call. "" and NAN: not told. */
struct otlp_span {
    struct toc_sv service; /* of the resource */
    struct toc_sv operation, provider, error_type;
    struct toc_sv request_model, response_model;
    uint64_t start_ns, end_ns;
    bool is_error; /* by its status */
    double input_tokens, output_tokens;
    bool is_generative;                    /* some attribute of gen_ai.* */
    uint64_t content_count, content_bytes; /* attributes and events that hold content */
};

typedef void otlp_on_span(void *ctx, const struct otlp_span *span);

/* Calls fn for each span of an ExportTraceServiceRequest. TOC_EPARSE, TOC_ETRUNCATED: it is none;
 * spans before the damage may have been told. TOC_ELIMIT: too large. */
int otlp_spans_proto(struct toc_sv body, otlp_on_span *fn, void *ctx,
                     struct toc_err *err) TOC_MUST_CHECK;
int otlp_spans_json(struct toc_sv body, otlp_on_span *fn, void *ctx,
                    struct toc_err *err) TOC_MUST_CHECK;

/* An attribute, before its meaning is known. Shared by both encodings. */
struct otlp_span_value {
    struct toc_sv text;
    double number; /* NAN: a text or something else */
    size_t bytes;
};
void otlp_span_attribute(struct otlp_span *span, struct toc_sv key,
                         const struct otlp_span_value *value);
void otlp_span_event(struct otlp_span *span, struct toc_sv name, size_t bytes);

#endif
