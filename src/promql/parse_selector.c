/* Vector selectors: `name{label="value", "utf8.name"}`. */
#include "promql/parser_priv.h"

static int op_of(enum toc_token_kind kind) {
    switch (kind) {
    case TOC_TOKEN_ASSIGN:
        return TOC_MATCH_EQ;
    case TOC_TOKEN_NE:
        return TOC_MATCH_NE;
    case TOC_TOKEN_RE:
        return TOC_MATCH_RE;
    case TOC_TOKEN_NRE:
        return TOC_MATCH_NRE;
    default:
        return -1;
    }
}

/* Appends to n->matchers, which lies in the arena with room for TOC_PARSE_LIST_MAX. */
static int add_matcher(struct toc_parser *p, struct toc_node *n, enum toc_match_op op,
                       struct toc_sv name, struct toc_sv value, size_t at) {
    struct toc_err reason = {0};
    if (n->matcher_count == TOC_PARSE_LIST_MAX)
        return toc_parser_fail(p, at, "more than %d matchers in one selector", TOC_PARSE_LIST_MAX);
    int rc = toc_matcher_init(&n->matchers[n->matcher_count], op, name, value, &reason);
    if (rc < 0)
        return toc_parser_fail(p, at, "%s", reason.message);
    n->matcher_count++;
    return 0;
}

static int set_twice(struct toc_parser *p, size_t at, struct toc_sv a, struct toc_sv b) {
    return toc_parser_fail(p, at, "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                           TOC_SV_ARG(a), TOC_SV_ARG(b));
}

static int quoted_name(struct toc_parser *p, struct toc_node *n, const struct toc_token *name) {
    if (n->metric.n)
        return set_twice(p, name->at, n->metric, name->string);
    n->metric = name->string;
    return add_matcher(p, n, TOC_MATCH_EQ, TOC_METRIC_NAME, name->string, name->at);
}

static int parse_matcher(struct toc_parser *p, struct toc_node *n) {
    struct toc_token name = p->token;
    bool is_quoted = name.kind == TOC_TOKEN_STRING;
    if (name.kind != TOC_TOKEN_IDENTIFIER && !is_quoted)
        return toc_parser_unexpected(p, "label matching", "identifier or \"}\"");
    int rc = toc_parser_advance(p);
    if (rc < 0)
        return rc;
    if (is_quoted && (p->token.kind == TOC_TOKEN_COMMA || p->token.kind == TOC_TOKEN_RBRACE))
        return quoted_name(p, n, &name);
    struct toc_sv label = is_quoted ? name.string : name.text;
    int op = op_of(p->token.kind);
    if (op < 0)
        return toc_parser_unexpected(p, "label matching", "one of \"=\", \"!=\", \"=~\", \"!~\"");
    if ((rc = toc_parser_advance(p)) < 0)
        return rc;
    if (p->token.kind != TOC_TOKEN_STRING)
        return toc_parser_unexpected(p, "label matching", "string");
    if (n->metric.n && toc_sv_eq(label, TOC_METRIC_NAME))
        return set_twice(p, n->at, n->metric, p->token.string);
    rc = add_matcher(p, n, (enum toc_match_op)op, label, p->token.string, p->token.at);
    return rc < 0 ? rc : toc_parser_advance(p);
}

static int parse_matchers(struct toc_parser *p, struct toc_node *n) {
    int rc = toc_parser_advance(p); /* "{" */
    while (rc == 0 && p->token.kind != TOC_TOKEN_RBRACE) {
        rc = parse_matcher(p, n);
        if (rc == 0 && p->token.kind == TOC_TOKEN_COMMA)
            rc = toc_parser_advance(p);
        else if (rc == 0 && p->token.kind != TOC_TOKEN_RBRACE)
            rc = toc_parser_unexpected(p, "label matching", "\",\" or \"}\"");
    }
    n->end = p->token.end;
    return rc < 0 ? rc : toc_parser_advance(p);
}

static bool matches_something(const struct toc_node *n) {
    for (size_t i = 0; i < n->matcher_count; i++)
        if (!toc_matcher_matches(&n->matchers[i], TOC_SV("")))
            return true;
    return false;
}

int toc_parse_selector(struct toc_parser *p, struct toc_node **out) {
    bool allows_empty = p->allows_empty_matchers;
    struct toc_node *n = toc_parser_node(p, TOC_NODE_SELECTOR, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    n->matchers = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_matcher, TOC_PARSE_LIST_MAX);
    if (!n->matchers)
        return toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
    TOC_VEC_PUSH(&p->expr->selectors, n);
    int rc = 0;
    if (p->token.kind != TOC_TOKEN_LBRACE) {
        n->metric = toc_arena_dup_sv(&p->expr->arena, p->token.text);
        rc = add_matcher(p, n, TOC_MATCH_EQ, TOC_METRIC_NAME, n->metric, p->token.at);
        n->end = p->token.end;
        if (rc == 0)
            rc = toc_parser_advance(p);
    }
    if (rc == 0 && p->token.kind == TOC_TOKEN_LBRACE)
        rc = parse_matchers(p, n);
    if (rc < 0)
        return rc;
    if (!allows_empty && !matches_something(n))
        return toc_parser_fail(p, n->at,
                               "vector selector must contain at least one non-empty matcher");
    *out = n;
    return 0;
}

int toc_parse_label_list(struct toc_parser *p, struct toc_sv **out, size_t *out_count) {
    int rc = toc_parser_expect(p, TOC_TOKEN_LPAREN, "grouping opts");
    *out = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_sv, TOC_PARSE_LIST_MAX);
    *out_count = 0;
    if (rc == 0 && !*out)
        rc = toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
    while (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN) {
        bool is_quoted = p->token.kind == TOC_TOKEN_STRING;
        if (p->token.kind != TOC_TOKEN_IDENTIFIER && !is_quoted)
            return toc_parser_unexpected(p, "grouping opts", "label");
        if (*out_count == TOC_PARSE_LIST_MAX)
            return toc_parser_fail(p, p->token.at, "more than %d labels in one list",
                                   TOC_PARSE_LIST_MAX);
        (*out)[(*out_count)++] =
            toc_arena_dup_sv(&p->expr->arena, is_quoted ? p->token.string : p->token.text);
        rc = toc_parser_advance(p);
        if (rc == 0 && p->token.kind == TOC_TOKEN_COMMA)
            rc = toc_parser_advance(p);
        else if (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN)
            return toc_parser_unexpected(p, "grouping opts", "\",\" or \")\"");
    }
    return rc < 0 ? rc : toc_parser_advance(p);
}
