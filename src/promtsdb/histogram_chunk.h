/*
 * Chunks of native histograms of Prometheus' storage: encoding 2 (integer counts) and 3 (float
 * counts). Format: github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md
 *
 *   u16 number of samples (big-endian), u8 flags (upper two bits: 10 counter reset before, 01 none,
 *   00 unknown, 11 gauge), then a bit stream, most significant bit first:
 *   layout   zero threshold: byte 0 | 255 and a double | 243 + e for 2^(e-1)
 *            schema; spans of the positive, then of the negative side: number, then length and
 *            offset of each; schema -53 only: number of bounds, then each: bound·1000 + 1, or a bit
 *            0 and a double
 *   sample   time, count, zero count, sum, one number per bucket of the layout
 *
 * The numbers have variable widths: n ones and a zero, then 0, 3, 6, 9, 12, 18, 25 or 56 bits;
 * eight ones, then 64. Integer samples: the first as it is (a bucket as its difference to the
 * bucket before), the second as differences to the first, others as differences of differences.
 * Floats: exclusive or, as in xor_value.h. A stale sample has no buckets, and only stale ones
 * follow it.
 */
#ifndef TOC_PROMTSDB_HISTOGRAM_CHUNK_H
#define TOC_PROMTSDB_HISTOGRAM_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "model/histogram.h"

enum {
    TOC_PROM_HISTOGRAM_SAMPLES_MAX = 120,     /* written to one chunk */
    TOC_PROM_HISTOGRAM_BUCKETS_MAX = 1 << 16, /* read: of one side */
};

struct toc_prom_histograms {
    int64_t *t_ms; /* rising */
    struct toc_histogram *items;
    size_t count;
};

/* How many of the samples, from the first, share a chunk: one layout, whole or broken counts, no
 * counter reset between them. At least 1. The histograms are valid (toc_histogram_validate). */
size_t toc_prom_histogram_run(const struct toc_histogram *const *h, size_t n, bool *out_is_float);
/* Appends a chunk of the n samples of one run. TOC_ENOMEM when the scratch arena is full. */
int toc_prom_histogram_encode(const int64_t *t_ms, const struct toc_histogram *const *h, size_t n,
                              bool is_float, struct toc_arena *scratch,
                              struct toc_buf *out) TOC_MUST_CHECK;
/* Everything in *out lives in the arena. Hostile input is fine: TOC_ECORRUPT when it ends early,
 * its times do not rise or a histogram makes no sense, TOC_ELIMIT, TOC_ENOMEM. */
int toc_prom_histogram_decode(struct toc_sv data, bool is_float, struct toc_arena *arena,
                              struct toc_prom_histograms *out) TOC_MUST_CHECK;

#endif
