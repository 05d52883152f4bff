/* Chunks of Prometheus: an example by hand, round trips, hostile bytes. */
#include "../cmocka_prelude.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "promtsdb/xor_chunk.h"

enum { N_MAX = 300 };
static uint64_t g_seed = 1;

/*
 * Samples (1000, 1.0), (2000, 1.0), (3000, 1.5):
 *   00 03                     three samples
 *   d0 0f                     zigzag 1000
 *   3f f0 00 00 00 00 00 00   1.0
 *   e8 07                     distance 1000
 *   0                         the same value
 *   0                         the same distance
 *   11 01100 000001 1         another value: 1.0 ^ 1.5 is bit 51, 12 zeros before it, one bit wide
 *   → 0011 0110 0000 0011 + no rest: 36 03
 */
static void the_example_by_hand(void **state) {
    (void)state;
    static const int64_t t[] = {1000, 2000, 3000};
    static const double v[] = {1, 1, 1.5};
    static const uint8_t want[] = {0x00, 0x03, 0xd0, 0x0f, 0x3f, 0xf0, 0,    0,
                                   0,    0,    0,    0,    0xe8, 0x07, 0x36, 0x03};
    struct toc_buf b = TOC_BUF_INIT;
    toc_prom_xor_encode(t, v, 3, &b);
    assert_int_equal(b.n, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
    toc_buf_fini(&b);
}

static void expect_round_trip(const int64_t *t, const double *v, size_t n) {
    int64_t back_t[N_MAX];
    double back_v[N_MAX];
    struct toc_buf b = TOC_BUF_INIT;
    toc_prom_xor_encode(t, v, n, &b);
    assert_int_equal(toc_prom_xor_count(toc_buf_sv(&b)), n);
    assert_int_equal(toc_prom_xor_decode(toc_buf_sv(&b), back_t, back_v), 0);
    assert_memory_equal(back_t, t, n * sizeof *t);
    assert_memory_equal(back_v, v, n * sizeof *v);
    for (size_t cut = 1; cut < 8 && cut < b.n; cut++) /* a chunk that ends early is refused */
        if (toc_prom_xor_decode(toc_sv_make(b.p, b.n - cut), back_t, back_v) == 0)
            fail_msg("%zu bytes less were taken", cut);
    toc_buf_fini(&b);
}

static double random_value(struct toc_rng *rng, double last) {
    uint64_t bits = toc_rng_u64(rng);
    double any;
    switch (toc_rng_below(rng, 6)) {
    case 0:
        memcpy(&any, &bits, sizeof any);
        return any;
    case 1:
        return last;
    case 2:
        return last + (double)toc_rng_below(rng, 100);
    case 3:
        return -INFINITY;
    case 4:
        return (double)toc_rng_below(rng, 1000) / 100;
    default:
        return toc_rng_normal(rng);
    }
}

static void any_series_comes_back(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    for (int round = 0; round < 3000; round++) {
        int64_t t[N_MAX];
        double v[N_MAX], last = 0;
        size_t n = 1 + toc_rng_below(&rng, N_MAX);
        unsigned width = (unsigned)toc_rng_below(&rng, 50);
        int64_t at = (int64_t)toc_rng_u64(&rng) >> (2 + toc_rng_below(&rng, 60));
        for (size_t i = 0; i < n; i++) {
            t[i] = at;
            v[i] = last = random_value(&rng, last);
            at += 1 + (int64_t)toc_rng_below(&rng, 1ULL << width);
        }
        expect_round_trip(t, v, n);
    }
}

/* Changes of the distance at the borders of their widths. */
static void borders_come_back(void **state) {
    (void)state;
    static const int64_t changes[] = {8191,   8192,   -8191,  -8192,   65535,   65536,    -65535,
                                      -65536, 524287, 524288, -524287, -524288, 1LL << 40};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        int64_t step = 1LL << 41, t[] = {0, step, 2 * step + changes[i]};
        double v[] = {0, 0, 0};
        expect_round_trip(t, v, 3);
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_by_hand),
        cmocka_unit_test(any_series_comes_back),
        cmocka_unit_test(borders_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
