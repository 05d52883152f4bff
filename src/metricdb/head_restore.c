#include "metricdb/head_restore.h"

#include <string.h>

#include "base/alloc.h"
#include "metricdb/chunk.h"
#include "metricdb/histogram_track.h"

enum { ID_MAX = 1 << 24 };

/* --- series --- */

struct toc_series *toc_head_restored(struct toc_head *h, const struct toc_head_shard *shard,
                                     uint64_t id) {
    size_t slot = (size_t)(id / TOC_HEAD_SHARDS);
    bool is_here = id < ID_MAX && id % TOC_HEAD_SHARDS == (uint64_t)(shard - h->shards);
    return is_here && slot < shard->slots.count ? shard->slots.items[slot].series : NULL;
}

/* The names of a series rise, or it would not be found by its labels. */
static bool are_sorted(struct toc_labels l) {
    for (size_t i = 1; i < l.count; i++)
        if (toc_sv_cmp(l.items[i - 1].name, l.items[i].name) >= 0)
            return false;
    return l.count > 0;
}

static void set_slot(struct toc_head_shard *shard, struct toc_series *s) {
    size_t slot = s->id / TOC_HEAD_SHARDS;
    TOC_VEC_RESERVE(&shard->slots, slot + 1);
    while (shard->slots.count <= slot)
        TOC_VEC_PUSH(&shard->slots, ((struct toc_head_slot){NULL, 1, false, false}));
    shard->slots.items[slot].series = s;
}

/* Is there a series with the same pairs? */
static bool is_twice(const struct toc_head_shard *shard, uint64_t hash, const uint32_t *pairs,
                     size_t pair_count) {
    const struct toc_head_entry *table = shard->table;
    size_t mask = shard->table_capacity - 1;
    for (size_t i = (size_t)hash & mask; table[i].slot; i = (i + 1) & mask) {
        const struct toc_series *s = shard->slots.items[table[i].slot - 1].series;
        if (table[i].hash_low == (uint32_t)hash && s->pair_count == pair_count &&
            !memcmp(s->pairs, pairs, pair_count * sizeof *pairs))
            return true;
    }
    return false;
}

int toc_head_restore_series(struct toc_head *h, struct toc_head_shard *shard, uint32_t id,
                            const uint32_t *pairs, size_t pair_count, struct toc_series **out) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    uint32_t number = (uint32_t)(shard - h->shards);
    if (id >= ID_MAX || id % TOC_HEAD_SHARDS != number || toc_head_restored(h, shard, id) ||
        pair_count > TOC_SERIES_LABELS_MAX)
        return TOC_ECORRUPT;
    for (size_t i = 0; i < pair_count; i++)
        items[i] = toc_index_label(&h->index, pairs[i]);
    struct toc_labels labels = {items, pair_count};
    uint64_t hash = toc_labels_hash(labels);
    if (!are_sorted(labels) || hash >> 60 != number || is_twice(shard, hash, pairs, pair_count))
        return TOC_ECORRUPT;
    struct toc_series *s = toc_xcalloc(1, sizeof *s + pair_count * sizeof *s->pairs);
    s->id = id;
    s->generation = 1;
    s->pair_count = (uint16_t)pair_count;
    s->closed_max_ms = INT64_MIN;
    memcpy(s->pairs, pairs, pair_count * sizeof *pairs);
    set_slot(shard, s);
    toc_head_table_add(shard, hash, id / TOC_HEAD_SHARDS);
    *out = s;
    return 0;
}

/* --- chunks --- */

int toc_series_restore_keep(struct toc_head_shard *shard, struct toc_series *s, bool histograms,
                            uint64_t keep) {
    if (histograms)
        return toc_histogram_track_restore_keep(shard, s->histograms, keep);
    if (keep > s->chunk_count)
        return TOC_ECORRUPT;
    while (s->chunk_count > keep) {
        struct toc_head_chunk *c = s->chunks[--s->chunk_count];
        shard->chunk_bytes -= toc_head_chunk_size(c);
        shard->samples -= c->count;
        shard->chunks--;
        toc_free(c);
    }
    s->closed_max_ms =
        s->chunk_count ? toc_head_chunk_max(s->chunks[s->chunk_count - 1]) : INT64_MIN;
    return 0;
}

static bool is_sound(const struct toc_restored_chunk *c) {
    int64_t t[TOC_CHUNK_SAMPLES_MAX];
    double v[TOC_CHUNK_SAMPLES_MAX];
    size_t n;
    return toc_chunk_decode(c->bytes, t, v, &n) == 0 && n == c->count && n && t[0] == c->min_ms &&
           t[n - 1] == c->max_ms;
}

int toc_series_restore_chunk(struct toc_head_shard *shard, struct toc_series *s, bool histograms,
                             const struct toc_restored_chunk *c) {
    if (histograms && !s->histograms)
        s->histograms = TOC_NEW(struct toc_histogram_track);
    if (histograms)
        return toc_histogram_track_restore_chunk(shard, s->histograms, c);
    bool is_behind = !s->chunk_count || c->min_ms > s->closed_max_ms;
    if (!is_behind || s->chunk_count == UINT16_MAX || !is_sound(c))
        return TOC_ECORRUPT;
    if (s->chunk_count == s->chunk_capacity)
        toc_series_grow_chunks(s);
    struct toc_head_chunk *chunk = toc_head_chunk_new(c->min_ms, c->max_ms, c->count, c->bytes);
    s->chunks[s->chunk_count++] = chunk;
    s->closed_max_ms = c->max_ms;
    shard->chunks++;
    shard->chunk_bytes += toc_head_chunk_size(chunk);
    shard->samples += chunk->count;
    return 0;
}

int toc_series_restore_open(struct toc_head_shard *shard, struct toc_series *s, uint64_t count,
                            struct toc_sv bytes, uint64_t histogram_count,
                            struct toc_sv histogram_bytes) {
    if (s->open.count)
        return TOC_ECORRUPT; /* twice */
    if (count) {
        int rc = toc_stream_restore(&s->open, (const uint8_t *)bytes.p, bytes.n, count);
        if (rc || (s->chunk_count && s->open.first_ms <= s->closed_max_ms) ||
            count > TOC_CHUNK_SAMPLES_MAX)
            return TOC_ECORRUPT;
        shard->chunk_bytes += s->open.capacity;
        shard->samples += count;
    }
    if (!histogram_count)
        return 0;
    if (!s->histograms)
        s->histograms = TOC_NEW(struct toc_histogram_track);
    return toc_histogram_track_restore_open(shard, s->histograms, histogram_count, histogram_bytes);
}

/* --- shards --- */

void toc_head_restore_sums(struct toc_head_shard *shard) {
    for (size_t i = shard->slots.count; i-- > 0;) {
        const struct toc_series *s = shard->slots.items[i].series;
        int64_t first, last;
        if (!s)
            TOC_VEC_PUSH(&shard->free_slots, (uint32_t)i);
        if (!s || !toc_series_bounds(s, &first, &last))
            continue;
        shard->min_ms = TOC_MIN(shard->min_ms, first);
        shard->max_ms = TOC_MAX(shard->max_ms, last);
    }
}

/* --- all --- */

struct series_list {
    TOC_VEC_FIELDS(const struct toc_series *)
};

static const uint32_t *pairs_of(void *ctx, size_t i, uint32_t *out_id, size_t *out_count) {
    const struct series_list *list = ctx;
    *out_id = list->items[i]->id;
    *out_count = list->items[i]->pair_count;
    return list->items[i]->pairs;
}

void toc_head_restore_index(struct toc_head *h) {
    struct series_list list = {0};
    for (size_t k = 0, shards = TOC_HEAD_SHARDS; shards; k++) { /* ids rise */
        shards = 0;
        for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
            const struct toc_head_shard *shard = &h->shards[i];
            shards += k < shard->slots.count;
            if (k < shard->slots.count && shard->slots.items[k].series)
                TOC_VEC_PUSH(&list, shard->slots.items[k].series);
        }
    }
    toc_index_restore_series(&h->index, list.count, pairs_of, &list);
    atomic_store_explicit(&h->series_count, list.count, memory_order_relaxed);
    atomic_store_explicit(&h->series_created, list.count, memory_order_relaxed);
    TOC_VEC_FINI(&list);
}
