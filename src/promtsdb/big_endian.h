/* Big-endian integers, as the files of Prometheus' storage have them. */
#ifndef TOC_PROMTSDB_BIG_ENDIAN_H
#define TOC_PROMTSDB_BIG_ENDIAN_H

#include "base/buf.h"

static inline void toc_put_be32(struct toc_buf *b, uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8)
        toc_buf_append_u8(b, (uint8_t)(v >> shift));
}
static inline void toc_put_be64(struct toc_buf *b, uint64_t v) {
    toc_put_be32(b, (uint32_t)(v >> 32));
    toc_put_be32(b, (uint32_t)v);
}
static inline uint32_t toc_get_be32(struct toc_reader *r) {
    return __builtin_bswap32(toc_read_u32(r));
}
static inline uint64_t toc_get_be64(struct toc_reader *r) {
    return __builtin_bswap64(toc_read_u64(r));
}

#endif
