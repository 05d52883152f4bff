#include "../cmocka_prelude.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "metricdb/chunk.h"
#include "metricdb/stream.h"
#include "model/sample.h"

enum { N = TOC_CHUNK_SAMPLES_MAX };

static uint64_t g_seed = 1;

/* Encodes, decodes, compares bit by bit; returns the size. */
static size_t round_trip(const int64_t *t, const double *v, size_t n) {
    static int64_t back_t[N];
    static double back_v[N];
    struct toc_buf b = TOC_BUF_INIT;
    size_t count = 0;
    toc_chunk_encode(t, v, n, &b);
    assert_int_equal(toc_chunk_decode(toc_buf_sv(&b), back_t, back_v, &count), 0);
    assert_int_equal(count, n);
    assert_memory_equal(back_t, t, n * sizeof *t);
    assert_memory_equal(back_v, v, n * sizeof *v);
    size_t size = b.n;
    toc_buf_fini(&b);
    struct toc_stream s = {0};
    for (size_t i = 0; i < n && i < 240; i++)
        toc_stream_append(&s, t[i], v[i]);
    count = toc_stream_decode(&s, back_t, back_v);
    assert_memory_equal(back_t, t, count * sizeof *t);
    assert_memory_equal(back_v, v, count * sizeof *v);
    toc_stream_reset(&s, 0);
    return size;
}

static void make_times(struct toc_rng *r, int64_t *t, int64_t jitter) {
    t[0] = 1760000000000 + (int64_t)toc_rng_below(r, 1000);
    for (int i = 1; i < N; i++)
        t[i] = t[0] + i * 15000 + (jitter ? (int64_t)toc_rng_below(r, 2 * jitter) - jitter : 0);
}

static void usual_series_are_small(void **state) {
    (void)state;
    static int64_t t[N], jittered[N];
    static double v[N];
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    make_times(&r, t, 0);
    make_times(&r, jittered, 5);
    for (int i = 0; i < N; i++)
        v[i] = 42.5;
    assert_true(round_trip(t, v, N) < 40);
    assert_true(round_trip(jittered, v, N) < N * 5 / 8);
    double counter = 0;
    for (int i = 0; i < N; i++)
        v[i] = counter += (double)toc_rng_below(&r, 100);
    assert_true(round_trip(t, v, N) < N * 9 / 8);
    for (int i = 0; i < N; i++)
        v[i] = (double)toc_rng_below(&r, 1000) / 100;
    assert_true(round_trip(t, v, N) < N * 11 / 8);
    v[17] = toc_stale_nan(); /* one odd value does not spoil the rest */
    assert_true(round_trip(t, v, N) < N * 11 / 8 + 16);
    for (int i = 0; i < N; i++)
        v[i] = toc_rng_normal(&r);
    assert_true(round_trip(t, v, N) < N * 8 + 64);
}

static double odd_value(struct toc_rng *r) {
    switch (toc_rng_below(r, 9)) {
    case 0:
        return toc_f64_from_bits(toc_rng_u64(r));
    case 1:
        return toc_stale_nan();
    case 2:
        return -0.0;
    case 3:
        return (double)(int64_t)toc_rng_u64(r);
    case 4:
        return (double)toc_rng_below(r, 10);
    case 5:
        return INFINITY;
    case 6:
        return (double)toc_rng_below(r, 100000) / 1000;
    case 7:
        return 0x1p-1074;
    default:
        return toc_rng_normal(r);
    }
}

static void any_series_comes_back(void **state) {
    (void)state;
    static int64_t t[N];
    static double v[N];
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    for (int round = 0; round < 3000; round++) {
        size_t n = 1 + (size_t)toc_rng_below(&r, round % 10 ? 130 : N);
        uint64_t kind = toc_rng_below(&r, 4), scale = toc_rng_below(&r, 40);
        double sticky = odd_value(&r);
        t[0] = (int64_t)toc_rng_u64(&r) >> (1 + toc_rng_below(&r, 60));
        for (size_t i = 0; i < n; i++) {
            if (i)
                t[i] = t[i - 1] + 1 + (int64_t)toc_rng_below(&r, 1ULL << scale);
            v[i] = kind == 0                            ? odd_value(&r)
                   : kind == 1 && toc_rng_below(&r, 20) ? sticky
                   : kind == 2                          ? (double)(i * 1000 + toc_rng_below(&r, 3))
                                                        : odd_value(&r);
        }
        round_trip(t, v, n);
    }
}

static void extreme_times_come_back(void **state) {
    (void)state;
    const int64_t t[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    const double v[] = {1, 2, 3, 4, 5, 6, 7};
    round_trip(t, v, TOC_ARRAY_LEN(t));
}

static void damaged_chunks_are_refused_or_decode_to_something_ordered(void **state) {
    (void)state;
    static int64_t t[N];
    static double v[N];
    struct toc_rng r;
    toc_rng_seed(&r, g_seed);
    make_times(&r, t, 5);
    for (int i = 0; i < N; i++)
        v[i] = odd_value(&r);
    struct toc_buf b = TOC_BUF_INIT;
    toc_chunk_encode(t, v, 200, &b);
    for (int round = 0; round < 20000; round++) {
        size_t at = (size_t)toc_rng_below(&r, b.n), n = 0;
        char old = b.p[at];
        b.p[at] = (char)toc_rng_u64(&r);
        size_t length = toc_rng_below(&r, 4) ? b.n : (size_t)toc_rng_below(&r, b.n);
        if (toc_chunk_decode(toc_sv_make(b.p, length), t, v, &n) == 0)
            for (size_t i = 1; i < n; i++)
                assert_true(t[i] > t[i - 1]);
        b.p[at] = old;
    }
    toc_buf_fini(&b);
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--seed"))
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_series_are_small),
        cmocka_unit_test(any_series_comes_back),
        cmocka_unit_test(extreme_times_come_back),
        cmocka_unit_test(damaged_chunks_are_refused_or_decode_to_something_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
