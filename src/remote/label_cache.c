#include "remote/label_cache.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "sys/random.h"

enum { WORDS_MIN = 1024, PLACE_BITS = 22, PLACE_MASK = (1 << PLACE_BITS) - 1 };

void toc_label_cache_init(struct toc_label_cache *c, size_t entries_max) {
    TOC_ASSERT(entries_max && entries_max < PLACE_MASK);
    *c = (struct toc_label_cache){.entries_max = entries_max};
    toc_random_bytes(&c->seed, sizeof c->seed);
    toc_rwlock_init(&c->lock, TOC_LOCK_REMOTE);
}

void toc_label_cache_fini(struct toc_label_cache *c) {
    toc_free(c->entries);
    toc_free(c->words);
    toc_rwlock_fini(&c->lock);
}

/* The place in the table comes from the low bits of the key, the tag from others. */
static uint32_t tag_of(uint32_t key_high) {
    return key_high << PLACE_BITS;
}

/* Entry to which the next word with the tag of the key, from *io_at on, leads; NULL when a free
 * word comes before. */
static struct toc_label_cache_record *next_candidate(const struct toc_label_cache *c,
                                                     struct toc_hash128 key, size_t *io_at) {
    uint32_t tag = tag_of((uint32_t)key.high);
    for (size_t at = *io_at;; at++) {
        uint32_t word = c->words[at & (c->word_count - 1)];
        *io_at = at;
        if (!word)
            return NULL;
        if ((word & ~(uint32_t)PLACE_MASK) == tag)
            return &c->entries[(word & PLACE_MASK) - 1];
    }
}

static bool is_of(const struct toc_label_cache_record *e, struct toc_hash128 key) {
    return e->key_low == key.low && e->key_high == (uint32_t)key.high;
}

/* NULL: not known; then the word at *out_at is free. */
static struct toc_label_cache_record *find(const struct toc_label_cache *c, struct toc_hash128 key,
                                           size_t *out_at) {
    struct toc_label_cache_record *e;
    for (size_t at = (size_t)key.low;; at++) {
        e = next_candidate(c, key, &at);
        *out_at = at;
        if (!e || is_of(e, key))
            return e;
    }
}

struct toc_label_cache_entry toc_label_cache_get(struct toc_label_cache *c,
                                                 struct toc_hash128 key) {
    struct toc_label_cache_entry found = {.key = key};
    size_t at;
    toc_rwlock_read(&c->lock);
    const struct toc_label_cache_record *e = c->word_count ? find(c, key, &at) : NULL;
    if (e) {
        found.ref = e->ref;
        found.metadata_hash = e->metadata_hash;
    }
    toc_rwlock_unlock(&c->lock);
    return found;
}

static void find_refs(const struct toc_label_cache *c, const struct toc_hash128 *keys, size_t count,
                      uint64_t *out_refs) {
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(&c->words[(size_t)keys[i].low & (c->word_count - 1)]);
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)keys[i].low;
        __builtin_prefetch(next_candidate(c, keys[i], &at));
    }
    for (size_t i = 0; i < count; i++) {
        size_t at;
        const struct toc_label_cache_record *e = find(c, keys[i], &at);
        out_refs[i] = e ? e->ref : 0;
    }
}

void toc_label_cache_get_refs(struct toc_label_cache *c, const struct toc_hash128 *keys,
                              size_t count, uint64_t *out_refs) {
    TOC_ASSERT(count <= TOC_LABEL_CACHE_BATCH);
    memset(out_refs, 0, count * sizeof *out_refs);
    toc_rwlock_read(&c->lock);
    if (c->word_count)
        find_refs(c, keys, count, out_refs);
    toc_rwlock_unlock(&c->lock);
}

static void put_word(struct toc_label_cache *c, size_t place) {
    const struct toc_label_cache_record *e = &c->entries[place];
    size_t at = (size_t)e->key_low & (c->word_count - 1);
    while (c->words[at])
        at = (at + 1) & (c->word_count - 1);
    c->words[at] = tag_of(e->key_high) | (uint32_t)(place + 1);
}

static void grow_words(struct toc_label_cache *c) {
    toc_free(c->words);
    c->word_count = c->word_count ? c->word_count * 2 : WORDS_MIN;
    c->words = TOC_NEW_ARRAY(uint32_t, c->word_count);
    for (size_t i = 0; i < c->count; i++)
        put_word(c, i);
}

static void empty(struct toc_label_cache *c) {
    toc_free(c->entries);
    toc_free(c->words);
    c->entries = NULL;
    c->words = NULL;
    c->count = c->capacity = c->word_count = 0;
}

static void append(struct toc_label_cache *c, const struct toc_label_cache_record *entry) {
    if (c->count == c->entries_max)
        empty(c);
    if ((c->count + 1) * 8 > c->word_count * 7)
        grow_words(c);
    if (c->count == c->capacity) {
        c->capacity = TOC_MIN(c->capacity + c->capacity / 4 + 256, c->entries_max);
        c->entries = toc_xrealloc(c->entries, c->capacity * sizeof *c->entries);
    }
    c->entries[c->count] = *entry;
    put_word(c, c->count++);
}

void toc_label_cache_put(struct toc_label_cache *c, const struct toc_label_cache_entry *entry) {
    const struct toc_label_cache_record record = {entry->key.low, entry->ref,
                                                  (uint32_t)entry->key.high, entry->metadata_hash};
    size_t at;
    toc_rwlock_write(&c->lock);
    struct toc_label_cache_record *known = c->word_count ? find(c, entry->key, &at) : NULL;
    if (known)
        *known = record;
    else
        append(c, &record);
    toc_rwlock_unlock(&c->lock);
}

size_t toc_label_cache_count(struct toc_label_cache *c) {
    toc_rwlock_read(&c->lock);
    size_t n = c->count;
    toc_rwlock_unlock(&c->lock);
    return n;
}
