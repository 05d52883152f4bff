/* Deltas are summed up to what a scrape would see. */
#include "otlp_fixture.h"

static int send_delta(struct setup *s, const char *second, const char *value) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b,
                   "{'name':'c','sum':{'aggregationTemporality':1,'isMonotonic':true,'dataPoints':["
                   "{'timeUnixNano':'$%s000000000','asInt':%s}]}}",
                   second, value);
    int rc = send_metrics(s, "", toc_buf_cstr(&b));
    toc_buf_fini(&b);
    return rc;
}

static void deltas_are_summed_up(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(send_delta(&s, "30", "5"), 0);
    assert_int_equal(send_delta(&s, "40", "7"), 0);
    /* once more, and late: counted already, or out of order */
    assert_int_equal(send_delta(&s, "40", "7"), 0);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_DELTA_ORDER], 1);
    assert_int_equal(send_delta(&s, "35", "1"), 0);
    assert_int_equal(s.out.rejected_points, 1);
    assert_int_equal(send_delta(&s, "50", "1"), 0);
    expect(&s, "c_total 5" AT30 "c_total 12" AT40 "c_total 13" AT50);
    end(&s);
}

static void an_idle_delta_series_begins_anew(void **state) {
    (void)state;
    struct setup s;
    struct toc_otlp_stats stats;
    begin(&s);
    assert_int_equal(send_delta(&s, "30", "5"), 0);
    toc_clock_virtual_advance(&s.f.clock, 301000);
    assert_int_equal(send_delta(&s, "40", "7"), 0);
    expect(&s, "c_total 5" AT30 "c_total 7" AT40);
    toc_otlp_stats(s.otlp, &stats);
    assert_int_equal(stats.delta_evicted, 1);
    assert_int_equal(stats.delta_series, 1);
    end(&s);
}

static void delta_series_are_bounded(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, (struct toc_otlp_options){.delta_max_series = 1});
    assert_int_equal(send_metrics(&s, "",
                                  "{'name':'c','sum':{'aggregationTemporality':1,'dataPoints':["
                                  "{'timeUnixNano':" NS(
                                      30) ",'asInt':1},"
                                          "{'timeUnixNano':" NS(
                                              30) ",'asInt':2,'attributes':[{'key':'a','value':"
                                                  "{'intValue':1}}]},"
                                                  "{'timeUnixNano':" NS(40) ",'asInt':-3}]}}"),
                     0);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_DELTA_FULL], 1);
    expect(&s, "c 1" AT30 "c -2" AT40);
    end(&s);
}

/* A message that the store refuses is sent again: its deltas count once. */
static void deltas_of_a_failed_write_are_undone(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(send_delta(&s, "30", "5"), 0);
    toc_vfs_sim_fail(s.f.disk, TOC_SIM_WRITE, 1, TOC_ENOSPC, true);
    assert_true(send_delta(&s, "40", "7") < 0);
    toc_vfs_sim_fail(s.f.disk, 0, 0, 0, false);
    toc_clock_virtual_advance(&s.f.clock, 60000);
    (void)toc_metricdb_maintain(s.f.db, NULL);
    assert_int_equal(send_delta(&s, "40", "7"), 0);
    assert_int_equal(s.out.rejected_points, 0);
    assert_int_equal(s.out.samples, 1);
    expect(&s, "c_total 5" AT30 "c_total 12" AT40);
    end(&s);
}

static void delta_histograms_are_summed_up(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
#define DELTA_H(at, rest)                                                                   \
    "{'name':'h','histogram':{'aggregationTemporality':1,'dataPoints':[{'timeUnixNano':" at \
    ",'sum':2," rest "}]}}"
    assert_int_equal(send_metrics(&s, "",
                                  DELTA_H(NS(30), "'count':3,'bucketCounts':[1,2],"
                                                  "'explicitBounds':[1]")),
                     0);
    assert_int_equal(send_metrics(&s, "",
                                  DELTA_H(NS(40), "'count':4,'bucketCounts':[4,0],"
                                                  "'explicitBounds':[1]")),
                     0);
    /* other bounds: anew */
    assert_int_equal(send_metrics(&s, "",
                                  DELTA_H(NS(50), "'count':1,'bucketCounts':[1,0],"
                                                  "'explicitBounds':[2]")),
                     0);
    expect(&s, "h_bucket{le=\"+Inf\"} 3" AT30 "h_bucket{le=\"+Inf\"} 7" AT40
               "h_bucket{le=\"+Inf\"} 1" AT50 "h_bucket{le=\"1\"} 1" AT30
               "h_bucket{le=\"1\"} 5" AT40 "h_bucket{le=\"2\"} 1" AT50 "h_count 3" AT30
               "h_count 7" AT40 "h_count 1" AT50 "h_sum 2" AT30 "h_sum 4" AT40 "h_sum 2" AT50);
    end(&s);
}

/* Scale 2 with (1.41, 1.68], (1.68, 2] at offset 2 and 3 (native 3, 4) comes down to scale 1, where
 * both are (1.41, 2] (native 2); there is one more in (2, 2.83] (native 3). */
static void delta_exponential_histograms_come_to_one_scale(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
#define DELTA_E(at, rest)                                                           \
    "{'name':'e','exponentialHistogram':{'aggregationTemporality':1,'dataPoints':[" \
    "{'timeUnixNano':" at ",'sum':2," rest "}]}}"
    assert_int_equal(
        send_metrics(&s, "",
                     DELTA_E(NS(30), "'count':4,'scale':2,'zeroCount':1,'positive':{'offset':2,"
                                     "'bucketCounts':[1,2]}")),
        0);
    assert_int_equal(
        send_metrics(&s, "",
                     DELTA_E(NS(40), "'count':3,'scale':1,'positive':{'offset':2,'bucketCounts':"
                                     "[1]},'negative':{'offset':0,'bucketCounts':[2]}")),
        0);
    /* a wider zero bucket takes in what lies in it: (-1.41, -1] reaches beyond, (1.41, 2] is in */
    assert_int_equal(send_metrics(&s, "",
                                  DELTA_E(NS(50), "'count':1,'scale':1,'zeroCount':1,"
                                                  "'zeroThreshold':2")),
                     0);
    expect(&s, "e {s2 count:4 sum:2 zero:1e-128:1 +3:1,4:2}" AT30
               "e {s1 count:7 sum:4 zero:1e-128:1 +2:3,3:1 -1:2}" AT40
               "e {s1 count:8 sum:6 zero:2:7 +3:1}" AT50);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_are_summed_up),
        cmocka_unit_test(an_idle_delta_series_begins_anew),
        cmocka_unit_test(delta_series_are_bounded),
        cmocka_unit_test(deltas_of_a_failed_write_are_undone),
        cmocka_unit_test(delta_histograms_are_summed_up),
        cmocka_unit_test(delta_exponential_histograms_come_to_one_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
