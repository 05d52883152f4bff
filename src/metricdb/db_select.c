/* Reading: series of the head and of every block that overlaps, joined by their labels. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/assert.h"
#include "metricdb/metricdb_priv.h"

/* One series in one place. Places are ordered: blocks by id, the head last. */
struct source {
    uint64_t hash;
    uint32_t place;
    uint32_t number;           /* in a block */
    struct toc_series *series; /* in the head */
};

struct origin {
    struct toc_block *block; /* NULL for the head */
    struct toc_block_index *index;
};

struct selection {
    struct toc_metricdb *db;
    const struct toc_select *s;
    toc_on_series *fn;
    void *ctx;
    struct toc_block **blocks;
    unsigned ticket;
    int failure; /* a chunk could not be read for another reason than damage */
    TOC_VEC(struct origin) origins;
    TOC_VEC(struct source) sources;
    struct toc_columns columns;
    struct toc_block_chunks chunks;
    struct toc_buf scratch;
};

static void note_index_damage(struct selection *q, const struct toc_block *b, unsigned files) {
    struct toc_metricdb_loss loss = {0};
    toc_sv_copy(toc_sv_cstr(b->path), loss.path, sizeof loss.path);
    for (unsigned i = 0; i < files; i++)
        toc_metricdb_note_loss(q->db, &loss);
}

/* --- gathering --- */

static void gather_head(struct selection *q) {
    struct toc_head *h = &q->db->head;
    struct toc_ids ids = {0};
    toc_rwlock_read(&h->index_lock);
    /* From here to the end of the select no series is freed and no label either. */
    q->ticket = toc_head_enter_select(h);
    toc_index_match(&h->index, q->s->matchers, q->s->matcher_count, &ids);
    TOC_VEC_RESERVE(&q->sources, q->sources.count + ids.count);
    for (size_t i = 0; i < ids.count; i++) {
        struct toc_head_shard *shard = toc_head_shard_of_id(h, ids.items[i]);
        toc_mutex_lock(&shard->mutex);
        struct toc_series *s = shard->slots.items[ids.items[i] / TOC_HEAD_SHARDS].series;
        toc_mutex_unlock(&shard->mutex);
        TOC_VEC_PUSH(&q->sources, ((struct source){s->hash, (uint32_t)q->origins.count, 0, s}));
    }
    toc_rwlock_unlock(&h->index_lock);
    TOC_VEC_PUSH(&q->origins, ((struct origin){NULL, NULL}));
    TOC_VEC_FINI(&ids);
}

/* Damage is noted and the rest answered; anything else must not pass for "there is no data". */
static int gather_block(struct selection *q, struct toc_block *b) {
    struct origin o = {.block = b};
    struct toc_ids ids = {0};
    unsigned damaged = 0;
    int rc = toc_blocks_index(&q->db->blocks, b, &o.index, &damaged);
    note_index_damage(q, b, damaged);
    if (rc)
        return rc == TOC_ECORRUPT ? 0 : rc;
    toc_block_index_match(o.index, q->s->matchers, q->s->matcher_count, &ids);
    TOC_VEC_RESERVE(&q->sources, q->sources.count + ids.count);
    for (size_t i = 0; i < ids.count; i++) {
        struct toc_label items[TOC_SERIES_LABELS_MAX];
        struct toc_labels labels;
        if (toc_block_index_series(o.index, ids.items[i], items, &labels, NULL))
            continue;
        TOC_VEC_PUSH(&q->sources,
                     ((struct source){toc_labels_hash(labels), (uint32_t)q->origins.count,
                                      ids.items[i], NULL}));
    }
    TOC_VEC_PUSH(&q->origins, o);
    TOC_VEC_FINI(&ids);
    return 0;
}

static struct toc_labels labels_of(const struct selection *q, const struct source *x,
                                   struct toc_label *items) {
    if (x->series)
        return toc_series_labels(&q->db->head, x->series, items);
    struct toc_labels labels = TOC_LABELS_EMPTY;
    int rc =
        toc_block_index_series(q->origins.items[x->place].index, x->number, items, &labels, NULL);
    TOC_ASSERT(rc == 0); /* it was read once when gathered */
    return labels;
}

/* --- samples --- */

static void note_chunk_loss(struct selection *q, const struct toc_block *b,
                            struct toc_labels labels, const struct toc_block_chunk *c) {
    struct toc_metricdb_loss loss = {.offset = c->offset,
                                     .bytes = c->bytes,
                                     .min_ms = c->min_ms,
                                     .max_ms = c->max_ms,
                                     .samples = c->samples};
    struct toc_buf text = TOC_BUF_INIT;
    toc_labels_format(labels, &text);
    toc_sv_copy(toc_buf_sv(&text), loss.series, sizeof loss.series);
    toc_sv_copy(toc_sv_cstr(b->path), loss.path, sizeof loss.path);
    toc_metricdb_note_loss(q->db, &loss);
    toc_buf_fini(&text);
}

/* Returns whether the series has something in the range; samples only when wanted. */
static bool read_block(struct selection *q, const struct source *x) {
    const struct origin *o = &q->origins.items[x->place];
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels labels;
    q->chunks.count = 0;
    if (toc_block_index_series(o->index, x->number, items, &labels, &q->chunks))
        return false;
    bool any = false;
    for (size_t i = 0; i < q->chunks.count; i++) {
        const struct toc_block_chunk *c = &q->chunks.items[i];
        if (c->max_ms < q->s->min_ms || c->min_ms > q->s->max_ms)
            continue;
        any = true;
        if (q->s->labels_only)
            return true;
        size_t from = q->columns.count;
        int rc = toc_block_read_chunk(o->index, c, &q->scratch, &q->columns);
        if (rc == TOC_ECORRUPT || rc == TOC_EIO)
            note_chunk_loss(q, o->block, labels, c);
        else if (rc)
            q->failure = rc;
        else
            toc_columns_clip(&q->columns, from, q->s->min_ms, q->s->max_ms);
    }
    return any;
}

static bool read_head(struct selection *q, const struct source *x) {
    struct toc_head_shard *shard = toc_head_shard_of_id(&q->db->head, x->series->id);
    toc_mutex_lock(&shard->mutex);
    bool any = toc_series_overlaps(x->series, q->s->min_ms, q->s->max_ms);
    if (any && !q->s->labels_only)
        toc_series_read(x->series, q->s->min_ms, q->s->max_ms, &q->columns);
    toc_mutex_unlock(&shard->mutex);
    return any;
}

/* Hands over one series that lives in `count` places. */
static int emit(struct selection *q, const struct source *group, size_t count) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    bool any = false;
    q->columns.count = 0;
    for (size_t i = 0; i < count; i++)
        any |= group[i].series ? read_head(q, &group[i]) : read_block(q, &group[i]);
    if (count > 1)
        toc_columns_sort(&q->columns);
    if (q->failure)
        return q->failure;
    if (!any || (!q->s->labels_only && !q->columns.count))
        return 0;
    struct toc_series_view view = {
        .labels = labels_of(q, group, items),
        .t_ms = q->columns.t_ms,
        .values = q->columns.values,
        .count = q->columns.count,
    };
    return q->fn(q->ctx, &view);
}

/* --- order --- */

static int by_hash(const void *a, const void *b) {
    const struct source *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static bool same_series(const struct selection *q, const struct source *a, const struct source *b) {
    struct toc_label mine[TOC_SERIES_LABELS_MAX], theirs[TOC_SERIES_LABELS_MAX];
    return toc_labels_eq(labels_of(q, a, mine), labels_of(q, b, theirs));
}

/* Of a run of equal hashes: brings those with the labels of the first to the front; how many they
 * are. */
static size_t take_group(const struct selection *q, struct source *run, size_t count) {
    size_t n = 1;
    for (size_t i = 1; i < count; i++) {
        if (!same_series(q, &run[0], &run[i]))
            continue;
        struct source swap = run[n];
        run[n++] = run[i];
        run[i] = swap;
    }
    return n;
}

static size_t run_length(const struct source *s, size_t count) {
    size_t n = 1;
    while (n < count && s[n].hash == s[0].hash)
        n++;
    return n;
}

struct group {
    struct toc_labels labels;
    size_t first, count;
};

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp(((const struct group *)a)->labels, ((const struct group *)b)->labels);
}

static struct toc_labels keep_labels(struct selection *q, const struct source *x,
                                     struct toc_arena *arena) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels l = labels_of(q, x, items);
    struct toc_label *kept = TOC_ARENA_NEW_ARRAY(arena, struct toc_label, l.count);
    if (kept && l.count)
        memcpy(kept, items, l.count * sizeof *kept);
    return (struct toc_labels){kept, kept ? l.count : 0};
}

static int emit_sorted(struct selection *q, struct group *groups, size_t count) {
    if (count > 1)
        qsort(groups, count, sizeof *groups, by_labels);
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++)
        rc = emit(q, q->sources.items + groups[i].first, groups[i].count);
    return rc;
}

/* Label order: all groups first, then sorted. */
static int run_sorted(struct selection *q) {
    TOC_VEC(struct group) groups = {0};
    struct toc_arena arena = TOC_ARENA_INIT;
    for (size_t i = 0; i < q->sources.count;) {
        size_t run = run_length(q->sources.items + i, q->sources.count - i);
        for (size_t end = i + run; i < end;) {
            size_t n = take_group(q, q->sources.items + i, end - i);
            TOC_VEC_PUSH(&groups,
                         ((struct group){keep_labels(q, q->sources.items + i, &arena), i, n}));
            i += n;
        }
    }
    int rc = arena.overflowed ? TOC_ELIMIT : emit_sorted(q, groups.items, groups.count);
    toc_arena_fini(&arena);
    TOC_VEC_FINI(&groups);
    return rc;
}

static int run_unsorted(struct selection *q) {
    int rc = 0;
    for (size_t i = 0; i < q->sources.count && !rc;) {
        size_t run = run_length(q->sources.items + i, q->sources.count - i);
        for (size_t end = i + run; i < end && !rc;) {
            size_t n = take_group(q, q->sources.items + i, end - i);
            rc = emit(q, q->sources.items + i, n);
            i += n;
        }
    }
    return rc;
}

static int run(struct selection *q) {
    if (q->origins.count > 1 && q->sources.count > 1)
        qsort(q->sources.items, q->sources.count, sizeof *q->sources.items, by_hash);
    return q->s->sorted ? run_sorted(q) : run_unsorted(q);
}

/* --- the querier --- */

static int select_series(struct toc_querier *querier, const struct toc_select *s, toc_on_series *fn,
                         void *ctx, struct toc_err *err) {
    struct toc_metricdb *db = TOC_CONTAINER_OF(querier, struct toc_metricdb, querier);
    struct selection q = {.db = db, .s = s, .fn = fn, .ctx = ctx};
    atomic_fetch_add_explicit(&db->selects, 1, memory_order_relaxed);
    /* The head first: from then on nothing is taken out of it, so a sample that is sealed meanwhile
     * is found in both, never in none. */
    gather_head(&q);
    size_t blocks = toc_blocks_overlapping(&db->blocks, s->min_ms, s->max_ms, &q.blocks);
    int rc = 0;
    for (size_t i = 0; i < blocks && !rc; i++)
        rc = gather_block(&q, q.blocks[i]);
    bool gathered = !rc;
    if (gathered)
        rc = run(&q);
    if (!gathered || q.failure)
        toc_errf(err, rc, "cannot read a block in %s: %s", db->block_dir, toc_strerror(rc));
    else if (rc == TOC_ELIMIT)
        toc_errf(err, rc, "the selection has too many series to sort");
    toc_head_leave_select(&db->head, q.ticket);
    for (size_t i = 0; i < q.origins.count; i++)
        toc_block_index_unref(&q.origins.items[i].index);
    for (size_t i = 0; i < blocks; i++)
        toc_block_unref(&q.blocks[i]);
    toc_free(q.blocks);
    TOC_VEC_FINI(&q.origins);
    TOC_VEC_FINI(&q.sources);
    TOC_VEC_FINI(&q.chunks);
    toc_columns_fini(&q.columns);
    toc_buf_fini(&q.scratch);
    return rc;
}

/* --- strings --- */

struct strings {
    struct toc_map seen;
    struct toc_sv name; /* values of it; empty: the names */
};

static int note_strings(void *ctx, const struct toc_series_view *series) {
    struct strings *x = ctx;
    if (x->name.n) {
        struct toc_sv value = toc_labels_get(series->labels, x->name);
        if (value.n)
            toc_map_put(&x->seen, value, x);
        return 0;
    }
    for (size_t i = 0; i < series->labels.count; i++)
        toc_map_put(&x->seen, series->labels.items[i].name, x);
    return 0;
}

static int by_text(const void *a, const void *b) {
    return toc_sv_cmp(*(const struct toc_sv *)a, *(const struct toc_sv *)b);
}

static int list_strings(struct toc_querier *querier, struct strings *x, const struct toc_select *s,
                        toc_on_string *fn, void *ctx, struct toc_err *err) {
    struct toc_select wide = *s;
    wide.labels_only = true;
    wide.sorted = false;
    int rc = select_series(querier, &wide, note_strings, x, err);
    struct toc_sv *all = TOC_NEW_ARRAY(struct toc_sv, x->seen.count + 1);
    size_t count = 0, cursor = 0;
    const struct toc_map_entry *e;
    while ((e = toc_map_next(&x->seen, &cursor)))
        all[count++] = e->key;
    qsort(all, count, sizeof *all, by_text);
    for (size_t i = 0; i < count && !rc; i++)
        rc = fn(ctx, all[i]);
    toc_free(all);
    toc_map_fini(&x->seen);
    return rc;
}

static int label_names(struct toc_querier *q, const struct toc_select *s, toc_on_string *fn,
                       void *ctx, struct toc_err *err) {
    struct strings x = {0};
    return list_strings(q, &x, s, fn, ctx, err);
}

static int label_values(struct toc_querier *q, struct toc_sv name, const struct toc_select *s,
                        toc_on_string *fn, void *ctx, struct toc_err *err) {
    struct strings x = {.name = name};
    return name.n ? list_strings(q, &x, s, fn, ctx, err) : 0;
}

void toc_metricdb_init_querier(struct toc_metricdb *db) {
    db->querier.select = select_series;
    db->querier.label_names = label_names;
    db->querier.label_values = label_values;
}

struct toc_querier *toc_metricdb_querier(struct toc_metricdb *db) {
    return &db->querier;
}
