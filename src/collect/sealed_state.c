#include "collect/sealed_state.h"

#include "base/hash.h"

void toc_sealed_state_end(struct toc_buf *b, size_t start) {
    if (!toc_buf_error(b))
        toc_buf_append_u32(b, toc_crc32c(0, b->p + start, b->n - start));
}

int toc_sealed_state_open(struct toc_sv bytes, uint32_t magic, struct toc_reader *out) {
    enum { FRAME_BYTES = 8 };
    if (bytes.n < FRAME_BYTES)
        return TOC_ECORRUPT;
    struct toc_sv content = toc_sv_sub(bytes, 0, bytes.n - 4);
    struct toc_reader crc = toc_reader_make(toc_sv_sub(bytes, bytes.n - 4, 4));
    *out = toc_reader_make(content);
    bool is_whole = toc_read_u32(&crc) == toc_crc32c(0, content.p, content.n);
    return is_whole && toc_read_u32(out) == magic ? 0 : TOC_ECORRUPT;
}
