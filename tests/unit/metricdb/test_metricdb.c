#include "fixture.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/histogram.h"

#define T0 FIXTURE_START_MS

static void what_was_written_is_read_and_survives_reopen(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(fixture_write(&f, "up", "a", T0 + i * 1000, i, NULL), 0);
        assert_int_equal(fixture_write(&f, "up", "b", T0 + i * 1000, -i, NULL), 0);
        toc_clock_virtual_advance(&f.clock, 1000);
    }
    for (int round = 0; round < 2; round++) {
        struct fixture_found x = fixture_select(&f, "up", T0 + 1000, T0 + 400000);
        assert_int_equal(x.series, 2);
        assert_int_equal(x.samples, 800);
        assert_int_equal(fixture_select(&f, "down", INT64_MIN, INT64_MAX).series, 0);
        fixture_reopen(&f);
    }
    assert_int_equal(fixture_stats(&f).corruptions, 0);
    assert_int_equal(fixture_stats(&f).head_samples, 1000);
    fixture_fini(&f);
}

static void special_values_come_back_bit_by_bit(void **state) {
    (void)state;
    const uint64_t bits[] = {TOC_STALE_NAN_BITS, TOC_NORMAL_NAN_BITS, 0x7ff0000000000000,
                             0xfff0000000000000, 0x8000000000000000,  1,
                             0xfff8dead0000beef};
    struct fixture f;
    fixture_init(&f, 1);
    for (size_t i = 0; i < TOC_ARRAY_LEN(bits); i++)
        assert_int_equal(
            fixture_write(&f, "x", NULL, T0 + (int64_t)i, toc_f64_from_bits(bits[i]), NULL), 0);
    fixture_reopen(&f);
    for (size_t i = 0; i < TOC_ARRAY_LEN(bits); i++) {
        struct fixture_found x = fixture_select(&f, "x", T0 + (int64_t)i, T0 + (int64_t)i);
        assert_int_equal(x.samples, 1);
        assert_true(toc_f64_bits(x.last) == bits[i]);
    }
    fixture_fini(&f);
}

static void refusals_are_counted_with_their_reason(void **state) {
    (void)state;
    struct fixture f;
    struct toc_write_result r;
    fixture_init(&f, 1);
    assert_int_equal(fixture_write(&f, "m", "a", T0, 1, &r), 0);
    assert_int_equal(r.accepted, 1);
    assert_int_equal(fixture_write(&f, "m", "a", T0, 1, &r), 0);
    assert_int_equal(r.accepted, 1); /* the very same: fine, as upstream */
    assert_int_equal(fixture_write(&f, "m", "a", T0, 2, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_DUPLICATE], 1);
    assert_int_equal(fixture_write(&f, "m", "a", T0 + 3600001, 2, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_TOO_FAR_IN_FUTURE], 1);
    assert_int_equal(fixture_write(&f, "m", "\xff", T0, 2, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_INVALID_LABELS], 1);
    assert_int_equal(fixture_write(&f, "", "a", T0, 2, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_INVALID_LABELS], 1);
    char *big = toc_xcalloc(1, 5001);
    memset(big, 'x', 5000);
    assert_int_equal(fixture_write(&f, "m", big, T0, 2, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_LABEL_LIMIT], 1);
    toc_free(big);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(s.rejected[TOC_REJECT_INVALID_LABELS], 2);
    assert_int_equal(s.series, 1);
    fixture_fini(&f);
}

static void late_samples_are_put_in_order(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    for (int i = 0; i < 1000; i++) {
        int64_t t = T0 + (int64_t)((i * 7919) % 1000) * 100;
        assert_int_equal(fixture_write(&f, "m", "a", t, (double)t, NULL), 0);
    }
    struct fixture_found x = fixture_select(&f, "m", T0, T0 + 100000);
    assert_int_equal(x.samples, 1000);
    assert_true(x.last == (double)(T0 + 99900));
    fixture_reopen(&f);
    assert_int_equal(fixture_select(&f, "m", T0, T0 + 100000).samples, 1000);
    fixture_fini(&f);
}

static void the_series_limit_holds(void **state) {
    (void)state;
    struct fixture f;
    struct toc_write_result r;
    fixture_init(&f, 1);
    f.options.limits.max_series = 3;
    fixture_reopen(&f);
    const char *names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(fixture_write(&f, names[i], NULL, T0, 1, &r), 0);
    assert_int_equal(r.rejected[TOC_REJECT_SERIES_LIMIT], 1);
    assert_int_equal(fixture_write(&f, "a", NULL, T0 + 1, 1, &r), 0);
    assert_int_equal(r.accepted, 1);
    fixture_fini(&f);
}

/* Ten hours of a sample every 10 s; housekeeping once a minute. */
static void run_hours(struct fixture *f, int hours) {
    for (int i = 0; i < hours * 360; i++) {
        int64_t now = f->clock.wall.ms;
        assert_int_equal(fixture_write(f, "m", "a", now, i, NULL), 0);
        assert_int_equal(fixture_write(f, "m", "b", now, i * 0.25, NULL), 0);
        if (i % 6 == 0)
            assert_int_equal(toc_metricdb_maintain(f->db, NULL), 0);
        toc_clock_virtual_advance(&f->clock, 10000);
    }
}

static void old_samples_move_to_blocks_and_the_log_shrinks(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    run_hours(&f, 10);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_true(s.blocks_sealed >= 3);
    assert_true(s.blocks >= 1 && s.blocks < s.blocks_sealed); /* some were merged */
    assert_true(s.head_samples <= 2 * 360 * 4);
    assert_int_equal(s.head_samples + s.block_samples, 2 * 3600);
    assert_true(s.wal_segments <= 2);
    assert_int_equal(s.oldest_ms, T0);
    for (int round = 0; round < 2; round++) {
        struct fixture_found x = fixture_select(&f, "m", T0, T0 + 36000000);
        assert_int_equal(x.series, 2);
        assert_int_equal(x.samples, 7200);
        fixture_reopen(&f);
    }
    assert_int_equal(fixture_stats(&f).corruptions, 0);
    fixture_fini(&f);
}

static void retention_deletes_whole_blocks(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    f.options.limits.retention_ms = 4 * 3600000;
    fixture_reopen(&f);
    run_hours(&f, 20);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_true(s.blocks_deleted >= 4);
    struct fixture_found x = fixture_select(&f, "m", INT64_MIN, INT64_MAX);
    assert_true(f.clock.wall.ms - x.first_ms >= 4 * 3600000);
    assert_true(f.clock.wall.ms - x.first_ms <= 12 * 3600000);
    assert_true(s.oldest_ms < x.first_ms); /* of roll-ups */
    fixture_fini(&f);
}

static void a_clock_jump_deletes_nothing_and_blinds_nobody(void **state) {
    (void)state;
    struct fixture f;
    struct toc_write_result r;
    fixture_init(&f, 1);
    f.options.limits.retention_ms = 86400000;
    fixture_reopen(&f);
    run_hours(&f, 6);
    const int64_t year = INT64_C(31536000000);
    toc_clock_virtual_step_wall(&f.clock, 10 * year);
    run_hours(&f, 6);
    assert_int_equal(fixture_stats(&f).blocks_deleted, 0);
    toc_clock_virtual_step_wall(&f.clock, -10 * year);
    assert_int_equal(fixture_write(&f, "m", "a", f.clock.wall.ms, 1, &r), 0);
    assert_int_equal(r.accepted, 1); /* the present is not too old */
    run_hours(&f, 6);
    struct toc_metricdb_stats s = fixture_stats(&f);
    assert_int_equal(s.blocks_deleted, 0);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, 3 * 2 * 2160);
    fixture_reopen(&f);
    assert_int_equal(fixture_select(&f, "m", INT64_MIN, INT64_MAX).samples, 3 * 2 * 2160);
    fixture_fini(&f);
}

static void an_echo_is_accepted_but_not_logged_again(void **state) {
    (void)state;
    struct fixture f;
    enum toc_reject_reason reason;
    fixture_init(&f, 1);
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("echo")}};
    struct toc_metricdb_sample x = {.t_ms = T0, .value = 5};
    struct toc_write_result r;
    size_t unknown;
    assert_int_equal(toc_metricdb_series_ref(f.db, (struct toc_labels){items, 1}, &x.ref, &reason),
                     0);
    assert_int_equal(toc_metricdb_write_refs(f.db, &x, 1, &r, &unknown, NULL), 0);
    uint64_t logged = fixture_stats(&f).samples_total;
    assert_int_equal(toc_metricdb_write_echo(f.db, &x, 1, &r, &unknown, NULL), 0);
    assert_int_equal(r.accepted, 1);
    assert_int_equal(fixture_stats(&f).samples_total, logged);
    assert_int_equal(toc_metricdb_write_refs(f.db, &x, 1, &r, &unknown, NULL), 0);
    assert_int_equal(fixture_stats(&f).samples_total, logged + 1); /* others are logged again */
    x.value = 6;
    assert_int_equal(toc_metricdb_write_echo(f.db, &x, 1, &r, &unknown, NULL), 0);
    assert_int_equal(r.rejected[TOC_REJECT_DUPLICATE], 1);
    x.t_ms += 1000;
    assert_int_equal(toc_metricdb_write_echo(f.db, &x, 1, &r, &unknown, NULL), 0);
    assert_int_equal(r.accepted, 1);
    assert_int_equal(fixture_stats(&f).samples_total, logged + 2);
    fixture_fini(&f);
}

enum { BATCH_SERIES = 5, BATCH_SAMPLES = 400, BATCHES = 30 };

/* Mostly a little behind the one before of its series; else anywhere from too old to too new. */
static void make_batch(struct toc_rng *rng, int64_t newest_ms[BATCH_SERIES],
                       const uint64_t refs[BATCH_SERIES], const struct toc_histogram *histogram,
                       struct toc_metricdb_sample out[BATCH_SAMPLES]) {
    for (size_t i = 0, of = 0; i < BATCH_SAMPLES; i++) {
        of = toc_rng_below(rng, 8) ? of : toc_rng_below(rng, BATCH_SERIES);
        int64_t *t = &newest_ms[of];
        if (toc_rng_below(rng, 12))
            *t += 1000 * (1 + (int64_t)toc_rng_below(rng, 20));
        else
            *t = T0 + ((int64_t)toc_rng_below(rng, 400) - 380) * 3600 * 1000;
        out[i] = (struct toc_metricdb_sample){refs[of], *t, (double)toc_rng_below(rng, 3), NULL, 7};
        if (of == 1 && !toc_rng_below(rng, 4))
            out[i].histogram = histogram;
    }
}

static void assert_same_content(struct fixture *a, struct fixture *b) {
    struct fixture_found x = fixture_select(a, "m", INT64_MIN, INT64_MAX);
    struct fixture_found y = fixture_select(b, "m", INT64_MIN, INT64_MAX);
    assert_int_equal(x.samples, y.samples);
    assert_true(x.first_ms == y.first_ms && x.last_ms == y.last_ms && x.sum == y.sum);
}

static void a_batch_does_what_its_samples_do_one_by_one(void **state) {
    (void)state;
    struct fixture together, apart;
    uint64_t refs[2][BATCH_SERIES];
    int64_t newest_ms[BATCH_SERIES] = {T0, T0, T0, T0, T0};
    struct toc_rng rng;
    struct toc_histogram histogram = {0};
    enum toc_reject_reason reason;
    toc_rng_seed(&rng, 11);
    fixture_init(&together, 1);
    fixture_init(&apart, 1);
    for (size_t i = 0; i < BATCH_SERIES; i++) {
        char text[] = {(char)('a' + i), 0};
        struct toc_label l[] = {{TOC_METRIC_NAME, TOC_SV("m")}, {TOC_SV("i"), toc_sv_cstr(text)}};
        struct toc_labels labels = {l, 2};
        assert_int_equal(toc_metricdb_series_ref(together.db, labels, &refs[0][i], &reason), 0);
        assert_int_equal(toc_metricdb_series_ref(apart.db, labels, &refs[1][i], &reason), 0);
        assert_int_equal(refs[0][i], refs[1][i]);
    }
    size_t refused = 0;
    for (int k = 0; k < BATCHES; k++) {
        struct toc_metricdb_sample x[BATCH_SAMPLES], y[BATCH_SAMPLES];
        struct toc_write_result sum = {0}, r;
        size_t unknown;
        make_batch(&rng, newest_ms, refs[0], &histogram, x);
        memcpy(y, x, sizeof y);
        assert_int_equal(toc_metricdb_write_refs(together.db, x, BATCH_SAMPLES, &r, &unknown, NULL),
                         0);
        for (size_t i = 0; i < BATCH_SAMPLES; i++) {
            struct toc_write_result one;
            assert_int_equal(toc_metricdb_write_refs(apart.db, &y[i], 1, &one, &unknown, NULL), 0);
            sum.accepted += one.accepted;
            for (size_t w = 0; w < TOC_REJECT_REASON_COUNT; w++)
                sum.rejected[w] += one.rejected[w];
            assert_int_equal(x[i].refused, y[i].refused);
            refused += y[i].refused != 0;
        }
        assert_memory_equal(&r, &sum, sizeof r);
        toc_clock_virtual_advance(&together.clock, 60 * 1000);
        toc_clock_virtual_advance(&apart.clock, 60 * 1000);
    }
    assert_true(refused > BATCHES);
    assert_same_content(&together, &apart);
    fixture_reopen(&together);
    assert_same_content(&together, &apart);
    fixture_fini(&together);
    fixture_fini(&apart);
}

static void series_without_samples_are_forgotten_and_references_refused(void **state) {
    (void)state;
    struct fixture f;
    uint64_t ref, again;
    enum toc_reject_reason reason;
    fixture_init(&f, 1);
    struct toc_label items[] = {{TOC_METRIC_NAME, TOC_SV("gone")}};
    struct toc_labels labels = {items, 1};
    assert_int_equal(toc_metricdb_series_ref(f.db, labels, &ref, &reason), 0);
    struct toc_metricdb_sample x = {ref, T0, 5, NULL, 0};
    struct toc_write_result r;
    size_t unknown;
    assert_int_equal(toc_metricdb_write_refs(f.db, &x, 1, &r, &unknown, NULL), 0);
    assert_int_equal(r.accepted, 1);
    run_hours(&f, 6);
    assert_int_equal(fixture_stats(&f).series, 2);
    x = (struct toc_metricdb_sample){ref, f.clock.wall.ms, 5, NULL, 0};
    assert_int_equal(toc_metricdb_write_refs(f.db, &x, 1, &r, &unknown, NULL), 0);
    assert_int_equal(unknown, 1);
    assert_int_equal(x.ref, 0);
    assert_int_equal(toc_metricdb_series_ref(f.db, labels, &again, &reason), 0);
    assert_true(again != ref);
    assert_int_equal(fixture_select(&f, "gone", INT64_MIN, INT64_MAX).samples, 1);
    fixture_fini(&f);
}

static int collect_text(void *ctx, struct toc_sv value) {
    struct toc_buf *b = ctx;
    toc_buf_append_sv(b, value);
    toc_buf_append_char(b, ' ');
    return 0;
}

static int collect_labels(void *ctx, const struct toc_series_view *s) {
    toc_labels_format(s->labels, ctx);
    toc_buf_append_char(ctx, ' ');
    return 0;
}

static void names_values_and_order(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    const char *instances[] = {"c", "a", "b"};
    for (int i = 0; i < 3; i++)
        assert_int_equal(fixture_write(&f, "m", instances[i], T0, 1, NULL), 0);
    assert_int_equal(fixture_write(&f, "n", NULL, T0, 1, NULL), 0);
    struct toc_querier *q = toc_metricdb_querier(f.db);
    struct toc_select s = {.min_ms = T0, .max_ms = T0, .sorted = true};
    struct toc_buf b = TOC_BUF_INIT;
    assert_int_equal(q->label_names(q, &s, collect_text, &b, NULL), 0);
    assert_string_equal(toc_buf_cstr(&b), "__name__ i ");
    toc_buf_reset(&b);
    assert_int_equal(q->label_values(q, TOC_SV("i"), &s, collect_text, &b, NULL), 0);
    assert_string_equal(toc_buf_cstr(&b), "a b c ");
    toc_buf_reset(&b);
    assert_int_equal(q->select(q, &s, collect_labels, &b, NULL), 0);
    assert_string_equal(toc_buf_cstr(&b), "m{i=\"a\"} m{i=\"b\"} m{i=\"c\"} n ");
    toc_buf_fini(&b);
    fixture_fini(&f);
}

static int check_metadata(void *ctx, const struct toc_metric_metadata *m) {
    ++*(int *)ctx;
    assert_sv_equal(m->metric, "up");
    assert_sv_equal(m->help, "Is it up?");
    assert_int_equal(m->type, TOC_METRIC_GAUGE);
    return 0;
}

static void metadata_survives(void **state) {
    (void)state;
    struct fixture f;
    fixture_init(&f, 1);
    struct toc_sink *sink = toc_metricdb_sink(f.db);
    sink->metadata(sink, TOC_SV("up"), TOC_METRIC_COUNTER, TOC_SV("old"), TOC_SV(""));
    sink->metadata(sink, TOC_SV("up"), TOC_METRIC_GAUGE, TOC_SV("Is it up?"), TOC_SV(""));
    fixture_reopen(&f);
    int calls = 0;
    assert_int_equal(toc_metricdb_metadata(f.db, TOC_SV_NULL, check_metadata, &calls), 0);
    assert_int_equal(toc_metricdb_metadata(f.db, TOC_SV("up"), check_metadata, &calls), 0);
    assert_int_equal(calls, 2);
    fixture_fini(&f);
}

static void a_second_process_is_told_in_one_sentence(void **state) {
    (void)state;
    char dir[] = "/tmp/toc_metricdb_XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct toc_metricdb_options o = {.dir = dir};
    struct toc_metricdb *first, *second;
    struct toc_err err = {0};
    assert_int_equal(toc_metricdb_open(&o, &first, &err), 0);
    assert_int_equal(toc_metricdb_open(&o, &second, &err), TOC_ELOCKED);
    assert_non_null(strstr(err.message, dir));
    toc_metricdb_close(&first);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_and_survives_reopen),
        cmocka_unit_test(special_values_come_back_bit_by_bit),
        cmocka_unit_test(refusals_are_counted_with_their_reason),
        cmocka_unit_test(late_samples_are_put_in_order),
        cmocka_unit_test(the_series_limit_holds),
        cmocka_unit_test(old_samples_move_to_blocks_and_the_log_shrinks),
        cmocka_unit_test(retention_deletes_whole_blocks),
        cmocka_unit_test(a_clock_jump_deletes_nothing_and_blinds_nobody),
        cmocka_unit_test(an_echo_is_accepted_but_not_logged_again),
        cmocka_unit_test(a_batch_does_what_its_samples_do_one_by_one),
        cmocka_unit_test(series_without_samples_are_forgotten_and_references_refused),
        cmocka_unit_test(names_values_and_order),
        cmocka_unit_test(metadata_survives),
        cmocka_unit_test(a_second_process_is_told_in_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
