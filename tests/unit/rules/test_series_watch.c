/* The watch over all series: rates by instance, limits, reuse of references, what is left out. */
#include <stdio.h>
#include <stdlib.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/vec.h"
#include "model/sample.h"
#include "rules/series_watch.h"

enum { SERIES_MAX = 5000 };

struct fake {
    struct toc_newest_source source;
    struct toc_newest_sample samples[SERIES_MAX];
    int64_t seen_ms[SERIES_MAX];
    char metrics[SERIES_MAX][24], instances[SERIES_MAX][16];
    size_t count, label_reads;
    struct toc_sink sink;
    double rate[8]; /* of the last report: all, then n0, n1, …; NaN: stale; -1: none */
    size_t written;
    bool is_refusing;
};

static size_t fake_next(struct toc_newest_source *s, uint64_t *cursor,
                        struct toc_newest_sample *out, size_t max) {
    struct fake *f = (struct fake *)s;
    size_t n = 0;
    for (; *cursor < f->count && n < max; (*cursor)++)
        out[n++] = f->samples[*cursor];
    if (*cursor >= f->count)
        *cursor = UINT64_MAX;
    return n;
}

/* Those whose time is not the one that a walk saw last. */
static size_t fake_next_written(struct toc_newest_source *s, uint64_t *cursor,
                                struct toc_newest_sample *out, size_t max) {
    struct fake *f = (struct fake *)s;
    size_t n = 0;
    for (; *cursor < f->count && n < max; (*cursor)++) {
        if (f->samples[*cursor].t_ms != f->seen_ms[*cursor])
            out[n++] = f->samples[*cursor];
        f->seen_ms[*cursor] = f->samples[*cursor].t_ms;
    }
    if (*cursor >= f->count)
        *cursor = UINT64_MAX;
    return n;
}

static bool fake_labels(struct toc_newest_source *s, uint64_t ref, struct toc_arena *arena,
                        struct toc_labels *out) {
    struct fake *f = (struct fake *)s;
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    size_t i = (uint32_t)ref;
    f->label_reads++;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(f->metrics[i]));
    if (f->instances[i][0])
        toc_labels_builder_set(&b, TOC_SV("instance"), toc_sv_cstr(f->instances[i]));
    *out = toc_labels_dup_arena(toc_labels_builder_finish(&b), arena);
    toc_labels_builder_fini(&b);
    return true;
}

static int fake_write(struct toc_sink *sink, const struct toc_point *points, size_t count,
                      struct toc_write_result *out, struct toc_err *err) {
    struct fake *f = (struct fake *)((char *)sink - offsetof(struct fake, sink));
    for (size_t i = 0; i < 8; i++)
        f->rate[i] = -1;
    if (f->is_refusing)
        return toc_errf(err, TOC_ENOSPC, "full");
    for (size_t i = 0; i < count; i++) {
        struct toc_sv instance = toc_labels_get(points[i].labels, TOC_SV("instance"));
        assert_true(toc_sv_eq(toc_labels_get(points[i].labels, TOC_METRIC_NAME),
                              TOC_SV("tocsin_anomaly_rate")));
        assert_true(toc_sv_eq(toc_labels_get(points[i].labels, TOC_SV("detector")),
                              TOC_SV("every_series")));
        f->rate[instance.n ? instance.p[1] - '0' + 1 : 0] = points[i].value;
    }
    f->written += count;
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

static struct fake *fake_new(size_t series, size_t instances) {
    struct fake *f = TOC_NEW(struct fake);
    f->source = (struct toc_newest_source){fake_next, fake_labels, NULL};
    f->sink.write = fake_write;
    f->count = series;
    for (size_t i = 0; i < series; i++) {
        f->samples[i] = (struct toc_newest_sample){i, 0, 0};
        snprintf(f->metrics[i], sizeof f->metrics[i], "m%zu", i);
        snprintf(f->instances[i], sizeof f->instances[i], "n%zu", i % instances);
    }
    return f;
}

static struct toc_series_watch *watch(struct fake *f, size_t max_series) {
    const struct toc_series_watch_options o = {
        .source = &f->source, .sink = &f->sink, .max_series = max_series, .report_ms = 10000};
    return toc_series_watch_new(&o);
}

static void step(struct fake *f, struct toc_series_watch *w, struct toc_rng *rng, int64_t second,
                 double shift_of_first) {
    for (size_t i = 0; i < f->count; i++) {
        f->samples[i].t_ms = second * 1000;
        f->samples[i].value = toc_rng_normal(rng) + (i % 2 == 0 ? shift_of_first : 0);
    }
    struct toc_err err = {0};
    int rc = toc_series_watch_sweep(w, (struct toc_ts){second * 1000}, &err);
    assert_int_equal(rc, f->is_refusing && second % 10 == 0 ? TOC_ENOSPC : 0);
}

/* Half of the series belong to n0, which breaks. */
static void rate_of_the_broken_instance_rises(void **state) {
    (void)state;
    struct fake *f = fake_new(200, 2);
    struct toc_series_watch *w = watch(f, 0);
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    for (int64_t s = 1; s <= 600; s++)
        step(f, w, &rng, s, 0);
    assert_true(f->rate[0] >= 0 && f->rate[0] < 0.01 && f->rate[1] < 0.01 && f->rate[2] < 0.01);
    for (int64_t s = 601; s <= 610; s++)
        step(f, w, &rng, s, 30);
    assert_true(f->rate[1] > 0.3 && f->rate[2] < 0.02);
    assert_true(f->rate[0] > 0.15 && f->rate[0] < f->rate[1]);
    struct toc_anomalous_series out[150];
    size_t n = toc_series_watch_anomalous(w, out, 150), of_first = 0;
    for (size_t i = 0; i < n; i++)
        of_first += out[i].ref % 2 == 0 && out[i].is_above;
    assert_true(n > 30 && of_first + 5 > n);
    struct toc_series_watch_stats stats = toc_series_watch_stats(w);
    assert_int_equal(stats.series, 200);
    assert_int_equal(stats.series_anomalous, n);
    assert_int_equal(stats.instances, 2);
    assert_int_equal(stats.samples_total, 608 * 200); /* the first two have no bit */
    assert_int_equal(stats.samples_skipped_total, 2 * 200);
    assert_int_equal(f->label_reads, 200);
    toc_series_watch_free(&w);
    toc_free(f);
}

/* Two watches over the same samples, of which one is told what was written: the same bits, rates
 * and counts; and series that vanished do not count for longer than a minute. */
static void looking_at_what_was_written_finds_the_same(void **state) {
    (void)state;
    struct fake *f = fake_new(200, 3), *g = fake_new(200, 3);
    g->source.next_written = fake_next_written;
    struct toc_series_watch *all = watch(f, 0), *written = watch(g, 0);
    struct toc_rng rng;
    toc_rng_seed(&rng, 11);
    for (int64_t s = 1; s <= 900; s++) {
        for (size_t i = 0; i < f->count; i++) {
            if ((s + (int64_t)i) % 3)
                continue; /* each has a sample every three seconds */
            f->samples[i].t_ms = g->samples[i].t_ms = s * 1000;
            f->samples[i].value = g->samples[i].value =
                toc_rng_normal(&rng) + (s > 700 && i % 5 == 0 ? 30 : 0);
        }
        assert_int_equal(toc_series_watch_sweep(all, (struct toc_ts){s * 1000}, NULL), 0);
        assert_int_equal(toc_series_watch_sweep(written, (struct toc_ts){s * 1000}, NULL), 0);
        struct toc_series_watch_stats a = toc_series_watch_stats(all),
                                      b = toc_series_watch_stats(written);
        assert_memory_equal(&a, &b, sizeof a);
        assert_memory_equal(f->rate, g->rate, sizeof f->rate);
    }
    assert_true(toc_series_watch_stats(written).anomalies_total > 0);
    g->count = 150;
    for (int64_t s = 901; s <= 961; s++)
        assert_int_equal(toc_series_watch_sweep(written, (struct toc_ts){s * 1000}, NULL), 0);
    assert_int_equal(toc_series_watch_stats(written).series, 150);
    toc_series_watch_free(&all);
    toc_series_watch_free(&written);
    toc_free(f);
    toc_free(g);
}

static void a_sample_is_judged_once_and_a_silent_instance_goes_stale(void **state) {
    (void)state;
    struct fake *f = fake_new(10, 2);
    struct toc_series_watch *w = watch(f, 0);
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    for (int64_t s = 1; s <= 20; s++)
        step(f, w, &rng, s, 0);
    uint64_t judged = toc_series_watch_stats(w).samples_total;
    for (int i = 0; i < 5; i++)
        assert_int_equal(toc_series_watch_sweep(w, (struct toc_ts){21000}, NULL), 0);
    assert_int_equal(toc_series_watch_stats(w).samples_total, judged);
    for (size_t i = 0; i < 10; i += 2) /* only n0 goes on */
        f->samples[i].t_ms = 22000;
    assert_int_equal(toc_series_watch_sweep(w, (struct toc_ts){30000}, NULL), 0);
    assert_true(f->rate[1] >= 0 && toc_is_stale_nan(f->rate[2]));
    size_t written = f->written;
    assert_int_equal(toc_series_watch_sweep(w, (struct toc_ts){40000}, NULL), 0);
    assert_int_equal(f->written, written + 2); /* all and n0 end, n1 has ended */
    assert_int_equal(toc_series_watch_sweep(w, (struct toc_ts){50000}, NULL), 0);
    assert_int_equal(f->written, written + 2);
    toc_series_watch_free(&w);
    toc_free(f);
}

static void series_over_the_limit_and_outputs_are_counted(void **state) {
    (void)state;
    struct fake *f = fake_new(SERIES_MAX, 3);
    struct toc_series_watch *w = watch(f, 2048);
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    snprintf(f->metrics[0], sizeof f->metrics[0], "tocsin_anomaly_rate");
    snprintf(f->metrics[1], sizeof f->metrics[1], "tocsin_expected_lower");
    f->instances[2][0] = '\0';
    for (int64_t s = 1; s <= 4; s++)
        step(f, w, &rng, s, 0);
    struct toc_series_watch_stats stats = toc_series_watch_stats(w);
    assert_int_equal(stats.series, 2046);
    assert_int_equal(stats.series_excluded, 2);
    assert_int_equal(stats.series_unwatched, SERIES_MAX - 2048);
    assert_int_equal(stats.bytes, 2048 * 88);
    toc_series_watch_free(&w);
    toc_free(f);
}

static void instances_over_the_limit_count_in_the_rate_of_all(void **state) {
    (void)state;
    struct fake *f = fake_new(8, 4);
    struct toc_rng rng;
    const struct toc_series_watch_options o = {
        .source = &f->source, .sink = &f->sink, .max_instances = 3, .report_ms = 10000};
    struct toc_series_watch *w = toc_series_watch_new(&o);
    toc_rng_seed(&rng, 3);
    for (int64_t s = 1; s <= 10; s++)
        step(f, w, &rng, s, 0);
    assert_int_equal(toc_series_watch_stats(w).instances, 3);
    assert_int_equal(toc_series_watch_stats(w).series_without_rate_total, 2);
    assert_int_equal(toc_series_watch_stats(w).series, 8);
    assert_true(f->rate[3] >= 0 && f->rate[4] == -1 && f->rate[0] >= 0);
    toc_series_watch_free(&w);
    toc_free(f);
}

/* The place of a series that is gone is taken by another one: it starts anew. */
static void a_reused_reference_is_another_series(void **state) {
    (void)state;
    struct fake *f = fake_new(1, 1);
    struct toc_series_watch *w = watch(f, 0);
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    for (int64_t s = 1; s <= 300; s++)
        step(f, w, &rng, s, 0);
    f->samples[0].ref = (uint64_t)1 << 32;
    uint64_t skipped = toc_series_watch_stats(w).samples_skipped_total;
    step(f, w, &rng, 301, 1000);
    assert_int_equal(f->label_reads, 2);
    assert_int_equal(toc_series_watch_stats(w).samples_skipped_total, skipped + 1);
    assert_int_equal(toc_series_watch_stats(w).series_anomalous, 0);
    toc_series_watch_free(&w);
    toc_free(f);
}

static void a_store_that_refuses_is_counted_and_judging_goes_on(void **state) {
    (void)state;
    struct fake *f = fake_new(4, 1);
    struct toc_series_watch *w = watch(f, 0);
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    step(f, w, &rng, 1, 0);
    f->is_refusing = true;
    for (int64_t s = 2; s <= 30; s++)
        step(f, w, &rng, s, 0);
    assert_int_equal(toc_series_watch_stats(w).write_failures_total, 3);
    assert_int_equal(toc_series_watch_stats(w).samples_total, 28 * 4);
    toc_series_watch_free(&w);
    toc_free(f);
}

/* References change over a restart; labels do not. */
static void a_restart_goes_on_where_it_was(void **state) {
    (void)state;
    struct fake *f = fake_new(40, 2);
    struct toc_series_watch *whole = watch(f, 0), *first = watch(f, 0);
    struct toc_rng a, b;
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_rng_seed(&a, 5);
    toc_rng_seed(&b, 5);
    for (int64_t s = 1; s <= 300; s++) {
        step(f, whole, &a, s, 0);
        step(f, first, &b, s, 0);
    }
    toc_series_watch_encode(first, &bytes);
    toc_series_watch_free(&first);
    struct toc_series_watch *second = watch(f, 0);
    assert_int_equal(toc_series_watch_restore(second, toc_buf_sv(&bytes)), 0);
    uint64_t before = toc_series_watch_stats(whole).anomalies_total;
    for (int64_t s = 301; s <= 400; s++) {
        step(f, whole, &a, s, s > 390 ? 20 : 0);
        step(f, second, &b, s, s > 390 ? 20 : 0);
    }
    struct toc_series_watch_stats left = toc_series_watch_stats(whole),
                                  right = toc_series_watch_stats(second);
    assert_true(right.anomalies_total > 5);
    assert_int_equal(right.anomalies_total, left.anomalies_total - before);
    struct toc_buf x = TOC_BUF_INIT, y = TOC_BUF_INIT;
    toc_series_watch_encode(whole, &x);
    toc_series_watch_encode(second, &y);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    for (size_t i = 0; i < bytes.n; i += 7) { /* damaged bytes change nothing */
        bytes.p[i] ^= 1;
        assert_true(toc_series_watch_restore(second, toc_buf_sv(&bytes)) < 0);
        bytes.p[i] ^= 1;
    }
    assert_true(toc_series_watch_restore(second, toc_sv_make(bytes.p, bytes.n - 1)) < 0);
    toc_buf_fini(&bytes);
    toc_buf_fini(&x);
    toc_buf_fini(&y);
    toc_series_watch_free(&whole);
    toc_series_watch_free(&second);
    toc_free(f);
}

static void a_vanished_instance_is_forgotten(void **state) {
    (void)state;
    struct fake *f = fake_new(4, 4);
    struct toc_series_watch *w = watch(f, 0);
    struct toc_rng rng;
    toc_rng_seed(&rng, 6);
    for (int64_t s = 1; s <= 100; s++)
        step(f, w, &rng, s, 0);
    assert_int_equal(toc_series_watch_stats(w).instances, 4);
    f->count = 2; /* n2 and n3 are gone */
    for (int64_t s = 100; s <= 100 + 90000; s += 100)
        step(f, w, &rng, s, 0);
    assert_int_equal(toc_series_watch_stats(w).instances, 2);
    f->count = 4; /* their places are taken by others, and one comes back */
    snprintf(f->instances[2], sizeof f->instances[2], "n5");
    for (int64_t s = 90200; s <= 90400; s++)
        step(f, w, &rng, s, 0);
    assert_int_equal(toc_series_watch_stats(w).instances, 4);
    assert_true(f->rate[6] >= 0 && f->rate[4] >= 0 && f->rate[3] == -1);
    toc_series_watch_free(&w);
    toc_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_of_the_broken_instance_rises),
        cmocka_unit_test(looking_at_what_was_written_finds_the_same),
        cmocka_unit_test(a_sample_is_judged_once_and_a_silent_instance_goes_stale),
        cmocka_unit_test(series_over_the_limit_and_outputs_are_counted),
        cmocka_unit_test(instances_over_the_limit_count_in_the_rate_of_all),
        cmocka_unit_test(a_reused_reference_is_another_series),
        cmocka_unit_test(a_store_that_refuses_is_counted_and_judging_goes_on),
        cmocka_unit_test(a_restart_goes_on_where_it_was),
        cmocka_unit_test(a_vanished_instance_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
