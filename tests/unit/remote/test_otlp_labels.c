/* Which labels a series gets: of its resource, its scope and its point. */
#include "otlp_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resource_says_who_it_is),
        cmocka_unit_test(identifying_attributes_stay_when_asked),
        cmocka_unit_test(target_info_needs_an_identity_and_something_to_say),
        cmocka_unit_test(target_info_covers_the_time_of_the_points),
        cmocka_unit_test(attributes_are_promoted),
        cmocka_unit_test(all_attributes_but_some_are_promoted),
        cmocka_unit_test(the_scope_becomes_labels_when_asked),
        cmocka_unit_test(values_of_attributes_are_text),
        cmocka_unit_test(bad_names_and_labels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
