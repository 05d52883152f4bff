/* The gate between rules and alert manager: which alerts are candidates, their looks, the decision.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "incident/learn_priv.h"
#include "promql/promql.h"

enum { LOOKS_PER_EVALUATION = 100 };
#define ANOMALY_PREFIX TOC_SV("tocsin_anomaly")

/* --- which alerts --- */

struct reads {
    size_t of_detectors, others;
};

static void note_selector(void *ctx, const struct toc_matcher *m, size_t count) {
    struct reads *r = ctx;
    bool is_detectors = false;
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq(m[i].name, TOC_METRIC_NAME) && m[i].op == TOC_MATCH_EQ)
            is_detectors = toc_sv_starts_with(m[i].value, ANOMALY_PREFIX);
    r->of_detectors += is_detectors;
    r->others += !is_detectors;
}

/* Does the expression read what detectors wrote, and nothing else? */
static bool reads_detectors_only(struct toc_sv expr) {
    struct toc_promql_expr *e;
    struct reads r = {0};
    if (toc_sv_find(expr, ANOMALY_PREFIX) == SIZE_MAX || toc_promql_parse(expr, &e, NULL) < 0)
        return false;
    toc_promql_visit_selectors(e, note_selector, &r);
    toc_promql_expr_free(&e);
    return r.of_detectors > 0 && r.others == 0;
}

static bool is_candidate(const struct toc_alert *a) {
    const struct toc_finding *f = a->finding;
    return f && f->evidence_count > 0 && !toc_kind_info(f->kind)->is_hard &&
           toc_labels_has(a->labels, TOC_SV("detector")) &&
           reads_detectors_only(f->evidence[0].expr);
}

static struct toc_sv scope_of(struct toc_labels l) {
    struct toc_sv s = toc_labels_get(l, TOC_SV("team"));
    if (!s.n)
        s = toc_labels_get(l, TOC_SV("job"));
    return s.n && s.n <= TOC_LEARN_NAME_MAX && toc_sv_find_char(s, '/') == SIZE_MAX
               ? s
               : TOC_SV("default");
}

/* --- looks --- */

static void keep_look(struct learn_alert *a, const double *features) {
    float *to = a->looks + (size_t)a->look_count * TOC_ALERT_FEATURES;
    for (size_t i = 0; i < TOC_ALERT_FEATURES; i++)
        to[i] = (float)features[i];
    a->look_count++;
    a->next_rows *= 2;
}

/* A look at 1, 2, 4 ... rows sees these and no more, so that it is the same whenever it is taken.
 * True when one was due. */
static bool take_due(struct learn_alert *a, const struct toc_learn_window *w) {
    double features[TOC_ALERT_FEATURES];
    unsigned before = a->look_count;
    while (a->look_count < TOC_LEARN_LOOKS_MAX && a->next_rows <= w->rows - w->start) {
        const struct toc_alert_context c = {.seconds = w->seconds,
                                            .values = w->values,
                                            .scores = w->scores,
                                            .rows = w->start + a->next_rows,
                                            .columns = 1,
                                            .start = w->start,
                                            .threshold = w->threshold};
        toc_alert_features(&c, features);
        keep_look(a, features);
    }
    return a->look_count > before;
}

/* A look reads a week of history: many alerts at one moment must not hold rules up. What comes over
 * the budget passes. */
static bool has_budget(struct toc_learn *l, struct toc_ts now) {
    if (l->looks_at.ms != now.ms)
        l->looks_taken = 0;
    l->looks_at = now;
    return l->looks_taken++ < LOOKS_PER_EVALUATION;
}

/* Takes the looks that are due; true when there is a new one. */
static bool look(struct toc_learn *l, struct learn_alert *a, const struct toc_alert *alert,
                 struct toc_ts now) {
    struct toc_learn_window w = {0};
    struct toc_learn_source *s = l->options.source;
    if (a->look_count == TOC_LEARN_LOOKS_MAX || a->is_blind)
        return false;
    if (!has_budget(l, now)) {
        a->is_blind = a->look_count == 0;
        l->stats.blind += a->is_blind;
        return false;
    }
    int rc = s->window(s, alert->labels, a->first, now, &w, NULL);
    bool is_sound = rc == 0 && w.rows > w.start && w.threshold > 0;
    bool is_due = is_sound && take_due(a, &w);
    if (!is_sound && a->look_count == 0) {
        a->is_blind = true;
        l->stats.blind++;
    }
    toc_free(w.seconds);
    toc_free(w.values);
    toc_free(w.scores);
    return is_due;
}

double toc_learn_probability(const struct toc_classifier *c, const struct learn_alert *a) {
    double best = 0, row[TOC_ALERT_FEATURES];
    for (size_t k = 0; k < a->look_count; k++) {
        for (size_t i = 0; i < TOC_ALERT_FEATURES; i++)
            row[i] = (double)a->looks[k * TOC_ALERT_FEATURES + i];
        best = fmax(best, toc_classifier_probability(c, row));
    }
    return best;
}

/* --- the decision --- */

/* True: it pages. An alert that has paged goes on paging: nobody wonders where it went. */
static bool decide(struct toc_learn *l, struct learn_alert *a, bool is_new) {
    const struct learn_scope *s = toc_learn_scope_find(l, toc_sv_cstr(a->scope));
    const struct learn_version *v = s ? toc_learn_active(s) : NULL;
    bool has_paged = !is_new && !a->is_withheld;
    if (!v || v->mode == TOC_LEARN_OFF || a->look_count == 0 || has_paged)
        return true;
    bool was_judged = a->version == v->number;
    a->version = v->number;
    a->probability = toc_learn_probability(v->classifier, a);
    if (a->probability >= v->level)
        return true;
    if (v->mode == TOC_LEARN_SHADOW) {
        l->stats.shadow_withheld += !was_judged;
        return true;
    }
    return false;
}

static struct learn_alert *begin(struct toc_learn *l, const struct toc_alert *alert,
                                 struct toc_ts now) {
    if (!toc_learn_make_room(l, now) || !toc_learn_scope_make(l, scope_of(alert->labels)))
        return NULL;
    struct learn_alert *a = TOC_NEW(struct learn_alert);
    struct toc_buf text = TOC_BUF_INIT;
    toc_labels_format(alert->labels, &text);
    a->id = l->next_id++;
    a->fingerprint = toc_labels_fingerprint(alert->labels);
    a->scope = toc_sv_dup_cstr(scope_of(alert->labels));
    a->rule = toc_sv_dup_cstr(toc_labels_get(alert->labels, TOC_SV("alertname")));
    a->labels = toc_sv_dup_cstr(toc_sv_sub(toc_buf_sv(&text), 0, 2000));
    a->actor = toc_xstrdup("");
    a->incident = toc_xstrdup("");
    a->first = alert->starts_at.ms ? alert->starts_at : now;
    a->last = now;
    a->is_open = true;
    a->probability = NAN;
    a->looks = TOC_NEW_ARRAY(float, TOC_LEARN_LOOKS_MAX *TOC_ALERT_FEATURES);
    a->next_rows = 1;
    toc_buf_fini(&text);
    TOC_VEC_PUSH(&l->alerts, a);
    toc_map_put(&l->open, toc_map_u64(&a->fingerprint), a);
    l->stats.candidates++;
    return a;
}

static bool end(struct toc_learn *l, struct learn_alert *a, struct toc_ts now) {
    bool passes = !a->is_withheld;
    a->is_open = a->is_withheld = false;
    a->last = now;
    toc_map_remove(&l->open, toc_map_u64(&a->fingerprint));
    (void)toc_learn_alert_save(l, a); /* counted; it has ended either way */
    return passes;
}

/* Withholding must be durable before it happens. */
static bool judge(struct toc_learn *l, struct learn_alert *a, const struct toc_alert *alert,
                  bool is_new, struct toc_ts now) {
    bool has_look = look(l, a, alert, now), was_withheld = a->is_withheld;
    bool passes = decide(l, a, is_new);
    a->last = now;
    a->is_withheld = !passes;
    a->was_withheld |= !passes;
    bool is_changed = is_new || has_look || was_withheld != a->is_withheld;
    if (is_changed && toc_learn_alert_save(l, a) < 0 && !passes) {
        a->is_withheld = false;
        a->was_withheld = was_withheld;
        return true;
    }
    l->stats.withheld += !was_withheld && !passes;
    l->stats.released += was_withheld && passes;
    return passes;
}

static bool passes(struct toc_learn *l, const struct toc_alert *alert, struct toc_ts now) {
    uint64_t fingerprint = toc_labels_fingerprint(alert->labels);
    struct learn_alert *a = toc_map_get(&l->open, toc_map_u64(&fingerprint));
    bool is_over = toc_alert_is_resolved(alert, now);
    if (a && is_over)
        return end(l, a, now);
    if (is_over || (!a && !is_candidate(alert)))
        return true;
    bool is_new = !a;
    if (is_new)
        a = begin(l, alert, now);
    return !a || judge(l, a, alert, is_new, now);
}

static void put(struct toc_alert_sink *sink, const struct toc_alert *alerts, size_t count,
                struct toc_ts now) {
    struct toc_learn *l = (struct toc_learn *)(void *)sink;
    struct toc_alert *kept = TOC_NEW_ARRAY(struct toc_alert, count + 1);
    size_t n = 0;
    toc_mutex_lock(&l->mutex);
    for (size_t i = 0; i < count; i++)
        if (passes(l, &alerts[i], now))
            kept[n++] = alerts[i];
    toc_mutex_unlock(&l->mutex);
    if (n)
        l->options.next->put(l->options.next, kept, n, now);
    toc_free(kept);
}

void toc_learn_gate_init(struct toc_learn *l) {
    l->sink.put = put;
}

struct toc_alert_sink *toc_learn_sink(struct toc_learn *l) {
    return &l->sink;
}
