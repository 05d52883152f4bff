/* Checkpoints of the head: a start with one shows what a start without shows, whatever lies
 * between, and a damaged one costs time only. */
#include "fixture.h"

#include "base/hash.h"
#include "base/rng.h"
#include "metricdb/checkpoint.h"
#include "metricdb/head.h"
#include "metricdb/histogram_code.h"
#include "model/sample.h"

enum { SERIES = 40, ROUNDS = 300, FLIPS = 150 };

/* --- what a database shows, in one number --- */

static int digest_series(void *ctx, const struct toc_series_view *s) {
    uint64_t *sum = ctx, h = toc_labels_hash(s->labels);
    for (size_t i = 0; i < s->count; i++) {
        uint64_t bits = toc_f64_bits(s->values[i]);
        h = toc_hash64(&s->t_ms[i], sizeof s->t_ms[i], h);
        h = toc_hash64(&bits, sizeof bits, h);
        if (s->histograms && s->histograms[i]) {
            struct toc_buf b = TOC_BUF_INIT;
            toc_histogram_encode(s->histograms[i], &b);
            h = toc_hash64(b.p, b.n, h);
            toc_buf_fini(&b);
        }
    }
    *sum += h;
    return 0;
}

static uint64_t digest(struct fixture *f) {
    uint64_t sum = 0;
    struct toc_matcher m;
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, TOC_SV(".+"), NULL), 0);
    struct toc_select s = {
        .matchers = &m, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(f->db);
    assert_int_equal(q->select(q, &s, digest_series, &sum, NULL), 0);
    toc_matcher_fini(&m);
    return sum;
}

/* --- a life --- */

static void write_histogram(struct fixture *f, const char *instance, int64_t t_ms, double count) {
    int32_t index[] = {1, 3};
    double counts[] = {count, 2};
    struct toc_histogram h = {
        .schema = 1, .positive = {index, counts, 2}, .count = count + 2, .sum = count};
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("size")},
                                {TOC_SV("i"), toc_sv_cstr(instance)}};
    struct toc_point p = toc_float_point((struct toc_labels){items, 2}, t_ms, 0);
    p.histogram = &h;
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    struct toc_write_result r;
    assert_int_equal(sink->write(sink, &p, 1, &r, NULL), 0);
    assert_int_equal(r.accepted, 1);
}

/* 15 s of all series; some samples come late, some are histograms. */
static void write_round(struct fixture *f, struct toc_rng *rng) {
    int64_t now = f->clock.wall.ms;
    for (int i = 0; i < SERIES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        bool is_late = toc_rng_below(rng, 20) == 0;
        int64_t t = now - (is_late ? 1 + (int64_t)toc_rng_below(rng, 600000) : 0);
        double v = i % 3 ? (double)toc_rng_below(rng, 1000) : toc_rng_normal(rng);
        assert_int_equal(fixture_write(f, "m", name, t, v, NULL), 0);
        if (i % 8 == 0)
            write_histogram(f, name, now, (double)toc_rng_below(rng, 50));
    }
    fixture_advance(f, 15000);
}

static void init(struct fixture *f, uint64_t seed, uint64_t checkpoint_samples) {
    fixture_init(f, seed);
    toc_metricdb_close(&f->db);
    f->options.limits.checkpoint_samples = checkpoint_samples;
    fixture_open(f);
}

static void live(struct fixture *f, struct toc_rng *rng, int rounds) {
    for (int i = 0; i < rounds; i++)
        write_round(f, rng);
}

/* Without a clean end. */
static void lose_power(struct fixture *f) {
    toc_metricdb_close(&f->db);
    toc_vfs_sim_restart(f->disk);
    fixture_open(f);
}

/* --- tests --- */

static void a_start_with_a_checkpoint_shows_what_was_there(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct fixture f;
        struct toc_rng rng;
        toc_rng_seed(&rng, seed);
        init(&f, seed, 200 * seed);
        for (int part = 0; part < 3; part++) {
            live(&f, &rng, ROUNDS / 3);
            uint64_t before = digest(&f);
            struct toc_metricdb_stats had = fixture_stats(&f);
            assert_true(had.checkpoints > 1 && had.checkpoint_bytes > 0);
            assert_int_equal(had.checkpoint_failures, 0);
            lose_power(&f);
            struct toc_metricdb_stats s = fixture_stats(&f);
            assert_true(s.checkpoint_samples > 0);
            assert_true(s.replay_samples < 2 * (200 * seed + SERIES));
            assert_int_equal(s.head_samples, had.head_samples);
            assert_int_equal(s.series, had.series);
            assert_int_equal(s.oldest_ms, had.oldest_ms);
            assert_int_equal(s.newest_ms, had.newest_ms);
            assert_int_equal(s.checkpoints_refused, 0);
            assert_true(digest(&f) == before);
        }
        fixture_fini(&f);
    }
}

/* Behind the position a record need not say again which series it is about. */
static void checkpoints_do_not_begin_segments(void **state) {
    (void)state;
    struct fixture f;
    struct toc_rng rng;
    toc_rng_seed(&rng, 5);
    init(&f, 5, 300);
    live(&f, &rng, 100);
    struct toc_metricdb_stats had = fixture_stats(&f);
    assert_true(had.checkpoints > 5);
    assert_int_equal(had.wal_segments, 1);
    uint64_t before = digest(&f);
    lose_power(&f);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_true(s.checkpoint_samples > 0);
    assert_true(s.replay_samples > 0 && s.replay_samples < 1000);
    assert_int_equal(s.corruptions, 0);
    assert_true(digest(&f) == before);
    fixture_fini(&f);
}

/* Series go, come back, and others get their places, while the log goes on in one segment. */
static void a_series_that_a_checkpoint_lacks_is_defined_again(void **state) {
    (void)state;
    struct fixture f;
    init(&f, 6, 1);
    int64_t t0 = f.clock.wall.ms;
    assert_int_equal(fixture_write(&f, "m", "goes", t0, 1, NULL), 0);
    assert_int_equal(fixture_write(&f, "m", "goes", t0 + 1, 2, NULL), 0);
    for (int i = 0; i < 4; i++) { /* what is old is sealed; the segment of the seal goes on */
        fixture_advance(&f, 3600000);
        assert_int_equal(fixture_write(&f, "m", "stays", f.clock.wall.ms, i, NULL), 0);
    }
    fixture_advance(&f, 1000);
    assert_true(fixture_stats(&f).blocks > 0);
    assert_int_equal(fixture_write(&f, "m", "other", f.clock.wall.ms, 3, NULL), 0);
    fixture_advance(&f, 1000);
    assert_int_equal(fixture_write(&f, "m", "goes", f.clock.wall.ms, 4, NULL), 0);
    assert_int_equal(fixture_write(&f, "m", "stays", f.clock.wall.ms, 5, NULL), 0);
    assert_int_equal(fixture_write(&f, "m", "other", f.clock.wall.ms, 6, NULL), 0);
    uint64_t before = digest(&f);
    lose_power(&f);
    assert_true(fixture_stats(&f).checkpoint_samples > 0);
    assert_int_equal(fixture_stats(&f).replay_samples, 3);
    assert_int_equal(fixture_stats(&f).corruptions, 0);
    assert_true(digest(&f) == before);
    fixture_fini(&f);
}

static void the_log_alone_says_the_same(void **state) {
    (void)state;
    struct fixture f;
    struct toc_rng rng;
    toc_rng_seed(&rng, 7);
    init(&f, 7, 1000);
    live(&f, &rng, ROUNDS);
    uint64_t before = digest(&f);
    toc_metricdb_close(&f.db);
    struct toc_vfs *vfs = f.options.vfs;
    for (int i = 0; i < 200; i++) {
        char path[64];
        toc_checkpoint_path("/data/head", TOC_CHECKPOINT_OPEN_FILE, (uint64_t)i, path, sizeof path);
        (void)vfs->remove(vfs, path);
    }
    fixture_open(&f);
    assert_int_equal(fixture_stats(&f).checkpoint_samples, 0);
    assert_true(digest(&f) == before);
    fixture_fini(&f);
}

static void a_deletion_is_not_undone(void **state) {
    (void)state;
    struct fixture f;
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    init(&f, 3, 1000);
    live(&f, &rng, 100);
    struct toc_matcher m;
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_RE, TOC_SV("i"), TOC_SV("1.*"), NULL), 0);
    struct toc_select s = {.matchers = &m,
                           .matcher_count = 1,
                           .min_ms = FIXTURE_START_MS + 300000,
                           .max_ms = INT64_MAX};
    uint64_t touched;
    assert_int_equal(toc_metricdb_delete(f.db, &s, &touched, NULL), 0);
    assert_true(touched > 0);
    toc_matcher_fini(&m);
    uint64_t before = digest(&f);
    lose_power(&f);
    assert_int_equal(fixture_stats(&f).checkpoint_samples, 0);
    assert_true(digest(&f) == before);
    live(&f, &rng, 60);
    before = digest(&f);
    lose_power(&f);
    assert_true(fixture_stats(&f).checkpoint_samples > 0);
    assert_true(digest(&f) == before);
    fixture_fini(&f);
}

static void a_seal_between_is_not_counted_twice(void **state) {
    (void)state;
    for (uint64_t cut = 1; cut < 400; cut += 13) {
        struct fixture f;
        struct toc_rng rng;
        toc_rng_seed(&rng, 11);
        init(&f, 11, 2000);
        live(&f, &rng, 500);
        assert_int_equal(fixture_stats(&f).blocks, 0);
        toc_clock_virtual_advance(&f.clock, 1000);
        uint64_t before = digest(&f), samples = fixture_stats(&f).head_samples;
        /* The power goes somewhere while a block is written and the log is shortened. */
        toc_clock_virtual_advance(&f.clock, 2 * 3600000);
        toc_vfs_sim_cut_power_after(f.disk, cut);
        (void)!toc_metricdb_compact(f.db, NULL);
        lose_power(&f);
        assert_true(digest(&f) == before);
        struct toc_metricdb_stats s = fixture_stats(&f);
        assert_int_equal(s.corruptions, 0);
        assert_int_equal(s.head_samples + s.block_samples, samples);
        fixture_fini(&f);
    }
}

/* --- long logs, long steps --- */

struct row {
    struct toc_label items[2];
    char name[16];
};

/* `rounds` samples of each of many series, 15 s apart, in one batch a round and no housekeeping. */
static void write_many(struct fixture *f, struct toc_rng *rng, int series, int rounds) {
    struct toc_point *points = TOC_NEW_ARRAY(struct toc_point, series);
    struct row *rows = TOC_NEW_ARRAY(struct row, series);
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    for (int k = 0; k < rounds; k++) {
        struct toc_write_result r;
        for (int i = 0; i < series; i++) {
            snprintf(rows[i].name, sizeof rows[i].name, "%d", i);
            rows[i].items[0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("many")};
            rows[i].items[1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(rows[i].name)};
            points[i] = toc_float_point((struct toc_labels){rows[i].items, 2}, f->clock.wall.ms,
                                        (double)toc_rng_below(rng, 1000));
        }
        assert_int_equal(sink->write(sink, points, (size_t)series, &r, NULL), 0);
        assert_int_equal(r.accepted, series);
        toc_clock_virtual_step_wall(&f->clock, 15000); /* all come at once */
    }
    toc_free(points);
    toc_free(rows);
}

static void delete_some(struct fixture *f, int64_t max_ms) {
    struct toc_matcher m;
    uint64_t touched;
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_RE, TOC_SV("i"), TOC_SV("7.*"), NULL), 0);
    struct toc_select s = {
        .matchers = &m, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = max_ms};
    assert_int_equal(toc_metricdb_delete(f->db, &s, &touched, NULL), 0);
    assert_true(touched > 0);
    toc_matcher_fini(&m);
}

/* Several batches of the start, with a deletion and histograms in between. */
static void a_long_log_alone_shows_what_was_there(void **state) {
    (void)state;
    struct fixture f;
    struct toc_rng rng;
    toc_rng_seed(&rng, 21);
    init(&f, 21, UINT64_MAX);
    for (int part = 0; part < 3; part++) {
        write_many(&f, &rng, 1000, 90);
        write_histogram(&f, "7", f.clock.wall.ms, part + 1);
        if (part == 1)
            delete_some(&f, f.clock.wall.ms);
    }
    uint64_t before = digest(&f);
    struct toc_metricdb_stats had = fixture_stats(&f);
    lose_power(&f);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(s.checkpoint_samples, 0);
    assert_int_equal(s.replay_samples, 3 * (1000 * 90 + 1));
    assert_int_equal(s.head_samples, had.head_samples);
    assert_int_equal(s.series, had.series);
    assert_int_equal(s.corruptions, 0);
    assert_true(digest(&f) == before);
    fixture_fini(&f);
}

/* Checkpoints that are taken while a block is written hold what the block holds, too. */
static void a_checkpoint_in_the_middle_of_a_seal_costs_nothing(void **state) {
    (void)state;
    unsigned in_the_middle = 0;
    for (uint64_t cut = 1; cut < 260; cut += 4) {
        struct fixture f;
        struct toc_rng rng;
        toc_rng_seed(&rng, 31);
        init(&f, 31, 1000);
        write_many(&f, &rng, 700, 30);
        uint64_t before = digest(&f), samples = fixture_stats(&f).head_samples;
        toc_clock_virtual_advance(&f.clock, 2 * 3600000);
        toc_vfs_sim_cut_power_after(f.disk, cut);
        (void)!toc_metricdb_compact(f.db, NULL);
        in_the_middle += fixture_stats(&f).checkpoints > 1;
        lose_power(&f);
        assert_true(digest(&f) == before);
        assert_int_equal(fixture_stats(&f).corruptions, 0);
        assert_int_equal(toc_metricdb_compact(f.db, NULL), 0);
        assert_true(digest(&f) == before);
        struct toc_metricdb_stats s = fixture_stats(&f);
        assert_int_equal(s.head_samples + s.block_samples, samples);
        assert_int_equal(s.blocks, 1);
        fixture_fini(&f);
    }
    assert_true(in_the_middle > 0);
}

/* A megabyte each is free, the rest was logged before. */
static void checkpoints_cost_no_more_than_the_log(void **state) {
    (void)state;
    struct fixture f;
    struct toc_rng rng;
    toc_rng_seed(&rng, 41);
    init(&f, 41, 1000);
    for (int k = 0; k < 200; k++) {
        write_many(&f, &rng, 9000, 1);
        assert_int_equal(toc_metricdb_maintain(f.db, NULL), 0);
    }
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_true(s.checkpoints > 3);
    assert_true(s.checkpoint_bytes <= (s.checkpoints << 20) + s.wal_bytes);
    fixture_fini(&f);
}

/* --- damage --- */

struct target {
    uint64_t skip;
    char path[256];
};

static void count_bytes(void *ctx, const char *path, uint64_t size) {
    struct target *t = ctx;
    if (!strstr(path, "/head/") || t->path[0])
        return;
    if (t->skip >= size) {
        t->skip -= size;
        return;
    }
    snprintf(t->path, sizeof t->path, "%s", path);
}

static void on_damage(void *ctx, const struct toc_metricdb_loss *loss, const char *what) {
    (void)what;
    *(int *)ctx += strstr(loss->path, "head/") != NULL;
}

static void a_flipped_bit_costs_nothing_but_time(void **state) {
    (void)state;
    struct fixture f;
    struct toc_rng rng;
    toc_rng_seed(&rng, 5);
    init(&f, 5, 3000);
    live(&f, &rng, ROUNDS);
    uint64_t before = digest(&f), total = 0;
    toc_metricdb_close(&f.db);
    toc_vfs_sim_restart(f.disk);
    struct target all = {.skip = UINT64_MAX};
    toc_vfs_sim_each_file(f.disk, count_bytes, &all);
    total = UINT64_MAX - all.skip;
    assert_true(total > 1000);
    unsigned refused = 0;
    for (uint64_t i = 0; i < FLIPS; i++) {
        struct fixture g = f;
        struct target t = {.skip = toc_rng_below(&rng, total)};
        g.disk = toc_vfs_sim_clone(f.disk, i);
        g.options.vfs = toc_vfs_sim_vfs(g.disk);
        toc_vfs_sim_each_file(g.disk, count_bytes, &t);
        assert_int_equal(toc_vfs_sim_flip_bit(g.disk, t.path, t.skip * 8 + toc_rng_below(&rng, 8)),
                         0);
        int damaged = 0;
        struct toc_metricdb_verdict v;
        assert_int_equal(toc_metricdb_verify(g.options.vfs, "/data", on_damage, &damaged, &v, NULL),
                         0);
        fixture_open(&g);
        assert_true(digest(&g) == before);
        struct toc_metricdb_stats s = fixture_stats(&g);
        assert_int_equal(s.corruptions, 0);
        refused += s.checkpoints_refused > 0;
        assert_true(damaged > 0 || s.checkpoints_refused == 0);
        toc_metricdb_close(&g.db);
        toc_vfs_sim_free(&g.disk);
    }
    assert_true(refused > FLIPS / 4);
    toc_vfs_sim_free(&f.disk);
}

static void verify_finds_whole_files_sound(void **state) {
    (void)state;
    struct fixture f;
    struct toc_rng rng;
    toc_rng_seed(&rng, 9);
    init(&f, 9, 1000);
    live(&f, &rng, 50);
    int damaged = 0;
    struct toc_metricdb_verdict v;
    assert_int_equal(toc_metricdb_verify(f.options.vfs, "/data", on_damage, &damaged, &v, NULL), 0);
    assert_int_equal(v.damaged, 0);
    assert_int_equal(v.checkpoints, 2);
    fixture_fini(&f);
}

/* --- the example of checkpoint_file.h --- */

static void the_worked_example_is_right(void **state) {
    (void)state;
    struct fixture f;
    init(&f, 1, 1);
    int64_t t0 = f.clock.wall.ms;
    assert_int_equal(fixture_write(&f, "m", "a", t0, 1, NULL), 0);
    assert_int_equal(toc_metricdb_maintain(f.db, NULL), 0);
    struct toc_checkpoint_reader r;
    struct toc_buf payload = TOC_BUF_INIT;
    assert_int_equal(
        toc_checkpoint_open(&r, f.options.vfs, "/data/head/0000000001.chunks", 1, UINT64_MAX), 0);
    assert_int_equal(r.records.count, 2);
    assert_int_equal(r.records.items[0].type, TOC_CHECKPOINT_PAIRS);
    assert_int_equal(toc_checkpoint_read(&r, &r.records.items[0], &payload), 0);
    assert_true(toc_sv_eq(toc_buf_sv(&payload), toc_sv_make("\0\x08__name__\x01m\x01\x01i\x01"
                                                            "a",
                                                            17)));
    assert_int_equal(toc_checkpoint_read(&r, &r.records.items[1], &payload), 0);
    /* id, two pairs, no closed chunks */
    assert_int_equal(payload.n, 8);
    assert_memory_equal(payload.p + 1, "\x02\x00\x01\x00\x00\x00\x00", 7);
    struct toc_checkpoint_end end = {
        .chain = 1,
        .chain_bytes = 1000,
        .series = 2,
        .position = {.segment = 7, .offset = 5000, .last_sequence = 40}};
    toc_buf_reset(&payload);
    toc_checkpoint_put_end(&payload, &end); /* as docs/design/metricdb.md has it */
    assert_int_equal(payload.n, 9);
    assert_memory_equal(payload.p, "\x01\xe8\x07\x02\x07\x28\x00\x88\x27", 9);
    struct toc_checkpoint_end got; /* the same as an earlier version wrote it */
    assert_int_equal(toc_checkpoint_get_end(toc_sv_make(payload.p, 7), &got), 0);
    assert_int_equal(got.position.segment, 7);
    assert_int_equal(got.position.offset, 0);
    toc_checkpoint_fini_end(&got);
    toc_buf_fini(&payload);
    toc_checkpoint_close(&r);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_with_a_checkpoint_shows_what_was_there),
        cmocka_unit_test(checkpoints_do_not_begin_segments),
        cmocka_unit_test(a_series_that_a_checkpoint_lacks_is_defined_again),
        cmocka_unit_test(the_log_alone_says_the_same),
        cmocka_unit_test(a_deletion_is_not_undone),
        cmocka_unit_test(a_seal_between_is_not_counted_twice),
        cmocka_unit_test(a_long_log_alone_shows_what_was_there),
        cmocka_unit_test(a_checkpoint_in_the_middle_of_a_seal_costs_nothing),
        cmocka_unit_test(checkpoints_cost_no_more_than_the_log),
        cmocka_unit_test(a_flipped_bit_costs_nothing_but_time),
        cmocka_unit_test(verify_finds_whole_files_sound),
        cmocka_unit_test(the_worked_example_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
