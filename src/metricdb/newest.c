#include "metricdb/newest.h"

#include <string.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"
#include "model/sample.h"

/* Places of a shard under one taking of its lock: a few microseconds. */
enum { PLACES_AT_ONCE = 256, AHEAD = 8 };

static bool newest_of(const struct toc_series *s, struct toc_newest_sample *out) {
    if (!s || s->is_dead || s->open.count == 0)
        return false;
    *out = (struct toc_newest_sample){toc_series_ref(s), s->open.last_ms, 0};
    memcpy(&out->value, &s->open.value_bits, sizeof out->value);
    return !toc_is_stale_nan(out->value);
}

/* cursor = shard << 32 | place */
static size_t next(struct toc_newest_source *source, uint64_t *cursor,
                   struct toc_newest_sample *out, size_t max) {
    struct toc_head *h = &((struct toc_metricdb_newest *)source)->db->head;
    uint32_t number = (uint32_t)(*cursor >> 32);
    size_t place = (uint32_t)*cursor, count = 0;
    struct toc_head_shard *shard = &h->shards[number];
    toc_mutex_lock(&shard->mutex);
    size_t end = TOC_MIN(shard->slots.count, place + TOC_MIN(max, (size_t)PLACES_AT_ONCE));
    for (; place < end; place++) {
        if (place + AHEAD < end && shard->slots.items[place + AHEAD].series)
            __builtin_prefetch((const char *)shard->slots.items[place + AHEAD].series + 64);
        count += newest_of(shard->slots.items[place].series, &out[count]);
    }
    bool has_more = place < shard->slots.count;
    toc_mutex_unlock(&shard->mutex);
    if (has_more)
        *cursor = (uint64_t)number << 32 | place;
    else
        *cursor = number + 1 < TOC_HEAD_SHARDS ? (uint64_t)(number + 1) << 32 : UINT64_MAX;
    return count;
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
    *n = (struct toc_metricdb_newest){{next, labels}, db};
}
