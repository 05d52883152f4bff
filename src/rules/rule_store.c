/*
 * State of rules in the blob store: "rule", hash of the rule's key → rule_state.c;
 * "rule_group", hash of file and group → u8 version · zigzag slot of the last evaluation;
 * "rule_health", hash of the rule's key → rule_health_store.c.
 *
 * One write per group and evaluation holds the slot and every rule whose state changed in anything,
 * its alerts' values and annotations included. A process that dies before that write evaluates the
 * same slot again when it is back; after it, never: later data might give another answer.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "rules/rules_priv.h"

enum { GROUP_VERSION = 1, KEY_BYTES = 16 };

static struct toc_sv hex_key(struct toc_sv key, char out[KEY_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = toc_hash64(key.p, key.n, 0);
    for (int i = KEY_BYTES - 1; i >= 0; i--, hash >>= 4)
        out[i] = digits[hash & 15];
    return toc_sv_make(out, KEY_BYTES);
}

/* Changes of one write and the bytes they point to. */
struct saving {
    struct toc_arena arena;
    TOC_VEC(struct toc_blob_change) changes;
    TOC_VEC(struct rule_state *) rules; /* whose saved_hash moves when it is done */
    TOC_VEC(uint64_t) hashes;
    TOC_VEC(struct rule_health *) healths;
};

static void add_change(struct saving *w, const char *ns, struct toc_sv key, struct toc_sv value) {
    char hex[KEY_BYTES];
    struct toc_blob_change c = {ns, toc_arena_dup_sv(&w->arena, hex_key(key, hex)),
                                value.n ? toc_arena_dup_sv(&w->arena, value) : TOC_SV_NULL};
    TOC_VEC_PUSH(&w->changes, c);
}

static void add_rule(struct saving *w, struct rule_state *s) {
    struct toc_buf value = TOC_BUF_INIT;
    uint64_t hash = 0;
    if (toc_rule_has_state(s)) {
        toc_rule_state_encode(s, &value);
        hash = toc_hash64(value.p, value.n, 1);
    }
    if (hash != s->saved_hash) {
        add_change(w, "rule", s->key, toc_buf_sv(&value));
        TOC_VEC_PUSH(&w->rules, s);
        TOC_VEC_PUSH(&w->hashes, hash);
    }
    toc_buf_fini(&value);
}

static void add_slot(struct saving *w, const struct group_state *g, int64_t slot_ms) {
    struct toc_buf value = TOC_BUF_INIT;
    toc_buf_append_u8(&value, GROUP_VERSION);
    toc_buf_append_zigzag(&value, slot_ms);
    add_change(w, "rule_group", g->key, toc_buf_sv(&value));
    toc_buf_fini(&value);
}

static void add_health(struct saving *w, struct rule_state *s) {
    struct toc_buf value = TOC_BUF_INIT;
    if (!s->watch.is_changed)
        return;
    toc_rule_health_encode(s, &value);
    add_change(w, "rule_health", s->key, toc_buf_sv(&value));
    TOC_VEC_PUSH(&w->healths, &s->watch);
    toc_buf_fini(&value);
}

static int commit(struct toc_rules *m, struct saving *w) {
    int rc = w->arena.overflowed ? TOC_ENOMEM : 0;
    if (!rc && w->changes.count)
        rc = toc_blob_store_apply(m->options.store, w->changes.items, w->changes.count, NULL);
    for (size_t i = 0; !rc && i < w->rules.count; i++)
        w->rules.items[i]->saved_hash = w->hashes.items[i];
    for (size_t i = 0; !rc && i < w->healths.count; i++)
        w->healths.items[i]->is_changed = false;
    m->stats.store_failures += rc != 0;
    TOC_VEC_FINI(&w->healths);
    TOC_VEC_FINI(&w->changes);
    TOC_VEC_FINI(&w->rules);
    TOC_VEC_FINI(&w->hashes);
    toc_arena_fini(&w->arena);
    return rc;
}

void toc_group_save(struct toc_rules *m, struct group_state *g, struct toc_ts slot) {
    struct saving w = {0};
    if (!m->options.store)
        return;
    for (size_t i = 0; i < g->group->rule_count; i++) {
        if (g->rules[i].rule->is_alert)
            add_rule(&w, &g->rules[i]);
        add_health(&w, &g->rules[i]);
    }
    add_slot(&w, g, slot.ms);
    (void)commit(m, &w); /* counted; what changed is written with the next evaluation */
}

void toc_groups_save_new(struct toc_rules *m) {
    struct saving w = {0};
    for (size_t i = 0; m->options.store && i < m->group_count; i++) {
        struct group_state *g = &m->groups[i];
        if (!g->is_stored)
            add_slot(&w, g, g->next_slot.ms - g->interval_ms);
        g->is_stored = true;
    }
    (void)commit(m, &w);
}

void toc_rule_save_end(struct toc_rules *m, struct rule_state *s) {
    struct saving w = {0};
    if (!m->options.store)
        return;
    add_rule(&w, s);
    add_change(&w, "rule_health", s->key, TOC_SV_NULL);
    (void)commit(m, &w); /* counted */
}

/* ---------------------------------------------------------------------------------------- loading
 */

static struct toc_ts load_time(struct toc_rules *m, const struct group_state *g) {
    char key[KEY_BYTES];
    struct toc_ts at = {0};
    struct toc_buf value = TOC_BUF_INIT;
    struct toc_blob_store *store = m->options.store;
    if (!store->get(store, "rule_group", hex_key(g->key, key), &value, NULL)) {
        struct toc_reader r = toc_reader_make(toc_buf_sv(&value));
        if (toc_read_u8(&r) == GROUP_VERSION)
            at.ms = toc_read_zigzag(&r);
        if (r.error)
            at.ms = 0;
    }
    toc_buf_fini(&value);
    return at;
}

/* Time during which nobody looked does not count towards `for` and `keep_firing_for`. */
static void pass_over_silence(struct toc_rules *m, struct rule_state *s, int64_t silence_ms) {
    size_t kept = 0;
    for (size_t i = 0; i < s->active.count; i++) {
        struct active_alert *a = &s->active.items[i];
        if (a->state == TOC_RULE_PENDING && silence_ms > m->options.outage_tolerance_ms) {
            toc_active_alert_fini(a);
            continue;
        }
        if (a->state == TOC_RULE_PENDING)
            a->active_at.ms += silence_ms;
        if (a->keep_since.ms)
            a->keep_since.ms += silence_ms;
        s->active.items[kept++] = *a;
    }
    s->active.count = kept;
}

static void load_rule(struct toc_rules *m, const struct group_state *g, struct rule_state *s,
                      int64_t silence_ms, struct toc_ts now) {
    char key[KEY_BYTES];
    struct toc_buf value = TOC_BUF_INIT;
    struct toc_blob_store *store = m->options.store;
    int rc = store->get(store, "rule", hex_key(s->key, key), &value, NULL);
    if (!rc)
        rc = toc_rule_state_decode(toc_buf_sv(&value), s);
    toc_buf_fini(&value);
    if (rc) {
        m->stats.store_failures += rc != TOC_ENOENT;
        return;
    }
    s->saved_hash = toc_rule_state_hash(s);
    if (silence_ms <= m->options.lookback_ms)
        return;
    pass_over_silence(m, s, silence_ms);
    s->grace_until_ms = now.ms + TOC_MAX(TOC_GRACE_MS, 2 * g->interval_ms) - g->offset_ms;
}

static void load_health(struct toc_rules *m, struct rule_state *s) {
    char key[KEY_BYTES];
    struct toc_buf value = TOC_BUF_INIT;
    struct toc_blob_store *store = m->options.store;
    int rc = store->get(store, "rule_health", hex_key(s->key, key), &value, NULL);
    if (!rc)
        rc = toc_rule_health_decode(toc_buf_sv(&value), s);
    m->stats.store_failures += rc && rc != TOC_ENOENT;
    toc_buf_fini(&value);
}

/* The slot to begin with: the one that was due while nobody was there, if it was not evaluated. */
static int64_t first_slot(const struct group_state *g, struct toc_ts last, int64_t now_ms) {
    int64_t next = g->next_slot.ms; /* not before now */
    int64_t due = next > now_ms ? next - g->interval_ms : next;
    bool is_same_grid = (due - last.ms) % g->interval_ms == 0;
    bool is_done = is_same_grid ? last.ms >= due : last.ms > due;
    return is_done ? due + g->interval_ms : due;
}

void toc_group_load(struct toc_rules *m, struct group_state *g, struct toc_ts now) {
    if (!m->options.store)
        return;
    struct toc_ts last = load_time(m, g);
    /* Without a time nothing is known about how long ago it was: as long as possible. */
    int64_t silence_ms =
        last.ms ? TOC_MAX(now.ms - last.ms, 0) : m->options.outage_tolerance_ms + 1;
    for (size_t i = 0; i < g->group->rule_count; i++) {
        load_health(m, &g->rules[i]);
        if (g->rules[i].rule->is_alert)
            load_rule(m, g, &g->rules[i], silence_ms, now);
        else if (last.ms && silence_ms <= m->options.outage_tolerance_ms)
            toc_rule_series_assume_recorded(
                m, &g->rules[i], (struct toc_ts){last.ms - g->offset_ms - m->options.lookback_ms},
                now);
    }
    g->is_stored = last.ms != 0;
    if (!g->is_stored) {
        g->restore_in = 2;
        g->restore_before = now;
    }
    if (last.ms)
        g->next_slot.ms = first_slot(g, last, now.ms);
}

/* ---------------------------------------------------------------------------------------- sweeping
 */

struct orphans {
    struct toc_map *known; /* hex keys of rules there are */
    struct toc_arena arena;
    TOC_VEC(struct toc_sv) keys;
    TOC_VEC(struct toc_sv) states;
};

static int find_orphan(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct orphans *o = ctx;
    if (toc_map_has(o->known, key))
        return 0;
    TOC_VEC_PUSH(&o->keys, toc_arena_dup_sv(&o->arena, key));
    TOC_VEC_PUSH(&o->states, toc_arena_dup_sv(&o->arena, value));
    return 0;
}

static void end_orphan(struct toc_rules *m, struct toc_sv key, struct toc_sv bytes,
                       struct toc_ts now) {
    static const struct toc_rule no_rule = {.is_alert = true};
    static const struct toc_rule_group no_group;
    struct group_state g = {.group = &no_group, .interval_ms = m->options.default_interval_ms};
    struct rule_state s = {.rule = &no_rule, .key = toc_rule_state_key(bytes)};
    struct rule_pass p = {.m = m, .g = &g, .at = now};
    struct toc_blob_store *store = m->options.store;
    if (s.key.n && !toc_rule_state_decode(bytes, &s)) {
        toc_rule_send_end(m, &g, &s, now);
        toc_rule_series_replace(&p, &s, NULL, 0);
        toc_rule_pass_write(&p);
        toc_alert_rule_drop_all(&s);
    }
    m->stats.store_failures += store->remove(store, "rule", key, NULL) != 0;
    TOC_VEC_FINI(&s.active);
    toc_rule_series_forget(&s);
    TOC_VEC_FINI(&p.points);
    toc_arena_fini(&p.arena);
}

void toc_rules_sweep_store(struct toc_rules *m, struct toc_ts now) {
    struct toc_blob_store *store = m->options.store;
    struct toc_map known = TOC_MAP_INIT;
    struct orphans o = {.known = &known};
    char hex[KEY_BYTES];
    if (!store)
        return;
    for (size_t g = 0; g < m->group_count; g++)
        for (size_t i = 0; i < m->groups[g].group->rule_count; i++)
            toc_map_put(&known, hex_key(m->groups[g].rules[i].key, hex), &known);
    m->stats.store_failures += store->each(store, "rule", find_orphan, &o, NULL) != 0;
    for (size_t i = 0; i < o.keys.count; i++)
        end_orphan(m, o.keys.items[i], o.states.items[i], now);
    o.keys.count = 0;
    m->stats.store_failures += store->each(store, "rule_health", find_orphan, &o, NULL) != 0;
    for (size_t i = 0; i < o.keys.count; i++)
        m->stats.store_failures += store->remove(store, "rule_health", o.keys.items[i], NULL) != 0;
    TOC_VEC_FINI(&o.keys);
    TOC_VEC_FINI(&o.states);
    toc_arena_fini(&o.arena);
    toc_map_fini(&known);
}
