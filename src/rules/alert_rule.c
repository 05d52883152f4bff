/*
 * The state machine of alert rules:
 *
 *   inactive --match--> pending --for--> firing --gone--> [recover | keep_firing_for] --> resolved
 *                          +--gone--> forgotten                              (kept 15 min)
 *
 * Alerts and matches are both sorted by labels; one merge makes the new list.
 */
#include <math.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

struct evaluation {
    const struct rule_pass *p;
    const struct rule_state *s;
    const struct elements *recover;
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

static struct active_alert new_alert(const struct alert_match *match, struct toc_ts at) {
    return (struct active_alert){
        .labels = toc_labels_dup(match->labels),
        .source = toc_labels_dup(match->source),
        .state = TOC_RULE_PENDING,
        .active_at = at,
        .expected_lower = NAN,
        .expected_upper = NAN,
    };
}

static void replace_labels(struct toc_labels *to, struct toc_labels from) {
    if (toc_labels_eq(*to, from))
        return;
    toc_labels_free(to);
    *to = toc_labels_dup(from);
}

static void step_present(const struct evaluation *ev, struct active_alert *a,
                         const struct alert_match *match) {
    int64_t at_ms = ev->p->at.ms;
    if (a->state == TOC_RULE_INACTIVE) { /* a new occurrence starts over */
        toc_active_alert_fini(a);
        *a = new_alert(match, ev->p->at);
    }
    a->value = match->value;
    a->confirm_value = match->confirm_value;
    a->keep_since.ms = a->held_since.ms = 0;
    replace_labels(&a->source, match->source);
    replace_labels(&a->annotations, match->annotations);
    if (a->state == TOC_RULE_PENDING && at_ms - a->active_at.ms >= ev->s->rule->for_ms) {
        a->state = TOC_RULE_FIRING;
        a->fired_at = ev->p->at;
    }
}

/* Does the recover condition keep a firing alert alive although the expression no longer matches?
 */
static bool is_held(const struct evaluation *ev, struct active_alert *a) {
    const struct toc_rule *r = ev->s->rule;
    if (r->recover == TOC_RECOVER_EXPR)
        return !toc_elements_find_agreeing(ev->recover, a->source);
    for (size_t i = 0; r->recover == TOC_RECOVER_NUMBER && i < ev->recover->count; i++) {
        struct toc_labels l = ev->recover->items[i].labels;
        if (toc_labels_agree(l, a->source) && toc_labels_agree(a->source, l)) {
            a->value = ev->recover->items[i].value;
            return true;
        }
    }
    return false;
}

/* The element is gone. False when the alert is to be forgotten. */
static bool step_absent(const struct evaluation *ev, struct active_alert *a) {
    int64_t keep_ms = ev->s->rule->keep_firing_for_ms, at_ms = ev->p->at.ms;
    if (a->state == TOC_RULE_INACTIVE)
        return at_ms - a->resolved_at.ms <= TOC_RESOLVED_KEPT_MS;
    if (at_ms < ev->s->grace_until_ms)
        return true;
    if (a->state == TOC_RULE_PENDING)
        return false;
    if (is_held(ev, a)) {
        a->keep_since.ms = 0;
        if (!a->held_since.ms)
            a->held_since = ev->p->at;
        return true;
    }
    a->held_since.ms = 0;
    if (keep_ms > 0) {
        if (!a->keep_since.ms)
            a->keep_since = ev->p->at;
        if (at_ms - a->keep_since.ms < keep_ms)
            return true;
    }
    a->state = TOC_RULE_INACTIVE;
    a->resolved_at = ev->p->at;
    return true;
}

static void keep_or_forget(const struct evaluation *ev, struct active_alert *a,
                           struct alert_list *out) {
    if (step_absent(ev, a))
        TOC_VEC_PUSH(out, *a);
    else
        toc_active_alert_fini(a);
}

static struct alert_list merge(const struct evaluation *ev, const struct alert_matches *m) {
    struct alert_list before = ev->s->active, now = {0};
    size_t i = 0;
    TOC_VEC_RESERVE(&now, m->count + before.count);
    for (size_t k = 0; k < m->count; k++) {
        struct active_alert a;
        int sign = 1;
        while (i < before.count &&
               (sign = toc_labels_cmp(before.items[i].labels, m->items[k].labels)) < 0)
            keep_or_forget(ev, &before.items[i++], &now);
        bool is_known = i < before.count && sign == 0;
        a = is_known ? before.items[i++] : new_alert(&m->items[k], ev->p->at);
        step_present(ev, &a, &m->items[k]);
        TOC_VEC_PUSH(&now, a);
    }
    while (i < before.count)
        keep_or_forget(ev, &before.items[i++], &now);
    toc_free(before.items);
    return now;
}

static size_t count_active(const struct rule_state *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->active.count; i++)
        n += s->active.items[i].state != TOC_RULE_INACTIVE;
    return n;
}

int toc_alert_rule_apply(struct rule_pass *p, struct rule_state *s, const struct elements *found,
                         const struct elements *confirm, const struct elements *recover,
                         struct toc_err *err) {
    struct alert_matches matches;
    int64_t limit = p->g->group->limit;
    int rc = toc_alert_matches_make(p, s, found, confirm, &matches, err);
    if (rc)
        return rc;
    struct evaluation ev = {p, s, recover};
    s->active = merge(&ev, &matches);
    s->last_result_count = matches.count;
    size_t active = count_active(s);
    if (limit > 0 && active > (uint64_t)limit) {
        toc_alert_rule_drop_all(s);
        return toc_errf(err, TOC_ELIMIT, "exceeded limit of %lld with %zu alerts", (long long)limit,
                        active);
    }
    toc_rule_series_of_alerts(p, s);
    return 0;
}
