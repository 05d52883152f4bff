/*
 * Chunks of roll-ups: buckets of one series, a column per aggregate. They lie in blocks like chunks
 * of samples; the times that the index tells of them are ends of buckets.
 *
 *   byte     5
 *   varint   number of buckets n, varint resolution in ms
 *   ends     integer sequence (chunk.h) of n: end / resolution
 *   counts   integer sequence of n: samples
 *   marks    integer sequence of n: 2 * native histograms + 1 when a staleness marker comes last
 *   and for the m buckets that have samples, when there are any:
 *   places   two integer sequences of m: end - time of the first, of the last sample
 *   byte     flags: 1 min is the first value in all, 2 max is the last in all, 4 no drops
 *   columns  first, last, [min], [max], sum, [drops]: byte value codec, values (chunk.h)
 *
 * Example: one bucket of 5 minutes that ends at 300,000 ms with (60,000, 1) and (120,000, 3):
 *   05 01 e0a712 | 04 02 | 04 04 | 05 00 | 04 80a61d | 04 c0fc15 | 07 |
 *   00 000000000000f03f | 00 0000000000000840 | 00 0000000000001040
 */
#ifndef TOC_METRICDB_ROLLUP_CHUNK_H
#define TOC_METRICDB_ROLLUP_CHUNK_H

#include "base/buf.h"
#include "model/rollup.h"

enum { TOC_ROLLUP_CHUNK_MAX = 1024 };

/* Appends the chunk; 1 ≤ n ≤ TOC_ROLLUP_CHUNK_MAX, ends are multiples of the resolution and rise.
 */
void toc_rollup_chunk_encode(const struct toc_rollup *buckets, size_t n, int64_t resolution_ms,
                             struct toc_buf *out);
/* Appends the buckets. Hostile input is fine: TOC_ECORRUPT when it is no chunk of this resolution,
 * its ends do not rise or a sample lies outside its bucket. */
int toc_rollup_chunk_decode(struct toc_sv bytes, int64_t resolution_ms,
                            struct toc_rollups *out) TOC_MUST_CHECK;

#endif
