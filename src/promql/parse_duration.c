/* Durations: a literal, or arithmetic with + - * / % ^, step(), range(), min_of() and max_of(). */
#include <math.h>
#include <string.h>

#include "promql/parser_priv.h"

/* Known inside durations only; evaluated by duration.c. */
static const struct toc_function g_calls[] = {
    {.name = "step", .result = 's'},
    {.name = "range", .result = 's'},
    {.name = "min_of", .args = "ss", .result = 's'},
    {.name = "max_of", .args = "ss", .result = 's'},
};

/* A sign binds as tightly as "*", "^" tighter. */
enum { SIGN_PRECEDENCE = 5, POWER_PRECEDENCE = 6 };

static int arithmetic(struct toc_parser *p, const struct toc_duration_place *place,
                      int min_precedence, struct toc_node **out);

static int expect(struct toc_parser *p, const struct toc_duration_place *place,
                  enum toc_token_kind kind) {
    return p->token.kind == kind ? toc_parser_advance(p)
                                 : toc_parser_unexpected(p, place->context, place->expected);
}

static const struct toc_function *call_of(const struct toc_parser *p) {
    if (p->token.kind != TOC_TOKEN_IDENTIFIER)
        return NULL;
    for (size_t i = 0; i < sizeof g_calls / sizeof g_calls[0]; i++)
        if (toc_parser_is_word(p, g_calls[i].name))
            return &g_calls[i];
    return NULL;
}

static int parse_call(struct toc_parser *p, const struct toc_duration_place *place,
                      const struct toc_function *f, struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_CALL, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    n->function = f;
    n->arg_count = f->args[0] ? 2 : 0; /* none, or two */
    n->args = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_node *, n->arg_count + 1);
    if (!n->args)
        return toc_parser_too_large(p);
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = expect(p, place, TOC_TOKEN_LPAREN);
    for (size_t i = 0; i < n->arg_count && rc == 0; i++) {
        if (i)
            rc = expect(p, place, TOC_TOKEN_COMMA);
        if (rc == 0)
            rc = arithmetic(p, place, 0, &n->args[i]);
    }
    *out = n;
    return rc < 0 ? rc : expect(p, place, TOC_TOKEN_RPAREN);
}

static int parse_paren(struct toc_parser *p, const struct toc_duration_place *place,
                       struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_PAREN, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = arithmetic(p, place, 0, &n->left);
    *out = n;
    return rc < 0 ? rc : expect(p, place, TOC_TOKEN_RPAREN);
}

static int parse_literal(struct toc_parser *p, struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_NUMBER, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    n->number = p->token.number;
    n->is_duration = p->token.kind == TOC_TOKEN_DURATION;
    n->end = p->token.end;
    *out = n;
    return toc_parser_advance(p);
}

/* Operators that bind as tightly as `min_precedence` belong to what the sign is put before. */
static int parse_sign(struct toc_parser *p, const struct toc_duration_place *place,
                      int min_precedence, struct toc_node **out) {
    bool is_minus = p->token.kind == TOC_TOKEN_SUB;
    size_t at = p->token.at;
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = arithmetic(p, place, min_precedence, out);
    if (rc < 0 || !is_minus)
        return rc;
    struct toc_node *n = toc_parser_node(p, TOC_NODE_NEGATE, at);
    if (!n)
        return TOC_ELIMIT;
    n->left = *out;
    *out = n;
    return 0;
}

static int operand(struct toc_parser *p, const struct toc_duration_place *place,
                   struct toc_node **out) {
    const struct toc_function *f = call_of(p);
    if (f)
        return parse_call(p, place, f, out);
    switch (p->token.kind) {
    case TOC_TOKEN_ADD:
    case TOC_TOKEN_SUB:
        return parse_sign(p, place, SIGN_PRECEDENCE + 1, out);
    case TOC_TOKEN_LPAREN:
        return parse_paren(p, place, out);
    case TOC_TOKEN_NUMBER:
    case TOC_TOKEN_DURATION:
        return parse_literal(p, out);
    default:
        return toc_parser_unexpected(p, place->context, place->expected);
    }
}

static bool is_arithmetic(int op) {
    return op == TOC_BINARY_ADD || op == TOC_BINARY_SUB || op == TOC_BINARY_MUL ||
           op == TOC_BINARY_DIV || op == TOC_BINARY_MOD || op == TOC_BINARY_POW;
}

static int tail(struct toc_parser *p, const struct toc_duration_place *place, int min_precedence,
                struct toc_node **left) {
    for (;;) {
        int op = toc_parser_operator(p);
        if (!is_arithmetic(op))
            return 0;
        int precedence = toc_binary_info((enum toc_binary_op)op)->precedence;
        if (precedence < min_precedence)
            return 0;
        struct toc_node *n = toc_parser_node(p, TOC_NODE_BINARY, (*left)->at);
        if (!n)
            return TOC_ELIMIT;
        n->binary = (enum toc_binary_op)op;
        n->left = *left;
        n->operator_at = p->token.at;
        int rc = toc_parser_adopt(p, n, n->left);
        if (rc == 0)
            rc = toc_parser_advance(p);
        if (rc == 0) /* "^" binds to the right */
            rc =
                arithmetic(p, place, op == TOC_BINARY_POW ? precedence : precedence + 1, &n->right);
        if (rc < 0)
            return rc;
        *left = n;
    }
}

static int arithmetic(struct toc_parser *p, const struct toc_duration_place *place,
                      int min_precedence, struct toc_node **out) {
    int rc = toc_parser_enter(p);
    if (rc == 0)
        rc = operand(p, place, out);
    if (rc == 0)
        rc = tail(p, place, min_precedence, out);
    p->depth--;
    return rc;
}

/* A number, or a number with a sign: false for everything that has to be computed. */
static bool literal_of(const struct toc_node *n, double *out) {
    bool is_minus = n->kind == TOC_NODE_NEGATE;
    const struct toc_node *number = is_minus ? n->left : n;
    if (number->kind != TOC_NODE_NUMBER)
        return false;
    *out = is_minus ? -number->number : number->number;
    return true;
}

int toc_parse_duration(struct toc_parser *p, const struct toc_duration_place *place,
                       int64_t *out_ms, struct toc_node **out_expr) {
    size_t at = p->token.at;
    struct toc_node *n = NULL;
    double seconds;
    *out_expr = NULL;
    bool has_sign = p->token.kind == TOC_TOKEN_ADD || p->token.kind == TOC_TOKEN_SUB;
    int rc = !place->is_operand ? arithmetic(p, place, 0, &n)
             : has_sign         ? parse_sign(p, place, POWER_PRECEDENCE + 1, &n)
                                : operand(p, place, &n);
    if (rc < 0)
        return rc;
    if (!literal_of(n, &seconds)) {
        *out_expr = n;
        return 0;
    }
    if (!(fabs(seconds) < TOC_DURATION_MAX_SECONDS))
        return toc_parser_fail(p, at, "duration out of range");
    *out_ms = (int64_t)(seconds * 1000.0 + (seconds < 0 ? -1e-6 : 1e-6));
    if (!place->may_be_negative && *out_ms <= 0)
        return toc_parser_fail(p, at, "duration must be greater than 0");
    return 0;
}
