/*
 * One native histogram as bytes, self-contained and canonical: equal histograms give equal bytes.
 * Empty buckets are left out. The log holds them and so does the open part of a series.
 *
 *   byte       low 2 bits: reset hint; 4: custom bounds; 8: all counts are integers below 2^52
 *   custom     varint n, n bounds (8 bytes each)
 *   else       zigzag schema, zero threshold (8 bytes), zero count
 *   both       count, sum (8 bytes), positive buckets, negative buckets
 *   buckets    varint n, then per bucket zigzag index - index before - 1 (for the first: index),
 *              count
 *   count      integers: varint; of buckets: zigzag difference to the bucket before. Else 8 bytes
 *
 * Example: schema 0, threshold 0, zero count 1, count 6, sum 9.5, buckets 1: 2 and 2: 3 =
 * 08 00 0000000000000000 01 06 0000000000002340 | 02 02 04 00 02 | 00.
 */
#ifndef TOC_METRICDB_HISTOGRAM_CODE_H
#define TOC_METRICDB_HISTOGRAM_CODE_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/histogram.h"

enum { TOC_HISTOGRAM_BUCKETS_MAX = 10000 }; /* of both sides, and custom bounds */

void toc_histogram_encode(const struct toc_histogram *h, struct toc_buf *out);
/* Hostile input is fine: TOC_ECORRUPT when the bytes are none, TOC_ENOMEM without room. */
int toc_histogram_decode(struct toc_sv bytes, struct toc_arena *arena,
                         struct toc_histogram **out) TOC_MUST_CHECK;

#endif
