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

int toc_parser_too_large(struct toc_parser *p) {
    return toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
}

int toc_parser_unexpected(struct toc_parser *p, const char *context, const char *expected) {
    struct toc_buf text = TOC_BUF_INIT;
    if (!context && p->aggregation_depth > 0)
        context = "aggregation";
    toc_buf_append_cstr(&text, "unexpected ");
    toc_token_describe(&p->token, &text);
    if (context)
        toc_buf_printf(&text, " in %s", context);
    if (expected)
        toc_buf_printf(&text, ", expected %s", expected);
    int rc = toc_parser_fail(p, p->token.at, "%s", toc_buf_cstr(&text));
    toc_buf_fini(&text);
    return rc;
}

int toc_parser_expect(struct toc_parser *p, enum toc_token_kind kind) {
    return p->token.kind == kind ? toc_parser_advance(p) : toc_parser_unexpected(p, NULL, NULL);
}

bool toc_parser_is_word(const struct toc_parser *p, const char *word) {
    return p->token.kind == TOC_TOKEN_IDENTIFIER && !p->token.is_in_braces &&
           toc_sv_eq_nocase(p->token.text, toc_sv_cstr(word));
}

struct toc_node *toc_parser_node(struct toc_parser *p, enum toc_node_kind kind, size_t at) {
    struct toc_node *n = TOC_ARENA_NEW(&p->expr->arena, struct toc_node);
    if (!n) {
        (void)toc_parser_too_large(p);
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

int toc_parser_adopt(struct toc_parser *p, struct toc_node *parent, const struct toc_node *child) {
    parent->depth = TOC_MAX(parent->depth, child->depth + 1);
    return parent->depth <= TOC_PARSE_TREE_MAX
               ? 0
               : toc_parser_fail(p, p->token.at,
                                 "the expression has more than %d operators in a row",
                                 TOC_PARSE_TREE_MAX);
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
    if ((rc = toc_parser_adopt(p, n, n->left)) < 0)
        return rc;
    return toc_parser_expect(p, TOC_TOKEN_RPAREN);
}

static int parse_special_number(struct toc_parser *p, struct toc_node **out) {
    bool is_inf = toc_parser_is_word(p, "inf");
    int rc = number_node(p, p->token.at, is_inf ? INFINITY : NAN, out);
    if (rc < 0)
        return rc;
    (*out)->end = p->token.end;
    return toc_parser_advance(p);
}

/* The name of an aggregation is a metric's where neither "(" nor a clause follows. */
static int parse_aggregate_or_metric(struct toc_parser *p, struct toc_node **out) {
    struct toc_token name = p->token;
    struct toc_lexer before = p->lexer;
    int rc = toc_parser_advance(p);
    if (rc < 0)
        return rc;
    if (p->token.kind == TOC_TOKEN_LPAREN || toc_parser_is_word(p, "by") ||
        toc_parser_is_word(p, "without"))
        return toc_parse_aggregate(p, (enum toc_aggregate_op)toc_aggregate_find(name.text), name.at,
                                   out);
    p->lexer = before;
    p->token = name;
    return toc_parse_selector(p, out);
}

static int parse_word(struct toc_parser *p, struct toc_node **out) {
    enum toc_word word = toc_token_word(&p->token);
    bool is_atan2 = toc_parser_is_word(p, "atan2");
    if (word == TOC_WORD_NUMBER)
        return parse_special_number(p, out);
    if (word == TOC_WORD_AGGREGATION)
        return parse_aggregate_or_metric(p, out);
    if (word == TOC_WORD_BARE_KEYWORD || is_atan2)
        return toc_parser_unexpected(p, NULL, NULL);
    bool is_call = p->token.is_before_paren && p->token.kind == TOC_TOKEN_IDENTIFIER &&
                   (word == TOC_WORD_NAME || word == TOC_WORD_TIME);
    if (!is_call)
        return toc_parse_selector(p, out);
    struct toc_token name = p->token;
    int rc = toc_parser_advance(p);
    return rc < 0 ? rc : toc_parse_call(p, name, out);
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
        return toc_parser_unexpected(p, NULL, NULL);
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
    return toc_parser_adopt(p, n, operand);
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
    return 0;
}

static int parse_all(struct toc_parser *p) {
    int rc = toc_parser_advance(p);
    if (rc == 0 && p->token.kind == TOC_TOKEN_END) /* without a position when there is no text */
        return p->expr->text.n ? toc_parser_fail(p, 0, "no expression found in input")
                               : toc_errf(p->err, TOC_EPARSE, "no expression found in input");
    if (rc == 0)
        rc = toc_parser_expression(p, 0, &p->expr->root);
    if (rc == 0 && p->token.kind != TOC_TOKEN_END)
        rc = toc_parser_unexpected(p, NULL, NULL);
    return rc < 0 ? rc : toc_parse_check(p, p->expr->root);
}

int toc_promql_parse_with(struct toc_sv text, unsigned features, struct toc_promql_expr **out,
                          struct toc_err *err) {
    struct toc_err ignored = {0};
    *out = NULL;
    int rc = check_text(text, err);
    if (rc < 0)
        return rc;
    struct toc_promql_expr *expr = TOC_NEW(struct toc_promql_expr);
    toc_arena_init(&expr->arena, TOC_PARSE_BYTES_MAX);
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
