/* Robust statistics against plain sorting, on random and on awkward arrays. */
#include "../cmocka_prelude.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "diagnose/history_priv.h"

enum { MAX = 1800 };

static uint64_t g_seed = 1;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double plain_quantile(const double *v, size_t n, double q) {
    double sorted[MAX];
    memcpy(sorted, v, n * sizeof *v);
    qsort(sorted, n, sizeof *sorted, by_value);
    double at = q * (double)(n - 1);
    size_t low = (size_t)at;
    double share = at - (double)low;
    return low + 1 < n ? sorted[low] * (1 - share) + sorted[low + 1] * share : sorted[low];
}

static void compare(const double *v, size_t n, double q) {
    double copy[MAX];
    memcpy(copy, v, n * sizeof *v);
    double wanted = plain_quantile(v, n, q), got = toc_history_quantile(copy, n, q);
    if (got != wanted)
        print_error("n %zu, q %g: got %.17g, wanted %.17g (seed %llu)\n", n, q, got, wanted,
                    (unsigned long long)g_seed);
    assert_true(got == wanted);
    qsort(copy, n, sizeof *copy, by_value); /* reordered, nothing else */
    assert_true(plain_quantile(copy, n, 0.5) == plain_quantile(v, n, 0.5));
}

static void quantiles_equal_those_of_a_sorted_copy(void **state) {
    struct toc_rng rng;
    double v[MAX];
    (void)state;
    toc_rng_seed(&rng, g_seed);
    for (int round = 0; round < 2000; round++) {
        size_t n = 1 + toc_rng_below(&rng, round % 20 ? 64 : MAX);
        uint64_t distinct = 1 + toc_rng_below(&rng, 2 * n);
        for (size_t i = 0; i < n; i++)
            v[i] = (double)toc_rng_below(&rng, distinct) - (double)distinct / 3;
        if (round % 3 == 0)
            qsort(v, n, sizeof *v, by_value);
        static const double qs[] = {0, 0.05, 0.5, 0.95, 1};
        compare(v, n, qs[round % 5]);
    }
}

/* Organ pipes, saws and the like are slow for some ways of choosing; the answer stays right. */
static void awkward_orders_are_no_exception(void **state) {
    double v[MAX];
    (void)state;
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t i = 0; i < MAX; i++)
            v[i] = kind == 0   ? (double)TOC_MIN(i, MAX - i)
                   : kind == 1 ? (double)(i % 7)
                   : kind == 2 ? (double)(MAX - i)
                               : (double)(i * i % 1777);
        for (double q = 0; q <= 1; q += 0.125)
            compare(v, MAX, q);
    }
}

static void nothing_and_nan_do_no_harm(void **state) {
    double v[8] = {NAN, 1, NAN, 2, INFINITY, -INFINITY, NAN, 0};
    (void)state;
    assert_true(isnan(toc_history_quantile(v, 0, 0.5)));
    (void)toc_history_quantile(v, 8, 0.5);
    (void)toc_history_median(v, 8);
    double one[1] = {3};
    assert_true(toc_history_median(one, 1) == 3);
    assert_true(toc_history_mad(one, 1, 1) == 1.4826 * 2);
}

enum { START_MS = 1000000 };

/* Every other round a clock that now and then steps back. */
static void fill_bins(struct toc_rng *rng, bool steps_back, struct toc_bins *b) {
    enum { ADDS = 1200 };
    int64_t t_ms = START_MS;
    toc_bins_reset(b);
    for (int i = 0; i < ADDS; i++) {
        bool is_back = steps_back && !toc_rng_below(rng, 200);
        t_ms += is_back ? -5000 : (int64_t)toc_rng_below(rng, 1500);
        toc_bins_add(b, t_ms, (double)i);
    }
}

static void range_is_of(struct toc_bin_range range, const double *v, size_t n) {
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        least = TOC_MIN(least, v[i]);
        most = TOC_MAX(most, v[i]);
    }
    assert_int_equal(range.count, n);
    assert_true(range.least == least && range.most == most);
}

static void windows_are_what_a_scan_of_all_bins_finds(void **state) {
    enum { ROUNDS = 40, ASKS = 20 };
    static struct toc_bins b;
    static double got[TOC_BINS], wanted[TOC_BINS];
    struct toc_rng rng;
    (void)state;
    toc_rng_seed(&rng, 7);
    for (int ask = 0; ask < ROUNDS * ASKS; ask++) {
        if (ask % ASKS == 0)
            fill_bins(&rng, ask / ASKS % 2, &b);
        size_t n = 0, max = ask % 3 ? TOC_BINS : 10;
        int64_t from_ms = START_MS + (int64_t)toc_rng_below(&rng, 900000);
        int64_t to_ms = from_ms + (int64_t)toc_rng_below(&rng, 300000);
        for (size_t k = 0; k < b.count && n < max; k++) {
            const struct toc_bin *bin = &b.items[(b.start + k) % TOC_BINS];
            if (bin->t_ms >= from_ms && bin->t_ms < to_ms)
                wanted[n++] = (double)bin->median;
        }
        assert_int_equal(toc_bins_window(&b, from_ms, to_ms, got, max), n);
        assert_memory_equal(got, wanted, n * sizeof *got);
        if (max == TOC_BINS)
            range_is_of(toc_bins_range(&b, from_ms, to_ms), wanted, n);
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_what_a_scan_of_all_bins_finds),
        cmocka_unit_test(quantiles_equal_those_of_a_sorted_copy),
        cmocka_unit_test(awkward_orders_are_no_exception),
        cmocka_unit_test(nothing_and_nan_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
