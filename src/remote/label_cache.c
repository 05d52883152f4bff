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

void toc_label_cache_fini(struct toc_label_cache *c) {
    for (size_t i = 0; i < TOC_LABEL_CACHE_PARTS; i++) {
        toc_free(c->parts[i].entries);
        toc_mutex_fini(&c->parts[i].mutex);
    }
}

/* The part comes from the top bits of the key, the place in it from the low ones. */
static struct toc_label_cache_part *part_of(struct toc_label_cache *c, struct toc_hash128 key) {
    return &c->parts[key.low >> 58];
}

static struct toc_label_cache_entry *place_of(const struct toc_label_cache_part *p,
                                              struct toc_hash128 key) {
    size_t mask = p->capacity - 1, i = (size_t)key.low & mask;
    while (p->entries[i].ref &&
           (p->entries[i].key.low != key.low || p->entries[i].key.high != key.high))
        i = (i + 1) & mask;
    return &p->entries[i];
}

struct toc_label_cache_entry toc_label_cache_get(struct toc_label_cache *c,
                                                 struct toc_hash128 key) {
    struct toc_label_cache_part *p = part_of(c, key);
    struct toc_label_cache_entry found = {.ref = 0};
    toc_mutex_lock(&p->mutex);
    if (p->capacity)
        found = *place_of(p, key);
    toc_mutex_unlock(&p->mutex);
    return found;
}

static void rehash(struct toc_label_cache_part *p, size_t capacity) {
    struct toc_label_cache_part old = *p;
    p->entries = TOC_NEW_ARRAY(struct toc_label_cache_entry, capacity);
    p->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].ref)
            *place_of(p, old.entries[i].key) = old.entries[i];
    toc_free(old.entries);
}

static void make_room(struct toc_label_cache_part *p, size_t part_max) {
    if (p->count >= part_max) {
        toc_free(p->entries);
        p->entries = NULL;
        p->count = p->capacity = 0;
    }
    if ((p->count + 1) * 4 > p->capacity * 3)
        rehash(p, p->capacity ? p->capacity * 2 : CAPACITY_MIN);
}

void toc_label_cache_put(struct toc_label_cache *c, const struct toc_label_cache_entry *entry) {
    struct toc_label_cache_part *p = part_of(c, entry->key);
    toc_mutex_lock(&p->mutex);
    make_room(p, c->part_max);
    struct toc_label_cache_entry *at = place_of(p, entry->key);
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
