/* What becomes of each kind of metric; messages are written in JSON, results as the store dumps
 * them. Times: T seconds are FIXTURE_START_MS / 1000 = 1760000400. */
#include "../../otlp_dump.h"
#include "../metricdb/fixture.h"
#include "metricdb/exemplar.h"
#include "remote/otlp.h"

struct setup {
    struct fixture f;
    struct toc_otlp *otlp;
    struct toc_otlp_options options;
    struct toc_otlp_outcome out;
    struct toc_err err;
};

static void begin_with(struct setup *s, struct toc_otlp_options options) {
    *s = (struct setup){.options = options};
    fixture_init(&s->f, 1);
    s->otlp = toc_otlp_new(&s->options, s->f.db, &s->f.clock.base);
}

static void begin(struct setup *s) {
    begin_with(s, (struct toc_otlp_options){0});
}

static void end(struct setup *s) {
    toc_otlp_free(&s->otlp);
    toc_buf_fini(&s->out.text);
    fixture_fini(&s->f);
}

/* Single quotes stand for double ones; `$N` for N seconds after the start, in nanoseconds. */
static void expand(const char *text, struct toc_buf *out) {
    for (const char *p = text; *p; p++) {
        if (*p == '$')
            toc_buf_append_cstr(out, "17600004");
        else
            toc_buf_append_char(out, *p == '\'' ? '"' : *p);
    }
}

static int send_json(struct setup *s, const char *text) {
    struct toc_buf body = TOC_BUF_INIT;
    expand(text, &body);
    toc_buf_fini(&s->out.text);
    s->err = (struct toc_err){0};
    int rc = toc_otlp_receive(s->otlp, TOC_OTLP_JSON, toc_buf_sv(&body), &s->out, &s->err);
    toc_buf_fini(&body);
    return rc;
}

/* A message of one resource, one scope, the metrics given. */
static int send_metrics(struct setup *s, const char *resource, const char *metrics) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b,
                   "{'resourceMetrics':[{'resource':{'attributes':[%s]},'scopeMetrics':[{'scope':"
                   "{'name':'my.scope','version':'1.2','attributes':[{'key':'lib.kind','value':"
                   "{'stringValue':'x'}}]},'schemaUrl':'http://s','metrics':[%s]}]}]}",
                   resource, metrics);
    int rc = send_json(s, toc_buf_cstr(&b));
    toc_buf_fini(&b);
    if (rc)
        print_error("%s\n", s->err.message);
    return rc;
}

/* What the store holds, with times as seconds after the start. */
static void expect(struct setup *s, const char *want) {
    struct toc_buf got = TOC_BUF_INIT;
    assert_int_equal(otlp_dump(s->f.db, &got), 0);
    assert_string_equal(toc_buf_cstr(&got), want);
    toc_buf_fini(&got);
}

/* Second 30 after the start. */
#define AT30 "@1760000430000\n"
#define AT40 "@1760000440000\n"
#define AT50 "@1760000450000\n"
#define NS(seconds) "'$" #seconds "000000000'"

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

#define HISTOGRAM                                                                      \
    "{'name':'wait','unit':'s','histogram':{'aggregationTemporality':2,'dataPoints':[" \
    "{'timeUnixNano':" NS(30) ",'count':'6','sum':8.25,'bucketCounts':['1','2',0,3],"  \
                              "'explicitBounds':[0.5,1,2.5],'min':0.1,'max':5}]}}"

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

#define RESOURCE                                                   \
    "{'key':'service.name','value':{'stringValue':'api'}},"        \
    "{'key':'service.namespace','value':{'stringValue':'shop'}},"  \
    "{'key':'service.instance.id','value':{'stringValue':'i-1'}}," \
    "{'key':'host.name','value':{'stringValue':'h1'}}"

#define ONE_GAUGE "{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':" NS(30) ",'asInt':1}]}}"

static void a_resource_says_who_it_is(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(send_metrics(&s, RESOURCE, ONE_GAUGE), 0);
    expect(&s, "g{instance=\"i-1\", job=\"shop/api\"} 1" AT30
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT30);
    end(&s);
}

static void identifying_attributes_stay_when_asked(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, (struct toc_otlp_options){.keeps_identifying = true});
    assert_int_equal(send_metrics(&s, RESOURCE, ONE_GAUGE), 0);
    expect(&s, "g{instance=\"i-1\", job=\"shop/api\"} 1" AT30
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\", "
               "service_instance_id=\"i-1\", service_name=\"api\", service_namespace=\"shop\"} "
               "1" AT30);
    end(&s);
}

static void target_info_needs_an_identity_and_something_to_say(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(&s, "{'key':'host.name','value':{'stringValue':'h1'}}", ONE_GAUGE), 0);
    assert_int_equal(
        send_metrics(&s, "{'key':'service.name','value':{'stringValue':'api'}}", ONE_GAUGE), 0);
    expect(&s, "g 1" AT30 "g{job=\"api\"} 1" AT30);
    end(&s);
}

/* Every half of the look-back from the first to the last point, and at the last. */
static void target_info_covers_the_time_of_the_points(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, (struct toc_otlp_options){.lookback_ms = 30000});
    assert_int_equal(send_metrics(&s, RESOURCE,
                                  "{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':" NS(
                                      50) ",'asInt':1},{'timeUnixNano':" NS(30) ",'asInt':1}]}}"),
                     0);
    expect(&s, "g{instance=\"i-1\", job=\"shop/api\"} 1" AT30
               "g{instance=\"i-1\", job=\"shop/api\"} 1" AT50
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT30
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1@1760000445000\n"
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT50);
    end(&s);
}

static void attributes_are_promoted(void **state) {
    (void)state;
    struct setup s;
    struct toc_sv list[] = {TOC_SV("host.name"), TOC_SV("absent")};
    begin_with(&s, (struct toc_otlp_options){.promoted = list, .promoted_count = 2});
    assert_int_equal(send_metrics(&s, RESOURCE, ONE_GAUGE), 0);
    end(&s);
    begin_with(&s, (struct toc_otlp_options){.promoted = list, .promoted_count = 2});
    assert_int_equal(
        send_metrics(&s, RESOURCE,
                     "{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':" NS(
                         30) ",'asInt':1},{'timeUnixNano':" NS(30) ",'asInt':2,'attributes':["
                                                                   "{'key':'host_name','value':"
                                                                   "{'stringValue':'mine'}}]}]}}"),
        0);
    expect(&s, "g{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT30
               "g{host_name=\"mine\", instance=\"i-1\", job=\"shop/api\"} 2" AT30
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT30);
    end(&s);
}

static void all_attributes_but_some_are_promoted(void **state) {
    (void)state;
    struct setup s;
    struct toc_sv list[] = {TOC_SV("service.name"), TOC_SV("service.namespace")};
    begin_with(&s, (struct toc_otlp_options){
                       .is_promoting_all = true, .ignored = list, .ignored_count = 2});
    assert_int_equal(send_metrics(&s, RESOURCE, ONE_GAUGE), 0);
    expect(&s, "g{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\", "
               "service_instance_id=\"i-1\"} 1" AT30
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT30);
    end(&s);
}

static void the_scope_becomes_labels_when_asked(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, (struct toc_otlp_options){.promotes_scope = true});
    assert_int_equal(send_metrics(&s, "", ONE_GAUGE), 0);
    expect(&s, "g{otel_scope_lib_kind=\"x\", otel_scope_name=\"my.scope\", "
               "otel_scope_schema_url=\"http://s\", otel_scope_version=\"1.2\"} 1" AT30);
    end(&s);
}

/* Kinds of values: as JSON, maps by key; colliding names are joined in the order of their keys. */
static void values_of_attributes_are_text(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(&s, "",
                     "{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':" NS(
                         30) ",'asInt':1,'attributes':["
                             "{'key':'b','value':{'boolValue':true}},"
                             "{'key':'i','value':{'intValue':'-42'}},"
                             "{'key':'d','value':{'doubleValue':1.5}},"
                             "{'key':'x.y','value':{'stringValue':'second'}},"
                             "{'key':'x-y','value':{'stringValue':'first'}},"
                             "{'key':'z','value':{'bytesValue':'AAE='}},"
                             "{'key':'e','value':{}},"
                             "{'key':'a','value':{'arrayValue':{'values':[{'intValue':1},{'"
                             "stringValue':'s'},"
                             "{},{'arrayValue':{}}]}}},"
                             "{'key':'m','value':{'kvlistValue':{'values':[{'key':'z','value':{'"
                             "intValue':1}},"
                             "{'key':'k','value':{'kvlistValue':{'values':[]}}}]}}}]}]}}"),
        0);
    expect(&s, "g{a=\"[1,\\\"s\\\",null,[]]\", b=\"true\", d=\"1.5\", i=\"-42\", "
               "m=\"{\\\"k\\\":{},\\\"z\\\":1}\", x_y=\"first;second\", z=\"AAE=\"} 1" AT30);
    end(&s);
}

static void bad_names_and_labels_are_refused(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'...','gauge':{'dataPoints':[{'timeUnixNano':" NS(
                30) ",'asInt':1}]}},"
                    "{'name':'later','someNewType':{'dataPoints':[{}]}},"
                    "{'name':'g','gauge':{'dataPoints':["
                    "{'timeUnixNano':" NS(
                        30) ",'asInt':1,'attributes':[{'key':'...','value':{'intValue':1}}]},"
                            "{'timeUnixNano':'1960000400000000000','asInt':1},"
                            "{'timeUnixNano':" NS(30) ",'asInt':1}]}}"),
        0);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_NAME], 1);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_NO_DATA], 1);
    assert_int_equal(s.out.refused[TOC_OTLP_REFUSED_LABELS], 1);
    assert_int_equal(s.out.rejected[TOC_REJECT_TOO_FAR_IN_FUTURE], 1);
    assert_int_equal(s.out.rejected_points, 4);
    assert_int_equal(s.out.samples, 1);
    expect(&s, "g 1" AT30);
    end(&s);
}

/* --- delta --- */

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

/* --- exemplars, metadata, answers --- */

static int one_exemplar(void *ctx, struct toc_labels series, const struct toc_exemplar *e,
                        size_t count) {
    struct toc_buf *out = ctx;
    for (size_t i = 0; i < count; i++) {
        toc_labels_format(series, out);
        toc_buf_append_char(out, ' ');
        toc_labels_format(e[i].labels, out);
        toc_buf_append_char(out, ' ');
        toc_format_f64(e[i].value, out);
        toc_buf_printf(out, "@%lld\n", (long long)e[i].t_ms);
    }
    return 0;
}

static void exemplars_go_to_their_bucket(void **state) {
    (void)state;
    struct setup s;
    struct toc_matcher m;
    struct toc_buf got = TOC_BUF_INIT;
    begin(&s);
    assert_int_equal(
        send_metrics(
            &s, "",
            "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':" NS(
                30) ",'count':2,'bucketCounts':[1,1],'explicitBounds':[1],'exemplars':["
                    "{'timeUnixNano':" NS(
                        20) ",'asDouble':3,'traceId':"
                            "'0AF7651916CD43DD8448EB211C80319C','spanId':'b7ad6b7169203331',"
                            "'filteredAttributes':[{'key':'user.id','value':{'intValue':7}}]},"
                            "{'timeUnixNano':" NS(
                                10) ",'asInt':'1','spanId':'0000000000000000'}]}]}}"),
        0);
    assert_int_equal(s.out.exemplars, 2);
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_NE, TOC_METRIC_NAME, TOC_SV(""), NULL), 0);
    struct toc_select all = {
        .matchers = &m, .matcher_count = 1, .min_ms = 0, .max_ms = INT64_MAX, .sorted = true};
    assert_int_equal(toc_metricdb_exemplar_select(s.f.db, &all, one_exemplar, &got, NULL), 0);
    toc_matcher_fini(&m);
    assert_string_equal(toc_buf_cstr(&got),
                        "h_bucket{le=\"+Inf\"} {span_id=\"b7ad6b7169203331\", "
                        "trace_id=\"0af7651916cd43dd8448eb211c80319c\", user_id=\"7\"} "
                        "3@1760000420000\n"
                        "h_bucket{le=\"1\"} {} 1@1760000410000\n");
    toc_buf_fini(&got);
    end(&s);
}

static int note_metadata(void *ctx, const struct toc_metric_metadata *m) {
    toc_buf_printf(ctx, "%.*s %s %.*s %.*s\n", TOC_SV_ARG(m->metric), toc_metric_type_text(m->type),
                   TOC_SV_ARG(m->unit), TOC_SV_ARG(m->help));
    return 0;
}

static void metadata_is_kept(void **state) {
    (void)state;
    struct setup s;
    struct toc_buf got = TOC_BUF_INIT;
    begin(&s);
    assert_int_equal(send_metrics(&s, "",
                                  HISTOGRAM
                                  ",{'name':'c','unit':'By','description':'so many','sum':{"
                                  "'aggregationTemporality':2,'isMonotonic':true,'dataPoints':["
                                  "{'timeUnixNano':" NS(30) ",'asInt':1}]}}"),
                     0);
    assert_int_equal(toc_metricdb_metadata(s.f.db, TOC_SV(""), note_metadata, &got), 0);
    assert_string_equal(toc_buf_cstr(&got),
                        "c_bytes_total counter bytes so many\nwait_seconds histogram seconds \n");
    toc_buf_fini(&got);
    end(&s);
}

/* A gauge of a few attributes, `seconds` after the start. */
static int send_gauge(struct setup *s, int64_t seconds, const char *attribute) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b,
                   "{'name':'g','gauge':{'dataPoints':[{'timeUnixNano':'%lld000000000','asInt':1,"
                   "'attributes':[{'key':'x.y','value':{'stringValue':'%s'}}]}]}}",
                   (long long)(FIXTURE_START_MS / 1000 + seconds), attribute);
    int rc = send_metrics(s, RESOURCE, toc_buf_cstr(&b));
    toc_buf_fini(&b);
    return rc;
}

/* The store forgets an idle series; the reference in the cache then leads nowhere. */
static void a_forgotten_series_is_found_anew(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    assert_int_equal(send_gauge(&s, 0, "a"), 0);
    for (int i = 0; i < 24; i++) {
        fixture_advance(&s.f, 15 * 60 * 1000);
        assert_int_equal(fixture_write(&s.f, "tick", "a", s.f.clock.wall.ms, i, NULL), 0);
    }
    assert_int_equal(fixture_stats(&s.f).series, 1);
    assert_int_equal(send_gauge(&s, 6 * 3600, "a"), 0);
    assert_int_equal(s.out.samples, 2);
    assert_int_equal(fixture_select(&s.f, "g", 0, INT64_MAX).series, 1);
    assert_int_equal(fixture_select(&s.f, "g", 0, INT64_MAX).samples, 2);
    assert_int_equal(fixture_select(&s.f, "target_info", 0, INT64_MAX).samples, 2);
    end(&s);
}

/* A series that is known by its key under one set of options is another one under the next. */
static void options_change_while_running(void **state) {
    (void)state;
    struct setup s;
    struct toc_sv list[] = {TOC_SV("host.name")};
    begin(&s);
    assert_int_equal(send_gauge(&s, 30, "a"), 0);
    struct toc_otlp_options o = {
        .naming.strategy = TOC_OTLP_NO_TRANSLATION, .promoted = list, .promoted_count = 1};
    toc_otlp_set_options(s.otlp, &o);
    assert_int_equal(send_gauge(&s, 40, "a"), 0);
    assert_int_equal(send_gauge(&s, 50, "a"), 0);
    expect(&s, "g{\"host.name\"=\"h1\", instance=\"i-1\", job=\"shop/api\", \"x.y\"=\"a\"} 1" AT40
               "g{\"host.name\"=\"h1\", instance=\"i-1\", job=\"shop/api\", \"x.y\"=\"a\"} 1" AT50
               "g{instance=\"i-1\", job=\"shop/api\", x_y=\"a\"} 1" AT30
               "target_info{\"host.name\"=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT40
               "target_info{\"host.name\"=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT50
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT30);
    end(&s);
}

/* What differs in the resource only, or in one bound, is another series, also when it is known. */
static void series_are_told_apart_by_all_they_come_from(void **state) {
    (void)state;
    struct setup s;
    begin(&s);
    for (int i = 3; i <= 4; i++) {
        struct toc_buf b = TOC_BUF_INIT;
        toc_buf_printf(&b,
                       "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':["
                       "{'timeUnixNano':'$%d0000000000','count':%d,'bucketCounts':[1,%d],"
                       "'explicitBounds':[%d]}]}}",
                       i, i, i - 1, i);
        assert_int_equal(send_metrics(&s, i % 2 ? RESOURCE : "", toc_buf_cstr(&b)), 0);
        assert_int_equal(send_metrics(&s, i % 2 ? RESOURCE : "", toc_buf_cstr(&b)), 0);
        toc_buf_fini(&b);
    }
    expect(&s, "h_bucket{instance=\"i-1\", job=\"shop/api\", le=\"+Inf\"} 3" AT30
               "h_bucket{instance=\"i-1\", job=\"shop/api\", le=\"3\"} 1" AT30
               "h_bucket{le=\"+Inf\"} 4" AT40 "h_bucket{le=\"4\"} 1" AT40 "h_count 4" AT40
               "h_count{instance=\"i-1\", job=\"shop/api\"} 3" AT30
               "target_info{host_name=\"h1\", instance=\"i-1\", job=\"shop/api\"} 1" AT30);
    end(&s);
}

/* More samples than a piece holds, refusals in all of them. */
static void large_messages_are_written_in_pieces(void **state) {
    (void)state;
    struct setup s;
    struct toc_buf b = TOC_BUF_INIT;
    begin(&s);
    toc_buf_append_cstr(&b, "{'name':'g','gauge':{'dataPoints':[");
    for (int i = 0; i < 40000; i++)
        toc_buf_printf(&b,
                       "%s{'timeUnixNano':'%s','asInt':%d,'attributes':[{'key':'i','value':"
                       "{'intValue':%d}}]}",
                       i ? "," : "", i % 1000 ? "1760000430000000000" : "1960000430000000000", i,
                       i);
    toc_buf_append_cstr(&b, "]}}");
    for (int time = 0; time < 2; time++) {
        assert_int_equal(send_metrics(&s, "", toc_buf_cstr(&b)), 0);
        assert_int_equal(s.out.samples, 39960);
        assert_int_equal(s.out.rejected_points, 40);
        assert_int_equal(s.out.rejected[TOC_REJECT_TOO_FAR_IN_FUTURE], 40);
    }
    assert_int_equal(fixture_select(&s.f, "g", 0, INT64_MAX).samples, 39960);
    toc_buf_fini(&b);
    end(&s);
}

static void names_may_stay_as_they_are(void **state) {
    (void)state;
    struct setup s;
    begin_with(&s, (struct toc_otlp_options){.naming.strategy = TOC_OTLP_NO_TRANSLATION});
    assert_int_equal(
        send_metrics(&s, "",
                     "{'name':'a.b','unit':'s','sum':{'aggregationTemporality':2,'isMonotonic':"
                     "true,'dataPoints':[{'timeUnixNano':" NS(
                         30) ",'asInt':1,'attributes':["
                             "{'key':'x.y','value':{'stringValue':'v'}}]}]}}"),
        0);
    expect(&s, "{__name__=\"a.b\", \"x.y\"=\"v\"} 1" AT30);
    end(&s);
}

static void broken_messages_store_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{'resourceMetrics':{}}",
        "{'resourceMetrics':[1]}",
        "{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'name':1}]}]}]}",
        "{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'name':'g','gauge':{'dataPoints':["
        "{'timeUnixNano':'x'}]}}]}]}]}",
        "{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'name':'g','gauge':{'dataPoints':["
        "{'timeUnixNano':" NS(30) ",'asInt':1},{'asInt':1.5}]}}]}]}]}",
    };
    struct setup s;
    begin(&s);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(send_json(&s, bad[i]), TOC_EPARSE);
        assert_true(s.err.message[0]);
    }
    assert_int_equal(
        toc_otlp_receive(s.otlp, TOC_OTLP_PROTOBUF, TOC_SV("\x0a\x05\x0a"), &s.out, &s.err),
        TOC_ETRUNCATED);
    expect(&s, "");
    end(&s);
}

static void too_deep_values_are_refused(void **state) {
    (void)state;
    struct setup s;
    struct toc_buf b = TOC_BUF_INIT;
    begin(&s);
    toc_buf_append_cstr(&b, "{'resourceMetrics':[{'resource':{'attributes':[{'key':'a','value':");
    for (int i = 0; i < 9; i++)
        toc_buf_append_cstr(&b, "{'arrayValue':{'values':[");
    for (int i = 0; i < 9; i++)
        toc_buf_append_cstr(&b, "]}}");
    toc_buf_append_cstr(&b, "}]}}]}");
    assert_int_equal(send_json(&s, toc_buf_cstr(&b)), TOC_ELIMIT);
    toc_buf_fini(&b);
    end(&s);
}

static void answers_are_in_the_encoding_of_the_request(void **state) {
    (void)state;
    struct toc_buf b = TOC_BUF_INIT;
    struct toc_otlp_outcome o = {0};
    toc_otlp_put_response(TOC_OTLP_PROTOBUF, &o, &b);
    assert_int_equal(b.n, 0);
    toc_otlp_put_response(TOC_OTLP_JSON, &o, &b);
    assert_string_equal(toc_buf_cstr(&b), "{}");
    toc_buf_reset(&b);
    o.rejected_points = 300;
    toc_buf_append_cstr(&o.text, "why");
    toc_otlp_put_response(TOC_OTLP_JSON, &o, &b);
    assert_string_equal(toc_buf_cstr(&b), "{\"partialSuccess\":{\"rejectedDataPoints\":\"300\","
                                          "\"errorMessage\":\"why\"}}");
    toc_buf_reset(&b);
    toc_otlp_put_response(TOC_OTLP_PROTOBUF, &o, &b);
    assert_sv_equal(toc_buf_sv(&b), "\x0a\x08\x08\xac\x02\x12\x03why");
    toc_buf_reset(&b);
    toc_otlp_put_status(TOC_OTLP_PROTOBUF, TOC_OTLP_INVALID_ARGUMENT, TOC_SV("no"), &b);
    assert_sv_equal(toc_buf_sv(&b), "\x08\x03\x12\x02no");
    toc_buf_reset(&b);
    toc_otlp_put_status(TOC_OTLP_JSON, TOC_OTLP_UNAVAILABLE, TOC_SV("no"), &b);
    assert_string_equal(toc_buf_cstr(&b), "{\"code\":14,\"message\":\"no\"}");
    toc_buf_fini(&b);
    toc_buf_fini(&o.text);
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
        cmocka_unit_test(a_resource_says_who_it_is),
        cmocka_unit_test(identifying_attributes_stay_when_asked),
        cmocka_unit_test(target_info_needs_an_identity_and_something_to_say),
        cmocka_unit_test(target_info_covers_the_time_of_the_points),
        cmocka_unit_test(attributes_are_promoted),
        cmocka_unit_test(all_attributes_but_some_are_promoted),
        cmocka_unit_test(the_scope_becomes_labels_when_asked),
        cmocka_unit_test(values_of_attributes_are_text),
        cmocka_unit_test(bad_names_and_labels_are_refused),
        cmocka_unit_test(deltas_are_summed_up),
        cmocka_unit_test(an_idle_delta_series_begins_anew),
        cmocka_unit_test(delta_series_are_bounded),
        cmocka_unit_test(deltas_of_a_failed_write_are_undone),
        cmocka_unit_test(delta_histograms_are_summed_up),
        cmocka_unit_test(delta_exponential_histograms_come_to_one_scale),
        cmocka_unit_test(exemplars_go_to_their_bucket),
        cmocka_unit_test(metadata_is_kept),
        cmocka_unit_test(names_may_stay_as_they_are),
        cmocka_unit_test(a_forgotten_series_is_found_anew),
        cmocka_unit_test(options_change_while_running),
        cmocka_unit_test(series_are_told_apart_by_all_they_come_from),
        cmocka_unit_test(large_messages_are_written_in_pieces),
        cmocka_unit_test(broken_messages_store_nothing),
        cmocka_unit_test(too_deep_values_are_refused),
        cmocka_unit_test(answers_are_in_the_encoding_of_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
