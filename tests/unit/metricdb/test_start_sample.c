/* Start timestamps that become samples of zero. */
#include "../../otlp_dump.h"
#include "fixture.h"
#include "metricdb/start_sample.h"

#define T0 FIXTURE_START_MS
enum { MINUTE = 60000, HOUR = 3600000 };

static void the_verdict_follows_the_times(void **state) {
    (void)state;
    static const struct {
        int64_t start_ms, t_ms, last_ms;
        enum toc_start_verdict want;
    } rows[] = {
        {500, 600, INT64_MIN, TOC_START_WRITTEN},
        {500, 600, 499, TOC_START_WRITTEN},
        {500, 600, 500, TOC_START_KNOWN}, /* never two samples at one time */
        {500, 600, 550, TOC_START_KNOWN}, /* never out of order */
        {500, 501, INT64_MIN, TOC_START_WRITTEN},
        {500, 500, INT64_MIN, TOC_START_NOT_BEFORE_SAMPLE},
        {501, 500, INT64_MIN, TOC_START_NOT_BEFORE_SAMPLE},
        {1000, 2000, INT64_MIN, TOC_START_WRITTEN},
        {1001, 2000, INT64_MIN, TOC_START_IN_FUTURE},
        {101, 600, INT64_MIN, TOC_START_WRITTEN},
        {100, 600, INT64_MIN, TOC_START_TOO_OLD},
        {100, 600, 100, TOC_START_KNOWN}, /* a long-lived one that tells its start each time */
        {INT64_MIN, 600, INT64_MIN, TOC_START_KNOWN},
        {INT64_MAX, 600, INT64_MIN, TOC_START_IN_FUTURE},
    };
    const struct toc_start_bounds bounds = {100, 1000};
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++)
        if (toc_start_judge(rows[i].start_ms, rows[i].t_ms, rows[i].last_ms, &bounds) !=
            rows[i].want)
            fail_msg("row %zu", i);
}

/* --- in a store --- */

struct told {
    struct fixture f;
    struct toc_starts starts;
};

static void begin(struct told *x) {
    *x = (struct told){0};
    fixture_init(&x->f, 1);
}

static void end(struct told *x) {
    toc_starts_fini(&x->starts);
    fixture_fini(&x->f);
}

static uint64_t ref_of(struct told *x, const char *name) {
    struct toc_label items[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)}};
    enum toc_reject_reason reason;
    uint64_t ref = 0;
    assert_int_equal(toc_metricdb_series_ref(x->f.db, (struct toc_labels){items, 1}, &ref, &reason),
                     0);
    return ref;
}

static uint64_t resolve_to_m(void *owner, uint32_t origin) {
    assert_int_equal(origin, 7);
    return ref_of(owner, "m");
}

static void put(struct told *x, int64_t t_ms, double value) {
    struct toc_metricdb_sample s = {.ref = ref_of(x, "m"), .t_ms = t_ms, .value = value};
    struct toc_write_result result;
    size_t unknown;
    assert_int_equal(toc_metricdb_write_refs(x->f.db, &s, 1, &result, &unknown, NULL), 0);
    assert_int_equal(result.accepted, 1);
}

static void tell(struct told *x, int64_t start_ms, int64_t t_ms) {
    toc_starts_add(&x->starts, ref_of(x, "m"), start_ms, t_ms, NULL, 7);
}

static void write(struct told *x) {
    toc_starts_write(&x->starts, x->f.db, resolve_to_m, x);
    assert_int_equal(x->starts.count, 0);
}

static void expect(struct told *x, const char *want) {
    struct toc_buf got = TOC_BUF_INIT;
    assert_int_equal(otlp_dump(x->f.db, &got), 0);
    assert_string_equal(toc_buf_cstr(&got), want);
    toc_buf_fini(&got);
}

static uint64_t counted(struct told *x, enum toc_start_verdict v) {
    return fixture_stats(&x->f).starts[v];
}

static void a_new_series_begins_with_zero(void **state) {
    (void)state;
    struct told x;
    begin(&x);
    tell(&x, T0 - 30000, T0);
    write(&x);
    put(&x, T0, 7);
    expect(&x, "m 0@1760000370000\nm 7@1760000400000\n");
    tell(&x, T0 - 30000, T0 + 15000); /* the same start again and again */
    write(&x);
    put(&x, T0 + 15000, 9);
    tell(&x, T0 + 20000, T0 + 30000); /* it began anew */
    write(&x);
    put(&x, T0 + 30000, 1);
    fixture_reopen(&x.f); /* the acknowledgement of the samples stands for the zeros */
    expect(&x, "m 0@1760000370000\nm 7@1760000400000\nm 9@1760000415000\nm 0@1760000420000\n"
               "m 1@1760000430000\n");
    end(&x);
}

static void what_is_not_written_is_counted(void **state) {
    (void)state;
    struct told x;
    begin(&x);
    tell(&x, T0 - HOUR - 1, T0 - 100); /* half a block window is an hour */
    tell(&x, T0, T0);
    tell(&x, T0 + 2 * HOUR, T0 + 3 * HOUR);
    write(&x);
    expect(&x, "");
    assert_int_equal(counted(&x, TOC_START_TOO_OLD), 1);
    assert_int_equal(counted(&x, TOC_START_NOT_BEFORE_SAMPLE), 1);
    assert_int_equal(counted(&x, TOC_START_IN_FUTURE), 1);
    put(&x, T0, 1);
    tell(&x, T0 - HOUR - 1, T0 + 1); /* known now: not told again */
    write(&x);
    assert_int_equal(counted(&x, TOC_START_TOO_OLD), 1);
    assert_int_equal(counted(&x, TOC_START_KNOWN), 1);
    assert_int_equal(counted(&x, TOC_START_WRITTEN), 0);
    end(&x);
}

/* What comes before in the same message counts as the last sample. */
static void a_message_with_several_samples_keeps_their_order(void **state) {
    (void)state;
    struct told x;
    begin(&x);
    uint64_t other = ref_of(&x, "other");
    tell(&x, T0 - 5000, T0 - 4000);
    toc_starts_add(&x.starts, other, T0 - 5000, T0 - 4000, NULL, 0);
    tell(&x, T0 - 5000, T0 - 3000);
    tell(&x, T0 - 3000, T0 - 2000); /* at the sample before: there is no place for a zero */
    tell(&x, 0, T0 - 1000);
    tell(&x, T0 - 1000, T0 - 500); /* at one without a start */
    tell(&x, T0 - 400, T0 - 300);
    write(&x);
    expect(&x, "m 0@1760000395000\nm 0@1760000399600\nother 0@1760000395000\n");
    assert_int_equal(counted(&x, TOC_START_WRITTEN), 3);
    assert_int_equal(counted(&x, TOC_START_KNOWN), 3);
    end(&x);
}

static void a_start_in_what_is_sealed_is_too_old(void **state) {
    (void)state;
    struct told x;
    begin(&x);
    for (int i = 0; i < 7 * 60; i++) {
        put(&x, x.f.clock.wall.ms, i);
        fixture_advance(&x.f, MINUTE);
    }
    assert_true(fixture_stats(&x.f).blocks > 0);
    int64_t now = x.f.clock.wall.ms;
    uint64_t other = ref_of(&x, "other");
    toc_starts_add(&x.starts, other, now - 3 * HOUR, now, NULL, 0);
    toc_starts_add(&x.starts, ref_of(&x, "m"), now - 3 * HOUR, now, NULL, 0);
    write(&x);
    assert_int_equal(counted(&x, TOC_START_TOO_OLD), 1);
    assert_int_equal(counted(&x, TOC_START_KNOWN), 1);
    assert_int_equal(fixture_select(&x.f, "other", 0, INT64_MAX).samples, 0);
    end(&x);
}

static void a_forgotten_series_is_found_anew(void **state) {
    (void)state;
    struct told x;
    begin(&x);
    uint64_t old = ref_of(&x, "m");
    put(&x, T0, 5);
    for (int i = 0; i < 24; i++) {
        fixture_advance(&x.f, 15 * MINUTE);
        assert_int_equal(fixture_write(&x.f, "tick", "a", x.f.clock.wall.ms, i, NULL), 0);
    }
    assert_int_equal(fixture_stats(&x.f).series, 1);
    int64_t now = x.f.clock.wall.ms;
    toc_starts_add(&x.starts, old, now - 1000, now, NULL, 7);
    write(&x);
    put(&x, now, 2);
    struct fixture_found found = fixture_select(&x.f, "m", 0, INT64_MAX);
    assert_int_equal(found.samples, 3);
    assert_true(found.sum == 7);
    end(&x);
}

static void native_histograms_begin_empty(void **state) {
    (void)state;
    static const int32_t index[] = {1, 3};
    static const double counts[] = {2, 4}, bounds[] = {0.5, 1};
    static const struct toc_histogram exponential = {.schema = 3,
                                                     .zero_threshold = 0.25,
                                                     .zero_count = 1,
                                                     .count = 7,
                                                     .sum = 9,
                                                     .positive = {index, counts, 2}},
                                      custom = {.schema = TOC_HISTOGRAM_SCHEMA_CUSTOM,
                                                .count = 2,
                                                .sum = 1,
                                                .positive = {index, counts, 1},
                                                .custom_bounds = bounds,
                                                .custom_bound_count = 2},
                                      gauge = {.schema = 3,
                                               .reset_hint = TOC_RESET_GAUGE,
                                               .count = 2,
                                               .positive = {index, counts, 1}};
    struct told x;
    begin(&x);
    toc_starts_add(&x.starts, ref_of(&x, "c"), T0 - 1000, T0, &custom, 0);
    toc_starts_add(&x.starts, ref_of(&x, "e"), T0 - 1000, T0, &exponential, 0);
    toc_starts_add(&x.starts, ref_of(&x, "g"), T0 - 1000, T0, &gauge, 0);
    write(&x);
    expect(&x, "c {s-53 count:0 sum:0 le 0.5,1}@1760000399000\n"
               "e {s3 count:0 sum:0 zero:0.25:0}@1760000399000\n");
    end(&x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verdict_follows_the_times),
        cmocka_unit_test(a_new_series_begins_with_zero),
        cmocka_unit_test(what_is_not_written_is_counted),
        cmocka_unit_test(a_message_with_several_samples_keeps_their_order),
        cmocka_unit_test(a_start_in_what_is_sealed_is_too_old),
        cmocka_unit_test(a_forgotten_series_is_found_anew),
        cmocka_unit_test(native_histograms_begin_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
