#include "model/rollup.h"

#include "base/alloc.h"
#include "base/sum.h"
#include "base/vec.h"
#include "model/histogram.h"
#include "model/sample.h"
#include "model/series_buffer.h"

int64_t toc_rollup_floor(int64_t t_ms, int64_t resolution_ms) {
    int64_t rest = t_ms % resolution_ms;
    return t_ms - (rest < 0 ? rest + resolution_ms : rest);
}

int64_t toc_rollup_end(int64_t t_ms, int64_t resolution_ms) {
    int64_t floor = toc_rollup_floor(t_ms, resolution_ms);
    return floor == t_ms ? t_ms : floor + resolution_ms;
}

/* As min_over_time and max_over_time choose: NaN only when there is nothing else. */
static double extreme(double best, double v, bool is_max) {
    return isnan(best) || (is_max ? v > best : v < best) ? v : best;
}

void toc_rollup_join(struct toc_rollup *into, const struct toc_rollup *next) {
    into->histograms += next->histograms;
    into->ends_stale = next->ends_stale;
    if (!next->count)
        return;
    if (!into->count) {
        struct toc_rollup joined = *next;
        joined.end_ms = into->end_ms;
        joined.histograms = into->histograms;
        *into = joined;
        return;
    }
    double sum = into->sum, lost = 0;
    toc_sum_add(&sum, &lost, next->sum);
    into->drops += next->drops + (next->first < into->last ? into->last : 0);
    into->min = extreme(into->min, next->min, false);
    into->max = extreme(into->max, next->max, true);
    into->sum = isinf(sum) ? sum : sum + lost;
    into->last = next->last;
    into->last_ms = next->last_ms;
    into->count += next->count;
}

struct toc_rollup toc_rollup_unite(const struct toc_rollup *a, const struct toc_rollup *b) {
    bool a_first = a->count && b->count && a->last_ms < b->first_ms;
    bool b_first = a->count && b->count && b->last_ms < a->first_ms;
    if (a_first || b_first) {
        struct toc_rollup joined = a_first ? *a : *b;
        uint32_t histograms = TOC_MAX(a->histograms, b->histograms);
        toc_rollup_join(&joined, a_first ? b : a);
        joined.histograms = histograms;
        return joined;
    }
    return (uint64_t)a->count + a->histograms > (uint64_t)b->count + b->histograms ? *a : *b;
}

void toc_rollups_push(struct toc_rollups *r, const struct toc_rollup *bucket) {
    TOC_VEC_PUSH(r, *bucket);
}

void toc_rollups_fini(struct toc_rollups *r) {
    TOC_VEC_FINI(r);
}

/* The samples of one bucket from `i` on; gives the place behind them. */
static size_t fill(const struct toc_series_buffer *b, size_t i, struct toc_rollup *out) {
    struct toc_rollup r = {.end_ms = out->end_ms};
    double sum = 0, lost = 0;
    for (; i < b->count && b->t_ms[i] <= r.end_ms; i++) {
        const struct toc_histogram *h = b->has_histograms ? b->histograms[i] : NULL;
        double v = b->values[i];
        r.ends_stale = h ? toc_histogram_is_stale(h) : toc_is_stale_nan(v);
        r.histograms += h != NULL;
        if (h || r.ends_stale)
            continue;
        if (!r.count++) {
            r.first = r.min = r.max = r.last = v;
            r.first_ms = b->t_ms[i];
        }
        r.drops += v < r.last ? r.last : 0;
        r.min = extreme(r.min, v, false);
        r.max = extreme(r.max, v, true);
        toc_sum_add(&sum, &lost, v);
        r.last = v;
        r.last_ms = b->t_ms[i];
    }
    r.sum = isinf(sum) ? sum : sum + lost;
    *out = r;
    return i;
}

void toc_rollups_add_samples(struct toc_rollups *r, const struct toc_series_buffer *b, size_t from,
                             int64_t resolution_ms) {
    for (size_t i = from; i < b->count;) {
        struct toc_rollup bucket = {.end_ms = toc_rollup_end(b->t_ms[i], resolution_ms)};
        i = fill(b, i, &bucket);
        TOC_VEC_PUSH(r, bucket);
    }
}

void toc_rollups_add_united(struct toc_rollups *r, const struct toc_rollup *a, size_t a_count,
                            const struct toc_rollup *b, size_t b_count) {
    size_t i = 0, k = 0;
    while (i < a_count || k < b_count) {
        if (k == b_count || (i < a_count && a[i].end_ms < b[k].end_ms)) {
            TOC_VEC_PUSH(r, a[i++]);
        } else if (i == a_count || b[k].end_ms < a[i].end_ms) {
            TOC_VEC_PUSH(r, b[k++]);
        } else {
            struct toc_rollup both = toc_rollup_unite(&a[i++], &b[k++]);
            TOC_VEC_PUSH(r, both);
        }
    }
}
