#include "diagnose/failure_rule.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/num.h"
#include "codec/table_text.h"

enum { NAME, KIND, STRENGTH, OPENS, IN_JOB, ON_HOST, OWNER, TITLE, ACTION, COLUMNS };
enum { OPENS_MAX = 1000, KEY_MAX = 128 };

struct toc_failure_rules {
    char *text; /* the views point here */
    struct toc_failure_rule items[TOC_FAILURE_RULES_MAX];
    size_t count;
};

extern const unsigned char toc_failures_bytes[];
extern const unsigned long toc_failures_size;

static int bad(struct toc_err *err, int row, int column, const char *what, struct toc_sv got) {
    static const char *const names[COLUMNS] = {"name",  "kind",         "strength",
                                               "opens", "explains_job", "explains_host",
                                               "owner", "title",        "action"};
    return toc_table_bad(err, row, column, names[column], what, got);
}

static const struct toc_failure_rule *by_name(const struct toc_failure_rules *r,
                                              struct toc_sv name) {
    for (size_t i = 0; i < r->count; i++)
        if (toc_sv_eq(r->items[i].name, name))
            return &r->items[i];
    return NULL;
}

static int parse_number(struct toc_sv text, unsigned max, unsigned *out) {
    uint64_t n;
    if (toc_parse_u64(text, &n) < 0 || n > max)
        return TOC_EPARSE;
    *out = (unsigned)n;
    return 0;
}

static int add_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_failure_rules *r = table;
    struct toc_sv f[COLUMNS];
    struct toc_failure_rule rule = {0};
    int rc = toc_table_fields(line, row, f, COLUMNS, err);
    if (rc < 0)
        return rc;
    if (r->count == TOC_FAILURE_RULES_MAX)
        return toc_err_at(err, TOC_ELIMIT, row, 1, "more than %d rows", (int)TOC_FAILURE_RULES_MAX);
    if (!f[NAME].n || by_name(r, f[NAME]))
        return bad(err, row, NAME, "expected a name that is not there yet", f[NAME]);
    rule.kind = toc_sv_eq_cstr(f[KIND], "-") ? TOC_KIND_COUNT : toc_kind_parse(f[KIND]);
    if (rule.kind == TOC_KIND_COUNT && !toc_sv_eq_cstr(f[KIND], "-"))
        return bad(err, row, KIND, "unknown kind", f[KIND]);
    if (parse_number(f[STRENGTH], TOC_FAILURE_STRENGTH_MAX, &rule.strength) < 0)
        return bad(err, row, STRENGTH, "expected 0 to 9", f[STRENGTH]);
    if (parse_number(f[OPENS], OPENS_MAX, &rule.opens) < 0)
        return bad(err, row, OPENS, "expected 0 to 1000", f[OPENS]);
    for (int c = IN_JOB; c < COLUMNS; c++)
        if (!f[c].n)
            return bad(err, row, c, "expected a text, - for none", f[c]);
    rule.name = f[NAME], rule.in_job = f[IN_JOB], rule.on_host = f[ON_HOST];
    rule.owner = f[OWNER], rule.title = f[TITLE], rule.action = f[ACTION];
    r->items[r->count++] = rule;
    return 0;
}

int toc_failure_rules_parse(struct toc_sv text, struct toc_failure_rules **out_rules,
                            struct toc_err *err) {
    struct toc_failure_rules *r = TOC_NEW(struct toc_failure_rules);
    r->text = toc_sv_dup_cstr(text);
    int rc = toc_table_each(toc_sv_make(r->text, text.n), add_row, r, err);
    if (rc < 0)
        toc_failure_rules_free(&r);
    *out_rules = r;
    return rc;
}

int toc_failure_rules_builtin(struct toc_failure_rules **out_rules, struct toc_err *err) {
    return toc_failure_rules_parse(toc_sv_make((const char *)toc_failures_bytes, toc_failures_size),
                                   out_rules, err);
}

void toc_failure_rules_free(struct toc_failure_rules **rules) {
    if (!rules || !*rules)
        return;
    toc_free((*rules)->text);
    toc_free(*rules);
    *rules = NULL;
}

size_t toc_failure_rules_count(const struct toc_failure_rules *rules) {
    return rules->count;
}

const struct toc_failure_rule *toc_failure_rules_get(const struct toc_failure_rules *rules,
                                                     size_t i) {
    return &rules->items[i];
}

static const struct toc_failure_rule *by_pair(const struct toc_failure_rules *r, struct toc_sv id,
                                              struct toc_sv suffix) {
    char key[KEY_MAX];
    int n = snprintf(key, sizeof key, "%.*s:%.*s", TOC_SV_ARG(id), TOC_SV_ARG(suffix));
    return n > 0 && n < KEY_MAX ? by_name(r, toc_sv_make(key, (size_t)n)) : NULL;
}

const struct toc_failure_rule *toc_failure_rules_find(const struct toc_failure_rules *rules,
                                                      const struct toc_signature *s,
                                                      struct toc_sv code,
                                                      const struct toc_xid *xid) {
    const struct toc_failure_rule *rule = code.n ? by_pair(rules, s->id, code) : NULL;
    if (!rule && xid)
        rule = by_pair(rules, s->id, toc_sv_cstr(toc_xid_owner_name(xid->owner)));
    if (!rule)
        rule = by_name(rules, s->id);
    return rule ? rule : by_name(rules, s->class_name);
}

bool toc_failure_rule_lists(struct toc_sv words, const struct toc_signature *s,
                            const struct toc_failure_rule *rule) {
    struct toc_sv word;
    while (toc_sv_split(&words, ' ', &word))
        if (toc_sv_eq_cstr(word, "*") || toc_sv_eq(word, s->class_name) || toc_sv_eq(word, s->id) ||
            toc_sv_eq(word, rule->name))
            return true;
    return false;
}
