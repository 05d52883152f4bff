/*
 * backtest_bench [DIR [DAYS [SCRAPE_S [INTERVAL_S [THREADS]]]]]: how long a back-test of 1000 rules
 * over 10,000 series takes. DIR (default: a new one in /tmp) gets a metricdb with the history, made
 * once: 100 nodes of 100 series, default 30 days of a sample a minute. Rules are evaluated every
 * INTERVAL_S (default 60) in ten groups:
 *
 *   380  one GPU's temperature against a number
 *   280  sum by (instance) (rate(…[5m])) of one node's CPU counters (42 series)
 *   180  histogram_quantile of one node's latency (22 series)
 *    75  five fleet-wide questions, asked again and again
 *     5  sum by (instance) (rate(…[5m])) of all nodes
 *    40  recording rules, and 40 alerts on what they record
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/metricdb.h"
#include "replay/replay.h"
#include "replay/replay_score.h"
#include "sys/env.h"
#include "sys/pool.h"

enum { NODES = 100, PER_NODE = 100, SERIES = NODES * PER_NODE, RULES = 1000 };
#define START_MS INT64_C(1760000400000)
#define DAY_MS INT64_C(86400000)

struct bench {
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    struct toc_rng rng;
    struct toc_metricdb_sample samples[SERIES];
    double step[SERIES];
    bool is_counter[SERIES];
    size_t count;
};

static void fail(const char *what, const struct toc_err *err) {
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static double mono_s(void) {
    return (double)toc_clock_mono(toc_clock_system()).ns / 1e9;
}

/* -------------------------------------------------------------------------------------- history */

static void add(struct bench *b, const char *name, size_t node, const char *label,
                const char *value, double step, bool is_counter) {
    struct toc_labels_builder l = TOC_LABELS_BUILDER_INIT;
    enum toc_reject_reason reason;
    char instance[32];
    snprintf(instance, sizeof instance, "node-%03zu:9100", node);
    toc_labels_builder_set(&l, TOC_METRIC_NAME, toc_sv_cstr(name));
    toc_labels_builder_set(&l, TOC_SV("instance"), toc_sv_cstr(instance));
    toc_labels_builder_set(&l, TOC_SV("job"), TOC_SV("node"));
    toc_labels_builder_set(&l, toc_sv_cstr(label), toc_sv_cstr(value));
    struct toc_metricdb_sample *s = &b->samples[b->count];
    if (toc_metricdb_series_ref(b->db, toc_labels_builder_finish(&l), &s->ref, &reason))
        exit(1);
    b->step[b->count] = step;
    b->is_counter[b->count++] = is_counter;
    toc_labels_builder_fini(&l);
}

static void add_node(struct bench *b, size_t node) {
    static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                        "softirq", "steal",  "system", "user"};
    char text[24];
    for (int c = 0; c < 6; c++)
        for (int m = 0; m < 8; m++) {
            snprintf(text, sizeof text, "%d-%s", c, modes[m]);
            add(b, m ? "cpu_busy_seconds_total" : "cpu_idle_seconds_total", node, "cpu", text, 12,
                true);
        }
    for (int g = 0; g < 8; g++) {
        snprintf(text, sizeof text, "%d", g);
        add(b, "gpu_temperature", node, "gpu", text, 5, false);
        add(b, "gpu_memory_temperature", node, "gpu", text, 5, false);
    }
    for (int i = 0; i < 22; i++) {
        snprintf(text, sizeof text, "%g", i < 21 ? 0.001 * pow(1.6, i) : INFINITY);
        add(b, "latency_seconds_bucket", node, "le", i < 21 ? text : "+Inf", 60 + i, true);
    }
    for (int i = 0; i < 14; i++) {
        snprintf(text, sizeof text, "q%d", i);
        add(b, "queue_length", node, "queue", text, 10, false);
    }
}

static void scrape(struct bench *b) {
    struct toc_write_result result;
    struct toc_err err = {0};
    size_t unknown;
    for (size_t i = 0; i < b->count; i++) {
        struct toc_metricdb_sample *s = &b->samples[i];
        double move = b->step[i] * toc_rng_unit(&b->rng);
        s->value = b->is_counter[i] ? s->value + round(move * 100) / 100
                                    : round(60 + b->step[i] * toc_rng_normal(&b->rng));
        s->t_ms = b->clock.wall.ms;
    }
    if (toc_metricdb_write_refs(b->db, b->samples, b->count, &result, &unknown, &err))
        fail("write", &err);
    /* Series that were sealed away get a new reference. */
    if (unknown)
        exit(1);
}

static void make_history(struct bench *b, int64_t days, int64_t scrape_ms) {
    struct toc_err err = {0};
    double began = mono_s();
    for (size_t n = 0; n < NODES; n++)
        add_node(b, n);
    for (int64_t t = 0; t < days * DAY_MS; t += scrape_ms) {
        scrape(b);
        toc_clock_virtual_advance(&b->clock, scrape_ms);
        if (t % (10 * 60000) == 0 && toc_metricdb_maintain(b->db, &err))
            fail("maintain", &err);
        if (t % DAY_MS == 0)
            fprintf(stderr, "\rday %lld", (long long)(t / DAY_MS));
    }
    if (toc_metricdb_compact(b->db, &err))
        fail("compact", &err);
    fprintf(stderr, "\r%zu series, %lld days made in %.0f s\n", b->count, (long long)days,
            mono_s() - began);
}

/* ---------------------------------------------------------------------------------------- rules */

static void write_rule(struct toc_buf *y, size_t i) {
    static const char *const fleet[] = {
        "avg by (instance) (queue_length) > 75", "max by (instance) (gpu_memory_temperature) > 82",
        "sum by (instance) (rate(latency_seconds_bucket{le=\"+Inf\"}[5m])) > 1.4",
        "delta(gpu_temperature[10m]) > 22", "queue_length > 85"};
    const char *kind = "alert";
    struct toc_buf expr = TOC_BUF_INIT;
    if (i < 380)
        toc_buf_printf(&expr, "gpu_temperature{instance=\"node-%03zu:9100\",gpu=\"%zu\"} > %zu",
                       i % NODES, i % 8, 64 + i % 10);
    else if (i < 660)
        toc_buf_printf(
            &expr,
            "sum by (instance) (rate(cpu_busy_seconds_total{instance=\"node-%03zu:9100\"}"
            "[5m])) > %.2f",
            i % NODES, 4.5 + (double)(i % 5) / 20);
    else if (i < 840)
        toc_buf_printf(&expr,
                       "histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket{"
                       "instance=\"node-%03zu:9100\"}[5m]))) > 12.1",
                       i % NODES);
    else if (i < 915)
        toc_buf_append_cstr(&expr, fleet[i % 5]);
    else if (i < 920)
        toc_buf_printf(&expr, "sum by (instance) (rate(cpu_busy_seconds_total[5m])) > %.2f",
                       5.2 + (double)(i % 5) / 10);
    else if (i < 960) {
        kind = "record";
        toc_buf_printf(&expr,
                       "sum by (instance) (rate(cpu_idle_seconds_total{instance="
                       "\"node-%03zu:9100\"}[5m]))",
                       i - 920);
    } else
        toc_buf_printf(&expr, "node:idle:rate5m_%zu < 0.48", i - 960);
    if (kind[0] == 'r')
        toc_buf_printf(y, "  - record: node:idle:rate5m_%zu\n", i - 920);
    else
        toc_buf_printf(
            y,
            "  - alert: R%zu\n    for: 2m\n    labels: {severity: page}\n"
            "    annotations: {summary: 'value {{ $value }} on {{ $labels.instance }}'}\n",
            i);
    toc_buf_printf(y, "    expr: '%s'\n", toc_buf_cstr(&expr));
    toc_buf_fini(&expr);
}

static struct toc_rule_file *make_rules(int64_t interval_s) {
    struct toc_buf y = TOC_BUF_INIT;
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    toc_buf_append_cstr(&y, "groups:\n");
    for (size_t g = 0; g < 10; g++) {
        toc_buf_printf(&y, "- name: g%zu\n  interval: %llds\n  rules:\n", g, (long long)interval_s);
        for (size_t i = g; i < RULES; i += 10)
            write_rule(&y, i);
    }
    if (toc_rule_file_parse(TOC_SV("bench.yml"), toc_buf_sv(&y), false, &f, &err))
        fail("rules", &err);
    toc_buf_fini(&y);
    return f;
}

static bool on_progress(void *ctx, int64_t done_ms, int64_t total_ms) {
    (void)ctx;
    fprintf(stderr, "\r%3.0f %%", 100.0 * (double)done_ms / (double)total_ms);
    return true;
}

static void run(struct bench *b, int64_t days, int64_t interval_s, struct toc_executor *x) {
    static const char routing[] =
        "route: {receiver: r, group_by: [alertname], group_wait: 30s, "
        "group_interval: 5m, repeat_interval: 4h}\nreceivers: [{name: r}]";
    struct toc_rule_file *f = make_rules(interval_s);
    struct toc_alert_config *config = NULL;
    struct toc_replay_record record;
    struct toc_score score;
    struct toc_err err = {0};
    if (toc_alert_config_parse(toc_sv_cstr(routing), NULL, &config, &err))
        fail("routing", &err);
    const struct toc_replay_options o = {.history = toc_metricdb_querier(b->db),
                                         .from_ms = START_MS,
                                         .to_ms = START_MS + days * DAY_MS,
                                         .executor = x,
                                         .on_progress = on_progress};
    double began = mono_s(), cpu = toc_process_cpu_s();
    if (toc_replay_run(&o, &f, 1, config, &record, &err))
        fail("back-test", &err);
    double wall = mono_s() - began;
    cpu = toc_process_cpu_s() - cpu;
    const struct toc_score_options scoring = {0};
    toc_replay_score(&record, &scoring, &score);
    printf("\r%lld days, %d rules every %lld s, %d series: %.1f s wall, %.1f s CPU\n",
           (long long)days, RULES, (long long)interval_s, SERIES, wall, cpu);
    printf("%llu rule evaluations, %llu range queries, %llu instant queries, %.1f G samples read\n",
           (unsigned long long)record.evaluations, (unsigned long long)record.range_queries,
           (unsigned long long)record.instant_queries, (double)record.samples / 1e9);
    printf("%llu alerts, %llu pages, %llu incidents\n", (unsigned long long)score.all.alerts,
           (unsigned long long)score.all.pages, (unsigned long long)score.incidents);
    toc_score_fini(&score);
    toc_replay_record_fini(&record);
}

int main(int argc, char **argv) {
    char made[] = "/tmp/tocsin-backtest-bench-XXXXXX";
    const char *dir = argc > 1 ? argv[1] : mkdtemp(made);
    int64_t days = argc > 2 ? strtoll(argv[2], NULL, 10) : 30;
    int64_t scrape_s = argc > 3 ? strtoll(argv[3], NULL, 10) : 60;
    int64_t interval_s = argc > 4 ? strtoll(argv[4], NULL, 10) : 60;
    size_t threads = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
    static struct bench b;
    struct toc_pool *pool = NULL;
    struct toc_metricdb_stats stats;
    struct toc_err err = {0};
    if (!dir || toc_pool_new(threads, &pool, &err))
        fail("start", &err);
    toc_rng_seed(&b.rng, 1);
    toc_clock_virtual_init(&b.clock, (struct toc_ts){START_MS});
    const struct toc_metricdb_options o = {.dir = dir,
                                           .clock = &b.clock.base,
                                           .durability = TOC_DURABILITY_OS,
                                           .limits = {.retention_ms = 1000 * DAY_MS}};
    if (toc_metricdb_open(&o, &b.db, &err))
        fail("open", &err);
    toc_metricdb_stats(b.db, &stats);
    if (stats.newest_ms < stats.oldest_ms)
        make_history(&b, days, scrape_s * 1000);
    toc_metricdb_stats(b.db, &stats);
    printf("%llu samples in blocks, %.1f MB\n", (unsigned long long)stats.block_samples,
           (double)stats.block_bytes / 1e6);
    run(&b, days, interval_s, toc_pool_executor(pool));
    toc_metricdb_close(&b.db);
    toc_pool_free(&pool);
    return 0;
}
