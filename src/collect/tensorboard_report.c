/* What was gathered about one step as reports. */
#include "collect/tensorboard_feed_priv.h"

#include <stdio.h>

enum { LAYERS_PER_REPORT = 512, NUMBER_BYTES = 20 /* of one in the text of a report, about */ };

/* ----------------------------------------------------------------------------- the report at hand
 */

static void put(struct toc_tensorboard_feed *f, struct toc_report_field *field, double value) {
    TOC_VEC_PUSH(&f->numbers, ((struct toc_report_value){field, value}));
    f->text_bytes += field->key.n + NUMBER_BYTES;
}

/* A step behind the largest one is of another count, epochs beside steps. */
static struct toc_run_report begin(struct toc_tensorboard_feed *f,
                                   const struct toc_tensorboard_gathered *g) {
    bool is_ahead = g->step >= 0 && (!f->has_step || g->step >= f->step);
    if (is_ahead) {
        f->has_step = true;
        f->step = g->step;
    }
    f->numbers.count = f->layers_told.count = f->text_bytes = 0;
    return (struct toc_run_report){
        .t = {g->t_ms}, .has_step = is_ahead, .step = g->step, .is_partial = true};
}

/* All numbers stand in one row: fields, tags, statistics layer by layer. */
static void give(struct toc_tensorboard_feed *f, struct toc_run_report *r) {
    const struct toc_report_value *at = f->numbers.items;
    r->values = at;
    r->scalars = at + r->value_count;
    r->layers = f->layers_told.items;
    r->layer_count = f->layers_told.count;
    at = r->scalars + r->scalar_count;
    for (size_t i = 0; i < r->layer_count; i++) {
        f->layers_told.items[i].stats = at;
        at += r->layers[i].count;
    }
    f->counters.reports++;
    f->o.taker->on_run(f->o.taker, r);
}

static size_t put_scalars(struct toc_tensorboard_feed *f, const struct toc_tensorboard_gathered *g,
                          bool has_meaning) {
    size_t count = 0;
    for (size_t i = 0; i < g->scalars.count; i++) {
        const struct toc_tensorboard_scalar *s = &g->scalars.items[i];
        const struct toc_alias *a = s->tag->alias;
        if ((a != NULL) != has_meaning)
            continue;
        put(f, s->tag->field, a ? s->value * a->scale : s->value);
        count++;
    }
    return count;
}

/* --------------------------------------------------------------------------------------- layers */

static const char *const g_stats[] = {
#define X(name, text) text,
    TOC_TENSORBOARD_STAT_TABLE(X)
#undef X
#define X(member, name, q) "%s_" name,
        TOC_LAYER_QUANTILE_TABLE(X)
#undef X
};
static const char *const g_parts[] = {"grad", "param", "activation"};

static enum toc_tensorboard_part part_of(const struct toc_tensorboard_histogram *h) {
    switch (h->tag->what.n ? h->tag->what.p[0] : 0) {
    case 'g':
        return TOC_TENSORBOARD_GRAD;
    case 'a':
        return TOC_TENSORBOARD_ACTIVATION;
    default:
        return TOC_TENSORBOARD_PARAM;
    }
}

/* Where one part of a layer is told. */
struct telling {
    struct toc_tensorboard_feed *feed;
    struct toc_tensorboard_layer *layer;
    enum toc_tensorboard_part part;
};

static void put_stat(const struct telling *t, enum toc_tensorboard_stat stat, double value) {
    struct toc_report_field **field = &t->layer->stats[t->part][stat];
    if (!*field) {
        char name[48];
        snprintf(name, sizeof name, g_stats[stat], g_parts[t->part]);
        *field = toc_report_field_stat(&t->feed->fields, toc_sv_cstr(name));
    }
    put(t->feed, *field, value);
}

static void put_stats(const struct telling *t, const struct toc_layer_stats *s) {
    if (s->has_moments) {
        put_stat(t, TOC_TENSORBOARD_MEAN, s->mean);
        put_stat(t, TOC_TENSORBOARD_STD, s->std);
    }
    if (s->has_range) {
        put_stat(t, TOC_TENSORBOARD_MIN, s->min);
        put_stat(t, TOC_TENSORBOARD_MAX, s->max);
    }
    if (s->has_norm)
        put_stat(t, TOC_TENSORBOARD_NORM, s->norm);
#define X(member, name, q) \
    if (s->has_quantiles)  \
        put_stat(t, TOC_TENSORBOARD_##member, s->member);
    TOC_LAYER_QUANTILE_TABLE(X)
#undef X
    if (s->has_zero_ratio)
        put_stat(t, TOC_TENSORBOARD_ZERO, s->zero_ratio);
}

static void put_nonfinite(struct toc_tensorboard_feed *f, struct toc_tensorboard_layer *layer,
                          bool is_activation, double share) {
    struct toc_report_field **field = &layer->nonfinite[is_activation];
    if (share < 0)
        return;
    if (!*field)
        *field =
            toc_report_field_stat(&f->fields, is_activation ? TOC_SV("nonfinite_activation_ratio")
                                                            : TOC_SV("nonfinite_ratio"));
    put(f, *field, share);
}

/* All histograms of one layer, linked from the first one on. */
static void put_layer(struct toc_tensorboard_feed *f, const struct toc_tensorboard_gathered *g,
                      size_t first) {
    struct toc_tensorboard_layer *layer = g->histograms.items[first].tag->layer;
    double nonfinite[2] = {-1, -1};
    bool is_told[TOC_TENSORBOARD_PARTS] = {false};
    size_t before = f->numbers.count;
    f->text_bytes += layer->name.n + NUMBER_BYTES;
    for (size_t i = first; i != SIZE_MAX; i = g->histograms.items[i].next) {
        const struct toc_tensorboard_histogram *h = &g->histograms.items[i];
        struct telling t = {f, layer, part_of(h)};
        if (is_told[t.part]) /* "x" and "weights/x": the first one stays */
            continue;
        is_told[t.part] = true;
        put_stats(&t, &h->stats);
        double *worst = &nonfinite[t.part == TOC_TENSORBOARD_ACTIVATION];
        if (h->stats.has_nonfinite_ratio && h->stats.nonfinite_ratio > *worst)
            *worst = h->stats.nonfinite_ratio;
    }
    put_nonfinite(f, layer, false, nonfinite[false]);
    put_nonfinite(f, layer, true, nonfinite[true]);
    TOC_VEC_PUSH(&f->layers_told, ((struct toc_report_layer){.name = layer->name,
                                                             .count = f->numbers.count - before}));
}

/* Links the histograms of each layer; what is first of its layer has is_first. */
static void link_layers(struct toc_tensorboard_feed *f, struct toc_tensorboard_gathered *g) {
    uint64_t report = ++f->layer_report;
    for (size_t i = 0; i < g->histograms.count; i++) {
        struct toc_tensorboard_layer *l = g->histograms.items[i].tag->layer;
        g->histograms.items[i].next = SIZE_MAX;
        g->histograms.items[i].is_first = l->report != report;
        if (l->report == report)
            g->histograms.items[l->last].next = i;
        l->report = report;
        l->last = i;
    }
}

/* Many layers become several reports of one step. */
static void put_layers(struct toc_tensorboard_feed *f, struct toc_tensorboard_gathered *g,
                       struct toc_run_report *r) {
    link_layers(f, g);
    for (size_t i = 0; i < g->histograms.count; i++) {
        if (!g->histograms.items[i].is_first)
            continue;
        if (f->text_bytes > f->o.max_line_bytes || f->layers_told.count == LAYERS_PER_REPORT) {
            give(f, r);
            *r = begin(f, g);
        }
        put_layer(f, g, i);
    }
}

/* Steps of less than a millisecond would hide each other in a store of milliseconds: they are put
 * 1 ms apart, as long as that leads them less than a second away from their time. */
static void keep_apart(struct toc_tensorboard_stream *s, struct toc_tensorboard_gathered *g) {
    enum { ASTRAY_MS = 1000 };
    if (g->t_ms <= s->given_ms && s->given_ms - g->t_ms < ASTRAY_MS)
        g->t_ms = s->given_ms + 1;
    s->given_ms = g->t_ms;
}

void toc_tensorboard_stream_flush(struct toc_tensorboard_stream *s) {
    struct toc_tensorboard_gathered *g = &s->gathered;
    if (!g->is_open)
        return;
    keep_apart(s, g);
    struct toc_run_report r = begin(s->feed, g);
    r.value_count = put_scalars(s->feed, g, true);
    r.scalar_count = put_scalars(s->feed, g, false);
    if (g->histograms.count)
        put_layers(s->feed, g, &r);
    give(s->feed, &r);
    g->is_open = false;
    g->scalars.count = 0;
    g->histograms.count = 0;
}
