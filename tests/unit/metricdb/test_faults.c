/* Power loss at every call, failing calls, a full disk, flipped bits: nothing acknowledged is lost,
 * and what is lost is told. */
#include "fixture.h"

#include "base/rng.h"

#define T0 FIXTURE_START_MS

enum { INSTANCES = 5 };

static uint64_t g_seed = 1;

/* What a writer knows: which samples were acknowledged. Value of a sample follows from its place.
 */
struct ledger {
    bool acknowledged[4096][INSTANCES];
    int64_t t_ms[4096];
    int steps;
};

static double value_of(int step, int instance) {
    return step * 100 + instance + 0.5;
}

/* One batch: a sample for each instance. */
static int write_step(struct fixture *f, struct ledger *l, int64_t t_ms) {
    static const char *const names[INSTANCES] = {"a", "b", "c", "d", "e"};
    struct toc_label items[INSTANCES][2];
    struct toc_point points[INSTANCES];
    for (int i = 0; i < INSTANCES; i++) {
        items[i][0] = (struct toc_label){TOC_METRIC_NAME, TOC_SV("m")};
        items[i][1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(names[i])};
        points[i] = toc_float_point((struct toc_labels){items[i], 2}, t_ms, value_of(l->steps, i));
    }
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    struct toc_write_result r;
    int rc = sink->write(sink, points, INSTANCES, &r, NULL);
    l->t_ms[l->steps] = t_ms;
    for (int i = 0; i < INSTANCES; i++)
        l->acknowledged[l->steps][i] = rc == 0 && r.accepted == INSTANCES;
    l->steps++;
    return rc;
}

struct audit {
    const struct ledger *ledger;
    size_t found, foreign;
    bool seen[4096][INSTANCES];
};

static int audit_series(void *ctx, const struct toc_series_view *s) {
    struct audit *a = ctx;
    int instance = toc_labels_get(s->labels, TOC_SV("i")).p[0] - 'a';
    int step = 0;
    for (size_t k = 0; k < s->count; k++) {
        while (step < a->ledger->steps && a->ledger->t_ms[step] < s->t_ms[k])
            step++;
        if (step == a->ledger->steps || a->ledger->t_ms[step] != s->t_ms[k] ||
            s->values[k] != value_of(step, instance))
            a->foreign++;
        else
            a->seen[step][instance] = true;
        a->found++;
    }
    return 0;
}

/* How many acknowledged samples are missing. Nothing may be there that was never sent. */
static size_t missing(struct fixture *f, const struct ledger *l) {
    static struct audit a;
    a = (struct audit){.ledger = l};
    struct toc_select s = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(f->db);
    assert_int_equal(q->select(q, &s, audit_series, &a, NULL), 0);
    assert_int_equal(a.foreign, 0);
    size_t n = 0;
    for (int i = 0; i < l->steps; i++)
        for (int k = 0; k < INSTANCES; k++)
            n += l->acknowledged[i][k] && !a.seen[i][k];
    return n;
}

/* Hours of load with housekeeping: the log rotates, blocks are sealed. */
static void run_load(struct fixture *f, struct ledger *l, int steps) {
    for (int i = 0; i < steps; i++) {
        write_step(f, l, f->clock.wall.ms);
        toc_clock_virtual_advance(&f->clock, 300000);
        if (i % 4 == 3)
            (void)toc_metricdb_maintain(f->db, NULL);
    }
}

static void power_loss_at_every_call_loses_nothing_acknowledged(void **state) {
    (void)state;
    static struct ledger l;
    uint64_t calls = 1000;
    for (uint64_t cut = 1; cut <= calls; cut++) {
        struct fixture f;
        memset(&l, 0, sizeof l);
        fixture_init(&f, g_seed * 1000003 + cut);
        toc_vfs_sim_cut_power_after(f.disk, cut);
        run_load(&f, &l, 90);
        bool was_cut = toc_vfs_sim_is_off(f.disk);
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        if (missing(&f, &l))
            fail_msg("seed %llu, cut at call %llu: %zu acknowledged samples lost",
                     (unsigned long long)g_seed, (unsigned long long)cut, missing(&f, &l));
        if (fixture_stats(&f).corruptions)
            fail_msg("cut at %llu: an unfinished write was reported as damage: %s",
                     (unsigned long long)cut, fixture_stats(&f).losses[0].path);
        /* It goes on, and a second crash right away changes nothing. */
        run_load(&f, &l, 3);
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        assert_int_equal(missing(&f, &l), 0);
        fixture_fini(&f);
        if (!was_cut)
            calls = cut;
    }
    printf("power cut at each of %llu calls\n", (unsigned long long)calls);
    assert_true(calls > 150);
}

static void after_a_failed_fsync_a_new_file_is_used(void **state) {
    (void)state;
    static struct ledger l;
    memset(&l, 0, sizeof l);
    struct fixture f;
    fixture_init(&f, g_seed);
    run_load(&f, &l, 3);
    toc_vfs_sim_fail(f.disk, TOC_SIM_SYNC, 1, TOC_EIO, false);
    assert_int_equal(write_step(&f, &l, f.clock.wall.ms), TOC_EIO);
    assert_true(fixture_stats(&f).is_degraded);
    assert_int_equal(fixture_stats(&f).degraded_code, TOC_EIO);
    uint64_t segments = fixture_stats(&f).wal_segments;
    run_load(&f, &l, 3);
    assert_false(fixture_stats(&f).is_degraded);
    assert_int_equal(fixture_stats(&f).wal_segments, segments + 1);
    /* Now that a later fsync succeeded the samples of the failed write are durable as well. */
    for (int i = 0; i < INSTANCES; i++)
        l.acknowledged[3][i] = true;
    toc_metricdb_close(&f.db);
    toc_vfs_sim_restart(f.disk);
    fixture_open(&f);
    assert_int_equal(missing(&f, &l), 0);
    fixture_fini(&f);
}

static void a_full_disk_refuses_writes_serves_reads_and_recovers(void **state) {
    (void)state;
    static struct ledger l;
    memset(&l, 0, sizeof l);
    struct fixture f;
    fixture_init(&f, g_seed);
    run_load(&f, &l, 20);
    toc_vfs_sim_set_capacity(f.disk, 1); /* whatever is there is too much already */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(write_step(&f, &l, f.clock.wall.ms), TOC_ENOSPC);
        toc_clock_virtual_advance(&f.clock, 1000);
    }
    assert_int_equal(missing(&f, &l), 0);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_true(s.is_degraded);
    assert_true(s.wal_pending_samples > 0);
    toc_vfs_sim_set_capacity(f.disk, 0);
    assert_int_equal(write_step(&f, &l, f.clock.wall.ms), 0);
    assert_int_equal(fixture_stats(&f).wal_pending_samples, 0);
    assert_false(fixture_stats(&f).is_degraded);
    toc_metricdb_close(&f.db);
    toc_vfs_sim_restart(f.disk);
    fixture_open(&f);
    assert_int_equal(missing(&f, &l), 0);
    fixture_fini(&f);
}

static void too_much_pending_is_refused_up_front(void **state) {
    (void)state;
    static struct ledger l;
    memset(&l, 0, sizeof l);
    struct fixture f;
    fixture_init(&f, g_seed);
    f.options.limits.max_pending_samples = 20;
    fixture_reopen(&f);
    toc_vfs_sim_fail(f.disk, TOC_SIM_WRITE, 1, TOC_ENOSPC, true);
    for (int i = 0; i < 50; i++)
        assert_int_equal(write_step(&f, &l, T0 + i * 1000), TOC_ENOSPC);
    assert_true(fixture_stats(&f).wal_pending_samples <= 20);
    toc_vfs_sim_fail(f.disk, 0, 0, 0, false);
    assert_int_equal(write_step(&f, &l, T0 + 60000), 0);
    fixture_fini(&f);
}

/* Each kind of call fails at each place, once or for ever; then the disk is well again and power is
 * lost. */
static void sweep(unsigned call, int code, bool sticky, uint64_t *total) {
    static struct ledger l;
    for (uint64_t nth = 1; nth < 400; nth += 1 + nth / 12) {
        struct fixture f;
        memset(&l, 0, sizeof l);
        fixture_init(&f, g_seed + nth);
        toc_vfs_sim_fail(f.disk, call, nth, code, sticky);
        run_load(&f, &l, 70);
        toc_vfs_sim_fail(f.disk, 0, 0, 0, false);
        assert_int_equal(missing(&f, &l), 0);
        run_load(&f, &l, 6);
        assert_int_equal(missing(&f, &l), 0);
        toc_metricdb_close(&f.db);
        toc_vfs_sim_restart(f.disk);
        fixture_open(&f);
        if (missing(&f, &l))
            fail_msg("call %u failed with %d at %llu (%s): %zu acknowledged samples lost", call,
                     code, (unsigned long long)nth, sticky ? "for ever" : "once", missing(&f, &l));
        fixture_fini(&f);
        ++*total;
    }
}

static void any_failing_call_loses_nothing_acknowledged(void **state) {
    (void)state;
    static const unsigned calls[] = {TOC_SIM_OPEN,     TOC_SIM_WRITE,   TOC_SIM_SYNC,
                                     TOC_SIM_RENAME,   TOC_SIM_REMOVE,  TOC_SIM_MKDIR,
                                     TOC_SIM_SYNC_DIR, TOC_SIM_TRUNCATE};
    uint64_t total = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(calls); i++) {
        sweep(calls[i], TOC_EIO, false, &total);
        sweep(calls[i], TOC_ENOSPC, true, &total);
    }
    printf("%llu runs with a failing call\n", (unsigned long long)total);
}

static void an_unreadable_block_is_an_error_not_an_empty_answer(void **state) {
    (void)state;
    static struct ledger l;
    memset(&l, 0, sizeof l);
    struct fixture f;
    struct toc_err err = {0};
    fixture_init(&f, g_seed);
    run_load(&f, &l, 90);
    toc_vfs_sim_fail(f.disk, TOC_SIM_OPEN, 1, TOC_EIO, true);
    struct toc_select s = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(f.db);
    struct fixture_found x = {0};
    assert_int_equal(q->select(q, &s, fixture_count, &x, &err), TOC_EIO);
    assert_true(err.message[0]);
    toc_vfs_sim_fail(f.disk, 0, 0, 0, false);
    assert_int_equal(missing(&f, &l), 0);
    fixture_fini(&f);
}

/* --- flipped bits --- */

struct files {
    char paths[64][128];
    uint64_t sizes[64];
    size_t count;
    const char *part;
};

static void note_file(void *ctx, const char *path, uint64_t size) {
    struct files *x = ctx;
    if (!strstr(path, x->part) || !size || x->count == TOC_ARRAY_LEN(x->paths))
        return;
    snprintf(x->paths[x->count], sizeof x->paths[0], "%s", path);
    x->sizes[x->count++] = size;
}

static void count_damage(void *ctx, const struct toc_metricdb_loss *loss, const char *what) {
    (void)loss;
    (void)what;
    ++*(size_t *)ctx;
}

/* Flips one bit in a file of the kind; returns how many samples are lost. */
static size_t flip_one(struct toc_rng *rng, const char *part) {
    static struct ledger l;
    struct fixture f;
    struct files files = {.part = part};
    memset(&l, 0, sizeof l);
    fixture_init(&f, g_seed);
    run_load(&f, &l, 90);
    toc_metricdb_close(&f.db);
    toc_vfs_sim_each_file(f.disk, note_file, &files);
    assert_true(files.count > 0);
    size_t file = (size_t)toc_rng_below(rng, files.count);
    uint64_t bit = toc_rng_below(rng, files.sizes[file] * 8);
    assert_int_equal(toc_vfs_sim_flip_bit(f.disk, files.paths[file], bit), 0);
    struct toc_metricdb_verdict verdict;
    size_t damaged = 0;
    assert_int_equal(
        toc_metricdb_verify(f.options.vfs, "/data", count_damage, &damaged, &verdict, NULL), 0);
    fixture_open(&f);
    size_t lost = missing(&f, &l);
    struct toc_metricdb_stats s = fixture_stats(&f);
    if (lost && !s.corruptions && !s.torn_tails)
        fail_msg("%s bit %llu: %zu samples lost in silence", files.paths[file],
                 (unsigned long long)bit, lost);
    if (lost && s.corruptions)
        assert_true(damaged > 0);
    fixture_fini(&f);
    return lost;
}

static void one_flipped_bit_costs_one_record_or_one_chunk(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    for (int i = 0; i < 150; i++) {
        size_t lost = flip_one(&rng, "/wal/");
        assert_true(lost <= INSTANCES); /* a record here is one batch */
    }
    for (int i = 0; i < 100; i++) {
        size_t lost = flip_one(&rng, "/chunks");
        assert_true(lost <= 24); /* two hours of one series */
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(flip_one(&rng, "/index"), 0);
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--seed"))
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_loss_at_every_call_loses_nothing_acknowledged),
        cmocka_unit_test(after_a_failed_fsync_a_new_file_is_used),
        cmocka_unit_test(a_full_disk_refuses_writes_serves_reads_and_recovers),
        cmocka_unit_test(too_much_pending_is_refused_up_front),
        cmocka_unit_test(any_failing_call_loses_nothing_acknowledged),
        cmocka_unit_test(an_unreadable_block_is_an_error_not_an_empty_answer),
        cmocka_unit_test(one_flipped_bit_costs_one_record_or_one_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
