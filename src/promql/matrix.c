/* Range vectors at the root of an instant query: samples as they are. */
#include <stdlib.h>
#include <string.h>

#include "promql/rollup_windows_priv.h"

struct matrix {
    struct toc_eval *e;
    TOC_VEC(struct toc_promql_series) series;
};

static int keep(struct matrix *m, struct toc_labels labels, const struct toc_samples *s) {
    struct toc_arena *arena = m->e->arena;
    struct toc_promql_series out = {.labels = toc_labels_dup_arena(labels, arena)};
    out.points = TOC_ARENA_NEW_ARRAY(arena, struct toc_promql_point, s->count + 1);
    for (size_t i = 0; out.points && i < s->count; i++) {
        const struct toc_histogram *h = s->h ? s->h[i] : NULL;
        if (h ? toc_histogram_is_stale(h) : toc_is_stale_nan(s->v[i]))
            continue;
        out.points[out.count++] = (struct toc_promql_point){s->t_ms[i], h ? 0 : s->v[i],
                                                            h ? toc_histogram_dup(h, arena) : NULL};
    }
    if (arena->overflowed)
        return toc_eval_no_memory(m->e);
    if (out.count)
        TOC_VEC_PUSH(&m->series, out);
    int rc = toc_query_hold(m->e->query, out.count, m->e->err);
    return rc < 0 ? rc : toc_query_loaded(m->e->query, s->count, m->e->err);
}

static int selector_matrix(struct matrix *m, const struct toc_node *n) {
    struct toc_eval *e = m->e;
    int64_t to = toc_look_ms(e, n, 0);
    struct toc_select s = {.matchers = n->matchers,
                           .matcher_count = n->matcher_count,
                           .min_ms = to - n->range_ms + 1,
                           .max_ms = to,
                           .rollups = TOC_ROLLUP_LAST};
    struct toc_series_set *set;
    struct toc_worker *w = &e->query->workers[0];
    int rc = toc_querier_open(e->options->querier, &s, &set, e->err);
    if (rc < 0)
        return rc;
    TOC_VEC_PUSH(&e->query->sets, set);
    for (size_t i = 0; i < set->count && rc == 0; i++) {
        struct toc_series_view v = {0};
        rc = set->read(set, i, s.min_ms, s.max_ms, &w->buffer, &v, e->err);
        struct toc_samples samples = {TOC_LABELS_EMPTY, v.t_ms, v.values,
                                      v.histograms,     NULL,   v.count};
        if (rc == 0 && v.is_thinned)
            toc_eval_note(e, TOC_NOTE_INFO, n, "%s", toc_rollup_thinned_text());
        if (rc == 0 && v.count)
            rc = keep(m, set->labels(set, i, w->label_items), &samples);
    }
    return rc;
}

static int subquery_matrix(struct matrix *m, const struct toc_node *n) {
    struct toc_eval inner;
    struct toc_eval_columns c = {0};
    int rc = toc_subquery_eval(m->e, n, &inner);
    if (rc < 0 || inner.step_count == 0)
        return rc;
    rc = toc_eval_node(&inner, n->left, &c);
    if (rc == 0)
        rc = toc_eval_columns_drop_names(&inner, &c);
    int64_t *t_ms = toc_arena_calloc(m->e->arena, inner.step_count, sizeof *t_ms);
    if (rc == 0 && !t_ms)
        rc = toc_eval_no_memory(m->e);
    for (size_t i = 0; t_ms && i < inner.step_count; i++)
        t_ms[i] = toc_step_ms(&inner, i);
    for (size_t i = 0; i < c.count && rc == 0; i++) {
        /* Absent steps hold the staleness marker, which keep() leaves out. */
        struct toc_samples s = {c.items[i].labels,     t_ms, c.items[i].values,
                                c.items[i].histograms, NULL, inner.step_count};
        rc = keep(m, c.items[i].labels, &s);
    }
    toc_eval_columns_fini(&c);
    return rc;
}

static int by_labels(const void *a, const void *b) {
    const struct toc_promql_series *x = a, *y = b;
    return toc_labels_cmp(x->labels, y->labels);
}

int toc_eval_matrix(struct toc_eval *e, const struct toc_node *n, struct toc_promql_result *out) {
    struct matrix m = {.e = e};
    int rc = n->kind == TOC_NODE_SUBQUERY ? subquery_matrix(&m, n) : selector_matrix(&m, n);
    if (m.series.count > 1)
        qsort(m.series.items, m.series.count, sizeof *m.series.items, by_labels);
    out->series = TOC_ARENA_NEW_ARRAY(e->arena, struct toc_promql_series, m.series.count + 1);
    if (rc == 0 && !out->series)
        rc = toc_eval_no_memory(e);
    if (rc == 0 && m.series.count) {
        memcpy(out->series, m.series.items, m.series.count * sizeof *out->series);
        out->series_count = m.series.count;
    }
    TOC_VEC_FINI(&m.series);
    return rc;
}
