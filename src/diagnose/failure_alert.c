#include "diagnose/failure_alert.h"

#include <stdio.h>

#include "base/alloc.h"

enum { ADOPTED_MS = 15 * 60 * 1000, REFRESH_MS = 15000, BASE_MAX = 256 };
#define SOURCE_LABEL TOC_SV("source")
#define SOURCE_VALUE TOC_SV("logs")

/* An alert that fires: labels as first told. */
struct told {
    uint64_t failure; /* 0: adopted */
    struct toc_labels labels, annotations;
    struct toc_ts starts_at;
    int64_t ends_ms, told_ms; /* of an adopted one */
};

struct toc_failure_alerts {
    struct toc_failure_listener listener;
    struct toc_failure_alerts_options o;
    char runbook_base[BASE_MAX];
    TOC_VEC(struct told) told;
};

static void told_free(struct told *t) {
    toc_labels_free(&t->labels);
    toc_labels_free(&t->annotations);
}

static struct told *find(struct toc_failure_alerts *a, uint64_t failure) {
    for (size_t i = 0; i < a->told.count; i++)
        if (a->told.items[i].failure == failure)
            return &a->told.items[i];
    return NULL;
}

static void forget(struct toc_failure_alerts *a, struct told *t) {
    told_free(t);
    TOC_VEC_REMOVE(&a->told, (size_t)(t - a->told.items));
}

/* The job, else the host under the name that host rules use. */
static void add_subject(const struct toc_failure *f, struct toc_labels_builder *b) {
    struct toc_sv host = f->root->host.n ? f->root->host : TOC_SV_NULL;
    if (f->jobs.count)
        toc_labels_builder_set(b, TOC_SV("run"), f->jobs.items[0]);
    else
        toc_labels_builder_set(b, TOC_SV("instance"), host);
    toc_labels_builder_set(b, TOC_SV("host"), host);
}

static struct toc_labels labels_of(const struct toc_failure *f, struct toc_labels_builder *b) {
    const struct toc_kind_info *info = toc_kind_info(f->kind);
    toc_labels_builder_set(b, TOC_SV("alertname"), toc_sv_cstr(info->name));
    toc_labels_builder_set(b, TOC_SV("kind"), toc_sv_cstr(info->name));
    toc_labels_builder_set(b, TOC_SV("severity"), toc_sv_cstr(toc_severity_text(f->severity)));
    toc_labels_builder_set(b, TOC_SV("owner"), toc_failure_owner(f));
    toc_labels_builder_set(b, SOURCE_LABEL, SOURCE_VALUE);
    toc_labels_builder_set(b, TOC_SV("signature"), f->root->signature->id);
    add_subject(f, b);
    return toc_labels_builder_finish(b);
}

static void put(struct toc_failure_alerts *a, const struct toc_alert *alert, struct toc_ts now) {
    a->o.sink->put(a->o.sink, alert, 1, now);
}

static void tell(struct toc_failure_alerts *a, const struct toc_failure *f, const struct told *t,
                 struct toc_ts ends_at, struct toc_ts now) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_finding finding = toc_failure_finding(f, &arena);
    struct toc_labels_builder notes = TOC_LABELS_BUILDER_INIT;
    char runbook[BASE_MAX + 64];
    snprintf(runbook, sizeof runbook, "%s%s.md", a->runbook_base, toc_kind_info(f->kind)->name);
    toc_labels_builder_set(&notes, TOC_SV("summary"), finding.title);
    toc_labels_builder_set(&notes, TOC_SV("description"), finding.summary);
    toc_labels_builder_set(&notes, TOC_SV("action"), finding.action);
    toc_labels_builder_set(&notes, TOC_SV("runbook_url"), toc_sv_cstr(runbook));
    const struct toc_alert alert = {
        .labels = t->labels,
        .annotations = toc_labels_builder_finish(&notes),
        .starts_at = t->starts_at,
        .ends_at = ends_at,
        .updated_at = now,
        .value = (double)f->lines,
        .finding = &finding,
    };
    put(a, &alert, now);
    toc_labels_builder_fini(&notes);
    toc_arena_fini(&arena);
}

/* A failure of the same place as an adopted alert goes on under its labels. */
static void end_adopted_twin(struct toc_failure_alerts *a, struct toc_labels labels) {
    for (size_t i = 0; i < a->told.count; i++)
        if (!a->told.items[i].failure && toc_labels_eq(a->told.items[i].labels, labels)) {
            forget(a, &a->told.items[i]);
            return;
        }
}

static void open_alert(struct toc_failure_alerts *a, const struct toc_failure *f,
                       struct toc_ts now) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_labels labels = labels_of(f, &b);
    int64_t began_ms = f->root->began_ms;
    end_adopted_twin(a, labels);
    struct told t = {.failure = f->id,
                     .labels = toc_labels_dup(labels),
                     .starts_at = {began_ms < now.ms ? began_ms : now.ms}};
    TOC_VEC_PUSH(&a->told, t);
    tell(a, f, &t, (struct toc_ts){0}, now);
    toc_labels_builder_fini(&b);
}

static void on_failure(struct toc_failure_listener *l, const struct toc_failure *f,
                       enum toc_failure_event event, struct toc_ts now) {
    struct toc_failure_alerts *a = (struct toc_failure_alerts *)(void *)l;
    struct told *t = find(a, f->id);
    if (!f->root)
        return;
    if (event == TOC_FAILURE_OPENED) {
        open_alert(a, f, now);
    } else if (t) {
        bool is_over = event == TOC_FAILURE_OVER;
        tell(a, f, t, (struct toc_ts){is_over ? now.ms : 0}, now);
        if (is_over)
            forget(a, t);
    }
}

struct toc_failure_alerts *toc_failure_alerts_new(const struct toc_failure_alerts_options *o) {
    struct toc_failure_alerts *a = TOC_NEW(struct toc_failure_alerts);
    a->listener.on_failure = on_failure;
    a->o = *o;
    a->o.adopted_ms = o->adopted_ms ? o->adopted_ms : ADOPTED_MS;
    snprintf(a->runbook_base, sizeof a->runbook_base, "%s",
             o->runbook_base ? o->runbook_base : "/docs/runbooks/");
    return a;
}

void toc_failure_alerts_free(struct toc_failure_alerts **a) {
    if (!a || !*a)
        return;
    for (size_t i = 0; i < (*a)->told.count; i++)
        told_free(&(*a)->told.items[i]);
    TOC_VEC_FINI(&(*a)->told);
    toc_free(*a);
    *a = NULL;
}

struct toc_failure_listener *toc_failure_alerts_listener(struct toc_failure_alerts *a) {
    return &a->listener;
}

void toc_failure_alerts_adopt(struct toc_failure_alerts *a, const struct toc_alert *alert,
                              struct toc_ts now) {
    if (!toc_sv_eq(toc_labels_get(alert->labels, SOURCE_LABEL), SOURCE_VALUE) ||
        !toc_labels_has(alert->labels, TOC_SV("owner")))
        return;
    struct told t = {.labels = toc_labels_dup(alert->labels),
                     .annotations = toc_labels_dup(alert->annotations),
                     .starts_at = alert->starts_at,
                     .ends_ms = now.ms + a->o.adopted_ms};
    TOC_VEC_PUSH(&a->told, t);
}

void toc_failure_alerts_tick(struct toc_failure_alerts *a, struct toc_ts now) {
    for (size_t i = a->told.count; i-- > 0;) {
        struct told *t = &a->told.items[i];
        bool is_over = now.ms >= t->ends_ms;
        if (t->failure || (!is_over && now.ms - t->told_ms < REFRESH_MS))
            continue;
        t->told_ms = now.ms;
        const struct toc_alert alert = {.labels = t->labels,
                                        .annotations = t->annotations,
                                        .starts_at = t->starts_at,
                                        .ends_at = {is_over ? now.ms : 0},
                                        .updated_at = now};
        put(a, &alert, now);
        if (is_over)
            forget(a, t);
    }
}
