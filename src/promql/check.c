/* Types of operands and arguments, and what clauses may stand together: looked at once the whole
 * text is known to be well formed, operands before what they are operands of. */
#include <string.h>

#include "promql/parser_priv.h"

static bool is_value(enum toc_promql_type t) {
    return t == TOC_PROMQL_SCALAR || t == TOC_PROMQL_VECTOR;
}

static int expect_type(struct toc_parser *p, struct toc_node *n, enum toc_promql_type wanted,
                       const char *context, const char *function) {
    int rc = toc_parse_check(p, n);
    if (rc < 0 || n->type == wanted)
        return rc;
    const char *quote = function[0] ? "\"" : "";
    return toc_parser_fail(p, n->at, "expected type %s in %s%s%s%s, got %s",
                           toc_promql_type_text(wanted), context, quote, function, quote,
                           toc_promql_type_text(n->type));
}

/* ----------------------------------------------------------------------------------- binaries */

static int check_labels(struct toc_parser *p, const struct toc_node *n) {
    for (size_t i = 0; n->has_grouping && !n->is_without && i < n->grouping_count; i++)
        for (size_t k = 0; k < n->include_count; k++)
            if (toc_sv_eq(n->grouping[i], n->include[k]))
                return toc_parser_fail(p, n->operator_at,
                                       "label \"%.*s\" must not occur in ON and GROUP clause at "
                                       "once",
                                       TOC_SV_ARG(n->grouping[i]));
    return 0;
}

static int check_operator(struct toc_parser *p, const struct toc_node *n) {
    const struct toc_binary_info *info = toc_binary_info(n->binary);
    bool are_scalars = n->left->type == TOC_PROMQL_SCALAR && n->right->type == TOC_PROMQL_SCALAR;
    if (n->returns_bool && !info->is_comparison)
        return toc_parser_fail(p, n->operator_at,
                               "bool modifier can only be used on comparison operators");
    if (info->is_comparison && are_scalars && !n->returns_bool)
        return toc_parser_fail(p, n->operator_at,
                               "comparisons between scalars must use BOOL modifier");
    return check_labels(p, n);
}

static int check_clauses(struct toc_parser *p, struct toc_node *n) {
    const struct toc_binary_info *info = toc_binary_info(n->binary);
    bool are_vectors = n->left->type == TOC_PROMQL_VECTOR && n->right->type == TOC_PROMQL_VECTOR;
    bool has_fill = n->has_fill_left || n->has_fill_right;
    if (!are_vectors && n->grouping_count)
        return toc_parser_fail(p, n->at, "vector matching only allowed between instant vectors");
    if (!are_vectors && has_fill)
        return toc_parser_fail(p, n->at,
                               "filling in missing series only allowed between instant vectors");
    if (!are_vectors) { /* an empty list of labels says nothing here */
        n->has_grouping = n->is_without = false;
        n->cardinality = TOC_MATCH_ONE_TO_ONE;
        n->include_count = 0;
    }
    if (info->is_set && n->cardinality)
        return toc_parser_fail(p, n->at, "no grouping allowed for \"%s\" operation", info->text);
    if (info->is_set && has_fill)
        return toc_parser_fail(p, n->at, "filling in missing series not allowed for set operators");
    if (info->is_set && !are_vectors)
        return toc_parser_fail(
            p, n->at, "set operator \"%s\" not allowed in binary scalar expression", info->text);
    return 0;
}

static int check_binary(struct toc_parser *p, struct toc_node *n) {
    int rc = toc_parse_check(p, n->left);
    if (rc == 0)
        rc = toc_parse_check(p, n->right);
    if (rc == 0)
        rc = check_operator(p, n);
    if (rc < 0)
        return rc;
    if (!is_value(n->left->type) || !is_value(n->right->type))
        return toc_parser_fail(p, is_value(n->left->type) ? n->right->at : n->left->at,
                               "binary expression must contain only scalar and instant vector "
                               "types");
    return check_clauses(p, n);
}

/* -------------------------------------------------------------------------------------- calls */

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

static int check_info_labels(struct toc_parser *p, const struct toc_node *n) {
    const struct toc_node *labels = n->arg_count > 1 ? n->args[1] : NULL;
    if (strcmp(n->function->name, "info") != 0 || !labels || labels->type != TOC_PROMQL_VECTOR)
        return 0;
    if (labels->kind != TOC_NODE_SELECTOR || labels->metric.n)
        return toc_parser_fail(p, labels->at,
                               "expected label selectors only, got vector selector instead");
    return 0;
}

static int check_call(struct toc_parser *p, const struct toc_node *n) {
    const struct toc_function *f = n->function;
    size_t most = strlen(f->args);
    int rc = check_arg_count(p, n);
    if (rc == 0)
        rc = check_info_labels(p, n);
    for (size_t i = 0; i < n->arg_count && rc == 0; i++)
        rc = expect_type(p, n->args[i], type_of_letter(f->args[i < most ? i : most - 1]),
                         "call to function ", f->name);
    return rc;
}

static int check_aggregate(struct toc_parser *p, const struct toc_node *n) {
    bool is_text = n->aggregate == TOC_AGGREGATE_COUNT_VALUES;
    int rc = expect_type(p, n->left, TOC_PROMQL_VECTOR, "aggregation expression", "");
    if (rc == 0 && n->right)
        rc = expect_type(p, n->right, is_text ? TOC_PROMQL_STRING : TOC_PROMQL_SCALAR,
                         "aggregation parameter", "");
    return rc;
}

/* ---------------------------------------------------------------------------------- selectors */

/* The matcher of the name in front of the braces is the first one. */
static int check_selector(struct toc_parser *p, const struct toc_node *n) {
    for (size_t i = 1; n->metric.n && i < n->matcher_count; i++)
        if (toc_sv_eq(n->matchers[i].name, TOC_METRIC_NAME))
            return toc_parser_fail(p, n->at,
                                   "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                                   TOC_SV_ARG(n->metric), TOC_SV_ARG(n->matchers[i].value));
    if (n->metric.n || n->is_info_label)
        return 0;
    for (size_t i = 0; i < n->matcher_count; i++)
        if (!toc_matcher_matches(&n->matchers[i], TOC_SV("")))
            return 0;
    return toc_parser_fail(p, n->at, "vector selector must contain at least one non-empty matcher");
}

/* --------------------------------------------------------------------------------------- tree */

static int check_operand(struct toc_parser *p, const struct toc_node *n) {
    int rc = toc_parse_check(p, n->left);
    if (rc == 0 && n->kind == TOC_NODE_NEGATE && !is_value(n->left->type))
        return toc_parser_fail(p, n->at,
                               "unary expression only allowed on expressions of type scalar or "
                               "instant vector, got \"%s\"",
                               toc_promql_type_text(n->left->type));
    if (rc == 0 && n->kind == TOC_NODE_SUBQUERY && n->left->type != TOC_PROMQL_VECTOR)
        return toc_parser_fail(p, n->at,
                               "subquery is only allowed on instant vector, got %s instead",
                               toc_promql_type_text(n->left->type));
    return rc;
}

/* The parser bounds the depth of the tree, so recursion is bounded too. */
int toc_parse_check(struct toc_parser *p, struct toc_node *n) {
    switch (n->kind) {
    case TOC_NODE_NUMBER:
    case TOC_NODE_STRING:
        return 0;
    case TOC_NODE_SELECTOR:
        return check_selector(p, n);
    case TOC_NODE_SUBQUERY:
    case TOC_NODE_NEGATE:
    case TOC_NODE_PAREN:
        return check_operand(p, n);
    case TOC_NODE_CALL:
        return check_call(p, n);
    case TOC_NODE_AGGREGATE:
        return check_aggregate(p, n);
    case TOC_NODE_BINARY:
        return check_binary(p, n);
    }
    return 0;
}
