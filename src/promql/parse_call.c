/* Calls and aggregations. */
#include <string.h>

#include "promql/parser_priv.h"

/* The arguments up to and without the closing parenthesis. */
static int parse_args(struct toc_parser *p, struct toc_node *n) {
    struct toc_node *args[TOC_PARSE_LIST_MAX];
    int rc = toc_parser_expect(p, TOC_TOKEN_LPAREN);
    while (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN) {
        size_t comma_at;
        if (n->arg_count == TOC_PARSE_LIST_MAX)
            return toc_parser_fail(p, p->token.at, "more than %d arguments", TOC_PARSE_LIST_MAX);
        rc = toc_parser_expression(p, 0, &args[n->arg_count]);
        if (rc == 0)
            rc = toc_parser_adopt(p, n, args[n->arg_count]);
        if (rc < 0)
            return rc;
        n->arg_count++;
        if (p->token.kind == TOC_TOKEN_RPAREN)
            break;
        comma_at = p->token.at;
        rc = toc_parser_expect(p, TOC_TOKEN_COMMA);
        if (rc == 0 && p->token.kind == TOC_TOKEN_RPAREN)
            return toc_parser_fail(p, comma_at,
                                   "trailing commas not allowed in function call args");
    }
    if (rc < 0)
        return rc;
    n->args = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_node *, n->arg_count + 1);
    if (!n->args)
        return toc_parser_too_large(p);
    memcpy(n->args, args, n->arg_count * sizeof *args);
    n->end = p->token.end;
    return 0;
}

static enum toc_promql_type type_of_letter(char c) {
    return c == 's'   ? TOC_PROMQL_SCALAR
           : c == 'm' ? TOC_PROMQL_MATRIX
           : c == 't' ? TOC_PROMQL_STRING
                      : TOC_PROMQL_VECTOR;
}

static int check_name(struct toc_parser *p, const struct toc_token *name,
                      const struct toc_function *f) {
    if (!f)
        return toc_parser_fail(p, name->at, "unknown function with name \"%.*s\"",
                               TOC_SV_ARG(name->text));
    if ((f->flags & TOC_FN_EXPERIMENTAL) && !(p->features & TOC_PROMQL_EXPERIMENTAL_FUNCTIONS))
        return toc_parser_fail(p, name->at, "function \"%s\" is not enabled", f->name);
    return 0;
}

int toc_parse_call(struct toc_parser *p, struct toc_token name, struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_CALL, name.at);
    if (!n)
        return TOC_ELIMIT;
    n->function = toc_function_find(name.text);
    int rc = parse_args(p, n);
    if (rc == 0)
        rc = check_name(p, &name, n->function);
    if (rc < 0)
        return rc;
    n->type = type_of_letter(n->function->result);
    if (strcmp(n->function->name, "info") == 0 && n->arg_count > 1)
        n->args[1]->is_info_label = true;
    *out = n;
    return toc_parser_advance(p);
}

/* ------------------------------------------------------------------------------- aggregations */

static const struct {
    const char *text;
    bool takes_parameter, is_experimental;
} g_aggregates[] = {
#define X(e, text, parameter, experimental) [TOC_AGGREGATE_##e] = {text, parameter, experimental},
    TOC_AGGREGATE_TABLE(X)
#undef X
};

const char *toc_aggregate_text(enum toc_aggregate_op op) {
    return g_aggregates[op].text;
}

int toc_aggregate_find(struct toc_sv name) {
    for (size_t i = 0; i < sizeof g_aggregates / sizeof g_aggregates[0]; i++)
        if (toc_sv_eq_nocase(name, toc_sv_cstr(g_aggregates[i].text)))
            return (int)i;
    return -1;
}

static int parse_grouping(struct toc_parser *p, struct toc_node *n) {
    bool is_without = toc_parser_is_word(p, "without");
    if (n->has_grouping || (!is_without && !toc_parser_is_word(p, "by")))
        return 0;
    n->has_grouping = true;
    n->is_without = is_without;
    int rc = toc_parser_advance(p);
    return rc < 0 ? rc : toc_parse_label_list(p, &n->grouping, &n->grouping_count);
}

static int check_aggregate(struct toc_parser *p, struct toc_node *n) {
    size_t want = g_aggregates[n->aggregate].takes_parameter ? 2 : 1;
    if (n->arg_count == 0)
        return toc_parser_fail(p, n->at, "no arguments for aggregate expression provided");
    if (g_aggregates[n->aggregate].is_experimental &&
        !(p->features & TOC_PROMQL_EXPERIMENTAL_FUNCTIONS))
        return toc_parser_fail(p, n->at,
                               "%s() is experimental and must be enabled with "
                               "--enable-feature=promql-experimental-functions",
                               g_aggregates[n->aggregate].text);
    if (n->arg_count != want)
        return toc_parser_fail(p, n->at,
                               "wrong number of arguments for aggregate expression provided, "
                               "expected %zu, got %zu",
                               want, n->arg_count);
    n->left = n->args[want - 1];
    n->right = want == 2 ? n->args[0] : NULL;
    return 0;
}

int toc_parse_aggregate(struct toc_parser *p, enum toc_aggregate_op op, size_t at,
                        struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_AGGREGATE, at);
    if (!n)
        return TOC_ELIMIT;
    n->aggregate = op;
    p->aggregation_depth++;
    int rc = parse_grouping(p, n);
    if (rc == 0)
        rc = parse_args(p, n);
    p->aggregation_depth--;
    if (rc == 0)
        rc = toc_parser_advance(p);
    if (rc == 0)
        rc = parse_grouping(p, n);
    *out = n;
    return rc < 0 ? rc : check_aggregate(p, n);
}
