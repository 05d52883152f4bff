/* Oracle: states of series that can be read are kept: they are written as bytes that read back to
 * the same bytes, and each takes any sample and stays finite. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/anomaly_bit.h"
#include "rules/series_watch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A store without series: everything kept waits. */
static size_t no_series(struct toc_newest_source *s, uint64_t *cursor,
                        struct toc_newest_sample *out, size_t max) {
    (void)s;
    (void)out;
    (void)max;
    *cursor = UINT64_MAX;
    return 0;
}

static bool no_labels(struct toc_newest_source *s, uint64_t ref, struct toc_arena *arena,
                      struct toc_labels *out) {
    (void)s;
    (void)ref;
    (void)arena;
    (void)out;
    return false;
}

static void check_bit(struct toc_sv bytes) {
    static const double odd[] = {0, 1, -1e300, 1e300, 5, NAN, INFINITY, 1e-300};
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_anomaly_bit bit;
    if (toc_anomaly_bit_decode(&r, &bit) < 0)
        return;
    int64_t t_ms = bit.last_ms > 0 && bit.last_ms < INT64_MAX / 2 ? bit.last_ms : 0;
    for (int i = 0; i < 40; i++) {
        (void)toc_anomaly_bit_step(&bit, t_ms + (i + 1) * 1000, odd[i % 8]);
        if (isnan(bit.surprise) || bit.surprise < 0 || isnan(bit.level) || isnan(bit.fast))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_newest_source source = {no_series, no_labels, NULL};
    const struct toc_series_watch_options o = {.source = &source};
    struct toc_series_watch *w = toc_series_watch_new(&o), *again = toc_series_watch_new(&o);
    struct toc_buf first = TOC_BUF_INIT, second = TOC_BUF_INIT;
    struct toc_sv bytes = toc_sv_make((const char *)data, size);
    if (toc_series_watch_restore(w, bytes) == 0) {
        toc_series_watch_encode(w, &first);
        if (toc_series_watch_restore(again, toc_buf_sv(&first)) < 0)
            abort();
        toc_series_watch_encode(again, &second);
        if (first.n != second.n || memcmp(first.p, second.p, first.n) != 0)
            abort();
    }
    check_bit(bytes);
    toc_buf_fini(&first);
    toc_buf_fini(&second);
    toc_series_watch_free(&w);
    toc_series_watch_free(&again);
    return 0;
}
