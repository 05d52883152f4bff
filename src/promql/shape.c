/* What an expression is, without evaluating it. */
#include "promql/ast_priv.h"

bool toc_promql_is_selector(const struct toc_promql_expr *e) {
    const struct toc_node *n = e->root;
    return n->kind == TOC_NODE_SELECTOR && n->type == TOC_PROMQL_VECTOR && n->offset_ms == 0 &&
           !n->has_offset && !n->offset_expr && n->at_kind == TOC_AT_NONE;
}
