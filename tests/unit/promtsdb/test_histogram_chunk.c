/* Chunks of native histograms: Prometheus' own ones read and written, and random ones round. */
#include "../cmocka_prelude.h"

#include "base/rng.h"
#include "base/vec.h"
#include "model/histogram_math.h"
#include "model/sample.h"
#include "promtsdb/histogram_chunk.h"

enum { STEP_MS = 15000, BUCKETS = 8 };

#include "real_histogram_chunks.h"

static struct toc_sv view(const uint8_t *p, size_t n) {
    return toc_sv_make((const char *)p, n);
}

static void assert_same(const struct toc_histogram *a, const struct toc_histogram *b) {
    assert_true(toc_f64_bits(a->sum) == toc_f64_bits(b->sum));
    if (!toc_histogram_is_stale(a))
        assert_true(toc_histogram_eq(a, b));
}

static void encodes_to(const struct toc_prom_histograms *c, bool is_float, const uint8_t *want,
                       size_t want_n) {
    struct toc_arena scratch = TOC_ARENA_INIT;
    struct toc_buf out = TOC_BUF_INIT;
    const struct toc_histogram *h[8];
    bool run_is_float;
    for (size_t i = 0; i < c->count; i++)
        h[i] = &c->items[i];
    assert_int_equal(toc_prom_histogram_run(h, c->count, &run_is_float), c->count);
    assert_int_equal(run_is_float, is_float);
    assert_int_equal(toc_prom_histogram_encode(c->t_ms, h, c->count, is_float, &scratch, &out), 0);
    assert_int_equal(out.n, want_n);
    assert_memory_equal(out.p, want, want_n);
    toc_buf_fini(&out);
    toc_arena_fini(&scratch);
}

/* 1 + 6i observations, buckets -2, -1 and 3 with i, 2i and 3i, then the end of the series. */
static void a_chunk_of_integers_that_prometheus_wrote(void **state) {
    (void)state;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_prom_histograms c;
    assert_int_equal(
        toc_prom_histogram_decode(view(g_integers, sizeof g_integers), false, &arena, &c), 0);
    assert_int_equal(c.count, 5);
    for (int i = 0; i < 4; i++) {
        int32_t index[] = {-2, -1, 3};
        double count[] = {i, 2 * i, 3 * i};
        struct toc_histogram want = {.schema = 3,
                                     .zero_threshold = 0x1p-128,
                                     .zero_count = 1,
                                     .count = 1 + 6 * i,
                                     .sum = 2.5 * i,
                                     .positive = {index, count, 3}};
        assert_int_equal(c.t_ms[i], T0 + i * STEP_MS);
        assert_same(&c.items[i], &want);
        assert_int_equal(c.items[i].positive.size, 3);
    }
    assert_true(toc_histogram_is_stale(&c.items[4]));
    encodes_to(&c, false, g_integers, sizeof g_integers);
    toc_arena_fini(&arena);
}

static void a_chunk_of_floats_that_prometheus_wrote(void **state) {
    (void)state;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_prom_histograms c;
    assert_int_equal(toc_prom_histogram_decode(view(g_floats, sizeof g_floats), true, &arena, &c),
                     0);
    assert_int_equal(c.count, 3);
    for (int i = 0; i < 3; i++) {
        int32_t index[] = {0, 1, 2};
        double count[] = {i, 2 * i, 3 * i};
        struct toc_histogram want = {.schema = 2,
                                     .zero_threshold = 0.001,
                                     .zero_count = 1.5,
                                     .count = 1.5 + 6 * i,
                                     .sum = 2.5 * i,
                                     .positive = {index, count, 3}};
        assert_same(&c.items[i], &want);
    }
    encodes_to(&c, true, g_floats, sizeof g_floats);
    toc_arena_fini(&arena);
}

static void custom_bounds_are_short_when_they_are_decimal(void **state) {
    (void)state;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_prom_histograms c;
    int32_t index[] = {0, 3};
    double count[] = {4, 5}, bounds[] = {0.005, 0.1, 1.0 / 3};
    int64_t t_ms = 1000;
    const struct toc_histogram h = {.schema = TOC_HISTOGRAM_SCHEMA_CUSTOM,
                                    .count = 9,
                                    .sum = 7,
                                    .positive = {index, count, 2},
                                    .custom_bounds = bounds,
                                    .custom_bound_count = 3};
    const struct toc_histogram *const list[] = {&h};
    assert_int_equal(toc_prom_histogram_encode(&t_ms, list, 1, false, &arena, &out), 0);
    assert_int_equal(toc_prom_histogram_decode(toc_buf_sv(&out), false, &arena, &c), 0);
    assert_int_equal(c.count, 1);
    assert_same(&c.items[0], &h);
    assert_memory_equal(c.items[0].custom_bounds, bounds, sizeof bounds);
    toc_buf_fini(&out);
    toc_arena_fini(&arena);
}

static size_t run_of(double first, double second, enum toc_reset_hint hint, double threshold) {
    int32_t index[] = {1};
    double a[] = {first}, b[] = {second};
    struct toc_histogram h[] = {
        {.reset_hint = hint, .count = first, .positive = {index, a, 1}},
        {.reset_hint = hint,
         .zero_threshold = threshold,
         .count = second,
         .positive = {index, b, 1}},
    };
    const struct toc_histogram *const list[] = {&h[0], &h[1]};
    bool is_float;
    return toc_prom_histogram_run(list, 2, &is_float);
}

static void a_chunk_ends_where_prometheus_would_see_a_counter_go_on(void **state) {
    (void)state;
    assert_int_equal(run_of(3, 4, TOC_RESET_UNKNOWN, 0), 2);
    assert_int_equal(run_of(4, 3, TOC_RESET_UNKNOWN, 0), 1);
    assert_int_equal(run_of(4, 3, TOC_RESET_GAUGE, 0), 2);
    assert_int_equal(run_of(3, 4, TOC_RESET_YES, 0), 1);
    assert_int_equal(run_of(3, 4, TOC_RESET_UNKNOWN, 0.5), 1);
    assert_int_equal(run_of(3, 4.5, TOC_RESET_UNKNOWN, 0), 1);
}

/* --- random series, round --- */

struct made {
    int32_t index[2][BUCKETS];
    double count[2][BUCKETS];
};

static double random_count(struct toc_rng *r, bool is_float) {
    double v = (double)(toc_rng_u64(r) >> (12 + toc_rng_below(r, 52)));
    return is_float ? v * 0.37 : v;
}

static struct toc_buckets random_side(struct toc_rng *r, struct made *m, int side, bool is_float) {
    size_t n = toc_rng_below(r, BUCKETS + 1);
    int32_t at = (int32_t)toc_rng_below(r, 200) - 100;
    for (size_t i = 0; i < n; i++) {
        at += 1 + (int32_t)(toc_rng_below(r, 3) ? 0 : toc_rng_below(r, 1000));
        m->index[side][i] = at;
        m->count[side][i] = random_count(r, is_float);
    }
    return (struct toc_buckets){m->index[side], m->count[side], n};
}

static struct toc_histogram random_histogram(struct toc_rng *r, struct made *m) {
    bool is_float = toc_rng_below(r, 4) == 0;
    if (toc_rng_below(r, 12) == 0)
        return (struct toc_histogram){.sum = toc_stale_nan()};
    struct toc_histogram h = {
        .schema = (int32_t)toc_rng_below(r, 2),
        .reset_hint = toc_rng_below(r, 3) ? TOC_RESET_GAUGE : TOC_RESET_UNKNOWN,
        .zero_threshold = toc_rng_below(r, 5) ? 0x1p-128 : 0.003,
        .zero_count = random_count(r, is_float),
        .count = random_count(r, is_float),
        .sum = toc_rng_normal(r),
    };
    h.positive = random_side(r, m, 0, is_float);
    h.negative = random_side(r, m, 1, is_float);
    return h;
}

static void round_of(struct toc_rng *r, size_t n) {
    static struct made made[300];
    static struct toc_histogram h[300];
    static const struct toc_histogram *list[300];
    static int64_t t_ms[300];
    struct toc_arena arena = TOC_ARENA_INIT;
    int64_t t = (int64_t)toc_rng_below(r, 1ULL << 41);
    for (size_t i = 0; i < n; i++) {
        h[i] = random_histogram(r, &made[i]);
        list[i] = &h[i];
        t_ms[i] = t += 1 + (int64_t)(toc_rng_below(r, 3) ? STEP_MS : toc_rng_u64(r) >> 34);
    }
    for (size_t at = 0, k; at < n; at += k) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_prom_histograms c;
        bool is_float;
        k = toc_prom_histogram_run(list + at, n - at, &is_float);
        assert_int_equal(toc_prom_histogram_encode(t_ms + at, list + at, k, is_float, &arena, &out),
                         0);
        assert_int_equal(toc_prom_histogram_decode(toc_buf_sv(&out), is_float, &arena, &c), 0);
        assert_int_equal(c.count, k);
        assert_memory_equal(c.t_ms, t_ms + at, k * sizeof *t_ms);
        for (size_t i = 0; i < k; i++)
            assert_same(&c.items[i], &h[at + i]);
        toc_buf_fini(&out);
    }
    toc_arena_fini(&arena);
}

static void what_is_written_is_read_again(void **state) {
    (void)state;
    struct toc_rng r;
    toc_rng_seed(&r, 20261127);
    for (int i = 0; i < 400; i++)
        round_of(&r, 1 + toc_rng_below(&r, 300));
}

static void a_chunk_that_ends_early_is_refused(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof g_integers; n++) {
        struct toc_arena arena = TOC_ARENA_INIT;
        struct toc_prom_histograms c;
        assert_int_equal(toc_prom_histogram_decode(view(g_integers, n), false, &arena, &c),
                         TOC_ECORRUPT);
        toc_arena_fini(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_of_integers_that_prometheus_wrote),
        cmocka_unit_test(a_chunk_of_floats_that_prometheus_wrote),
        cmocka_unit_test(custom_bounds_are_short_when_they_are_decimal),
        cmocka_unit_test(a_chunk_ends_where_prometheus_would_see_a_counter_go_on),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_chunk_that_ends_early_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
