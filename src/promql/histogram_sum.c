/* Sums and means of native histograms: count and sum with compensation (Neumaier 1974). */
#include <math.h>

#include "model/histogram_math.h"
#include "promql/histograms_priv.h"
#include "promql/sum_priv.h"

struct total {
    double sum, lost;
};

static void add(struct total *t, double v) {
    toc_sum_add(&t->sum, &t->lost, v);
}
static double value(const struct total *t) {
    return isinf(t->sum) ? t->sum : t->sum + t->lost;
}

/* Every histogram times `share` first, so that a mean does not overflow on the way. */
static struct toc_histogram *fold(const struct toc_histogram *const *h, size_t count, double share,
                                  struct toc_arena *arena, struct toc_histogram_notes *notes) {
    struct total counts = {0}, sums = {0};
    struct toc_histogram *all = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct toc_histogram *one =
            share == 1 ? h[i] : toc_histogram_scale(h[i], share, arena);
        if (!one)
            return NULL;
        add(&counts, one->count);
        add(&sums, one->sum);
        all = all ? toc_histogram_add(all, one, arena, notes) : toc_histogram_dup(one, arena);
        if (!all)
            return NULL;
    }
    all->count = value(&counts);
    all->sum = value(&sums);
    return toc_histogram_compact(all, arena);
}

struct toc_histogram *toc_histograms_sum(const struct toc_histogram *const *h, size_t count,
                                         struct toc_arena *arena,
                                         struct toc_histogram_notes *notes) {
    return fold(h, count, 1, arena, notes);
}

static bool overflows(const struct toc_histogram *h) {
    bool any = isinf(h->count) || isinf(h->sum) || isinf(h->zero_count);
    for (size_t i = 0; i < h->positive.size && !any; i++)
        any = isinf(h->positive.count[i]);
    for (size_t i = 0; i < h->negative.size && !any; i++)
        any = isinf(h->negative.count[i]);
    return any;
}

struct toc_histogram *toc_histograms_mean(const struct toc_histogram *const *h, size_t count,
                                          struct toc_arena *arena,
                                          struct toc_histogram_notes *notes) {
    struct toc_histogram *sum = fold(h, count, 1, arena, notes);
    if (!sum || count == 1)
        return sum;
    if (overflows(sum))
        return fold(h, count, 1 / (double)count, arena, notes);
    return toc_histogram_divide(sum, (double)count, arena);
}
