/*
 * Alert and recording rules under a virtual clock: a signal is played sample by sample, the manager
 * evaluates on its grid, and a journal of what it sends is compared with what Prometheus' rules
 * say. Times in the journal are seconds after the first slot.
 */
#include <math.h>
#include <stdio.h>

#include "../unit/cmocka_prelude.h"

#include "memory_store.h"
#include "promql/memory_querier.h"
#include "rules/rules.h"

#define STEP_S 10

struct world {
    struct toc_memory_querier db;
    struct memory_blobs blobs;
    struct toc_alert_sink sink;
    struct toc_rules *m;
    const char *yaml;
    int64_t t0, now;
    struct toc_buf journal;
    size_t evidence_seen;
};

static void on_alerts(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                      struct toc_ts now) {
    struct world *w = TOC_CONTAINER_OF(s, struct world, sink);
    for (size_t i = 0; i < count; i++) {
        const struct toc_alert *a = &alerts[i];
        toc_buf_printf(&w->journal, "%lld %s %.*s=%g since %lld\n",
                       (long long)(now.ms - w->t0) / 1000,
                       toc_alert_is_resolved(a, now) ? "resolved" : "firing",
                       TOC_SV_ARG(toc_labels_get(a->labels, TOC_SV("inst"))), a->value,
                       (long long)(a->starts_at.ms - w->t0) / 1000);
        w->evidence_seen += a->finding && a->finding->evidence_count;
    }
}

static struct toc_rule_file *parse(const char *yaml) {
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    if (toc_rule_file_parse(TOC_SV("sim.yml"), toc_sv_cstr(yaml), false, &f, &err))
        fail_msg("%s", err.message);
    return f;
}

static void boot(struct world *w) {
    struct toc_rules_options o = {.querier = &w->db.querier,
                                  .sink = &w->db.sink,
                                  .alerts = &w->sink,
                                  .store = &w->blobs.base,
                                  .default_interval_ms = STEP_S * 1000};
    struct toc_rule_file *f = parse(w->yaml);
    w->m = toc_rules_new(&o);
    toc_rules_set_files(w->m, &f, 1, (struct toc_ts){w->now});
}

static void world_init(struct world *w, const char *yaml) {
    *w = (struct world){.yaml = yaml, .sink = {on_alerts}, .now = INT64_C(1767571200000)};
    toc_memory_querier_init(&w->db);
    memory_blobs_init(&w->blobs);
    boot(w);
    w->t0 = w->now = toc_rules_next_due(w->m);
}

static void world_fini(struct world *w) {
    assert_int_equal(toc_rules_stats(w->m).store_failures, 0);
    toc_rules_free(&w->m);
    memory_blobs_fini(&w->blobs);
    toc_memory_querier_fini(&w->db);
    toc_buf_fini(&w->journal);
}

static void restart(struct world *w) {
    toc_rules_free(&w->m);
    boot(w);
}

static void put(struct world *w, const char *metric, const char *inst, double v) {
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_cstr(metric)},
                            {TOC_SV("inst"), toc_sv_cstr(inst)}};
    toc_memory_querier_add(&w->db, (struct toc_labels){l, 2}, w->now, v);
}

/* One character per step: a digit is the value in tenths, '.' is a stale marker, '_' no sample. */
static void play(struct world *w, const char *inst, const char *values) {
    for (const char *c = values; *c; c++) {
        if (*c == '.')
            put(w, "load", inst, toc_stale_nan());
        else if (*c != '_')
            put(w, "load", inst, (*c - '0') / 10.0);
        toc_rules_evaluate_due(w->m, (struct toc_ts){w->now});
        w->now += STEP_S * 1000;
    }
}

/* Newest value of a series; NaN when it is not there. */
static double newest(struct world *w, const char *text) {
    struct toc_buf b = TOC_BUF_INIT;
    double v = NAN;
    for (size_t i = 0; i < w->db.count; i++) {
        toc_buf_reset(&b);
        toc_labels_format(w->db.items[i].labels, &b);
        if (!strcmp(toc_buf_cstr(&b), text) && w->db.items[i].values.count)
            v = w->db.items[i].values.items[w->db.items[i].values.count - 1];
    }
    toc_buf_fini(&b);
    return v;
}

static const char with_for[] =
    "groups:\n"
    "- name: g\n"
    "  rules:\n"
    "  - alert: Hot\n"
    "    expr: load > 0.5\n"
    "    for: 30s\n"
    "    labels: {kind: disk_full, severity: critical}\n"
    "    annotations: {summary: '{{ $labels.inst }} is at {{ $value }}'}\n";

static void life_cycle_with_for_resend_and_end(void **state) {
    struct world w;
    (void)state;
    world_init(&w, with_for);
    play(&w, "a", "1669");
    assert_float_equal(newest(&w, "ALERTS{alertname=\"Hot\", alertstate=\"pending\", inst=\"a\", "
                                  "kind=\"disk_full\", severity=\"critical\"}"),
                       1, 0);
    play(&w, "a", "9");
    assert_true(
        toc_is_stale_nan(newest(&w, "ALERTS{alertname=\"Hot\", alertstate=\"pending\", inst=\"a\", "
                                    "kind=\"disk_full\", severity=\"critical\"}")));
    play(&w, "a", "9999999");
    play(&w, "a", "1111111");
    assert_string_equal(toc_buf_cstr(&w.journal), "40 firing a=0.9 since 40\n"
                                                  "100 firing a=0.9 since 40\n"
                                                  "120 resolved a=0.9 since 40\n"
                                                  "180 resolved a=0.9 since 40\n");
    assert_int_equal(w.evidence_seen, 4);
    assert_true(toc_is_stale_nan(
        newest(&w, "ALERTS_FOR_STATE{alertname=\"Hot\", inst=\"a\", kind=\"disk_full\", "
                   "severity=\"critical\"}")));
    world_fini(&w);
}

static void short_match_and_gap_never_fire(void **state) {
    struct world w;
    (void)state;
    world_init(&w, with_for);
    play(&w, "a", "6661666166.66");
    assert_string_equal(toc_buf_cstr(&w.journal), "");
    world_fini(&w);
}

static void keep_firing_for_bridges_gaps(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5, "
                               "keep_firing_for: 30s}]}]";
    struct world w;
    (void)state;
    world_init(&w, yaml);
    play(&w, "a", "611611111");
    assert_string_equal(toc_buf_cstr(&w.journal), "0 firing a=0.6 since 0\n"
                                                  "60 firing a=0.6 since 0\n"
                                                  "70 resolved a=0.6 since 0\n");
    world_fini(&w);
}

/* Since when the first alert is held by `recover`; -1: it is not. */
static void keep_held(void *ctx, const struct toc_rule_group_view *g) {
    const struct toc_rule_view *r = &g->rules[0];
    *(int64_t *)ctx = r->alert_count ? r->alerts[0].held_since.ms : 0;
}

static int64_t held_s(struct world *w) {
    int64_t held_ms = 0;
    toc_rules_each_group(w->m, keep_held, &held_ms);
    return held_ms ? (held_ms - w->t0) / 1000 : -1;
}

static void recover_number_is_hysteresis(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.8, "
                               "recover: 0.3}]}]";
    struct world w;
    (void)state;
    world_init(&w, yaml);
    play(&w, "a", "79");
    assert_int_equal(held_s(&w), -1);
    play(&w, "a", "57");
    restart(&w);
    assert_int_equal(held_s(&w), 20);
    play(&w, "a", "437");
    assert_int_equal(held_s(&w), -1);
    assert_string_equal(toc_buf_cstr(&w.journal), "10 firing a=0.9 since 10\n"
                                                  "50 resolved a=0.4 since 10\n");
    world_fini(&w);
}

static void recover_expression_decides_the_end(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.8, "
                               "recover: load < 0.2}]}]";
    struct world w;
    (void)state;
    world_init(&w, yaml);
    play(&w, "a", "9.__51");
    assert_string_equal(toc_buf_cstr(&w.journal), "0 firing a=0.9 since 0\n"
                                                  "50 resolved a=0.9 since 0\n");
    world_fini(&w);
}

static void confirm_needs_both_stages(void **state) {
    static const char yaml[] = "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5, "
                               "confirm: score > 0.6}]}]";
    struct world w;
    (void)state;
    world_init(&w, yaml);
    put(&w, "score", "b", 0.9);
    put(&w, "score", "a", 0.1);
    play(&w, "a", "9");
    put(&w, "score", "a", 0.7);
    play(&w, "a", "9");
    assert_string_equal(toc_buf_cstr(&w.journal), "10 firing a=0.9 since 10\n");
    world_fini(&w);
}

static void restart_anywhere_changes_nothing(void **state) {
    /* One high value only: what was last measured is stored with changes of state, not each time.
     */
    static const char signal[] = "1666666666611116666666611111111";
    struct world straight;
    (void)state;
    world_init(&straight, with_for);
    play(&straight, "a", signal);
    assert_non_null(strstr(toc_buf_cstr(&straight.journal), "resolved"));
    for (size_t at = 1; at < sizeof signal - 1; at++) {
        struct world w;
        char first[64];
        world_init(&w, with_for);
        (void)snprintf(first, sizeof first, "%.*s", (int)at, signal);
        play(&w, "a", first);
        restart(&w);
        play(&w, "a", signal + at);
        assert_string_equal(toc_buf_cstr(&w.journal), toc_buf_cstr(&straight.journal));
        world_fini(&w);
    }
    world_fini(&straight);
}

static void long_outage_is_no_recovery_and_forgets_pending(void **state) {
    struct world w;
    (void)state;
    world_init(&w, with_for);
    play(&w, "a", "999999");
    play(&w, "b", "9");
    w.now += 2 * 3600 * 1000;
    restart(&w);
    w.now = toc_rules_next_due(w.m);
    toc_buf_reset(&w.journal);
    play(&w, "a", "_");
    struct toc_rules_stats s = toc_rules_stats(w.m);
    assert_int_equal(s.alerts_firing, 1);
    assert_int_equal(s.alerts_pending, 0);
    play(&w, "a", "999");
    assert_null(strstr(toc_buf_cstr(&w.journal), "resolved"));
    world_fini(&w);
}

static void recording_rules_write_and_end_series(void **state) {
    static const char yaml[] = "groups:\n"
                               "- name: g\n"
                               "  labels: {team: ml}\n"
                               "  rules:\n"
                               "  - {record: 'inst:load:twice', expr: load * 2, labels: {a: b}}\n"
                               "  - {alert: Hot, expr: 'inst:load:twice > 1'}\n";
    static const char series[] = "inst:load:twice{a=\"b\", inst=\"a\", team=\"ml\"}";
    struct world w;
    (void)state;
    world_init(&w, yaml);
    play(&w, "a", "6");
    assert_float_equal(newest(&w, series), 1.2, 1e-9);
    assert_string_equal(toc_buf_cstr(&w.journal), "0 firing a=1.2 since 0\n");
    play(&w, "a", ".");
    assert_true(toc_is_stale_nan(newest(&w, series)));
    world_fini(&w);
}

struct seen {
    char query[200], error[200];
    bool is_overridden;
    double threshold, file_threshold;
    size_t alerts;
    uint64_t missed;
    enum toc_rule_alert_state state;
    enum toc_rule_health health;
};

static void look(void *ctx, const struct toc_rule_group_view *g) {
    struct seen *s = ctx;
    const struct toc_rule_view *r = &g->rules[0];
    (void)toc_sv_copy(r->query, s->query, sizeof s->query);
    (void)toc_sv_copy(r->last_error, s->error, sizeof s->error);
    s->is_overridden = r->is_overridden;
    s->threshold = r->threshold;
    s->file_threshold = r->file_threshold;
    s->alerts = r->alert_count;
    s->state = r->state;
    s->health = r->health;
    s->missed = g->missed;
}

static void threshold_can_be_changed_and_put_back(void **state) {
    struct world w;
    struct seen s = {0};
    struct toc_err err = {0};
    (void)state;
    world_init(&w, with_for);
    play(&w, "a", "66666");
    toc_rules_each_group(w.m, look, &s);
    assert_int_equal(s.state, TOC_RULE_FIRING);
    assert_int_equal(s.alerts, 1);
    assert_int_equal(toc_rules_set_threshold(w.m, TOC_SV("Hot"), 0.75, &err), 0);
    play(&w, "a", "6");
    toc_rules_each_group(w.m, look, &s);
    assert_int_equal(s.state, TOC_RULE_INACTIVE);
    assert_true(s.is_overridden);
    assert_float_equal(s.threshold, 0.75, 0);
    assert_float_equal(s.file_threshold, 0.5, 0);
    /* It survives a reload of the files. */
    struct toc_rule_file *f = parse(with_for);
    toc_rules_set_files(w.m, &f, 1, (struct toc_ts){w.now});
    toc_rules_each_group(w.m, look, &s);
    assert_float_equal(s.threshold, 0.75, 0);
    assert_int_equal(toc_rules_clear_threshold(w.m, TOC_SV("Hot")), 0);
    toc_rules_each_group(w.m, look, &s);
    assert_false(s.is_overridden);
    assert_string_equal(s.query, "load > 0.5");
    assert_int_equal(toc_rules_set_threshold(w.m, TOC_SV("Nope"), 1, &err), TOC_ENOENT);
    world_fini(&w);
}

static void removed_rule_ends_its_alerts(void **state) {
    struct world w;
    (void)state;
    world_init(&w, with_for);
    play(&w, "a", "66666");
    toc_rules_set_files(w.m, NULL, 0, (struct toc_ts){w.now});
    assert_non_null(strstr(toc_buf_cstr(&w.journal), "50 resolved a=0.6"));
    assert_int_equal(toc_rules_next_due(w.m), INT64_MAX);
    world_fini(&w);
}

static void limits_duplicates_and_late_slots_are_reported(void **state) {
    static const char yaml[] =
        "groups: [{name: g, limit: 1, rules: [{alert: Hot, expr: load > 0.5}]}]";
    static const char same[] = "groups: [{name: g, rules: [{alert: Hot, expr: load > 0.5, "
                               "labels: {inst: x}}]}]";
    struct world w;
    struct seen s = {0};
    (void)state;
    world_init(&w, yaml);
    put(&w, "load", "b", 0.9);
    play(&w, "a", "9");
    toc_rules_each_group(w.m, look, &s);
    assert_int_equal(s.health, TOC_RULE_HEALTH_ERR);
    assert_string_equal(s.error, "exceeded limit of 1 with 2 alerts");
    w.now += 5 * STEP_S * 1000;
    toc_rules_evaluate_due(w.m, (struct toc_ts){w.now});
    toc_rules_each_group(w.m, look, &s);
    assert_int_equal(s.missed, 5);
    world_fini(&w);

    world_init(&w, same);
    put(&w, "load", "b", 0.9);
    play(&w, "a", "9");
    toc_rules_each_group(w.m, look, &s);
    assert_string_equal(s.error, "vector contains metrics with the same labelset after applying "
                                 "alert labels");
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_cycle_with_for_resend_and_end),
        cmocka_unit_test(short_match_and_gap_never_fire),
        cmocka_unit_test(keep_firing_for_bridges_gaps),
        cmocka_unit_test(recover_number_is_hysteresis),
        cmocka_unit_test(recover_expression_decides_the_end),
        cmocka_unit_test(confirm_needs_both_stages),
        cmocka_unit_test(restart_anywhere_changes_nothing),
        cmocka_unit_test(long_outage_is_no_recovery_and_forgets_pending),
        cmocka_unit_test(recording_rules_write_and_end_series),
        cmocka_unit_test(threshold_can_be_changed_and_put_back),
        cmocka_unit_test(removed_rule_ends_its_alerts),
        cmocka_unit_test(limits_duplicates_and_late_slots_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
