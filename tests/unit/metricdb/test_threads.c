/* Writers, readers and housekeeping at once; made for ThreadSanitizer. */
#include "fixture.h"

#include <stdatomic.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_readers_and_housekeeping_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
