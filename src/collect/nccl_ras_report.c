/* What a report of NCCL's RAS service says, as series. */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "codec/json.h"
#include "collect/nccl_ras.h"
#include "collect/procfile.h"

enum { RANKS_MAX = 65536 };

struct translation {
    struct toc_arena *a;
    struct toc_nccl_ras_points *out;
    struct toc_sv address;
    int64_t t_ms;
    size_t ranks;
    uint64_t *left_out;
};

static void add(struct translation *t, const char *metric, const struct toc_label *extra,
                size_t count, double value) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(metric));
    toc_labels_builder_set(&b, TOC_SV("address"), t->address);
    for (size_t i = 0; i < count; i++)
        toc_labels_builder_set(&b, extra[i].name, extra[i].value);
    struct toc_labels l = toc_labels_dup_arena(toc_labels_builder_finish(&b), t->a);
    toc_labels_builder_fini(&b);
    if (!t->a->overflowed)
        TOC_VEC_PUSH(t->out, toc_float_point(l, t->t_ms, value));
}

/* Texts and whole numbers alike as text; "" when absent or something else. */
static struct toc_sv text_of(struct translation *t, const struct toc_json *object,
                             const char *key) {
    const struct toc_json *v = toc_json_get(object, key);
    char number[24];
    if (v && v->type == TOC_JSON_STRING)
        return v->string;
    if (!v || v->type != TOC_JSON_INT)
        return TOC_SV_NULL;
    snprintf(number, sizeof number, "%lld", (long long)v->integer);
    return toc_arena_dup_sv(t->a, toc_sv_cstr(number));
}

static double number_of(const struct toc_json *object, const char *key) {
    const struct toc_json *v = toc_json_get(object, key);
    return v && (v->type == TOC_JSON_INT || v->type == TOC_JSON_DOUBLE) ? v->number : NAN;
}

static bool has_room(struct translation *t) {
    if (t->ranks < RANKS_MAX) {
        t->ranks++;
        return true;
    }
    (*t->left_out)++;
    return false;
}

enum { PLACE_LABELS = 4 };

static void place(struct translation *t, struct toc_sv communicator, const struct toc_json *rank,
                  struct toc_label out[PLACE_LABELS]) {
    out[0] = (struct toc_label){TOC_SV("communicator"), communicator};
    out[1] = (struct toc_label){TOC_SV("rank"), text_of(t, rank, "rank")};
    out[2] = (struct toc_label){TOC_SV("host"), text_of(t, rank, "host")};
    out[3] = (struct toc_label){TOC_SV("pid"), text_of(t, rank, "pid")};
}

/* Operations launched, all kinds together. */
static void add_rank(struct translation *t, struct toc_sv communicator,
                     const struct toc_json *rank) {
    const struct toc_json *counts = toc_json_get(rank, "collective_counts");
    const struct toc_json *status = toc_json_get(rank, "status");
    struct toc_label labels[PLACE_LABELS];
    double sum = 0;
    if (!has_room(t))
        return;
    place(t, communicator, rank, labels);
    for (size_t i = 0; counts && i < counts->count; i++)
        sum += counts->items[i].type == TOC_JSON_INT ? counts->items[i].number : 0;
    if (counts)
        add(t, "nccl_ras_collectives_total", labels, PLACE_LABELS, sum);
    double error = number_of(status, "async_error");
    if (isfinite(error))
        add(t, "nccl_ras_async_error", labels, PLACE_LABELS, error);
}

static void add_missing(struct translation *t, struct toc_sv communicator,
                        const struct toc_json *rank) {
    const struct toc_json *status = toc_json_get(rank, "status");
    const struct toc_json *is_dead = toc_json_get(status, "considered_dead");
    struct toc_label labels[PLACE_LABELS];
    if (!has_room(t))
        return;
    place(t, communicator, rank, labels);
    add(t, "nccl_ras_rank_missing", labels, PLACE_LABELS, 1);
    add(t, "nccl_ras_rank_dead", labels, PLACE_LABELS, is_dead && is_dead->boolean);
}

static void each(const struct toc_json *list, struct translation *t, struct toc_sv communicator,
                 void (*fn)(struct translation *, struct toc_sv, const struct toc_json *)) {
    for (size_t i = 0; list && list->type == TOC_JSON_ARRAY && i < list->count; i++)
        if (list->items[i].type == TOC_JSON_OBJECT)
            fn(t, communicator, &list->items[i]);
}

static void add_communicator(struct translation *t, struct toc_sv unused,
                             const struct toc_json *c) {
    (void)unused;
    char name[200];
    snprintf(name, sizeof name, "%.*s-%.*s", TOC_SV_ARG(toc_sv_sub(text_of(t, c, "hash"), 0, 80)),
             TOC_SV_ARG(toc_sv_sub(text_of(t, c, "secondary_hash"), 0, 80)));
    struct toc_sv communicator = toc_arena_dup_sv(t->a, toc_sv_cstr(name));
    struct toc_label label = {TOC_SV("communicator"), communicator};
    const struct {
        const char *key, *metric;
    } numbers[] = {{"size", "nccl_ras_communicator_size"},
                   {"missing_ranks_count", "nccl_ras_communicator_missing_ranks"}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(numbers); i++) {
        double v = number_of(c, numbers[i].key);
        if (isfinite(v))
            add(t, numbers[i].metric, &label, 1, v);
    }
    each(toc_json_get(c, "ranks"), t, communicator, add_rank);
    each(toc_json_get(c, "missing_ranks"), t, communicator, add_missing);
}

static int translate_json(struct translation *t, struct toc_sv report, struct toc_err *err) {
    const struct toc_json *root = NULL;
    int rc = toc_json_parse(report, t->a, &root, err);
    if (rc)
        return rc;
    const struct toc_json *list = toc_json_get(root, "communicators");
    if (!list || list->type != TOC_JSON_ARRAY)
        return toc_errf(err, TOC_EPARSE, "the RAS report has no list of communicators");
    each(list, t, TOC_SV_NULL, add_communicator);
    double seconds = number_of(toc_json_get(root, "ras"), "collection_time_sec");
    if (isfinite(seconds))
        add(t, "nccl_ras_collection_seconds", NULL, 0, seconds);
    return 0;
}

/* The text says for people what is wrong; its headings are counted. */
static int translate_text(struct translation *t, struct toc_sv report) {
    static const char *const kinds[] = {"INCOMPLETE", "DEAD", "ERROR", "TIMEOUT", "MISMATCH"};
    size_t counts[TOC_ARRAY_LEN(kinds)] = {0};
    struct toc_sv line, word;
    while (toc_text_line(&report, &line))
        while (toc_text_word(&line, &word))
            for (size_t i = 0; i < TOC_ARRAY_LEN(kinds); i++)
                counts[i] += toc_sv_eq_cstr(word, kinds[i]);
    for (size_t i = 0; i < TOC_ARRAY_LEN(kinds); i++) {
        struct toc_label label = {TOC_SV("kind"), toc_sv_cstr(kinds[i])};
        add(t, "nccl_ras_problems", &label, 1, (double)counts[i]);
    }
    return 0;
}

int toc_nccl_ras_translate(struct toc_sv report, bool is_json, struct toc_sv address, int64_t t_ms,
                           struct toc_arena *a, struct toc_nccl_ras_points *out,
                           uint64_t *out_left_out, struct toc_err *err) {
    struct translation t = {
        .a = a, .out = out, .address = address, .t_ms = t_ms, .left_out = out_left_out};
    *out_left_out = 0;
    int rc = is_json ? translate_json(&t, report, err) : translate_text(&t, report);
    if (rc == 0 && a->overflowed)
        rc = toc_errf(err, TOC_ELIMIT, "the RAS report needs more memory than it may have");
    return rc;
}
