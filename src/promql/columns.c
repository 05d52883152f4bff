/* Columns of series: making them, dropping metric names, joining equal ones. */
#include <string.h>

#include "promql/eval_priv.h"
#include "promql/label_index_priv.h"

int toc_eval_no_memory(const struct toc_eval *e) {
    return toc_errf(e->err, TOC_ELIMIT,
                    "the query needs more than %zu bytes of memory: ask for fewer series or steps",
                    e->arena->budget_bytes);
}

void toc_eval_columns_fini(struct toc_eval_columns *c) {
    TOC_VEC_FINI(c);
}

struct toc_column *toc_eval_columns_add(struct toc_eval *e, struct toc_eval_columns *c,
                                        struct toc_labels labels) {
    double *values = toc_arena_calloc(e->arena, e->step_count, sizeof *values);
    if (!values) {
        toc_eval_no_memory(e);
        return NULL;
    }
    for (size_t i = 0; i < e->step_count; i++)
        values[i] = toc_stale_nan();
    struct toc_column column = {.labels = labels, .values = values};
    TOC_VEC_PUSH(c, column);
    return &c->items[c->count - 1];
}

int toc_column_set_histogram(struct toc_eval *e, struct toc_column *c, size_t step,
                             const struct toc_histogram *h) {
    if (!c->histograms) {
        c->histograms =
            toc_arena_calloc(e->arena, e->step_count, sizeof(const struct toc_histogram *));
        if (!c->histograms)
            return toc_eval_no_memory(e);
    }
    c->histograms[step] = h;
    c->values[step] = 0;
    return 0;
}

bool toc_label_is_name(struct toc_sv name) {
    return toc_sv_eq(name, TOC_METRIC_NAME) || toc_sv_eq(name, TOC_SV("__type__")) ||
           toc_sv_eq(name, TOC_SV("__unit__"));
}

/* Labels are sorted, so that the name's nearly always stand side by side at one end: then the rest
 * is a part of the same array. */
static bool rest_is_part(struct toc_labels l, size_t kept, struct toc_labels *out) {
    size_t start = 0, end = l.count;
    while (start < end && toc_label_is_name(l.items[start].name))
        start++;
    while (end > start && toc_label_is_name(l.items[end - 1].name))
        end--;
    *out = (struct toc_labels){l.items + start, end - start};
    return end - start == kept;
}

struct toc_labels toc_labels_without_name(struct toc_arena *a, struct toc_labels l) {
    struct toc_labels out;
    size_t kept = 0;
    for (size_t i = 0; i < l.count; i++)
        kept += !toc_label_is_name(l.items[i].name);
    if (kept == l.count)
        return l;
    if (kept == 0)
        return TOC_LABELS_EMPTY;
    if (rest_is_part(l, kept, &out))
        return out;
    struct toc_label *items = toc_arena_calloc(a, kept, sizeof *items);
    out = (struct toc_labels){items, 0};
    for (size_t i = 0; items && i < l.count; i++)
        if (!toc_label_is_name(l.items[i].name))
            items[out.count++] = l.items[i];
    return out;
}

void toc_column_drop_name(struct toc_eval *e, struct toc_column *c) {
    if (toc_eval_has(e, TOC_PROMQL_DELAYED_NAME_REMOVAL))
        c->drop_name = true;
    else
        c->labels = toc_labels_without_name(e->arena, c->labels);
}

/* ------------------------------------------------------------------------- equal label sets */

/* Moves the values of b into a; false when both have one at some step. */
static bool merge_into(struct toc_eval *e, struct toc_column *a, const struct toc_column *b) {
    for (size_t i = 0; i < e->step_count; i++) {
        if (toc_is_absent(b->values[i]))
            continue;
        if (!toc_is_absent(a->values[i]))
            return false;
        a->values[i] = b->values[i];
        const struct toc_histogram *h = toc_column_histogram(b, i);
        if (h && toc_column_set_histogram(e, a, i, h) < 0)
            return true; /* err is filled; the arena's overflow ends the query */
    }
    return true;
}

static int same_labelset(struct toc_eval *e) {
    return toc_errf(e->err, TOC_EINVAL, "vector cannot contain metrics with the same labelset");
}

static bool has_value(const struct toc_eval *e, const struct toc_column *c) {
    for (size_t i = 0; i < e->step_count; i++)
        if (!toc_is_absent(c->values[i]))
            return true;
    return false;
}

static int join_equal(struct toc_eval *e, struct toc_eval_columns *c, bool is_strict) {
    struct toc_label_index by_labels = {0};
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < c->count && rc == 0; i++) {
        size_t *number = toc_label_index_at(&by_labels, c->items[i].labels);
        if (!*number) {
            c->items[kept++] = c->items[i];
            *number = kept;
            continue;
        }
        struct toc_column *first = &c->items[*number - 1];
        bool is_refused = is_strict && has_value(e, &c->items[i]) && has_value(e, first);
        if (is_refused || !merge_into(e, first, &c->items[i]))
            rc = same_labelset(e);
    }
    c->count = kept;
    toc_label_index_fini(&by_labels);
    return rc;
}

int toc_eval_columns_merge(struct toc_eval *e, struct toc_eval_columns *c, bool is_strict) {
    if (c->count < 2 || toc_eval_has(e, TOC_PROMQL_DELAYED_NAME_REMOVAL))
        return 0;
    return join_equal(e, c, is_strict);
}

int toc_eval_columns_join(struct toc_eval *e, struct toc_eval_columns *c) {
    return c->count > 1 ? join_equal(e, c, false) : 0;
}

int toc_eval_columns_drop_names(struct toc_eval *e, struct toc_eval_columns *c) {
    bool any = false;
    for (size_t i = 0; i < c->count; i++) {
        if (!c->items[i].drop_name)
            continue;
        any = true;
        c->items[i].labels = toc_labels_without_name(e->arena, c->items[i].labels);
        c->items[i].drop_name = false;
    }
    return any && c->count > 1 ? join_equal(e, c, false) : 0;
}
