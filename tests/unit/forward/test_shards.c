/* The number of shards, and how far behind a receiver is. */
#include "../cmocka_prelude.h"

#include "forward/lag.h"
#include "forward/shards.h"

static size_t wanted(size_t shards, double busy, bool is_behind, bool has_failed) {
    struct toc_forward_load l = {shards, 2, 20, busy, is_behind, has_failed};
    return toc_forward_shards_wanted(&l);
}

static void shards_follow_the_load_between_their_bounds(void **state) {
    (void)state;
    assert_int_equal(wanted(4, 0.9, true, false), 8);
    assert_int_equal(wanted(16, 0.9, true, false), 20);
    assert_int_equal(wanted(4, 0.9, false, false), 4); /* busy but in time */
    assert_int_equal(wanted(4, 0.5, true, false), 4);  /* behind for another reason */
    assert_int_equal(wanted(8, 0.1, false, false), 4);
    assert_int_equal(wanted(3, 0.0, false, false), 2);
    assert_int_equal(wanted(2, 0.0, false, false), 2);
    assert_int_equal(wanted(8, 1.0, true, true), 8); /* trouble is not cured by more of it */
    assert_int_equal(wanted(8, 0.0, false, true), 8);
}

static struct toc_log_position at(uint64_t segment, uint64_t offset) {
    return (struct toc_log_position){.segment = segment, .offset = offset};
}

static void the_lag_is_the_age_of_the_oldest_that_is_not_delivered(void **state) {
    (void)state;
    struct toc_forward_lag l = {.count = 0};
    struct toc_log_position p = at(1, 100), done = at(1, 100);
    toc_forward_lag_note(&l, &p, 1000);
    assert_int_equal(toc_forward_lag_ms(&l, &done, 0, 5000), 0);
    for (int i = 1; i <= 10; i++) {
        p = at(1 + (uint64_t)i / 5, 100 + (uint64_t)i);
        toc_forward_lag_note(&l, &p, 1000 + 1000 * i);
        toc_forward_lag_note(&l, &p, 999999); /* nothing new is not noted */
    }
    assert_int_equal(toc_forward_lag_ms(&l, &done, 0, 12000), 12000 - 2000);
    done = at(1, 103);
    assert_int_equal(toc_forward_lag_ms(&l, &done, 0, 12000), 12000 - 5000);
    done = at(3, 110);
    assert_int_equal(toc_forward_lag_ms(&l, &done, 0, 12000), 0);
}

static void what_was_there_before_is_as_old_as_its_segment(void **state) {
    (void)state;
    struct toc_forward_lag l = {.count = 0};
    struct toc_log_position p = at(3, 100), done = at(3, 20);
    toc_forward_lag_note(&l, &p, 10000);
    assert_int_equal(toc_forward_lag_ms(&l, &done, 300, 12000), 11700);
    assert_int_equal(toc_forward_lag_ms(&l, &done, 0, 12000), 2000);
    p = at(3, 200);
    toc_forward_lag_note(&l, &p, 11000);
    done = at(3, 100);
    assert_int_equal(toc_forward_lag_ms(&l, &done, 300, 12000), 1000);
}

static void a_long_outage_is_known_to_a_hundredth(void **state) {
    (void)state;
    struct toc_forward_lag l = {.count = 0};
    struct toc_log_position done = at(1, 0);
    for (int64_t i = 0; i < 100000; i++) {
        struct toc_log_position p = at(1, (uint64_t)i);
        toc_forward_lag_note(&l, &p, i * 1000);
        if (i == 50000)
            done = p;
        if (i <= 50000)
            assert_in_range(toc_forward_lag_ms(&l, i == 50000 ? &done : &p, 0, i * 1000), 0, 1000);
        else
            assert_in_range(toc_forward_lag_ms(&l, &done, 0, i * 1000), (i - 50001) * 980,
                            (i - 50000) * 1000);
    }
    done = at(1, 75000); /* it catches up */
    assert_in_range(toc_forward_lag_ms(&l, &done, 0, 100000000), 24000000, 25000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_follow_the_load_between_their_bounds),
        cmocka_unit_test(the_lag_is_the_age_of_the_oldest_that_is_not_delivered),
        cmocka_unit_test(what_was_there_before_is_as_old_as_its_segment),
        cmocka_unit_test(a_long_outage_is_known_to_a_hundredth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
