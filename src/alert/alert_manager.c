#include "alert/alert_manager.h"

#include "alert/manager_priv.h"
#include "base/assert.h"

const char *toc_flush_reason_text(enum toc_flush_reason r) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_FLUSH_REASON_TABLE(X)
#undef X
    };
    return texts[r];
}

static void put_alerts(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                       struct toc_ts now) {
    struct toc_alert_manager *m = TOC_CONTAINER_OF(s, struct toc_alert_manager, sink);
    toc_mutex_lock(&m->mutex);
    for (size_t i = 0; i < count; i++)
        toc_alert_take(m, &alerts[i], false, now);
    toc_alert_settle(m, now);
    toc_mutex_unlock(&m->mutex);
}

struct toc_alert_manager *toc_alert_manager_new(const struct toc_alert_manager_options *o,
                                                struct toc_alert_config *take_config) {
    struct toc_alert_manager *m = TOC_NEW(struct toc_alert_manager);
    TOC_ASSERT(o->flush && take_config);
    m->sink.put = put_alerts;
    m->options = *o;
    m->config = take_config;
    if (!m->options.max_alerts)
        m->options.max_alerts = 20000;
    if (!m->options.max_groups)
        m->options.max_groups = 10000;
    if (!m->options.max_silences)
        m->options.max_silences = 10000;
    if (!m->options.retention_ms)
        m->options.retention_ms = (int64_t)120 * 3600000;
    m->silence_edge_ms = INT64_MAX;
    toc_rng_seed(&m->rng, o->id_seed);
    toc_mutex_init(&m->mutex, TOC_LOCK_ALERT);
    return m;
}

void toc_alert_manager_free(struct toc_alert_manager **manager) {
    struct toc_alert_manager *m = *manager;
    const struct toc_map_entry *slot;
    if (!m)
        return;
    toc_alert_store_fini(m);
    for (size_t at = 0; (slot = toc_map_next(&m->groups, &at));)
        toc_group_free(slot->value);
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));)
        toc_alert_entry_free(slot->value);
    for (size_t i = 0; i < m->silences.count; i++)
        toc_silence_free(m->silences.items[i]);
    TOC_VEC_FINI(&m->silences);
    toc_map_fini(&m->groups);
    toc_map_fini(&m->alerts);
    toc_alert_config_free(&m->config);
    toc_mutex_fini(&m->mutex);
    toc_free(m);
    *manager = NULL;
}

struct load {
    struct toc_alert_manager *m;
    TOC_VEC(struct toc_sv) alerts; /* owned copies */
};

static int load_group(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct load *l = ctx;
    (void)key;
    l->m->stats.store_failures += toc_group_load_one(l->m, value) != 0;
    return 0; /* one bad record must not cost the others */
}

/* Binding an alert to its groups writes, so alerts are only collected while the store is being
 * read. */
static int collect_alert(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct load *l = ctx;
    (void)key;
    TOC_VEC_PUSH(&l->alerts, toc_sv_make(toc_sv_dup_cstr(value), value.n));
    return 0;
}

static void bind_alerts(struct load *l, struct toc_ts now) {
    for (size_t i = 0; i < l->alerts.count; i++) {
        struct toc_sv value = l->alerts.items[i];
        l->m->stats.store_failures += toc_alert_load_one(l->m, value, now) != 0;
        toc_free((void *)(uintptr_t)value.p);
    }
    TOC_VEC_FINI(&l->alerts);
}

int toc_alert_manager_load(struct toc_alert_manager *m, struct toc_ts now, struct toc_err *err) {
    struct toc_blob_store *store = m->options.store;
    struct load l = {.m = m};
    toc_mutex_lock(&m->mutex);
    int rc = toc_silence_load_all(m, now, err);
    if (!rc && store)
        rc = store->each(store, "alert_group", load_group, &l, err);
    if (!rc && store)
        rc = store->each(store, "alert", collect_alert, &l, err);
    if (rc)
        (void)toc_errf(err, rc, "alert state cannot be read: %s", toc_strerror(rc));
    bind_alerts(&l, now);
    toc_group_close_unbound(m);
    toc_alert_store_commit(m);
    toc_mutex_unlock(&m->mutex);
    return rc;
}

void toc_alert_manager_set_config(struct toc_alert_manager *m, struct toc_alert_config *take_config,
                                  struct toc_ts now) {
    const struct toc_map_entry *slot;
    toc_mutex_lock(&m->mutex);
    toc_group_unbind_all(m);
    toc_alert_config_free(&m->config);
    m->config = take_config;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));)
        toc_group_dispatch(m, slot->value, now);
    toc_group_close_unbound(m);
    m->is_stale = true;
    toc_alert_settle(m, now);
    toc_mutex_unlock(&m->mutex);
}

struct toc_alert_sink *toc_alert_manager_sink(struct toc_alert_manager *m) {
    return &m->sink;
}

static int check_labels(struct toc_labels l, const char *what, struct toc_err *err) {
    for (size_t i = 0; i < l.count; i++)
        if (!l.items[i].name.n || !toc_sv_is_utf8(l.items[i].name) ||
            !toc_sv_is_utf8(l.items[i].value) || l.items[i].value.n > 65536)
            return toc_errf(err, TOC_EINVAL, "invalid %s: bad pair \"%.*s\"", what,
                            TOC_SV_ARG(toc_sv_sub(l.items[i].name, 0, 100)));
    return 0;
}

int toc_alert_manager_post(struct toc_alert_manager *m, const struct toc_alert *alert,
                           struct toc_ts now, struct toc_err *err) {
    struct toc_alert a = *alert;
    if (!a.labels.count)
        return toc_errf(err, TOC_EINVAL, "at least one label pair required");
    int rc = check_labels(a.labels, "label set", err);
    if (!rc)
        rc = check_labels(a.annotations, "annotations", err);
    if (rc)
        return rc;
    toc_mutex_lock(&m->mutex);
    bool ends_by_timeout = a.ends_at.ms == 0;
    if (!a.starts_at.ms)
        a.starts_at.ms = a.ends_at.ms && a.ends_at.ms < now.ms ? a.ends_at.ms : now.ms;
    if (ends_by_timeout)
        a.ends_at.ms = now.ms + m->config->resolve_timeout_ms;
    if (a.ends_at.ms < a.starts_at.ms) {
        rc = toc_errf(err, TOC_EINVAL, "start time must be before end time");
    } else {
        toc_alert_take(m, &a, ends_by_timeout, now);
        toc_alert_settle(m, now);
    }
    toc_mutex_unlock(&m->mutex);
    return rc;
}

void toc_alert_manager_tick(struct toc_alert_manager *m, struct toc_ts now) {
    toc_mutex_lock(&m->mutex);
    m->last_tick = now;
    m->is_stale |= now.ms >= m->silence_edge_ms;
    toc_silence_sweep(m, now);
    toc_alert_settle(m, now);
    toc_group_flush_due(m, now);
    toc_group_sweep(m, now);
    toc_mutex_unlock(&m->mutex);
}

int64_t toc_alert_manager_next_due(struct toc_alert_manager *m) {
    toc_mutex_lock(&m->mutex);
    int64_t next = TOC_MIN(toc_group_next_due(m), m->silence_edge_ms);
    next = TOC_MIN(next, toc_alert_next_end(m));
    toc_mutex_unlock(&m->mutex);
    return next;
}
