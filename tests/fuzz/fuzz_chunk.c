/* Oracle: what decodes has rising times and, encoded again, decodes to the same bits. */
#include <stdlib.h>
#include <string.h>

#include "metricdb/chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int64_t t[TOC_CHUNK_SAMPLES_MAX], back_t[TOC_CHUNK_SAMPLES_MAX];
    static double v[TOC_CHUNK_SAMPLES_MAX], back_v[TOC_CHUNK_SAMPLES_MAX];
    size_t n = 0, back_n = 0;
    if (toc_chunk_decode(toc_sv_make((const char *)data, size), t, v, &n))
        return 0;
    for (size_t i = 1; i < n; i++)
        if (t[i] <= t[i - 1])
            abort();
    struct toc_buf b = TOC_BUF_INIT;
    toc_chunk_encode(t, v, n, &b);
    if (toc_chunk_decode(toc_buf_sv(&b), back_t, back_v, &back_n) || back_n != n ||
        memcmp(t, back_t, n * sizeof *t) || memcmp(v, back_v, n * sizeof *v))
        abort();
    toc_buf_fini(&b);
    return 0;
}
