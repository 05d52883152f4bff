#include "metricdb/replay_batch.h"

enum {
    ENTRIES_PER_LOCK = 2048, /* whoever reads the log looks series up meanwhile */
    SLOT_AHEAD = 16,
    SERIES_AHEAD = 8,
    TAIL_AHEAD = 4,
};

/* What comes after place i on its way to the cache, unless it belongs to the same series. */
TOC_PREFETCHING void fetch_ahead(const struct toc_head_shard *shard,
                                 const struct toc_log_replay_list *list, size_t i) {
    const struct toc_log_replay_entry *e = list->items;
    uint64_t ref = e[i].ref;
    if (i + SLOT_AHEAD < list->count && e[i + SLOT_AHEAD].ref != ref)
        toc_head_prefetch_slot(shard, e[i + SLOT_AHEAD].ref);
    if (i + SERIES_AHEAD < list->count && e[i + SERIES_AHEAD].ref != ref)
        toc_head_prefetch(shard, e[i + SERIES_AHEAD].ref);
    if (i + TAIL_AHEAD < list->count && e[i + TAIL_AHEAD].ref != ref)
        toc_head_prefetch_tail(shard, e[i + TAIL_AHEAD].ref);
}

/* What came after a deletion in the log is kept: it is met later. */
static uint64_t put_extra(struct toc_head *h, struct toc_head_shard *shard, struct toc_series *s,
                          const struct toc_log_replay_entry *e) {
    const struct toc_log_replay_extra *x = e->extra;
    if (!x->histogram) {
        toc_series_cut(shard, s, x->min_ms, e->t_ms);
        return 0;
    }
    toc_series_append_histogram(h, shard, s, e->t_ms, x->histogram, x->encoded);
    return 1;
}

static uint64_t put_some(struct toc_head *h, struct toc_head_shard *shard,
                         const struct toc_log_replay_list *list, size_t from, size_t to) {
    struct toc_series *s = NULL;
    uint64_t last = 0, samples = 0;
    for (size_t i = from; i < to; i++) {
        const struct toc_log_replay_entry *e = &list->items[i];
        uint64_t ref = e->ref & ~TOC_LOG_REPLAY_HAS_EXTRA;
        fetch_ahead(shard, list, i);
        if (ref != last)
            s = toc_head_find_ref(shard, ref);
        last = ref;
        if (!s)
            continue;
        if (e->ref & TOC_LOG_REPLAY_HAS_EXTRA) {
            samples += put_extra(h, shard, s, e);
        } else {
            toc_series_append(h, shard, s, e->t_ms, e->value);
            samples++;
        }
    }
    return samples;
}

void toc_log_replay_batch_apply(struct toc_log_replay_batch *b, struct toc_head *h, size_t number) {
    struct toc_log_replay_list *list = &b->shards[number];
    struct toc_head_shard *shard = &h->shards[number];
    b->samples[number] = 0;
    for (size_t i = 0; i < list->count; i += ENTRIES_PER_LOCK) {
        toc_mutex_lock(&shard->mutex);
        b->samples[number] +=
            put_some(h, shard, list, i, TOC_MIN(i + ENTRIES_PER_LOCK, list->count));
        toc_mutex_unlock(&shard->mutex);
    }
    list->count = 0;
}

void toc_log_replay_batch_reset(struct toc_log_replay_batch *b) {
    b->count = 0;
    toc_arena_reset(&b->arena);
}

void toc_log_replay_batch_fini(struct toc_log_replay_batch *b) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++)
        TOC_VEC_FINI(&b->shards[i]);
    toc_arena_fini(&b->arena);
}
