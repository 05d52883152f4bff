/* What the API shows of alerts and groups. */
#include <stdlib.h>

#include "alert/manager_priv.h"
#include "shim/regex.h"

static bool in_interval(const struct toc_alert_manager *m, struct toc_sv name, struct toc_ts now) {
    const struct toc_time_interval *t = toc_alert_config_interval(m->config, name);
    return t && toc_time_interval_contains(t, &m->options.zones, now);
}

size_t toc_route_muted_by(const struct toc_alert_manager *m, const struct toc_alert_route *r,
                          struct toc_ts now, struct toc_sv *out, size_t max) {
    size_t count = 0;
    bool is_active = r->active_count == 0;
    for (size_t i = 0; i < r->active_count && !is_active; i++)
        is_active = in_interval(m, r->active_intervals[i], now);
    for (size_t i = 0; i < r->active_count && !is_active && count < max; i++)
        out[count++] = r->active_intervals[i];
    for (size_t i = 0; i < r->mute_count && count < max; i++)
        if (in_interval(m, r->mute_intervals[i], now))
            out[count++] = r->mute_intervals[i];
    return count;
}

struct toc_alert_view toc_alert_view_of(const struct toc_alert_manager *m,
                                        const struct alert_entry *e, struct toc_ts now,
                                        struct view_space *space) {
    const struct toc_alert_route *routes[TOC_ROUTES_PER_ALERT_MAX];
    size_t count =
        toc_alert_config_match(m->config, e->alert.labels, routes, TOC_ROUTES_PER_ALERT_MAX);
    size_t muted = 0;
    for (size_t i = 0; i < count; i++) {
        space->receivers[i] = routes[i]->receiver;
        muted += toc_route_muted_by(m, routes[i], now, space->muted + muted, TOC_BY_MAX - muted);
    }
    return (struct toc_alert_view){
        .alert = &e->alert,
        .fingerprint = e->fingerprint,
        .is_resolved = toc_alert_is_resolved(&e->alert, now),
        .is_processed = e->group_count > 0,
        .silenced_by = e->silenced_by,
        .silenced_count = e->silenced_count,
        .inhibited_by = e->inhibited_by,
        .inhibited_count = e->inhibited_count,
        .muted_by = space->muted,
        .muted_count = muted,
        .receivers = space->receivers,
        .receiver_count = count,
    };
}

static bool passes(const struct toc_alert_filter *f, const struct toc_alert_view *v) {
    bool is_active = v->is_processed && !v->silenced_count && !v->inhibited_count;
    if ((!f->active && is_active) || (!f->silenced && v->silenced_count) ||
        (!f->inhibited && v->inhibited_count) || (!f->unprocessed && !v->is_processed) ||
        (!f->muted && v->muted_count))
        return false;
    return !f->matchers || toc_matcher_list_matches(f->matchers, v->alert->labels);
}

static int compile_receiver(const struct toc_alert_filter *f, struct toc_regex **out,
                            struct toc_err *err) {
    *out = NULL;
    return f->receiver.n ? toc_regex_new(f->receiver, TOC_REGEX_ANCHORED, out, err) : 0;
}

static bool has_receiver(const struct toc_regex *re, const struct toc_alert_view *v) {
    for (size_t i = 0; re && i < v->receiver_count; i++)
        if (toc_regex_matches(re, v->receivers[i]))
            return true;
    return !re;
}

static int by_fingerprint(const void *a, const void *b) {
    uint64_t x = (*(const struct alert_entry *const *)a)->fingerprint;
    uint64_t y = (*(const struct alert_entry *const *)b)->fingerprint;
    return x < y ? -1 : x > y;
}

int toc_alert_manager_each_alert(struct toc_alert_manager *m, const struct toc_alert_filter *f,
                                 struct toc_ts now, toc_on_alert_view *fn, void *ctx,
                                 struct toc_err *err) {
    struct toc_regex *re;
    TOC_VEC(const struct alert_entry *) list = {0};
    const struct toc_map_entry *slot;
    int rc = compile_receiver(f, &re, err);
    if (rc)
        return rc;
    toc_mutex_lock(&m->mutex);
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));)
        TOC_VEC_PUSH(&list, slot->value);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_fingerprint);
    for (size_t i = 0; i < list.count; i++) {
        struct view_space space;
        struct toc_alert_view v = toc_alert_view_of(m, list.items[i], now, &space);
        if (!v.is_resolved && passes(f, &v) && has_receiver(re, &v))
            fn(ctx, &v);
    }
    toc_mutex_unlock(&m->mutex);
    TOC_VEC_FINI(&list);
    toc_regex_free(&re);
    return 0;
}

static int by_labels_then_receiver(const void *a, const void *b) {
    const struct alert_group *x = *(const struct alert_group *const *)a;
    const struct alert_group *y = *(const struct alert_group *const *)b;
    int c = toc_labels_cmp(x->labels, y->labels);
    if (!c)
        c = toc_sv_cmp(x->route->receiver, y->route->receiver);
    return c ? c : toc_sv_cmp(x->id, y->id);
}

static void show_group(const struct toc_alert_manager *m, const struct alert_group *g,
                       const struct toc_alert_filter *f, struct toc_ts now, toc_on_alert_group *fn,
                       void *ctx) {
    size_t shown = 0, n = g->alerts.count;
    struct toc_alert_view *views = TOC_NEW_ARRAY(struct toc_alert_view, n + 1);
    struct view_space *spaces = TOC_NEW_ARRAY(struct view_space, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct toc_alert_view v = toc_alert_view_of(m, g->alerts.items[i], now, &spaces[shown]);
        if (!v.is_resolved && passes(f, &v))
            views[shown++] = v;
    }
    struct toc_alert_group_view view = {g->route->receiver, g->key, g->labels,
                                        g->next_flush,      views,  shown};
    if (shown)
        fn(ctx, &view);
    toc_free(views);
    toc_free(spaces);
}

int toc_alert_manager_each_group(struct toc_alert_manager *m, const struct toc_alert_filter *f,
                                 struct toc_ts now, toc_on_alert_group *fn, void *ctx,
                                 struct toc_err *err) {
    struct toc_regex *re;
    TOC_VEC(const struct alert_group *) list = {0};
    const struct toc_map_entry *slot;
    int rc = compile_receiver(f, &re, err);
    if (rc)
        return rc;
    toc_mutex_lock(&m->mutex);
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));) {
        const struct alert_group *g = slot->value;
        if (g->is_live && g->route && (!re || toc_regex_matches(re, g->route->receiver)))
            TOC_VEC_PUSH(&list, g);
    }
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_labels_then_receiver);
    for (size_t i = 0; i < list.count; i++)
        show_group(m, list.items[i], f, now, fn, ctx);
    toc_mutex_unlock(&m->mutex);
    TOC_VEC_FINI(&list);
    toc_regex_free(&re);
    return 0;
}

void toc_alert_manager_each_receiver(struct toc_alert_manager *m, toc_on_receiver *fn, void *ctx) {
    toc_mutex_lock(&m->mutex);
    for (size_t i = 0; i < m->config->receiver_count; i++)
        fn(ctx, &m->config->receivers[i]);
    toc_mutex_unlock(&m->mutex);
}

struct toc_alert_stats toc_alert_manager_stats(struct toc_alert_manager *m) {
    const struct toc_map_entry *slot;
    toc_mutex_lock(&m->mutex);
    struct toc_alert_stats s = m->stats;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));) {
        const struct alert_entry *e = slot->value;
        s.alerts_firing += e->is_firing;
        s.alerts_suppressed += e->is_firing && e->flags & ENTRY_SUPPRESSED;
    }
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));)
        s.groups += ((const struct alert_group *)slot->value)->is_live;
    for (size_t i = 0; i < m->silences.count; i++) {
        const struct silence *one = m->silences.items[i];
        s.silences_active +=
            one->ends_at.ms > m->last_tick.ms && one->starts_at.ms <= m->last_tick.ms;
    }
    toc_mutex_unlock(&m->mutex);
    return s;
}
