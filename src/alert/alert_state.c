/* Alerts from their arrival to their end: merging, life cycle, what the observer is told. */
#include <stdlib.h>

#include "alert/manager_priv.h"
#include "base/hash.h"

#define ALERT_NS "alert"

static bool overlaps(const struct toc_alert *old, const struct toc_alert *a) {
    int64_t old_end = old->ends_at.ms ? old->ends_at.ms : INT64_MAX;
    int64_t end = a->ends_at.ms ? a->ends_at.ms : INT64_MAX;
    return a->starts_at.ms <= old_end && end >= old->starts_at.ms;
}

/* Two versions of one alert: earliest start; the younger decides about the end, except that a later
 * explicit end outlives it. */
static void merge(const struct alert_entry *old, struct toc_alert *a, struct toc_ts now) {
    const struct toc_alert *o = &old->alert;
    if (!overlaps(o, a))
        return;
    if (o->starts_at.ms < a->starts_at.ms)
        a->starts_at = o->starts_at;
    int64_t old_end = o->ends_at.ms ? o->ends_at.ms : INT64_MAX;
    if (toc_alert_is_resolved(a, now)) {
        if (toc_alert_is_resolved(o, now) && o->ends_at.ms > a->ends_at.ms)
            a->ends_at = o->ends_at;
    } else if (a->ends_at.ms && old_end > a->ends_at.ms && old_end != INT64_MAX &&
               !(old->flags & ENTRY_ENDS_BY_TIMEOUT)) {
        a->ends_at = o->ends_at;
    }
}

static uint64_t content_hash(const struct toc_alert *a) {
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_alert copy = *a;
    copy.ends_at.ms = copy.updated_at.ms = 0;
    toc_alert_encode(&copy, 0, &bytes);
    uint64_t hash = toc_hash64(bytes.p, bytes.n, 0);
    toc_buf_fini(&bytes);
    return hash;
}

/* Replaces what the entry holds; on failure it keeps what it had. */
static int assign(struct alert_entry *e, const struct toc_alert *a, unsigned flags) {
    struct alert_entry fresh = {.bytes = TOC_BUF_INIT};
    toc_arena_init(&fresh.arena, (size_t)1 << 20);
    toc_alert_encode(a, flags, &fresh.bytes);
    int rc = toc_buf_error(&fresh.bytes);
    if (!rc)
        rc = toc_alert_decode(&fresh);
    if (rc) {
        toc_buf_fini(&fresh.bytes);
        toc_arena_fini(&fresh.arena);
        return rc;
    }
    toc_buf_fini(&e->bytes);
    toc_arena_fini(&e->arena);
    e->bytes = fresh.bytes;
    e->arena = fresh.arena;
    e->alert = fresh.alert;
    e->finding = fresh.finding;
    e->alert.finding = fresh.alert.finding ? &e->finding : NULL;
    e->flags = fresh.flags;
    e->fingerprint = fresh.fingerprint;
    return 0;
}

static void save_entry(struct toc_alert_manager *m, struct alert_entry *e, struct toc_ts now) {
    e->saved_ms = now.ms;
    toc_alert_store_put(m, ALERT_NS, e->fingerprint, toc_buf_sv(&e->bytes));
}

static struct alert_entry *find_or_add(struct toc_alert_manager *m, uint64_t fingerprint,
                                       bool may_add) {
    struct alert_entry *e = toc_map_get(&m->alerts, toc_map_u64(&fingerprint));
    if (e || !may_add)
        return e;
    if (m->alerts.count >= m->options.max_alerts) {
        m->stats.alerts_dropped_limit++;
        return NULL;
    }
    e = TOC_NEW(struct alert_entry);
    e->fingerprint = fingerprint;
    toc_map_put(&m->alerts, toc_map_u64(&fingerprint), e);
    return e;
}

static void forget(struct toc_alert_manager *m, struct alert_entry *e) {
    toc_alert_store_put(m, ALERT_NS, e->fingerprint, TOC_SV(""));
    toc_map_remove(&m->alerts, toc_map_u64(&e->fingerprint));
    toc_alert_entry_free(e);
}

enum { REFRESH_SAVE_MS = 60000 };

/* A firing alert that is told again with other numbers, as most are several times a minute, needs
 * no commit each time: after a crash whoever tells it tells it once more. Beginning, end, the time
 * when it ends by itself and flags are durable at once. */
static bool is_mere_refresh(const struct alert_entry *e, const struct toc_alert *a, unsigned flags,
                            struct toc_ts now) {
    return e->is_firing && !toc_alert_is_resolved(a, now) &&
           a->starts_at.ms == e->alert.starts_at.ms && a->ends_at.ms == e->alert.ends_at.ms &&
           flags == e->flags && e->saved_ms && now.ms >= e->saved_ms &&
           now.ms - e->saved_ms < REFRESH_SAVE_MS;
}

void toc_alert_take(struct toc_alert_manager *m, const struct toc_alert *a, bool ends_by_timeout,
                    struct toc_ts now) {
    struct toc_alert merged = *a;
    bool is_resolved = toc_alert_is_resolved(a, now);
    merged.updated_at = now;
    m->stats.alerts_received++;
    /* The end of something never heard of starts nothing. */
    struct alert_entry *e = find_or_add(m, toc_labels_fingerprint(a->labels), !is_resolved);
    if (!e)
        return;
    bool is_new = e->bytes.n == 0;
    if (!is_new)
        merge(e, &merged, now);
    uint64_t hash = content_hash(&merged);
    unsigned flags =
        (e->flags & ENTRY_SUPPRESSED) | (ends_by_timeout ? (unsigned)ENTRY_ENDS_BY_TIMEOUT : 0);
    bool is_refresh = !is_new && is_mere_refresh(e, &merged, flags, now);
    if (assign(e, &merged, flags)) {
        m->stats.alerts_dropped_limit++;
        if (is_new)
            forget(m, e);
        return;
    }
    is_resolved = toc_alert_is_resolved(&e->alert, now);
    if (!is_resolved && !e->is_firing)
        e->pending = CHANGE_FIRING;
    else if (!is_resolved && (hash != e->content_hash || e->is_unseen) && e->pending == CHANGE_NONE)
        e->pending = CHANGE_UPDATED;
    e->is_unseen = false;
    e->arrival = ++m->arrivals;
    m->is_stale |= e->pending == CHANGE_FIRING || (is_resolved && e->is_firing);
    e->content_hash = hash;
    if (!is_refresh)
        save_entry(m, e, now);
    toc_group_dispatch(m, e, now);
}

static void tell(struct toc_alert_manager *m, enum toc_alert_event event, struct alert_entry *e,
                 struct toc_ts now) {
    struct view_space space;
    struct toc_alert_observer *o = m->options.observer;
    if (!o)
        return;
    struct toc_alert_view view = toc_alert_view_of(m, e, now, &space);
    o->on_change(o, event, &view, now);
}

/* Notes in the store what the observer is about to be told, so that a restart does not tell it
 * twice. */
static void note(struct toc_alert_manager *m, struct alert_entry *e, unsigned flags,
                 struct toc_ts updated_at) {
    struct toc_alert copy = e->alert;
    copy.updated_at = updated_at;
    if (!assign(e, &copy, flags))
        save_entry(m, e, (struct toc_ts){e->saved_ms});
}

/* Was the end told? It is when it came with the last update. */
static bool is_end_known(const struct alert_entry *e) {
    return e->alert.ends_at.ms && e->alert.ends_at.ms <= e->alert.updated_at.ms;
}

static bool is_muted(const struct alert_entry *e) {
    return e->silenced_count || e->inhibited_count;
}

/* Before anybody is told: what is to be told is in the store. */
static void note_change(struct toc_alert_manager *m, struct alert_entry *e, bool is_end,
                        struct toc_ts now) {
    bool is_switched = ((e->flags & ENTRY_SUPPRESSED) != 0) != is_muted(e);
    if (is_end && e->is_firing && !is_end_known(e))
        note(m, e, e->flags, now);
    else if (!is_end && is_switched)
        note(m, e, e->flags ^ ENTRY_SUPPRESSED, e->alert.updated_at);
}

static void tell_end(struct toc_alert_manager *m, struct alert_entry *e, struct toc_ts now) {
    e->pending = CHANGE_NONE;
    if (!e->is_firing)
        return;
    e->is_firing = false;
    tell(m, TOC_ALERT_RESOLVED, e, now);
}

static void tell_changes(struct toc_alert_manager *m, struct alert_entry *e, bool is_switched,
                         struct toc_ts now) {
    bool is_new = e->pending == CHANGE_FIRING, is_changed = e->pending == CHANGE_UPDATED;
    e->pending = CHANGE_NONE;
    e->is_firing = true;
    if (is_new)
        tell(m, TOC_ALERT_FIRING, e, now);
    else if (is_changed)
        tell(m, TOC_ALERT_UPDATED, e, now);
    if (!is_new && is_switched)
        tell(m, is_muted(e) ? TOC_ALERT_SUPPRESSED : TOC_ALERT_UNSUPPRESSED, e, now);
}

struct change {
    struct alert_entry *entry;
    bool is_end, is_switched; /* switched: from suppressed to not, or back */
    uint32_t arrival;
};

/* Ends first, then as they came, then by fingerprint, so that two runs tell the same story. */
static int compare_changes(const void *a, const void *b) {
    const struct change *x = a, *y = b;
    if (x->is_end != y->is_end)
        return x->is_end ? -1 : 1;
    /* Those that nobody named come last: 0 - 1. */
    if (x->arrival != y->arrival)
        return x->arrival - 1 < y->arrival - 1 ? -1 : 1;
    return x->entry->fingerprint < y->entry->fingerprint ? -1 : 1;
}

void toc_alert_settle(struct toc_alert_manager *m, struct toc_ts now) {
    TOC_VEC(struct change) changes = {0};
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));) {
        struct alert_entry *e = slot->value;
        m->is_stale |= e->is_firing && toc_alert_is_resolved(&e->alert, now);
    }
    if (m->is_stale) {
        toc_silence_refresh(m, now);
        toc_inhibit_refresh(m, now);
    }
    m->is_stale = false;
    m->arrivals = 0;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));) {
        struct alert_entry *e = slot->value;
        bool is_end = toc_alert_is_resolved(&e->alert, now);
        bool is_switched = ((e->flags & ENTRY_SUPPRESSED) != 0) != is_muted(e);
        if (e->pending != CHANGE_NONE || is_end || is_switched)
            TOC_VEC_PUSH(&changes, ((struct change){e, is_end, is_switched, e->arrival}));
        e->arrival = 0;
    }
    if (changes.count)
        qsort(changes.items, changes.count, sizeof *changes.items, compare_changes);
    for (size_t i = 0; i < changes.count; i++)
        note_change(m, changes.items[i].entry, changes.items[i].is_end, now);
    toc_alert_store_commit(m);
    for (size_t i = 0; i < changes.count; i++) {
        const struct change *c = &changes.items[i];
        if (c->is_end)
            tell_end(m, c->entry, now);
        else
            tell_changes(m, c->entry, c->is_switched, now);
    }
    if (changes.count && m->options.observer && m->options.observer->settled)
        m->options.observer->settled(m->options.observer, now);
    for (size_t i = 0; i < changes.count; i++)
        toc_alert_release(m, changes.items[i].entry, now);
    toc_alert_store_commit(m);
    TOC_VEC_FINI(&changes);
}

void toc_alert_release(struct toc_alert_manager *m, struct alert_entry *e, struct toc_ts now) {
    if (e->group_count == 0 && !e->is_firing && toc_alert_is_resolved(&e->alert, now))
        forget(m, e);
}

int toc_alert_load_one(struct toc_alert_manager *m, struct toc_sv value, struct toc_ts now) {
    struct alert_entry *e = TOC_NEW(struct alert_entry);
    toc_arena_init(&e->arena, (size_t)1 << 20);
    toc_buf_append_sv(&e->bytes, value);
    int rc = toc_alert_decode(e);
    if (!rc && (toc_map_has(&m->alerts, toc_map_u64(&e->fingerprint)) ||
                m->alerts.count >= m->options.max_alerts))
        rc = TOC_EDUPLICATE;
    if (rc) {
        toc_alert_entry_free(e);
        return rc;
    }
    e->content_hash = content_hash(&e->alert);
    e->is_firing = !is_end_known(e); /* an end that came while nobody looked is still news */
    e->is_unseen = true;
    toc_map_put(&m->alerts, toc_map_u64(&e->fingerprint), e);
    toc_group_dispatch(m, e, now);
    m->is_stale = true;
    return 0;
}

int64_t toc_alert_next_end(const struct toc_alert_manager *m) {
    int64_t next = INT64_MAX;
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));) {
        const struct alert_entry *e = slot->value;
        if (e->is_firing && e->alert.ends_at.ms)
            next = TOC_MIN(next, e->alert.ends_at.ms);
    }
    return next;
}
