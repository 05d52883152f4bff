/*
 * Alerts become incidents.
 *
 *   alert known?  ── yes ─→ its flags change; the incident follows (evaluate)
 *        │ no
 *   open incident of the same subject, not older than the window allows? ─→ join: promote or
 * cascade │ no same kind and rule closed less than reopen_ms ago? ─→ re-open and join │ no a new
 * incident
 */
#include <math.h>
#include <stdio.h>

#include "codec/text.h"
#include "incident/manager_priv.h"

enum { SUBJECT_LABELS_MAX = 32, CHART_BEFORE_MS = 10 * 60 * 1000, CHART_AFTER_MS = 5 * 60 * 1000 };

/* What the engine needs of one alert, views borrowed from it. */
struct observed {
    const struct toc_alert *alert;
    uint64_t fingerprint;
    enum toc_kind kind;
    enum toc_severity severity;
    struct toc_sv rule, title;
    struct toc_ts fired_at;   /* when the alert began to fire */
    struct toc_ts started_at; /* first sample that shows it */
    char key[512];
};

/* --- reading an alert --- */

static struct toc_sv label(const struct toc_alert *a, const char *name) {
    return toc_labels_get(a->labels, toc_sv_cstr(name));
}

static void subject_key(const struct toc_alert *a, char *out, size_t out_size) {
    struct toc_sv run = label(a, "run"), model = label(a, "model_name");
    struct toc_sv instance = label(a, "instance"), host = label(a, "host");
    if (run.n)
        snprintf(out, out_size, "run=%.*s", TOC_SV_ARG(run));
    else if (model.n && instance.n)
        snprintf(out, out_size, "model_name=%.*s,instance=%.*s", TOC_SV_ARG(model),
                 TOC_SV_ARG(instance));
    else if (instance.n)
        snprintf(out, out_size, "instance=%.*s", TOC_SV_ARG(instance));
    else if (host.n)
        snprintf(out, out_size, "host=%.*s", TOC_SV_ARG(host));
    else
        snprintf(out, out_size, "global");
}

static enum toc_kind kind_of(const struct toc_alert *a) {
    if (a->finding)
        return a->finding->kind;
    enum toc_kind kind = toc_kind_parse(label(a, "kind"));
    return kind == TOC_KIND_COUNT ? TOC_KIND_THRESHOLD : kind;
}

static struct toc_sv title_of(const struct toc_alert *a) {
    if (a->finding && a->finding->title.n)
        return a->finding->title;
    struct toc_sv summary = toc_labels_get(a->annotations, TOC_SV("summary"));
    return summary.n ? summary : label(a, "alertname");
}

static struct toc_ts started_at(const struct toc_alert *a, struct toc_ts now) {
    struct toc_ts t = a->starts_at;
    if (a->finding && a->finding->first_seen.ms)
        t = a->finding->first_seen;
    return t.ms && t.ms < now.ms ? t : now;
}

static void observe(const struct toc_alert *a, struct toc_ts now, struct observed *o) {
    *o = (struct observed){
        .alert = a,
        .fingerprint = toc_labels_fingerprint(a->labels),
        .kind = kind_of(a),
        .rule = label(a, "alertname"),
        .title = title_of(a),
        .fired_at = a->starts_at.ms ? a->starts_at : now,
        .started_at = started_at(a, now),
    };
    struct toc_sv severity = label(a, "severity");
    o->severity = a->finding   ? a->finding->severity
                  : severity.n ? toc_severity_parse(severity)
                               : toc_kind_info(o->kind)->severity;
    subject_key(a, o->key, sizeof o->key);
}

/* --- filling an incident from its root alert --- */

static bool is_subject_label(struct toc_sv name) {
    return !toc_sv_eq(name, TOC_SV("alertname")) && !toc_sv_eq(name, TOC_SV("severity")) &&
           !toc_sv_eq(name, TOC_SV("kind")) && !toc_sv_starts_with(name, TOC_SV("__"));
}

/* Sorted and unique already, since the alert's labels are. */
static struct toc_labels subject_of(const struct toc_alert *a, struct toc_label *room) {
    size_t count = 0;
    for (size_t n = 0; n < a->labels.count && count < SUBJECT_LABELS_MAX; n++)
        if (is_subject_label(a->labels.items[n].name))
            room[count++] = a->labels.items[n];
    return (struct toc_labels){room, count};
}

static void chart_url(struct toc_sv expr, struct toc_ts started, struct toc_ts now,
                      struct toc_buf *out) {
    toc_buf_append_cstr(out, "/#/explore?expr=");
    toc_percent_encode(expr, out);
    toc_buf_printf(out, "&from=%lld&to=%lld", (long long)(started.ms - CHART_BEFORE_MS),
                   (long long)(now.ms + CHART_AFTER_MS));
}

/* The expression in a generator URL of the form …?g0.expr=EXPR&…; empty when it has none. */
static void generator_expr(struct toc_sv url, struct toc_buf *out) {
    size_t at = toc_sv_find(url, TOC_SV("expr="));
    if (at == SIZE_MAX)
        return;
    struct toc_sv rest = toc_sv_sub(url, at + 5, url.n), expr = TOC_SV_NULL;
    if (toc_sv_split(&rest, '&', &expr) && toc_percent_decode(expr, true, out) != 0)
        toc_buf_reset(out);
}

static void set_evidence(struct toc_incident *i, const struct observed *o, struct toc_ts now) {
    struct toc_incident_evidence items[TOC_INCIDENT_EVIDENCE_MAX];
    const struct toc_finding *f = o->alert->finding;
    struct toc_buf urls = TOC_BUF_INIT, expr = TOC_BUF_INIT;
    struct toc_evidence plain = {.title = o->title,
                                 .value = o->alert->value,
                                 .threshold = NAN,
                                 .expected_lower = NAN,
                                 .expected_upper = NAN};
    generator_expr(o->alert->generator_url, &expr);
    plain.expr = toc_buf_sv(&expr);
    bool has_own = f && f->evidence_count;
    const struct toc_evidence *from = has_own ? f->evidence : &plain;
    size_t count = has_own ? TOC_MIN(f->evidence_count, (size_t)TOC_INCIDENT_EVIDENCE_MAX) : 1;
    for (size_t n = 0; n < count; n++) {
        toc_buf_reset(&urls);
        if (from[n].expr.n)
            chart_url(from[n].expr, o->started_at, now, &urls);
        items[n] = (struct toc_incident_evidence){from[n], toc_incident_text(i, toc_buf_sv(&urls))};
    }
    toc_incident_set_evidence(i, items, count);
    toc_buf_fini(&urls);
    toc_buf_fini(&expr);
}

static void set_root(struct toc_incident *i, const struct observed *o, struct toc_ts now) {
    const struct toc_finding *f = o->alert->finding;
    struct toc_labels notes = o->alert->annotations;
    struct toc_label room[SUBJECT_LABELS_MAX];
    i->kind = o->kind;
    i->severity = TOC_MAX(i->severity, o->severity);
    i->has_step = f && f->has_step;
    i->step = i->has_step ? f->step : 0;
    i->title = toc_incident_text(i, o->title);
    struct toc_sv summary = toc_labels_get(notes, TOC_SV("description"));
    if (!summary.n)
        summary = toc_labels_get(notes, TOC_SV("summary"));
    i->summary = toc_incident_text(i, f && f->summary.n ? f->summary : summary);
    struct toc_sv action = toc_labels_get(notes, TOC_SV("action"));
    i->action = toc_incident_text(i, f && f->action.n ? f->action : action);
    i->runbook_url = toc_incident_text(i, toc_labels_get(notes, TOC_SV("runbook_url")));
    i->rule = toc_incident_text(i, o->rule);
    toc_incident_set_subject(i, subject_of(o->alert, room));
    set_evidence(i, o, now);
    toc_incident_set_causes(i, f ? f->causes : NULL, f ? f->cause_count : 0);
    if (!i->started_at.ms || o->started_at.ms < i->started_at.ms)
        i->started_at = o->started_at;
}

/* A finding that knows what came first names the incident before any that tells of a consequence.
 */
static int rank_of(const struct observed *o) {
    enum { NAMES_CAUSE = 100 };
    bool names_cause = o->alert->finding && o->alert->finding->names_cause;
    return toc_kind_info(o->kind)->root_rank + (names_cause ? NAMES_CAUSE : 0);
}

/* --- alerts of an incident --- */

void toc_live_set_alert(struct toc_live *l, size_t index, bool is_firing, bool is_suppressed) {
    struct toc_incident_alert *a = &l->i.alerts.items[index];
    if (a->is_firing == is_firing && a->is_suppressed == is_suppressed)
        return;
    l->firing_count += is_firing;
    l->firing_count -= a->is_firing;
    l->unsuppressed_count += is_firing && !is_suppressed;
    l->unsuppressed_count -= a->is_firing && !a->is_suppressed;
    a->is_firing = is_firing;
    a->is_suppressed = is_suppressed;
    a->is_changed = true;
    l->is_dirty = true;
}

/* False when the incident holds too many. */
static bool add_alert(struct toc_incident_manager *m, struct toc_live *l, const struct observed *o,
                      bool is_suppressed) {
    if (l->i.alerts.count >= TOC_INCIDENT_ALERTS_MAX) {
        m->alerts_dropped++;
        return false;
    }
    TOC_VEC_PUSH(&l->i.alerts, ((struct toc_incident_alert){.fingerprint = o->fingerprint,
                                                            .kind = o->kind,
                                                            .ends_at = o->alert->ends_at}));
    size_t index = l->i.alerts.count - 1;
    toc_live_set_alert(l, index, true, is_suppressed);
    toc_live_track(m, l, index);
    return true;
}

static bool same_signal(enum toc_kind kind, struct toc_sv rule, const struct observed *o) {
    return kind == o->kind && toc_sv_eq(rule, o->rule);
}

static void add_cascade(struct toc_incident_manager *m, struct toc_live *l,
                        const struct observed *o, struct toc_ts now) {
    for (size_t n = 0; n < l->i.cascade_count; n++) {
        struct toc_cascade *c = &l->i.cascades[n];
        if (!same_signal(c->kind, c->rule, o))
            continue;
        c->count++;
        l->is_dirty = true;
        return;
    }
    struct toc_label room[SUBJECT_LABELS_MAX];
    struct toc_cascade c = {.kind = o->kind,
                            .title = o->title,
                            .rule = o->rule,
                            .subject = subject_of(o->alert, room),
                            .started_at = o->started_at,
                            .count = 1};
    if (!toc_incident_add_cascade(&l->i, &c)) {
        m->cascades_dropped++;
        return;
    }
    toc_live_entry(l, TOC_SYSTEM_ACTOR, TOC_TIMELINE_CASCADE, now, "Came along: %.*s (%s)",
                   TOC_SV_ARG(o->title), toc_kind_info(o->kind)->name);
}

/* What the finding itself has counted as its consequences: one row per kind and name. */
static void put_own_cascades(struct toc_incident_manager *m, struct toc_live *l,
                             const struct observed *o) {
    const struct toc_finding *f = o->alert->finding;
    for (size_t k = 0; f && k < f->cascade_count; k++) {
        const struct toc_finding_cascade *from = &f->cascades[k];
        struct toc_cascade *row = NULL;
        for (size_t n = 0; n < l->i.cascade_count && !row; n++)
            if (l->i.cascades[n].kind == from->kind && toc_sv_eq(l->i.cascades[n].rule, from->name))
                row = &l->i.cascades[n];
        if (row) {
            l->is_dirty |= row->count != from->count;
            row->count = from->count;
            continue;
        }
        struct toc_label room[SUBJECT_LABELS_MAX];
        const struct toc_cascade c = {.kind = from->kind,
                                      .title = from->title,
                                      .rule = from->name,
                                      .subject = subject_of(o->alert, room),
                                      .started_at = from->started_at,
                                      .count = from->count};
        m->cascades_dropped += !toc_incident_add_cascade(&l->i, &c);
        l->is_dirty = true;
    }
}

static void promote(struct toc_incident_manager *m, struct toc_live *l, const struct observed *o,
                    struct toc_ts now) {
    struct toc_cascade old = {.kind = l->i.kind,
                              .title = l->i.title,
                              .rule = l->i.rule,
                              .subject = l->i.subject,
                              .started_at = l->i.started_at,
                              .count = 1};
    if (!toc_incident_add_cascade(&l->i, &old))
        m->cascades_dropped++;
    toc_live_entry(l, TOC_SYSTEM_ACTOR, TOC_TIMELINE_ROOT_CHANGED, now,
                   "Now seen as the root: %.*s (%s); before: %.*s (%s)", TOC_SV_ARG(o->title),
                   toc_kind_info(o->kind)->name, TOC_SV_ARG(l->i.title),
                   toc_kind_info(l->i.kind)->name);
    set_root(&l->i, o, now);
    l->root_rank = rank_of(o);
    l->root_fingerprint = o->fingerprint;
}

static void raise_severity(struct toc_live *l, const struct observed *o, struct toc_ts now) {
    if (o->severity <= l->i.severity)
        return;
    toc_live_entry(l, TOC_SYSTEM_ACTOR, TOC_TIMELINE_CASCADE, now, "Severity rises from %s to %s",
                   toc_severity_text(l->i.severity), toc_severity_text(o->severity));
    l->i.severity = o->severity;
    l->is_dirty = true;
}

static void join(struct toc_incident_manager *m, struct toc_live *l, const struct observed *o,
                 bool is_suppressed, struct toc_ts now) {
    if (!add_alert(m, l, o, is_suppressed))
        return;
    bool is_higher = rank_of(o) > TOC_MAX(l->root_rank, toc_kind_info(l->i.kind)->root_rank);
    if (is_higher && !l->i.acknowledged_at.ms)
        promote(m, l, o, now);
    else
        add_cascade(m, l, o, now);
    put_own_cascades(m, l, o);
    raise_severity(l, o, now);
}

/* A firing alert is told again: what it knows by now. Only a finding that counts its consequences
 * changes while it fires. */
static void refresh(struct toc_incident_manager *m, struct toc_live *l, const struct toc_alert *a,
                    struct toc_ts now) {
    struct observed o;
    if (!a->finding || !a->finding->cascade_count || !toc_incident_state_is_open(l->i.state))
        return;
    observe(a, now, &o);
    bool is_root =
        l->root_fingerprint ? l->root_fingerprint == o.fingerprint : toc_sv_eq(l->i.rule, o.rule);
    bool is_news = is_root && !toc_sv_eq(l->i.title, o.title);
    if (is_news) {
        toc_live_entry(l, TOC_SYSTEM_ACTOR, TOC_TIMELINE_ROOT_CHANGED, now,
                       "More is known: %.*s; before: %.*s", TOC_SV_ARG(o.title),
                       TOC_SV_ARG(l->i.title));
        set_root(&l->i, &o, now);
        l->root_rank = rank_of(&o);
        l->is_dirty = true;
    }
    put_own_cascades(m, l, &o);
    raise_severity(l, &o, now);
}

static struct toc_live *open_new(struct toc_incident_manager *m, const struct observed *o,
                                 bool is_suppressed, struct toc_ts now) {
    struct toc_live *l = toc_live_new(m);
    l->i.state = TOC_INCIDENT_DETECTED;
    l->i.detected_at = now;
    l->i.severity = o->severity;
    l->i.subject_key = toc_incident_text(&l->i, toc_sv_cstr(o->key));
    set_root(&l->i, o, now);
    l->root_rank = rank_of(o);
    l->root_fingerprint = o->fingerprint;
    add_alert(m, l, o, is_suppressed);
    toc_live_entry(l, TOC_SYSTEM_ACTOR, TOC_TIMELINE_DETECTED, now, "Detected: %.*s",
                   TOC_SV_ARG(o->title));
    put_own_cascades(m, l, o);
    return l;
}

/* --- the state follows the alerts --- */

static void move(struct toc_live *l, enum toc_incident_state to, struct toc_ts now,
                 enum toc_timeline_type type, const char *text) {
    if (toc_lifecycle_move(&l->i, to, now, NULL) == 0)
        toc_live_entry(l, TOC_SYSTEM_ACTOR, type, now, "%s", text);
}

void toc_live_reopen(struct toc_live *l, struct toc_ts now, const char *why) {
    l->i.reopen_count++;
    l->i.resolved_by = TOC_SV_NULL;
    move(l, TOC_INCIDENT_TRIGGERED, now, TOC_TIMELINE_REOPENED, why);
    toc_live_event(l, TOC_INCIDENT_EVENT_REOPENED);
}

static void fires_again(struct toc_live *l, struct toc_ts now) {
    enum toc_incident_state back = l->i.held_state;
    if (back == TOC_INCIDENT_SUPPRESSED_BY && l->unsuppressed_count)
        back = TOC_INCIDENT_TRIGGERED;
    move(l, back, now, TOC_TIMELINE_TRIGGERED, "Fires again before the recovery was verified");
    toc_live_event(l, TOC_INCIDENT_EVENT_UPDATED);
}

static void trigger(struct toc_live *l, struct toc_ts now, const char *text) {
    move(l, TOC_INCIDENT_TRIGGERED, now, TOC_TIMELINE_TRIGGERED, text);
    toc_live_event(l, TOC_INCIDENT_EVENT_TRIGGERED);
}

static void evaluate_firing(struct toc_live *l, struct toc_ts now) {
    enum toc_incident_state state = l->i.state;
    bool is_silent = l->unsuppressed_count == 0;
    bool is_new = state == TOC_INCIDENT_DETECTED;
    bool is_untouched = is_new || state == TOC_INCIDENT_TRIGGERED || state == TOC_INCIDENT_NOTIFIED;
    if (state == TOC_INCIDENT_MONITORING)
        fires_again(l, now);
    else if (is_silent && is_untouched)
        move(l, TOC_INCIDENT_SUPPRESSED_BY, now, TOC_TIMELINE_SUPPRESSED,
             "All its alerts are silenced or inhibited");
    else if (!is_silent && is_new)
        trigger(l, now, "Triggered");
    else if (!is_silent && state == TOC_INCIDENT_SUPPRESSED_BY)
        trigger(l, now, "Triggered: no longer suppressed");
}

void toc_live_evaluate(struct toc_live *l, struct toc_ts now) {
    if (!toc_incident_state_is_open(l->i.state))
        return;
    if (l->firing_count)
        evaluate_firing(l, now);
    else if (l->i.state != TOC_INCIDENT_MONITORING)
        move(l, TOC_INCIDENT_MONITORING, now, TOC_TIMELINE_MONITORING,
             "All alerts have resolved; watching whether it stays so");
}

/* --- one observation --- */

/* May the known alert, which fires again, bring its closed incident back? */
static bool may_return(const struct toc_incident_manager *m, const struct toc_live *l,
                       struct toc_ts now) {
    bool is_recent = now.ms - l->i.resolved_at.ms <= m->options.reopen_ms;
    return is_recent && l->i.state != TOC_INCIDENT_REVIEWED;
}

/* A person called it a false alarm or a duplicate: a flapping alert does not page again for a
 * while. */
static bool stays_closed(const struct toc_live *l) {
    bool is_judged =
        l->i.state == TOC_INCIDENT_FALSE_ALARM || l->i.state == TOC_INCIDENT_DUPLICATE_OF;
    return is_judged && !toc_kind_info(l->i.kind)->is_hard;
}

/* True when the alert belongs to this incident; false when it must find another one. */
static bool refire_known(struct toc_incident_manager *m, const struct toc_tracked *t,
                         bool is_suppressed, struct toc_ts now) {
    struct toc_live *l = t->live;
    bool is_open = toc_incident_state_is_open(l->i.state);
    if (!is_open && !may_return(m, l, now))
        return false;
    toc_live_set_alert(l, t->index, true, is_suppressed);
    l->is_urgent = true;
    if (!is_open && !stays_closed(l) && !is_suppressed)
        toc_live_reopen(l, now, "Re-opened: fires again");
    return true;
}

static struct toc_live *find_open(struct toc_incident_manager *m, const struct observed *o) {
    struct toc_live *best = NULL;
    for (size_t n = 0; n < m->lives.count; n++) {
        struct toc_live *l = m->lives.items[n];
        bool is_match = toc_incident_state_is_open(l->i.state) &&
                        toc_sv_eq_cstr(l->i.subject_key, o->key) &&
                        o->fired_at.ms >= l->i.started_at.ms - m->options.causal_window_ms;
        if (is_match && (!best || l->i.detected_at.ms > best->i.detected_at.ms))
            best = l;
    }
    return best;
}

static struct toc_live *find_returning(struct toc_incident_manager *m, const struct observed *o,
                                       struct toc_ts now) {
    for (size_t n = m->lives.count; n-- > 0;) {
        struct toc_live *l = m->lives.items[n];
        bool is_match = l->i.state == TOC_INCIDENT_RESOLVED && may_return(m, l, now) &&
                        toc_sv_eq_cstr(l->i.subject_key, o->key) &&
                        same_signal(l->i.kind, l->i.rule, o);
        if (is_match)
            return l;
    }
    return NULL;
}

static struct toc_live *place_unknown(struct toc_incident_manager *m, const struct observed *o,
                                      bool is_suppressed, struct toc_ts now) {
    struct toc_live *l = find_open(m, o);
    if (!l && !is_suppressed)
        l = find_returning(m, o, now);
    if (!l)
        return open_new(m, o, is_suppressed, now);
    bool was_closed = !toc_incident_state_is_open(l->i.state);
    join(m, l, o, is_suppressed, now);
    if (was_closed)
        toc_live_reopen(l, now, "Re-opened: fires again");
    return l;
}

static struct toc_live *take_firing(struct toc_incident_manager *m, const struct toc_alert *alert,
                                    bool is_suppressed, struct toc_ts now) {
    uint64_t fingerprint = toc_labels_fingerprint(alert->labels);
    struct toc_tracked *t = toc_map_get(&m->by_fingerprint, toc_map_u64(&fingerprint));
    if (t && t->live->i.alerts.items[t->index].is_firing) {
        t->live->i.alerts.items[t->index].ends_at = alert->ends_at;
        toc_live_set_alert(t->live, t->index, true, is_suppressed);
        refresh(m, t->live, alert, now);
        return t->live;
    }
    if (t && refire_known(m, t, is_suppressed, now)) {
        t->live->i.alerts.items[t->index].ends_at = alert->ends_at;
        return t->live;
    }
    struct observed o;
    observe(alert, now, &o);
    return place_unknown(m, &o, is_suppressed, now);
}

static struct toc_live *take_resolved(struct toc_incident_manager *m,
                                      const struct toc_alert *alert) {
    uint64_t fingerprint = toc_labels_fingerprint(alert->labels);
    struct toc_tracked *t = toc_map_get(&m->by_fingerprint, toc_map_u64(&fingerprint));
    if (!t)
        return NULL; /* resolved before we ever saw it */
    toc_live_set_alert(t->live, t->index, false, false);
    return t->live;
}

static void take(struct toc_incident_manager *m, const struct toc_alert *alert,
                 enum toc_intake_change change, struct toc_ts now) {
    struct toc_live *l = change == TOC_INTAKE_RESOLVED
                             ? take_resolved(m, alert)
                             : take_firing(m, alert, change == TOC_INTAKE_SUPPRESSED, now);
    if (l)
        toc_live_evaluate(l, now);
}

void toc_incident_intake(struct toc_incident_manager *m, const struct toc_alert *alerts,
                         const enum toc_intake_change *changes, size_t count, struct toc_ts now) {
    toc_mutex_lock(&m->mutex);
    for (size_t n = 0; n < count; n++)
        take(m, &alerts[n], changes[n], now);
    toc_lives_persist_urgent(m, now);
    toc_mutex_unlock(&m->mutex);
}

void toc_incident_intake_alert(struct toc_incident_manager *m, const struct toc_alert *alert,
                               enum toc_intake_change change, struct toc_ts now) {
    toc_incident_intake(m, alert, &change, 1, now);
}

/* --- time --- */

static void expire_alerts(struct toc_live *l, struct toc_ts now) {
    for (size_t n = 0; l->firing_count && n < l->i.alerts.count; n++) {
        const struct toc_incident_alert *a = &l->i.alerts.items[n];
        if (a->is_firing && a->ends_at.ms && a->ends_at.ms <= now.ms)
            toc_live_set_alert(l, n, false, false);
    }
}

static void verify_recovery(struct toc_incident_manager *m, struct toc_live *l, struct toc_ts now) {
    bool is_verified = l->i.state == TOC_INCIDENT_MONITORING &&
                       now.ms - l->i.monitoring_at.ms >= m->options.hold_ms;
    if (!is_verified)
        return;
    enum toc_incident_state to =
        l->i.verdict == TOC_VERDICT_FALSE ? TOC_INCIDENT_FALSE_ALARM : TOC_INCIDENT_RESOLVED;
    l->i.resolved_by = toc_incident_text(&l->i, TOC_SYSTEM_ACTOR);
    char text[96];
    snprintf(text, sizeof text, "Recovery verified: all alerts have been resolved for %lld s",
             (long long)(m->options.hold_ms / 1000));
    move(l, to, now, TOC_TIMELINE_RESOLVED, text);
    toc_live_event(l, TOC_INCIDENT_EVENT_RESOLVED);
}

static void check_hand_resolved(struct toc_incident_manager *m, struct toc_live *l,
                                struct toc_ts now) {
    bool still_fires = l->i.state == TOC_INCIDENT_RESOLVED && l->unsuppressed_count &&
                       now.ms - l->i.resolved_at.ms >= m->options.reopen_ms;
    if (still_fires)
        toc_live_reopen(l, now, "Re-opened: resolved by hand, but its alerts still fire");
}

static bool is_forgettable(const struct toc_incident_manager *m, const struct toc_live *l,
                           struct toc_ts now) {
    return !toc_incident_state_is_open(l->i.state) && !l->firing_count && !l->is_dirty &&
           now.ms - l->i.resolved_at.ms > m->options.reopen_ms;
}

void toc_incident_tick(struct toc_incident_manager *m, struct toc_ts now) {
    toc_mutex_lock(&m->mutex);
    for (size_t n = m->lives.count; n-- > 0;) {
        struct toc_live *l = m->lives.items[n];
        expire_alerts(l, now);
        toc_live_evaluate(l, now);
        verify_recovery(m, l, now);
        check_hand_resolved(m, l, now);
        toc_live_persist(m, l, now);
        if (is_forgettable(m, l, now))
            toc_live_drop(m, n);
    }
    toc_mutex_unlock(&m->mutex);
}
