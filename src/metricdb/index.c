#include "metricdb/index.h"

#include "base/assert.h"
#include "base/hash.h"

enum { PAGE = 4096, PAGES = 1 << 16, SLOTS_MIN = 1024 };

struct toc_index_pair {
    struct toc_index_name *name;
    uint64_t hash;
    struct toc_ids series;
    uint32_t value_n;
    char value[];
};

void toc_index_init(struct toc_index *x) {
    *x = (struct toc_index){0};
    x->pages = TOC_NEW_ARRAY(struct toc_index_pair **, PAGES);
    x->slot_capacity = SLOTS_MIN;
    x->slots = TOC_NEW_ARRAY(uint32_t, SLOTS_MIN);
}

static struct toc_index_pair *pair_at(const struct toc_index *x, uint32_t id) {
    return x->pages[id / PAGE][id % PAGE];
}

void toc_index_fini(struct toc_index *x) {
    for (uint32_t i = 0; i < x->pair_limit; i++) {
        if (pair_at(x, i))
            TOC_VEC_FINI(&pair_at(x, i)->series);
        toc_free(pair_at(x, i));
    }
    for (uint32_t i = 0; i < PAGES && x->pages[i]; i++)
        toc_free(x->pages[i]);
    toc_free(x->pages);
    for (size_t i = 0; i < x->names.count; i++) {
        toc_free((void *)(uintptr_t)x->names.items[i]->name.p);
        TOC_VEC_FINI(&x->names.items[i]->pairs);
        toc_free(x->names.items[i]);
    }
    TOC_VEC_FINI(&x->names);
    TOC_VEC_FINI(&x->free_pairs);
    TOC_VEC_FINI(&x->all);
    toc_free(x->slots);
    *x = (struct toc_index){0};
}

/* --- names --- */

/* Place of the name, or where it belongs with *out_found false. */
static size_t name_place(const struct toc_index *x, struct toc_sv name, bool *out_found) {
    size_t low = 0, high = x->names.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = toc_sv_cmp(x->names.items[middle]->name, name);
        if (c == 0) {
            *out_found = true;
            return middle;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_found = false;
    return low;
}

const struct toc_index_name *toc_index_name(const struct toc_index *x, struct toc_sv name) {
    bool found;
    size_t at = name_place(x, name, &found);
    return found ? x->names.items[at] : NULL;
}

static struct toc_index_name *make_name(struct toc_index *x, struct toc_sv name) {
    bool found;
    size_t at = name_place(x, name, &found);
    if (found)
        return x->names.items[at];
    struct toc_index_name *row = TOC_NEW(struct toc_index_name);
    row->name = toc_sv_make(toc_sv_dup_cstr(name), name.n);
    TOC_VEC_PUSH(&x->names, row);
    memmove(x->names.items + at + 1, x->names.items + at,
            (x->names.count - 1 - at) * sizeof *x->names.items);
    x->names.items[at] = row;
    return row;
}

static void drop_name(struct toc_index *x, struct toc_index_name *row) {
    bool found;
    size_t at = name_place(x, row->name, &found);
    TOC_ASSERT(found);
    TOC_VEC_REMOVE(&x->names, at);
    toc_free((void *)(uintptr_t)row->name.p);
    TOC_VEC_FINI(&row->pairs);
    toc_free(row);
}

/* --- pairs --- */

static uint64_t pair_hash(struct toc_sv name, struct toc_sv value) {
    return toc_hash64(value.p, value.n, toc_hash64(name.p, name.n, 7));
}

static bool pair_is(const struct toc_index_pair *p, uint64_t hash, struct toc_sv name,
                    struct toc_sv value) {
    return p->hash == hash && toc_sv_eq(toc_sv_make(p->value, p->value_n), value) &&
           toc_sv_eq(p->name->name, name);
}

/* The slot of the pair, or the empty slot where it belongs. */
static size_t find_slot(const struct toc_index *x, uint64_t hash, struct toc_sv name,
                        struct toc_sv value) {
    size_t mask = x->slot_capacity - 1, i = (size_t)hash & mask;
    while (x->slots[i] && !pair_is(pair_at(x, x->slots[i] - 1), hash, name, value))
        i = (i + 1) & mask;
    return i;
}

static void grow_slots(struct toc_index *x) {
    size_t capacity = x->slot_capacity * 2;
    uint32_t *old = x->slots, *slots = TOC_NEW_ARRAY(uint32_t, capacity);
    for (size_t i = 0; i < x->slot_capacity; i++) {
        if (!old[i])
            continue;
        size_t at = (size_t)pair_at(x, old[i] - 1)->hash & (capacity - 1);
        while (slots[at])
            at = (at + 1) & (capacity - 1);
        slots[at] = old[i];
    }
    toc_free(old);
    x->slots = slots;
    x->slot_capacity = capacity;
}

/* Linear probing without tombstones: what follows moves up. */
static void empty_slot(struct toc_index *x, size_t hole) {
    size_t mask = x->slot_capacity - 1, i = hole;
    x->slots[hole] = 0;
    for (;;) {
        i = (i + 1) & mask;
        if (!x->slots[i])
            return;
        size_t home = (size_t)pair_at(x, x->slots[i] - 1)->hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        x->slots[hole] = x->slots[i];
        x->slots[i] = 0;
        hole = i;
    }
}

static uint32_t new_pair_id(struct toc_index *x) {
    if (x->free_pairs.count)
        return x->free_pairs.items[--x->free_pairs.count];
    uint32_t id = x->pair_limit++;
    TOC_ASSERT(id / PAGE < PAGES);
    if (!x->pages[id / PAGE])
        x->pages[id / PAGE] = TOC_NEW_ARRAY(struct toc_index_pair *, PAGE);
    return id;
}

/* Under an id that is free, at an empty slot. */
static void place_pair(struct toc_index *x, uint32_t id, uint64_t hash, size_t slot,
                       struct toc_label l) {
    struct toc_index_pair *p = toc_xalloc(sizeof *p + l.value.n);
    *p = (struct toc_index_pair){
        .name = make_name(x, l.name), .hash = hash, .value_n = (uint32_t)l.value.n};
    memcpy(p->value, l.value.p, l.value.n);
    x->pages[id / PAGE][id % PAGE] = p;
    TOC_VEC_PUSH(&p->name->pairs, id);
    x->slots[slot] = id + 1;
    if (++x->pair_count * 4 > x->slot_capacity * 3)
        grow_slots(x);
}

static uint32_t make_pair(struct toc_index *x, struct toc_label l) {
    uint64_t hash = pair_hash(l.name, l.value);
    size_t slot = find_slot(x, hash, l.name, l.value);
    if (x->slots[slot])
        return x->slots[slot] - 1;
    uint32_t id = new_pair_id(x);
    place_pair(x, id, hash, slot, l);
    return id;
}

static void drop_pair(struct toc_index *x, uint32_t id) {
    struct toc_index_pair *p = pair_at(x, id);
    struct toc_index_name *name = p->name;
    empty_slot(x, find_slot(x, p->hash, name->name, toc_sv_make(p->value, p->value_n)));
    for (size_t i = 0; i < name->pairs.count; i++) {
        if (name->pairs.items[i] == id) {
            name->pairs.items[i] = name->pairs.items[--name->pairs.count];
            break;
        }
    }
    if (!name->pairs.count)
        drop_name(x, name);
    TOC_VEC_FINI(&p->series);
    toc_free(p);
    x->pages[id / PAGE][id % PAGE] = NULL;
    TOC_VEC_PUSH(&x->free_pairs, id);
    x->pair_count--;
}

size_t toc_index_series_count(const struct toc_index *x, struct toc_label l) {
    size_t slot = find_slot(x, pair_hash(l.name, l.value), l.name, l.value);
    return x->slots[slot] ? pair_at(x, x->slots[slot] - 1)->series.count : 0;
}

bool toc_index_is_new(const struct toc_index *x, uint32_t pair) {
    return pair_at(x, pair)->series.count == 1;
}

struct toc_label toc_index_label(const struct toc_index *x, uint32_t pair) {
    const struct toc_index_pair *p = pair_at(x, pair);
    return (struct toc_label){p->name->name, {p->value, p->value_n}};
}

/* --- series --- */

/* Ids come mostly in rising order, so the place is at the end. */
static void insert_id(struct toc_ids *ids, uint32_t id) {
    if (ids->count == ids->capacity && !ids->count)
        TOC_VEC_RESERVE(ids, 1);
    TOC_VEC_PUSH(ids, id);
    size_t low, high = ids->count - 1, step = 1;
    if (!high || ids->items[high - 1] < id)
        return;
    /* Shards fill about evenly, so it is near: doubling steps back from the end. */
    while (step < high && ids->items[high - step] > id)
        step *= 2;
    low = step < high ? high - step : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ids->items[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(ids->items + low + 1, ids->items + low, (ids->count - 1 - low) * sizeof id);
    ids->items[low] = id;
}

void toc_index_add(struct toc_index *x, uint32_t series, struct toc_labels labels,
                   uint32_t *out_pairs) {
    for (size_t i = 0; i < labels.count; i++) {
        out_pairs[i] = make_pair(x, labels.items[i]);
        insert_id(&pair_at(x, out_pairs[i])->series, series);
    }
    insert_id(&x->all, series);
}

/* --- building in bulk --- */

bool toc_index_has_pair(const struct toc_index *x, uint64_t pair) {
    return pair < x->pair_limit && x->pages[pair / PAGE] && pair_at(x, (uint32_t)pair);
}

bool toc_index_restore_pair(struct toc_index *x, uint32_t pair, struct toc_label l) {
    uint64_t hash = pair_hash(l.name, l.value);
    size_t slot = find_slot(x, hash, l.name, l.value);
    if (pair >= (uint32_t)PAGE * PAGES || x->slots[slot] || toc_index_has_pair(x, pair))
        return false;
    /* Pages come one after the other. */
    for (uint32_t page = pair / PAGE + 1; page-- > 0 && !x->pages[page];)
        x->pages[page] = TOC_NEW_ARRAY(struct toc_index_pair *, PAGE);
    x->pair_limit = TOC_MAX(x->pair_limit, pair + 1);
    place_pair(x, pair, hash, slot, l);
    return true;
}

static void drop_unused_pairs(struct toc_index *x) {
    for (uint32_t i = x->pair_limit; i-- > 0;) {
        if (!pair_at(x, i))
            TOC_VEC_PUSH(&x->free_pairs, i);
        else if (!pair_at(x, i)->series.capacity)
            drop_pair(x, i);
    }
}

void toc_index_restore_series(struct toc_index *x, size_t count, toc_index_pairs *pairs,
                              void *ctx) {
    uint32_t *sizes = TOC_NEW_ARRAY(uint32_t, x->pair_limit + 1u);
    uint32_t id;
    size_t n;
    for (size_t i = 0; i < count; i++) {
        const uint32_t *p = pairs(ctx, i, &id, &n);
        for (size_t k = 0; k < n; k++)
            sizes[p[k]]++;
    }
    for (uint32_t i = 0; i < x->pair_limit; i++)
        if (sizes[i])
            TOC_VEC_RESERVE(&pair_at(x, i)->series, sizes[i]);
    TOC_VEC_RESERVE(&x->all, count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t *p = pairs(ctx, i, &id, &n);
        for (size_t k = 0; k < n; k++)
            TOC_VEC_PUSH(&pair_at(x, p[k])->series, id);
        TOC_VEC_PUSH(&x->all, id);
    }
    toc_free(sizes);
    drop_unused_pairs(x);
}

void toc_index_remove(struct toc_index *x, const struct toc_ids *dead, struct toc_ids *pairs) {
    toc_ids_sort(pairs);
    for (size_t i = 0; i < pairs->count; i++) {
        if (i && pairs->items[i] == pairs->items[i - 1])
            continue;
        struct toc_index_pair *p = pair_at(x, pairs->items[i]);
        toc_ids_subtract(&p->series, dead->items, dead->count);
        if (!p->series.count)
            drop_pair(x, pairs->items[i]);
    }
    toc_ids_subtract(&x->all, dead->items, dead->count);
}

void toc_index_each_value(const struct toc_index *x, const struct toc_index_name *name,
                          toc_on_pair *fn, void *ctx) {
    for (size_t i = 0; i < name->pairs.count; i++) {
        const struct toc_index_pair *p = pair_at(x, name->pairs.items[i]);
        fn(ctx, (struct toc_label){name->name, {p->value, p->value_n}}, &p->series);
    }
}

void toc_index_each_marked(const struct toc_index *x, const uint64_t *bits, toc_on_pair *fn,
                           void *ctx) {
    for (uint32_t i = 0; i < x->pair_limit; i++) {
        if (!(bits[i / 64] >> i % 64 & 1))
            continue;
        const struct toc_index_pair *p = pair_at(x, i);
        fn(ctx, (struct toc_label){p->name->name, {p->value, p->value_n}}, &p->series);
    }
}

/* --- the face that matching sees --- */

static void append_ids(struct toc_ids *out, const struct toc_ids *more) {
    if (!more->count)
        return;
    TOC_VEC_RESERVE(out, out->count + more->count);
    memcpy(out->items + out->count, more->items, more->count * sizeof *more->items);
    out->count += more->count;
}

static const struct toc_index_pair *find_pair(const struct toc_index *x, struct toc_sv name,
                                              struct toc_sv value) {
    uint32_t slot = x->slots[find_slot(x, pair_hash(name, value), name, value)];
    return slot ? pair_at(x, slot - 1) : NULL;
}

static size_t pair_size(const void *ctx, struct toc_sv name, struct toc_sv value) {
    const struct toc_index_pair *p = find_pair(ctx, name, value);
    return p ? p->series.count : 0;
}

static void append_pair(const void *ctx, struct toc_sv name, struct toc_sv value,
                        struct toc_ids *out) {
    const struct toc_index_pair *p = find_pair(ctx, name, value);
    if (p)
        append_ids(out, &p->series);
}

static const struct toc_ids *lend_pair(const void *ctx, struct toc_sv name, struct toc_sv value) {
    const struct toc_index_pair *p = find_pair(ctx, name, value);
    return p ? &p->series : NULL;
}

static void append_where(const void *ctx, const struct toc_value_test *test, bool verdict,
                         struct toc_ids *out) {
    const struct toc_index *x = ctx;
    const struct toc_index_name *row = toc_index_name(x, test->m->name);
    for (size_t i = 0; row && i < row->pairs.count; i++) {
        const struct toc_index_pair *p = pair_at(x, row->pairs.items[i]);
        if (toc_value_test_matches(test, toc_sv_make(p->value, p->value_n)) == verdict)
            append_ids(out, &p->series);
    }
}

static void append_all(const void *ctx, struct toc_ids *out) {
    const struct toc_index *x = ctx;
    append_ids(out, &x->all);
}

void toc_index_match(const struct toc_index *x, const struct toc_matcher *m, size_t count,
                     struct toc_ids *out) {
    uint32_t limit = x->all.count ? x->all.items[x->all.count - 1] + 1 : 0;
    struct toc_postings p = {.x = x,
                             .limit = limit,
                             .pair_size = pair_size,
                             .append_pair = append_pair,
                             .lend_pair = lend_pair,
                             .append_where = append_where,
                             .append_all = append_all};
    toc_postings_match(&p, m, count, out);
}
