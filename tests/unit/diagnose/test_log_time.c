#include "../cmocka_prelude.h"
#include "diagnose/log_time.h"

static const struct toc_log_time_options g_options = {
    .reference = {1787320800000}}; /* 2026-08-21T14:00Z */

static void every_form_is_read(void **state) {
    static const struct {
        const char *line, *time;
    } cases[] = {
        {"2026-08-20T11:00:00.123Z INFO x", "2026-08-20T11:00:00.123Z"},
        {"2026-08-20T11:00:00+08:00 x", "2026-08-20T03:00:00.000Z"},
        {"[2026-08-20 11:00:00,123] [INFO] x", "2026-08-20T11:00:00.123Z"},
        {"INFO 2026/08/20 11:00:00 x", "2026-08-20T11:00:00.000Z"},
        {"[rank1]:[E820 11:00:00.43 x", NULL},
        {"[rank1]:[E0820 11:00:00.430123 ProcessGroupNCCL.cpp:629] x", "2026-08-20T11:00:00.430Z"},
        {"INFO 08-20 11:00:00.5 [loggers.py:118] x", "2026-08-20T11:00:00.500Z"},
        {"INFO 12-31 23:59:59 x", "2025-12-31T23:59:59.000Z"},
        {"Aug 20 11:00:00 node7 kernel: x", "2026-08-20T11:00:00.000Z"},
        {"Aug  2 11:00:00 node7 kernel: x", "2026-08-02T11:00:00.000Z"},
        {"[Thu Aug 20 11:00:00 2026] NVRM: x", "2026-08-20T11:00:00.000Z"},
        {"Aug 20 2024 11:00:00 x", "2024-08-20T11:00:00.000Z"},
        {"1787223600.250 x", "2026-08-20T11:00:00.250Z"},
        {"[1787223600] x", "2026-08-20T11:00:00.000Z"},
        {"[ 1131.100000] NVRM: x", NULL},
        {"iteration 100/ 2000 | loss 2.3", NULL},
        {"2026-13-20T11:00:00Z", NULL},
        {"2026-08-20 25:00:00", NULL},
        {"17872236001 is a number", NULL},
        {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_ts got = {0};
        struct toc_buf text = TOC_BUF_INIT;
        bool is_found = toc_log_time_parse(toc_sv_cstr(cases[i].line), &g_options, &got);
        toc_ts_format_rfc3339(got, &text);
        if (is_found != (cases[i].time != NULL) ||
            (is_found && strcmp(toc_buf_cstr(&text), cases[i].time) != 0))
            fail_msg("%s: %s", cases[i].line, is_found ? toc_buf_cstr(&text) : "nothing");
        toc_buf_fini(&text);
    }
}

static void a_zone_that_is_not_said_is_given(void **state) {
    struct toc_log_time_options o = g_options;
    struct toc_ts got;
    (void)state;
    o.utc_offset_ms = 8 * 3600 * 1000;
    assert_true(toc_log_time_parse(TOC_SV("2026-08-20 11:00:00 x"), &o, &got));
    assert_int_equal(got.ms, INT64_C(1787223600000) - 8 * 3600 * 1000);
    assert_true(toc_log_time_parse(TOC_SV("2026-08-20T11:00:00Z x"), &o, &got));
    assert_int_equal(got.ms, INT64_C(1787223600000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(a_zone_that_is_not_said_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
