/*
 * Input: a byte that chooses (bit 0: float counts, bit 1: a histogram of the log instead of a
 * chunk), then the data. Oracle: what decodes is valid, its times rise, and it comes back the same
 * when it is written to chunks and read again.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "model/histogram_math.h"
#include "model/sample.h"
#include "promtsdb/histogram_chunk.h"
#include "promtsdb/wal_histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct toc_histogram *a, const struct toc_histogram *b) {
    return toc_f64_bits(a->sum) == toc_f64_bits(b->sum) &&
           (toc_histogram_is_stale(a) || toc_histogram_eq(a, b));
}

/* One chunk; returns how many samples it took. */
static size_t one_chunk(const int64_t *t_ms, const struct toc_histogram *const *h, size_t n) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_prom_histograms back;
    bool is_float;
    size_t k = toc_prom_histogram_run(h, n, &is_float);
    if (toc_prom_histogram_encode(t_ms, h, k, is_float, &arena, &b) ||
        toc_prom_histogram_decode(toc_buf_sv(&b), is_float, &arena, &back) || back.count != k)
        abort();
    for (size_t i = 0; i < k; i++)
        if (back.t_ms[i] != t_ms[i] || !is_same(&back.items[i], h[i]))
            abort();
    toc_buf_fini(&b);
    toc_arena_fini(&arena);
    return k;
}

static void again(const struct toc_prom_histograms *c) {
    const struct toc_histogram **h = TOC_NEW_ARRAY(const struct toc_histogram *, c->count);
    for (size_t i = 0; i < c->count; i++) {
        h[i] = &c->items[i];
        if (i && c->t_ms[i] <= c->t_ms[i - 1])
            abort();
        if (!toc_histogram_is_stale(h[i]) && toc_histogram_validate(h[i], NULL))
            abort();
    }
    for (size_t i = 0; i < c->count;)
        i += one_chunk(c->t_ms + i, h + i, c->count - i);
    toc_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_prom_histograms c;
    struct toc_histogram one;
    int64_t t_ms = 1000;
    if (!size)
        return 0;
    bool is_float = data[0] & 1;
    struct toc_sv bytes = toc_sv_make((const char *)data + 1, size - 1);
    struct toc_reader in = toc_reader_make(bytes);
    if (data[0] & 2) {
        if (!toc_prom_wal_histogram_read(&in, is_float, &arena, &one)) {
            c = (struct toc_prom_histograms){&t_ms, &one, 1};
            again(&c);
        }
    } else if (!toc_prom_histogram_decode(bytes, is_float, &arena, &c)) {
        again(&c);
    }
    toc_arena_fini(&arena);
    return 0;
}
