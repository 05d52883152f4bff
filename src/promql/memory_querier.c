#include "promql/memory_querier.h"

#include <stdlib.h>
#include <string.h>

static struct toc_memory_series *find(struct toc_memory_querier *q, struct toc_labels labels) {
    for (size_t i = 0; i < q->count; i++)
        if (toc_labels_eq(q->items[i].labels, labels))
            return &q->items[i];
    return NULL;
}

void toc_memory_querier_add(struct toc_memory_querier *q, struct toc_labels labels, int64_t t_ms,
                            double value) {
    struct toc_memory_series *s = find(q, labels);
    if (!s) {
        struct toc_memory_series fresh = {.labels = toc_labels_dup(labels)};
        TOC_VEC_PUSH(q, fresh);
        s = &q->items[q->count - 1];
    }
    TOC_VEC_PUSH(&s->t_ms, t_ms);
    TOC_VEC_PUSH(&s->values, value);
}

static int write_points(struct toc_sink *sink, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    struct toc_memory_querier *q =
        (struct toc_memory_querier *)(void *)((char *)sink -
                                              offsetof(struct toc_memory_querier, sink));
    (void)err;
    *out = (struct toc_write_result){.accepted = count};
    for (size_t i = 0; i < count; i++)
        toc_memory_querier_add(q, points[i].labels, points[i].t_ms, points[i].value);
    return 0;
}

static int select_series(struct toc_querier *querier, const struct toc_select *s, toc_on_series *fn,
                         void *ctx, struct toc_err *err) {
    struct toc_memory_querier *q = (struct toc_memory_querier *)querier;
    (void)err;
    for (size_t i = 0; i < q->count; i++) {
        const struct toc_memory_series *series = &q->items[i];
        if (!toc_matchers_match(s->matchers, s->matcher_count, series->labels))
            continue;
        size_t first = 0, end = series->t_ms.count;
        while (first < end && series->t_ms.items[first] < s->min_ms)
            first++;
        while (end > first && series->t_ms.items[end - 1] > s->max_ms)
            end--;
        if (first == end)
            continue;
        struct toc_series_view view = {.labels = series->labels,
                                       .t_ms = series->t_ms.items + first,
                                       .values = series->values.items + first,
                                       .count = end - first};
        int rc = fn(ctx, &view);
        if (rc != 0)
            return rc;
    }
    return 0;
}

struct names {
    TOC_VEC_FIELDS(struct toc_sv)
};

static int by_bytes(const void *a, const void *b) {
    return toc_sv_cmp(*(const struct toc_sv *)a, *(const struct toc_sv *)b);
}

static int hand_over(struct names *n, toc_on_string *fn, void *ctx) {
    int rc = 0;
    if (n->count)
        qsort(n->items, n->count, sizeof *n->items, by_bytes);
    for (size_t i = 0; i < n->count && rc == 0; i++)
        if (i == 0 || !toc_sv_eq(n->items[i], n->items[i - 1]))
            rc = fn(ctx, n->items[i]);
    TOC_VEC_FINI(n);
    return rc;
}

static int label_names(struct toc_querier *querier, const struct toc_select *s, toc_on_string *fn,
                       void *ctx, struct toc_err *err) {
    struct toc_memory_querier *q = (struct toc_memory_querier *)querier;
    struct names names = {0};
    (void)err;
    for (size_t i = 0; i < q->count; i++)
        if (toc_matchers_match(s->matchers, s->matcher_count, q->items[i].labels))
            for (size_t k = 0; k < q->items[i].labels.count; k++)
                TOC_VEC_PUSH(&names, q->items[i].labels.items[k].name);
    return hand_over(&names, fn, ctx);
}

static int label_values(struct toc_querier *querier, struct toc_sv name, const struct toc_select *s,
                        toc_on_string *fn, void *ctx, struct toc_err *err) {
    struct toc_memory_querier *q = (struct toc_memory_querier *)querier;
    struct names values = {0};
    (void)err;
    for (size_t i = 0; i < q->count; i++)
        if (toc_matchers_match(s->matchers, s->matcher_count, q->items[i].labels) &&
            toc_labels_has(q->items[i].labels, name))
            TOC_VEC_PUSH(&values, toc_labels_get(q->items[i].labels, name));
    return hand_over(&values, fn, ctx);
}

void toc_memory_querier_init(struct toc_memory_querier *q) {
    *q = (struct toc_memory_querier){.querier = {.select = select_series,
                                                 .label_names = label_names,
                                                 .label_values = label_values},
                                     .sink = {.write = write_points}};
}

void toc_memory_querier_clear(struct toc_memory_querier *q) {
    for (size_t i = 0; i < q->count; i++) {
        toc_labels_free(&q->items[i].labels);
        TOC_VEC_FINI(&q->items[i].t_ms);
        TOC_VEC_FINI(&q->items[i].values);
    }
    q->count = 0;
}

void toc_memory_querier_fini(struct toc_memory_querier *q) {
    toc_memory_querier_clear(q);
    TOC_VEC_FINI(q);
}
