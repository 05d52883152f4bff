/* Calls: arguments, then whoever computes the function. */
#include "base/num.h"
#include "promql/eval_priv.h"
#include "promql/functions_priv.h"
#include "promql/range_functions_priv.h"

/* The scalar arguments as columns, in order. */
static int eval_parameters(struct toc_eval *e, const struct toc_node *n,
                           struct toc_eval_columns *out) {
    for (size_t i = 0; i < n->arg_count; i++) {
        if (n->args[i]->type != TOC_PROMQL_SCALAR)
            continue;
        int rc = toc_eval_node(e, n->args[i], out);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The vector argument; vector(time()) where it was left out. */
static int eval_operand(struct toc_eval *e, const struct toc_node *n,
                        struct toc_eval_columns *out) {
    for (size_t i = 0; i < n->arg_count; i++)
        if (n->args[i]->type == TOC_PROMQL_VECTOR)
            return toc_eval_node(e, n->args[i], out);
    return toc_call_time(e, n, out);
}

/* Histograms are not numbers: their steps become absent. */
static int math_column(struct toc_eval *e, const struct toc_node *n,
                       const struct toc_eval_columns *parameters, struct toc_column *c) {
    double *values = toc_arena_calloc(e->arena, e->step_count, sizeof *values);
    if (!values)
        return toc_eval_no_memory(e);
    for (size_t k = 0; k < e->step_count; k++) {
        double p[TOC_FUNCTION_ARGS_MAX] = {1}; /* round's when it is left out */
        for (size_t a = 0; a < parameters->count; a++)
            p[a] = parameters->items[a].values[k];
        bool is_number = !toc_is_absent(c->values[k]) && !toc_column_histogram(c, k);
        values[k] = is_number ? n->function->math(c->values[k], p) : toc_stale_nan();
    }
    c->values = values;
    c->histograms = NULL;
    toc_column_drop_name(e, c);
    return 0;
}

static int eval_math(struct toc_eval *e, const struct toc_node *n,
                     const struct toc_eval_columns *parameters, struct toc_eval_columns *out) {
    int rc = eval_operand(e, n, out);
    for (size_t i = 0; i < out->count && rc == 0; i++)
        rc = math_column(e, n, parameters, &out->items[i]);
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, false);
}

int toc_eval_call(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    const struct toc_function *f = n->function;
    if (f->call)
        return f->call(e, n, out);
    struct toc_eval_columns parameters = {0};
    int rc = eval_parameters(e, n, &parameters);
    if (rc == 0 && f->math)
        rc = eval_math(e, n, &parameters, out);
    if (rc == 0 && f->window == toc_window_quantile)
        toc_eval_note_quantiles(e, n->args[0], parameters.items[0].values);
    if (rc == 0 && !f->math)
        rc = toc_eval_windows(e, n, parameters.items, parameters.count, out);
    toc_eval_columns_fini(&parameters);
    return rc;
}
