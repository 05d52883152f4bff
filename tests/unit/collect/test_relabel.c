/* Relabelling: each action as Prometheus' documentation and model/relabel define it. */
#include "../cmocka_prelude.h"

#include <stdio.h>

#include "collect/relabel.h"

/* Applies rules (YAML) to "name=value,…" and compares with the same notation; NULL: dropped. */
static void expect(const char *rules, const char *labels, const char *want) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_yaml *doc;
    struct toc_relabel r;
    if (toc_yaml_parse(toc_sv_cstr(rules), &a, &doc, &err) < 0 ||
        toc_relabel_read(doc, &a, &r, &err) < 0)
        fail_msg("%s: %s", rules, err.message);
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_sv rest = toc_sv_cstr(labels), part;
    while (toc_sv_split(&rest, ',', &part)) {
        size_t at = toc_sv_find_char(part, '=');
        toc_labels_builder_set(&b, toc_sv_sub(part, 0, at), toc_sv_sub(part, at + 1, part.n));
    }
    bool is_kept = toc_relabel_apply(&r, &b, &a);
    struct toc_labels l = toc_labels_builder_finish(&b);
    struct toc_buf text = TOC_BUF_INIT;
    for (size_t i = 0; i < l.count; i++)
        toc_buf_printf(&text, "%s%.*s=%.*s", i ? "," : "", TOC_SV_ARG(l.items[i].name),
                       TOC_SV_ARG(l.items[i].value));
    if (want)
        assert_string_equal(is_kept ? toc_buf_cstr(&text) : "dropped", want);
    else
        assert_false(is_kept);
    toc_buf_fini(&text);
    toc_labels_builder_fini(&b);
    toc_relabel_fini(&r);
    toc_arena_fini(&a);
}

static void refuse(const char *rules, const char *want) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_yaml *doc;
    struct toc_relabel r;
    assert_int_equal(toc_yaml_parse(toc_sv_cstr(rules), &a, &doc, &err), 0);
    assert_true(toc_relabel_read(doc, &a, &r, &err) < 0);
    if (!strstr(err.message, want))
        fail_msg("wanted \"%s\", got \"%s\"", want, err.message);
    assert_true(err.line > 0);
    toc_relabel_fini(&r);
    toc_arena_fini(&a);
}

static void replace_joins_and_expands(void **state) {
    (void)state;
    expect("[{source_labels: [a], regex: f(.*), target_label: d, replacement: 'ch${1}-ch$1'}]",
           "a=foo,b=bar,c=baz", "a=foo,b=bar,c=baz,d=choo-choo");
    expect("[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: "
           "'b${1}${2}m'}]",
           "a=foo,b=bar,c=baz", "a=boobam,b=bar,c=baz");
    expect("[{source_labels: [a], regex: f, target_label: b, replacement: bar}]", "a=boo,b=baz",
           "a=boo,b=baz");
    expect("[{source_labels: [a], regex: '(foo)', target_label: a, replacement: ''}]", "a=foo,b=1",
           "b=1");
    expect("[{target_label: x, replacement: fixed}]", "a=1", "a=1,x=fixed");
    expect("[{source_labels: [a], target_label: b}]", "a=1", "a=1,b=1");
    expect("[{source_labels: [a, b], separator: '', target_label: c}]", "a=1,b=2", "a=1,b=2,c=12");
    expect("[{source_labels: [a], regex: '(.*)-(.*)', target_label: '${1}', replacement: '${2}'}]",
           "a=k-v", "a=k-v,k=v");
    expect(
        "[{source_labels: [a], regex: '(?P<x>.)(.*)', target_label: b, replacement: '$x$2$$$9'}]",
        "a=12", "a=12,b=12$");
    expect("[{source_labels: [a], regex: 'o', target_label: b, replacement: y}]", "a=foo", "a=foo");
}

static void keep_and_drop_match_the_whole_value(void **state) {
    (void)state;
    expect("[{source_labels: [a], regex: 'f.*', action: drop}]", "a=foo", NULL);
    expect("[{source_labels: [a], regex: 'f', action: drop}]", "a=foo", "a=foo");
    expect("[{source_labels: [a], regex: 'f', action: keep}]", "a=foo", NULL);
    expect("[{source_labels: [a], regex: 'fo+', action: keep}]", "a=foo", "a=foo");
    expect("[{source_labels: [a], regex: '', action: drop}]", "b=1", NULL);
    expect("[{source_labels: [a], action: keep}, {source_labels: [zz], regex: '.+', action: keep}]",
           "a=1", NULL);
    expect("[{source_labels: [a], target_label: b, action: keepequal}]", "a=1,b=1", "a=1,b=1");
    expect("[{source_labels: [a], target_label: b, action: keepequal}]", "a=1,b=2", NULL);
    expect("[{source_labels: [a], target_label: b, action: dropequal}]", "a=1,b=1", NULL);
    expect("[{source_labels: [a], target_label: b, action: dropequal}]", "a=1,b=2", "a=1,b=2");
}

static void hashmod_is_md5(void **state) {
    (void)state;
    /* md5("bar") = 37b51d194a7513e45b56f6524f2d51f2; its last 8 bytes mod 1000 */
    expect("[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]", "c=baz",
           "c=baz,d=976");
    expect("[{source_labels: [a], target_label: h, action: hashmod, modulus: 1000000007}]", "a=bar",
           "a=bar,h=752649078");
}

static void names_are_mapped_dropped_and_kept(void **state) {
    (void)state;
    expect("[{regex: 'b(.*)', replacement: 'bar_${1}', action: labelmap}]", "a=1,b1=2,b2=3",
           "a=1,b1=2,b2=3,bar_1=2,bar_2=3");
    expect("[{regex: '__meta_(my.*)', action: labelmap}]", "__meta_my_x=1", "__meta_my_x=1,my_x=1");
    expect("[{regex: '(b.*)', action: labeldrop}]", "a=1,b1=2,b2=3", "a=1");
    expect("[{regex: '(b.*)', action: labelkeep}]", "a=1,b1=2,b2=3", "b1=2,b2=3");
    expect("[{source_labels: [a], target_label: a, action: uppercase}]", "a=fOo9", "a=FOO9");
    expect("[{source_labels: [a], target_label: b, action: lowercase}]", "a=FoO", "a=FoO,b=foo");
}

static void misuse_is_refused_in_upstreams_words(void **state) {
    (void)state;
    refuse("[{source_labels: [a], target_label: b, regex: '(', action: replace}]",
           "regular expression");
    refuse("[{source_labels: [a]}]",
           "relabel configuration for replace action requires 'target_label' value");
    refuse("[{source_labels: [a], target_label: b, action: hashmod}]",
           "relabel configuration for hashmod requires non-zero modulus");
    refuse("[{source_labels: [a], action: labeldrop}]",
           "labeldrop action requires only 'regex', and no other fields");
    refuse("[{regex: a, separator: ',', action: labelkeep}]",
           "labelkeep action requires only 'regex', and no other fields");
    refuse(
        "[{source_labels: [a], target_label: b, regex: x, action: dropequal}]",
        "dropequal action requires only 'source_labels' and `target_label`, and no other fields");
    refuse("[{source_labels: [a], action: keepequal}]",
           "relabel configuration for keepequal action requires 'target_label' value");
    refuse("[{source_labels: [a], target_label: b, replacement: x, action: uppercase}]",
           "'replacement' can not be set for uppercase action");
    refuse("[{source_labels: [a], target_label: b, action: frob}]", "unknown relabel action");
    refuse("[{source_labels: [a], target_label: b, action: ''}]", "relabel action cannot be empty");
    refuse("[{source_label: [a]}]", "did you mean \"source_labels\"");
    refuse("[~]", "empty or null");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_joins_and_expands),
        cmocka_unit_test(keep_and_drop_match_the_whole_value),
        cmocka_unit_test(hashmod_is_md5),
        cmocka_unit_test(names_are_mapped_dropped_and_kept),
        cmocka_unit_test(misuse_is_refused_in_upstreams_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
