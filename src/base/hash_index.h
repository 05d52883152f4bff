/*
 * Places in an array of the caller by the hash of what stands there: open addressing, linear
 * probing, at most three quarters full. It holds no keys: a walk gives each place that was put
 * under the hash, and the caller compares.
 *
 *     uint32_t place;
 *     struct toc_hash_walk walk = toc_hash_index_walk(&index, hash);
 *     while (toc_hash_walk_next(&walk, &place))
 *         if (is_equal(&items[place], key))
 *             return place;
 *     toc_hash_index_put(&index, hash, items.count); … push the item
 *
 * Nothing is taken out. Not thread-safe.
 */
#ifndef TOC_BASE_HASH_INDEX_H
#define TOC_BASE_HASH_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toc_hash_slot {
    uint32_t hash;
    uint32_t number; /* place + 1; 0: free */
};

struct toc_hash_index {
    struct toc_hash_slot *slots;
    size_t count;
    size_t capacity; /* power of two, or 0 */
};

#define TOC_HASH_INDEX_INIT ((struct toc_hash_index){0})

/* The place must be below UINT32_MAX. Ends the walks that are under way. */
void toc_hash_index_put(struct toc_hash_index *x, uint32_t hash, uint32_t place);
void toc_hash_index_fini(struct toc_hash_index *x);

struct toc_hash_walk {
    const struct toc_hash_index *index;
    uint32_t hash;
    size_t at;
};

static inline struct toc_hash_walk toc_hash_index_walk(const struct toc_hash_index *x,
                                                       uint32_t hash) {
    return (struct toc_hash_walk){x, hash, hash};
}

/* False: there is no further place. */
static inline bool toc_hash_walk_next(struct toc_hash_walk *w, uint32_t *out_place) {
    const struct toc_hash_index *x = w->index;
    while (x->capacity) {
        const struct toc_hash_slot *slot = &x->slots[w->at & (x->capacity - 1)];
        if (!slot->number)
            return false;
        w->at++;
        if (slot->hash == w->hash) {
            *out_place = slot->number - 1;
            return true;
        }
    }
    return false;
}

#endif
