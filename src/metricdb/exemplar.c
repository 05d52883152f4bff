#include "metricdb/exemplar.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "metricdb/exemplar_priv.h"
#include "metricdb/metricdb_priv.h"
#include "model/sample.h"

struct toc_exemplar_series {
    struct toc_labels labels; /* owned */
    uint32_t oldest, newest;  /* places in the ring */
};

void toc_exemplars_init(struct toc_exemplars *x, size_t limit) {
    *x = (struct toc_exemplars){.limit = limit};
    toc_mutex_init(&x->mutex, TOC_LOCK_METRICDB_NOTES);
}

static void free_series(struct toc_exemplar_series *s) {
    toc_labels_free(&s->labels);
    toc_free(s);
}

void toc_exemplars_fini(struct toc_exemplars *x) {
    const struct toc_map_entry *e;
    size_t cursor = 0;
    for (size_t i = 0; i < TOC_MIN(x->added, (uint64_t)x->limit); i++) /* of a ring of any size */
        if (x->slots[i].series)
            toc_labels_free(&x->slots[i].exemplar.labels);
    while ((e = toc_map_next(&x->series, &cursor)))
        free_series(e->value);
    toc_map_fini(&x->series);
    toc_free(x->slots);
    toc_mutex_fini(&x->mutex);
}

/* --- adding --- */

static size_t characters(struct toc_sv s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

static enum toc_exemplar_verdict check_labels(struct toc_labels l) {
    size_t n = 0;
    for (size_t i = 0; i < l.count; i++) {
        if (!l.items[i].name.n || !toc_sv_is_utf8(l.items[i].name) ||
            !toc_sv_is_utf8(l.items[i].value))
            return TOC_EXEMPLAR_INVALID_LABELS;
        n += characters(l.items[i].name) + characters(l.items[i].value);
    }
    return n > TOC_EXEMPLAR_LABEL_CHARACTERS_MAX ? TOC_EXEMPLAR_LABELS_TOO_LONG : TOC_EXEMPLAR_KEPT;
}

static enum toc_exemplar_verdict compare(const struct toc_exemplar *last,
                                         const struct toc_exemplar *e) {
    if (e->t_ms < last->t_ms)
        return TOC_EXEMPLAR_OUT_OF_ORDER;
    bool same = e->t_ms == last->t_ms && toc_f64_bits(e->value) == toc_f64_bits(last->value) &&
                toc_labels_eq(e->labels, last->labels);
    return same ? TOC_EXEMPLAR_DUPLICATE : TOC_EXEMPLAR_KEPT;
}

static void encode_key(struct toc_labels labels, struct toc_buf *out) {
    toc_buf_reset(out);
    toc_labels_encode(labels, out);
}

/* The place where the next exemplar goes; what is there is the oldest of its series. */
static uint32_t clear_next(struct toc_exemplars *x) {
    uint32_t at = (uint32_t)x->next;
    struct toc_exemplar_slot *slot = &x->slots[at];
    x->next = (x->next + 1) % x->limit;
    if (!slot->series)
        return at;
    if (slot->next == at) {
        struct toc_buf key = TOC_BUF_INIT;
        encode_key(slot->series->labels, &key);
        toc_map_remove(&x->series, toc_buf_sv(&key));
        toc_buf_fini(&key);
        free_series(slot->series);
    } else {
        slot->series->oldest = slot->next;
    }
    toc_labels_free(&slot->exemplar.labels);
    *slot = (struct toc_exemplar_slot){0};
    x->count--;
    return at;
}

/* Under the mutex. Clearing a place may remove the very series, so it comes before the look-up. */
static void put(struct toc_exemplars *x, struct toc_sv key, struct toc_labels labels,
                const struct toc_exemplar *e) {
    uint32_t at = clear_next(x);
    struct toc_exemplar_series *s = toc_map_get(&x->series, key);
    if (s) {
        x->slots[s->newest].next = at;
        s->newest = at;
    } else {
        s = TOC_NEW(struct toc_exemplar_series);
        *s = (struct toc_exemplar_series){toc_labels_dup(labels), at, at};
        toc_map_put(&x->series, key, s);
    }
    x->slots[at] = (struct toc_exemplar_slot){s, *e, at};
    x->slots[at].exemplar.labels = toc_labels_dup(e->labels);
    x->count++;
    x->added++;
}

enum toc_exemplar_verdict toc_metricdb_exemplar_add(struct toc_metricdb *db,
                                                    struct toc_labels series,
                                                    const struct toc_exemplar *exemplar) {
    struct toc_exemplars *x = &db->exemplars;
    enum toc_exemplar_verdict verdict = check_labels(exemplar->labels);
    if (verdict != TOC_EXEMPLAR_KEPT)
        return verdict;
    struct toc_buf key = TOC_BUF_INIT;
    encode_key(series, &key);
    toc_mutex_lock(&x->mutex);
    if (!x->slots)
        x->slots = TOC_NEW_ARRAY(struct toc_exemplar_slot, x->limit);
    const struct toc_exemplar_series *s = toc_map_get(&x->series, toc_buf_sv(&key));
    if (s)
        verdict = compare(&x->slots[s->newest].exemplar, exemplar);
    if (verdict == TOC_EXEMPLAR_KEPT)
        put(x, toc_buf_sv(&key), series, exemplar);
    toc_mutex_unlock(&x->mutex);
    toc_buf_fini(&key);
    return verdict;
}

size_t toc_metricdb_exemplar_count(struct toc_metricdb *db) {
    toc_mutex_lock(&db->exemplars.mutex);
    size_t n = db->exemplars.count;
    toc_mutex_unlock(&db->exemplars.mutex);
    return n;
}

/* --- reading --- */

struct row {
    struct toc_labels labels;
    struct toc_exemplar *exemplars;
    size_t count;
};

struct rows {
    TOC_VEC_FIELDS(struct row)
};

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp(((const struct row *)a)->labels, ((const struct row *)b)->labels);
}

/* Copies what lies in the range; count 0 when nothing does. */
static struct row copy_row(const struct toc_exemplars *x, const struct toc_exemplar_series *s,
                           const struct toc_select *q, struct toc_arena *arena) {
    struct row row = {0};
    size_t n = 0;
    for (uint32_t i = s->oldest;; i = x->slots[i].next, n++)
        if (i == s->newest)
            break;
    row.exemplars = TOC_ARENA_NEW_ARRAY(arena, struct toc_exemplar, n + 1);
    for (uint32_t i = s->oldest; row.exemplars; i = x->slots[i].next) {
        const struct toc_exemplar *e = &x->slots[i].exemplar;
        if (e->t_ms >= q->min_ms && e->t_ms <= q->max_ms) {
            row.exemplars[row.count] = *e;
            row.exemplars[row.count++].labels = toc_labels_dup_arena(e->labels, arena);
        }
        if (i == s->newest)
            break;
    }
    if (row.count)
        row.labels = toc_labels_dup_arena(s->labels, arena);
    return row;
}

static void collect(struct toc_exemplars *x, const struct toc_select *q, struct toc_arena *arena,
                    struct rows *out) {
    const struct toc_map_entry *e;
    size_t cursor = 0;
    toc_mutex_lock(&x->mutex);
    while ((e = toc_map_next(&x->series, &cursor))) {
        const struct toc_exemplar_series *s = e->value;
        if (!toc_matchers_match(q->matchers, q->matcher_count, s->labels))
            continue;
        struct row row = copy_row(x, s, q, arena);
        if (row.count)
            TOC_VEC_PUSH(out, row);
    }
    toc_mutex_unlock(&x->mutex);
}

int toc_metricdb_exemplar_select(struct toc_metricdb *db, const struct toc_select *s,
                                 toc_on_exemplars *fn, void *ctx, struct toc_err *err) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct rows rows = {0};
    collect(&db->exemplars, s, &arena, &rows);
    int rc = arena.overflowed ? toc_errf(err, TOC_ENOMEM, "no memory for the exemplars") : 0;
    if (rows.count && !rc)
        qsort(rows.items, rows.count, sizeof *rows.items, by_labels);
    for (size_t i = 0; i < rows.count && !rc; i++)
        rc = fn(ctx, rows.items[i].labels, rows.items[i].exemplars, rows.items[i].count);
    TOC_VEC_FINI(&rows);
    toc_arena_fini(&arena);
    return rc;
}

struct recent {
    struct toc_labels series;
    struct toc_exemplar exemplar;
};

uint64_t toc_metricdb_exemplars_added(struct toc_metricdb *db) {
    toc_mutex_lock(&db->exemplars.mutex);
    uint64_t n = db->exemplars.added;
    toc_mutex_unlock(&db->exemplars.mutex);
    return n;
}

uint64_t toc_metricdb_exemplars_since(struct toc_metricdb *db, uint64_t *io_cursor, size_t max,
                                      toc_on_exemplar *fn, void *ctx) {
    struct toc_exemplars *x = &db->exemplars;
    struct toc_arena arena = TOC_ARENA_INIT;
    TOC_VEC(struct recent) found = {0};
    toc_mutex_lock(&x->mutex);
    uint64_t oldest = x->added - TOC_MIN(x->added, (uint64_t)x->limit);
    uint64_t gone = *io_cursor < oldest ? oldest - *io_cursor : 0;
    for (*io_cursor += gone; *io_cursor < x->added && found.count < max; ++*io_cursor) {
        const struct toc_exemplar_slot *slot = &x->slots[*io_cursor % x->limit];
        struct recent r = {toc_labels_dup_arena(slot->series->labels, &arena), slot->exemplar};
        r.exemplar.labels = toc_labels_dup_arena(slot->exemplar.labels, &arena);
        TOC_VEC_PUSH(&found, r);
    }
    toc_mutex_unlock(&x->mutex);
    for (size_t i = 0; i < found.count; i++)
        fn(ctx, found.items[i].series, &found.items[i].exemplar);
    TOC_VEC_FINI(&found);
    toc_arena_fini(&arena);
    return gone;
}
