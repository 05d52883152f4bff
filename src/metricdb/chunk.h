/*
 * Closed chunks: up to TOC_CHUNK_SAMPLES_MAX samples in rising time order, coded by whatever is
 * smallest for these samples. Every double comes back bit by bit, NaN payloads and -0.0 included.
 *
 *   byte     value codec (low 4 bits), 0x10: times are residuals from a regular grid
 *   varint   number of samples n
 *   times    [grid: zigzag t0, zigzag step] integer sequence of n
 *   values   CONST   8 bytes
 *            DECIMAL byte scale k, varint e, e times (varint index step, 8 bytes), integer sequence
 * of n: value = integer / 10^k, except at the e indexes XOR     Gorilla (Pelkonen et al., VLDB
 * 2015) bits RAW     8 bytes each
 *
 *   integer sequence: byte order(0…2) | 4 when byte-coded; `order` zig-zag start values; then what
 * is left of the sequence after differencing `order` times (modulo 2^64): packed      zigzag
 * minimum, byte width, bits (value - minimum) byte-coded  zigzag varints; a zero is followed by how
 * many more zeros come
 */
#ifndef TOC_METRICDB_CHUNK_H
#define TOC_METRICDB_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { TOC_CHUNK_SAMPLES_MAX = 1024 };

/* Appends the chunk; 1 ≤ n ≤ TOC_CHUNK_SAMPLES_MAX. */
void toc_chunk_encode(const int64_t *t_ms, const double *values, size_t n, struct toc_buf *out);
/* Both arrays need room for TOC_CHUNK_SAMPLES_MAX. Hostile input is fine: TOC_ECORRUPT when it is
 * no chunk or its times do not rise. */
int toc_chunk_decode(struct toc_sv bytes, int64_t *out_t, double *out_v,
                     size_t *out_n) TOC_MUST_CHECK;

/*
 * Chunks of histograms (chunk_histogram.c): the layout once, then a column of values per count.
 *
 *   byte     4, 0x10: times are residuals from a regular grid
 *   varint   number of samples n, then the times as above
 *   hints    byte 0…3: the reset hint of all; 4: an integer sequence of n follows
 *   layout   zigzag schema; custom: varint b, b bounds (8 bytes each); else zero threshold (8
 * bytes) two sides: varint k, k times zigzag index - index before - 1 (for the first: index): the
 * buckets that any sample has; one that is empty in a sample is not listed there columns  count,
 * zero count (not custom), each positive bucket, each negative one, sum: byte value codec, values
 */
struct toc_histogram;
struct toc_series_buffer;
enum { TOC_HISTOGRAM_CHUNK_SAMPLES_MAX = 240 };
/* Appends a chunk of as many of the samples as share schema, zero threshold and bounds and fit one;
 * returns how many, at least 1. */
size_t toc_histogram_chunk_encode(const int64_t *t_ms, const struct toc_histogram *const *h,
                                  size_t n, struct toc_buf *out);

/* Appends the samples of a chunk of either kind; of histograms only those in [min_ms, max_ms],
 * whose memory is the buffer's. TOC_ECORRUPT, or TOC_ENOMEM when the buffer's arena has no room. */
int toc_chunk_append(struct toc_sv bytes, int64_t min_ms, int64_t max_ms,
                     struct toc_series_buffer *out) TOC_MUST_CHECK;

/* The integer sequence coder by itself (chunk_ints.c). */
void toc_ints_encode(const int64_t *v, size_t n, struct toc_buf *out);
/* Sticky error in r. */
void toc_ints_decode(struct toc_reader *r, int64_t *out, size_t n);

#endif
