/* sort and sort_by_label. Only an instant query has an order. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "promql/eval_priv.h"
#include "promql/functions_priv.h"

static void note_ineffective(struct toc_eval *e, const struct toc_node *n) {
    if (e->query->step_ms)
        toc_eval_note(e, TOC_NOTE_WARNING, n,
                      "sort is ineffective for range queries since results are always ordered by "
                      "labels");
}

/* NaN goes last in both directions. */
static int by_value(const void *a, const void *b, bool is_descending) {
    double x = ((const struct toc_column *)a)->values[0],
           y = ((const struct toc_column *)b)->values[0];
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    int order = (x > y) - (x < y);
    return is_descending ? -order : order;
}
static int ascending(const void *a, const void *b) {
    return by_value(a, b, false);
}
static int descending(const void *a, const void *b) {
    return by_value(a, b, true);
}

/* Histograms have no place in an order of values. */
static void drop_histograms(struct toc_eval *e, struct toc_eval_columns *c) {
    for (size_t i = 0; i < c->count; i++)
        for (size_t k = 0; c->items[i].histograms && k < e->step_count; k++)
            if (c->items[i].histograms[k])
                c->items[i].values[k] = toc_stale_nan();
    for (size_t i = 0; i < c->count; i++)
        c->items[i].histograms = NULL;
}

static int sort_values(struct toc_eval *e, const struct toc_node *n,
                       int (*order)(const void *, const void *), struct toc_eval_columns *out) {
    int rc = toc_eval_node(e, n->args[0], out);
    if (rc < 0)
        return rc;
    note_ineffective(e, n);
    drop_histograms(e, out);
    if (e->step_count == 1 && out->count)
        qsort(out->items, out->count, sizeof *out->items, order);
    return 0;
}

int toc_call_sort(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    return sort_values(e, n, ascending, out);
}
int toc_call_sort_desc(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out) {
    return sort_values(e, n, descending, out);
}

/* -------------------------------------------------------------------------------------- labels */

/* Runs of digits count as numbers: "a2" < "a10". */
static int natural_order(struct toc_sv a, struct toc_sv b) {
    size_t i = 0, k = 0;
    while (i < a.n && k < b.n) {
        if (!isdigit((unsigned char)a.p[i]) || !isdigit((unsigned char)b.p[k])) {
            if (a.p[i] != b.p[k])
                return (unsigned char)a.p[i] < (unsigned char)b.p[k] ? -1 : 1;
            i++;
            k++;
            continue;
        }
        size_t x = i, y = k;
        while (x < a.n && a.p[x] == '0')
            x++;
        while (y < b.n && b.p[y] == '0')
            y++;
        size_t x_end = x, y_end = y;
        while (x_end < a.n && isdigit((unsigned char)a.p[x_end]))
            x_end++;
        while (y_end < b.n && isdigit((unsigned char)b.p[y_end]))
            y_end++;
        if (x_end - x != y_end - y)
            return x_end - x < y_end - y ? -1 : 1;
        int order = toc_sv_cmp(toc_sv_sub(a, x, x_end - x), toc_sv_sub(b, y, y_end - y));
        if (order)
            return order;
        i = x_end;
        k = y_end;
    }
    return (i < a.n) - (k < b.n);
}

struct label_order {
    struct toc_sv *names;
    size_t count;
    bool is_descending;
};

static int by_labels(const void *a, const void *b, void *ctx) {
    const struct label_order *o = ctx;
    struct toc_labels x = ((const struct toc_column *)a)->labels,
                      y = ((const struct toc_column *)b)->labels;
    int order = 0;
    for (size_t i = 0; i < o->count && !order; i++)
        order = natural_order(toc_labels_get(x, o->names[i]), toc_labels_get(y, o->names[i]));
    if (!order)
        order = toc_labels_cmp(x, y);
    return o->is_descending ? -order : order;
}

static int sort_labels(struct toc_eval *e, const struct toc_node *n, bool is_descending,
                       struct toc_eval_columns *out) {
    struct label_order o = {.is_descending = is_descending};
    o.names = toc_arena_calloc(e->arena, n->arg_count + 1, sizeof *o.names);
    if (!o.names)
        return toc_eval_no_memory(e);
    int rc = toc_eval_node(e, n->args[0], out);
    for (size_t i = 1; i < n->arg_count && rc == 0; i++) {
        struct toc_eval_columns text = {0};
        rc = toc_eval_node(e, n->args[i], &text);
        o.names[o.count++] = text.string;
        toc_eval_columns_fini(&text);
    }
    if (rc < 0)
        return rc;
    note_ineffective(e, n);
    if (e->step_count == 1 && out->count)
        qsort_r(out->items, out->count, sizeof *out->items, by_labels, &o);
    return 0;
}

int toc_call_sort_by_label(struct toc_eval *e, const struct toc_node *n,
                           struct toc_eval_columns *out) {
    return sort_labels(e, n, false, out);
}
int toc_call_sort_by_label_desc(struct toc_eval *e, const struct toc_node *n,
                                struct toc_eval_columns *out) {
    return sort_labels(e, n, true, out);
}
