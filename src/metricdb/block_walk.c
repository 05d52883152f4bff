#include "metricdb/block_walk.h"

#include "base/alloc.h"
#include "base/assert.h"

void toc_block_walk_init(struct toc_block_walk *w, struct toc_metricdb *db, size_t capacity) {
    TOC_ASSERT(capacity <= TOC_BLOCK_WALK_MAX);
    *w = (struct toc_block_walk){.db = db, .capacity = capacity};
    w->sources = TOC_NEW_ARRAY(struct toc_walk_source, capacity + 1);
}

void toc_block_walk_fini(struct toc_block_walk *w) {
    for (size_t i = 0; i < w->count; i++) {
        toc_tombstones_unref(&w->sources[i].tombstones);
        toc_block_index_unref(&w->sources[i].index);
    }
    toc_free(w->sources);
    *w = (struct toc_block_walk){0};
}

int toc_block_walk_add(struct toc_block_walk *w, int store, struct toc_block *b) {
    struct toc_blocks *set = toc_metricdb_store(w->db, store);
    unsigned damaged;
    TOC_ASSERT(w->count < w->capacity);
    struct toc_walk_source *s = &w->sources[w->count];
    s->block = b;
    s->store = store;
    s->tombstones = toc_blocks_tombstones(set, b);
    int rc = toc_blocks_index(set, b, &s->index, &damaged);
    w->count += !rc;
    if (rc)
        toc_tombstones_unref(&s->tombstones);
    return rc;
}

/* To the series `number`; labels.items NULL behind the last. */
static int load_labels(struct toc_walk_source *s) {
    s->labels = TOC_LABELS_EMPTY;
    if (s->number >= s->block->meta.series)
        return 0;
    return toc_block_index_labels(s->index, s->number, s->items, &s->labels);
}

int toc_block_walk_begin(struct toc_block_walk *w) {
    int rc = 0;
    for (size_t i = 0; i < w->count && !rc; i++)
        rc = load_labels(&w->sources[i]);
    return rc;
}

const struct toc_walk_source *toc_block_walk_smallest(const struct toc_block_walk *w) {
    const struct toc_walk_source *best = NULL;
    for (size_t i = 0; i < w->count; i++) {
        const struct toc_walk_source *s = &w->sources[i];
        if (s->labels.items && (!best || toc_labels_cmp(s->labels, best->labels) < 0))
            best = s;
    }
    return best;
}

bool toc_walk_source_is_at(const struct toc_walk_source *s, struct toc_labels labels) {
    return s->labels.items && toc_labels_eq(s->labels, labels);
}

int toc_block_walk_next(struct toc_block_walk *w, const struct toc_walk_source *at) {
    bool moves[TOC_BLOCK_WALK_MAX];
    int rc = 0;
    for (size_t i = 0; i < w->count; i++)
        moves[i] = toc_walk_source_is_at(&w->sources[i], at->labels);
    for (size_t i = 0; i < w->count && !rc; i++) {
        if (!moves[i])
            continue;
        w->sources[i].number++;
        rc = load_labels(&w->sources[i]);
    }
    return rc;
}
