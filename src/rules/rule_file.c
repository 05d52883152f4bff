#include "rules/rule_file.h"

#include <stdio.h>

#include "base/num.h"
#include "codec/yaml.h"

struct reader {
    struct toc_rule_file *file;
    const struct toc_rule_group *group;
    size_t rule_index;       /* 1-based, 0 outside rules */
    struct toc_sv rule_name; /* as far as known */
    bool legacy_names;
    struct toc_err *err;
};

/* Upstream's form of a message at a node, with the place of the rule in front. */
static int fail(const struct reader *r, const struct toc_yaml *n, int code, const char *text,
                struct toc_sv detail) {
    struct toc_err why = {0};
    (void)toc_err_at(&why, code, n->line, n->column, "%s%.*s", text, TOC_SV_ARG(detail));
    if (r->rule_index)
        (void)toc_err_prefix(&why,
                             "group \"%.*s\", rule %zu, \"%.*s\": ", TOC_SV_ARG(r->group->name),
                             r->rule_index, TOC_SV_ARG(r->rule_name));
    if (r->err && !r->err->code)
        *r->err = why;
    return code;
}

static int fail_with(const struct reader *r, const struct toc_yaml *n, const char *text,
                     const struct toc_err *why) {
    return fail(r, n, why->code ? why->code : TOC_EPARSE, text, toc_sv_cstr(why->message));
}

static bool in_list(struct toc_sv key, const char *const *keys) {
    for (; *keys; keys++)
        if (toc_sv_eq_cstr(key, *keys))
            return true;
    return false;
}

static int check_fields(const struct reader *r, const struct toc_yaml *n, const char *const *keys,
                        const char *type_name) {
    if (n->type != TOC_YAML_MAPPING)
        return fail(r, n, TOC_ETYPE, "expected a mapping: ", toc_sv_cstr(type_name));
    for (size_t i = 0; i < n->count; i++) {
        if (in_list(n->items[i].key, keys))
            continue;
        struct toc_buf text = TOC_BUF_INIT;
        struct toc_err near = {0};
        toc_buf_printf(&text, "field %.*s not found in type %s",
                       TOC_SV_ARG(toc_sv_sub(n->items[i].key, 0, 100)), type_name);
        if (toc_yaml_check_keys(n, keys, &near) && strstr(near.message, "did you mean"))
            toc_buf_printf(&text, " (%s)", near.message);
        struct toc_yaml at = {.line = n->items[i].key_line, .column = n->items[i].key_column};
        int rc = fail(r, &at, TOC_EUNKNOWN_KEY, toc_buf_cstr(&text), TOC_SV(""));
        toc_buf_fini(&text);
        return rc;
    }
    return 0;
}

static int get_string(const struct reader *r, const struct toc_yaml *map, const char *key,
                      struct toc_sv *out) {
    struct toc_err why = {0};
    const struct toc_yaml *n = toc_yaml_get(map, key);
    if (n && toc_yaml_string(n, out, &why))
        return fail_with(r, n, "", &why);
    return 0;
}

static int get_duration(const struct reader *r, const struct toc_yaml *map, const char *key,
                        int64_t *out) {
    struct toc_err why = {0};
    const struct toc_yaml *n = toc_yaml_get(map, key);
    if (n && !toc_yaml_is_null(n) && toc_yaml_duration(n, out, &why))
        return fail_with(r, n, "", &why);
    return 0;
}

static bool is_label_name(const struct reader *r, struct toc_sv name) {
    if (r->legacy_names)
        return toc_label_name_is_classic(name);
    return name.n && toc_sv_is_utf8(name);
}

/* Compiles and renders once with nothing known, which finds variables that do not exist. */
static int compile(const struct toc_yaml *n, struct toc_rule_text *t, struct toc_err *why) {
    static const char *const names[] = {"labels", "externalLabels", "externalURL", "value"};
    struct toc_template_value variables[4];
    struct toc_buf ignored = TOC_BUF_INIT;
    (void)n;
    for (size_t i = 0; i < 4; i++)
        variables[i] = toc_template_named(names[i], i < 2 ? toc_template_map(NULL, 0)
                                                          : toc_template_number(0));
    struct toc_template_input input = {.variables = variables, .variable_count = 4};
    int rc = toc_template_compile(t->text, &t->template, why);
    struct toc_err undefined = {0};
    if (!rc && toc_template_render(t->template, &input, NULL, &ignored, &undefined) == TOC_ENOENT)
        rc = toc_errf(why, TOC_EPARSE, "%s", undefined.message);
    toc_buf_fini(&ignored);
    return rc;
}

static int read_text(const struct reader *r, const struct toc_yaml *n, bool is_template,
                     const char *what, struct toc_rule_text *out) {
    struct toc_err why = {0};
    char prefix[200];
    bool is_label = what[0] == 'l';
    out->name = n->key;
    if (!is_label_name(r, n->key) || (is_label && toc_sv_eq(n->key, TOC_METRIC_NAME)))
        return fail(r, n, TOC_EINVAL,
                    is_label ? "invalid label name: " : "invalid annotation name: ", n->key);
    if (toc_yaml_string(n, &out->text, &why))
        return fail_with(r, n, "", &why);
    if (!toc_sv_is_utf8(out->text))
        return fail(r, n, TOC_EINVAL, "invalid label value: ", n->key);
    if (!is_template || !compile(n, out, &why))
        return 0;
    (void)snprintf(prefix, sizeof prefix, "%s \"%.*s\": error parsing template: ", what,
                   TOC_SV_ARG(toc_sv_sub(n->key, 0, 100)));
    return fail_with(r, n, prefix, &why);
}

static int read_texts(const struct reader *r, const struct toc_yaml *map, bool is_template,
                      const char *what, struct toc_rule_text **out, size_t *out_count) {
    if (!map || toc_yaml_is_null(map))
        return 0;
    if (map->type != TOC_YAML_MAPPING)
        return fail(r, map, TOC_ETYPE, "expected a mapping of name to text", TOC_SV(""));
    *out = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_rule_text, map->count + 1);
    if (!*out)
        return TOC_ENOMEM;
    int rc = 0;
    for (size_t i = 0; i < map->count && !rc; i++) {
        rc = read_text(r, &map->items[i], is_template, what, &(*out)[i]);
        *out_count = i + 1;
    }
    return rc;
}

static int parse_expr(const struct reader *r, const struct toc_yaml *n, struct toc_sv text,
                      struct toc_promql_expr **out) {
    struct toc_err why = {0};
    if (!toc_promql_parse(text, out, &why))
        return 0;
    if (why.line)
        (void)toc_err_prefix(&why, "%d:%d: %s", why.line, why.column,
                             strstr(why.message, "parse error") ? "" : "parse error: ");
    return fail_with(r, n, "could not parse expression: ", &why);
}

static int check_expr_type(const struct reader *r, const struct toc_yaml *n,
                           const struct toc_promql_expr *e) {
    enum toc_promql_type type = toc_promql_expr_type(e);
    if (type == TOC_PROMQL_VECTOR || type == TOC_PROMQL_SCALAR)
        return 0;
    return fail(r, n, TOC_ETYPE, "rule result is not a vector or scalar", TOC_SV(""));
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
        rc = toc_promql_parse(toc_buf_sv(&text), out, err);
    }
    toc_buf_fini(&text);
    toc_buf_fini(&t.left_text);
    return rc;
}

static int read_recover(const struct reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    const struct toc_yaml *n = toc_yaml_get(map, "recover");
    struct toc_err why = {0};
    if (!n)
        return 0;
    int rc = get_string(r, map, "recover", &rule->recover_text);
    if (rc)
        return rc;
    if (toc_parse_f64(toc_sv_trim(rule->recover_text), &rule->recover_number)) {
        rule->recover = TOC_RECOVER_EXPR;
        rc = parse_expr(r, n, rule->recover_text, &rule->recover_expr);
        return rc ? rc : check_expr_type(r, n, rule->recover_expr);
    }
    rule->recover = TOC_RECOVER_NUMBER;
    rc = toc_rule_with_threshold(rule->expr, rule->recover_number, &rule->recover_expr, &why);
    return rc ? fail_with(r, n, "recover: ", &why) : 0;
}

static int read_confirm(const struct reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    const struct toc_yaml *n = toc_yaml_get(map, "confirm");
    if (!n)
        return 0;
    int rc = get_string(r, map, "confirm", &rule->confirm_text);
    if (!rc)
        rc = parse_expr(r, n, rule->confirm_text, &rule->confirm);
    return rc ? rc : check_expr_type(r, n, rule->confirm);
}

static int check_record_name(const struct reader *r, const struct toc_yaml *n, struct toc_sv name) {
    if (toc_sv_find_char(name, '{') != SIZE_MAX || toc_sv_find_char(name, '}') != SIZE_MAX)
        return fail(r, n, TOC_EINVAL,
                    "braces present in the recording rule name; should it be in expr?: ", name);
    bool is_valid =
        r->legacy_names ? toc_metric_name_is_classic(name) : name.n && toc_sv_is_utf8(name);
    return is_valid ? 0 : fail(r, n, TOC_EINVAL, "invalid recording rule name: ", name);
}

static int read_name(struct reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    static const char *const alert_only[] = {"annotations", "for",     "keep_firing_for",
                                             "recover",     "confirm", NULL};
    const struct toc_yaml *record = toc_yaml_get(map, "record"), *n;
    struct toc_sv record_name = TOC_SV_NULL, alert_name = TOC_SV_NULL;
    int rc = get_string(r, map, "record", &record_name);
    if (!rc)
        rc = get_string(r, map, "alert", &alert_name);
    if (rc)
        return rc;
    rule->is_alert = alert_name.n > 0;
    rule->name = rule->is_alert ? alert_name : record_name;
    r->rule_name = rule->name;
    if (record_name.n && alert_name.n)
        return fail(r, map, TOC_EINVAL, "only one of 'record' and 'alert' must be set", TOC_SV(""));
    if (!rule->name.n)
        return fail(r, map, TOC_EINVAL, "one of 'record' or 'alert' must be set", TOC_SV(""));
    for (size_t i = 0; !rule->is_alert && alert_only[i]; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "invalid field '%s' in recording rule", alert_only[i]);
        if ((n = toc_yaml_get(map, alert_only[i])))
            return fail(r, n, TOC_EINVAL, text, TOC_SV(""));
    }
    return rule->is_alert ? 0 : check_record_name(r, record, rule->name);
}

static int read_rule(struct reader *r, const struct toc_yaml *map, struct toc_rule *rule) {
    static const char *const keys[] = {"record",          "alert",  "expr",        "for",
                                       "keep_firing_for", "labels", "annotations", "recover",
                                       "confirm",         NULL};
    int rc = check_fields(r, map, keys, "rulefmt.Rule");
    rule->line = map->line;
    rule->column = map->column;
    if (!rc)
        rc = read_name(r, map, rule);
    if (!rc)
        rc = get_string(r, map, "expr", &rule->expr_text);
    if (!rc && !toc_sv_trim(rule->expr_text).n)
        rc = fail(r, map, TOC_EINVAL, "field 'expr' must be set in rule", TOC_SV(""));
    if (!rc)
        rc = parse_expr(r, toc_yaml_get(map, "expr"), rule->expr_text, &rule->expr);
    if (!rc)
        rc = check_expr_type(r, toc_yaml_get(map, "expr"), rule->expr);
    if (!rc)
        rc = get_duration(r, map, "for", &rule->for_ms);
    if (!rc)
        rc = get_duration(r, map, "keep_firing_for", &rule->keep_firing_for_ms);
    if (!rc)
        rc = read_texts(r, toc_yaml_get(map, "labels"), rule->is_alert, "label", &rule->labels,
                        &rule->label_count);
    if (!rc)
        rc = read_texts(r, toc_yaml_get(map, "annotations"), true, "annotation", &rule->annotations,
                        &rule->annotation_count);
    if (!rc)
        rc = read_confirm(r, map, rule);
    return rc ? rc : read_recover(r, map, rule);
}

static int read_rules(struct reader *r, const struct toc_yaml *list, struct toc_rule_group *g) {
    if (!list || toc_yaml_is_null(list))
        return 0;
    if (list->type != TOC_YAML_SEQUENCE || list->count > TOC_RULES_PER_GROUP_MAX)
        return fail(r, list, TOC_ELIMIT, "expected a list of at most 10000 rules", TOC_SV(""));
    g->rules = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_rule, list->count + 1);
    if (!g->rules)
        return TOC_ENOMEM;
    int rc = 0;
    for (size_t i = 0; i < list->count && !rc; i++) {
        r->rule_index = i + 1;
        r->rule_name = TOC_SV("");
        g->rule_count = i + 1;
        rc = read_rule(r, &list->items[i], &g->rules[i]);
    }
    r->rule_index = 0;
    return rc;
}

static int check_group_name(const struct reader *r, const struct toc_yaml *map) {
    struct toc_sv name = r->group->name;
    if (!name.n)
        return fail(r, map, TOC_EINVAL, "Groupname must not be empty", TOC_SV(""));
    for (const struct toc_rule_group *g = r->file->groups; g < r->group; g++) {
        char text[300];
        if (!toc_sv_eq(g->name, name))
            continue;
        (void)snprintf(text, sizeof text, "groupname: \"%.*s\" is repeated in the same file",
                       TOC_SV_ARG(toc_sv_sub(name, 0, 200)));
        return fail(r, map, TOC_EDUPLICATE, text, TOC_SV(""));
    }
    return 0;
}

static int read_group(struct reader *r, const struct toc_yaml *map, struct toc_rule_group *g) {
    static const char *const keys[] = {"name",  "interval", "query_offset", "limit", "labels",
                                       "rules", NULL};
    const struct toc_yaml *limit;
    struct toc_err why = {0};
    r->group = g;
    g->query_offset_ms = -1;
    int rc = check_fields(r, map, keys, "rulefmt.RuleGroup");
    if (!rc)
        rc = get_string(r, map, "name", &g->name);
    if (!rc)
        rc = check_group_name(r, map);
    if (!rc)
        rc = get_duration(r, map, "interval", &g->interval_ms);
    if (!rc)
        rc = get_duration(r, map, "query_offset", &g->query_offset_ms);
    if (!rc && (limit = toc_yaml_get(map, "limit")) && toc_yaml_int(limit, &g->limit, &why))
        rc = fail_with(r, limit, "", &why);
    if (!rc)
        rc = read_texts(r, toc_yaml_get(map, "labels"), true, "label", &g->labels, &g->label_count);
    return rc ? rc : read_rules(r, toc_yaml_get(map, "rules"), g);
}

static int read_document(struct reader *r, const struct toc_yaml *doc) {
    static const char *const keys[] = {"groups", NULL};
    int rc = check_fields(r, doc, keys, "rulefmt.RuleGroups");
    const struct toc_yaml *list = rc ? NULL : toc_yaml_get(doc, "groups");
    if (!list || toc_yaml_is_null(list))
        return rc;
    if (list->type != TOC_YAML_SEQUENCE || list->count > TOC_RULE_GROUPS_MAX)
        return fail(r, list, TOC_ELIMIT, "expected a list of at most 10000 groups", TOC_SV(""));
    r->file->groups = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_rule_group, list->count + 1);
    if (!r->file->groups)
        return TOC_ENOMEM;
    for (size_t i = 0; i < list->count && !rc; i++) {
        r->file->group_count = i + 1;
        rc = read_group(r, &list->items[i], &r->file->groups[i]);
    }
    return rc;
}

/* The text up to the marker of a second document, which is ignored as upstream does. */
static struct toc_sv first_document(struct toc_sv text) {
    struct toc_sv rest = text, line;
    bool has_content = false;
    while (toc_sv_split(&rest, '\n', &line)) {
        bool is_marker = toc_sv_starts_with(line, TOC_SV("---")) &&
                         (line.n == 3 || line.p[3] == ' ' || line.p[3] == '\r');
        if (is_marker && has_content)
            return toc_sv_make(text.p, (size_t)(line.p - text.p));
        struct toc_sv trimmed = toc_sv_trim(line);
        has_content |= !is_marker && trimmed.n && trimmed.p[0] != '#' && trimmed.p[0] != '%';
    }
    return text;
}

int toc_rule_file_parse(struct toc_sv name, struct toc_sv text, bool legacy_names,
                        struct toc_rule_file **out, struct toc_err *err) {
    struct toc_rule_file *f = TOC_NEW(struct toc_rule_file);
    const struct toc_yaml *doc = NULL;
    struct toc_err why = {0};
    struct reader r = {.file = f, .legacy_names = legacy_names, .err = &why};
    toc_arena_init(&f->arena, (size_t)64 << 20);
    f->name = toc_arena_dup_sv(&f->arena, name);
    int rc = toc_yaml_parse(first_document(text), &f->arena, &doc, &why);
    if (!rc)
        rc = read_document(&r, doc);
    if (!rc) {
        *out = f;
        return 0;
    }
    toc_rule_file_free(&f);
    if (!why.code)
        (void)toc_errf(&why, rc, "%s", toc_strerror(rc));
    return toc_err_at(err, rc, why.line, why.column, "%.*s: %d:%d: %s", TOC_SV_ARG(name), why.line,
                      why.column, why.message);
}

static void free_texts(struct toc_rule_text *t, size_t count) {
    for (size_t i = 0; i < count; i++)
        toc_template_free(&t[i].template);
}

static void free_rule(struct toc_rule *r) {
    free_texts(r->labels, r->label_count);
    free_texts(r->annotations, r->annotation_count);
    toc_promql_expr_free(&r->expr);
    toc_promql_expr_free(&r->confirm);
    toc_promql_expr_free(&r->recover_expr);
}

void toc_rule_file_free(struct toc_rule_file **file) {
    struct toc_rule_file *f = *file;
    if (!f)
        return;
    for (size_t g = 0; g < f->group_count; g++) {
        free_texts(f->groups[g].labels, f->groups[g].label_count);
        for (size_t i = 0; i < f->groups[g].rule_count; i++)
            free_rule(&f->groups[g].rules[i]);
    }
    toc_arena_fini(&f->arena);
    toc_free(f);
    *file = NULL;
}
