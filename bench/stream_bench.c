/*
 * Cost of the streaming ensemble over many live series in turn, so that cache misses count:
 *     stream_bench [SERIES [COLUMNS [ROUNDS]]]           default 10000 1 20
 * SERIES counts streams of COLUMNS columns. Every stream is first filled with 1500 rows (noise
 * around a daily wave, one row a minute); then each round gives one row to each stream. One JSON
 * object.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "detect/stream.h"

enum { NOISE = 4096, FILL_ROWS = 1500, BLOCK = 64 };

static double noise[NOISE];

static void row_of(size_t stream, size_t row, size_t columns, double *out) {
    double wave =
        3 * noise[row / 60 % NOISE]; /* as good as any slow curve, without a sine per row */
    for (size_t c = 0; c < columns; c++)
        out[c] = 100 + wave + noise[(stream * 7 + c * 131 + row * 17) % NOISE];
}

/* CPU seconds of this thread: other work on the machine does not count. */
static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* In blocks, as the daemon does; making the rows counts, too. */
static double seconds_of_round(struct toc_stream **streams, size_t count, size_t columns,
                               size_t row, double *values, size_t *alerts) {
    const double *rows[BLOCK];
    struct toc_stream_result results[BLOCK];
    double start = cpu_seconds();
    for (size_t i = 0; i < BLOCK; i++)
        rows[i] = values + i * columns;
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? count - first : BLOCK;
        for (size_t i = 0; i < n; i++)
            row_of(first + i, row, columns, values + i * columns);
        toc_stream_step_many(streams + first, n, (double)row * 60, rows, results);
        for (size_t i = 0; i < n; i++)
            *alerts += results[i].is_alert;
    }
    return cpu_seconds() - start;
}

int main(int argc, char **argv) {
    size_t count = argc > 1 ? (size_t)atol(argv[1]) : 10000;
    size_t columns = argc > 2 ? (size_t)atol(argv[2]) : 1;
    size_t rounds = argc > 3 ? (size_t)atol(argv[3]) : 20, alerts = 0;
    struct toc_rng r;
    toc_rng_seed(&r, 1);
    for (size_t i = 0; i < NOISE; i++)
        noise[i] = toc_rng_normal(&r);
    struct toc_stream **streams = toc_xcalloc(count, sizeof *streams);
    double *values = toc_xcalloc(columns * BLOCK, sizeof *values);
    struct toc_err err = {0};
    for (size_t i = 0; i < count; i++) {
        if (toc_stream_new(&(struct toc_stream_options){.columns = columns}, &streams[i], &err) <
            0) {
            fprintf(stderr, "stream_bench: %s\n", err.message);
            return 1;
        }
        for (size_t row = 0; row < FILL_ROWS; row++) {
            row_of(i, row, columns, values);
            toc_stream_step(streams[i], (double)row * 60, values);
        }
    }
    double best = 1e9, sum = 0;
    for (size_t k = 0; k < rounds; k++) {
        double s = seconds_of_round(streams, count, columns, FILL_ROWS + k, values, &alerts);
        best = fmin(best, s);
        sum += s;
    }
    double points = (double)(count * columns);
    printf("{\"streams\":%zu,\"columns\":%zu,\"us_per_point\":%.4f,\"us_per_point_best\":%.4f,"
           "\"bytes_per_column\":%.0f,\"alerts\":%zu}\n",
           count, columns, sum / (double)rounds / points * 1e6, best / points * 1e6,
           (double)toc_stream_bytes(streams[0]) / (double)columns, alerts);
    for (size_t i = 0; i < count; i++)
        toc_stream_free(&streams[i]);
    toc_free(streams);
    toc_free(values);
    return 0;
}
