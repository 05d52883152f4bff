/* Writers, readers and housekeeping at once; made for ThreadSanitizer. */
#include "fixture.h"

#include <stdatomic.h>

#include "metricdb/cardinality.h"
#include "metricdb/exemplar.h"
#include "sys/thread.h"

#define T0 FIXTURE_START_MS

enum { WRITERS = 3, STEPS = 1500, SERIES = 20, STEP_MS = 60000 };

struct shared {
    struct toc_metricdb *db;
    atomic_int running;
    atomic_int next_writer;
    atomic_uint_fast64_t acknowledged;
    atomic_int_fast64_t now_ms;
};

/* A clock that several threads may read while one moves it. */
struct shared_clock {
    struct toc_clock base;
    atomic_int_fast64_t now_ms;
};

static struct toc_ts shared_now(struct toc_clock *c) {
    return (struct toc_ts){atomic_load(&((struct shared_clock *)c)->now_ms)};
}

static struct toc_mono shared_mono(struct toc_clock *c) {
    return (struct toc_mono){atomic_load(&((struct shared_clock *)c)->now_ms) * 1000000};
}

static struct shared_clock g_clock = {.base = {shared_now, shared_mono}};

/* Each writer has its own series; also one new series per step, so that series come and go. */
static void write_loop(void *ctx) {
    struct shared *s = ctx;
    int writer = atomic_fetch_add(&s->next_writer, 1);
    struct toc_sink *sink = toc_metricdb_sink(s->db);
    for (int step = 0; step < STEPS; step++) {
        char names[SERIES][16];
        struct toc_label items[SERIES][2];
        struct toc_point points[SERIES];
        int64_t t = T0 + (int64_t)step * STEP_MS;
        int64_t now = atomic_load(&g_clock.now_ms);
        while (now < t && !atomic_compare_exchange_weak(&g_clock.now_ms, &now, t))
            continue;
        for (int i = 0; i < SERIES; i++) {
            snprintf(names[i], sizeof names[i], "w%d.%d", writer, i ? i : 1000 + step);
            items[i][0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("m")};
            items[i][1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(names[i])};
            points[i] = toc_float_point((struct toc_labels){items[i], 2}, t, step);
        }
        struct toc_write_result r;
        if (sink->write(sink, points, SERIES, &r, NULL) == 0)
            atomic_fetch_add(&s->acknowledged, r.accepted);
    }
    atomic_fetch_sub(&s->running, 1);
}

static int count_samples(void *ctx, const struct toc_series_view *v) {
    *(uint64_t *)ctx += v->count;
    for (size_t i = 1; i < v->count; i++)
        if (v->t_ms[i] <= v->t_ms[i - 1])
            abort();
    return toc_labels_get(v->labels, TOC_METRIC_NAME).n == 1 ? 0 : TOC_ECORRUPT;
}

/* What was acknowledged before a select began must be in its answer, sealed meanwhile or not. */
static void read_loop(void *ctx) {
    struct shared *s = ctx;
    struct toc_querier *q = toc_metricdb_querier(s->db);
    for (int i = 0; atomic_load(&s->running) > 0; i++) {
        uint64_t before = atomic_load(&s->acknowledged), found = 0;
        struct toc_select all = {.min_ms = INT64_MIN, .max_ms = INT64_MAX, .sorted = i % 2 != 0};
        if (q->select(q, &all, count_samples, &found, NULL) || found < before)
            abort();
        struct toc_metricdb_stats stats;
        toc_metricdb_stats(s->db, &stats);
    }
}

static void maintain_loop(void *ctx) {
    struct shared *s = ctx;
    while (atomic_load(&s->running) > 0) {
        if (toc_metricdb_maintain(s->db, NULL))
            abort();
        toc_sleep_ms(1);
    }
}

static void writers_readers_and_housekeeping_agree(void **state) {
    (void)state;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_metricdb_options o = {
        .vfs = toc_vfs_sim_vfs(disk), .clock = &g_clock.base, .dir = "/data"};
    struct shared s = {.running = WRITERS};
    struct toc_err err = {0};
    struct toc_thread threads[WRITERS + 3];
    atomic_store(&g_clock.now_ms, T0);
    assert_int_equal(toc_metricdb_open(&o, &s.db, &err), 0);
    for (int i = 0; i < WRITERS + 3; i++)
        assert_int_equal(toc_thread_start(&threads[i], "test",
                                          i < WRITERS       ? write_loop
                                          : i < WRITERS + 2 ? read_loop
                                                            : maintain_loop,
                                          &s),
                         0);
    for (int i = 0; i < WRITERS + 3; i++)
        toc_thread_join(&threads[i]);
    /* On a busy machine the writers may be done before housekeeping got its turn. */
    assert_int_equal(toc_metricdb_compact(s.db, &err), 0);
    struct toc_metricdb_stats stats;
    toc_metricdb_stats(s.db, &stats);
    assert_true(stats.blocks > 0);
    toc_metricdb_close(&s.db);
    assert_int_equal(toc_metricdb_open(&o, &s.db, &err), 0);
    uint64_t found = 0;
    struct toc_select all = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(s.db);
    assert_int_equal(q->select(q, &all, count_samples, &found, NULL), 0);
    assert_true(found >= atomic_load(&s.acknowledged));
    toc_metricdb_close(&s.db);
    toc_vfs_sim_free(&disk);
}

/* --- one set, several readers --- */

struct set_reader {
    struct toc_series_set *set;
    uint64_t samples;
    double sum;
};

static void read_set(void *ctx) {
    struct set_reader *r = ctx;
    struct toc_series_buffer buffer = {0};
    for (size_t i = 0; i < r->set->count; i++) {
        struct toc_series_view v;
        if (r->set->read(r->set, i, T0, T0 + 100 * STEP_MS, &buffer, &v, NULL))
            abort();
        for (size_t k = 0; k < v.count; k++)
            r->sum += v.values[k] + (v.histograms && v.histograms[k] ? v.histograms[k]->sum : 0);
        r->samples += v.count;
    }
    toc_series_buffer_fini(&buffer);
}

static int ignore_value(void *ctx, struct toc_sv value) {
    (void)ctx;
    return value.n ? 0 : TOC_ECORRUPT;
}

/* Others write by reference, delete, and ask for labels, statistics and exemplars meanwhile. */
static void disturb(void *ctx) {
    struct shared *s = ctx;
    struct toc_querier *q = toc_metricdb_querier(s->db);
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("other")}};
    struct toc_labels labels = {items, 1};
    struct toc_matcher other;
    struct toc_arena arena = TOC_ARENA_INIT;
    if (toc_matcher_init(&other, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("other"), NULL))
        abort();
    struct toc_select of_other = {
        .matchers = &other, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_select all = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    for (int i = 0; atomic_load(&s->running) > 0; i++) {
        enum toc_reject_reason reason;
        struct toc_write_result result;
        struct toc_metricdb_sample x = {.t_ms = T0 + 200 * STEP_MS + i, .value = i};
        struct toc_exemplar e = {labels, x.t_ms, 1};
        struct toc_cardinality cardinality;
        size_t unknown;
        uint64_t deleted;
        if (toc_metricdb_series_ref(s->db, labels, &x.ref, &reason) ||
            toc_metricdb_write_refs(s->db, &x, 1, &result, &unknown, NULL) ||
            (i % 8 == 0 && toc_metricdb_delete(s->db, &of_other, &deleted, NULL)) ||
            q->label_values(q, TOC_SV("i"), &all, ignore_value, NULL, NULL) ||
            toc_metricdb_cardinality(s->db, 5, &arena, &cardinality) ||
            toc_metricdb_exemplar_add(s->db, labels, &e) != TOC_EXEMPLAR_KEPT ||
            (i % 16 == 3 && toc_metricdb_maintain(s->db, NULL)))
            abort();
        toc_arena_reset(&arena);
    }
    toc_arena_fini(&arena);
    toc_matcher_fini(&other);
}

static void fill(struct fixture *f) {
    int32_t index = 1;
    double count = 2;
    struct toc_histogram h = {.count = 2, .sum = 0.5, .positive = {&index, &count, 1}};
    struct toc_label items[2] = {{TOC_METRIC_NAME, TOC_SV("m")}};
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    for (int step = 0; step < 400; step++) {
        for (int i = 0; i < SERIES; i++) {
            char text[8];
            snprintf(text, sizeof text, "%d", i);
            items[1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(text)};
            struct toc_point p =
                toc_float_point((struct toc_labels){items, 2}, T0 + step * (int64_t)STEP_MS, step);
            p.histogram = i % 4 ? NULL : &h;
            assert_int_equal(sink->write(sink, &p, 1, NULL, NULL), 0);
        }
        fixture_advance(f, STEP_MS);
    }
}

static void one_set_is_read_by_several_threads(void **state) {
    (void)state;
    enum { READERS = 3 };
    struct fixture f;
    struct set_reader readers[READERS] = {0};
    struct toc_thread threads[READERS], disturber;
    fixture_init(&f, 1);
    fill(&f);
    assert_true(fixture_stats(&f).blocks > 0);
    struct shared s = {.db = f.db, .running = 1};
    struct toc_matcher m;
    struct toc_select q = {.matchers = &m,
                           .matcher_count = 1,
                           .min_ms = T0,
                           .max_ms = T0 + 100 * STEP_MS,
                           .sorted = true};
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("m"), NULL), 0);
    assert_int_equal(toc_thread_start(&disturber, "disturb", disturb, &s), 0);
    struct toc_querier *querier = toc_metricdb_querier(f.db);
    for (int round = 0; round < 20; round++) {
        struct toc_series_set *set;
        assert_int_equal(querier->open(querier, &q, &set, NULL), 0);
        assert_int_equal(set->count, SERIES);
        for (int i = 0; i < READERS; i++) {
            readers[i] = (struct set_reader){.set = set};
            assert_int_equal(toc_thread_start(&threads[i], "reader", read_set, &readers[i]), 0);
        }
        for (int i = 0; i < READERS; i++) {
            toc_thread_join(&threads[i]);
            assert_int_equal(readers[i].samples, 101 * SERIES);
            assert_true(readers[i].sum == 5050.0 * (SERIES * 3 / 4) + 0.5 * 101 * SERIES / 4);
        }
        set->close(&set);
    }
    atomic_store(&s.running, 0);
    toc_thread_join(&disturber);
    toc_matcher_fini(&m);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_set_is_read_by_several_threads),
        cmocka_unit_test(writers_readers_and_housekeeping_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
