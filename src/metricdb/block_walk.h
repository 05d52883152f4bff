/* Several blocks side by side, series by series in label order: how merging and rolling up read. */
#ifndef TOC_METRICDB_BLOCK_WALK_H
#define TOC_METRICDB_BLOCK_WALK_H

#include "metricdb/metricdb_priv.h"

enum { TOC_BLOCK_WALK_MAX = 256 };

/* One of the blocks. */
struct toc_walk_source {
    struct toc_block *block; /* borrowed */
    int store;               /* enum toc_metricdb_store */
    struct toc_block_index *index;
    struct toc_tombstones *tombstones;
    uint32_t number; /* of the series at hand */
    struct toc_labels labels;
    struct toc_label items[TOC_SERIES_LABELS_MAX];
};

struct toc_block_walk {
    struct toc_metricdb *db;
    struct toc_walk_source *sources;
    size_t count, capacity;
};

/* Room for `capacity` sources, at most TOC_BLOCK_WALK_MAX. */
void toc_block_walk_init(struct toc_block_walk *w, struct toc_metricdb *db, size_t capacity);
void toc_block_walk_fini(struct toc_block_walk *w);
/* The block must live as long as the walk; on failure it takes no part. */
int toc_block_walk_add(struct toc_block_walk *w, int store, struct toc_block *b) TOC_MUST_CHECK;
/* All sources to their first series. */
int toc_block_walk_begin(struct toc_block_walk *w) TOC_MUST_CHECK;
/* The source with the smallest labels; NULL behind the last series of all. */
const struct toc_walk_source *toc_block_walk_smallest(const struct toc_block_walk *w);
bool toc_walk_source_is_at(const struct toc_walk_source *s, struct toc_labels labels);
/* Whoever stands at the labels goes on. */
int toc_block_walk_next(struct toc_block_walk *w, const struct toc_walk_source *at) TOC_MUST_CHECK;

#endif
