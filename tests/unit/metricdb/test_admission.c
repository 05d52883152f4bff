/* Limits on what comes in: who is refused, what is counted, which label is named. */
#include "fixture.h"

#include "metricdb/growth.h"
#include "metricdb/overflow.h"

static void write_one(struct toc_sink *sink, const char *job, const char *instance, const char *id,
                      struct toc_write_result *out) {
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("m")},
                                {TOC_SV("id"), toc_sv_cstr(id)},
                                {TOC_SV("instance"), toc_sv_cstr(instance)},
                                {TOC_SV("job"), toc_sv_cstr(job)}};
    struct toc_point p = toc_float_point((struct toc_labels){items, 4}, FIXTURE_START_MS, 1);
    assert_int_equal(sink->write(sink, &p, 1, out, NULL), 0);
}

/* How many of n new series are refused for the reason. */
static size_t flood(struct fixture *f, const char *instance, int first, int n,
                    enum toc_reject_reason reason) {
    size_t refused = 0;
    for (int i = first; i < first + n; i++) {
        char id[16];
        struct toc_write_result r;
        snprintf(id, sizeof id, "%d", i);
        write_one(toc_metricdb_sink(f->db), "j", instance, id, &r);
        refused += r.rejected[reason];
        assert_int_equal(r.accepted + r.rejected[reason], 1);
    }
    return refused;
}

static void init(struct fixture *f, struct toc_metricdb_limits limits) {
    fixture_init(f, 1);
    f->options.limits = limits;
    fixture_reopen(f);
}

static void refused_samples_are_counted_by_sender(void **state) {
    struct fixture f;
    struct toc_overflow_row rows[TOC_OVERFLOW_ROWS];
    (void)state;
    init(&f, (struct toc_metricdb_limits){.max_series = 100});
    assert_int_equal(flood(&f, "a", 0, 100, TOC_REJECT_SERIES_LIMIT), 0);
    assert_int_equal(flood(&f, "a", 100, 7, TOC_REJECT_SERIES_LIMIT), 7);
    assert_int_equal(flood(&f, "b", 100, 5, TOC_REJECT_SERIES_LIMIT), 5);
    assert_int_equal(flood(&f, "a", 0, 100, TOC_REJECT_SERIES_LIMIT), 0); /* those there go on */
    assert_int_equal(toc_metricdb_overflow(f.db, rows), 2);
    assert_string_equal(rows[0].job, "j");
    assert_string_equal(rows[0].instance, "a");
    assert_int_equal(rows[0].reason, TOC_REJECT_SERIES_LIMIT);
    assert_int_equal(rows[0].samples, 7);
    assert_int_equal(rows[1].samples, 5);
    fixture_fini(&f);
}

static void own_series_have_room(void **state) {
    struct fixture f;
    struct toc_write_result r;
    (void)state;
    init(&f, (struct toc_metricdb_limits){.max_series = 10});
    flood(&f, "a", 0, 20, TOC_REJECT_SERIES_LIMIT);
    toc_metricdb_set_shortage(f.db, TOC_SHORT_OF_MEMORY | TOC_NO_MEMORY_AT_ALL);
    write_one(toc_metricdb_own_sink(f.db), "tocsin", "self", "0", &r);
    assert_int_equal(r.accepted, 1);
    fixture_fini(&f);
}

static void one_source_has_its_share(void **state) {
    struct fixture f;
    (void)state;
    init(&f, (struct toc_metricdb_limits){.max_source_series = 50});
    assert_int_equal(flood(&f, "greedy", 0, 80, TOC_REJECT_SOURCE), 30);
    assert_int_equal(flood(&f, "modest", 0, 40, TOC_REJECT_SOURCE), 0);
    fixture_fini(&f);
}

static void churn_ends_with_its_window(void **state) {
    struct fixture f;
    (void)state;
    init(&f, (struct toc_metricdb_limits){.max_new_series = 50});
    assert_int_equal(flood(&f, "a", 0, 60, TOC_REJECT_CHURN), 10);
    toc_clock_virtual_advance(&f.clock, (int64_t)TOC_GROWTH_WINDOW_S * 1000);
    toc_metricdb_maintain(f.db, NULL);
    assert_int_equal(flood(&f, "a", 100, 60, TOC_REJECT_CHURN), 10);
    /* What a start replays is no churn. */
    fixture_reopen(&f);
    assert_int_equal(flood(&f, "a", 200, 50, TOC_REJECT_CHURN), 0);
    fixture_fini(&f);
}

static void memory_sheds_new_series_then_everything(void **state) {
    struct fixture f;
    struct toc_err err = {0};
    struct toc_point none;
    (void)state;
    init(&f, (struct toc_metricdb_limits){0});
    flood(&f, "a", 0, 10, TOC_REJECT_MEMORY);
    toc_metricdb_set_shortage(f.db, TOC_SHORT_OF_MEMORY);
    assert_int_equal(flood(&f, "a", 0, 20, TOC_REJECT_MEMORY), 10);
    toc_metricdb_set_shortage(f.db, TOC_SHORT_OF_MEMORY | TOC_NO_MEMORY_AT_ALL);
    struct toc_sink *sink = toc_metricdb_sink(f.db);
    assert_int_equal(sink->write(sink, &none, 0, NULL, &err), TOC_EBUSY);
    assert_non_null(strstr(err.message, "storage.memory_budget"));
    toc_metricdb_set_shortage(f.db, 0);
    assert_int_equal(flood(&f, "a", 0, 20, TOC_REJECT_MEMORY), 0);
    fixture_fini(&f);
}

/* Held: refused, but readable and written as soon as there is room. */
static void held_log_is_written_later(void **state) {
    struct fixture f;
    (void)state;
    init(&f, (struct toc_metricdb_limits){0});
    toc_metricdb_set_shortage(f.db, TOC_SHORT_OF_DISK);
    assert_int_equal(fixture_write(&f, "m", "1", FIXTURE_START_MS, 1, NULL), TOC_ENOSPC);
    assert_int_equal(fixture_stats(&f).wal_pending_samples, 1);
    toc_metricdb_set_shortage(f.db, 0);
    assert_int_equal(fixture_write(&f, "m", "2", FIXTURE_START_MS, 1, NULL), 0);
    assert_int_equal(fixture_stats(&f).wal_pending_samples, 0);
    fixture_fini(&f);
}

/* What found no room to wait for the log is logged from the head once the log works. */
static void own_samples_outlive_a_full_log(void **state) {
    struct fixture f;
    struct toc_label item = {TOC_METRIC_NAME, TOC_SV("own")};
    (void)state;
    init(&f, (struct toc_metricdb_limits){.max_pending_samples = 10});
    struct toc_sink *own = toc_metricdb_own_sink(f.db);
    toc_metricdb_set_shortage(f.db, TOC_SHORT_OF_DISK);
    for (int i = 0; i < 30; i++) {
        struct toc_point p =
            toc_float_point((struct toc_labels){&item, 1}, FIXTURE_START_MS + i * 1000, i);
        assert_int_equal(own->write(own, &p, 1, NULL, NULL), TOC_ENOSPC);
    }
    assert_true(fixture_stats(&f).wal_unlogged_samples >= 19);
    assert_true(fixture_stats(&f).wal_pending_samples <= 10);
    assert_int_equal(fixture_stats(&f).head_samples, 30);
    toc_metricdb_set_shortage(f.db, 0);
    toc_clock_virtual_advance(&f.clock, 20000);
    assert_int_equal(toc_metricdb_maintain(f.db, NULL), 0);
    fixture_reopen(&f);
    assert_int_equal(fixture_stats(&f).head_samples, 30);
    fixture_fini(&f);
}

static void the_label_that_explodes_is_named(void **state) {
    struct fixture f;
    struct toc_label_growth top[3];
    (void)state;
    init(&f, (struct toc_metricdb_limits){.max_series = 2000});
    assert_int_equal(flood(&f, "a", 0, 5000, TOC_REJECT_SERIES_LIMIT), 3000);
    assert_true(toc_metricdb_growth(f.db, top, 3) == 3);
    assert_string_equal(top[0].metric, "m");
    assert_string_equal(top[0].label, "id");
    assert_in_range(top[0].new_values, 4250, 5750);
    /* The same again is no growth. */
    flood(&f, "a", 0, 5000, TOC_REJECT_SERIES_LIMIT);
    toc_metricdb_growth(f.db, top, 3);
    assert_in_range(top[0].new_values, 4250, 5750);
    fixture_fini(&f);
}

static void a_heavy_label_keeps_its_row_among_many(void **state) {
    struct toc_growth *g = toc_xcalloc(1, sizeof *g);
    struct toc_label_growth top[1];
    (void)state;
    toc_growth_init(g);
    for (int i = 0; i < 20000; i++) {
        char value[16], light[16];
        snprintf(value, sizeof value, "%d", i);
        snprintf(light, sizeof light, "l%d", i % 500);
        toc_growth_add(g, TOC_SV("m"), TOC_SV("heavy"), toc_sv_cstr(value));
        toc_growth_add(g, TOC_SV("m"), toc_sv_cstr(light), toc_sv_cstr(value));
    }
    assert_int_equal(toc_growth_list(g, top, 1), 1);
    assert_string_equal(top[0].label, "heavy");
    assert_in_range(top[0].new_values, 17000, 23000);
    toc_growth_fini(g);
    toc_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_samples_are_counted_by_sender),
        cmocka_unit_test(own_series_have_room),
        cmocka_unit_test(one_source_has_its_share),
        cmocka_unit_test(churn_ends_with_its_window),
        cmocka_unit_test(memory_sheds_new_series_then_everything),
        cmocka_unit_test(held_log_is_written_later),
        cmocka_unit_test(own_samples_outlive_a_full_log),
        cmocka_unit_test(the_label_that_explodes_is_named),
        cmocka_unit_test(a_heavy_label_keeps_its_row_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
