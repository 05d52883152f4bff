/* What the API shows of groups, rules and their alerts. */
#include "base/alloc.h"
#include "rules/rules_priv.h"

static size_t view_alerts(const struct rule_state *s, struct toc_rule_alert_view *out) {
    size_t n = 0;
    for (size_t i = 0; i < s->active.count; i++) {
        const struct active_alert *a = &s->active.items[i];
        if (a->state != TOC_RULE_INACTIVE)
            out[n++] = (struct toc_rule_alert_view){
                .labels = a->labels,
                .annotations = a->annotations,
                .state = a->state,
                .active_at = a->active_at,
                .keep_firing_since = a->keep_since,
                .held_since = a->held_since,
                .value = a->value,
                .confirm_value = a->confirm_value,
            };
    }
    return n;
}

static void view_rule(const struct toc_rules *m, const struct rule_state *s,
                      struct toc_rule_alert_view *alerts, struct toc_rule_view *out) {
    *out = (struct toc_rule_view){
        .rule = s->rule,
        .query = s->query.text,
        .is_overridden = s->override != NULL,
        .threshold = s->query.number,
        .file_threshold = s->file_threshold,
        .health = s->health,
        .last_error = toc_sv_cstr(s->last_error),
        .evaluation_s = s->evaluation_s,
        .failures = s->failures,
        .level = s->level,
        .last_evaluation = s->last_evaluation,
        .last_result_count = s->last_result_count,
        .last_match = s->last_match,
        .alerts = alerts,
        .alert_count = view_alerts(s, alerts),
    };
    toc_rule_health_view(m, s, &out->life);
    for (size_t i = 0; i < out->alert_count; i++)
        out->state = TOC_MAX(out->state, alerts[i].state);
}

static void view_group(const struct toc_rules *m, const struct group_state *g,
                       toc_on_rule_group *fn, void *ctx) {
    size_t total = 0, used = 0, n = g->group->rule_count;
    for (size_t i = 0; i < n; i++)
        total += g->rules[i].active.count;
    struct toc_rule_alert_view *alerts = TOC_NEW_ARRAY(struct toc_rule_alert_view, total + 1);
    struct toc_rule_view *rules = TOC_NEW_ARRAY(struct toc_rule_view, n + 1);
    for (size_t i = 0; i < n; i++) {
        view_rule(m, &g->rules[i], alerts + used, &rules[i]);
        used += rules[i].alert_count;
    }
    struct toc_rule_group_view v = {
        .file = g->file,
        .group = g->group,
        .interval_ms = g->interval_ms,
        .query_offset_ms = g->offset_ms,
        .next_slot = g->next_slot,
        .evaluation_s = g->evaluation_s,
        .rule_seconds = g->rule_seconds,
        .last_samples = g->last_samples,
        .last_evaluation = g->last_evaluation,
        .evaluations = g->evaluations,
        .missed = g->missed,
        .rule_evaluations = g->rule_evaluations,
        .rule_failures = g->rule_failures,
        .rules = rules,
        .rule_count = n,
    };
    fn(ctx, &v);
    toc_free(alerts);
    toc_free(rules);
}

void toc_rules_each_group(struct toc_rules *m, toc_on_rule_group *fn, void *ctx) {
    toc_mutex_lock(&m->mutex);
    for (size_t g = 0; g < m->group_count; g++)
        if (!m->groups[g].is_asleep)
            view_group(m, &m->groups[g], fn, ctx);
    toc_mutex_unlock(&m->mutex);
}

struct toc_rules_stats toc_rules_stats(struct toc_rules *m) {
    toc_mutex_lock(&m->mutex);
    struct toc_rules_stats s = m->stats;
    s.groups = 0;
    for (size_t g = 0; g < m->group_count; g++) {
        const struct group_state *group = &m->groups[g];
        if (group->is_asleep)
            continue;
        s.groups++;
        s.rules += group->group->rule_count;
        for (size_t i = 0; i < group->group->rule_count; i++) {
            const struct rule_state *r = &group->rules[i];
            const struct watched *w = toc_rule_health_worst(&r->watch);
            s.rules_dead += w && w->dead_since.ms;
            for (size_t k = 0; k < r->active.count; k++) {
                s.alerts_pending += r->active.items[k].state == TOC_RULE_PENDING;
                s.alerts_firing += r->active.items[k].state == TOC_RULE_FIRING;
            }
        }
    }
    toc_mutex_unlock(&m->mutex);
    return s;
}
