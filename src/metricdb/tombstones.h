/*
 * What was deleted from a block, beside the block until maintenance rewrites it:
 *
 *   "TOCDEL01" | u32 version 1 | u32 0 | varint n, n intervals | u32 crc of all before
 *   interval   varint series - series before, zigzag first ms, varint last - first
 *
 * ordered by series, then time; intervals of a series do not touch. Twice, as `deleted` and
 * `deleted2`. Series 3, 1000 ms to 2000 ms: 01 03 d0 0f e8 07 behind the header.
 */
#ifndef TOC_METRICDB_TOMBSTONES_H
#define TOC_METRICDB_TOMBSTONES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sys/vfs.h"

struct toc_tombstone {
    uint32_t series;
    int64_t min_ms, max_ms;
};

/* Immutable, counted. */
struct toc_tombstones {
    atomic_uint refs;
    size_t count;
    struct toc_tombstone items[];
};

/* The union of `old` (may be NULL) and more (any order, reordered here). */
struct toc_tombstones *toc_tombstones_merge(const struct toc_tombstones *old,
                                            struct toc_tombstone *more, size_t count);
struct toc_tombstones *toc_tombstones_ref(struct toc_tombstones *t); /* NULL is accepted */
void toc_tombstones_unref(struct toc_tombstones **t);
/* The intervals of a series; NULL is accepted and has none. */
const struct toc_tombstone *toc_tombstones_of(const struct toc_tombstones *t, uint32_t series,
                                              size_t *out_count);

/* Durably into the folder of a block. */
int toc_tombstones_write(const struct toc_tombstones *t, struct toc_vfs *vfs,
                         const char *block) TOC_MUST_CHECK;
/* One of the two files, which toc_tombstones_read tries in this order. */
int toc_tombstones_read_copy(struct toc_vfs *vfs, const char *block, unsigned copy,
                             struct toc_tombstones **out) TOC_MUST_CHECK;
/* *out NULL when nothing was deleted; *out_damaged counts bad copies; TOC_ECORRUPT when both are.
 */
int toc_tombstones_read(struct toc_vfs *vfs, const char *block, struct toc_tombstones **out,
                        unsigned *out_damaged) TOC_MUST_CHECK;

#endif
