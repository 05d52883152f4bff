/* Which selectors an expression cannot do without. */
#include "promql/ast_priv.h"

struct visit {
    toc_on_selector_use *fn;
    void *ctx;
};

static bool is_absence(const struct toc_node *call) {
    return toc_sv_starts_with(toc_sv_cstr(call->function->name), TOC_SV("absent"));
}

static void visit(const struct visit *v, const struct toc_node *n, bool is_needed) {
    if (!n)
        return;
    bool left = is_needed, right = is_needed;
    switch (n->kind) {
    case TOC_NODE_SELECTOR:
        v->fn(v->ctx, n->matchers, n->matcher_count, is_needed);
        return;
    case TOC_NODE_CALL:
        for (size_t i = 0; i < n->arg_count; i++)
            visit(v, n->args[i], is_needed && !is_absence(n));
        return;
    case TOC_NODE_BINARY:
        /* One side of `or` is enough; `unless` and fill do without the other. */
        left &= n->binary != TOC_BINARY_OR && !n->has_fill_left;
        right &= n->binary != TOC_BINARY_OR && n->binary != TOC_BINARY_UNLESS && !n->has_fill_right;
        break;
    case TOC_NODE_NUMBER:
    case TOC_NODE_STRING:
    case TOC_NODE_SUBQUERY:
    case TOC_NODE_AGGREGATE:
    case TOC_NODE_NEGATE:
    case TOC_NODE_PAREN:
        break;
    }
    visit(v, n->left, left);
    visit(v, n->right, right);
}

void toc_promql_visit_uses(const struct toc_promql_expr *e, toc_on_selector_use *fn, void *ctx) {
    const struct visit v = {fn, ctx};
    visit(&v, e->root, true);
}
