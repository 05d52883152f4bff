#include "model/series_buffer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/vec.h"

void toc_series_buffer_reserve(struct toc_series_buffer *b, size_t more) {
    if (b->count + more <= b->capacity)
        return;
    size_t n = b->capacity + b->capacity / 2 + more;
    b->t_ms = toc_xrealloc(b->t_ms, toc_vec_bytes(n, sizeof *b->t_ms));
    b->values = toc_xrealloc(b->values, toc_vec_bytes(n, sizeof *b->values));
    if (b->has_start)
        b->start_ms = toc_xrealloc(b->start_ms, toc_vec_bytes(n, sizeof *b->start_ms));
    if (b->has_histograms)
        b->histograms = toc_xrealloc(b->histograms, toc_vec_bytes(n, sizeof *b->histograms));
    b->capacity = n;
}

void toc_series_buffer_add_histograms(struct toc_series_buffer *b) {
    if (b->has_histograms)
        return;
    size_t bytes = toc_vec_bytes(b->capacity, sizeof *b->histograms);
    b->histograms = toc_xrealloc(b->histograms, bytes);
    if (b->count)
        memset(b->histograms, 0, b->count * sizeof *b->histograms);
    b->has_histograms = true;
}

void toc_series_buffer_add_start(struct toc_series_buffer *b) {
    if (b->has_start)
        return;
    b->start_ms = toc_xrealloc(b->start_ms, toc_vec_bytes(b->capacity, sizeof *b->start_ms));
    if (b->count)
        memset(b->start_ms, 0, b->count * sizeof *b->start_ms);
    b->has_start = true;
}

void toc_series_buffer_reset(struct toc_series_buffer *b) {
    b->count = 0;
    b->rollups.count = 0;
    b->has_start = false;
    b->has_histograms = false;
    if (b->histogram_arena.used_bytes)
        toc_arena_reset(&b->histogram_arena);
}

void toc_series_buffer_fini(struct toc_series_buffer *b) {
    toc_free(b->t_ms);
    toc_free(b->values);
    toc_free(b->start_ms);
    toc_free(b->histograms);
    toc_rollups_fini(&b->rollups);
    toc_arena_fini(&b->histogram_arena);
    *b = (struct toc_series_buffer){0};
}
