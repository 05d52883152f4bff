/* Rule files: structure, groups, problems in upstream's words. */
#include "rules/rule_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "rules/rule_file_priv.h"

void toc_rule_problem(struct rule_reader *r, const struct toc_yaml *n, int code, const char *text,
                      struct toc_sv detail) {
    struct toc_err why = {0};
    struct toc_sv shown = toc_sv_sub(detail, 0, 300);
    (void)toc_err_at(&why, code, n->line, n->column, "%s%.*s", text, TOC_SV_ARG(shown));
    if (r->rule_index)
        (void)toc_err_prefix(&why,
                             "group \"%.*s\", rule %zu, \"%.*s\": ", TOC_SV_ARG(r->group->name),
                             r->rule_index, TOC_SV_ARG(r->rule_name));
    (void)toc_err_prefix(&why, "%.*s: %d:%d: ", TOC_SV_ARG(r->file->name), why.line, why.column);
    if (r->options->on_problem)
        r->options->on_problem(r->options->ctx, &why);
    if (!r->first.code)
        r->first = why;
}

void toc_rule_problem_why(struct rule_reader *r, const struct toc_yaml *n, const char *text,
                          const struct toc_err *why) {
    toc_rule_problem(r, n, why->code ? why->code : TOC_EPARSE, text, toc_sv_cstr(why->message));
}

void toc_rule_read_string(struct rule_reader *r, const struct toc_yaml *map, const char *key,
                          struct toc_sv *out) {
    struct toc_err why = {0};
    const struct toc_yaml *n = toc_yaml_get(map, key);
    if (n && toc_yaml_string(n, out, &why))
        toc_rule_problem_why(r, n, "", &why);
}

void toc_rule_read_duration(struct rule_reader *r, const struct toc_yaml *map, const char *key,
                            int64_t *out) {
    struct toc_err why = {0};
    const struct toc_yaml *n = toc_yaml_get(map, key);
    if (n && !toc_yaml_is_null(n) && toc_yaml_duration(n, out, &why))
        toc_rule_problem_why(r, n, "", &why);
}

/* ------------------------------------------------------------------------ structure: keys, types
 */

static bool in_list(struct toc_sv key, const char *const *keys) {
    for (; *keys; keys++)
        if (toc_sv_eq_cstr(key, *keys))
            return true;
    return false;
}

static void unknown_key(struct rule_reader *r, const struct toc_yaml *item,
                        const struct toc_yaml *map, const char *const *keys,
                        const char *type_name) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_err near = {0};
    struct toc_yaml at = {.line = item->key_line, .column = item->key_column};
    toc_buf_printf(&text, "field %.*s not found in type %s",
                   TOC_SV_ARG(toc_sv_sub(item->key, 0, 100)), type_name);
    if (toc_yaml_check_keys(map, keys, &near) && strstr(near.message, "did you mean"))
        toc_buf_printf(&text, " (%s)", near.message);
    toc_rule_problem(r, &at, TOC_EUNKNOWN_KEY, toc_buf_cstr(&text), TOC_SV(""));
    toc_buf_fini(&text);
}

static bool check_fields(struct rule_reader *r, const struct toc_yaml *n, const char *const *keys,
                         const char *type_name) {
    if (n->type != TOC_YAML_MAPPING) {
        toc_rule_problem(r, n, TOC_ETYPE, "expected a mapping: ", toc_sv_cstr(type_name));
        return false;
    }
    for (size_t i = 0; i < n->count && !r->options->ignores_unknown_keys; i++)
        if (!in_list(n->items[i].key, keys))
            unknown_key(r, &n->items[i], n, keys, type_name);
    return true;
}

static bool check_list(struct rule_reader *r, const struct toc_yaml *list, size_t max,
                       const char *what) {
    if (!list || toc_yaml_is_null(list))
        return false;
    bool is_good = list->type == TOC_YAML_SEQUENCE && list->count <= max;
    if (!is_good)
        toc_rule_problem(r, list, TOC_ELIMIT, what, TOC_SV(""));
    return is_good;
}

static void check_group_structure(struct rule_reader *r, const struct toc_yaml *map) {
    static const char *const group_keys[] = {"name",  "interval", "query_offset", "limit", "labels",
                                             "rules", NULL};
    static const char *const rule_keys[] = {"record",          "alert",  "expr",        "for",
                                            "keep_firing_for", "labels", "annotations", "recover",
                                            "confirm",         NULL};
    if (!check_fields(r, map, group_keys, "rulefmt.RuleGroup"))
        return;
    const struct toc_yaml *rules = toc_yaml_get(map, "rules");
    if (!check_list(r, rules, TOC_RULES_PER_GROUP_MAX, "expected a list of at most 10000 rules"))
        return;
    for (size_t i = 0; i < rules->count; i++)
        (void)check_fields(r, &rules->items[i], rule_keys, "rulefmt.Rule");
}

/* The list of groups; NULL when there is none. */
static const struct toc_yaml *check_structure(struct rule_reader *r, const struct toc_yaml *doc) {
    static const char *const keys[] = {"groups", NULL};
    if (!check_fields(r, doc, keys, "rulefmt.RuleGroups"))
        return NULL;
    const struct toc_yaml *list = toc_yaml_get(doc, "groups");
    if (!check_list(r, list, TOC_RULE_GROUPS_MAX, "expected a list of at most 10000 groups"))
        return NULL;
    for (size_t i = 0; i < list->count; i++)
        check_group_structure(r, &list->items[i]);
    return list;
}

/* ------------------------------------------------------------------------------------- contents */

static void read_rules(struct rule_reader *r, const struct toc_yaml *list,
                       struct toc_rule_group *g) {
    if (!list || toc_yaml_is_null(list))
        return;
    g->rules = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_rule, list->count + 1);
    if (!g->rules) {
        toc_rule_problem(r, list, TOC_ENOMEM, "out of memory", TOC_SV(""));
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        r->rule_index = i + 1;
        r->rule_name = TOC_SV("");
        g->rule_count = i + 1;
        toc_rule_read_rule(r, &list->items[i], &g->rules[i]);
    }
    r->rule_index = 0;
}

static void check_group_name(struct rule_reader *r, const struct toc_yaml *map) {
    struct toc_sv name = r->group->name;
    char text[300];
    if (!name.n)
        toc_rule_problem(r, map, TOC_EINVAL, "Groupname must not be empty", TOC_SV(""));
    for (const struct toc_rule_group *g = r->file->groups; g < r->group; g++) {
        if (!name.n || !toc_sv_eq(g->name, name))
            continue;
        (void)snprintf(text, sizeof text, "groupname: \"%.*s\" is repeated in the same file",
                       TOC_SV_ARG(toc_sv_sub(name, 0, 200)));
        toc_rule_problem(r, map, TOC_EDUPLICATE, text, TOC_SV(""));
        return;
    }
}

static void read_group(struct rule_reader *r, const struct toc_yaml *map,
                       struct toc_rule_group *g) {
    const struct toc_yaml *limit = toc_yaml_get(map, "limit");
    struct toc_err why = {0};
    r->group = g;
    g->query_offset_ms = -1;
    toc_rule_read_string(r, map, "name", &g->name);
    check_group_name(r, map);
    toc_rule_read_duration(r, map, "interval", &g->interval_ms);
    toc_rule_read_duration(r, map, "query_offset", &g->query_offset_ms);
    if (limit && !toc_yaml_is_null(limit) && toc_yaml_int(limit, &g->limit, &why))
        toc_rule_problem_why(r, limit, "", &why);
    toc_rule_read_texts(r, toc_yaml_get(map, "labels"), RULE_TEXT_GROUP_LABEL, true, &g->labels,
                        &g->label_count);
    read_rules(r, toc_yaml_get(map, "rules"), g);
}

static void read_document(struct rule_reader *r, const struct toc_yaml *doc) {
    const struct toc_yaml *list = check_structure(r, doc);
    if (!list || r->first.code)
        return;
    r->file->groups = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_rule_group, list->count + 1);
    if (!r->file->groups) {
        toc_rule_problem(r, doc, TOC_ENOMEM, "out of memory", TOC_SV(""));
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        r->file->group_count = i + 1;
        read_group(r, &list->items[i], &r->file->groups[i]);
    }
}

/* The text up to the marker of a second document, which is ignored as upstream does. */
static struct toc_sv first_document(struct toc_sv text, bool *out_has_more) {
    struct toc_sv rest = text, line;
    bool has_content = false;
    while (toc_sv_split(&rest, '\n', &line)) {
        bool is_marker = toc_sv_starts_with(line, TOC_SV("---")) &&
                         (line.n == 3 || line.p[3] == ' ' || line.p[3] == '\r');
        if (is_marker && has_content) {
            *out_has_more = toc_sv_trim(rest).n > 0;
            return toc_sv_make(text.p, (size_t)(line.p - text.p));
        }
        struct toc_sv trimmed = toc_sv_trim(line);
        has_content |= !is_marker && trimmed.n && trimmed.p[0] != '#' && trimmed.p[0] != '%';
    }
    return text;
}

static void parse(struct rule_reader *r, struct toc_sv text) {
    struct toc_rule_file *f = r->file;
    const struct toc_yaml *doc = NULL;
    struct toc_err why = {0};
    if (!toc_yaml_parse(first_document(text, &f->has_more_documents), &f->arena, &doc, &why)) {
        read_document(r, doc);
        return;
    }
    struct toc_yaml at = {.line = why.line, .column = why.column};
    toc_rule_problem_why(r, &at, "", &why);
}

int toc_rule_file_parse_with(struct toc_sv name, struct toc_sv text,
                             const struct toc_rule_file_options *o, struct toc_rule_file **out,
                             struct toc_err *err) {
    struct toc_rule_file *f = TOC_NEW(struct toc_rule_file);
    struct rule_reader r = {.file = f, .options = o};
    toc_arena_init(&f->arena, (size_t)64 << 20);
    f->name = toc_arena_dup_sv(&f->arena, name);
    parse(&r, text);
    if (!r.first.code) {
        *out = f;
        return 0;
    }
    toc_rule_file_free(&f);
    return toc_err_at(err, r.first.code, r.first.line, r.first.column, "%s", r.first.message);
}

int toc_rule_file_parse(struct toc_sv name, struct toc_sv text, bool legacy_names,
                        struct toc_rule_file **out, struct toc_err *err) {
    const struct toc_rule_file_options o = {.legacy_names = legacy_names};
    return toc_rule_file_parse_with(name, text, &o, out, err);
}

/* ------------------------------------------------------------------------------------ duplicates
 */

/* Labels are sorted by name. */
static int compare_labels(const struct toc_rule *a, const struct toc_rule *b) {
    int sign = 0;
    for (size_t i = 0; i < a->label_count && i < b->label_count && !sign; i++) {
        sign = toc_sv_cmp(a->labels[i].name, b->labels[i].name);
        if (!sign)
            sign = toc_sv_cmp(a->labels[i].text, b->labels[i].text);
    }
    if (sign)
        return sign;
    return (a->label_count > b->label_count) - (a->label_count < b->label_count);
}

static int compare_rules(const void *a, const void *b) {
    const struct toc_rule *x = *(const struct toc_rule *const *)a;
    const struct toc_rule *y = *(const struct toc_rule *const *)b;
    int sign = toc_sv_cmp(x->name, y->name);
    return sign ? sign : compare_labels(x, y);
}

void toc_rule_file_each_duplicate(const struct toc_rule_file *f, toc_on_rule *fn, void *ctx) {
    TOC_VEC(const struct toc_rule *) rules = {0};
    for (size_t g = 0; g < f->group_count; g++)
        for (size_t i = 0; i < f->groups[g].rule_count; i++)
            TOC_VEC_PUSH(&rules, &f->groups[g].rules[i]);
    if (rules.count)
        qsort(rules.items, rules.count, sizeof *rules.items, compare_rules);
    for (size_t i = 1; i < rules.count; i++) {
        bool repeats = !compare_rules(&rules.items[i - 1], &rules.items[i]);
        bool is_told = i > 1 && !compare_rules(&rules.items[i - 2], &rules.items[i]);
        if (repeats && !is_told)
            fn(ctx, rules.items[i]);
    }
    TOC_VEC_FINI(&rules);
}

/* --------------------------------------------------------------------------------------- lifetime
 */

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
