/* What was gathered about one step as lines of the run protocol. */
#include "collect/tensorboard_feed_priv.h"

#include <stdio.h>
#include <string.h>

enum { LAYERS_PER_LINE = 512 };

/* A step behind the largest one is of another count, epochs beside steps. */
static void begin(struct toc_tensorboard_feed *f, const struct toc_tensorboard_gathered *g) {
    bool is_ahead = g->step >= 0 && (!f->has_step || g->step >= f->step);
    if (is_ahead) {
        f->has_step = true;
        f->step = g->step;
    }
    toc_report_line_begin(&f->line, (struct toc_ts){g->t_ms}, is_ahead ? &g->step : NULL, true);
}

static void give(struct toc_tensorboard_feed *f) {
    toc_report_line_give(&f->line, f->o.taker);
    f->counters.reports++;
}

static void write_fields(struct toc_tensorboard_feed *f, const struct toc_tensorboard_gathered *g) {
    for (size_t i = 0; i < g->scalars.count; i++) {
        const struct toc_alias *a = g->scalars.items[i].tag->alias;
        if (!a)
            continue;
        toc_json_key_made(&f->line.json, g->scalars.items[i].tag->key);
        toc_json_double(&f->line.json, g->scalars.items[i].value * a->scale);
    }
}

static void write_scalars(struct toc_tensorboard_feed *f,
                          const struct toc_tensorboard_gathered *g) {
    bool is_begun = false;
    for (size_t i = 0; i < g->scalars.count; i++) {
        const struct toc_tensorboard_scalar *s = &g->scalars.items[i];
        if (s->tag->alias)
            continue;
        if (!is_begun) {
            toc_json_key(&f->line.json, "scalars");
            toc_json_begin_object(&f->line.json);
        }
        is_begun = true;
        toc_json_key_made(&f->line.json, s->tag->key);
        toc_json_double(&f->line.json, s->value);
    }
    if (is_begun)
        toc_json_end_object(&f->line.json);
}

static void put(struct toc_json_writer *w, struct toc_sv what, const char *name, double value) {
    char key[48];
    size_t n = TOC_MIN(what.n, (size_t)24), length = strlen(name);
    memcpy(key, what.p, n);
    key[n] = '_';
    memcpy(key + n + 1, name, TOC_MIN(length, sizeof key - n - 1));
    toc_json_key_sv(w, toc_sv_make(key, n + 1 + length));
    toc_json_double(w, value);
}

static void put_ratio(struct toc_json_writer *w, const char *start, struct toc_sv what,
                      double value) {
    char key[48];
    snprintf(key, sizeof key, "%s_%.*s_ratio", start, TOC_SV_ARG(what));
    toc_json_kv_double(w, key, value);
}

static void write_stats(struct toc_json_writer *w, struct toc_sv what,
                        const struct toc_layer_stats *s) {
    if (s->has_moments) {
        put(w, what, "mean", s->mean);
        put(w, what, "std", s->std);
    }
    if (s->has_range) {
        put(w, what, "min", s->min);
        put(w, what, "max", s->max);
    }
    if (s->has_norm)
        put(w, what, "norm", s->norm);
#define X(member, name, q) \
    if (s->has_quantiles)  \
        put(w, what, name, s->member);
    TOC_LAYER_QUANTILE_TABLE(X)
#undef X
    if (s->has_zero_ratio)
        put_ratio(w, "zero", what, s->zero_ratio);
}

enum part { PART_GRAD = 1, PART_PARAM = 2, PART_ACTIVATION = 4 };

static enum part part_of(const struct toc_tensorboard_histogram *h) {
    switch (h->tag->what.n ? h->tag->what.p[0] : 0) {
    case 'g':
        return PART_GRAD;
    case 'a':
        return PART_ACTIVATION;
    default:
        return PART_PARAM;
    }
}

/* All histograms of one layer, linked from the first one on. */
static void write_layer(struct toc_tensorboard_feed *f, const struct toc_tensorboard_gathered *g,
                        size_t first) {
    struct toc_json_writer *w = &f->line.json;
    double nonfinite = -1, nonfinite_activation = -1;
    unsigned written = 0;
    toc_json_key_sv(w, g->histograms.items[first].tag->layer->name);
    toc_json_begin_object(w);
    for (size_t i = first; i != SIZE_MAX; i = g->histograms.items[i].next) {
        const struct toc_tensorboard_histogram *h = &g->histograms.items[i];
        enum part part = part_of(h);
        if (written & part) /* "x" and "weights/x": the first one stays */
            continue;
        written |= part;
        write_stats(w, h->tag->what, &h->stats);
        double *worst = part == PART_ACTIVATION ? &nonfinite_activation : &nonfinite;
        if (h->stats.has_nonfinite_ratio && h->stats.nonfinite_ratio > *worst)
            *worst = h->stats.nonfinite_ratio;
    }
    if (nonfinite >= 0)
        toc_json_kv_double(w, "nonfinite_ratio", nonfinite);
    if (nonfinite_activation >= 0)
        toc_json_kv_double(w, "nonfinite_activation_ratio", nonfinite_activation);
    toc_json_end_object(w);
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

static void begin_layers(struct toc_tensorboard_feed *f) {
    toc_json_key(&f->line.json, "layers");
    toc_json_begin_object(&f->line.json);
}

static void write_layers(struct toc_tensorboard_feed *f, struct toc_tensorboard_gathered *g) {
    size_t on_line = 0;
    link_layers(f, g);
    begin_layers(f);
    for (size_t i = 0; i < g->histograms.count; i++) {
        if (!g->histograms.items[i].is_first)
            continue;
        if (f->line.buf.n > f->o.max_line_bytes || on_line == LAYERS_PER_LINE) {
            toc_json_end_object(&f->line.json);
            give(f);
            begin(f, g);
            begin_layers(f);
            on_line = 0;
        }
        write_layer(f, g, i);
        on_line++;
    }
    toc_json_end_object(&f->line.json);
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
    begin(s->feed, g);
    write_fields(s->feed, g);
    write_scalars(s->feed, g);
    if (g->histograms.count)
        write_layers(s->feed, g);
    give(s->feed);
    g->is_open = false;
    g->scalars.count = 0;
    g->histograms.count = 0;
}
