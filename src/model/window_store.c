/*
 * A series is two columns in order of time with a start that moves. A reader asks the same question
 * at every tick, so the series that match a set of matchers are remembered and only new series are
 * held against it.
 */
#include "model/window_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "model/matcher.h"

enum { QUESTIONS_MAX = 64 };

struct series {
    struct toc_labels labels; /* owned */
    int64_t *t_ms;
    double *values;
    size_t start, end, capacity;
};

/* A matcher of a question; its texts follow each other in the question's. */
struct term {
    enum toc_match_op op;
    size_t name_n, value_n;
};

struct question {
    struct {
        TOC_VEC_FIELDS(struct term)
    } terms;
    struct toc_buf texts;
    size_t follower; /* place of the question that came after it last time */
    size_t seen;     /* series held against it */
    struct {
        TOC_VEC_FIELDS(size_t)
    } matching;
    uint64_t used;
};

struct toc_window_store {
    struct toc_sink sink;
    struct toc_querier querier;
    struct {
        TOC_VEC_FIELDS(struct series)
    } series;
    struct toc_map by_hash; /* hash of the labels → index + 1 */
    struct question questions[QUESTIONS_MAX];
    size_t latest; /* place of the last question */
    uint64_t clock;
    int64_t horizon_ms;
    size_t samples;
};

/* --- writing --- */

/* Two sets with one hash are told apart by probing with the hash's neighbours. */
size_t toc_window_store_series_of(struct toc_window_store *s, struct toc_labels labels) {
    for (uint64_t hash = toc_labels_hash(labels);; hash++) {
        size_t place = (size_t)(uintptr_t)toc_map_get(&s->by_hash, toc_map_u64(&hash));
        if (place && toc_labels_eq(s->series.items[place - 1].labels, labels))
            return place - 1;
        if (place)
            continue;
        struct series fresh = {.labels = toc_labels_dup(labels)};
        TOC_VEC_PUSH(&s->series, fresh);
        toc_map_put(&s->by_hash, toc_map_u64(&hash), (void *)(uintptr_t)s->series.count);
        return s->series.count - 1;
    }
}

static void make_room(struct series *x) {
    size_t held = x->end - x->start;
    if (x->end < x->capacity)
        return;
    if (x->start > x->capacity / 2) {
        memmove(x->t_ms, x->t_ms + x->start, held * sizeof *x->t_ms);
        memmove(x->values, x->values + x->start, held * sizeof *x->values);
    } else {
        size_t capacity = x->capacity ? x->capacity * 2 : 16;
        x->t_ms = toc_xrealloc(x->t_ms, toc_vec_bytes(capacity, sizeof *x->t_ms));
        x->values = toc_xrealloc(x->values, toc_vec_bytes(capacity, sizeof *x->values));
        x->capacity = capacity;
        return;
    }
    x->start = 0;
    x->end = held;
}

/* True when it is a new sample, not another word about one that is there. */
static bool series_add(struct series *x, int64_t t_ms, double value) {
    if (x->end < x->capacity && (x->end == x->start || x->t_ms[x->end - 1] < t_ms)) { /* mostly */
        x->t_ms[x->end] = t_ms;
        x->values[x->end++] = value;
        return true;
    }
    size_t at = x->end;
    while (at > x->start && x->t_ms[at - 1] > t_ms)
        at--;
    if (at > x->start && x->t_ms[at - 1] == t_ms) {
        x->values[at - 1] = value;
        return false;
    }
    size_t behind = x->end - at;
    make_room(x);
    at = x->end - behind;
    memmove(x->t_ms + at + 1, x->t_ms + at, behind * sizeof *x->t_ms);
    memmove(x->values + at + 1, x->values + at, behind * sizeof *x->values);
    x->t_ms[at] = t_ms;
    x->values[at] = value;
    x->end++;
    return true;
}

void toc_window_store_add(struct toc_window_store *s, size_t series, int64_t t_ms, double value) {
    s->samples += series_add(&s->series.items[series], t_ms, value);
}

static int store_write(struct toc_sink *sink, const struct toc_point *points, size_t count,
                       struct toc_write_result *out_result, struct toc_err *err) {
    struct toc_window_store *s = TOC_CONTAINER_OF(sink, struct toc_window_store, sink);
    (void)err;
    for (size_t i = 0; i < count; i++) {
        if (points[i].histogram) {
            out_result->rejected[TOC_REJECT_INVALID_HISTOGRAM]++;
            continue;
        }
        size_t series = toc_window_store_series_of(s, points[i].labels);
        toc_window_store_add(s, series, points[i].t_ms, points[i].value);
        out_result->accepted++;
    }
    return 0;
}

/* --- reading --- */

static void note_terms(struct question *q, const struct toc_select *sel) {
    for (size_t i = 0; i < sel->matcher_count; i++) {
        const struct toc_matcher *m = &sel->matchers[i];
        TOC_VEC_PUSH(&q->terms, ((struct term){m->op, m->name.n, m->value.n}));
        toc_buf_append_sv(&q->texts, m->name);
        toc_buf_append_sv(&q->texts, m->value);
    }
}

static bool is_text(const char *at, size_t n, struct toc_sv text) {
    return n == text.n && (!n || memcmp(at, text.p, n) == 0);
}

static bool is_question(const struct question *q, const struct toc_select *sel) {
    const char *at = q->texts.p;
    if (!q->used || q->terms.count != sel->matcher_count)
        return false;
    for (size_t i = 0; i < sel->matcher_count; i++) {
        const struct toc_matcher *m = &sel->matchers[i];
        const struct term *t = &q->terms.items[i];
        if (t->op != m->op || !is_text(at, t->name_n, m->name) ||
            !is_text(at + t->name_n, t->value_n, m->value))
            return false;
        at += t->name_n + t->value_n;
    }
    return true;
}

static void question_fini(struct question *q) {
    TOC_VEC_FINI(&q->terms);
    toc_buf_fini(&q->texts);
    TOC_VEC_FINI(&q->matching);
    *q = (struct question){0};
}

/* The remembered question, or the place of the one that was not asked for longest. */
static struct question *look_up(struct toc_window_store *s, const struct toc_select *sel) {
    struct question *oldest = &s->questions[0];
    for (size_t i = 0; i < QUESTIONS_MAX; i++) {
        struct question *q = &s->questions[i];
        if (is_question(q, sel))
            return q;
        if (q->used < oldest->used)
            oldest = q;
    }
    question_fini(oldest);
    note_terms(oldest, sel);
    return oldest;
}

/* At each tick the same questions are asked in the same order. */
static struct question *question_of(struct toc_window_store *s, const struct toc_select *sel) {
    struct question *before = &s->questions[s->latest], *q = &s->questions[before->follower];
    if (!is_question(q, sel)) {
        q = look_up(s, sel);
        before->follower = (size_t)(q - s->questions);
    }
    s->latest = (size_t)(q - s->questions);
    return q;
}

static const struct question *ask(struct toc_window_store *s, const struct toc_select *sel) {
    struct question *q = question_of(s, sel);
    q->used = ++s->clock;
    for (; q->seen < s->series.count; q->seen++)
        if (toc_matchers_match(sel->matchers, sel->matcher_count, s->series.items[q->seen].labels))
            TOC_VEC_PUSH(&q->matching, q->seen);
    return q;
}

/* The place that a time would have if all samples were equally far apart, as they often nearly are.
 * The last one is not before the time. */
static size_t guess_place(const struct series *x, int64_t t_ms) {
    int64_t first_ms = x->t_ms[x->start], last_ms = x->t_ms[x->end - 1];
    if (t_ms <= first_ms)
        return x->start;
    double share = (double)(t_ms - first_ms) / (double)(last_ms - first_ms);
    return x->start + (size_t)(share * (double)(x->end - 1 - x->start));
}

/* First sample at or after the time: looked for around a guess, in growing steps. */
static size_t first_at(const struct series *x, int64_t t_ms) {
    if (x->start == x->end || x->t_ms[x->end - 1] < t_ms)
        return x->end;
    size_t low = guess_place(x, t_ms), high = low, step = 1;
    for (; low > x->start && x->t_ms[low - 1] >= t_ms; step *= 2) {
        high = low - 1;
        low = low - x->start > step ? low - step : x->start;
    }
    for (step = 1; x->t_ms[high] < t_ms; step *= 2) {
        low = high + 1;
        high = TOC_MIN(high + step, x->end - 1);
    }
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (x->t_ms[mid] < t_ms)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct toc_series_view view_of(const struct toc_window_store *s, size_t index,
                                      const struct toc_select *sel) {
    const struct series *x = &s->series.items[index];
    struct toc_series_view view = {.labels = x->labels};
    int64_t max_ms = TOC_MIN(sel->max_ms, s->horizon_ms);
    if (x->start == x->end || x->t_ms[x->end - 1] < sel->min_ms || sel->min_ms > max_ms)
        return view;
    size_t from = first_at(x, sel->min_ms);
    size_t to = max_ms == INT64_MAX ? x->end : first_at(x, max_ms + 1);
    view.t_ms = x->t_ms + from;
    view.values = x->values + from;
    view.count = to > from ? to - from : 0;
    return view;
}

static int by_labels(const void *a, const void *b, void *ctx) {
    const struct toc_window_store *s = ctx;
    return toc_labels_cmp(s->series.items[*(const size_t *)a].labels,
                          s->series.items[*(const size_t *)b].labels);
}

static size_t *sorted_copy(struct toc_window_store *s, const struct question *q) {
    size_t *order = toc_xalloc(toc_vec_bytes(q->matching.count + 1, sizeof *order));
    if (q->matching.count)
        memcpy(order, q->matching.items, q->matching.count * sizeof *order);
    qsort_r(order, q->matching.count, sizeof *order, by_labels, s);
    return order;
}

static int store_select(struct toc_querier *querier, const struct toc_select *sel,
                        toc_on_series *fn, void *ctx, struct toc_err *err) {
    struct toc_window_store *s = TOC_CONTAINER_OF(querier, struct toc_window_store, querier);
    (void)err;
    const struct question *q = ask(s, sel);
    size_t *sorted = sel->sorted ? sorted_copy(s, q) : NULL;
    const size_t *order = sorted ? sorted : q->matching.items;
    int rc = 0;
    for (size_t i = 0; !rc && i < q->matching.count; i++) {
        struct toc_series_view view = view_of(s, order[i], sel);
        if (view.count)
            rc = fn(ctx, &view);
    }
    toc_free(sorted);
    return rc;
}

struct names {
    TOC_VEC_FIELDS(struct toc_sv)
};

static int tell_names(struct names *names, toc_on_string *fn, void *ctx) {
    int rc = 0;
    toc_sv_sort(names->items, names->count);
    for (size_t i = 0; !rc && i < names->count; i++)
        if (!i || !toc_sv_eq(names->items[i], names->items[i - 1]))
            rc = fn(ctx, names->items[i]);
    TOC_VEC_FINI(names);
    return rc;
}

static int store_label_names(struct toc_querier *querier, const struct toc_select *sel,
                             toc_on_string *fn, void *ctx, struct toc_err *err) {
    struct toc_window_store *s = TOC_CONTAINER_OF(querier, struct toc_window_store, querier);
    struct names names = {0};
    (void)err;
    const struct question *q = ask(s, sel);
    for (size_t i = 0; i < q->matching.count; i++) {
        struct toc_series_view view = view_of(s, q->matching.items[i], sel);
        for (size_t n = 0; view.count && n < view.labels.count; n++)
            TOC_VEC_PUSH(&names, view.labels.items[n].name);
    }
    return tell_names(&names, fn, ctx);
}

static int store_label_values(struct toc_querier *querier, struct toc_sv name,
                              const struct toc_select *sel, toc_on_string *fn, void *ctx,
                              struct toc_err *err) {
    struct toc_window_store *s = TOC_CONTAINER_OF(querier, struct toc_window_store, querier);
    struct names names = {0};
    (void)err;
    const struct question *q = ask(s, sel);
    for (size_t i = 0; i < q->matching.count; i++) {
        struct toc_series_view view = view_of(s, q->matching.items[i], sel);
        struct toc_sv value = toc_labels_get(view.labels, name);
        if (view.count && value.n)
            TOC_VEC_PUSH(&names, value);
    }
    return tell_names(&names, fn, ctx);
}

/* --- life --- */

struct toc_window_store *toc_window_store_new(void) {
    struct toc_window_store *s = TOC_NEW(struct toc_window_store);
    s->sink.write = store_write;
    s->querier = (struct toc_querier){
        .select = store_select,
        .label_names = store_label_names,
        .label_values = store_label_values,
    };
    s->horizon_ms = INT64_MIN;
    return s;
}

void toc_window_store_free(struct toc_window_store **ps) {
    struct toc_window_store *s = ps ? *ps : NULL;
    if (!s)
        return;
    for (size_t i = 0; i < s->series.count; i++) {
        toc_labels_free(&s->series.items[i].labels);
        toc_free(s->series.items[i].t_ms);
        toc_free(s->series.items[i].values);
    }
    TOC_VEC_FINI(&s->series);
    toc_map_fini(&s->by_hash);
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        question_fini(&s->questions[i]);
    toc_free(s);
    *ps = NULL;
}

struct toc_sink *toc_window_store_sink(struct toc_window_store *s) {
    return &s->sink;
}

struct toc_querier *toc_window_store_querier(struct toc_window_store *s) {
    return &s->querier;
}

void toc_window_store_set_horizon(struct toc_window_store *s, int64_t horizon_ms) {
    s->horizon_ms = horizon_ms;
}

void toc_window_store_forget(struct toc_window_store *s, int64_t before_ms) {
    for (size_t i = 0; i < s->series.count; i++) {
        struct series *x = &s->series.items[i];
        size_t from = first_at(x, before_ms);
        s->samples -= from - x->start;
        x->start = from;
    }
}

size_t toc_window_store_series(const struct toc_window_store *s) {
    return s->series.count;
}

size_t toc_window_store_samples(const struct toc_window_store *s) {
    return s->samples;
}
