/*
 * Spans of operations of generative models become counters and histograms by service, provider,
 * model and operation (docs/design/otlp.md); the spans themselves are not kept.
 *
 *   gen_ai_span_requests_total                          operations that ended
 *   gen_ai_span_errors_total{error_type}                of them with an error
 *   gen_ai_span_duration_seconds_{bucket,sum,count}     how long they took
 *   gen_ai_span_time_to_first_token_seconds_{…}         until their first token, where told
 *   gen_ai_span_tokens_total{direction=input|output|input_cached}  what they read and wrote
 *   gen_ai_span_evaluations_total{evaluation,result}    what evaluators said
 *   gen_ai_span_evaluation_score{evaluation,result}     mean of their scores since the last sample
 *
 * Numbers are summed in memory and written at most once a second: what was counted since is lost
 * when the program dies. Thread-safe.
 */
#ifndef TOC_REMOTE_SPAN_METRICS_H
#define TOC_REMOTE_SPAN_METRICS_H

#include "model/sink.h"
#include "remote/otlp.h"

struct toc_spans;

/* Values beyond the limits are counted under "_overflow_". Zeros: the defaults. */
struct toc_spans_options {
    struct toc_sink *sink;
    struct toc_clock *clock;
    size_t max_values; /* of a label, 0: 100 */
    size_t max_series; /* combinations of labels, 0: 2000; more are not counted but told */
};

struct toc_spans *toc_spans_new(const struct toc_spans_options *o);
void toc_spans_free(struct toc_spans **s);

/* Takes one message (not compressed). TOC_EPARSE, TOC_ETRUNCATED, TOC_ELIMIT: it is bad, and no
 * span of it was counted. */
int toc_spans_receive(struct toc_spans *s, enum toc_otlp_encoding encoding, struct toc_sv body,
                      struct toc_err *err) TOC_MUST_CHECK;
/* Writes what changed since the last time. Meant to run every few seconds. */
void toc_spans_flush(struct toc_spans *s);

/* X(member, what it counts) */
#define TOC_SPANS_COUNTER_TABLE(X)                                                  \
    X(spans, "spans received")                                                      \
    X(counted, "of them counted as operations of generative models")                \
    X(others, "of them of something else, which are passed over")                   \
    X(bad_times, "operations that end before they begin: without a duration")       \
    X(overflowed, "label values beyond the limit, counted as _overflow_")           \
    X(dropped, "operations not counted: too many combinations of labels")           \
    X(bad_first_tokens, "first tokens before the start or after the end: left out") \
    X(evaluations, "words of evaluators counted")                                   \
    X(evaluations_left_out, "of them left out: without a result, or too many")      \
    X(contents, "attributes and events with prompts or answers: not kept")          \
    X(content_bytes, "bytes of these")                                              \
    X(failed_requests, "messages that were not taken")                              \
    X(failed_writes, "writes that the store refused; their numbers come again")

struct toc_spans_stats {
    uint64_t requests[TOC_OTLP_ENCODING_COUNT];
#define X(member, what) uint64_t member;
    TOC_SPANS_COUNTER_TABLE(X)
#undef X
};
void toc_spans_stats(struct toc_spans *s, struct toc_spans_stats *out);

#endif
