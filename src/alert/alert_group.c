/*
 * Groups: alerts that are notified together. A group is known by receiver, route and the values of
 * the group_by labels. It lives while it has alerts; its notification log lives on.
 *
 * Stored under the hash of its id:  u8 version · string id · u8 is_live · u8 has_flushed · zigzag
 * next_flush · log (notification_log.c)
 */
#include <stdlib.h>

#include "alert/manager_priv.h"
#include "base/hash.h"

#define GROUP_NS "alert_group"

enum { GROUP_VERSION = 1 };

static void save(struct toc_alert_manager *m, const struct alert_group *g, bool is_gone) {
    struct toc_buf value = TOC_BUF_INIT;
    if (!is_gone) {
        toc_buf_append_u8(&value, GROUP_VERSION);
        toc_buf_append_varint(&value, g->id.n);
        toc_buf_append_sv(&value, g->id);
        toc_buf_append_u8(&value, g->is_live);
        toc_buf_append_u8(&value, g->has_flushed);
        toc_buf_append_zigzag(&value, g->next_flush.ms);
        toc_notified_encode(&g->log, &value);
    }
    if (toc_buf_error(&value))
        m->stats.store_failures++;
    else
        toc_alert_store_put(m, GROUP_NS, toc_hash64(g->id.p, g->id.n, 0), toc_buf_sv(&value));
    toc_buf_fini(&value);
}

int toc_group_load_one(struct toc_alert_manager *m, struct toc_sv value) {
    struct toc_reader r = toc_reader_make(value);
    if (toc_read_u8(&r) != GROUP_VERSION)
        return TOC_EVERSION;
    struct toc_sv id = toc_read_string(&r);
    struct alert_group *g = TOC_NEW(struct alert_group);
    g->is_live = toc_read_u8(&r) != 0;
    g->has_flushed = toc_read_u8(&r) != 0;
    g->next_flush.ms = toc_read_zigzag(&r);
    int rc = toc_notified_decode(&r, &g->log);
    if (!rc && (r.error || toc_reader_left(&r) || toc_map_has(&m->groups, id)))
        rc = TOC_ECORRUPT;
    g->id = toc_sv_make(toc_sv_dup_cstr(id), id.n);
    if (rc)
        toc_group_free(g);
    else
        toc_map_put(&m->groups, g->id, g);
    return rc;
}

void toc_group_free(struct alert_group *g) {
    if (!g)
        return;
    toc_labels_free(&g->labels);
    toc_free((void *)(uintptr_t)g->key.p);
    toc_free((void *)(uintptr_t)g->id.p);
    toc_notified_fini(&g->log);
    TOC_VEC_FINI(&g->alerts);
    toc_free(g);
}

static struct toc_labels group_labels(const struct toc_alert_route *r, struct toc_labels labels,
                                      struct toc_labels_builder *b) {
    if (r->groups_by_all)
        return labels;
    for (size_t i = 0; i < r->group_by_count; i++)
        toc_labels_builder_set(b, r->group_by[i], toc_labels_get(labels, r->group_by[i]));
    return toc_labels_builder_finish(b);
}

static void group_id(const struct toc_alert_route *r, struct toc_labels labels,
                     struct toc_buf *out) {
    toc_buf_printf(out, "%.*s\x1f%.*s\x1f", TOC_SV_ARG(r->receiver), TOC_SV_ARG(r->id));
    toc_labels_format(labels, out);
}

static struct toc_sv take_sv(struct toc_buf *b) {
    size_t n;
    char *p = toc_buf_take(b, &n);
    return toc_sv_make(p, n);
}

static struct alert_group *add_group(struct toc_alert_manager *m, struct toc_sv id) {
    if (m->groups.count >= m->options.max_groups) {
        m->stats.groups_dropped_limit++;
        return NULL;
    }
    struct alert_group *g = TOC_NEW(struct alert_group);
    g->id = toc_sv_make(toc_sv_dup_cstr(id), id.n);
    toc_map_put(&m->groups, g->id, g);
    return g;
}

static void bind(struct alert_group *g, const struct toc_alert_route *r, struct toc_labels labels) {
    struct toc_buf key = TOC_BUF_INIT;
    g->route = r;
    toc_labels_free(&g->labels);
    g->labels = toc_labels_dup(labels);
    toc_buf_printf(&key, "%.*s:", TOC_SV_ARG(r->key));
    if (labels.count)
        toc_labels_format(labels, &key);
    else
        toc_buf_append_cstr(&key, "{}");
    toc_free((void *)(uintptr_t)g->key.p);
    g->key = take_sv(&key);
}

static bool holds(const struct alert_group *g, const struct alert_entry *e) {
    for (size_t i = 0; i < g->alerts.count; i++)
        if (g->alerts.items[i] == e)
            return true;
    return false;
}

static void insert(struct toc_alert_manager *m, struct alert_group *g, struct alert_entry *e,
                   struct toc_ts now) {
    const struct toc_alert_route *r = g->route;
    bool is_new = !g->is_live;
    if (is_new) {
        g->is_live = true;
        g->has_flushed = false;
        g->next_flush.ms = now.ms + r->group_wait_ms;
    }
    if (!holds(g, e)) {
        TOC_VEC_PUSH(&g->alerts, e);
        e->group_count++;
    }
    /* Once: later ones find the flush due already. */
    bool is_late = !g->has_flushed && e->alert.starts_at.ms + r->group_wait_ms < now.ms &&
                   g->next_flush.ms > now.ms;
    if (is_late)
        g->next_flush = now;
    if (is_new || is_late)
        save(m, g, false);
}

static void dispatch_to(struct toc_alert_manager *m, struct alert_entry *e,
                        const struct toc_alert_route *r, struct toc_ts now) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_buf id = TOC_BUF_INIT;
    struct toc_labels labels = group_labels(r, e->alert.labels, &b);
    group_id(r, labels, &id);
    struct alert_group *g = toc_map_get(&m->groups, toc_buf_sv(&id));
    bool may_open = !toc_alert_is_resolved(&e->alert, now);
    if (!g && may_open)
        g = add_group(m, toc_buf_sv(&id));
    if (g && (may_open || g->is_live)) {
        if (g->route != r)
            bind(g, r, labels);
        insert(m, g, e, now);
    }
    toc_buf_fini(&id);
    toc_labels_builder_fini(&b);
}

void toc_group_dispatch(struct toc_alert_manager *m, struct alert_entry *e, struct toc_ts now) {
    const struct toc_alert_route *routes[TOC_ROUTES_PER_ALERT_MAX];
    size_t count =
        toc_alert_config_match(m->config, e->alert.labels, routes, TOC_ROUTES_PER_ALERT_MAX);
    for (size_t i = 0; i < count; i++)
        dispatch_to(m, e, routes[i], now);
}

static int compare_flush_alerts(const void *a, const void *b) {
    const struct toc_flush_alert *x = a, *y = b;
    static const char *const first[] = {"job", "instance"};
    for (size_t i = 0; i < 2; i++) {
        struct toc_sv name = toc_sv_cstr(first[i]);
        int c = toc_sv_cmp(toc_labels_get(x->alert->labels, name),
                           toc_labels_get(y->alert->labels, name));
        if (c)
            return c;
    }
    return toc_labels_cmp(x->alert->labels, y->alert->labels);
}

/* What of a group may be notified now. */
struct selection {
    struct toc_flush_alert *alerts;
    struct toc_alert *copies; /* firing ones have no end */
    uint64_t *firing, *resolved;
    size_t count, firing_count, resolved_count;
};

static void select_alerts(const struct alert_group *g, struct toc_ts now, struct selection *out) {
    size_t n = g->alerts.count;
    out->alerts = TOC_NEW_ARRAY(struct toc_flush_alert, n + 1);
    out->copies = TOC_NEW_ARRAY(struct toc_alert, n + 1);
    out->firing = TOC_NEW_ARRAY(uint64_t, n + 1);
    out->resolved = TOC_NEW_ARRAY(uint64_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct alert_entry *e = g->alerts.items[i];
        bool is_resolved = toc_alert_is_resolved(&e->alert, now);
        if (e->silenced_count || e->inhibited_count)
            continue;
        struct toc_alert *copy = &out->copies[out->count];
        *copy = e->alert;
        if (!is_resolved)
            copy->ends_at.ms = 0;
        out->alerts[out->count++] = (struct toc_flush_alert){copy, e->fingerprint, is_resolved};
        if (is_resolved)
            out->resolved[out->resolved_count++] = e->fingerprint;
        else
            out->firing[out->firing_count++] = e->fingerprint;
    }
    qsort(out->alerts, out->count, sizeof *out->alerts, compare_flush_alerts);
}

static void selection_fini(struct selection *s) {
    toc_free(s->alerts);
    toc_free(s->copies);
    toc_free(s->firing);
    toc_free(s->resolved);
}

static void drop_resolved(struct selection *s) {
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++)
        if (!s->alerts[i].is_resolved)
            s->alerts[kept++] = s->alerts[i];
    s->count = kept;
}

static bool tells_anybody(const struct toc_alert_manager *m, struct toc_sv receiver) {
    const struct toc_alert_manager_options *o = &m->options;
    return !o->tells_anybody || o->tells_anybody(o->flush_ctx, receiver);
}

/* Notifies when there is a reason; true unless the notification was refused. */
static bool notify(struct toc_alert_manager *m, struct alert_group *g, struct selection *s,
                   struct toc_ts now, bool *out_has_told) {
    const struct toc_alert_route *r = g->route;
    struct hash_set firing = {s->firing, s->firing_count};
    struct hash_set resolved = {s->resolved, s->resolved_count};
    bool sends_resolved = r->resolved_receiver && r->resolved_receiver->sends_resolved;
    enum toc_flush_reason reason =
        toc_notified_decide(&g->log, firing, resolved, sends_resolved, r->repeat_interval_ms, now);
    if (reason == TOC_FLUSH_NONE)
        return true;
    if (!sends_resolved)
        drop_resolved(s);
    struct toc_alert_flush f = {r->receiver, g->key, g->labels, s->alerts, s->count, reason, now};
    if (s->count) {
        m->stats.flushes++;
        *out_has_told = tells_anybody(m, r->receiver);
        if (*out_has_told && !m->options.flush(m->options.flush_ctx, &f)) {
            m->stats.flushes_refused++;
            return false;
        }
    }
    toc_notified_record(&g->log, firing, resolved, r->repeat_interval_ms, m->options.retention_ms,
                        now);
    return true;
}

static void drop_ended(struct toc_alert_manager *m, struct alert_group *g, struct toc_ts now) {
    for (size_t i = g->alerts.count; i-- > 0;) {
        struct alert_entry *e = g->alerts.items[i];
        if (!toc_alert_is_resolved(&e->alert, now))
            continue;
        TOC_VEC_REMOVE(&g->alerts, i);
        e->group_count--;
        toc_alert_release(m, e, now);
    }
    g->is_live = g->alerts.count > 0;
}

static void flush(struct toc_alert_manager *m, struct alert_group *g, struct toc_ts now) {
    struct toc_sv muted[1];
    struct selection s = {0};
    bool is_done = true, has_told = false;
    if (!toc_route_muted_by(m, g->route, now, muted, 1))
        select_alerts(g, now, &s);
    if (s.count)
        is_done = notify(m, g, &s, now, &has_told);
    selection_fini(&s);
    g->has_flushed = true;
    g->next_flush.ms = now.ms + g->route->group_interval_ms;
    if (is_done)
        drop_ended(m, g, now);
    save(m, g, false);
    /* Not with the other groups: a crash repeats at most one notification. */
    if (has_told)
        toc_alert_store_commit(m);
}

static int by_due_then_id(const void *a, const void *b) {
    const struct alert_group *x = *(struct alert_group *const *)a;
    const struct alert_group *y = *(struct alert_group *const *)b;
    if (x->next_flush.ms != y->next_flush.ms)
        return x->next_flush.ms < y->next_flush.ms ? -1 : 1;
    return toc_sv_cmp(x->id, y->id);
}

static bool is_waiting(const struct alert_group *g) {
    return g->is_live && g->route && g->alerts.count;
}

void toc_group_flush_due(struct toc_alert_manager *m, struct toc_ts now) {
    TOC_VEC(struct alert_group *) due = {0};
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));) {
        struct alert_group *g = slot->value;
        if (is_waiting(g) && g->next_flush.ms <= now.ms)
            TOC_VEC_PUSH(&due, g);
    }
    if (due.count)
        qsort(due.items, due.count, sizeof *due.items, by_due_then_id);
    for (size_t i = 0; i < due.count; i++)
        flush(m, due.items[i], now);
    toc_alert_store_commit(m); /* of those that told nobody */
    TOC_VEC_FINI(&due);
}

int64_t toc_group_next_due(const struct toc_alert_manager *m) {
    int64_t next = INT64_MAX;
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));) {
        const struct alert_group *g = slot->value;
        if (is_waiting(g))
            next = TOC_MIN(next, g->next_flush.ms);
    }
    return next;
}

void toc_group_unbind_all(struct toc_alert_manager *m) {
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));) {
        struct alert_group *g = slot->value;
        for (size_t i = 0; i < g->alerts.count; i++)
            g->alerts.items[i]->group_count--;
        g->alerts.count = 0;
        g->route = NULL;
    }
}

void toc_group_close_unbound(struct toc_alert_manager *m) {
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));) {
        struct alert_group *g = slot->value;
        if (!g->is_live || g->alerts.count)
            continue;
        g->is_live = false;
        save(m, g, false);
    }
}

void toc_group_sweep(struct toc_alert_manager *m, struct toc_ts now) {
    TOC_VEC(struct alert_group *) gone = {0};
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));) {
        struct alert_group *g = slot->value;
        if (!g->is_live && (!g->log.is_set || g->log.expires_at.ms <= now.ms))
            TOC_VEC_PUSH(&gone, g);
    }
    for (size_t i = 0; i < gone.count; i++) {
        save(m, gone.items[i], true);
        toc_map_remove(&m->groups, gone.items[i]->id);
        toc_group_free(gone.items[i]);
    }
    toc_alert_store_commit(m);
    TOC_VEC_FINI(&gone);
}
