/* Reading along with the log: order, positions, held segments, damage. */
#include "fixture.h"

#include "base/vec.h"
#include "metricdb/follow.h"
#include "metricdb/histogram_code.h"

struct met {
    char series[96];
    int64_t t_ms;
    double value;
    bool is_histogram;
};

struct reader {
    struct toc_log_follower *follower;
    TOC_VEC(char *) names; /* by id in the segment */
    TOC_VEC(struct met) met;
    size_t segments;
};

static void on_segment(void *ctx) {
    struct reader *r = ctx;
    for (size_t i = 0; i < r->names.count; i++)
        toc_free(r->names.items[i]);
    r->names.count = 0;
    r->segments++;
}

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    struct reader *r = ctx;
    struct toc_buf text = TOC_BUF_INIT;
    toc_labels_format(labels, &text);
    while (r->names.count <= id)
        TOC_VEC_PUSH(&r->names, NULL);
    toc_free(r->names.items[id]);
    r->names.items[id] = toc_buf_take(&text, NULL);
}

static void add(struct reader *r, uint32_t id, int64_t t_ms, double value, bool is_histogram) {
    struct met m = {.t_ms = t_ms, .value = value, .is_histogram = is_histogram};
    assert_true(id < r->names.count && r->names.items[id]);
    snprintf(m.series, sizeof m.series, "%s", r->names.items[id]);
    TOC_VEC_PUSH(&r->met, m);
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    add(ctx, id, t_ms, value, false);
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_histogram *h;
    assert_int_equal(toc_histogram_decode(bytes, &arena, &h), 0);
    add(ctx, id, t_ms, h->sum, true);
    toc_arena_fini(&arena);
}

static void follow_from(struct reader *r, struct fixture *f, const struct toc_log_position *at) {
    const struct toc_log_visitor v = {r, on_segment, on_series, on_sample, on_histogram};
    *r = (struct reader){.follower = NULL};
    r->follower = toc_log_follower_new(f->db, at, &v);
}

static void read_all(struct reader *r) {
    struct toc_err err = {0};
    bool took = true;
    while (took)
        if (toc_log_follow(r->follower, &took, &err))
            fail_msg("%s", err.message);
}

static void reader_fini(struct reader *r) {
    on_segment(r);
    toc_log_follower_free(&r->follower);
    TOC_VEC_FINI(&r->names);
    TOC_VEC_FINI(&r->met);
}

static const struct toc_log_position FRONT = {0};

static void what_is_written_is_met_in_its_order(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    fixture_init(&f, 1);
    follow_from(&r, &f, &FRONT);
    read_all(&r);
    assert_int_equal(r.met.count, 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(fixture_write(&f, "m", i % 2 ? "a" : "b", FIXTURE_START_MS + i, i, NULL),
                         0);
        read_all(&r);
    }
    /* Late ones are samples like others. */
    assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS - 5000, 77, NULL), 0);
    read_all(&r);
    assert_int_equal(r.met.count, 11);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(r.met.items[i].t_ms, FIXTURE_START_MS + i);
        assert_string_equal(r.met.items[i].series, i % 2 ? "m{i=\"a\"}" : "m{i=\"b\"}");
    }
    assert_true(r.met.items[10].value == 77);
    reader_fini(&r);
    fixture_fini(&f);
}

static void a_position_survives_a_restart(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    fixture_init(&f, 2);
    follow_from(&r, &f, &FRONT);
    for (int i = 0; i < 5; i++)
        assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + i, i, NULL), 0);
    read_all(&r);
    struct toc_log_position at = toc_log_follower_position(r.follower);
    for (int i = 5; i < 9; i++)
        assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + i, i, NULL), 0);
    reader_fini(&r);
    fixture_reopen(&f);
    for (int i = 9; i < 12; i++)
        assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + i, i, NULL), 0);
    follow_from(&r, &f, &at);
    read_all(&r);
    assert_int_equal(r.met.count, 7);
    for (int i = 0; i < 7; i++)
        assert_true(r.met.items[i].value == 5 + i);
    assert_int_equal(toc_log_follower_lost(r.follower), 0);
    uint64_t bytes;
    at = toc_log_follower_position(r.follower);
    assert_int_equal(toc_metricdb_log_behind(f.db, &at, &bytes), 0);
    assert_int_equal(bytes, 0);
    reader_fini(&r);
    fixture_fini(&f);
}

static void the_end_of_the_log_begins_with_what_comes_next(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    fixture_init(&f, 3);
    assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS, 1, NULL), 0);
    struct toc_log_position end = toc_metricdb_log_end(f.db);
    assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + 1, 2, NULL), 0);
    follow_from(&r, &f, &end);
    read_all(&r);
    assert_int_equal(r.met.count, 1);
    assert_true(r.met.items[0].value == 2);
    reader_fini(&r);
    fixture_fini(&f);
}

static size_t held(struct fixture *f) {
    struct toc_held_segment *list;
    size_t count;
    assert_int_equal(toc_metricdb_held(f->db, &list, &count), 0);
    toc_free(list);
    return count;
}

static void dropped_segments_are_held_while_somebody_follows(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    fixture_init(&f, 4);
    assert_int_equal(toc_metricdb_hold(f.db, true), 0);
    assert_int_equal(toc_metricdb_hold(f.db, true), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + i, i, NULL), 0);
        assert_int_equal(toc_metricdb_compact(f.db, NULL), 0);
        if (i == 1)
            fixture_reopen(&f);
    }
    assert_true(held(&f) >= 3);
    follow_from(&r, &f, &FRONT);
    read_all(&r);
    bool seen[4] = {false};
    for (size_t i = 0; i < r.met.count; i++)
        seen[(int)r.met.items[i].value] = true;
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
    struct toc_log_position at = toc_log_follower_position(r.follower);
    assert_int_equal(toc_metricdb_release(f.db, at.segment), 0);
    assert_true(held(&f) <= 1);
    reader_fini(&r);
    assert_int_equal(toc_metricdb_hold(f.db, false), 0);
    assert_int_equal(held(&f), 0);
    assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + 9, 9, NULL), 0);
    assert_int_equal(toc_metricdb_compact(f.db, NULL), 0);
    assert_int_equal(held(&f), 0);
    fixture_fini(&f);
}

static void a_segment_that_moves_while_it_is_read_is_read_to_its_end(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    fixture_init(&f, 5);
    assert_int_equal(toc_metricdb_hold(f.db, true), 0);
    follow_from(&r, &f, &FRONT);
    assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS, 0, NULL), 0);
    read_all(&r);
    assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + 1, 1, NULL), 0);
    assert_int_equal(toc_metricdb_compact(f.db, NULL), 0);
    assert_int_equal(fixture_write(&f, "m", "b", FIXTURE_START_MS + 2, 2, NULL), 0);
    read_all(&r);
    assert_int_equal(r.met.count, 3);
    assert_int_equal(toc_log_follower_lost(r.follower), 0);
    assert_true(r.met.items[1].value == 1 && r.met.items[2].value == 2);
    reader_fini(&r);
    fixture_fini(&f);
}

static void a_damaged_record_is_counted_and_the_rest_is_met(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    fixture_init(&f, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + i, i, NULL), 0);
    fixture_reopen(&f);
    struct toc_file_info info;
    assert_int_equal(f.options.vfs->info(f.options.vfs, "/data/wal/0000000001.wal", &info), 0);
    /* In the payload of the last but one. */
    assert_int_equal(
        toc_vfs_sim_flip_bit(f.disk, "/data/wal/0000000001.wal", (info.size_bytes - 36) * 8), 0);
    assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + 6, 6, NULL), 0);
    follow_from(&r, &f, &FRONT);
    read_all(&r);
    assert_int_equal(toc_log_follower_lost(r.follower), 1);
    assert_int_equal(r.met.count, 6);
    assert_true(r.met.items[5].value == 6);
    reader_fini(&r);
    fixture_fini(&f);
}

static void a_position_in_a_log_that_is_gone_reads_all_of_the_new_one(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    fixture_init(&f, 7);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + i, i, NULL), 0);
    const struct toc_log_position places[] = {
        {.segment = 900, .offset = 4711, .salt = 5, .sequence = 99999},
        {.segment = 1, .offset = 160, .salt = 5, .sequence = 99999},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(places); i++) {
        follow_from(&r, &f, &places[i]);
        read_all(&r);
        assert_int_equal(r.met.count, 3);
        reader_fini(&r);
    }
    fixture_fini(&f);
}

static void a_read_that_fails_is_tried_again_and_nothing_is_passed_over(void **state) {
    (void)state;
    struct fixture f;
    struct reader r;
    struct toc_err err = {0};
    bool took;
    fixture_init(&f, 8);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fixture_write(&f, "m", "a", FIXTURE_START_MS + i, i, NULL), 0);
    follow_from(&r, &f, &FRONT);
    toc_vfs_sim_fail(f.disk, TOC_SIM_READ, 1, TOC_EIO, false);
    assert_int_equal(toc_log_follow(r.follower, &took, &err), TOC_EIO);
    assert_non_null(strstr(err.message, "input/output error"));
    read_all(&r);
    assert_int_equal(r.met.count, 3);
    reader_fini(&r);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_met_in_its_order),
        cmocka_unit_test(a_position_survives_a_restart),
        cmocka_unit_test(the_end_of_the_log_begins_with_what_comes_next),
        cmocka_unit_test(dropped_segments_are_held_while_somebody_follows),
        cmocka_unit_test(a_segment_that_moves_while_it_is_read_is_read_to_its_end),
        cmocka_unit_test(a_damaged_record_is_counted_and_the_rest_is_met),
        cmocka_unit_test(a_position_in_a_log_that_is_gone_reads_all_of_the_new_one),
        cmocka_unit_test(a_read_that_fails_is_tried_again_and_nothing_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
