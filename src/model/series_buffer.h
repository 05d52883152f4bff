/* What one reader decodes a series into: columns that grow, reused from series to series, one per
 * thread. Starts zeroed. */
#ifndef TOC_MODEL_SERIES_BUFFER_H
#define TOC_MODEL_SERIES_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/rollup.h"

struct toc_histogram;

struct toc_series_buffer {
    int64_t *t_ms;
    double *values;
    int64_t *start_ms; /* start timestamps (0: unknown); only with has_start */
    const struct toc_histogram **histograms; /* only with has_histograms; NULL entry: a float */
    size_t count, capacity;
    bool has_start, has_histograms;
    struct toc_rollups rollups;       /* only where the reader takes them */
    struct toc_arena histogram_arena; /* owns the histograms; reset by every read */
};

/* Room for `more` samples behind count, in every column that is in use. */
void toc_series_buffer_reserve(struct toc_series_buffer *b, size_t more);
/* The column appears: what is there already holds floats / unknown start timestamps. */
void toc_series_buffer_add_histograms(struct toc_series_buffer *b);
void toc_series_buffer_add_start(struct toc_series_buffer *b);
/* Forgets the samples and the histograms, keeps the memory. */
void toc_series_buffer_reset(struct toc_series_buffer *b);
void toc_series_buffer_fini(struct toc_series_buffer *b);

#endif
