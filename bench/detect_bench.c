/*
 * Speed of the Isolation Forest on rows from a file of raw doubles:
 *     detect_bench ROWS.f64 COLUMNS TREES REPEATS
 * prints one JSON object; bench/detect_vs_sklearn.py sets it beside scikit-learn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "detect/iforest.h"
#include "sys/clock.h"
#include "sys/vfs.h"

static struct toc_mono now(void) {
    return toc_clock_mono(toc_clock_system());
}

static double seconds_since(struct toc_mono start) {
    return (double)(now().ns - start.ns) / 1e9;
}

static double best_fit_seconds(const struct toc_iforest_params *p, struct toc_matrix x, int repeats,
                               struct toc_iforest **out) {
    double best = 1e9;
    for (int i = 0; i < repeats; i++) {
        struct toc_err err = {0};
        toc_iforest_free(out);
        struct toc_mono start = now();
        if (toc_iforest_fit(p, x, out, &err) < 0) {
            fprintf(stderr, "detect_bench: %s\n", err.message);
            exit(1);
        }
        best = TOC_MIN(best, seconds_since(start));
    }
    return best;
}

/* Of one call with one row, the rows one after the other; best of rounds of a thousand. */
static double best_row_seconds(const struct toc_iforest *f, struct toc_matrix x, double *scores,
                               int repeats) {
    double best = 1e9;
    size_t rows = TOC_MIN(x.rows, (size_t)1000);
    for (int i = 0; i < repeats; i++) {
        struct toc_mono start = now();
        for (size_t k = 0; k < rows; k++)
            if (toc_iforest_score(f, (struct toc_matrix){x.values + k * x.columns, 1, x.columns},
                                  scores + k, NULL) < 0)
                exit(1);
        best = TOC_MIN(best, seconds_since(start) / (double)rows);
    }
    return best;
}

static double best_score_seconds(const struct toc_iforest *f, enum toc_iforest_kernel kernel,
                                 struct toc_matrix x, double *scores, int repeats) {
    double best = 1e9;
    for (int i = 0; i < repeats; i++) {
        struct toc_err err = {0};
        struct toc_mono start = now();
        if (toc_iforest_score_with(f, kernel, x, scores, &err) < 0) {
            fprintf(stderr, "detect_bench: %s\n", err.message);
            exit(1);
        }
        best = TOC_MIN(best, seconds_since(start));
    }
    return best;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fputs("usage: detect_bench ROWS.f64 COLUMNS TREES REPEATS\n", stderr);
        return 2;
    }
    struct toc_buf file = TOC_BUF_INIT;
    int rc = toc_vfs_read_file(toc_vfs_system(), argv[1], (size_t)1 << 30, &file);
    size_t columns = (size_t)atol(argv[2]);
    if (rc < 0 || columns == 0) {
        fprintf(stderr, "detect_bench: %s: %s\n", argv[1], toc_strerror(rc));
        return 1;
    }
    struct toc_matrix x = {(const double *)(void *)file.p, file.n / sizeof(double) / columns,
                           columns};
    struct toc_iforest_params p = toc_iforest_params_default();
    p.n_estimators = atol(argv[3]);
    int repeats = atoi(argv[4]);
    struct toc_iforest *f = NULL;
    double fit_s = best_fit_seconds(&p, x, repeats, &f);
    double *scores = toc_xcalloc(x.rows, sizeof *scores);
    struct toc_mono start = now();
    if (toc_iforest_score(f, x, scores, NULL) < 0)
        return 1;
    double first = seconds_since(start); /* makes the ranked form on the way */
    double fast = best_score_seconds(f, TOC_IFOREST_KERNEL_AUTO, x, scores, repeats);
    double avx2 = best_score_seconds(f, TOC_IFOREST_KERNEL_AVX2, x, scores, repeats);
    double portable = best_score_seconds(f, TOC_IFOREST_KERNEL_PORTABLE, x, scores, repeats);
    double row = best_row_seconds(f, x, scores, repeats);
    printf("{\"rows\":%zu,\"fit_s\":%.6f,\"score_s\":%.6f,\"score_first_s\":%.6f,"
           "\"score_avx2_s\":%.6f,\"score_portable_s\":%.6f,\"row_s\":%.9f}\n",
           x.rows, fit_s, fast, first, avx2, portable, row);
    toc_free(scores);
    toc_iforest_free(&f);
    toc_buf_fini(&file);
    return 0;
}
