/* Oracle: what decodes has rising times and, encoded again, decodes to the same bits. */
#include <stdlib.h>
#include <string.h>

#include "promtsdb/xor_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int64_t t[TOC_PROM_CHUNK_SAMPLES_MAX], back_t[TOC_PROM_CHUNK_SAMPLES_MAX];
    static double v[TOC_PROM_CHUNK_SAMPLES_MAX], back_v[TOC_PROM_CHUNK_SAMPLES_MAX];
    struct toc_sv bytes = toc_sv_make((const char *)data, size);
    if (toc_prom_xor_decode(bytes, t, v))
        return 0;
    size_t n = toc_prom_xor_count(bytes);
    for (size_t i = 1; i < n; i++)
        if (t[i] <= t[i - 1])
            abort();
    struct toc_buf b = TOC_BUF_INIT;
    toc_prom_xor_encode(t, v, n, &b);
    if (toc_prom_xor_count(toc_buf_sv(&b)) != n ||
        toc_prom_xor_decode(toc_buf_sv(&b), back_t, back_v) || memcmp(t, back_t, n * sizeof *t) ||
        memcmp(v, back_v, n * sizeof *v))
        abort();
    toc_buf_fini(&b);
    return 0;
}
