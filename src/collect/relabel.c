#include "collect/relabel.h"

#include <stdio.h>
#include <string.h>

#include "collect/relabel_priv.h"
#include "shim/regex.h"

enum { GROUPS_MAX = 64 };

/* ---------------------------------------------------------------------------------------------
 * reading */

static const char *const action_names[] = {
#define X(name, text) text,
    TOC_RELABEL_TABLE(X)
#undef X
};

/* One rule as it stands in the file. */
struct raw_rule {
    const struct toc_yaml *action, *source_labels, *regex, *modulus;
    struct toc_sv separator, target_label, replacement;
};

#define KEY(name, kind) \
    { #name, kind, offsetof(struct raw_rule, name), false, NULL, 0, 0, NULL }
static const struct toc_schema_key rule_keys[] = {
    KEY(action, TOC_SCHEMA_NODE),        KEY(source_labels, TOC_SCHEMA_NODE),
    KEY(regex, TOC_SCHEMA_NODE),         KEY(modulus, TOC_SCHEMA_NODE),
    KEY(separator, TOC_SCHEMA_STRING),   KEY(target_label, TOC_SCHEMA_STRING),
    KEY(replacement, TOC_SCHEMA_STRING), {0},
};
#undef KEY

static int read_action(const struct toc_yaml *n, enum toc_relabel_action *out,
                       struct toc_err *err) {
    struct toc_sv text;
    *out = TOC_RELABEL_REPLACE;
    if (!n)
        return 0;
    int rc = toc_yaml_string(n, &text, err);
    if (rc)
        return rc;
    if (!text.n)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "relabel action cannot be empty");
    for (int i = 0; i < TOC_RELABEL_ACTION_COUNT; i++)
        if (toc_sv_eq_nocase(text, toc_sv_cstr(action_names[i]))) {
            *out = (enum toc_relabel_action)i;
            return 0;
        }
    return toc_err_at(err, TOC_EINVAL, n->line, n->column, "unknown relabel action \"%.*s\"",
                      TOC_SV_ARG(text));
}

static int read_sources(const struct toc_yaml *n, struct toc_arena *a, struct toc_relabel_rule *out,
                        struct toc_err *err) {
    if (toc_yaml_is_null(n))
        return 0;
    if (n->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, n->line, n->column,
                          "source_labels: expected a list of label names");
    struct toc_sv *names = TOC_ARENA_NEW_ARRAY(a, struct toc_sv, n->count + 1);
    if (!names)
        return toc_errf(err, TOC_ENOMEM, "no memory for relabel rules");
    for (size_t i = 0; i < n->count; i++) {
        const struct toc_yaml *item = &n->items[i];
        int rc = toc_yaml_string(item, &names[i], err);
        if (rc == 0 && (!names[i].n || !toc_sv_is_utf8(names[i])))
            rc = toc_err_at(err, TOC_EINVAL, item->line, item->column,
                            "\"%.*s\" is not a valid label name", TOC_SV_ARG(names[i]));
        if (rc)
            return rc;
    }
    out->source_labels = names;
    out->source_count = n->count;
    return 0;
}

static int read_regex(const struct toc_yaml *n, struct toc_relabel_rule *out, struct toc_err *err) {
    struct toc_sv text;
    out->regex_text = TOC_SV("(.*)");
    if (!n)
        return 0;
    int rc = toc_yaml_string(n, &text, err);
    if (rc || toc_sv_eq(text, out->regex_text))
        return rc;
    out->regex_text = text;
    struct toc_err why = {0};
    if (toc_regex_new(text, TOC_REGEX_ANCHORED, &out->regex, &why) < 0)
        return toc_err_at(err, TOC_EPARSE, n->line, n->column, "%s", why.message);
    return 0;
}

/* May the text become a label name once its references are expanded? */
static bool may_be_name(struct toc_sv s) {
    return s.n && toc_sv_is_utf8(s);
}

static const char *only_regex(const struct raw_rule *raw, const struct toc_relabel_rule *r) {
    bool is_alone = !raw->source_labels && !raw->target_label.p && !raw->modulus &&
                    !raw->separator.p && !raw->replacement.p;
    if (is_alone)
        return NULL;
    return r->action == TOC_RELABEL_LABELDROP
               ? "labeldrop action requires only 'regex', and no other fields"
               : "labelkeep action requires only 'regex', and no other fields";
}

static const char *only_equal_fields(const struct raw_rule *raw, const struct toc_relabel_rule *r) {
    bool has_more = raw->regex || raw->modulus || raw->separator.p || raw->replacement.p;
    if (!has_more)
        return NULL;
    return r->action == TOC_RELABEL_KEEPEQUAL ? "keepequal action requires only 'source_labels' "
                                                "and `target_label`, and no other fields"
                                              : "dropequal action requires only 'source_labels' "
                                                "and `target_label`, and no other fields";
}

static bool needs_target(enum toc_relabel_action a) {
    return a == TOC_RELABEL_REPLACE || a == TOC_RELABEL_HASHMOD || a == TOC_RELABEL_LOWERCASE ||
           a == TOC_RELABEL_UPPERCASE || a == TOC_RELABEL_KEEPEQUAL || a == TOC_RELABEL_DROPEQUAL;
}

static int check_rule(const struct raw_rule *raw, const struct toc_relabel_rule *r,
                      const struct toc_yaml *n, struct toc_err *err) {
    const char *name = action_names[r->action];
    const char *misuse = NULL;
    if (r->action == TOC_RELABEL_HASHMOD && r->modulus == 0)
        misuse = "relabel configuration for hashmod requires non-zero modulus";
    else if (r->action == TOC_RELABEL_LABELDROP || r->action == TOC_RELABEL_LABELKEEP)
        misuse = only_regex(raw, r);
    else if (r->action == TOC_RELABEL_KEEPEQUAL || r->action == TOC_RELABEL_DROPEQUAL)
        misuse = only_equal_fields(raw, r);
    if (needs_target(r->action) && !r->target_label.n)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "relabel configuration for %s action requires 'target_label' value",
                          name);
    if (misuse)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "%s", misuse);
    if (needs_target(r->action) && !may_be_name(r->target_label))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "\"%.*s\" is invalid 'target_label' for %s action",
                          TOC_SV_ARG(r->target_label), name);
    bool is_case = r->action == TOC_RELABEL_LOWERCASE || r->action == TOC_RELABEL_UPPERCASE;
    if (is_case && raw->replacement.p && !toc_sv_eq(raw->replacement, TOC_SV("$1")))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "'replacement' can not be set for %s action", name);
    if (r->action == TOC_RELABEL_LABELMAP && !may_be_name(r->replacement))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "\"%.*s\" is invalid 'replacement' for labelmap action",
                          TOC_SV_ARG(r->replacement));
    return 0;
}

static int read_rule(const struct toc_yaml *n, struct toc_arena *a, struct toc_relabel_rule *out,
                     struct toc_err *err) {
    if (toc_yaml_is_null(n))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "empty or null relabeling rule");
    struct raw_rule raw = {0};
    int64_t modulus = 0;
    int rc = toc_schema_read(n, rule_keys, &raw, err);
    if (rc == 0)
        rc = read_action(raw.action, &out->action, err);
    if (rc == 0)
        rc = read_sources(raw.source_labels, a, out, err);
    if (rc == 0)
        rc = read_regex(raw.regex, out, err);
    if (rc == 0 && raw.modulus)
        rc = toc_yaml_int(raw.modulus, &modulus, err);
    if (rc)
        return rc;
    if (modulus < 0)
        return toc_err_at(err, TOC_EINVAL, raw.modulus->line, raw.modulus->column,
                          "modulus must not be negative");
    out->modulus = (uint64_t)modulus;
    out->separator = raw.separator.p ? raw.separator : TOC_SV(";");
    out->replacement = raw.replacement.p ? raw.replacement : TOC_SV("$1");
    out->target_label = raw.target_label;
    return check_rule(&raw, out, n, err);
}

const char *toc_relabel_action_text(enum toc_relabel_action a) {
    return action_names[a];
}

int toc_relabel_read(const struct toc_yaml *list, struct toc_arena *a, struct toc_relabel *out,
                     struct toc_err *err) {
    *out = (struct toc_relabel){0};
    if (toc_yaml_is_null(list))
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column,
                          "expected a list of relabel rules");
    out->rules = TOC_ARENA_NEW_ARRAY(a, struct toc_relabel_rule, list->count + 1);
    if (!out->rules)
        return toc_errf(err, TOC_ENOMEM, "no memory for relabel rules");
    for (size_t i = 0; i < list->count; i++) {
        out->count = i + 1;
        int rc = read_rule(&list->items[i], a, &out->rules[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

void toc_relabel_fini(struct toc_relabel *r) {
    for (size_t i = 0; i < r->count; i++)
        toc_regex_free(&r->rules[i].regex);
    *r = (struct toc_relabel){0};
}

/* --------------------------------------------------------------------------------------------
 * applying */

static struct toc_sv source_value(const struct toc_relabel_rule *r,
                                  const struct toc_labels_builder *b, struct toc_arena *a) {
    if (r->source_count == 0)
        return TOC_SV("");
    if (r->source_count == 1) {
        struct toc_sv v = toc_labels_builder_get(b, r->source_labels[0]);
        return v.p ? v : TOC_SV("");
    }
    size_t n = r->separator.n * (r->source_count - 1);
    for (size_t i = 0; i < r->source_count; i++)
        n += toc_labels_builder_get(b, r->source_labels[i]).n;
    char *text = toc_arena_alloc(a, n + 1);
    if (!text)
        return TOC_SV("");
    size_t at = 0;
    for (size_t i = 0; i < r->source_count; i++) {
        struct toc_sv part = toc_labels_builder_get(b, r->source_labels[i]);
        if (i && r->separator.n)
            memcpy(text + at, r->separator.p, r->separator.n);
        at += i ? r->separator.n : 0;
        if (part.n)
            memcpy(text + at, part.p, part.n);
        at += part.n;
    }
    return toc_sv_make(text, n);
}

/* Groups of a match; 0 when the value does not match. */
static int match(const struct toc_relabel_rule *r, struct toc_sv value,
                 struct toc_sv groups[GROUPS_MAX]) {
    if (r->regex)
        return toc_regex_capture(r->regex, value, groups, GROUPS_MAX);
    groups[0] = groups[1] = value;
    return 2;
}

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* What a reference such as 1 or name stands for; unknown ones are empty. */
static struct toc_sv group_value(const struct toc_relabel_rule *r, struct toc_sv name,
                                 const struct toc_sv *groups, int count) {
    bool is_number = name.n > 0 && name.n < 4;
    int index = 0;
    for (size_t i = 0; i < name.n && is_number; i++) {
        is_number = name.p[i] >= '0' && name.p[i] <= '9';
        index = index * 10 + (name.p[i] - '0');
    }
    if (is_number)
        return index < count ? groups[index] : TOC_SV("");
    for (int i = 1; r->regex && i < count; i++)
        if (toc_sv_eq_cstr(name, toc_regex_group_name(r->regex, i)))
            return groups[i];
    return TOC_SV("");
}

/* Length of the reference behind a '$' at p[0]; its name in *out_name. 0: the '$' stands for
 * itself. */
static size_t read_reference(struct toc_sv text, struct toc_sv *out_name) {
    bool has_brace = text.n > 1 && text.p[1] == '{';
    size_t start = has_brace ? 2 : 1, end = start;
    while (end < text.n && is_word(text.p[end]))
        end++;
    if (end == start || (has_brace && (end == text.n || text.p[end] != '}')))
        return 0;
    *out_name = toc_sv_sub(text, start, end - start);
    return end + has_brace;
}

/* As Go's Regexp.Expand: $1, ${1}, $name, ${name}, $$; what is malformed is left out. */
static void expand(const struct toc_relabel_rule *r, struct toc_sv text,
                   const struct toc_sv *groups, int count, struct toc_buf *out) {
    while (text.n) {
        size_t dollar = toc_sv_find_char(text, '$');
        toc_buf_append_sv(out, toc_sv_sub(text, 0, dollar));
        if (dollar == SIZE_MAX)
            return;
        text = toc_sv_sub(text, dollar, text.n);
        struct toc_sv name;
        size_t n = read_reference(text, &name);
        if (text.n > 1 && text.p[1] == '$') {
            toc_buf_append_char(out, '$');
            n = 2;
        } else if (n) {
            toc_buf_append_sv(out, group_value(r, name, groups, count));
        } else {
            toc_buf_append_char(out, '$');
            n = 1;
        }
        text = toc_sv_sub(text, n, text.n);
    }
}

/* The expanded text in the arena; the template itself when it has no reference. */
static struct toc_sv expanded(const struct toc_relabel_rule *r, struct toc_sv text,
                              const struct toc_sv *groups, int count, struct toc_arena *a) {
    if (!text.n || toc_sv_find_char(text, '$') == SIZE_MAX)
        return text;
    if (toc_sv_eq(text, TOC_SV("$1")))
        return count > 1 ? groups[1] : TOC_SV("");
    struct toc_buf out = TOC_BUF_INIT;
    expand(r, text, groups, count, &out);
    struct toc_sv result = toc_arena_dup_sv(a, toc_buf_sv(&out));
    toc_buf_fini(&out);
    return result;
}

static void apply_replace(const struct toc_relabel_rule *r, struct toc_sv value,
                          struct toc_labels_builder *b, struct toc_arena *a) {
    struct toc_sv groups[GROUPS_MAX];
    int count = match(r, value, groups);
    if (!count)
        return;
    struct toc_sv target = expanded(r, r->target_label, groups, count, a);
    if (!may_be_name(target))
        return;
    toc_labels_builder_set(b, target, expanded(r, r->replacement, groups, count, a));
}

static void apply_labelmap(const struct toc_relabel_rule *r, struct toc_labels_builder *b,
                           struct toc_arena *a) {
    size_t n = b->count; /* labels made here are not mapped again */
    for (size_t i = 0; i < n; i++) {
        struct toc_label l = b->items[i];
        struct toc_sv groups[GROUPS_MAX];
        int count = l.value.n ? match(r, l.name, groups) : 0;
        if (!count)
            continue;
        struct toc_sv target = expanded(r, r->replacement, groups, count, a);
        if (may_be_name(target))
            toc_labels_builder_set(b, target, l.value);
    }
}

static void drop_names(const struct toc_relabel_rule *r, struct toc_labels_builder *b,
                       bool drop_matching) {
    for (size_t i = 0; i < b->count; i++) {
        bool matches = !r->regex || toc_regex_matches(r->regex, b->items[i].name);
        if (matches == drop_matching)
            b->items[i].value = TOC_SV_NULL;
    }
}

/* ASCII case only; other letters stay as they are. */
static struct toc_sv folded(struct toc_sv v, bool to_upper, struct toc_arena *a) {
    struct toc_sv copy = toc_arena_dup_sv(a, v);
    char *p = (char *)(uintptr_t)copy.p;
    for (size_t i = 0; i < copy.n; i++)
        if (to_upper ? p[i] >= 'a' && p[i] <= 'z' : p[i] >= 'A' && p[i] <= 'Z')
            p[i] ^= 0x20;
    return copy;
}

static void apply_hashmod(const struct toc_relabel_rule *r, struct toc_sv value,
                          struct toc_labels_builder *b, struct toc_arena *a) {
    char text[24];
    uint64_t hash = toc_relabel_md5_tail(value) % r->modulus;
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)hash);
    toc_labels_builder_set(b, r->target_label, toc_arena_dup_sv(a, toc_sv_make(text, (size_t)n)));
}

static bool apply_rule(const struct toc_relabel_rule *r, struct toc_labels_builder *b,
                       struct toc_arena *a) {
    struct toc_sv value = source_value(r, b, a);
    bool is_upper = r->action == TOC_RELABEL_UPPERCASE;
    switch (r->action) {
    case TOC_RELABEL_KEEP:
        return !r->regex || toc_regex_matches(r->regex, value);
    case TOC_RELABEL_DROP:
        return r->regex && !toc_regex_matches(r->regex, value);
    case TOC_RELABEL_KEEPEQUAL:
        return toc_sv_eq(toc_labels_builder_get(b, r->target_label), value);
    case TOC_RELABEL_DROPEQUAL:
        return !toc_sv_eq(toc_labels_builder_get(b, r->target_label), value);
    case TOC_RELABEL_REPLACE:
        apply_replace(r, value, b, a);
        break;
    case TOC_RELABEL_HASHMOD:
        apply_hashmod(r, value, b, a);
        break;
    case TOC_RELABEL_LABELMAP:
        apply_labelmap(r, b, a);
        break;
    case TOC_RELABEL_LABELDROP:
        drop_names(r, b, true);
        break;
    case TOC_RELABEL_LABELKEEP:
        drop_names(r, b, false);
        break;
    case TOC_RELABEL_LOWERCASE:
    case TOC_RELABEL_UPPERCASE:
        toc_labels_builder_set(b, r->target_label, folded(value, is_upper, a));
        break;
    case TOC_RELABEL_ACTION_COUNT:
        break;
    }
    return true;
}

bool toc_relabel_apply(const struct toc_relabel *r, struct toc_labels_builder *b,
                       struct toc_arena *a) {
    for (size_t i = 0; i < r->count; i++)
        if (!apply_rule(&r->rules[i], b, a))
            return false;
    return !a->overflowed;
}
