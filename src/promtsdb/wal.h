/*
 * The write-ahead log of a Prometheus data directory, read: the newest `wal/checkpoint.N`, then the
 * segments behind it. Format: github.com/prometheus/prometheus/blob/main/tsdb/docs/format/wal.md
 *
 *   segment    pages of 32 KiB; a record is one fragment or several (a page's rest is zeros)
 *   fragment   u8 kind (1 whole, 2 first, 3 middle, 4 last) | 8 snappy | 16 zstd, u16 length, u32
 * CRC-32C, data (big-endian)
 *   series     u8 1, then: u64 reference, varint n, n times name and value (varint length, bytes)
 *   samples    u8 2, u64 reference, u64 time, then: zigzag reference - first, zigzag time - first,
 * u64 bits of the double
 *   histograms u8 7 or 9 (integer counts), 8 or 10 (floats), u64 reference, u64 time, then: both
 * zigzag as above, and what wal_histogram.h says
 *   deletions  u8 3, then: u64 reference, zigzag from, zigzag to
 */
#ifndef TOC_PROMTSDB_WAL_H
#define TOC_PROMTSDB_WAL_H

#include <stdint.h>

#include "base/error.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "sys/vfs.h"

struct toc_prom_wal_visitor {
    void *ctx;
    /* References mean something in this log only; one may come twice. Borrowed for the call. */
    int (*series)(void *ctx, uint64_t ref, struct toc_labels labels);
    /* Those that a later deletion covers are not told. */
    int (*sample)(void *ctx, uint64_t ref, int64_t t_ms, double value);
    int (*histogram)(void *ctx, uint64_t ref, int64_t t_ms, const struct toc_histogram *h);
    void (*damage)(void *ctx, const char *file, uint64_t offset, const char *what);
};

/* `dir` holds the segments. A missing folder is an empty log. Damage costs the rest of its page and
 * is told; an unfinished end of the last segment is not damage. Non-zero of the visitor stops. */
int toc_prom_wal_read(struct toc_vfs *vfs, const char *dir, const struct toc_prom_wal_visitor *v,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
