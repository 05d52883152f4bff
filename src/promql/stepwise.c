/* What an expression looks at from one time of evaluation: whether range and instant queries agree,
 * and how far back it goes. */
#include <string.h>

#include "promql/ast_priv.h"

static bool is_of_the_query(const char *name) {
    static const char *const names[] = {"start", "end", "range", "step", "info"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool is_stepwise(const struct toc_node *n) {
    if (n->kind == TOC_NODE_CALL && is_of_the_query(n->function->name))
        return false;
    if (n->at_kind != TOC_AT_NONE || n->offset_ms < 0 || n->modifier == TOC_RANGE_SMOOTHED ||
        n->range_expr || n->step_expr || n->offset_expr)
        return false;
    for (size_t i = 0; i < n->arg_count; i++)
        if (!is_stepwise(n->args[i]))
            return false;
    if (n->kind == TOC_NODE_AGGREGATE) /* its operands are its arguments */
        return true;
    return (!n->left || is_stepwise(n->left)) && (!n->right || is_stepwise(n->right));
}

bool toc_promql_is_stepwise(const struct toc_promql_expr *e) {
    return is_stepwise(e->root);
}

static int64_t add(int64_t a, int64_t b) {
    return a == INT64_MAX || b == INT64_MAX || a > INT64_MAX - b ? INT64_MAX : a + b;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t reach(const struct toc_node *n, int64_t lookback_ms) {
    int64_t far = 0;
    if (n->at_kind != TOC_AT_NONE || n->range_expr || n->offset_expr)
        return INT64_MAX;
    for (size_t i = 0; i < n->arg_count; i++)
        far = larger(far, reach(n->args[i], lookback_ms));
    if (n->left && n->kind != TOC_NODE_AGGREGATE)
        far = larger(far, reach(n->left, lookback_ms));
    if (n->right && n->kind != TOC_NODE_AGGREGATE)
        far = larger(far, reach(n->right, lookback_ms));
    if (n->kind == TOC_NODE_SELECTOR)
        far = add(n->range_ms, lookback_ms); /* beside a range only `anchored` needs it */
    else if (n->kind == TOC_NODE_SUBQUERY)
        far = add(far, n->range_ms);
    return n->offset_ms > 0 ? add(far, n->offset_ms) : far;
}

int64_t toc_promql_reach_ms(const struct toc_promql_expr *e, int64_t lookback_ms) {
    return reach(e->root, lookback_ms);
}
