#include "metricdb/cardinality.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/metricdb_priv.h"

/* The largest so far: a heap whose root is the one to go next. */
struct top {
    struct toc_cardinality_row *rows;
    size_t count, limit;
};

/* Does a stand behind b in the result? */
static bool is_worse(const struct toc_cardinality_row *a, const struct toc_cardinality_row *b) {
    if (a->count != b->count)
        return a->count < b->count;
    int c = toc_sv_cmp(a->name, b->name);
    return c ? c > 0 : toc_sv_cmp(a->value, b->value) > 0;
}

static void swap_rows(struct toc_cardinality_row *a, struct toc_cardinality_row *b) {
    struct toc_cardinality_row swap = *a;
    *a = *b;
    *b = swap;
}

static void sift_down(struct top *t) {
    for (size_t i = 0;;) {
        size_t worst = i, left = 2 * i + 1, right = left + 1;
        if (left < t->count && is_worse(&t->rows[left], &t->rows[worst]))
            worst = left;
        if (right < t->count && is_worse(&t->rows[right], &t->rows[worst]))
            worst = right;
        if (worst == i)
            return;
        swap_rows(&t->rows[i], &t->rows[worst]);
        i = worst;
    }
}

static void offer(struct top *t, struct toc_sv name, struct toc_sv value, uint64_t count) {
    struct toc_cardinality_row row = {name, value, count};
    if (t->count == t->limit) {
        if (!t->limit || !is_worse(&t->rows[0], &row))
            return;
        t->rows[0] = row;
        sift_down(t);
        return;
    }
    size_t i = t->count++;
    t->rows[i] = row;
    for (; i && is_worse(&t->rows[i], &t->rows[(i - 1) / 2]); i = (i - 1) / 2)
        swap_rows(&t->rows[i], &t->rows[(i - 1) / 2]);
}

static int best_first(const void *a, const void *b) {
    return is_worse(a, b) ? 1 : is_worse(b, a) ? -1 : 0;
}

/* Texts become the arena's; false when it is full. */
static bool take(struct top *t, struct toc_arena *arena, struct toc_cardinality_list *out) {
    qsort(t->rows, t->count, sizeof *t->rows, best_first);
    out->count = t->count;
    out->rows = TOC_ARENA_NEW_ARRAY(arena, struct toc_cardinality_row, t->count + 1);
    for (size_t i = 0; out->rows && i < t->count; i++) {
        struct toc_cardinality_row row = t->rows[i];
        out->rows[i] = (struct toc_cardinality_row){toc_arena_dup_sv(arena, row.name),
                                                    toc_arena_dup_sv(arena, row.value), row.count};
    }
    return !arena->overflowed;
}

enum { BY_METRIC, BY_LABEL, BY_BYTES, BY_PAIR, TOPS };

struct walk {
    struct top tops[TOPS];
    bool is_metric_name;
    uint64_t values, bytes;
};

static void on_value(void *ctx, struct toc_label l, const struct toc_ids *series) {
    struct walk *w = ctx;
    w->values++;
    w->bytes += (uint64_t)series->count * l.value.n;
    offer(&w->tops[BY_PAIR], l.name, l.value, series->count);
    if (w->is_metric_name)
        offer(&w->tops[BY_METRIC], l.value, TOC_SV_NULL, series->count);
}

static void walk_index(const struct toc_index *x, struct walk *w) {
    for (size_t i = 0; i < x->names.count; i++) {
        const struct toc_index_name *name = x->names.items[i];
        w->values = w->bytes = 0;
        w->is_metric_name = toc_sv_eq(name->name, TOC_METRIC_NAME);
        toc_index_each_value(x, name, on_value, w);
        offer(&w->tops[BY_LABEL], name->name, TOC_SV_NULL, w->values);
        offer(&w->tops[BY_BYTES], name->name, TOC_SV_NULL, w->bytes);
    }
}

static void add_samples(struct toc_metricdb *db, struct toc_cardinality *out) {
    out->min_ms = INT64_MAX;
    out->max_ms = INT64_MIN;
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        struct toc_head_shard *shard = &db->head.shards[i];
        toc_mutex_lock(&shard->mutex);
        out->chunks += shard->chunks;
        out->min_ms = TOC_MIN(out->min_ms, shard->min_ms);
        out->max_ms = TOC_MAX(out->max_ms, shard->max_ms);
        toc_mutex_unlock(&shard->mutex);
    }
}

int toc_metricdb_cardinality(struct toc_metricdb *db, size_t limit, struct toc_arena *arena,
                             struct toc_cardinality *out) {
    struct walk w = {0};
    bool is_whole = true;
    *out = (struct toc_cardinality){
        .series = atomic_load_explicit(&db->head.series_count, memory_order_relaxed)};
    toc_rwlock_read(&db->head.index_lock);
    const struct toc_index *x = &db->head.index;
    out->label_names = x->names.count;
    out->label_pairs = x->pair_count;
    limit = TOC_MIN(limit, x->pair_count + x->names.count);
    for (int i = 0; i < TOPS; i++)
        w.tops[i] = (struct top){TOC_NEW_ARRAY(struct toc_cardinality_row, limit + 1), 0, limit};
    walk_index(x, &w);
    is_whole &= take(&w.tops[BY_METRIC], arena, &out->series_by_metric);
    is_whole &= take(&w.tops[BY_LABEL], arena, &out->values_by_label);
    is_whole &= take(&w.tops[BY_BYTES], arena, &out->bytes_by_label);
    is_whole &= take(&w.tops[BY_PAIR], arena, &out->series_by_pair);
    toc_rwlock_unlock(&db->head.index_lock);
    for (int i = 0; i < TOPS; i++)
        toc_free(w.tops[i].rows);
    add_samples(db, out);
    return is_whole ? 0 : TOC_ENOMEM;
}
