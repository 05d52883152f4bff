/* Oracles: encode and decode are inverse; a text that decodes has one canonical form. */
#include <stdlib.h>

#include "codec/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv in = toc_sv_make((const char *)data, size);
    struct toc_buf text = TOC_BUF_INIT, url = TOC_BUF_INIT, back = TOC_BUF_INIT;
    toc_base64_encode(in, &text);
    toc_base64url_encode(in, &url);
    if (toc_base64_decode(toc_buf_sv(&text), &back) || !toc_sv_eq(toc_buf_sv(&back), in))
        abort();
    toc_buf_reset(&back);
    if (toc_base64_decode(toc_buf_sv(&url), &back) || !toc_sv_eq(toc_buf_sv(&back), in))
        abort();
    toc_buf_reset(&back);
    toc_buf_reset(&text);
    if (toc_base64_decode(in, &back) == 0) {
        toc_base64_encode(toc_buf_sv(&back), &text);
        size_t bare = size;
        while (bare && in.p[bare - 1] == '=')
            bare--;
        for (size_t i = 0; i < bare; i++) {
            char c = in.p[i] == '-' ? '+' : in.p[i] == '_' ? '/' : in.p[i];
            if (text.p[i] != c)
                abort();
        }
    }
    toc_buf_fini(&text);
    toc_buf_fini(&url);
    toc_buf_fini(&back);
    return 0;
}
