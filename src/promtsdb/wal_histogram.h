/*
 * One native histogram in a record of the log:
 *
 *   u8 reset hint, zigzag schema, f64 zero threshold, zero count, count, f64 sum,
 *   spans of the positive, then of the negative side: varint number, then zigzag offset and varint
 *   length of each; buckets of the two sides: varint number, then each; schema -53 only: varint
 *   number of bounds, f64 each
 *
 * Integer counts are varints and a bucket is the zigzag difference to the bucket before; float
 * counts are doubles (big-endian).
 */
#ifndef TOC_PROMTSDB_WAL_HISTOGRAM_H
#define TOC_PROMTSDB_WAL_HISTOGRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/histogram.h"

/* Arrays live in the arena. TOC_EPARSE or TOC_ETRUNCATED for what is none, TOC_ENOMEM. */
int toc_prom_wal_histogram_read(struct toc_reader *in, bool is_float, struct toc_arena *arena,
                                struct toc_histogram *out) TOC_MUST_CHECK;

#endif
