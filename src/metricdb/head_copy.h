/*
 * Reading a series of the head with little time under the lock of its shard: the bytes of the
 * chunks in question are copied there and decoded outside.
 */
#ifndef TOC_METRICDB_HEAD_COPY_H
#define TOC_METRICDB_HEAD_COPY_H

#include "metricdb/head.h"

enum { TOC_HEAD_COPY_BYTES = 8192, TOC_HEAD_COPY_PIECES = 32 };

struct toc_head_piece {
    uint16_t at, bytes, count;
    bool is_stream; /* of the open chunk, from a restart on; else a closed chunk */
};

struct toc_head_copy {
    size_t count;
    bool is_whole;   /* nothing was left over */
    int64_t next_ms; /* else: where to go on */
    struct toc_head_piece pieces[TOC_HEAD_COPY_PIECES];
    uint8_t bytes[TOC_HEAD_COPY_BYTES + TOC_STREAM_SLACK];
};

/* Copies what may hold samples of [min_ms, max_ms], as much as fits. Under the shard lock. */
void toc_series_copy(const struct toc_series *s, int64_t min_ms, int64_t max_ms,
                     struct toc_head_copy *out);
/* Appends the samples of all pieces (some may lie outside the range). No lock. */
void toc_head_copy_decode(const struct toc_head_copy *c, struct toc_series_buffer *out);

#endif
