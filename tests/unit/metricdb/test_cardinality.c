#include "metricdb/cardinality.h"

#include "fixture.h"

#define T0 FIXTURE_START_MS

static void the_largest_come_first_and_equals_by_name(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    char text[16];
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof text, "node-%02d", i);
        assert_int_equal(fixture_write(&f, "big", text, T0, 1, NULL), 0);
        if (i < 10)
            assert_int_equal(fixture_write(&f, "small", text, T0, 1, NULL), 0);
    }
    assert_int_equal(fixture_write(&f, "alone", NULL, T0 + 5, 1, NULL), 0);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_cardinality c;
    assert_int_equal(toc_metricdb_cardinality(f.db, 2, &arena, &c), 0);
    assert_int_equal(c.series, 41);
    assert_int_equal(c.label_names, 2);
    assert_int_equal(c.label_pairs, 33);
    assert_int_equal(c.min_ms, T0);
    assert_int_equal(c.max_ms, T0 + 5);
    assert_int_equal(c.series_by_metric.count, 2);
    assert_sv_equal(c.series_by_metric.rows[0].name, "big");
    assert_int_equal(c.series_by_metric.rows[0].count, 30);
    assert_int_equal(c.series_by_metric.rows[1].count, 10);
    assert_sv_equal(c.values_by_label.rows[0].name, "i");
    assert_int_equal(c.values_by_label.rows[0].count, 30);
    assert_int_equal(c.bytes_by_label.rows[0].count, 40 * 7);
    assert_sv_equal(c.bytes_by_label.rows[0].name, "i");
    assert_int_equal(c.series_by_pair.rows[1].count, 10);
    assert_int_equal(toc_metricdb_cardinality(f.db, 1000, &arena, &c), 0);
    assert_int_equal(c.series_by_pair.count, 33);
    assert_sv_equal(c.series_by_pair.rows[2].value, "node-00");
    assert_sv_equal(c.series_by_pair.rows[11].value, "node-09");
    assert_int_equal(toc_metricdb_cardinality(f.db, 0, &arena, &c), 0);
    assert_int_equal(c.series_by_pair.count, 0);
    toc_arena_fini(&arena);
    fixture_fini(&f);
}

static void an_empty_database_has_nothing(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_cardinality c;
    assert_int_equal(toc_metricdb_cardinality(f.db, 10, &arena, &c), 0);
    assert_int_equal(c.series + c.series_by_metric.count + c.values_by_label.count, 0);
    assert_true(c.min_ms > c.max_ms);
    toc_arena_fini(&arena);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_come_first_and_equals_by_name),
        cmocka_unit_test(an_empty_database_has_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
