#include "../cmocka_prelude.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "codec/exposition.h"

/* Everything the parser said, one line per call. */
static int put_sample(void *ctx, const struct toc_exposition_sample *s) {
    struct toc_buf *out = ctx;
    toc_buf_append_sv(out, s->metric);
    for (size_t i = 0; i < s->label_count; i++)
        toc_buf_printf(out, " %.*s=[%.*s]", TOC_SV_ARG(s->labels[i].name),
                       TOC_SV_ARG(s->labels[i].value));
    toc_buf_append_cstr(out, " ");
    toc_format_f64(s->value, out);
    if (s->has_timestamp)
        toc_buf_printf(out, " @%lld", (long long)s->timestamp_ms);
    toc_buf_printf(out, " <%.*s>", TOC_SV_ARG(s->series_text));
    if (s->exemplar)
        toc_buf_printf(out, " # %zu", s->exemplar->label_count);
    toc_buf_append_char(out, '\n');
    return 0;
}

static int put_meta(void *ctx, const struct toc_exposition_meta *m) {
    toc_buf_printf(ctx, "%.*s type=%.*s help=%.*s unit=%.*s\n", TOC_SV_ARG(m->metric),
                   TOC_SV_ARG(m->type), TOC_SV_ARG(m->help), TOC_SV_ARG(m->unit));
    return 0;
}

static int parse(enum toc_exposition_format format, struct toc_sv text, struct toc_buf *out,
                 struct toc_err *err) {
    struct toc_exposition_handler h = {.sample = put_sample, .meta = put_meta, .ctx = out};
    return toc_exposition_parse(format, text, NULL, &h, err);
}

static void expect(enum toc_exposition_format format, struct toc_sv text, const char *said) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = parse(format, text, &out, &err);
    if (rc)
        fail_msg("%s at %d:%d", err.message, err.line, err.column);
    assert_string_equal(toc_buf_cstr(&out), said);
    toc_buf_fini(&out);
}

static void text_samples_in_all_forms(void **state) {
    (void)state;
    expect(TOC_EXPOSITION_TEXT,
           TOC_SV("a 1\n"
                  "a{} 2 1500\n"
                  " b:c { x = \"1\" , y=\"a\\\\b\\n\\\"c\\q\", } -Inf\n"
                  "\n"
                  "c{x=\"}\"} +1.5e3\r\n"
                  "{\"my.metric\",\"k.k\"=\"\xe4\xb8\xad\"} NaN -5\n"
                  "d{z=\"\"}3"),
           "a 1 <a>\n"
           "a 2 @1500 <a{}>\n"
           "b:c x=[1] y=[a\\b\n\"c\\q] -Inf <b:c { x = \"1\" , y=\"a\\\\b\\n\\\"c\\q\", }>\n"
           "c x=[}] 1500 <c{x=\"}\"}>\n"
           "my.metric k.k=[\xe4\xb8\xad] NaN @-5 <{\"my.metric\",\"k.k\"=\"\xe4\xb8\xad\"}>\n"
           "d z=[] 3 <d{z=\"\"}>\n");
}

static void text_metadata(void **state) {
    (void)state;
    expect(TOC_EXPOSITION_TEXT,
           TOC_SV("# HELP a some\\n \\\\ \"help\"\n"
                  "#  TYPE  a\tcounter\n"
                  "# TYPE b untyped\n"
                  "# HELP c\n"
                  "# TYPE \"d.e\" gauge\n"
                  "# just words\n#\n# HELP\n#TYPE f gauge\n"),
           "a type= help=some\n \\ \"help\" unit=\n"
           "a type=counter help= unit=\n"
           "b type=unknown help= unit=\n"
           "c type= help= unit=\n"
           "d.e type=gauge help= unit=\n"
           "f type=gauge help= unit=\n");
}

static void openmetrics_samples_and_metadata(void **state) {
    (void)state;
    expect(
        TOC_EXPOSITION_OPENMETRICS,
        TOC_SV("# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds x \\\"y\\\"\n"
               "a_seconds_total{l=\"1\"} 2 1.0005 # {id=\"x\",k=\"y\"} 0.5 12\n"
               "a_seconds_total{l=\"2\"} 2 # {} 0.5\n# EOF\n"),
        "a_seconds type=counter help= unit=\n"
        "a_seconds type= help= unit=seconds\n"
        "a_seconds type= help=x \"y\" unit=\n"
        "a_seconds_total l=[1] 2 @1001 <a_seconds_total{l=\"1\"}> # 2\n"
        "a_seconds_total l=[2] 2 <a_seconds_total{l=\"2\"}> # 0\n");
}

static void mistakes_are_placed(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int line, column;
    } cases[] = {
        {"a 1\nb{x=\"1\" 2\n", 2, 9},
        {"a{x=1} 2\n", 1, 5},
        {"a{x=\"1} 2\n", 1, 5},
        {"a{x=\"1\",x=\"2\"} 2\n", 1, 14},
        {"a\n", 1, 2},
        {"a 1x\n", 1, 3},
        {"a 1 1.5\n", 1, 5},
        {"a 1 1 1\n", 1, 7},
        {"9a 1\n", 1, 1},
        {"a{9=\"1\"} 1\n", 1, 3},
        {"# TYPE a foo\n", 1, 10},
        {"{} 1\n", 1, 3},
        {"{\"a\",\"b\"} 1\n", 1, 9},
        {"a{\"b\"} 1\n", 1, 6},
        {"a 0x1p3\n", 1, 3},
        {"a{x=\"\xff\"} 1\n", 1, 5},
        {"a.b 1\n", 1, 2},
        {"a 1 # {} 1\n", 1, 5},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        int rc = parse(TOC_EXPOSITION_TEXT, toc_sv_cstr(cases[i].text), &out, &err);
        if (rc != TOC_EPARSE || err.line != cases[i].line || err.column != cases[i].column)
            fail_msg("%s: %d %d:%d %s", cases[i].text, rc, err.line, err.column, err.message);
        toc_buf_fini(&out);
    }
}

static void limits_hold(void **state) {
    (void)state;
    struct toc_exposition_limits limits = {2, 4, 8, 60};
    static const char *const texts[] = {
        "a{b=\"1\",c=\"2\",d=\"3\"} 1\n", "a{bcdef=\"1\"} 1\n", "a{b=\"123456789\"} 1\n",
        "a_metric_name_that_makes_its_line_longer_than_sixty_bytes_ok 1\n"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        struct toc_exposition_handler h = {.sample = put_sample, .meta = NULL, .ctx = &out};
        assert_int_equal(
            toc_exposition_parse(TOC_EXPOSITION_TEXT, toc_sv_cstr(texts[i]), &limits, &h, &err),
            TOC_ELIMIT);
        assert_int_equal(err.line, 1);
        toc_buf_fini(&out);
    }
}

static int stop_at_once(void *ctx, const struct toc_exposition_sample *s) {
    (void)s;
    ++*(int *)ctx;
    return TOC_ECANCELED;
}

static void a_handler_can_stop(void **state) {
    (void)state;
    int calls = 0;
    struct toc_exposition_handler h = {.sample = stop_at_once, .meta = NULL, .ctx = &calls};
    assert_int_equal(
        toc_exposition_parse(TOC_EXPOSITION_TEXT, TOC_SV("a 1\nb 2\n"), NULL, &h, NULL),
        TOC_ECANCELED);
    assert_int_equal(calls, 1);
}

static void a_cut_openmetrics_text_is_refused(void **state) {
    (void)state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    assert_int_equal(parse(TOC_EXPOSITION_OPENMETRICS, TOC_SV("a 1\n"), &out, &err), TOC_EPARSE);
    assert_non_null(strstr(err.message, "# EOF"));
    toc_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_samples_in_all_forms),
        cmocka_unit_test(text_metadata),
        cmocka_unit_test(openmetrics_samples_and_metadata),
        cmocka_unit_test(mistakes_are_placed),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_handler_can_stop),
        cmocka_unit_test(a_cut_openmetrics_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
