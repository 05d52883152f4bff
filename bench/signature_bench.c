/*
 * Megabytes per second of CPU time of the signature scan over ordinary logs of training jobs,
 * kernels and inference servers, of which 1 line in 1000 shows a failure:
 * build/bench/signature_bench [MEGABYTES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "diagnose/signature.h"

static void write_line(struct toc_buf *out, struct toc_rng *rng, unsigned kind) {
    unsigned a = (unsigned)toc_rng_below(rng, 100000), b = (unsigned)toc_rng_below(rng, 1000);
    switch (kind) {
    case 0:
        toc_buf_printf(out,
                       " iteration %8u/  500000 | consumed samples: %12u | elapsed time per "
                       "iteration (ms): %u.%u | learning rate: 3.0E-05 | global batch size: 512 | "
                       "lm loss: 2.%uE+00 | loss scale: 1.0 | grad norm: 0.%u |\n",
                       a, a * 512, b, b, a, b);
        break;
    case 1:
        toc_buf_printf(out,
                       "INFO 11-26 10:%02u:%02u [loggers.py:118] request cmpl-%08x finished, "
                       "prompt tokens %u, output tokens %u\n",
                       a % 60, b % 60, a * 2654435761u, a % 4096, b);
        break;
    case 2:
        toc_buf_printf(out, "10.0.%u.%u - \"POST /v1/chat/completions HTTP/1.1\" 200 OK\n", a % 256,
                       b % 256);
        break;
    default:
        toc_buf_printf(out,
                       "gpu-%03u:%u:%u [%u] NCCL INFO Channel %02u/0 : %u[%u] -> %u[%u] via "
                       "P2P/CUMEM/read\n",
                       b, a, a + 7, b % 8, b % 32, b % 8, b % 8, a % 8, a % 8);
    }
}

static void make_log(struct toc_buf *out, const struct toc_signature_table *t, size_t bytes) {
    struct toc_rng rng;
    toc_rng_seed(&rng, 1);
    while (out->n < bytes && toc_buf_error(out) == 0) {
        if (toc_rng_below(&rng, 1000) != 0) {
            write_line(out, &rng, (unsigned)toc_rng_below(&rng, 4));
            continue;
        }
        size_t i = toc_rng_below(&rng, toc_signature_table_count(t));
        toc_buf_append_sv(out, toc_signature_table_get(t, i)->positive);
        toc_buf_append_char(out, '\n');
    }
}

static void count(void *ctx, const struct toc_signature_hit *hit) {
    (void)hit;
    ++*(size_t *)ctx;
}

static double cpu_seconds(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void scan(const struct toc_signature_table *t, struct toc_sv log, const char *name,
                 unsigned sources) {
    enum { CHUNK_BYTES = 1 << 18 };
    struct toc_log_scan s;
    size_t hits = 0;
    double begin = cpu_seconds();
    toc_log_scan_init(&s, t, sources, count, &hits);
    for (size_t at = 0; at < log.n; at += CHUNK_BYTES)
        toc_log_scan_feed(&s, toc_sv_sub(log, at, CHUNK_BYTES));
    toc_log_scan_finish(&s);
    double seconds = cpu_seconds() - begin;
    printf("%-10s %8.0f MB/s  %zu bytes, %llu lines, %zu hits\n", name,
           (double)log.n / 1e6 / seconds, log.n, (unsigned long long)s.lines, hits);
    toc_log_scan_fini(&s);
}

int main(int argc, char **argv) {
    long megabytes = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
    struct toc_signature_table *t = NULL;
    struct toc_buf log = TOC_BUF_INIT;
    struct toc_err err = {0};
    if (megabytes < 1 || megabytes > 1000 || toc_signature_table_builtin(&t, &err) < 0) {
        fprintf(stderr, "signature_bench: 1 to 1000 megabytes; %s\n", err.message);
        return 2;
    }
    make_log(&log, t, (size_t)megabytes * 1000000);
    scan(t, toc_buf_sv(&log), "job", TOC_LOG_JOB);
    scan(t, toc_buf_sv(&log), "serving", TOC_LOG_SERVING);
    scan(t, toc_buf_sv(&log), "kernel", TOC_LOG_KERNEL);
    scan(t, toc_buf_sv(&log), "any", TOC_LOG_ANY);
    toc_buf_fini(&log);
    toc_signature_table_free(&t);
    return 0;
}
