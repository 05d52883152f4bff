/* Lines of a chart in bounded memory: lowest and highest of what falls together. When the buckets
 * are full each two become one. */
#ifndef TOC_APP_DETECT_TRACE_H
#define TOC_APP_DETECT_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { TOC_TRACE_BUCKETS = 1024 };

struct toc_trace_span {
    float low, high; /* low > high: nothing finite */
};

struct toc_detect_trace {
    size_t lines;
    uint64_t rows, per_bucket;
    struct toc_trace_span *spans; /* bucket after bucket, `lines` each; owned */
};

/* TOC_ENOMEM. */
int toc_trace_init(struct toc_detect_trace *t, size_t lines, struct toc_err *err) TOC_MUST_CHECK;
void toc_trace_fini(struct toc_detect_trace *t);
/* The next row starts: its numbers follow with toc_trace_put. */
void toc_trace_row(struct toc_detect_trace *t);
/* Of the row started last; NaN and infinity are left out. */
void toc_trace_put(struct toc_detect_trace *t, size_t line, double value);

static inline size_t toc_trace_buckets(const struct toc_detect_trace *t) {
    return (size_t)((t->rows + t->per_bucket - 1) / t->per_bucket);
}
static inline struct toc_trace_span toc_trace_at(const struct toc_detect_trace *t, size_t bucket,
                                                 size_t line) {
    return t->spans[bucket * t->lines + line];
}
/* Of a line from one bucket to the last. */
struct toc_trace_span toc_trace_extent(const struct toc_detect_trace *t, size_t line);

#endif
