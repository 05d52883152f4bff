/*
 * Input: one histogram's bytes, and a chunk of histograms. Oracle: what decodes, encoded again, is
 * the same histogram (canonical bytes); times rise; a chunk made of what a chunk gave gives it
 * again.
 */
#include <stdlib.h>
#include <string.h>

#include "metricdb/chunk.h"
#include "metricdb/histogram_code.h"
#include "model/series_buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const struct toc_histogram *h) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf first = TOC_BUF_INIT, second = TOC_BUF_INIT;
    struct toc_histogram *back;
    toc_histogram_encode(h, &first);
    if (toc_histogram_decode(toc_buf_sv(&first), &arena, &back))
        abort();
    toc_histogram_encode(back, &second);
    if (!toc_sv_eq(toc_buf_sv(&first), toc_buf_sv(&second)))
        abort();
    toc_buf_fini(&first);
    toc_buf_fini(&second);
    toc_arena_fini(&arena);
}

static void chunk_again(const struct toc_series_buffer *b) {
    struct toc_series_buffer back = {0};
    for (size_t i = 0; i < b->count;) {
        struct toc_buf bytes = TOC_BUF_INIT;
        i += toc_histogram_chunk_encode(b->t_ms + i, b->histograms + i, b->count - i, &bytes);
        if (toc_chunk_append(toc_buf_sv(&bytes), INT64_MIN, INT64_MAX, &back))
            abort();
        toc_buf_fini(&bytes);
    }
    if (back.count != b->count ||
        (b->count && memcmp(back.t_ms, b->t_ms, b->count * sizeof *b->t_ms) != 0))
        abort();
    toc_series_buffer_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv in = toc_sv_make((const char *)data, size);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_series_buffer b = {0};
    struct toc_histogram *h;
    if (toc_histogram_decode(in, &arena, &h) == 0)
        encode_again(h);
    if (toc_chunk_append(in, INT64_MIN, INT64_MAX, &b) == 0 && b.has_histograms) {
        for (size_t i = 0; i < b.count; i++) {
            if (i && b.t_ms[i] <= b.t_ms[i - 1])
                abort();
            encode_again(b.histograms[i]);
        }
        chunk_again(&b);
    }
    toc_series_buffer_fini(&b);
    toc_arena_fini(&arena);
    return 0;
}
