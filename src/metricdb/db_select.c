/* The querier: selections by callback. */
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
        if (rc || !(view.count || view.rollup_count))
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

void toc_metricdb_init_querier(struct toc_metricdb *db) {
    db->querier.select = select_series;
    db->querier.open = open_set;
    db->querier.label_names = toc_metricdb_label_names;
    db->querier.label_values = toc_metricdb_label_values;
}

struct toc_querier *toc_metricdb_querier(struct toc_metricdb *db) {
    return &db->querier;
}
