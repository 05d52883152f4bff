/* The alert about a rule that watches nothing: RuleDead, kind rule_dead. */
#include <math.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

static struct toc_labels make_labels(const struct group_state *g, const struct rule_state *s,
                                     struct toc_arena *arena) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_SV("alertname"), TOC_SV("RuleDead"));
    toc_labels_builder_set(&b, TOC_SV("kind"), TOC_SV("rule_dead"));
    toc_labels_builder_set(&b, TOC_SV("severity"), TOC_SV("warning"));
    toc_labels_builder_set(&b, TOC_SV("rule"), s->rule->name);
    toc_labels_builder_set(&b, TOC_SV("rule_group"), g->key);
    struct toc_labels l = toc_labels_dup_arena(toc_labels_builder_finish(&b), arena);
    toc_labels_builder_fini(&b);
    return l;
}

/* What is wrong, in one sentence; what to do, in another. */
static void say(const struct rule_state *s, const struct watched *w, struct toc_ts at,
                struct toc_buf *summary, struct toc_buf *action) {
    struct toc_sv job = w->job.n ? w->job : toc_sv_cstr(w->seen_job ? w->seen_job : "");
    int64_t since_ms = w->last_seen.ms ? w->last_seen.ms : w->since.ms;
    toc_buf_printf(summary, "Rule %.*s has matched no series of %.*s for ",
                   TOC_SV_ARG(s->rule->name), TOC_SV_ARG(w->text));
    toc_duration_format_human(at.ms - since_ms, summary);
    if (job.n)
        toc_buf_printf(summary, " although job %.*s is up", TOC_SV_ARG(job));
    if (w->is_name_known)
        toc_buf_printf(action,
                       "The metric %.*s exists, but with other labels: correct the "
                       "selector",
                       TOC_SV_ARG(w->name));
    else if (w->suggestion)
        toc_buf_printf(action, "There is a metric %s: if it was renamed, use the new name",
                       w->suggestion);
    else
        toc_buf_printf(action, "Correct the selector, bring the metric back, or remove the rule");
}

static void put(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                const struct watched *w, struct toc_ts at) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_buf summary = TOC_BUF_INIT, action = TOC_BUF_INIT;
    int64_t step_ms = TOC_MAX(g->interval_ms, m->options.resend_delay_ms);
    if (w)
        say(s, w, at, &summary, &action);
    else
        toc_buf_printf(&summary, "Rule %.*s matches series again", TOC_SV_ARG(s->rule->name));
    struct toc_label notes[] = {{TOC_SV("description"), toc_buf_sv(&action)},
                                {TOC_SV("summary"), toc_buf_sv(&summary)}};
    struct toc_evidence evidence = {.title = s->rule->name,
                                    .expr = w ? w->text : s->query.text,
                                    .unit = TOC_SV(""),
                                    .value = 0,
                                    .threshold = NAN,
                                    .expected_lower = NAN,
                                    .expected_upper = NAN};
    struct toc_finding finding = {.kind = TOC_KIND_RULE_DEAD,
                                  .severity = TOC_SEVERITY_WARNING,
                                  .title = toc_buf_sv(&summary),
                                  .summary = toc_buf_sv(&summary),
                                  .action = toc_buf_sv(&action),
                                  .first_seen = s->watch.dead_since,
                                  .evidence = &evidence,
                                  .evidence_count = 1};
    struct toc_alert alert = {
        .labels = make_labels(g, s, &arena),
        .annotations = {action.n ? notes : notes + 1, action.n ? 2 : 1},
        .starts_at = s->watch.dead_since,
        .ends_at = {w ? at.ms + 4 * step_ms : at.ms},
        .updated_at = at,
        .generator_url = TOC_SV(""),
        .value = NAN,
        .finding = &finding,
    };
    m->options.alerts->put(m->options.alerts, &alert, 1, at);
    toc_buf_fini(&summary);
    toc_buf_fini(&action);
    toc_arena_fini(&arena);
}

void toc_rule_send_health(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                          struct toc_ts at) {
    struct rule_health *h = &s->watch;
    const struct watched *w = toc_rule_health_worst(h);
    bool is_dead = w && w->dead_since.ms;
    if (!m->options.alerts || (!is_dead && !h->dead_since.ms))
        return;
    if (!is_dead) {
        put(m, g, s, NULL, at);
        h->dead_since.ms = h->last_sent.ms = 0;
        h->is_changed = true;
        return;
    }
    if (h->last_sent.ms && at.ms - h->last_sent.ms < m->options.resend_delay_ms)
        return;
    h->is_changed |= !h->dead_since.ms;
    if (!h->dead_since.ms)
        h->dead_since = w->dead_since;
    put(m, g, s, w, at);
    h->last_sent = at;
}
