#include "remote/label_cache.h"

#include "base/alloc.h"
#include "sys/random.h"

enum { CAPACITY_MIN = 64 };

void toc_label_cache_init(struct toc_label_cache *c, size_t entries_max) {
    *c = (struct toc_label_cache){.part_max =
                                      TOC_MAX(entries_max / TOC_LABEL_CACHE_PARTS, (size_t)1)};
    toc_random_bytes(&c->seed, sizeof c->seed);
    for (size_t i = 0; i < TOC_LABEL_CACHE_PARTS; i++)
        toc_mutex_init(&c->parts[i].mutex, TOC_LOCK_REMOTE);
}

static struct toc_label_cache_entry *entries_of(const struct toc_label_cache_part *p) {
    return atomic_load_explicit(&p->entries, memory_order_relaxed);
}

static size_t capacity_of(const struct toc_label_cache_part *p) {
    return atomic_load_explicit(&p->capacity, memory_order_relaxed);
}

void toc_label_cache_fini(struct toc_label_cache *c) {
    for (size_t i = 0; i < TOC_LABEL_CACHE_PARTS; i++) {
        toc_free(entries_of(&c->parts[i]));
        toc_mutex_fini(&c->parts[i].mutex);
    }
}

/* The part comes from the top bits of the key, the place in it from the low ones. */
static struct toc_label_cache_part *part_of(struct toc_label_cache *c, struct toc_hash128 key) {
    return &c->parts[key.low >> 58];
}

static struct toc_label_cache_entry *place_of(struct toc_label_cache_entry *entries,
                                              size_t capacity, struct toc_hash128 key) {
    size_t mask = capacity - 1, i = (size_t)key.low & mask;
    while (entries[i].ref && (entries[i].key.low != key.low || entries[i].key.high != key.high))
        i = (i + 1) & mask;
    return &entries[i];
}

struct toc_label_cache_entry toc_label_cache_get(struct toc_label_cache *c,
                                                 struct toc_hash128 key) {
    struct toc_label_cache_part *p = part_of(c, key);
    struct toc_label_cache_entry found = {.ref = 0};
    toc_mutex_lock(&p->mutex);
    if (capacity_of(p))
        found = *place_of(entries_of(p), capacity_of(p), key);
    toc_mutex_unlock(&p->mutex);
    return found;
}

/* The table with `capacity` places (0: none) and what stood in the old one. */
static void rehash(struct toc_label_cache_part *p, size_t capacity) {
    struct toc_label_cache_entry *old = entries_of(p);
    struct toc_label_cache_entry *entries =
        capacity ? TOC_NEW_ARRAY(struct toc_label_cache_entry, capacity) : NULL;
    for (size_t i = 0; capacity && i < capacity_of(p); i++)
        if (old[i].ref)
            *place_of(entries, capacity, old[i].key) = old[i];
    atomic_store_explicit(&p->capacity, capacity, memory_order_relaxed);
    atomic_store_explicit(&p->entries, entries, memory_order_relaxed);
    toc_free(old);
}

static void make_room(struct toc_label_cache_part *p, size_t part_max) {
    if (p->count >= part_max) {
        rehash(p, 0);
        p->count = 0;
    }
    if ((p->count + 1) * 4 > capacity_of(p) * 3)
        rehash(p, capacity_of(p) ? capacity_of(p) * 2 : CAPACITY_MIN);
}

void toc_label_cache_put(struct toc_label_cache *c, const struct toc_label_cache_entry *entry) {
    struct toc_label_cache_part *p = part_of(c, entry->key);
    toc_mutex_lock(&p->mutex);
    make_room(p, c->part_max);
    struct toc_label_cache_entry *at = place_of(entries_of(p), capacity_of(p), entry->key);
    p->count += !at->ref;
    *at = *entry;
    toc_mutex_unlock(&p->mutex);
}

size_t toc_label_cache_count(struct toc_label_cache *c) {
    size_t n = 0;
    for (size_t i = 0; i < TOC_LABEL_CACHE_PARTS; i++) {
        toc_mutex_lock(&c->parts[i].mutex);
        n += c->parts[i].count;
        toc_mutex_unlock(&c->parts[i].mutex);
    }
    return n;
}
