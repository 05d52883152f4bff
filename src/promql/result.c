/* Results: columns become series of points; notes become warnings and infos. */
#include <stdlib.h>

#include "promql/eval_priv.h"

/* From here on a result borrows its label strings and histograms from what the query read, which it
 * then keeps: copying them would cost more than the query. Below, copies let go of all that memory
 * at once. */
enum { BORROW_SERIES = 512 };

/* What outlives the query for the sake of the result. */
struct toc_promql_memory {
    TOC_VEC(struct toc_series_set *) sets;
    TOC_VEC(struct toc_arena) arenas;
};

static void borrow_memory(struct toc_query *q, struct toc_promql_result *out) {
    struct toc_promql_memory *m = TOC_NEW(struct toc_promql_memory);
    for (size_t i = 0; i < q->sets.count; i++)
        TOC_VEC_PUSH(&m->sets, q->sets.items[i]);
    for (size_t i = 0; i < q->worker_count; i++) {
        TOC_VEC_PUSH(&m->arenas, q->workers[i].arena);
        q->workers[i].arena = (struct toc_arena){0};
    }
    q->sets.count = 0;
    out->memory = m;
}

void toc_promql_result_fini(struct toc_promql_result *r) {
    struct toc_promql_memory *m = r->memory;
    for (size_t i = 0; m && i < m->arenas.count; i++)
        toc_arena_fini(&m->arenas.items[i]);
    for (size_t i = 0; m && i < m->sets.count; i++)
        m->sets.items[i]->close(&m->sets.items[i]);
    if (m) {
        TOC_VEC_FINI(&m->arenas);
        TOC_VEC_FINI(&m->sets);
        toc_free(m);
    }
    toc_arena_fini(&r->arena);
    *r = (struct toc_promql_result){0};
}

static size_t count_points(const struct toc_eval *e, const struct toc_column *c) {
    size_t n = 0;
    for (size_t i = 0; i < e->step_count; i++)
        n += !toc_is_absent(c->values[i]);
    return n;
}

static void put_points(struct toc_eval *e, const struct toc_column *c, bool is_borrowed,
                       struct toc_promql_point *points) {
    const struct toc_histogram *seen = NULL, *kept = NULL;
    for (size_t i = 0; i < e->step_count; i++) {
        if (toc_is_absent(c->values[i]))
            continue;
        const struct toc_histogram *h = toc_column_histogram(c, i);
        if (h && h != seen) {
            seen = h;
            kept = is_borrowed ? h : toc_histogram_dup(h, e->arena);
        }
        *points++ = (struct toc_promql_point){toc_step_ms(e, i), c->values[i], h ? kept : NULL};
    }
}

int toc_result_take(struct toc_eval *e, const struct toc_eval_columns *c,
                    struct toc_promql_result *out) {
    bool is_borrowed = c->count >= BORROW_SERIES;
    size_t total = 0;
    for (size_t i = 0; i < c->count; i++)
        total += count_points(e, &c->items[i]);
    out->series = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_series, c->count + 1);
    struct toc_promql_point *points =
        TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_point, total + 1);
    if (!out->series || !points)
        return toc_eval_no_memory(e);
    for (size_t i = 0; i < c->count; i++) {
        const struct toc_column *from = &c->items[i];
        struct toc_promql_series s = {.points = points, .count = count_points(e, from)};
        if (!s.count)
            continue;
        s.labels = is_borrowed ? from->labels : toc_labels_dup_arena(from->labels, e->arena);
        put_points(e, from, is_borrowed, points);
        points += s.count;
        out->series[out->series_count++] = s;
    }
    if (is_borrowed)
        borrow_memory(e->query, out);
    return e->arena->overflowed ? toc_eval_no_memory(e) : 0;
}

static int by_labels(const void *a, const void *b) {
    const struct toc_promql_series *x = a, *y = b;
    return toc_labels_cmp(x->labels, y->labels);
}

void toc_result_sort(struct toc_promql_result *out) {
    if (out->series_count)
        qsort(out->series, out->series_count, sizeof *out->series, by_labels);
}

void toc_result_take_notes(struct toc_eval *e, struct toc_promql_result *out) {
    const struct toc_notes *notes = &e->query->notes;
    struct toc_sv *warnings = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_sv, notes->count + 1);
    struct toc_sv *infos = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_sv, notes->count + 1);
    for (size_t i = 0; warnings && infos && i < notes->count; i++) {
        struct toc_sv text = toc_arena_dup_sv(e->arena, notes->items[i].text);
        if (notes->items[i].level == TOC_NOTE_WARNING)
            warnings[out->warning_count++] = text;
        else
            infos[out->info_count++] = text;
    }
    out->warnings = warnings;
    out->infos = infos;
}
