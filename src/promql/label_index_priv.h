/* Finds label sets: a table from labels to a number, without memory of its own per entry. */
#ifndef TOC_PROMQL_LABEL_INDEX_PRIV_H
#define TOC_PROMQL_LABEL_INDEX_PRIV_H

#include "model/labels.h"

struct toc_label_entry {
    uint64_t hash;
    struct toc_labels labels; /* borrowed */
    size_t number;            /* 0: the entry is free */
};

/* Starts zeroed. */
struct toc_label_index {
    struct toc_label_entry *entries; /* open addressing; a power of two of them */
    size_t size, count;
};

/* The number kept for these labels. Where it reads 0 the labels are new: the caller must set it to
 * something else before the next call, and the labels must live as long as the index. The pointer
 * is valid until the next call. */
size_t *toc_label_index_at(struct toc_label_index *x, struct toc_labels labels);
/* The same where the hash (toc_labels_hash) is known. */
size_t *toc_label_index_at_hash(struct toc_label_index *x, struct toc_labels labels, uint64_t hash);
/* 0 when there is none. */
size_t toc_label_index_get(const struct toc_label_index *x, struct toc_labels labels);
size_t toc_label_index_get_hash(const struct toc_label_index *x, struct toc_labels labels,
                                uint64_t hash);
void toc_label_index_fini(struct toc_label_index *x);

#endif
