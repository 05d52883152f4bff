/* The parser's entry, its tools, and operands. Grammar:
 * prometheus.io/docs/prometheus/latest/querying. */
#include "promql/parser_priv.h"

#include <math.h>
#include <stdio.h>

enum { INPUT_MAX_BYTES = 1 << 20 };

/* -------------------------------------------------------------------------------------- tools */

const char *toc_promql_type_text(enum toc_promql_type t) {
    static const char *const texts[] = {"scalar", "instant vector", "range vector", "string"};
    return texts[t];
}

int toc_parser_advance(struct toc_parser *p) {
    return toc_lexer_next(&p->lexer, &p->token, p->err);
}

int toc_parser_fail(struct toc_parser *p, size_t at, const char *fmt, ...) {
    char text[TOC_ERR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return toc_lexer_error(p->lexer.input, at, p->err, "%s", text);
}

int toc_parser_unexpected(struct toc_parser *p, const char *context, const char *expected) {
    if (p->token.kind == TOC_TOKEN_END)
        return toc_parser_fail(p, p->token.at, "unexpected end of input in %s, expected %s",
                               context, expected);
    return toc_parser_fail(p, p->token.at, "unexpected %s \"%.*s\" in %s, expected %s",
                           toc_token_text(p->token.kind), TOC_SV_ARG(p->token.text), context,
                           expected);
}

int toc_parser_expect(struct toc_parser *p, enum toc_token_kind kind, const char *context) {
    if (p->token.kind != kind)
        return toc_parser_unexpected(p, context, toc_token_text(kind));
    return toc_parser_advance(p);
}

bool toc_parser_is_word(const struct toc_parser *p, const char *word) {
    return p->token.kind == TOC_TOKEN_IDENTIFIER &&
           toc_sv_eq_nocase(p->token.text, toc_sv_cstr(word));
}

bool toc_parser_is_before_paren(const struct toc_parser *p) {
    size_t at = p->token.end;
    struct toc_sv in = p->lexer.input;
    while (at < in.n &&
           (in.p[at] == ' ' || in.p[at] == '\t' || in.p[at] == '\n' || in.p[at] == '\r'))
        at++;
    return at < in.n && in.p[at] == '(';
}

struct toc_node *toc_parser_node(struct toc_parser *p, enum toc_node_kind kind, size_t at) {
    struct toc_node *n = TOC_ARENA_NEW(&p->expr->arena, struct toc_node);
    if (!n) {
        toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
        return NULL;
    }
    n->kind = kind;
    n->at = at;
    n->type = TOC_PROMQL_VECTOR;
    return n;
}

int toc_parser_enter(struct toc_parser *p) {
    if (++p->depth > TOC_PARSE_DEPTH_MAX)
        return toc_parser_fail(p, p->token.at, "the expression is nested deeper than %d levels",
                               TOC_PARSE_DEPTH_MAX);
    return 0;
}

/* ----------------------------------------------------------------------------------- operands */

static int number_node(struct toc_parser *p, size_t at, double v, struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_NUMBER, at);
    if (!n)
        return TOC_ELIMIT;
    n->type = TOC_PROMQL_SCALAR;
    n->number = v;
    *out = n;
    return 0;
}

static int parse_number(struct toc_parser *p, struct toc_node **out) {
    int rc = number_node(p, p->token.at, p->token.number, out);
    if (rc < 0)
        return rc;
    (*out)->is_duration = p->token.kind == TOC_TOKEN_DURATION;
    (*out)->end = p->token.end;
    return toc_parser_advance(p);
}

static int parse_string(struct toc_parser *p, struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_STRING, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    n->type = TOC_PROMQL_STRING;
    n->string = p->token.string;
    n->end = p->token.end;
    *out = n;
    return toc_parser_advance(p);
}

static int parse_paren(struct toc_parser *p, struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_PAREN, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = toc_parser_expression(p, 0, &n->left);
    if (rc < 0)
        return rc;
    n->type = n->left->type;
    n->end = p->token.end;
    *out = n;
    return toc_parser_expect(p, TOC_TOKEN_RPAREN, "paren expression");
}

/* A word is an aggregation, a function, a number or a metric, as what follows it says. */
static int parse_word(struct toc_parser *p, struct toc_node **out) {
    struct toc_token name = p->token;
    bool is_inf = toc_parser_is_word(p, "inf"), is_nan = toc_parser_is_word(p, "nan");
    struct toc_parser before = *p;
    int rc = toc_parser_advance(p);
    if (rc < 0)
        return rc;
    int aggregate = toc_aggregate_find(name.text);
    if (aggregate >= 0 && (p->token.kind == TOC_TOKEN_LPAREN || toc_parser_is_word(p, "by") ||
                           toc_parser_is_word(p, "without")))
        return toc_parse_aggregate(p, (enum toc_aggregate_op)aggregate, name.at, out);
    if (p->token.kind == TOC_TOKEN_LPAREN && name.kind == TOC_TOKEN_IDENTIFIER)
        return toc_parse_call(p, name, out);
    if ((is_inf || is_nan) && p->token.kind != TOC_TOKEN_LBRACE)
        return number_node(p, name.at, is_inf ? INFINITY : NAN, out);
    p->lexer = before.lexer;
    p->token = before.token;
    return toc_parse_selector(p, out);
}

static int parse_operand(struct toc_parser *p, struct toc_node **out) {
    switch (p->token.kind) {
    case TOC_TOKEN_NUMBER:
    case TOC_TOKEN_DURATION:
        return parse_number(p, out);
    case TOC_TOKEN_STRING:
        return parse_string(p, out);
    case TOC_TOKEN_LPAREN:
        return parse_paren(p, out);
    case TOC_TOKEN_LBRACE:
        return toc_parse_selector(p, out);
    case TOC_TOKEN_IDENTIFIER:
    case TOC_TOKEN_METRIC:
        return parse_word(p, out);
    default:
        return toc_parser_unexpected(p, "expression", "an expression");
    }
}

static int parse_sign(struct toc_parser *p, struct toc_node **out) {
    bool is_minus = p->token.kind == TOC_TOKEN_SUB;
    size_t at = p->token.at;
    int rc = toc_parser_advance(p);
    if (rc == 0) /* binds as tightly as "*": -1 ^ 2 is -(1 ^ 2) */
        rc = toc_parser_expression(p, 6, out);
    if (rc < 0)
        return rc;
    struct toc_node *operand = *out;
    if (operand->type != TOC_PROMQL_SCALAR && operand->type != TOC_PROMQL_VECTOR)
        return toc_parser_fail(p, at,
                               "unary expression only allowed on expressions of type scalar or "
                               "instant vector, got \"%s\"",
                               toc_promql_type_text(operand->type));
    if (operand->kind == TOC_NODE_NUMBER) { /* the sign is part of the literal */
        operand->number = is_minus ? -operand->number : operand->number;
        operand->at = at;
        return 0;
    }
    struct toc_node *n = toc_parser_node(p, TOC_NODE_NEGATE, at);
    if (!n)
        return TOC_ELIMIT;
    n->is_plus = !is_minus;
    n->left = operand;
    n->type = operand->type;
    *out = n;
    return 0;
}

int toc_parser_expression(struct toc_parser *p, int min_precedence, struct toc_node **out) {
    bool is_signed = p->token.kind == TOC_TOKEN_ADD || p->token.kind == TOC_TOKEN_SUB;
    int rc = toc_parser_enter(p);
    if (rc == 0)
        rc = is_signed ? parse_sign(p, out) : parse_operand(p, out);
    if (rc == 0 && !is_signed)
        rc = toc_parse_modifiers(p, out);
    if (rc == 0)
        rc = toc_parse_binary_tail(p, min_precedence, out);
    p->depth--;
    return rc;
}

/* ------------------------------------------------------------------------------------- public */

static int check_text(struct toc_sv text, struct toc_err *err) {
    if (text.n > INPUT_MAX_BYTES)
        return toc_errf(err, TOC_ELIMIT, "the expression is larger than 1 MiB");
    if (!toc_sv_is_utf8(text))
        return toc_err_at(err, TOC_EPARSE, 1, 1, "the expression is not UTF-8");
    return 0;
}

static int parse_all(struct toc_parser *p) {
    int rc = toc_parser_advance(p);
    if (rc == 0 && p->token.kind == TOC_TOKEN_END)
        rc = toc_parser_fail(p, 0, "no expression found in input");
    if (rc == 0)
        rc = toc_parser_expression(p, 0, &p->expr->root);
    if (rc == 0 && p->token.kind != TOC_TOKEN_END)
        rc = toc_parser_unexpected(p, "expression", "an operator or the end");
    return rc;
}

int toc_promql_parse_with(struct toc_sv text, unsigned features, struct toc_promql_expr **out,
                          struct toc_err *err) {
    struct toc_err ignored = {0};
    *out = NULL;
    int rc = check_text(text, err);
    if (rc < 0)
        return rc;
    struct toc_promql_expr *expr = TOC_NEW(struct toc_promql_expr);
    expr->text = toc_arena_dup_sv(&expr->arena, text);
    struct toc_parser p = {.expr = expr, .err = err ? err : &ignored, .features = features};
    p.lexer = (struct toc_lexer){.input = expr->text, .arena = &expr->arena};
    rc = parse_all(&p);
    if (rc < 0)
        toc_promql_expr_free(&expr);
    *out = expr;
    return rc;
}

int toc_promql_parse(struct toc_sv text, struct toc_promql_expr **out, struct toc_err *err) {
    return toc_promql_parse_with(text, 0, out, err);
}

void toc_promql_expr_free(struct toc_promql_expr **ep) {
    struct toc_promql_expr *e = *ep;
    if (!e)
        return;
    for (size_t i = 0; i < e->selectors.count; i++)
        for (size_t k = 0; k < e->selectors.items[i]->matcher_count; k++)
            toc_matcher_fini(&e->selectors.items[i]->matchers[k]);
    TOC_VEC_FINI(&e->selectors);
    toc_arena_fini(&e->arena);
    toc_free(e);
    *ep = NULL;
}

enum toc_promql_type toc_promql_expr_type(const struct toc_promql_expr *e) {
    return e->root->type;
}

void toc_promql_visit_selectors(const struct toc_promql_expr *e,
                                void (*fn)(void *ctx, const struct toc_matcher *m, size_t count),
                                void *ctx) {
    for (size_t i = 0; i < e->selectors.count; i++)
        fn(ctx, e->selectors.items[i]->matchers, e->selectors.items[i]->matcher_count);
}
