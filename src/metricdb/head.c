#include "metricdb/head.h"

#include "metricdb/histogram_track.h"

#include "base/assert.h"
#include "sys/clock.h"

enum { TABLE_MIN = 64 };

void toc_head_init(struct toc_head *h, int64_t block_span_ms) {
    *h = (struct toc_head){.block_span_ms = block_span_ms};
    toc_rwlock_init(&h->index_lock, TOC_LOCK_METRICDB);
    toc_index_init(&h->index);
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &h->shards[i];
        toc_mutex_init(&shard->mutex, TOC_LOCK_SERIES);
        shard->table_capacity = TABLE_MIN;
        shard->table = TOC_NEW_ARRAY(struct toc_head_entry, TABLE_MIN);
        shard->min_ms = INT64_MAX;
        shard->max_ms = INT64_MIN;
    }
}

static void free_series(struct toc_series *s) {
    for (size_t i = 0; i < s->chunk_count; i++)
        toc_free(s->chunks[i]);
    toc_free(s->chunks);
    toc_stream_reset(&s->open, 0);
    toc_histogram_track_free(&s->histograms);
    toc_free(s);
}

void toc_head_fini(struct toc_head *h) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &h->shards[i];
        for (size_t j = 0; j < shard->slots.count; j++)
            if (shard->slots.items[j].series)
                free_series(shard->slots.items[j].series);
        TOC_VEC_FINI(&shard->slots);
        TOC_VEC_FINI(&shard->free_slots);
        toc_free(shard->table);
        toc_buf_fini(&shard->scratch);
        toc_mutex_fini(&shard->mutex);
    }
    toc_index_fini(&h->index);
    toc_rwlock_fini(&h->index_lock);
}

struct toc_labels toc_series_labels(const struct toc_head *h, const struct toc_series *s,
                                    struct toc_label *items) {
    for (size_t i = 0; i < s->pair_count; i++)
        items[i] = toc_index_label(&h->index, s->pairs[i]);
    return (struct toc_labels){items, s->pair_count};
}

/* --- table of a shard --- */

static bool series_is(const struct toc_head *h, const struct toc_series *s, struct toc_labels l) {
    if (s->pair_count != l.count)
        return false;
    for (size_t i = 0; i < l.count; i++) {
        struct toc_label mine = toc_index_label(&h->index, s->pairs[i]);
        if (!toc_sv_eq(mine.value, l.items[i].value) || !toc_sv_eq(mine.name, l.items[i].name))
            return false;
    }
    return true;
}

/* The shard comes from the top bits of the hash, the place in its table from the low ones. */
static struct toc_head_shard *shard_of(struct toc_head *h, uint64_t hash) {
    return &h->shards[hash >> 60];
}

static struct toc_series *lookup(const struct toc_head *h, const struct toc_head_shard *shard,
                                 uint64_t hash, struct toc_labels l) {
    size_t mask = shard->table_capacity - 1;
    const struct toc_head_entry *table = shard->table;
    for (size_t i = (size_t)hash & mask; table[i].slot; i = (i + 1) & mask) {
        if (table[i].hash_low != (uint32_t)hash)
            continue;
        struct toc_series *s = shard->slots.items[table[i].slot - 1].series;
        if (series_is(h, s, l))
            return s;
    }
    return NULL;
}

static void place(struct toc_head_entry *table, size_t capacity, struct toc_head_entry e) {
    size_t i = e.hash_low & (capacity - 1);
    while (table[i].slot)
        i = (i + 1) & (capacity - 1);
    table[i] = e;
}

/* Up to seven eighths full: a probe compares numbers that stand side by side. */
void toc_head_table_add(struct toc_head_shard *shard, uint64_t hash, uint32_t slot) {
    if (++shard->series_count * 8 > shard->table_capacity * 7) {
        size_t capacity = shard->table_capacity * 2;
        struct toc_head_entry *table = TOC_NEW_ARRAY(struct toc_head_entry, capacity);
        for (size_t i = 0; i < shard->table_capacity; i++)
            if (shard->table[i].slot)
                place(table, capacity, shard->table[i]);
        toc_free(shard->table);
        shard->table = table;
        shard->table_capacity = capacity;
    }
    place(shard->table, shard->table_capacity, (struct toc_head_entry){(uint32_t)hash, slot + 1});
}

static uint64_t hash_of(const struct toc_head *h, const struct toc_series *s) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    return toc_labels_hash(toc_series_labels(h, s, items));
}

static void unlink_series(const struct toc_head *h, struct toc_head_shard *shard,
                          const struct toc_series *s) {
    struct toc_head_entry *table = shard->table;
    uint32_t slot = s->id / TOC_HEAD_SHARDS;
    size_t mask = shard->table_capacity - 1, i = (size_t)hash_of(h, s) & mask;
    while (table[i].slot != slot + 1)
        i = (i + 1) & mask;
    size_t hole = i;
    table[hole].slot = 0;
    for (i = (i + 1) & mask; table[i].slot; i = (i + 1) & mask) {
        size_t home = table[i].hash_low & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        table[hole] = table[i];
        table[i].slot = 0;
        hole = i;
    }
    shard->series_count--;
}

/* --- making series --- */

static uint32_t take_slot(struct toc_head_shard *shard) {
    if (shard->free_slots.count)
        return shard->free_slots.items[--shard->free_slots.count];
    /* Generations start at 1, so that no reference is 0. */
    TOC_VEC_PUSH(&shard->slots, ((struct toc_head_slot){NULL, 1, false, false}));
    return (uint32_t)shard->slots.count - 1;
}

static void note_growth(struct toc_head *h, const struct toc_series *s, struct toc_labels l) {
    for (size_t i = 0; i < l.count && h->growth; i++)
        if (toc_index_is_new(&h->index, s->pairs[i]))
            toc_growth_add(h->growth, toc_labels_get(l, TOC_METRIC_NAME), l.items[i].name,
                           l.items[i].value);
}

/* Under the index lock (write) and the shard lock. */
static struct toc_series *make_series(struct toc_head *h, struct toc_head_shard *shard,
                                      uint64_t hash, struct toc_labels l) {
    struct toc_series *s = toc_xcalloc(1, sizeof *s + l.count * sizeof *s->pairs);
    uint32_t slot = take_slot(shard);
    s->id = slot * TOC_HEAD_SHARDS + (uint32_t)(shard - h->shards);
    s->generation = shard->slots.items[slot].generation;
    s->pair_count = (uint16_t)l.count;
    s->closed_max_ms = INT64_MIN;
    shard->slots.items[slot].series = s;
    atomic_store_explicit(&shard->slots.items[slot].is_dead, false, memory_order_relaxed);
    toc_index_add(&h->index, s->id, l, s->pairs);
    toc_head_table_add(shard, hash, slot);
    note_growth(h, s, l);
    atomic_fetch_add_explicit(&h->series_count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->series_created, 1, memory_order_relaxed);
    return s;
}

struct toc_series *toc_head_series_lock(struct toc_head *h, struct toc_labels labels,
                                        uint64_t max_series, struct toc_head_shard **out_shard) {
    return toc_head_series_lock_hashed(h, labels, toc_labels_hash(labels), max_series, out_shard);
}

struct toc_series *toc_head_series_lock_hashed(struct toc_head *h, struct toc_labels labels,
                                               uint64_t hash, uint64_t max_series,
                                               struct toc_head_shard **out_shard) {
    struct toc_head_shard *shard = shard_of(h, hash);
    *out_shard = shard;
    toc_mutex_lock(&shard->mutex);
    struct toc_series *s = lookup(h, shard, hash, labels);
    if (s)
        return s;
    toc_mutex_unlock(&shard->mutex);
    if (!max_series)
        return NULL;
    toc_rwlock_write(&h->index_lock);
    toc_mutex_lock(&shard->mutex);
    s = lookup(h, shard, hash, labels);
    if (!s && atomic_load_explicit(&h->series_count, memory_order_relaxed) < max_series)
        s = make_series(h, shard, hash, labels);
    if (!s)
        toc_mutex_unlock(&shard->mutex);
    toc_rwlock_unlock(&h->index_lock);
    return s;
}

struct toc_series *toc_head_ref_lock(struct toc_head *h, uint64_t ref,
                                     struct toc_head_shard **out_shard) {
    struct toc_head_shard *shard = toc_head_shard_of_id(h, ref);
    toc_mutex_lock(&shard->mutex);
    struct toc_series *s = toc_head_find_ref(shard, ref);
    if (s)
        *out_shard = shard;
    else
        toc_mutex_unlock(&shard->mutex);
    return s;
}

/* --- running selects --- */

unsigned toc_head_enter_select(struct toc_head *h) {
    unsigned ticket = h->epoch & 1;
    atomic_fetch_add_explicit(&h->selects[ticket], 1, memory_order_relaxed);
    return ticket;
}

void toc_head_leave_select(struct toc_head *h, unsigned ticket) {
    /* Release pairs with the acquire of whoever waits for zero: all reads are done. */
    atomic_fetch_sub_explicit(&h->selects[ticket], 1, memory_order_release);
}

bool toc_head_drain_selects(struct toc_head *h, int64_t timeout_ms) {
    toc_rwlock_write(&h->index_lock);
    /* One epoch at a time may be ending, or its counter would be shared with a later one. */
    h->epoch += !h->is_draining;
    h->is_draining = true;
    unsigned old = (h->epoch - 1) & 1;
    toc_rwlock_unlock(&h->index_lock);
    while (atomic_load_explicit(&h->selects[old], memory_order_acquire)) {
        if (timeout_ms-- <= 0)
            return false;
        toc_sleep_ms(1);
    }
    h->is_draining = false;
    return true;
}

/* --- forgetting --- */

struct toc_head_bounds toc_head_bounds(struct toc_head *h) {
    struct toc_head_bounds b = {INT64_MAX, INT64_MIN, 0, 0};
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &h->shards[i];
        toc_mutex_lock(&shard->mutex);
        b.min_ms = TOC_MIN(b.min_ms, shard->min_ms);
        b.max_ms = TOC_MAX(b.max_ms, shard->max_ms);
        b.chunk_bytes += shard->chunk_bytes;
        b.samples += shard->samples;
        toc_mutex_unlock(&shard->mutex);
    }
    return b;
}

static void rebound(struct toc_head_shard *shard) {
    toc_mutex_lock(&shard->mutex);
    shard->min_ms = INT64_MAX;
    shard->max_ms = INT64_MIN;
    for (size_t i = 0; i < shard->slots.count; i++) {
        const struct toc_series *s = shard->slots.items[i].series;
        int64_t first, last;
        if (!s || !toc_series_bounds(s, &first, &last))
            continue;
        shard->min_ms = TOC_MIN(shard->min_ms, first);
        shard->max_ms = TOC_MAX(shard->max_ms, last);
    }
    toc_mutex_unlock(&shard->mutex);
}

void toc_head_rebound_all(struct toc_head *h) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++)
        rebound(&h->shards[i]);
}

int64_t toc_head_next_sample(struct toc_head *h, int64_t from_ms) {
    int64_t next = INT64_MAX;
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &h->shards[i];
        toc_mutex_lock(&shard->mutex);
        for (size_t k = 0; k < shard->slots.count; k++) {
            const struct toc_series *s = shard->slots.items[k].series;
            if (s)
                next = TOC_MIN(next, toc_series_next_sample(s, from_ms));
        }
        toc_mutex_unlock(&shard->mutex);
    }
    return next;
}

bool toc_head_series_at(struct toc_head *h, uint32_t shard_number, size_t place,
                        struct toc_series **out) {
    struct toc_head_shard *shard = &h->shards[shard_number];
    toc_mutex_lock(&shard->mutex);
    bool is_there = place < shard->slots.count;
    *out = is_there ? shard->slots.items[place].series : NULL;
    if (*out && (*out)->is_dead)
        *out = NULL;
    toc_mutex_unlock(&shard->mutex);
    return is_there;
}

static void unlink_empty(const struct toc_head *h, struct toc_head_shard *shard,
                         struct toc_ids *dead) {
    toc_mutex_lock(&shard->mutex);
    for (size_t i = 0; i < shard->slots.count; i++) {
        struct toc_series *s = shard->slots.items[i].series;
        int64_t first, last;
        if (!s || s->is_dead || toc_series_bounds(s, &first, &last))
            continue;
        unlink_series(h, shard, s);
        s->is_dead = true;
        atomic_store_explicit(&shard->slots.items[i].is_dead, true, memory_order_relaxed);
        TOC_VEC_PUSH(dead, s->id);
    }
    toc_mutex_unlock(&shard->mutex);
}

/* Under the index lock (write) with no select running. */
static void free_dead(struct toc_head *h, struct toc_ids *dead) {
    struct toc_ids pairs = {0};
    toc_ids_sort(dead);
    for (size_t i = 0; i < dead->count; i++) {
        struct toc_head_shard *shard = toc_head_shard_of_id(h, dead->items[i]);
        uint32_t slot = dead->items[i] / TOC_HEAD_SHARDS;
        toc_mutex_lock(&shard->mutex);
        struct toc_series *s = shard->slots.items[slot].series;
        for (size_t j = 0; j < s->pair_count; j++)
            TOC_VEC_PUSH(&pairs, s->pairs[j]);
        shard->slots.items[slot].series = NULL;
        shard->slots.items[slot].generation++;
        TOC_VEC_PUSH(&shard->free_slots, slot);
        toc_mutex_unlock(&shard->mutex);
        free_series(s);
    }
    toc_index_remove(&h->index, dead, &pairs);
    atomic_fetch_sub_explicit(&h->series_count, dead->count, memory_order_relaxed);
    TOC_VEC_FINI(&pairs);
    TOC_VEC_FINI(dead);
}

void toc_head_unlink_empty(struct toc_head *h, struct toc_ids *dead) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++)
        unlink_empty(h, &h->shards[i], dead);
}

void toc_head_free_unlinked(struct toc_head *h, struct toc_ids *dead) {
    if (!dead->count)
        return;
    toc_rwlock_write(&h->index_lock);
    /* None can begin here, so 0 means that none holds a label. */
    if (!atomic_load_explicit(&h->selects[0], memory_order_acquire) &&
        !atomic_load_explicit(&h->selects[1], memory_order_acquire))
        free_dead(h, dead);
    toc_rwlock_unlock(&h->index_lock);
}
