/* Native histograms: their code, their chunks, and their life in the database. */
#include "base/rng.h"
#include "fixture.h"
#include "metricdb/chunk.h"
#include "metricdb/histogram_code.h"
#include "model/sample.h"

#define T0 FIXTURE_START_MS
enum { MINUTE = 60000, BUCKETS = 12 };

struct made {
    int32_t index[BUCKETS], negative_index[2];
    double count[BUCKETS], negative_count[2];
    struct toc_histogram h;
};

/* A counter histogram as an instrumented server has it: buckets appear one after the other. */
static void make(struct made *m, int i) {
    *m = (struct made){0};
    size_t n = TOC_MIN(2u + (size_t)i / 20, (size_t)BUCKETS);
    double total = 0;
    for (size_t k = 0; k < n; k++) {
        m->index[k] = (int32_t)(3 * k) - 5;
        m->count[k] = (double)(i * (int)(k + 1) + 1);
        total += m->count[k];
    }
    m->negative_index[0] = -2;
    m->negative_count[0] = i;
    m->h = (struct toc_histogram){.schema = 3,
                                  .reset_hint = TOC_RESET_NO,
                                  .zero_threshold = 0x1p-128,
                                  .zero_count = i / 7,
                                  .count = total,
                                  .sum = total * 0.1,
                                  .positive = {m->index, m->count, n},
                                  .negative = {m->negative_index, m->negative_count, 1}};
}

static void assert_same(const struct toc_histogram *a, const struct toc_histogram *b) {
    struct toc_buf x = TOC_BUF_INIT, y = TOC_BUF_INIT;
    toc_histogram_encode(a, &x);
    toc_histogram_encode(b, &y);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    toc_buf_fini(&x);
    toc_buf_fini(&y);
}

static void the_example_of_the_format_holds(void **state) {
    (void)state;
    static const uint8_t want[] = {0x08, 0,    0,    0,    0,    0,    0,    0,   0,
                                   0,    0x01, 0x06, 0,    0,    0,    0,    0,   0,
                                   0x23, 0x40, 0x02, 0x02, 0x04, 0x00, 0x02, 0x00};
    int32_t index[] = {1, 2, 3};
    double count[] = {2, 3, 0};
    struct toc_histogram h = {
        .zero_count = 1, .count = 6, .sum = 9.5, .positive = {index, count, 3}};
    struct toc_buf b = TOC_BUF_INIT;
    toc_histogram_encode(&h, &b);
    assert_int_equal(b.n, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_histogram *back;
    assert_int_equal(toc_histogram_decode(toc_buf_sv(&b), &arena, &back), 0);
    assert_int_equal(back->positive.size, 2); /* the empty one is not stored */
    assert_true(back->sum == 9.5 && back->count == 6 && back->zero_count == 1);
    for (size_t n = 0; n < b.n; n++)
        assert_int_not_equal(toc_histogram_decode(toc_sv_make(b.p, n), &arena, &back), 0);
    toc_arena_fini(&arena);
    toc_buf_fini(&b);
}

static void chunks_give_back_every_bit(void **state) {
    (void)state;
    enum { N = 200 };
    static struct made made[N];
    const struct toc_histogram *h[N];
    int64_t t[N];
    for (int i = 0; i < N; i++) {
        make(&made[i], i);
        if (i % 11 == 3)
            made[i].h.reset_hint = TOC_RESET_YES;
        if (i % 50 == 9)
            made[i].count[1] = 0.1 * i;
        if (i == 77)
            made[i].h.sum = toc_stale_nan();
        h[i] = &made[i].h;
        t[i] = T0 + 15000 * i + i % 3;
    }
    made[150].h.schema = 2; /* alone in its chunk */
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_series_buffer back = {0};
    size_t chunks = 0;
    for (size_t i = 0; i < N; chunks++) {
        toc_buf_reset(&b);
        i += toc_histogram_chunk_encode(t + i, h + i, N - i, &b);
        assert_int_equal(toc_chunk_append(toc_buf_sv(&b), INT64_MIN, INT64_MAX, &back), 0);
        if (!chunks) {
            printf("%.2f bytes per histogram of up to %d buckets\n", (double)b.n / (double)i,
                   BUCKETS);
            assert_true(b.n < 30 * i);
        }
    }
    assert_int_equal(chunks, 3);
    assert_int_equal(back.count, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(back.t_ms[i], t[i]);
        assert_same(back.histograms[i], h[i]);
    }
    toc_series_buffer_fini(&back);
    toc_buf_fini(&b);
}

static void damaged_chunks_are_refused_or_decode_to_something_ordered(void **state) {
    (void)state;
    struct made made[9];
    const struct toc_histogram *h[9];
    int64_t t[9];
    for (int i = 0; i < 9; i++) {
        make(&made[i], 20 * i);
        h[i] = &made[i].h;
        t[i] = T0 + 1000 * i;
    }
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_rng rng;
    toc_rng_seed(&rng, 1);
    assert_int_equal(toc_histogram_chunk_encode(t, h, 9, &b), 9);
    for (int round = 0; round < 20000; round++) {
        struct toc_series_buffer out = {0};
        size_t at = toc_rng_below(&rng, b.n);
        char was = b.p[at];
        b.p[at] ^= (char)(1u << toc_rng_below(&rng, 8));
        size_t n = toc_rng_below(&rng, 4) ? b.n : toc_rng_below(&rng, b.n);
        int rc = toc_chunk_append(toc_sv_make(b.p, n), INT64_MIN, INT64_MAX, &out);
        assert_true(rc == 0 || rc == TOC_ECORRUPT || rc == TOC_ENOMEM);
        for (size_t i = 1; i < out.count; i++)
            assert_true(out.t_ms[i] > out.t_ms[i - 1]);
        assert_true(rc == 0 || out.count == 0);
        toc_series_buffer_fini(&out);
        b.p[at] = was;
    }
    toc_buf_fini(&b);
}

/* --- in the database --- */

static struct toc_write_result put(struct fixture *f, int64_t t_ms, const struct toc_histogram *h,
                                   double value) {
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("latency")}};
    struct toc_point p = {{items, 1}, t_ms, value, h};
    struct toc_write_result r;
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    assert_int_equal(sink->write(sink, &p, 1, &r, NULL), 0);
    return r;
}

struct expectation {
    int64_t step_ms;
    int first, samples;
};

static int check_series(void *ctx, const struct toc_series_view *v) {
    const struct expectation *e = ctx;
    struct made m;
    assert_int_equal(v->count, e->samples);
    assert_non_null(v->histograms);
    for (int i = 0; i < e->samples; i++) {
        assert_int_equal(v->t_ms[i], T0 + (e->first + i) * e->step_ms);
        if ((e->first + i) % 10 == 5) {
            assert_null(v->histograms[i]);
            assert_true(v->values[i] == e->first + i);
            continue;
        }
        make(&m, e->first + i);
        assert_non_null(v->histograms[i]);
        assert_same(v->histograms[i], &m.h);
    }
    return 0;
}

static void assert_stored(struct fixture *f, int first, int samples) {
    struct toc_querier *q = toc_metricdb_querier(f->db);
    struct expectation e = {MINUTE, first, samples};
    struct toc_select s = {.min_ms = T0 + first * MINUTE, .max_ms = INT64_MAX};
    assert_int_equal(q->select(q, &s, check_series, &e, NULL), 0);
}

/* Histograms with a float in every tenth place, some late. */
static void write_hours(struct fixture *f, int from, int to) {
    struct made m;
    for (int i = from; i < to; i++) {
        int k = i % 4 == 2 && i + 1 < to ? i + 1 : i % 4 == 3 ? i - 1 : i;
        make(&m, k);
        struct toc_write_result r = put(f, T0 + k * MINUTE, k % 10 == 5 ? NULL : &m.h, k);
        assert_int_equal(r.accepted, 1);
        fixture_advance(f, MINUTE);
    }
}

static void histograms_live_through_log_head_and_blocks(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    write_hours(&f, 0, 100);
    assert_stored(&f, 0, 100);
    toc_metricdb_close(&f.db);
    toc_vfs_sim_restart(f.disk);
    fixture_open(&f);
    assert_stored(&f, 0, 100);
    write_hours(&f, 100, 600);
    assert_true(fixture_stats(&f).blocks >= 2);
    assert_stored(&f, 0, 600);
    assert_stored(&f, 333, 267);
    fixture_reopen(&f);
    assert_stored(&f, 0, 600);
    struct toc_metricdb_verdict verdict;
    assert_int_equal(toc_metricdb_verify(f.options.vfs, f.options.dir, NULL, NULL, &verdict, NULL),
                     0);
    assert_int_equal(verdict.damaged, 0);
    assert_int_equal(fixture_stats(&f).corruptions, 0);
    fixture_fini(&f);
}

static void one_time_holds_one_sample_of_one_kind(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    struct made a, b;
    make(&a, 40);
    make(&b, 41);
    assert_int_equal(put(&f, T0, &a.h, 0).accepted, 1);
    assert_int_equal(put(&f, T0, &a.h, 0).accepted, 1);
    assert_int_equal(put(&f, T0, &b.h, 0).rejected[TOC_REJECT_DUPLICATE], 1);
    assert_int_equal(put(&f, T0, NULL, 1).rejected[TOC_REJECT_DUPLICATE], 1);
    assert_int_equal(put(&f, T0 + 1, NULL, 1).accepted, 1);
    assert_int_equal(put(&f, T0 + 1, &a.h, 0).rejected[TOC_REJECT_DUPLICATE], 1);
    a.h.schema = 20;
    assert_int_equal(put(&f, T0 + 2, &a.h, 0).rejected[TOC_REJECT_INVALID_HISTOGRAM], 1);
    assert_int_equal(fixture_stats(&f).head_samples, 2);
    fixture_fini(&f);
}

static void deleted_histograms_are_gone(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    write_hours(&f, 0, 400);
    struct toc_select s = {.min_ms = INT64_MIN, .max_ms = T0 + 299 * MINUTE};
    uint64_t series;
    assert_int_equal(toc_metricdb_delete(f.db, &s, &series, NULL), 0);
    assert_stored(&f, 300, 100);
    assert_int_equal(fixture_select(&f, "latency", INT64_MIN, INT64_MAX).samples, 100);
    fixture_reopen(&f);
    assert_int_equal(fixture_select(&f, "latency", INT64_MIN, INT64_MAX).samples, 100);
    for (int i = 0; i < 4; i++)
        fixture_advance(&f, 1000);
    assert_int_equal(fixture_select(&f, "latency", INT64_MIN, INT64_MAX).samples, 100);
    assert_stored(&f, 300, 100);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_format_holds),
        cmocka_unit_test(chunks_give_back_every_bit),
        cmocka_unit_test(damaged_chunks_are_refused_or_decode_to_something_ordered),
        cmocka_unit_test(histograms_live_through_log_head_and_blocks),
        cmocka_unit_test(one_time_holds_one_sample_of_one_kind),
        cmocka_unit_test(deleted_histograms_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
