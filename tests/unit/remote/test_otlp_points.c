/* What becomes of each kind of metric. */
#include "otlp_fixture.h"

static void gauges_and_sums_become_samples(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'room.temperature','unit':'Cel','description':'warm','gauge':{'dataPoints':["
            "{'timeUnixNano':" NS(30) ",'asDouble':21.5,'attributes':[{'key':'room','value':"
                                      "{'stringValue':'a'}}]},"
                                      "{'timeUnixNano':" NS(
                                          30) ",'asInt':'-7','attributes':[{'key':'room','value':"
                                              "{'stringValue':'b'}}]}]}},"
                                              "{'name':'requests','sum':{'aggregationTemporality':"
                                              "2,'isMonotonic':true,'dataPoints':["
                                              "{'startTimeUnixNano':" NS(10) ",'timeUnixNano':" NS(
                                                  30) ",'asInt':9007199254740991}]}},"
                                                      "{'name':'queue','unit':'{item}','sum':{'"
                                                      "aggregationTemporality':"
                                                      "'AGGREGATION_TEMPORALITY_CUMULATIVE','"
                                                      "dataPoints':[{'timeUnixNano':" NS(
                                                          30) ",'asDouble':'-Infinity'}]}}"),
        0);
    assert_int_equal(s.out.rejected_points, 0);
    assert_int_equal(s.out.points, 4);
    expect(&s, "queue -Inf" AT30 "requests_total 9007199254740991" AT30
               "room_temperature_celsius{room=\"a\"} 21.5" AT30
               "room_temperature_celsius{room=\"b\"} -7" AT30);
    end(&s);
}

static void a_point_without_recorded_value_ends_its_series(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':" NS(
                30) ",'flags':1}]}},"
                    "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{'"
                    "timeUnixNano':" NS(
                        30) ",'flags':1}]}},"
                            "{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'"
                            "dataPoints':["
                            "{'timeUnixNano':" NS(
                                30) ",'flags':1,'scale':30,'count':5}]}},"
                                    "{'name':'nothing','gauge':{'dataPoints':[{'timeUnixNano':" NS(
                                        30) "}]}}"),
        0);
    assert_int_equal(s.out.rejected_points, 1);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_NO_VALUE], 1);
    assert_string_equal(toc_buf_cstr(&s.out.text), "no_value: metric \"nothing\"");
    expect(&s, "e {s8 count:0 sum:stale zero:1e-128:0}" AT30 "g stale" AT30
               "h_bucket{le=\"+Inf\"} stale" AT30 "h_count stale" AT30 "h_sum stale" AT30);
    end(&s);
}

static void histograms_become_classic_ones(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(send_metrics(&s, "", HISTOGRAM), 0);
    expect(&s, "wait_seconds_bucket{le=\"+Inf\"} 6" AT30 "wait_seconds_bucket{le=\"0.5\"} 1" AT30
               "wait_seconds_bucket{le=\"1\"} 3" AT30 "wait_seconds_bucket{le=\"2.5\"} 3" AT30
               "wait_seconds_count 6" AT30 "wait_seconds_sum 8.25" AT30);
    end(&s);
}

static void histograms_become_custom_buckets_when_asked(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, (struct toc_otlp_options){.makes_custom_buckets = true});
    assert_int_equal(send_metrics(&s, "", HISTOGRAM), 0);
    expect(&s, "wait_seconds {s-53 count:6 sum:8.25 +0:1,1:2,3:3 le 0.5,1,2.5}" AT30);
    end(&s);
}

static void bad_histograms_are_refused(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
            "{'timeUnixNano':" NS(
                30) ",'count':3,'bucketCounts':[1,2],'explicitBounds':[1,2]},"
                    "{'timeUnixNano':" NS(
                        30) ",'count':3,'bucketCounts':[1,2,0],'explicitBounds':[2,1]},"
                            "{'timeUnixNano':" NS(
                                30) ",'count':3,'bucketCounts':[1,2],'explicitBounds':['NaN']}]}},"
                                    "{'name':'e','exponentialHistogram':{'aggregationTemporality':"
                                    "2,'dataPoints':["
                                    "{'timeUnixNano':" NS(
                                        30) ",'count':1,'scale':-5,'zeroCount':1},"
                                            "{'timeUnixNano':" NS(
                                                30) ",'count':2,'scale':1,'zeroCount':1},"
                                                    "{'timeUnixNano':" NS(
                                                        30) ",'count':1,'scale':1,'positive':{'"
                                                            "offset':2147483647,"
                                                            "'bucketCounts':[1]}}]}},"
                                                            "{'name':'d','histogram':{'dataPoints':"
                                                            "[{'timeUnixNano':" NS(
                                                                30) ",'count':3}]}}"),
        0);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_BUCKETS], 6);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_TEMPORALITY], 1);
    assert_int_equal(s.out.rejected_points, 7);
    expect(&s, "");
    end(&s);
}

/* Scale 1, offset 2: (2, 2.83], (2.83, 4] are the native buckets 3 and 4 of schema 1. */
static void exponential_histograms_become_native(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(&s, "",
                     "{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':["
                     "{'timeUnixNano':" NS(
                         30) ",'count':11,'sum':-2.5,'scale':1,'zeroCount':2,"
                             "'zeroThreshold':0.001,'positive':{'offset':2,'bucketCounts':[3,0,4]},"
                             "'negative':{'offset':-3,'bucketCounts':['2']}}]}}"),
        0);
    expect(&s, "e {s1 count:11 sum:-2.5 zero:0.001:2 +3:3,5:4 --2:2}" AT30);
    end(&s);
}

/* Scale 10 has four buckets in each of scale 8: the indexes -5 … 3 are in -2, -1, 0. */
static void too_fine_scales_are_merged(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':["
            "{'timeUnixNano':" NS(30) ",'count':45,'sum':1,'scale':10,'positive':{'offset':"
                                      "-5,'bucketCounts':[1,2,3,4,5,6,7,8,9]}}]}}"),
        0);
    expect(&s, "e {s8 count:45 sum:1 zero:1e-128:0 +-1:1,0:14,1:30}" AT30);
    end(&s);
}

static void summaries_have_quantiles(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'q','summary':{'dataPoints':[{'timeUnixNano':" NS(
                30) ",'count':4,"
                    "'sum':10,'quantileValues':[{'quantile':0.5,'value':2},{'quantile':1,'value':"
                    "'NaN'}],'attributes':[{'key':'quantile','value':{'stringValue':'mine'}}]}]}}"),
        0);
    /* the label of the quantile wins over the attribute */
    expect(&s, "q{quantile=\"0.5\"} 2" AT30 "q{quantile=\"1\"} NaN" AT30
               "q_count{quantile=\"mine\"} 4" AT30 "q_sum{quantile=\"mine\"} 10" AT30);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gauges_and_sums_become_samples),
        cmocka_unit_test(a_point_without_recorded_value_ends_its_series),
        cmocka_unit_test(histograms_become_classic_ones),
        cmocka_unit_test(histograms_become_custom_buckets_when_asked),
        cmocka_unit_test(bad_histograms_are_refused),
        cmocka_unit_test(exponential_histograms_become_native),
        cmocka_unit_test(too_fine_scales_are_merged),
        cmocka_unit_test(summaries_have_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
