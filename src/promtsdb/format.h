/* Numbers that reading and writing share. */
#ifndef TOC_PROMTSDB_FORMAT_H
#define TOC_PROMTSDB_FORMAT_H

enum {
    TOC_PROM_INDEX_VERSION = 2,
    TOC_PROM_INDEX_HEADER_BYTES = 5, /* magic, version */
    TOC_PROM_TOC_BYTES = 6 * 8 + 4,
    TOC_PROM_SERIES_ALIGN = 16,
    TOC_PROM_CHUNKS_HEADER_BYTES = 8, /* magic, version, padding */
    TOC_PROM_CHUNK_XOR = 1,
    TOC_PROM_CHUNK_HISTOGRAM = 2,
    TOC_PROM_CHUNK_FLOAT_HISTOGRAM = 3,
    TOC_PROM_TOMBSTONES_VERSION = 1,
    TOC_PROM_CHUNKS_VERSION = 1,
};
#define TOC_PROM_INDEX_MAGIC 0xbaaad700u
#define TOC_PROM_CHUNKS_MAGIC 0x85bd40ddu
#define TOC_PROM_TOMBSTONES_MAGIC 0x0130ba30u

/* A chunk's reference: number of its segment (from 0) in the upper half, offset in the lower. */
static inline uint64_t toc_prom_chunk_ref(uint32_t segment, uint32_t offset) {
    return (uint64_t)segment << 32 | offset;
}

#endif
