#include "promql/memory_querier.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

const struct toc_memory_series *toc_memory_querier_find(const struct toc_memory_querier *q,
                                                        struct toc_labels labels) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_labels_encode(labels, &key);
    size_t place = (size_t)(uintptr_t)toc_map_get(&q->index, toc_buf_sv(&key));
    toc_buf_fini(&key);
    return place ? &q->items[place - 1] : NULL;
}

static struct toc_memory_series *find_or_add(struct toc_memory_querier *q,
                                             struct toc_labels labels) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_labels_encode(labels, &key);
    size_t place = (size_t)(uintptr_t)toc_map_get(&q->index, toc_buf_sv(&key));
    if (!place) {
        struct toc_memory_series fresh = {.labels = toc_labels_dup(labels)};
        TOC_VEC_PUSH(q, fresh);
        place = q->count;
        (void)toc_map_put(&q->index, toc_buf_sv(&key), (void *)(uintptr_t)place);
    }
    toc_buf_fini(&key);
    return &q->items[place - 1];
}

/* The column appears or grows to the length of the others. */
static void reserve_columns(struct toc_memory_series *s, bool has_histogram, bool has_start) {
    size_t n = s->t_ms.count;
    if (has_histogram || s->histograms.count)
        while (s->histograms.count < n)
            TOC_VEC_PUSH(&s->histograms, NULL);
    if (has_start || s->start_ms.count)
        while (s->start_ms.count < n)
            TOC_VEC_PUSH(&s->start_ms, 0);
}

/* Moves what lies behind `at` by one place. */
#define OPEN_GAP(v, at)                                          \
    do {                                                         \
        if ((v)->count > (at) + 1)                               \
            memmove((v)->items + (at) + 1, (v)->items + (at),    \
                    ((v)->count - (at)-1) * sizeof *(v)->items); \
    } while (0)

/* Position of the first sample at or after t. */
static size_t lower_bound(const struct toc_memory_series *s, int64_t t_ms) {
    size_t low = 0, high = s->t_ms.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->t_ms.items[mid] < t_ms)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void toc_memory_querier_add_sample(struct toc_memory_querier *q, struct toc_labels labels,
                                   const struct toc_memory_sample *sample) {
    struct toc_memory_series *s = find_or_add(q, labels);
    const struct toc_histogram *h =
        sample->histogram ? toc_histogram_dup(sample->histogram, &q->arena) : NULL;
    size_t at = lower_bound(s, sample->t_ms);
    bool is_new = at == s->t_ms.count || s->t_ms.items[at] != sample->t_ms;
    if (is_new) {
        TOC_VEC_PUSH(&s->t_ms, 0);
        TOC_VEC_PUSH(&s->values, 0.0);
        OPEN_GAP(&s->t_ms, at);
        OPEN_GAP(&s->values, at);
    }
    reserve_columns(s, h != NULL, sample->start_ms != 0);
    if (is_new && s->histograms.count)
        OPEN_GAP(&s->histograms, at);
    if (is_new && s->start_ms.count)
        OPEN_GAP(&s->start_ms, at);
    s->t_ms.items[at] = sample->t_ms;
    s->values.items[at] = h ? 0 : sample->value;
    if (s->histograms.count)
        s->histograms.items[at] = h;
    if (s->start_ms.count)
        s->start_ms.items[at] = sample->start_ms;
}

void toc_memory_querier_add(struct toc_memory_querier *q, struct toc_labels labels, int64_t t_ms,
                            double value) {
    struct toc_memory_sample sample = {.t_ms = t_ms, .value = value};
    toc_memory_querier_add_sample(q, labels, &sample);
}

static int write_points(struct toc_sink *sink, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    struct toc_memory_querier *q =
        (struct toc_memory_querier *)(void *)((char *)sink -
                                              offsetof(struct toc_memory_querier, sink));
    (void)err;
    *out = (struct toc_write_result){.accepted = count};
    for (size_t i = 0; i < count; i++) {
        struct toc_memory_sample sample = {
            .t_ms = points[i].t_ms, .value = points[i].value, .histogram = points[i].histogram};
        toc_memory_querier_add_sample(q, points[i].labels, &sample);
    }
    return 0;
}

/* The samples of a series within a range. */
static struct toc_series_view view_of(const struct toc_memory_series *s, int64_t min_ms,
                                      int64_t max_ms) {
    size_t first = lower_bound(s, min_ms);
    size_t end = max_ms == INT64_MAX ? s->t_ms.count : lower_bound(s, max_ms + 1);
    return (struct toc_series_view){
        .labels = s->labels,
        .t_ms = s->t_ms.items + first,
        .values = s->values.items + first,
        .histograms = s->histograms.count ? s->histograms.items + first : NULL,
        .start_ms = s->start_ms.count ? s->start_ms.items + first : NULL,
        .count = end > first ? end - first : 0};
}

/* ------------------------------------------------------------------------------------------------
 * selections */

struct memory_set {
    struct toc_series_set base;
    const struct toc_memory_series **series;
};

static struct toc_labels set_labels(struct toc_series_set *set, size_t i, struct toc_label *items) {
    (void)items;
    return ((struct memory_set *)set)->series[i]->labels;
}

static int set_read(struct toc_series_set *set, size_t i, int64_t min_ms, int64_t max_ms,
                    struct toc_series_buffer *buffer, struct toc_series_view *out_view,
                    struct toc_err *err) {
    (void)buffer;
    (void)err;
    *out_view = view_of(((struct memory_set *)set)->series[i], min_ms, max_ms);
    return 0;
}

static void set_close(struct toc_series_set **set) {
    if (*set)
        toc_free(((struct memory_set *)*set)->series);
    toc_free(*set);
    *set = NULL;
}

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp((*(const struct toc_memory_series *const *)a)->labels,
                          (*(const struct toc_memory_series *const *)b)->labels);
}

static int open_set(struct toc_querier *querier, const struct toc_select *s,
                    struct toc_series_set **out, struct toc_err *err) {
    struct toc_memory_querier *q = (struct toc_memory_querier *)querier;
    struct memory_set *set = TOC_NEW(struct memory_set);
    (void)err;
    set->base = (struct toc_series_set){0, set_labels, set_read, set_close};
    set->series = TOC_NEW_ARRAY(const struct toc_memory_series *, q->count + 1);
    for (size_t i = 0; i < q->count; i++)
        if (toc_matchers_match(s->matchers, s->matcher_count, q->items[i].labels) &&
            (s->labels_only || view_of(&q->items[i], s->min_ms, s->max_ms).count))
            set->series[set->base.count++] = &q->items[i];
    if (s->sorted && set->base.count)
        qsort(set->series, set->base.count, sizeof(struct toc_memory_series *), by_labels);
    *out = &set->base;
    return 0;
}

static int select_series(struct toc_querier *querier, const struct toc_select *s, toc_on_series *fn,
                         void *ctx, struct toc_err *err) {
    struct toc_series_set *set = NULL;
    int rc = open_set(querier, s, &set, err);
    for (size_t i = 0; !rc && i < set->count; i++) {
        struct toc_series_view view =
            view_of(((struct memory_set *)set)->series[i], s->min_ms, s->max_ms);
        rc = view.count ? fn(ctx, &view) : 0;
    }
    set_close(&set);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * names and values */

struct names {
    TOC_VEC_FIELDS(struct toc_sv)
};

static int hand_over(struct names *n, toc_on_string *fn, void *ctx) {
    int rc = 0;
    toc_sv_sort(n->items, n->count);
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

/* ------------------------------------------------------------------------------------------------
 */

void toc_memory_querier_init(struct toc_memory_querier *q) {
    *q = (struct toc_memory_querier){.querier = {.select = select_series,
                                                 .label_names = label_names,
                                                 .label_values = label_values,
                                                 .open = open_set},
                                     .sink = {.write = write_points}};
    toc_arena_init(&q->arena, SIZE_MAX);
}

void toc_memory_querier_clear(struct toc_memory_querier *q) {
    for (size_t i = 0; i < q->count; i++) {
        toc_labels_free(&q->items[i].labels);
        TOC_VEC_FINI(&q->items[i].t_ms);
        TOC_VEC_FINI(&q->items[i].values);
        TOC_VEC_FINI(&q->items[i].histograms);
        TOC_VEC_FINI(&q->items[i].start_ms);
    }
    q->count = 0;
    toc_map_fini(&q->index);
    toc_arena_reset(&q->arena);
}

void toc_memory_querier_fini(struct toc_memory_querier *q) {
    toc_memory_querier_clear(q);
    toc_arena_fini(&q->arena);
    TOC_VEC_FINI(q);
}
