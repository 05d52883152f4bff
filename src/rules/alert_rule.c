/*
 * The state machine of alert rules:
 *
 *   inactive --match--> pending --for--> firing --gone--> [keep_firing_for | recover] --> resolved
 * (kept 15 min)
 *                          +--gone--> forgotten
 */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

/* A match of this evaluation, before it is compared with what was there. */
struct match {
    struct toc_labels labels, source, annotations; /* arena */
    double value, confirm_value;
};

struct evaluation {
    struct toc_rules *m;
    struct group_state *g;
    struct rule_state *s;
    struct toc_ts at;
    struct toc_arena arena;
    struct toc_promql_result result, confirm_result, recover_result;
    struct elements found, confirm, recover;
    struct match *matches;
    size_t match_count;
};

void toc_active_alert_fini(struct active_alert *a) {
    toc_labels_free(&a->labels);
    toc_labels_free(&a->source);
    toc_labels_free(&a->annotations);
}

void toc_alert_rule_drop_all(struct rule_state *s) {
    for (size_t i = 0; i < s->active.count; i++)
        toc_active_alert_fini(&s->active.items[i]);
    s->active.count = 0;
}

/* No label that both have differs; the metric name does not count. */
static bool labels_agree(struct toc_labels a, struct toc_labels b) {
    for (size_t i = 0; i < a.count; i++) {
        struct toc_sv name = a.items[i].name;
        if (toc_sv_eq(name, TOC_METRIC_NAME) || !toc_labels_has(b, name))
            continue;
        if (!toc_sv_eq(a.items[i].value, toc_labels_get(b, name)))
            return false;
    }
    return true;
}

static const struct element *find_agreeing(const struct elements *list, struct toc_labels labels) {
    for (size_t i = 0; i < list->count; i++)
        if (labels_agree(list->items[i].labels, labels))
            return &list->items[i];
    return NULL;
}

static struct toc_labels without_name(struct toc_labels l, struct toc_arena *arena) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, l);
    toc_labels_builder_del(&b, TOC_METRIC_NAME);
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), arena);
    toc_labels_builder_fini(&b);
    return out;
}

static void expand_into(const struct evaluation *ev, const struct toc_rule_text *texts,
                        size_t count, const struct element *e, struct toc_arena *arena,
                        struct toc_labels_builder *b) {
    for (size_t i = 0; i < count; i++)
        toc_labels_builder_set(b, texts[i].name, toc_rule_expand(ev->m, &texts[i], e, arena));
}

static void make_match(struct evaluation *ev, const struct element *e, double confirm_value,
                       struct match *out) {
    const struct toc_rule *r = ev->s->rule;
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    out->value = e->value;
    out->confirm_value = confirm_value;
    out->source = without_name(e->labels, &ev->arena);
    toc_labels_builder_add_all(&b, out->source);
    expand_into(ev, ev->g->group->labels, ev->g->group->label_count, e, &ev->arena, &b);
    expand_into(ev, r->labels, r->label_count, e, &ev->arena, &b);
    toc_labels_builder_set(&b, TOC_SV("alertname"), r->name);
    out->labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &ev->arena);
    toc_labels_builder_reset(&b);
    expand_into(ev, r->annotations, r->annotation_count, e, &ev->arena, &b);
    out->annotations = toc_labels_dup_arena(toc_labels_builder_finish(&b), &ev->arena);
    toc_labels_builder_fini(&b);
}

static int compare_matches(const void *a, const void *b) {
    return toc_labels_cmp(((const struct match *)a)->labels, ((const struct match *)b)->labels);
}

static int make_matches(struct evaluation *ev, struct toc_err *err) {
    ev->matches = TOC_ARENA_NEW_ARRAY(&ev->arena, struct match, ev->found.count + 1);
    if (!ev->matches)
        return TOC_ENOMEM;
    for (size_t i = 0; i < ev->found.count; i++) {
        const struct element *e = &ev->found.items[i], *second = NULL;
        if (ev->s->rule->confirm && !(second = find_agreeing(&ev->confirm, e->labels)))
            continue;
        make_match(ev, e, second ? second->value : NAN, &ev->matches[ev->match_count++]);
    }
    if (ev->arena.overflowed)
        return TOC_ENOMEM;
    qsort(ev->matches, ev->match_count, sizeof *ev->matches, compare_matches);
    for (size_t i = 1; i < ev->match_count; i++)
        if (toc_labels_eq(ev->matches[i - 1].labels, ev->matches[i].labels))
            return toc_errf(err, TOC_EDUPLICATE,
                            "vector contains metrics with the same labelset "
                            "after applying alert labels");
    return 0;
}

static struct active_alert *find_active(struct rule_state *s, struct toc_labels labels) {
    for (size_t i = 0; i < s->active.count; i++)
        if (toc_labels_eq(s->active.items[i].labels, labels))
            return &s->active.items[i];
    return NULL;
}

static void replace_annotations(struct active_alert *a, struct toc_labels l) {
    if (toc_labels_eq(a->annotations, l))
        return;
    toc_labels_free(&a->annotations);
    a->annotations = toc_labels_dup(l);
}

static void take_match(struct evaluation *ev, const struct match *match) {
    struct rule_state *s = ev->s;
    struct active_alert *a = find_active(s, match->labels);
    if (a && a->state == TOC_RULE_INACTIVE) { /* a new occurrence starts over */
        toc_active_alert_fini(a);
        *a = (struct active_alert){0};
    } else if (!a) {
        TOC_VEC_PUSH(&s->active, ((struct active_alert){0}));
        a = &s->active.items[s->active.count - 1];
    }
    if (a->state == TOC_RULE_INACTIVE) {
        a->labels = toc_labels_dup(match->labels);
        a->source = toc_labels_dup(match->source);
        a->state = TOC_RULE_PENDING;
        a->active_at = ev->at;
        a->expected_lower = a->expected_upper = NAN;
    }
    a->is_seen = true;
    a->value = match->value;
    a->confirm_value = match->confirm_value;
    replace_annotations(a, match->annotations);
}

/* Does the recover condition keep a firing alert alive although the expression no longer matches?
 */
static bool is_held(const struct evaluation *ev, struct active_alert *a) {
    const struct toc_rule *r = ev->s->rule;
    if (ev->s->grace > 0)
        return true;
    if (r->recover == TOC_RECOVER_EXPR)
        return !find_agreeing(&ev->recover, a->source);
    for (size_t i = 0; r->recover == TOC_RECOVER_NUMBER && i < ev->recover.count; i++) {
        struct toc_labels l = ev->recover.items[i].labels;
        if (labels_agree(l, a->source) && labels_agree(a->source, l)) {
            a->value = ev->recover.items[i].value;
            return true;
        }
    }
    return false;
}

/* The element is gone. False when the alert is to be forgotten. */
static bool step_absent(const struct evaluation *ev, struct active_alert *a) {
    int64_t keep_ms = ev->s->rule->keep_firing_for_ms;
    if (a->state == TOC_RULE_PENDING)
        return false;
    if (a->state == TOC_RULE_INACTIVE)
        return ev->at.ms - a->resolved_at.ms <= TOC_RESOLVED_KEPT_MS;
    if (is_held(ev, a)) {
        a->keep_since.ms = 0;
        return true;
    }
    if (keep_ms > 0) {
        if (!a->keep_since.ms)
            a->keep_since = ev->at;
        if (ev->at.ms - a->keep_since.ms < keep_ms)
            return true;
    }
    a->state = TOC_RULE_INACTIVE;
    a->resolved_at = ev->at;
    return true;
}

static void step_present(const struct evaluation *ev, struct active_alert *a) {
    a->keep_since.ms = 0;
    if (a->state != TOC_RULE_PENDING || ev->at.ms - a->active_at.ms < ev->s->rule->for_ms)
        return;
    a->state = TOC_RULE_FIRING;
    a->fired_at = ev->at;
}

static void step_all(struct evaluation *ev) {
    struct rule_state *s = ev->s;
    for (size_t i = s->active.count; i-- > 0;) {
        struct active_alert *a = &s->active.items[i];
        if (a->is_seen) {
            step_present(ev, a);
        } else if (!step_absent(ev, a)) {
            toc_active_alert_fini(a);
            TOC_VEC_REMOVE(&s->active, i);
        }
    }
    s->grace -= s->grace > 0;
}

static size_t count_active(const struct rule_state *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->active.count; i++)
        n += s->active.items[i].state != TOC_RULE_INACTIVE;
    return n;
}

static struct toc_labels series_labels(const struct active_alert *a, const char *metric,
                                       const char *state, struct toc_arena *arena) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, a->labels);
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(metric));
    if (state)
        toc_labels_builder_set(&b, TOC_SV("alertstate"), toc_sv_cstr(state));
    struct toc_labels l = toc_labels_dup_arena(toc_labels_builder_finish(&b), arena);
    toc_labels_builder_fini(&b);
    return l;
}

void toc_alert_rule_write(struct toc_rules *m, struct rule_state *s, struct toc_ts at) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_point *points = TOC_NEW_ARRAY(struct toc_point, 2 * s->active.count + 1);
    size_t count = 0;
    for (size_t i = 0; i < s->active.count; i++) {
        const struct active_alert *a = &s->active.items[i];
        if (a->state == TOC_RULE_INACTIVE)
            continue;
        points[count++] = toc_float_point(
            series_labels(a, "ALERTS", toc_rule_alert_state_text(a->state), &arena), at.ms, 1);
        points[count++] = toc_float_point(series_labels(a, "ALERTS_FOR_STATE", NULL, &arena), at.ms,
                                          (double)(a->active_at.ms / 1000));
    }
    toc_rule_write(m, s, points, count, at);
    toc_free(points);
    toc_arena_fini(&arena);
}

static int query_all(struct evaluation *ev, struct toc_err *err) {
    const struct toc_rule *r = ev->s->rule;
    int rc = toc_rule_query(ev->m, toc_rule_expr(ev->s), ev->at, &ev->result, &ev->found, err);
    if (!rc && r->confirm && ev->found.count)
        rc = toc_rule_query(ev->m, r->confirm, ev->at, &ev->confirm_result, &ev->confirm, err);
    bool needs_recover = r->recover_expr && ev->s->active.count;
    if (!rc && needs_recover)
        rc = toc_rule_query(ev->m, r->recover_expr, ev->at, &ev->recover_result, &ev->recover, err);
    return rc;
}

static int apply(struct evaluation *ev, struct toc_err *err) {
    struct rule_state *s = ev->s;
    int64_t limit = ev->g->group->limit;
    for (size_t i = 0; i < s->active.count; i++)
        s->active.items[i].is_seen = false;
    for (size_t i = 0; i < ev->match_count; i++)
        take_match(ev, &ev->matches[i]);
    s->last_result_count = ev->match_count;
    step_all(ev);
    size_t active = count_active(s);
    if (limit <= 0 || active <= (uint64_t)limit)
        return 0;
    toc_alert_rule_drop_all(s);
    toc_rule_forget_series(s);
    return toc_errf(err, TOC_ELIMIT, "exceeded limit of %lld with %zu alerts", (long long)limit,
                    active);
}

int toc_alert_rule_evaluate(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                            struct toc_ts at, struct toc_err *err) {
    struct evaluation ev = {.m = m, .g = g, .s = s, .at = at};
    toc_arena_init(&ev.arena, (size_t)64 << 20);
    int rc = query_all(&ev, err);
    if (!rc)
        rc = make_matches(&ev, err);
    if (!rc)
        rc = apply(&ev, err);
    if (!rc)
        toc_alert_rule_write(m, s, at);
    if (!rc)
        toc_rule_send(m, g, s, at);
    toc_rule_save(m, s);
    toc_promql_result_fini(&ev.result);
    toc_promql_result_fini(&ev.confirm_result);
    toc_promql_result_fini(&ev.recover_result);
    toc_arena_fini(&ev.arena);
    return rc;
}
