#include "collect/run_receiver_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

enum { EVENTS_MAX = 10000, KEY_MAX = 512 };

/* X(metric, type, help): what the receiver describes to the store. */
#define METRICS(X)                                                                             \
    X("train_step", TOC_METRIC_GAUGE, "Steps completed.")                                      \
    X("train_last_step_timestamp_seconds", TOC_METRIC_GAUGE, "When the step last advanced.")   \
    X("train_loss", TOC_METRIC_GAUGE, "Training loss as reported.")                            \
    X("train_grad_norm", TOC_METRIC_GAUGE, "Norm of all gradients.")                           \
    X("train_learning_rate", TOC_METRIC_GAUGE, "Learning rate.")                               \
    X("train_step_seconds", TOC_METRIC_GAUGE, "Duration of the last step.")                    \
    X("train_tokens_per_second", TOC_METRIC_GAUGE, "Throughput.")                              \
    X("train_memory_bytes", TOC_METRIC_GAUGE, "Memory in use by the run.")                     \
    X("train_memory_limit_bytes", TOC_METRIC_GAUGE, "Memory the run may use.")                 \
    X("train_run_state", TOC_METRIC_GAUGE, "0 finished, 1 running, 2 paused, 3 failed.")       \
    X("train_run_tells_state", TOC_METRIC_GAUGE, "1 when the run reports its state.")          \
    X("train_run_phase", TOC_METRIC_GAUGE, "0 none, 1 evaluation, 2 checkpoint, 3 paused.")    \
    X("train_rank_info", TOC_METRIC_GAUGE, "Host and process of a rank.")                      \
    X("train_run_info", TOC_METRIC_GAUGE, "Labels that describe the run.")                     \
    X("train_reports_dropped_total", TOC_METRIC_COUNTER, "Reports the run could not deliver.") \
    X("train_nonfinite_total", TOC_METRIC_COUNTER, "Non-finite or missing values by kind.")    \
    X("train_restarts_total", TOC_METRIC_COUNTER, "Restarts of the run.")                      \
    X("train_last_checkpoint_timestamp_seconds", TOC_METRIC_GAUGE,                             \
      "When the last checkpoint was "                                                          \
      "reported.")                                                                             \
    X("train_checkpoint_step", TOC_METRIC_GAUGE, "Step of the last checkpoint.")               \
    X("train_layer_grad_norm", TOC_METRIC_GAUGE, "Norm of the layer's gradients.")             \
    X("train_layer_param_mean", TOC_METRIC_GAUGE, "Mean of the layer's parameters.")           \
    X("train_layer_param_std", TOC_METRIC_GAUGE, "Standard deviation of the parameters.")      \
    X("train_layer_param_min", TOC_METRIC_GAUGE, "Smallest parameter.")                        \
    X("train_layer_param_max", TOC_METRIC_GAUGE, "Largest parameter.")                         \
    X("train_update_ratio", TOC_METRIC_GAUGE, "Norm of the update over norm of the weights.")  \
    X("train_zero_grad_ratio", TOC_METRIC_GAUGE, "Share of exactly zero gradients.")           \
    X("train_layer_nonfinite_ratio", TOC_METRIC_GAUGE, "Share of NaN or Inf in the layer.")    \
    X("train_tb_scalar", TOC_METRIC_GAUGE, "Scalar of the writer's choosing, by its tag.")

static const char *const nonfinite_texts[] = {
#define X(name, text) text,
    TOC_RUN_NONFINITE_TABLE(X)
#undef X
};

static void describe(struct toc_run_receiver *r) {
    if (r->described++ || !r->o.sink->metadata)
        return;
#define X(metric, type, help) \
    r->o.sink->metadata(r->o.sink, TOC_SV(metric), type, TOC_SV(help), TOC_SV_NULL);
    METRICS(X)
#undef X
}

/* What is being written: one rank of one run at one time. */
struct writer {
    struct toc_run_receiver *r;
    struct toc_run *run;
    int64_t rank, t_ms;
};

static struct toc_run_series *series_new(const struct writer *w, struct toc_sv metric,
                                         const struct toc_label *extra, size_t count) {
    char rank[24];
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, metric);
    toc_labels_builder_set(&b, TOC_SV("run"), w->run->name);
    snprintf(rank, sizeof rank, "%lld", (long long)w->rank);
    if (w->rank)
        toc_labels_builder_set(&b, TOC_SV("rank"), toc_sv_cstr(rank));
    for (size_t i = 0; i < count; i++)
        toc_labels_builder_set(&b, extra[i].name, extra[i].value);
    struct toc_run_series *s = TOC_NEW(struct toc_run_series);
    s->labels = toc_labels_dup(toc_labels_builder_finish(&b));
    toc_labels_builder_fini(&b);
    return s;
}

/* Appends a separator and the text; false when there is no room. */
static bool key_add(char key[KEY_MAX], size_t *n, struct toc_sv text) {
    if (text.n >= KEY_MAX - 1 - *n)
        return false;
    key[(*n)++] = '\n';
    if (text.n)
        memcpy(key + *n, text.p, text.n);
    *n += text.n;
    return true;
}

/* "\nmetric\nvalue…\nrank" of a series; empty when it is too long. Made for each value of each
 * line, so without printf. */
static struct toc_sv series_key(const struct writer *w, struct toc_sv metric,
                                const struct toc_label *extra, size_t count, char key[KEY_MAX]) {
    char rank[TOC_U64_TEXT_MAX];
    size_t n = 0;
    bool has_room = key_add(key, &n, metric);
    for (size_t i = 0; has_room && i < count; i++)
        has_room = key_add(key, &n, extra[i].value);
    has_room =
        has_room && key_add(key, &n, toc_sv_make(rank, toc_u64_text((uint64_t)w->rank, rank)));
    return toc_sv_make(key, has_room ? n : 0);
}

static bool series_is_known(const struct writer *w, struct toc_sv metric,
                            const struct toc_label *extra, size_t count) {
    char key[KEY_MAX];
    return toc_map_has(&w->run->series, series_key(w, metric, extra, count, key));
}

/* The series of a metric, the values of its extra labels and the rank; NULL over the run's
 * limit. */
static struct toc_run_series *series_get(const struct writer *w, struct toc_sv metric,
                                         const struct toc_label *extra, size_t count) {
    char key[KEY_MAX];
    struct toc_sv k = series_key(w, metric, extra, count, key);
    if (!k.n)
        return NULL;
    struct toc_run_series *s = toc_map_get(&w->run->series, k);
    if (!s && w->run->series.count < w->r->o.max_series_per_run) {
        s = series_new(w, metric, extra, count);
        toc_map_put(&w->run->series, k, s);
    }
    return s;
}

static void put_series(const struct writer *w, struct toc_run_series *s, int64_t t_ms,
                       double value) {
    struct toc_run_receiver *r = w->r;
    if (!s) {
        r->pending.samples_rejected++;
        return;
    }
    /* Lines in the same millisecond: the latest one's value stays. In one body it replaces the one
     * before; after one that is stored already it follows a millisecond later, and so does what
     * comes in a millisecond that was taken that way. */
    if (s->body == r->body_number && s->line_t_ms == t_ms) {
        r->points.items[s->point].value = value;
        return;
    }
    bool is_taken = s->body && t_ms >= s->line_t_ms && t_ms <= s->last_t_ms;
    s->line_t_ms = t_ms;
    if (is_taken)
        t_ms = s->last_t_ms + (s->body != r->failed_body);
    s->last_t_ms = t_ms;
    s->body = r->body_number;
    s->point = r->points.count;
    TOC_VEC_PUSH(&r->points, toc_float_point(s->labels, t_ms, value));
}

static bool is_remembered(const struct writer *w, const struct toc_run_memo *m) {
    return m && m->series && m->run == w->run->number && m->rank == w->rank;
}

static void remember(const struct writer *w, struct toc_run_memo *m, struct toc_run_series *s) {
    if (m)
        *m = (struct toc_run_memo){w->run->number, w->rank, s};
}

/* series_get, or what was remembered of it. */
static struct toc_run_series *series_of(const struct writer *w, struct toc_sv metric,
                                        const struct toc_label *extra, size_t count,
                                        struct toc_run_memo *memo) {
    if (is_remembered(w, memo))
        return memo->series;
    struct toc_run_series *s = series_get(w, metric, extra, count);
    remember(w, memo, s);
    return s;
}

static void put(const struct writer *w, const char *metric, double value) {
    put_series(w, series_get(w, toc_sv_cstr(metric), NULL, 0), w->t_ms, value);
}

static void put_own(const struct writer *w, enum toc_run_own which, const char *metric,
                    double value) {
    struct toc_run_memo *memo = &w->run->own[which];
    put_series(w, series_of(w, toc_sv_cstr(metric), NULL, 0, memo), w->t_ms, value);
}

static void put_nonfinite(const struct writer *w, int kind, int64_t t_ms, double value) {
    struct toc_label l = {TOC_SV("kind"), toc_sv_cstr(nonfinite_texts[kind])};
    struct toc_run_memo *memo = &w->run->own[TOC_RUN_OWN_NONFINITE + kind];
    put_series(w, series_of(w, TOC_SV("train_nonfinite_total"), &l, 1, memo), t_ms, value);
}

/* Counters start at 0 just before the first line, so that increase() sees an event on that very
 * line. */
static void announce(const struct writer *w, struct toc_run_rank *k) {
    if (k->is_announced)
        return;
    k->is_announced = true;
    for (int i = 0; i < TOC_NONFINITE_COUNT; i++)
        put_nonfinite(w, i, w->t_ms - 1, 0);
    put_series(w, series_get(w, TOC_SV("train_restarts_total"), NULL, 0), w->t_ms - 1, 0);
}

static void put_info(const struct writer *w) {
    struct toc_labels l = w->run->labels;
    char hash[20];
    if (!l.count)
        return;
    struct toc_label labels[TOC_RUN_LABELS_MAX + 1];
    size_t n = 0;
    for (; n < l.count && n < TOC_RUN_LABELS_MAX; n++)
        labels[n] = l.items[n];
    /* The key of a cached series is made of label values only: the set's hash tells two sets
     * apart. */
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)toc_labels_hash(l));
    struct toc_sv metric = TOC_SV("train_run_info"), key = toc_sv_cstr(hash);
    struct toc_run_series *s = toc_map_get(&w->run->series, key);
    if (!s && w->run->series.count < w->r->o.max_series_per_run) {
        s = series_new(w, metric, labels, n);
        toc_map_put(&w->run->series, key, s);
    }
    put_series(w, s, w->t_ms, 1);
}

static void put_rank_info(const struct writer *w, const struct toc_run_rank *k) {
    struct toc_label labels[] = {{TOC_SV("host"), toc_sv_cstr(k->host)},
                                 {TOC_SV("pid"), toc_sv_cstr(k->pid)}};
    if (k->host[0])
        put_series(w, series_get(w, TOC_SV("train_rank_info"), labels, k->pid[0] ? 2 : 1), w->t_ms,
                   1);
}

static void put_derived(const struct writer *w, struct toc_run_rank *k) {
    k->derived_at_ms = w->t_ms;
    put_own(w, TOC_RUN_OWN_STATE, "train_run_state", toc_run_state_value(k->state));
    put_own(w, TOC_RUN_OWN_TELLS_STATE, "train_run_tells_state", k->tells_state);
    put_own(w, TOC_RUN_OWN_PHASE, "train_run_phase", toc_run_phase_value(k->state));
    put_rank_info(w, k);
    for (int i = 0; i < TOC_NONFINITE_COUNT; i++)
        put_nonfinite(w, i, w->t_ms, (double)k->nonfinite[i]);
    put_own(w, TOC_RUN_OWN_RESTARTS, "train_restarts_total", (double)k->restarts);
    put_own(w, TOC_RUN_OWN_DROPPED, "train_reports_dropped_total", (double)toc_run_rank_dropped(k));
    if (w->rank == 0)
        put_info(w);
}

static enum toc_run_state state_after(const struct toc_run_rank *k,
                                      const struct toc_run_line *line) {
    if (line->has_state)
        return line->state;
    if (line->has_event && line->event == TOC_RUN_EVENT_START)
        return TOC_RUN_RUNNING;
    if (line->has_event && line->event == TOC_RUN_EVENT_END)
        return TOC_RUN_FINISHED;
    if (line->has_event && line->event == TOC_RUN_EVENT_ERROR)
        return TOC_RUN_FAILED;
    return k->state;
}

static bool is_restart(const struct toc_run_rank *before, const struct toc_run_line *line) {
    if (!line->has_event)
        return false;
    if (line->event == TOC_RUN_EVENT_RESTART)
        return true;
    return line->event == TOC_RUN_EVENT_START && before->is_known &&
           before->state != TOC_RUN_FINISHED &&
           (!line->session.n || !toc_sv_eq_cstr(line->session, before->last_session));
}

static void count_nonfinite(struct toc_run_rank *k, const struct toc_run_line *line) {
    for (size_t i = 0; i < line->value_count; i++) {
        const struct toc_run_value *v = &line->values[i];
        if (isfinite(v->value))
            continue;
        k->nonfinite[TOC_NONFINITE_LOSS] += v->kind == TOC_RUN_VALUE_LOSS;
        k->nonfinite[TOC_NONFINITE_GRAD] += v->kind == TOC_RUN_VALUE_GRAD;
    }
    for (size_t i = 0; i < line->layer_count; i++) {
        bool is_grad_bad = false, is_param_bad = false;
        for (size_t j = 0; j < line->layers[i].count; j++) {
            const struct toc_run_value *v = &line->layers[i].stats[j];
            is_grad_bad |= v->kind == TOC_RUN_VALUE_GRAD && !isfinite(v->value);
            is_param_bad |= v->kind == TOC_RUN_VALUE_PARAM && !isfinite(v->value);
        }
        k->nonfinite[TOC_NONFINITE_GRAD] += is_grad_bad;
        k->nonfinite[TOC_NONFINITE_PARAM] += is_param_bad;
    }
}

static void put_step(const struct writer *w, struct toc_run_rank *k,
                     const struct toc_run_line *line) {
    if (!line->has_step)
        return;
    bool is_new = !k->has_step || line->step != k->step;
    bool advances = k->has_step && line->step > k->step;
    if (advances && k->has_loss && !line->has_loss && !line->is_partial &&
        k->state == TOC_RUN_RUNNING)
        k->nonfinite[TOC_NONFINITE_MISSING]++;
    k->has_step = true;
    k->step = line->step;
    put_own(w, TOC_RUN_OWN_STEP, "train_step", (double)line->step);
    if (is_new)
        put_own(w, TOC_RUN_OWN_STEP_TIME, "train_last_step_timestamp_seconds",
                (double)w->t_ms / 1000);
}

static int note_unknown(const struct writer *w, const struct toc_run_line *line,
                        struct toc_sv metric, struct toc_err *err) {
    struct toc_run *run = w->run;
    for (size_t i = 0; i < run->unknown.count; i++)
        if (toc_sv_eq(run->unknown.items[i], metric))
            return 0;
    if (run->unknown.count >= w->r->o.max_unknown_fields)
        return toc_err_at(err, TOC_EPARSE, line->number, 0,
                          "line %d: field \"%.*s\": a run may have %zu numeric fields of its own "
                          "choosing; leave some out",
                          line->number, TOC_SV_ARG(metric), w->r->o.max_unknown_fields);
    TOC_VEC_PUSH(&run->unknown, toc_sv_make(toc_sv_dup_cstr(metric), metric.n));
    return 0;
}

/* All of the line's own fields or none: a line that is refused leaves nothing behind. */
static int note_unknowns(const struct writer *w, const struct toc_run_line *line,
                         struct toc_err *err) {
    struct toc_run *run = w->run;
    size_t before = run->unknown.count;
    int rc = 0;
    for (size_t i = 0; !rc && i < line->value_count; i++) {
        const struct toc_run_value *v = &line->values[i];
        if (v->is_unknown && !is_remembered(w, v->memo))
            rc = note_unknown(w, line, v->metric, err);
    }
    while (rc && run->unknown.count > before)
        toc_free((void *)(uintptr_t)run->unknown.items[--run->unknown.count].p);
    return rc;
}

static void put_values(const struct writer *w, const struct toc_run_line *line) {
    for (size_t i = 0; i < line->value_count; i++) {
        const struct toc_run_value *v = &line->values[i];
        put_series(w, series_of(w, v->metric, NULL, 0, v->memo), w->t_ms, v->value);
    }
}

static const char SCALAR_METRIC[] = "train_tb_scalar";

/* The series of a tag; NULL when the run has as many as it may have. */
static struct toc_run_series *scalar_get(const struct writer *w, const struct toc_run_scalar *c) {
    struct toc_label l = {TOC_SV("tag"), c->tag};
    size_t before = w->run->series.count;
    if (is_remembered(w, c->memo))
        return c->memo->series;
    if (w->run->scalar_tags >= w->r->o.max_scalar_tags &&
        !series_is_known(w, toc_sv_cstr(SCALAR_METRIC), &l, 1))
        return NULL;
    struct toc_run_series *s = series_of(w, toc_sv_cstr(SCALAR_METRIC), &l, 1, c->memo);
    w->run->scalar_tags += w->run->series.count > before;
    return s;
}

static void put_scalars(const struct writer *w, const struct toc_run_line *line) {
    for (size_t i = 0; i < line->scalar_count; i++) {
        struct toc_run_series *s = scalar_get(w, &line->scalars[i]);
        if (s)
            put_series(w, s, w->t_ms, line->scalars[i].value);
        else
            w->r->pending.scalars_dropped++;
    }
}

static void note_layer(struct toc_run *run, struct toc_sv name) {
    if (toc_map_has(&run->layer_set, name) || run->layers.count >= TOC_RUN_KNOWN_LAYERS_MAX)
        return;
    struct toc_sv copy = toc_sv_make(toc_sv_dup_cstr(name), name.n);
    TOC_VEC_PUSH(&run->layers, copy);
    toc_map_put(&run->layer_set, copy, run);
}

static void put_layers(const struct writer *w, const struct toc_run_line *line) {
    for (size_t i = 0; i < line->layer_count; i++) {
        const struct toc_run_layer *layer = &line->layers[i];
        struct toc_label l = {TOC_SV("layer"), layer->name};
        if (!layer->count || !is_remembered(w, layer->stats[0].memo))
            note_layer(w->run, layer->name);
        for (size_t j = 0; j < layer->count; j++) {
            const struct toc_run_value *v = &layer->stats[j];
            put_series(w, series_of(w, v->metric, &l, 1, v->memo), w->t_ms, v->value);
        }
    }
}

static void put_checkpoint(const struct writer *w, const struct toc_run_rank *k,
                           const struct toc_run_line *line) {
    if (!line->has_event || line->event != TOC_RUN_EVENT_CHECKPOINT)
        return;
    put(w, "train_last_checkpoint_timestamp_seconds", (double)w->t_ms / 1000);
    if (k->has_step)
        put(w, "train_checkpoint_step", (double)k->step);
}

void toc_run_note_event(struct toc_run_receiver *r, struct toc_run *run,
                        const struct toc_run_line *line, enum toc_run_event_kind kind,
                        int64_t t_ms) {
    if (r->events.count >= EVENTS_MAX)
        return;
    const struct toc_run_rank *speaker = toc_run_speaker(run);
    struct toc_run_event e = {.kind = kind, .t = {t_ms}};
    if (speaker) {
        e.has_step = speaker->has_step;
        e.step = speaker->step;
        e.state = speaker->state;
    }
    if (line) {
        e.rank = line->rank;
        e.message = toc_arena_dup_sv(&r->body_arena, line->message);
        e.has_step |= line->has_step;
        e.step = line->has_step ? line->step : e.step;
    }
    TOC_VEC_PUSH(&r->events, ((struct toc_run_noted_event){run, e}));
}

const struct toc_run_rank *toc_run_speaker(const struct toc_run *run) {
    const struct toc_run_rank *k = toc_run_rank_find(run, 0);
    return k || !run->ranks.count ? k : &run->ranks.items[0];
}

static void keep_latest(struct toc_run *run, const struct toc_run_line *line, int64_t t_ms,
                        bool is_new_step) {
    static const size_t places[] = {
#define X(name, metric, member) [name] = offsetof(struct toc_run_latest, member),
        TOC_RUN_LATEST_TABLE(X)
#undef X
    };
    struct toc_run_latest *latest = &run->latest;
    if (!latest->started_ms || (line->has_event && line->event == TOC_RUN_EVENT_START))
        latest->started_ms = t_ms;
    if (is_new_step)
        latest->last_step_ms = t_ms;
    for (size_t i = 0; i < line->value_count; i++)
        if (line->values[i].latest)
            *(double *)(void *)((char *)latest + places[line->values[i].latest]) =
                line->values[i].value;
}

static struct toc_run_touch *touch_of(struct toc_run_receiver *r, const struct toc_run *run) {
    for (size_t i = r->touched.count; i-- > 0;)
        if (r->touched.items[i].run == run)
            return &r->touched.items[i];
    return NULL;
}

/* The job the rank is part of, from a label that names one. */
static void keep_job(struct toc_run_rank *k, const struct toc_label *l) {
    bool is_pod = toc_sv_eq_cstr(l->name, "pod");
    char job[sizeof k->job];
    if ((!is_pod && !toc_sv_eq_cstr(l->name, "slurm_job_id")) || !l->value.n ||
        l->value.n >= sizeof job - sizeof "slurm/")
        return;
    (void)snprintf(job, sizeof job, "%s/%.*s", is_pod ? "pod" : "slurm", TOC_SV_ARG(l->value));
    memcpy(k->job, job, sizeof job);
    k->is_job_told = true;
}

/* Where the rank runs; true when that is news. */
static bool keep_place(struct toc_run_rank *k, const struct toc_run_line *line) {
    bool is_new = false;
    for (size_t i = 0; i < line->label_count; i++) {
        const struct toc_label *l = &line->labels[i];
        keep_job(k, l);
        bool is_host = toc_sv_eq_cstr(l->name, "host");
        char *kept = is_host ? k->host : k->pid;
        size_t size = is_host ? sizeof k->host : sizeof k->pid;
        if ((!is_host && !toc_sv_eq_cstr(l->name, "pid")) || toc_sv_eq_cstr(l->value, kept) ||
            l->value.n >= size)
            continue;
        toc_sv_copy(l->value, kept, size);
        is_new = true;
    }
    return is_new;
}

/* Labels are told again and again; only a change is kept, and only what the rank says that speaks
 * for the run: the others differ in host and process. */
static bool keep_labels(struct toc_run_receiver *r, struct toc_run *run,
                        const struct toc_run_line *line) {
    if (!line->label_count || toc_run_speaker(run)->rank != line->rank)
        return false;
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    for (size_t i = 0; i < line->label_count; i++)
        toc_labels_builder_set(&b, line->labels[i].name, line->labels[i].value);
    struct toc_labels labels = toc_labels_builder_finish(&b);
    bool is_new = !toc_labels_eq(labels, run->labels);
    if (is_new) {
        struct toc_run_touch *touch = touch_of(r, run);
        struct toc_labels former = run->labels;
        run->labels = toc_labels_dup(labels);
        if (touch->has_labels)
            toc_labels_free(&former);
        else
            touch->labels = former;
        touch->has_labels = true;
    }
    toc_labels_builder_fini(&b);
    return is_new;
}

/* The rank, with its former value noted once per body. */
static struct toc_run_rank *rank_get(struct toc_run_receiver *r, struct toc_run *run,
                                     int64_t rank) {
    struct toc_run_rank *k = toc_run_rank_get(run, rank);
    if (k && k->noted_body != r->body_number) {
        TOC_VEC_PUSH(&r->old_ranks,
                     ((struct toc_run_old_rank){run, (size_t)(k - run->ranks.items), *k}));
        k->noted_body = r->body_number;
    }
    return k;
}

/* What a line may change that is told at once. */
struct told {
    enum toc_run_state state;
    bool tells_state;
    uint64_t restarts, nonfinite[TOC_NONFINITE_COUNT];
};

static struct told told_of(const struct toc_run_rank *k) {
    struct told t = {.state = k->state, .tells_state = k->tells_state, .restarts = k->restarts};
    memcpy(t.nonfinite, k->nonfinite, sizeof t.nonfinite);
    return t;
}

static void put_line(const struct writer *w, struct toc_run_rank *k,
                     const struct toc_run_line *line, bool are_labels_new) {
    struct told before = told_of(k);
    bool was_known = k->is_known, had_step = k->has_step;
    int64_t step_before = k->step;
    announce(w, k);
    k->restarts += is_restart(k, line);
    k->state = state_after(k, line);
    if (line->session.n)
        toc_sv_copy(line->session, k->last_session, sizeof k->last_session);
    put_step(w, k, line);
    count_nonfinite(k, line);
    put_layers(w, line);
    put_scalars(w, line);
    put_checkpoint(w, k, line);
    k->has_loss |= line->has_loss;
    k->is_known = true;
    /* A restart may be concluded from steps that go back. */
    bool is_told = line->has_event && line->event != TOC_RUN_EVENT_RESTART;
    k->tells_state |= line->has_state || is_told;
    if (toc_run_speaker(w->run) == k)
        keep_latest(w->run, line, w->t_ms, k->has_step && (!had_step || step_before != k->step));
    bool is_changed = k->state != before.state || k->tells_state != before.tells_state ||
                      k->restarts != before.restarts ||
                      memcmp(k->nonfinite, before.nonfinite, sizeof k->nonfinite) != 0;
    if (is_changed || !was_known || are_labels_new ||
        w->t_ms - k->derived_at_ms >= w->r->o.derived_every_ms)
        put_derived(w, k);
}

int toc_run_apply(struct toc_run_receiver *r, struct toc_run *run, const struct toc_run_line *line,
                  struct toc_err *err) {
    describe(r);
    struct toc_run_rank *k = rank_get(r, run, line->rank);
    if (!k)
        return toc_err_at(err, TOC_EPARSE, line->number, 0, "line %d: a run has at most %d ranks",
                          line->number, TOC_RUN_RANKS_MAX);
    if (toc_run_rank_is_repeated(k, line)) {
        r->pending.lines_repeated++;
        return 0;
    }
    int64_t arrival_ms = r->recorded_ms ? r->recorded_ms : r->now.ms;
    struct writer w = {r, run, line->rank, line->has_t ? line->t_ms : arrival_ms};
    int rc = note_unknowns(&w, line, err);
    if (rc)
        return rc;
    put_values(&w, line);
    bool is_placed = keep_place(k, line);
    put_line(&w, k, line, keep_labels(r, run, line) || is_placed);
    r->pending.lines_accepted++;
    r->pending.fields_ignored += line->ignored_fields;
    if (line->has_event)
        toc_run_note_event(r, run, line, line->event, w.t_ms);
    return 0;
}
