/* Binary operators with their matching and fill clauses, and the types they take. */
#include <math.h>

#include "promql/parser_priv.h"

const struct toc_binary_info *toc_binary_info(enum toc_binary_op op) {
    static const struct toc_binary_info table[] = {
#define X(e, text, precedence, comparison, set) {text, precedence, comparison, set},
        TOC_BINARY_TABLE(X)
#undef X
    };
    return &table[op];
}

int toc_parser_operator(const struct toc_parser *p) {
    static const struct {
        enum toc_token_kind token;
        int op;
    } signs[] = {{TOC_TOKEN_EQ, TOC_BINARY_EQ},
                 {TOC_TOKEN_NE, TOC_BINARY_NE},
                 {TOC_TOKEN_LE, TOC_BINARY_LE},
                 {TOC_TOKEN_LT, TOC_BINARY_LT},
                 {TOC_TOKEN_GE, TOC_BINARY_GE},
                 {TOC_TOKEN_GT, TOC_BINARY_GT},
                 {TOC_TOKEN_TRIM_UPPER, TOC_BINARY_TRIM_UPPER},
                 {TOC_TOKEN_TRIM_LOWER, TOC_BINARY_TRIM_LOWER},
                 {TOC_TOKEN_ADD, TOC_BINARY_ADD},
                 {TOC_TOKEN_SUB, TOC_BINARY_SUB},
                 {TOC_TOKEN_MUL, TOC_BINARY_MUL},
                 {TOC_TOKEN_DIV, TOC_BINARY_DIV},
                 {TOC_TOKEN_MOD, TOC_BINARY_MOD},
                 {TOC_TOKEN_POW, TOC_BINARY_POW}};
    static const int words[] = {TOC_BINARY_OR, TOC_BINARY_AND, TOC_BINARY_UNLESS, TOC_BINARY_ATAN2};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (p->token.kind == signs[i].token)
            return signs[i].op;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (toc_parser_is_word(p, toc_binary_info((enum toc_binary_op)words[i])->text))
            return words[i];
    return -1;
}

/* ------------------------------------------------------------------------------------ clauses */

static int parse_bool(struct toc_parser *p, struct toc_node *n) {
    if (!toc_parser_is_word(p, "bool"))
        return 0;
    n->returns_bool = true;
    return toc_parser_advance(p);
}

/* The list behind group_left may be left out; "(" always belongs to it. */
static bool begins_operand(const struct toc_parser *p) {
    enum toc_token_kind k = p->token.kind;
    enum toc_word word = toc_token_word(&p->token);
    bool is_fill = word == TOC_WORD_BARE_KEYWORD && p->token.is_before_paren &&
                   toc_sv_starts_with(p->token.text, TOC_SV("fill"));
    return k == TOC_TOKEN_NUMBER || k == TOC_TOKEN_DURATION || k == TOC_TOKEN_STRING ||
           k == TOC_TOKEN_METRIC || k == TOC_TOKEN_LBRACE || k == TOC_TOKEN_ADD ||
           k == TOC_TOKEN_SUB || is_fill ||
           (k == TOC_TOKEN_IDENTIFIER && word != TOC_WORD_BARE_KEYWORD);
}

static int parse_matching(struct toc_parser *p, struct toc_node *n) {
    bool is_ignoring = toc_parser_is_word(p, "ignoring");
    if (!is_ignoring && !toc_parser_is_word(p, "on"))
        return 0;
    n->has_grouping = true;
    n->is_without = is_ignoring;
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = toc_parse_label_list(p, &n->grouping, &n->grouping_count);
    bool is_left = toc_parser_is_word(p, "group_left");
    if (rc < 0 || (!is_left && !toc_parser_is_word(p, "group_right")))
        return rc;
    n->cardinality = is_left ? TOC_MATCH_GROUP_LEFT : TOC_MATCH_GROUP_RIGHT;
    rc = toc_parser_advance(p);
    if (rc == 0 && !begins_operand(p))
        rc = toc_parse_label_list(p, &n->include, &n->include_count);
    return rc;
}

static int parse_fill_value(struct toc_parser *p, double *out) {
    double sign = 1;
    int rc = toc_parser_advance(p);
    if (rc == 0)
        rc = toc_parser_expect(p, TOC_TOKEN_LPAREN);
    if (rc == 0 && (p->token.kind == TOC_TOKEN_SUB || p->token.kind == TOC_TOKEN_ADD)) {
        sign = p->token.kind == TOC_TOKEN_SUB ? -1 : 1;
        rc = toc_parser_advance(p);
    }
    if (rc < 0)
        return rc;
    bool is_number = p->token.kind == TOC_TOKEN_NUMBER || p->token.kind == TOC_TOKEN_DURATION;
    bool is_inf = toc_parser_is_word(p, "inf"), is_nan = toc_parser_is_word(p, "nan");
    if (!is_number && !is_inf && !is_nan)
        return toc_parser_unexpected(p, NULL, NULL);
    *out = sign * (is_inf ? INFINITY : is_nan ? NAN : p->token.number);
    rc = toc_parser_advance(p);
    return rc < 0 ? rc : toc_parser_expect(p, TOC_TOKEN_RPAREN);
}

static int parse_fill(struct toc_parser *p, struct toc_node *n) {
    int rc = 0;
    while (rc == 0 && p->token.is_before_paren) {
        bool is_both = toc_parser_is_word(p, "fill"), is_left = toc_parser_is_word(p, "fill_left");
        double value = 0;
        if (!is_both && !is_left && !toc_parser_is_word(p, "fill_right"))
            return 0;
        if (!(p->features & TOC_PROMQL_BINOP_FILL_MODIFIERS))
            return toc_parser_fail(p, p->token.at,
                                   "binop fill modifiers are experimental and not enabled");
        rc = parse_fill_value(p, &value);
        n->is_fill_both = is_both;
        if (is_both || is_left) {
            n->has_fill_left = true;
            n->fill_left = value;
        }
        if (is_both || !is_left) {
            n->has_fill_right = true;
            n->fill_right = value;
        }
    }
    return rc;
}

int toc_parse_binary_tail(struct toc_parser *p, int min_precedence, struct toc_node **left) {
    for (;;) {
        int op = toc_parser_operator(p);
        if (op < 0 || toc_binary_info((enum toc_binary_op)op)->precedence < min_precedence)
            return 0;
        struct toc_node *n = toc_parser_node(p, TOC_NODE_BINARY, (*left)->at);
        if (!n)
            return TOC_ELIMIT;
        n->binary = (enum toc_binary_op)op;
        n->left = *left;
        n->operator_at = p->token.at;
        int precedence = toc_binary_info(n->binary)->precedence;
        int rc = toc_parser_advance(p);
        if (rc == 0)
            rc = parse_bool(p, n);
        if (rc == 0)
            rc = parse_matching(p, n);
        if (rc == 0)
            rc = parse_fill(p, n);
        if (rc == 0) /* "^" binds to the right */
            rc = toc_parser_expression(p, op == TOC_BINARY_POW ? precedence : precedence + 1,
                                       &n->right);
        if (rc == 0)
            rc = toc_parser_adopt(p, n, n->left);
        if (rc == 0)
            rc = toc_parser_adopt(p, n, n->right);
        if (rc < 0)
            return rc;
        bool are_scalars =
            n->left->type == TOC_PROMQL_SCALAR && n->right->type == TOC_PROMQL_SCALAR;
        n->type = are_scalars ? TOC_PROMQL_SCALAR : TOC_PROMQL_VECTOR;
        *left = n;
    }
}
