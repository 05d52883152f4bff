#include "detect/robust.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "detect/stats.h"

#define MAD_TO_STDDEV 1.4826022185056018         /* 1 / Phi^-1(3/4) */
#define MEAN_DEVIATION_TO_STDDEV 1.2533141373155 /* sqrt(pi / 2) */
#define CONSTANT_UNIT_RATIO 0.01

double toc_robust_median(double *values, size_t count) {
    return toc_quantile_select(values, count, 0.5);
}

/* Inverse of erfc by Newton steps on the logarithm: full precision for p down to 1e-300. */
double toc_normal_two_sided(double p) {
    if (!(p > 0))
        return INFINITY;
    if (p >= 1)
        return 0;
    double z = p > 0.5 ? (1 - p) * MEAN_DEVIATION_TO_STDDEV : sqrt(-2 * log(p));
    for (int i = 0; i < 50; i++) {
        double tail = erfc(z * M_SQRT1_2);
        double density = 2 * exp(-z * z / 2) / sqrt(2 * M_PI);
        double step = tail / density * log(tail / p);
        z += step;
        if (fabs(step) < 1e-13 * (1 + z))
            break;
    }
    return z;
}

/* Scale from the deviations' median and mean; see the head of robust.h. */
static void choose_scale(struct toc_robust *r, double mean_deviation) {
    r->z_limit = TOC_ROBUST_Z_MAX;
    r->is_constant = !(mean_deviation > 0);
    if (r->mad > 0) {
        r->scale = r->mad * MAD_TO_STDDEV;
    } else if (!r->is_constant) {
        r->scale = mean_deviation * MEAN_DEVIATION_TO_STDDEV;
    } else {
        double unit = fabs(r->median) * CONSTANT_UNIT_RATIO;
        r->scale = unit > 0 ? unit : 1e-12;
        r->z_limit = toc_normal_two_sided(1 / ((double)r->count + 1));
    }
    /* Denormal scales would turn rounding noise into huge scores. */
    r->scale = fmax(r->scale, fmax(fabs(r->median) * 1e-9, 1e-300));
}

void toc_robust_fit(double *values, size_t count, struct toc_robust *out) {
    *out = (struct toc_robust){.count = count, .median = NAN};
    if (count == 0)
        return;
    out->median = toc_robust_median(values, count);
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        values[i] = fabs(values[i] - out->median);
        sum += values[i] / (double)count;
    }
    out->mad = toc_robust_median(values, count);
    choose_scale(out, sum);
}

double toc_robust_z(const struct toc_robust *r, double value) {
    if (isnan(value))
        return NAN;
    if (r->count == 0)
        return 0;
    double z = (value - r->median) / r->scale;
    return fmin(fmax(z, -r->z_limit), r->z_limit);
}

void toc_robust_band(const struct toc_robust *r, double threshold, double *out_lower,
                     double *out_upper) {
    if (r->count == 0) {
        *out_lower = *out_upper = NAN;
        return;
    }
    *out_lower = r->median - threshold * r->scale;
    *out_upper = r->median + threshold * r->scale;
}

int toc_robust_window_init(struct toc_robust_window *w, size_t capacity) {
    capacity = TOC_MAX((size_t)1, TOC_MIN(capacity, (size_t)TOC_ROBUST_WINDOW_MAX));
    *w = (struct toc_robust_window){.capacity = capacity};
    w->ring = toc_try_calloc(capacity, sizeof *w->ring);
    w->sorted = toc_try_calloc(capacity, sizeof *w->sorted);
    if (w->ring && w->sorted)
        return 0;
    toc_robust_window_fini(w);
    return TOC_ENOMEM;
}

void toc_robust_window_fini(struct toc_robust_window *w) {
    toc_free(w->ring);
    toc_free(w->sorted);
    *w = (struct toc_robust_window){0};
}

/* First place whose value is not below `value`. */
static size_t lower_bound(const double *sorted, size_t count, double value) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void forget_oldest(struct toc_robust_window *w) {
    double oldest = w->ring[w->head];
    size_t at = lower_bound(w->sorted, w->count, oldest);
    memmove(w->sorted + at, w->sorted + at + 1, (w->count - at - 1) * sizeof *w->sorted);
    w->count--;
}

void toc_robust_window_add(struct toc_robust_window *w, double value) {
    if (!isfinite(value))
        return;
    if (w->count == w->capacity)
        forget_oldest(w);
    size_t at = lower_bound(w->sorted, w->count, value);
    memmove(w->sorted + at + 1, w->sorted + at, (w->count - at) * sizeof *w->sorted);
    w->sorted[at] = value;
    w->ring[w->head] = value;
    w->head = (w->head + 1) % w->capacity;
    w->count++;
}

/* Deviations below the median fall towards it, those above rise away: two sorted runs, the k-th of
 * both. */
static double kth_deviation(const double *sorted, size_t count, double median, size_t k) {
    size_t below =
        lower_bound(sorted, count, median); /* deviations median - sorted[below - 1 - i] */
    size_t low = k + 1 > count - below ? k + 1 - (count - below) : 0;
    size_t high = TOC_MIN(k + 1, below);
    while (low < high) { /* how many of the k + 1 smallest lie below the median */
        size_t middle = low + (high - low) / 2;
        double left = median - sorted[below - 1 - middle];
        double right = sorted[below + (k - middle)] - median;
        if (left < right)
            low = middle + 1;
        else
            high = middle;
    }
    double left = low > 0 ? median - sorted[below - low] : 0;
    double right = k + 1 > low ? sorted[below + (k - low)] - median : 0;
    return fmax(left, right);
}

void toc_robust_window_fit(const struct toc_robust_window *w, struct toc_robust *out) {
    *out = (struct toc_robust){.count = w->count, .median = NAN};
    if (w->count == 0)
        return;
    size_t n = w->count;
    out->median = toc_quantile_sorted(w->sorted, n, 0.5);
    double high = kth_deviation(w->sorted, n, out->median, n / 2);
    out->mad = n % 2 ? high : (kth_deviation(w->sorted, n, out->median, n / 2 - 1) + high) / 2;
    double sum = 0;
    if (!(out->mad > 0))
        for (size_t i = 0; i < n; i++)
            sum += fabs(w->sorted[i] - out->median) / (double)n;
    else
        sum = out->mad;
    choose_scale(out, sum);
}
