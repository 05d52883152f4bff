/*
 * Prometheus text exposition 0.0.4 and OpenMetrics 1.0 in, and text out. Errors carry line and
 * column. Format sources: prometheus.io/docs/instrumenting/exposition_formats, OpenMetrics 1.0.0.
 */
#ifndef TOC_CODEC_EXPOSITION_H
#define TOC_CODEC_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum toc_exposition_format {
    TOC_EXPOSITION_TEXT,
    TOC_EXPOSITION_OPENMETRICS,
    TOC_EXPOSITION_PROTOBUF /* exposition_proto.h; no text */
};

struct toc_exposition_label {
    struct toc_sv name;
    struct toc_sv value; /* unescaped */
};

/* Which measurement stands behind a counter or bucket (OpenMetrics). */
struct toc_exposition_exemplar {
    const struct toc_exposition_label *labels;
    size_t label_count;
    double value;
    bool has_timestamp;
    int64_t timestamp_ms;
};

struct toc_exposition_sample {
    struct toc_sv metric;
    const struct toc_exposition_label *labels; /* in input order, without the metric name */
    size_t label_count;
    bool is_known; /* the handler's `known` has told the series: no name and no labels here */
    bool has_timestamp;
    double value;
    int64_t timestamp_ms;
    int64_t start_ms;          /* when it began to count (protobuf only); 0: not told */
    struct toc_sv series_text; /* raw `name{…}`: a key for caches */
    const struct toc_exposition_exemplar *exemplar; /* NULL when there is none */
    int line;
};

/* Type as in model/sample.h's table by its text: "counter", "gauge", … */
struct toc_exposition_meta {
    struct toc_sv metric;
    struct toc_sv type; /* each empty when this line does not say it */
    struct toc_sv help;
    struct toc_sv unit;
    int line;
};

struct toc_exposition_limits {
    size_t max_labels;            /* per sample, default 128 */
    size_t max_label_name_bytes;  /* default 512 */
    size_t max_label_value_bytes; /* default 4096 */
    size_t max_line_bytes;        /* default 65536 */
};
extern const struct toc_exposition_limits TOC_EXPOSITION_DEFAULT_LIMITS;

struct toc_exposition_histogram;

/* Views are borrowed for the call. Non-zero stops and is returned. */
struct toc_exposition_handler {
    int (*sample)(void *ctx, const struct toc_exposition_sample *s);
    int (*meta)(void *ctx, const struct toc_exposition_meta *m); /* may be NULL */
    void *ctx;
    /* May be NULL. Asked before a line is read: how many bytes of it need no reading, because this
     * handler was given them before: a whole comment, or the series of a sample with a blank behind
     * it. 0: none. */
    size_t (*known)(void *ctx, struct toc_sv line);
    /* May be NULL. A native histogram (exposition_proto.h): the sample without its value. */
    int (*histogram)(void *ctx, const struct toc_exposition_sample *s,
                     const struct toc_exposition_histogram *h);
    bool wants_classic; /* the classic buckets of native histograms as well */
};

int toc_exposition_parse(enum toc_exposition_format format, struct toc_sv text,
                         const struct toc_exposition_limits *limits,
                         const struct toc_exposition_handler *handler,
                         struct toc_err *err) TOC_MUST_CHECK;

/* Text out: a label value, or a name beyond the classic ones, in quotes with its escapes. */
void toc_exposition_put_quoted(struct toc_sv s, struct toc_buf *out);

/* The whole OpenMetrics 1.0 rule book, beyond what scraping asks for: families stay together,
 * metadata comes first, suffixes, values and labels fit the type. For `check metrics`; TOC_EPARSE
 * with the line. */
int toc_openmetrics_check(struct toc_sv text, const struct toc_exposition_limits *limits,
                          struct toc_err *err) TOC_MUST_CHECK;

#endif
