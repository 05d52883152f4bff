/*
 * Hash map from byte strings (or 64-bit integers) to pointers: open addressing, linear probing.
 * Keys are copied. Values are borrowed: the owner frees them. Not thread-safe.
 */
#ifndef TOC_BASE_MAP_H
#define TOC_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

struct toc_map_entry {
    uint64_t hash; /* 0 = empty slot */
    struct toc_sv key;
    void *value;
};

struct toc_map {
    struct toc_map_entry *slots;
    size_t count;
    size_t capacity; /* power of two, or 0 */
};

#define TOC_MAP_INIT ((struct toc_map){0})

/* The value, or NULL when the key is absent. */
void *toc_map_get(const struct toc_map *m, struct toc_sv key);
bool toc_map_has(const struct toc_map *m, struct toc_sv key);
/* Stores the value, returns the former one (NULL when the key is new). */
void *toc_map_put(struct toc_map *m, struct toc_sv key, void *value);
/* Removes the key, returns its value (NULL when absent). */
void *toc_map_remove(struct toc_map *m, struct toc_sv key);
/* Iteration in slot order: start with *cursor = 0; NULL at the end. Do not change the map
 * meanwhile. */
const struct toc_map_entry *toc_map_next(const struct toc_map *m, size_t *cursor);
void toc_map_fini(struct toc_map *m);

/* The same with a 64-bit key. */
static inline struct toc_sv toc_map_u64(const uint64_t *key) {
    return toc_sv_make((const char *)key, sizeof *key);
}

#endif
