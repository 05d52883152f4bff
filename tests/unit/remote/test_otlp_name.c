#include "../cmocka_prelude.h"

#include "remote/otlp_name.h"

#define U TOC_OTLP_UNDERSCORE_WITH_SUFFIXES
#define P TOC_OTLP_UNDERSCORE_WITHOUT_SUFFIXES
#define S TOC_OTLP_UTF8_WITH_SUFFIXES
#define N TOC_OTLP_NO_TRANSLATION
#define PLAIN TOC_OTLP_SUFFIX_NONE
#define COUNTER TOC_OTLP_SUFFIX_COUNTER
#define GAUGE TOC_OTLP_SUFFIX_GAUGE

static void check(struct toc_sv got, const char *want, const char *what) {
    if (want ? !toc_sv_eq_cstr(got, want) : got.n != 0)
        fail_msg("%s: got \"%.*s\", want \"%s\"", what, TOC_SV_ARG(got), want ? want : "(none)");
}

static void metric_names_follow_the_strategy(void **state) {
    (void)state;
    static const struct {
        enum toc_otlp_strategy strategy;
        const char *name, *unit;
        enum toc_otlp_suffix suffix;
        const char *want;
    } cases[] = {
        {U, "http.server.duration", "s", PLAIN, "http_server_duration_seconds"},
        {U, "requests", "", COUNTER, "requests_total"},
        {U, "requests_total", "", COUNTER, "requests_total"},
        {U, "total.requests", "{request}", COUNTER, "requests_total"},
        {U, "system.memory.usage", "By", PLAIN, "system_memory_usage_bytes"},
        {U, "memory_bytes", "By", GAUGE, "memory_bytes"},
        {U, "cpu", "1", GAUGE, "cpu_ratio"},
        {U, "cpu.ratio.of.idle", "1", GAUGE, "cpu_of_idle_ratio"},
        {U, "cpu", "1", COUNTER, "cpu_total"},
        {U, "cpu", "1", PLAIN, "cpu"},
        {U, "net", "By/s", GAUGE, "net_bytes_per_second"},
        {U, "rpm", "{turn}/m", GAUGE, "rpm_per_minute"},
        {U, "load", "{thing}/{other}", GAUGE, "load"},
        {U, "req", "1/s", GAUGE, "req_per_second"},
        {U, "speed", "m/s", GAUGE, "speed_meters_per_second"},
        {U, "temperature", "Cel", GAUGE, "temperature_celsius"},
        {U, "fill", "%", GAUGE, "fill_percent"},
        {U, "x", "  ms ", GAUGE, "x_milliseconds"},
        {U, "x", "foo.bar/baz", GAUGE, "x_foo_bar_per_baz"},
        {U, "x", "__weird__", GAUGE, "x_weird"},
        {U, "3xx", "", COUNTER, "_3xx_total"},
        {U, "a__b..c", "", PLAIN, "a_b_c"},
        {U, "_leading", "", PLAIN, "leading"},
        {U, "job:rate:5m", "", PLAIN, "job:rate:5m"},
        {U, "\xe6\xb8\xa9\xe5\xba\xa6", "", PLAIN, NULL},
        {U, "...", "", PLAIN, NULL},
        {U, "", "s", PLAIN, NULL},
        {P, "http.server.duration", "s", PLAIN, "http_server_duration"},
        {P, "a__b..c", "", COUNTER, "a__b_c"},
        {P, "3xx", "", COUNTER, "_3xx"},
        {P, ".x.", "", COUNTER, "x"},
        {S, "http.server.duration", "s", PLAIN, "http.server.duration_seconds"},
        {S, "requests", "", COUNTER, "requests_total"},
        {S, "requests_total", "", COUNTER, "requests_total"},
        {S, "cpu.seconds.total", "s", COUNTER, "cpu.seconds_total"},
        {S, "cpu", "1", GAUGE, "cpu_ratio"},
        {S, "net", "By/s", GAUGE, "net_bytes_per_second"},
        {S, "net_bytes_per_second", "By/s", GAUGE, "net_bytes_per_second"},
        {S, "\xe6\xb8\xa9\xe5\xba\xa6", "Cel", GAUGE, "\xe6\xb8\xa9\xe5\xba\xa6_celsius"},
        {N, "http.server.duration", "s", COUNTER, "http.server.duration"},
        {N, "...", "", PLAIN, "..."},
    };
    struct toc_arena a = TOC_ARENA_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct toc_otlp_naming n = {.strategy = cases[i].strategy};
        check(toc_otlp_metric_name(&n, toc_sv_cstr(cases[i].name), toc_sv_cstr(cases[i].unit),
                                   cases[i].suffix, &a),
              cases[i].want, cases[i].name);
    }
    toc_arena_fini(&a);
}

static void labels_become_legal_unless_utf8_is_wanted(void **state) {
    (void)state;
    static const struct {
        struct toc_otlp_naming naming;
        const char *key, *want;
    } cases[] = {
        {{.strategy = U}, "http.method", "http_method"},
        {{.strategy = U}, "plain", "plain"},
        {{.strategy = U}, "a..b", "a__b"},
        {{.strategy = U}, "0day", "key_0day"},
        {{.strategy = U}, "_private", "key_private"},
        {{.strategy = U}, ".x", "key_x"},
        {{.strategy = U}, "__reserved__", "__reserved__"},
        {{.strategy = U}, "caf\xc3\xa9", "caf_"},
        {{.strategy = U}, "...", NULL},
        {{.strategy = U}, "", NULL},
        {{.strategy = U, .is_plain_underscore = true}, "_private", "_private"},
        {{.strategy = U, .is_collapsing_underscores = true}, "a..b__c", "a_b_c"},
        {{.strategy = U, .is_collapsing_underscores = true}, "__a__", "__a__"},
        {{.strategy = P}, "http.method", "http_method"},
        {{.strategy = S}, "http.method", "http.method"},
        {{.strategy = N}, "0\xc3\xa9", "0\xc3\xa9"},
    };
    struct toc_arena a = TOC_ARENA_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(toc_otlp_label_name(&cases[i].naming, toc_sv_cstr(cases[i].key), &a), cases[i].want,
              cases[i].key);
    toc_arena_fini(&a);
}

static void units_have_words(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"s", "seconds"},
        {"By/s", "bytes_per_second"},
        {"1", ""},
        {"{request}", ""},
        {"{request}/s", "per_second"},
        {"GiBy", "gibibytes"},
        {"furlong", "furlong"},
        {"", ""},
        {"V", "volts"},
        {"By/{core}", "bytes"},
    };
    struct toc_otlp_naming n = {.strategy = U};
    struct toc_arena a = TOC_ARENA_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(toc_otlp_unit_name(&n, toc_sv_cstr(cases[i][0]), &a), cases[i][1], cases[i][0]);
    toc_arena_fini(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_names_follow_the_strategy),
        cmocka_unit_test(labels_become_legal_unless_utf8_is_wanted),
        cmocka_unit_test(units_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
