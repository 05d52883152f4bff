/* Oracle: what is encoded decodes to itself, in both modes; decoding never grows. */
#include <stdlib.h>

#include "codec/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv in = toc_sv_make((const char *)data, size);
    struct toc_buf text = TOC_BUF_INIT, back = TOC_BUF_INIT;
    toc_percent_encode(in, &text);
    for (int plus_is_space = 0; plus_is_space < 2; plus_is_space++) {
        toc_buf_reset(&back);
        if (toc_percent_decode(toc_buf_sv(&text), plus_is_space, &back) ||
            !toc_sv_eq(toc_buf_sv(&back), in))
            abort();
        toc_buf_reset(&back);
        if (toc_percent_decode(in, plus_is_space, &back) == 0 && back.n > size)
            abort();
    }
    toc_buf_fini(&text);
    toc_buf_fini(&back);
    return 0;
}
