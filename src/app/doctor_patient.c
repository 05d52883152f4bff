#include "app/doctor_patient.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/doctor_patient_priv.h"
#include "base/alloc.h"

/* --- what happens is told to incidents --- */

static void take_alerts(struct toc_alert_sink *sink, const struct toc_alert *alerts, size_t count,
                        struct toc_ts now) {
    struct toc_patient *p = TOC_CONTAINER_OF(sink, struct toc_patient, alerts);
    for (size_t i = 0; i < count; i++) {
        bool is_over = toc_alert_is_resolved(&alerts[i], now);
        toc_incident_intake_alert(p->manager, &alerts[i],
                                  is_over ? TOC_INTAKE_RESOLVED : TOC_INTAKE_FIRING, now);
        /* Told for the first time, or ended: others may follow in the next seconds. */
        if (is_over || now.ms - alerts[i].starts_at.ms < TOC_PATIENT_DENSE_OPEN_MS)
            p->dense_until_ms = TOC_MAX(p->dense_until_ms, now.ms + TOC_PATIENT_DENSE_OPEN_MS);
    }
}

int toc_patient_new(const struct toc_patient_options *o, struct toc_patient **out,
                    struct toc_err *err) {
    struct toc_patient *p = TOC_NEW(struct toc_patient);
    p->o = *o;
    p->name = toc_sv_dup_cstr(o->name);
    p->o.name = toc_sv_cstr(p->name);
    p->store = toc_window_store_new();
    p->alerts.put = take_alerts;
    p->first_step = p->last_step = NAN;
    p->end = TOC_END_UNMARKED;
    toc_doctor_incidents_init(&p->incidents);
    p->doctor = toc_doctor_new(&(struct toc_doctor_options){
        .querier = toc_window_store_querier(p->store),
        .alerts = &p->alerts,
        .limits = o->limits,
        .is_replay = true,
    });
    int rc = toc_incident_manager_new(&(struct toc_incident_options){.store = &p->incidents.store},
                                      (struct toc_ts){0}, &p->manager, err);
    if (rc)
        toc_patient_free(&p);
    *out = p;
    return rc;
}

void toc_patient_free(struct toc_patient **pp) {
    struct toc_patient *p = pp ? *pp : NULL;
    if (!p)
        return;
    toc_doctor_failures_free(&p->failures);
    toc_doctor_free(&p->doctor);
    toc_incident_manager_free(&p->manager);
    toc_doctor_incidents_fini(&p->incidents);
    toc_window_store_free(&p->store);
    for (size_t i = 0; i < p->curves.count; i++) {
        toc_curve_fini(&p->curves.items[i]->curve);
        toc_free(p->curves.items[i]->metric);
        toc_free(p->curves.items[i]);
    }
    for (size_t i = 0; i < p->events.count; i++)
        toc_free(p->events.items[i].message);
    for (size_t i = 0; i < p->note_count; i++)
        toc_free(p->notes[i]);
    TOC_VEC_FINI(&p->curves);
    TOC_VEC_FINI(&p->events);
    TOC_VEC_FINI(&p->seconds);
    TOC_VEC_FINI(&p->signatures);
    TOC_VEC_FINI(&p->series);
    toc_labels_free(&p->labels);
    toc_free(p->name);
    toc_free(p);
    *pp = NULL;
}

/* --- series --- */

/* Bookkeeping of the receiver; the report has it in words. */
static bool is_bookkeeping(struct toc_sv metric) {
    static const char *const names[] = {
        "train_run_phase",
        "train_last_step_timestamp_seconds",
        "train_run_state",
        "train_run_tells_state",
        "train_restarts_total",
        "train_reports_dropped_total",
        "train_run_info",
        "train_checkpoint_step",
        "train_last_checkpoint_timestamp_seconds",
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_cstr(metric, names[i]))
            return true;
    return false;
}

static struct toc_curve *curve_for(struct toc_patient *p, struct toc_sv metric) {
    if (p->curves.count >= TOC_PATIENT_CURVES_MAX || is_bookkeeping(metric))
        return NULL;
    struct toc_patient_curve *c = TOC_NEW(struct toc_patient_curve);
    c->metric = toc_sv_dup_cstr(metric);
    TOC_VEC_PUSH(&p->curves, c);
    return &c->curve;
}

size_t toc_patient_series(struct toc_patient *p, struct toc_labels labels) {
    size_t stored = toc_window_store_series_of(p->store, labels);
    struct toc_sv metric = toc_labels_get(labels, TOC_METRIC_NAME);
    struct toc_sv rank = toc_labels_get(labels, TOC_SV("rank"));
    bool is_step = toc_sv_eq_cstr(metric, "train_step");
    if (stored < p->series.count)
        return stored;
    struct toc_patient_series s = {.stored = stored, .role = TOC_SERIES_COARSE};
    bool is_own = labels.count == 2; /* the run's, not a layer's or a rank's */
    if (is_own) {
        s.curve = curve_for(p, metric);
        s.role = is_step                                ? TOC_SERIES_STEP
                 : toc_sv_eq_cstr(metric, "train_loss") ? TOC_SERIES_LOSS
                                                        : TOC_SERIES_PLAIN;
    }
    if (!toc_doctor_reads(p->doctor, metric))
        s.role = TOC_SERIES_UNREAD;
    if (is_step && (is_own || rank.n))
        p->ranks++;
    TOC_VEC_PUSH(&p->series, s);
    return stored;
}

const struct toc_curve *toc_patient_curve(const struct toc_patient *p, const char *metric) {
    for (size_t i = 0; i < p->curves.count; i++)
        if (strcmp(p->curves.items[i]->metric, metric) == 0)
            return &p->curves.items[i]->curve;
    return NULL;
}

void toc_patient_note(struct toc_patient *p, const char *text) {
    if (p->note_count < TOC_PATIENT_NOTES_MAX)
        p->notes[p->note_count++] = toc_xstrdup(text);
}

/* --- samples --- */

static struct toc_patient_second *find_second(struct toc_patient *p, int64_t t_ms) {
    int64_t s = t_ms / 1000;
    size_t at = p->seconds.count;
    while (at > p->judged && p->seconds.items[at - 1].s > s)
        at--;
    if (at == p->judged || p->seconds.items[at - 1].s != s) {
        TOC_VEC_PUSH(&p->seconds, ((struct toc_patient_second){0}));
        memmove(p->seconds.items + at + 1, p->seconds.items + at,
                (p->seconds.count - 1 - at) * sizeof *p->seconds.items);
        p->seconds.items[at++] = (struct toc_patient_second){.s = s};
    }
    return &p->seconds.items[at - 1];
}

/* Mostly the last one. */
static inline struct toc_patient_second *second_of(struct toc_patient *p, int64_t t_ms) {
    size_t count = p->seconds.count;
    struct toc_patient_second *last = count > p->judged ? &p->seconds.items[count - 1] : NULL;
    bool is_last = last && (uint64_t)(t_ms - last->s * 1000) < 1000;
    return is_last ? last : find_second(p, t_ms);
}

static void note_second(struct toc_patient *p, int64_t t_ms, bool is_step, bool is_surprising) {
    struct toc_patient_second *second = second_of(p, t_ms);
    second->steps += is_step;
    second->is_surprising |= is_surprising;
}

void toc_patient_take(struct toc_patient *p, size_t series, int64_t t_ms, double value) {
    struct toc_patient_series *s = &p->series.items[series];
    if (t_ms < p->o.since_ms || t_ms > p->o.until_ms) {
        p->outside++;
        return;
    }
    if (s->role != TOC_SERIES_UNREAD)
        toc_window_store_add(p->store, s->stored, t_ms, value);
    if (!p->samples++ || t_ms < p->first_ms)
        p->first_ms = t_ms;
    p->last_ms = TOC_MAX(p->last_ms, t_ms);
    if (s->curve)
        toc_curve_add(s->curve, t_ms, value);
    if (s->role == TOC_SERIES_STEP) {
        p->steps++;
        p->last_step = value;
        if (isnan(p->first_step))
            p->first_step = value;
    }
    p->losses += s->role == TOC_SERIES_LOSS;
    bool is_surprising = s->role != TOC_SERIES_UNREAD && toc_patient_is_surprised(s, t_ms, value);
    if (s->role == TOC_SERIES_STEP)
        p->usual_step_ms = s->usual_gap_ms;
    if (t_ms < p->tick_ms)
        p->late++; /* the clock has passed it: the doctor looks back three seconds at most */
    else
        note_second(p, t_ms, s->role == TOC_SERIES_STEP, is_surprising);
}

/* A program that logs the same error every minute: its failure is open, and one line more only
 * counts. More in a row than any failure needs to open, each sooner than the limits of failures
 * part it from the one before. An attempt ends a failure. */
static bool is_echo(struct toc_patient *p, const struct toc_failure_hit *hit) {
    enum { SOON_MS = 120 * 1000, MANY = 32 };
    struct toc_patient_signature *x = NULL;
    for (size_t i = 0; !x && i < p->signatures.count; i++)
        x = p->signatures.items[i].signature == hit->signature ? &p->signatures.items[i] : NULL;
    if (!x) {
        TOC_VEC_PUSH(&p->signatures, ((struct toc_patient_signature){.signature = hit->signature}));
        x = &p->signatures.items[p->signatures.count - 1];
    }
    x->in_row =
        hit->at.ms - x->last_ms <= SOON_MS ? x->in_row + TOC_MAX(hit->count, (uint64_t)1) : 1;
    x->last_ms = hit->at.ms;
    return x->in_row > MANY && hit->signature->role != TOC_SIGNATURE_ATTEMPT;
}

/* What follows a line of failure is judged second by second. */
void toc_patient_hit(struct toc_patient *p, const struct toc_log_hits *tables,
                     const struct toc_failure_hit *hit) {
    if (hit->at.ms < p->o.since_ms || hit->at.ms > p->o.until_ms) {
        p->outside++;
        return;
    }
    if (!p->failures)
        p->failures = toc_doctor_failures_new(tables, p->o.name, &p->alerts);
    toc_doctor_failures_add(p->failures, hit);
    bool is_new = !is_echo(p, hit);
    if (hit->at.ms < p->tick_ms)
        return;
    struct toc_patient_second *second = second_of(p, hit->at.ms);
    second->is_surprising |= is_new;
    second->is_judged = true;
}

void toc_patient_event(struct toc_patient *p, const struct toc_run_event *e) {
    if (e->kind == TOC_RUN_EVENT_LAYERS) { /* an order, not a moment */
        struct toc_run_listener *l = toc_doctor_listener(p->doctor);
        l->on_event(l, e);
        return;
    }
    if (e->t.ms < p->o.since_ms || e->t.ms > p->o.until_ms)
        return;
    if (p->events.count - p->delivered >= TOC_PATIENT_EVENTS_QUEUED_MAX) {
        p->events_dropped++;
        return;
    }
    struct toc_patient_event copy = {.t_ms = e->t.ms,
                                     .kind = e->kind,
                                     .rank = e->rank,
                                     .step = e->step,
                                     .has_step = e->has_step,
                                     .state = e->state,
                                     .message = toc_sv_dup_cstr(e->message)};
    TOC_VEC_PUSH(&p->events, copy);
    note_second(p, TOC_MAX(e->t.ms, p->tick_ms), false, true);
}

const char *toc_patient_end_word(enum toc_patient_end end) {
    static const char *const words[] = {
#define X(name, word, text) word,
        TOC_PATIENT_END_TABLE(X)
#undef X
    };
    return words[end];
}

const char *toc_patient_end_text(enum toc_patient_end end) {
    static const char *const texts[] = {
#define X(name, word, text) text,
        TOC_PATIENT_END_TABLE(X)
#undef X
    };
    return texts[end];
}
