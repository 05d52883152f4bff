#include "diagnose/signature.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/literal_set.h"
#include "base/num.h"
#include "codec/table_text.h"
#include "shim/regex.h"

enum column {
    ID,
    CLASS,
    SEVERITY,
    ROLE,
    SOURCES,
    PREFILTER,
    PATTERN,
    ICASE,
    FIELDS,
    POSITIVE,
    NEGATIVE
};
enum { COLUMNS = NEGATIVE + 1, LITERALS_MAX = 2048 };

struct toc_signature_table {
    char *text; /* all views point here */
    struct toc_signature *items;
    size_t count;
    struct toc_literal_set *literals;
    /* Signature i has a second group of literals: their number is TOC_SIGNATURES_MAX + i. */
    uint64_t has_second[TOC_SIGNATURES_MAX / 64];
};

static_assert(TOC_LITERAL_SET_MAX == 2 * TOC_SIGNATURES_MAX, "one number per signature and group");

extern const unsigned char toc_signatures_bytes[];
extern const unsigned long toc_signatures_size;

#define X(name, text) text,
static const char *const g_roles[] = {TOC_SIGNATURE_ROLE_TABLE(X)};
static const char *const g_severities[] = {TOC_SIGNATURE_SEVERITY_TABLE(X)};
static const char *const g_fields[] = {TOC_SIGNATURE_FIELD_TABLE(X)};
#undef X
static const char *const g_sources[] = {"kernel", "job", "serving", "scheduler"};
static const char *const g_columns[COLUMNS] = {"id",      "class",     "severity",   "role",
                                               "sources", "prefilter", "pattern",    "icase",
                                               "fields",  "matches",   "matches_not"};

static int bad(struct toc_err *err, int row, enum column c, const char *what, struct toc_sv got) {
    return toc_table_bad(err, row, (int)c, g_columns[c], what, got);
}

static int parse_sources(struct toc_sv text, unsigned *out) {
    struct toc_sv word;
    while (toc_sv_split(&text, '|', &word)) {
        int i = toc_table_word(g_sources, TOC_ARRAY_LEN(g_sources), word);
        if (i < 0)
            return TOC_EPARSE;
        *out |= 1u << i;
    }
    return *out ? 0 : TOC_EPARSE;
}

/* "2" or "2/4/6" into a row of groups. */
static int parse_groups(struct toc_sv text, unsigned char *out) {
    struct toc_sv number;
    uint64_t group;
    for (int n = 0; toc_sv_split(&text, '/', &number); n++) {
        if (n == TOC_SIGNATURE_FIELD_GROUPS_MAX || toc_parse_u64(number, &group) < 0 || !group ||
            group >= TOC_SIGNATURE_GROUPS_MAX)
            return TOC_EPARSE;
        out[n] = (unsigned char)group;
    }
    return out[0] ? 0 : TOC_EPARSE;
}

static int parse_fields(struct toc_sv text, struct toc_signature *s) {
    struct toc_sv item, name;
    while (text.n && toc_sv_split(&text, ' ', &item)) {
        if (!toc_sv_split(&item, '=', &name))
            return TOC_EPARSE;
        int i = toc_table_word(g_fields, TOC_ARRAY_LEN(g_fields), name);
        if (i < 0 || s->fields[i][0] || parse_groups(item, s->fields[i]) < 0)
            return TOC_EPARSE;
    }
    return 0;
}

static bool has_groups_of_fields(const struct toc_signature *s) {
    for (int i = 0; i < TOC_FIELD_KINDS; i++)
        for (int n = 0; n < TOC_SIGNATURE_FIELD_GROUPS_MAX; n++)
            if (s->fields[i][n] > toc_regex_group_count(s->regex))
                return false;
    return true;
}

static int make_expression(struct toc_signature *s, struct toc_err *err) {
    struct toc_buf pattern = TOC_BUF_INIT;
    toc_buf_append_cstr(&pattern, s->ignores_case ? "(?i)" : "");
    toc_buf_append_sv(&pattern, s->pattern);
    int rc = toc_regex_new(toc_buf_sv(&pattern), TOC_REGEX_SEARCH | TOC_REGEX_LATE, &s->regex, err);
    toc_buf_fini(&pattern);
    return rc;
}

static int fill(struct toc_signature *s, const struct toc_sv *f, int row, struct toc_err *err) {
    int severity = toc_table_word(g_severities, TOC_ARRAY_LEN(g_severities), f[SEVERITY]);
    int role = toc_table_word(g_roles, TOC_ARRAY_LEN(g_roles), f[ROLE]);
    if (!f[ID].n)
        return bad(err, row, ID, "expected a name", f[ID]);
    if (!f[CLASS].n)
        return bad(err, row, CLASS, "expected a name", f[CLASS]);
    if (severity < 0)
        return bad(err, row, SEVERITY, "unknown severity", f[SEVERITY]);
    if (role < 0)
        return bad(err, row, ROLE, "unknown role", f[ROLE]);
    if (parse_sources(f[SOURCES], &s->sources) < 0)
        return bad(err, row, SOURCES, "expected kernel, job, serving, scheduler parted by |",
                   f[SOURCES]);
    if (f[ICASE].n && !toc_sv_eq_cstr(f[ICASE], "i"))
        return bad(err, row, ICASE, "expected i or nothing", f[ICASE]);
    if (parse_fields(f[FIELDS], s) < 0)
        return bad(err, row, FIELDS, "expected NAME=GROUP[/GROUP] parted by blanks", f[FIELDS]);
    if (!f[PATTERN].n)
        return bad(err, row, PATTERN, "expected an expression", f[PATTERN]);
    s->id = f[ID], s->class_name = f[CLASS];
    s->severity = (enum toc_signature_severity)severity;
    s->role = (enum toc_signature_role)role;
    s->prefilter = f[PREFILTER], s->pattern = f[PATTERN], s->ignores_case = f[ICASE].n > 0;
    s->positive = f[POSITIVE], s->negative = f[NEGATIVE];
    return make_expression(s, err);
}

static int add_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_signature_table *t = table;
    struct toc_sv fields[COLUMNS];
    int rc = toc_table_fields(line, row, fields, COLUMNS, err);
    if (rc < 0)
        return rc;
    if (t->count == TOC_SIGNATURES_MAX)
        return toc_err_at(err, TOC_ELIMIT, row, 1, "more than %d signatures",
                          (int)TOC_SIGNATURES_MAX);
    for (size_t i = 0; i < t->count; i++)
        if (toc_sv_eq(t->items[i].id, fields[ID]))
            return bad(err, row, ID, "this id is there already", fields[ID]);
    /* Counted before it is filled: what a bad row has made is freed with the table. */
    return fill(&t->items[t->count++], fields, row, err);
}

static int check_expression(const struct toc_signature *s, int row, struct toc_err *err) {
    struct toc_err reason = {0};
    int rc = toc_regex_check(s->regex, &reason);
    if (rc < 0)
        return toc_err_at(err, rc, row, PATTERN + 1, "column pattern: %s", reason.message);
    if (toc_regex_group_count(s->regex) >= TOC_SIGNATURE_GROUPS_MAX)
        return bad(err, row, PATTERN, "expected at most 15 groups", s->pattern);
    if (!has_groups_of_fields(s))
        return bad(err, row, FIELDS, "the expression has fewer groups", s->pattern);
    return 0;
}

static int add_checked_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_signature_table *t = table;
    int rc = add_row(table, line, row, err);
    return rc < 0 ? rc : check_expression(&t->items[t->count - 1], row, err);
}

static int add_group(struct toc_sv group, unsigned number, struct toc_literal *literals,
                     size_t *count) {
    struct toc_sv text;
    if (!group.n)
        return TOC_EPARSE;
    while (toc_sv_split(&group, '|', &text)) {
        if (!text.n || *count == LITERALS_MAX)
            return TOC_EPARSE;
        literals[(*count)++] = (struct toc_literal){text, number};
    }
    return 0;
}

static int add_literals(struct toc_signature_table *t, struct toc_literal *literals, size_t *count,
                        struct toc_err *err) {
    for (unsigned i = 0; i < t->count; i++) {
        struct toc_sv rest = t->items[i].prefilter;
        size_t bar = toc_sv_find_char(rest, '&');
        bool has_second = bar != SIZE_MAX;
        int rc = add_group(toc_sv_sub(rest, 0, has_second ? bar : rest.n), i, literals, count);
        if (rc == 0 && has_second) {
            t->has_second[i / 64] |= (uint64_t)1 << (i % 64);
            rc = add_group(toc_sv_sub(rest, bar + 1, SIZE_MAX), TOC_SIGNATURES_MAX + i, literals,
                           count);
        }
        if (rc < 0)
            return toc_errf(err, rc,
                            "signature %.*s: column prefilter: an empty literal, or more than %d "
                            "in the table",
                            TOC_SV_ARG(t->items[i].id), (int)LITERALS_MAX);
    }
    return 0;
}

static int build_literals(struct toc_signature_table *t, struct toc_err *err) {
    struct toc_literal *literals = TOC_NEW_ARRAY(struct toc_literal, LITERALS_MAX);
    size_t count = 0;
    int rc = add_literals(t, literals, &count, err);
    if (rc == 0) {
        rc = toc_literal_set_new(literals, count, &t->literals);
        if (rc < 0)
            (void)toc_errf(err, rc, "the literals of the signatures: %s", toc_strerror(rc));
    }
    toc_free(literals);
    return rc;
}

struct wanted {
    const struct toc_signature *signature;
    bool is_found;
};

static void note_wanted(void *ctx, const struct toc_signature_hit *hit) {
    struct wanted *w = ctx;
    w->is_found |= hit->signature == w->signature;
}

static int check_samples(const struct toc_signature_table *t, struct toc_err *err) {
    for (size_t i = 0; i < t->count; i++) {
        const struct toc_signature *s = &t->items[i];
        for (int is_negative = 0; is_negative < 2; is_negative++) {
            struct wanted w = {s, false};
            struct toc_sv sample = is_negative ? s->negative : s->positive;
            (void)toc_signature_match(t, sample, s->sources, note_wanted, &w);
            if (w.is_found == is_negative)
                return toc_errf(err, TOC_EPARSE, "signature %.*s: column %s: the sample %s",
                                TOC_SV_ARG(s->id), g_columns[is_negative ? NEGATIVE : POSITIVE],
                                is_negative ? "matches" : "does not match");
        }
    }
    return 0;
}

static int parse(struct toc_sv text, toc_table_take *take, struct toc_signature_table **out_table,
                 struct toc_err *err) {
    struct toc_signature_table *t = TOC_NEW(struct toc_signature_table);
    t->text = toc_sv_dup_cstr(text);
    t->items = TOC_NEW_ARRAY(struct toc_signature, TOC_SIGNATURES_MAX);
    int rc = toc_table_each(toc_sv_make(t->text, text.n), take, t, err);
    if (rc == 0)
        rc = build_literals(t, err);
    if (rc < 0)
        toc_signature_table_free(&t);
    *out_table = t;
    return rc;
}

int toc_signature_table_parse(struct toc_sv text, struct toc_signature_table **out_table,
                              struct toc_err *err) {
    int rc = parse(text, add_checked_row, out_table, err);
    if (rc == 0)
        rc = check_samples(*out_table, err);
    if (rc < 0)
        toc_signature_table_free(out_table);
    return rc;
}

int toc_signature_table_builtin(struct toc_signature_table **out_table, struct toc_err *err) {
    return parse(toc_signature_table_text(), add_row, out_table, err);
}

struct toc_sv toc_signature_table_text(void) {
    return toc_sv_make((const char *)toc_signatures_bytes, toc_signatures_size);
}

void toc_signature_table_free(struct toc_signature_table **table) {
    if (!table || !*table)
        return;
    for (size_t i = 0; i < (*table)->count; i++)
        toc_regex_free(&(*table)->items[i].regex);
    toc_literal_set_free(&(*table)->literals);
    toc_free((*table)->items);
    toc_free((*table)->text);
    toc_free(*table);
    *table = NULL;
}

size_t toc_signature_table_count(const struct toc_signature_table *t) {
    return t->count;
}

const struct toc_signature *toc_signature_table_get(const struct toc_signature_table *t, size_t i) {
    return &t->items[i];
}

const char *toc_signature_role_name(enum toc_signature_role role) {
    return g_roles[role];
}

const char *toc_signature_severity_name(enum toc_signature_severity severity) {
    return g_severities[severity];
}

const char *toc_signature_field_name(enum toc_signature_field field) {
    return g_fields[field];
}

struct toc_sv toc_signature_field(const struct toc_signature_hit *hit,
                                  enum toc_signature_field field) {
    const unsigned char *groups = hit->signature->fields[field];
    for (int n = 0; n < TOC_SIGNATURE_FIELD_GROUPS_MAX && groups[n]; n++)
        if (groups[n] < hit->group_count && hit->groups[groups[n]].n)
            return hit->groups[groups[n]];
    return TOC_SV_NULL;
}

static bool try_one(const struct toc_signature *s, struct toc_sv line, unsigned sources,
                    toc_signature_fn *fn, void *ctx) {
    struct toc_signature_hit hit = {.signature = s, .line = line};
    if (!(s->sources & sources))
        return false;
    hit.group_count = toc_regex_capture(s->regex, line, hit.groups, TOC_SIGNATURE_GROUPS_MAX);
    if (!hit.group_count)
        return false;
    fn(ctx, &hit);
    return true;
}

/* Signatures whose literals the line has; false when there are none. */
static bool candidates_of(const struct toc_signature_table *t, struct toc_sv line,
                          struct toc_signature_set *out) {
    struct toc_literal_hits found;
    uint64_t any = 0;
    if (!toc_literal_set_search(t->literals, line, &found))
        return false;
    for (unsigned w = 0; w < TOC_SIGNATURES_MAX / 64; w++) {
        uint64_t second = found.words[w + TOC_SIGNATURES_MAX / 64] | ~t->has_second[w];
        out->words[w] = found.words[w] & second;
        any |= out->words[w];
    }
    return any != 0;
}

static bool shows_one_outside(const struct toc_signature_table *t, struct toc_sv line,
                              unsigned sources, const struct toc_signature_set *candidates,
                              const struct toc_signature_set *set) {
    for (unsigned w = 0; w < TOC_SIGNATURES_MAX / 64; w++)
        for (uint64_t bits = candidates->words[w] & ~set->words[w]; bits; bits &= bits - 1) {
            const struct toc_signature *s = &t->items[w * 64 + (unsigned)__builtin_ctzll(bits)];
            if ((s->sources & sources) && toc_regex_matches(s->regex, line))
                return true;
        }
    return false;
}

size_t toc_signature_match_beside(const struct toc_signature_table *t, struct toc_sv line,
                                  unsigned sources, const struct toc_signature_set *beside,
                                  toc_signature_fn *fn, void *ctx) {
    struct toc_signature_set candidates;
    size_t hits = 0;
    if (!candidates_of(t, line, &candidates) ||
        (beside && !shows_one_outside(t, line, sources, &candidates, beside)))
        return 0;
    for (unsigned w = 0; w < TOC_SIGNATURES_MAX / 64; w++)
        for (uint64_t bits = candidates.words[w]; bits; bits &= bits - 1) {
            unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);
            hits += try_one(&t->items[i], line, sources, fn, ctx);
        }
    return hits;
}

size_t toc_signature_match(const struct toc_signature_table *t, struct toc_sv line,
                           unsigned sources, toc_signature_fn *fn, void *ctx) {
    return toc_signature_match_beside(t, line, sources, NULL, fn, ctx);
}

struct toc_signature_set toc_signature_table_class(const struct toc_signature_table *t,
                                                   struct toc_sv class_name) {
    struct toc_signature_set set = {0};
    for (size_t i = 0; i < t->count; i++)
        if (toc_sv_eq(t->items[i].class_name, class_name))
            set.words[i / 64] |= (uint64_t)1 << i % 64;
    return set;
}
