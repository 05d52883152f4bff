/* What only templates of rules have: queries, links, times, defined templates. */
#include "../cmocka_prelude.h"

#include "codec/template.h"

/* Two samples, whatever is asked; "none" gives no sample, "bad" an error. */
static int query(void *ctx, struct toc_sv expr, struct toc_arena *arena,
                 struct toc_template_value *out, struct toc_err *err) {
    static const char *const hosts[] = {"b", "a"};
    (void)ctx;
    *out = toc_template_list(NULL, 0);
    if (toc_sv_eq(expr, TOC_SV("bad")))
        return toc_errf(err, TOC_EPARSE, "cannot parse this");
    if (toc_sv_eq(expr, TOC_SV("none")))
        return 0;
    struct toc_template_value *v = TOC_ARENA_NEW_ARRAY(arena, struct toc_template_value, 8);
    for (size_t i = 0; i < 2; i++) {
        v[2 + i] = toc_template_named("host", toc_template_string(toc_sv_cstr(hosts[i])));
        v[4 + 2 * i] = toc_template_named("Labels", toc_template_map(&v[2 + i], 1));
        v[5 + 2 * i] = toc_template_named("Value", toc_template_number(10 + (double)i));
        v[i] = toc_template_map(&v[4 + 2 * i], 2);
    }
    *out = toc_template_list(v, 2);
    return 0;
}

static int expand(const char *text, struct toc_buf *out, struct toc_err *err) {
    struct toc_template *t = NULL;
    const struct toc_template_env env = {
        .query = query, .now_ms = 1500, .external_url = TOC_SV("http://mon.example/pre/fix")};
    struct toc_template_input in = {.env = &env};
    int rc = toc_template_compile_with(toc_sv_cstr(text), TOC_TEMPLATE_RULE_FUNCTIONS, &t, err);
    if (!rc)
        rc = toc_template_render(t, &in, NULL, out, err);
    toc_template_free(&t);
    return rc;
}

static const struct {
    const char *text, *result;
} good[] = {
    {"{{ query \"up\" | first | value }}", "10"},
    {"{{ query \"up\" | first | label \"host\" }}", "b"},
    {"{{ with query \"none\" }}some{{ else }}no{{ end }}", "no"},
    {"{{ range query \"up\" | sortByLabel \"host\" }}{{ .Labels.host }}={{ .Value }};{{ end }}",
     "a=11;b=10;"},
    {"{{ range query \"up\" }}{{ .Labels.host }}{{ end }}", "ba"},
    {"{{ query \"up\" | first | strvalue }}", ""},
    {"{{ now }} {{ externalURL }} {{ pathPrefix }}", "1.5 http://mon.example/pre/fix /pre/fix"},
    {"{{ graphLink \"up == 0\" }} {{ tableLink \"a b\" }}",
     "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=a+b&g0.tab=1"},
    {"{{ urlQueryEscape \"a b&c\" }}", "a+b%26c"},
    {"{{ toTime 1435065584.5 }}", "2015-06-23 13:19:44.5 +0000 UTC"},
    {"{{ toDuration \"3723.5\" }} {{ toDuration 0 }} {{ toDuration -0.25 }} {{ toDuration 60 }}",
     "1h2m3.5s 0s -250ms 1m0s"},
    {"{{ parseDuration \"-1h\" }}", "-3600"},
    {"{{ define \"x\" }}<{{ .arg0 }}{{ .arg1 }}>{{ end }}{{ template \"x\" (args 1 \"b\") }}",
     "<1b>"},
    {"{{ define \"x\" }}[{{ . }}]{{ end }}{{ tmpl \"x\" 5 | toUpper }}{{ template \"x\" 6 }}",
     "[5][6]"},
    {"{{ block \"x\" 7 }}({{ . }}){{ end }}{{ template \"x\" 8 }}", "(7)(8)"},
    {"{{ $a := 1 }}{{ define \"x\" }}{{ $a := 2 }}{{ $a }}{{ end }}{{ template \"x\" }}{{ $a }}",
     "21"},
};

static void rule_functions_give_upstreams_results(void **state) {
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(good); i++) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        if (expand(good[i].text, &out, &err))
            fail_msg("%s: %s", good[i].text, err.message);
        assert_string_equal(toc_buf_cstr(&out), good[i].result);
        toc_buf_fini(&out);
    }
}

static void failures_say_why(void **state) {
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"{{ query \"none\" | first }}", "first() called on vector with no elements"},
        {"{{ query \"bad\" }}", "cannot parse this"},
        {"{{ template \"nope\" }}", "template \"nope\" not defined"},
        {"{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}",
         "templates call each other too deeply"},
        {"{{ define \"x\" }}", "this template is never closed"},
        {"{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}", "define belongs outside"},
        {"{{ define \"x\" }}{{ $a }}{{ end }}{{ $a := 1 }}{{ template \"x\" }}",
         "there is no variable $a"},
        {"{{ value 5 }}", "value needs a sample of a query"},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        assert_int_not_equal(expand(bad[i].text, &out, &err), 0);
        if (!strstr(err.message, bad[i].message))
            fail_msg("%s: \"%s\" is not in \"%s\"", bad[i].text, bad[i].message, err.message);
        toc_buf_fini(&out);
    }
}

static void notifications_do_not_have_them(void **state) {
    struct toc_template *t = NULL;
    struct toc_err err = {0};
    (void)state;
    assert_int_equal(toc_template_compile(TOC_SV("{{ query \"up\" }}"), &t, &err), TOC_EPARSE);
    assert_non_null(strstr(err.message, "unknown function \"query\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_functions_give_upstreams_results),
        cmocka_unit_test(failures_say_why),
        cmocka_unit_test(notifications_do_not_have_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
