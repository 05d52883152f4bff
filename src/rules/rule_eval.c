/* One rule at one time: the query, recorded series, stale markers, health. */
#include <stdlib.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

enum { WRITE_BATCH = 4096 };

const struct toc_promql_expr *toc_rule_expr(const struct rule_state *s) {
    return s->override ? s->override : s->rule->expr;
}

static int scalar_element(struct toc_promql_result *r, struct elements *out) {
    out->items = TOC_ARENA_NEW(&r->arena, struct element);
    if (!out->items)
        return TOC_ENOMEM;
    out->items[0] = (struct element){TOC_LABELS_EMPTY, r->scalar};
    out->count = 1;
    return 0;
}

int toc_rule_query(struct toc_rules *m, const struct toc_promql_expr *e, struct toc_ts at,
                   struct toc_promql_result *result, struct elements *out, struct toc_err *err) {
    struct toc_promql_options o = {.querier = m->options.querier,
                                   .lookback_ms = m->options.lookback_ms,
                                   .max_samples = m->options.max_samples,
                                   .max_bytes = m->options.max_query_bytes};
    *out = (struct elements){0};
    int rc = toc_promql_instant(e, &o, at.ms, result, err);
    if (rc)
        return rc;
    if (result->type == TOC_PROMQL_SCALAR)
        return scalar_element(result, out);
    if (result->type != TOC_PROMQL_VECTOR)
        return toc_errf(err, TOC_ETYPE, "rule result is not a vector or scalar");
    out->items = TOC_ARENA_NEW_ARRAY(&result->arena, struct element, result->series_count + 1);
    if (!out->items)
        return TOC_ENOMEM;
    for (size_t i = 0; i < result->series_count; i++)
        if (result->series[i].count)
            out->items[out->count++] =
                (struct element){result->series[i].labels, result->series[i].points[0].value};
    return 0;
}

/* A series key is one block: its encoded labels. */
static struct toc_sv *own_key(struct toc_sv bytes) {
    struct toc_sv *key = toc_xalloc(sizeof *key + bytes.n + 1);
    char *p = (char *)(key + 1);
    if (bytes.n)
        memcpy(p, bytes.p, bytes.n);
    *key = toc_sv_make(p, bytes.n);
    return key;
}

static void free_keys(struct toc_map *series) {
    const struct toc_map_entry *e;
    for (size_t at = 0; (e = toc_map_next(series, &at));)
        toc_free(e->value);
    toc_map_fini(series);
    *series = TOC_MAP_INIT;
}

void toc_rule_forget_series(struct rule_state *s) {
    free_keys(&s->series);
}

static void write_points(struct toc_rules *m, const struct toc_point *points, size_t count) {
    for (size_t at = 0; at < count; at += WRITE_BATCH) {
        struct toc_write_result result = {0};
        size_t n = TOC_MIN(count - at, (size_t)WRITE_BATCH);
        struct toc_sink *sink = m->options.sink;
        if (!sink || sink->write(sink, points + at, n, &result, NULL))
            m->stats.samples_rejected += n;
        m->stats.samples_written += result.accepted;
        for (int r = 0; r < TOC_REJECT_REASON_COUNT; r++)
            m->stats.samples_rejected += result.rejected[r];
    }
}

/* Stale markers for the series of `before` that are not in `now`. */
static void end_series(struct toc_rules *m, const struct toc_map *before, const struct toc_map *now,
                       struct toc_ts at) {
    struct toc_arena arena = TOC_ARENA_INIT;
    TOC_VEC(struct toc_point) ended = {0};
    const struct toc_map_entry *e;
    for (size_t i = 0; (e = toc_map_next(before, &i));) {
        struct toc_point p = {.t_ms = at.ms, .value = toc_stale_nan()};
        struct toc_reader r = toc_reader_make(*(const struct toc_sv *)e->value);
        if (toc_map_has(now, e->key) || toc_labels_decode(&r, &arena, &p.labels))
            continue;
        TOC_VEC_PUSH(&ended, p);
    }
    if (ended.count)
        write_points(m, ended.items, ended.count);
    TOC_VEC_FINI(&ended);
    toc_arena_fini(&arena);
}

void toc_rule_write(struct toc_rules *m, struct rule_state *s, struct toc_point *points,
                    size_t count, struct toc_ts at) {
    struct toc_map now = TOC_MAP_INIT;
    struct toc_buf bytes = TOC_BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        toc_buf_reset(&bytes);
        toc_labels_encode(points[i].labels, &bytes);
        struct toc_sv *key = own_key(toc_buf_sv(&bytes));
        toc_free(toc_map_put(&now, *key, key));
    }
    toc_buf_fini(&bytes);
    if (count)
        write_points(m, points, count);
    end_series(m, &s->series, &now, at);
    free_keys(&s->series);
    s->series = now;
}

/* Labels of a recorded series; the view lives in the arena. */
static struct toc_labels record_labels(const struct group_state *g, const struct rule_state *s,
                                       struct toc_labels from, struct toc_arena *arena) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, from);
    toc_labels_builder_set(&b, TOC_METRIC_NAME, s->rule->name);
    for (size_t i = 0; i < g->group->label_count; i++)
        toc_labels_builder_set(&b, g->group->labels[i].name, g->group->labels[i].text);
    for (size_t i = 0; i < s->rule->label_count; i++)
        toc_labels_builder_set(&b, s->rule->labels[i].name, s->rule->labels[i].text);
    struct toc_labels l = toc_labels_dup_arena(toc_labels_builder_finish(&b), arena);
    toc_labels_builder_fini(&b);
    return l;
}

static int compare_points(const void *a, const void *b) {
    return toc_labels_cmp(((const struct toc_point *)a)->labels,
                          ((const struct toc_point *)b)->labels);
}

static int check_distinct(struct toc_point *points, size_t count, struct toc_err *err) {
    qsort(points, count, sizeof *points, compare_points);
    for (size_t i = 1; i < count; i++)
        if (toc_labels_eq(points[i - 1].labels, points[i].labels))
            return toc_errf(err, TOC_EDUPLICATE,
                            "vector contains metrics with the same labelset "
                            "after applying rule labels");
    return 0;
}

static int evaluate_record(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                           struct toc_ts at, struct toc_err *err) {
    struct toc_promql_result result = {0};
    struct elements found;
    int rc = toc_rule_query(m, toc_rule_expr(s), at, &result, &found, err);
    if (rc) {
        toc_promql_result_fini(&result);
        return rc;
    }
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_point *points = TOC_NEW_ARRAY(struct toc_point, found.count + 1);
    for (size_t i = 0; i < found.count; i++)
        points[i] = toc_float_point(record_labels(g, s, found.items[i].labels, &arena), at.ms,
                                    found.items[i].value);
    rc = check_distinct(points, found.count, err);
    bool is_over = g->group->limit > 0 && found.count > (uint64_t)g->group->limit;
    if (!rc && is_over) {
        toc_rule_forget_series(s);
        rc = toc_errf(err, TOC_ELIMIT, "exceeded limit of %lld with %zu series",
                      (long long)g->group->limit, found.count);
    }
    if (!rc)
        toc_rule_write(m, s, points, found.count, at);
    s->last_result_count = found.count;
    toc_free(points);
    toc_arena_fini(&arena);
    toc_promql_result_fini(&result);
    return rc;
}

static int64_t mono(const struct toc_rules *m) {
    return m->options.mono_ns ? m->options.mono_ns(m->options.mono_ctx) : 0;
}

void toc_rule_evaluate(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                       struct toc_ts at) {
    struct toc_err err = {0};
    int64_t began = mono(m);
    int rc = s->rule->is_alert ? toc_alert_rule_evaluate(m, g, s, at, &err)
                               : evaluate_record(m, g, s, at, &err);
    s->evaluation_s = (double)(mono(m) - began) / 1e9;
    s->last_evaluation = at;
    s->health = rc ? TOC_RULE_HEALTH_ERR : TOC_RULE_HEALTH_OK;
    (void)toc_sv_copy(toc_sv_cstr(rc && !err.code ? toc_strerror(rc) : err.message), s->last_error,
                      sizeof s->last_error);
    if (!rc && s->last_result_count)
        s->last_match = at;
    m->stats.evaluations++;
    m->stats.failures += rc != 0;
}
