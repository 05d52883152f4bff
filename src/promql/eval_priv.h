/*
 * The evaluator: each node is computed once for all steps of the query, column by column. A column
 * is one series: its labels and one value per step; a step without a value holds the staleness
 * marker, which no computation produces.
 */
#ifndef TOC_PROMQL_EVAL_PRIV_H
#define TOC_PROMQL_EVAL_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "model/sample.h"
#include "promql/ast_priv.h"

struct toc_column {
    struct toc_labels labels;
    double *values; /* step_count of them */
    bool has_name;  /* labels may hold __name__ */
};

/* The value of a node: columns of a vector, or one column of a scalar. */
struct toc_eval_columns {
    TOC_VEC_FIELDS(struct toc_column)
    struct toc_sv string;
};

struct toc_eval {
    const struct toc_promql_options *options;
    struct toc_arena *arena; /* of the result */
    struct toc_err *err;
    int64_t start_ms, end_ms, step_ms; /* of the steps being computed */
    size_t step_count;
    int64_t query_start_ms, query_end_ms; /* for @ start() and @ end() */
    int64_t lookback_ms;
    uint64_t samples, max_samples;
    TOC_VEC(struct toc_sv) warnings;
    TOC_VEC(struct toc_sv) infos;
};

static inline bool toc_is_absent(double v) {
    return toc_is_stale_nan(v);
}
static inline int64_t toc_step_ms(const struct toc_eval *e, size_t i) {
    return e->start_ms + (int64_t)i * e->step_ms;
}

/* Computes a node. The columns' vector is on the heap, everything inside in the arena. */
int toc_eval_node(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
void toc_eval_columns_fini(struct toc_eval_columns *c);
/* A new column in which every step is absent; NULL without memory (e->err is filled). */
struct toc_column *toc_eval_columns_add(struct toc_eval *e, struct toc_eval_columns *c,
                                        struct toc_labels labels);
/* Counts against the budget and asks for cancellation. */
int toc_eval_spend(struct toc_eval *e, uint64_t samples);
/* One note for the person, once. */
void toc_eval_warn(struct toc_eval *e, const char *fmt, ...) TOC_PRINTF(2, 3);

/* Labels without the metric name, in the arena (shared when there is none). */
struct toc_labels toc_labels_without_name(struct toc_eval *e, struct toc_labels l);
/* After names were dropped: columns with equal labels become one; TOC_EINVAL when both have a value
 * at a step, as upstream refuses it. */
int toc_eval_columns_merge(struct toc_eval *e, struct toc_eval_columns *c);

/* selector.c */
int toc_eval_selector(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
/* The times of the samples instead of their values, in seconds. */
int toc_eval_selector_times(struct toc_eval *e, const struct toc_node *n,
                            struct toc_eval_columns *out);
/* A function over the windows of a range selector or subquery. parameters: parameter_count columns.
 */
int toc_eval_windows(struct toc_eval *e, const struct toc_node *range, toc_window_fn *fn,
                     const struct toc_column *parameters, size_t parameter_count, bool keeps_name,
                     struct toc_eval_columns *out);

int toc_eval_aggregate(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
int toc_eval_binary(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
int toc_eval_call(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
double toc_binary_apply(enum toc_binary_op op, double a, double b);
double toc_promql_quantile(double q, double *values, size_t count); /* sorts values */

#endif
