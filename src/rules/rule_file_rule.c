/* One rule of a rule file: names, expressions, labels, annotations. */
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "rules/rule_file_priv.h"

static bool is_label_name(const struct rule_reader *r, struct toc_sv name) {
    if (r->options->legacy_names)
        return toc_label_name_is_classic(name);
    return name.n && toc_sv_is_utf8(name);
}

/* Compiles and renders once with nothing known, which finds variables that do not exist. */
static int compile(struct toc_rule_text *t, struct toc_err *why) {
    static const char *const names[] = {"labels", "externalLabels", "externalURL", "value"};
    struct toc_template_value variables[4];
    struct toc_buf ignored = TOC_BUF_INIT;
    for (size_t i = 0; i < 4; i++)
        variables[i] = toc_template_named(names[i], i < 2 ? toc_template_map(NULL, 0)
                                                          : toc_template_number(0));
    struct toc_template_input input = {.variables = variables, .variable_count = 4};
    int rc = toc_template_compile_with(t->text, TOC_TEMPLATE_RULE_FUNCTIONS, &t->template, why);
    struct toc_err undefined = {0};
    if (!rc && toc_template_render(t->template, &input, NULL, &ignored, &undefined) == TOC_ENOENT)
        rc = toc_errf(why, TOC_EPARSE, "%s", undefined.message);
    if (rc)
        toc_template_free(&t->template);
    toc_buf_fini(&ignored);
    return rc;
}

static void check_text_name(struct rule_reader *r, const struct toc_yaml *n,
                            enum rule_text_kind kind) {
    bool is_label = kind != RULE_TEXT_ANNOTATION;
    if (!is_label_name(r, n->key) || (is_label && toc_sv_eq(n->key, TOC_METRIC_NAME)))
        toc_rule_problem(r, n, TOC_EINVAL,
                         is_label ? "invalid label name: " : "invalid annotation name: ", n->key);
}

static void read_text(struct rule_reader *r, const struct toc_yaml *n, enum rule_text_kind kind,
                      bool is_template, struct toc_rule_text *out) {
    struct toc_err why = {0};
    char prefix[200];
    out->name = n->key;
    check_text_name(r, n, kind);
    if (toc_yaml_string(n, &out->text, &why)) {
        toc_rule_problem_why(r, n, "", &why);
        return;
    }
    if (!toc_sv_is_utf8(out->text))
        toc_rule_problem(r, n, TOC_EINVAL, "invalid label value: ", out->text);
    /* A group's label that does not compile shows its error in the label, as upstream. */
    if (!is_template || !compile(out, &why) || kind == RULE_TEXT_GROUP_LABEL)
        return;
    (void)snprintf(prefix, sizeof prefix, "%s \"%.*s\": error parsing template: ",
                   kind == RULE_TEXT_LABEL ? "label" : "annotation",
                   TOC_SV_ARG(toc_sv_sub(n->key, 0, 100)));
    toc_rule_problem_why(r, n, prefix, &why);
}

static int compare_texts(const void *a, const void *b) {
    return toc_sv_cmp(((const struct toc_rule_text *)a)->name,
                      ((const struct toc_rule_text *)b)->name);
}

void toc_rule_read_texts(struct rule_reader *r, const struct toc_yaml *map,
                         enum rule_text_kind kind, bool is_template, struct toc_rule_text **out,
                         size_t *out_count) {
    if (!map || toc_yaml_is_null(map))
        return;
    if (map->type != TOC_YAML_MAPPING) {
        toc_rule_problem(r, map, TOC_ETYPE, "expected a mapping of name to text", TOC_SV(""));
        return;
    }
    *out = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_rule_text, map->count + 1);
    if (!*out) {
        toc_rule_problem(r, map, TOC_ENOMEM, "out of memory", TOC_SV(""));
        return;
    }
    for (size_t i = 0; i < map->count; i++) {
        *out_count = i + 1;
        read_text(r, &map->items[i], kind, is_template, &(*out)[i]);
    }
    if (*out_count)
        qsort(*out, *out_count, sizeof **out, compare_texts);
}

static int parse_expr(struct rule_reader *r, const struct toc_yaml *n, struct toc_sv text,
                      struct toc_promql_expr **out) {
    struct toc_err why = {0};
    int rc = toc_promql_parse_with(text, r->options->features, out, &why);
    if (!rc)
        return 0;
    if (why.line)
        (void)toc_err_prefix(&why, "%d:%d: %s", why.line, why.column,
                             strstr(why.message, "parse error") ? "" : "parse error: ");
    toc_rule_problem_why(r, n, "could not parse expression: ", &why);
    return rc;
}

int toc_rule_with_threshold(const struct toc_promql_expr *expr, double number,
                            struct toc_promql_expr **out, struct toc_err *err) {
    struct toc_promql_threshold t = {0};
    struct toc_buf text = TOC_BUF_INIT;
    toc_promql_threshold(expr, &t);
    int rc = 0;
    if (!t.is_set) {
        rc = toc_errf(err, TOC_EUNSUPPORTED,
                      "the expression is not of the form `EXPRESSION > NUMBER`, so there is no "
                      "threshold to change");
    } else {
        toc_buf_printf(&text, "(%s) %s ", toc_buf_cstr(&t.left_text), t.op);
        toc_format_f64_g(number, &text);
        /* What was parsed once may use any feature. */
        rc = toc_promql_parse_with(toc_buf_sv(&text), TOC_PROMQL_ALL_FEATURES, out, err);
    }
    toc_buf_fini(&text);
    toc_buf_fini(&t.left_text);
    return rc;
}

static void check_is_vector(struct rule_reader *r, const struct toc_yaml *n,
                            const struct toc_promql_expr *e, const char *key) {
    enum toc_promql_type type = toc_promql_expr_type(e);
    if (type != TOC_PROMQL_VECTOR && type != TOC_PROMQL_SCALAR)
        toc_rule_problem(r, n, TOC_ETYPE, key, TOC_SV(": result is not a vector or scalar"));
}

static void read_recover(struct rule_reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    const struct toc_yaml *n = toc_yaml_get(map, "recover");
    struct toc_err why = {0};
    if (!n || !rule->expr)
        return;
    toc_rule_read_string(r, map, "recover", &rule->recover_text);
    if (toc_parse_f64(toc_sv_trim(rule->recover_text), &rule->recover_number)) {
        rule->recover = TOC_RECOVER_EXPR;
        if (!parse_expr(r, n, rule->recover_text, &rule->recover_expr))
            check_is_vector(r, n, rule->recover_expr, "recover");
        return;
    }
    rule->recover = TOC_RECOVER_NUMBER;
    if (toc_rule_with_threshold(rule->expr, rule->recover_number, &rule->recover_expr, &why))
        toc_rule_problem_why(r, n, "recover: ", &why);
}

static void read_confirm(struct rule_reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    const struct toc_yaml *n = toc_yaml_get(map, "confirm");
    if (!n)
        return;
    toc_rule_read_string(r, map, "confirm", &rule->confirm_text);
    if (!parse_expr(r, n, rule->confirm_text, &rule->confirm))
        check_is_vector(r, n, rule->confirm, "confirm");
}

static void check_record_name(struct rule_reader *r, const struct toc_yaml *n, struct toc_sv name) {
    bool is_valid = r->options->legacy_names ? toc_metric_name_is_classic(name)
                                             : name.n && toc_sv_is_utf8(name);
    if (!is_valid)
        toc_rule_problem(r, n, TOC_EINVAL, "invalid recording rule name: ", name);
    /* Legal in UTF-8 names, but as a rule an expression in the wrong place. */
    if (toc_sv_find_char(name, '{') != SIZE_MAX || toc_sv_find_char(name, '}') != SIZE_MAX)
        toc_rule_problem(
            r, n, TOC_EINVAL,
            "braces present in the recording rule name; should it be in expr?: ", name);
}

/* Keys that only alert rules have. As upstream, an empty value counts as absent. */
static void check_record_fields(struct rule_reader *r, const struct toc_yaml *map,
                                const struct toc_rule *rule) {
    const struct {
        const char *key;
        bool is_set;
    } fields[] = {
        {"annotations", rule->annotation_count > 0},
        {"for", rule->for_ms != 0},
        {"keep_firing_for", rule->keep_firing_for_ms != 0},
        {"recover", toc_yaml_get(map, "recover") != NULL},
        {"confirm", toc_yaml_get(map, "confirm") != NULL},
    };
    char text[80];
    for (size_t i = 0; i < TOC_ARRAY_LEN(fields); i++) {
        if (!fields[i].is_set)
            continue;
        (void)snprintf(text, sizeof text, "invalid field '%s' in recording rule", fields[i].key);
        toc_rule_problem(r, toc_yaml_get(map, fields[i].key), TOC_EINVAL, text, TOC_SV(""));
    }
    check_record_name(r, toc_yaml_get(map, "record"), rule->name);
}

static void read_name(struct rule_reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    struct toc_sv record = TOC_SV_NULL, alert = TOC_SV_NULL;
    toc_rule_read_string(r, map, "record", &record);
    toc_rule_read_string(r, map, "alert", &alert);
    rule->is_alert = alert.n > 0;
    rule->name = rule->is_alert ? alert : record;
    r->rule_name = rule->name;
    if (record.n && alert.n)
        toc_rule_problem(r, map, TOC_EINVAL, "only one of 'record' and 'alert' must be set",
                         TOC_SV(""));
    if (!rule->name.n)
        toc_rule_problem(r, map, TOC_EINVAL, "one of 'record' or 'alert' must be set", TOC_SV(""));
}

static void read_expr(struct rule_reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    toc_rule_read_string(r, map, "expr", &rule->expr_text);
    if (!toc_sv_trim(rule->expr_text).n)
        toc_rule_problem(r, map, TOC_EINVAL, "field 'expr' must be set in rule", TOC_SV(""));
    else
        (void)parse_expr(r, toc_yaml_get(map, "expr"), rule->expr_text, &rule->expr);
}

void toc_rule_read_rule(struct rule_reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    rule->line = map->line;
    rule->column = map->column;
    read_name(r, map, rule);
    read_expr(r, map, rule);
    toc_rule_read_duration(r, map, "for", &rule->for_ms);
    toc_rule_read_duration(r, map, "keep_firing_for", &rule->keep_firing_for_ms);
    toc_rule_read_texts(r, toc_yaml_get(map, "labels"), RULE_TEXT_LABEL, rule->is_alert,
                        &rule->labels, &rule->label_count);
    toc_rule_read_texts(r, toc_yaml_get(map, "annotations"), RULE_TEXT_ANNOTATION, rule->is_alert,
                        &rule->annotations, &rule->annotation_count);
    if (!rule->is_alert && rule->name.n) {
        check_record_fields(r, map, rule);
        return;
    }
    read_confirm(r, map, rule);
    read_recover(r, map, rule);
}
