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

/* The integer sequence coder by itself (chunk_ints.c). */
void toc_ints_encode(const int64_t *v, size_t n, struct toc_buf *out);
/* Sticky error in r. */
void toc_ints_decode(struct toc_reader *r, int64_t *out, size_t n);

#endif
