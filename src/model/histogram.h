/*
 * Native histograms as PromQL computes with them: floating-point bucket counts, exponential or
 * custom bounds. Format and meaning: prometheus.io/docs/specs/native_histograms.
 *
 * Exponential, schema s in [-4, 8]: bucket i of the positive side holds (base^(i-1), base^i] with
 * base = 2^(2^-s); the negative side mirrors it. Custom, schema -53: bucket i holds
 * (custom_bounds[i-1], custom_bounds[i]], the first from -Inf, the last to +Inf; positive side
 * only.
 *
 * A histogram is immutable once it is shared; all arrays belong to whoever made it (an arena as a
 * rule). Functions that make one take the arena that owns the result and return NULL without
 * memory.
 */
#ifndef TOC_MODEL_HISTOGRAM_H
#define TOC_MODEL_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum {
    TOC_HISTOGRAM_SCHEMA_MIN = -4,
    TOC_HISTOGRAM_SCHEMA_MAX = 8,
    TOC_HISTOGRAM_SCHEMA_CUSTOM = -53,
};

/* X(enum, text): what is known about a counter reset between the sample before and this one. */
#define TOC_RESET_HINT_TABLE(X)     \
    X(TOC_RESET_UNKNOWN, "unknown") \
    X(TOC_RESET_YES, "reset")       \
    X(TOC_RESET_NO, "not_reset")    \
    X(TOC_RESET_GAUGE, "gauge")

enum toc_reset_hint {
#define X(name, text) name,
    TOC_RESET_HINT_TABLE(X)
#undef X
};

/* The populated buckets of one side: indexes rise strictly. A bucket that is not listed is empty.
 */
struct toc_buckets {
    const int32_t *index;
    const double *count; /* of this bucket alone, not cumulative */
    size_t size;
};

struct toc_histogram {
    int32_t schema;
    enum toc_reset_hint reset_hint;
    double zero_threshold, zero_count;
    double count, sum; /* sum holds the staleness marker for a stale sample */
    struct toc_buckets positive, negative;
    const double *custom_bounds; /* rising, without +Inf; schema -53 only */
    size_t custom_bound_count;
};

static inline bool toc_histogram_is_custom(const struct toc_histogram *h) {
    return h->schema == TOC_HISTOGRAM_SCHEMA_CUSTOM;
}
bool toc_histogram_is_stale(const struct toc_histogram *h);

/* A deep copy. */
struct toc_histogram *toc_histogram_dup(const struct toc_histogram *h, struct toc_arena *arena);

/* Refuses what no honest source sends: unknown schema, indexes that do not rise or lie outside
 * ±2^30, negative counts, custom bounds that do not rise or are not finite. */
int toc_histogram_validate(const struct toc_histogram *h, struct toc_err *err) TOC_MUST_CHECK;

#endif
