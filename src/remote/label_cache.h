/*
 * From the bytes by which a sender names a series to its reference in the store, so that a series
 * that was seen before is neither parsed nor looked up by its labels. A key is a 128-bit hash under
 * a seed that nobody outside knows. Thread-safe: 64 parts with a lock each.
 *
 * The memory is bounded: a part that is full is emptied, which costs one look-up by labels for each
 * of its series when it comes again. A reference may have become unknown to the store; whoever
 * finds out puts the new one.
 */
#ifndef TOC_REMOTE_LABEL_CACHE_H
#define TOC_REMOTE_LABEL_CACHE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/hash.h"
#include "sys/thread.h"

enum { TOC_LABEL_CACHE_PARTS = 64 };

struct toc_label_cache_entry {
    struct toc_hash128 key;
    uint64_t ref;           /* 0: an empty place */
    uint64_t metadata_hash; /* of what the series said of its metric last; 0: nothing */
};

struct toc_label_cache {
    uint64_t seed;
    size_t part_max; /* entries of one part */
    struct toc_label_cache_part {
        struct toc_mutex mutex;
        /* Open addressing. Changed under the lock; the prefetch looks at both without it. */
        _Atomic(struct toc_label_cache_entry *) entries;
        atomic_size_t capacity;
        size_t count;
    } parts[TOC_LABEL_CACHE_PARTS];
};

void toc_label_cache_init(struct toc_label_cache *c, size_t entries_max);
void toc_label_cache_fini(struct toc_label_cache *c);
static inline struct toc_hash128 toc_label_cache_key(const struct toc_label_cache *c, const void *p,
                                                     size_t n) {
    return toc_hash128(p, n, c->seed);
}
/* Brings the place of the key near, for a get soon. Never waits. */
TOC_PREFETCHING void toc_label_cache_prefetch(const struct toc_label_cache *c,
                                              struct toc_hash128 key) {
    const struct toc_label_cache_part *p = &c->parts[key.low >> 58];
    size_t capacity = atomic_load_explicit(&p->capacity, memory_order_relaxed);
    const struct toc_label_cache_entry *entries =
        atomic_load_explicit(&p->entries, memory_order_relaxed);
    if (capacity)
        __builtin_prefetch(entries + ((size_t)key.low & (capacity - 1)));
}
/* The reference and the metadata hash of the key; ref 0 when it is not known. */
struct toc_label_cache_entry toc_label_cache_get(struct toc_label_cache *c, struct toc_hash128 key);
void toc_label_cache_put(struct toc_label_cache *c, const struct toc_label_cache_entry *entry);
/* How many there are. */
size_t toc_label_cache_count(struct toc_label_cache *c);

#endif
