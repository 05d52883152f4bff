/* Values of all features on one grid. */
#include <math.h>
#include <stdlib.h>

#include "rules/detector_priv.h"

enum { GRID_BYTES_MAX = TOC_DETECTOR_CELLS_MAX * 8 + (32 << 20) };

static struct toc_labels without_name(struct toc_labels l, struct toc_arena *a) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, l);
    toc_labels_builder_del(&b, TOC_METRIC_NAME);
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), a);
    toc_labels_builder_fini(&b);
    return out;
}

/* Index + 1 is the map's value, so that growing the vector moves nothing. */
static struct detector_row_set *row_set(struct detector_grid *g, struct toc_labels labels) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_labels_encode(labels, &key);
    uintptr_t at = (uintptr_t)toc_map_get(&g->by_labels, toc_buf_sv(&key));
    size_t cells = g->steps * g->features;
    if (!at && (g->series.count + 1) * cells <= TOC_DETECTOR_CELLS_MAX) {
        struct detector_row_set fresh = {.labels = labels,
                                         .cells = TOC_ARENA_NEW_ARRAY(&g->arena, double, cells)};
        for (size_t i = 0; fresh.cells && i < cells; i++)
            fresh.cells[i] = NAN;
        if (fresh.cells) {
            TOC_VEC_PUSH(&g->series, fresh);
            at = g->series.count;
            toc_map_put(&g->by_labels, toc_buf_sv(&key), (void *)at);
        }
    }
    toc_buf_fini(&key);
    return at ? &g->series.items[at - 1] : NULL;
}

static int say_twice(const struct detector_config *c, size_t feature, struct toc_labels labels,
                     struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_labels_format(labels, &text);
    int rc =
        toc_errf(err, TOC_EDUPLICATE,
                 "expression \"%.*s\" has two series with the labels %.200s; aggregate them",
                 TOC_SV_ARG(toc_sv_sub(c->features[feature].text, 0, 120)), toc_buf_cstr(&text));
    toc_buf_fini(&text);
    return rc;
}

static int add_series(struct detector_grid *g, const struct detector_config *c, size_t feature,
                      const struct toc_promql_series *s, struct toc_err *err) {
    struct toc_labels labels = without_name(s->labels, &g->arena);
    struct detector_row_set *r = row_set(g, labels);
    if (!r || g->arena.overflowed)
        return toc_errf(
            err, TOC_ELIMIT,
            "more than %d values in one query; shorten history or narrow the expression",
            TOC_DETECTOR_CELLS_MAX);
    for (size_t i = 0; i < s->count; i++) {
        size_t step = (size_t)((s->points[i].t_ms - g->start_ms) / g->step_ms);
        if (s->points[i].histogram || step >= g->steps)
            continue;
        double *cell = &r->cells[step * g->features + feature];
        if (!isnan(*cell))
            return say_twice(c, feature, labels, err);
        *cell = s->points[i].value;
    }
    return 0;
}

static int query_feature(struct toc_detectors *d, const struct detector_config *c, size_t feature,
                         struct detector_grid *g, struct toc_err *err) {
    struct toc_promql_options o = {.querier = d->options.querier,
                                   .lookback_ms = d->options.lookback_ms,
                                   .max_samples = d->options.max_samples,
                                   .max_bytes = (size_t)256 << 20};
    struct toc_promql_result r = {0};
    int64_t end_ms = g->start_ms + (int64_t)(g->steps - 1) * g->step_ms;
    int rc =
        toc_promql_range(c->features[feature].expr, &o, g->start_ms, end_ms, g->step_ms, &r, err);
    for (size_t i = 0; rc == 0 && i < r.series_count; i++)
        rc = add_series(g, c, feature, &r.series[i], err);
    toc_promql_result_fini(&r);
    return rc;
}

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp(((const struct detector_row_set *)a)->labels,
                          ((const struct detector_row_set *)b)->labels);
}

int toc_detector_query(struct toc_detectors *d, const struct detector_config *c, int64_t start_ms,
                       int64_t end_ms, int64_t step_ms, struct detector_grid *out,
                       struct toc_err *err) {
    *out = (struct detector_grid){.start_ms = start_ms,
                                  .step_ms = step_ms,
                                  .steps = (size_t)((end_ms - start_ms) / step_ms) + 1,
                                  .features = c->feature_count};
    toc_arena_init(&out->arena, GRID_BYTES_MAX);
    int rc = 0;
    for (size_t f = 0; rc == 0 && f < c->feature_count; f++)
        rc = query_feature(d, c, f, out, err);
    /* In label order, so that training does not depend on how the store lists series. */
    if (rc == 0 && out->series.count > 1)
        qsort(out->series.items, out->series.count, sizeof *out->series.items, by_labels);
    return rc;
}

void toc_detector_grid_fini(struct detector_grid *g) {
    TOC_VEC_FINI(&g->series);
    toc_map_fini(&g->by_labels);
    toc_arena_fini(&g->arena);
}

int toc_detector_preprocess_column(const struct detector_config *c, const struct detector_grid *g,
                                   double *cells, size_t feature) {
    if (c->preprocess.denoise == TOC_DENOISE_NONE)
        return 0;
    int64_t *t_ms = toc_try_calloc(g->steps, sizeof *t_ms);
    double *values = toc_try_calloc(g->steps, sizeof *values);
    int64_t left = TOC_ENOMEM;
    if (t_ms && values) {
        for (size_t i = 0; i < g->steps; i++) {
            t_ms[i] = (int64_t)i;
            values[i] = cells[i * g->features + feature];
            cells[i * g->features + feature] = NAN;
        }
        left = toc_preprocess_series(&c->preprocess, t_ms, values, g->steps);
        for (int64_t i = 0; i < left; i++)
            cells[(size_t)t_ms[i] * g->features + feature] = values[i];
    }
    toc_free(t_ms);
    toc_free(values);
    return left < 0 ? (int)left : 0;
}
