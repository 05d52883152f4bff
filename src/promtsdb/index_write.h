/* The index of a block in the making. */
#ifndef TOC_PROMTSDB_INDEX_WRITE_H
#define TOC_PROMTSDB_INDEX_WRITE_H

#include "base/buf.h"
#include "base/map.h"
#include "base/vec.h"
#include "promtsdb/index_read.h"

struct toc_prom_index_pair {
    uint32_t name, value; /* symbols by first appearance */
};
struct toc_prom_index_series {
    size_t pair, pair_count, chunk, chunk_count; /* stretches of the two lists */
};

struct toc_prom_index_writer {
    struct toc_map numbers; /* text → number of the symbol + 1 */
    TOC_VEC(char *) texts;  /* by number */
    TOC_VEC(struct toc_prom_index_pair) pairs;
    TOC_VEC(struct toc_prom_chunk_info) chunks;
    TOC_VEC(struct toc_prom_index_series) series;
};

void toc_prom_index_writer_fini(struct toc_prom_index_writer *w);
/* A series with chunks in the order of time; series come in label order. */
void toc_prom_index_writer_add(struct toc_prom_index_writer *w, struct toc_labels labels,
                               const struct toc_prom_chunk_info *chunks, size_t count);
/* The whole file; out's sticky error tells when it does not fit. */
void toc_prom_index_writer_put(struct toc_prom_index_writer *w, struct toc_buf *out);

#endif
