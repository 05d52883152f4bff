/*
 * ExportMetricsServiceRequest of OTLP (opentelemetry-proto v1, collector/metrics/v1) as one tree
 * for both of its encodings. Texts are borrowed from the body (protobuf) or live in the arena, as
 * everything else does. What an attribute's value is in its kind is told as text here already.
 */
#ifndef TOC_REMOTE_OTLP_MESSAGE_H
#define TOC_REMOTE_OTLP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

/* What a message that is too large is told; TOC_ELIMIT. */
#define OTLP_TOO_MANY_POINTS "more than 262144 data points; send smaller batches"
#define OTLP_TOO_MANY_BUCKETS "more than 65536 buckets in one data point"
#define OTLP_TOO_DEEP "the value of an attribute is nested more than 8 deep"
#define OTLP_TOO_LARGE "it needs more than 128 MiB when it is unpacked; send smaller batches"
#define OTLP_JSON_TOO_LARGE "JSON messages may have 8 MiB; send smaller batches or protobuf"

enum {
    TOC_OTLP_JSON_BYTES_MAX = 8 << 20,  /* a parsed document takes 14 times its length */
    TOC_OTLP_POINTS_MAX = 1 << 18,      /* of a message */
    TOC_OTLP_VALUE_DEPTH_MAX = 8,       /* arrays and maps within an attribute's value */
    TOC_OTLP_BUCKETS_MAX = 1 << 16,     /* of one side of a point; the store takes fewer */
    TOC_OTLP_MESSAGE_BYTES = 128 << 20, /* of the tree */
};

struct otlp_attribute {
    struct toc_sv key, value;
};
struct otlp_attributes {
    struct otlp_attribute *items;
    size_t count;
};

struct otlp_exemplar {
    struct otlp_attributes attributes;
    int64_t time_ns;
    double value;
    struct toc_sv trace_id, span_id; /* hexadecimal; empty: none */
};

struct otlp_numbers {
    double *items;
    size_t count;
};
struct otlp_buckets {
    int32_t offset;
    struct otlp_numbers counts;
};
struct otlp_quantile {
    double quantile, value;
};

/* Of a histogram, an exponential histogram or a summary. */
struct otlp_distribution {
    uint64_t count;
    double sum;
    bool has_sum;
    struct otlp_numbers counts, bounds; /* histogram */
    int32_t scale;                      /* exponential histogram and the next four */
    double zero_count, zero_threshold;
    struct otlp_buckets positive, negative;
    struct otlp_quantile *quantiles; /* summary */
    size_t quantile_count;
};

enum { OTLP_FLAG_NO_RECORDED_VALUE = 1 };

struct otlp_point {
    struct otlp_attributes attributes;
    int64_t start_ns, time_ns;
    uint32_t flags;
    bool has_value; /* of a number */
    double value;
    struct otlp_distribution *distribution; /* NULL for a number */
    struct otlp_exemplar *exemplars;
    size_t exemplar_count;
};

enum otlp_kind {
    OTLP_NONE,
    OTLP_GAUGE,
    OTLP_SUM,
    OTLP_HISTOGRAM,
    OTLP_EXPONENTIAL,
    OTLP_SUMMARY,
};
enum otlp_temporality { OTLP_UNSPECIFIED, OTLP_DELTA, OTLP_CUMULATIVE };

struct otlp_metric {
    struct toc_sv name, description, unit;
    enum otlp_kind kind;
    enum otlp_temporality temporality;
    bool is_monotonic;
    struct otlp_point *points;
    size_t count;
};
struct otlp_scope {
    struct toc_sv name, version, schema_url;
    struct otlp_attributes attributes;
    struct otlp_metric *metrics;
    size_t count;
};
struct otlp_resource {
    struct otlp_attributes attributes;
    struct otlp_scope *scopes;
    size_t count;
};
struct otlp_message {
    struct otlp_resource *resources;
    size_t count, point_count;
};

/* TOC_EPARSE, TOC_ETRUNCATED: no such message; TOC_ELIMIT: larger than the limits above, or than
 * the arena's budget. */
int otlp_decode_proto(struct toc_sv body, struct toc_arena *arena, struct otlp_message *out,
                      struct toc_err *err) TOC_MUST_CHECK;
int otlp_decode_json(struct toc_sv body, struct toc_arena *arena, struct otlp_message *out,
                     struct toc_err *err) TOC_MUST_CHECK;

#endif
