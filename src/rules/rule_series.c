/* Which series a rule has alive: what is no longer written gets a stale marker. */
#include <stdlib.h>

#include "base/alloc.h"
#include "model/histogram.h"
#include "rules/rules_priv.h"

static int compare_points(const void *a, const void *b) {
    return toc_labels_cmp(((const struct toc_point *)a)->labels,
                          ((const struct toc_point *)b)->labels);
}

void toc_rule_series_forget(struct rule_state *s) {
    for (size_t i = 0; i < s->series.count; i++)
        toc_labels_free(&s->series.items[i]);
    TOC_VEC_FINI(&s->series);
}

/* The marker borrows its labels from the pass: the list's own are freed. */
static void end_series(struct rule_pass *p, struct toc_labels *labels) {
    struct toc_point marker =
        toc_float_point(toc_labels_dup_arena(*labels, &p->arena), p->at.ms, toc_stale_nan());
    if (marker.labels.count)
        TOC_VEC_PUSH(&p->points, marker);
    toc_labels_free(labels);
}

void toc_rule_series_replace(struct rule_pass *p, struct rule_state *s, struct toc_point *points,
                             size_t count) {
    struct series_list now = {0}, before = s->series;
    size_t i = 0;
    if (count > 1)
        qsort(points, count, sizeof *points, compare_points);
    TOC_VEC_RESERVE(&now, count);
    TOC_VEC_RESERVE(&p->points, p->points.count + count);
    for (size_t k = 0; k < count; k++) {
        int sign = 1;
        while (i < before.count && (sign = toc_labels_cmp(before.items[i], points[k].labels)) < 0)
            end_series(p, &before.items[i++]);
        bool is_known = i < before.count && sign == 0;
        TOC_VEC_PUSH(&now, is_known ? before.items[i] : toc_labels_dup(points[k].labels));
        i += is_known;
        TOC_VEC_PUSH(&p->points, points[k]);
    }
    while (i < before.count)
        end_series(p, &before.items[i++]);
    toc_free(before.items);
    s->series = now;
}

static struct toc_labels series_labels(const struct active_alert *a, const char *metric,
                                       const char *state, struct toc_labels_builder *b) {
    toc_labels_builder_reset(b);
    toc_labels_builder_add_all(b, a->labels);
    toc_labels_builder_set(b, TOC_METRIC_NAME, toc_sv_cstr(metric));
    if (state)
        toc_labels_builder_set(b, TOC_SV("alertstate"), toc_sv_cstr(state));
    return toc_labels_builder_finish(b);
}

void toc_rule_series_of_alerts(struct rule_pass *p, struct rule_state *s) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_point *points = TOC_NEW_ARRAY(struct toc_point, 2 * s->active.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < s->active.count; i++) {
        const struct active_alert *a = &s->active.items[i];
        if (a->state == TOC_RULE_INACTIVE)
            continue;
        struct toc_labels l = series_labels(a, "ALERTS", toc_rule_alert_state_text(a->state), &b);
        points[count++] = toc_float_point(toc_labels_dup_arena(l, &p->arena), p->at.ms, 1);
        l = series_labels(a, "ALERTS_FOR_STATE", NULL, &b);
        points[count++] = toc_float_point(toc_labels_dup_arena(l, &p->arena), p->at.ms,
                                          (double)(a->active_at.ms / 1000));
    }
    toc_labels_builder_fini(&b);
    toc_rule_series_replace(p, s, points, count);
    toc_free(points);
}

static int compare_labels(const void *a, const void *b) {
    return toc_labels_cmp(*(const struct toc_labels *)a, *(const struct toc_labels *)b);
}

void toc_rule_series_assume_alerts(struct rule_state *s) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_rule_series_forget(s);
    for (size_t i = 0; i < s->active.count; i++) {
        const struct active_alert *a = &s->active.items[i];
        if (a->state == TOC_RULE_INACTIVE)
            continue;
        const char *state = toc_rule_alert_state_text(a->state);
        TOC_VEC_PUSH(&s->series, toc_labels_dup(series_labels(a, "ALERTS", state, &b)));
        TOC_VEC_PUSH(&s->series, toc_labels_dup(series_labels(a, "ALERTS_FOR_STATE", NULL, &b)));
    }
    toc_labels_builder_fini(&b);
    if (s->series.count)
        qsort(s->series.items, s->series.count, sizeof *s->series.items, compare_labels);
}

/* Series and the time of their newest sample, in an arena. */
struct recorded {
    struct toc_arena arena;
    TOC_VEC(struct toc_labels) labels;
    TOC_VEC(int64_t) newest_ms; /* negative: it is a stale marker */
    int64_t last_ms;
};

static int on_recorded(void *ctx, const struct toc_series_view *v) {
    struct recorded *r = ctx;
    if (!v->count)
        return 0;
    size_t last = v->count - 1;
    bool is_stale = v->histograms && v->histograms[last]
                        ? toc_histogram_is_stale(v->histograms[last])
                        : toc_is_stale_nan(v->values[last]);
    TOC_VEC_PUSH(&r->labels, toc_labels_dup_arena(v->labels, &r->arena));
    TOC_VEC_PUSH(&r->newest_ms, is_stale ? -1 : v->t_ms[last]);
    r->last_ms = TOC_MAX(r->last_ms, v->t_ms[last]);
    return 0;
}

static bool is_only_writer(const struct toc_rules *m, const struct rule_state *s) {
    size_t writers = 0;
    for (size_t g = 0; g < m->group_count; g++)
        for (size_t i = 0; i < m->groups[g].group->rule_count; i++) {
            const struct toc_rule *r = m->groups[g].rules[i].rule;
            writers += !r->is_alert && toc_sv_eq(r->name, s->rule->name);
        }
    return writers == 1;
}

void toc_rule_series_assume_recorded(struct toc_rules *m, struct rule_state *s, struct toc_ts since,
                                     struct toc_ts now) {
    struct recorded r = {.last_ms = 0};
    struct toc_matcher name;
    struct toc_querier *q = m->options.querier;
    if (!is_only_writer(m, s) ||
        toc_matcher_init(&name, TOC_MATCH_EQ, TOC_METRIC_NAME, s->rule->name, NULL))
        return;
    struct toc_select select = {
        .matchers = &name, .matcher_count = 1, .min_ms = since.ms, .max_ms = now.ms};
    /* What cannot be read only ends later, by the look-back. */
    if (!q->select(q, &select, on_recorded, &r, NULL))
        for (size_t i = 0; i < r.labels.count; i++)
            if (r.newest_ms.items[i] == r.last_ms)
                TOC_VEC_PUSH(&s->series, toc_labels_dup(r.labels.items[i]));
    if (s->series.count)
        qsort(s->series.items, s->series.count, sizeof *s->series.items, compare_labels);
    s->series_ms = r.last_ms;
    toc_matcher_fini(&name);
    TOC_VEC_FINI(&r.labels);
    TOC_VEC_FINI(&r.newest_ms);
    toc_arena_fini(&r.arena);
}
