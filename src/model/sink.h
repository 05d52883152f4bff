/*
 * How samples are written: the interface between collectors (and recording rules, detectors) and
 * whoever stores series. A write returns when its samples are durable as configured: acknowledged
 * means in the log.
 */
#ifndef TOC_MODEL_SINK_H
#define TOC_MODEL_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/sample.h"

struct toc_point {
    struct toc_labels labels; /* with __name__ */
    int64_t t_ms;
    double value;
    const struct toc_histogram *histogram; /* a native histogram; NULL: a float sample */
};

static inline struct toc_point toc_float_point(struct toc_labels labels, int64_t t_ms,
                                               double value) {
    return (struct toc_point){labels, t_ms, value, NULL};
}

/* X(enum, reason label): why a sample was refused; counted, never silent. */
#define TOC_REJECT_TABLE(X)                              \
    X(TOC_REJECT_OUT_OF_ORDER, "out_of_order")           \
    X(TOC_REJECT_DUPLICATE, "duplicate_timestamp")       \
    X(TOC_REJECT_TOO_OLD, "too_old")                     \
    X(TOC_REJECT_TOO_FAR_IN_FUTURE, "too_far_in_future") \
    X(TOC_REJECT_INVALID_LABELS, "invalid_labels")       \
    X(TOC_REJECT_SERIES_LIMIT, "series_limit")           \
    X(TOC_REJECT_LABEL_LIMIT, "label_limit")             \
    X(TOC_REJECT_INVALID_HISTOGRAM, "invalid_histogram") \
    X(TOC_REJECT_SOURCE, "source_limit")                 \
    X(TOC_REJECT_CHURN, "churn_limit")                   \
    X(TOC_REJECT_MEMORY, "memory_budget")

enum toc_reject_reason {
#define X(name, text) name,
    TOC_REJECT_TABLE(X)
#undef X
        TOC_REJECT_REASON_COUNT
};
const char *toc_reject_text(enum toc_reject_reason reason);

struct toc_write_result {
    size_t accepted;
    size_t rejected[TOC_REJECT_REASON_COUNT];
};

struct toc_sink {
    /* Writes all points it can; a refused point never stops the others. Returns 0 when everything
     * accepted is durable, else a negative code and nothing of this batch may be taken as
     * acknowledged. */
    int (*write)(struct toc_sink *s, const struct toc_point *points, size_t count,
                 struct toc_write_result *out_result, struct toc_err *err);
    /* Type, help and unit of a metric; the last word wins. May be NULL in tests. */
    void (*metadata)(struct toc_sink *s, struct toc_sv metric, enum toc_metric_type type,
                     struct toc_sv help, struct toc_sv unit);
};

#endif
