/*
 * Streaming anomaly scores: one call per row, every answer from the rows so far. One column is a
 * metric, several are an entity whose columns belong together. docs/design/detect.md has the
 * formulas, their sources and what each part cannot see.
 */
#ifndef TOC_DETECT_STREAM_H
#define TOC_DETECT_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct toc_stream;

struct toc_stream_options {
    size_t columns;   /* 1 to 1024 */
    size_t windows;   /* remembered per window length; 0: 256 */
    double threshold; /* of `surprise` for an alert; 0: TOC_STREAM_THRESHOLD */
};
/* Chosen on the development half of NAB as the lowest level on the plateau of its standard score.
 */
#define TOC_STREAM_THRESHOLD 1.85

struct toc_stream_result {
    double score;    /* [0, 1), rises with strangeness; for ranking */
    double surprise; /* about -log10 of the probability of such a row */
    bool is_alert;
};

int toc_stream_new(const struct toc_stream_options *options, struct toc_stream **out,
                   struct toc_err *err) TOC_MUST_CHECK;
void toc_stream_free(struct toc_stream **s);
/* The next row: seconds (rising; a row that is not later gets the last score) and `columns`
 * values; NaN and infinity mean missing. A row in which every value is missing gets the last score
 * and no alert. */
struct toc_stream_result toc_stream_step(struct toc_stream *s, double seconds,
                                         const double *values);
/* Bytes of state. */
size_t toc_stream_bytes(const struct toc_stream *s);

#endif
