/*
 * A group that our own store does not know, but ALERTS_FOR_STATE does: the data came from somewhere
 * else. As upstream, after the group's second evaluation pending alerts whose `for` is at least ten
 * minutes take up their time: what was served counts, the time in between does not, and none fires
 * within the next ten minutes unless it had fired already.
 */
#include "base/alloc.h"
#include "rules/rules_priv.h"

enum { FOR_GRACE_MS = 600000 };

struct last_sample {
    struct toc_labels wanted;
    bool is_found;
    int64_t t_ms, active_ms;
};

static bool is_of(struct toc_labels series, struct toc_labels alert) {
    if (series.count != alert.count + 1)
        return false;
    for (size_t i = 0; i < alert.count; i++)
        if (!toc_sv_eq(toc_labels_get(series, alert.items[i].name), alert.items[i].value))
            return false;
    return true;
}

static int on_series(void *ctx, const struct toc_series_view *v) {
    struct last_sample *l = ctx;
    if (!v->count || !is_of(v->labels, l->wanted))
        return 0;
    double value = v->values[v->count - 1];
    l->is_found = !toc_is_stale_nan(value) && value > 0 && value < 1e12;
    l->t_ms = v->t_ms[v->count - 1];
    l->active_ms = l->is_found ? (int64_t)value * 1000 : 0;
    return TOC_EEND;
}

static void find_last(struct toc_rules *m, struct toc_labels labels, struct toc_ts before,
                      struct last_sample *out) {
    struct toc_querier *q = m->options.querier;
    struct toc_matcher matchers[2];
    *out = (struct last_sample){.wanted = labels};
    if (toc_matcher_init(&matchers[0], TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("ALERTS_FOR_STATE"),
                         NULL))
        return;
    if (!toc_matcher_init(&matchers[1], TOC_MATCH_EQ, TOC_SV("alertname"),
                          toc_labels_get(labels, TOC_SV("alertname")), NULL)) {
        struct toc_select select = {.matchers = matchers,
                                    .matcher_count = 2,
                                    .min_ms = before.ms - m->options.outage_tolerance_ms,
                                    .max_ms = before.ms - 1};
        /* What cannot be read is not restored: the alert waits its full time. */
        (void)q->select(q, &select, on_series, out, NULL);
        toc_matcher_fini(&matchers[1]);
    }
    toc_matcher_fini(&matchers[0]);
}

static void restore_alert(struct toc_rules *m, const struct rule_state *s, struct active_alert *a,
                          struct toc_ts before, struct toc_ts at) {
    struct last_sample l;
    int64_t for_ms = s->rule->for_ms;
    find_last(m, a->labels, before, &l);
    if (!l.is_found)
        return;
    int64_t left_ms = for_ms - (l.t_ms - l.active_ms);
    if (left_ms <= 0)
        a->active_at.ms = l.active_ms;
    else if (left_ms < FOR_GRACE_MS)
        a->active_at.ms = at.ms + FOR_GRACE_MS - for_ms;
    else
        a->active_at.ms = l.active_ms + (at.ms - l.t_ms);
}

void toc_group_restore_from_series(struct toc_rules *m, struct group_state *g, struct toc_ts at) {
    if (!g->restore_in || --g->restore_in)
        return;
    for (size_t i = 0; i < g->group->rule_count; i++) {
        struct rule_state *s = &g->rules[i];
        if (!s->rule->is_alert || s->rule->for_ms < FOR_GRACE_MS)
            continue;
        for (size_t k = 0; k < s->active.count; k++)
            if (s->active.items[k].state == TOC_RULE_PENDING)
                restore_alert(m, s, &s->active.items[k], g->restore_before, at);
    }
}
