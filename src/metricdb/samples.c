#include "metricdb/samples.h"

#include <string.h>

#include "base/attrs.h"

/* Sample `from` of src becomes sample `to` of dst. */
static void copy_sample(struct toc_series_buffer *dst, size_t to,
                        const struct toc_series_buffer *src, size_t from) {
    dst->t_ms[to] = src->t_ms[from];
    dst->values[to] = src->values[from];
    if (dst->has_histograms)
        dst->histograms[to] = src->histograms[from];
}

void toc_samples_clip(struct toc_series_buffer *b, size_t from, int64_t min_ms, int64_t max_ms) {
    size_t first = from, end = b->count, n;
    while (first < end && b->t_ms[first] < min_ms)
        first++;
    while (end > first && b->t_ms[end - 1] > max_ms)
        end--;
    n = end - first;
    if (first > from && n) {
        memmove(b->t_ms + from, b->t_ms + first, n * sizeof *b->t_ms);
        memmove(b->values + from, b->values + first, n * sizeof *b->values);
        if (b->has_histograms)
            memmove(b->histograms + from, b->histograms + first, n * sizeof *b->histograms);
    }
    b->count = from + n;
}

void toc_samples_cut(struct toc_series_buffer *b, size_t from, int64_t min_ms, int64_t max_ms) {
    size_t kept = from;
    for (size_t i = from; i < b->count; i++)
        if (b->t_ms[i] < min_ms || b->t_ms[i] > max_ms)
            copy_sample(b, kept++, b, i);
    b->count = kept;
}

/* Stable merge of two sorted runs of src into dst. */
static void merge_runs(const struct toc_series_buffer *src, struct toc_series_buffer *dst, size_t a,
                       size_t m, size_t b) {
    size_t i = a, j = m;
    for (size_t k = a; k < b; k++) {
        size_t from = j == b || (i < m && src->t_ms[i] <= src->t_ms[j]) ? i++ : j++;
        copy_sample(dst, k, src, from);
    }
}

static bool do_rise(const struct toc_series_buffer *b) {
    for (size_t i = 1; i < b->count; i++)
        if (b->t_ms[i - 1] >= b->t_ms[i])
            return false;
    return true;
}

/* The columns of samples change places; what else the buffers own stays. */
static void swap_columns(struct toc_series_buffer *a, struct toc_series_buffer *b) {
    struct toc_series_buffer swap = *a;
    struct toc_arena arena = a->histogram_arena, other = b->histogram_arena;
    struct toc_rollups mine = a->rollups, theirs = b->rollups;
    *a = *b;
    *b = swap;
    a->histogram_arena = arena;
    b->histogram_arena = other;
    a->rollups = mine;
    b->rollups = theirs;
}

/* Where the run that begins at `from` ends: as long as times do not fall. */
static size_t run_end(const struct toc_series_buffer *b, size_t from) {
    size_t end = from + 1;
    while (end < b->count && b->t_ms[end - 1] <= b->t_ms[end])
        end++;
    return end < b->count ? end : b->count;
}

/* One pass over all runs: each two neighbours become one. How many are left? */
static size_t merge_neighbours(const struct toc_series_buffer *src, struct toc_series_buffer *dst) {
    size_t runs = 0;
    for (size_t i = 0; i < src->count; runs++) {
        size_t middle = run_end(src, i);
        size_t end = middle < src->count ? run_end(src, middle) : middle;
        merge_runs(src, dst, i, middle, end);
        i = end;
    }
    dst->count = src->count;
    return runs;
}

/* The parts of a series are sorted, so there are few runs: head and blocks overlap by one. */
void toc_samples_sort(struct toc_series_buffer *b) {
    if (do_rise(b))
        return;
    struct toc_series_buffer other = {.has_histograms = b->has_histograms};
    toc_series_buffer_reserve(&other, b->count);
    size_t runs;
    do {
        runs = merge_neighbours(b, &other);
        swap_columns(b, &other);
    } while (runs > 1);
    toc_series_buffer_fini(&other);
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++)
        if (!kept || b->t_ms[kept - 1] != b->t_ms[i])
            copy_sample(b, kept++, b, i);
    b->count = kept;
}
