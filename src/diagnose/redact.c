#include "diagnose/redact.h"

#include "base/alloc.h"
#include "codec/table_text.h"
#include "codec/text.h"
#include "shim/regex.h"

enum { ID, PATTERN, ICASE, PART, CHECK, POSITIVE, NEGATIVE, COLUMNS };
enum { GROUPS_MAX = 12 };

struct rule {
    struct toc_sv id, pattern, positive, negative;
    struct toc_regex *regex;
    int group; /* 0 = the whole match */
    bool is_block;
    bool (*is_valid)(struct toc_sv number); /* NULL: always */
};

struct toc_redactor {
    char *text; /* the views point here */
    struct rule items[TOC_REDACT_RULES_MAX];
    size_t count;
};

extern const unsigned char toc_redact_table_bytes[];
extern const unsigned long toc_redact_table_size;

/* ----------------------------------------------------------------------------------------- checks
 */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Luhn's sum (ISO/IEC 7812-1). */
static bool is_card(struct toc_sv s) {
    unsigned sum = 0, place = 0;
    for (size_t i = s.n; i-- > 0;) {
        if (!is_digit(s.p[i]))
            continue;
        unsigned d = (unsigned)(s.p[i] - '0') * (1 + place++ % 2);
        sum += d > 9 ? d - 9 : d;
    }
    return sum % 10 == 0;
}

/* ISO 7064 MOD 11-2 over 17 digits. */
static bool is_cn_id(struct toc_sv s) {
    static const unsigned weights[17] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    unsigned sum = 0;
    if (s.n != 18)
        return false;
    for (int i = 0; i < 17; i++)
        sum += (unsigned)(s.p[i] - '0') * weights[i];
    return "10X98765432"[sum % 11] == (s.p[17] == 'x' ? 'X' : s.p[17]);
}

/* -------------------------------------------------------------------------------------- the table
 */

static int bad(struct toc_err *err, int row, int column, const char *what, struct toc_sv got) {
    static const char *const names[COLUMNS] = {"id",    "pattern", "icase",      "part",
                                               "check", "matches", "matches_not"};
    return toc_table_bad(err, row, column, names[column], what, got);
}

static int parse_part(struct toc_sv text, struct rule *r) {
    r->is_block = toc_sv_eq_cstr(text, "block");
    r->group = text.n == 2 && text.p[0] == 'g' && is_digit(text.p[1]) ? text.p[1] - '0' : 0;
    return r->is_block || r->group || toc_sv_eq_cstr(text, "all") ? 0 : TOC_EPARSE;
}

static int parse_check(struct toc_sv text, struct rule *r) {
    r->is_valid = toc_sv_eq_cstr(text, "luhn")      ? is_card
                  : toc_sv_eq_cstr(text, "cn_id18") ? is_cn_id
                                                    : NULL;
    return r->is_valid || !text.n ? 0 : TOC_EPARSE;
}

static int make_expression(struct rule *r, bool ignores_case, struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_append_cstr(&text, ignores_case ? "(?i)" : "");
    toc_buf_append_sv(&text, r->pattern);
    int rc = toc_regex_new(toc_buf_sv(&text), TOC_REGEX_SEARCH | TOC_REGEX_LATE, &r->regex, err);
    toc_buf_fini(&text);
    return rc;
}

static int add_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_redactor *t = table;
    struct toc_sv f[COLUMNS];
    int rc = toc_table_fields(line, row, f, COLUMNS, err);
    if (rc < 0)
        return rc;
    if (t->count == TOC_REDACT_RULES_MAX)
        return toc_err_at(err, TOC_ELIMIT, row, 1, "more than %d rows", (int)TOC_REDACT_RULES_MAX);
    struct rule *r = &t->items[t->count++];
    r->id = f[ID], r->pattern = f[PATTERN], r->positive = f[POSITIVE], r->negative = f[NEGATIVE];
    if (!f[ID].n)
        return bad(err, row, ID, "expected a name", f[ID]);
    if (f[ICASE].n && !toc_sv_eq_cstr(f[ICASE], "i"))
        return bad(err, row, ICASE, "expected i or nothing", f[ICASE]);
    if (parse_part(f[PART], r) < 0)
        return bad(err, row, PART, "expected all, g1 to g9 or block", f[PART]);
    if (parse_check(f[CHECK], r) < 0)
        return bad(err, row, CHECK, "expected luhn, cn_id18 or nothing", f[CHECK]);
    return make_expression(r, f[ICASE].n > 0, err);
}

static int check_expression(const struct rule *r, int row, struct toc_err *err) {
    struct toc_err why = {0};
    int rc = toc_regex_check(r->regex, &why);
    if (rc < 0)
        return toc_err_at(err, rc, row, PATTERN + 1, "column pattern: %s", why.message);
    int groups = toc_regex_group_count(r->regex);
    if (groups >= GROUPS_MAX || r->group > groups)
        return bad(err, row, PART, "no such group in the expression", r->pattern);
    return 0;
}

static int add_checked_row(void *table, struct toc_sv line, int row, struct toc_err *err) {
    struct toc_redactor *t = table;
    int rc = add_row(table, line, row, err);
    return rc < 0 ? rc : check_expression(&t->items[t->count - 1], row, err);
}

static size_t apply(const struct rule *r, struct toc_sv line, struct toc_buf *out);

static int check_samples(const struct toc_redactor *t, struct toc_err *err) {
    struct toc_buf out = TOC_BUF_INIT;
    int rc = 0;
    for (size_t i = 0; i < t->count && rc == 0; i++) {
        const struct rule *r = &t->items[i];
        if (!apply(r, r->positive, &out))
            rc = toc_errf(err, TOC_EPARSE, "row %.*s: column matches: the sample does not match",
                          TOC_SV_ARG(r->id));
        else if (apply(r, r->negative, &out))
            rc = toc_errf(err, TOC_EPARSE, "row %.*s: column matches_not: the sample matches",
                          TOC_SV_ARG(r->id));
    }
    toc_buf_fini(&out);
    return rc;
}

static int parse(struct toc_sv text, toc_table_take *take, struct toc_redactor **out,
                 struct toc_err *err) {
    struct toc_redactor *t = TOC_NEW(struct toc_redactor);
    t->text = toc_sv_dup_cstr(text);
    int rc = toc_table_each(toc_sv_make(t->text, text.n), take, t, err);
    if (rc < 0)
        toc_redactor_free(&t);
    *out = t;
    return rc;
}

int toc_redactor_parse(struct toc_sv text, struct toc_redactor **out, struct toc_err *err) {
    int rc = parse(text, add_checked_row, out, err);
    if (rc == 0)
        rc = check_samples(*out, err);
    if (rc < 0)
        toc_redactor_free(out);
    return rc;
}

int toc_redactor_builtin(struct toc_redactor **out, struct toc_err *err) {
    return parse(toc_redactor_text(), add_row, out, err);
}

struct toc_sv toc_redactor_text(void) {
    return toc_sv_make((const char *)toc_redact_table_bytes, toc_redact_table_size);
}

void toc_redactor_free(struct toc_redactor **r) {
    if (!r || !*r)
        return;
    for (size_t i = 0; i < (*r)->count; i++)
        toc_regex_free(&(*r)->items[i].regex);
    toc_free((*r)->text);
    toc_free(*r);
    *r = NULL;
}

size_t toc_redactor_count(const struct toc_redactor *r) {
    return r->count;
}

/* -------------------------------------------------------------------------------------- redaction
 */

/* One rule over a line. The next search begins at the end of what was taken out, not of the match:
 * the right guard of one number is the left guard of the next. */
static size_t apply(const struct rule *r, struct toc_sv line, struct toc_buf *out) {
    struct toc_sv groups[GROUPS_MAX];
    size_t at = 0, from = 0, found = 0;
    while (from <= line.n && toc_regex_capture_from(r->regex, line, from, groups, GROUPS_MAX)) {
        struct toc_sv part = groups[r->group];
        if (!part.n)
            break;
        size_t begin = (size_t)(part.p - line.p);
        from = begin + part.n;
        if (r->is_valid && !r->is_valid(part)) {
            from = begin + 1;
            continue;
        }
        toc_buf_append_sv(out, toc_sv_sub(line, at, begin - at));
        toc_buf_printf(out, "[REDACTED:%.*s]", TOC_SV_ARG(r->id));
        at = from;
        found++;
    }
    toc_buf_append_sv(out, toc_sv_sub(line, at, SIZE_MAX));
    return found;
}

/* Inside a private key: nothing of the line stays. */
static bool is_in_block(struct toc_sv line, bool *in_block) {
    if (!in_block || !*in_block)
        return false;
    *in_block = toc_sv_find(line, TOC_SV("-----END")) == SIZE_MAX;
    return true;
}

size_t toc_redact(const struct toc_redactor *r, struct toc_sv line, bool *in_block,
                  struct toc_buf *out) {
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    size_t found = 0;
    if (is_in_block(line, in_block)) {
        toc_buf_append_cstr(out, "[REDACTED:private_key]");
        return 1;
    }
    toc_buf_append_sv(&a, toc_sv_sub(line, 0, TOC_REDACT_LINE_BYTES_MAX));
    for (size_t i = 0; i < r->count; i++) {
        size_t n = apply(&r->items[i], toc_buf_sv(&a), &b);
        if (n && r->items[i].is_block && in_block)
            *in_block = toc_sv_find(line, TOC_SV("-----END")) == SIZE_MAX;
        if (n) {
            struct toc_buf swap = a;
            a = b, b = swap;
            found += n;
        }
        toc_buf_reset(&b);
    }
    toc_buf_append_sv(out, toc_buf_sv(&a));
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    return found;
}

/* Copies what a terminal and JSON can bear. */
static void append_clean(struct toc_sv s, size_t max_bytes, struct toc_buf *out) {
    size_t start = out->n;
    for (size_t at = 0; at < s.n;) {
        uint32_t rune;
        size_t n = toc_utf8_decode(s, at, &rune);
        bool is_control = rune < 0x20 || (rune >= 0x7f && rune < 0xa0);
        size_t width = is_control ? 1 : rune == 0xfffd ? 3 : n;
        if (out->n - start + width > max_bytes)
            break;
        if (is_control)
            toc_buf_append_char(out, rune == '\t' ? ' ' : '.');
        else
            toc_utf8_append(out, rune);
        at += n;
    }
}

size_t toc_redact_excerpt(const struct toc_redactor *r, struct toc_sv line, size_t max_bytes,
                          struct toc_buf *out) {
    struct toc_buf clean = TOC_BUF_INIT;
    bool in_block = false;
    size_t found = toc_redact(r, toc_sv_trim(line), &in_block, &clean);
    append_clean(toc_buf_sv(&clean), max_bytes, out);
    toc_buf_fini(&clean);
    return found;
}
