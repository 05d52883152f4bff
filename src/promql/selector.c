/* Selectors and functions over ranges, as columns. */
#include <string.h>

#include "promql/eval_priv.h"

int64_t toc_look_ms(const struct toc_eval *e, const struct toc_node *n, size_t i) {
    int64_t t = n->at_kind == TOC_AT_TIME    ? n->at_ms
                : n->at_kind == TOC_AT_START ? e->query->start_ms
                : n->at_kind == TOC_AT_END   ? e->query->end_ms
                                             : toc_step_ms(e, i);
    return t - n->offset_ms;
}

const struct toc_node *toc_call_range(const struct toc_node *call) {
    for (size_t i = 0; i < call->arg_count; i++)
        if (call->args[i]->type == TOC_PROMQL_MATRIX)
            return toc_node_bare(call->args[i]);
    return NULL;
}

/* ------------------------------------------------------------- collecting a pass into columns */

struct block {
    TOC_VEC_FIELDS(struct toc_column)
};

struct collector {
    struct toc_eval *e;
    struct block *blocks;
    size_t block_count;
};

static int begin(void *ctx, size_t block_count) {
    struct collector *c = ctx;
    c->blocks = TOC_NEW_ARRAY(struct block, block_count + 1);
    c->block_count = block_count;
    return 0;
}

static int collect(void *ctx, struct toc_worker *w, size_t block, const struct toc_column *in) {
    struct collector *c = ctx;
    size_t steps = c->e->step_count;
    struct toc_column out = {.labels = toc_worker_keep_labels(w, in->labels),
                             .drop_name = in->drop_name,
                             .values = toc_arena_calloc(&w->arena, steps, sizeof(double))};
    if (in->histograms)
        out.histograms = toc_arena_calloc(&w->arena, steps, sizeof(const struct toc_histogram *));
    if (w->arena.overflowed)
        return TOC_ELIMIT;
    memcpy(out.values, in->values, steps * sizeof *out.values);
    if (in->histograms)
        memcpy(out.histograms, in->histograms, steps * sizeof *out.histograms);
    TOC_VEC_PUSH(&c->blocks[block], out);
    return toc_query_hold(c->e->query, steps, &w->err);
}

static int collect_pass(struct toc_eval *e, struct toc_series_pass *pass,
                        struct toc_eval_columns *out) {
    struct collector c = {.e = e};
    pass->wants_labels = true;
    pass->begin = begin;
    pass->column = collect;
    pass->ctx = &c;
    int rc = toc_eval_series_pass(e, pass);
    pass->ctx = NULL;
    for (size_t i = 0; i < c.block_count; i++) {
        struct block *b = &c.blocks[i];
        TOC_VEC_RESERVE(out, out->count + b->count);
        if (b->count)
            memcpy(out->items + out->count, b->items, b->count * sizeof *b->items);
        out->count += b->count;
        TOC_VEC_FINI(b);
    }
    toc_free(c.blocks);
    return rc;
}

int toc_eval_selector(struct toc_eval *e, const struct toc_node *n, enum toc_wanted wanted,
                      struct toc_eval_columns *out) {
    struct toc_series_pass pass = {.node = n, .wanted = wanted};
    return collect_pass(e, &pass, out);
}

/* ------------------------------------------------------------------------ functions of ranges */

bool toc_selector_has_one_name(const struct toc_node *n) {
    for (size_t i = 0; i < n->matcher_count; i++)
        if (n->matchers[i].op == TOC_MATCH_EQ && toc_sv_eq(n->matchers[i].name, TOC_METRIC_NAME))
            return true;
    return false;
}

static void drop_names(struct toc_eval *e, const struct toc_node *call,
                       struct toc_eval_columns *out) {
    for (size_t i = 0; i < out->count && !(call->function->flags & TOC_FN_KEEPS_NAME); i++)
        toc_column_drop_name(e, &out->items[i]);
}

/* Few functions have a meaning over ranges with a modifier. */
static int check_modifier(struct toc_eval *e, const struct toc_node *call,
                          const struct toc_node *range) {
    const struct toc_function *f = call->function;
    bool is_smoothed = range->modifier == TOC_RANGE_SMOOTHED;
    bool fits = f->edges && (!is_smoothed || (f->flags & TOC_FN_SMOOTHED));
    if (range->modifier == TOC_RANGE_PLAIN || fits)
        return 0;
    return toc_errf(
        e->err, TOC_EINVAL, "%s modifier can only be used with: %s - not with %s",
        is_smoothed ? "smoothed" : "anchored",
        is_smoothed ? "delta, increase, rate" : "changes, delta, increase, rate, resets", f->name);
}

int toc_eval_windows(struct toc_eval *e, const struct toc_node *call,
                     const struct toc_column *parameters, size_t parameter_count,
                     struct toc_eval_columns *out) {
    const struct toc_node *range = toc_call_range(call);
    int rc = check_modifier(e, call, range);
    if (rc < 0)
        return rc;
    if (range->kind == TOC_NODE_SUBQUERY) {
        rc = toc_eval_subquery_windows(e, call, parameters, parameter_count, out);
    } else {
        struct toc_series_pass pass = {
            .node = call, .parameters = parameters, .parameter_count = parameter_count};
        rc = collect_pass(e, &pass, out);
    }
    drop_names(e, call, out);
    bool may_collide = range->kind == TOC_NODE_SUBQUERY || !toc_selector_has_one_name(range);
    if (rc < 0 || (call->function->flags & TOC_FN_KEEPS_NAME) || !may_collide)
        return rc;
    return toc_eval_columns_merge(e, out, true);
}
