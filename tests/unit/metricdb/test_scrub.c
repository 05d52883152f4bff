/* Background scrub: what it finds, what it repairs, how fast it may be. */
#include "fixture.h"

enum { HOUR = 3600000, STEP = 60000, SERIES = 40 };
static const char *const g_copies[] = {"index", "index2", "deleted", "deleted2"};

static void fill(struct fixture *f, int hours) {
    char name[16];
    for (int i = 0; i < hours * (HOUR / STEP); i++) {
        for (int k = 0; k < SERIES; k++) {
            snprintf(name, sizeof name, "%d", k);
            assert_int_equal(
                fixture_write(f, "m", name, f->clock.wall.ms, (i * 7919 + k * 104729) % 1000, NULL),
                0);
        }
        fixture_advance(f, STEP);
    }
}

static void delete_some(struct fixture *f) {
    struct toc_matcher m;
    uint64_t n;
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_SV("i"), TOC_SV("1"), NULL), 0);
    struct toc_select s = {.matchers = &m,
                           .matcher_count = 1,
                           .min_ms = FIXTURE_START_MS,
                           .max_ms = FIXTURE_START_MS + HOUR};
    assert_int_equal(toc_metricdb_delete(f->db, &s, &n, NULL), 0);
    toc_matcher_fini(&m);
}

/* A database with blocks that maintenance leaves as they are, closed; from then on it scrubs. */
static void make(struct fixture *f, bool deletes) {
    fixture_init(f, 1);
    f->options.limits.scrub_interval_ms = -1;
    fixture_reopen(f);
    fill(f, 30);
    for (int i = 0; i < 30; i++)
        fixture_advance(f, 11000);
    if (deletes)
        delete_some(f);
    toc_metricdb_close(&f->db);
    f->options.limits.scrub_interval_ms = 0; /* the default */
}

struct file {
    const char *folder, *name;
    char path[256];
    uint64_t size;
};

static void note_file(void *ctx, const char *path, uint64_t size) {
    struct file *x = ctx;
    const char *slash = strrchr(path, '/');
    if (strstr(path, x->folder) && slash && !strcmp(slash + 1, x->name) && !x->path[0]) {
        snprintf(x->path, sizeof x->path, "%s", path);
        x->size = size;
    }
}

static void flip(struct fixture *f, const char *folder, const char *name) {
    struct file x = {.folder = folder, .name = name};
    toc_vfs_sim_each_file(f->disk, note_file, &x);
    if (!x.path[0])
        fail_msg("no file %s in %s", name, folder);
    assert_int_equal(toc_vfs_sim_flip_bit(f->disk, x.path, x.size * 4), 0);
}

static void scrub_once(struct fixture *f) {
    uint64_t before = fixture_stats(f).scrub.passes;
    for (int i = 0; i < 2000 && fixture_stats(f).scrub.passes == before; i++)
        fixture_advance(f, 1000);
    assert_int_equal(fixture_stats(f).scrub.passes, before + 1);
}

static uint64_t verify_damage(struct fixture *f) {
    struct toc_metricdb_verdict v;
    assert_int_equal(toc_metricdb_verify(f->options.vfs, f->options.dir, NULL, NULL, &v, NULL), 0);
    return v.damaged;
}

static void a_pass_reads_everything_and_comes_again_after_a_week(void **state) {
    (void)state;
    struct fixture f;
    make(&f, false);
    fixture_open(&f);
    scrub_once(&f);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(s.scrub.damaged + s.scrub.repaired + s.scrub.unreadable, 0);
    assert_true(s.scrub.chunks > 3 * SERIES); /* raw and both roll-ups */
    assert_true(s.scrub.bytes > s.block_bytes / 2);
    for (int i = 0; i < 6 * 24; i++)
        fixture_advance(&f, HOUR);
    assert_int_equal(fixture_stats(&f).scrub.passes, 1);
    for (int i = 0; i < 2 * 24; i++)
        fixture_advance(&f, HOUR);
    assert_int_equal(fixture_stats(&f).scrub.passes, 2);
    fixture_fini(&f);
}

/* Maintenance soon rewrites a block from which something was deleted, unless a chunk of it is
 * damaged. */
static void what_has_a_second_copy_is_repaired(void **state) {
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_copies); i++) {
        struct fixture f;
        bool is_list = i >= 2;
        make(&f, is_list);
        flip(&f, "/blocks/b-", g_copies[i]);
        if (is_list)
            flip(&f, "/blocks/b-", "chunks");
        fixture_open(&f);
        scrub_once(&f);
        assert_int_equal(fixture_stats(&f).scrub.damaged, is_list);
        assert_int_equal(fixture_stats(&f).scrub.repaired, 1);
        toc_metricdb_close(&f.db);
        assert_int_equal(verify_damage(&f), is_list);
        fixture_open(&f);
        assert_int_equal(fixture_stats(&f).corruptions, 0);
        fixture_fini(&f);
    }
}

static void of_a_damaged_chunk_series_and_range_are_told(void **state) {
    (void)state;
    static const char *const folders[] = {"/blocks/b-", "/rollup-5m/b-", "/rollup-1h/b-"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(folders); i++) {
        struct fixture f;
        make(&f, false);
        flip(&f, folders[i], "chunks");
        fixture_open(&f);
        scrub_once(&f);
        struct toc_metricdb_stats s = fixture_stats(&f);
        assert_int_equal(s.scrub.damaged, 1);
        assert_int_equal(s.corruptions, 1);
        assert_non_null(strstr(s.losses[0].series, "m{i=\""));
        assert_true(s.losses[0].min_ms >= FIXTURE_START_MS && s.losses[0].samples > 0);
        /* A query that meets it tells nothing new. */
        fixture_select(&f, "m", INT64_MIN, INT64_MAX);
        assert_int_equal(fixture_stats(&f).corruptions, 1);
        fixture_fini(&f);
    }
}

static void it_reads_no_faster_than_allowed(void **state) {
    (void)state;
    struct fixture f;
    make(&f, false);
    f.options.limits.scrub_bytes_per_s = 1000;
    fixture_open(&f);
    for (int i = 0; i < 100; i++)
        fixture_advance(&f, 1000);
    uint64_t slow = fixture_stats(&f).scrub.bytes;
    /* One index or one series more than its share at most, which it then waits for. */
    assert_true(slow > 0 && slow <= 100 * 1000 + 30000);
    assert_int_equal(fixture_stats(&f).scrub.passes, 0);
    fixture_fini(&f);
}

static void a_restart_goes_on_where_it_was(void **state) {
    (void)state;
    struct fixture f;
    make(&f, false);
    f.options.limits.scrub_bytes_per_s = 2000;
    fixture_open(&f);
    while (fixture_stats(&f).scrub.chunks < SERIES * 2) /* behind the first block */
        fixture_advance(&f, 1000);
    fixture_advance(&f, 61000); /* the position is kept once a minute */
    uint64_t chunks = fixture_stats(&f).scrub.chunks;
    f.options.limits.scrub_bytes_per_s = 0;
    fixture_reopen(&f);
    scrub_once(&f);
    uint64_t rest = fixture_stats(&f).scrub.chunks;
    toc_clock_virtual_advance(&f.clock, 8 * 24 * (int64_t)HOUR);
    scrub_once(&f);
    uint64_t all = fixture_stats(&f).scrub.chunks - rest;
    assert_true(rest < all);
    assert_true(chunks + rest >= all && chunks + rest <= all + 3 * SERIES);
    fixture_fini(&f);
}

static void a_damaged_position_begins_a_pass_anew(void **state) {
    (void)state;
    struct fixture f;
    make(&f, false);
    fixture_open(&f);
    scrub_once(&f);
    toc_metricdb_close(&f.db);
    assert_int_equal(toc_vfs_sim_flip_bit(f.disk, "/data/scrub", 100), 0);
    fixture_open(&f);
    scrub_once(&f);
    assert_int_equal(fixture_stats(&f).corruptions, 0);
    fixture_fini(&f);
}

static void a_crash_while_a_copy_is_written_anew_costs_nothing(void **state) {
    (void)state;
    unsigned cut = 0;
    for (uint64_t at = 1; at < 12; at++) {
        struct fixture f;
        make(&f, false);
        flip(&f, "/rollup-1h/b-", "index"); /* which nothing else touches */
        fixture_open(&f);
        struct toc_metricdb_stats s = fixture_stats(&f);
        while (!s.scrub.chunks) {
            fixture_advance(&f, 1000);
            s = fixture_stats(&f);
        }
        toc_vfs_sim_cut_power_after(f.disk, at);
        for (int i = 0; i < 100 && !toc_vfs_sim_is_off(f.disk); i++) {
            toc_clock_virtual_advance(&f.clock, 1000);
            (void)toc_metricdb_maintain(f.db, NULL);
        }
        cut += toc_vfs_sim_is_off(f.disk);
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        f.options.limits.scrub_interval_ms = 1000;
        fixture_open(&f);
        assert_true(fixture_stats(&f).corruptions <= 1); /* the copy, when it was not yet written */
        scrub_once(&f);
        scrub_once(&f); /* the first may have begun behind it */
        toc_metricdb_close(&f.db);
        assert_int_equal(verify_damage(&f), 0);
        fixture_fini(&f);
    }
    assert_true(cut > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_reads_everything_and_comes_again_after_a_week),
        cmocka_unit_test(what_has_a_second_copy_is_repaired),
        cmocka_unit_test(of_a_damaged_chunk_series_and_range_are_told),
        cmocka_unit_test(it_reads_no_faster_than_allowed),
        cmocka_unit_test(a_restart_goes_on_where_it_was),
        cmocka_unit_test(a_damaged_position_begins_a_pass_anew),
        cmocka_unit_test(a_crash_while_a_copy_is_written_anew_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
