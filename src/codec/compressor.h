/* Compression of a body that is made piece by piece. */
#ifndef TOC_CODEC_COMPRESSOR_H
#define TOC_CODEC_COMPRESSOR_H

#include <stdbool.h>

#include "codec/compress.h"

struct toc_compressor;

/* gzip, deflate or zstd, at the level that costs least; NULL for anything else or without memory.
 */
struct toc_compressor *toc_compressor_new(enum toc_compression c);
/* Appends what comes out so far to `out`; with is_last, also the end. */
int toc_compressor_write(struct toc_compressor *c, struct toc_sv in, bool is_last,
                         struct toc_buf *out) TOC_MUST_CHECK;
/* NULL is accepted. */
void toc_compressor_free(struct toc_compressor **c);

#endif
