/*
 * A closed chunk of the head. There are two and more of each series, so its head is small: 18 bytes
 * in front of those of chunk.h, without a gap.
 */
#ifndef TOC_METRICDB_HEAD_CHUNK_H
#define TOC_METRICDB_HEAD_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

struct toc_head_chunk {
    int64_t min_ms;
    uint32_t span_ms; /* to the last sample; UINT32_MAX: so much or more, the bytes know */
    uint32_t n;
    uint16_t count : 15;
    /* In the chain of checkpoints, at this very place: the saved chunks of a series come first. */
    uint16_t is_saved : 1;
    uint8_t bytes[]; /* chunk.h */
};

/* Copies the bytes of `count` samples; freed by toc_free. */
struct toc_head_chunk *toc_head_chunk_new(int64_t min_ms, int64_t max_ms, size_t count,
                                          struct toc_sv bytes);
/* What the struct takes; sizeof counts what is behind a byte that is not there. */
static inline size_t toc_head_chunk_size(const struct toc_head_chunk *c) {
    return offsetof(struct toc_head_chunk, bytes) + c->n;
}
static inline struct toc_sv toc_head_chunk_bytes(const struct toc_head_chunk *c) {
    return toc_sv_make((const char *)c->bytes, c->n);
}
int64_t toc_head_chunk_decoded_max(const struct toc_head_chunk *c);
/* Time of the last sample. */
static inline int64_t toc_head_chunk_max(const struct toc_head_chunk *c) {
    return c->span_ms < UINT32_MAX ? c->min_ms + c->span_ms : toc_head_chunk_decoded_max(c);
}
/* Chunks from `at` on are not where the chain of checkpoints has them any more. */
static inline void toc_head_chunks_moved(struct toc_head_chunk **chunks, size_t at, size_t count) {
    for (; at < count && chunks[at]->is_saved; at++)
        chunks[at]->is_saved = false;
}

#endif
