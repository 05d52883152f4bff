/*
 * Index of the head: label pairs (name, value) with the sorted ids of the series that carry them. A
 * pair is stored once and referred to by a 32-bit id, so a series costs four bytes per label.
 *
 * Locking: the owner's rwlock. Exception: toc_index_label of a pair that a live series refers to
 * may be called while holding only that series' shard lock (pairs never move; one is freed only
 * after its last series was unlinked).
 */
#ifndef TOC_METRICDB_INDEX_H
#define TOC_METRICDB_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "metricdb/match.h"
#include "model/labels.h"
#include "model/matcher.h"

struct toc_index_pair;

struct toc_index_name {
    struct toc_sv name;   /* owned */
    struct toc_ids pairs; /* one per value, in no order */
};

struct toc_index {
    struct toc_index_pair ***pages;
    uint32_t pair_limit; /* ids below were handed out */
    struct toc_ids free_pairs;
    uint32_t *slots; /* hash table of pair id + 1 */
    size_t slot_capacity, pair_count;
    TOC_VEC(struct toc_index_name *) names; /* sorted by name */
    struct toc_ids all;                     /* ids of all series, sorted */
};

void toc_index_init(struct toc_index *x);
void toc_index_fini(struct toc_index *x);
/* Adds a series; writes its pair ids (labels.count of them). */
void toc_index_add(struct toc_index *x, uint32_t series, struct toc_labels labels,
                   uint32_t *out_pairs);

/*
 * Building an empty index in bulk: first all pairs with the ids that they had, then
 * toc_index_restore_series with the place of every series' pair ids. Not thread-safe.
 */
/* False when the id or the pair is taken, or the id is out of all bounds. */
bool toc_index_restore_pair(struct toc_index *x, uint32_t pair,
                            struct toc_label label) TOC_MUST_CHECK;
/* Is there such a pair? */
bool toc_index_has_pair(const struct toc_index *x, uint64_t pair);
/* The series in rising order of their ids: pairs(ctx, i, out_id, out_count) gives those of the
 * i-th, which exist. Pairs that no series has go. */
typedef const uint32_t *toc_index_pairs(void *ctx, size_t i, uint32_t *out_id, size_t *out_count);
void toc_index_restore_series(struct toc_index *x, size_t count, toc_index_pairs *pairs, void *ctx);

/* Takes the series of `dead` (sorted) out of the lists of `pairs` (any order, duplicates allowed)
 * and frees pairs that nobody carries any more. */
void toc_index_remove(struct toc_index *x, const struct toc_ids *dead, struct toc_ids *pairs);
/* How many series carry the pair. */
size_t toc_index_series_count(const struct toc_index *x, struct toc_label l);
/* Is there but one series with the pair? */
bool toc_index_is_new(const struct toc_index *x, uint32_t pair);
/* Borrowed name and value. */
struct toc_label toc_index_label(const struct toc_index *x, uint32_t pair);
/* The sorted series that satisfy all matchers, appended to out. */
void toc_index_match(const struct toc_index *x, const struct toc_matcher *m, size_t count,
                     struct toc_ids *out);
/* Calls fn for each value of the name, in no order. */
typedef void toc_on_pair(void *ctx, struct toc_label label, const struct toc_ids *series);
void toc_index_each_value(const struct toc_index *x, const struct toc_index_name *name,
                          toc_on_pair *fn, void *ctx);
/* Calls fn for each pair whose bit is set (ids below pair_limit). */
void toc_index_each_marked(const struct toc_index *x, const uint64_t *bits, toc_on_pair *fn,
                           void *ctx);
/* Row of the name or NULL. */
const struct toc_index_name *toc_index_name(const struct toc_index *x, struct toc_sv name);
#endif
