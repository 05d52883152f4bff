/* Oracle: what the appenders wrote, the readers give back; a reader never leaves its bytes. */
#include <stdlib.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_reader in = toc_reader_make(toc_sv_make((const char *)data, size));
    while (!in.error && toc_reader_left(&in)) {
        uint64_t u = toc_read_varint(&in);
        int64_t s = toc_read_zigzag(&in);
        if (in.error)
            break;
        struct toc_buf b = TOC_BUF_INIT;
        toc_buf_append_varint(&b, u);
        toc_buf_append_zigzag(&b, s);
        struct toc_reader back = toc_reader_make(toc_buf_sv(&b));
        if (toc_read_varint(&back) != u || toc_read_zigzag(&back) != s || back.error ||
            toc_reader_left(&back))
            abort();
        toc_buf_fini(&b);
    }
    return 0;
}
