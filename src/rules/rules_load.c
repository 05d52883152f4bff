/* Groups from rule files: first start, reload, what survives it. */
#include "base/alloc.h"
#include "base/hash.h"
#include "rules/rules_priv.h"

static void free_sv(struct toc_sv *s) {
    toc_free((void *)(uintptr_t)s->p);
    *s = TOC_SV_NULL;
}

static void rule_fini(struct rule_state *s) {
    toc_alert_rule_drop_all(s);
    TOC_VEC_FINI(&s->active);
    toc_rule_series_forget(s);
    toc_rule_health_fini(&s->watch);
    toc_rule_query_fini(&s->query);
    toc_rule_query_fini(&s->confirm);
    toc_rule_query_fini(&s->recover);
    toc_promql_expr_free(&s->override);
    free_sv(&s->key);
}

void toc_groups_free(struct group_state *groups, size_t count) {
    for (size_t g = 0; g < count; g++) {
        for (size_t i = 0; i < groups[g].group->rule_count; i++)
            rule_fini(&groups[g].rules[i]);
        toc_free(groups[g].rules);
        free_sv(&groups[g].key);
    }
    toc_free(groups);
}

static struct toc_sv take_text(struct toc_buf *b) {
    size_t n;
    char *p = toc_buf_take(b, &n);
    return toc_sv_make(p, n);
}

/* What tells a rule from the others of its group over reloads and restarts: kind, name, labels. */
static void append_identity(const struct toc_rule *r, struct toc_buf *out) {
    toc_buf_printf(out, "%c%.*s", r->is_alert ? 'a' : 'r', TOC_SV_ARG(r->name));
    for (size_t i = 0; i < r->label_count; i++)
        toc_buf_printf(out, "\x1f%.*s\x1e%.*s", TOC_SV_ARG(r->labels[i].name),
                       TOC_SV_ARG(r->labels[i].text));
}

/* Keys of all rules of the group; those of equal identity are numbered. */
static void make_keys(struct group_state *g) {
    struct toc_map seen = TOC_MAP_INIT;
    for (size_t i = 0; i < g->group->rule_count; i++) {
        struct toc_buf key = TOC_BUF_INIT;
        append_identity(&g->group->rules[i], &key);
        uintptr_t n = (uintptr_t)toc_map_get(&seen, toc_buf_sv(&key));
        toc_map_put(&seen, toc_buf_sv(&key), (void *)(n + 1));
        toc_buf_printf(&key, "\x1f%zu\x1f%.*s", (size_t)n, TOC_SV_ARG(g->key));
        g->rules[i].key = take_text(&key);
    }
    toc_map_fini(&seen);
}

static void init_rule(struct toc_rules *m, struct rule_state *s, const struct toc_rule *rule) {
    struct rule_query file;
    s->rule = rule;
    toc_rule_query_init(&file, rule->expr);
    s->file_threshold = file.number;
    toc_rule_query_fini(&file);
    toc_rule_query_init(&s->confirm, rule->confirm);
    toc_rule_query_init(&s->recover, rule->recover_expr);
    toc_rule_health_init(s);
    (void)toc_rule_apply_override(m, s, NULL); /* one that lost its number is as the file says */
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
    toc_buf_printf(&key, "%.*s;%.*s", TOC_SV_ARG(f->name), TOC_SV_ARG(group->name));
    g->key = take_text(&key);
    g->interval_ms = group->interval_ms ? group->interval_ms : m->options.default_interval_ms;
    g->offset_ms =
        group->query_offset_ms >= 0 ? group->query_offset_ms : m->options.default_query_offset_ms;
    g->next_slot = next_on_grid(g, now.ms);
    g->rules = TOC_NEW_ARRAY(struct rule_state, group->rule_count + 1);
    for (size_t i = 0; i < group->rule_count; i++)
        init_rule(m, &g->rules[i], &group->rules[i]);
    make_keys(g);
    toc_group_find_levels(g);
}

#define MOVE(field)                                  \
    do {                                             \
        to->field = from->field;                     \
        memset(&from->field, 0, sizeof from->field); \
    } while (0)

/* What a rule keeps over a reload. */
static void inherit_rule(struct rule_state *to, struct rule_state *from) {
    MOVE(active);
    MOVE(series);
    toc_rule_health_inherit(&to->watch, &from->watch);
    to->series_ms = from->series_ms;
    to->saved_hash = from->saved_hash;
    to->grace_until_ms = from->grace_until_ms;
    to->health = from->health;
    memcpy(to->last_error, from->last_error, sizeof to->last_error);
    to->evaluation_s = from->evaluation_s;
    to->failures = from->failures;
    to->last_evaluation = from->last_evaluation;
    to->last_match = from->last_match;
    to->last_result_count = from->last_result_count;
}

/* A group of the same interval keeps its beat: a slot that is due is not lost. */
static void inherit_group(struct group_state *to, const struct group_state *from) {
    if (to->interval_ms == from->interval_ms)
        to->next_slot = from->next_slot;
    to->is_asleep = from->is_asleep;
    to->is_stored = from->is_stored;
    to->restore_in = from->restore_in;
    to->restore_before = from->restore_before;
    to->last_evaluation = from->last_evaluation;
    to->evaluation_s = from->evaluation_s;
    to->rule_seconds = from->rule_seconds;
    to->last_samples = from->last_samples;
    to->evaluations = from->evaluations;
    to->missed = from->missed;
    to->rule_evaluations = from->rule_evaluations;
    to->rule_failures = from->rule_failures;
}

/* Its alerts and series end. */
static void end_rule(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                     struct toc_ts now) {
    struct rule_pass p = {.m = m, .g = g, .at = now};
    toc_rule_send_end(m, g, s, now);
    toc_rule_series_replace(&p, s, NULL, 0);
    toc_rule_pass_write(&p);
    toc_alert_rule_drop_all(s);
    toc_rule_save_end(m, s);
    TOC_VEC_FINI(&p.points);
    toc_arena_fini(&p.arena);
}

static void retire(struct toc_rules *m, struct group_state *g, struct rule_state *s,
                   struct toc_ts now) {
    toc_rule_health_fini(&s->watch); /* nothing to watch: its own alert ends */
    toc_rule_send_health(m, g, s, now);
    end_rule(m, g, s, now);
}

static void hand_over_group(struct toc_rules *m, struct group_state *old, struct group_state *now_g,
                            struct toc_ts now) {
    struct toc_map by_key = TOC_MAP_INIT;
    for (size_t i = 0; now_g && i < now_g->group->rule_count; i++)
        toc_map_put(&by_key, now_g->rules[i].key, &now_g->rules[i]);
    if (now_g)
        inherit_group(now_g, old);
    for (size_t i = 0; i < old->group->rule_count; i++) {
        struct rule_state *from = &old->rules[i], *to = toc_map_get(&by_key, from->key);
        if (to)
            inherit_rule(to, from);
        else
            retire(m, old, from, now);
    }
    toc_map_fini(&by_key);
}

static void hand_over(struct toc_rules *m, struct group_state *old, size_t old_count,
                      struct toc_ts now) {
    struct toc_map by_key = TOC_MAP_INIT;
    for (size_t g = 0; g < m->group_count; g++)
        toc_map_put(&by_key, m->groups[g].key, &m->groups[g]);
    for (size_t g = 0; g < old_count; g++)
        hand_over_group(m, &old[g], toc_map_get(&by_key, old[g].key), now);
    toc_map_fini(&by_key);
}

static size_t count_groups(struct toc_rule_file **files, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += files[i]->group_count;
    return n;
}

static void restore(struct toc_rules *m, struct toc_ts now) {
    for (size_t g = 0; g < m->group_count; g++)
        toc_group_load(m, &m->groups[g], now);
    toc_rules_sweep_store(m, now);
    m->is_restored = true;
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
        for (size_t i = 0; i < take_files[f]->group_count; i++)
            init_group(m, &m->groups[m->group_count++], take_files[f], &take_files[f]->groups[i],
                       now);
    }
    if (m->is_restored)
        hand_over(m, old, old_count, now);
    else
        restore(m, now);
    toc_groups_save_new(m);
    toc_groups_free(old, old_count);
    for (size_t i = 0; i < old_file_count; i++)
        toc_rule_file_free(&old_files[i]);
    toc_free(old_files);
    toc_mutex_unlock(&m->mutex);
}

int toc_rules_set_awake(struct toc_rules *m, struct toc_sv file, bool is_awake, struct toc_ts now) {
    int rc = TOC_ENOENT;
    toc_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->group_count; i++) {
        struct group_state *g = &m->groups[i];
        if (!toc_sv_eq(g->file, file))
            continue;
        rc = 0;
        if (g->is_asleep != is_awake)
            continue;
        for (size_t k = 0; !is_awake && k < g->group->rule_count; k++)
            end_rule(m, g, &g->rules[k], now);
        if (is_awake)
            g->next_slot = next_on_grid(g, now.ms);
        g->is_asleep = !is_awake;
    }
    toc_mutex_unlock(&m->mutex);
    return rc;
}
