/* Back-tests of small histories whose outcome is known. */
#include "unit/cmocka_prelude.h"

#include "promql/memory_querier.h"
#include "replay/replay.h"

enum { STEP_MS = 15000, MINUTE = 60000 };
#define T0 INT64_C(1767225600000)

static void put(struct toc_memory_querier *db, const char *name, const char *instance,
                int64_t from_min, int64_t to_min, double value) {
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)},
                            {TOC_SV("instance"), toc_sv_cstr(instance)}};
    for (int64_t t = T0 + from_min * MINUTE; t < T0 + to_min * MINUTE; t += STEP_MS)
        toc_memory_querier_add(db, (struct toc_labels){l, 2}, t, value);
}

static int run(struct toc_memory_querier *db, const char *rules, const char *inhibit,
               int64_t minutes, struct toc_replay_record *out) {
    struct toc_buf routing = TOC_BUF_INIT;
    struct toc_rule_file *f = NULL;
    struct toc_alert_config *config = NULL;
    struct toc_err err = {0};
    toc_buf_printf(&routing,
                   "route: {receiver: r, group_by: ['...'], group_wait: 10s, group_interval: 1m, "
                   "repeat_interval: 4h}\nreceivers: [{name: r}]\n%s",
                   inhibit);
    if (toc_rule_file_parse(TOC_SV("r.yml"), toc_sv_cstr(rules), false, &f, &err) ||
        toc_alert_config_parse(toc_buf_sv(&routing), NULL, &config, &err))
        fail_msg("%s", err.message);
    const struct toc_replay_options o = {
        .history = &db->querier, .from_ms = T0, .to_ms = T0 + minutes * MINUTE};
    int rc = toc_replay_run(&o, &f, 1, config, out, &err);
    toc_buf_fini(&routing);
    return rc;
}

#define GROUP(text) "groups:\n- name: g\n  interval: 15s\n  rules:\n" text

/* An alert whose value never changes is prolonged without a word; its incident stays open. */
static void incident_of_an_unchanging_alert_stays_open(void **state) {
    (void)state;
    struct toc_memory_querier db;
    struct toc_replay_record r;
    toc_memory_querier_init(&db);
    put(&db, "up", "a", -5, 10, 1);
    put(&db, "up", "a", 10, 50, 0);
    put(&db, "up", "a", 50, 60, 1);
    assert_int_equal(run(&db, GROUP("  - {alert: Down, expr: up == 0}\n"), "", 60, &r), 0);
    assert_int_equal(r.alerts.count, 1);
    assert_int_equal(r.pages.count, 2); /* first notification, end */
    assert_int_equal(r.incidents.count, 1);
    assert_in_range(r.alerts.items[0].fired_ms, T0 + 10 * MINUTE, T0 + 10 * MINUTE + STEP_MS);
    assert_in_range(r.incidents.items[0].resolved_ms, T0 + 50 * MINUTE, T0 + 51 * MINUTE);
    assert_sv_equal(r.incidents.items[0].rule, "Down");
    toc_replay_record_fini(&r);
    toc_memory_querier_fini(&db);
}

static void inhibited_alerts_are_not_told(void **state) {
    (void)state;
    struct toc_memory_querier db;
    struct toc_replay_record r;
    toc_memory_querier_init(&db);
    put(&db, "x", "a", 0, 30, 5);
    assert_int_equal(run(&db,
                         GROUP("  - {alert: Big, expr: x > 1, labels: {severity: page}}\n"
                               "  - {alert: Small, expr: x > 2, labels: {severity: info}}\n"),
                         "inhibit_rules:\n- source_matchers: [severity=page]\n"
                         "  target_matchers: [severity=info]\n  equal: [instance]\n",
                         20, &r),
                     0);
    assert_int_equal(r.alerts.count, 2);
    for (size_t i = 0; i < 2; i++) {
        bool is_small = toc_sv_eq(r.alerts.items[i].rule, TOC_SV("Small"));
        assert_int_equal(r.alerts.items[i].is_suppressed, is_small);
        assert_int_equal(r.alerts.items[i].first_page_ms == 0, is_small);
    }
    toc_replay_record_fini(&r);
    toc_memory_querier_fini(&db);
}

/* What rules recorded in the past does not count where the replayed rules record it anew. */
static void recorded_series_come_from_the_replayed_rules(void **state) {
    (void)state;
    struct toc_memory_querier db;
    struct toc_replay_record r;
    toc_memory_querier_init(&db);
    put(&db, "x", "a", -5, 30, 1);
    put(&db, "rec", "a", -5, 30, 100);
    assert_int_equal(run(&db,
                         GROUP("  - {record: rec, expr: x * 2}\n"
                               "  - {alert: Old, expr: rec > 50}\n"
                               "  - {alert: New, expr: rec == 2}\n"
                               "  - {alert: Before, expr: 'max_over_time(rec[2m]) > 50'}\n"),
                         "", 20, &r),
                     0);
    size_t seen_new = 0;
    for (size_t i = 0; i < r.alerts.count; i++) {
        const struct toc_replay_alert *a = &r.alerts.items[i];
        assert_false(toc_sv_eq(a->rule, TOC_SV("Old")));
        seen_new += toc_sv_eq(a->rule, TOC_SV("New"));
        if (toc_sv_eq(a->rule, TOC_SV("Before"))) /* history before the range is seen */
            assert_in_range(a->ended_ms, T0 + MINUTE, T0 + 3 * MINUTE);
    }
    assert_int_equal(seen_new, 1);
    assert_int_equal(r.alerts.count, 2);
    toc_replay_record_fini(&r);
    toc_memory_querier_fini(&db);
}

static void nothing_later_than_the_clock_is_seen(void **state) {
    (void)state;
    struct toc_memory_querier db;
    struct toc_replay_record r;
    toc_memory_querier_init(&db);
    put(&db, "x", "a", 0, 10, 1);
    put(&db, "x", "a", 10, 30, 9);
    assert_int_equal(run(&db, GROUP("  - {alert: Ahead, expr: x offset -5m > 5}\n"), "", 9, &r), 0);
    assert_int_equal(r.alerts.count, 0);
    toc_replay_record_fini(&r);
    toc_memory_querier_fini(&db);
}

static void failures_are_counted_with_their_reason(void **state) {
    (void)state;
    struct toc_memory_querier db;
    struct toc_replay_record r;
    toc_memory_querier_init(&db);
    put(&db, "x", "a", 0, 30, 1);
    put(&db, "x", "b", 0, 30, 1);
    assert_int_equal(run(&db, GROUP("  - {alert: Bad, expr: x + on () x > 0}\n"), "", 10, &r), 0);
    assert_int_equal(r.rules.count, 1);
    assert_int_equal(r.rules.items[0].failures, 10 * MINUTE / STEP_MS);
    assert_true(toc_sv_find(r.rules.items[0].last_error, TOC_SV("many")) != SIZE_MAX);
    toc_replay_record_fini(&r);
    toc_memory_querier_fini(&db);
}

static void empty_ranges_are_refused(void **state) {
    (void)state;
    struct toc_memory_querier db;
    struct toc_replay_record r;
    toc_memory_querier_init(&db);
    assert_int_equal(run(&db, GROUP("  - {alert: A, expr: x > 0}\n"), "", 0, &r), TOC_EINVAL);
    toc_replay_record_fini(&r);
    toc_memory_querier_fini(&db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incident_of_an_unchanging_alert_stays_open),
        cmocka_unit_test(inhibited_alerts_are_not_told),
        cmocka_unit_test(recorded_series_come_from_the_replayed_rules),
        cmocka_unit_test(nothing_later_than_the_clock_is_seen),
        cmocka_unit_test(failures_are_counted_with_their_reason),
        cmocka_unit_test(empty_ranges_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
