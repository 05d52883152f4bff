#include "metricdb/newest.h"

#include <string.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"
#include "model/sample.h"

/* Places of a shard under one taking of its lock: a few microseconds. */
enum { PLACES_AT_ONCE = 256, SLOTS_AT_ONCE = 2048, AHEAD = 8 };

static bool newest_of(const struct toc_series *s, struct toc_newest_sample *out) {
    if (!s || s->is_dead || s->open.count == 0)
        return false;
    *out = (struct toc_newest_sample){toc_series_ref(s), s->open.last_ms, 0};
    memcpy(&out->value, &s->open.value_bits, sizeof out->value);
    return !toc_is_stale_nan(out->value);
}

TOC_PREFETCHING void fetch(const struct toc_head_shard *shard, size_t place, bool only_written) {
    const struct toc_head_slot *slot = &shard->slots.items[place];
    if (!slot->series || (only_written && !slot->is_written))
        return;
    __builtin_prefetch(slot->series);
    __builtin_prefetch((const char *)slot->series + 64);
}

/* cursor = shard << 32 | place */
static size_t walk(struct toc_head *h, uint64_t *cursor, struct toc_newest_sample *out, size_t max,
                   bool only_written) {
    uint32_t number = (uint32_t)(*cursor >> 32);
    size_t place = (uint32_t)*cursor, count = 0;
    struct toc_head_shard *shard = &h->shards[number];
    toc_mutex_lock(&shard->mutex);
    size_t most = only_written ? SLOTS_AT_ONCE : PLACES_AT_ONCE;
    size_t end = TOC_MIN(shard->slots.count, place + most);
    for (; place < end && count < max; place++) {
        struct toc_head_slot *slot = &shard->slots.items[place];
        if (place + AHEAD < end)
            fetch(shard, place + AHEAD, only_written);
        if (only_written && !slot->is_written)
            continue;
        slot->is_written = false;
        count += newest_of(slot->series, &out[count]);
    }
    bool has_more = place < shard->slots.count;
    toc_mutex_unlock(&shard->mutex);
    if (has_more)
        *cursor = (uint64_t)number << 32 | place;
    else
        *cursor = number + 1 < TOC_HEAD_SHARDS ? (uint64_t)(number + 1) << 32 : UINT64_MAX;
    return count;
}

static size_t next(struct toc_newest_source *source, uint64_t *cursor,
                   struct toc_newest_sample *out, size_t max) {
    return walk(&((struct toc_metricdb_newest *)source)->db->head, cursor, out, max, false);
}

static size_t next_written(struct toc_newest_source *source, uint64_t *cursor,
                           struct toc_newest_sample *out, size_t max) {
    return walk(&((struct toc_metricdb_newest *)source)->db->head, cursor, out, max, true);
}

static bool labels(struct toc_newest_source *source, uint64_t ref, struct toc_arena *arena,
                   struct toc_labels *out) {
    struct toc_head *h = &((struct toc_metricdb_newest *)source)->db->head;
    struct toc_head_shard *shard;
    struct toc_series *s = toc_head_ref_lock(h, ref, &shard);
    if (!s)
        return false;
    struct toc_label *items = TOC_ARENA_NEW_ARRAY(arena, struct toc_label, s->pair_count + 1);
    if (items)
        *out = toc_labels_dup_arena(toc_series_labels(h, s, items), arena);
    toc_mutex_unlock(&shard->mutex);
    return !arena->overflowed;
}

void toc_metricdb_newest_init(struct toc_metricdb_newest *n, struct toc_metricdb *db) {
    *n = (struct toc_metricdb_newest){{next, labels, next_written}, db};
}
