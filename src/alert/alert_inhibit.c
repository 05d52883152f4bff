/*
 * Inhibition: for each rule the firing sources are indexed by the values of the `equal` labels, so
 * that a target costs one look-up per rule. Of each set of equal values only the longest lasting
 * source is kept, once for sources that are also targets and once for those that are not: an alert
 * on both sides cannot be inhibited by another that is on both sides.
 */
#include "alert/manager_priv.h"

struct sources {
    const struct alert_entry *pure, *both;
};

static uint64_t equal_hash(const struct toc_inhibit_rule *r, struct toc_labels l) {
    uint64_t hash = 1469598103934665603ULL;
    for (size_t i = 0; i < r->equal_count; i++) {
        struct toc_sv v = toc_labels_get(l, r->equal[i]);
        for (size_t k = 0; k < v.n; k++)
            hash = (hash ^ (unsigned char)v.p[k]) * 1099511628211ULL;
        hash = (hash ^ 0xff) * 1099511628211ULL;
    }
    return hash;
}

static bool has_equal(const struct toc_inhibit_rule *r, struct toc_labels a, struct toc_labels b) {
    for (size_t i = 0; i < r->equal_count; i++)
        if (!toc_sv_eq(toc_labels_get(a, r->equal[i]), toc_labels_get(b, r->equal[i])))
            return false;
    return true;
}

static int64_t end_of(const struct alert_entry *e) {
    return e->alert.ends_at.ms ? e->alert.ends_at.ms : INT64_MAX;
}

/* The longer lasting; on a tie the smaller fingerprint, so that the choice does not depend on map
 * order. */
static const struct alert_entry *longer(const struct alert_entry *a, const struct alert_entry *b) {
    if (!a || end_of(b) != end_of(a))
        return !a || end_of(b) > end_of(a) ? b : a;
    return b->fingerprint < a->fingerprint ? b : a;
}

static void index_sources(const struct toc_alert_manager *m, const struct toc_inhibit_rule *r,
                          struct toc_ts now, struct toc_arena *arena, struct toc_map *out) {
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));) {
        const struct alert_entry *e = slot->value;
        struct toc_labels l = e->alert.labels;
        if (toc_alert_is_resolved(&e->alert, now) || !toc_matcher_list_matches(&r->source, l))
            continue;
        uint64_t hash = equal_hash(r, l);
        struct sources *s = toc_map_get(out, toc_map_u64(&hash));
        if (!s) {
            s = TOC_ARENA_NEW(arena, struct sources);
            if (!s)
                return;
            toc_map_put(out, toc_map_u64(&hash), s);
        }
        if (toc_matcher_list_matches(&r->target, l))
            s->both = longer(s->both, e);
        else
            s->pure = longer(s->pure, e);
    }
}

static const struct alert_entry *find_source(const struct toc_inhibit_rule *r,
                                             const struct toc_map *sources,
                                             const struct alert_entry *target) {
    uint64_t hash = equal_hash(r, target->alert.labels);
    const struct sources *s = toc_map_get(sources, toc_map_u64(&hash));
    if (!s)
        return NULL;
    bool is_both = toc_matcher_list_matches(&r->source, target->alert.labels);
    const struct alert_entry *found = s->pure || is_both ? s->pure : s->both;
    if (!found || !has_equal(r, found->alert.labels, target->alert.labels))
        return NULL;
    return found;
}

static void apply(struct toc_alert_manager *m, const struct toc_inhibit_rule *r,
                  struct toc_ts now) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_map sources = TOC_MAP_INIT;
    const struct toc_map_entry *slot;
    index_sources(m, r, now, &arena, &sources);
    for (size_t at = 0; sources.count && (slot = toc_map_next(&m->alerts, &at));) {
        struct alert_entry *e = slot->value;
        /* The first rule that matches is enough. */
        if (e->inhibited_count || !toc_matcher_list_matches(&r->target, e->alert.labels))
            continue;
        const struct alert_entry *source = find_source(r, &sources, e);
        if (source)
            e->inhibited_by[e->inhibited_count++] = source->fingerprint;
    }
    toc_map_fini(&sources);
    toc_arena_fini(&arena);
}

void toc_inhibit_refresh(struct toc_alert_manager *m, struct toc_ts now) {
    const struct toc_map_entry *slot;
    for (size_t at = 0; (slot = toc_map_next(&m->alerts, &at));)
        ((struct alert_entry *)slot->value)->inhibited_count = 0;
    for (size_t i = 0; i < m->config->inhibit_count; i++)
        apply(m, &m->config->inhibit_rules[i], now);
}
