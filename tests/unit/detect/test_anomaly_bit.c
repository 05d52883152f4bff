/* The anomaly bit: how often it is set on noise of several kinds, what it must and must not see. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/anomaly_bit.h"

static uint64_t g_seed = 1;

enum noise { NORMAL, LOGNORMAL, CAUCHY_LIKE, RARE_PULSES, WALK, SINE, NOISES };

static double draw(struct toc_rng *r, enum noise kind, int i, double last) {
    double z = toc_rng_normal(r);
    switch (kind) {
    case NORMAL:
        return 5 + z;
    case LOGNORMAL:
        return exp(z);
    case CAUCHY_LIKE:
        return z / fabs(toc_rng_normal(r) + 1e-3);
    case RARE_PULSES:
        return toc_rng_below(r, 150) == 0 ? 1 + fabs(z) : 0;
    case WALK:
        return last + z;
    default:
        return 100 * sin(i / 40.0) + z;
    }
}

static double share_of_bits(enum noise kind, uint64_t seed, int count) {
    struct toc_rng r;
    struct toc_anomaly_bit s = {0};
    int bits = 0, judged = 0;
    double v = 0;
    toc_rng_seed(&r, seed);
    for (int i = 0; i < count; i++) {
        v = draw(&r, kind, i, v);
        if (!toc_anomaly_bit_step(&s, 1000 + i * 1000LL, v))
            continue;
        judged++;
        bits += s.is_anomaly;
        assert_true(isfinite(s.surprise) && s.surprise >= 0);
    }
    return (double)bits / judged;
}

/* Whatever the distribution, a series without anomalies has at most about three bits in a thousand
 * samples. */
static void quiet_series_have_few_bits(void **state) {
    (void)state;
    for (int kind = 0; kind < NOISES; kind++) {
        double sum = 0;
        for (uint64_t k = 0; k < 8; k++)
            sum += share_of_bits((enum noise)kind, g_seed * 100 + k, 20000);
        if (sum / 8 > 3e-3)
            fail_msg("noise %d: a share of %g of all samples", kind, sum / 8);
    }
}

static void spikes_and_level_shifts_are_seen(void **state) {
    (void)state;
    struct toc_rng r;
    int spikes = 0, shifts = 0;
    toc_rng_seed(&r, g_seed);
    for (int run = 0; run < 100; run++) {
        struct toc_anomaly_bit s = {0};
        bool saw_shift = false;
        for (int i = 0; i < 2100; i++) {
            double v = 50 + toc_rng_normal(&r) + (i == 1500 ? 15 : 0) + (i >= 2000 ? 10 : 0);
            toc_anomaly_bit_step(&s, 1000 + i * 1000LL, v);
            spikes += i == 1500 && s.is_anomaly && s.is_above;
            saw_shift = saw_shift || (i >= 2000 && i < 2010 && s.is_anomaly);
        }
        shifts += saw_shift;
    }
    assert_true(spikes >= 98);
    assert_true(shifts >= 95);
}

static void first_change_of_a_constant_counts_by_its_length(void **state) {
    (void)state;
    for (int length = 100; length <= 3000; length += 2900) {
        struct toc_anomaly_bit s = {0};
        for (int i = 0; i < length; i++)
            toc_anomaly_bit_step(&s, 1000 + i * 1000LL, 7);
        assert_false(s.is_anomaly);
        assert_true(s.surprise == 0);
        toc_anomaly_bit_step(&s, 1000 + length * 1000LL, 8);
        assert_int_equal(s.is_anomaly, length > 1000);
        assert_true(fabs(s.surprise - log10(length - 1)) < 0.01);
    }
}

/* A counter that restarts, and one that is read at uneven times, do the same per second. */
static void counters_may_restart(void **state) {
    (void)state;
    struct toc_rng r;
    struct toc_anomaly_bit s = {.is_counter = true};
    double total = 0;
    int64_t t_ms = 1000;
    toc_rng_seed(&r, g_seed);
    for (int i = 0; i < 5000; i++) {
        int64_t distance_ms = 900 + (int64_t)toc_rng_below(&r, 200);
        t_ms += distance_ms;
        total += (100 + toc_rng_normal(&r)) * (double)distance_ms / 1000;
        if (i % 1000 == 999)
            total = 0.1 * (double)distance_ms; /* restarted right after the last look */
        toc_anomaly_bit_step(&s, t_ms, total);
        if (i > 200)
            assert_true(s.level > 95 && s.level < 105);
        if (i % 1000 == 999)
            assert_false(s.is_anomaly);
    }
    t_ms += 1000;
    toc_anomaly_bit_step(&s, t_ms, total + 1000);
    assert_true(s.is_anomaly && s.is_above);
}

static void what_is_no_number_is_not_judged(void **state) {
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e301};
    struct toc_anomaly_bit s = {0}, before;
    for (int i = 0; i < 300; i++)
        toc_anomaly_bit_step(&s, 1000 + i * 1000LL, i % 10);
    before = s;
    for (size_t i = 0; i < 4; i++)
        assert_false(toc_anomaly_bit_step(&s, 1000000, bad[i]));
    assert_false(toc_anomaly_bit_step(&s, 300000, 3)); /* the time of the last one */
    assert_false(toc_anomaly_bit_step(&s, 5, 3));
    assert_memory_equal(&s, &before, sizeof s);
}

static void a_gap_restarts_the_level_and_keeps_the_record(void **state) {
    (void)state;
    struct toc_rng r;
    struct toc_anomaly_bit s = {0};
    toc_rng_seed(&r, g_seed);
    for (int i = 0; i < 1000; i++)
        toc_anomaly_bit_step(&s, 1000 + i * 1000LL, toc_rng_normal(&r));
    float seen = s.seen;
    assert_false(toc_anomaly_bit_step(&s, 10000000, 500));
    assert_true(s.level == 500 && !s.is_anomaly && s.seen == seen);
    for (int i = 0; i < 200; i++) {
        toc_anomaly_bit_step(&s, 10001000 + i * 1000LL, 500 + toc_rng_normal(&r));
        assert_false(s.is_anomaly && s.surprise > 3.5f);
    }
}

/* Any values in any order of times: finite, inside bounds. */
static void hostile_values_stay_finite(void **state) {
    (void)state;
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    for (int run = 0; run < 200; run++) {
        struct toc_anomaly_bit s = {.is_counter = run % 2};
        int64_t t_ms = (int64_t)toc_rng_below(&r, 1000);
        for (int i = 0; i < 500; i++) {
            t_ms += (int64_t)toc_rng_below(&r, i % 50 ? 2000 : 100000000) - 10;
            double v = ldexp(toc_rng_normal(&r), (int)toc_rng_below(&r, 2040) - 1020);
            toc_anomaly_bit_step(&s, t_ms, i % 7 ? v : 0);
            assert_true(isfinite(s.level) && isfinite(s.fast) && isfinite(s.fast2));
            assert_true(isfinite(s.surprise) && s.surprise >= 0 && s.surprise < 4);
            assert_true(isfinite(s.line.upper) && isfinite(s.flat.upper) && s.events >= 0);
        }
    }
}

int main(void) {
    const char *seed = getenv("TOC_TEST_SEED");
    g_seed = seed ? strtoull(seed, NULL, 10) : 1;
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_series_have_few_bits),
        cmocka_unit_test(spikes_and_level_shifts_are_seen),
        cmocka_unit_test(first_change_of_a_constant_counts_by_its_length),
        cmocka_unit_test(counters_may_restart),
        cmocka_unit_test(what_is_no_number_is_not_judged),
        cmocka_unit_test(a_gap_restarts_the_level_and_keeps_the_record),
        cmocka_unit_test(hostile_values_stay_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
