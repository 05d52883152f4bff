/* The simulated disk loses what a disk may lose and keeps what it must keep. */
#include "../cmocka_prelude.h"

#include <string.h>

#include "base/buf.h"
#include "sys/vfs_sim.h"

static struct toc_file *open_new(struct toc_vfs *v, const char *path) {
    struct toc_file *f = NULL;
    assert_int_equal(v->open(v, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE, &f), 0);
    return f;
}

static bool holds(struct toc_vfs *v, const char *path, const char *want) {
    struct toc_buf b = TOC_BUF_INIT;
    int rc = toc_vfs_read_file(v, path, 1000, &b);
    bool same = rc == 0 && toc_sv_eq_cstr(toc_buf_sv(&b), want);
    toc_buf_fini(&b);
    return same;
}

static void synced_data_and_names_survive_others_may_not(void **state) {
    (void)state;
    int lost_name = 0, lost_data = 0, torn = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct toc_vfs_sim *s = toc_vfs_sim_new(seed);
        struct toc_vfs *v = toc_vfs_sim_vfs(s);
        assert_int_equal(v->mkdir(v, "/d"), 0);
        assert_int_equal(v->sync_dir(v, "/"), 0);
        struct toc_file *f = open_new(v, "/d/kept"), *g = open_new(v, "/d/loose");
        assert_int_equal(v->pwrite(v, f, "durable", 7, 0), 7);
        assert_int_equal(v->sync(v, f), 0);
        assert_int_equal(v->pwrite(v, g, "durable", 7, 0), 7);
        assert_int_equal(v->sync(v, g), 0);
        v->close(v, &g);
        v->rename(v, "/d/kept", "/d/final");
        struct toc_file *h = open_new(v, "/d/other");
        assert_int_equal(v->sync_dir(v, "/d"), 0);
        assert_int_equal(v->pwrite(v, h, "volatile", 8, 0), 8);
        struct toc_file *late = open_new(v, "/d/late");
        v->close(v, &late);
        toc_vfs_sim_restart(s);
        assert_true(holds(v, "/d/final", "durable"));
        assert_false(toc_vfs_exists(v, "/d/kept"));
        assert_true(holds(v, "/d/loose", "durable"));
        lost_name += !toc_vfs_exists(v, "/d/late");
        lost_data += holds(v, "/d/other", "");
        torn += !holds(v, "/d/other", "") && !holds(v, "/d/other", "volatile");
        assert_true(v->pwrite(v, f, "x", 1, 0) < 0); /* a handle from before the cut is dead */
        v->close(v, &f);
        v->close(v, &h);
        toc_vfs_sim_free(&s);
    }
    assert_true(lost_name > 20 && lost_name < 180);
    assert_true(lost_data > 20 && torn > 20);
}

static void a_failed_sync_never_becomes_durable(void **state) {
    (void)state;
    int lost = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct toc_vfs_sim *s = toc_vfs_sim_new(seed);
        struct toc_vfs *v = toc_vfs_sim_vfs(s);
        struct toc_file *f = open_new(v, "/f");
        assert_int_equal(v->sync_dir(v, "/"), 0);
        assert_int_equal(v->pwrite(v, f, "in doubt", 8, 0), 8);
        toc_vfs_sim_fail(s, TOC_SIM_SYNC, 1, TOC_EIO, false);
        assert_int_equal(v->sync(v, f), TOC_EIO);
        assert_int_equal(v->sync(v, f), 0); /* says so, as Linux does */
        v->close(v, &f);
        toc_vfs_sim_restart(s);
        lost += !holds(v, "/f", "in doubt");
        toc_vfs_sim_free(&s);
    }
    assert_true(lost > 10);
}

static void a_renamed_folder_moves_whole_or_not_at_all(void **state) {
    (void)state;
    int moved = 0;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct toc_vfs_sim *s = toc_vfs_sim_new(seed);
        struct toc_vfs *v = toc_vfs_sim_vfs(s);
        assert_int_equal(v->mkdir(v, "/tmp"), 0);
        struct toc_file *f = open_new(v, "/tmp/f");
        assert_int_equal(v->pwrite(v, f, "x", 1, 0), 1);
        assert_int_equal(v->sync(v, f), 0);
        v->close(v, &f);
        assert_int_equal(v->sync_dir(v, "/tmp"), 0);
        assert_int_equal(v->sync_dir(v, "/"), 0);
        assert_int_equal(v->rename(v, "/tmp", "/final"), 0);
        bool synced = seed % 2;
        if (synced)
            assert_int_equal(v->sync_dir(v, "/"), 0);
        toc_vfs_sim_restart(s);
        bool at_final = holds(v, "/final/f", "x");
        assert_true(at_final != holds(v, "/tmp/f", "x"));
        assert_true(at_final || !synced);
        moved += at_final && !synced;
        toc_vfs_sim_free(&s);
    }
    assert_true(moved > 3 && moved < 22);
}

static void faults_hit_the_call_they_are_meant_for(void **state) {
    (void)state;
    struct toc_vfs_sim *s = toc_vfs_sim_new(1);
    struct toc_vfs *v = toc_vfs_sim_vfs(s);
    struct toc_file *f = open_new(v, "/f");
    toc_vfs_sim_fail(s, TOC_SIM_WRITE, 2, TOC_EIO, false);
    assert_int_equal(v->pwrite(v, f, "a", 1, 0), 1);
    assert_int_equal(v->pwrite(v, f, "b", 1, 1), TOC_EIO);
    assert_int_equal(v->pwrite(v, f, "b", 1, 1), 1);
    toc_vfs_sim_set_capacity(s, 3);
    assert_int_equal(v->pwrite(v, f, "cd", 2, 2), TOC_ENOSPC);
    assert_int_equal(v->pwrite(v, f, "c", 1, 2), 1);
    assert_int_equal(toc_vfs_sim_flip_bit(s, "/f", 0), 0);
    assert_true(holds(v, "/f", "`bc"));
    toc_vfs_sim_cut_power_after(s, 1);
    assert_int_equal(v->pwrite(v, f, "x", 1, 0), TOC_EIO);
    assert_true(toc_vfs_sim_is_off(s));
    v->close(v, &f);
    assert_int_equal(v->open(v, "/f", TOC_OPEN_READ, &f), TOC_EIO);
    toc_vfs_sim_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_data_and_names_survive_others_may_not),
        cmocka_unit_test(a_failed_sync_never_becomes_durable),
        cmocka_unit_test(a_renamed_folder_moves_whole_or_not_at_all),
        cmocka_unit_test(faults_hit_the_call_they_are_meant_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
