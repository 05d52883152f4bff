#include "../cmocka_prelude.h"

#include <math.h>

#include "codec/template.h"

static const struct toc_template_value labels[] = {
    {.type = TOC_TEMPLATE_STRING, .key = {"instance", 8}, .string = {"node1.example:9100", 18}},
    {.type = TOC_TEMPLATE_STRING, .key = {"job", 3}, .string = {"trainer", 7}},
};
static const struct toc_template_value words[] = {
    {.type = TOC_TEMPLATE_STRING, .string = {"a", 1}},
    {.type = TOC_TEMPLATE_STRING, .string = {"b", 1}},
    {.type = TOC_TEMPLATE_STRING, .string = {"c", 1}},
};

static int render(const char *text, struct toc_buf *out, struct toc_err *err) {
    struct toc_template_value firing = toc_template_named("Firing", toc_template_list(words, 2));
    struct toc_template_value words_list = toc_template_list(words, 3);
    words_list.members = &firing;
    words_list.member_count = 1;
    struct toc_template_value root[] = {
        toc_template_named("Labels", toc_template_map(labels, 2)),
        toc_template_named("words", words_list),
        toc_template_named("none", toc_template_list(NULL, 0)),
        toc_template_named("n", toc_template_number(3)),
        toc_template_named("yes", toc_template_bool(true)),
    };
    struct toc_template_value variables[] = {
        toc_template_named("labels", toc_template_map(labels, 2)),
        toc_template_named("value", toc_template_number(1234567.8)),
    };
    struct toc_template_input in = {toc_template_map(root, TOC_ARRAY_LEN(root)), variables,
                                    TOC_ARRAY_LEN(variables), NULL};
    return toc_template_expand(toc_sv_cstr(text), &in, out, err);
}

static const struct {
    const char *text, *result;
} good[] = {
    {"plain", "plain"},
    {"{{ $labels.instance }} of {{$labels.job}}", "node1.example:9100 of trainer"},
    {"{{ .Labels.job }}{{ $.Labels.job }}{{ .Labels.nothing }}!", "trainertrainer!"},
    {"{{ $value }} {{ $value | humanize }} {{ printf \"%.1f\" $value }}",
     "1.2345678e+06 1.235M 1234567.8"},
    {"a {{- /* gone */ -}} b{{/* gone */}}c", "abc"},
    {"a\n{{- \"x\" -}}\n b", "axb"},
    {"{{ if eq $labels.job \"trainer\" }}T{{ else }}F{{ end }}", "T"},
    {"{{ if eq $labels.job \"x\" \"y\" }}1{{ else if gt $value 5 }}2{{ else }}3{{ end }}", "2"},
    {"{{ if and .yes (not .none) (or false .n) }}ok{{ end }}", "ok"},
    {"{{ range .words }}[{{ . }}]{{ end }}{{ range .none }}x{{ else }}empty{{ end }}",
     "[a][b][c]empty"},
    {"{{ range $i, $w := .words }}{{ if $i }}, {{ end }}{{ $i }}={{ $w }}{{ end }}",
     "0=a, 1=b, 2=c"},
    {"{{ range .words.Firing }}{{ . }}{{ end }} {{ len .words }}", "ab 3"},
    {"{{ range .Labels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}",
     "instance=node1.example:9100 job=trainer "},
    {"{{ range $k, $v := .Labels }}{{ $k }}:{{ $v }};{{ end }}",
     "instance:node1.example:9100;job:trainer;"},
    {"{{ .Labels.Names | join \",\" }}", "instance,job"},
    {"{{ with .Labels.job }}<{{ . }}>{{ end }}{{ with .gone }}x{{ else }}y{{ end }}", "<trainer>y"},
    {"{{ $x := 1 }}{{ range .words }}{{ $x = . }}{{ end }}{{ $x }}", "c"},
    {"{{ if $x := .n }}{{ $x }}{{ end }}", "3"},
    {"{{ toUpper \"aBc\" }} {{ toLower \"ABC\" }} {{ title \"hello big_world x\" }}",
     "ABC abc Hello Big_world X"},
    {"{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", "node1.example"},
    {"{{ reReplaceAll \"^n|e\" \"<$0>\" \"nene\" }}", "<n><e>n<e>"},
    {"{{ reReplaceAll \"(?P<x>b)\" \"[${x}$$]\" \"abc\" }}", "a[b$]c"},
    {"{{ match \"^tr.*\" .Labels.job }} {{ match `\\d` \"x\" }}", "true false"},
    {"{{ .Labels.instance | stripPort | stripDomain }} {{ stripDomain \"a.b:1\" }}", "node1 a:1"},
    {"{{ humanize 0 }} {{ humanize 0.00123 }} {{ humanize \"1500\" }}", "0 1.23m 1.5k"},
    {"{{ humanize1024 2048 }} {{ humanize1024 1 }}", "2ki 1"},
    {"{{ humanizeDuration 0 }} {{ humanizeDuration 59.5 }} {{ humanizeDuration 90061 }} "
     "{{ humanizeDuration 0.0123 }} {{ humanizeDuration -61 }}",
     "0s 59.5s 1d 1h 1m 1s 12.3ms -1m 1s"},
    {"{{ humanizePercentage 0.1234 }} {{ humanizeTimestamp 1435065584.128 }}",
     "12.34% 2015-06-23 13:19:44.128 +0000 UTC"},
    {"{{ printf \"%5d|%-4s|%05.1f|%q|%v|%x|%%|%03d\" 42 \"ab\" 2.25 \"q\" 1.5 255 7 }}",
     "   42|ab  |002.2|\"q\"|1.5|ff|%|007"},
    {"{{ print 1 2 \"a\" 3 }}{{ println \"x\" 1 }}", "1 2a3x 1\n"},
    {"{{ index .words 1 }}{{ index .Labels \"job\" }}{{ first .words }}", "btrainera"},
    {"{{ (index .words 0) }}{{ (first .Labels.SortedPairs).Name }}", "ainstance"},
    {"{{ lt 1 2 }} {{ le 2 2 }} {{ ge \"b\" \"a\" }} {{ ne 1 2 }}", "true true true true"},
    {"{{ eq .gone \"\" }} {{ .words }} {{ .Labels }}",
     "true [a b c] map[instance:node1.example:9100 job:trainer]"},
    {"{{ urlquery \"a b\" }} {{ html \"<\" }} {{ parseDuration \"1h\" }} {{ trimSpace \" x \" }}",
     "a%20b &lt; 3600 x"},
    {"{{ -3 }} {{ 1e3 }} {{ true }} {{ nil }}|{{ \"\\\"\\n\" }}", "-3 1000 true |\"\n"},
    {"{{if .}}y{{end}}", "y"},
};

static void what_users_write_renders(void **state) {
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(good); i++) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        int rc = render(good[i].text, &out, &err);
        if (rc || strcmp(toc_buf_cstr(&out), good[i].result) != 0)
            fail_msg("%s\n gave   %s\n wanted %s\n error %d:%d %s", good[i].text,
                     toc_buf_cstr(&out), good[i].result, err.line, err.column, err.message);
        toc_buf_fini(&out);
    }
}

static const struct {
    const char *text;
    int code, line, column;
} bad[] = {
    {"{{ .x", TOC_EPARSE, 1, 6},
    {"a\n{{ nope 1 }}", TOC_EPARSE, 2, 4},
    {"{{ if .x }}", TOC_EPARSE, 1, 6},
    {"{{ end }}", TOC_EPARSE, 1, 10},
    {"{{ else }}", TOC_EPARSE, 1, 11},
    {"{{ if }}x{{ end }}", TOC_EPARSE, 1, 7},
    {"{{ humanize }}", TOC_EPARSE, 1, 4},
    {"{{ printf humanize }}", TOC_EPARSE, 1, 11},
    {"{{ 1 | 2 }}", TOC_EPARSE, 1, 9},
    {"{{ .x 1 }}", TOC_EPARSE, 1, 7},
    {"{{ \"abc }}", TOC_EPARSE, 1, 4},
    {"{{ (1 }}", TOC_EPARSE, 1, 7},
    {"{{ template \"x\" }}", TOC_EINVAL, 1, 4},
    {"{{ break }}", TOC_EUNSUPPORTED, 1, 4},
    {"{{ /* x }}", TOC_EPARSE, 1, 4},
    {"{{ $nope }}", TOC_ENOENT, 1, 4},
    {"{{ $nope = 1 }}", TOC_ENOENT, 1, 4},
    {"{{ $labels.job.x }}", TOC_ETYPE, 1, 4},
    {"{{ humanize \"abc\" }}", TOC_ETYPE, 1, 4},
    {"{{ printf \"%d\" }}", TOC_EINVAL, 1, 4},
    {"{{ printf \"%z\" 1 }}", TOC_EINVAL, 1, 4},
    {"{{ printf \"%9999d\" 1 }}", TOC_EINVAL, 1, 4},
    {"{{ match \"(\" \"x\" }}", TOC_EINVAL, 1, 4},
    {"{{ range 3 }}{{ end }}", TOC_ETYPE, 1, 9},
    {"{{ index .words 9 }}", TOC_EINVAL, 1, 4},
};

static void mistakes_are_placed(void **state) {
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(bad); i++) {
        struct toc_buf out = TOC_BUF_INIT;
        struct toc_err err = {0};
        int rc = render(bad[i].text, &out, &err);
        if (rc != bad[i].code || err.line != bad[i].line || err.column != bad[i].column)
            fail_msg("%s: %d at %d:%d %s", bad[i].text, rc, err.line, err.column, err.message);
        toc_buf_fini(&out);
    }
}

static void nesting_is_limited(void **state) {
    (void)state;
    struct toc_buf text = TOC_BUF_INIT, out = TOC_BUF_INIT;
    for (int i = 0; i < 100; i++)
        toc_buf_append_cstr(&text, "{{ if true }}");
    assert_int_equal(render(toc_buf_cstr(&text), &out, NULL), TOC_EPARSE);
    toc_buf_reset(&text);
    toc_buf_append_cstr(&text, "{{ ");
    for (int i = 0; i < 100; i++)
        toc_buf_append_cstr(&text, "(");
    assert_int_equal(render(toc_buf_cstr(&text), &out, NULL), TOC_EPARSE);
    toc_buf_fini(&text);
    toc_buf_fini(&out);
}

/* Lists that hold the same list many times over print exponentially. */
static void exploding_output_hits_the_limit(void **state) {
    (void)state;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    toc_buf_append_cstr(&out, "kept:");
    int rc = render(
        "{{ $x := stringSlice \"aaaa\" \"b\" }}{{ $x = stringSlice $x $x $x $x $x $x $x $x }}"
        "{{ $x = stringSlice $x $x $x $x $x $x $x $x }}"
        "{{ $x = stringSlice $x $x $x $x $x $x $x $x }}"
        "{{ $x = stringSlice $x $x $x $x $x $x $x $x }}"
        "{{ $x = stringSlice $x $x $x $x $x $x $x $x }}{{ $x }}",
        &out, &err);
    assert_int_equal(rc, TOC_ELIMIT);
    assert_int_equal(toc_buf_error(&out), 0);
    assert_true(out.n <= 5 + TOC_TEMPLATE_DEFAULT_LIMITS.max_output_bytes);
    assert_memory_equal(out.p, "kept:", 5);
    toc_buf_fini(&out);
}

static void steps_are_limited(void **state) {
    (void)state;
    struct toc_template *t = NULL;
    struct toc_template_value words_list = toc_template_list(words, 3);
    struct toc_template_input in = {.dot = words_list};
    struct toc_template_limits limits = {1000, 20, 1000};
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    assert_int_equal(toc_template_compile(TOC_SV("{{ range . }}{{ range $ }}{{ range $ }}x{{ end }}"
                                                 "{{ end }}{{ end }}"),
                                          &t, &err),
                     0);
    assert_int_equal(toc_template_render(t, &in, &limits, &out, &err), TOC_ELIMIT);
    toc_template_free(&t);
    toc_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_users_write_renders),
        cmocka_unit_test(mistakes_are_placed),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(exploding_output_hits_the_limit),
        cmocka_unit_test(steps_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
