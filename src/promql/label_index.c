#include "promql/label_index_priv.h"

#include "base/alloc.h"

enum { SIZE_MIN = 64 };

static struct toc_label_entry *find(const struct toc_label_index *x, struct toc_labels labels,
                                    uint64_t hash) {
    size_t mask = x->size - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct toc_label_entry *e = &x->entries[i];
        if (!e->number || (e->hash == hash && toc_labels_eq(e->labels, labels)))
            return e;
    }
}

static void grow(struct toc_label_index *x) {
    struct toc_label_index bigger = {.size = x->size ? x->size * 2 : SIZE_MIN, .count = x->count};
    bigger.entries = TOC_NEW_ARRAY(struct toc_label_entry, bigger.size);
    size_t mask = bigger.size - 1;
    for (size_t i = 0; i < x->size; i++) {
        if (!x->entries[i].number)
            continue;
        size_t at = (size_t)x->entries[i].hash & mask;
        while (bigger.entries[at].number)
            at = (at + 1) & mask;
        bigger.entries[at] = x->entries[i];
    }
    toc_free(x->entries);
    *x = bigger;
}

size_t *toc_label_index_at_hash(struct toc_label_index *x, struct toc_labels labels,
                                uint64_t hash) {
    if ((x->count + 1) * 2 > x->size)
        grow(x);
    struct toc_label_entry *e = find(x, labels, hash);
    if (!e->number) {
        e->hash = hash;
        e->labels = labels;
        x->count++;
    }
    return &e->number;
}

size_t *toc_label_index_at(struct toc_label_index *x, struct toc_labels labels) {
    return toc_label_index_at_hash(x, labels, toc_labels_hash(labels));
}

size_t toc_label_index_get(const struct toc_label_index *x, struct toc_labels labels) {
    return x->size ? find(x, labels, toc_labels_hash(labels))->number : 0;
}

size_t toc_label_index_get_hash(const struct toc_label_index *x, struct toc_labels labels,
                                uint64_t hash) {
    return x->size ? find(x, labels, hash)->number : 0;
}

void toc_label_index_fini(struct toc_label_index *x) {
    toc_free(x->entries);
    *x = (struct toc_label_index){0};
}
