/* Exemplars, metadata, memory of known series, large and broken messages, answers. */
#include "metricdb/exemplar.h"
#include "otlp_fixture.h"

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
        cmocka_unit_test(exemplars_go_to_their_bucket),
        cmocka_unit_test(metadata_is_kept),
        cmocka_unit_test(a_forgotten_series_is_found_anew),
        cmocka_unit_test(options_change_while_running),
        cmocka_unit_test(series_are_told_apart_by_all_they_come_from),
        cmocka_unit_test(large_messages_are_written_in_pieces),
        cmocka_unit_test(names_may_stay_as_they_are),
        cmocka_unit_test(broken_messages_store_nothing),
        cmocka_unit_test(too_deep_values_are_refused),
        cmocka_unit_test(answers_are_in_the_encoding_of_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
