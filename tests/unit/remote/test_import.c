/* What lines of text become in the store, and what is told of those that become nothing. */
#include "../../otlp_dump.h"
#include "../metricdb/fixture.h"
#include "remote/import.h"

struct setup {
    struct fixture f;
    struct toc_import *im;
    struct toc_influx_options influx;
    struct toc_import_options options;
    struct toc_import_outcome out;
};

static void begin(struct setup *s) {
    *s = (struct setup){.influx = {.separator = "_"}};
    fixture_init(&s->f, 1);
    s->im = toc_import_new(&s->influx, s->f.db, &s->f.clock.base);
}

static void end(struct setup *s) {
    toc_import_free(&s->im);
    toc_buf_fini(&s->out.text);
    fixture_fini(&s->f);
}

static void send(struct setup *s, enum toc_import_format format, const char *text) {
    struct toc_err err = {0};
    toc_buf_fini(&s->out.text);
    toc_import_set_influx(s->im, &s->influx);
    if (toc_import_receive(s->im, format, &s->options, toc_sv_cstr(text), &s->out, &err))
        fail_msg("receive: %s", err.message);
}

static void expect_stored(struct setup *s, const char *wanted) {
    struct toc_buf got = TOC_BUF_INIT;
    otlp_dump(s->f.db, &got);
    assert_string_equal(toc_buf_cstr(&got), wanted);
    toc_buf_fini(&got);
}

static void expect_told(struct setup *s, const char *wanted) {
    assert_string_equal(toc_buf_cstr(&s->out.text), wanted);
}

static void influx_fields_become_series(void **state) {
    struct setup s;
    (void)state;
    begin(&s);
    send(&s, TOC_IMPORT_INFLUX,
         "# a comment\n\n"
         "cpu,host=a\\ b,core=0 usage=1.5,idle=2i,up=true,big=18446744073709551615u,"
         "note=\"two\\\"\nlines\" 1760000401000999999\n"
         "mem used=1e3\r\n"
         "far v=1 1760100400000000000");
    assert_int_equal(s.out.lines, 3);
    assert_int_equal(s.out.skipped_strings, 1);
    expect_told(&s, "line 6: too_far_in_future: far_v");
    assert_int_equal(s.out.rejected_lines, 1);
    assert_int_equal(s.out.samples, 5);
    expect_stored(&s, "cpu_big{core=\"0\", host=\"a b\"} 18446744073709552000@1760000401000\n"
                      "cpu_idle{core=\"0\", host=\"a b\"} 2@1760000401000\n"
                      "cpu_up{core=\"0\", host=\"a b\"} 1@1760000401000\n"
                      "cpu_usage{core=\"0\", host=\"a b\"} 1.5@1760000401000\n"
                      "mem_used 1000@1760000400000\n");
    end(&s);
}

static void influx_names_follow_the_options(void **state) {
    struct setup s;
    (void)state;
    begin(&s);
    send(&s, TOC_IMPORT_INFLUX, "http-response,a.b=c,9x=d value=1,r\\,t=2\n");
    s.influx = (struct toc_influx_options){
        .separator = ".", .database_label = "db", .is_dropping_value = true, .keeps_names = true};
    s.options.database = TOC_SV("telegraf/autogen");
    send(&s, TOC_IMPORT_INFLUX, "http-response,a.b=c value=1,rt=2\n");
    expect_stored(&s, "http_response_r_t{_9x=\"d\", a_b=\"c\"} 2@1760000400000\n"
                      "http_response_value{_9x=\"d\", a_b=\"c\"} 1@1760000400000\n"
                      "{__name__=\"http-response\", \"a.b\"=\"c\", db=\"telegraf/autogen\"} "
                      "1@1760000400000\n"
                      "{__name__=\"http-response.rt\", \"a.b\"=\"c\", "
                      "db=\"telegraf/autogen\"} 2@1760000400000\n");
    end(&s);
}

static void influx_precisions(void **state) {
    static const struct {
        const char *name, *time;
    } rows[] = {{"ns", "1760000401000000000"}, {"us", "1760000401000000"}, {"ms", "1760000401000"},
                {"s", "1760000401"},           {"m", "29333340"},          {"h", "488889"}};
    struct setup s;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[80], wanted[80];
        begin(&s);
        assert_int_equal(
            toc_influx_precision_parse(toc_sv_cstr(rows[i].name), &s.options.precision), 0);
        snprintf(line, sizeof line, "m v=1 %s", rows[i].time);
        send(&s, TOC_IMPORT_INFLUX, line);
        snprintf(wanted, sizeof wanted, "m_v 1@%lld\n", i < 4 ? 1760000401000LL : 1760000400000LL);
        expect_stored(&s, wanted);
        end(&s);
    }
    enum toc_influx_precision p;
    assert_int_equal(toc_influx_precision_parse(TOC_SV("d"), &p), TOC_EINVAL);
}

static void influx_bad_lines_stop_nobody(void **state) {
    struct setup s;
    (void)state;
    begin(&s);
    send(&s, TOC_IMPORT_INFLUX,
         "m\nm f\nm f=\nm,t f=1\nm,=v f=1\nm,t= f=1\nm f=1x\nm f=0x10\n"
         "m f=inf\nm f=1 x\nm f=1 2 3\nm f=\"open\nm,a=1,a=2 f=1\n"
         "m f=9223372036854775808i\n,t=1 f=1\ngood f=1\n");
    assert_int_equal(s.out.lines, 16);
    assert_int_equal(s.out.rejected_lines, 15);
    assert_int_equal(s.out.refused[TOC_IMPORT_MALFORMED], 14);
    assert_int_equal(s.out.refused[TOC_IMPORT_BAD_LABELS], 1);
    expect_stored(&s, "good_f 1@1760000400000\n");
    expect_told(&s, "line 1: column 2: no fields\n"
                    "line 2: column 4: a field without \"=\"\n"
                    "line 3: column 5: a field without a value\n"
                    "line 4: column 4: a tag without \"=\"\n"
                    "line 5: column 3: a tag without a key\n"
                    "line 6: column 5: a tag without a value\n"
                    "line 7: column 5: \"1x\" is no number, no boolean and no quoted text\n"
                    "line 8: column 5: \"0x10\" is no number, no boolean and no quoted text\n"
                    "line 9: column 5: \"inf\" is no number, no boolean and no quoted text\n"
                    "line 10: column 7: \"x\" is no timestamp");
    end(&s);
}

static void influx_times_out_of_range(void **state) {
    struct setup s;
    (void)state;
    begin(&s);
    s.options.precision = TOC_INFLUX_HOURS;
    send(&s, TOC_IMPORT_INFLUX, "m f=1 9223372036854775807\n");
    expect_told(&s, "line 1: the timestamp is out of range");
    assert_int_equal(s.out.refused[TOC_IMPORT_BAD_TIME], 1);
    end(&s);
}

static void exposition_goes_on_behind_a_bad_line(void **state) {
    struct toc_label extra[] = {{TOC_SV("job"), TOC_SV("push")}};
    struct setup s;
    (void)state;
    begin(&s);
    s.options.extra = (struct toc_labels){extra, 1};
    send(&s, TOC_IMPORT_EXPOSITION,
         "# TYPE c_total counter\nc_total{a=\"b\",job=\"x\"} 3\n"
         "c_total{ 1\n\nc_total 4 1760000401000\nd 1 2 3\ne NaN\n");
    assert_int_equal(s.out.lines, 5);
    assert_int_equal(s.out.rejected_lines, 2);
    expect_stored(&s, "c_total{a=\"b\", job=\"push\"} 3@1760000400000\n"
                      "c_total{job=\"push\"} 4@1760000401000\n"
                      "e{job=\"push\"} NaN@1760000400000\n");
    end(&s);
}

static void json_lines(void **state) {
    struct setup s;
    (void)state;
    begin(&s);
    send(&s, TOC_IMPORT_JSONL,
         "{\"metric\":{\"__name__\":\"a\",\"l\":\"v\"},\"values\":[1,null,\"NaN\",\"Infinity\","
         "\"-Infinity\",2.5e3],\"timestamps\":[1760000401000,1760000402000,1760000403000,"
         "1760000404000,1760000405000,1760000406000]}\n\n"
         "{\"metric\":{\"__name__\":\"b\"},\"values\":[1],\"timestamps\":[1,2]}\n"
         "{\"metric\":{\"__name__\":\"b\"},\"values\":[true,2],\"timestamps\":[1760000401000,"
         "1760000402000]}\n"
         "{\"metric\":{\"l\":\"v\"},\"values\":[1],\"timestamps\":[1760000401000]}\n"
         "{\"metric\":{\"__name__\":3},\"values\":[1],\"timestamps\":[1760000401000]}\n"
         "nothing\n"
         "{\"metric\":{\"__name__\":\"b\"},\"values\":[1],\"timestamps\":[1760000401000.5]}\n");
    assert_int_equal(s.out.lines, 7);
    assert_int_equal(s.out.rejected_lines, 6);
    assert_int_equal(s.out.samples, 7);
    expect_stored(&s, "a{l=\"v\"} 1@1760000401000\na{l=\"v\"} stale@1760000402000\n"
                      "a{l=\"v\"} NaN@1760000403000\na{l=\"v\"} +Inf@1760000404000\n"
                      "a{l=\"v\"} -Inf@1760000405000\na{l=\"v\"} 2500@1760000406000\n"
                      "b 2@1760000402000\n");
    expect_told(&s, "line 3: \"values\" and \"timestamps\" must be lists of the same length\n"
                    "line 4: values[0] must be a number, null, \"NaN\" or \"Infinity\"\n"
                    "line 5: no metric name\n"
                    "line 6: the label \"__name__\" must be a text\n"
                    "line 7: column 1: bad JSON: expected a value\n"
                    "line 8: timestamps[0] must be a whole number of milliseconds");
    end(&s);
}

/* What a parser would need too much memory for is refused, and the next line is read. */
static void json_lines_that_are_too_large(void **state) {
    static const char good[] =
        "{\"metric\":{\"__name__\":\"b\"},\"values\":[2],\"timestamps\":[1760000402000]}\n";
    struct toc_buf b = TOC_BUF_INIT;
    struct setup s;
    (void)state;
    begin(&s);
    toc_buf_append_cstr(&b, "{\"metric\":{\"__name__\":\"a\"},\"values\":[1");
    for (int i = 0; i < 500000; i++)
        toc_buf_append_cstr(&b, ",1");
    toc_buf_append_cstr(&b, "],\"timestamps\":[]}\n");
    toc_buf_append_cstr(&b, good);
    for (int i = 0; i <= 2 << 20; i++)
        toc_buf_append_char(&b, '[');
    toc_buf_append_char(&b, '\n');
    toc_buf_append_cstr(&b, good);
    send(&s, TOC_IMPORT_JSONL, toc_buf_cstr(&b));
    assert_int_equal(s.out.lines, 4);
    assert_int_equal(s.out.refused[TOC_IMPORT_TOO_LARGE], 2);
    expect_stored(&s, "b 2@1760000402000\n");
    toc_buf_fini(&b);
    end(&s);
}

static void csv_columns(void **state) {
    struct toc_csv_columns columns;
    struct setup s;
    (void)state;
    begin(&s);
    assert_int_equal(toc_csv_columns_parse(TOC_SV("2:metric:ask, 3:metric:bid,1:label:ticker,"
                                                  "4:time:rfc3339"),
                                           &columns, NULL),
                     0);
    s.options.columns = &columns;
    send(&s, TOC_IMPORT_CSV,
         "GOOG,1.23,4.56,2025-10-09T09:00:01Z\r\n"
         "\"A, \"\"B\"\"\",,7,\n"
         "\n"
         "X,1,2,yesterday\n"
         "X,1,two,2025-10-09T09:00:01Z\n"
         "X\n"
         "\"open\n"
         "Y,9,,2025-10-09T09:00:01Z");
    assert_int_equal(s.out.lines, 7);
    assert_int_equal(s.out.rejected_lines, 4);
    expect_stored(&s, "ask{ticker=\"GOOG\"} 1.23@1760000401000\nask{ticker=\"X\"} 1@1760000401000\n"
                      "ask{ticker=\"Y\"} 9@1760000401000\n"
                      "bid{ticker=\"A, \\\"B\\\"\"} 7@1760000400000\n"
                      "bid{ticker=\"GOOG\"} 4.56@1760000401000\n");
    expect_told(&s, "line 4: column 4: \"yesterday\" is no rfc3339\n"
                    "line 5: column 3: \"two\" is no number\n"
                    "line 6: no value: 1 fields, none of a metric\n"
                    "line 7: this quoted field is never closed");
    end(&s);
}

static void csv_formats_that_are_none(void **state) {
    static const char *const texts[] = {"",
                                        "1",
                                        "0:metric:a",
                                        "x:metric:a",
                                        "1:metric:",
                                        "1:value:a",
                                        "1:label:a",
                                        "1:time:unix,2:metric:a",
                                        "1:metric:a,2:metric:a",
                                        "1:time:unix_s,2:time:unix_s,3:metric:a",
                                        "4097:metric:a",
                                        "1:time:custom:2006-01-02,2:metric:a"};
    struct toc_csv_columns columns;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct toc_err err = {0};
        assert_int_equal(toc_csv_columns_parse(toc_sv_cstr(texts[i]), &columns, &err), TOC_EINVAL);
        assert_true(strncmp(err.message, "format: ", 8) == 0);
    }
}

/* More lines than a piece holds: a refusal of the store is told by its own line. */
static void many_lines_in_pieces(void **state) {
    enum { LINES = 40000 };
    struct toc_buf b = TOC_BUF_INIT;
    struct setup s;
    (void)state;
    begin(&s);
    for (int i = 1; i <= LINES; i++)
        toc_buf_printf(&b, "m,i=%d v=%d %lld\n", i % 10, i,
                       (long long)(FIXTURE_START_MS + (i == 20001 ? 99999999 : i)) * 1000000);
    send(&s, TOC_IMPORT_INFLUX, toc_buf_cstr(&b));
    assert_int_equal(s.out.lines, LINES);
    assert_int_equal(s.out.samples, LINES - 1);
    assert_int_equal(s.out.rejected_lines, 1);
    expect_told(&s, "line 20001: too_far_in_future: m_v{i=\"1\"}");
    struct toc_import_stats stats;
    toc_import_stats(s.im, &stats);
    assert_int_equal(stats.formats[TOC_IMPORT_INFLUX].samples, LINES - 1);
    assert_int_equal(stats.rejected[TOC_REJECT_TOO_FAR_IN_FUTURE], 1);
    toc_buf_fini(&b);
    end(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(influx_fields_become_series),
        cmocka_unit_test(influx_names_follow_the_options),
        cmocka_unit_test(influx_precisions),
        cmocka_unit_test(influx_bad_lines_stop_nobody),
        cmocka_unit_test(influx_times_out_of_range),
        cmocka_unit_test(exposition_goes_on_behind_a_bad_line),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(json_lines_that_are_too_large),
        cmocka_unit_test(csv_columns),
        cmocka_unit_test(csv_formats_that_are_none),
        cmocka_unit_test(many_lines_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
