/* Label names and values: from the indexes of head and blocks, without a look at samples. */
#include "base/alloc.h"
#include "metricdb/rollups.h"

struct strings {
    TOC_VEC_FIELDS(struct toc_sv)
    struct toc_sv name; /* its values are wanted; empty: the names */
};

static void add(struct strings *x, struct toc_label l) {
    struct toc_sv text = x->name.n ? l.value : l.name;
    /* Pairs of a name follow each other. */
    if (!x->count || x->name.n || !toc_sv_eq(x->items[x->count - 1], text))
        TOC_VEC_PUSH(x, text);
}

static void on_head_pair(void *ctx, struct toc_label l, const struct toc_ids *series) {
    struct strings *x = ctx;
    (void)series;
    if (!x->name.n || toc_sv_eq(l.name, x->name))
        add(x, l);
}

static void on_head_value(void *ctx, struct toc_label l, const struct toc_ids *series) {
    struct strings *x = ctx;
    (void)series;
    TOC_VEC_PUSH(x, l.value);
}

static void on_block_pair(void *ctx, struct toc_label l) {
    add(ctx, l);
}

/* --- the head --- */

/* A bit for each pair that a matching series has. Under the index lock. */
static uint64_t *mark_pairs(struct toc_head *h, const struct toc_select *s) {
    uint64_t *bits = toc_xcalloc((size_t)h->index.pair_limit / 64 + 1, sizeof *bits);
    struct toc_ids ids = {0};
    toc_index_match(&h->index, s->matchers, s->matcher_count, &ids);
    for (size_t i = 0; i < ids.count; i++) {
        const struct toc_head_shard *shard = toc_head_shard_of_id(h, ids.items[i]);
        const struct toc_head_slot *slot = &shard->slots.items[ids.items[i] / TOC_HEAD_SHARDS];
        if (atomic_load_explicit(&slot->is_dead, memory_order_relaxed))
            continue;
        for (size_t k = 0; k < slot->series->pair_count; k++) {
            uint32_t pair = slot->series->pairs[k];
            bits[pair / 64] |= 1ULL << pair % 64;
        }
    }
    TOC_VEC_FINI(&ids);
    return bits;
}

static void list_head(struct toc_head *h, const struct toc_select *s, struct strings *x) {
    const struct toc_index *index = &h->index;
    if (s->matcher_count) {
        uint64_t *bits = mark_pairs(h, s);
        toc_index_each_marked(index, bits, on_head_pair, x);
        toc_free(bits);
        return;
    }
    const struct toc_index_name *row = x->name.n ? toc_index_name(index, x->name) : NULL;
    if (row)
        toc_index_each_value(index, row, on_head_value, x);
    for (size_t i = 0; i < index->names.count && !x->name.n; i++)
        TOC_VEC_PUSH(x, index->names.items[i]->name);
}

/* --- blocks --- */

#define LONGEST_BUCKET_MS INT64_C(3600000)

struct indexes {
    TOC_VEC_FIELDS(struct toc_block_index *)
};

static int list_block(struct toc_metricdb *db, int store, struct toc_block *b,
                      const struct toc_select *s, struct strings *x,
                      struct toc_block_index **out_index) {
    unsigned damaged;
    int rc = toc_blocks_index(toc_metricdb_store(db, store), b, out_index, &damaged);
    if (rc) {
        *out_index = NULL;
        return rc == TOC_ECORRUPT ? 0 : rc;
    }
    struct toc_ids ids = {0};
    if (s->matcher_count)
        toc_block_index_match(*out_index, s->matchers, s->matcher_count, &ids);
    toc_block_index_each_pair(*out_index, s->matcher_count ? &ids : NULL, x->name, on_block_pair,
                              x);
    TOC_VEC_FINI(&ids);
    return 0;
}

/* --- the result --- */

static int emit(struct strings *x, toc_on_string *fn, void *ctx) {
    int rc = 0;
    toc_sv_sort(x->items, x->count);
    for (size_t i = 0; i < x->count && !rc; i++)
        if (!i || !toc_sv_eq(x->items[i], x->items[i - 1]))
            rc = fn(ctx, x->items[i]);
    return rc;
}

/* Where the next finer store begins: later roll-ups name no series that it does not name. With
 * rules of retention it may lack some anywhere. */
static int64_t finer_from(struct toc_metricdb *db, int store) {
    int64_t from = INT64_MAX;
    if (store == TOC_METRICDB_RAW || db->rule_count > 1)
        return INT64_MAX;
    struct toc_blocks *finer = toc_metricdb_store(db, store - 1);
    toc_mutex_lock(&finer->mutex);
    for (size_t i = 0; i < finer->list.count; i++)
        from = TOC_MIN(from, finer->list.items[i]->meta.min_ms);
    toc_mutex_unlock(&finer->mutex);
    return from;
}

/* The indexes of a store's blocks join `held`, because the strings lie in them. */
static int list_store(struct toc_metricdb *db, int store, struct strings *x,
                      const struct toc_select *s, struct indexes *held) {
    struct toc_block **blocks;
    int64_t finer_ms = finer_from(db, store);
    int rc = 0;
    /* The last bucket that tells of max_ms ends later. */
    size_t n = toc_blocks_overlapping(toc_metricdb_store(db, store), s->min_ms,
                                      s->max_ms > INT64_MAX - LONGEST_BUCKET_MS
                                          ? INT64_MAX
                                          : s->max_ms + toc_metricdb_resolution(store),
                                      &blocks);
    for (size_t i = 0; i < n; i++) {
        struct toc_block_index *index = NULL;
        if (!rc && blocks[i]->meta.range_min < finer_ms)
            rc = list_block(db, store, blocks[i], s, x, &index);
        if (index)
            TOC_VEC_PUSH(held, index);
        toc_block_unref(&blocks[i]);
    }
    toc_free(blocks);
    return rc;
}

static int list(struct toc_metricdb *db, struct strings *x, const struct toc_select *s,
                toc_on_string *fn, void *ctx, struct toc_err *err) {
    struct toc_head_bounds bounds = toc_head_bounds(&db->head);
    struct indexes held = {0};
    toc_rwlock_read(&db->head.index_lock);
    unsigned ticket = toc_head_enter_select(&db->head); /* keeps the texts alive */
    if (bounds.min_ms <= s->max_ms && bounds.max_ms >= s->min_ms)
        list_head(&db->head, s, x);
    toc_rwlock_unlock(&db->head.index_lock);
    int rc = 0;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT && !rc; k++)
        rc = list_store(db, k, x, s, &held);
    if (rc)
        toc_errf(err, rc, "cannot read a block in %s: %s", db->dir, toc_strerror(rc));
    else
        rc = emit(x, fn, ctx);
    toc_head_leave_select(&db->head, ticket);
    for (size_t i = 0; i < held.count; i++)
        toc_block_index_unref(&held.items[i]);
    TOC_VEC_FINI(&held);
    TOC_VEC_FINI(x);
    return rc;
}

int toc_metricdb_label_names(struct toc_querier *q, const struct toc_select *s, toc_on_string *fn,
                             void *ctx, struct toc_err *err) {
    struct strings x = {0};
    return list(TOC_CONTAINER_OF(q, struct toc_metricdb, querier), &x, s, fn, ctx, err);
}

int toc_metricdb_label_values(struct toc_querier *q, struct toc_sv name, const struct toc_select *s,
                              toc_on_string *fn, void *ctx, struct toc_err *err) {
    struct strings x = {.name = name};
    return name.n ? list(TOC_CONTAINER_OF(q, struct toc_metricdb, querier), &x, s, fn, ctx, err)
                  : 0;
}
