#include "diagnose/history_priv.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The k-th smallest comes to its place, nothing greater before it and nothing less behind it
 * (Hoare's FIND, in Wirth's form). Values arranged so that it takes long end in sorting. */
static void select_nth(double *v, ptrdiff_t n, ptrdiff_t k) {
    enum { ROUNDS = 64 };
    ptrdiff_t low = 0, high = n - 1;
    for (int round = 0; low < high; round++) {
        if (round == ROUNDS) {
            qsort(v + low, (size_t)(high - low + 1), sizeof *v, by_value);
            return;
        }
        double pivot = v[k];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (pivot < v[j])
                j--;
            if (i <= j) {
                double t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (j < k)
            low = i;
        if (k < i)
            high = j;
    }
}

double toc_history_quantile(double *v, size_t n, double q) {
    if (!n)
        return NAN;
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;
    double share = at - (double)low;
    select_nth(v, (ptrdiff_t)n, (ptrdiff_t)low);
    if (low + 1 >= n)
        return v[low];
    double next = v[low + 1];
    for (size_t i = low + 2; i < n; i++)
        next = v[i] < next ? v[i] : next;
    return v[low] * (1 - share) + next * share;
}

double toc_history_median(double *v, size_t n) {
    return toc_history_quantile(v, n, 0.5);
}

double toc_history_mad(double *v, size_t n, double center) {
    for (size_t i = 0; i < n; i++)
        v[i] = fabs(v[i] - center);
    return 1.4826 * toc_history_median(v, n);
}

void toc_bins_reset(struct toc_bins *b) {
    *b = (struct toc_bins){0};
}

static void close_bin(struct toc_bins *b) {
    if (!b->open_count)
        return;
    double v[TOC_BIN_SAMPLES];
    for (size_t i = 0; i < b->open_count; i++)
        v[i] = b->open[i];
    struct toc_bin bin = {b->open_t_ms, (float)toc_history_median(v, b->open_count),
                          (float)b->seen};
    if (b->count == TOC_BINS) {
        b->start = (b->start + 1) % TOC_BINS;
        b->count--;
    }
    b->items[(b->start + b->count++) % TOC_BINS] = bin;
    b->open_count = b->seen = 0;
}

void toc_bins_add(struct toc_bins *b, int64_t t_ms, double value) {
    if (fabs(value) > (double)FLT_MAX) /* 1e308 is a number: too large for a float, not infinite */
        value = copysign((double)FLT_MAX, value);
    int64_t second = t_ms / 1000;
    if (b->open_count && second != b->open_s)
        close_bin(b);
    if (!b->open_count) {
        b->open_s = second;
        b->open_t_ms = t_ms;
    }
    b->seen++;
    if (b->open_count < TOC_BIN_SAMPLES)
        b->open[b->open_count++] = (float)value;
    else /* past the reservoir the newest displace in turn: still a fair sample of the second */
        b->open[b->seen % TOC_BIN_SAMPLES] = (float)value;
}

void toc_bins_drop_before(struct toc_bins *b, int64_t t_ms) {
    while (b->count && b->items[b->start].t_ms < t_ms) {
        b->start = (b->start + 1) % TOC_BINS;
        b->count--;
    }
    if (b->open_count && b->open_t_ms < t_ms)
        b->open_count = b->seen = 0;
}

void toc_bins_settle(struct toc_bins *b, int64_t now_ms) {
    if (b->open_count && now_ms / 1000 > b->open_s)
        close_bin(b);
}

size_t toc_bins_window(const struct toc_bins *b, int64_t from_ms, int64_t to_ms, double *out,
                       size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < b->count && n < max; i++) {
        const struct toc_bin *bin = &b->items[(b->start + i) % TOC_BINS];
        if (bin->t_ms >= from_ms && bin->t_ms < to_ms)
            out[n++] = bin->median;
    }
    return n;
}

int64_t toc_bins_first_ms(const struct toc_bins *b) {
    return b->count ? b->items[b->start].t_ms : INT64_MAX;
}
