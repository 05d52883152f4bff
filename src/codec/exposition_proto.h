/*
 * The protobuf exposition: messages io.prometheus.client.MetricFamily one behind the other, each
 * after its length as a varint (`application/vnd.google.protobuf;
 * proto=io.prometheus.client.MetricFamily; encoding=delimited`). What is handed out is what the
 * text format would have said (`_bucket` with `le`, `_sum`, `_count`, `quantile`), so that both
 * give the same series, and native histograms besides. Format source:
 * github.com/prometheus/client_model, prometheus.io/docs/instrumenting/exposition_formats.
 *
 * Fields that are not known are stepped over.
 */
#ifndef TOC_CODEC_EXPOSITION_PROTO_H
#define TOC_CODEC_EXPOSITION_PROTO_H

#include "codec/exposition.h"

enum { TOC_EXPOSITION_BUCKETS_MAX = 1 << 16 }; /* of one side of a native histogram */

/* The populated buckets of one side: indexes rise strictly, counts are absolute. */
struct toc_exposition_buckets {
    const int32_t *index;
    const double *count;
    size_t size;
};

struct toc_exposition_histogram {
    int32_t schema;
    bool is_gauge;
    double zero_threshold, zero_count, count, sum;
    struct toc_exposition_buckets positive, negative;
};

/* Calls `meta` for each family, then `sample` or `histogram` for each of its values; `known` is not
 * asked. With a NULL `histogram`, native histograms are told as classic ones. `line` is the number
 * of the family, as in the error. Of the limits max_line_bytes bounds name, help and unit. Errors:
 * TOC_EPARSE, TOC_ETRUNCATED, TOC_ELIMIT, or what a handler returned; what came before the broken
 * family has been handed out. */
int toc_exposition_proto_parse(struct toc_sv bytes, const struct toc_exposition_limits *limits,
                               const struct toc_exposition_handler *handler,
                               struct toc_err *err) TOC_MUST_CHECK;

#endif
