/* The manager: options, schedule, lifetime. */
#include "rules/rules.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "rules/rules_priv.h"

const char *toc_rule_alert_state_text(enum toc_rule_alert_state s) {
    static const char *const texts[] = {"inactive", "pending", "firing"};
    return texts[s];
}

const char *toc_rule_health_text(enum toc_rule_health h) {
    static const char *const texts[] = {"unknown", "ok", "err"};
    return texts[h];
}

struct toc_rules *toc_rules_new(const struct toc_rules_options *o) {
    struct toc_rules *m = TOC_NEW(struct toc_rules);
    m->options = *o;
    m->options.external_labels = toc_labels_dup(o->external_labels);
    if (!m->options.default_interval_ms)
        m->options.default_interval_ms = 15000;
    if (!m->options.resend_delay_ms)
        m->options.resend_delay_ms = 60000;
    if (!m->options.outage_tolerance_ms)
        m->options.outage_tolerance_ms = 3600000;
    if (!m->options.lookback_ms)
        m->options.lookback_ms = 300000;
    if (!m->options.max_samples)
        m->options.max_samples = 50000000;
    if (!m->options.max_query_bytes)
        m->options.max_query_bytes = (size_t)256 << 20;
    int rc = toc_alias_table_builtin(&m->aliases, NULL);
    TOC_ASSERT(rc == 0); /* a test reads the same bytes */
    toc_mutex_init(&m->mutex, TOC_LOCK_RULES);
    return m;
}

void toc_rules_free(struct toc_rules **rules) {
    struct toc_rules *m = *rules;
    if (!m)
        return;
    toc_groups_free(m->groups, m->group_count);
    for (size_t i = 0; i < m->file_count; i++)
        toc_rule_file_free(&m->files[i]);
    toc_free(m->files);
    for (size_t i = 0; i < m->overrides.count; i++)
        toc_free(m->overrides.items[i].name);
    TOC_VEC_FINI(&m->overrides);
    toc_labels_free(&m->options.external_labels);
    toc_alias_table_free(&m->aliases);
    toc_mutex_fini(&m->mutex);
    toc_free(m);
    *rules = NULL;
}

void toc_rules_configure(struct toc_rules *m, int64_t default_interval_ms,
                         int64_t default_query_offset_ms, struct toc_labels external_labels) {
    toc_mutex_lock(&m->mutex);
    m->options.default_interval_ms = default_interval_ms;
    m->options.default_query_offset_ms = default_query_offset_ms;
    toc_labels_free(&m->options.external_labels);
    m->options.external_labels = toc_labels_dup(external_labels);
    toc_mutex_unlock(&m->mutex);
}

int64_t toc_rules_next_due(struct toc_rules *m) {
    int64_t next = INT64_MAX;
    toc_mutex_lock(&m->mutex);
    for (size_t g = 0; g < m->group_count; g++)
        if (!m->groups[g].is_asleep)
            next = TOC_MIN(next, m->groups[g].next_slot.ms);
    toc_mutex_unlock(&m->mutex);
    return next;
}

static void evaluate_at(struct toc_rules *m, struct group_state *g, struct toc_ts slot) {
    struct toc_ts at = {slot.ms - g->offset_ms};
    int64_t began = toc_rules_mono(m);
    g->rule_seconds = 0;
    g->last_samples = 0;
    toc_group_evaluate_rules(m, g, at);
    toc_group_restore_from_series(m, g, at);
    toc_group_check_health(m, g, at);
    g->evaluation_s = (double)(toc_rules_mono(m) - began) / 1e9;
    g->evaluations++;
    g->last_evaluation = at;
    m->stats.group_evaluations++;
    m->stats.group_seconds += g->evaluation_s;
    toc_group_save(m, g, slot);
}

/* The latest slot that is not in the future. */
static int64_t latest_slot(const struct group_state *g, struct toc_ts now) {
    return now.ms - (now.ms - g->next_slot.ms) % g->interval_ms;
}

static void evaluate_latest(struct toc_rules *m, struct group_state *g, struct toc_ts now) {
    struct toc_ts slot = {latest_slot(g, now)};
    uint64_t missed = (uint64_t)((slot.ms - g->next_slot.ms) / g->interval_ms);
    g->missed += missed;
    m->stats.missed += missed;
    g->next_slot.ms = slot.ms + g->interval_ms;
    evaluate_at(m, g, slot);
}

/* The group whose time comes first; NULL when none is due. */
static struct group_state *earliest_due(struct toc_rules *m, struct toc_ts now) {
    struct group_state *best = NULL;
    for (size_t i = 0; i < m->group_count; i++) {
        struct group_state *g = &m->groups[i];
        if (!g->is_asleep && g->next_slot.ms <= now.ms &&
            (!best || latest_slot(g, now) < latest_slot(best, now)))
            best = g;
    }
    return best;
}

void toc_rules_evaluate_due(struct toc_rules *m, struct toc_ts now) {
    bool is_done = false;
    while (!is_done) {
        /* The lock is given up between groups so that readers get their turn. */
        toc_mutex_lock(&m->mutex);
        struct group_state *g = earliest_due(m, now);
        if (g)
            evaluate_latest(m, g, now);
        is_done = !g;
        toc_mutex_unlock(&m->mutex);
    }
}

int toc_rules_evaluate_group(struct toc_rules *m, struct toc_sv file, struct toc_sv group,
                             struct toc_ts at) {
    int rc = TOC_ENOENT;
    toc_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->group_count && rc; i++) {
        struct group_state *g = &m->groups[i];
        if (!toc_sv_eq(g->file, file) || !toc_sv_eq(g->group->name, group))
            continue;
        evaluate_at(m, g, at);
        rc = 0;
    }
    toc_mutex_unlock(&m->mutex);
    return rc;
}
