#include <stdio.h>

#include "../cmocka_prelude.h"

#include "model/finding.h"
#include "promql/memory_querier.h"
#include "rules/builtin_packs.h"
#include "rules/rules.h"

static struct toc_rule_file *parse(const struct toc_builtin_pack *p) {
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    if (toc_rule_file_parse(toc_sv_cstr(p->name), p->yaml, true, &f, &err))
        fail_msg("%s", err.message);
    return f;
}

static struct toc_sv text_of(const struct toc_rule_text *t, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq_cstr(t[i].name, name))
            return t[i].text;
    return TOC_SV_NULL;
}

static void check_alert(const struct toc_rule *r) {
    static const char *const needed[] = {"summary", "description", "action", "runbook_url"};
    struct toc_promql_threshold t = {0};
    struct toc_sv kind = text_of(r->labels, r->label_count, "kind");
    struct toc_sv runbook = text_of(r->annotations, r->annotation_count, "runbook_url");
    if (toc_kind_parse(kind) == TOC_KIND_COUNT)
        fail_msg("%.*s: unknown kind", TOC_SV_ARG(r->name));
    assert_true(text_of(r->labels, r->label_count, "severity").n > 0);
    for (size_t i = 0; i < 4; i++)
        if (!text_of(r->annotations, r->annotation_count, needed[i]).n)
            fail_msg("%.*s: no %s", TOC_SV_ARG(r->name), needed[i]);
    assert_true(toc_sv_starts_with(runbook, TOC_SV("/docs/runbooks/")));
    assert_true(toc_sv_ends_with(runbook, kind));
    /* A number that the threshold workbench can move. */
    toc_promql_threshold(r->expr, &t);
    if (!t.is_set)
        fail_msg("%.*s: not of the form EXPR op NUMBER", TOC_SV_ARG(r->name));
    toc_buf_fini(&t.left_text);
}

static void every_alert_is_complete(void **state) {
    size_t count, alerts = 0;
    const struct toc_builtin_pack *packs = toc_builtin_packs(&count);
    (void)state;
    assert_true(count > 20);
    for (size_t p = 0; p < count; p++) {
        struct toc_rule_file *f = parse(&packs[p]);
        for (size_t g = 0; g < f->group_count; g++)
            for (size_t i = 0; i < f->groups[g].rule_count; i++)
                if (f->groups[g].rules[i].is_alert) {
                    check_alert(&f->groups[g].rules[i]);
                    alerts++;
                }
        toc_rule_file_free(&f);
    }
    assert_true(alerts > 180);
}

struct world {
    struct toc_memory_querier db;
    struct toc_alert_sink sink;
    struct toc_rules *m;
    int64_t now;
    struct toc_buf fired;
};

static void on_alerts(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                      struct toc_ts now) {
    struct world *w = TOC_CONTAINER_OF(s, struct world, sink);
    for (size_t i = 0; i < count; i++)
        if (!toc_alert_is_resolved(&alerts[i], now))
            toc_buf_printf(&w->fired, "%.*s ",
                           TOC_SV_ARG(toc_labels_get(alerts[i].labels, TOC_SV("alertname"))));
}

static void put2(struct world *w, const char *metric, const char *name, const char *value,
                 double v) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(metric));
    toc_labels_builder_set(&b, TOC_SV("instance"), TOC_SV("box"));
    toc_labels_builder_set(&b, TOC_SV("job"), TOC_SV("host"));
    toc_labels_builder_set(&b, toc_sv_cstr(name), toc_sv_cstr(value));
    toc_memory_querier_add(&w->db, toc_labels_builder_finish(&b), w->now, v);
    toc_labels_builder_fini(&b);
}

/* What is wrong with the box, all zero when nothing is. */
struct trouble {
    double disk_left;
    bool is_slow, is_down;      /* from second 600 on */
    double new_values, refused; /* of a label; of samples in each second */
    bool is_out_of_memory;
    double behind, dropped; /* of a receiver: seconds; samples in each second */
};

static void put_histogram(struct world *w, const char *metric, double t, bool is_slow) {
    char name[80];
    double fast = 5 * (is_slow ? 600 : t);
    snprintf(name, sizeof name, "%s_bucket", metric);
    put2(w, name, "le", "0.1", fast);
    put2(w, name, "le", "1", fast);
    put2(w, name, "le", "2.5", 5 * t);
    put2(w, name, "le", "+Inf", 5 * t);
    snprintf(name, sizeof name, "%s_count", metric);
    put2(w, name, "", "", 5 * t);
}

static void measure(struct world *w, double t, const struct trouble *x) {
    put2(w, "node_filesystem_size_bytes", "mountpoint", "/", 1e11);
    put2(w, "node_filesystem_avail_bytes", "mountpoint", "/",
         x->disk_left > 0 ? x->disk_left * 1e11 : 4e10 - 1e5 * t);
    put2(w, "node_filesystem_readonly", "mountpoint", "/", 0);
    put2(w, "node_memory_MemTotal_bytes", "", "", 8e9);
    put2(w, "node_memory_MemAvailable_bytes", "", "", 2e9);
    put2(w, "node_pressure_memory_stalled_seconds_total", "", "", 0.02 * t);
    put2(w, "node_pressure_cpu_waiting_seconds_total", "", "", 0.95 * t); /* both cores busy */
    put2(w, "node_vmstat_oom_kill", "", "", 3);
    put2(w, "node_network_receive_errs_total", "device", "eth0", 0);
    put2(w, "node_network_transmit_errs_total", "device", "eth0", 0);
    put2(w, "up", "", "", x->is_down ? 0 : 1);
    put_histogram(w, "vllm:time_to_first_token_seconds", t, x->is_slow);
    put2(w, "http_requests_total", "status", "2xx", 1);
    put2(w, "vllm:num_requests_waiting", "model_name", "m", 2);
    put2(w, "tocsin_label_new_values", "label", "request_id", x->new_values);
    put2(w, "tocsin_overflow_samples_total", "reason", "series_limit",
         t < 600 ? 0 : x->refused * (t - 600));
    put2(w, "tocsin_shortage", "resource", "memory", x->is_out_of_memory);
    put2(w, "vllm:kv_cache_usage_perc", "model_name", "m", 0.4);
    put2(w, "tocsin_remote_write_out_backlog_seconds", "remote", "r", x->behind);
    put2(w, "tocsin_remote_write_out_dropped_samples_total", "reason", "backlog_bytes",
         t < 600 ? 0 : x->dropped * (t - 600));
    put2(w, "tocsin_remote_write_out_dropped_samples_total", "reason", "relabel", 7 * t);
}

static void world_init(struct world *w) {
    size_t count;
    const struct toc_builtin_pack *packs = toc_builtin_packs(&count);
    struct toc_rule_file *files[64];
    *w = (struct world){.sink = {on_alerts}, .now = INT64_C(1767571200000)};
    toc_memory_querier_init(&w->db);
    struct toc_rules_options o = {
        .querier = &w->db.querier, .sink = &w->db.sink, .alerts = &w->sink};
    w->m = toc_rules_new(&o);
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++)
        files[i] = parse(&packs[i]);
    toc_rules_set_files(w->m, files, count, (struct toc_ts){w->now});
}

static void world_fini(struct world *w) {
    assert_int_equal(toc_rules_stats(w->m).failures, 0);
    toc_rules_free(&w->m);
    toc_memory_querier_fini(&w->db);
    toc_buf_fini(&w->fired);
}

static void run(struct world *w, double from_s, double to_s, const struct trouble *x) {
    for (double t = from_s; t < to_s; t += 5) {
        measure(w, t, x);
        toc_rules_evaluate_due(w->m, (struct toc_ts){w->now});
        w->now += 5000;
    }
}

static const char *trouble_fires(struct world *w, const struct trouble *x, double seconds) {
    static const struct trouble healthy;
    world_init(w);
    run(w, 5, 600, &healthy);
    assert_string_equal(toc_buf_cstr(&w->fired), "");
    run(w, 600, 600 + seconds, x);
    return toc_buf_cstr(&w->fired);
}

static void busy_but_healthy_box_is_quiet(void **state) {
    struct world w;
    (void)state;
    assert_string_equal(trouble_fires(&w, &(struct trouble){0}, 600), "");
    world_fini(&w);
}

static void troubles_are_named(void **state) {
    struct world w;
    (void)state;
    assert_string_equal(trouble_fires(&w, &(struct trouble){.disk_left = 0.03}, 40), "DiskFull ");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.is_slow = true}, 30),
                        "VllmTtftSurge ");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.is_down = true}, 70), "TargetDown ");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.new_values = 60000}, 10),
                        "LabelExplodes ");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.refused = 1}, 20), "SeriesOverflow ");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.is_out_of_memory = true}, 50),
                        "MemoryBudgetUsedUp ");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.behind = 301}, 80),
                        "RemoteWriteBehind ");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.behind = 299}, 80), "");
    world_fini(&w);
    assert_string_equal(trouble_fires(&w, &(struct trouble){.dropped = 1}, 20),
                        "RemoteWriteDrops ");
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_alert_is_complete),
        cmocka_unit_test(busy_but_healthy_box_is_quiet),
        cmocka_unit_test(troubles_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
