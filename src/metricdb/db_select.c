/* The querier: selections by callback, and lists of label names and values. */
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/series_set.h"

static int open_set(struct toc_querier *querier, const struct toc_select *s,
                    struct toc_series_set **out, struct toc_err *err) {
    struct toc_metricdb *db = TOC_CONTAINER_OF(querier, struct toc_metricdb, querier);
    struct toc_metricdb_set *set;
    int rc = toc_metricdb_set_open(db, s, &set, err);
    *out = rc ? NULL : &set->base;
    return rc;
}

/* Hands over series i, if it has something in the range. */
static int emit(struct toc_metricdb_set *set, size_t i, const struct toc_select *s,
                struct toc_series_buffer *buffer, toc_on_series *fn, void *ctx,
                struct toc_err *err) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_series_view view = {0};
    if (s->labels_only) {
        if (!toc_metricdb_set_overlaps(set, i, s->min_ms, s->max_ms))
            return 0;
    } else {
        int rc = set->base.read(&set->base, i, s->min_ms, s->max_ms, buffer, &view, err);
        if (rc || !view.count)
            return rc;
    }
    view.labels = toc_metricdb_set_labels(set, i, items);
    return fn(ctx, &view);
}

static int select_series(struct toc_querier *querier, const struct toc_select *s, toc_on_series *fn,
                         void *ctx, struct toc_err *err) {
    struct toc_metricdb *db = TOC_CONTAINER_OF(querier, struct toc_metricdb, querier);
    struct toc_series_buffer buffer = {0};
    struct toc_metricdb_set *set;
    int rc = toc_metricdb_set_open(db, s, &set, err);
    for (size_t i = 0; !rc && i < set->base.count; i++)
        rc = emit(set, i, s, &buffer, fn, ctx, err);
    toc_metricdb_set_close(&set);
    toc_series_buffer_fini(&buffer);
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
    db->querier.open = open_set;
    db->querier.label_names = label_names;
    db->querier.label_values = label_values;
}

struct toc_querier *toc_metricdb_querier(struct toc_metricdb *db) {
    return &db->querier;
}
