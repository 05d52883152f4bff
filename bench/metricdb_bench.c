/*
 * metricdb_bench [SERIES [ROUNDS [DIR]]]: cost of the engine without any protocol around it. Each
 * round writes one sample of every series (an AI mix: counters, utilisations, constants, noise), 15
 * s apart, in batches of 10,000; half of the rounds through the general door (labels), half by
 * reference. Then selects, a restart after an unclean end, and the size of sealed blocks.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/metricdb.h"
#include "sys/env.h"

enum { LABELS = 8, BATCH = 10000, TEXT = 48 };

struct bench {
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    size_t series;
    char (*texts)[LABELS][TEXT];
    struct toc_label (*items)[LABELS];
    uint64_t *refs;
    double *values;
    struct toc_rng rng;
};

static const char *const g_label_names[LABELS] = {"__name__", "cluster", "device",  "instance",
                                                  "job",      "model",   "replica", "zone"};

static void make_labels(struct bench *b) {
    for (size_t i = 0; i < b->series; i++) {
        snprintf(b->texts[i][0], TEXT, "metric_%zu_total", i % 200);
        snprintf(b->texts[i][1], TEXT, "cluster-a");
        snprintf(b->texts[i][2], TEXT, "gpu%zu", i / 200 % 8);
        snprintf(b->texts[i][3], TEXT, "node-%04zu.example.com:9100", i / 1600);
        snprintf(b->texts[i][4], TEXT, "train");
        snprintf(b->texts[i][5], TEXT, "H100");
        snprintf(b->texts[i][6], TEXT, "%zu", i / 1600 % 32);
        snprintf(b->texts[i][7], TEXT, "zone-%zu", i / 1600 % 3);
        for (int k = 0; k < LABELS; k++)
            b->items[i][k] =
                (struct toc_label){toc_sv_cstr(g_label_names[k]), toc_sv_cstr(b->texts[i][k])};
    }
}

static double next_value(struct bench *b, size_t i) {
    uint64_t r = toc_rng_u64(&b->rng);
    switch (i % 4) {
    case 0:
        return b->values[i] += (double)(r % 1000);
    case 1:
        return b->values[i] = (double)(r % 1000) / 10;
    case 2:
        return b->values[i] = 80.0;
    default:
        return b->values[i] = b->values[i] * 0.99 + (double)(r % 1000000) / 1e6;
    }
}

static void fail(const char *what, const struct toc_err *err) {
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static void open_db(struct bench *b, const char *dir) {
    struct toc_metricdb_options o = {.dir = dir, .clock = &b->clock.base};
    struct toc_err err = {0};
    if (toc_metricdb_open(&o, &b->db, &err))
        fail("open", &err);
}

static void write_round_labels(struct bench *b) {
    static struct toc_point points[BATCH];
    struct toc_sink *sink = toc_metricdb_sink(b->db);
    struct toc_err err = {0};
    for (size_t i = 0; i < b->series;) {
        size_t n = 0;
        for (; n < BATCH && i < b->series; i++, n++)
            points[n] = toc_float_point((struct toc_labels){b->items[i], LABELS}, b->clock.wall.ms,
                                        next_value(b, i));
        if (sink->write(sink, points, n, NULL, &err))
            fail("write", &err);
    }
}

static void write_round_refs(struct bench *b) {
    static struct toc_metricdb_sample samples[BATCH];
    struct toc_err err = {0};
    struct toc_write_result r;
    size_t unknown;
    for (size_t i = 0; i < b->series;) {
        size_t n = 0;
        for (; n < BATCH && i < b->series; i++, n++)
            samples[n] = (struct toc_metricdb_sample){b->refs[i], b->clock.wall.ms,
                                                      next_value(b, i), NULL, 0};
        if (toc_metricdb_write_refs(b->db, samples, n, &r, &unknown, &err) || unknown)
            fail("write by reference", &err);
    }
}

/* CPU seconds of making the values alone, to be taken off. */
static double value_cost(struct bench *b) {
    double start = toc_process_cpu_s();
    volatile double sink = 0;
    for (size_t i = 0; i < b->series; i++)
        sink = sink + next_value(b, i);
    (void)sink;
    return toc_process_cpu_s() - start;
}

static double mono_s(void) {
    return (double)toc_clock_mono(toc_clock_system()).ns / 1e9;
}

static int count(void *ctx, const struct toc_series_view *s) {
    uint64_t *n = ctx;
    n[0]++;
    n[1] += s->count;
    return 0;
}

static void bench_select(struct bench *b, const char *what, int64_t range_ms, const char *name,
                         bool sorted) {
    struct toc_matcher m;
    uint64_t n[2] = {0};
    if (toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, toc_sv_cstr(name), NULL))
        exit(1);
    struct toc_select s = {.matchers = &m,
                           .matcher_count = 1,
                           .min_ms = b->clock.wall.ms - range_ms,
                           .max_ms = b->clock.wall.ms,
                           .sorted = sorted};
    struct toc_querier *q = toc_metricdb_querier(b->db);
    double start = mono_s();
    (void)q->select(q, &s, count, n, NULL);
    double took = mono_s() - start;
    printf("select %-34s %8llu series %10llu samples %8.1f ms\n", what, (unsigned long long)n[0],
           (unsigned long long)n[1], took * 1e3);
    toc_matcher_fini(&m);
}

/* The phases of a query apart: freeze, labels, samples. The second round is warm. */
static void bench_set(struct bench *b, int64_t range_ms, const char *what) {
    struct toc_matcher m;
    if (toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, TOC_SV(".+"), NULL))
        exit(1);
    struct toc_select s = {.matchers = &m,
                           .matcher_count = 1,
                           .min_ms = b->clock.wall.ms - range_ms,
                           .max_ms = b->clock.wall.ms};
    struct toc_querier *q = toc_metricdb_querier(b->db);
    struct toc_series_buffer buffer = {0};
    for (int round = 0; round < 3; round++) {
        struct toc_series_set *set;
        struct toc_series_view v;
        struct toc_label items[TOC_SERIES_LABELS_MAX];
        size_t samples = 0, bytes = 0;
        double t0 = mono_s();
        if (q->open(q, &s, &set, NULL))
            exit(1);
        double t1 = mono_s();
        for (size_t i = 0; i < set->count; i++)
            bytes += set->labels(set, i, items).items[0].value.n;
        double t2 = mono_s();
        for (size_t i = 0; i < set->count; i++) {
            if (set->read(set, i, s.min_ms, s.max_ms, &buffer, &v, NULL))
                exit(1);
            samples += v.count;
        }
        double t3 = mono_s(), n = set->count ? (double)set->count : 1;
        printf("set %-18s open %6.1f ms, labels %4.0f ns, read %5.0f ns a series (%zu series, "
               "%.1f samples each)\n",
               what, (t1 - t0) * 1e3, (t2 - t1) / n * 1e9, (t3 - t2) / n * 1e9, set->count,
               (double)samples / n);
        set->close(&set);
        if (!bytes)
            exit(1);
    }
    toc_series_buffer_fini(&buffer);
    toc_matcher_fini(&m);
}

static void report_rounds(const char *what, double cpu_s, double wall_s, double samples) {
    printf("%-22s %6.3f cpu-s per million samples (%.2f s wall for %.1f M)\n", what,
           cpu_s / samples * 1e6, wall_s, samples / 1e6);
}

static void bench_write(struct bench *b, const char *what, int rounds,
                        void (*write)(struct bench *)) {
    double values = value_cost(b) * rounds;
    double cpu = toc_process_cpu_s(), wall = mono_s();
    for (int i = 0; i < rounds; i++) {
        toc_clock_virtual_advance(&b->clock, 15000);
        write(b);
        (void)toc_metricdb_maintain(b->db, NULL);
    }
    report_rounds(what, toc_process_cpu_s() - cpu - values, mono_s() - wall,
                  (double)b->series * rounds);
}

static void take_refs(struct bench *b) {
    enum toc_reject_reason reason;
    for (size_t i = 0; i < b->series; i++)
        if (toc_metricdb_series_ref(b->db, (struct toc_labels){b->items[i], LABELS}, &b->refs[i],
                                    &reason))
            exit(1);
}

static void report_stats(struct bench *b, uint64_t rss_before) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(b->db, &s);
    printf("rss of the database    %6.1f MiB (%llu series, %.2f bytes per sample in the head)\n",
           (double)(toc_process_rss_bytes() - rss_before) / 1048576, (unsigned long long)s.series,
           s.head_samples ? (double)s.head_chunk_bytes / (double)s.head_samples : 0);
    printf("log                    %6.1f MiB, %llu fsyncs\n", (double)s.wal_bytes / 1048576,
           (unsigned long long)s.wal_fsyncs);
    if (s.block_samples)
        printf("blocks                 %6.2f bytes per sample with both indexes (%llu blocks)\n",
               (double)s.block_bytes / (double)s.block_samples, (unsigned long long)s.blocks);
}

int main(int argc, char **argv) {
    struct bench b = {.series = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000};
    int rounds = argc > 2 ? atoi(argv[2]) : 20;
    char made[] = "/tmp/toc_bench_XXXXXX";
    const char *dir = argc > 3 ? argv[3] : mkdtemp(made);
    toc_rng_seed(&b.rng, 1);
    toc_clock_virtual_init(&b.clock, (struct toc_ts){INT64_C(1760000400000)});
    b.texts = toc_xcalloc(b.series, sizeof *b.texts);
    b.items = toc_xcalloc(b.series, sizeof *b.items);
    b.refs = toc_xcalloc(b.series, sizeof *b.refs);
    b.values = toc_xcalloc(b.series, sizeof *b.values);
    make_labels(&b);
    memset(b.refs, 1, b.series * sizeof *b.refs); /* resident before the first look */
    memset(b.values, 0, b.series * sizeof *b.values);
    uint64_t rss = toc_process_rss_bytes();
    open_db(&b, dir);
    bench_write(&b, "first round (new)", 1, write_round_labels);
    bench_write(&b, "by labels", rounds / 2, write_round_labels);
    take_refs(&b);
    bench_write(&b, "by reference", rounds - rounds / 2, write_round_refs);
    report_stats(&b, rss);
    bench_select(&b, "last 5 min, all", 300000, ".+", false);
    bench_select(&b, "last 5 min, all, sorted", 300000, ".+", true);
    bench_set(&b, 300000, "last 5 min");
    bench_set(&b, INT64_C(86400000), "everything");
    bench_select(&b, "last 5 min, one metric", 300000, "metric_7_total", false);
    bench_select(&b, "everything, a tenth of the metrics", INT64_C(86400000),
                 "metric_1[0-9]?_total", false);
    double cpu = toc_process_cpu_s();
    if (toc_metricdb_compact(b.db, NULL))
        return 1;
    printf("compacted in           %6.2f cpu-s\n", toc_process_cpu_s() - cpu);
    report_stats(&b, rss);
    bench_set(&b, INT64_C(86400000), "all, compacted");
    toc_metricdb_close(&b.db);
    double start = mono_s();
    open_db(&b, dir);
    printf("open                   %6.2f s\n", mono_s() - start);
    toc_metricdb_close(&b.db);
    if (argc <= 3) {
        char command[64];
        snprintf(command, sizeof command, "rm -r %s", dir);
        return system(command) != 0;
    }
    return 0;
}
