#include "detect/model_frame.h"

#include <string.h>

#include "base/hash.h"

enum { CRC_BYTES = 4 };

void toc_model_frame_end(struct toc_buf *b, size_t start) {
    if (!toc_buf_error(b))
        toc_buf_append_u32(b, toc_crc32c(0, b->p + start, b->n - start));
}

int toc_model_frame_open(struct toc_sv bytes, const char magic[TOC_MODEL_MAGIC_BYTES],
                         struct toc_reader *out) {
    *out = toc_reader_make(TOC_SV_NULL);
    if (bytes.n < TOC_MODEL_MAGIC_BYTES + CRC_BYTES)
        return TOC_ETRUNCATED;
    if (memcmp(bytes.p, magic, TOC_MODEL_MAGIC_BYTES - 1) != 0)
        return TOC_ECORRUPT;
    if (bytes.p[TOC_MODEL_MAGIC_BYTES - 1] != magic[TOC_MODEL_MAGIC_BYTES - 1])
        return TOC_EVERSION;
    struct toc_sv content =
        toc_sv_sub(bytes, TOC_MODEL_MAGIC_BYTES, bytes.n - TOC_MODEL_MAGIC_BYTES - CRC_BYTES);
    struct toc_reader tail = toc_reader_make(toc_sv_sub(bytes, bytes.n - CRC_BYTES, CRC_BYTES));
    if (toc_read_u32(&tail) != toc_crc32c(0, bytes.p, bytes.n - CRC_BYTES))
        return TOC_ECORRUPT;
    *out = toc_reader_make(content);
    return 0;
}
