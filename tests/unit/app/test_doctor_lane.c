/* The thread that does what another one gives it. */
#include "../cmocka_prelude.h"

#include "app/doctor_lane.h"

enum { SLOTS = 3, WORK = 1000 };

struct work {
    int slots[SLOTS];
    int done[WORK];
    size_t count;
    int fails_at; /* value; -1: never */
};

static int do_slot(void *ctx, size_t slot) {
    struct work *w = ctx;
    w->done[w->count++] = w->slots[slot];
    return w->slots[slot] == w->fails_at ? TOC_EIO : 0;
}

static struct toc_lane *lane_of(struct work *w, bool has_thread) {
    struct toc_lane *l;
    assert_int_equal(
        toc_lane_new(
            &(struct toc_lane_options){
                .name = "test", .slots = SLOTS, .has_thread = has_thread, .fn = do_slot, .ctx = w},
            &l),
        0);
    return l;
}

static void check_order(bool has_thread) {
    struct work w = {.fails_at = -1};
    struct toc_lane *l = lane_of(&w, has_thread);
    for (int i = 0; i < WORK; i++) {
        w.slots[toc_lane_slot(l)] = i;
        assert_int_equal(toc_lane_give(l), 0);
    }
    assert_int_equal(toc_lane_drain(l), 0);
    assert_int_equal(w.count, WORK);
    for (int i = 0; i < WORK; i++)
        assert_int_equal(w.done[i], i);
    toc_lane_free(&l);
    assert_null(l);
}

static void work_is_done_in_the_order_in_which_it_was_given(void **state) {
    (void)state;
    check_order(false);
    check_order(true);
}

static void check_failure(bool has_thread) {
    struct work w = {.fails_at = 10};
    struct toc_lane *l = lane_of(&w, has_thread);
    int rc = 0;
    for (int i = 0; i < 100; i++) {
        w.slots[toc_lane_slot(l)] = i;
        rc = toc_lane_give(l);
        assert_true(rc == 0 || rc == TOC_EIO);
    }
    assert_int_equal(toc_lane_drain(l), TOC_EIO);
    assert_int_equal(w.count, 11); /* nothing after the one that failed */
    assert_int_equal(toc_lane_drain(l), TOC_EIO);
    toc_lane_free(&l);
}

static void nothing_is_done_after_a_failure_and_each_giver_hears_of_it(void **state) {
    (void)state;
    check_failure(false);
    check_failure(true);
}

static void freeing_waits_for_what_was_given(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct work w = {.fails_at = -1};
        struct toc_lane *l = lane_of(&w, true);
        for (int i = 0; i < SLOTS; i++) {
            w.slots[toc_lane_slot(l)] = i;
            assert_int_equal(toc_lane_give(l), 0);
        }
        toc_lane_free(&l);
        assert_int_equal(w.count, SLOTS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_done_in_the_order_in_which_it_was_given),
        cmocka_unit_test(nothing_is_done_after_a_failure_and_each_giver_hears_of_it),
        cmocka_unit_test(freeing_waits_for_what_was_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
