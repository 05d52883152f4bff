/* What packets become in the store. */
#include <math.h>

#include "../../otlp_dump.h"
#include "../metricdb/fixture.h"
#include "model/histogram_math.h"
#include "remote/observations.h"
#include "remote/statsd_state.h"

struct setup {
    struct fixture f;
    struct toc_statsd *s;
};

static void begin(struct setup *t, size_t max_series) {
    fixture_init(&t->f, 1);
    t->s = toc_statsd_new(&(struct toc_statsd_limits){.max_series = max_series, .ttl_ms = 60000},
                          toc_metricdb_sink(t->f.db), &t->f.clock.base);
}

static void end(struct setup *t) {
    toc_statsd_free(&t->s);
    fixture_fini(&t->f);
}

static void take(struct setup *t, const char *packet) {
    toc_statsd_take(t->s, toc_sv_cstr(packet));
}

static void flush(struct setup *t) {
    assert_int_equal(toc_statsd_flush(t->s, NULL), 0);
    toc_clock_virtual_advance(&t->f.clock, 10000);
}

static void expect(struct setup *t, const char *wanted) {
    struct toc_buf got = TOC_BUF_INIT;
    assert_int_equal(otlp_dump(t->f.db, &got), 0);
    assert_string_equal(toc_buf_cstr(&got), wanted);
    toc_buf_fini(&got);
}

static void expect_refused(struct setup *t, enum toc_statsd_fault fault, uint64_t count) {
    struct toc_statsd_stats x;
    toc_statsd_stats(t->s, &x);
    assert_int_equal(x.refused[fault], count);
}

static void counters_add_up(void **state) {
    struct setup t;
    (void)state;
    begin(&t, 0);
    take(&t, "web.hits:1|c\nweb.hits:2|c|@0.5\nweb.hits:3:4|c|#env:prod,canary\n");
    flush(&t);
    take(&t, "web.hits:1|c|#canary,env:prod");
    flush(&t);
    expect(&t, "web_hits 5@1760000400000\nweb_hits 5@1760000410000\n"
               "web_hits{canary=\"true\", env=\"prod\"} 7@1760000400000\n"
               "web_hits{canary=\"true\", env=\"prod\"} 8@1760000410000\n");
    end(&t);
}

static void gauges_take_values_and_changes(void **state) {
    struct setup t;
    (void)state;
    begin(&t, 0);
    take(&t, "queue:5|g\nqueue:+2|g\nqueue:-3.5|g");
    flush(&t);
    take(&t, "queue:0|g\nqueue:-3.5|g|c:ci-1|T1760000000");
    flush(&t);
    expect(&t, "queue 3.5@1760000400000\nqueue -3.5@1760000410000\n");
    end(&t);
}

static void sets_count_members_of_an_interval(void **state) {
    struct setup t;
    (void)state;
    begin(&t, 0);
    take(&t, "users:a|s\nusers:b|s\nusers:a|s\nusers:b:c|s");
    flush(&t);
    take(&t, "users:a|s");
    flush(&t);
    expect(&t, "users 3@1760000400000\nusers 1@1760000410000\n");
    end(&t);
}

static void observations_are_native_histograms(void **state) {
    struct setup t;
    (void)state;
    begin(&t, 0);
    take(&t, "wait:1000:2000|ms\nwait:2000|ms|@0.1\nsize:0:-4|h\nsize:4|d");
    flush(&t);
    expect(&t, "size {s3 count:3 sum:0 zero:2.938735877055719e-39:1 +16:1 -16:1}@1760000400000\n"
               "size_count 3@1760000400000\nsize_sum 0@1760000400000\n"
               "wait {s3 count:12 sum:23 zero:2.938735877055719e-39:0 +0:1,8:11}@1760000400000\n"
               "wait_count 12@1760000400000\nwait_sum 23@1760000400000\n");
    end(&t);
}

static void idle_series_end(void **state) {
    struct setup t;
    (void)state;
    begin(&t, 0);
    take(&t, "a:1|c\nh:1|h");
    flush(&t);
    toc_clock_virtual_advance(&t.f.clock, 60000);
    flush(&t);
    take(&t, "a:1|c");
    flush(&t);
    expect(&t, "a 1@1760000400000\na stale@1760000470000\na 1@1760000480000\n"
               "h {s3 count:1 sum:1 zero:2.938735877055719e-39:0 +0:1}@1760000400000\n"
               "h stale@1760000470000\n"
               "h_count 1@1760000400000\nh_count stale@1760000470000\n"
               "h_sum 1@1760000400000\nh_sum stale@1760000470000\n");
    struct toc_statsd_stats x;
    toc_statsd_stats(t.s, &x);
    assert_int_equal(x.expired, 2);
    assert_int_equal(x.series, 1);
    end(&t);
}

static void bad_lines_are_counted_by_reason(void **state) {
    static const struct {
        const char *line;
        enum toc_statsd_fault fault;
    } rows[] = {
        {"a", TOC_STATSD_MALFORMED},
        {":1|c", TOC_STATSD_MALFORMED},
        {"a:|c", TOC_STATSD_MALFORMED},
        {"a:1", TOC_STATSD_MALFORMED},
        {"a|c:1", TOC_STATSD_MALFORMED},
        {"a:1|c|", TOC_STATSD_MALFORMED},
        {"a:1|c|x", TOC_STATSD_MALFORMED},
        {"\xff:1|c", TOC_STATSD_MALFORMED},
        {"a:1|k", TOC_STATSD_UNKNOWN_TYPE},
        {"a:1|", TOC_STATSD_UNKNOWN_TYPE},
        {"a:x|c", TOC_STATSD_BAD_VALUE},
        {"a:nan|g", TOC_STATSD_BAD_VALUE},
        {"a:inf|ms", TOC_STATSD_BAD_VALUE},
        {"a:1::2|d", TOC_STATSD_BAD_VALUE},
        {"a:1|c|@0", TOC_STATSD_BAD_RATE},
        {"a:1|c|@1.5", TOC_STATSD_BAD_RATE},
        {"a:1|c|@x", TOC_STATSD_BAD_RATE},
        {"a:1|c|#:x", TOC_STATSD_BAD_TAG},
        {"a:1|c|#t:\xff", TOC_STATSD_BAD_TAG},
        {"_e{1,1}:a|b", TOC_STATSD_NO_METRIC},
        {"_sc|a|0", TOC_STATSD_NO_METRIC},
        {"seen:1|g", TOC_STATSD_TYPE_CONFLICT},
        {"time:1|h", TOC_STATSD_TYPE_CONFLICT},
    };
    struct setup t;
    uint64_t counts[TOC_STATSD_FAULT_COUNT] = {0};
    (void)state;
    begin(&t, 0);
    take(&t, "seen:1|c\ntime:1|ms");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        take(&t, rows[i].line);
        expect_refused(&t, rows[i].fault, ++counts[rows[i].fault]);
    }
    struct toc_statsd_stats x;
    toc_statsd_stats(t.s, &x);
    assert_int_equal(x.series, 2);
    assert_int_equal(x.lines, 2 + sizeof rows / sizeof rows[0]);
    end(&t);
}

static void limits_hold(void **state) {
    struct toc_buf b = TOC_BUF_INIT;
    struct setup t;
    (void)state;
    begin(&t, 2);
    take(&t, "a:1|c\nb:1|c\nc:1|c\na:1|c");
    expect_refused(&t, TOC_STATSD_SERIES_LIMIT, 1);
    toc_buf_append_cstr(&b, "a:1|c|#");
    for (int i = 0; i <= TOC_STATSD_TAGS_MAX; i++)
        toc_buf_printf(&b, "t%d:v,", i);
    take(&t, toc_buf_cstr(&b));
    expect_refused(&t, TOC_STATSD_TAG_LIMIT, 1);
    toc_buf_reset(&b);
    while (b.n <= TOC_STATSD_LINE_MAX)
        toc_buf_append_cstr(&b, "aaaaaaaaaaaaaaaa");
    take(&t, toc_buf_cstr(&b));
    expect_refused(&t, TOC_STATSD_TOO_LONG, 1);
    toc_buf_fini(&b);
    end(&t);
}

/* Every observation lies in its bucket, whatever the schema became; nothing is lost. */
static void buckets_hold_what_was_observed(void **state) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct observations o;
    double values[2000];
    (void)state;
    observations_init(&o);
    for (int i = 0; i < 2000; i++) {
        values[i] = ldexp(1 + (i % 7) / 7.0, i % 200 - 100) * (i % 5 ? 1 : -1);
        observations_add(&o, values[i], 1);
    }
    observations_add(&o, 1.7976931348623157e308, 1);
    observations_add(&o, 5e-324, 1);
    const struct toc_histogram *h = observations_histogram(&o, &arena);
    assert_int_equal(toc_histogram_validate(h, NULL), 0);
    assert_true(h->positive.size + h->negative.size <= OBSERVATION_BUCKETS_MAX);
    assert_true(h->schema < OBSERVATION_SCHEMA);
    double total = h->zero_count;
    struct toc_bucket buckets[OBSERVATION_BUCKETS_MAX + 1];
    size_t n = toc_histogram_buckets(h, buckets);
    total = 0;
    for (size_t k = 0; k < n; k++) {
        double inside = 0;
        total += buckets[k].count;
        for (int i = 0; i < 2000; i++) {
            bool is_in = buckets[k].lower < 0 && buckets[k].upper <= 0
                             ? values[i] >= buckets[k].lower && values[i] < buckets[k].upper
                             : values[i] > buckets[k].lower && values[i] <= buckets[k].upper;
            inside += is_in && fabs(values[i]) > h->zero_threshold;
        }
        bool has_largest = buckets[k].upper >= 1.7976931348623157e308;
        bool is_zero = buckets[k].lower <= 0 && buckets[k].upper >= 0;
        assert_true(buckets[k].count == inside + has_largest + is_zero);
    }
    assert_true(total == 2002);
    observations_fini(&o);
    toc_arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_add_up),
        cmocka_unit_test(gauges_take_values_and_changes),
        cmocka_unit_test(sets_count_members_of_an_interval),
        cmocka_unit_test(observations_are_native_histograms),
        cmocka_unit_test(idle_series_end),
        cmocka_unit_test(bad_lines_are_counted_by_reason),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(buckets_hold_what_was_observed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
