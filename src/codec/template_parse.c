#include <stdarg.h>
#include <stdio.h>

#include "base/num.h"
#include "codec/template_priv.h"

enum { TEXT_MAX_BYTES = 256 << 10 };

struct parser {
    struct toc_template *t;
    struct toc_sv text;
    size_t at;
    bool trims_next; /* the last action ended with -}} */
    int depth;
    bool with_rule_functions;
    struct toc_err *err;
};

/* What ended a block. */
enum terminator { AT_TEXT_END, AT_END, AT_ELSE, AT_ELSE_IF, AT_ELSE_WITH };

int toc_template_fail(struct toc_sv text, size_t offset, struct toc_err *err, int code,
                      const char *fmt, ...) {
    char message[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    int line = 1, column = 1;
    for (size_t i = 0; i < offset && i < text.n; i++) {
        column = text.p[i] == '\n' ? 1 : column + 1;
        line += text.p[i] == '\n';
    }
    return toc_err_at(err, code, line, column, "template: %s", message);
}

static int fail(struct parser *p, const char *what) {
    return toc_template_fail(p->text, p->at, p->err, TOC_EPARSE, "%s", what);
}

static int no_memory(struct parser *p) {
    return toc_errf(p->err, TOC_ENOMEM, "no memory for this template");
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static char peek_at(const struct parser *p, size_t ahead) {
    return p->at + ahead < p->text.n ? p->text.p[p->at + ahead] : '\0';
}
static char peek(const struct parser *p) {
    return peek_at(p, 0);
}

static void skip_blank(struct parser *p) {
    while (p->at < p->text.n && is_blank(p->text.p[p->at]))
        p->at++;
}

static bool looking_at(const struct parser *p, const char *s) {
    return toc_sv_starts_with(toc_sv_sub(p->text, p->at, p->text.n), toc_sv_cstr(s));
}

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80);
}

static struct toc_sv read_name(struct parser *p) {
    size_t start = p->at;
    while (p->at < p->text.n && is_name_char(p->text.p[p->at]))
        p->at++;
    return toc_sv_sub(p->text, start, p->at - start);
}

/* Is the action over here (`}}` or blank `-}}`)? */
static bool at_close(const struct parser *p) {
    size_t i = p->at;
    while (i < p->text.n && is_blank(p->text.p[i]))
        i++;
    struct toc_sv rest = toc_sv_sub(p->text, i, 3);
    return toc_sv_starts_with(rest, TOC_SV("}}")) || (i > p->at && toc_sv_eq(rest, TOC_SV("-}}")));
}

static int read_close(struct parser *p) {
    if (!at_close(p))
        return p->at >= p->text.n ? fail(p, "this action is never closed: }} is missing")
                                  : fail(p, "unexpected text in this action");
    skip_blank(p);
    p->trims_next = peek(p) == '-';
    p->at += p->trims_next ? 3 : 2;
    return 0;
}

static int read_pipeline(struct parser *p, struct toc_template_expr **out);

static struct toc_template_expr *new_expr(struct parser *p, enum toc_template_expr_kind kind) {
    struct toc_template_expr *e = TOC_ARENA_NEW(&p->t->arena, struct toc_template_expr);
    if (e) {
        e->kind = kind;
        e->offset = p->at;
    }
    return e;
}

/* Escapes of a Go string that make sense here. */
static int unquote(struct parser *p, struct toc_sv raw, struct toc_sv *out) {
    char *to = toc_arena_alloc(&p->t->arena, raw.n + 1);
    if (!to)
        return no_memory(p);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] != '\\') {
            to[n++] = raw.p[i];
            continue;
        }
        const char *known = ++i < raw.n ? strchr("n\nt\tr\r\"\"\\\\''", raw.p[i]) : NULL;
        if (!known || !*known)
            return fail(p, "unknown escape in a string: use \\n, \\t, \\r, \\\" or \\\\, or `…`");
        to[n++] = known[1];
    }
    *out = toc_sv_make(to, n);
    return 0;
}

static int read_string(struct parser *p, struct toc_template_expr *e) {
    char quote = peek(p);
    size_t start = ++p->at;
    while (p->at < p->text.n && p->text.p[p->at] != quote) {
        p->at += p->text.p[p->at] == '\\' && quote == '"' ? 2 : 1;
        if (quote == '"' && peek(p) == '\n')
            break;
    }
    if (peek(p) != quote) {
        p->at = start - 1;
        return fail(p, "this string is never closed");
    }
    struct toc_sv raw = toc_sv_sub(p->text, start, p->at++ - start);
    e->literal = toc_template_string(raw);
    return quote == '"' ? unquote(p, raw, &e->literal.string) : 0;
}

static int read_number(struct parser *p, struct toc_template_expr *e) {
    size_t start = p->at++;
    while (is_name_char(peek(p)) || peek(p) == '.' ||
           ((peek(p) == '-' || peek(p) == '+') && (p->text.p[p->at - 1] | 0x20) == 'e'))
        p->at++;
    double v;
    if (toc_parse_f64(toc_sv_sub(p->text, start, p->at - start), &v)) {
        p->at = start;
        return fail(p, "not a number");
    }
    e->literal = toc_template_number(v);
    return 0;
}

static int read_fields(struct parser *p, struct toc_template_expr *e) {
    while (peek(p) == '.' && is_name_char(peek_at(p, 1))) {
        p->at++;
        if (e->field_count == TOC_TEMPLATE_FIELDS_MAX)
            return fail(p, "too many fields in a row");
        e->fields[e->field_count++] = read_name(p);
    }
    return 0;
}

static int read_group(struct parser *p, struct toc_template_expr *e) {
    if (++p->depth > TOC_TEMPLATE_DEPTH_MAX)
        return fail(p, "nested too deeply");
    p->at++;
    int rc = read_pipeline(p, &e->args[0]);
    e->arg_count = 1;
    skip_blank(p);
    if (!rc && peek(p) != ')')
        rc = fail(p, "expected ')'");
    p->at++;
    p->depth--;
    return rc;
}

static bool starts_number(const struct parser *p) {
    char c = peek(p);
    if (c == '-' || c == '+')
        c = peek_at(p, 1);
    return c >= '0' && c <= '9';
}

/* A word that is not a function: true, false, nil. */
static bool read_constant(struct parser *p, struct toc_sv word, struct toc_template_expr *e) {
    (void)p;
    bool is_true = toc_sv_eq(word, TOC_SV("true"));
    if (is_true || toc_sv_eq(word, TOC_SV("false"))) {
        e->literal = toc_template_bool(is_true);
        return true;
    }
    return toc_sv_eq(word, TOC_SV("nil"));
}

static int read_word(struct parser *p, struct toc_template_expr *e) {
    size_t start = p->at;
    struct toc_sv word = read_name(p);
    if (!word.n)
        return fail(p, "expected a value, a variable or a function");
    if (read_constant(p, word, e))
        return 0;
    e->kind = TOC_TEMPLATE_EXPR_CALL;
    e->function = toc_template_find_function(word, p->with_rule_functions);
    if (e->function)
        return 0;
    p->at = start;
    return toc_template_fail(p->text, start, p->err, TOC_EPARSE, "unknown function \"%.*s\"",
                             TOC_SV_ARG(toc_sv_sub(word, 0, 60)));
}

/* One operand with its fields; a bare function name becomes a call without arguments yet. */
static int read_operand(struct parser *p, struct toc_template_expr **out) {
    skip_blank(p);
    struct toc_template_expr *e = *out = new_expr(p, TOC_TEMPLATE_EXPR_LITERAL);
    if (!e)
        return no_memory(p);
    char c = peek(p);
    if (c == '"' || c == '`')
        return read_string(p, e);
    if (starts_number(p))
        return read_number(p, e);
    if (c == '.') {
        e->kind = TOC_TEMPLATE_EXPR_DOT;
        if (!is_name_char(peek_at(p, 1)))
            p->at++;
        return read_fields(p, e);
    }
    if (c == '$') {
        p->at++;
        e->kind = TOC_TEMPLATE_EXPR_VARIABLE;
        e->name = read_name(p);
        return read_fields(p, e);
    }
    if (c == '(') {
        e->kind = TOC_TEMPLATE_EXPR_GROUP;
        int rc = read_group(p, e);
        return rc ? rc : read_fields(p, e);
    }
    return read_word(p, e);
}

static bool at_command_end(const struct parser *p) {
    size_t i = p->at;
    while (i < p->text.n && is_blank(p->text.p[i]))
        i++;
    return i >= p->text.n || p->text.p[i] == '|' || p->text.p[i] == ')' || at_close(p);
}

/* Consumes blanks and `sign` when that is what follows; otherwise nothing, since a blank before -}}
 * counts. */
static bool take(struct parser *p, char sign) {
    size_t i = p->at;
    while (i < p->text.n && is_blank(p->text.p[i]))
        i++;
    if (i >= p->text.n || p->text.p[i] != sign)
        return false;
    p->at = i + 1;
    return true;
}

static int check_arg_count(struct parser *p, const struct toc_template_expr *e) {
    if (e->kind != TOC_TEMPLATE_EXPR_CALL ||
        (e->arg_count >= e->function->min_args && e->arg_count <= e->function->max_args))
        return 0;
    return toc_template_fail(p->text, e->offset, p->err, TOC_EPARSE,
                             "%s takes %zu to %zu arguments, not %zu", e->function->name,
                             e->function->min_args, e->function->max_args, e->arg_count);
}

static int add_arg(struct parser *p, struct toc_template_expr *call,
                   struct toc_template_expr *arg) {
    if (call->arg_count == TOC_TEMPLATE_ARGS_MAX)
        return fail(p, "too many arguments");
    call->args[call->arg_count++] = arg;
    return check_arg_count(p, arg);
}

/* An operand, or a function with its arguments. */
static int read_command(struct parser *p, struct toc_template_expr **out) {
    int rc = read_operand(p, out);
    while (!rc && !at_command_end(p)) {
        struct toc_template_expr *arg;
        if (!is_blank(peek(p)))
            return fail(p, "unexpected character");
        if ((*out)->kind != TOC_TEMPLATE_EXPR_CALL) {
            skip_blank(p);
            return fail(p, "only a function takes arguments");
        }
        rc = read_operand(p, &arg);
        if (!rc)
            rc = add_arg(p, *out, arg);
    }
    return rc;
}

/* a | f x | g  means  g (f x a). */
static int read_pipeline(struct parser *p, struct toc_template_expr **out) {
    int stages = 0;
    int rc = read_command(p, out);
    while (!rc && take(p, '|')) {
        struct toc_template_expr *previous = *out;
        if (++stages > TOC_TEMPLATE_DEPTH_MAX)
            return fail(p, "too many stages in this pipeline");
        rc = read_command(p, out);
        if (!rc && (*out)->kind != TOC_TEMPLATE_EXPR_CALL)
            return fail(p, "expected a function behind '|'");
        if (!rc)
            rc = add_arg(p, *out, previous);
    }
    return rc ? rc : check_arg_count(p, *out);
}

static struct toc_template_node *new_node(struct parser *p, enum toc_template_node_kind kind) {
    struct toc_template_node *n = TOC_ARENA_NEW(&p->t->arena, struct toc_template_node);
    if (n) {
        n->kind = kind;
        n->offset = p->at;
    }
    return n;
}

/* `$x :=`, `$x =` or, for range, `$k, $v :=`. Leaves the cursor alone when there is none. */
static int read_assignment(struct parser *p, struct toc_template_node *n) {
    size_t start = p->at;
    skip_blank(p);
    for (size_t i = 0; i < 2 && peek(p) == '$'; i++) {
        p->at++;
        n->variables[n->variable_count++] = read_name(p);
        if (!take(p, ','))
            break;
        skip_blank(p);
    }
    skip_blank(p);
    n->declares = n->variable_count && looking_at(p, ":=");
    bool assigns = n->variable_count == 1 && peek(p) == '=';
    if (!n->declares && !assigns) {
        p->at = start;
        n->variable_count = 0;
        return 0;
    }
    if (!n->variables[0].n)
        return fail(p, "a variable needs a name");
    if (n->variable_count == 2 && n->kind != TOC_TEMPLATE_NODE_RANGE)
        return fail(p, "only range takes two variables");
    p->at += n->declares ? 2 : 1;
    return 0;
}

static int read_block(struct parser *p, struct toc_template_node **out, enum terminator *out_end);

/* The rest of if/with/range behind its keyword, up to and including its {{end}}. */
static int read_branch(struct parser *p, struct toc_template_node *n) {
    enum terminator end;
    if (++p->depth > TOC_TEMPLATE_DEPTH_MAX)
        return fail(p, "nested too deeply");
    int rc = read_assignment(p, n);
    if (!rc)
        rc = read_pipeline(p, &n->expr);
    if (!rc)
        rc = read_close(p);
    if (!rc)
        rc = read_block(p, &n->body, &end);
    if (!rc && (end == AT_ELSE_IF || end == AT_ELSE_WITH)) {
        /* `else if` opens a branch that shares this one's end. */
        n->otherwise =
            new_node(p, end == AT_ELSE_IF ? TOC_TEMPLATE_NODE_IF : TOC_TEMPLATE_NODE_WITH);
        rc = n->otherwise ? read_branch(p, n->otherwise) : no_memory(p);
        end = AT_END;
    } else if (!rc && end == AT_ELSE) {
        rc = read_block(p, &n->otherwise, &end);
        if (!rc && end != AT_END && end != AT_TEXT_END)
            rc = toc_template_fail(p->text, n->offset, p->err, TOC_EPARSE, "two else in one block");
    }
    if (!rc && end == AT_TEXT_END)
        rc = toc_template_fail(p->text, n->offset, p->err, TOC_EPARSE,
                               "this block is never closed: {{end}} is missing");
    p->depth--;
    return rc;
}

/* Behind {{else: a plain else, or one with a condition. */
static int read_else(struct parser *p, enum terminator *out_end) {
    *out_end = AT_ELSE;
    if (at_close(p))
        return read_close(p);
    skip_blank(p);
    struct toc_sv word = read_name(p);
    bool is_with = toc_sv_eq(word, TOC_SV("with"));
    if (!is_with && !toc_sv_eq(word, TOC_SV("if")))
        return fail(p, "expected `if`, `with` or }} behind else");
    *out_end = is_with ? AT_ELSE_WITH : AT_ELSE_IF;
    return 0;
}

/* The quoted name behind define, template or block. */
static int read_define_name(struct parser *p, struct toc_sv *out) {
    struct toc_template_expr quoted = {0};
    skip_blank(p);
    if (peek(p) != '"' && peek(p) != '`')
        return fail(p, "expected the name of a template in quotes");
    int rc = read_string(p, &quoted);
    *out = quoted.literal.string;
    return rc;
}

static int read_body(struct parser *p, struct toc_sv name) {
    struct toc_template_define *d = TOC_ARENA_NEW(&p->t->arena, struct toc_template_define);
    enum terminator end;
    size_t start = p->at;
    if (!d)
        return no_memory(p);
    if (++p->depth > TOC_TEMPLATE_DEPTH_MAX)
        return fail(p, "nested too deeply");
    int rc = read_block(p, &d->body, &end);
    if (!rc && end != AT_END)
        rc = toc_template_fail(p->text, start, p->err, TOC_EPARSE,
                               "this template is never closed: {{end}} is missing");
    p->depth--;
    d->name = name;
    d->next = p->t->defines;
    p->t->defines = d;
    return rc;
}

static int read_define(struct parser *p) {
    struct toc_sv name = TOC_SV_NULL;
    int rc = p->depth ? fail(p, "define belongs outside of other blocks") : 0;
    if (!rc)
        rc = read_define_name(p, &name);
    if (!rc)
        rc = read_close(p);
    return rc ? rc : read_body(p, name);
}

/* `template "name" [value]`, and `block`, which defines it in the same place. */
static int read_use(struct parser *p, struct toc_template_node **out, size_t start, bool is_block) {
    struct toc_template_node *n = *out = new_node(p, TOC_TEMPLATE_NODE_TEMPLATE);
    if (!n)
        return no_memory(p);
    n->offset = start;
    int rc = read_define_name(p, &n->text);
    skip_blank(p);
    if (!rc && (is_block || !at_close(p)))
        rc = read_pipeline(p, &n->expr);
    if (!rc)
        rc = read_close(p);
    return rc || !is_block ? rc : read_body(p, n->text);
}

static const char *const foreign_keywords[] = {"break", "continue"};

/* An action that begins with a keyword. Returns 1 when it does not. */
static int read_keyword(struct parser *p, struct toc_template_node **out, enum terminator *out_end,
                        bool *out_ended) {
    size_t start = p->at;
    struct toc_sv word = read_name(p);
    bool is_with = toc_sv_eq(word, TOC_SV("with")), is_range = toc_sv_eq(word, TOC_SV("range"));
    if (is_with || is_range || toc_sv_eq(word, TOC_SV("if"))) {
        *out = new_node(p, is_with    ? TOC_TEMPLATE_NODE_WITH
                           : is_range ? TOC_TEMPLATE_NODE_RANGE
                                      : TOC_TEMPLATE_NODE_IF);
        return *out ? read_branch(p, *out) : no_memory(p);
    }
    bool is_block = toc_sv_eq(word, TOC_SV("block"));
    if (is_block || toc_sv_eq(word, TOC_SV("template")))
        return read_use(p, out, start, is_block);
    if (toc_sv_eq(word, TOC_SV("define")))
        return read_define(p);
    *out_ended = true;
    if (toc_sv_eq(word, TOC_SV("else")))
        return read_else(p, out_end);
    if (toc_sv_eq(word, TOC_SV("end"))) {
        *out_end = AT_END;
        return read_close(p);
    }
    *out_ended = false;
    p->at = start;
    for (size_t i = 0; i < TOC_ARRAY_LEN(foreign_keywords); i++)
        if (toc_sv_eq_cstr(word, foreign_keywords[i]))
            return toc_template_fail(p->text, start, p->err, TOC_EUNSUPPORTED,
                                     "%s is not supported", foreign_keywords[i]);
    return 1;
}

static int read_plain_action(struct parser *p, struct toc_template_node **out) {
    struct toc_template_node *n = *out = new_node(p, TOC_TEMPLATE_NODE_OUTPUT);
    if (!n)
        return no_memory(p);
    int rc = read_assignment(p, n);
    if (n->variable_count)
        n->kind = TOC_TEMPLATE_NODE_ASSIGN;
    if (!rc)
        rc = read_pipeline(p, &n->expr);
    return rc ? rc : read_close(p);
}

static int read_comment(struct parser *p) {
    size_t n = toc_sv_find(toc_sv_sub(p->text, p->at, p->text.n), TOC_SV("*/"));
    if (n == SIZE_MAX)
        return fail(p, "this comment is never closed");
    p->at += n + 2;
    return read_close(p);
}

/* The text up to the next action, trimmed as the actions around it ask. */
static struct toc_sv read_text(struct parser *p, bool *out_at_action) {
    struct toc_sv rest = toc_sv_sub(p->text, p->at, p->text.n);
    size_t n = toc_sv_find(rest, TOC_SV("{{"));
    *out_at_action = n != SIZE_MAX;
    struct toc_sv text = toc_sv_sub(rest, 0, n);
    p->at += text.n;
    if (p->trims_next)
        while (text.n && is_blank(text.p[0]))
            text = toc_sv_sub(text, 1, text.n);
    p->trims_next = false;
    if (!*out_at_action)
        return text;
    p->at += 2;
    if (peek(p) == '-' && is_blank(peek_at(p, 1))) {
        p->at += 2;
        while (text.n && is_blank(text.p[text.n - 1]))
            text.n--;
    }
    return text;
}

static int add_text(struct parser *p, struct toc_sv text, struct toc_template_node ***tail) {
    if (!text.n)
        return 0;
    struct toc_template_node *n = new_node(p, TOC_TEMPLATE_NODE_TEXT);
    if (!n)
        return no_memory(p);
    n->text = text;
    **tail = n;
    *tail = &n->next;
    return 0;
}

static int read_block(struct parser *p, struct toc_template_node **out, enum terminator *out_end) {
    struct toc_template_node **tail = out;
    bool ended = false;
    *out_end = AT_TEXT_END;
    while (!ended) {
        bool at_action;
        struct toc_sv text = read_text(p, &at_action);
        int rc = add_text(p, text, &tail);
        if (rc || !at_action)
            return rc;
        skip_blank(p);
        if (looking_at(p, "/*")) {
            rc = read_comment(p);
            if (rc)
                return rc;
            continue;
        }
        struct toc_template_node *n = NULL;
        rc = read_keyword(p, &n, out_end, &ended);
        if (rc == 1)
            rc = read_plain_action(p, &n);
        if (rc)
            return rc;
        if (n) {
            *tail = n;
            tail = &n->next;
        }
    }
    return 0;
}

static int parse(struct toc_template *t, unsigned flags, struct toc_err *err) {
    struct parser p = {.t = t,
                       .text = t->text,
                       .with_rule_functions = flags & TOC_TEMPLATE_RULE_FUNCTIONS,
                       .err = err};
    enum terminator end;
    int rc = read_block(&p, &t->body, &end);
    if (!rc && end != AT_TEXT_END)
        rc = fail(&p, end == AT_END ? "{{end}} without a block" : "{{else}} without a block");
    return rc;
}

int toc_template_compile_with(struct toc_sv text, unsigned flags, struct toc_template **out,
                              struct toc_err *err) {
    if (text.n > TEXT_MAX_BYTES)
        return toc_errf(err, TOC_ELIMIT, "template of %zu bytes: the limit is 256 KiB", text.n);
    struct toc_template *t = TOC_NEW(struct toc_template);
    toc_arena_init(&t->arena, (size_t)64 << 20);
    t->text = toc_arena_dup_sv(&t->arena, text);
    int rc =
        t->text.p ? parse(t, flags, err) : toc_errf(err, TOC_ENOMEM, "no memory for this template");
    if (rc)
        toc_template_free(&t);
    else
        *out = t;
    return rc;
}

int toc_template_compile(struct toc_sv text, struct toc_template **out, struct toc_err *err) {
    return toc_template_compile_with(text, 0, out, err);
}

void toc_template_free(struct toc_template **t) {
    if (!t || !*t)
        return;
    toc_arena_fini(&(*t)->arena);
    toc_free(*t);
    *t = NULL;
}
