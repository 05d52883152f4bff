/* Freezing a selection: match, join by labels, order. */
#include "metricdb/series_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/assert.h"
#include "base/hash_index.h"
#include "metricdb/rollups.h"

/*
 * How a series of a block finds its series of the head. Each loaded index keeps a word per series:
 * 0 unknown; a reference of the head, which its generation proves; or ABSENT with the number of
 * series that had been made when it was looked for. So labels are hashed and compared once per
 * series and loaded index, not per query.
 */
#define ABSENT (1ULL << 63)

struct found {
    uint32_t entry;
    struct toc_set_part part;
};

struct freeze {
    struct toc_metricdb_set *set;
    const struct toc_select *s;
    TOC_VEC(struct toc_set_entry) entries;
    TOC_VEC(struct found) found;
    uint32_t *entry_of_id; /* id of the head → entry + 1 */
    size_t head_entries;
    TOC_VEC(struct orphan) orphans;
    struct toc_hash_index orphan_index; /* by hash of their labels */
};

/* An entry without a series of the head. */
struct orphan {
    uint32_t entry;
    struct toc_set_part part;
};

static void note_index_damage(struct toc_metricdb *db, const struct toc_block *b, unsigned files) {
    struct toc_metricdb_loss loss = {0};
    toc_sv_copy(toc_sv_cstr(b->path), loss.path, sizeof loss.path);
    for (unsigned i = 0; i < files; i++)
        toc_metricdb_note_loss(db, &loss);
}

/* --- the head --- */

static void freeze_head(struct freeze *f) {
    struct toc_head *h = &f->set->db->head;
    struct toc_ids ids = {0};
    toc_rwlock_read(&h->index_lock);
    /* From here to the end of the set no series is freed and no label either. */
    f->set->ticket = toc_head_enter_select(h);
    toc_index_match(&h->index, f->s->matchers, f->s->matcher_count, &ids);
    TOC_VEC_RESERVE(&f->entries, ids.count);
    for (size_t i = 0; i < ids.count; i++) {
        /* Slots change under the index lock only. */
        struct toc_head_shard *shard = toc_head_shard_of_id(h, ids.items[i]);
        const struct toc_head_slot *slot = &shard->slots.items[ids.items[i] / TOC_HEAD_SHARDS];
        if (!atomic_load_explicit(&slot->is_dead, memory_order_relaxed))
            f->entries.items[f->entries.count++] = (struct toc_set_entry){.series = slot->series};
    }
    f->head_entries = f->entries.count;
    toc_rwlock_unlock(&h->index_lock);
    TOC_VEC_FINI(&ids);
}

static void map_ids(struct freeze *f) {
    uint32_t limit = 0;
    for (size_t i = 0; i < f->head_entries; i++)
        limit = TOC_MAX(limit, f->entries.items[i].series->id + 1);
    f->entry_of_id = toc_xcalloc((size_t)limit + 1, sizeof *f->entry_of_id);
    for (size_t i = 0; i < f->head_entries; i++)
        f->entry_of_id[f->entries.items[i].series->id] = (uint32_t)i + 1;
}

/* The entry of the head series with this reference; 0 when it is not selected or not alive. */
static uint32_t entry_of_ref(const struct freeze *f, uint64_t ref) {
    uint32_t id = (uint32_t)ref, entry;
    /* A series that matches by its labels is selected, so one that is not has gone. */
    if (!f->head_entries)
        return 0;
    uint32_t last = f->entries.items[f->head_entries - 1].series->id;
    entry = id <= last ? f->entry_of_id[id] : 0;
    return entry && toc_series_ref(f->entries.items[entry - 1].series) == ref ? entry : 0;
}

/* --- joining --- */

static struct toc_labels part_labels(const struct freeze *f, struct toc_set_part p,
                                     struct toc_label *items) {
    struct toc_labels labels = TOC_LABELS_EMPTY;
    int rc = toc_block_index_labels(f->set->origins[p.origin].index, p.number, items, &labels);
    TOC_ASSERT(rc == 0); /* it was read once */
    return labels;
}

/* The entry of a series that the head does not have: that of the same labels in an older block, or
 * a new one. */
static uint32_t orphan_entry(struct freeze *f, struct toc_set_part part, struct toc_labels labels,
                             uint64_t hash) {
    struct toc_label theirs[TOC_SERIES_LABELS_MAX];
    uint32_t place;
    struct toc_hash_walk walk = toc_hash_index_walk(&f->orphan_index, (uint32_t)hash);
    while (toc_hash_walk_next(&walk, &place)) {
        const struct orphan *o = &f->orphans.items[place];
        if (toc_labels_eq(labels, part_labels(f, o->part, theirs)))
            return o->entry;
    }
    toc_hash_index_put(&f->orphan_index, (uint32_t)hash, (uint32_t)f->orphans.count);
    TOC_VEC_PUSH(&f->entries, ((struct toc_set_entry){0}));
    uint32_t entry = (uint32_t)f->entries.count;
    TOC_VEC_PUSH(&f->orphans, ((struct orphan){entry, part}));
    return entry;
}

static uint32_t look_up(struct freeze *f, struct toc_set_part part,
                        const struct toc_block_index *index, uint64_t created) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels labels;
    if (toc_block_index_labels(index, part.number, items, &labels))
        return 0;
    struct toc_head_shard *shard;
    uint64_t hash = toc_labels_hash(labels);
    struct toc_series *s = toc_head_series_lock_hashed(&f->set->db->head, labels, hash, 0, &shard);
    uint64_t link = s ? toc_series_ref(s) : ABSENT | created;
    if (s)
        toc_mutex_unlock(&shard->mutex);
    toc_block_index_set_link(index, part.number, link);
    uint32_t entry = s ? entry_of_ref(f, link) : 0;
    return entry ? entry : orphan_entry(f, part, labels, hash);
}

static uint32_t orphan_of_link(struct freeze *f, struct toc_set_part part,
                               const struct toc_block_index *index) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_labels labels;
    if (toc_block_index_labels(index, part.number, items, &labels))
        return 0;
    return orphan_entry(f, part, labels, toc_labels_hash(labels));
}

/* Entry + 1 of a series of a block, 0 when its entry is damaged. */
static uint32_t join(struct freeze *f, struct toc_set_part part,
                     const struct toc_block_index *index, uint64_t created) {
    uint64_t link = toc_block_index_link(index, part.number);
    if (link && !(link & ABSENT)) {
        uint32_t entry = entry_of_ref(f, link);
        if (entry)
            return entry;
    } else if (link == (ABSENT | created)) {
        return orphan_of_link(f, part, index);
    }
    return look_up(f, part, index, created);
}

/* Damage is noted and the rest answered; anything else must not pass for "there is no data". */
static int freeze_block(struct freeze *f, uint32_t origin) {
    struct toc_metricdb *db = f->set->db;
    struct toc_set_origin *o = &f->set->origins[origin];
    struct toc_ids ids = {0};
    unsigned damaged = 0;
    struct toc_blocks *blocks = toc_metricdb_store(db, o->store);
    int rc = toc_blocks_index(blocks, o->block, &o->index, &damaged);
    o->tombstones = toc_blocks_tombstones(blocks, o->block);
    note_index_damage(db, o->block, damaged);
    if (rc)
        return rc == TOC_ECORRUPT ? 0 : rc;
    toc_block_index_match(o->index, f->s->matchers, f->s->matcher_count, &ids);
    uint64_t created =
        atomic_load_explicit(&db->head.series_created, memory_order_acquire) & ~ABSENT;
    TOC_VEC_RESERVE(&f->found, f->found.count + ids.count);
    for (size_t i = 0; i < ids.count; i++) {
        struct toc_set_part part = {origin, ids.items[i]};
        uint32_t entry = join(f, part, o->index, created);
        if (entry)
            TOC_VEC_PUSH(&f->found, ((struct found){entry - 1, part}));
    }
    TOC_VEC_FINI(&ids);
    return 0;
}

/* Parts of each entry one after the other; the order of the blocks stays. */
static void place_parts(struct freeze *f) {
    struct toc_set_entry *e = f->entries.items;
    uint32_t at = 0;
    for (size_t i = 0; i < f->found.count; i++)
        e[f->found.items[i].entry].part_count++;
    for (size_t i = 0; i < f->entries.count; i++) {
        e[i].first_part = at;
        at += e[i].part_count;
        e[i].part_count = 0;
    }
    f->set->parts = f->found.count ? TOC_NEW_ARRAY(struct toc_set_part, f->found.count) : NULL;
    for (size_t i = 0; i < f->found.count; i++) {
        struct toc_set_entry *to = &e[f->found.items[i].entry];
        f->set->parts[to->first_part + to->part_count++] = f->found.items[i].part;
    }
}

/* --- order --- */

struct row {
    struct toc_labels labels;
    struct toc_set_entry entry;
};

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp(((const struct row *)a)->labels, ((const struct row *)b)->labels);
}

static int sort_entries(struct toc_metricdb_set *set) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct row *rows = TOC_NEW_ARRAY(struct row, set->base.count + 1);
    for (size_t i = 0; i < set->base.count; i++) {
        struct toc_labels l = toc_metricdb_set_labels(set, i, items);
        struct toc_label *kept = TOC_ARENA_NEW_ARRAY(&arena, struct toc_label, l.count);
        if (kept && l.count)
            memcpy(kept, l.items, l.count * sizeof *kept);
        rows[i] = (struct row){{kept, kept ? l.count : 0}, set->entries[i]};
    }
    int rc = arena.overflowed ? TOC_ELIMIT : 0;
    if (!rc)
        qsort(rows, set->base.count, sizeof *rows, by_labels);
    for (size_t i = 0; i < set->base.count && !rc; i++)
        set->entries[i] = rows[i].entry;
    toc_free(rows);
    toc_arena_fini(&arena);
    return rc;
}

/* --- the set --- */

/* By their first time, so that what is read rises as a rule. */
static void put_in_time_order(struct toc_block **blocks, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct toc_block *b = blocks[i];
        size_t at = i;
        for (; at && blocks[at - 1]->meta.min_ms > b->meta.min_ms; at--)
            blocks[at] = blocks[at - 1];
        blocks[at] = b;
    }
}

static void add_origins(struct toc_metricdb_set *set, int store, int64_t min_ms, int64_t max_ms) {
    struct toc_block **blocks;
    size_t n = toc_blocks_overlapping(toc_metricdb_store(set->db, store), min_ms, max_ms, &blocks);
    put_in_time_order(blocks, n);
    set->origins = toc_xrealloc(set->origins, (set->origin_count + n + 1) * sizeof *set->origins);
    for (size_t i = 0; i < n; i++)
        set->origins[set->origin_count++] =
            (struct toc_set_origin){.store = store, .block = blocks[i]};
    toc_free(blocks);
}

/* Something was written to the stretch after its roll-ups, or deleted from them. */
static bool is_behind(const struct toc_metricdb_set *set, const struct toc_block *b) {
    for (size_t i = 0; i < set->raw_origin_count; i++) {
        const struct toc_block *raw = set->origins[i].block;
        if (raw->newest > b->meta.id && raw->meta.min_ms <= b->meta.range_max &&
            raw->meta.max_ms >= b->meta.range_min)
            return true;
    }
    return false;
}

/* While a block is replaced both may be met; and one with a damaged index stays beside the new. */
static bool is_outdated(const struct toc_metricdb_set *set, const struct toc_set_origin *o) {
    for (size_t i = set->raw_origin_count; i < set->origin_count; i++) {
        const struct toc_set_origin *other = &set->origins[i];
        if (other->store == o->store && other->block->meta.range_min == o->block->meta.range_min &&
            other->block->meta.id > o->block->meta.id)
            return true;
    }
    return false;
}

/* Windows that begin or end inside a bucket are moved to its ends, so more is looked at. The raw
 * blocks come first: one that is deleted in between has its roll-ups already. */
static void choose_origins(struct freeze *f) {
    struct toc_metricdb_set *set = f->set;
    int64_t min_ms = f->s->min_ms, max_ms = f->s->max_ms;
    bool takes = f->s->rollups != TOC_ROLLUP_NONE || f->s->labels_only;
    int64_t margin_ms = 2 * toc_metricdb_resolution(TOC_METRICDB_ROLLUP_1H);
    int64_t from_ms = min_ms < INT64_MIN + margin_ms ? INT64_MIN : min_ms - margin_ms;
    int64_t to_ms = max_ms > INT64_MAX - margin_ms ? INT64_MAX : max_ms + margin_ms;
    for (int k = TOC_METRICDB_ROLLUP_5M; k < TOC_METRICDB_STORE_COUNT && takes; k++)
        set->has_rollups |= toc_blocks_count(toc_metricdb_store(set->db, k)) > 0;
    if (!set->has_rollups) {
        add_origins(set, TOC_METRICDB_RAW, min_ms, max_ms);
        set->raw_origin_count = set->origin_count;
        return;
    }
    add_origins(set, TOC_METRICDB_RAW, from_ms, max_ms);
    set->raw_origin_count = set->origin_count;
    for (int k = TOC_METRICDB_ROLLUP_5M; k < TOC_METRICDB_STORE_COUNT; k++)
        add_origins(set, k, from_ms, to_ms);
    set->has_rollups = set->origin_count > set->raw_origin_count;
    for (size_t i = set->raw_origin_count; i < set->origin_count; i++) {
        set->origins[i].is_behind = is_behind(set, set->origins[i].block);
        set->origins[i].is_outdated = is_outdated(set, &set->origins[i]);
    }
}

static int freeze_blocks(struct freeze *f) {
    choose_origins(f);
    size_t n = f->set->origin_count;
    if (n)
        map_ids(f);
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        rc = freeze_block(f, (uint32_t)i);
        f->set->origins[i].is_behind |= f->set->origins[i].tombstones != NULL;
    }
    place_parts(f);
    return rc;
}

int toc_metricdb_set_open(struct toc_metricdb *db, const struct toc_select *s,
                          struct toc_metricdb_set **out, struct toc_err *err) {
    struct toc_metricdb_set *set = TOC_NEW(struct toc_metricdb_set);
    struct freeze f = {.set = set, .s = s};
    set->db = db;
    set->rollups = s->rollups;
    set->aligned_ms = s->aligned_ms;
    atomic_fetch_add_explicit(&db->selects, 1, memory_order_relaxed);
    /* The head first: from then on nothing is taken out of it, so a sample that is sealed meanwhile
     * is found in both, never in none. */
    freeze_head(&f);
    int rc = freeze_blocks(&f);
    set->entries = f.entries.items;
    set->base.count = f.entries.count;
    TOC_VEC_FINI(&f.found);
    TOC_VEC_FINI(&f.orphans);
    toc_free(f.entry_of_id);
    toc_hash_index_fini(&f.orphan_index);
    if (rc)
        toc_errf(err, rc, "cannot read a block in %s: %s", db->block_dir, toc_strerror(rc));
    else if (s->sorted && (rc = sort_entries(set)))
        toc_errf(err, rc, "the selection has too many series to sort");
    toc_metricdb_set_init_readers(set);
    if (rc)
        toc_metricdb_set_close(&set);
    *out = set;
    return rc;
}

void toc_metricdb_set_close(struct toc_metricdb_set **io_set) {
    struct toc_metricdb_set *set = *io_set;
    if (!set)
        return;
    toc_head_leave_select(&set->db->head, set->ticket);
    for (size_t i = 0; i < set->origin_count; i++) {
        toc_block_index_unref(&set->origins[i].index);
        toc_tombstones_unref(&set->origins[i].tombstones);
        toc_block_unref(&set->origins[i].block);
    }
    toc_free(set->origins);
    toc_free(set->entries);
    toc_free(set->parts);
    toc_free(set);
    *io_set = NULL;
}
