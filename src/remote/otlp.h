/*
 * Receiver of OpenTelemetry metrics, OTLP/HTTP 1.x in protobuf and JSON
 * (opentelemetry.io/docs/specs/otlp): one message of a sender becomes one write to the store.
 * docs/design/otlp.md tells what becomes of each kind of metric and what is refused. Thread-safe.
 */
#ifndef TOC_REMOTE_OTLP_H
#define TOC_REMOTE_OTLP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "metricdb/metricdb.h"
#include "remote/otlp_name.h"
#include "sys/clock.h"

enum toc_otlp_encoding { TOC_OTLP_PROTOBUF, TOC_OTLP_JSON, TOC_OTLP_ENCODING_COUNT };

/* A zero value has the defaults of Prometheus. Lists are copied where the options go. */
struct toc_otlp_options {
    struct toc_otlp_naming naming;
    const struct toc_sv *promoted; /* resource attributes that become labels of every series */
    size_t promoted_count;
    bool is_promoting_all; /* all but the ignored ones */
    const struct toc_sv *ignored;
    size_t ignored_count;
    bool keeps_identifying;    /* service.* stay in target_info */
    bool makes_custom_buckets; /* histograms become native ones with custom buckets */
    bool promotes_scope;       /* otel_scope_* labels */
    int64_t lookback_ms;       /* 0: 5 minutes; target_info comes twice in it */
    int64_t delta_max_series;  /* 0: 100,000 */
    int64_t delta_max_idle_ms; /* 0: 5 minutes */
};

struct toc_otlp;

/* `db` and `clock` must outlive it. */
struct toc_otlp *toc_otlp_new(const struct toc_otlp_options *options, struct toc_metricdb *db,
                              struct toc_clock *clock);
/* For the messages that come from now on. */
void toc_otlp_set_options(struct toc_otlp *o, const struct toc_otlp_options *options);
/* NULL is accepted. */
void toc_otlp_free(struct toc_otlp **o);

/* X(enum, reason): why a point was refused before it came to the store. */
#define TOC_OTLP_REFUSAL_TABLE(X)                          \
    X(TOC_OTLP_REFUSED_NO_DATA, "unsupported_type")        \
    X(TOC_OTLP_REFUSED_NO_VALUE, "no_value")               \
    X(TOC_OTLP_REFUSED_NAME, "invalid_name")               \
    X(TOC_OTLP_REFUSED_LABELS, "invalid_labels")           \
    X(TOC_OTLP_REFUSED_LABEL_COUNT, "label_limit")         \
    X(TOC_OTLP_REFUSED_TEMPORALITY, "invalid_temporality") \
    X(TOC_OTLP_REFUSED_BUCKETS, "invalid_buckets")         \
    X(TOC_OTLP_REFUSED_DELTA_ORDER, "delta_out_of_order")  \
    X(TOC_OTLP_REFUSED_DELTA_FULL, "delta_series_limit")

enum toc_otlp_refusal {
#define X(name, text) name,
    TOC_OTLP_REFUSAL_TABLE(X)
#undef X
        TOC_OTLP_REFUSAL_COUNT
};
const char *toc_otlp_refusal_text(enum toc_otlp_refusal r);

/* What became of a message. */
struct toc_otlp_outcome {
    size_t points;          /* of the message */
    size_t rejected_points; /* of which at least one sample was refused */
    size_t samples;         /* stored, histograms included */
    size_t exemplars, rejected_exemplars;
    size_t refused[TOC_OTLP_REFUSAL_COUNT];   /* points */
    size_t rejected[TOC_REJECT_REASON_COUNT]; /* samples that the store refused */
    struct toc_buf text; /* a line for each of the first refusals; the caller's to free */
};

/* Takes one message (not compressed). 0: what was not rejected is durable. TOC_EPARSE,
 * TOC_ETRUNCATED: no such message; TOC_ELIMIT: too large; nothing of it was stored. TOC_EBUSY: too
 * much at once; another code: the store failed; the same message may be sent again. */
int toc_otlp_receive(struct toc_otlp *o, enum toc_otlp_encoding encoding, struct toc_sv body,
                     struct toc_otlp_outcome *out, struct toc_err *err) TOC_MUST_CHECK;

/* Appends the answer to a message that was taken: ExportMetricsServiceResponse. */
void toc_otlp_put_response(enum toc_otlp_encoding encoding, const struct toc_otlp_outcome *outcome,
                           struct toc_buf *out);
/* Appends google.rpc.Status: a code of gRPC and a text for developers. */
enum toc_otlp_status {
    TOC_OTLP_INVALID_ARGUMENT = 3,
    TOC_OTLP_RESOURCE_EXHAUSTED = 8,
    TOC_OTLP_UNAVAILABLE = 14
};
void toc_otlp_put_status(enum toc_otlp_encoding encoding, enum toc_otlp_status code,
                         struct toc_sv message, struct toc_buf *out);

/* Since start. */
struct toc_otlp_stats {
    uint64_t requests[TOC_OTLP_ENCODING_COUNT];
    uint64_t points, rejected_points, samples, exemplars, rejected_exemplars, bytes;
    uint64_t failed_requests; /* of all reasons */
    uint64_t busy_requests;   /* of these: too many large ones at once */
    uint64_t refused[TOC_OTLP_REFUSAL_COUNT];
    uint64_t rejected[TOC_REJECT_REASON_COUNT];
    uint64_t delta_series, delta_bytes, delta_evicted;
};
void toc_otlp_stats(struct toc_otlp *o, struct toc_otlp_stats *out);

#endif
