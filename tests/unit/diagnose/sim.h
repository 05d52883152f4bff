/* A small world under virtual time: series in memory behind a querier, a training run and a
 * server that write to them, the doctor that reads, and a record of what it said. */
#ifndef TOC_TESTS_DIAGNOSE_SIM_H
#define TOC_TESTS_DIAGNOSE_SIM_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/vec.h"
#include "diagnose/doctor.h"

enum { SIM_LAYERS = 6, SIM_TOLD_MAX = 64 };

struct sim_series {
    struct toc_labels labels;
    struct {
        TOC_VEC_FIELDS(int64_t)
    } t;
    struct {
        TOC_VEC_FIELDS(double)
    } v;
};

/* One alert as the sink heard of it. */
struct sim_told {
    char kind[32], severity[16], title[256], layer[64], run[64];
    int64_t opened_ms, closed_ms; /* our time; 0 = still open */
    int64_t starts_ms;
    bool has_step;
    int64_t step;
    char cause[200], second_cause[200];
    double confidence;
    size_t evidence;
};

struct sim {
    struct toc_querier querier;
    struct toc_alert_sink sink;
    struct toc_doctor *doctor;
    struct {
        TOC_VEC_FIELDS(struct sim_series *)
    } series;
    struct toc_map by_key;
    struct sim_told told[SIM_TOLD_MAX];
    size_t told_count;
    struct toc_rng rng;
    int64_t now_ms, next_tick_ms;
    int fail_with;         /* the querier fails */
    int64_t holds_back_ms; /* what is later cannot be read yet; 0 = all can */
    /* the run */
    int64_t step, next_step_ms, next_layer_ms, started_ms;
    double step_s, loss, lr, memory, limit;
    double slow, lr_factor, leak_per_s, grad_cut; /* faults; 1, 1, 0, 1 when healthy */
    double loss_lift;                             /* added to the loss */
    bool is_nan, is_silent, is_loss_hidden, is_paused;
    int bad_layer;              /* -1 = none */
    const double *bad_shares;   /* of all layers; NULL: as bad_layer says */
    bool are_all_gradients_bad; /* while only bad_layer's own numbers are */
    double hiccup_until_s, hiccup;
    bool has_pressure;         /* the machine says how long tasks waited for a CPU */
    double waited_s, pressure; /* pressure: from other work, share of the time */
    bool is_steady;            /* steps of equal length */
    bool tells_waits;          /* the job says how long its threads waited for a CPU */
    double cpu_wait;           /* share of the time */
    /* the server */
    bool has_server;
    double latency_s, error_share;
    double totals[40];
};

static inline struct sim_series *sim_series_get(struct sim *s, const char *name, const char *label,
                                                const char *value, const char *label2,
                                                const char *value2) {
    char key[300];
    snprintf(key, sizeof key, "%s|%s|%s", name, value, value2);
    struct sim_series *found = toc_map_get(&s->by_key, toc_sv_cstr(key));
    if (found)
        return found;
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(name));
    toc_labels_builder_set(&b, toc_sv_cstr(label), toc_sv_cstr(value));
    if (label2[0])
        toc_labels_builder_set(&b, toc_sv_cstr(label2), toc_sv_cstr(value2));
    found = TOC_NEW(struct sim_series);
    found->labels = toc_labels_dup(toc_labels_builder_finish(&b));
    toc_labels_builder_fini(&b);
    toc_map_put(&s->by_key, toc_sv_cstr(key), found);
    TOC_VEC_PUSH(&s->series, found);
    return found;
}

static inline void sim_add(struct sim_series *x, int64_t t_ms, double v) {
    if (x->t.count && x->t.items[x->t.count - 1] >= t_ms)
        return;
    TOC_VEC_PUSH(&x->t, t_ms);
    TOC_VEC_PUSH(&x->v, v);
}

static inline void sim_put(struct sim *s, const char *name, double v) {
    sim_add(sim_series_get(s, name, "run", "r", "", ""), s->now_ms, v);
}
/* A change of state has a millisecond of its own. */
static inline void sim_state(struct sim *s, double v) {
    s->now_ms++;
    sim_put(s, "train_run_state", v);
}
static inline void sim_put_layer(struct sim *s, const char *name, const char *layer, double v) {
    sim_add(sim_series_get(s, name, "run", "r", "layer", layer), s->now_ms, v);
}

static inline size_t sim_first(const struct sim_series *x, int64_t min_ms) {
    size_t low = 0, high = x->t.count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (x->t.items[mid] < min_ms)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static inline int sim_select(struct toc_querier *q, const struct toc_select *sel, toc_on_series *fn,
                             void *ctx, struct toc_err *err) {
    struct sim *s = TOC_CONTAINER_OF(q, struct sim, querier);
    if (s->fail_with)
        return toc_errf(err, s->fail_with, "the store is away");
    for (size_t i = 0; i < s->series.count; i++) {
        struct sim_series *x = s->series.items[i];
        size_t from = sim_first(x, sel->min_ms), to = from;
        int64_t max_ms = s->holds_back_ms ? TOC_MIN(sel->max_ms, s->holds_back_ms) : sel->max_ms;
        while (to < x->t.count && x->t.items[to] <= max_ms)
            to++;
        if (from == to || !toc_matchers_match(sel->matchers, sel->matcher_count, x->labels))
            continue;
        struct toc_series_view view = {.labels = x->labels,
                                       .t_ms = x->t.items + from,
                                       .values = x->v.items + from,
                                       .count = to - from};
        int rc = fn(ctx, &view);
        if (rc)
            return rc;
    }
    return 0;
}

static inline int sim_label_values(struct toc_querier *q, struct toc_sv name,
                                   const struct toc_select *sel, toc_on_string *fn, void *ctx,
                                   struct toc_err *err) {
    struct sim *s = TOC_CONTAINER_OF(q, struct sim, querier);
    if (s->fail_with)
        return toc_errf(err, s->fail_with, "the store is away");
    struct toc_map told = TOC_MAP_INIT;
    int rc = 0;
    for (size_t i = 0; !rc && i < s->series.count; i++) {
        const struct sim_series *x = s->series.items[i];
        struct toc_sv v = toc_labels_get(x->labels, name);
        size_t from = sim_first(x, sel->min_ms);
        bool is_in_range = from < x->t.count && x->t.items[from] <= sel->max_ms;
        if (!v.n || !is_in_range || toc_map_has(&told, v) ||
            !toc_matchers_match(sel->matchers, sel->matcher_count, x->labels))
            continue;
        toc_map_put(&told, v, s);
        rc = fn(ctx, v);
    }
    toc_map_fini(&told);
    return rc;
}

static inline void sim_copy_finding(struct sim_told *t, const struct toc_alert *a) {
    const struct toc_finding *f = a->finding;
    toc_sv_copy(toc_labels_get(a->annotations, TOC_SV("layer")), t->layer, sizeof t->layer);
    if (!f)
        return;
    toc_sv_copy(f->title, t->title, sizeof t->title);
    t->has_step = f->has_step;
    t->step = f->step;
    t->evidence = f->evidence_count;
    if (f->cause_count) {
        toc_sv_copy(f->causes[0].text, t->cause, sizeof t->cause);
        t->confidence = f->causes[0].confidence;
    }
    if (f->cause_count > 1)
        toc_sv_copy(f->causes[1].text, t->second_cause, sizeof t->second_cause);
}

static inline void sim_take_alert(struct sim *s, const struct toc_alert *a, struct toc_ts now) {
    char kind[32];
    toc_sv_copy(toc_labels_get(a->labels, TOC_SV("alertname")), kind, sizeof kind);
    struct sim_told *t = NULL;
    for (size_t i = 0; i < s->told_count; i++)
        if (!s->told[i].closed_ms && strcmp(s->told[i].kind, kind) == 0)
            t = &s->told[i];
    if (!t && s->told_count < SIM_TOLD_MAX && a->ends_at.ms == 0) {
        t = &s->told[s->told_count++];
        *t = (struct sim_told){0};
        memcpy(t->kind, kind, sizeof t->kind);
        toc_sv_copy(toc_labels_get(a->labels, TOC_SV("run")), t->run, sizeof t->run);
        toc_sv_copy(toc_labels_get(a->labels, TOC_SV("severity")), t->severity, sizeof t->severity);
        t->opened_ms = now.ms;
        t->starts_ms = a->starts_at.ms;
    }
    if (t)
        sim_copy_finding(t, a);
    if (t && a->ends_at.ms)
        t->closed_ms = now.ms;
}

static inline void sim_take_alerts(struct toc_alert_sink *sink, const struct toc_alert *alerts,
                                   size_t count, struct toc_ts now) {
    for (size_t i = 0; i < count; i++)
        sim_take_alert(TOC_CONTAINER_OF(sink, struct sim, sink), &alerts[i], now);
}

static inline void sim_init(struct sim *s, uint64_t seed) {
    *s = (struct sim){0};
    s->querier = (struct toc_querier){.select = sim_select, .label_values = sim_label_values};
    s->sink.put = sim_take_alerts;
    toc_rng_seed(&s->rng, seed);
    s->doctor =
        toc_doctor_new(&(struct toc_doctor_options){.querier = &s->querier, .alerts = &s->sink});
    s->now_ms = s->next_step_ms = s->next_layer_ms = s->started_ms = 1700000000000;
    s->next_tick_ms = s->now_ms + 500;
    s->step_s = 0.05;
    s->slow = s->lr_factor = s->grad_cut = 1;
    s->limit = 256e6;
    s->memory = 70e6;
    s->bad_layer = -1;
}

static inline void sim_fini(struct sim *s) {
    toc_doctor_free(&s->doctor);
    for (size_t i = 0; i < s->series.count; i++) {
        toc_labels_free(&s->series.items[i]->labels);
        TOC_VEC_FINI(&s->series.items[i]->t);
        TOC_VEC_FINI(&s->series.items[i]->v);
        toc_free(s->series.items[i]);
    }
    TOC_VEC_FINI(&s->series);
    toc_map_fini(&s->by_key);
}

static const char *const sim_layers[SIM_LAYERS] = {"embed",         "blocks.0.attn", "blocks.0.mlp",
                                                   "blocks.1.attn", "blocks.1.mlp",  "head"};

static inline void sim_report_layers(struct sim *s) {
    for (int i = 0; i < SIM_LAYERS; i++) {
        double g = 0.1 * (i + 1) * exp(0.5 * toc_rng_normal(&s->rng));
        bool is_bad = s->bad_layer >= 0 && i >= s->bad_layer;
        if (i < SIM_LAYERS - 1)
            g *= s->grad_cut;
        bool is_grad_bad = is_bad || s->are_all_gradients_bad;
        bool is_share_bad = s->are_all_gradients_bad ? i == s->bad_layer : is_bad;
        sim_put_layer(s, "train_layer_grad_norm", sim_layers[i], is_grad_bad ? (double)NAN : g);
        double share = is_share_bad ? 0.5 : 0;
        if (s->bad_shares)
            share = s->bad_shares[i];
        sim_put_layer(s, "train_layer_nonfinite_ratio", sim_layers[i], share);
    }
}

/* One training step: loss falls as training goes, with noise whose tails are heavy. */
static inline void sim_step(struct sim *s) {
    double age_s = (double)(s->now_ms - s->started_ms) / 1000;
    double noise = toc_rng_normal(&s->rng) * 0.06;
    if (toc_rng_unit(&s->rng) < 0.01)
        noise *= 4;
    s->step++;
    s->loss = 1.6 + 2.6 * exp(-age_s / 60) + s->loss_lift;
    double warm = age_s < 10 ? 0.1 + 0.09 * age_s : 1;
    double lr = 1e-3 * warm * (0.5 + 0.5 * cos(age_s / 2000)) * s->lr_factor;
    double seconds = s->step_s * s->slow * s->hiccup * exp(0.15 * toc_rng_normal(&s->rng));
    if (toc_rng_unit(&s->rng) < 0.01)
        seconds *= 2 + 8 * toc_rng_unit(&s->rng);
    if (s->is_steady)
        seconds = s->step_s * s->slow * (1 + 0.002 * toc_rng_normal(&s->rng));
    sim_put(s, "train_step", (double)s->step);
    if (!s->is_loss_hidden)
        sim_put(s, "train_loss", s->is_nan ? (double)NAN : s->loss * (1 + noise));
    sim_put(s, "train_grad_norm",
            s->is_nan ? (double)NAN : 0.8 * exp(0.4 * toc_rng_normal(&s->rng)));
    sim_put(s, "train_learning_rate", lr);
    sim_put(s, "train_step_seconds", seconds);
    sim_put(s, "train_memory_bytes",
            s->memory + 20e6 * (1 - exp(-age_s / 3)) + 1e5 * toc_rng_normal(&s->rng));
    sim_put(s, "train_memory_limit_bytes", s->limit);
    if (s->now_ms >= s->next_layer_ms) {
        sim_report_layers(s);
        sim_put(s, "train_run_state", 1);
        sim_put(s, "train_restarts_total", 0);
        if (s->tells_waits)
            sim_put(s, "train_cpu_wait_ratio", s->cpu_wait + 0.02 * toc_rng_unit(&s->rng));
        s->next_layer_ms = s->now_ms + 1000;
    }
    s->next_step_ms = s->now_ms + (int64_t)(seconds * 1000) + 1;
}

/* A scheduling hiccup: seconds in which everything takes several times as long. */
static inline void sim_hiccup(struct sim *s) {
    double now_s = (double)s->now_ms / 1000;
    if (now_s < s->hiccup_until_s)
        return;
    s->hiccup = 1;
    /* Without a word from the machine hiccups come apart; with it they may follow each other. */
    if (toc_rng_unit(&s->rng) < 0.03 && (s->has_pressure || now_s > s->hiccup_until_s + 6)) {
        s->hiccup = 2 + 4 * toc_rng_unit(&s->rng);
        s->hiccup_until_s = now_s + 1 + 4 * toc_rng_unit(&s->rng);
    }
}

static inline void sim_server_put(struct sim *s, int i, const char *name, const char *label,
                                  const char *value, double add) {
    s->totals[i] += add;
    sim_add(sim_series_get(s, name, "instance", "127.0.0.1:8000", label, value), s->now_ms,
            s->totals[i]);
}

/* One second of requests, in vLLM's shape. */
static inline void sim_serve(struct sim *s) {
    static const double bounds[] = {0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, INFINITY};
    static const char *const texts[] = {"0.3", "0.5", "0.8",  "1.0",  "1.5", "2.0",
                                        "2.5", "5.0", "10.0", "15.0", "+Inf"};
    double count = 0, sum = 0, in_bucket[TOC_ARRAY_LEN(bounds)] = {0}, errors = 0;
    int requests = 15 + (int)toc_rng_below(&s->rng, 10);
    for (int i = 0; i < requests; i++) {
        double v = s->latency_s * s->hiccup * exp(0.4 * toc_rng_normal(&s->rng));
        if (toc_rng_unit(&s->rng) < 0.01)
            v *= 6;
        if (toc_rng_unit(&s->rng) < s->error_share) {
            errors++;
            continue;
        }
        count++;
        sum += v;
        for (size_t k = 0; k < TOC_ARRAY_LEN(bounds); k++)
            in_bucket[k] += v <= bounds[k];
    }
    for (size_t k = 0; k < TOC_ARRAY_LEN(bounds); k++)
        sim_server_put(s, (int)k, "vllm:e2e_request_latency_seconds_bucket", "le", texts[k],
                       in_bucket[k]);
    sim_server_put(s, 20, "vllm:e2e_request_latency_seconds_count", "", "", count);
    sim_server_put(s, 21, "vllm:e2e_request_latency_seconds_sum", "", "", sum);
    sim_server_put(s, 22, "vllm:request_success_total", "finished_reason", "stop", count);
    sim_server_put(s, 23, "vllm:request_success_total", "finished_reason", "error", errors);
}

static inline void sim_tick(struct sim *s) {
    struct toc_err err = {0};
    sim_hiccup(s);
    if (s->has_pressure) {
        s->waited_s += s->pressure > 0 ? s->pressure
                       : s->hiccup > 1 ? 1 - 1 / s->hiccup
                                       : 0.1 * toc_rng_unit(&s->rng);
        sim_put(s, "node_pressure_cpu_waiting_seconds_total", s->waited_s);
    }
    s->memory += s->leak_per_s;
    if (s->has_server)
        sim_serve(s);
    int rc = toc_doctor_tick(s->doctor, (struct toc_ts){s->now_ms}, &err);
    assert_int_equal(rc, s->fail_with);
    s->next_tick_ms += 1000;
}

/* Lets the world go on. */
static inline void sim_run(struct sim *s, double seconds) {
    int64_t end_ms = s->now_ms + (int64_t)(seconds * 1000);
    bool steps = !s->is_silent && !s->is_paused;
    if (s->hiccup < 1)
        s->hiccup = 1;
    while (s->now_ms < end_ms) {
        int64_t next = s->next_tick_ms;
        if (steps && s->next_step_ms < next)
            next = TOC_MAX(s->next_step_ms, s->now_ms + 1);
        s->now_ms = next;
        if (steps && s->now_ms >= s->next_step_ms)
            sim_step(s);
        if (s->now_ms >= s->next_tick_ms)
            sim_tick(s);
    }
}

static inline void sim_event(struct sim *s, enum toc_run_event_kind kind, const char *text) {
    struct toc_sv layers[SIM_LAYERS];
    for (int i = 0; i < SIM_LAYERS; i++)
        layers[i] = toc_sv_cstr(sim_layers[i]);
    struct toc_run_event e = {.kind = kind,
                              .run = TOC_SV("r"),
                              .t = {s->now_ms},
                              .has_step = true,
                              .step = s->step,
                              .message = toc_sv_cstr(text)};
    if (kind == TOC_RUN_EVENT_LAYERS) {
        e.layers = layers;
        e.layer_count = SIM_LAYERS;
    }
    toc_doctor_listener(s->doctor)->on_event(toc_doctor_listener(s->doctor), &e);
}

static inline const struct sim_told *sim_find(const struct sim *s, const char *kind) {
    for (size_t i = 0; i < s->told_count; i++)
        if (strcmp(s->told[i].kind, kind) == 0)
            return &s->told[i];
    return NULL;
}

static inline void sim_print(const struct sim *s) {
    for (size_t i = 0; i < s->told_count; i++)
        print_message("  %s +%.0f s … %+.0f s: %s [%s]\n", s->told[i].kind,
                      (double)(s->told[i].opened_ms - s->started_ms) / 1000,
                      s->told[i].closed_ms ? (double)(s->told[i].closed_ms - s->started_ms) / 1000
                                           : INFINITY,
                      s->told[i].title, s->told[i].cause);
}

#endif
