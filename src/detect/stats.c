#include "detect/stats.h"

#include <math.h>
#include <stdlib.h>

static void stats_empty(struct toc_stats *out) {
    *out = (struct toc_stats){.min = NAN,
                              .max = NAN,
                              .sum = NAN,
                              .mean = NAN,
                              .variance = NAN,
                              .stddev = NAN,
                              .sample_variance = NAN,
                              .skewness = NAN,
                              .excess_kurtosis = NAN,
                              .first = NAN,
                              .last = NAN};
}

void toc_stats_compute(const double *values, size_t count, struct toc_stats *out) {
    stats_empty(out);
    if (count == 0)
        return;
    double mean = 0, m2 = 0, m3 = 0, m4 = 0, sum = 0;
    double min = values[0], max = values[0];
    for (size_t i = 0; i < count; i++) {
        double n = (double)(i + 1), before = (double)i;
        double delta = values[i] - mean, step = delta / n, step2 = step * step;
        double term = delta * step * before;
        mean += step;
        m4 += term * step2 * (n * n - 3 * n + 3) + 6 * step2 * m2 - 4 * step * m3;
        m3 += term * step * (n - 2) - 3 * step * m2;
        m2 += term;
        sum += values[i];
        min = fmin(min, values[i]);
        max = fmax(max, values[i]);
    }
    double n = (double)count;
    out->count = count;
    out->min = min;
    out->max = max;
    out->sum = sum;
    out->mean = mean;
    out->variance = m2 / n;
    out->stddev = sqrt(out->variance);
    out->sample_variance = count > 1 ? m2 / (n - 1) : 0;
    out->skewness = m2 > 0 ? sqrt(n) * m3 / pow(m2, 1.5) : 0;
    out->excess_kurtosis = m2 > 0 ? n * m4 / (m2 * m2) - 3 : 0;
    out->first = values[0];
    out->last = values[count - 1];
}

void toc_welford_add(struct toc_welford *w, double value) {
    w->count++;
    double delta = value - w->mean;
    w->mean += delta / (double)w->count;
    w->m2 += delta * (value - w->mean);
}

double toc_welford_variance(const struct toc_welford *w) {
    return w->count ? w->m2 / (double)w->count : 0;
}

void toc_welford_merge(struct toc_welford *a, const struct toc_welford *b) {
    if (b->count == 0)
        return;
    uint64_t count = a->count + b->count;
    double delta = b->mean - a->mean, share = (double)b->count / (double)count;
    a->m2 += b->m2 + delta * delta * (double)a->count * share;
    a->mean += delta * share;
    a->count = count;
}

static void swap_f64(double *a, double *b) {
    double t = *a;
    *a = *b;
    *b = t;
}

/* Median of three to the middle: sorted and organ-pipe inputs stay linear. */
static double choose_pivot(double *v, size_t low, size_t high) {
    size_t middle = low + (high - low) / 2;
    if (v[middle] < v[low])
        swap_f64(&v[middle], &v[low]);
    if (v[high] < v[low])
        swap_f64(&v[high], &v[low]);
    if (v[high] < v[middle])
        swap_f64(&v[high], &v[middle]);
    return v[middle];
}

static int compare_f64(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void toc_sort_f64(double *values, size_t count) {
    if (count > 1)
        qsort(values, count, sizeof *values, compare_f64);
}

double toc_select_kth(double *values, size_t count, size_t k) {
    size_t low = 0, high = count - 1;
    /* A budget of rounds keeps hostile orders from being quadratic: then the rest is sorted. */
    for (int rounds = 0; low < high; rounds++) {
        if (rounds == 64) {
            toc_sort_f64(values + low, high - low + 1);
            break;
        }
        double pivot = choose_pivot(values, low, high);
        size_t i = low, j = high;
        for (;;) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            swap_f64(&values[i++], &values[j--]);
        }
        size_t last_low = values[j] <= pivot ? j : j - 1;
        if (k <= last_low)
            high = last_low;
        else
            low = last_low + 1;
    }
    return values[k];
}

/* numpy's lerp: symmetric, so that both ends are exact. */
static double interpolate(double a, double b, double t) {
    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

static double clamp_unit(double q) {
    return q < 0 ? 0 : q > 1 ? 1 : q;
}

double toc_quantile_sorted(const double *sorted, size_t count, double q) {
    if (count == 0 || isnan(q))
        return NAN;
    double position = clamp_unit(q) * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count)
        return sorted[count - 1];
    return interpolate(sorted[below], sorted[below + 1], position - (double)below);
}

double toc_quantile_select(double *values, size_t count, double q) {
    if (count == 0 || isnan(q))
        return NAN;
    double position = clamp_unit(q) * (double)(count - 1);
    size_t below = (size_t)position;
    double low = toc_select_kth(values, count, below);
    if (below + 1 >= count)
        return low;
    double high = values[below + 1];
    for (size_t i = below + 2; i < count; i++)
        high = fmin(high, values[i]);
    return interpolate(low, high, position - (double)below);
}

struct toc_slope toc_slope_compute(const int64_t *t_ms, const double *values, size_t count) {
    if (count < 2)
        return (struct toc_slope){NAN, NAN};
    double mean_t = 0, mean_v = 0, cross = 0, square = 0;
    for (size_t i = 0; i < count; i++) {
        double t = (double)(t_ms[i] - t_ms[0]) / 1000, n = (double)(i + 1);
        double dt = t - mean_t, dv = values[i] - mean_v;
        mean_t += dt / n;
        mean_v += dv / n;
        cross += dt * (values[i] - mean_v);
        square += dt * (t - mean_t);
    }
    if (square <= 0)
        return (struct toc_slope){NAN, NAN};
    double slope = cross / square;
    double end = (double)(t_ms[count - 1] - t_ms[0]) / 1000;
    return (struct toc_slope){slope, mean_v + slope * (end - mean_t)};
}

size_t toc_finite_compact(double *values, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            values[kept++] = values[i];
    return kept;
}

void toc_wilson_interval(uint64_t hits, uint64_t count, double *out_low, double *out_high) {
    const double z = 1.959963984540054;
    double n = (double)count, p = count ? (double)hits / n : 0.5;
    if (!count) {
        *out_low = 0;
        *out_high = 1;
        return;
    }
    double middle = p + z * z / (2 * n), width = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    *out_low = fmax(0, (middle - width) / (1 + z * z / n));
    *out_high = fmin(1, (middle + width) / (1 + z * z / n));
}
