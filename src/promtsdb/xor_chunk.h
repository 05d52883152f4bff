/*
 * Float chunks of Prometheus' storage, encoding 1 ("XOR"): times as differences of differences,
 * values as Gorilla (Pelkonen et al., VLDB 2015). Format:
 * github.com/prometheus/prometheus/blob/main/tsdb/docs/format/chunks.md
 *
 *   u16 number of samples (big-endian), then a bit stream, most significant bit first:
 *   1st sample   zigzag varint time, 64 bits value
 *   2nd sample   varint distance of the times, value
 *   others       change of that distance: 0 | 10 and 14 bits | 110 and 17 | 1110 and 20 | 1111 and
 * 64; value
 *   value        exclusive or with the last one: 0 when equal | 10 and the bits that had room last
 * time | 11, 5 bits leading zeros, 6 bits width (64 is written as 0), the bits
 */
#ifndef TOC_PROMTSDB_XOR_CHUNK_H
#define TOC_PROMTSDB_XOR_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { TOC_PROM_CHUNK_SAMPLES_MAX = 65535 };

/* Appends a chunk; 1 ≤ n ≤ TOC_PROM_CHUNK_SAMPLES_MAX. */
void toc_prom_xor_encode(const int64_t *t_ms, const double *values, size_t n, struct toc_buf *out);
/* How many samples the chunk says it has; 0 when it is none. */
size_t toc_prom_xor_count(struct toc_sv data);
/* Both arrays need room for toc_prom_xor_count. Hostile input is fine: TOC_ECORRUPT when it ends
 * early or its times do not rise. */
int toc_prom_xor_decode(struct toc_sv data, int64_t *out_t, double *out_v) TOC_MUST_CHECK;

#endif
