#include "../cmocka_prelude.h"
#include "../shared_files.h"

#include "rules/rule_file.h"

static struct toc_rule_file *parse(const char *text, bool legacy, struct toc_err *err) {
    struct toc_rule_file *f = NULL;
    *err = (struct toc_err){0};
    (void)!toc_rule_file_parse(TOC_SV("r.yml"), toc_sv_cstr(text), legacy, &f, err);
    return f;
}

static void extensions_are_read(void **state) {
    static const char yaml[] = "groups:\n"
                               "- name: g\n"
                               "  interval: 5s\n"
                               "  labels: {team: ml}\n"
                               "  rules:\n"
                               "  - alert: A\n"
                               "    expr: sum by (inst) (load) > 0.9\n"
                               "    for: 1m\n"
                               "    recover: 0.5\n"
                               "    confirm: tocsin_anomaly_score > 0.6\n"
                               "    labels: {kind: disk_full}\n"
                               "    annotations: {summary: '{{ $labels.inst }} at {{ $value }}'}\n"
                               "  - alert: B\n"
                               "    expr: load > 1\n"
                               "    recover: load < 0.2\n";
    struct toc_err err;
    struct toc_buf text = TOC_BUF_INIT;
    (void)state;
    struct toc_rule_file *f = parse(yaml, false, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(f->groups[0].interval_ms, 5000);
    const struct toc_rule *a = &f->groups[0].rules[0], *b = &f->groups[0].rules[1];
    assert_int_equal(a->for_ms, 60000);
    assert_int_equal(a->recover, TOC_RECOVER_NUMBER);
    assert_non_null(a->confirm);
    toc_promql_format(a->recover_expr, false, &text);
    assert_string_equal(toc_buf_cstr(&text), "(sum by (inst) (load)) > 0.5");
    assert_int_equal(b->recover, TOC_RECOVER_EXPR);
    assert_null(b->confirm);
    toc_buf_fini(&text);
    toc_rule_file_free(&f);
}

static void errors_say_where_and_what(void **state) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: load >\n",
         "r.yml: 5:11: group \"g\", rule 1, \"A\": could not parse expression: "},
        {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: load\n    recover: 0.5\n",
         "r.yml: 6:14: group \"g\", rule 1, \"A\": recover: the expression is not of the form"},
        {"groups:\n- name: g\n  rules:\n  - record: a\n    expr: load\n    confirm: x\n",
         "invalid field 'confirm' in recording rule"},
        {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: load\n    annotations: {a: '{{ "
         "$nope "
         "}}'}\n",
         "annotation \"a\": error parsing template"},
        {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: load\n    annotation: {}\n",
         "field annotation not found in type rulefmt.Rule (unknown key \"annotation\": did you "
         "mean "
         "\"annotations\"?)"},
        {"groups:\n- name: ''\n", "Groupname must not be empty"},
        {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: load\n    confirm: load[5m]\n",
         "confirm: result is not a vector or scalar"},
        {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: load\n    for: soon\n", "soon"},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_err err;
        assert_null(parse(cases[i].text, false, &err));
        if (!strstr(err.message, cases[i].message))
            fail_msg("expected \"%s\" in \"%s\"", cases[i].message, err.message);
    }
}

static void collect(void *ctx, const struct toc_err *problem) {
    toc_buf_printf(ctx, "%s\n", problem->message);
}

static void all_problems_are_told(void **state) {
    static const char yaml[] = "groups:\n"
                               "- name: g\n"
                               "  rules:\n"
                               "  - record: a\n"
                               "    expr: load[5m]\n"
                               "    for: 0s\n"
                               "    annotations: {}\n"
                               "  - alert: B\n"
                               "    expr: x\n"
                               "    labels: {__name__: x, 'c': '{{ $nope }}'}\n"
                               "  - alert: C\n"
                               "    expr: foo(\n"
                               "    record: x\n"
                               "- name: g\n";
    struct toc_buf told = TOC_BUF_INIT;
    struct toc_rule_file_options o = {.on_problem = collect, .ctx = &told};
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    (void)state;
    assert_int_not_equal(toc_rule_file_parse_with(TOC_SV("r.yml"), toc_sv_cstr(yaml), &o, &f, &err),
                         0);
    static const char *const wanted[] = {
        "r.yml: 10:24: group \"g\", rule 2, \"B\": invalid label name: __name__\n",
        "r.yml: 10:32: group \"g\", rule 2, \"B\": label \"c\": error parsing template: ",
        "r.yml: 11:5: group \"g\", rule 3, \"C\": only one of 'record' and 'alert' must be set\n",
        "r.yml: 12:11: group \"g\", rule 3, \"C\": could not parse expression: ",
        "r.yml: 14:3: groupname: \"g\" is repeated in the same file\n",
    };
    const char *at = toc_buf_cstr(&told);
    for (size_t i = 0; i < TOC_ARRAY_LEN(wanted); i++) {
        at = strstr(at, wanted[i]);
        if (!at)
            fail_msg("\"%s\" is missing or misplaced in\n%s", wanted[i], toc_buf_cstr(&told));
    }
    assert_string_equal(err.message, "r.yml: 10:24: group \"g\", rule 2, \"B\": invalid label "
                                     "name: __name__");
    toc_buf_fini(&told);
}

static void unknown_keys_can_be_ignored(void **state) {
    static const char yaml[] = "groups:\n- name: g\n  color: red\n  rules:\n"
                               "  - {alert: A, expr: x, owner: me}\n---\nmore: 1\n";
    struct toc_buf told = TOC_BUF_INIT;
    struct toc_rule_file_options o = {.on_problem = collect, .ctx = &told};
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    struct toc_sv text = toc_sv_cstr(yaml);
    (void)state;
    assert_int_equal(toc_rule_file_parse_with(TOC_SV("r.yml"), text, &o, &f, &err),
                     TOC_EUNKNOWN_KEY);
    assert_non_null(strstr(toc_buf_cstr(&told), "field color not found in type"));
    assert_non_null(strstr(toc_buf_cstr(&told), "field owner not found in type"));
    o.ignores_unknown_keys = true;
    err = (struct toc_err){0};
    assert_int_equal(toc_rule_file_parse_with(TOC_SV("r.yml"), text, &o, &f, &err), 0);
    assert_true(f->has_more_documents);
    toc_rule_file_free(&f);
    toc_buf_fini(&told);
}

static void name_duplicate(void *ctx, const struct toc_rule *r) {
    toc_buf_printf(ctx, "%.*s/%zu ", TOC_SV_ARG(r->name), r->label_count);
}

static void duplicates_are_told_once(void **state) {
    static const char yaml[] =
        "groups:\n"
        "- {name: g, rules: [{record: b, expr: x}, {record: a, expr: x, labels: {l: v, k: w}}]}\n"
        "- {name: h, rules: [{record: a, expr: y, labels: {k: w, l: v}}, {record: b, expr: y},\n"
        "                    {record: b, expr: z}, {record: b, expr: z, labels: {k: w}}]}\n";
    struct toc_buf found = TOC_BUF_INIT;
    struct toc_err err;
    (void)state;
    struct toc_rule_file *f = parse(yaml, false, &err);
    assert_string_equal(err.message, "");
    toc_rule_file_each_duplicate(f, name_duplicate, &found);
    assert_string_equal(toc_buf_cstr(&found), "a/2 b/0 ");
    toc_buf_fini(&found);
    toc_rule_file_free(&f);
}

static void merge_keys_and_broken_group_labels_are_accepted(void **state) {
    static const char yaml[] = "groups:\n"
                               "- name: g\n"
                               "  labels: {team: '{{ '}\n"
                               "  rules:\n"
                               "  - &base {alert: A, expr: x, labels: &l {a: '1'}}\n"
                               "  - {<<: *base, alert: B}\n";
    struct toc_err err;
    (void)state;
    struct toc_rule_file *f = parse(yaml, false, &err);
    assert_string_equal(err.message, "");
    assert_true(toc_sv_eq(f->groups[0].rules[1].expr_text, TOC_SV("x")));
    assert_null(f->groups[0].labels[0].template);
    toc_rule_file_free(&f);
}

static void check_row(char *line) {
    char *file = strtok(line, "\t"), *scheme = strtok(NULL, "\t");
    char *result = strtok(NULL, "\t"), *text = strtok(NULL, "\t");
    char name[200];
    struct toc_buf yaml = TOC_BUF_INIT;
    struct toc_err err;
    (void)snprintf(name, sizeof name, "conformance/rulefmt/%s", file);
    assert_true(read_shared(name, &yaml));
    struct toc_rule_file *f = parse(toc_buf_cstr(&yaml), !strcmp(scheme, "legacy"), &err);
    if ((f != NULL) != !strcmp(result, "accept"))
        fail_msg("%s: expected %s, got \"%s\"", file, result, err.message);
    if (!f && text && !strstr(err.message, text))
        fail_msg("%s: expected \"%s\", got \"%s\"", file, text, err.message);
    toc_rule_file_free(&f);
    toc_buf_fini(&yaml);
}

static void conformance_files(void **state) {
    struct toc_buf table = TOC_BUF_INIT;
    (void)state;
    if (!read_shared("conformance/rulefmt/expected.tsv", &table)) {
        print_message("shared conformance files not found: skipped\n");
        skip();
    }
    struct toc_sv rest = toc_buf_sv(&table), line;
    int rows = 0;
    while (toc_sv_split(&rest, '\n', &line)) {
        if (!line.n || line.p[0] == '#')
            continue;
        char *copy = toc_sv_dup_cstr(line);
        check_row(copy);
        toc_free(copy);
        rows++;
    }
    assert_int_equal(rows, 16);
    toc_buf_fini(&table);
}

static void rule_fixtures(void **state) {
    static const char *const files[] = {"rules.yaml",
                                        "rules1.yaml",
                                        "rules2.yaml",
                                        "rules2_copy.yaml",
                                        "rules_chain.yaml",
                                        "rules_dependencies.yaml",
                                        "alert_rule.yaml",
                                        "alert_rule1.yaml",
                                        "rules_indeterminates.yaml",
                                        "rules_multiple.yaml",
                                        "rules_multi_doc.yaml",
                                        "rules_multiple_groups.yaml",
                                        "rules_multiple_independent.yaml",
                                        "rules_multiple_dependents_on_base.yaml",
                                        "invalid_rules.yaml"};
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(files); i++) {
        char name[200];
        struct toc_buf yaml = TOC_BUF_INIT;
        struct toc_err err;
        (void)snprintf(name, sizeof name, "conformance/rules-fixtures/%s", files[i]);
        if (!read_shared(name, &yaml)) {
            print_message("shared rule fixtures not found: skipped\n");
            skip();
        }
        struct toc_rule_file *f = parse(toc_buf_cstr(&yaml), false, &err);
        bool is_bad = !strcmp(files[i], "invalid_rules.yaml");
        if (is_bad != !f)
            fail_msg("%s: %s", files[i], err.message);
        toc_rule_file_free(&f);
        toc_buf_fini(&yaml);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extensions_are_read),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(all_problems_are_told),
        cmocka_unit_test(unknown_keys_can_be_ignored),
        cmocka_unit_test(duplicates_are_told_once),
        cmocka_unit_test(merge_keys_and_broken_group_labels_are_accepted),
        cmocka_unit_test(conformance_files),
        cmocka_unit_test(rule_fixtures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
