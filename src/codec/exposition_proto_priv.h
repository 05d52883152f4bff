/* What the files that read the protobuf exposition share. */
#ifndef TOC_CODEC_EXPOSITION_PROTO_PRIV_H
#define TOC_CODEC_EXPOSITION_PROTO_PRIV_H

#include "base/vec.h"
#include "codec/exposition_proto.h"
#include "codec/protobuf.h"

struct proto_span {
    int32_t offset; /* from the end of the span before */
    uint32_t length;
};

/* One side of a native histogram as it is read. */
struct proto_side {
    TOC_VEC(struct proto_span) spans;
    TOC_VEC(int32_t) index;
    TOC_VEC(double) count;
    int64_t last; /* sum of the differences so far */
    bool has_deltas, has_counts;
};

/* MetricType of client_model, by its numbers. */
enum proto_type {
    PROTO_COUNTER,
    PROTO_GAUGE,
    PROTO_SUMMARY,
    PROTO_UNTYPED,
    PROTO_HISTOGRAM,
    PROTO_GAUGE_HISTOGRAM,
    PROTO_TYPE_COUNT
};

struct proto_labels {
    struct toc_exposition_label *items; /* room for limits->max_labels + 1 */
    size_t count;
};

struct proto_parse {
    const struct toc_exposition_limits *limits;
    const struct toc_exposition_handler *handler;
    struct toc_err *err;
    int family; /* number, from 1 */
    struct toc_sv name;
    enum proto_type type;
    struct proto_labels labels, exemplar_labels;
    int64_t timestamp_ms;  /* of the metric; 0: none */
    int64_t start_ms;      /* of what is handed out from now on; 0: none */
    struct toc_buf metric; /* name with suffix */
    struct toc_buf text;   /* the series in the text format */
    struct proto_side positive, negative;
};

/* An error of the family at hand. */
int toc_proto_fail(struct proto_parse *p, int code, const char *what);
/* A google.protobuf.Timestamp; an error goes to the outer reader. A time beyond all reason becomes
 * the end of time. */
int64_t toc_proto_timestamp_ms(struct toc_pb_reader *outer, struct toc_sv body);
/* A Label message. */
int toc_proto_label(struct proto_parse *p, struct toc_sv body,
                    struct proto_labels *out) TOC_MUST_CHECK;
/* An Exemplar message; its labels go to p->exemplar_labels. */
int toc_proto_exemplar(struct proto_parse *p, struct toc_sv body,
                       struct toc_exposition_exemplar *out) TOC_MUST_CHECK;

/* A sample of the metric at hand to be handed out. */
struct proto_sample {
    const char *suffix;
    const char *label; /* one more, with `bound` as its value; NULL: none */
    double bound;
    double value;
    struct toc_sv exemplar; /* the message; NULL: none */
};
int toc_proto_emit(struct proto_parse *p, const struct proto_sample *s) TOC_MUST_CHECK;
/* A Histogram message of the metric at hand. */
int toc_proto_histogram(struct proto_parse *p, struct toc_sv body) TOC_MUST_CHECK;
/* The sample that stands for the whole metric, without value. Borrowed until the next call. */
int toc_proto_begin_sample(struct proto_parse *p, const char *suffix,
                           struct toc_exposition_sample *out) TOC_MUST_CHECK;

#endif
