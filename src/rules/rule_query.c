/* Expressions of rules: prepared once, run at a time. */
#include <math.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

static struct toc_sv take_text(struct toc_buf *b) {
    size_t n;
    char *p = toc_buf_take(b, &n);
    return toc_sv_make(p, n);
}

static void free_sv(struct toc_sv *s) {
    toc_free((void *)(uintptr_t)s->p);
    *s = TOC_SV_NULL;
}

static enum rule_op op_of(const char *text) {
    static const char *const texts[] = {"==", "!=", "<", "<=", ">", ">="};
    size_t i = 0;
    while (i < TOC_ARRAY_LEN(texts) - 1 && strcmp(texts[i], text))
        i++;
    return (enum rule_op)i;
}

void toc_rule_query_init(struct rule_query *q, const struct toc_promql_expr *expr) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_promql_threshold t = {0};
    *q = (struct rule_query){.expr = expr, .number = NAN};
    if (!expr)
        return;
    toc_promql_format(expr, false, &text);
    q->text = take_text(&text);
    toc_promql_threshold(expr, &t);
    if (t.is_set) {
        q->op = op_of(t.op);
        q->number = t.threshold;
        /* Canonical text always parses; should it not, the rule runs whole. */
        if (toc_promql_parse_with(toc_buf_sv(&t.left_text), TOC_PROMQL_ALL_FEATURES, &q->left,
                                  NULL))
            q->left = NULL;
        q->left_text = take_text(&t.left_text);
    }
    toc_buf_fini(&t.left_text);
}

void toc_rule_query_fini(struct rule_query *q) {
    toc_promql_expr_free(&q->left);
    free_sv(&q->text);
    free_sv(&q->left_text);
    *q = (struct rule_query){0};
}

bool toc_rule_op_holds(enum rule_op op, double left, double right) {
    switch (op) {
    case RULE_OP_EQ:
        return left == right;
    case RULE_OP_NE:
        return left != right;
    case RULE_OP_LT:
        return left < right;
    case RULE_OP_LE:
        return left <= right;
    case RULE_OP_GT:
        return left > right;
    case RULE_OP_GE:
        return left >= right;
    }
    return false;
}

static int scalar_element(struct toc_promql_result *r, struct elements *out) {
    struct toc_rule_sample *one = TOC_ARENA_NEW(&r->arena, struct toc_rule_sample);
    if (!one)
        return TOC_ENOMEM;
    *one = (struct toc_rule_sample){TOC_LABELS_EMPTY, r->scalar, NULL};
    *out = (struct elements){one, 1};
    return 0;
}

int toc_rule_query_run(struct toc_rules *m, const struct toc_promql_expr *e, struct toc_ts at,
                       struct toc_executor *executor, struct toc_promql_result *result,
                       struct elements *out, struct toc_err *err) {
    struct toc_promql_options o = {.querier = m->options.querier,
                                   .lookback_ms = m->options.lookback_ms,
                                   .max_samples = m->options.max_samples,
                                   .max_bytes = m->options.max_query_bytes,
                                   .features = m->options.features,
                                   .subquery_step_ms = m->options.default_interval_ms,
                                   .executor = executor};
    *out = (struct elements){0};
    struct toc_rule_answers *known = m->options.answers;
    if (known && !known->find(known, e, at, &out->items, &out->count))
        return 0;
    int rc = toc_promql_instant(e, &o, at.ms, result, err);
    if (rc)
        return rc;
    if (result->type == TOC_PROMQL_SCALAR)
        return scalar_element(result, out);
    if (result->type != TOC_PROMQL_VECTOR)
        return toc_errf(err, TOC_ETYPE, "rule result is not a vector or scalar");
    struct toc_rule_sample *items =
        TOC_ARENA_NEW_ARRAY(&result->arena, struct toc_rule_sample, result->series_count + 1);
    if (!items)
        return TOC_ENOMEM;
    out->items = items;
    for (size_t i = 0; i < result->series_count; i++) {
        const struct toc_promql_series *s = &result->series[i];
        if (s->count)
            items[out->count++] =
                (struct toc_rule_sample){s->labels, s->points[0].value, s->points[0].histogram};
    }
    return 0;
}
