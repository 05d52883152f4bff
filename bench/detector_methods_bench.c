/* detector_methods_bench [VALUES]: CPU time and memory per value of the detectors that learn from
 * every value. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "detect/anomaly_bit.h"
#include "detect/change_point.h"
#include "detect/holt_winters.h"
#include "detect/loss_curve.h"
#include "detect/pace_curve.h"
#include "detect/peers.h"
#include "detect/quiet.h"
#include "sys/clock.h"

enum { MEMBERS = 64, RUN_VALUES = 2000 };
static double *g_values;
static size_t g_count;
static volatile double g_sink;

static void run_bit(void) {
    struct toc_anomaly_bit s = {0};
    for (size_t i = 0; i < g_count; i++)
        g_sink += toc_anomaly_bit_step(&s, (int64_t)i * 1000 + 1, g_values[i]);
}

static void run_holt(uint32_t season) {
    struct toc_holt h;
    if (toc_holt_init(&h, &(struct toc_holt_options){.season = season}) < 0)
        exit(1);
    for (size_t i = 0; i < g_count; i++)
        g_sink += toc_holt_step(&h, g_values[i]).z;
    toc_holt_fini(&h);
}
static void run_plain(void) {
    run_holt(0);
}
static void run_daily(void) {
    run_holt(1440);
}

static void run_change(void) {
    struct toc_change_point s = {0};
    const struct toc_change_options o = {0};
    for (size_t i = 0; i < g_count; i++)
        g_sink += toc_change_point_step(&s, &o, g_values[i]).probability;
}

static void run_peers(void) {
    struct toc_peer memory[MEMBERS] = {0}, *members[MEMBERS];
    struct toc_peer_result results[MEMBERS];
    double scratch[MEMBERS];
    const struct toc_peers_options o = {0};
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = &memory[i];
    for (size_t i = 0; i + MEMBERS <= g_count; i += MEMBERS)
        g_sink += toc_peers_step(&o, members, g_values + i, MEMBERS, results, scratch).median;
}

static void run_quiet(void) {
    struct toc_quiet s = {0};
    for (size_t i = 1; i < g_count; i++)
        g_sink += toc_quiet_step(&s, g_values[i] != g_values[i - 1]);
}

/* Trainings of 2000 reports: the course is looked at more often in short runs. */
static void run_loss(void) {
    struct toc_loss_curve s;
    for (size_t i = 0; i < g_count; i++) {
        if (i % RUN_VALUES == 0)
            s = (struct toc_loss_curve){0};
        double trend = log(20 + (double)(i % RUN_VALUES));
        g_sink += toc_loss_curve_step(&s, exp(2 - 0.1 * trend + 0.003 * g_values[i]), 6).surprise;
    }
}
static void run_pace(void) {
    struct toc_pace_curve s;
    for (size_t i = 0; i < g_count; i++) {
        if (i % RUN_VALUES == 0)
            s = (struct toc_pace_curve){0};
        g_sink += toc_pace_curve_step(&s, exp(0.01 * g_values[i]), 6).surprise;
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
        size_t bytes;
    } methods[] = {
        {"anomaly bit", run_bit, sizeof(struct toc_anomaly_bit)},
        {"holt_winters", run_plain, sizeof(struct toc_holt)},
        {"holt_winters, season of 1440", run_daily, sizeof(struct toc_holt) + 1440 * 8},
        {"change_point", run_change, sizeof(struct toc_change_point)},
        {"peers, 64 members", run_peers, sizeof(struct toc_peer)},
        {"loss_curve", run_loss, sizeof(struct toc_loss_curve)},
        {"pace_curve", run_pace, sizeof(struct toc_pace_curve)},
        {"flat_line, missing", run_quiet, sizeof(struct toc_quiet)},
    };
    struct toc_rng rng;
    g_count = argc > 1 ? (size_t)atol(argv[1]) : 200000;
    g_values = TOC_NEW_ARRAY(double, g_count);
    toc_rng_seed(&rng, 1);
    for (size_t i = 0; i < g_count; i++)
        g_values[i] = 10 + sin((double)i / 229) + toc_rng_normal(&rng);
    for (size_t i = 0; i < TOC_ARRAY_LEN(methods); i++) {
        int64_t best = INT64_MAX;
        for (int round = 0; round < 3; round++) {
            int64_t before = toc_thread_cpu_ns();
            methods[i].run();
            best = TOC_MIN(best, toc_thread_cpu_ns() - before);
        }
        printf("%-30s %8.1f ns per value %8zu bytes per series\n", methods[i].name,
               (double)best / (double)g_count, methods[i].bytes);
    }
    toc_free(g_values);
    return 0;
}
