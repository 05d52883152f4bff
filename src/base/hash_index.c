#include "base/hash_index.h"

#include "base/alloc.h"
#include "base/assert.h"

enum { CAPACITY_MIN = 256 };

static void place_slot(struct toc_hash_index *x, struct toc_hash_slot slot) {
    size_t mask = x->capacity - 1, at = slot.hash & mask;
    while (x->slots[at].number)
        at = (at + 1) & mask;
    x->slots[at] = slot;
}

static void grow(struct toc_hash_index *x) {
    struct toc_hash_index bigger = {.count = x->count,
                                    .capacity = x->capacity ? x->capacity * 2 : CAPACITY_MIN};
    bigger.slots = TOC_NEW_ARRAY(struct toc_hash_slot, bigger.capacity);
    for (size_t i = 0; i < x->capacity; i++)
        if (x->slots[i].number)
            place_slot(&bigger, x->slots[i]);
    toc_free(x->slots);
    *x = bigger;
}

void toc_hash_index_put(struct toc_hash_index *x, uint32_t hash, uint32_t place) {
    TOC_ASSERT(place < UINT32_MAX);
    if ((x->count + 1) * 4 > x->capacity * 3)
        grow(x);
    place_slot(x, (struct toc_hash_slot){hash, place + 1});
    x->count++;
}

void toc_hash_index_fini(struct toc_hash_index *x) {
    toc_free(x->slots);
    *x = TOC_HASH_INDEX_INIT;
}
