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
        {"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: load[5m]\n",
         "rule result is not a vector or scalar"},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_err err;
        assert_null(parse(cases[i].text, false, &err));
        if (!strstr(err.message, cases[i].message))
            fail_msg("expected \"%s\" in \"%s\"", cases[i].message, err.message);
    }
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
        cmocka_unit_test(conformance_files),
        cmocka_unit_test(rule_fixtures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
