/* When a log segment ends. */
#include "../cmocka_prelude.h"

#include "metricdb/wal.h"
#include "sys/vfs_sim.h"

struct log {
    struct toc_vfs_sim *disk;
    struct toc_clock_virtual clock;
    struct toc_wal *wal;
};

static bool labels_of(void *ctx, uint64_t ref, struct toc_buf *out) {
    struct toc_label item = {TOC_METRIC_NAME, TOC_SV("m")};
    (void)ctx;
    (void)ref;
    toc_labels_encode((struct toc_labels){&item, 1}, out);
    return true;
}

static void log_init(struct log *l) {
    *l = (struct log){.disk = toc_vfs_sim_new(1)};
    struct toc_vfs *vfs = toc_vfs_sim_vfs(l->disk);
    toc_clock_virtual_init(&l->clock, (struct toc_ts){INT64_C(1760000400000)});
    assert_int_equal(toc_vfs_make_dirs(vfs, "/wal"), 0);
    struct toc_wal_options o = {.vfs = vfs,
                                .clock = &l->clock.base,
                                .dir = "/wal",
                                .segment_bytes = 1 << 20,
                                .max_pending = 1000,
                                .labels = labels_of};
    toc_wal_new(&o, NULL, 0, 1, 1, &l->wal);
}

static void log_fini(struct log *l) {
    toc_wal_free(&l->wal);
    toc_vfs_sim_free(&l->disk);
}

static void put(struct log *l, int64_t t_ms) {
    struct toc_wal_entry e = {.ref = UINT64_C(1) << 32 | 1, .t_ms = t_ms};
    assert_int_equal(toc_wal_write(l->wal, &e, 1, NULL), 0);
}

static void rotate_old_keeps_a_segment_with_newer_samples(void **state) {
    struct log l;
    (void)state;
    log_init(&l);
    put(&l, 1000);
    put(&l, 900);
    assert_int_equal(toc_wal_rotate_old(l.wal, 999), 1);
    put(&l, 1001);
    assert_int_equal(toc_wal_rotate_old(l.wal, 1000), 1);
    log_fini(&l);
}

static void rotate_old_ends_a_segment_that_can_go(void **state) {
    struct log l;
    (void)state;
    log_init(&l);
    put(&l, 1000);
    assert_int_equal(toc_wal_rotate_old(l.wal, 1000), 2);
    put(&l, 2000);
    assert_int_equal(toc_wal_rotate_old(l.wal, 1999), 2);
    assert_int_equal(toc_wal_drop(l.wal, 2, 1000), 0); /* the first went, the second goes on */
    struct toc_file_info info;
    struct toc_vfs *vfs = toc_vfs_sim_vfs(l.disk);
    assert_int_not_equal(vfs->info(vfs, "/wal/0000000001.wal", &info), 0);
    assert_int_equal(vfs->info(vfs, "/wal/0000000002.wal", &info), 0);
    log_fini(&l);
}

static void rotate_old_without_a_segment_names_the_next(void **state) {
    struct log l;
    (void)state;
    log_init(&l);
    assert_int_equal(toc_wal_rotate_old(l.wal, 0), 1);
    put(&l, 1);
    assert_int_equal(toc_wal_rotate_old(l.wal, 0), 1);
    log_fini(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotate_old_keeps_a_segment_with_newer_samples),
        cmocka_unit_test(rotate_old_ends_a_segment_that_can_go),
        cmocka_unit_test(rotate_old_without_a_segment_names_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
