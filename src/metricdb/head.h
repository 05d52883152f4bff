/*
 * The head: all series that are being written, sharded by label hash. A shard has a mutex, a hash
 * table from labels to series and a table from id to series. The index (label pairs → ids) is one
 * for all shards behind a read-write lock that is taken before any shard lock.
 *
 * id = place in the shard's table * TOC_HEAD_SHARDS + shard; reference = generation << 32 | id,
 * where the generation counts the reuses of the place, so a reference of a forgotten series is
 * never mistaken.
 */
#ifndef TOC_METRICDB_HEAD_H
#define TOC_METRICDB_HEAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "metricdb/growth.h"
#include "metricdb/head_chunk.h"
#include "metricdb/index.h"
#include "metricdb/samples.h"
#include "metricdb/stream.h"
#include "model/querier.h"
#include "model/sink.h"
#include "sys/thread.h"

enum { TOC_HEAD_SHARDS = 16, TOC_HEAD_CHUNK_SAMPLES = 120 };

struct toc_histogram_track; /* histogram_track.h */
struct toc_metricdb_sample; /* metricdb.h */

struct toc_series {
    uint32_t id, generation;
    uint16_t pair_count;
    uint16_t chunk_count, chunk_capacity;
    bool is_dead;                           /* unlinked, waits for the end of running selects */
    struct toc_stream open;                 /* the newest samples */
    struct toc_head_chunk **chunks;         /* older ones, in time order, never overlapping */
    struct toc_histogram_track *histograms; /* NULL: floats only */
    int64_t closed_max_ms;                  /* end of the last chunk; INT64_MIN without one */
    uint32_t pairs[];                       /* in the order of the label names */
};

struct toc_head_slot {
    struct toc_series *series;
    uint32_t generation;
    atomic_bool is_dead; /* the series is unlinked; its successor may exist */
    bool is_written;     /* since somebody looked for the newest samples (newest.h) */
};

/* Half of the hash stands here so that a probe looks at a series only when it is the one, all but
 * for certain; its labels are compared then. */
struct toc_head_entry {
    uint32_t hash_low;
    uint32_t slot; /* place in the shard's slots + 1; 0: free */
};

struct toc_head_shard {
    struct toc_mutex mutex;
    struct toc_head_entry *table; /* open addressing by hash */
    size_t table_capacity, series_count;
    TOC_VEC(struct toc_head_slot) slots;
    struct toc_ids free_slots;
    uint64_t samples, chunks, chunk_bytes; /* held now; closed chunks */
    int64_t min_ms, max_ms;                /* bounds of what is held; min > max when empty */
    int64_t window_ms, window_end_ms;      /* the block window that was asked for last */
    struct toc_buf scratch;                /* of a chunk that is being closed */
};

struct toc_head {
    struct toc_rwlock index_lock;
    struct toc_index index;
    struct toc_head_shard shards[TOC_HEAD_SHARDS];
    int64_t block_span_ms;
    struct toc_growth *growth; /* told of new values of labels; NULL: nobody is */
    atomic_uint_fast64_t series_count, series_created;
    /* Running selects by the parity of the epoch in which they began. A select enters under the
     * index lock (read), the epoch moves under it (write). */
    atomic_uint selects[2];
    unsigned epoch;
    bool is_draining; /* the epoch before this one has not ended yet */
};

void toc_head_init(struct toc_head *h, int64_t block_span_ms);
void toc_head_fini(struct toc_head *h);
/* The series of the slot gets a place in the table of its shard. Under the shard lock. */
void toc_head_table_add(struct toc_head_shard *shard, uint64_t hash, uint32_t slot);

static inline struct toc_head_shard *toc_head_shard_of_id(struct toc_head *h, uint64_t ref) {
    return &h->shards[(uint32_t)ref % TOC_HEAD_SHARDS];
}
static inline uint64_t toc_series_ref(const struct toc_series *s) {
    return (uint64_t)s->generation << 32 | s->id;
}

/* The series of the labels with its shard locked (*out_shard), made when missing; NULL (nothing
 * locked) when a new one would exceed max_series; with 0 it only looks. */
struct toc_series *toc_head_series_lock(struct toc_head *h, struct toc_labels labels,
                                        uint64_t max_series, struct toc_head_shard **out_shard);
/* The same when the hash (toc_labels_hash) is known. */
struct toc_series *toc_head_series_lock_hashed(struct toc_head *h, struct toc_labels labels,
                                               uint64_t hash, uint64_t max_series,
                                               struct toc_head_shard **out_shard);
/* The same by reference; NULL (nothing locked) when it is unknown. */
struct toc_series *toc_head_ref_lock(struct toc_head *h, uint64_t ref,
                                     struct toc_head_shard **out_shard);

/* The same under the shard lock; NULL when the reference is unknown. */
static inline struct toc_series *toc_head_find_ref(const struct toc_head_shard *shard,
                                                   uint64_t ref) {
    size_t slot = (uint32_t)ref / TOC_HEAD_SHARDS;
    struct toc_series *s = slot < shard->slots.count ? shard->slots.items[slot].series : NULL;
    return s && !s->is_dead && s->generation == ref >> 32 ? s : NULL;
}
/* Brings the series of a reference (unknown ones are fine) towards the cache, in steps a few
 * samples apart: where its address stands, itself, the place where its next sample goes. Under the
 * shard lock. */
TOC_PREFETCHING void toc_head_prefetch_slot(const struct toc_head_shard *shard, uint64_t ref) {
    size_t slot = (uint32_t)ref / TOC_HEAD_SHARDS;
    if (slot < shard->slots.count)
        __builtin_prefetch(&shard->slots.items[slot]);
}
TOC_PREFETCHING void toc_head_prefetch(const struct toc_head_shard *shard, uint64_t ref) {
    size_t slot = (uint32_t)ref / TOC_HEAD_SHARDS;
    if (slot < shard->slots.count && shard->slots.items[slot].series) {
        __builtin_prefetch(shard->slots.items[slot].series);
        __builtin_prefetch((const char *)shard->slots.items[slot].series + 64);
    }
}
TOC_PREFETCHING void toc_head_prefetch_tail(const struct toc_head_shard *shard, uint64_t ref) {
    const struct toc_series *s = toc_head_find_ref(shard, ref);
    if (s && s->open.p)
        __builtin_prefetch(s->open.p + s->open.n, 1);
}

/* What an append did. */
enum toc_append {
    TOC_APPEND_DONE,
    TOC_APPEND_SAME,     /* the very sample is there */
    TOC_APPEND_DUPLICATE /* another value at this time is there */
};
/* Under the shard lock. Any t; out of order costs a re-encoding of one chunk. */
enum toc_append toc_series_append(struct toc_head *h, struct toc_head_shard *shard,
                                  struct toc_series *s, int64_t t_ms, double value);
/* Appends floats from the front of x for as long as each lies in [from_ms, until_ms) and behind all
 * that the series has; returns how many. The others are for the function above, one by one. */
size_t toc_series_append_latest(struct toc_head *h, struct toc_head_shard *shard,
                                struct toc_series *s, const struct toc_metricdb_sample *x, size_t n,
                                int64_t from_ms, int64_t until_ms);
/* The same with a histogram and its bytes (toc_histogram_encode). */
enum toc_append toc_series_append_histogram(struct toc_head *h, struct toc_head_shard *shard,
                                            struct toc_series *s, int64_t t_ms,
                                            const struct toc_histogram *histogram,
                                            struct toc_sv encoded);
/* Appends the samples in [min_ms, max_ms] to out, which is empty. Under the shard lock. TOC_ENOMEM:
 * its arena has no room for the histograms. */
int toc_series_read(const struct toc_series *s, int64_t min_ms, int64_t max_ms,
                    struct toc_series_buffer *out) TOC_MUST_CHECK;
/* Start of the first chunk that ends at or after from_ms, or from_ms when it begins before;
 * INT64_MAX when there is none. Under the shard lock. */
int64_t toc_series_next_sample(const struct toc_series *s, int64_t from_ms);
/* End of the last chunk that begins at or before to_ms, or to_ms when it ends behind; INT64_MIN
 * when there is none. Under the shard lock. */
int64_t toc_series_last_sample(const struct toc_series *s, int64_t to_ms);
/* First and last time; false when the series is empty. Under the shard lock. */
bool toc_series_bounds(const struct toc_series *s, int64_t *out_min_ms, int64_t *out_max_ms);
/* Room for at least one chunk more, there being none left. Under the shard lock. */
void toc_series_grow_chunks(struct toc_series *s);
/* First closed chunk that ends at or after t_ms; chunk_count when there is none. */
size_t toc_series_chunk_place(const struct toc_series *s, int64_t t_ms);
/* Is there a chunk that may hold a sample in the range? Under the shard lock. */
bool toc_series_overlaps(const struct toc_series *s, int64_t min_ms, int64_t max_ms);
/* Drops the samples in [min_ms, max_ms] if they are exactly `expected` in number; returns whether
 * it did. Under the shard lock. */
bool toc_series_trim(struct toc_head_shard *shard, struct toc_series *s, int64_t min_ms,
                     int64_t max_ms, size_t expected);
/* Deletes the samples in [min_ms, max_ms]; how many. Under the shard lock. */
size_t toc_series_cut(struct toc_head_shard *shard, struct toc_series *s, int64_t min_ms,
                      int64_t max_ms);
/* Label views of a series; `items` has room for s->pair_count. Borrowed while the series lives or a
 * select pins it. */
struct toc_labels toc_series_labels(const struct toc_head *h, const struct toc_series *s,
                                    struct toc_label *items);

/* Enters a select (under the index lock); returns what to leave with. */
unsigned toc_head_enter_select(struct toc_head *h);
void toc_head_leave_select(struct toc_head *h, unsigned ticket);
/* Waits until every select that runs now has ended; false after timeout_ms: call again, it goes on
 * waiting for the same ones. One caller at a time. */
bool toc_head_drain_selects(struct toc_head *h, int64_t timeout_ms);

struct toc_head_bounds {
    int64_t min_ms, max_ms; /* min > max when there are no samples */
    uint64_t chunk_bytes, samples;
};
/* All shards together. Takes their locks one after the other. */
struct toc_head_bounds toc_head_bounds(struct toc_head *h);
/* Recomputes the bounds of the shards after samples went. Takes their locks. */
void toc_head_rebound_all(struct toc_head *h);
/* Time of the first sample at or after from_ms, or a little earlier; INT64_MAX when there is none.
 * Looks at every series. */
int64_t toc_head_next_sample(struct toc_head *h, int64_t from_ms);
/* Walks over the places of a shard: false behind the last; *out NULL where no live series is. */
bool toc_head_series_at(struct toc_head *h, uint32_t shard, size_t place, struct toc_series **out);
/* Forgets series without samples, in two steps: they cannot be found any more, and `dead` gets
 * their ids; when no select runs they are freed, and `dead` is empty then. */
void toc_head_unlink_empty(struct toc_head *h, struct toc_ids *dead);
void toc_head_free_unlinked(struct toc_head *h, struct toc_ids *dead);

#endif
