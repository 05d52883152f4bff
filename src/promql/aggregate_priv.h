/* Aggregation: columns are assigned to groups once, then folded step by step. */
#ifndef TOC_PROMQL_AGGREGATE_PRIV_H
#define TOC_PROMQL_AGGREGATE_PRIV_H

#include "promql/eval_priv.h"

struct toc_group {
    struct toc_labels labels;
    bool drop_name;          /* a member's name goes in the last step */
    TOC_VEC(size_t) members; /* column numbers, rising */
};
struct toc_groups {
    TOC_VEC_FIELDS(struct toc_group)
};

/* Is this label part of the group's identity? */
bool toc_group_has_label(const struct toc_node *n, struct toc_sv name);
int toc_groups_assign(struct toc_eval *e, const struct toc_node *n,
                      const struct toc_eval_columns *in, struct toc_groups *out);
void toc_groups_fini(struct toc_groups *g);

/* aggregate_fold.c: sum, avg, min, max, count, group, stddev, stdvar, quantile. */
int toc_aggregate_fold(struct toc_eval *e, const struct toc_node *n,
                       const struct toc_eval_columns *in, const struct toc_groups *g,
                       const struct toc_column *parameter, struct toc_eval_columns *out);
/* aggregate_pick.c: topk, bottomk, limitk, limit_ratio keep some of the input's series. */
int toc_aggregate_pick(struct toc_eval *e, const struct toc_node *n,
                       const struct toc_eval_columns *in, const struct toc_groups *g,
                       const struct toc_column *parameter, struct toc_eval_columns *out);
/* aggregate_count.c: count_values. */
int toc_aggregate_count_values(struct toc_eval *e, const struct toc_node *n, struct toc_sv label,
                               const struct toc_eval_columns *in, const struct toc_groups *g,
                               struct toc_eval_columns *out);
/* aggregate_pass.c: folds while the series are read, without holding them. *out_done is false when
 * the input needs the general way (histograms, an overflowing mean): nothing was put out. */
bool toc_aggregate_can_pass(const struct toc_eval *e, const struct toc_node *n);
int toc_aggregate_pass(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out,
                       bool *out_done);

#endif
