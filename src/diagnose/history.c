#include "diagnose/history_priv.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attrs.h"

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort_few(double *v, size_t n) {
    for (size_t i = 1; i < n; i++) {
        double x = v[i];
        size_t at = i;
        for (; at > 0 && v[at - 1] > x; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

static double middle_of(double a, double b, double c) {
    double low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

/* A value near the k-th of n: of a few spread over the array the one that stands as far in them as
 * the k-th does in all (Floyd and Rivest, CACM 18/3, 1975, with a fixed sample). */
static double pivot_for(const double *v, size_t n, size_t k) {
    enum { SAMPLE = 9, LARGE = 100 };
    double few[SAMPLE];
    if (n < LARGE)
        return middle_of(v[0], v[n / 2], v[n - 1]);
    for (size_t i = 0; i < SAMPLE; i++)
        few[i] = v[i * (n - 1) / (SAMPLE - 1)];
    sort_few(few, SAMPLE);
    return few[(k * (SAMPLE - 1) + n / 2) / n];
}

/* Brings what is less than the pivot (or, not above it) to the front and returns how many. Without
 * a branch that depends on the values: on numbers in no order it would be guessed wrong half of the
 * time. */
static size_t part(double *v, size_t n, double pivot, bool is_equal_low) {
    size_t front = 0;
    for (size_t i = 0; i < n; i++) {
        double x = v[i];
        v[i] = v[front];
        v[front] = x;
        front += is_equal_low ? x <= pivot : x < pivot;
    }
    return front;
}

/* The k-th smallest comes to its place, nothing greater before it and nothing less behind it
 * (Hoare's FIND). What is small, or arranged so that it takes long, is sorted. */
static void select_nth(double *v, size_t n, size_t k) {
    enum { ROUNDS = 32, SMALL = 16 };
    for (int round = 0; n > SMALL && round < ROUNDS; round++) {
        double pivot = pivot_for(v, n, k);
        size_t less = part(v, n, pivot, false);
        if (k < less) {
            n = less;
            continue;
        }
        size_t same = part(v + less, n - less, pivot, true);
        if (k < less + same)
            return;
        v += less + same;
        n -= less + same;
        k -= less + same;
    }
    if (n <= SMALL)
        sort_few(v, n);
    else
        qsort(v, n, sizeof *v, by_value);
}

double toc_history_quantile(double *v, size_t n, double q) {
    if (!n)
        return NAN;
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;
    double share = at - (double)low;
    select_nth(v, n, low);
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

/* A place of the ring, from one that may lie up to a ring's length behind its end. */
static size_t on_ring(size_t place) {
    return place < TOC_BINS ? place : place - TOC_BINS;
}

static const struct toc_bin *bin_at(const struct toc_bins *b, size_t i) {
    return &b->items[on_ring(b->start + i)];
}

static float median_of_many(const struct toc_bins *b) {
    double v[TOC_BIN_SAMPLES];
    for (size_t i = 0; i < b->open_count; i++)
        v[i] = b->open[i];
    return (float)toc_history_median(v, b->open_count);
}

static void close_bin(struct toc_bins *b) {
    if (!b->open_count)
        return;
    float median = b->open_count == 1 ? b->open[0] : median_of_many(b); /* mostly one a second */
    struct toc_bin bin = {b->open_t_ms, median, (float)b->seen};
    if (b->count == TOC_BINS) {
        b->start = on_ring(b->start + 1);
        b->count--;
    }
    b->is_unordered |= b->count && bin_at(b, b->count - 1)->t_ms > bin.t_ms;
    b->items[on_ring(b->start + b->count++)] = bin;
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
        b->start = on_ring(b->start + 1);
        b->count--;
    }
    if (b->open_count && b->open_t_ms < t_ms)
        b->open_count = b->seen = 0;
}

void toc_bins_settle(struct toc_bins *b, int64_t now_ms) {
    if (b->open_count && now_ms / 1000 > b->open_s)
        close_bin(b);
}

/* The first bin at or after the time, of bins in order. */
static size_t first_bin(const struct toc_bins *b, int64_t t_ms) {
    size_t low = 0, high = b->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (bin_at(b, mid)->t_ms < t_ms)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Bins that follow each other, in one or two rows of the ring. */
struct rows {
    const struct toc_bin *items[2];
    size_t counts[2];
};

static struct rows rows_of(const struct toc_bins *b, size_t first, size_t count) {
    size_t at = on_ring(b->start + first), row = TOC_MIN(count, (size_t)TOC_BINS - at);
    return (struct rows){{b->items + at, b->items}, {row, count - row}};
}

/* Of bins in order. */
static struct rows rows_between(const struct toc_bins *b, int64_t from_ms, int64_t to_ms,
                                size_t max) {
    size_t first = first_bin(b, from_ms), last = first_bin(b, to_ms);
    return rows_of(b, first, last > first ? TOC_MIN(last - first, max) : 0);
}

static size_t window_of_ordered(const struct toc_bins *b, int64_t from_ms, int64_t to_ms,
                                double *out, size_t max) {
    struct rows rows = rows_between(b, from_ms, to_ms, max);
    size_t n = 0;
    for (size_t r = 0; r < 2; r++)
        for (size_t i = 0; i < rows.counts[r]; i++)
            out[n++] = rows.items[r][i].median;
    return n;
}

size_t toc_bins_window(const struct toc_bins *b, int64_t from_ms, int64_t to_ms, double *out,
                       size_t max) {
    size_t n = 0;
    if (!b->is_unordered)
        return window_of_ordered(b, from_ms, to_ms, out, max);
    for (size_t i = 0; i < b->count && n < max; i++) {
        const struct toc_bin *bin = bin_at(b, i);
        if (bin->t_ms >= from_ms && bin->t_ms < to_ms)
            out[n++] = bin->median;
    }
    return n;
}

static void extend(struct toc_bin_range *range, const struct toc_bin *bin) {
    range->count++;
    range->least = TOC_MIN(range->least, (double)bin->median);
    range->most = TOC_MAX(range->most, (double)bin->median);
}

struct toc_bin_range toc_bins_range(const struct toc_bins *b, int64_t from_ms, int64_t to_ms) {
    struct toc_bin_range range = {0, INFINITY, -INFINITY};
    struct rows rows =
        b->is_unordered ? rows_of(b, 0, b->count) : rows_between(b, from_ms, to_ms, TOC_BINS);
    for (size_t r = 0; r < 2; r++)
        for (size_t i = 0; i < rows.counts[r]; i++) {
            const struct toc_bin *bin = &rows.items[r][i];
            if (!b->is_unordered || (bin->t_ms >= from_ms && bin->t_ms < to_ms))
                extend(&range, bin);
        }
    return range;
}

int64_t toc_bins_first_ms(const struct toc_bins *b) {
    return b->count ? b->items[b->start].t_ms : INT64_MAX;
}
