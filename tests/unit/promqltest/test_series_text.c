/* Lines of series: labels, items, histograms, start timestamps. */
#include "unit/cmocka_prelude.h"

#include <math.h>

#include "base/buf.h"
#include "model/sample.h"
#include "promqltest/series_text.h"

static struct toc_arena g_arena;

static struct toc_series_text parse(const char *text) {
    struct toc_series_text s = {0};
    struct toc_err err = {0};
    if (toc_series_text_parse(toc_sv_cstr(text), &g_arena, &s, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return s;
}

static void refuses(const char *text, const char *why) {
    struct toc_series_text s = {0};
    struct toc_err err = {0};
    assert_true(toc_series_text_parse(toc_sv_cstr(text), &g_arena, &s, &err) < 0);
    if (!strstr(err.message, why))
        fail_msg("%s: got \"%s\", wanted \"%s\"", text, err.message, why);
}

static void reads_labels(void **state) {
    (void)state;
    struct toc_series_text s = parse("up:rate{job=\"a\\\"b\", \"x.y\"='z',}\t1");
    assert_sv_equal(toc_labels_get(s.labels, TOC_METRIC_NAME), "up:rate");
    assert_sv_equal(toc_labels_get(s.labels, TOC_SV("job")), "a\"b");
    assert_sv_equal(toc_labels_get(s.labels, TOC_SV("x.y")), "z");
    assert_int_equal(parse("{}").labels.count, 0);
    s = parse("{\"my metric\", `a`=`b`} 2");
    assert_sv_equal(toc_labels_get(s.labels, TOC_METRIC_NAME), "my metric");
    refuses("a{\"b\"} 1", "metric name must not be set twice");
    refuses("a{b} 1", "expected \"=\"");
    refuses("{b=\"c\" 1", "expected \",\"");
}

static void expands_items(void **state) {
    (void)state;
    struct toc_series_text s = parse("m 1 _ _x2 stale 3x1 0+10x2 5-1.5x1 -Inf NaN 1e3");
    static const double want[] = {1, 0, 0, 0, 0, 3, 3, 0, 10, 20, 5, 3.5, -INFINITY, NAN, 1000};
    assert_int_equal(s.count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < s.count; i++) {
        assert_int_equal(s.values[i].is_missing, i >= 1 && i <= 3);
        if (i == 4)
            assert_true(toc_is_stale_nan(s.values[i].value));
        else if (isnan(want[i]))
            assert_true(isnan(s.values[i].value));
        else
            assert_true(s.values[i].value == want[i]);
    }
    assert_int_equal(parse("m _x0").count, 0);
    refuses("m 1+2", "expected \"x\"");
    refuses("m 1x", "expected a count");
    refuses("m 1y", "unexpected text");
    refuses("m 0x99999999", "more than");
}

static void reads_histograms(void **state) {
    (void)state;
    struct toc_series_text s =
        parse("h {{schema:1 count:6 sum:-3 z_bucket:2 z_bucket_w:0.5 buckets:[1 2] offset:-3 "
              "n_buckets:[1]"
              " n_offset:4 counter_reset_hint:gauge}} {{schema:-53 count:1 custom_values:[5 10] "
              "buckets:[1]}}x2");
    assert_int_equal(s.count, 4);
    const struct toc_histogram *h = s.values[0].histogram;
    assert_int_equal(h->schema, 1);
    assert_true(h->count == 6 && h->sum == -3 && h->zero_count == 2 && h->zero_threshold == 0.5);
    assert_int_equal(h->positive.size, 2);
    assert_int_equal(h->positive.index[0], -3);
    assert_true(h->positive.count[1] == 2);
    assert_int_equal(h->negative.index[0], 4);
    assert_int_equal(h->reset_hint, TOC_RESET_GAUGE);
    assert_true(s.values[0].has_hint && !s.values[1].has_hint);
    assert_int_equal(s.values[3].histogram->custom_bound_count, 2);
    refuses("h {{sum:1 sum:2}}", "duplicate key \"sum\" in histogram");
    refuses("h {{summ:1}}", "unknown key");
    refuses("h {{sum:1", "not closed");
    refuses("h {{buckets:[1 x]}}", "expected a number");
}

static void ramps_histograms(void **state) {
    (void)state;
    struct toc_series_text s = parse("h {{count:1 buckets:[1]}}+{{count:2 buckets:[1 1]}}x2");
    assert_int_equal(s.count, 3);
    assert_true(s.values[2].histogram->count == 5);
    assert_true(s.values[2].histogram->positive.count[0] == 3);
    refuses("h {{schema:2}}+{{schema:1}}x1", "cannot merge from schema 1 to 2");
}

static void writes_what_it_reads(void **state) {
    (void)state;
    static const char text[] = "{{schema:1 count:6 sum:3 z_bucket:2 z_bucket_w:0.5 offset:-3 "
                               "buckets:[1 0 2] n_buckets:[1] counter_reset_hint:gauge}}";
    const struct toc_histogram *h = NULL;
    struct toc_buf out = TOC_BUF_INIT;
    assert_int_equal(toc_histogram_text_parse(toc_sv_cstr(text), &g_arena, &h, NULL), 0);
    toc_histogram_text_format(h, &out);
    assert_string_equal(toc_buf_cstr(&out), text);
    toc_buf_fini(&out);
}

static void reads_start_timestamps(void **state) {
    (void)state;
    struct toc_start_text s = {0};
    bool is_start = false;
    struct toc_err err = {0};
    assert_int_equal(toc_start_text_parse(TOC_SV("m{a=\"b\"}@st _x2 -30s-1mx2 0 +5ms"), &g_arena,
                                          &s, &is_start, &err),
                     0);
    static const int64_t want[] = {0, 0, -30000, -90000, -150000, 0, 5};
    assert_true(is_start);
    assert_int_equal(s.count, 7);
    for (size_t i = 0; i < s.count; i++) {
        assert_int_equal(s.values[i].is_missing, i < 2);
        assert_int_equal(s.values[i].offset_ms, want[i]);
    }
    assert_int_equal(toc_start_text_parse(TOC_SV("m 1 2"), &g_arena, &s, &is_start, &err), 0);
    assert_false(is_start);
}

static void reads_go_strings(void **state) {
    (void)state;
    struct toc_sv out;
    size_t end;
    assert_int_equal(
        toc_go_string_parse(TOC_SV("\"a\\n\\x41\\u00e9\\101\" rest"), &g_arena, &out, &end, NULL),
        0);
    assert_sv_equal(out, "a\nA\xc3\xa9"
                         "A");
    assert_int_equal(end, 19);
    assert_int_equal(toc_go_string_parse(TOC_SV("`a\\n`"), &g_arena, &out, &end, NULL), 0);
    assert_sv_equal(out, "a\\n");
    assert_true(toc_go_string_parse(TOC_SV("\"\\q\""), &g_arena, &out, &end, NULL) < 0);
    assert_true(toc_go_string_parse(TOC_SV("\"\\ud800\""), &g_arena, &out, &end, NULL) < 0);
    assert_true(toc_go_string_parse(TOC_SV("'a"), &g_arena, &out, &end, NULL) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_labels),         cmocka_unit_test(expands_items),
        cmocka_unit_test(reads_histograms),     cmocka_unit_test(ramps_histograms),
        cmocka_unit_test(writes_what_it_reads), cmocka_unit_test(reads_start_timestamps),
        cmocka_unit_test(reads_go_strings),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    toc_arena_fini(&g_arena);
    return failed;
}
