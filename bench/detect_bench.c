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
    struct toc_iforest *f;
    struct toc_err err = {0};
    struct toc_mono start = now();
    if (toc_iforest_fit(&p, x, &f, &err) < 0) {
        fprintf(stderr, "detect_bench: %s\n", err.message);
        return 1;
    }
    double fit_s = seconds_since(start);
    double *scores = toc_xcalloc(x.rows, sizeof *scores);
    int repeats = atoi(argv[4]);
    double fast = best_score_seconds(f, TOC_IFOREST_KERNEL_AUTO, x, scores, repeats);
    double portable = best_score_seconds(f, TOC_IFOREST_KERNEL_PORTABLE, x, scores, repeats);
    printf("{\"rows\":%zu,\"fit_s\":%.6f,\"score_s\":%.6f,\"score_portable_s\":%.6f}\n", x.rows,
           fit_s, fast, portable);
    toc_free(scores);
    toc_iforest_free(&f);
    toc_buf_fini(&file);
    return 0;
}
