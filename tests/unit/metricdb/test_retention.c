/* Retention by time, by rule of series and by size. */
#include "fixture.h"

enum { HOUR = 3600000, STEP = 60000 };

static void run_hours(struct fixture *f, int hours) {
    for (int i = 0; i < hours * (HOUR / STEP); i++) {
        assert_int_equal(fixture_write(f, "DCGM_UTIL", "a", f->clock.wall.ms, i, NULL), 0);
        assert_int_equal(fixture_write(f, "cpu", "a", f->clock.wall.ms, i, NULL), 0);
        fixture_advance(f, STEP);
    }
}

static struct fixture_found all(struct fixture *f, const char *name) {
    return fixture_select(f, name, INT64_MIN, INT64_MAX);
}

/* A database that keeps what matches `name` for raw_ms. */
static void open_with_rule(struct fixture *f, struct toc_matcher *m, const char *name,
                           int64_t raw_ms) {
    static struct toc_metricdb_retention_rule rule;
    fixture_init(f, 1);
    assert_int_equal(toc_matcher_init(m, TOC_MATCH_RE, TOC_METRIC_NAME, toc_sv_cstr(name), NULL),
                     0);
    rule = (struct toc_metricdb_retention_rule){m, 1, {raw_ms}};
    f->options.limits.retention_ms = 24 * HOUR;
    f->options.retention_rules = &rule;
    f->options.retention_rule_count = 1;
    fixture_reopen(f);
}

static void series_of_a_rule_go_earlier_than_the_rest(void **state) {
    (void)state;
    struct fixture f;
    struct toc_matcher m;
    open_with_rule(&f, &m, "DCGM_.*", 4 * HOUR);
    int64_t start = f.clock.wall.ms;
    run_hours(&f, 20);
    for (int round = 0; round < 2; round++) {
        struct fixture_found gpu = all(&f, "DCGM_UTIL"), cpu = all(&f, "cpu");
        assert_int_equal(cpu.samples, 20 * (HOUR / STEP));
        assert_int_equal(cpu.first_ms, start);
        assert_true(f.clock.wall.ms - gpu.first_ms >= 4 * HOUR);
        assert_true(f.clock.wall.ms - gpu.first_ms <= 16 * HOUR);
        assert_int_equal(gpu.samples, (gpu.last_ms - gpu.first_ms) / STEP + 1);
        if (!round) {
            struct toc_metricdb_stats s = fixture_stats(&f);
            assert_int_equal(s.expired_samples[TOC_METRICDB_EXPIRED_MATCHER],
                             20 * (HOUR / STEP) - gpu.samples);
            assert_int_equal(s.expired_samples[TOC_METRICDB_EXPIRED_TIME], 0);
        }
        fixture_reopen(&f);
    }
    toc_matcher_fini(&m);
    fixture_fini(&f);
}

static void series_of_a_rule_stay_longer_than_the_rest(void **state) {
    (void)state;
    struct fixture f;
    struct toc_matcher m;
    open_with_rule(&f, &m, "cpu", 200 * HOUR);
    f.options.limits.retention_ms = 4 * HOUR;
    fixture_reopen(&f);
    int64_t start = f.clock.wall.ms;
    run_hours(&f, 20);
    assert_int_equal(all(&f, "cpu").first_ms, start);
    assert_true(all(&f, "DCGM_UTIL").first_ms > start);
    assert_true(fixture_stats(&f).expired_samples[TOC_METRICDB_EXPIRED_TIME] > 0);
    toc_matcher_fini(&m);
    fixture_fini(&f);
}

static void a_clock_jump_deletes_nothing_of_a_rule(void **state) {
    (void)state;
    struct fixture f;
    struct toc_matcher m;
    open_with_rule(&f, &m, "DCGM_.*", 8 * HOUR);
    run_hours(&f, 5);
    const int64_t year = INT64_C(31536000000);
    toc_clock_virtual_step_wall(&f.clock, 10 * year);
    run_hours(&f, 5);
    toc_clock_virtual_step_wall(&f.clock, -10 * year);
    run_hours(&f, 1);
    assert_int_equal(all(&f, "DCGM_UTIL").samples, 11 * (HOUR / STEP));
    toc_matcher_fini(&m);
    fixture_fini(&f);
}

static void the_oldest_blocks_go_when_the_disk_share_is_full(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    run_hours(&f, 20);
    struct toc_metricdb_stats before = fixture_stats(&f);
    uint64_t limit = before.wal_bytes + before.block_bytes * 2 / 3;
    f.options.limits.retention_bytes = limit;
    fixture_reopen(&f);
    fixture_advance(&f, 20000);
    fixture_advance(&f, 20000);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_true(s.wal_bytes + s.block_bytes <= limit);
    assert_true(s.blocks > 0);
    assert_true(s.expired_bytes[TOC_METRICDB_EXPIRED_SIZE] > 0);
    assert_true(s.oldest_ms > before.oldest_ms);
    assert_int_equal(s.newest_ms, before.newest_ms);
    struct fixture_found cpu = all(&f, "cpu");
    assert_int_equal(cpu.samples, (cpu.last_ms - cpu.first_ms) / STEP + 1);
    fixture_fini(&f);
}

static void too_many_rules_are_refused(void **state) {
    (void)state;
    struct fixture f;
    struct toc_err err = {0};
    static struct toc_metricdb_retention_rule rules[TOC_METRICDB_RETENTION_RULES_MAX + 1];
    fixture_init(&f, 1);
    toc_metricdb_close(&f.db);
    f.options.retention_rules = rules;
    f.options.retention_rule_count = TOC_METRICDB_RETENTION_RULES_MAX + 1;
    assert_int_equal(toc_metricdb_open(&f.options, &f.db, &err), TOC_ELIMIT);
    assert_non_null(strstr(err.message, "31 rules"));
    fixture_fini(&f);
}

/* The list of what was cut out is written in two copies, so a crash at any write costs nothing. */
static void a_crash_while_a_rule_is_applied_loses_nothing_else(void **state) {
    (void)state;
    for (uint64_t at = 1; at < 60; at += 3) {
        struct fixture f;
        struct toc_matcher m;
        open_with_rule(&f, &m, "DCGM_.*", 100 * HOUR);
        run_hours(&f, 12);
        ((struct toc_metricdb_retention_rule *)(uintptr_t)f.options.retention_rules)->keep_ms[0] =
            4 * HOUR;
        fixture_reopen(&f);
        toc_vfs_sim_cut_power_after(f.disk, at);
        for (int i = 0; i < 6; i++) {
            toc_clock_virtual_advance(&f.clock, 11000);
            (void)toc_metricdb_maintain(f.db, NULL);
        }
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        assert_int_equal(all(&f, "cpu").samples, 12 * (HOUR / STEP));
        fixture_advance(&f, 11000);
        fixture_advance(&f, 11000);
        fixture_advance(&f, 11000);
        assert_true(all(&f, "DCGM_UTIL").samples < 12 * (HOUR / STEP));
        assert_int_equal(fixture_stats(&f).corruptions, 0);
        toc_matcher_fini(&m);
        fixture_fini(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_of_a_rule_go_earlier_than_the_rest),
        cmocka_unit_test(series_of_a_rule_stay_longer_than_the_rest),
        cmocka_unit_test(a_clock_jump_deletes_nothing_of_a_rule),
        cmocka_unit_test(the_oldest_blocks_go_when_the_disk_share_is_full),
        cmocka_unit_test(too_many_rules_are_refused),
        cmocka_unit_test(a_crash_while_a_rule_is_applied_loses_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
