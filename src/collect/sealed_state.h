/*
 * The frame of what collectors keep over a restart: u32 magic | content | u32 CRC-32C of both. The
 * caller writes magic and content.
 */
#ifndef TOC_COLLECT_SEALED_STATE_H
#define TOC_COLLECT_SEALED_STATE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* varint of its length, bytes: what toc_read_string reads. */
static inline void toc_sealed_state_string(struct toc_buf *b, struct toc_sv s) {
    toc_buf_append_varint(b, s.n);
    toc_buf_append_sv(b, s);
}

/* Ends a state that began at `start` of the buffer; nothing when the buffer has failed. */
void toc_sealed_state_end(struct toc_buf *b, size_t start);
/* *out stands behind the magic and ends before the checksum; it borrows the bytes. TOC_ECORRUPT. */
int toc_sealed_state_open(struct toc_sv bytes, uint32_t magic,
                          struct toc_reader *out) TOC_MUST_CHECK;

#endif
