/* Parts of the block format that its writer and its reader share. */
#ifndef TOC_METRICDB_BLOCK_FORMAT_H
#define TOC_METRICDB_BLOCK_FORMAT_H

#include "base/buf.h"
#include "metricdb/block.h"

#define TOC_BLOCK_CHUNKS_MAGIC "TOCCHK01"
#define TOC_BLOCK_INDEX_MAGIC "TOCIDX01"
#define TOC_BLOCK_REPLACES_MAGIC "TOCREP01"

enum { TOC_BLOCK_META_BYTES = 16 + 10 * 8 + 4, TOC_BLOCK_VERSION = 2 };

/* From the chunks file of an index. */
int64_t toc_block_pread(const struct toc_block_index *x, void *p, size_t n, uint64_t at);

void toc_block_put_meta(struct toc_buf *out, const struct toc_block_meta *m);
/* TOC_ECORRUPT when the bytes do not begin with a whole header. */
int toc_block_get_meta(struct toc_sv bytes, struct toc_block_meta *out) TOC_MUST_CHECK;

#endif
