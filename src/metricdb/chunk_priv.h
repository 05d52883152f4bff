/* Parts of a chunk that both kinds share. */
#ifndef TOC_METRICDB_CHUNK_PRIV_H
#define TOC_METRICDB_CHUNK_PRIV_H

#include <stdbool.h>

#include "metricdb/chunk.h"

enum {
    TOC_CHUNK_CONST,
    TOC_CHUNK_DECIMAL,
    TOC_CHUNK_XOR,
    TOC_CHUNK_RAW,
    TOC_CHUNK_HISTOGRAM,
    TOC_CHUNK_GRID = 0x10, /* flag */
};

/* Whether the times are on a grid. */
bool toc_chunk_put_times(const int64_t *t, size_t n, struct toc_buf *out);
/* Sticky error in r, also when they do not rise. */
void toc_chunk_get_times(struct toc_reader *r, bool on_grid, int64_t *out, size_t n);
/* Puts the smallest coding of v behind out and returns its codec. */
unsigned toc_chunk_put_values(const double *v, size_t n, struct toc_buf *out);
void toc_chunk_get_values(struct toc_reader *r, unsigned codec, double *out, size_t n);
/* One of the codecs (chunk_xor.c); n ≥ 1. */
void toc_chunk_put_xor(const double *v, size_t n, struct toc_buf *out);
void toc_chunk_get_xor(struct toc_reader *r, double *out, size_t n);

int toc_histogram_chunk_append(struct toc_sv bytes, int64_t min_ms, int64_t max_ms,
                               struct toc_series_buffer *out) TOC_MUST_CHECK;

#endif
