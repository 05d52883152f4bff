/* Short memories of numbers: one bin per second with its median, and the robust statistics over
 * them. */
#ifndef TOC_DIAGNOSE_HISTORY_PRIV_H
#define TOC_DIAGNOSE_HISTORY_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOC_BINS = 900, TOC_BIN_SAMPLES = 63 };

struct toc_bin {
    int64_t t_ms; /* of its first sample */
    float median, count;
};

/* Bins exist only for seconds with samples, so a slow run's 900 bins reach back for hours. */
struct toc_bins {
    struct toc_bin items[TOC_BINS];
    size_t start, count;
    int64_t open_s; /* second of the bin being filled */
    float open[TOC_BIN_SAMPLES];
    size_t open_count, seen; /* kept, all */
    int64_t open_t_ms;
    bool is_unordered; /* some bin began before the one that it follows */
};

void toc_bins_add(struct toc_bins *b, int64_t t_ms, double value);
/* The bin being filled counts as closed once its second has passed. */
void toc_bins_settle(struct toc_bins *b, int64_t now_ms);
/* Forgets the bins that began before t. */
void toc_bins_drop_before(struct toc_bins *b, int64_t t_ms);
void toc_bins_reset(struct toc_bins *b);

/* Medians of the bins with from <= t < to, oldest first; at most max. */
size_t toc_bins_window(const struct toc_bins *b, int64_t from_ms, int64_t to_ms, double *out,
                       size_t max);
/* How many they are, and between which medians; costs less than the medians themselves. */
struct toc_bin_range {
    size_t count;
    double least, most; /* INFINITY and -INFINITY when there is none */
};
struct toc_bin_range toc_bins_range(const struct toc_bins *b, int64_t from_ms, int64_t to_ms);
/* Time of the first bin, INT64_MAX when empty. */
int64_t toc_bins_first_ms(const struct toc_bins *b);

/* Statistics of an array, which they reorder. NaN when n is 0. */
double toc_history_median(double *v, size_t n);
double toc_history_quantile(double *v, size_t n, double q);
/* 1.4826 * median of the absolute deviations from `center`. */
double toc_history_mad(double *v, size_t n, double center);

#endif
