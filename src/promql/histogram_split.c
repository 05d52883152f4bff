/* The series of a vector sorted into classic histograms and native ones. */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "promql/histogram_split_priv.h"

/* Everything but "le". The name stays: what differs in it alone are two histograms. */
static struct toc_labels identity_of(struct toc_eval *e, struct toc_labels l) {
    struct toc_label *items = toc_arena_calloc(e->arena, l.count + 1, sizeof *items);
    struct toc_labels out = {items, 0};
    for (size_t i = 0; items && i < l.count; i++)
        if (!toc_sv_eq(l.items[i].name, TOC_SV("le")))
            items[out.count++] = l.items[i];
    return out;
}

static size_t group_for(struct toc_histogram_split *s, struct toc_labels labels,
                        struct toc_sv name) {
    uint64_t key = toc_labels_hash(labels);
    size_t found;
    while ((found = (size_t)(uintptr_t)toc_map_get(&s->by_labels, toc_map_u64(&key))) &&
           !toc_labels_eq(s->items[found - 1].labels, labels))
        key++;
    if (!found) {
        struct toc_histogram_group fresh = {.labels = labels, .metric = name};
        TOC_VEC_PUSH(s, fresh);
        found = s->count;
        toc_map_put(&s->by_labels, toc_map_u64(&key), (void *)(uintptr_t)found);
    }
    return found - 1;
}

static bool has_floats(const struct toc_eval *e, const struct toc_column *c) {
    for (size_t i = 0; i < e->step_count; i++)
        if (!toc_is_absent(c->values[i]) && !toc_column_histogram(c, i))
            return true;
    return false;
}

static void add_bucket(struct toc_eval *e, const struct toc_node *arg, const struct toc_column *c,
                       struct toc_histogram_group *g) {
    struct toc_sv le = toc_labels_get(c->labels, TOC_SV("le"));
    struct toc_sv name = toc_labels_get(c->labels, TOC_METRIC_NAME);
    struct toc_le_column column = {.column = c};
    if (toc_parse_f64(le, &column.upper) < 0 || isnan(column.upper)) {
        if (name.n)
            toc_eval_note(e, TOC_NOTE_WARNING, arg,
                          "bucket label \"le\" is missing or has a malformed value of \"%.*s\" for "
                          "metric name \"%.*s\"",
                          TOC_SV_ARG(le), TOC_SV_ARG(name));
        else
            toc_eval_note(e, TOC_NOTE_WARNING, arg,
                          "bucket label \"le\" is missing or has a malformed value of \"%.*s\"",
                          TOC_SV_ARG(le));
        return;
    }
    TOC_VEC_PUSH(&g->buckets, column);
}

static int by_upper(const void *a, const void *b) {
    double x = ((const struct toc_le_column *)a)->upper,
           y = ((const struct toc_le_column *)b)->upper;
    return (x > y) - (x < y);
}

int toc_histogram_split(struct toc_eval *e, const struct toc_node *arg,
                        const struct toc_eval_columns *in, struct toc_histogram_split *s) {
    for (size_t i = 0; i < in->count; i++) {
        const struct toc_column *c = &in->items[i];
        struct toc_sv name = toc_labels_get(c->labels, TOC_METRIC_NAME);
        size_t g = group_for(s, identity_of(e, c->labels), name);
        s->items[g].drop_name |= c->drop_name;
        if (has_floats(e, c))
            add_bucket(e, arg, c, &s->items[g]);
        if (c->histograms)
            TOC_VEC_PUSH(&s->items[g].natives, c);
    }
    for (size_t i = 0; i < s->count; i++) {
        struct toc_histogram_group *g = &s->items[i];
        if (g->buckets.count)
            qsort(g->buckets.items, g->buckets.count, sizeof *g->buckets.items, by_upper);
        if (g->buckets.count > s->most_buckets)
            s->most_buckets = g->buckets.count;
    }
    s->scratch = toc_arena_calloc(e->arena, s->most_buckets + 1, sizeof *s->scratch);
    return e->arena->overflowed ? toc_eval_no_memory(e) : 0;
}

void toc_histogram_split_fini(struct toc_histogram_split *s) {
    for (size_t i = 0; i < s->count; i++) {
        TOC_VEC_FINI(&s->items[i].buckets);
        TOC_VEC_FINI(&s->items[i].natives);
    }
    TOC_VEC_FINI(s);
    toc_map_fini(&s->by_labels);
}

size_t toc_histogram_group_buckets(const struct toc_histogram_split *s,
                                   const struct toc_histogram_group *g, size_t step) {
    size_t n = 0;
    for (size_t i = 0; i < g->buckets.count; i++) {
        const struct toc_column *c = g->buckets.items[i].column;
        if (!toc_is_absent(c->values[step]) && !toc_column_histogram(c, step))
            s->scratch[n++] = (struct toc_le_bucket){g->buckets.items[i].upper, c->values[step]};
    }
    return n;
}
