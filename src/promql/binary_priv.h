/* Binary operators: one element, matching of two vectors, set operators. */
#ifndef TOC_PROMQL_BINARY_PRIV_H
#define TOC_PROMQL_BINARY_PRIV_H

#include "promql/eval_priv.h"
#include "promql/label_index_priv.h"

/* One sample: a float, or a histogram when it is set. */
struct toc_element {
    double value;
    const struct toc_histogram *histogram;
};
static inline struct toc_element toc_column_element(const struct toc_column *c, size_t i) {
    return (struct toc_element){c->values[i], toc_column_histogram(c, i)};
}
int toc_column_put(struct toc_eval *e, struct toc_column *c, size_t i, struct toc_element x);

/* Is it a comparison that keeps or drops elements? */
bool toc_binary_is_filter(const struct toc_node *n);
/* Filters and trimmed histograms are still what they were. */
bool toc_binary_keeps_name(const struct toc_node *n);
/* a op b at one step. 1: *out is the result; 0: there is none (a filter said no, or the types do
 * not go together, which is noted); negative: an error. `kept` is what a filter passes on. */
int toc_binary_element(struct toc_eval *e, const struct toc_node *n, struct toc_element a,
                       struct toc_element b, struct toc_element kept, struct toc_element *out);

/* What two series must share to match. Arena memory. */
struct toc_labels toc_match_labels(struct toc_eval *e, const struct toc_node *n,
                                   struct toc_labels l);
/* Columns of one side, found by the labels they match by. */
struct toc_side {
    const struct toc_eval_columns *columns;
    struct toc_label_index heads; /* number of the first column with these match labels + 1 */
    size_t *next;                 /* next column with the same + 1, 0: none */
    struct toc_labels *labels;    /* the match labels of each column */
};
/* is_searched: toc_side_find will be asked; without it there are only the labels. */
int toc_side_init(struct toc_eval *e, const struct toc_node *n, const struct toc_eval_columns *c,
                  bool is_searched, struct toc_side *out);
void toc_side_fini(struct toc_side *s);
/* First column with these match labels + 1; 0: none. */
size_t toc_side_find(const struct toc_side *s, struct toc_labels match_labels);

int toc_binary_match(struct toc_eval *e, const struct toc_node *n,
                     const struct toc_eval_columns *left, const struct toc_eval_columns *right,
                     struct toc_eval_columns *out);
int toc_binary_set(struct toc_eval *e, const struct toc_node *n,
                   const struct toc_eval_columns *left, const struct toc_eval_columns *right,
                   struct toc_eval_columns *out);

#endif
