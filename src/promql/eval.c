/* Nodes: who computes which kind, and what is computed once for all steps. */
#include "promql/eval_priv.h"

#include "model/histogram_math.h"

static int eval_number(struct toc_eval *e, double v, struct toc_eval_columns *out) {
    struct toc_column *c = toc_eval_columns_add(e, out, TOC_LABELS_EMPTY);
    if (!c)
        return TOC_ELIMIT;
    for (size_t i = 0; i < e->step_count; i++)
        c->values[i] = v;
    return 0;
}

static int negate_column(struct toc_eval *e, struct toc_column *c) {
    for (size_t k = 0; k < e->step_count; k++) {
        const struct toc_histogram *h = toc_column_histogram(c, k);
        if (h) {
            c->histograms[k] = toc_histogram_scale(h, -1, e->arena);
            if (!c->histograms[k])
                return toc_eval_no_memory(e);
        } else if (!toc_is_absent(c->values[k])) {
            c->values[k] = -c->values[k];
        }
    }
    return 0;
}

static int eval_negate(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    int rc = toc_eval_node(e, n->left, out);
    if (rc < 0 || n->is_plus)
        return rc;
    for (size_t i = 0; i < out->count && rc == 0; i++) {
        toc_column_drop_name(e, &out->items[i]);
        rc = negate_column(e, &out->items[i]);
    }
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, true);
}

static int eval_kind(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    switch (n->kind) {
    case TOC_NODE_NUMBER:
        return eval_number(e, n->number, out);
    case TOC_NODE_STRING:
        out->string = n->string;
        return 0;
    case TOC_NODE_PAREN:
        return toc_eval_node(e, n->left, out);
    case TOC_NODE_SELECTOR:
        return toc_eval_selector(e, n, TOC_WANT_VALUE, out);
    case TOC_NODE_CALL:
        return toc_eval_call(e, n, out);
    case TOC_NODE_AGGREGATE:
        return toc_eval_aggregate(e, n, out);
    case TOC_NODE_BINARY:
        return toc_eval_binary(e, n, out);
    case TOC_NODE_NEGATE:
        return eval_negate(e, n, out);
    case TOC_NODE_SUBQUERY:
        break; /* only below functions and at the root, see matrix.c */
    }
    return toc_errf(e->err, TOC_ETYPE, "a range vector stands where an instant vector is needed");
}

/* What is the same at all steps: one value spread over all of them. */
static int spread(struct toc_eval *e, struct toc_eval_columns *c) {
    for (size_t i = 0; i < c->count; i++) {
        struct toc_column *column = &c->items[i];
        double v = column->values[0];
        const struct toc_histogram *h = toc_column_histogram(column, 0);
        column->values = toc_arena_calloc(e->arena, e->step_count, sizeof *column->values);
        column->histograms = NULL;
        if (!column->values)
            return toc_eval_no_memory(e);
        for (size_t k = 0; k < e->step_count; k++) {
            column->values[k] = v;
            int rc = h ? toc_column_set_histogram(e, column, k, h) : 0;
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

static int eval_once(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    struct toc_eval first = *e;
    first.end_ms = e->start_ms;
    first.step_count = 1;
    int rc = eval_kind(&first, n, out);
    return rc < 0 || n->type == TOC_PROMQL_STRING ? rc : spread(e, out);
}

static int eval_counted(struct toc_eval *e, const struct toc_node *n,
                        struct toc_eval_columns *out) {
    uint64_t held = atomic_load_explicit(&e->query->samples_held, memory_order_relaxed);
    int rc = n->is_invariant && e->step_count > 1 ? eval_once(e, n, out) : eval_kind(e, n, out);
    if (rc < 0)
        return rc;
    /* What the node's parts held is gone; its own result stays. */
    atomic_store_explicit(&e->query->samples_held, held, memory_order_relaxed);
    bool is_vector = n->type == TOC_PROMQL_VECTOR;
    rc = toc_query_hold(e->query, is_vector ? (uint64_t)out->count * e->step_count : 0, e->err);
    return rc < 0 ? rc : toc_query_loaded(e->query, 0, e->err);
}

int toc_eval_node(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    if (!e->options->wants_trace || n->kind == TOC_NODE_PAREN)
        return eval_counted(e, n, out);
    size_t before = out->count, entry = toc_trace_begin(e, n);
    int rc = eval_counted(e, n, out);
    toc_trace_end(e, entry, out->count - before);
    return rc;
}
