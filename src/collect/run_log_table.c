#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/num.h"
#include "codec/table_text.h"
#include "collect/run_log_shape_priv.h"

enum column { ID, KIND, PREFILTER, PATTERN, PAIRS, FIELDS, SAMPLE, EXPECT };
enum { COLUMNS = EXPECT + 1 };

extern const unsigned char toc_log_metrics_bytes[];
extern const unsigned long toc_log_metrics_size;

static const char *const g_columns[COLUMNS] = {"id",    "kind",   "prefilter", "pattern",
                                               "pairs", "fields", "sample",    "expect"};
static const char *const g_kinds[] = {
#define X(name, word) word,
    TOC_RUN_LOG_KIND_TABLE(X)
#undef X
};
static const char *const g_pairs[] = {
#define X(name, word, separator, assignment) word,
    TOC_RUN_LOG_PAIRS_TABLE(X)
#undef X
};
static const char *const g_groups[] = {
#define X(name, word) word,
    TOC_RUN_LOG_GROUP_TABLE(X)
#undef X
};

static int bad(struct toc_err *err, int row, enum column c, const char *what, struct toc_sv got) {
    return toc_table_bad(err, row, (int)c, g_columns[c], what, got);
}

/* ------------------------------------------------------------------------------------- columns */

static int compile(struct toc_run_log_row *r, struct toc_sv pattern, int row, struct toc_err *err) {
    struct toc_err reason = {0};
    int rc = toc_regex_new(pattern, TOC_REGEX_SEARCH, &r->regex, &reason);
    if (rc < 0)
        return toc_err_at(err, rc, row, PATTERN + 1, "column pattern: %s", reason.message);
    r->is_blind = toc_run_log_pattern_is_blind(pattern);
    r->group_count = toc_regex_group_count(r->regex) + 1;
    if (r->group_count > TOC_RUN_LOG_GROUPS_MAX)
        return bad(err, row, PATTERN, "expected at most 23 groups", pattern);
    for (int i = 1; i < r->group_count; i++) {
        struct toc_sv name = toc_sv_cstr(toc_regex_group_name(r->regex, i));
        if (!name.n)
            return bad(err, row, PATTERN, "a group without a name: write (?:…) or (?P<name>…)",
                       pattern);
        int kind = toc_table_word(g_groups, TOC_ARRAY_LEN(g_groups), name);
        r->groups[i] = (struct toc_run_log_group){
            .kind = kind < 0 ? TOC_RUN_LOG_GROUP_FIELD : (enum toc_run_log_group_kind)kind,
            .field = name,
            .scale = 1};
    }
    return 0;
}

static struct toc_run_log_group *group_named(struct toc_run_log_row *r, struct toc_sv name) {
    for (int i = 1; i < r->group_count; i++)
        if (r->groups[i].kind == TOC_RUN_LOG_GROUP_FIELD &&
            toc_sv_eq_cstr(name, toc_regex_group_name(r->regex, i)))
            return &r->groups[i];
    return NULL;
}

/* +name=value */
static int parse_add(struct toc_run_log_row *r, struct toc_sv part) {
    struct toc_run_log_add a;
    struct toc_sv name;
    part = toc_sv_sub(part, 1, SIZE_MAX);
    if (!toc_sv_split(&part, '=', &name) || !name.n || r->add_count == TOC_RUN_LOG_ADDS_MAX ||
        toc_parse_f64(part, &a.value) < 0 || !isfinite(a.value))
        return TOC_EPARSE;
    a.field = name;
    r->adds[r->add_count++] = a;
    return 0;
}

/* group=name, group=name*scale or +name=value, parted by semicolons. */
static int parse_field(struct toc_run_log_row *r, struct toc_sv part) {
    struct toc_sv group, name;
    if (toc_sv_starts_with(part, TOC_SV("+")))
        return parse_add(r, part);
    if (!toc_sv_split(&part, '=', &group) || !part.n)
        return TOC_EPARSE;
    struct toc_run_log_group *g = group_named(r, group);
    if (!g || !toc_sv_split(&part, '*', &name) || !name.n)
        return TOC_EPARSE;
    g->field = name;
    return part.p && (toc_parse_f64(part, &g->scale) < 0 || !isfinite(g->scale)) ? TOC_EPARSE : 0;
}

static int parse_fields(struct toc_run_log_row *r, struct toc_sv text) {
    struct toc_sv part;
    int rc = 0;
    while (rc == 0 && text.n && toc_sv_split(&text, ';', &part))
        rc = parse_field(r, part);
    return rc;
}

static bool has_group(const struct toc_run_log_row *r, enum toc_run_log_group_kind kind) {
    for (int i = 1; i < r->group_count; i++)
        if (r->groups[i].kind == kind)
            return true;
    return false;
}

static int fill(struct toc_run_log_row *r, const struct toc_sv *f, int row, struct toc_err *err) {
    int kind = toc_table_word(g_kinds, TOC_ARRAY_LEN(g_kinds), f[KIND]);
    int pairs = toc_table_word(g_pairs, TOC_ARRAY_LEN(g_pairs), f[PAIRS]);
    if (!f[ID].n)
        return bad(err, row, ID, "expected a name", f[ID]);
    if (kind < 0)
        return bad(err, row, KIND, "unknown kind", f[KIND]);
    if (!f[PREFILTER].n)
        return bad(err, row, PREFILTER, "expected a text that every line of the row holds",
                   f[PREFILTER]);
    if (!f[PATTERN].n)
        return bad(err, row, PATTERN, "expected an expression", f[PATTERN]);
    if (pairs < 0)
        return bad(err, row, PAIRS, "expected bars, dashes, dict, equals, words or nothing",
                   f[PAIRS]);
    *r = (struct toc_run_log_row){.id = f[ID],
                                  .prefilter = f[PREFILTER],
                                  .sample = f[SAMPLE],
                                  .expect = f[EXPECT],
                                  .kind = (enum toc_run_log_kind)kind,
                                  .pairs = (enum toc_run_log_pairs)pairs};
    int rc = compile(r, f[PATTERN], row, err);
    if (rc < 0)
        return rc;
    if (has_group(r, TOC_RUN_LOG_GROUP_PAIRS) != (pairs != TOC_RUN_LOG_NO_PAIRS))
        return bad(err, row, PAIRS, "the pattern needs a group pairs when this is set, else none",
                   f[PAIRS]);
    if (parse_fields(r, f[FIELDS]) < 0)
        return bad(err, row, FIELDS,
                   "expected group=name, group=name*scale or +name=value parted by ;", f[FIELDS]);
    return 0;
}

static int add_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_run_log_table *t = table;
    struct toc_sv fields[COLUMNS];
    int rc = toc_table_fields(line, row, fields, COLUMNS, err);
    if (rc < 0)
        return rc;
    if (t->count == TOC_RUN_LOG_ROWS_MAX)
        return toc_err_at(err, TOC_ELIMIT, row, 1, "more than %d rows", (int)TOC_RUN_LOG_ROWS_MAX);
    for (size_t i = 0; i < t->count; i++)
        if (toc_sv_eq(t->rows[i].id, fields[ID]))
            return bad(err, row, ID, "this id is there already", fields[ID]);
    /* Counted before it is filled: what a bad row has made is freed with the table. */
    struct toc_run_log_row *r = &t->rows[t->count++];
    return fill(r, fields, row, err);
}

/* And its sample is of this row. */
static int add_checked_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_run_log_table *t = table;
    struct toc_sv groups[TOC_RUN_LOG_GROUPS_MAX];
    int rc = add_row(table, line, row, err);
    if (rc < 0)
        return rc;
    const struct toc_run_log_row *r = &t->rows[t->count - 1];
    return toc_run_log_match(t, r->sample, groups) == r
               ? 0
               : bad(err, row, SAMPLE, "no row or another one knows this line", r->sample);
}

static bool is_blind(const struct toc_run_log_table *t) {
    for (size_t i = 0; i < t->count; i++) {
        struct toc_sv text = t->rows[i].prefilter;
        if (!t->rows[i].is_blind)
            return false;
        for (size_t k = 0; k < text.n; k++)
            if (text.p[k] >= '0' && text.p[k] <= '9')
                return false;
    }
    return true;
}

static int build_literals(struct toc_run_log_table *t, struct toc_err *err) {
    struct toc_literal literals[TOC_LITERAL_SET_MAX];
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        struct toc_sv rest = t->rows[i].prefilter, text;
        while (toc_sv_split(&rest, '|', &text)) {
            if (count == TOC_LITERAL_SET_MAX)
                return toc_errf(err, TOC_ELIMIT, "more than %d texts in column prefilter",
                                (int)TOC_LITERAL_SET_MAX);
            literals[count++] = (struct toc_literal){text, (unsigned)i};
        }
    }
    if (!count)
        return 0;
    int rc = toc_literal_set_new(literals, count, &t->literals);
    return rc ? toc_errf(err, rc, "column prefilter: %s", toc_strerror(rc)) : 0;
}

static int parse(struct toc_sv text, toc_table_take *take, struct toc_run_log_table **out_table,
                 struct toc_err *err) {
    struct toc_run_log_table *t = TOC_NEW(struct toc_run_log_table);
    t->text = toc_sv_dup_cstr(text);
    t->rows = TOC_NEW_ARRAY(struct toc_run_log_row, TOC_RUN_LOG_ROWS_MAX);
    int rc = toc_table_each(toc_sv_make(t->text, text.n), take, t, err);
    if (rc == 0)
        rc = build_literals(t, err);
    t->is_blind = is_blind(t);
    if (rc < 0)
        toc_run_log_table_free(&t);
    *out_table = t;
    return rc;
}

int toc_run_log_table_parse(struct toc_sv text, struct toc_run_log_table **out_table,
                            struct toc_err *err) {
    return parse(text, add_checked_row, out_table, err);
}

int toc_run_log_table_builtin(struct toc_run_log_table **out_table, struct toc_err *err) {
    return parse(toc_run_log_table_text(), add_row, out_table, err);
}

struct toc_sv toc_run_log_table_text(void) {
    return toc_sv_make((const char *)toc_log_metrics_bytes, toc_log_metrics_size);
}

void toc_run_log_table_free(struct toc_run_log_table **table) {
    if (!table || !*table)
        return;
    for (size_t i = 0; i < (*table)->count; i++)
        toc_regex_free(&(*table)->rows[i].regex);
    toc_literal_set_free(&(*table)->literals);
    toc_free((*table)->rows);
    toc_free((*table)->text);
    toc_free(*table);
    *table = NULL;
}

bool toc_run_log_table_sample(const struct toc_run_log_table *t, size_t row,
                              struct toc_run_log_sample *out) {
    if (row >= t->count)
        return false;
    *out = (struct toc_run_log_sample){t->rows[row].id, t->rows[row].sample, t->rows[row].expect};
    return true;
}

static bool may_match(const struct toc_run_log_row *r, struct toc_sv line) {
    struct toc_sv rest = r->prefilter, literal;
    while (toc_sv_split(&rest, '|', &literal))
        if (toc_sv_find(line, literal) != SIZE_MAX)
            return true;
    return false;
}

const struct toc_run_log_row *toc_run_log_match(const struct toc_run_log_table *t,
                                                struct toc_sv line,
                                                struct toc_sv groups[TOC_RUN_LOG_GROUPS_MAX]) {
    struct toc_literal_hits hits = {0};
    if (t->literals && !toc_literal_set_search(t->literals, line, &hits))
        return NULL;
    for (size_t i = 0; i < t->count; i++) {
        const struct toc_run_log_row *r = &t->rows[i];
        bool is_possible = !t->literals || toc_literal_hits_has(&hits, (unsigned)i);
        if (is_possible && may_match(r, line) &&
            toc_regex_capture(r->regex, line, groups, TOC_RUN_LOG_GROUPS_MAX) > 0)
            return r;
    }
    return NULL;
}
