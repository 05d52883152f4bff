/*
 * Megabytes per second of CPU time of the signature scan over ordinary logs of training jobs,
 * kernels and inference servers, of which 1 line in 1000 shows a failure:
 * build/bench/signature_bench [MEGABYTES [FILE]]
 *
 * "failures" is the way of tocsin doctor log and of the daemon: time, place, redaction of each hit,
 * and correlation. FILE gets the log, to be read by other programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/rng.h"
#include "diagnose/failure.h"
#include "diagnose/log_stream.h"
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

static void put(void *ctx, const struct toc_failure_hit *hit) {
    toc_failures_put(ctx, hit, hit->at);
}

static void correlate(const struct toc_signature_table *t, struct toc_sv log) {
    enum { CHUNK_BYTES = 1 << 18 };
    struct toc_failure_rules *rules = NULL;
    struct toc_xid_table *xids = NULL;
    struct toc_redactor *redactor = NULL;
    struct toc_log_places *places = toc_log_places_new();
    struct toc_log_stream s;
    if (toc_failure_rules_builtin(&rules, NULL) || toc_xid_table_builtin(&xids, NULL) ||
        toc_redactor_builtin(&redactor, NULL))
        abort();
    struct toc_failures *f =
        toc_failures_new(&(struct toc_failures_options){.rules = rules, .xids = xids});
    double begin = cpu_seconds();
    toc_log_stream_init(&s, &(struct toc_log_stream_options){.table = t,
                                                             .redactor = redactor,
                                                             .places = places,
                                                             .sources = TOC_LOG_ANY,
                                                             .rank = -1,
                                                             .on_hit = put,
                                                             .ctx = f});
    for (size_t at = 0; at < log.n; at += CHUNK_BYTES)
        toc_log_stream_feed(&s, toc_sv_sub(log, at, CHUNK_BYTES), (struct toc_ts){1}, 0);
    toc_log_stream_finish(&s);
    toc_failures_finish(f, (struct toc_ts){1});
    double seconds = cpu_seconds() - begin;
    printf("%-10s %8.0f MB/s  %zu bytes, %llu lines, %llu hits\n", "failures",
           (double)log.n / 1e6 / seconds, log.n, (unsigned long long)s.scan.lines,
           (unsigned long long)s.emitted);
    toc_log_stream_fini(&s);
    toc_failures_free(&f);
    toc_failure_rules_free(&rules);
    toc_xid_table_free(&xids);
    toc_redactor_free(&redactor);
    toc_log_places_free(&places);
}

static void write_to(const char *path, struct toc_sv log) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(log.p, 1, log.n, f) != log.n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
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
    correlate(t, toc_buf_sv(&log));
    if (argc > 2)
        write_to(argv[2], toc_buf_sv(&log));
    toc_buf_fini(&log);
    toc_signature_table_free(&t);
    return 0;
}
