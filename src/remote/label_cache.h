/*
 * From the bytes by which a sender names a series to its reference in the store, so that a series
 * that was seen before is neither parsed nor looked up by its labels. A key is a 128-bit hash under
 * a seed that nobody outside knows. Thread-safe: look-ups share a lock, learning has it alone.
 *
 * Entries stand in the order in which they came, in which a sender that repeats itself asks for
 * them; a table of small words leads to them. So a message looks at few pages of memory.
 *
 *   word   0: free, or place of the entry + 1 (22 bits) | 10 bits of the key << 22
 *   entry  24 bytes; of the key it keeps 96 bits, so that two of a full cache are alike by a chance
 *          of one in 2^53
 *
 * The memory is bounded: a full cache is emptied, which costs one look-up by labels for each series
 * when it comes again. A reference may have become unknown to the store; whoever finds out puts the
 * new one.
 */
#ifndef TOC_REMOTE_LABEL_CACHE_H
#define TOC_REMOTE_LABEL_CACHE_H

#include <stdint.h>

#include "base/hash.h"
#include "sys/thread.h"

enum { TOC_LABEL_CACHE_BATCH = 32 };

struct toc_label_cache_entry {
    struct toc_hash128 key;
    uint64_t ref;           /* 0: not known */
    uint32_t metadata_hash; /* of what the series said of its metric last; 0: nothing */
};

struct toc_label_cache_record {
    uint64_t key_low, ref;
    uint32_t key_high, metadata_hash;
};

struct toc_label_cache {
    uint64_t seed;
    size_t entries_max;
    struct toc_rwlock lock; /* guards what follows */
    struct toc_label_cache_record *entries;
    size_t count, capacity;
    uint32_t *words; /* open addressing */
    size_t word_count;
};

void toc_label_cache_init(struct toc_label_cache *c, size_t entries_max);
void toc_label_cache_fini(struct toc_label_cache *c);
static inline struct toc_hash128 toc_label_cache_key(const struct toc_label_cache *c, const void *p,
                                                     size_t n) {
    return toc_hash128(p, n, c->seed);
}
/* The reference and the metadata hash of the key; ref 0 when it is not known. */
struct toc_label_cache_entry toc_label_cache_get(struct toc_label_cache *c, struct toc_hash128 key);
/* The references of up to TOC_LABEL_CACHE_BATCH keys at once, 0 where one is not known: cheaper,
 * because the memory of all of them is fetched at the same time. */
void toc_label_cache_get_refs(struct toc_label_cache *c, const struct toc_hash128 *keys,
                              size_t count, uint64_t *out_refs);
void toc_label_cache_put(struct toc_label_cache *c, const struct toc_label_cache_entry *entry);
/* How many there are. */
size_t toc_label_cache_count(struct toc_label_cache *c);

#endif
