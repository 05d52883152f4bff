#include "replay/replay_view.h"

#include <string.h>

#include "base/alloc.h"
#include "promql/memory_querier.h"

static const struct toc_matcher *name_matcher(const struct toc_matcher *m, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq(m[i].name, TOC_METRIC_NAME))
            return &m[i];
    return NULL;
}

/* The name when there can be only one; empty otherwise. */
static struct toc_sv fixed_name(const struct toc_matcher *m, size_t count) {
    const struct toc_matcher *name = name_matcher(m, count);
    return name && name->op == TOC_MATCH_EQ ? name->value : TOC_SV_NULL;
}

void toc_replay_view_add_name(struct toc_replay_view *v, struct toc_sv name) {
    if (toc_map_has(&v->written, name))
        return;
    struct toc_memory_querier *q = TOC_NEW(struct toc_memory_querier);
    toc_memory_querier_init(q);
    (void)toc_map_put(&v->written, name, q);
}

bool toc_replay_view_writes(const struct toc_replay_view *v, struct toc_sv name) {
    return toc_map_has(&v->written, name);
}

void toc_replay_view_note_reader(struct toc_replay_view *v, const struct toc_matcher *m,
                                 size_t count) {
    struct toc_sv name = fixed_name(m, count);
    if (name.n)
        (void)toc_map_put(&v->read, name, v);
    else
        v->is_all_read = true;
}

bool toc_replay_view_may_match(const struct toc_replay_view *v, const struct toc_matcher *m,
                               size_t count) {
    const struct toc_matcher *name = name_matcher(m, count);
    const struct toc_map_entry *e;
    if (!name)
        return v->written.count > 0;
    for (size_t at = 0; (e = toc_map_next(&v->written, &at));)
        if (toc_matcher_matches(name, e->key))
            return true;
    return false;
}

/* ----------------------------------------------------------------------------------------- writing
 */

static bool has_sample(const struct toc_memory_series *s, int64_t t_ms) {
    size_t n = s ? s->t_ms.count : 0;
    while (n > 0 && s->t_ms.items[n - 1] > t_ms)
        n--;
    return n > 0 && s->t_ms.items[n - 1] == t_ms;
}

static int write_points(struct toc_sink *sink, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    struct toc_replay_view *v = TOC_CONTAINER_OF(sink, struct toc_replay_view, sink);
    (void)err;
    *out = (struct toc_write_result){.accepted = count};
    for (size_t i = 0; i < count; i++) {
        struct toc_sv name = toc_labels_get(points[i].labels, TOC_METRIC_NAME);
        struct toc_memory_querier *q = toc_map_get(&v->written, name);
        if (!q || (!v->is_all_read && !toc_map_has(&v->read, name)))
            continue;
        /* As in the store, what is there already stays. */
        if (has_sample(toc_memory_querier_find(q, points[i].labels), points[i].t_ms)) {
            out->accepted--;
            out->rejected[TOC_REJECT_DUPLICATE]++;
            continue;
        }
        struct toc_memory_sample sample = {
            .t_ms = points[i].t_ms, .value = points[i].value, .histogram = points[i].histogram};
        toc_memory_querier_add_sample(q, points[i].labels, &sample);
    }
    return 0;
}

static void drop_before(struct toc_memory_series *s, int64_t t_ms) {
    size_t n = 0, left;
    while (n < s->t_ms.count && s->t_ms.items[n] < t_ms)
        n++;
    left = s->t_ms.count - n;
    if (!n)
        return;
    memmove(s->t_ms.items, s->t_ms.items + n, left * sizeof *s->t_ms.items);
    memmove(s->values.items, s->values.items + n, left * sizeof *s->values.items);
    s->t_ms.count = s->values.count = left;
    if (s->histograms.count) {
        memmove(s->histograms.items, s->histograms.items + n,
                left * sizeof(const struct toc_histogram *));
        s->histograms.count = left;
    }
}

void toc_replay_view_trim(struct toc_replay_view *v) {
    const struct toc_map_entry *e;
    if (v->keep_ms >= v->now_ms - v->from_ms)
        return;
    for (size_t at = 0; (e = toc_map_next(&v->written, &at));) {
        struct toc_memory_querier *q = e->value;
        for (size_t i = 0; i < q->count; i++)
            drop_before(&q->items[i], v->now_ms - v->keep_ms);
    }
}

/* ----------------------------------------------------------------------------------------- reading
 */

/* A set over copies. */
struct copied_set {
    struct toc_series_set base;
    struct toc_series_set *inner;
    struct toc_memory_querier store;
};

static struct toc_labels copied_labels(struct toc_series_set *set, size_t i,
                                       struct toc_label *items) {
    struct toc_series_set *inner = ((struct copied_set *)set)->inner;
    return inner->labels(inner, i, items);
}

static int copied_read(struct toc_series_set *set, size_t i, int64_t min_ms, int64_t max_ms,
                       struct toc_series_buffer *buffer, struct toc_series_view *out_view,
                       struct toc_err *err) {
    struct toc_series_set *inner = ((struct copied_set *)set)->inner;
    return inner->read(inner, i, min_ms, max_ms, buffer, out_view, err);
}

static void copied_close(struct toc_series_set **set) {
    struct copied_set *c = (struct copied_set *)*set;
    if (!c)
        return;
    c->inner->close(&c->inner);
    toc_memory_querier_fini(&c->store);
    toc_free(c);
    *set = NULL;
}

struct copying {
    const struct toc_replay_view *v;
    struct toc_memory_querier *to;
    bool is_history;
};

static int copy_series(void *ctx, const struct toc_series_view *s) {
    struct copying *c = ctx;
    struct toc_sv name = toc_labels_get(s->labels, TOC_METRIC_NAME);
    bool is_ours = c->is_history && toc_replay_view_writes(c->v, name);
    for (size_t i = 0; i < s->count; i++) {
        if (is_ours && s->t_ms[i] >= c->v->from_ms)
            break;
        struct toc_memory_sample sample = {.t_ms = s->t_ms[i],
                                           .value = s->values[i],
                                           .histogram = s->histograms ? s->histograms[i] : NULL,
                                           .start_ms = s->start_ms ? s->start_ms[i] : 0};
        toc_memory_querier_add_sample(c->to, s->labels, &sample);
    }
    return 0;
}

static int copy_all(const struct toc_replay_view *v, const struct toc_select *s,
                    struct toc_memory_querier *to, struct toc_err *err) {
    const struct toc_matcher *name = name_matcher(s->matchers, s->matcher_count);
    struct copying c = {v, to, true};
    const struct toc_map_entry *e;
    int rc = v->history->select(v->history, s, copy_series, &c, err);
    c.is_history = false;
    for (size_t at = 0; rc == 0 && (e = toc_map_next(&v->written, &at));) {
        struct toc_memory_querier *q = e->value;
        if (!name || toc_matcher_matches(name, e->key))
            rc = q->querier.select(&q->querier, s, copy_series, &c, err);
    }
    return rc;
}

static int open_copies(const struct toc_replay_view *v, const struct toc_select *s,
                       struct toc_series_set **out, struct toc_err *err) {
    struct copied_set *c = TOC_NEW(struct copied_set);
    toc_memory_querier_init(&c->store);
    int rc = copy_all(v, s, &c->store, err);
    if (rc == 0)
        rc = c->store.querier.open(&c->store.querier, s, &c->inner, err);
    if (rc) {
        toc_memory_querier_fini(&c->store);
        toc_free(c);
        return rc;
    }
    c->base = (struct toc_series_set){c->inner->count, copied_labels, copied_read, copied_close};
    *out = &c->base;
    return 0;
}

/* Who has all that is asked for; NULL: nobody alone. */
static struct toc_querier *sole_source(const struct toc_replay_view *v,
                                       const struct toc_select *s) {
    struct toc_sv name = fixed_name(s->matchers, s->matcher_count);
    struct toc_memory_querier *q = name.n ? toc_map_get(&v->written, name) : NULL;
    if (s->max_ms > v->now_ms)
        return NULL; /* a reader may ask the set for what has not happened yet */
    if (q)
        return s->min_ms >= v->from_ms ? &q->querier : NULL;
    return toc_replay_view_may_match(v, s->matchers, s->matcher_count) ? NULL : v->history;
}

static struct toc_select until_now(const struct toc_replay_view *v, const struct toc_select *s) {
    struct toc_select clipped = *s;
    clipped.max_ms = TOC_MIN(s->max_ms, v->now_ms);
    clipped.rollups = s->rollups == TOC_ROLLUP_NONE ? TOC_ROLLUP_NONE : TOC_ROLLUP_LAST;
    clipped.aligned_ms = 0;
    return clipped;
}

static int open_set(struct toc_querier *q, const struct toc_select *s, struct toc_series_set **out,
                    struct toc_err *err) {
    struct toc_replay_view *v = TOC_CONTAINER_OF(q, struct toc_replay_view, querier);
    struct toc_querier *source = sole_source(v, s);
    if (source)
        return toc_querier_open(source, s, out, err);
    struct toc_select clipped = until_now(v, s);
    return open_copies(v, &clipped, out, err);
}

static int select_series(struct toc_querier *q, const struct toc_select *s, toc_on_series *fn,
                         void *ctx, struct toc_err *err) {
    struct toc_replay_view *v = TOC_CONTAINER_OF(q, struct toc_replay_view, querier);
    struct toc_querier *source = sole_source(v, s);
    if (source)
        return source->select(source, s, fn, ctx, err);
    struct toc_select clipped = until_now(v, s);
    struct toc_memory_querier copies;
    toc_memory_querier_init(&copies);
    int rc = copy_all(v, &clipped, &copies, err);
    if (rc == 0)
        rc = copies.querier.select(&copies.querier, &clipped, fn, ctx, err);
    toc_memory_querier_fini(&copies);
    return rc;
}

/* Names and values are asked for by what the replay leaves out (suggestions of rule health). */
static int label_names(struct toc_querier *q, const struct toc_select *s, toc_on_string *fn,
                       void *ctx, struct toc_err *err) {
    struct toc_replay_view *v = TOC_CONTAINER_OF(q, struct toc_replay_view, querier);
    struct toc_select clipped = until_now(v, s);
    return v->history->label_names(v->history, &clipped, fn, ctx, err);
}

static int label_values(struct toc_querier *q, struct toc_sv name, const struct toc_select *s,
                        toc_on_string *fn, void *ctx, struct toc_err *err) {
    struct toc_replay_view *v = TOC_CONTAINER_OF(q, struct toc_replay_view, querier);
    struct toc_select clipped = until_now(v, s);
    return v->history->label_values(v->history, name, &clipped, fn, ctx, err);
}

void toc_replay_view_init(struct toc_replay_view *v, struct toc_querier *history, int64_t from_ms) {
    *v = (struct toc_replay_view){.querier = {.select = select_series,
                                              .label_names = label_names,
                                              .label_values = label_values,
                                              .open = open_set},
                                  .sink = {.write = write_points},
                                  .history = history,
                                  .from_ms = from_ms,
                                  .now_ms = from_ms,
                                  .keep_ms = INT64_MAX};
    toc_replay_view_add_name(v, TOC_SV("ALERTS"));
    toc_replay_view_add_name(v, TOC_SV("ALERTS_FOR_STATE"));
}

void toc_replay_view_fini(struct toc_replay_view *v) {
    const struct toc_map_entry *e;
    for (size_t at = 0; (e = toc_map_next(&v->written, &at));) {
        toc_memory_querier_fini(e->value);
        toc_free(e->value);
    }
    toc_map_fini(&v->written);
    toc_map_fini(&v->read);
}
