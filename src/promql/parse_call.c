/* Calls and aggregations. */
#include <string.h>

#include "promql/parser_priv.h"

static int parse_args(struct toc_parser *p, struct toc_node *n, const char *context) {
    struct toc_node *args[TOC_PARSE_LIST_MAX];
    bool is_info = n->function && strcmp(n->function->name, "info") == 0;
    int rc = toc_parser_expect(p, TOC_TOKEN_LPAREN, context);
    while (rc == 0 && p->token.kind != TOC_TOKEN_RPAREN) {
        if (n->arg_count == TOC_PARSE_LIST_MAX)
            return toc_parser_fail(p, p->token.at, "more than %d arguments", TOC_PARSE_LIST_MAX);
        p->allows_empty_matchers = is_info && n->arg_count == 1;
        rc = toc_parser_expression(p, 0, &args[n->arg_count]);
        p->allows_empty_matchers = false;
        if (rc < 0)
            return rc;
        n->arg_count++;
        if (p->token.kind == TOC_TOKEN_COMMA) {
            rc = toc_parser_advance(p);
            if (rc == 0 && p->token.kind == TOC_TOKEN_RPAREN)
                return toc_parser_fail(p, p->token.at,
                                       "trailing commas not allowed in function call args");
        } else if (p->token.kind != TOC_TOKEN_RPAREN) {
            return toc_parser_unexpected(p, context, "\",\" or \")\"");
        }
    }
    if (rc < 0)
        return rc;
    n->args = TOC_ARENA_NEW_ARRAY(&p->expr->arena, struct toc_node *, n->arg_count + 1);
    if (!n->args)
        return toc_errf(p->err, TOC_ELIMIT, "the expression is too large");
    memcpy(n->args, args, n->arg_count * sizeof *args);
    n->end = p->token.end;
    return toc_parser_advance(p);
}

static enum toc_promql_type type_of_letter(char c) {
    return c == 's'   ? TOC_PROMQL_SCALAR
           : c == 'm' ? TOC_PROMQL_MATRIX
           : c == 't' ? TOC_PROMQL_STRING
                      : TOC_PROMQL_VECTOR;
}

static int check_arg_count(struct toc_parser *p, const struct toc_node *n) {
    const struct toc_function *f = n->function;
    size_t most = strlen(f->args), least = most - (size_t)(f->optional < 0 ? 1 : f->optional);
    bool is_variadic = f->optional != 0;
    if (n->arg_count < least)
        return toc_parser_fail(p, n->at, "expected %s%zu argument(s) in call to \"%s\", got %zu",
                               is_variadic ? "at least " : "", least, f->name, n->arg_count);
    if (f->optional >= 0 && n->arg_count > most)
        return toc_parser_fail(p, n->at, "expected %s%zu argument(s) in call to \"%s\", got %zu",
                               is_variadic ? "at most " : "", most, f->name, n->arg_count);
    return 0;
}

static int check_args(struct toc_parser *p, const struct toc_node *n) {
    const struct toc_function *f = n->function;
    size_t most = strlen(f->args);
    int rc = check_arg_count(p, n);
    for (size_t i = 0; i < n->arg_count && rc == 0; i++) {
        enum toc_promql_type wanted = type_of_letter(f->args[i < most ? i : most - 1]);
        if (n->args[i]->type != wanted)
            return toc_parser_fail(
                p, n->args[i]->at, "expected type %s in call to function \"%s\", got %s",
                toc_promql_type_text(wanted), f->name, toc_promql_type_text(n->args[i]->type));
    }
    if (rc == 0 && strcmp(f->name, "info") == 0 && n->arg_count > 1 &&
        (n->args[1]->kind != TOC_NODE_SELECTOR || n->args[1]->metric.n))
        return toc_parser_fail(p, n->args[1]->at,
                               "expected label selectors as the second argument to \"info\" "
                               "function");
    return rc;
}

static int unknown_function(struct toc_parser *p, const struct toc_token *name) {
    const char *nearest = toc_function_suggest(name->text);
    return toc_parser_fail(p, name->at, "unknown function with name \"%.*s\"%s%s%s",
                           TOC_SV_ARG(name->text), nearest ? "; did you mean \"" : "",
                           nearest ? nearest : "", nearest ? "\"?" : "");
}

int toc_parse_call(struct toc_parser *p, struct toc_token name, struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_CALL, name.at);
    if (!n)
        return TOC_ELIMIT;
    n->function = toc_function_find(name.text);
    if (!n->function)
        return unknown_function(p, &name);
    if ((n->function->flags & TOC_FN_EXPERIMENTAL) &&
        !(p->features & TOC_PROMQL_EXPERIMENTAL_FUNCTIONS))
        return toc_parser_fail(p, name.at, "function \"%s\" is not enabled", n->function->name);
    n->type = type_of_letter(n->function->result);
    int rc = parse_args(p, n, "function call args");
    *out = n;
    return rc < 0 ? rc : check_args(p, n);
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
    if (n->arg_count != want)
        return toc_parser_fail(p, n->at,
                               "wrong number of arguments for aggregate expression provided, "
                               "expected %zu, got %zu",
                               want, n->arg_count);
    n->left = n->args[want - 1];
    n->right = want == 2 ? n->args[0] : NULL;
    if (n->left->type != TOC_PROMQL_VECTOR)
        return toc_parser_fail(p, n->left->at,
                               "expected type instant vector in aggregation expression, got %s",
                               toc_promql_type_text(n->left->type));
    enum toc_promql_type wanted =
        n->aggregate == TOC_AGGREGATE_COUNT_VALUES ? TOC_PROMQL_STRING : TOC_PROMQL_SCALAR;
    if (n->right && n->right->type != wanted)
        return toc_parser_fail(p, n->right->at, "expected type %s in aggregation parameter, got %s",
                               toc_promql_type_text(wanted), toc_promql_type_text(n->right->type));
    return 0;
}

int toc_parse_aggregate(struct toc_parser *p, enum toc_aggregate_op op, size_t at,
                        struct toc_node **out) {
    struct toc_node *n = toc_parser_node(p, TOC_NODE_AGGREGATE, at);
    if (!n)
        return TOC_ELIMIT;
    if (g_aggregates[op].is_experimental && !(p->features & TOC_PROMQL_EXPERIMENTAL_FUNCTIONS))
        return toc_parser_fail(p, at,
                               "%s() is experimental and must be enabled with "
                               "--enable-feature=promql-experimental-functions",
                               g_aggregates[op].text);
    n->aggregate = op;
    int rc = parse_grouping(p, n);
    if (rc == 0)
        rc = parse_args(p, n, "aggregation");
    if (rc == 0)
        rc = parse_grouping(p, n);
    *out = n;
    return rc < 0 ? rc : check_aggregate(p, n);
}
