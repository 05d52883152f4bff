#include "incident/manager.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "incident/manager_priv.h"
#include "model/incident_json.h"

enum {
    DEFAULT_WINDOW_MS = 60 * 1000,
    DEFAULT_REOPEN_MS = 5 * 60 * 1000,
    DEFAULT_HOLD_MS = 10 * 1000,
    DEFAULT_GRACE_MS = 5 * 60 * 1000,
};

/* --- live incidents --- */

struct toc_live *toc_live_new(struct toc_incident_manager *m) {
    struct toc_live *l = TOC_NEW(struct toc_live);
    toc_incident_init(&l->i);
    TOC_VEC_PUSH(&m->lives, l);
    return l;
}

static void live_free(struct toc_live *l) {
    toc_incident_fini(&l->i);
    TOC_VEC_FINI(&l->pending);
    toc_arena_fini(&l->texts);
    toc_free(l);
}

void toc_live_entry(struct toc_live *l, struct toc_sv actor, enum toc_timeline_type type,
                    struct toc_ts at, const char *fmt, ...) {
    struct toc_buf text = TOC_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    struct toc_timeline_entry e = {
        .at = at,
        .actor = toc_arena_dup_sv(&l->texts, actor),
        .type = type,
        .text = toc_arena_dup_sv(&l->texts, toc_buf_sv(&text)),
    };
    toc_buf_fini(&text);
    TOC_VEC_PUSH(&l->pending, e);
    l->is_dirty = true;
    l->is_urgent = true;
}

void toc_live_event(struct toc_live *l, enum toc_incident_event event) {
    l->events |= 1U << event;
    l->is_dirty = true;
    l->is_urgent = true;
}

void toc_live_track(struct toc_incident_manager *m, struct toc_live *l, size_t index) {
    struct toc_tracked *t = TOC_NEW(struct toc_tracked);
    *t = (struct toc_tracked){l, index};
    toc_free(
        toc_map_put(&m->by_fingerprint, toc_map_u64(&l->i.alerts.items[index].fingerprint), t));
}

void toc_live_drop(struct toc_incident_manager *m, size_t index) {
    struct toc_live *l = m->lives.items[index];
    for (size_t n = 0; n < l->i.alerts.count; n++) {
        struct toc_sv key = toc_map_u64(&l->i.alerts.items[n].fingerprint);
        struct toc_tracked *t = toc_map_get(&m->by_fingerprint, key);
        if (t && t->live == l)
            toc_free(toc_map_remove(&m->by_fingerprint, key));
    }
    live_free(l);
    TOC_VEC_REMOVE(&m->lives, index);
}

static void tell(struct toc_incident_manager *m, const struct toc_incident *i, unsigned events) {
    for (int e = 0; e < TOC_INCIDENT_EVENT_COUNT; e++) {
        if (!(events & (1U << e)))
            continue;
        for (size_t n = 0; n < m->listener_count; n++)
            m->listeners[n].fn(m->listeners[n].ctx, (enum toc_incident_event)e, i);
    }
}

static struct toc_live *find_live(struct toc_incident_manager *m, struct toc_sv id) {
    for (size_t n = 0; n < m->lives.count; n++)
        if (toc_sv_eq_cstr(id, m->lives.items[n]->i.id))
            return m->lives.items[n];
    return NULL;
}

/* The store could not number it, but people must be able to talk about it: the time of day in its
 * place. */
static void provisional_id(struct toc_incident_manager *m, struct toc_incident *i) {
    struct toc_ts at = i->detected_at;
    char id[TOC_INCIDENT_ID_MAX];
    do {
        struct toc_civil c = toc_ts_civil(at);
        snprintf(id, sizeof id, "I-%04d%02d%02d-T%02d%02d%02d%03d", (int)(c.year % 10000), c.month,
                 c.day, c.hour, c.minute, c.second, c.millisecond);
        at.ms++;
    } while (find_live(m, toc_sv_cstr(id)));
    memcpy(i->id, id, sizeof id);
}

/* After a try to store it: tells listeners, or keeps everything for the next try. */
static void settle(struct toc_incident_manager *m, struct toc_live *l, bool is_saved) {
    if (is_saved) {
        l->is_dirty = false;
        l->pending.count = 0;
        toc_arena_reset(&l->texts);
    } else {
        m->save_errors++;
        if (!l->i.id[0])
            provisional_id(m, &l->i);
    }
    unsigned events = l->events;
    if (!events && is_saved)
        events = 1U << TOC_INCIDENT_EVENT_UPDATED;
    l->events = 0;
    tell(m, &l->i, events);
}

void toc_live_persist(struct toc_incident_manager *m, struct toc_live *l, struct toc_ts now) {
    if (!l->is_dirty)
        return;
    struct toc_incident_store *s = m->options.store;
    l->i.updated_at = now;
    l->is_urgent = false;
    settle(m, l, s->save(s, &l->i, l->pending.items, l->pending.count, NULL) == 0);
}

/* False: nothing was stored. */
static bool save_together(struct toc_incident_manager *m, struct toc_live **lives, size_t count,
                          struct toc_ts now) {
    struct toc_incident_store *s = m->options.store;
    if (!s->save_all || count < 2)
        return false;
    struct toc_incident_saving *items = TOC_NEW_ARRAY(struct toc_incident_saving, count);
    for (size_t n = 0; n < count; n++) {
        lives[n]->i.updated_at = now;
        items[n] = (struct toc_incident_saving){&lives[n]->i, lives[n]->pending.items,
                                                lives[n]->pending.count};
    }
    bool are_saved = s->save_all(s, items, count, NULL) == 0;
    toc_free(items);
    return are_saved;
}

void toc_lives_persist_urgent(struct toc_incident_manager *m, struct toc_ts now) {
    TOC_VEC(struct toc_live *) urgent = {0};
    for (size_t n = 0; n < m->lives.count; n++)
        if (m->lives.items[n]->is_urgent && m->lives.items[n]->is_dirty)
            TOC_VEC_PUSH(&urgent, m->lives.items[n]);
    bool are_saved = save_together(m, urgent.items, urgent.count, now);
    for (size_t n = 0; n < urgent.count; n++) {
        if (!are_saved) { /* one that is refused must not cost the others */
            toc_live_persist(m, urgent.items[n], now);
            continue;
        }
        urgent.items[n]->is_urgent = false;
        settle(m, urgent.items[n], true);
    }
    TOC_VEC_FINI(&urgent);
}

/* --- start and end --- */

static struct toc_incident_options with_defaults(struct toc_incident_options o) {
    if (!o.causal_window_ms)
        o.causal_window_ms = DEFAULT_WINDOW_MS;
    if (!o.reopen_ms)
        o.reopen_ms = DEFAULT_REOPEN_MS;
    if (!o.hold_ms)
        o.hold_ms = DEFAULT_HOLD_MS;
    if (!o.restart_grace_ms)
        o.restart_grace_ms = DEFAULT_GRACE_MS;
    return o;
}

struct loading {
    struct toc_incident_manager *m;
    struct toc_ts grace_end;
};

/* Whoever sent the alerts may be gone since: they must be seen again or they expire. */
static int take_loaded(void *ctx, const struct toc_incident *i) {
    struct loading *load = ctx;
    struct toc_live *l = toc_live_new(load->m);
    toc_incident_copy(i, &l->i);
    for (size_t n = 0; n < l->i.alerts.count; n++) {
        struct toc_incident_alert *a = &l->i.alerts.items[n];
        if (a->is_firing) {
            l->firing_count++;
            l->unsuppressed_count += !a->is_suppressed;
            if (a->ends_at.ms < load->grace_end.ms)
                a->ends_at = load->grace_end;
        }
        toc_live_track(load->m, l, n);
    }
    return 0;
}

int toc_incident_manager_new(const struct toc_incident_options *o, struct toc_ts now,
                             struct toc_incident_manager **out, struct toc_err *err) {
    struct toc_incident_manager *m = TOC_NEW(struct toc_incident_manager);
    m->options = with_defaults(*o);
    toc_mutex_init(&m->mutex, TOC_LOCK_INCIDENT);
    struct loading load = {m, {now.ms + m->options.restart_grace_ms}};
    struct toc_incident_store *s = m->options.store;
    int rc =
        s->load_live(s, (struct toc_ts){now.ms - m->options.reopen_ms}, take_loaded, &load, err);
    if (rc)
        toc_incident_manager_free(&m);
    *out = m;
    return rc;
}

void toc_incident_manager_free(struct toc_incident_manager **m) {
    if (!*m)
        return;
    struct toc_incident_manager *d = *m;
    d->listener_count = 0;
    while (d->lives.count) {
        struct toc_live *l = d->lives.items[d->lives.count - 1];
        toc_live_persist(d, l, l->i.updated_at);
        toc_live_drop(d, d->lives.count - 1);
    }
    TOC_VEC_FINI(&d->lives);
    toc_map_fini(&d->by_fingerprint);
    toc_mutex_fini(&d->mutex);
    toc_free(d);
    *m = NULL;
}

int toc_incident_listen(struct toc_incident_manager *m, toc_on_incident_event *fn, void *ctx) {
    int rc = 0;
    toc_mutex_lock(&m->mutex);
    if (m->listener_count == TOC_INCIDENT_LISTENERS_MAX) {
        rc = TOC_ELIMIT;
    } else {
        m->listeners[m->listener_count].fn = fn;
        m->listeners[m->listener_count++].ctx = ctx;
    }
    toc_mutex_unlock(&m->mutex);
    return rc;
}

/* --- changes by persons and deliveries --- */

/* A changed copy on its way into the store. */
struct change {
    struct toc_live *live; /* NULL: only in the store */
    struct toc_incident copy;
    struct {
        TOC_VEC_FIELDS(struct toc_timeline_entry)
    } entries;
    unsigned events;
    const struct toc_change *recorded; /* NULL: none */
    int64_t recorded_id;
};

static int change_begin(struct toc_incident_manager *m, struct toc_sv id, struct change *c,
                        struct toc_err *err) {
    *c = (struct change){.live = find_live(m, id)};
    if (!c->live)
        return m->options.store->load(m->options.store, id, &c->copy, err);
    toc_incident_copy(&c->live->i, &c->copy);
    for (size_t n = 0; n < c->live->pending.count; n++)
        TOC_VEC_PUSH(&c->entries, c->live->pending.items[n]);
    return 0;
}

static void change_take(struct toc_live *l, struct change *c) {
    toc_incident_fini(&l->i);
    l->i = c->copy;
    l->pending.count = 0;
    l->is_dirty = false;
    toc_arena_reset(&l->texts);
    toc_incident_init(&c->copy);
}

/* Stores; only then memory follows. Frees the change. */
static int change_commit(struct toc_incident_manager *m, struct change *c, struct toc_incident *out,
                         struct toc_err *err) {
    struct toc_incident_store *s = m->options.store;
    int rc = c->recorded ? s->save_with_change(s, &c->copy, c->entries.items, c->entries.count,
                                               c->recorded, &c->recorded_id, err)
                         : s->save(s, &c->copy, c->entries.items, c->entries.count, err);
    if (rc)
        m->save_errors++;
    if (rc == 0 && out)
        toc_incident_copy(&c->copy, out);
    if (rc == 0)
        tell(m, &c->copy, c->events ? c->events : 1U << TOC_INCIDENT_EVENT_UPDATED);
    if (rc == 0 && c->live)
        change_take(c->live, c);
    toc_incident_fini(&c->copy);
    TOC_VEC_FINI(&c->entries);
    return rc;
}

static void change_abort(struct change *c) {
    toc_incident_fini(&c->copy);
    TOC_VEC_FINI(&c->entries);
}

static int check_duplicate(struct toc_incident_manager *m, struct toc_sv id, struct toc_err *err) {
    struct toc_live *l = find_live(m, id);
    struct toc_incident other;
    struct toc_sv its_original = TOC_SV_NULL;
    char buffer[TOC_INCIDENT_ID_MAX] = "";
    if (l) {
        its_original = l->i.duplicate_of;
    } else {
        int rc = m->options.store->load(m->options.store, id, &other, err);
        if (rc)
            return rc;
        toc_sv_copy(other.duplicate_of, buffer, sizeof buffer);
        its_original = toc_sv_cstr(buffer);
        toc_incident_fini(&other);
    }
    if (its_original.n)
        return toc_errf(err, TOC_ECONFLICT,
                        "incident %.*s is itself a duplicate: name its original, %.*s",
                        TOC_SV_ARG(id), TOC_SV_ARG(its_original));
    return 0;
}

static unsigned event_of(enum toc_incident_state before, const struct toc_incident *i,
                         enum toc_timeline_type type) {
    bool was_open = toc_incident_state_is_open(before);
    bool is_open = toc_incident_state_is_open(i->state);
    if (was_open && !is_open)
        return 1U << TOC_INCIDENT_EVENT_RESOLVED;
    if (!was_open && is_open)
        return 1U << TOC_INCIDENT_EVENT_REOPENED;
    if (type == TOC_TIMELINE_ACKNOWLEDGED)
        return 1U << TOC_INCIDENT_EVENT_ACKNOWLEDGED;
    return 1U << TOC_INCIDENT_EVENT_UPDATED;
}

static int act_locked(struct toc_incident_manager *m, struct toc_sv id,
                      const struct toc_incident_action *a, struct toc_ts now,
                      struct toc_incident *out, struct toc_err *err) {
    struct change c;
    int rc = 0;
    bool is_duplicate = a->type == TOC_INCIDENT_ACTION_VERDICT &&
                        a->verdict == TOC_VERDICT_DUPLICATE && a->duplicate_of.n;
    if (is_duplicate)
        rc = check_duplicate(m, a->duplicate_of, err);
    if (rc == 0)
        rc = change_begin(m, id, &c, err);
    if (rc)
        return rc;
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_timeline_entry e = {.at = now, .actor = a->actor};
    enum toc_incident_state before = c.copy.state;
    rc = toc_lifecycle_act(&c.copy, a, c.live ? c.live->firing_count : 0, now, &e.type, &text, err);
    e.text = toc_buf_sv(&text);
    c.events = event_of(before, &c.copy, e.type);
    TOC_VEC_PUSH(&c.entries, e);
    if (rc == 0)
        rc = change_commit(m, &c, out, err);
    else
        change_abort(&c);
    toc_buf_fini(&text);
    return rc;
}

int toc_incident_act(struct toc_incident_manager *m, struct toc_sv id,
                     const struct toc_incident_action *a, struct toc_ts now,
                     struct toc_incident *out, struct toc_err *err) {
    toc_mutex_lock(&m->mutex);
    int rc = act_locked(m, id, a, now, out, err);
    toc_mutex_unlock(&m->mutex);
    return rc;
}

/* True when this delivery was the first to reach somebody. */
static bool mark_notified(struct toc_incident *i, struct toc_ts now) {
    bool is_first = !i->notified_at.ms;
    if (is_first)
        i->notified_at = now;
    if (i->state == TOC_INCIDENT_TRIGGERED)
        return toc_lifecycle_move(i, TOC_INCIDENT_NOTIFIED, now, NULL) == 0;
    bool is_held = i->state == TOC_INCIDENT_MONITORING && i->held_state == TOC_INCIDENT_TRIGGERED;
    if (is_held)
        i->held_state = TOC_INCIDENT_NOTIFIED;
    return is_first;
}

static int note_locked(struct toc_incident_manager *m, struct toc_sv id,
                       struct toc_timeline_entry *e, bool is_delivery, struct toc_err *err) {
    struct change c;
    int rc = change_begin(m, id, &c, err);
    if (rc)
        return rc;
    if (is_delivery && mark_notified(&c.copy, e->at))
        e->type = TOC_TIMELINE_NOTIFIED;
    c.copy.updated_at = e->at;
    TOC_VEC_PUSH(&c.entries, *e);
    return change_commit(m, &c, NULL, err);
}

int toc_incident_notified(struct toc_incident_manager *m, struct toc_sv id, struct toc_sv detail,
                          struct toc_ts now, struct toc_err *err) {
    struct toc_timeline_entry e = {now, TOC_SYSTEM_ACTOR, TOC_TIMELINE_DELIVERY, detail};
    toc_mutex_lock(&m->mutex);
    int rc = note_locked(m, id, &e, true, err);
    toc_mutex_unlock(&m->mutex);
    return rc;
}

int toc_incident_note(struct toc_incident_manager *m, struct toc_sv id, struct toc_sv actor,
                      enum toc_timeline_type type, struct toc_sv text, struct toc_ts now,
                      struct toc_err *err) {
    struct toc_timeline_entry e = {now, actor, type, text};
    toc_mutex_lock(&m->mutex);
    int rc = note_locked(m, id, &e, false, err);
    toc_mutex_unlock(&m->mutex);
    return rc;
}

int toc_incident_record_change(struct toc_incident_manager *m, struct toc_sv id,
                               const struct toc_change *change, struct toc_sv text,
                               int64_t *out_change_id, struct toc_err *err) {
    struct change c;
    struct toc_timeline_entry e = {change->at, change->actor, TOC_TIMELINE_THRESHOLD, text};
    toc_mutex_lock(&m->mutex);
    int rc = change_begin(m, id, &c, err);
    if (rc == 0) {
        c.recorded = change;
        c.copy.updated_at = change->at;
        TOC_VEC_PUSH(&c.entries, e);
        rc = change_commit(m, &c, NULL, err);
    }
    toc_mutex_unlock(&m->mutex);
    if (rc == 0)
        *out_change_id = c.recorded_id;
    return rc;
}

/* --- reading --- */

int toc_incident_get(struct toc_incident_manager *m, struct toc_sv id, struct toc_incident *out,
                     struct toc_err *err) {
    int rc = 0;
    toc_mutex_lock(&m->mutex);
    struct toc_live *l = find_live(m, id);
    if (l)
        toc_incident_copy(&l->i, out);
    toc_mutex_unlock(&m->mutex);
    if (!l)
        rc = m->options.store->load(m->options.store, id, out, err);
    return rc;
}

static int list_memory(struct toc_incident_manager *m, const struct toc_incident_filter *f,
                       toc_on_incident *fn, void *ctx) {
    int stopped = 0;
    toc_mutex_lock(&m->mutex);
    for (size_t n = m->lives.count; n-- > 0 && !stopped;) {
        const struct toc_incident *i = &m->lives.items[n]->i;
        if (!f->is_open_only || toc_incident_state_is_open(i->state))
            stopped = fn(ctx, i);
    }
    toc_mutex_unlock(&m->mutex);
    return stopped;
}

int toc_incident_list(struct toc_incident_manager *m, const struct toc_incident_filter *f,
                      toc_on_incident *fn, void *ctx, struct toc_err *err) {
    toc_mutex_lock(&m->mutex);
    bool is_behind = false;
    for (size_t n = 0; n < m->lives.count; n++)
        is_behind |= m->lives.items[n]->is_dirty && m->save_errors > 0;
    toc_mutex_unlock(&m->mutex);
    if (is_behind && f->is_open_only)
        return list_memory(m, f, fn, ctx);
    return m->options.store->list(m->options.store, f, fn, ctx, err);
}

struct entries {
    TOC_VEC_FIELDS(struct toc_timeline_entry)
    struct toc_arena arena;
};

static int keep_entry(void *ctx, const struct toc_timeline_entry *e) {
    struct entries *list = ctx;
    struct toc_timeline_entry copy = *e;
    copy.actor = toc_arena_dup_sv(&list->arena, e->actor);
    copy.text = toc_arena_dup_sv(&list->arena, e->text);
    TOC_VEC_PUSH(list, copy);
    return list->arena.overflowed ? TOC_ELIMIT : 0;
}

int toc_incident_detail_json(struct toc_incident_manager *m, struct toc_sv id, struct toc_buf *out,
                             struct toc_err *err) {
    struct toc_incident i;
    struct entries list = {0};
    int rc = toc_incident_get(m, id, &i, err);
    if (rc)
        return rc;
    rc = m->options.store->timeline(m->options.store, id, keep_entry, &list, err);
    if (rc == 0) {
        struct toc_json_writer w;
        static const struct toc_timeline_entry none;
        toc_json_writer_init(&w, out);
        toc_incident_write_json(&w, &i, list.count ? list.items : &none, list.count);
        rc = toc_buf_error(out);
    }
    toc_incident_fini(&i);
    toc_arena_fini(&list.arena);
    TOC_VEC_FINI(&list);
    return rc;
}

void toc_incident_of_alert(struct toc_incident_manager *m, uint64_t fingerprint,
                           char out_id[TOC_INCIDENT_ID_MAX]) {
    out_id[0] = '\0';
    toc_mutex_lock(&m->mutex);
    const struct toc_tracked *t = toc_map_get(&m->by_fingerprint, toc_map_u64(&fingerprint));
    if (t)
        memcpy(out_id, t->live->i.id, TOC_INCIDENT_ID_MAX);
    toc_mutex_unlock(&m->mutex);
}

void toc_incident_get_counters(struct toc_incident_manager *m, struct toc_incident_counters *out) {
    toc_mutex_lock(&m->mutex);
    *out = (struct toc_incident_counters){
        .alerts_tracked = m->by_fingerprint.count,
        .alerts_dropped = m->alerts_dropped,
        .cascades_dropped = m->cascades_dropped,
        .save_errors = m->save_errors,
    };
    for (size_t n = 0; n < m->lives.count; n++) {
        out->open_count += toc_incident_state_is_open(m->lives.items[n]->i.state);
        out->unsaved_count += m->lives.items[n]->is_dirty;
    }
    toc_mutex_unlock(&m->mutex);
}

int toc_incident_get_stats(struct toc_incident_manager *m, struct toc_ts since,
                           struct toc_incident_stats *out, struct toc_err *err) {
    return m->options.store->stats(m->options.store, since, out, err);
}
