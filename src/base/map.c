#include "base/map.h"

#include "base/alloc.h"
#include "base/hash.h"

static uint64_t key_hash(struct toc_sv key) {
    uint64_t h = toc_hash64(key.p, key.n, 0);
    return h ? h : 1;
}

static struct toc_map_entry *find(const struct toc_map *m, struct toc_sv key, uint64_t hash) {
    if (!m->capacity)
        return NULL;
    size_t mask = m->capacity - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct toc_map_entry *e = &m->slots[i];
        if (!e->hash || (e->hash == hash && toc_sv_eq(e->key, key)))
            return e;
    }
}

void *toc_map_get(const struct toc_map *m, struct toc_sv key) {
    struct toc_map_entry *e = find(m, key, key_hash(key));
    return e && e->hash ? e->value : NULL;
}

bool toc_map_has(const struct toc_map *m, struct toc_sv key) {
    struct toc_map_entry *e = find(m, key, key_hash(key));
    return e && e->hash;
}

static void grow(struct toc_map *m) {
    struct toc_map bigger = {.capacity = m->capacity ? m->capacity * 2 : 16};
    bigger.slots = TOC_NEW_ARRAY(struct toc_map_entry, bigger.capacity);
    bigger.count = m->count;
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i].hash)
            *find(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    toc_free(m->slots);
    *m = bigger;
}

void *toc_map_put(struct toc_map *m, struct toc_sv key, void *value) {
    if (m->count * 4 >= m->capacity * 3)
        grow(m);
    uint64_t hash = key_hash(key);
    struct toc_map_entry *e = find(m, key, hash);
    void *former = e->hash ? e->value : NULL;
    if (!e->hash) {
        *e = (struct toc_map_entry){.hash = hash, .key = {toc_sv_dup_cstr(key), key.n}};
        m->count++;
    }
    e->value = value;
    return former;
}

/* Backward-shift deletion keeps probe chains without tombstones. */
static void close_gap(struct toc_map *m, size_t hole) {
    size_t mask = m->capacity - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].hash; i = (i + 1) & mask) {
        size_t home = (size_t)m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            m->slots[i].hash = 0;
            hole = i;
        }
    }
}

void *toc_map_remove(struct toc_map *m, struct toc_sv key) {
    struct toc_map_entry *e = find(m, key, key_hash(key));
    if (!e || !e->hash)
        return NULL;
    void *value = e->value;
    toc_free((void *)(uintptr_t)e->key.p);
    e->hash = 0;
    m->count--;
    close_gap(m, (size_t)(e - m->slots));
    return value;
}

const struct toc_map_entry *toc_map_next(const struct toc_map *m, size_t *cursor) {
    while (*cursor < m->capacity) {
        const struct toc_map_entry *e = &m->slots[(*cursor)++];
        if (e->hash)
            return e;
    }
    return NULL;
}

void toc_map_fini(struct toc_map *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i].hash)
            toc_free((void *)(uintptr_t)m->slots[i].key.p);
    toc_free(m->slots);
    *m = TOC_MAP_INIT;
}
