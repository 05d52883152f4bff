/* How far a window that is still being filled is sealed. */
#include "fixture.h"

enum { SERIES = 100, MINUTE_MS = 60000 };
/* Four windows ago: what is written there is late, so the window counts as one that is filled. */
#define SPAN_MS INT64_C(7200000)
#define WINDOW_MS ((FIXTURE_START_MS / SPAN_MS - 4) * SPAN_MS)

/* Series number i gets a sample in each minute before minutes(i). */
static size_t fill(struct fixture *f, int (*minutes)(int)) {
    size_t written = 0;
    for (int i = 0; i < SERIES; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        for (int m = 0; m < minutes(i); m++, written++)
            assert_int_equal(
                fixture_write(f, "m", name, WINDOW_MS + (int64_t)m * MINUTE_MS, m, NULL), 0);
    }
    return written;
}

static void seal_and_look(int (*minutes)(int), size_t left) {
    struct fixture f;
    fixture_init(&f, 1);
    toc_clock_virtual_advance(&f.clock, 1000);
    size_t written = fill(&f, minutes);
    assert_int_equal(toc_metricdb_compact(f.db, NULL), 0);
    assert_int_equal(fixture_stats(&f).head_samples, left);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, written);
    /* The last sample of each may come again, and is known. */
    for (int i = 0; i < SERIES; i++) {
        struct toc_write_result r;
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        int m = minutes(i) - 1;
        assert_int_equal(fixture_write(&f, "m", name, WINDOW_MS + (int64_t)m * MINUTE_MS, m, &r),
                         0);
    }
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, written);
    fixture_fini(&f);
}

static int one_is_ahead(int i) {
    return i == 7 ? 110 : 100;
}
static void what_few_series_have_more_stays_in_the_head(void **state) {
    (void)state;
    seal_and_look(one_is_ahead, 10);
}

static int five_are_behind(int i) {
    return i < 5 ? 70 : 100;
}
static void five_of_a_hundred_are_not_waited_for(void **state) {
    (void)state;
    seal_and_look(five_are_behind, 0);
}

static int six_are_behind(int i) {
    return i < 6 ? 70 : 100;
}
static void six_of_a_hundred_are(void **state) {
    (void)state;
    seal_and_look(six_are_behind, (size_t)94 * 30);
}

static int six_are_far_behind(int i) {
    return i < 6 ? 40 : 100;
}
static void unless_that_would_leave_most_of_it(void **state) {
    (void)state;
    seal_and_look(six_are_far_behind, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_few_series_have_more_stays_in_the_head),
        cmocka_unit_test(five_of_a_hundred_are_not_waited_for),
        cmocka_unit_test(six_of_a_hundred_are),
        cmocka_unit_test(unless_that_would_leave_most_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
