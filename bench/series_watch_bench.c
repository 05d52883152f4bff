/*
 * series_watch_bench [SERIES [SECONDS [DIR]]]: CPU time of the anomaly bits of all series of a real
 * database: each second one sample of every series is written and one sweep judges them all.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/newest.h"
#include "rules/series_watch.h"
#include "sys/clock.h"

enum { LABELS = 4, TEXT = 40 };

static int ignore(struct toc_sink *s, const struct toc_point *p, size_t n,
                  struct toc_write_result *out, struct toc_err *err) {
    (void)s, (void)p, (void)err;
    *out = (struct toc_write_result){.accepted = n};
    return 0;
}

static void fail(const char *what, const struct toc_err *err) {
    fprintf(stderr, "series_watch_bench: %s: %s\n", what, err->message);
    exit(1);
}

static uint64_t make_series(struct toc_metricdb *db, size_t i) {
    char texts[LABELS][TEXT];
    snprintf(texts[0], TEXT, "metric_%zu%s", i % 200, i % 4 == 0 ? "_total" : "");
    snprintf(texts[1], TEXT, "gpu%zu", i / 200 % 8);
    snprintf(texts[2], TEXT, "node-%04zu:9100", i / 1600);
    snprintf(texts[3], TEXT, "train");
    struct toc_label items[LABELS] = {{TOC_METRIC_NAME, toc_sv_cstr(texts[0])},
                                      {TOC_SV("device"), toc_sv_cstr(texts[1])},
                                      {TOC_SV("instance"), toc_sv_cstr(texts[2])},
                                      {TOC_SV("job"), toc_sv_cstr(texts[3])}};
    uint64_t ref = 0;
    enum toc_reject_reason reason;
    if (toc_metricdb_series_ref(db, (struct toc_labels){items, LABELS}, &ref, &reason) < 0)
        exit(1);
    return ref;
}

/* Counters, utilisations, constants, slow noise: a quarter each. */
static double next_value(struct toc_rng *rng, size_t i, double last) {
    uint64_t r = toc_rng_u64(rng);
    switch (i % 4) {
    case 0:
        return last + (double)(r % 1000);
    case 1:
        return (double)(r % 1000) / 10;
    case 2:
        return 80;
    default:
        return last * 0.99 + (double)(r % 1000000) / 1e6;
    }
}

int main(int argc, char **argv) {
    size_t series = argc > 1 ? (size_t)atol(argv[1]) : 100000;
    int seconds = argc > 2 ? atoi(argv[2]) : 60;
    struct toc_clock_virtual clock;
    int64_t start_ms = 1760000400000;
    toc_clock_virtual_init(&clock, (struct toc_ts){start_ms});
    struct toc_metricdb_options o = {.dir = argc > 3 ? argv[3] : "series_watch_bench.data",
                                     .clock = &clock.base,
                                     .durability = TOC_DURABILITY_OS};
    struct toc_metricdb *db;
    struct toc_err err = {0};
    if (toc_metricdb_open(&o, &db, &err))
        fail("open", &err);
    struct toc_metricdb_sample *samples = TOC_NEW_ARRAY(struct toc_metricdb_sample, series);
    struct toc_rng rng;
    toc_rng_seed(&rng, 1);
    for (size_t i = 0; i < series; i++)
        samples[i].ref = make_series(db, i);
    struct toc_metricdb_newest newest;
    struct toc_sink sink = {.write = ignore};
    toc_metricdb_newest_init(&newest, db);
    struct toc_series_watch_options wo = {
        .source = &newest.base, .sink = &sink, .max_series = series};
    struct toc_series_watch *w = toc_series_watch_new(&wo);
    int64_t sum_ns = 0, worst_ns = 0, first_ns = 0, write_ns = 0;
    for (int s = 0; s < seconds; s++) {
        struct toc_write_result result;
        size_t unknown;
        for (size_t i = 0; i < series; i++) {
            samples[i].value = next_value(&rng, i, samples[i].value);
            samples[i].t_ms = start_ms + s * 1000;
        }
        int64_t before = toc_thread_cpu_ns();
        if (toc_metricdb_write_refs(db, samples, series, &result, &unknown, &err))
            fail("write", &err);
        int64_t between = toc_thread_cpu_ns();
        (void)toc_series_watch_sweep(w, (struct toc_ts){start_ms + s * 1000}, NULL);
        int64_t spent = toc_thread_cpu_ns() - between;
        write_ns += between - before;
        first_ns = s ? first_ns : spent;
        sum_ns += s ? spent : 0;
        worst_ns = s ? TOC_MAX(worst_ns, spent) : 0;
    }
    struct toc_series_watch_stats st = toc_series_watch_stats(w);
    double each_ns = (double)sum_ns / ((double)series * (seconds - 1));
    printf("{\"series\":%zu,\"seconds\":%d,\"ns_per_point\":%.1f,\"core_percent_at_1s\":%.2f,"
           "\"first_sweep_ms\":%.1f,\"worst_sweep_ms\":%.1f,\"write_ns_per_point\":%.1f,"
           "\"bytes_per_series\":%.1f,\"bits_per_sample\":%.6f}\n",
           series, seconds, each_ns, each_ns * (double)series / 1e7, (double)first_ns / 1e6,
           (double)worst_ns / 1e6, (double)write_ns / ((double)series * seconds),
           (double)st.bytes / (double)series,
           (double)st.anomalies_total / (double)st.samples_total);
    toc_series_watch_free(&w);
    toc_metricdb_close(&db);
    toc_free(samples);
    return 0;
}
