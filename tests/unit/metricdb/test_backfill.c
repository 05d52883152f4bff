/* Samples of the past, beside live ones: all are taken and end up in few blocks. */
#include "fixture.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, SERIES = 40, STEP = 15 * SECOND };

static size_t write_run(struct fixture *f, int series, int64_t from_ms, int count) {
    struct toc_point points[64];
    struct toc_write_result r;
    struct toc_label items[2] = {{TOC_METRIC_NAME, TOC_SV("past")}};
    char text[16];
    snprintf(text, sizeof text, "%d", series);
    items[1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(text)};
    for (int i = 0; i < count; i++)
        points[i] =
            toc_float_point((struct toc_labels){items, 2}, from_ms + i * STEP, series + i % 7);
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    assert_int_equal(sink->write(sink, points, (size_t)count, &r, NULL), 0);
    return r.accepted;
}

/* A second of real time: the live series get a sample, maintenance runs. */
static void tick(struct fixture *f) {
    assert_int_equal(fixture_write(f, "live", "a", f->clock.wall.ms, 1, NULL), 0);
    fixture_advance(f, SECOND);
}

static void live_for(struct fixture *f, int seconds) {
    for (int i = 0; i < seconds; i++)
        tick(f);
}

/* The sender walks through time, 20 samples per series and request. */
static void a_day_in_time_order_beside_live_samples(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    live_for(&f, 5);
    int64_t start = f.clock.wall.ms - 24 * HOUR;
    size_t accepted = 0, sent = 0;
    for (int64_t t = start; t < start + 24 * HOUR - HOUR; t += 20 * STEP) {
        for (int i = 0; i < SERIES; i++, sent += 20)
            accepted += write_run(&f, i, t, 20);
        if (t / (20 * STEP) % 3 == 0)
            tick(&f);
    }
    assert_int_equal(accepted, sent);
    assert_true(fixture_stats(&f).blocks <= 12);
    live_for(&f, 200);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(fixture_select(&f, "past", INT64_MIN, INT64_MAX).samples, sent);
    assert_true(s.blocks >= 10 && s.blocks <= 14);
    fixture_reopen(&f);
    assert_int_equal(fixture_select(&f, "past", INT64_MIN, INT64_MAX).samples, sent);
    assert_int_equal(fixture_stats(&f).rejected[TOC_REJECT_TOO_OLD], 0);
    fixture_fini(&f);
}

/* The sender sends all of a series before the next: every window stays busy. */
static void a_day_series_by_series(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    live_for(&f, 5);
    int64_t start = f.clock.wall.ms - 24 * HOUR;
    size_t accepted = 0, sent = 0;
    for (int i = 0; i < SERIES; i++) {
        for (int64_t t = start; t < start + 20 * HOUR; t += 20 * STEP, sent += 20)
            accepted += write_run(&f, i, t, 20);
        tick(&f);
    }
    assert_int_equal(accepted, sent);
    assert_int_equal(fixture_stats(&f).blocks, 0);
    live_for(&f, 100);
    assert_true(fixture_stats(&f).blocks >= 10 && fixture_stats(&f).blocks <= 12);
    assert_int_equal(fixture_select(&f, "past", INT64_MIN, INT64_MAX).samples, sent);
    fixture_fini(&f);
}

static void what_a_block_holds_is_not_taken_again(void **state) {
    (void)state;
    struct fixture f;
    struct toc_write_result r;
    fixture_init(&f, 1);
    int64_t t0 = f.clock.wall.ms;
    for (int i = 0; i < 5 * 60; i++) {
        assert_int_equal(fixture_write(&f, "m", "a", f.clock.wall.ms, i, NULL), 0);
        fixture_advance(&f, MINUTE);
    }
    assert_true(fixture_stats(&f).blocks > 0);
    uint64_t in_head = fixture_stats(&f).head_samples;
    assert_int_equal(fixture_write(&f, "m", "a", t0 + 10 * MINUTE, 10, &r), 0);
    assert_int_equal(r.accepted, 1); /* the very same */
    assert_int_equal(fixture_write(&f, "m", "a", t0 + 10 * MINUTE, 11, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_DUPLICATE], 1);
    assert_int_equal(fixture_stats(&f).head_samples, in_head);
    assert_int_equal(fixture_write(&f, "m", "a", t0 + 10 * MINUTE + 1, 11, &r), 0);
    assert_int_equal(r.accepted, 1);
    assert_int_equal(fixture_write(&f, "m", "b", t0 + 10 * MINUTE, 11, &r), 0);
    assert_int_equal(r.accepted, 1);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, 302);
    fixture_reopen(&f);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, 302);
    /* Older than the retention time is too old. */
    toc_metricdb_close(&f.db);
    f.options.limits.retention_ms = 3 * HOUR;
    fixture_open(&f);
    assert_int_equal(fixture_write(&f, "m", "a", t0 + 1, 1, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_OUT_OF_ORDER] + r.rejected[TOC_REJECT_TOO_OLD], 1);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_in_time_order_beside_live_samples),
        cmocka_unit_test(a_day_series_by_series),
        cmocka_unit_test(what_a_block_holds_is_not_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
