/* The newest sample of every series, as the watch over all series reads it. */
#include "metricdb/newest.h"

#include "fixture.h"

#define T0 FIXTURE_START_MS

typedef size_t next_fn(struct toc_newest_source *s, uint64_t *cursor, struct toc_newest_sample *out,
                       size_t max);

static size_t walk_by(struct toc_metricdb_newest *n, next_fn *next, size_t at_once,
                      struct toc_newest_sample *out, size_t max) {
    size_t count = 0, calls = 0;
    for (uint64_t cursor = 0; cursor != UINT64_MAX; calls++) {
        assert_true(calls < 10000);
        count += next(&n->base, &cursor, out + count, TOC_MIN(max - count, at_once));
    }
    return count;
}

static size_t walk(struct fixture *f, struct toc_newest_sample *out, size_t max) {
    struct toc_metricdb_newest n;
    toc_metricdb_newest_init(&n, f->db);
    return walk_by(&n, n.base.next, 64, out, max);
}

static size_t walk_written(struct fixture *f, struct toc_newest_sample *out, size_t max) {
    struct toc_metricdb_newest n;
    toc_metricdb_newest_init(&n, f->db);
    return walk_by(&n, n.base.next_written, 3, out, max);
}

/* 700 series, 300 samples each: more than a batch, more than an open chunk. */
static void every_series_comes_once_with_its_newest_sample(void **state) {
    (void)state;
    enum { SERIES = 700 };
    static struct toc_newest_sample out[SERIES + 64];
    struct fixture f;
    char text[16];
    fixture_init(&f, 1);
    for (int k = 0; k < 300; k += k < 3 ? 1 : 99)
        for (int i = 0; i < SERIES; i++) {
            snprintf(text, sizeof text, "s%03d", i);
            assert_int_equal(fixture_write(&f, "m", text, T0 + k * 1000, i * 1000 + k, NULL), 0);
        }
    assert_int_equal(walk(&f, out, TOC_ARRAY_LEN(out)), SERIES);
    struct toc_metricdb_newest n;
    toc_metricdb_newest_init(&n, f.db);
    bool seen[SERIES] = {false};
    for (size_t i = 0; i < SERIES; i++) {
        struct toc_arena arena = TOC_ARENA_INIT;
        struct toc_labels labels;
        assert_true(n.base.labels(&n.base, out[i].ref, &arena, &labels));
        toc_sv_copy(toc_labels_get(labels, TOC_SV("i")), text, sizeof text);
        int number = atoi(text + 1);
        assert_false(seen[number]);
        seen[number] = true;
        assert_true(out[i].value == number * 1000 + 201 && out[i].t_ms == T0 + 201000);
        toc_arena_fini(&arena);
    }
    fixture_fini(&f);
}

static void the_last_sample_of_a_full_chunk_is_there(void **state) {
    (void)state;
    struct toc_newest_sample out[64];
    struct fixture f;
    fixture_init(&f, 1);
    for (int k = 0; k < 500; k++) {
        assert_int_equal(fixture_write(&f, "m", NULL, T0 + k * 1000, k, NULL), 0);
        assert_int_equal(walk(&f, out, 64), 1);
        assert_true(out[0].value == k);
    }
    fixture_fini(&f);
}

static void an_ended_series_and_an_unknown_reference_are_not_there(void **state) {
    (void)state;
    struct toc_newest_sample out[64];
    struct fixture f;
    fixture_init(&f, 1);
    assert_int_equal(walk(&f, out, 64), 0);
    assert_int_equal(fixture_write(&f, "m", NULL, T0, 1, NULL), 0);
    assert_int_equal(walk(&f, out, 64), 1);
    const uint64_t stale_bits = 0x7ff0000000000002u;
    double stale;
    memcpy(&stale, &stale_bits, sizeof stale);
    assert_int_equal(fixture_write(&f, "m", NULL, T0 + 1000, stale, NULL), 0);
    assert_int_equal(walk(&f, out + 1, 63), 0);
    struct toc_metricdb_newest n;
    toc_metricdb_newest_init(&n, f.db);
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_labels labels;
    assert_true(n.base.labels(&n.base, out[0].ref, &arena, &labels));
    assert_false(n.base.labels(&n.base, out[0].ref + ((uint64_t)1 << 32), &arena, &labels));
    toc_arena_fini(&arena);
    fixture_fini(&f);
}

static void write_of(struct fixture *f, int series, int64_t t_ms) {
    char text[16];
    double value = series * 1000 + (double)(t_ms - T0) / 1000;
    snprintf(text, sizeof text, "s%03d", series);
    assert_int_equal(fixture_write(f, "m", text, t_ms, value, NULL), 0);
}

/* Whatever is written between two walks is met by the next one, and by no other. */
static void a_walk_over_what_was_written_meets_exactly_that(void **state) {
    (void)state;
    enum { SERIES = 300 };
    static struct toc_newest_sample out[SERIES + 64];
    struct fixture f;
    fixture_init(&f, 1);
    for (int i = 0; i < SERIES; i++)
        write_of(&f, i, T0);
    assert_int_equal(walk_written(&f, out, TOC_ARRAY_LEN(out)), SERIES);
    assert_int_equal(walk_written(&f, out, TOC_ARRAY_LEN(out)), 0);
    for (int round = 1; round < 20; round++) {
        int step = round % 7 + 1;
        for (int i = 0; i < SERIES; i += step)
            write_of(&f, i, T0 + round * 1000);
        size_t n = walk_written(&f, out, TOC_ARRAY_LEN(out));
        assert_int_equal(n, (SERIES + step - 1) / step);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(out[i].t_ms, T0 + round * 1000);
            assert_int_equal((int)out[i].value % 1000, round);
            assert_int_equal((int)out[i].value / 1000 % step, 0);
        }
    }
    write_of(&f, 5, T0 + 30000);
    assert_int_equal(walk(&f, out, TOC_ARRAY_LEN(out)), SERIES); /* that one has seen it */
    assert_int_equal(walk_written(&f, out, TOC_ARRAY_LEN(out)), 0);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_series_comes_once_with_its_newest_sample),
        cmocka_unit_test(the_last_sample_of_a_full_chunk_is_there),
        cmocka_unit_test(a_walk_over_what_was_written_meets_exactly_that),
        cmocka_unit_test(an_ended_series_and_an_unknown_reference_are_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
