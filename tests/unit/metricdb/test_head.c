/* Chunks of the series of a head: when they are closed, and how closed ones join. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "metricdb/head.h"

enum { STEP_MS = 15000, JOINED_MAX = 150 };
#define SPAN_MS INT64_C(7200000)
#define START_MS (INT64_C(244444) * SPAN_MS)

static struct toc_series *series_of(struct toc_head *h, int number, struct toc_head_shard **shard) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("m")}, {TOC_SV("i"), toc_sv_cstr(text)}};
    struct toc_series *s = toc_head_series_lock(h, (struct toc_labels){items, 2}, 1000, shard);
    assert_non_null(s);
    return s;
}

static void append(struct toc_head *h, int number, int64_t t_ms, double value) {
    struct toc_head_shard *shard;
    struct toc_series *s = series_of(h, number, &shard);
    assert_int_equal(toc_series_append(h, shard, s, t_ms, value), TOC_APPEND_DONE);
    toc_mutex_unlock(&shard->mutex);
}

/* A look at a series that nobody else knows. */
static struct toc_series *look(struct toc_head *h, int number) {
    struct toc_head_shard *shard;
    struct toc_series *s = series_of(h, number, &shard);
    toc_mutex_unlock(&shard->mutex);
    return s;
}

/* Values that take eight bytes each, so that an open chunk is full after a few. */
static double wide_value(struct toc_rng *rng) {
    return (double)toc_rng_u64(rng) / 3;
}

static void closed_chunks_of_like_size_join(void **state) {
    enum { COUNT = 400 };
    struct toc_head h;
    struct toc_rng rng;
    double values[COUNT];
    (void)state;
    toc_head_init(&h, SPAN_MS);
    toc_rng_seed(&rng, 1);
    for (int i = 0; i < COUNT; i++)
        append(&h, 0, START_MS + (int64_t)i * STEP_MS, values[i] = wide_value(&rng));
    const struct toc_series *s = look(&h, 0);
    size_t closed = 0;
    for (size_t i = 0; i < s->chunk_count; i++) {
        assert_true(s->chunks[i]->count <= JOINED_MAX);
        closed += s->chunks[i]->count;
    }
    assert_int_equal(closed + s->open.count, COUNT);
    assert_true(s->open.count < 20);
    assert_true(s->chunk_count <= COUNT / 40); /* of some 13 samples each there would be 30 */
    struct toc_series_buffer all = {0};
    assert_int_equal(toc_series_read(s, INT64_MIN, INT64_MAX, &all), 0);
    assert_int_equal(all.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(all.t_ms[i], START_MS + (int64_t)i * STEP_MS);
        assert_true(all.values[i] == values[i]);
    }
    toc_series_buffer_fini(&all);
    toc_head_fini(&h);
}

static void chunks_of_two_windows_do_not_join(void **state) {
    struct toc_head h;
    struct toc_rng rng;
    (void)state;
    toc_head_init(&h, SPAN_MS);
    toc_rng_seed(&rng, 2);
    for (int64_t t = START_MS - 30 * STEP_MS; t < START_MS + 30 * STEP_MS; t += STEP_MS)
        append(&h, 0, t, wide_value(&rng));
    const struct toc_series *s = look(&h, 0);
    size_t before = 0, behind = s->open.count;
    for (size_t i = 0; i < s->chunk_count; i++) {
        const struct toc_head_chunk *c = s->chunks[i];
        bool is_before = c->min_ms < START_MS;
        assert_true(is_before == (toc_head_chunk_max(c) < START_MS));
        before += is_before ? c->count : 0;
        behind += is_before ? 0 : c->count;
    }
    assert_int_equal(before, 30);
    assert_int_equal(behind, 30);
    toc_head_fini(&h);
}

static void a_chunk_may_span_months(void **state) {
    const int64_t day_ms = INT64_C(86400000);
    const int64_t gap_ms = START_MS + 100 * day_ms, last_ms = START_MS + 200 * day_ms;
    struct toc_head h;
    int64_t first, last;
    (void)state;
    toc_head_init(&h, SPAN_MS);
    append(&h, 0, START_MS, 1);
    append(&h, 0, last_ms, 3);
    append(&h, 0, gap_ms, 2); /* joins the chunk before the gap */
    struct toc_series *s = look(&h, 0);
    assert_int_equal(s->chunk_count, 1);
    assert_int_equal(toc_head_chunk_max(s->chunks[0]), gap_ms);
    assert_true(toc_series_bounds(s, &first, &last));
    assert_int_equal(first, START_MS);
    assert_int_equal(last, last_ms);
    assert_int_equal(toc_series_last_sample(s, last_ms - 1), gap_ms);
    assert_int_equal(toc_series_chunk_place(s, gap_ms), 0);
    assert_int_equal(toc_series_chunk_place(s, gap_ms + 1), 1);
    toc_head_fini(&h);
}

static void series_are_found_after_others_went(void **state) {
    struct toc_head h;
    struct toc_ids dead = {0};
    (void)state;
    toc_head_init(&h, SPAN_MS);
    for (int i = 0; i < 900; i++)
        if (i % 3)
            append(&h, i, START_MS, i);
        else
            look(&h, i); /* never gets a sample */
    toc_head_unlink_empty(&h, &dead);
    assert_int_equal(dead.count, 300);
    toc_head_free_unlinked(&h, &dead);
    for (int i = 0; i < 900; i++)
        if (i % 3)
            assert_int_equal(look(&h, i)->open.count, 1);
    assert_int_equal(atomic_load(&h.series_count), 600);
    for (int i = 0; i < 900; i += 3)
        assert_int_equal(look(&h, i)->open.count, 0);
    toc_head_fini(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_chunks_of_like_size_join),
        cmocka_unit_test(chunks_of_two_windows_do_not_join),
        cmocka_unit_test(a_chunk_may_span_months),
        cmocka_unit_test(series_are_found_after_others_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
