/*
 * Does a rule still watch what it was written for? Every five minutes each selector that a result
 * needs is tried. A selector is dead when it has matched no series for `dead_after` although
 *   - the job it names, or the job of what it used to match, is up; or
 *   - it never matched, names no job, but a metric is there under another name of it (an alias or a
 *     near miss). Not for the packs that ship with the program: nobody asked for their metrics.
 * That a dead selector lives again, or its job goes down, ends it.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "rules/rules_priv.h"

static const int64_t HOUR_MS = 3600000;

const char *toc_rule_life_text(enum toc_rule_life l) {
    static const char *const texts[] = {
#define X(name, text, what) text,
        TOC_RULE_LIFE_TABLE(X)
#undef X
    };
    return texts[l];
}

static int64_t setting(int64_t value, int64_t fallback_ms) {
    return value < 0 ? INT64_MAX / 2 : value ? value : fallback_ms;
}

/* ------------------------------------------------------------------------------------- watch list
 */

static struct toc_sv equal_to(const struct toc_matcher *m, size_t count, struct toc_sv label) {
    for (size_t i = 0; i < count; i++)
        if (m[i].op == TOC_MATCH_EQ && toc_sv_eq(m[i].name, label))
            return m[i].value;
    return TOC_SV("");
}

static struct toc_sv selector_text(const struct toc_matcher *m, size_t count, struct toc_sv name) {
    struct toc_buf b = TOC_BUF_INIT;
    size_t n, written = 0;
    toc_buf_append_sv(&b, name);
    for (size_t i = 0; i < count; i++) {
        if (name.n && m[i].op == TOC_MATCH_EQ && toc_sv_eq(m[i].name, TOC_METRIC_NAME))
            continue;
        toc_buf_append_cstr(&b, written++ ? "," : "{");
        toc_matcher_format(&m[i], &b);
    }
    if (written)
        toc_buf_append_char(&b, '}');
    char *p = toc_buf_take(&b, &n);
    return toc_sv_make(p, n);
}

static void free_watched(struct watched *w) {
    toc_free((void *)(uintptr_t)w->text.p);
    toc_free(w->seen_job);
    toc_free(w->suggestion);
}

static void watch(void *ctx, const struct toc_matcher *m, size_t count, bool is_needed) {
    struct rule_health *h = ctx;
    struct watched w = {.matchers = m, .count = count};
    w.name = equal_to(m, count, TOC_METRIC_NAME);
    w.job = equal_to(m, count, TOC_SV("job"));
    /* Alerts that are not there are the normal case. */
    if (!is_needed || toc_sv_starts_with(w.name, TOC_SV("ALERTS")))
        return;
    w.text = selector_text(m, count, w.name);
    for (size_t i = 0; i < h->count; i++)
        if (toc_sv_eq(h->items[i].text, w.text)) {
            free_watched(&w);
            return;
        }
    TOC_VEC_PUSH(h, w);
}

void toc_rule_health_init(struct rule_state *s) {
    toc_promql_visit_uses(s->rule->expr, watch, &s->watch);
    if (s->rule->confirm)
        toc_promql_visit_uses(s->rule->confirm, watch, &s->watch);
}

void toc_rule_health_fini(struct rule_health *h) {
    for (size_t i = 0; i < h->count; i++)
        free_watched(&h->items[i]);
    TOC_VEC_FINI(h);
}

static void inherit_watched(struct watched *to, struct watched *from) {
    to->since = from->since;
    to->last_seen = from->last_seen;
    to->dead_since = from->dead_since;
    to->is_name_known = from->is_name_known;
    toc_free(to->seen_job);
    toc_free(to->suggestion);
    to->seen_job = from->seen_job;
    to->suggestion = from->suggestion;
    from->seen_job = from->suggestion = NULL;
}

void toc_rule_health_inherit(struct rule_health *to, struct rule_health *from) {
    for (size_t i = 0; i < to->count; i++)
        for (size_t k = 0; k < from->count; k++)
            if (toc_sv_eq(to->items[i].text, from->items[k].text))
                inherit_watched(&to->items[i], &from->items[k]);
    to->known_since = from->known_since;
    to->last_fired = from->last_fired;
    to->next_check = from->next_check;
    to->dead_since = from->dead_since;
    to->last_sent = from->last_sent;
    to->is_changed = true;
}

/* --------------------------------------------------------------------------------------- checking
 */

static void revive(struct rule_health *h, struct watched *w) {
    h->is_changed |= w->dead_since.ms != 0;
    w->dead_since.ms = 0;
    w->is_name_known = false;
    toc_free(w->suggestion);
    w->suggestion = NULL;
}

static void seen(struct rule_health *h, struct watched *w, char *job, struct toc_ts at) {
    bool is_other_job = !w->seen_job || strcmp(w->seen_job, job ? job : "") != 0;
    h->is_changed |= is_other_job || at.ms - w->last_seen.ms >= HOUR_MS;
    /* What is stored is an hour old at most; the time in memory is exact. */
    w->last_seen = at;
    toc_free(w->seen_job);
    w->seen_job = job ? job : toc_sv_dup_cstr(TOC_SV(""));
    revive(h, w);
}

static bool name_exists(struct toc_rules *m, const struct watched *w, struct toc_ts at) {
    struct toc_matcher name;
    if (!w->name.n || toc_matcher_init(&name, TOC_MATCH_EQ, TOC_METRIC_NAME, w->name, NULL))
        return false;
    bool exists = toc_rule_series_exist(m, &name, 1, at, NULL);
    toc_matcher_fini(&name);
    return exists;
}

static void declare_dead(struct toc_rules *m, struct rule_health *h, struct watched *w,
                         struct toc_sv job, struct toc_ts at) {
    w->is_name_known = name_exists(m, w, at);
    if (w->name.n && !w->is_name_known)
        w->suggestion = toc_rule_suggest(m, w->name, job, at);
    w->dead_since = at;
    h->is_changed = true;
}

static void missing(struct toc_rules *m, const struct group_state *g, struct rule_health *h,
                    struct watched *w, struct toc_ts at) {
    int64_t dead_after_ms = setting(m->options.dead_after_ms, 6 * HOUR_MS);
    struct toc_sv job = w->job.n ? w->job : toc_sv_cstr(w->seen_job ? w->seen_job : "");
    bool is_builtin = toc_sv_starts_with(g->file, TOC_SV("builtin/"));
    /* A pushed job whose metric ended, a run for one, is normal unless a person named that job. */
    bool is_up = toc_rule_job_is_up(m, job, w->job.n && !is_builtin, at);
    int64_t since_ms = w->last_seen.ms ? w->last_seen.ms : w->since.ms;
    if (w->dead_since.ms) {
        if (job.n && !is_up)
            revive(h, w);
        return;
    }
    if (at.ms - since_ms < dead_after_ms)
        return;
    if (is_up) {
        declare_dead(m, h, w, job, at);
    } else if (!w->last_seen.ms && !job.n && !is_builtin) {
        declare_dead(m, h, w, job, at);
        if (!w->suggestion)
            revive(h, w);
    }
}

static void check_rule(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                       struct toc_ts at) {
    struct rule_health *h = &s->watch;
    for (size_t i = 0; i < h->count; i++) {
        struct watched *w = &h->items[i];
        char *job = NULL;
        h->is_changed |= !w->since.ms;
        if (!w->since.ms)
            w->since = at;
        if (toc_rule_series_exist(m, w->matchers, w->count, at, &job))
            seen(h, w, job, at);
        else
            missing(m, g, h, w, at);
    }
}

static void note_firing(struct rule_state *s, struct toc_ts at) {
    struct rule_health *h = &s->watch;
    for (size_t i = 0; i < s->active.count; i++) {
        if (s->active.items[i].state != TOC_RULE_FIRING)
            continue;
        h->is_changed |= at.ms - h->last_fired.ms >= HOUR_MS;
        h->last_fired = at;
        return;
    }
}

/* The first check comes within one period, spread over it. */
static int64_t first_check(const struct rule_state *s, struct toc_ts at) {
    return at.ms + (int64_t)(toc_hash64(s->key.p, s->key.n, 2) % TOC_HEALTH_CHECK_MS);
}

void toc_group_check_health(struct toc_rules *m, struct group_state *g, struct toc_ts at) {
    for (size_t i = 0; i < g->group->rule_count; i++) {
        struct rule_state *s = &g->rules[i];
        struct rule_health *h = &s->watch;
        h->is_changed |= !h->known_since.ms;
        if (!h->known_since.ms)
            h->known_since = at;
        if (!h->next_check.ms)
            h->next_check.ms = first_check(s, at);
        note_firing(s, at);
        if (m->options.skips_health)
            continue;
        if (at.ms >= h->next_check.ms) {
            h->next_check.ms = at.ms + TOC_HEALTH_CHECK_MS;
            check_rule(m, g, s, at);
        }
        toc_rule_send_health(m, g, s, at);
    }
}

/* ---------------------------------------------------------------------------------------- telling
 */

const struct watched *toc_rule_health_worst(const struct rule_health *h) {
    const struct watched *never = NULL;
    for (size_t i = 0; i < h->count; i++) {
        const struct watched *w = &h->items[i];
        if (w->dead_since.ms)
            return w;
        if (!never && w->since.ms && !w->last_seen.ms)
            never = w;
    }
    return never;
}

static struct toc_ts longest_firing(const struct rule_state *s) {
    struct toc_ts first = {0};
    for (size_t i = 0; i < s->active.count; i++) {
        const struct active_alert *a = &s->active.items[i];
        if (a->state == TOC_RULE_FIRING && (!first.ms || a->fired_at.ms < first.ms))
            first = a->fired_at;
    }
    return first;
}

void toc_rule_health_view(const struct toc_rules *m, const struct rule_state *s,
                          struct toc_rule_life_view *out) {
    const struct rule_health *h = &s->watch;
    const struct watched *w = toc_rule_health_worst(h);
    struct toc_ts firing = longest_firing(s);
    int64_t now_ms = s->last_evaluation.ms;
    int64_t always_ms = setting(m->options.always_firing_after_ms, 7 * 24 * HOUR_MS);
    int64_t never_ms = setting(m->options.never_fired_after_ms, 30 * 24 * HOUR_MS);
    *out = (struct toc_rule_life_view){.state = TOC_RULE_ALIVE, .last_fired = h->last_fired};
    if (w) {
        out->state = w->dead_since.ms ? TOC_RULE_DEAD : TOC_RULE_NO_SERIES;
        out->since = w->last_seen.ms ? w->last_seen : w->since;
        out->selector = w->text;
        out->job = w->job.n ? w->job : toc_sv_cstr(w->seen_job ? w->seen_job : "");
        out->suggestion = toc_sv_cstr(w->suggestion ? w->suggestion : "");
        out->is_name_known = w->is_name_known;
    } else if (firing.ms && now_ms - firing.ms >= always_ms) {
        out->state = TOC_RULE_ALWAYS_FIRING;
        out->since = firing;
    } else if (s->rule->is_alert && !h->last_fired.ms && h->known_since.ms &&
               now_ms - h->known_since.ms >= never_ms) {
        out->state = TOC_RULE_NEVER_FIRED;
        out->since = h->known_since;
    }
}
