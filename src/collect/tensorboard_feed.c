#include "collect/tensorboard_feed_priv.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "collect/run_line_priv.h"

enum {
    DEFAULT_TAGS = 10000,
    DEFAULT_SCALARS = 512,
    DEFAULT_LINE_BYTES = 128 << 10,
    TOGETHER_MS = 1000, /* what is written within is of one report */
};

struct toc_tensorboard_feed *
toc_tensorboard_feed_new(const struct toc_tensorboard_feed_options *o) {
    struct toc_tensorboard_feed *f = TOC_NEW(struct toc_tensorboard_feed);
    f->o = *o;
    f->o.max_tags = o->max_tags ? o->max_tags : DEFAULT_TAGS;
    f->o.max_scalars = o->max_scalars ? o->max_scalars : DEFAULT_SCALARS;
    f->o.max_line_bytes = o->max_line_bytes ? o->max_line_bytes : DEFAULT_LINE_BYTES;
    return f;
}

void toc_tensorboard_feed_free(struct toc_tensorboard_feed **f) {
    if (!f || !*f)
        return;
    for (size_t i = 0; i < (*f)->tags.count; i++) {
        toc_free((void *)(uintptr_t)(*f)->tags.items[i]->name.p);
        toc_free((*f)->tags.items[i]);
    }
    for (size_t i = 0; i < (*f)->layers.count; i++) {
        toc_free((void *)(uintptr_t)(*f)->layers.items[i]->name.p);
        toc_free((*f)->layers.items[i]);
    }
    TOC_VEC_FINI(&(*f)->tags);
    TOC_VEC_FINI(&(*f)->layers);
    toc_map_fini(&(*f)->tag_by_name);
    toc_map_fini(&(*f)->layer_by_name);
    TOC_VEC_FINI(&(*f)->numbers);
    TOC_VEC_FINI(&(*f)->layers_told);
    toc_report_fields_fini(&(*f)->fields);
    toc_free(*f);
    *f = NULL;
}

static void add_codec(struct toc_tfevents_counters *sum, const struct toc_tfevents_counters *c) {
#define X(member, what) sum->member += c->member;
    TOC_TFEVENTS_COUNTER_TABLE(X)
#undef X
}

struct toc_tensorboard_feed_counters
toc_tensorboard_feed_counters(const struct toc_tensorboard_feed *f) {
    struct toc_tensorboard_feed_counters c = f->counters;
    for (const struct toc_tensorboard_stream *s = f->streams; s; s = s->next) {
        struct toc_tfevents_counters one = toc_tfevents_counters(s->codec);
        add_codec(&c.codec, &one);
    }
    return c;
}

/* ------------------------------------------------------------------------------------- tags */

/* A second tag with the meaning of one that is known is a scalar like others: Lightning writes
 * train_loss_step beside train_loss_epoch. */
static bool is_meaning_taken(const struct toc_tensorboard_feed *f, const struct toc_alias *a) {
    for (size_t i = 0; i < f->tags.count; i++) {
        const struct toc_alias *other = f->tags.items[i]->alias;
        if (other && toc_sv_eq(other->canonical, a->canonical))
            return true;
    }
    return false;
}

static struct toc_tensorboard_layer *layer_get(struct toc_tensorboard_feed *f, struct toc_sv name) {
    struct toc_tensorboard_layer *l = toc_map_get(&f->layer_by_name, name);
    if (l)
        return l;
    l = TOC_NEW(struct toc_tensorboard_layer);
    l->name = toc_sv_make(toc_sv_dup_cstr(name), name.n);
    TOC_VEC_PUSH(&f->layers, l);
    toc_map_put(&f->layer_by_name, name, l);
    return l;
}

static void give_meaning(struct toc_tensorboard_feed *f, struct toc_tensorboard_tag *tag,
                         enum toc_tfevents_kind kind) {
    if (kind == TOC_TFEVENTS_HISTOGRAM) {
        struct toc_sv layer = toc_alias_layer_of_tag(f->o.aliases, tag->name, &tag->what);
        tag->is_dropped = !toc_run_name_is_valid(layer);
        tag->layer = tag->is_dropped ? NULL : layer_get(f, layer);
        return;
    }
    tag->alias = toc_alias_of_tag(f->o.aliases, tag->name, f->o.is_validation);
    /* The step of an event is told beside its values. */
    if (tag->alias &&
        (toc_sv_eq_cstr(tag->alias->canonical, "train_step") || is_meaning_taken(f, tag->alias)))
        tag->alias = NULL;
    tag->is_dropped =
        !tag->alias && (f->scalars >= f->o.max_scalars || !toc_run_name_is_valid(tag->name));
    f->scalars += !tag->alias && !tag->is_dropped;
    if (!tag->is_dropped)
        tag->field = tag->alias ? toc_report_field_value(&f->fields,
                                                         toc_report_name_of(tag->alias->canonical))
                                : toc_report_field_scalar(&f->fields, tag->name);
}

/* NULL over the limit. */
struct toc_tensorboard_tag *toc_tensorboard_tag_get(struct toc_tensorboard_feed *f,
                                                    struct toc_sv name,
                                                    enum toc_tfevents_kind kind) {
    struct toc_tensorboard_tag *tag = toc_map_get(&f->tag_by_name, name);
    if (tag || f->tags.count >= f->o.max_tags)
        return tag && tag->kind == kind ? tag : NULL;
    tag = TOC_NEW(struct toc_tensorboard_tag);
    *tag = (struct toc_tensorboard_tag){.name = toc_sv_make(toc_sv_dup_cstr(name), name.n),
                                        .kind = kind,
                                        .index = f->tags.count,
                                        .last = {.step = INT64_MIN}};
    give_meaning(f, tag, kind);
    TOC_VEC_PUSH(&f->tags, tag);
    toc_map_put(&f->tag_by_name, name, tag);
    return tag;
}

/* ---------------------------------------------------------------------------------- restarts */

static struct toc_tensorboard_last *last_of(struct toc_tensorboard_stream *s,
                                            const struct toc_tensorboard_tag *tag) {
    while (s->last.count <= tag->index)
        TOC_VEC_PUSH(&s->last, ((struct toc_tensorboard_last){.step = INT64_MIN}));
    return &s->last.items[tag->index];
}

/* Did this tag's step go back: in its file, or from a former file to one begun after it? Two
 * processes may write into one folder side by side, that is no restart. */
static bool is_step_back(struct toc_tensorboard_stream *s, const struct toc_tensorboard_tag *tag,
                         const struct toc_tensorboard_last *here, int64_t step) {
    const struct toc_tensorboard_feed *f = s->feed;
    if (here->step != INT64_MIN)
        return here->generation == f->generation && step < here->step;
    return tag->last.step != INT64_MIN && tag->last.generation == f->generation &&
           step <= tag->last.step && s->start_ms > tag->last.t_ms;
}

static void tell_restart(struct toc_tensorboard_feed *f, int64_t t_ms, int64_t from, int64_t to) {
    char text[96];
    f->generation++;
    f->has_step = false;
    f->counters.restarts++;
    f->counters.reports++;
    snprintf(text, sizeof text, "step went back from %lld to %lld", (long long)from, (long long)to);
    f->o.taker->on_run(f->o.taker, &(struct toc_run_report){.t = {t_ms},
                                                            .is_partial = true,
                                                            .is_restart = true,
                                                            .message = toc_sv_cstr(text)});
}

/* ------------------------------------------------------------------------------------ values */

static bool is_time(double wall_time) {
    return wall_time >= 1 && wall_time < 1e11;
}

static bool holds(const struct toc_tensorboard_gathered *g, const struct toc_tensorboard_tag *tag) {
    return tag->gathered_in == g && tag->gathered_number == g->number;
}

static bool belongs(const struct toc_tensorboard_gathered *g, const struct toc_tensorboard_tag *tag,
                    int64_t step, int64_t t_ms) {
    return g->step == step && t_ms >= g->t_ms && t_ms - g->t_ms < TOGETHER_MS && !holds(g, tag);
}

static void gather(struct toc_tensorboard_stream *s, struct toc_tensorboard_tag *tag,
                   const struct toc_tfevents_value *value, int64_t t_ms) {
    struct toc_tensorboard_gathered *g = &s->gathered;
    if (g->is_open && !belongs(g, tag, value->step, t_ms))
        toc_tensorboard_stream_flush(s);
    if (!g->is_open) {
        g->is_open = true;
        g->number++;
        g->step = value->step;
        g->t_ms = t_ms;
        g->at = s->at + value->at;
    }
    tag->gathered_in = g;
    tag->gathered_number = g->number;
    if (value->kind == TOC_TFEVENTS_SCALAR) {
        TOC_VEC_PUSH(&g->scalars, ((struct toc_tensorboard_scalar){tag, value->scalar}));
        return;
    }
    struct toc_layer_stats stats = toc_layer_stats_of(&value->histogram);
    TOC_VEC_PUSH(&g->histograms, ((struct toc_tensorboard_histogram){.tag = tag, .stats = stats}));
}

/* Writers go through their tags in the same order at each step. */
static struct toc_tensorboard_tag *tag_of(struct toc_tensorboard_stream *s,
                                          const struct toc_tfevents_value *value) {
    struct toc_tensorboard_tag *before = s->latest, *tag = before ? before->follower : NULL;
    if (!tag || tag->kind != value->kind || !toc_sv_eq(tag->name, value->tag)) {
        tag = toc_tensorboard_tag_get(s->feed, value->tag, value->kind);
        if (before)
            before->follower = tag;
    }
    s->latest = tag;
    return tag;
}

static void on_value(struct toc_tfevents_visitor *v, const struct toc_tfevents_value *value) {
    struct toc_tensorboard_stream *s = TOC_CONTAINER_OF(v, struct toc_tensorboard_stream, visitor);
    struct toc_tensorboard_feed *f = s->feed;
    if (!is_time(value->wall_time)) {
        f->counters.bad_times++;
        return;
    }
    struct toc_tensorboard_tag *tag = tag_of(s, value);
    if (!tag || tag->is_dropped) {
        f->counters.tags_dropped++;
        return;
    }
    int64_t t_ms = (int64_t)floor(value->wall_time * 1000 + 0.5);
    struct toc_tensorboard_last *here = last_of(s, tag);
    if (is_step_back(s, tag, here, value->step)) {
        int64_t from = here->step == INT64_MIN ? tag->last.step : here->step;
        toc_tensorboard_stream_flush(s);
        tell_restart(f, t_ms, from, value->step);
    }
    f->counters.bad_steps += value->step < 0;
    *here = (struct toc_tensorboard_last){value->step, t_ms, f->generation};
    tag->last = *here;
    gather(s, tag, value, t_ms);
}

static void on_file_version(struct toc_tfevents_visitor *v, double wall_time, struct toc_sv text) {
    struct toc_tensorboard_stream *s = TOC_CONTAINER_OF(v, struct toc_tensorboard_stream, visitor);
    (void)text;
    if (!s->start_ms && is_time(wall_time))
        s->start_ms = (int64_t)floor(wall_time * 1000 + 0.5);
}

/* ----------------------------------------------------------------------------------- streams */

struct toc_tensorboard_stream *toc_tensorboard_stream_open(struct toc_tensorboard_feed *f) {
    struct toc_tensorboard_stream *s = TOC_NEW(struct toc_tensorboard_stream);
    *s = (struct toc_tensorboard_stream){.feed = f,
                                         .codec = toc_tfevents_new(NULL),
                                         .visitor = {on_value, on_file_version},
                                         .next = f->streams};
    f->streams = s;
    return s;
}

void toc_tensorboard_stream_close(struct toc_tensorboard_stream **stream) {
    struct toc_tensorboard_stream *s = stream ? *stream : NULL;
    if (!s)
        return;
    toc_tensorboard_stream_flush(s);
    struct toc_tfevents_counters c = toc_tfevents_counters(s->codec);
    add_codec(&s->feed->counters.codec, &c);
    struct toc_tensorboard_stream **link = &s->feed->streams;
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    for (size_t i = 0; i < s->feed->tags.count; i++)
        if (s->feed->tags.items[i]->gathered_in == &s->gathered)
            s->feed->tags.items[i]->gathered_in = NULL;
    toc_tfevents_free(&s->codec);
    TOC_VEC_FINI(&s->last);
    TOC_VEC_FINI(&s->gathered.scalars);
    TOC_VEC_FINI(&s->gathered.histograms);
    toc_free(s);
    *stream = NULL;
}

size_t toc_tensorboard_stream_push(struct toc_tensorboard_stream *s, struct toc_sv bytes) {
    size_t done = toc_tfevents_decode(s->codec, bytes, &s->visitor);
    s->at += done;
    return done;
}

size_t toc_tensorboard_stream_wanted(const struct toc_tensorboard_stream *s) {
    return toc_tfevents_wanted(s->codec);
}

struct toc_tfevents_counters
toc_tensorboard_stream_counters(const struct toc_tensorboard_stream *s) {
    return toc_tfevents_counters(s->codec);
}
