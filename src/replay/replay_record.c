#include "replay/replay_record.h"

#include <math.h>

#include "base/alloc.h"

void toc_replay_record_init(struct toc_replay_record *r) {
    *r = (struct toc_replay_record){0};
    toc_arena_init(&r->arena, (size_t)4 << 30);
}

void toc_replay_record_fini(struct toc_replay_record *r) {
    TOC_VEC_FINI(&r->alerts);
    TOC_VEC_FINI(&r->pages);
    TOC_VEC_FINI(&r->incidents);
    TOC_VEC_FINI(&r->rules);
    toc_map_fini(&r->open);
    toc_map_fini(&r->last_end_ms);
    toc_arena_fini(&r->arena);
}

static struct toc_replay_alert *find(struct toc_replay_record *r, const struct toc_map *m,
                                     uint64_t fingerprint) {
    uintptr_t n = (uintptr_t)toc_map_get(m, toc_map_u64(&fingerprint));
    return n ? &r->alerts.items[n - 1] : NULL;
}

static int begin_alert(struct toc_replay_record *r, const struct toc_alert_view *v) {
    const struct toc_replay_alert *before = find(r, &r->last_end_ms, v->fingerprint);
    struct toc_replay_alert a = {.fingerprint = v->fingerprint,
                                 .fired_ms = v->alert->starts_at.ms,
                                 .value = v->alert->value,
                                 .previous_ms = before ? before->ended_ms : 0};
    if (r->alerts.count >= TOC_REPLAY_ALERTS_MAX)
        return TOC_ELIMIT;
    /* The labels of an alert that came before are the same. */
    a.labels = before ? before->labels : toc_labels_dup_arena(v->alert->labels, &r->arena);
    a.rule = toc_labels_get(a.labels, TOC_SV("alertname"));
    TOC_VEC_PUSH(&r->alerts, a);
    toc_map_put(&r->open, toc_map_u64(&a.fingerprint), (void *)(uintptr_t)r->alerts.count);
    return r->arena.overflowed ? TOC_ELIMIT : 0;
}

static void end_alert(struct toc_replay_record *r, const struct toc_alert_view *v,
                      struct toc_ts now) {
    uint64_t key = v->fingerprint;
    struct toc_replay_alert *a = find(r, &r->open, key);
    if (!a)
        return;
    a->ended_ms = v->alert->ends_at.ms ? TOC_MIN(v->alert->ends_at.ms, now.ms) : now.ms;
    toc_map_put(&r->last_end_ms, toc_map_u64(&key), (void *)(uintptr_t)(a - r->alerts.items + 1));
    toc_map_remove(&r->open, toc_map_u64(&key));
}

int toc_replay_record_alert(struct toc_replay_record *r, enum toc_alert_event event,
                            const struct toc_alert_view *v, struct toc_ts now) {
    struct toc_replay_alert *a = find(r, &r->open, v->fingerprint);
    int rc = event == TOC_ALERT_FIRING && !a ? begin_alert(r, v) : 0;
    if (event == TOC_ALERT_RESOLVED)
        end_alert(r, v, now);
    else if ((a = find(r, &r->open, v->fingerprint)))
        a->is_suppressed |= toc_alert_view_is_suppressed(v);
    return rc;
}

int toc_replay_record_page(struct toc_replay_record *r, const struct toc_alert_flush *f) {
    struct toc_replay_page p = {.at_ms = f->now.ms, .reason = f->reason};
    if (r->pages.count >= TOC_REPLAY_PAGES_MAX)
        return TOC_ELIMIT;
    p.receiver = toc_arena_dup_sv(&r->arena, f->receiver);
    p.group_key = toc_arena_dup_sv(&r->arena, f->group_key);
    for (size_t i = 0; i < f->count; i++) {
        struct toc_replay_alert *a = find(r, &r->open, f->alerts[i].fingerprint);
        p.firing += !f->alerts[i].is_resolved;
        p.resolved += f->alerts[i].is_resolved;
        if (a && !f->alerts[i].is_resolved && !a->first_page_ms)
            a->first_page_ms = f->now.ms;
    }
    if (f->count)
        p.rule = toc_arena_dup_sv(&r->arena,
                                  toc_labels_get(f->alerts[0].alert->labels, TOC_SV("alertname")));
    TOC_VEC_PUSH(&r->pages, p);
    return r->arena.overflowed ? TOC_ELIMIT : 0;
}
