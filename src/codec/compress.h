/* gzip, zlib-deflate, zstd and snappy (block format) of whole buffers, with a limit on what comes
 * out. */
#ifndef TOC_CODEC_COMPRESS_H
#define TOC_CODEC_COMPRESS_H

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum toc_compression {
    TOC_COMPRESSION_NONE,
    TOC_COMPRESSION_GZIP,
    TOC_COMPRESSION_DEFLATE,
    TOC_COMPRESSION_ZSTD,
    TOC_COMPRESSION_SNAPPY
};

/* By HTTP content-coding name, any case; TOC_EUNSUPPORTED otherwise. Empty and "identity" are none.
 */
int toc_compression_parse(struct toc_sv name, enum toc_compression *out) TOC_MUST_CHECK;
/* Appends to out. */
int toc_compress(enum toc_compression c, struct toc_sv in, struct toc_buf *out) TOC_MUST_CHECK;
/* Appends to out; TOC_ELIMIT when more than max_bytes would come out, TOC_ECORRUPT for bad input.
 */
int toc_decompress(enum toc_compression c, struct toc_sv in, size_t max_bytes, struct toc_buf *out,
                   struct toc_err *err) TOC_MUST_CHECK;

#endif
