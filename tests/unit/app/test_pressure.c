/* Ballast and memory budget under numbers that a test makes up, on a simulated disk. */
#include "../cmocka_prelude.h"

#include "app/pressure.h"
#include "base/alloc.h"
#include "metricdb/metricdb.h"
#include "sys/env.h"
#include "sys/vfs_sim.h"

enum { MIB = 1 << 20 };

struct world {
    struct toc_vfs_sim *disk;
    struct toc_vfs *vfs;
    struct toc_pressure p;
};

static void init(struct world *w, uint64_t ballast, uint64_t memory) {
    *w = (struct world){.disk = toc_vfs_sim_new(1)};
    w->vfs = toc_vfs_sim_vfs(w->disk);
    assert_int_equal(toc_vfs_make_dirs(w->vfs, "/d"), 0);
    toc_pressure_init(&w->p, w->vfs, "/d", &(struct toc_pressure_limits){ballast, memory});
}

static unsigned step(struct world *w, bool has_failed, uint64_t free_bytes, uint64_t rss) {
    toc_pressure_step(&w->p, &(struct toc_pressure_input){has_failed, free_bytes, rss});
    return w->p.shortage;
}

static bool has_ballast(struct world *w) {
    struct toc_file_info info;
    return w->vfs->info(w->vfs, "/d/ballast", &info) == 0 && info.size_bytes == 4 * MIB;
}

static void ballast_is_released_and_made_anew(void **state) {
    struct world w;
    (void)state;
    init(&w, 4 * MIB, 1000 * MIB);
    assert_int_equal(step(&w, false, 15 * MIB, 0), 0);
    assert_false(has_ballast(&w)); /* there must be room for more than itself */
    assert_int_equal(step(&w, false, 16 * MIB, 0), 0);
    assert_true(has_ballast(&w));
    assert_int_equal(step(&w, true, 9 * MIB, 0), 0); /* it failed for another reason */
    assert_int_equal(step(&w, true, 0, 0), TOC_SHORT_OF_DISK);
    assert_false(has_ballast(&w));
    /* What the ballast gave is not taken for space. */
    assert_int_equal(step(&w, false, 4 * MIB, 0), TOC_SHORT_OF_DISK);
    assert_int_equal(step(&w, true, 8 * MIB, 0), 0);
    assert_true(has_ballast(&w));
    assert_int_equal(w.p.ballast_releases, 1);
    toc_vfs_sim_free(&w.disk);
}

enum { PIECES = 4000, PIECE_BYTES = 8192, KEPT_EVERY = 16 };

/* Freed pieces between kept ones: the allocator gives none of their pages back by itself. Bytes in
 * use at most. */
static uint64_t burst(void **pieces) {
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = memset(toc_xalloc(PIECE_BYTES), 1, PIECE_BYTES);
    uint64_t full = toc_process_rss_bytes();
    for (size_t i = 0; i < PIECES; i++)
        if (i % KEPT_EVERY)
            toc_free(pieces[i]);
    assert_true(toc_alloc_unused_bytes() > 20 * MIB);
    return full;
}

static void end_burst(void **pieces) {
    for (size_t i = 0; i < PIECES; i += KEPT_EVERY)
        toc_free(pieces[i]);
}

/* A sanitizer's allocator keeps what is freed, on purpose, and tells nothing of it. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { HAS_LIBC_ALLOCATOR = 0 };
#else
enum { HAS_LIBC_ALLOCATOR = 1 };
#endif

static void what_a_burst_needed_goes_back(void **state) {
    static void *pieces[PIECES];
    struct world w;
    (void)state;
    if (!HAS_LIBC_ALLOCATOR)
        skip();
    init(&w, 0, 1000 * MIB);
    for (int i = 0; i < 5; i++)
        step(&w, false, 0, toc_process_rss_bytes());
    uint64_t full = burst(pieces);
    for (int i = 0; i < 5; i++)
        step(&w, false, 0, full);
    assert_true(toc_process_rss_bytes() < full - 20 * MIB);
    end_burst(pieces);
    /* The look fell into the burst: what is free only afterwards is found as soon. */
    full = burst(pieces);
    for (int i = 0; i < 5; i++)
        step(&w, false, 0, full);
    assert_true(toc_process_rss_bytes() < full - 20 * MIB);
    end_burst(pieces);
    for (int i = 0; i < 5; i++) /* nothing rose: the next one is an ordinary one */
        step(&w, false, 0, full - 30 * MIB);
    /* What came into use between two looks and is free again is found in half a minute. */
    full = burst(pieces);
    for (int i = 0; i < 30; i++)
        step(&w, false, 0, full - 30 * MIB);
    assert_true(toc_process_rss_bytes() < full - 20 * MIB);
    end_burst(pieces);
    toc_vfs_sim_free(&w.disk);
}

static void nearly_full_counts_as_full(void **state) {
    struct world w;
    (void)state;
    init(&w, 4 * MIB, 1000 * MIB);
    step(&w, false, 100 * MIB, 0);
    assert_int_equal(step(&w, false, MIB / 8, 0), TOC_SHORT_OF_DISK);
    assert_false(has_ballast(&w));
    toc_vfs_sim_free(&w.disk);
}

static void ballast_of_a_start_before_is_known(void **state) {
    struct world w;
    (void)state;
    init(&w, 4 * MIB, 1000 * MIB);
    step(&w, false, 100 * MIB, 0);
    toc_pressure_init(&w.p, w.vfs, "/d", &(struct toc_pressure_limits){4 * MIB, 0});
    assert_true(w.p.has_ballast);
    toc_pressure_init(&w.p, w.vfs, "/d", &(struct toc_pressure_limits){0, 0});
    assert_false(has_ballast(&w)); /* another size is wanted, here none */
    assert_int_equal(step(&w, true, 0, 0), 0);
    toc_vfs_sim_free(&w.disk);
}

static void memory_sheds_series_first(void **state) {
    struct world w;
    (void)state;
    init(&w, 0, 1000 * MIB);
    assert_int_equal(step(&w, false, 0, 700L * MIB), 0);
    assert_int_equal(step(&w, false, 0, 800L * MIB), TOC_SHORT_OF_MEMORY);
    assert_int_equal(step(&w, false, 0, 950L * MIB), TOC_SHORT_OF_MEMORY | TOC_NO_MEMORY_AT_ALL);
    assert_int_equal(step(&w, false, 0, 500L * MIB), 0);
    toc_pressure_init(&w.p, w.vfs, "/d", &(struct toc_pressure_limits){0});
    assert_true(w.p.limits.memory_bytes > 0);
    toc_vfs_sim_free(&w.disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ballast_is_released_and_made_anew),
        cmocka_unit_test(what_a_burst_needed_goes_back),
        cmocka_unit_test(nearly_full_counts_as_full),
        cmocka_unit_test(ballast_of_a_start_before_is_known),
        cmocka_unit_test(memory_sheds_series_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
