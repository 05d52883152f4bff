#include "app/detect_trace.h"

#include <math.h>

#include "base/alloc.h"
#include "base/attrs.h"

static const struct toc_trace_span EMPTY = {INFINITY, -INFINITY};

static struct toc_trace_span join(struct toc_trace_span a, struct toc_trace_span b) {
    return (struct toc_trace_span){fminf(a.low, b.low), fmaxf(a.high, b.high)};
}

int toc_trace_init(struct toc_detect_trace *t, size_t lines, struct toc_err *err) {
    *t = (struct toc_detect_trace){.lines = lines, .per_bucket = 1};
    t->spans = toc_try_calloc(TOC_TRACE_BUCKETS * lines, sizeof *t->spans);
    return t->spans ? 0 : toc_errf(err, TOC_ENOMEM, "no memory for %zu lines of charts", lines);
}

void toc_trace_fini(struct toc_detect_trace *t) {
    toc_free(t->spans);
    *t = (struct toc_detect_trace){0};
}

static void halve(struct toc_detect_trace *t) {
    for (size_t b = 0; b < TOC_TRACE_BUCKETS / 2; b++)
        for (size_t i = 0; i < t->lines; i++)
            t->spans[b * t->lines + i] =
                join(toc_trace_at(t, 2 * b, i), toc_trace_at(t, 2 * b + 1, i));
    t->per_bucket *= 2;
}

void toc_trace_row(struct toc_detect_trace *t) {
    if (t->rows == TOC_TRACE_BUCKETS * t->per_bucket)
        halve(t);
    if (t->rows % t->per_bucket == 0)
        for (size_t i = 0; i < t->lines; i++)
            t->spans[t->rows / t->per_bucket * t->lines + i] = EMPTY;
    t->rows++;
}

void toc_trace_put(struct toc_detect_trace *t, size_t line, double value) {
    struct toc_trace_span *s = &t->spans[(t->rows - 1) / t->per_bucket * t->lines + line];
    float v = (float)value;
    if (isfinite(v))
        *s = join(*s, (struct toc_trace_span){v, v});
}

struct toc_trace_span toc_trace_extent(const struct toc_detect_trace *t, size_t line) {
    struct toc_trace_span all = EMPTY;
    for (size_t b = 0; b < toc_trace_buckets(t); b++)
        all = join(all, toc_trace_at(t, b, line));
    return all;
}
