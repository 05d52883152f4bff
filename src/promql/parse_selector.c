/* Vector selectors: `name{label="value", "utf8.name"}`. */
#include <string.h>

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

struct matchers {
    struct toc_matcher items[TOC_PARSE_LIST_MAX];
    size_t count;
};

static int add_matcher(struct toc_parser *p, struct matchers *list, enum toc_match_op op,
                       struct toc_sv name, struct toc_sv value, size_t at) {
    struct toc_err reason = {0};
    if (list->count == TOC_PARSE_LIST_MAX)
        return toc_parser_fail(p, at, "more than %d matchers in one selector", TOC_PARSE_LIST_MAX);
    bool is_regex = op == TOC_MATCH_RE || op == TOC_MATCH_NRE;
    if (is_regex && ++p->regex_count > TOC_PARSE_REGEX_MAX)
        return toc_parser_fail(p, at, "more than %d regular expressions in one expression",
                               TOC_PARSE_REGEX_MAX);
    int rc = toc_matcher_init(&list->items[list->count], op, name, value, &reason);
    if (rc < 0)
        return toc_parser_bad_regex(p, at, value, reason.message);
    list->count++;
    return 0;
}

static int parse_matcher(struct toc_parser *p, struct matchers *list) {
    struct toc_token name = p->token;
    bool is_quoted = name.kind == TOC_TOKEN_STRING;
    if (name.kind != TOC_TOKEN_IDENTIFIER && !is_quoted)
        return toc_parser_unexpected(p, "label matching", "identifier or \"}\"");
    int rc = toc_parser_advance(p);
    if (rc < 0)
        return rc;
    if (is_quoted && (p->token.kind == TOC_TOKEN_COMMA || p->token.kind == TOC_TOKEN_RBRACE))
        return add_matcher(p, list, TOC_MATCH_EQ, TOC_METRIC_NAME, name.string, name.at);
    int op = op_of(p->token.kind);
    if (op < 0)
        return toc_parser_unexpected(p, "label matching", "label matching operator");
    if ((rc = toc_parser_advance(p)) < 0)
        return rc;
    if (p->token.kind != TOC_TOKEN_STRING)
        return toc_parser_unexpected(p, "label matching", "string");
    rc = add_matcher(p, list, (enum toc_match_op)op, is_quoted ? name.string : name.text,
                     p->token.string, name.at);
    return rc < 0 ? rc : toc_parser_advance(p);
}

static int parse_matchers(struct toc_parser *p, struct toc_node *n, struct matchers *list) {
    int rc = toc_parser_advance(p); /* "{" */
    while (rc == 0 && p->token.kind != TOC_TOKEN_RBRACE) {
        rc = parse_matcher(p, list);
        if (rc == 0 && p->token.kind == TOC_TOKEN_COMMA)
            rc = toc_parser_advance(p);
        else if (rc == 0 && p->token.kind != TOC_TOKEN_RBRACE)
            rc = toc_parser_unexpected(p, "label matching", "\",\" or \"}\"");
    }
    n->end = p->token.end;
    return rc < 0 ? rc : toc_parser_advance(p);
}

static int parse_parts(struct toc_parser *p, struct toc_node *n, struct matchers *list) {
    int rc = 0;
    if (p->token.kind != TOC_TOKEN_LBRACE) {
        n->metric = p->token.text;
        rc = add_matcher(p, list, TOC_MATCH_EQ, TOC_METRIC_NAME, n->metric, p->token.at);
        n->end = p->token.end;
        if (rc == 0)
            rc = toc_parser_advance(p);
    }
    return rc == 0 && p->token.kind == TOC_TOKEN_LBRACE ? parse_matchers(p, n, list) : rc;
}

int toc_parse_selector(struct toc_parser *p, struct toc_node **out) {
    struct matchers list;
    list.count = 0;
    struct toc_node *n = toc_parser_node(p, TOC_NODE_SELECTOR, p->token.at);
    if (!n)
        return TOC_ELIMIT;
    int rc = parse_parts(p, n, &list);
    if (rc == 0) {
        n->matchers = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_matcher, list.count + 1);
        rc = n->matchers ? 0 : toc_parser_too_large(p);
    }
    if (rc < 0) {
        for (size_t i = 0; i < list.count; i++)
            toc_matcher_fini(&list.items[i]);
        return rc;
    }
    memcpy(n->matchers, list.items, list.count * sizeof *list.items);
    n->matcher_count = list.count;
    TOC_VEC_PUSH(&p->expr->selectors, n);
    *out = n;
    return 0;
}

/* ---------------------------------------------------------------------------- lists of labels */

static int parse_label(struct toc_parser *p, struct toc_sv *out) {
    bool is_quoted = p->token.kind == TOC_TOKEN_STRING;
    bool is_name =
        p->token.kind == TOC_TOKEN_IDENTIFIER && toc_token_word(&p->token) != TOC_WORD_NUMBER;
    if (!is_name && !(is_quoted && p->token.string.n))
        return toc_parser_unexpected(p, "grouping opts", "label");
    *out = is_quoted ? p->token.string : p->token.text;
    return toc_parser_advance(p);
}

int toc_parse_label_list(struct toc_parser *p, struct toc_sv **out, size_t *out_count) {
    struct toc_sv labels[TOC_PARSE_LIST_MAX];
    size_t count = 0;
    if (p->token.kind != TOC_TOKEN_LPAREN)
        return toc_parser_unexpected(p, "grouping opts", "\"(\"");
    int rc = toc_parser_advance(p);
    while (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN) {
        if (count == TOC_PARSE_LIST_MAX)
            return toc_parser_fail(p, p->token.at, "more than %d labels in one list",
                                   TOC_PARSE_LIST_MAX);
        rc = parse_label(p, &labels[count++]);
        if (rc == 0 && p->token.kind == TOC_TOKEN_COMMA)
            rc = toc_parser_advance(p);
        else if (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN)
            return toc_parser_unexpected(p, "grouping opts", "\",\" or \")\"");
    }
    if (rc < 0)
        return rc;
    *out = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_sv, count + 1);
    if (!*out)
        return toc_parser_too_large(p);
    memcpy(*out, labels, count * sizeof *labels);
    *out_count = count;
    return toc_parser_advance(p);
}
