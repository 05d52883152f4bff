/*
 * codec_bench [CHUNK_SAMPLES]: samples per second and core that chunks of several shapes decode to,
 * times and values, best and median of several rounds over data that does not fit the second-level
 * cache. Shapes and jitter are those of
 * `../shared/bench/limits gorilla`, whose figures are to be read beside these. `xor` rows force the
 * XOR codec upon values for which the encoder would choose a smaller one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/chunk.h"
#include "metricdb/chunk_priv.h"
#include "sys/clock.h"

enum { CHUNKS = 8000, ROUNDS = 9, STEP_MS = 15000 };

enum shape { CONSTANT, COUNTER, DECIMAL_1, DECIMAL_2, RANDOM, SHAPES };
static const char *const g_shape_names[SHAPES] = {"constant", "integer counter", "one decimal",
                                                  "two decimals", "random"};
enum times { REGULAR, LIMITS_JITTER, SCRAPE_JITTER, TIMES };
static const struct {
    const char *name;
    int64_t spread_ms; /* times are moved by 0…spread */
} g_times[TIMES] = {{"regular", 0}, {"4 ms", 3}, {"+-5 ms", 10}};

struct data {
    struct toc_buf bytes;
    size_t at[CHUNKS + 1];
    size_t samples; /* per chunk */
};

static void make_samples(struct toc_rng *rng, enum shape shape, enum times times, size_t n,
                         int64_t *t, double *v) {
    double level = (double)(toc_rng_u64(rng) % 1000000);
    for (size_t i = 0; i < n; i++) {
        uint64_t r = toc_rng_u64(rng);
        uint64_t moved = (r >> 32) % ((uint64_t)g_times[times].spread_ms + 1);
        t[i] = 1760000000000 + (int64_t)i * STEP_MS + (int64_t)moved;
        double wave = 50 + 10 * sin((double)i * 0.1) + (double)(r % 100) / 100;
        switch (shape) {
        case CONSTANT:
            v[i] = level;
            break;
        case COUNTER:
            v[i] = level += (double)(r % 50);
            break;
        case DECIMAL_1:
            v[i] = round(wave * 10) / 10;
            break;
        case DECIMAL_2:
            v[i] = round(wave * 100) / 100;
            break;
        default:
            v[i] = (double)(r >> 11) * 0x1p-53;
            break;
        }
    }
}

static void put_xor_chunk(const int64_t *t, const double *v, size_t n, struct toc_buf *out) {
    size_t at = out->n;
    toc_buf_append_u8(out, 0);
    toc_buf_append_varint(out, n);
    bool on_grid = toc_chunk_put_times(t, n, out);
    toc_chunk_put_xor(v, n, out);
    out->p[at] = (char)(TOC_CHUNK_XOR | (on_grid ? TOC_CHUNK_GRID : 0));
}

static void make_data(struct data *d, enum shape shape, enum times times, bool force_xor) {
    struct toc_rng rng;
    toc_rng_seed(&rng, 7);
    int64_t t[TOC_CHUNK_SAMPLES_MAX];
    double v[TOC_CHUNK_SAMPLES_MAX];
    d->bytes.n = 0;
    for (size_t c = 0; c < CHUNKS; c++) {
        d->at[c] = d->bytes.n;
        make_samples(&rng, shape, times, d->samples, t, v);
        if (force_xor)
            put_xor_chunk(t, v, d->samples, &d->bytes);
        else
            toc_chunk_encode(t, v, d->samples, &d->bytes);
    }
    d->at[CHUNKS] = d->bytes.n;
}

static double decode_round(const struct data *d) {
    int64_t t[TOC_CHUNK_SAMPLES_MAX];
    double v[TOC_CHUNK_SAMPLES_MAX], sink = 0;
    double start = toc_process_cpu_s();
    for (size_t c = 0; c < CHUNKS; c++) {
        size_t n = 0;
        if (toc_chunk_decode((struct toc_sv){d->bytes.p + d->at[c], d->at[c + 1] - d->at[c]}, t, v,
                             &n) ||
            n != d->samples) {
            fprintf(stderr, "codec_bench: chunk %zu does not decode\n", c);
            exit(1);
        }
        sink += v[n - 1] + (double)t[n - 1];
    }
    double spent = toc_process_cpu_s() - start;
    return sink == 0 ? 0 : (double)(CHUNKS * d->samples) / spent / 1e6;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(struct data *d, enum shape shape, enum times times, bool force_xor) {
    double rate[ROUNDS];
    make_data(d, shape, times, force_xor);
    for (size_t r = 0; r < ROUNDS; r++)
        rate[r] = decode_round(d);
    qsort(rate, ROUNDS, sizeof *rate, by_value);
    printf("%-16s %-8s %-5s %6.2f bytes/sample %7.0f M/s (median) %7.0f (best)\n",
           g_shape_names[shape], g_times[times].name, force_xor ? "xor" : "own",
           (double)d->bytes.n / (double)(CHUNKS * d->samples), rate[ROUNDS / 2], rate[ROUNDS - 1]);
}

int main(int argc, char **argv) {
    struct data *d = TOC_NEW(struct data);
    long samples = argc > 1 ? strtol(argv[1], NULL, 10) : 480;
    if (samples < 2 || samples > TOC_CHUNK_SAMPLES_MAX) {
        fprintf(stderr, "codec_bench: CHUNK_SAMPLES is a number from 2 to %d\n",
                TOC_CHUNK_SAMPLES_MAX);
        return 2;
    }
    d->samples = (size_t)samples;
    for (int shape = 0; shape < SHAPES; shape++)
        for (int times = 0; times < TIMES; times++)
            for (int force = 0; force < 2; force++)
                report(d, (enum shape)shape, (enum times)times, force);
    toc_buf_fini(&d->bytes);
    toc_free(d);
    return 0;
}
