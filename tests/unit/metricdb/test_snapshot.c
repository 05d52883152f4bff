/* A snapshot is a database of its own. */
#include "fixture.h"

#define T0 FIXTURE_START_MS
enum { MINUTE = 60000 };

static void write_minutes(struct fixture *f, int minutes) {
    for (int i = 0; i < minutes; i++) {
        assert_int_equal(fixture_write(f, "m", "1", f->clock.wall.ms, i, NULL), 0);
        assert_int_equal(fixture_write(f, "m", "2", f->clock.wall.ms, i, NULL), 0);
        fixture_advance(f, MINUTE);
    }
}

static void it_holds_what_was_there_and_nothing_later(void **state) {
    (void)state;
    struct fixture f;
    char name[TOC_SNAPSHOT_NAME_MAX], dir[200];
    fixture_init(&f, 1);
    write_minutes(&f, 7 * 60);
    assert_true(fixture_stats(&f).blocks >= 1 && fixture_stats(&f).head_samples > 0);
    assert_int_equal(toc_metricdb_snapshot(f.db, true, name, NULL), 0);
    write_minutes(&f, 60);
    struct fixture copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    struct fixture_found x = fixture_select(&copy, "m", INT64_MIN, INT64_MAX);
    assert_int_equal(x.samples, 2 * 7 * 60);
    assert_int_equal(fixture_stats(&copy).corruptions, 0);
    toc_metricdb_close(&copy.db);
    /* Deleting in the database leaves the snapshot alone. */
    struct toc_select s = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    uint64_t series;
    assert_int_equal(toc_metricdb_delete(f.db, &s, &series, NULL), 0);
    for (int i = 0; i < 5; i++)
        fixture_advance(&f, 1000);
    copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    assert_int_equal(fixture_select(&copy, "m", INT64_MIN, INT64_MAX).samples, 2 * 7 * 60);
    toc_metricdb_close(&copy.db);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, 0);
    fixture_fini(&f);
}

static void without_the_head_it_holds_the_blocks(void **state) {
    (void)state;
    struct fixture f;
    char name[TOC_SNAPSHOT_NAME_MAX], dir[200];
    fixture_init(&f, 1);
    write_minutes(&f, 7 * 60);
    uint64_t in_blocks = fixture_stats(&f).block_samples;
    assert_int_equal(toc_metricdb_snapshot(f.db, false, name, NULL), 0);
    struct fixture copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    assert_int_equal(fixture_select(&copy, "m", INT64_MIN, INT64_MAX).samples, in_blocks);
    toc_metricdb_close(&copy.db);
    fixture_fini(&f);
}

static void note_leftover(void *ctx, const char *path, uint64_t size) {
    (void)size;
    *(bool *)ctx |= strstr(path, "/snapshots/tmp-") != NULL;
}

static void a_failed_or_cut_one_leaves_nothing(void **state) {
    (void)state;
    char name[TOC_SNAPSHOT_NAME_MAX];
    for (uint64_t nth = 1; nth < 60; nth++) {
        struct fixture f;
        bool left = false;
        fixture_init(&f, nth);
        write_minutes(&f, 5 * 60);
        toc_vfs_sim_cut_power_after(f.disk, nth);
        int rc = toc_metricdb_snapshot(f.db, true, name, NULL);
        bool was_off = toc_vfs_sim_is_off(f.disk);
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        toc_vfs_sim_each_file(f.disk, note_leftover, &left);
        assert_false(left);
        assert_true(rc != 0 || !was_off);
        assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, 2 * 5 * 60);
        fixture_fini(&f);
        if (!rc)
            return;
    }
}

static void without_hard_links_files_are_copied(void **state) {
    (void)state;
    struct fixture f;
    char name[TOC_SNAPSHOT_NAME_MAX], dir[200];
    fixture_init(&f, 1);
    write_minutes(&f, 7 * 60);
    toc_vfs_sim_fail(f.disk, TOC_SIM_LINK, 1, TOC_EACCES, true);
    assert_int_equal(toc_metricdb_snapshot(f.db, true, name, NULL), 0);
    struct fixture copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    assert_int_equal(fixture_select(&copy, "m", INT64_MIN, INT64_MAX).samples, 2 * 7 * 60);
    toc_metricdb_close(&copy.db);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_was_there_and_nothing_later),
        cmocka_unit_test(without_the_head_it_holds_the_blocks),
        cmocka_unit_test(a_failed_or_cut_one_leaves_nothing),
        cmocka_unit_test(without_hard_links_files_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
