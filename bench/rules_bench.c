/*
 * rules_bench [SERIES [ROUNDS [THREADS]]]: CPU per rule evaluation of 1000 alert rules in ten
 * groups over metricdb, in the shapes of a GPU cluster: node exporters, DCGM, inference servers,
 * scraped every 5 s, rules every 15 s.
 *
 *   400  one GPU's temperature against a number
 *   300  sum by (instance) (rate(…[5m])) of one host's 448 CPU series
 *   200  histogram_quantile of one server's time to first token
 *    95  five fleet-wide questions, asked again and again
 *     5  sum by (instance) (rate(…[5m])) of all hosts
 *
 * Only the evaluation is timed: the process' CPU, so that threads count in full.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/metricdb.h"
#include "rules/rules.h"
#include "sys/env.h"
#include "sys/pool.h"

enum { SCRAPE_MS = 5000, INTERVAL_MS = 15000, WINDOW_MS = 300000, BATCH = 10000, RULES = 1000 };

struct series {
    struct toc_labels labels;
    uint64_t ref;
    double value, step;
    bool is_counter;
};

struct bench {
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    TOC_VEC(struct series) series;
    struct toc_rng rng;
    size_t nodes;
    struct toc_rules *rules;
};

static void fail(const char *what, const struct toc_err *err) {
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static double mono_s(void) {
    return (double)toc_clock_mono(toc_clock_system()).ns / 1e9;
}

static int64_t mono_ns(void *ctx) {
    (void)ctx;
    return toc_clock_mono(toc_clock_system()).ns;
}

/* ---------------------------------------------------------------------------------------- series
 */

/* name{instance, job, extra label pairs…}; extra ends with NULL. */
static void add(struct bench *b, const char *name, const char *instance, const char *job,
                const char *const *extra, double step, bool is_counter) {
    struct toc_labels_builder l = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&l, TOC_METRIC_NAME, toc_sv_cstr(name));
    toc_labels_builder_set(&l, TOC_SV("instance"), toc_sv_cstr(instance));
    toc_labels_builder_set(&l, TOC_SV("job"), toc_sv_cstr(job));
    for (; *extra; extra += 2)
        toc_labels_builder_set(&l, toc_sv_cstr(extra[0]), toc_sv_cstr(extra[1]));
    struct series s = {toc_labels_dup(toc_labels_builder_finish(&l)), 0, 0, step, is_counter};
    TOC_VEC_PUSH(&b->series, s);
    toc_labels_builder_fini(&l);
}

static void add_node(struct bench *b, size_t n) {
    static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                        "softirq", "steal",  "system", "user"};
    char instance[64], cpu[16], name[64], device[16];
    snprintf(instance, sizeof instance, "gpu-%04zu.cluster.local:9100", n);
    for (int c = 0; c < 64; c++)
        for (int m = 0; m < 8; m++) {
            snprintf(cpu, sizeof cpu, "%d", c);
            add(b, "node_cpu_seconds_total", instance, "node",
                (const char *const[]){"cpu", cpu, "mode", modes[m], NULL}, 0.3, true);
        }
    for (int d = 0; d < 12; d++) {
        snprintf(device, sizeof device, "eth%d", d);
        add(b, "node_network_receive_errs_total", instance, "node",
            (const char *const[]){"device", device, NULL}, 0, true);
    }
    for (int d = 0; d < 6; d++) {
        snprintf(device, sizeof device, "/dev/nvme%d", d);
        const char *const extra[] = {"device", device, "fstype", "ext4", NULL};
        add(b, "node_filesystem_avail_bytes", instance, "node", extra, 1e6, false);
        add(b, "node_filesystem_size_bytes", instance, "node", extra, 0, false);
    }
    for (int k = 0; k < 521; k++) {
        snprintf(name, sizeof name, "node_field%03d", k);
        add(b, name, instance, "node", (const char *const[]){NULL}, k % 3, k % 2);
    }
}

static void add_dcgm(struct bench *b, size_t n) {
    char instance[64], gpu[16], uuid[64], name[64];
    snprintf(instance, sizeof instance, "gpu-%04zu.cluster.local:9400", n);
    for (int g = 0; g < 8; g++) {
        snprintf(gpu, sizeof gpu, "%d", g);
        snprintf(uuid, sizeof uuid, "GPU-%08zx-0000-4000-9000-%012d", n * 2654435761U, g);
        const char *const extra[] = {"UUID", uuid, "gpu", gpu, "modelName", "NVIDIA H100", NULL};
        add(b, "DCGM_FI_DEV_GPU_TEMP", instance, "dcgm", extra, 1, false);
        add(b, "DCGM_FI_DEV_MEMORY_TEMP", instance, "dcgm", extra, 1, false);
        for (int k = 0; k < 22; k++) {
            snprintf(name, sizeof name, "DCGM_FI_FIELD_%02d", k);
            add(b, name, instance, "dcgm", extra, k % 3, k % 2);
        }
    }
}

static void add_vllm(struct bench *b, size_t n, int k) {
    char instance[64], le[16], name[64];
    snprintf(instance, sizeof instance, "gpu-%04zu.cluster.local:%d", n, 8000 + k);
    const char *const plain[] = {"engine", "0", "model_name", "meta-llama/Llama-3.1-70B", NULL};
    add(b, "vllm:num_requests_waiting", instance, "vllm", plain, 3, false);
    add(b, "vllm:generation_tokens_total", instance, "vllm", plain, 24000, true);
    for (int i = 0; i < 22; i++) {
        if (i < 21)
            snprintf(le, sizeof le, "%g", 0.001 * pow(1.6, i));
        const char *const extra[] = {
            "engine", "0", "le", i < 21 ? le : "+Inf", "model_name", "meta-llama/Llama-3.1-70B",
            NULL};
        add(b, "vllm:time_to_first_token_seconds_bucket", instance, "vllm", extra, 1 + i, true);
    }
    for (int i = 0; i < 272; i++) {
        snprintf(name, sizeof name, "vllm:field%03d", i);
        add(b, name, instance, "vllm", plain, i % 3, i % 2);
    }
}

static void open_db(struct bench *b, const char *dir) {
    struct toc_metricdb_options o = {.dir = dir, .clock = &b->clock.base};
    struct toc_err err = {0};
    if (toc_metricdb_open(&o, &b->db, &err))
        fail("open", &err);
}

static void scrape(struct bench *b) {
    static struct toc_point points[BATCH];
    struct toc_sink *sink = toc_metricdb_sink(b->db);
    struct toc_err err = {0};
    for (size_t i = 0; i < b->series.count;) {
        size_t n = 0;
        for (; n < BATCH && i < b->series.count; i++, n++) {
            struct series *s = &b->series.items[i];
            double move = s->step * toc_rng_unit(&b->rng);
            s->value = s->is_counter ? s->value + move : 60 + s->step * toc_rng_normal(&b->rng);
            points[n] = toc_float_point(s->labels, b->clock.wall.ms, round(s->value * 100) / 100);
        }
        if (sink->write(sink, points, n, NULL, &err))
            fail("write", &err);
    }
}

/* ------------------------------------------------------------------------------------------ rules
 */

static void write_expr(const struct bench *b, struct toc_buf *y, size_t i) {
    static const char *const fleet[] = {
        "avg by (instance) (vllm:num_requests_waiting) > 3000",
        "max by (instance) (DCGM_FI_DEV_MEMORY_TEMP) > 95",
        "sum by (instance) (rate(vllm:generation_tokens_total[5m])) < 100",
        "rate(node_network_receive_errs_total[5m]) > 1",
        "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1"};
    if (i < 400)
        toc_buf_printf(
            y,
            "DCGM_FI_DEV_GPU_TEMP{instance=\"gpu-%04zu.cluster.local:9400\",gpu=\"%zu\"} "
            "> %zu",
            i % b->nodes, i % 8, 75 + i % 10);
    else if (i < 700)
        toc_buf_printf(y,
                       "sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\",instance="
                       "\"gpu-%04zu.cluster.local:9100\"}[5m])) > %zu",
                       i % b->nodes, 40 + i % 30);
    else if (i < 900)
        toc_buf_printf(
            y,
            "histogram_quantile(0.99, sum by (le) (rate(vllm:time_to_first_token_seconds_"
            "bucket{instance=\"gpu-%04zu.cluster.local:%zu\"}[5m]))) > %zu",
            i / 4 % b->nodes, 8000 + i % 4, 5 + i % 10);
    else if (i < 995)
        toc_buf_append_cstr(y, fleet[i % 5]);
    else
        toc_buf_printf(y,
                       "sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m])) > %zu",
                       50 + i - 995);
}

static void load_rules(struct bench *b, struct toc_executor *x) {
    struct toc_rules_options o = {.querier = toc_metricdb_querier(b->db),
                                  .sink = toc_metricdb_sink(b->db),
                                  .default_interval_ms = INTERVAL_MS,
                                  .mono_ns = mono_ns,
                                  .executor = x};
    struct toc_buf y = TOC_BUF_INIT;
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    toc_buf_append_cstr(&y, "groups:\n");
    for (size_t g = 0; g < 10; g++) {
        toc_buf_printf(&y, "- name: g%zu\n  rules:\n", g);
        for (size_t i = g; i < RULES; i += 10) {
            toc_buf_printf(&y, "  - alert: R%zu\n    for: 1m\n    labels: {severity: page}\n", i);
            toc_buf_printf(&y, "    annotations: {summary: 'value {{ $value }} on {{ "
                               "$labels.instance }}'}\n    expr: '");
            write_expr(b, &y, i);
            toc_buf_printf(&y, "'\n");
        }
    }
    if (toc_rule_file_parse(TOC_SV("bench.yml"), toc_buf_sv(&y), false, &f, &err))
        fail("rules", &err);
    b->rules = toc_rules_new(&o);
    toc_rules_set_files(b->rules, &f, 1, b->clock.wall);
    toc_buf_fini(&y);
}

/* Seconds of the last evaluation by shape. */
struct shapes {
    double seconds[5];
    size_t errors, results;
};

static void look(void *ctx, const struct toc_rule_group_view *g) {
    struct shapes *s = ctx;
    for (size_t i = 0; i < g->rule_count; i++) {
        size_t n = (size_t)strtoul(g->rules[i].rule->name.p + 1, NULL, 10);
        int shape = n < 400 ? 0 : n < 700 ? 1 : n < 900 ? 2 : n < 995 ? 3 : 4;
        s->seconds[shape] += g->rules[i].evaluation_s;
        s->errors += g->rules[i].health != TOC_RULE_HEALTH_OK;
        s->results += g->rules[i].last_result_count;
    }
}

static void run(struct bench *b, size_t rounds) {
    static const char *const names[] = {"one GPU", "one host's CPUs", "one server's quantile",
                                        "fleet", "all CPUs"};
    static const double counts[] = {400, 300, 200, 95, 5};
    struct shapes s = {0};
    double cpu = 0, wall = 0;
    uint64_t before = toc_rules_stats(b->rules).evaluations;
    for (size_t tick = 0; tick < rounds * INTERVAL_MS / SCRAPE_MS; tick++) {
        scrape(b);
        double start = toc_process_cpu_s(), start_wall = mono_s();
        toc_rules_evaluate_due(b->rules, b->clock.wall);
        cpu += toc_process_cpu_s() - start;
        wall += mono_s() - start_wall;
        toc_clock_virtual_advance(&b->clock, SCRAPE_MS);
    }
    double evaluations = (double)(toc_rules_stats(b->rules).evaluations - before);
    toc_rules_each_group(b->rules, look, &s);
    printf("%.0f rule evaluations: %.3f ms CPU, %.3f ms wall each; %zu errors, %zu results\n",
           evaluations, cpu * 1e3 / evaluations, wall * 1e3 / evaluations, s.errors, s.results);
    for (int i = 0; i < 5; i++)
        printf("  %-22s %8.3f ms per rule in the last round, %7.1f ms all %.0f\n", names[i],
               s.seconds[i] * 1e3 / counts[i], s.seconds[i] * 1e3, counts[i]);
}

int main(int argc, char **argv) {
    size_t series = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
    size_t threads = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    char dir[] = "/tmp/tocsin-rules-bench-XXXXXX";
    struct toc_pool *pool = NULL;
    struct toc_err err = {0};
    static struct bench b;
    if (!mkdtemp(dir) || toc_pool_new(threads, &pool, &err))
        fail("start", &err);
    toc_rng_seed(&b.rng, 1);
    toc_clock_virtual_init(&b.clock, (struct toc_ts){INT64_C(1760000400000)});
    open_db(&b, dir);
    for (; b.series.count < series; b.nodes++) {
        add_node(&b, b.nodes);
        add_dcgm(&b, b.nodes);
        for (int k = 0; k < 4; k++)
            add_vllm(&b, b.nodes, k);
    }
    for (int i = 0; i < WINDOW_MS / SCRAPE_MS; i++, toc_clock_virtual_advance(&b.clock, SCRAPE_MS))
        scrape(&b);
    load_rules(&b, toc_pool_executor(pool));
    printf("%zu series of %zu nodes, %d rules\n", b.series.count, b.nodes, RULES);
    run(&b, rounds);
    toc_rules_free(&b.rules);
    toc_metricdb_close(&b.db);
    toc_pool_free(&pool);
    return 0;
}
