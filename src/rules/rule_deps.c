/*
 * Which rules of a group may be evaluated together. Evaluating level by level, queries of a level
 * before its writes, gives the same as one rule after the other:
 *
 *   j reads what i < j writes       level(j) > level(i)
 *   i reads what j > i writes       level(j) >= level(i): i must still see what was there before
 *   i and j write the same metric   level(j) >= level(i): their writes stay in order
 *
 * A selector without a fixed name may read anything; so may one of ALERTS without an alert name.
 */
#include "base/alloc.h"
#include "rules/rules_priv.h"

struct reads {
    const struct rule_state *writer;
    bool found;
};

static const struct toc_matcher *matcher_of(const struct toc_matcher *m, size_t count,
                                            struct toc_sv name) {
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq(m[i].name, name))
            return &m[i];
    return NULL;
}

static bool may_read(const struct toc_matcher *m, size_t count, const struct rule_state *writer) {
    const struct toc_matcher *name = matcher_of(m, count, TOC_METRIC_NAME);
    struct toc_sv written = writer->rule->name;
    if (!name)
        return true;
    if (!writer->rule->is_alert)
        return toc_matcher_matches(name, written);
    if (!toc_matcher_matches(name, TOC_SV("ALERTS")) &&
        !toc_matcher_matches(name, TOC_SV("ALERTS_FOR_STATE")))
        return false;
    const struct toc_matcher *alert = matcher_of(m, count, TOC_SV("alertname"));
    return !alert || toc_matcher_matches(alert, written);
}

static void look(void *ctx, const struct toc_matcher *m, size_t count) {
    struct reads *r = ctx;
    r->found = r->found || may_read(m, count, r->writer);
}

static bool reads(const struct rule_state *reader, const struct rule_state *writer) {
    const struct rule_query *const queries[] = {&reader->query, &reader->confirm, &reader->recover};
    struct reads r = {writer, false};
    for (size_t i = 0; i < TOC_ARRAY_LEN(queries) && !r.found; i++)
        if (queries[i]->expr)
            toc_promql_visit_selectors(queries[i]->expr, look, &r);
    return r.found;
}

static size_t level_of(const struct group_state *g, size_t j) {
    const struct rule_state *rules = g->rules;
    size_t level = 0;
    for (size_t i = 0; i < j; i++) {
        bool same = rules[i].rule->is_alert == rules[j].rule->is_alert &&
                    toc_sv_eq(rules[i].rule->name, rules[j].rule->name);
        if (rules[i].level >= level && reads(&rules[j], &rules[i]))
            level = rules[i].level + 1;
        else if (rules[i].level > level && (same || reads(&rules[i], &rules[j])))
            level = rules[i].level;
    }
    return level;
}

void toc_group_find_levels(struct group_state *g) {
    g->level_count = 0;
    for (size_t j = 0; j < g->group->rule_count; j++) {
        g->rules[j].level = level_of(g, j);
        g->level_count = TOC_MAX(g->level_count, g->rules[j].level + 1);
    }
}
