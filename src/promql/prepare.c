/*
 * The copy of the tree that one query evaluates: durations are numbers, start(), end(), range() and
 * step() are literals, and what has the same value at all steps is marked so that it is computed
 * once.
 */
#include <math.h>
#include <string.h>

#include "promql/eval_priv.h"

struct prepare {
    struct toc_sv text;
    const struct toc_query_times *times;
    struct toc_arena *arena;
    struct toc_err *err;
};

static int no_memory(const struct prepare *p) {
    return toc_errf(p->err, TOC_ELIMIT, "the query needs too much memory");
}

/* The number that start() and its kin stand for, in seconds; false for any other node. */
static bool time_literal(const struct toc_node *n, const struct toc_query_times *t, double *out) {
    if (n->kind != TOC_NODE_CALL || n->arg_count)
        return false;
    const char *name = n->function->name;
    if (strcmp(name, "start") == 0)
        *out = (double)t->start_ms / 1000;
    else if (strcmp(name, "end") == 0)
        *out = (double)t->end_ms / 1000;
    else if (strcmp(name, "range") == 0)
        *out = (double)(t->end_ms - t->start_ms) / 1000;
    else if (strcmp(name, "step") == 0)
        *out = (double)t->step_ms / 1000;
    else
        return false;
    return true;
}

static int prepare_durations(const struct prepare *p, struct toc_node *n) {
    int rc = 0;
    if (n->range_expr)
        rc = toc_duration_value(n->range_expr, p->text, p->times, true, &n->range_ms, p->err);
    if (rc == 0 && n->step_expr)
        rc = toc_duration_value(n->step_expr, p->text, p->times, true, &n->step_ms, p->err);
    if (rc == 0 && n->offset_expr)
        rc = toc_duration_value(n->offset_expr, p->text, p->times, false, &n->offset_ms, p->err);
    return rc;
}

static bool call_is_invariant(const struct toc_node *n) {
    bool is_selector = n->arg_count == 1 && strcmp(n->function->name, "timestamp") == 0 &&
                       toc_node_bare(n->args[0])->kind == TOC_NODE_SELECTOR;
    if ((n->function->flags & TOC_FN_STEP_VARIANT) && !is_selector)
        return false;
    for (size_t i = 0; i < n->arg_count; i++)
        if (!n->args[i]->is_invariant)
            return false;
    return true;
}

static bool is_invariant(const struct toc_node *n) {
    switch (n->kind) {
    case TOC_NODE_NUMBER:
    case TOC_NODE_STRING:
        return true;
    case TOC_NODE_SELECTOR:
    case TOC_NODE_SUBQUERY:
        return n->at_kind != TOC_AT_NONE;
    case TOC_NODE_CALL:
        return call_is_invariant(n);
    case TOC_NODE_AGGREGATE:
        return n->left->is_invariant && (!n->right || n->right->is_invariant);
    case TOC_NODE_BINARY:
        return n->left->is_invariant && n->right->is_invariant;
    case TOC_NODE_NEGATE:
    case TOC_NODE_PAREN:
        return n->left->is_invariant;
    }
    return false;
}

/* The parser bounds the depth, so recursion is bounded too. */
static int prepare_node(const struct prepare *p, const struct toc_node *in, struct toc_node **out) {
    if (!in) {
        *out = NULL;
        return 0;
    }
    struct toc_node *n = TOC_ARENA_NEW(p->arena, struct toc_node);
    if (!n)
        return no_memory(p);
    *n = *in;
    *out = n;
    if (time_literal(in, p->times, &n->number)) {
        n->kind = TOC_NODE_NUMBER;
        n->is_invariant = true;
        return 0;
    }
    int rc = prepare_durations(p, n);
    /* An aggregation's operands are its arguments. */
    bool has_operands = in->kind != TOC_NODE_AGGREGATE;
    if (rc == 0 && has_operands)
        rc = prepare_node(p, in->left, &n->left);
    if (rc == 0 && has_operands)
        rc = prepare_node(p, in->right, &n->right);
    n->args = TOC_ARENA_NEW_ARRAY(p->arena, struct toc_node *, in->arg_count + 1);
    if (rc == 0 && !n->args)
        rc = no_memory(p);
    for (size_t i = 0; i < in->arg_count && rc == 0; i++)
        rc = prepare_node(p, in->args[i], &n->args[i]);
    if (rc == 0 && !has_operands) {
        n->left = n->args[n->arg_count - 1];
        n->right = n->arg_count == 2 ? n->args[0] : NULL;
    }
    if (rc == 0)
        n->is_invariant = is_invariant(n);
    return rc;
}

int toc_prepare(const struct toc_promql_expr *expr, const struct toc_query_times *times,
                struct toc_arena *arena, struct toc_node **out, struct toc_err *err) {
    struct prepare p = {expr->text, times, arena, err};
    int rc = prepare_node(&p, expr->root, out);
    if (rc == 0)
        toc_mark_reset_tellers(*out);
    return rc;
}
