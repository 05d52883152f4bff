/* Sample values that carry a meaning beyond their number. */
#ifndef TOC_MODEL_SAMPLE_H
#define TOC_MODEL_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Prometheus' NaN payloads (model/value): the series ended here; an ordinary NaN from a target. */
#define TOC_STALE_NAN_BITS 0x7ff0000000000002ULL
#define TOC_NORMAL_NAN_BITS 0x7ff8000000000001ULL

static inline uint64_t toc_f64_bits(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double toc_f64_from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline double toc_stale_nan(void) {
    return toc_f64_from_bits(TOC_STALE_NAN_BITS);
}
static inline bool toc_is_stale_nan(double v) {
    return toc_f64_bits(v) == TOC_STALE_NAN_BITS;
}

/* Metric types as in the exposition formats. X(enum, text) */
#define TOC_METRIC_TYPE_TABLE(X)                    \
    X(TOC_METRIC_UNKNOWN, "unknown")                \
    X(TOC_METRIC_COUNTER, "counter")                \
    X(TOC_METRIC_GAUGE, "gauge")                    \
    X(TOC_METRIC_HISTOGRAM, "histogram")            \
    X(TOC_METRIC_GAUGE_HISTOGRAM, "gaugehistogram") \
    X(TOC_METRIC_SUMMARY, "summary")                \
    X(TOC_METRIC_INFO, "info")                      \
    X(TOC_METRIC_STATESET, "stateset")

enum toc_metric_type {
#define X(name, text) name,
    TOC_METRIC_TYPE_TABLE(X)
#undef X
};

/* Static text; "unknown" for a value outside the table. */
static inline const char *toc_metric_type_text(enum toc_metric_type type) {
    switch (type) {
#define X(name, text) \
    case name:        \
        return text;
        TOC_METRIC_TYPE_TABLE(X)
#undef X
    default:
        return "unknown";
    }
}

#endif
