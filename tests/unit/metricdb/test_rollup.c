/* Roll-ups: their chunks, and their life in the database. Their values over many shapes of series:
 * tests/prop/metricdb/prop_rollup.c. */
#include "fixture.h"
#include "metricdb/rollup_chunk.h"
#include "model/sample.h"

enum { MINUTE = 60000, HOUR = 3600000, DAY = 86400000 };
#define T0 (FIXTURE_START_MS - FIXTURE_START_MS % DAY)

/* --- buckets --- */

static void the_example_of_the_format_holds(void **state) {
    (void)state;
    static const uint8_t want[] = {0x05, 0x01, 0xe0, 0xa7, 0x12, 0x04, 0x02, 0x04, 0x04, 0x05,
                                   0x00, 0x04, 0x80, 0xa6, 0x1d, 0x04, 0xc0, 0xfc, 0x15, 0x07,
                                   0,    0,    0,    0,    0,    0,    0,    0xf0, 0x3f, 0,
                                   0,    0,    0,    0,    0,    0,    0x08, 0x40, 0,    0,
                                   0,    0,    0,    0,    0,    0x10, 0x40};
    struct toc_rollup r = {.end_ms = 300000,
                           .first_ms = 60000,
                           .last_ms = 120000,
                           .first = 1,
                           .last = 3,
                           .min = 1,
                           .max = 3,
                           .sum = 4,
                           .count = 2};
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_rollups back = {0};
    toc_rollup_chunk_encode(&r, 1, 300000, &b);
    assert_int_equal(b.n, sizeof want);
    assert_memory_equal(b.p, want, sizeof want);
    assert_int_equal(toc_rollup_chunk_decode(toc_buf_sv(&b), 300000, &back), 0);
    assert_int_equal(back.count, 1);
    assert_memory_equal(&back.items[0], &r, sizeof r);
    assert_int_equal(toc_rollup_chunk_decode(toc_buf_sv(&b), 3600000, &back), TOC_ECORRUPT);
    toc_rollups_fini(&back);
    toc_buf_fini(&b);
}

static struct toc_rollup bucket(int64_t first_ms, double first, int64_t last_ms, double last,
                                uint32_t count) {
    return (struct toc_rollup){.end_ms = 300000,
                               .first_ms = first_ms,
                               .last_ms = last_ms,
                               .first = first,
                               .last = last,
                               .min = TOC_MIN(first, last),
                               .max = TOC_MAX(first, last),
                               .sum = first + last,
                               .count = count};
}

static void parts_of_a_bucket_that_are_apart_are_joined_in_their_order(void **state) {
    (void)state;
    struct toc_rollup early = bucket(1000, 5, 2000, 9, 2), late = bucket(3000, 2, 4000, 4, 2);
    struct toc_rollup a = toc_rollup_unite(&early, &late), b = toc_rollup_unite(&late, &early);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(a.count, 4);
    assert_true(a.first == 5 && a.last == 4 && a.min == 2 && a.max == 9 && a.sum == 20);
    assert_true(a.drops == 9); /* 9 fell to 2 */
}

static void of_two_tellings_of_a_bucket_the_fuller_one_stays(void **state) {
    (void)state;
    struct toc_rollup all = bucket(1000, 1, 4000, 4, 4), part = bucket(2000, 2, 4000, 4, 3);
    assert_int_equal(toc_rollup_unite(&all, &part).count, 4);
    assert_int_equal(toc_rollup_unite(&part, &all).count, 4);
}

static void buckets_are_open_on_the_left(void **state) {
    (void)state;
    assert_int_equal(toc_rollup_end(0, 300000), 0);
    assert_int_equal(toc_rollup_end(1, 300000), 300000);
    assert_int_equal(toc_rollup_end(300000, 300000), 300000);
    assert_int_equal(toc_rollup_end(-1, 300000), 0);
    assert_int_equal(toc_rollup_floor(-1, 300000), -300000);
}

/* --- in the database --- */

struct told {
    size_t series, buckets, samples;
    int64_t resolution_ms;
    uint64_t count, histograms;
    double sum;
    int64_t first_end_ms, last_end_ms;
    bool is_thinned;
};

static int collect(void *ctx, const struct toc_series_view *s) {
    struct told *x = ctx;
    x->series++;
    x->buckets += s->rollup_count;
    x->samples += s->count;
    x->is_thinned |= s->is_thinned;
    x->resolution_ms = s->rollup_count ? s->resolution_ms : x->resolution_ms;
    for (size_t i = 0; i < s->rollup_count; i++) {
        x->count += s->rollups[i].count;
        x->histograms += s->rollups[i].histograms;
        x->sum += s->rollups[i].count ? s->rollups[i].sum : 0;
        x->last_end_ms = s->rollups[i].end_ms;
        x->first_end_ms = x->first_end_ms ? x->first_end_ms : s->rollups[i].end_ms;
    }
    for (size_t i = 0; i < s->count; i++)
        x->sum += s->values[i];
    return 0;
}

static struct told ask(struct fixture *f, const char *name, int64_t min_ms, int64_t max_ms,
                       enum toc_rollup_use use, int64_t aligned_ms) {
    struct toc_matcher m;
    struct told x = {0};
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, toc_sv_cstr(name), NULL),
                     0);
    struct toc_select s = {.matchers = &m,
                           .matcher_count = 1,
                           .min_ms = min_ms,
                           .max_ms = max_ms,
                           .rollups = use,
                           .aligned_ms = aligned_ms};
    struct toc_querier *q = toc_metricdb_querier(f->db);
    assert_int_equal(q->select(q, &s, collect, &x, NULL), 0);
    toc_matcher_fini(&m);
    return x;
}

static struct told all_buckets(struct fixture *f, const char *name) {
    return ask(f, name, T0 + 1, T0 + 20 * (int64_t)DAY, TOC_ROLLUP_BUCKETS, 300000);
}

static void start_at_midnight(struct fixture *f) {
    fixture_init(f, 1);
    toc_clock_virtual_step_wall(&f->clock, T0 - FIXTURE_START_MS);
}

/* One sample a minute, 1 each; ends behind `hours`. */
static void run_hours(struct fixture *f, int hours) {
    for (int i = 0; i < hours * 60; i++) {
        fixture_advance(f, MINUTE);
        assert_int_equal(fixture_write(f, "m", "a", f->clock.wall.ms, 1, NULL), 0);
    }
}

/* So that only roll-ups are left of all but the last day. */
static void expire(struct fixture *f) {
    f->options.limits.retention_ms = DAY;
    fixture_reopen(f);
    for (int i = 0; i < 30; i++)
        fixture_advance(f, 11000);
}

static void a_day_is_rolled_up_when_it_is_over(void **state) {
    (void)state;
    struct fixture f;
    start_at_midnight(&f);
    run_hours(&f, 23);
    assert_int_equal(fixture_stats(&f).rollups_made, 0);
    run_hours(&f, 9);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(s.rollups_made, 2);
    assert_int_equal(s.rollups[0].buckets, 288);
    assert_int_equal(s.rollups[1].buckets, 24);
    struct told x = all_buckets(&f, "m"); /* the rest is rolled up on the way */
    assert_int_equal(x.buckets, 32 * 12);
    assert_int_equal(x.count, 32 * 60);
    assert_int_equal(x.resolution_ms, 300000);
    x = ask(&f, "m", T0 + 1, T0 + 20 * (int64_t)DAY, TOC_ROLLUP_BUCKETS, 2 * HOUR);
    assert_int_equal(x.resolution_ms, HOUR);
    assert_int_equal(x.buckets, 32);
    /* Too short, not aligned, or not asked for: samples. */
    assert_int_equal(ask(&f, "m", T0 + 1, T0 + DAY, TOC_ROLLUP_BUCKETS, HOUR).buckets, 0);
    assert_int_equal(
        ask(&f, "m", T0 + 1, T0 + 20 * (int64_t)DAY, TOC_ROLLUP_BUCKETS, 60000).samples, 32 * 60);
    assert_int_equal(ask(&f, "m", T0 + 1, T0 + 20 * (int64_t)DAY, TOC_ROLLUP_NONE, HOUR).samples,
                     32 * 60);
    fixture_fini(&f);
}

static void samples_go_when_they_have_been_rolled_up(void **state) {
    (void)state;
    struct fixture f;
    start_at_midnight(&f);
    f.options.limits.retention_ms = 4 * HOUR; /* long before the day is over */
    fixture_reopen(&f);
    run_hours(&f, 60);
    for (int round = 0; round < 2; round++) {
        struct fixture_found raw = fixture_select(&f, "m", INT64_MIN, INT64_MAX);
        assert_true(raw.samples < 20 * 60);
        assert_int_equal(all_buckets(&f, "m").count, 60 * 60); /* none is missing */
        struct told x = ask(&f, "m", T0 + 1, T0 + 20 * (int64_t)DAY, TOC_ROLLUP_LAST, 0);
        assert_true(x.is_thinned);
        assert_int_equal(x.buckets, 0);
        assert_true(x.samples > raw.samples);
        fixture_reopen(&f);
    }
    struct toc_metricdb_verdict v;
    assert_int_equal(toc_metricdb_verify(f.options.vfs, f.options.dir, NULL, NULL, &v, NULL), 0);
    assert_int_equal(v.damaged, 0);
    assert_true(v.rollup_blocks >= 4 && v.buckets > 300);
    fixture_fini(&f);
}

static void roll_ups_go_by_their_own_time_and_rule(void **state) {
    (void)state;
    struct fixture f;
    struct toc_matcher m;
    struct toc_metricdb_retention_rule rule = {&m, 1, {0, 2 * DAY, -1}};
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("m"), NULL), 0);
    start_at_midnight(&f);
    f.options.limits.retention_ms = DAY;
    f.options.retention_rules = &rule;
    f.options.retention_rule_count = 1;
    fixture_reopen(&f);
    for (int day = 0; day < 6; day++) {
        run_hours(&f, 24);
        assert_int_equal(fixture_write(&f, "other", "a", f.clock.wall.ms, 1, NULL), 0);
    }
    struct told fine = all_buckets(&f, "m");
    assert_true(fine.first_end_ms > T0 + DAY && fine.first_end_ms <= T0 + 3 * (int64_t)DAY + HOUR);
    assert_int_equal(fine.resolution_ms, 300000);
    struct told other = ask(&f, "other", T0 + 1, T0 + 20 * (int64_t)DAY, TOC_ROLLUP_BUCKETS, HOUR);
    assert_int_equal(other.count, 6);
    assert_int_equal(other.resolution_ms, HOUR);
    toc_matcher_fini(&m);
    fixture_fini(&f);
}

static void delete_range(struct fixture *f, int64_t min_ms, int64_t max_ms) {
    struct toc_matcher m;
    uint64_t n;
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("m"), NULL), 0);
    struct toc_select s = {.matchers = &m, .matcher_count = 1, .min_ms = min_ms, .max_ms = max_ms};
    assert_int_equal(toc_metricdb_delete(f->db, &s, &n, NULL), 0);
    assert_true(n > 0);
    toc_matcher_fini(&m);
}

static void what_is_deleted_leaves_the_roll_ups(void **state) {
    (void)state;
    struct fixture f;
    start_at_midnight(&f);
    run_hours(&f, 60);
    /* Ten minutes and a half, from 02:01 on; samples are still there. */
    delete_range(&f, T0 + 2 * HOUR + MINUTE, T0 + 2 * HOUR + 11 * MINUTE + 30000);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(all_buckets(&f, "m").count, 60 * 60 - 11);
        fixture_advance(&f, 61000);
    }
    expire(&f);
    assert_int_equal(all_buckets(&f, "m").count, 60 * 60 - 11);
    /* Now only buckets tell, and those that are touched go as a whole: 03:00 to 03:10. */
    delete_range(&f, T0 + 3 * HOUR + MINUTE, T0 + 3 * HOUR + 6 * MINUTE);
    for (int round = 0; round < 2; round++) {
        struct told x = ask(&f, "m", T0 + 3 * HOUR + 1, T0 + 4 * HOUR, TOC_ROLLUP_BUCKETS, 0);
        assert_int_equal(x.resolution_ms, 300000);
        assert_int_equal(x.count - (uint64_t)5 /* one bucket more is read */, 50);
        for (int i = 0; i < 5; i++)
            fixture_advance(&f, 61000);
        fixture_reopen(&f);
    }
    fixture_fini(&f);
}

static void histograms_are_counted_and_read_as_they_are(void **state) {
    (void)state;
    struct fixture f;
    start_at_midnight(&f);
    int32_t index[] = {1};
    double count[] = {3};
    struct toc_histogram h = {.count = 3, .sum = 9, .positive = {index, count, 1}};
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("mixed")}};
    struct toc_sink *sink = toc_metricdb_sink(f.db);
    for (int i = 0; i < 60 * 60; i++) {
        fixture_advance(&f, MINUTE);
        struct toc_point p = toc_float_point((struct toc_labels){items, 1}, f.clock.wall.ms, 1);
        struct toc_write_result r;
        p.histogram = i % 100 ? NULL : &h;
        p.value = p.histogram ? 0 : 1;
        assert_int_equal(sink->write(sink, &p, 1, &r, NULL), 0);
        assert_int_equal(r.accepted, 1);
    }
    struct told x = all_buckets(&f, "mixed");
    assert_int_equal(x.buckets, 0); /* buckets would not tell all */
    assert_int_equal(x.samples, 60 * 60);
    expire(&f);
    x = all_buckets(&f, "mixed");
    assert_int_equal(x.count, 60 * 60 - 36);
    assert_int_equal(x.histograms, 36);
    fixture_fini(&f);
}

static int count_value(void *ctx, struct toc_sv value) {
    *(int *)ctx += toc_sv_eq(value, TOC_SV("early"));
    return 0;
}

static void a_series_that_only_roll_ups_know_is_named(void **state) {
    (void)state;
    struct fixture f;
    start_at_midnight(&f);
    fixture_advance(&f, MINUTE);
    assert_int_equal(fixture_write(&f, "m", "early", f.clock.wall.ms, 1, NULL), 0);
    run_hours(&f, 60);
    expire(&f);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).series, 1);
    struct toc_querier *q = toc_metricdb_querier(f.db);
    for (int of_today = 0; of_today < 2; of_today++) {
        int found = 0;
        struct toc_select s = {.min_ms = of_today ? T0 + 2 * (int64_t)DAY : T0,
                               .max_ms = T0 + 3 * (int64_t)DAY,
                               .labels_only = true};
        assert_int_equal(q->label_values(q, TOC_SV("i"), &s, count_value, &found, NULL), 0);
        assert_int_equal(found, !of_today);
        struct fixture_found x = {0};
        assert_int_equal(q->select(q, &s, fixture_count, &x, NULL), 0);
        assert_int_equal(x.series, of_today ? 1 : 2);
    }
    fixture_fini(&f);
}

/* --- failures --- */

static void a_crash_at_any_write_costs_nothing(void **state) {
    (void)state;
    unsigned cut = 0;
    for (uint64_t at = 1; at < 90; at += 2) {
        struct fixture f;
        start_at_midnight(&f);
        f.options.limits.retention_ms = 30 * (int64_t)DAY;
        f.options.limits.rollup_5m_ms = f.options.limits.rollup_1h_ms = -1;
        fixture_reopen(&f);
        run_hours(&f, 56);
        f.options.limits.rollup_5m_ms = f.options.limits.rollup_1h_ms = 0;
        f.options.limits.retention_ms = DAY;
        fixture_reopen(&f);
        toc_vfs_sim_cut_power_after(f.disk, at);
        for (int i = 0; i < 40; i++) {
            toc_clock_virtual_advance(&f.clock, 11000);
            (void)toc_metricdb_maintain(f.db, NULL);
        }
        cut += toc_vfs_sim_is_off(f.disk);
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        for (int round = 0; round < 2; round++) {
            struct told x = all_buckets(&f, "m"); /* of samples while there are no roll-ups */
            assert_int_equal(x.count + x.samples, 56 * 60);
            for (int i = 0; i < 40; i++)
                fixture_advance(&f, 11000);
            assert_int_equal(fixture_stats(&f).corruptions, 0);
            assert_int_equal(fixture_stats(&f).rollups[0].blocks, 2);
        }
        fixture_fini(&f);
    }
    assert_true(cut > 20);
}

struct found_file {
    const char *part;
    char path[256];
    uint64_t size;
};

static void note_file(void *ctx, const char *path, uint64_t size) {
    struct found_file *x = ctx;
    if (strstr(path, x->part) && !x->path[0]) {
        snprintf(x->path, sizeof x->path, "%s", path);
        x->size = size;
    }
}

static unsigned flip_and_count_losses(const char *folder, const char *name, uint64_t *out_count) {
    struct fixture f;
    char part[80];
    start_at_midnight(&f);
    run_hours(&f, 60);
    expire(&f);
    toc_metricdb_close(&f.db);
    snprintf(part, sizeof part, "%s/b-0000", folder);
    struct found_file block = {.part = part};
    toc_vfs_sim_each_file(f.disk, note_file, &block);
    assert_true(block.path[0]);
    *strrchr(block.path, '/') = '\0';
    char path[300];
    snprintf(path, sizeof path, "%s/%s", block.path, name);
    struct found_file file = {.part = path};
    toc_vfs_sim_each_file(f.disk, note_file, &file);
    assert_int_equal(toc_vfs_sim_flip_bit(f.disk, path, file.size * 4), 0);
    struct toc_metricdb_verdict v;
    assert_int_equal(toc_metricdb_verify(f.options.vfs, f.options.dir, NULL, NULL, &v, NULL), 0);
    assert_int_equal(v.damaged, 1);
    fixture_open(&f);
    *out_count = all_buckets(&f, "m").count;
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(s.loss_count, s.corruptions);
    if (!strcmp(name, "chunks"))
        assert_non_null(strstr(s.losses[0].series, "m{i=\"a\"}"));
    unsigned losses = (unsigned)s.corruptions;
    fixture_fini(&f);
    return losses;
}

static void a_flipped_bit_costs_one_chunk(void **state) {
    (void)state;
    uint64_t count;
    assert_int_equal(flip_and_count_losses("rollup-5m", "chunks", &count), 1);
    assert_true(count == 60 * 60 - 24 * 60 || count == 60 * 60); /* then of the hourly ones */
    assert_int_equal(flip_and_count_losses("rollup-5m", "index", &count), 1);
    assert_int_equal(count, 60 * 60);
}

static void a_snapshot_has_them(void **state) {
    (void)state;
    struct fixture f;
    char name[TOC_SNAPSHOT_NAME_MAX], dir[200];
    start_at_midnight(&f);
    run_hours(&f, 60);
    expire(&f);
    assert_int_equal(toc_metricdb_snapshot(f.db, true, name, NULL), 0);
    toc_metricdb_close(&f.db);
    snprintf(dir, sizeof dir, "/data/snapshots/%s", name);
    f.options.dir = dir;
    fixture_open(&f);
    assert_int_equal(all_buckets(&f, "m").count, 60 * 60);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_format_holds),
        cmocka_unit_test(parts_of_a_bucket_that_are_apart_are_joined_in_their_order),
        cmocka_unit_test(of_two_tellings_of_a_bucket_the_fuller_one_stays),
        cmocka_unit_test(buckets_are_open_on_the_left),
        cmocka_unit_test(a_day_is_rolled_up_when_it_is_over),
        cmocka_unit_test(samples_go_when_they_have_been_rolled_up),
        cmocka_unit_test(roll_ups_go_by_their_own_time_and_rule),
        cmocka_unit_test(what_is_deleted_leaves_the_roll_ups),
        cmocka_unit_test(histograms_are_counted_and_read_as_they_are),
        cmocka_unit_test(a_series_that_only_roll_ups_know_is_named),
        cmocka_unit_test(a_crash_at_any_write_costs_nothing),
        cmocka_unit_test(a_flipped_bit_costs_one_chunk),
        cmocka_unit_test(a_snapshot_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
