/* Rules that watch nothing, under a virtual clock: days in milliseconds. */
#include <math.h>
#include <stdio.h>

#include "../unit/cmocka_prelude.h"

#include "memory_store.h"
#include "promql/memory_querier.h"
#include "rules/metric_alias.h"
#include "rules/rules.h"

#define T0_MS INT64_C(1767571200000)
#define MINUTE_MS 60000
#define HOUR 60

struct world {
    struct toc_memory_querier db;
    struct memory_blobs blobs;
    struct toc_alert_sink sink;
    struct toc_rules *m;
    const char *file, *yaml;
    int64_t now_ms, t0_ms;
    struct toc_buf journal; /* of RuleDead: first sending and end */
    bool is_told;
};

static void on_alerts(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                      struct toc_ts now) {
    struct world *w = TOC_CONTAINER_OF(s, struct world, sink);
    for (size_t i = 0; i < count; i++) {
        const struct toc_alert *a = &alerts[i];
        if (!toc_sv_eq(toc_labels_get(a->labels, TOC_SV("alertname")), TOC_SV("RuleDead")))
            continue;
        bool is_over = toc_alert_is_resolved(a, now);
        assert_true(a->finding && a->finding->kind == TOC_KIND_RULE_DEAD);
        if (w->is_told && !is_over)
            continue;
        w->is_told = !is_over;
        toc_buf_printf(&w->journal, "%lldm %s: %.*s. %.*s\n",
                       (long long)(now.ms - w->t0_ms) / MINUTE_MS, is_over ? "over" : "dead",
                       TOC_SV_ARG(toc_labels_get(a->annotations, TOC_SV("summary"))),
                       TOC_SV_ARG(toc_labels_get(a->annotations, TOC_SV("description"))));
    }
}

static void boot(struct world *w) {
    struct toc_rules_options o = {.querier = &w->db.querier,
                                  .alerts = &w->sink,
                                  .store = &w->blobs.base,
                                  .default_interval_ms = MINUTE_MS};
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    if (toc_rule_file_parse(toc_sv_cstr(w->file), toc_sv_cstr(w->yaml), false, &f, &err))
        fail_msg("%s", err.message);
    w->m = toc_rules_new(&o);
    toc_rules_set_files(w->m, &f, 1, (struct toc_ts){w->now_ms});
}

static void world_init(struct world *w, const char *file, const char *yaml) {
    *w = (struct world){.file = file, .yaml = yaml, .sink = {on_alerts}, .now_ms = T0_MS};
    toc_memory_querier_init(&w->db);
    memory_blobs_init(&w->blobs);
    boot(w);
    w->t0_ms = w->now_ms = toc_rules_next_due(w->m);
}

static void world_fini(struct world *w) {
    assert_int_equal(toc_rules_stats(w->m).store_failures, 0);
    toc_rules_free(&w->m);
    memory_blobs_fini(&w->blobs);
    toc_memory_querier_fini(&w->db);
    toc_buf_fini(&w->journal);
}

static void put(struct world *w, const char *metric, const char *job, double v) {
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_cstr(metric)},
                            {TOC_SV("job"), toc_sv_cstr(job)}};
    toc_memory_querier_add(&w->db, (struct toc_labels){l, 2}, w->now_ms, v);
}

/* Minutes in which these metrics of the job are there; the job is up or not. */
static void pass(struct world *w, int minutes, const char *job, double up,
                 const char *const *metrics, double value) {
    for (int i = 0; i < minutes; i++) {
        if (!isnan(up))
            put(w, "up", job, up);
        for (const char *const *m = metrics; *m; m++)
            put(w, *m, job, value);
        toc_rules_evaluate_due(w->m, (struct toc_ts){w->now_ms});
        w->now_ms += MINUTE_MS;
    }
}

static void keep_life(void *ctx, const struct toc_rule_group_view *g) {
    const struct toc_rule_life_view *l = &g->rules[0].life;
    toc_buf_printf(ctx, "%s [%.*s] job=%.*s try=%.*s%s", toc_rule_life_text(l->state),
                   TOC_SV_ARG(l->selector), TOC_SV_ARG(l->job), TOC_SV_ARG(l->suggestion),
                   l->is_name_known ? " labels" : "");
}

static void check_life(struct world *w, const char *wanted) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_rules_each_group(w->m, keep_life, &b);
    assert_string_equal(toc_buf_cstr(&b), wanted);
    toc_buf_fini(&b);
}

#define RULES(text) "groups: [{name: g, rules: [" text "]}]"
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void renamed_metric_is_found_after_six_hours(void **state) {
    static const char yaml[] = RULES("{alert: Kv, expr: 'vllm:gpu_cache_usage_perc > 0.9'}");
    struct world w;
    (void)state;
    world_init(&w, "mine.yml", yaml);
    pass(&w, HOUR, "serve", 1, NAMES("vllm:gpu_cache_usage_perc", "other"), 0.5);
    check_life(&w, "alive [] job= try=");
    pass(&w, 6 * HOUR - 10, "serve", 1, NAMES("vllm:kv_cache_usage_perc", "other"), 0.5);
    assert_string_equal(toc_buf_cstr(&w.journal), "");
    /* A restart in between forgets nothing. */
    toc_rules_free(&w.m);
    boot(&w);
    pass(&w, 30, "serve", 1, NAMES("vllm:kv_cache_usage_perc", "other"), 0.5);
    check_life(&w, "dead [vllm:gpu_cache_usage_perc] job=serve try=vllm:kv_cache_usage_perc");
    assert_non_null(strstr(toc_buf_cstr(&w.journal), "dead: Rule Kv has matched no series of "
                                                     "vllm:gpu_cache_usage_perc for 6h"));
    assert_non_null(strstr(toc_buf_cstr(&w.journal), "although job serve is up. There is a metric "
                                                     "vllm:kv_cache_usage_perc: "));
    assert_int_equal(toc_rules_stats(w.m).rules_dead, 1);
    pass(&w, 10, "serve", 1, NAMES("vllm:gpu_cache_usage_perc"), 0.5);
    check_life(&w, "alive [] job= try=");
    assert_non_null(strstr(toc_buf_cstr(&w.journal), "over: Rule Kv matches series again"));
    world_fini(&w);
}

static void job_that_is_down_is_not_the_rules_fault(void **state) {
    static const char yaml[] = RULES("{alert: A, expr: load > 1}");
    struct world w;
    (void)state;
    world_init(&w, "mine.yml", yaml);
    pass(&w, HOUR, "serve", 1, NAMES("load"), 0);
    pass(&w, 10 * HOUR, "serve", 0, NAMES("x"), 0);
    assert_string_equal(toc_buf_cstr(&w.journal), "");
    /* Up again without the metric. */
    pass(&w, 10, "serve", 1, NAMES("x"), 0);
    check_life(&w, "dead [load] job=serve try=");
    /* Down again: nothing can be said. */
    pass(&w, 10, "serve", 0, NAMES("x"), 0);
    check_life(&w, "alive [] job= try=");
    world_fini(&w);
}

static void jobs_that_are_not_scraped(void **state) {
    struct world w;
    (void)state;
    /* The metric of a run ends with the run. */
    world_init(&w, "mine.yml", RULES("{alert: A, expr: loss > 1}"));
    pass(&w, HOUR, "runs", NAN, NAMES("loss", "other"), 0);
    pass(&w, 7 * HOUR, "runs", NAN, NAMES("other"), 0);
    check_life(&w, "alive [] job= try=");
    world_fini(&w);
    /* Somebody asked for this job. */
    world_init(&w, "mine.yml", RULES("{alert: A, expr: 'loss{job=\"runs\"} > 1'}"));
    pass(&w, HOUR, "runs", NAN, NAMES("loss", "other"), 0);
    pass(&w, 7 * HOUR, "runs", NAN, NAMES("other"), 0);
    check_life(&w, "dead [loss{job=\"runs\"}] job=runs try=");
    world_fini(&w);
}

static void metric_that_never_was(void **state) {
    static const char yaml[] = RULES("{alert: A, expr: train_los > 1}");
    struct world w;
    (void)state;
    world_init(&w, "mine.yml", yaml);
    pass(&w, 7 * HOUR, "train", 1, NAMES("train_loss", "grad_norm"), 0);
    check_life(&w, "dead [train_los] job= try=train_loss");
    world_fini(&w);
    /* Nothing near: shown, not alerted. */
    world_init(&w, "mine.yml", yaml);
    pass(&w, 7 * HOUR, "train", 1, NAMES("grad_norm"), 0);
    check_life(&w, "no_series [train_los] job= try=");
    assert_string_equal(toc_buf_cstr(&w.journal), "");
    world_fini(&w);
    /* The packs that ship watch for what may never come. */
    world_init(&w, "builtin/train", yaml);
    pass(&w, 7 * HOUR, "train", 1, NAMES("train_loss"), 0);
    check_life(&w, "no_series [train_los] job= try=");
    assert_string_equal(toc_buf_cstr(&w.journal), "");
    world_fini(&w);
}

static void labels_that_do_not_match(void **state) {
    static const char yaml[] = RULES("{alert: A, expr: 'load{job=\"train\",mode=\"x\"} > 1'}");
    struct world w;
    (void)state;
    world_init(&w, "mine.yml", yaml);
    pass(&w, 7 * HOUR, "train", 1, NAMES("load"), 0);
    check_life(&w, "dead [load{job=\"train\",mode=\"x\"}] job=train try= labels");
    assert_non_null(strstr(toc_buf_cstr(&w.journal), "The metric load exists, but with other"));
    world_fini(&w);
}

static void what_may_be_absent_is_not_missed(void **state) {
    static const char *const exprs[] = {
        RULES("{alert: A, expr: 'absent(gone{job=\"train\"})'}"),
        RULES("{alert: A, expr: 'load > 5 or gone{job=\"train\"} > 1'}"),
        RULES("{alert: A, expr: 'load > 5 unless gone{job=\"train\"}'}"),
        RULES("{alert: A, expr: 'load > 5 and on(job) ALERTS{alertname=\"B\"}'}"),
        RULES("{alert: A, expr: 'sum(absent_over_time(gone{job=\"train\"}[5m])) > 2'}"),
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(exprs); i++) {
        struct world w;
        world_init(&w, "mine.yml", exprs[i]);
        pass(&w, 7 * HOUR, "train", 1, NAMES("load"), 0);
        check_life(&w, "alive [] job= try=");
        world_fini(&w);
    }
}

static void always_and_never_firing_are_shown(void **state) {
    struct world w;
    (void)state;
    world_init(&w, "mine.yml", RULES("{alert: A, expr: load > 1}"));
    pass(&w, 7 * 24 * HOUR, "train", 1, NAMES("load"), 2);
    check_life(&w, "alive [] job= try=");
    pass(&w, 2, "train", 1, NAMES("load"), 2);
    check_life(&w, "always_firing [] job= try=");
    world_fini(&w);
    world_init(&w, "mine.yml", RULES("{alert: A, expr: load > 1}"));
    pass(&w, 30 * 24 * HOUR, "train", 1, NAMES("load"), 0);
    check_life(&w, "alive [] job= try=");
    toc_rules_free(&w.m);
    boot(&w);
    pass(&w, 2, "train", 1, NAMES("load"), 0);
    check_life(&w, "never_fired [] job= try=");
    pass(&w, 2, "train", 1, NAMES("load"), 2);
    check_life(&w, "alive [] job= try=");
    world_fini(&w);
}

static void removed_rule_ends_its_own_alert(void **state) {
    struct world w;
    (void)state;
    world_init(&w, "mine.yml", RULES("{alert: A, expr: 'gone{job=\"train\"} > 1'}"));
    pass(&w, 7 * HOUR, "train", 1, NAMES("load"), 0);
    toc_rules_set_files(w.m, NULL, 0, (struct toc_ts){w.now_ms});
    assert_non_null(strstr(toc_buf_cstr(&w.journal), "over: "));
    world_fini(&w);
}

static int join(void *ctx, struct toc_sv alias) {
    toc_buf_printf(ctx, "%.*s ", TOC_SV_ARG(alias));
    return 0;
}

static void other_names(void **state) {
    static const struct {
        const char *name, *aliases;
    } cases[] = {
        {"vllm:kv_cache_usage_perc",
         "vllm:gpu_cache_usage_perc vllm:kv_cache_usage_perc_total vllm_kv_cache_usage_perc "
         "ray_vllm_kv_cache_usage_perc "},
        {"ray_vllm_num_requests_waiting",
         "ray_vllm_num_requests_waiting_total vllm:num_requests_waiting "},
        {"node_cpu", "node_cpu_seconds_total node_cpu_total "},
        {"requests_total", "requests "},
        {"train_loss", "megatron_training_loss train_loss_total "},
    };
    struct toc_alias_table *table;
    (void)state;
    assert_int_equal(toc_alias_table_builtin(&table, NULL), 0);
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_buf b = TOC_BUF_INIT;
        assert_int_equal(toc_metric_aliases(table, toc_sv_cstr(cases[i].name), join, &b), 0);
        assert_string_equal(toc_buf_cstr(&b), cases[i].aliases);
        toc_buf_fini(&b);
    }
    toc_alias_table_free(&table);
    assert_int_equal(toc_metric_name_distance(TOC_SV("abc"), TOC_SV("acb"), 3), 1);
    assert_int_equal(toc_metric_name_distance(TOC_SV("kitten"), TOC_SV("sitting"), 3), 3);
    assert_true(toc_metric_name_distance(TOC_SV("kitten"), TOC_SV("sitting"), 2) == SIZE_MAX);
    assert_int_equal(toc_metric_name_distance(TOC_SV(""), TOC_SV("ab"), 2), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renamed_metric_is_found_after_six_hours),
        cmocka_unit_test(job_that_is_down_is_not_the_rules_fault),
        cmocka_unit_test(jobs_that_are_not_scraped),
        cmocka_unit_test(metric_that_never_was),
        cmocka_unit_test(labels_that_do_not_match),
        cmocka_unit_test(what_may_be_absent_is_not_missed),
        cmocka_unit_test(always_and_never_firing_are_shown),
        cmocka_unit_test(removed_rule_ends_its_own_alert),
        cmocka_unit_test(other_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
