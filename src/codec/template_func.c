/* The functions of the template language, one row each in the table below. */
#include <math.h>

#include "base/num.h"
#include "base/time.h"
#include "codec/json_writer.h"
#include "codec/regex_expand.h"
#include "codec/template_priv.h"
#include "codec/text.h"
#include "shim/regex.h"

bool toc_template_is_true(const struct toc_template_value *v) {
    switch (v->type) {
    case TOC_TEMPLATE_STRING:
        return v->string.n > 0;
    case TOC_TEMPLATE_NUMBER:
        return v->number != 0;
    case TOC_TEMPLATE_BOOL:
        return v->boolean;
    case TOC_TEMPLATE_LIST:
    case TOC_TEMPLATE_MAP:
        return v->count > 0;
    case TOC_TEMPLATE_NIL:
        break;
    }
    return false;
}

static void print_nested(const struct toc_template_value *v, struct toc_buf *out, int depth) {
    bool is_map = v->type == TOC_TEMPLATE_MAP;
    toc_buf_append_cstr(out, is_map ? "map[" : "[");
    for (size_t i = 0; i < v->count && depth < 8 && !toc_buf_error(out); i++) {
        if (i)
            toc_buf_append_char(out, ' ');
        if (is_map) {
            toc_buf_append_sv(out, v->items[i].key);
            toc_buf_append_char(out, ':');
        }
        if (v->items[i].type == TOC_TEMPLATE_LIST || v->items[i].type == TOC_TEMPLATE_MAP)
            print_nested(&v->items[i], out, depth + 1);
        else
            toc_template_print(&v->items[i], out);
    }
    toc_buf_append_char(out, ']');
}

void toc_template_print(const struct toc_template_value *v, struct toc_buf *out) {
    switch (v->type) {
    case TOC_TEMPLATE_STRING:
        toc_buf_append_sv(out, v->string);
        return;
    case TOC_TEMPLATE_NUMBER:
        toc_template_format(v->number, out);
        return;
    case TOC_TEMPLATE_BOOL:
        toc_buf_append_cstr(out, v->boolean ? "true" : "false");
        return;
    case TOC_TEMPLATE_LIST:
    case TOC_TEMPLATE_MAP:
        print_nested(v, out, 0);
        return;
    case TOC_TEMPLATE_NIL:
        return;
    }
}

int toc_template_call_fail(struct toc_template_call *c, int code, const char *what) {
    return toc_template_fail(c->template->text, c->offset, c->err, code, "%s", what);
}

int toc_template_return(struct toc_template_call *c, struct toc_buf *b) {
    int rc = toc_buf_error(b);
    struct toc_sv s = rc ? TOC_SV_NULL : toc_arena_dup_sv(c->arena, toc_buf_sv(b));
    toc_buf_fini(b);
    if (!s.p)
        return rc ? rc : TOC_ENOMEM;
    c->out = toc_template_string(s);
    return 0;
}

int toc_template_to_text(struct toc_template_call *c, size_t i, struct toc_sv *out) {
    if (c->args[i].type == TOC_TEMPLATE_STRING) {
        *out = c->args[i].string;
        return 0;
    }
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    toc_template_print(&c->args[i], &b);
    *out = toc_arena_dup_sv(c->arena, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return out->p ? 0 : TOC_ENOMEM;
}

static bool are_equal(const struct toc_template_value *a, const struct toc_template_value *b) {
    bool is_absent = a->type == TOC_TEMPLATE_NIL || b->type == TOC_TEMPLATE_NIL;
    if (is_absent) /* an absent member equals the empty string, as a missing label does */
        return !toc_template_is_true(a) && !toc_template_is_true(b);
    if (a->type != b->type)
        return false;
    if (a->type == TOC_TEMPLATE_STRING)
        return toc_sv_eq(a->string, b->string);
    if (a->type == TOC_TEMPLATE_NUMBER)
        return a->number == b->number;
    return a->type == TOC_TEMPLATE_BOOL && a->boolean == b->boolean;
}

static int call_eq(struct toc_template_call *c) {
    bool found = false;
    for (size_t i = 1; i < c->count; i++)
        found |= are_equal(&c->args[0], &c->args[i]);
    c->out = toc_template_bool(found);
    return 0;
}

static int call_ne(struct toc_template_call *c) {
    c->out = toc_template_bool(!are_equal(&c->args[0], &c->args[1]));
    return 0;
}

/* -1, 0, 1, or 2 for unordered (NaN). */
static int order(struct toc_template_call *c, int *out) {
    const struct toc_template_value *a = &c->args[0], *b = &c->args[1];
    double x, y;
    if (a->type == TOC_TEMPLATE_STRING && b->type == TOC_TEMPLATE_STRING) {
        int sign = toc_sv_cmp(a->string, b->string);
        *out = (sign > 0) - (sign < 0);
        return 0;
    }
    int rc = toc_template_to_number(c, a, &x);
    if (!rc)
        rc = toc_template_to_number(c, b, &y);
    if (!rc)
        *out = isnan(x) || isnan(y) ? 2 : (x > y) - (x < y);
    return rc;
}

#define DEFINE_COMPARISON(name, condition)                \
    static int call_##name(struct toc_template_call *c) { \
        int o = 2;                                        \
        int rc = order(c, &o);                            \
        c->out = toc_template_bool(condition);            \
        return rc;                                        \
    }
DEFINE_COMPARISON(lt, o == -1)
DEFINE_COMPARISON(le, o == -1 || o == 0)
DEFINE_COMPARISON(gt, o == 1)
DEFINE_COMPARISON(ge, o == 1 || o == 0)

static int call_not(struct toc_template_call *c) {
    c->out = toc_template_bool(!toc_template_is_true(&c->args[0]));
    return 0;
}

/* The evaluator stops at the deciding argument and never comes here. */
static int call_and(struct toc_template_call *c) {
    c->out = c->args[c->count - 1];
    return 0;
}
static int call_or(struct toc_template_call *c) {
    c->out = c->args[c->count - 1];
    return 0;
}

static int call_len(struct toc_template_call *c) {
    const struct toc_template_value *v = &c->args[0];
    if (v->type == TOC_TEMPLATE_NUMBER || v->type == TOC_TEMPLATE_BOOL)
        return toc_template_call_fail(c, TOC_ETYPE, "len needs a string, a list or a map");
    c->out = toc_template_number((double)(v->type == TOC_TEMPLATE_STRING ? v->string.n : v->count));
    return 0;
}

static int index_once(struct toc_template_call *c, const struct toc_template_value *key,
                      struct toc_template_value *v) {
    if (v->type == TOC_TEMPLATE_LIST && key->type == TOC_TEMPLATE_NUMBER) {
        if (!(key->number >= 0 && key->number < (double)v->count))
            return toc_template_call_fail(c, TOC_EINVAL, "index: out of range");
        *v = v->items[(size_t)key->number];
        return 0;
    }
    if (v->type != TOC_TEMPLATE_MAP || key->type != TOC_TEMPLATE_STRING)
        return toc_template_call_fail(c, TOC_ETYPE,
                                      "index needs a list and a number, or a map and a string");
    struct toc_template_value found = {0};
    for (size_t i = 0; i < v->count; i++)
        if (toc_sv_eq(v->items[i].key, key->string))
            found = v->items[i];
    *v = found;
    return 0;
}

static int call_index(struct toc_template_call *c) {
    int rc = 0;
    c->out = c->args[0];
    for (size_t i = 1; i < c->count && !rc; i++)
        rc = index_once(c, &c->args[i], &c->out);
    return rc;
}

static int call_first(struct toc_template_call *c) {
    if (c->args[0].type != TOC_TEMPLATE_LIST || !c->args[0].count)
        return toc_template_call_fail(c, TOC_ETYPE, "first() called on vector with no elements");
    c->out = c->args[0].items[0];
    return 0;
}

/* Go's Sprint: a blank between two operands when neither is a string; Sprintln: always. */
static int print_args(struct toc_template_call *c, bool is_line) {
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    for (size_t i = 0; i < c->count; i++) {
        bool between_values = i && c->args[i].type != TOC_TEMPLATE_STRING &&
                              c->args[i - 1].type != TOC_TEMPLATE_STRING;
        if (between_values || (i && is_line))
            toc_buf_append_char(&b, ' ');
        toc_template_print(&c->args[i], &b);
    }
    if (is_line)
        toc_buf_append_char(&b, '\n');
    return toc_template_return(c, &b);
}

static int call_print(struct toc_template_call *c) {
    return print_args(c, false);
}
static int call_println(struct toc_template_call *c) {
    return print_args(c, true);
}

static char to_upper(char ch) {
    return ch >= 'a' && ch <= 'z' ? (char)(ch - 32) : ch;
}
static char to_lower(char ch) {
    return ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch;
}
static char keep(char ch) {
    return ch;
}

/* Maps ASCII letters: the first of each word by `first`, the others by `rest`. */
static int map_letters(struct toc_template_call *c, char (*first)(char), char (*rest)(char)) {
    struct toc_sv s;
    int rc = toc_template_to_text(c, 0, &s);
    if (rc)
        return rc;
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    bool in_word = false;
    for (size_t i = 0; i < s.n; i++) {
        char lower = to_lower(s.p[i]);
        toc_buf_append_char(&b, in_word ? rest(s.p[i]) : first(s.p[i]));
        in_word = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
                  lower == '_' || lower == '\'' || (lower & 0x80);
    }
    return toc_template_return(c, &b);
}

static int call_title(struct toc_template_call *c) {
    return map_letters(c, to_upper, keep);
}
static int call_toUpper(struct toc_template_call *c) {
    return map_letters(c, to_upper, to_upper);
}
static int call_toLower(struct toc_template_call *c) {
    return map_letters(c, to_lower, to_lower);
}

static int call_trimSpace(struct toc_template_call *c) {
    struct toc_sv s;
    int rc = toc_template_to_text(c, 0, &s);
    c->out = toc_template_string(rc ? TOC_SV_NULL : toc_sv_trim(s));
    return rc;
}

static int escape(struct toc_template_call *c, void (*fn)(struct toc_sv, struct toc_buf *)) {
    struct toc_sv s;
    int rc = toc_template_to_text(c, 0, &s);
    if (rc)
        return rc;
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    fn(s, &b);
    return toc_template_return(c, &b);
}

static int call_html(struct toc_template_call *c) {
    return escape(c, toc_html_escape);
}
static int call_urlquery(struct toc_template_call *c) {
    return escape(c, toc_percent_encode);
}

static void append_json(struct toc_sv s, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_string(&w, s);
}

/* A quoted JSON string of the value's text. */
static int call_toJson(struct toc_template_call *c) {
    return escape(c, append_json);
}

/* Notifications are plain text or escaped by their channel: nothing to mark as safe. */
static int call_safeHtml(struct toc_template_call *c) {
    c->out = c->args[0];
    return 0;
}

static int call_join(struct toc_template_call *c) {
    struct toc_sv separator;
    int rc = toc_template_to_text(c, 0, &separator);
    if (rc)
        return rc;
    if (c->args[1].type != TOC_TEMPLATE_LIST)
        return toc_template_call_fail(c, TOC_ETYPE, "join needs a separator and a list");
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    for (size_t i = 0; i < c->args[1].count; i++) {
        if (i)
            toc_buf_append_sv(&b, separator);
        toc_template_print(&c->args[1].items[i], &b);
    }
    return toc_template_return(c, &b);
}

static int call_stringSlice(struct toc_template_call *c) {
    struct toc_template_value *list =
        TOC_ARENA_NEW_ARRAY(c->arena, struct toc_template_value, c->count);
    if (!list)
        return TOC_ENOMEM;
    for (size_t i = 0; i < c->count; i++)
        list[i] = c->args[i];
    c->out = toc_template_list(list, c->count);
    return 0;
}

static int call_stripPort(struct toc_template_call *c) {
    struct toc_sv s;
    int rc = toc_template_to_text(c, 0, &s);
    if (rc)
        return rc;
    size_t close = toc_sv_find_char(s, ']');
    size_t colon = toc_sv_find_char(s, ':');
    if (s.n && s.p[0] == '[' && close != SIZE_MAX)
        s = toc_sv_sub(s, 1, close - 1);
    else if (colon != SIZE_MAX && toc_sv_find_char(toc_sv_sub(s, colon + 1, s.n), ':') == SIZE_MAX)
        s = toc_sv_sub(s, 0, colon);
    c->out = toc_template_string(s);
    return 0;
}

static int call_stripDomain(struct toc_template_call *c) {
    struct toc_sv s;
    int rc = toc_template_to_text(c, 0, &s);
    if (rc)
        return rc;
    size_t dot = toc_sv_find_char(s, '.'), colon = toc_sv_find_char(s, ':');
    struct toc_sv port = colon == SIZE_MAX ? TOC_SV_NULL : toc_sv_sub(s, colon, s.n);
    bool is_address = s.n && (s.p[0] == '[' || (s.p[0] >= '0' && s.p[0] <= '9'));
    struct toc_buf b = TOC_BUF_INIT;
    if (is_address || dot == SIZE_MAX || dot > colon) {
        toc_buf_append_sv(&b, s);
    } else {
        toc_buf_append_sv(&b, toc_sv_sub(s, 0, dot));
        toc_buf_append_sv(&b, port);
    }
    return toc_template_return(c, &b);
}

static int call_parseDuration(struct toc_template_call *c) {
    struct toc_sv s;
    int64_t ms;
    int rc = toc_template_to_text(c, 0, &s);
    bool is_negative = !rc && s.n && s.p[0] == '-';
    if (!rc && toc_duration_parse(toc_sv_sub(s, is_negative, s.n), &ms, NULL))
        rc = toc_template_call_fail(c, TOC_EINVAL, "parseDuration: not a duration");
    if (!rc)
        c->out = toc_template_number((is_negative ? -1.0 : 1.0) * (double)ms / 1000);
    return rc;
}

static int compile_pattern(struct toc_template_call *c, struct toc_regex **out) {
    struct toc_sv pattern;
    struct toc_err why = {0};
    int rc = toc_template_to_text(c, 0, &pattern);
    if (!rc && toc_regex_new(pattern, TOC_REGEX_SEARCH, out, &why))
        rc = toc_template_call_fail(c, TOC_EINVAL, why.message);
    return rc;
}

static int call_match(struct toc_template_call *c) {
    struct toc_regex *re = NULL;
    struct toc_sv text;
    int rc = toc_template_to_text(c, 1, &text);
    if (!rc)
        rc = compile_pattern(c, &re);
    if (!rc)
        c->out = toc_template_bool(toc_regex_matches(re, text));
    toc_regex_free(&re);
    return rc;
}

enum { GROUPS_MAX = 32 };

static void replace_all(const struct toc_regex *re, struct toc_sv form, struct toc_sv text,
                        struct toc_buf *out) {
    struct toc_sv groups[GROUPS_MAX];
    size_t at = 0;
    while (at <= text.n && !toc_buf_error(out)) {
        int count = toc_regex_capture_from(re, text, at, groups, GROUPS_MAX);
        if (!count)
            break;
        size_t start = (size_t)(groups[0].p - text.p);
        toc_buf_append_sv(out, toc_sv_sub(text, at, start - at));
        toc_regex_expand(re, form, groups, count, out);
        at = start + groups[0].n;
        if (!groups[0].n) { /* an empty match: step over one byte of text */
            toc_buf_append_sv(out, toc_sv_sub(text, at, 1));
            at++;
        }
    }
    toc_buf_append_sv(out, toc_sv_sub(text, at, text.n));
}

static int call_reReplaceAll(struct toc_template_call *c) {
    struct toc_regex *re = NULL;
    struct toc_sv form, text;
    int rc = toc_template_to_text(c, 1, &form);
    if (!rc)
        rc = toc_template_to_text(c, 2, &text);
    if (!rc)
        rc = compile_pattern(c, &re);
    if (rc)
        return rc;
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    replace_all(re, form, text.p ? text : TOC_SV(""), &b);
    toc_regex_free(&re);
    return toc_template_return(c, &b);
}

/* X(name, least arguments, most arguments, function) */
#define FUNCTION_TABLE(X)                                           \
    X("and", 1, TOC_TEMPLATE_ARGS_MAX, call_and)                    \
    X("or", 1, TOC_TEMPLATE_ARGS_MAX, call_or)                      \
    X("not", 1, 1, call_not)                                        \
    X("eq", 2, TOC_TEMPLATE_ARGS_MAX, call_eq)                      \
    X("ne", 2, 2, call_ne)                                          \
    X("lt", 2, 2, call_lt)                                          \
    X("le", 2, 2, call_le)                                          \
    X("gt", 2, 2, call_gt)                                          \
    X("ge", 2, 2, call_ge)                                          \
    X("len", 1, 1, call_len)                                        \
    X("index", 1, TOC_TEMPLATE_ARGS_MAX, call_index)                \
    X("first", 1, 1, call_first)                                    \
    X("print", 0, TOC_TEMPLATE_ARGS_MAX, call_print)                \
    X("println", 0, TOC_TEMPLATE_ARGS_MAX, call_println)            \
    X("printf", 1, TOC_TEMPLATE_ARGS_MAX, toc_template_printf)      \
    X("humanize", 1, 1, toc_template_humanize)                      \
    X("humanize1024", 1, 1, toc_template_humanize1024)              \
    X("humanizeDuration", 1, 1, toc_template_humanize_duration)     \
    X("humanizePercentage", 1, 1, toc_template_humanize_percentage) \
    X("humanizeTimestamp", 1, 1, toc_template_humanize_timestamp)   \
    X("title", 1, 1, call_title)                                    \
    X("toUpper", 1, 1, call_toUpper)                                \
    X("toLower", 1, 1, call_toLower)                                \
    X("trimSpace", 1, 1, call_trimSpace)                            \
    X("html", 1, 1, call_html)                                      \
    X("toJson", 1, 1, call_toJson)                                  \
    X("safeHtml", 1, 1, call_safeHtml)                              \
    X("urlquery", 1, 1, call_urlquery)                              \
    X("join", 2, 2, call_join)                                      \
    X("stringSlice", 0, TOC_TEMPLATE_ARGS_MAX, call_stringSlice)    \
    X("stripPort", 1, 1, call_stripPort)                            \
    X("stripDomain", 1, 1, call_stripDomain)                        \
    X("parseDuration", 1, 1, call_parseDuration)                    \
    X("match", 2, 2, call_match)                                    \
    X("reReplaceAll", 3, 3, call_reReplaceAll)

static const struct toc_template_function functions[] = {
#define X(name, min, max, fn) {name, min, max, fn, false},
    FUNCTION_TABLE(X)
#undef X
#define X(name, min, max, fn) {name, min, max, fn, true},
        TOC_TEMPLATE_RULE_FUNCTION_TABLE(X)
#undef X
};

const struct toc_template_function *toc_template_find_function(struct toc_sv name,
                                                               bool with_rule_functions) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(functions); i++)
        if (toc_sv_eq_cstr(name, functions[i].name) &&
            (with_rule_functions || !functions[i].is_for_rules))
            return &functions[i];
    return NULL;
}

bool toc_template_is_and(const struct toc_template_function *f) {
    return f->call == call_and;
}
bool toc_template_is_or(const struct toc_template_function *f) {
    return f->call == call_or;
}
