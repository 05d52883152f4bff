#include "rules/rules.h"

#include <math.h>

#include "base/alloc.h"
#include "base/hash.h"
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
    toc_mutex_init(&m->mutex, TOC_LOCK_RULES);
    return m;
}

static void free_sv(struct toc_sv *s) {
    toc_free((void *)(uintptr_t)s->p);
    *s = TOC_SV_NULL;
}

static void rule_fini(struct rule_state *s) {
    toc_alert_rule_drop_all(s);
    TOC_VEC_FINI(&s->active);
    toc_rule_forget_series(s);
    toc_promql_expr_free(&s->override);
    free_sv(&s->key);
    free_sv(&s->query_text);
    free_sv(&s->left_text);
}

static void groups_free(struct group_state *groups, size_t count) {
    for (size_t g = 0; g < count; g++) {
        for (size_t i = 0; i < groups[g].group->rule_count; i++)
            rule_fini(&groups[g].rules[i]);
        toc_free(groups[g].rules);
        free_sv(&groups[g].key);
    }
    toc_free(groups);
}

static void files_free(struct toc_rule_file **files, size_t count) {
    for (size_t i = 0; i < count; i++)
        toc_rule_file_free(&files[i]);
    toc_free(files);
}

void toc_rules_free(struct toc_rules **rules) {
    struct toc_rules *m = *rules;
    if (!m)
        return;
    groups_free(m->groups, m->group_count);
    files_free(m->files, m->file_count);
    for (size_t i = 0; i < m->overrides.count; i++)
        toc_free(m->overrides.items[i].name);
    TOC_VEC_FINI(&m->overrides);
    toc_mutex_fini(&m->mutex);
    toc_free(m);
    *rules = NULL;
}

static struct toc_sv take_text(struct toc_buf *b) {
    size_t n;
    char *p = toc_buf_take(b, &n);
    return toc_sv_make(p, n);
}

/* Texts and numbers of the expression in force. */
static void describe(struct rule_state *s) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_promql_threshold t = {0};
    free_sv(&s->query_text);
    free_sv(&s->left_text);
    toc_promql_format(toc_rule_expr(s), false, &text);
    s->query_text = take_text(&text);
    toc_promql_threshold(toc_rule_expr(s), &t);
    s->threshold = t.is_set ? t.threshold : NAN;
    if (t.is_set)
        s->left_text = take_text(&t.left_text);
    toc_buf_fini(&t.left_text);
    struct toc_promql_threshold file = {0};
    toc_promql_threshold(s->rule->expr, &file);
    s->file_threshold = file.is_set ? file.threshold : NAN;
    toc_buf_fini(&file.left_text);
}

static const struct threshold_override *find_override(const struct toc_rules *m,
                                                      struct toc_sv name) {
    for (size_t i = 0; i < m->overrides.count; i++)
        if (toc_sv_eq_cstr(name, m->overrides.items[i].name))
            return &m->overrides.items[i];
    return NULL;
}

static int apply_override(const struct toc_rules *m, struct rule_state *s, struct toc_err *err) {
    const struct threshold_override *o = find_override(m, s->rule->name);
    int rc = 0;
    toc_promql_expr_free(&s->override);
    if (o && s->rule->is_alert)
        rc = toc_rule_with_threshold(s->rule->expr, o->number, &s->override, err);
    describe(s);
    return rc;
}

/* How many rules of the group before index i have the same name. */
static size_t ordinal(const struct toc_rule_group *g, size_t i) {
    size_t n = 0;
    for (size_t k = 0; k < i; k++)
        n += toc_sv_eq(g->rules[k].name, g->rules[i].name);
    return n;
}

static void init_rule(struct toc_rules *m, const struct group_state *g, size_t i) {
    struct rule_state *s = &g->rules[i];
    struct toc_buf key = TOC_BUF_INIT;
    s->rule = &g->group->rules[i];
    toc_buf_printf(&key, "%.*s\x1f%.*s\x1f%zu", TOC_SV_ARG(g->key), TOC_SV_ARG(s->rule->name),
                   ordinal(g->group, i));
    s->key = take_text(&key);
    (void)apply_override(m, s, NULL); /* a rule that lost its number goes on as the file says */
}

/* The first point of the group's grid at or after t. The grid depends on the name only. */
static struct toc_ts next_on_grid(const struct group_state *g, int64_t t) {
    int64_t shift = (int64_t)(toc_hash64(g->key.p, g->key.n, 0) % (uint64_t)g->interval_ms);
    int64_t past = (t - shift) % g->interval_ms;
    if (past < 0)
        past += g->interval_ms;
    return (struct toc_ts){past ? t - past + g->interval_ms : t};
}

static void init_group(struct toc_rules *m, struct group_state *g, const struct toc_rule_file *f,
                       const struct toc_rule_group *group, struct toc_ts now) {
    struct toc_buf key = TOC_BUF_INIT;
    g->file = f->name;
    g->group = group;
    toc_buf_printf(&key, "%.*s\x1f%.*s", TOC_SV_ARG(f->name), TOC_SV_ARG(group->name));
    g->key = take_text(&key);
    g->interval_ms = group->interval_ms ? group->interval_ms : m->options.default_interval_ms;
    g->offset_ms =
        group->query_offset_ms >= 0 ? group->query_offset_ms : m->options.default_query_offset_ms;
    g->next_slot = next_on_grid(g, now.ms);
    g->rules = TOC_NEW_ARRAY(struct rule_state, group->rule_count + 1);
    for (size_t i = 0; i < group->rule_count; i++)
        init_rule(m, g, i);
}

static void restore_group(struct toc_rules *m, struct group_state *g, struct toc_ts now) {
    struct toc_ts last = toc_group_load_time(m, g);
    /* Without a time nothing is known about how long ago it was: as long as possible. */
    int64_t outage_ms = last.ms ? TOC_MAX(now.ms - last.ms, 0) : INT64_MAX;
    for (size_t i = 0; i < g->group->rule_count; i++)
        if (g->rules[i].rule->is_alert)
            toc_rule_load(m, &g->rules[i], outage_ms);
}

static struct rule_state *find_rule(struct group_state *groups, size_t count, struct toc_sv key) {
    for (size_t g = 0; g < count; g++) {
        if (!toc_sv_starts_with(key, groups[g].key))
            continue;
        for (size_t i = 0; i < groups[g].group->rule_count; i++)
            if (toc_sv_eq(groups[g].rules[i].key, key))
                return &groups[g].rules[i];
    }
    return NULL;
}

#define MOVE(field)                                  \
    do {                                             \
        to->field = from->field;                     \
        memset(&from->field, 0, sizeof from->field); \
    } while (0)

/* What a rule keeps over a reload. */
static void inherit(struct rule_state *to, struct rule_state *from) {
    MOVE(active.items);
    MOVE(active.count);
    MOVE(active.capacity);
    MOVE(series);
    to->saved_hash = from->saved_hash;
    to->health = from->health;
    memcpy(to->last_error, from->last_error, sizeof to->last_error);
    to->evaluation_s = from->evaluation_s;
    to->last_evaluation = from->last_evaluation;
    to->last_match = from->last_match;
    to->last_result_count = from->last_result_count;
}

static void retire(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                   struct toc_ts now) {
    toc_rule_send_end(m, g, s, now);
    toc_rule_write(m, s, NULL, 0, now);
    toc_alert_rule_drop_all(s);
    toc_rule_save(m, s);
}

static void hand_over(struct toc_rules *m, struct group_state *old, size_t old_count,
                      struct toc_ts now) {
    for (size_t g = 0; g < old_count; g++)
        for (size_t i = 0; i < old[g].group->rule_count; i++) {
            struct rule_state *from = &old[g].rules[i];
            struct rule_state *to = find_rule(m->groups, m->group_count, from->key);
            if (to && to->rule->is_alert == from->rule->is_alert)
                inherit(to, from);
            else
                retire(m, &old[g], from, now);
        }
}

static size_t count_groups(struct toc_rule_file **files, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += files[i]->group_count;
    return n;
}

void toc_rules_set_files(struct toc_rules *m, struct toc_rule_file **take_files, size_t count,
                         struct toc_ts now) {
    toc_mutex_lock(&m->mutex);
    struct group_state *old = m->groups;
    struct toc_rule_file **old_files = m->files;
    size_t old_count = m->group_count, old_file_count = m->file_count;
    m->files = TOC_NEW_ARRAY(struct toc_rule_file *, count + 1);
    m->file_count = count;
    m->group_count = 0;
    m->groups = TOC_NEW_ARRAY(struct group_state, count_groups(take_files, count) + 1);
    for (size_t f = 0; f < count; f++) {
        m->files[f] = take_files[f];
        for (size_t i = 0; i < take_files[f]->group_count; i++) {
            struct group_state *g = &m->groups[m->group_count++];
            init_group(m, g, take_files[f], &take_files[f]->groups[i], now);
            if (!m->is_restored)
                restore_group(m, g, now);
        }
    }
    m->is_restored = true;
    hand_over(m, old, old_count, now);
    groups_free(old, old_count);
    files_free(old_files, old_file_count);
    toc_mutex_unlock(&m->mutex);
}

int64_t toc_rules_next_due(struct toc_rules *m) {
    int64_t next = INT64_MAX;
    toc_mutex_lock(&m->mutex);
    for (size_t g = 0; g < m->group_count; g++)
        next = TOC_MIN(next, m->groups[g].next_slot.ms);
    toc_mutex_unlock(&m->mutex);
    return next;
}

static void evaluate_group(struct toc_rules *m, struct group_state *g, struct toc_ts now) {
    int64_t behind = (now.ms - g->next_slot.ms) / g->interval_ms;
    struct toc_ts slot = {g->next_slot.ms + behind * g->interval_ms};
    struct toc_ts at = {slot.ms - g->offset_ms};
    int64_t (*mono)(void *) = m->options.mono_ns;
    int64_t began = mono ? mono(m->options.mono_ctx) : 0;
    g->missed += (uint64_t)behind;
    m->stats.missed += (uint64_t)behind;
    for (size_t i = 0; i < g->group->rule_count; i++)
        toc_rule_evaluate(m, g, &g->rules[i], at);
    g->evaluation_s = mono ? (double)(mono(m->options.mono_ctx) - began) / 1e9 : 0;
    g->evaluations++;
    g->last_evaluation = at;
    g->next_slot.ms = slot.ms + g->interval_ms;
    toc_group_save_time(m, g, slot);
}

/* The group that has waited longest; NULL when none is due. */
static struct group_state *earliest_due(struct toc_rules *m, struct toc_ts now) {
    struct group_state *best = NULL;
    for (size_t i = 0; i < m->group_count; i++) {
        struct group_state *g = &m->groups[i];
        if (g->next_slot.ms <= now.ms && (!best || g->next_slot.ms < best->next_slot.ms))
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
            evaluate_group(m, g, now);
        is_done = !g;
        toc_mutex_unlock(&m->mutex);
    }
}

static void remember(struct toc_rules *m, struct toc_sv name, double number) {
    for (size_t i = 0; i < m->overrides.count; i++)
        if (toc_sv_eq_cstr(name, m->overrides.items[i].name)) {
            m->overrides.items[i].number = number;
            return;
        }
    TOC_VEC_PUSH(&m->overrides, ((struct threshold_override){toc_sv_dup_cstr(name), number}));
}

/* Applies what is remembered under this name; ENOENT when no alert rule has it. */
static int reapply(struct toc_rules *m, struct toc_sv name, struct toc_err *err) {
    int rc = TOC_ENOENT;
    for (size_t g = 0; g < m->group_count; g++)
        for (size_t i = 0; i < m->groups[g].group->rule_count; i++) {
            struct rule_state *s = &m->groups[g].rules[i];
            if (!s->rule->is_alert || !toc_sv_eq(s->rule->name, name))
                continue;
            int one = apply_override(m, s, err);
            if (rc == TOC_ENOENT || !rc)
                rc = one;
        }
    return rc;
}

int toc_rules_set_threshold(struct toc_rules *m, struct toc_sv rule_name, double number,
                            struct toc_err *err) {
    if (!isfinite(number) || !rule_name.n)
        return toc_errf(err, TOC_EINVAL, "a threshold is a finite number of a named rule");
    toc_mutex_lock(&m->mutex);
    remember(m, rule_name, number);
    int rc = reapply(m, rule_name, err);
    if (rc == TOC_ENOENT)
        (void)toc_errf(err, rc, "no alert rule is named \"%.*s\"", TOC_SV_ARG(rule_name));
    toc_mutex_unlock(&m->mutex);
    return rc;
}

int toc_rules_clear_threshold(struct toc_rules *m, struct toc_sv rule_name) {
    int rc = TOC_ENOENT;
    toc_mutex_lock(&m->mutex);
    for (size_t i = m->overrides.count; i-- > 0;) {
        if (!toc_sv_eq_cstr(rule_name, m->overrides.items[i].name))
            continue;
        toc_free(m->overrides.items[i].name);
        TOC_VEC_REMOVE(&m->overrides, i);
        rc = 0;
    }
    if (!rc)
        (void)reapply(m, rule_name, NULL);
    toc_mutex_unlock(&m->mutex);
    return rc;
}
