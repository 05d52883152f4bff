/*
 * Spans of OTLP (opentelemetry/proto/collector/trace/v1), read for what is told of operations of
 * generative models: how long they took, when the first token came, how they ended, which model,
 * how many tokens, and what evaluators found. All else is passed over and nothing is kept:
 * attributes and events that hold what people wrote and what models answered are counted, their
 * content is never copied.
 */
#ifndef TOC_REMOTE_OTLP_SPAN_H
#define TOC_REMOTE_OTLP_SPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"

/* An evaluator's word (event gen_ai.evaluation.result); its explanation is content. */
struct otlp_evaluation {
    struct toc_sv name, label;
    double score; /* NAN: only a label */
};
enum { OTLP_EVALUATIONS_MAX = 16 /* of a span; more are left out and counted */ };

/* One span; views are borrowed for the call. "" and NAN: not told. */
struct otlp_span {
    struct toc_sv service; /* of the resource */
    struct toc_sv operation, provider, error_type;
    struct toc_sv request_model, response_model;
    uint64_t start_ns, end_ns;
    bool is_error; /* by its status */
    double input_tokens, output_tokens;
    double cached_tokens;    /* of the input: read from the provider's cache */
    double first_token_s;    /* after the start, as an attribute says */
    uint64_t first_token_ns; /* of an event that says so; 0: none */
    struct otlp_evaluation evaluations[OTLP_EVALUATIONS_MAX];
    size_t evaluation_count, evaluations_left_out;
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
/* An empty span of a service. */
struct otlp_span otlp_span_make(struct toc_sv service);

/* An event, its attributes added one after the other before it is taken. */
struct otlp_span_event {
    struct toc_sv name;
    uint64_t time_ns; /* 0: not told */
    size_t bytes;
    struct otlp_evaluation evaluation;
    uint64_t content_count, content_bytes; /* of attributes known to hold content */
};
struct otlp_span_event otlp_span_event_make(void);
void otlp_span_event_attribute(struct otlp_span_event *event, struct toc_sv key,
                               const struct otlp_span_value *value);
void otlp_span_event_take(struct otlp_span *span, const struct otlp_span_event *event);

#endif
