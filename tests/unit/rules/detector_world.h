/* Detectors under virtual time: series in memory, a blob store in memory, a clock that is a number.
 */
#ifndef TOC_TESTS_RULES_DETECTOR_WORLD_H
#define TOC_TESTS_RULES_DETECTOR_WORLD_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/vec.h"
#include "model/sample.h"
#include "promql/memory_querier.h"
#include "rules/detector.h"

#define EPOCH_MS ((int64_t)1700000000000)

/* Only the detectors of the test. */
#define NO_BUILTINS                                       \
    "- {name: train_loss, enabled: false}\n"              \
    "- {name: train_grad_norm, enabled: false}\n"         \
    "- {name: train_step_seconds, enabled: false}\n"      \
    "- {name: train_step_change, enabled: false}\n"       \
    "- {name: train_tokens_per_second, enabled: false}\n" \
    "- {name: serve_ttft, enabled: false}\n"              \
    "- {name: serve_inter_token, enabled: false}\n"       \
    "- {name: serve_queue, enabled: false}\n"             \
    "- {name: serve_kv_usage, enabled: false}\n"          \
    "- {name: vllm_e2e_latency, enabled: false}\n"        \
    "- {name: host, enabled: false}\n"

struct blob {
    char ns[32];
    char *key;
    struct toc_buf value;
};
struct memory_store {
    struct toc_blob_store store;
    TOC_VEC_FIELDS(struct blob)
};

static struct blob *blob_find(struct memory_store *m, struct toc_sv key) {
    for (size_t i = 0; i < m->count; i++)
        if (toc_sv_eq_cstr(key, m->items[i].key))
            return &m->items[i];
    return NULL;
}

static int blob_put(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                    struct toc_sv value, struct toc_err *err) {
    struct memory_store *m = (struct memory_store *)s;
    struct blob *b = blob_find(m, key);
    (void)err;
    assert_true(strcmp(ns, "detector") == 0 || strcmp(ns, "detector.feedback") == 0);
    if (!b) {
        struct blob fresh = {.key = toc_sv_dup_cstr(key)};
        TOC_VEC_PUSH(m, fresh);
        b = &m->items[m->count - 1];
        snprintf(b->ns, sizeof b->ns, "%s", ns);
    }
    toc_buf_reset(&b->value);
    toc_buf_append_sv(&b->value, value);
    return 0;
}

static int blob_get(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                    struct toc_buf *out, struct toc_err *err) {
    struct blob *b = blob_find((struct memory_store *)s, key);
    (void)ns, (void)err;
    if (b)
        toc_buf_append_sv(out, toc_buf_sv(&b->value));
    return b ? 0 : TOC_ENOENT;
}

static int blob_remove(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                       struct toc_err *err) {
    struct memory_store *m = (struct memory_store *)s;
    struct blob *b = blob_find(m, key);
    (void)ns, (void)err;
    if (!b)
        return 0;
    toc_free(b->key);
    toc_buf_fini(&b->value);
    TOC_VEC_REMOVE(m, (size_t)(b - m->items));
    return 0;
}

static int blob_each(struct toc_blob_store *s, const char *ns, toc_on_blob *fn, void *ctx,
                     struct toc_err *err) {
    struct memory_store *m = (struct memory_store *)s;
    (void)err;
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->items[i].ns, ns) != 0)
            continue;
        int rc = fn(ctx, toc_sv_cstr(m->items[i].key), toc_buf_sv(&m->items[i].value));
        if (rc)
            return rc;
    }
    return 0;
}

struct world {
    struct toc_memory_querier in;  /* what detectors read */
    struct toc_memory_querier out; /* what they write */
    struct memory_store blobs;
    struct toc_detectors *detectors;
    struct toc_rng rng;
    int64_t now_ms;
};

static void world_start(struct world *w, size_t max_series) {
    struct toc_detectors_options o = {.querier = &w->in.querier,
                                      .sink = &w->out.sink,
                                      .store = &w->blobs.store,
                                      .max_series = max_series};
    w->detectors = toc_detectors_new(&o);
}

static void world_init(struct world *w) {
    *w = (struct world){.now_ms = EPOCH_MS};
    toc_memory_querier_init(&w->in);
    toc_memory_querier_init(&w->out);
    w->blobs.store = (struct toc_blob_store){
        .put = blob_put, .get = blob_get, .remove = blob_remove, .each = blob_each};
    toc_rng_seed(&w->rng, 1);
    world_start(w, 0);
}

static void world_fini(struct world *w) {
    toc_detectors_free(&w->detectors);
    toc_memory_querier_fini(&w->in);
    toc_memory_querier_fini(&w->out);
    while (w->blobs.count)
        assert_int_equal(blob_remove(&w->blobs.store, "", toc_sv_cstr(w->blobs.items[0].key), NULL),
                         0);
    TOC_VEC_FINI(&w->blobs);
}

static int world_set(struct world *w, const char *yaml, struct toc_err *err) {
    struct toc_arena a = TOC_ARENA_INIT;
    const struct toc_yaml *list;
    struct toc_err why = {0};
    if (toc_yaml_parse(toc_sv_cstr(yaml), &a, &list, &why) < 0)
        fail_msg("%s", why.message);
    int rc = toc_detectors_set(w->detectors, list, (struct toc_ts){w->now_ms}, err);
    toc_arena_fini(&a);
    return rc;
}

/* `text` is "name=value,…". */
static struct toc_labels labels_of(const char *metric, const char *text,
                                   struct toc_labels_builder *b) {
    struct toc_sv rest = toc_sv_cstr(text), pair;
    toc_labels_builder_reset(b);
    toc_labels_builder_set(b, TOC_METRIC_NAME, toc_sv_cstr(metric));
    while (*text && toc_sv_split(&rest, ',', &pair)) {
        size_t at = toc_sv_find_char(pair, '=');
        toc_labels_builder_set(b, toc_sv_sub(pair, 0, at), toc_sv_sub(pair, at + 1, pair.n));
    }
    return toc_labels_builder_finish(b);
}

static void put(struct world *w, const char *metric, const char *labels, double value) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_memory_querier_add(&w->in, labels_of(metric, labels, &b), w->now_ms, value);
    toc_labels_builder_fini(&b);
}

/* Everything due up to now, slot after slot. */
static void catch_up(struct world *w) {
    for (int64_t due; (due = toc_detectors_next_due(w->detectors)) <= w->now_ms;)
        toc_detectors_run_due(w->detectors, (struct toc_ts){due});
}

static const struct toc_memory_series *out_series(struct world *w, const char *metric,
                                                  const char *labels) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_labels l = labels_of(metric, labels, &b);
    const struct toc_memory_series *found = NULL;
    for (size_t i = 0; i < w->out.count; i++)
        if (toc_labels_eq(w->out.items[i].labels, l))
            found = &w->out.items[i];
    toc_labels_builder_fini(&b);
    return found;
}

/* NaN when nothing was written. */
static double last_out(struct world *w, const char *metric, const char *labels) {
    const struct toc_memory_series *s = out_series(w, metric, labels);
    return s && s->values.count ? s->values.items[s->values.count - 1] : NAN;
}

struct seek {
    const char *name;
    struct toc_detector_view view;
    bool is_found;
    char error[600], state[20];
};
static void seek_one(void *ctx, const struct toc_detector_view *v) {
    struct seek *s = ctx;
    if (!toc_sv_eq_cstr(v->name, s->name))
        return;
    s->view = *v;
    s->is_found = true;
    toc_sv_copy(v->last_error, s->error, sizeof s->error);
    toc_sv_copy(v->state, s->state, sizeof s->state);
}
static struct seek view_of(struct world *w, const char *name) {
    struct seek s = {.name = name};
    toc_detectors_each(w->detectors, seek_one, &s);
    return s;
}

#endif
