#include "fixture.h"
#include "metricdb/exemplar.h"
#include "metricdb/exemplar_log.h"

static enum toc_exemplar_verdict add(struct fixture *f, const char *name, int64_t t_ms,
                                     const char *trace) {
    struct toc_label items[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)}};
    struct toc_label own[] = {{TOC_SV("trace_id"), toc_sv_cstr(trace)}};
    struct toc_exemplar e = {{own, 1}, t_ms, (double)t_ms};
    return toc_metricdb_exemplar_add(f->db, (struct toc_labels){items, 1}, &e);
}

static int print(void *ctx, struct toc_labels series, const struct toc_exemplar *e, size_t count) {
    struct toc_buf *out = ctx;
    toc_labels_format(series, out);
    for (size_t i = 0; i < count; i++)
        toc_buf_printf(out, " %lld:%.*s", (long long)e[i].t_ms, (int)e[i].labels.items[0].value.n,
                       e[i].labels.items[0].value.p);
    toc_buf_append_char(out, ';');
    return 0;
}

static void assert_selected(struct fixture *f, const char *pattern, int64_t min_ms, int64_t max_ms,
                            const char *want) {
    struct toc_matcher m;
    struct toc_buf out = TOC_BUF_INIT;
    assert_int_equal(
        toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, toc_sv_cstr(pattern), NULL), 0);
    struct toc_select s = {.matchers = &m, .matcher_count = 1, .min_ms = min_ms, .max_ms = max_ms};
    assert_int_equal(toc_metricdb_exemplar_select(f->db, &s, print, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), want);
    toc_buf_fini(&out);
    toc_matcher_fini(&m);
}

static void the_newest_are_kept(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    toc_metricdb_close(&f.db);
    f.options.limits.max_exemplars = 4;
    fixture_open(&f);
    assert_selected(&f, ".*", 0, 100, "");
    assert_int_equal(add(&f, "b", 1, "x"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "a", 2, "y"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "b", 3, "z"), TOC_EXEMPLAR_KEPT);
    assert_selected(&f, ".*", 0, 100, "a 2:y;b 1:x 3:z;");
    assert_selected(&f, ".*", 2, 2, "a 2:y;");
    assert_selected(&f, "b", 0, 2, "b 1:x;");
    assert_int_equal(add(&f, "c", 4, "p"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "b", 5, "q"), TOC_EXEMPLAR_KEPT); /* takes the place of 1:x */
    assert_selected(&f, ".*", 0, 100, "a 2:y;b 3:z 5:q;c 4:p;");
    assert_int_equal(add(&f, "c", 6, "r"), TOC_EXEMPLAR_KEPT); /* and of the only one of a */
    assert_selected(&f, ".*", 0, 100, "b 3:z 5:q;c 4:p 6:r;");
    for (int i = 7; i < 200; i++)
        assert_int_equal(add(&f, i % 3 ? "c" : "d", i, "s"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(toc_metricdb_exemplar_count(f.db), 4);
    assert_selected(&f, ".*", 0, 1000, "c 196:s 197:s 199:s;d 198:s;");
    fixture_fini(&f);
}

static void what_is_no_news_or_no_sense_is_refused(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    char longest[200] = {0};
    memset(longest, 'x', 120);
    assert_int_equal(add(&f, "a", 10, longest), TOC_EXEMPLAR_KEPT); /* with the name 128 */
    longest[120] = 'x';
    assert_int_equal(add(&f, "a", 11, longest), TOC_EXEMPLAR_LABELS_TOO_LONG);
    assert_int_equal(add(&f, "a", 12, "\xff"), TOC_EXEMPLAR_INVALID_LABELS);
    assert_int_equal(add(&f, "a", 9, "late"), TOC_EXEMPLAR_OUT_OF_ORDER);
    assert_int_equal(add(&f, "a", 20, "once"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "a", 20, "once"), TOC_EXEMPLAR_DUPLICATE);
    assert_int_equal(add(&f, "a", 20, "twice"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(toc_metricdb_exemplar_count(f.db), 3);
    fixture_fini(&f);
}

/* --- on disk --- */

/* The database as a process finds it that starts after the end of this one. */
static struct fixture after_kill(const struct fixture *f, uint64_t seed) {
    struct fixture g = *f;
    g.disk = toc_vfs_sim_clone(f->disk, seed);
    g.options.vfs = toc_vfs_sim_vfs(g.disk);
    fixture_open(&g);
    return g;
}

static void what_was_saved_survives_the_end_of_the_process(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    assert_int_equal(add(&f, "b", 1, "x"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(add(&f, "a", 2, "y"), TOC_EXEMPLAR_KEPT);
    toc_metricdb_exemplars_save(f.db);
    assert_int_equal(add(&f, "b", 3, "z"), TOC_EXEMPLAR_KEPT);
    toc_metricdb_exemplars_save(f.db);
    struct fixture g = after_kill(&f, 2);
    assert_selected(&g, ".*", 0, 100, "a 2:y;b 1:x 3:z;");
    assert_int_equal(add(&g, "b", 3, "z"), TOC_EXEMPLAR_DUPLICATE);
    assert_int_equal(add(&g, "b", 4, "w"), TOC_EXEMPLAR_KEPT);
    toc_metricdb_exemplars_save(g.db);
    struct fixture h = after_kill(&g, 3);
    assert_selected(&h, ".*", 0, 100, "a 2:y;b 1:x 3:z 4:w;");
    fixture_fini(&h);
    fixture_fini(&g);
    fixture_fini(&f);
}

static void what_maintenance_saw_survives_a_loss_of_power(void **state) {
    (void)state;
    for (uint64_t cut = 1; cut < 60; cut++) {
        struct fixture f;
        fixture_init(&f, cut);
        assert_int_equal(add(&f, "a", 1, "x"), TOC_EXEMPLAR_KEPT);
        fixture_advance(&f, 1000);
        assert_int_equal(add(&f, "a", 2, "y"), TOC_EXEMPLAR_KEPT);
        toc_metricdb_exemplars_save(f.db);
        fixture_advance(&f, 1000);
        toc_vfs_sim_cut_power_after(f.disk, cut);
        for (int i = 0; i < 12; i++) {
            assert_int_equal(add(&f, "b", i, "z"), TOC_EXEMPLAR_KEPT);
            toc_metricdb_exemplars_save(f.db);
            (void)!toc_metricdb_maintain(f.db, NULL);
        }
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        assert_selected(&f, "a", 0, 100, "a 1:x 2:y;");
        assert_int_equal(fixture_stats(&f).corruptions, 0);
        fixture_fini(&f);
    }
}

static void find_size(void *ctx, const char *path, uint64_t size) {
    if (!strcmp(path, "/data/exemplars"))
        *(uint64_t *)ctx = size;
}

static void the_file_stays_small(void **state) {
    (void)state;
    struct fixture f;
    uint64_t size = 0, largest = 0;
    fixture_init(&f, 1);
    toc_metricdb_close(&f.db);
    f.options.limits.max_exemplars = 100;
    fixture_open(&f);
    for (int i = 0; i < 60000; i++) {
        assert_int_equal(add(&f, "a", i, "some trace or other"), TOC_EXEMPLAR_KEPT);
        if (i % 50)
            continue;
        fixture_advance(&f, 1000);
        toc_vfs_sim_each_file(f.disk, find_size, &size);
        largest = TOC_MAX(largest, size);
    }
    assert_true(largest > 1 << 20 && largest < (1 << 20) + (64 << 10));
    struct fixture g = after_kill(&f, 2);
    assert_int_equal(toc_metricdb_exemplar_count(g.db), 100);
    fixture_fini(&g);
    fixture_fini(&f);
}

static void on_damage(void *ctx, const struct toc_metricdb_loss *loss, const char *what) {
    (void)what;
    *(int *)ctx += !strcmp(loss->path, "exemplars");
}

static void a_flipped_bit_costs_one_record(void **state) {
    (void)state;
    struct fixture f;
    uint64_t size = 0, told = 0;
    fixture_init(&f, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(add(&f, "a", i, "x"), TOC_EXEMPLAR_KEPT);
        toc_metricdb_exemplars_save(f.db);
    }
    fixture_advance(&f, 1000);
    toc_vfs_sim_each_file(f.disk, find_size, &size);
    for (uint64_t bit = 20 * 8; bit < size * 8; bit += 37) {
        struct fixture g = f;
        struct toc_metricdb_verdict v;
        int damaged = 0;
        g.disk = toc_vfs_sim_clone(f.disk, bit);
        g.options.vfs = toc_vfs_sim_vfs(g.disk);
        assert_int_equal(toc_vfs_sim_flip_bit(g.disk, "/data/exemplars", bit), 0);
        assert_int_equal(toc_metricdb_verify(g.options.vfs, "/data", on_damage, &damaged, &v, NULL),
                         0);
        fixture_open(&g);
        assert_int_equal(toc_metricdb_exemplar_count(g.db), 19);
        assert_int_equal(fixture_stats(&g).corruptions, damaged);
        told += (uint64_t)damaged;
        /* Written anew without it. */
        fixture_advance(&g, 1000);
        damaged = 0;
        assert_int_equal(toc_metricdb_verify(g.options.vfs, "/data", on_damage, &damaged, &v, NULL),
                         0);
        assert_int_equal(damaged, 0);
        fixture_fini(&g);
    }
    assert_true(told > 100);
    fixture_fini(&f);
}

/* --- in snapshots --- */

static void a_snapshot_holds_those_of_its_moment(void **state) {
    (void)state;
    struct fixture f;
    char name[TOC_SNAPSHOT_NAME_MAX], dir[200];
    fixture_init(&f, 1);
    assert_int_equal(add(&f, "b", 1, "x"), TOC_EXEMPLAR_KEPT);
    toc_metricdb_exemplars_save(f.db);
    assert_int_equal(add(&f, "a", 2, "y"), TOC_EXEMPLAR_KEPT); /* not in the file yet */
    assert_int_equal(toc_metricdb_snapshot(f.db, true, name, NULL), 0);
    assert_int_equal(add(&f, "b", 3, "z"), TOC_EXEMPLAR_KEPT);
    struct fixture copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    assert_selected(&copy, ".*", 0, 100, "a 2:y;b 1:x;");
    assert_int_equal(add(&copy, "b", 4, "own"), TOC_EXEMPLAR_KEPT);
    toc_metricdb_close(&copy.db);
    copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    assert_selected(&copy, ".*", 0, 100, "a 2:y;b 1:x 4:own;");
    toc_metricdb_close(&copy.db);
    assert_selected(&f, ".*", 0, 100, "a 2:y;b 1:x 3:z;");
    assert_int_equal(toc_metricdb_snapshot(f.db, false, name, NULL), 0);
    copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    assert_selected(&copy, ".*", 0, 100, ""); /* of blocks alone: what is newest is not in it */
    toc_metricdb_close(&copy.db);
    fixture_fini(&f);
}

static void a_snapshot_of_a_full_ring_holds_the_newest(void **state) {
    (void)state;
    struct fixture f;
    char name[TOC_SNAPSHOT_NAME_MAX], dir[200];
    fixture_init(&f, 1);
    toc_metricdb_close(&f.db);
    f.options.limits.max_exemplars = 700; /* some records of the file */
    fixture_open(&f);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(add(&f, "a", i, "x"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(toc_metricdb_snapshot(f.db, true, name, NULL), 0);
    struct fixture copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
    assert_int_equal(toc_metricdb_exemplar_count(copy.db), 700);
    assert_selected(&copy, "a", 0, 301, "a 300:x 301:x;");
    assert_selected(&copy, "a", 999, 2000, "a 999:x;");
    toc_metricdb_close(&copy.db);
    fixture_fini(&f);
}

static void an_answered_snapshot_keeps_them_through_a_loss_of_power(void **state) {
    (void)state;
    bool is_whole = false;
    for (uint64_t cut = 1; cut < 80 && !is_whole; cut++) {
        struct fixture f;
        char name[TOC_SNAPSHOT_NAME_MAX], dir[200];
        fixture_init(&f, cut);
        assert_int_equal(fixture_write(&f, "a", "1", FIXTURE_START_MS, 1, NULL), 0);
        assert_int_equal(add(&f, "a", 1, "x"), TOC_EXEMPLAR_KEPT);
        toc_vfs_sim_cut_power_after(f.disk, cut);
        int rc = toc_metricdb_snapshot(f.db, true, name, NULL);
        is_whole = !toc_vfs_sim_is_off(f.disk);
        assert_true(rc == 0 || !is_whole);
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        if (!rc) {
            struct fixture copy = fixture_open_snapshot(&f, name, dir, sizeof dir);
            assert_selected(&copy, ".*", 0, 100, "a 1:x;");
            assert_int_equal(fixture_stats(&copy).corruptions, 0);
            toc_metricdb_close(&copy.db);
        }
        fixture_fini(&f);
    }
    assert_true(is_whole);
}

static void verify_reads_those_of_a_snapshot(void **state) {
    (void)state;
    struct fixture f;
    char name[TOC_SNAPSHOT_NAME_MAX], dir[200], path[220];
    struct toc_metricdb_verdict v;
    int damaged = 0;
    fixture_init(&f, 1);
    for (int i = 0; i < 300; i++)
        assert_int_equal(add(&f, "a", i, "x"), TOC_EXEMPLAR_KEPT);
    assert_int_equal(toc_metricdb_snapshot(f.db, true, name, NULL), 0);
    snprintf(dir, sizeof dir, "/data/snapshots/%s", name);
    snprintf(path, sizeof path, "%s/exemplars", dir);
    assert_int_equal(toc_metricdb_verify(f.options.vfs, dir, on_damage, &damaged, &v, NULL), 0);
    assert_int_equal(v.exemplars, 300);
    assert_int_equal(v.damaged, 0);
    assert_int_equal(toc_vfs_sim_flip_bit(f.disk, path, 100 * 8), 0); /* in the first 256 */
    assert_int_equal(toc_metricdb_verify(f.options.vfs, dir, on_damage, &damaged, &v, NULL), 0);
    assert_int_equal(v.exemplars, 44);
    assert_int_equal(v.damaged, 1);
    assert_int_equal(damaged, 1);
    fixture_fini(&f);
}

static void remember(void *ctx, struct toc_labels series, const struct toc_exemplar *e) {
    struct toc_buf *out = ctx;
    toc_labels_format(series, out);
    toc_labels_format(e->labels, out);
    toc_buf_printf(out, " %lld %g", (long long)e->t_ms, e->value);
}

static void no_damage(void *ctx, uint64_t offset, uint64_t bytes) {
    (void)ctx;
    fail_msg("damage at %llu, %llu bytes", (unsigned long long)offset, (unsigned long long)bytes);
}

static void the_worked_example_is_right(void **state) {
    (void)state;
    static const char payload[] = "\x01\x08__name__\x01m\x01\x01t\x01x\xd0\x0f\0\0\0\0\0\0\0\x40";
    struct fixture f;
    struct toc_buf bytes = TOC_BUF_INIT, found = TOC_BUF_INIT;
    fixture_init(&f, 1);
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("m")}},
                     own[] = {{TOC_SV("t"), TOC_SV("x")}};
    struct toc_exemplar e = {{own, 1}, 1000, 2};
    assert_int_equal(toc_metricdb_exemplar_add(f.db, (struct toc_labels){items, 1}, &e),
                     TOC_EXEMPLAR_KEPT);
    toc_metricdb_exemplars_save(f.db);
    assert_int_equal(toc_vfs_read_file(f.options.vfs, "/data/exemplars", 1000, &bytes), 0);
    assert_int_equal(bytes.n, 20 + 12 + sizeof payload - 1);
    assert_memory_equal(bytes.p + 32, payload, sizeof payload - 1);
    struct toc_exemplar_visitor v = {&found, remember, no_damage};
    uint32_t salt_crc;
    uint64_t end, n;
    assert_int_equal(
        toc_exemplar_log_read(f.options.vfs, "/data/exemplars", &v, &salt_crc, &end, &n), 0);
    assert_int_equal(end, bytes.n);
    assert_string_equal(toc_buf_cstr(&found), "m{t=\"x\"} 1000 2");
    toc_buf_fini(&found);
    toc_buf_fini(&bytes);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_are_kept),
        cmocka_unit_test(what_is_no_news_or_no_sense_is_refused),
        cmocka_unit_test(what_was_saved_survives_the_end_of_the_process),
        cmocka_unit_test(what_maintenance_saw_survives_a_loss_of_power),
        cmocka_unit_test(the_file_stays_small),
        cmocka_unit_test(a_flipped_bit_costs_one_record),
        cmocka_unit_test(a_snapshot_holds_those_of_its_moment),
        cmocka_unit_test(a_snapshot_of_a_full_ring_holds_the_newest),
        cmocka_unit_test(an_answered_snapshot_keeps_them_through_a_loss_of_power),
        cmocka_unit_test(verify_reads_those_of_a_snapshot),
        cmocka_unit_test(the_worked_example_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
