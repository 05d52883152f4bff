/* Curves of the doctor's report: bounded, and nothing of the extremes is lost. */
#include "../cmocka_prelude.h"

#include <math.h>

#include "app/doctor_curve.h"

static void a_long_curve_keeps_count_extremes_and_last(void **state) {
    (void)state;
    struct toc_curve c = {0};
    for (int i = 0; i < 100000; i++)
        toc_curve_add(&c, 1000000 + (int64_t)i * 997, i == 40000 ? 1e9 : i == 70000 ? -5 : i);
    struct toc_curve_range r = toc_curve_range(&c);
    assert_true(c.buckets.count <= TOC_CURVE_BUCKETS);
    assert_true(c.buckets.count > TOC_CURVE_BUCKETS / 2 - 1);
    assert_true(r.min == -5);
    assert_true(r.max == 1e9);
    assert_true(r.last == 99999);
    assert_int_equal(r.count, 100000);
    toc_curve_fini(&c);
}

static void non_finite_values_are_counted_and_do_not_spoil_the_range(void **state) {
    (void)state;
    struct toc_curve c = {0};
    toc_curve_add(&c, 1, 2);
    toc_curve_add(&c, 2, NAN);
    toc_curve_add(&c, 100, INFINITY);
    struct toc_curve_range r = toc_curve_range(&c);
    assert_int_equal(r.nonfinite, 2);
    assert_true(r.min == 2 && r.max == 2);
    assert_true(isinf(r.last));
    toc_curve_fini(&c);
    r = toc_curve_range(&(struct toc_curve){0});
    assert_true(isnan(r.min) && isnan(r.last) && r.count == 0);
}

static void the_value_at_a_time_is_the_last_one_told(void **state) {
    (void)state;
    struct toc_curve c = {0};
    assert_true(isnan(toc_curve_at(&c, 5)));
    for (int i = 0; i < 10; i++)
        toc_curve_add(&c, i * 1000, i);
    assert_true(toc_curve_at(&c, 3500) == 3);
    assert_true(toc_curve_at(&c, 99999) == 9);
    assert_true(isnan(toc_curve_at(&c, -1)));
    toc_curve_add(&c, -50, 7); /* before the start: counts as of the first bucket */
    assert_true(toc_curve_at(&c, 0) == 7);
    toc_curve_fini(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_curve_keeps_count_extremes_and_last),
        cmocka_unit_test(non_finite_values_are_counted_and_do_not_spoil_the_range),
        cmocka_unit_test(the_value_at_a_time_is_the_last_one_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
