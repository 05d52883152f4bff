/* The series of a vector sorted into histograms, for functions that take both kinds. */
#ifndef TOC_PROMQL_HISTOGRAM_SPLIT_PRIV_H
#define TOC_PROMQL_HISTOGRAM_SPLIT_PRIV_H

#include "promql/histograms_priv.h"

struct toc_le_column {
    double upper;
    const struct toc_column *column;
};
/* Everything with the same labels apart from "le". */
struct toc_histogram_group {
    struct toc_labels labels;
    struct toc_sv metric;
    bool drop_name; /* of a series */
    TOC_VEC(struct toc_le_column) buckets; /* in rising order of the bound */
    TOC_VEC(const struct toc_column *) natives;
};
struct toc_histogram_split {
    TOC_VEC_FIELDS(struct toc_histogram_group)
    struct toc_map by_labels;
    size_t most_buckets;
    struct toc_le_bucket *scratch; /* room for most_buckets */
};

/* arg: the vector's expression, for notes. The columns are borrowed. */
int toc_histogram_split(struct toc_eval *e, const struct toc_node *arg,
                        const struct toc_eval_columns *in, struct toc_histogram_split *out);
void toc_histogram_split_fini(struct toc_histogram_split *s);
/* The classic buckets of a group at a step go to s->scratch; how many there are. */
size_t toc_histogram_group_buckets(const struct toc_histogram_split *s,
                                   const struct toc_histogram_group *g, size_t step);

#endif
