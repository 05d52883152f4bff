/* Stretches without an event: flat lines and missing data. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/quiet.h"

static int first_over(struct toc_quiet *q, double limit, int most) {
    for (int i = 1; i <= most; i++)
        if (toc_quiet_step(q, false) > limit)
            return i;
    return most + 1;
}

static void a_line_that_goes_flat_is_told_in_proportion(void **state) {
    (void)state;
    struct toc_rng r;
    toc_rng_seed(&r, 1);
    for (int every = 1; every <= 16; every *= 4) { /* changes at every step … at every 16th */
        struct toc_quiet q = {0};
        for (int i = 0; i < 2000; i++)
            assert_true(toc_quiet_step(&q, toc_rng_below(&r, (uint64_t)every) == 0) < 6);
        int told = first_over(&q, 6, 2000);
        assert_in_range(told, 2, 16 * every + 200);
        assert_true(first_over(&q, 6, 10) == 1); /* and goes on */
        assert_true(toc_quiet_step(&q, true) == 0);
        assert_true(toc_quiet_step(&q, false) < 6);
    }
}

static void a_constant_is_never_told(void **state) {
    (void)state;
    struct toc_quiet q = {0};
    for (int i = 0; i < 10000; i++)
        assert_true(toc_quiet_step(&q, i == 5000) == 0);
}

/* Long pauses that belong to it, such as nights, are learnt from the first one.
 */
static void pauses_that_recur_are_usual(void **state) {
    (void)state;
    struct toc_quiet q = {0};
    int told = 0;
    for (int day = 0; day < 20; day++) {
        for (int i = 0; i < 200; i++)
            (void)toc_quiet_step(&q, true);
        for (int i = 0; i < 100; i++)
            told += toc_quiet_step(&q, false) > 6 && day > 0;
    }
    assert_int_equal(told, 0);
}

static void a_stored_state_goes_on_alike(void **state) {
    (void)state;
    struct toc_rng r;
    struct toc_quiet a = {0}, b = {0};
    toc_rng_seed(&r, 1);
    for (int i = 0; i < 9000; i++) {
        bool event = toc_rng_below(&r, i % 900 > 700 ? 200 : 3) == 0;
        assert_true(toc_quiet_step(&a, event) == toc_quiet_step(&b, event));
        if (i % 10)
            continue;
        struct toc_buf bytes = TOC_BUF_INIT;
        toc_quiet_encode(&b, &bytes);
        for (size_t cut = 0; cut < bytes.n && i < 100; cut++) {
            struct toc_reader part = toc_reader_make(toc_sv_make(bytes.p, cut));
            assert_true(toc_quiet_decode(&part, &b) < 0);
        }
        struct toc_reader reader = toc_reader_make(toc_buf_sv(&bytes));
        b = (struct toc_quiet){0};
        assert_int_equal(toc_quiet_decode(&reader, &b), 0);
        toc_buf_fini(&bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_that_goes_flat_is_told_in_proportion),
        cmocka_unit_test(a_constant_is_never_told),
        cmocka_unit_test(pauses_that_recur_are_usual),
        cmocka_unit_test(a_stored_state_goes_on_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
