#include "../cmocka_prelude.h"

#include <math.h>
#include <string.h>

#include "incident/proposal.h"
#include "incident/summary.h"
#include "incident_fixture.h"
#include "promql/memory_querier.h"

static struct incident_fixture g_f;
static struct toc_memory_querier g_q;

/* One rule whose threshold can be set. */
struct fake_rules {
    struct toc_threshold_access base;
    double threshold;
    int set_calls;
};

static int get_rule(struct toc_threshold_access *a, struct toc_sv rule, struct toc_buf *out_expr,
                    int64_t *out_for_ms, int64_t *out_interval_ms, struct toc_err *err) {
    struct fake_rules *r = (struct fake_rules *)a;
    if (!toc_sv_eq(rule, TOC_SV("Hot")))
        return toc_errf(err, TOC_ENOENT, "there is no alert rule %.*s", TOC_SV_ARG(rule));
    toc_buf_printf(out_expr, "temperature > %g", r->threshold);
    *out_for_ms = 60000;
    *out_interval_ms = 15000;
    return 0;
}

static int set_rule(struct toc_threshold_access *a, struct toc_sv rule, double threshold,
                    struct toc_err *err) {
    (void)rule, (void)err;
    struct fake_rules *r = (struct fake_rules *)a;
    r->threshold = threshold;
    r->set_calls++;
    return 0;
}

static struct fake_rules g_rules;
static struct toc_proposal_options g_o;

/* One day of run=demo at 15 s: 50, for five minutes 70 at noon and 85 in the last five. */
static void fill_history(void) {
    struct toc_label pairs[] = {{TOC_METRIC_NAME, TOC_SV("temperature")},
                                {TOC_SV("run"), TOC_SV("demo")}};
    int64_t end = g_f.now.ms, start = end - 24 * 3600 * 1000;
    for (int64_t t = start; t <= end; t += 15000) {
        double v = 50 + 2 * sin((double)t / 1e6);
        if (t > start + 12 * 3600 * 1000 && t <= start + 12 * 3600 * 1000 + 300000)
            v = 70;
        if (t > end - 300000)
            v = 85;
        toc_memory_querier_add(&g_q, (struct toc_labels){pairs, 2}, t, v);
    }
}

static int setup(void **state) {
    (void)state;
    incident_fixture_setup(&g_f);
    toc_memory_querier_init(&g_q);
    fill_history();
    g_rules = (struct fake_rules){.base = {get_rule, set_rule}, .threshold = 60};
    g_o = (struct toc_proposal_options){
        .manager = g_f.m, .access = &g_rules.base, .querier = &g_q.querier};
    return 0;
}

static int teardown(void **state) {
    (void)state;
    toc_memory_querier_fini(&g_q);
    incident_fixture_teardown(&g_f);
    return 0;
}

#define ID TOC_SV("I-20261124-0001")

static struct toc_proposal propose(void) {
    struct toc_proposal p;
    struct toc_err err = {0};
    int rc = toc_incident_proposal(&g_o, ID, g_f.now, &p, &err);
    if (rc)
        print_error("%s\n", err.message);
    assert_int_equal(rc, 0);
    return p;
}

static void assert_refused(const char *why) {
    struct toc_proposal p = propose();
    assert_false(p.is_available);
    if (!strstr(p.reason, why))
        fail_msg("%s", p.reason);
    toc_proposal_fini(&p);
}

static void a_false_alarm_gets_a_threshold_above_its_peak(void **state) {
    (void)state;
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_THRESHOLD, "Hot", "demo", 0);
    assert_refused("no verdict yet");
    assert_int_equal(incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_FALSE, NULL, NULL), 0);
    struct toc_proposal p = propose();
    assert_true(p.is_available);
    assert_sv_equal(toc_buf_sv(&p.expr), "temperature");
    assert_true(p.current_threshold == 60);
    assert_true(p.proposed_threshold > 88 && p.proposed_threshold < 90);
    assert_int_equal(p.current.alerts, 2);
    assert_int_equal(p.proposed.alerts, 0);
    assert_true(p.current.firing_s > 400 && p.current.firing_s < 600);
    assert_true(p.history_s > 86000 && p.samples > 5000);
    assert_true(p.bucket_count > 100 && p.buckets[p.bucket_count - 1].max == 85);
    struct toc_buf json = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &json);
    toc_proposal_write_json(&w, &p);
    assert_non_null(strstr(toc_buf_cstr(&json), "\"available\":true"));
    assert_non_null(strstr(toc_buf_cstr(&json), "\"comparison\":\""));
    toc_buf_fini(&json);
    toc_proposal_fini(&p);
}

static void applying_sets_and_records_it(void **state) {
    (void)state;
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_THRESHOLD, "Hot", "demo", 0);
    incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_FALSE, NULL, NULL);
    struct toc_proposal_applied applied;
    struct toc_err err = {0};
    assert_int_equal(toc_incident_proposal_apply(&g_o, ID, NAN, TOC_SV("anna"), TOC_SV_NULL,
                                                 g_f.now, &applied, NULL),
                     TOC_EINVAL);
    assert_int_equal(toc_incident_proposal_apply(&g_o, ID, 88.5, TOC_SV("anna"), TOC_SV("summer"),
                                                 g_f.now, &applied, &err),
                     0);
    assert_true(g_rules.threshold == 88.5);
    assert_true(applied.old_threshold == 60 && applied.change_id == 1);
    struct toc_buf text = TOC_BUF_INIT;
    assert_int_equal(toc_incident_summary(g_f.m, ID, &text, NULL), 0);
    assert_non_null(strstr(toc_buf_cstr(&text), "threshold of Hot from 60 to 88.5 by anna"));
    assert_non_null(strstr(toc_buf_cstr(&text), "changed from 60 to 88.5: summer"));
    toc_buf_fini(&text);
    assert_refused("would not fire on this incident any more");
}

static void a_change_that_cannot_be_recorded_is_taken_back(void **state) {
    (void)state;
    toc_incident_manager_free(&g_f.m);
    toc_statedb_close(&g_f.state.db);
    state_disk_install();
    assert_int_equal(state_fixture_open(&g_f.state, NULL), 0);
    incident_fixture_restart(&g_f);
    g_o.manager = g_f.m;
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_THRESHOLD, "Hot", "demo", 0);
    state_disk_set(DISK_FULL);
    struct toc_proposal_applied applied;
    struct toc_err err = {0};
    assert_int_equal(toc_incident_proposal_apply(&g_o, ID, 88, TOC_SV("anna"), TOC_SV_NULL, g_f.now,
                                                 &applied, &err),
                     TOC_ENOSPC);
    state_disk_set(DISK_FINE);
    assert_int_equal(g_rules.set_calls, 2);
    assert_true(g_rules.threshold == 60);
}

static void hard_kinds_and_unknown_rules_are_refused(void **state) {
    (void)state;
    struct toc_proposal_applied applied;
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_OOM, "Hot", "demo", 0);
    incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_FALSE, NULL, NULL);
    assert_refused("hard kind");
    assert_int_equal(toc_incident_proposal_apply(&g_o, ID, 88, TOC_SV("anna"), TOC_SV_NULL, g_f.now,
                                                 &applied, NULL),
                     TOC_ECONFLICT);
    assert_int_equal(g_rules.set_calls, 0);
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_THRESHOLD, "Gone", "other", 0);
    incident_fixture_verdict(&g_f, "0002", TOC_VERDICT_FALSE, NULL, NULL);
    struct toc_proposal p;
    assert_int_equal(toc_incident_proposal(&g_o, TOC_SV("I-20261124-0002"), g_f.now, &p, NULL), 0);
    assert_string_equal(p.reason, "there is no alert rule Gone");
    toc_proposal_fini(&p);
}

static void a_real_incident_must_not_be_missed(void **state) {
    (void)state;
    int64_t end = g_f.now.ms;
    g_f.now.ms = end - 12 * 3600 * 1000 + 100000; /* the real one, at 70 */
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_THRESHOLD, "Hot", "demo", 0);
    incident_fixture_alert(&g_f, TOC_INTAKE_RESOLVED, TOC_KIND_THRESHOLD, "Hot", "demo", 0);
    incident_fixture_pass(&g_f, 11);
    incident_fixture_verdict(&g_f, "0001", TOC_VERDICT_TRUE, NULL, NULL);
    g_f.now.ms = end;
    incident_fixture_alert(&g_f, TOC_INTAKE_FIRING, TOC_KIND_THRESHOLD, "Hot", "demo", 0);
    incident_fixture_verdict(&g_f, "0002", TOC_VERDICT_FALSE, NULL, NULL);
    struct toc_proposal p;
    assert_int_equal(toc_incident_proposal(&g_o, TOC_SV("I-20261124-0002"), g_f.now, &p, NULL), 0);
    assert_false(p.is_available);
    assert_non_null(strstr(p.reason, "I-20261124-0001"));
    toc_proposal_fini(&p);
}

static void the_back_test_counts_like_the_rule_engine(void **state) {
    (void)state;
    static const int64_t t[] = {0, 10, 20, 30, 40, 50, 100, 110, 120, 130, 140};
    static const double v[] = {9, 9, 9, 1, 9, 9, 9, 9, 9, NAN, 9};
    struct toc_backtest_rule rule = {TOC_COMPARISON_GT, 5, 20, 10};
    struct toc_backtest_series s = {t, v, 11};
    struct toc_backtest_effect e = {0};
    toc_backtest(&rule, &s, &e);
    assert_int_equal(e.alerts, 2); /* at 20; pending at 40 is cut by the gap; at 120 */
    rule.for_ms = 0;
    e = (struct toc_backtest_effect){0};
    toc_backtest(&rule, &s, &e);
    assert_int_equal(e.alerts, 4);
    assert_true(fabs(e.firing_s - 0.05) < 1e-9);
    rule.comparison = TOC_COMPARISON_LE;
    rule.threshold = 1;
    e = (struct toc_backtest_effect){0};
    toc_backtest(&rule, &s, &e);
    assert_int_equal(e.alerts, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_false_alarm_gets_a_threshold_above_its_peak),
        T(applying_sets_and_records_it),
        T(hard_kinds_and_unknown_rules_are_refused),
        T(a_real_incident_must_not_be_missed),
        T(the_back_test_counts_like_the_rule_engine),
        T(a_change_that_cannot_be_recorded_is_taken_back),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
