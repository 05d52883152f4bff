/* Expressions whose selectors are pinned to one time by `@`. */
#include <string.h>

#include "promql/ast_priv.h"

static struct toc_node *pin(const struct toc_node *n, int64_t at_ms, bool is_inside_pinned,
                            struct toc_arena *arena);

static bool pin_list(const struct toc_node *n, struct toc_node *copy, int64_t at_ms,
                     bool is_inside_pinned, struct toc_arena *arena) {
    copy->args = n->arg_count ? TOC_ARENA_NEW_ARRAY(arena, struct toc_node *, n->arg_count) : NULL;
    for (size_t i = 0; i < n->arg_count && copy->args; i++)
        copy->args[i] = pin(n->args[i], at_ms, is_inside_pinned, arena);
    return !n->arg_count || copy->args;
}

/* A copy of the tree; what is pinned already, and what a pinned subquery holds, stays as it is. */
static struct toc_node *pin(const struct toc_node *n, int64_t at_ms, bool is_inside_pinned,
                            struct toc_arena *arena) {
    struct toc_node *copy = TOC_ARENA_NEW(arena, struct toc_node);
    if (!copy)
        return NULL;
    *copy = *n;
    bool takes_at = n->kind == TOC_NODE_SELECTOR || n->kind == TOC_NODE_SUBQUERY;
    if (takes_at && n->at_kind == TOC_AT_NONE && !is_inside_pinned) {
        copy->at_kind = TOC_AT_TIME;
        copy->at_ms = at_ms;
    }
    is_inside_pinned |= n->kind == TOC_NODE_SUBQUERY;
    if (!pin_list(n, copy, at_ms, is_inside_pinned, arena))
        return NULL;
    if (n->kind == TOC_NODE_AGGREGATE) { /* its operands are its arguments */
        copy->left = copy->args[n->arg_count - 1];
        copy->right = n->arg_count == 2 ? copy->args[0] : NULL;
        return copy;
    }
    if (n->left)
        copy->left = pin(n->left, at_ms, is_inside_pinned, arena);
    if (n->right)
        copy->right = pin(n->right, at_ms, is_inside_pinned, arena);
    return copy;
}

void toc_promql_format_at(const struct toc_promql_expr *e, int64_t at_ms, struct toc_buf *out) {
    struct toc_promql_expr pinned = {0};
    pinned.root = pin(e->root, at_ms, false, &pinned.arena);
    if (pinned.root && !pinned.arena.overflowed)
        toc_promql_format_as_written(&pinned, out);
    toc_arena_fini(&pinned.arena);
}

static bool is_time_function(const char *name) {
    static const char *const names[] = {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year",    "end",
        "hour",          "minute",       "month",       "predict_linear", "range",
        "start",         "step",         "time",        "timestamp",      "year"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool depends_on_time(const struct toc_node *n) {
    if (n->kind == TOC_NODE_CALL && is_time_function(n->function->name))
        return true;
    for (size_t i = 0; i < n->arg_count; i++)
        if (depends_on_time(n->args[i]))
            return true;
    if (n->kind == TOC_NODE_AGGREGATE)
        return false;
    return (n->left && depends_on_time(n->left)) || (n->right && depends_on_time(n->right));
}

bool toc_promql_depends_on_time(const struct toc_promql_expr *e) {
    return depends_on_time(e->root);
}
