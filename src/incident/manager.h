/*
 * Incidents as they happen: takes alerts in, correlates them by subject, keeps the life cycle,
 * stores every change before it is acknowledged and tells listeners. No socket, file or clock:
 * `now` is given. All functions may be called from any thread (one mutex, TOC_LOCK_INCIDENT).
 *
 * Correlation: the subject of an alert is the first present of run, (model_name and instance),
 * instance, host, else everything together. Alerts of one subject join its open incident; the one
 * with the highest root rank names it, the others are cascades with a count.
 */
#ifndef TOC_INCIDENT_MANAGER_H
#define TOC_INCIDENT_MANAGER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "incident/lifecycle.h"
#include "model/alert.h"
#include "model/incident_store.h"

struct toc_incident_manager;

struct toc_incident_options {
    struct toc_incident_store *store; /* borrowed */
    int64_t
        causal_window_ms; /* an alert may have started that long before its incident; 0 = 60 s */
    int64_t reopen_ms;    /* a re-fire within re-opens instead of a new incident; 0 = 5 min */
    int64_t hold_ms;      /* quiet time before "resolved" is believed; 0 = 10 s */
    int64_t restart_grace_ms; /* stored alerts must be seen again within; 0 = 5 min */
};

/* Loads open and recent incidents from the store. */
int toc_incident_manager_new(const struct toc_incident_options *o, struct toc_ts now,
                             struct toc_incident_manager **out, struct toc_err *err) TOC_MUST_CHECK;
/* Writes what is still to be written. NULL is accepted. */
void toc_incident_manager_free(struct toc_incident_manager **m);

/* X(ENUM, text): what listeners are told. UPDATED is everything else. */
#define TOC_INCIDENT_EVENT_TABLE(X) \
    X(TRIGGERED, "triggered")       \
    X(REOPENED, "reopened")         \
    X(ACKNOWLEDGED, "acknowledged") \
    X(RESOLVED, "resolved")         \
    X(UPDATED, "updated")

enum toc_incident_event {
#define X(e, text) TOC_INCIDENT_EVENT_##e,
    TOC_INCIDENT_EVENT_TABLE(X)
#undef X
        TOC_INCIDENT_EVENT_COUNT
};
/* Called after the change was stored (or could not be: alerting goes on with a full disk), in
 * order, with the manager's lock held: it must not call the manager and should only enqueue. */
typedef void toc_on_incident_event(void *ctx, enum toc_incident_event event,
                                   const struct toc_incident *i);
/* At most 8, before the first alert. TOC_ELIMIT. */
int toc_incident_listen(struct toc_incident_manager *m, toc_on_incident_event *fn,
                        void *ctx) TOC_MUST_CHECK;

/* --- alerts --- */

enum toc_intake_change { TOC_INTAKE_FIRING, TOC_INTAKE_RESOLVED, TOC_INTAKE_SUPPRESSED };

/* One observation. Repeating FIRING for an alert that fires is cheap. A firing alert with ends_at
 * set counts as resolved at that time unless it is seen again. Never fails: what cannot be stored
 * is kept and retried by tick. */
void toc_incident_intake_alert(struct toc_incident_manager *m, const struct toc_alert *alert,
                               enum toc_intake_change change, struct toc_ts now);
/* Many at once, each incident stored once. changes[i] belongs to alerts[i]. */
void toc_incident_intake(struct toc_incident_manager *m, const struct toc_alert *alerts,
                         const enum toc_intake_change *changes, size_t count, struct toc_ts now);
/* Time passes: verified recovery, expiry, re-opening, retry of failed writes. Call about once a
 * second. */
void toc_incident_tick(struct toc_incident_manager *m, struct toc_ts now);

/* --- persons and deliveries --- */

/* Applies and stores; *out (NULL: not wanted) is the updated incident, the caller's to fini.
 * TOC_ENOENT, TOC_ECONFLICT, TOC_EINVAL, or the store's error, in which case nothing has changed.
 */
int toc_incident_act(struct toc_incident_manager *m, struct toc_sv id,
                     const struct toc_incident_action *a, struct toc_ts now,
                     struct toc_incident *out, struct toc_err *err) TOC_MUST_CHECK;
/* A notification about it was delivered: the first one moves triggered to notified. */
int toc_incident_notified(struct toc_incident_manager *m, struct toc_sv id, struct toc_sv detail,
                          struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;
/* A timeline entry without a change of state (a failed delivery). */
int toc_incident_note(struct toc_incident_manager *m, struct toc_sv id, struct toc_sv actor,
                      enum toc_timeline_type type, struct toc_sv text, struct toc_ts now,
                      struct toc_err *err) TOC_MUST_CHECK;

/* A change made because of the incident, with its timeline entry, in one transaction. */
int toc_incident_record_change(struct toc_incident_manager *m, struct toc_sv id,
                               const struct toc_change *change, struct toc_sv text,
                               int64_t *out_change_id, struct toc_err *err) TOC_MUST_CHECK;

/* --- reading --- */

/* *out is the caller's to fini. */
int toc_incident_get(struct toc_incident_manager *m, struct toc_sv id, struct toc_incident *out,
                     struct toc_err *err) TOC_MUST_CHECK;
/* From the store, newest first; from memory when the store cannot be read. fn must not call the
 * manager. */
int toc_incident_list(struct toc_incident_manager *m, const struct toc_incident_filter *f,
                      toc_on_incident *fn, void *ctx, struct toc_err *err) TOC_MUST_CHECK;
/* Its JSON with timeline, as `GET incidents/ID` answers. */
int toc_incident_detail_json(struct toc_incident_manager *m, struct toc_sv id, struct toc_buf *out,
                             struct toc_err *err) TOC_MUST_CHECK;
/* Id of the incident in memory that holds the alert with this fingerprint, "" when none: for
 * messages. */
void toc_incident_of_alert(struct toc_incident_manager *m, uint64_t fingerprint,
                           char out_id[TOC_INCIDENT_ID_MAX]);

struct toc_incident_counters {
    uint64_t open_count;
    uint64_t alerts_tracked;
    uint64_t alerts_dropped;   /* over TOC_INCIDENT_ALERTS_MAX of one incident */
    uint64_t cascades_dropped; /* kinds over TOC_INCIDENT_CASCADES_MAX */
    uint64_t save_errors;
    uint64_t unsaved_count; /* incidents with something still to be written */
};
void toc_incident_get_counters(struct toc_incident_manager *m, struct toc_incident_counters *out);
/* Counts and means since `since`, from the store. */
int toc_incident_get_stats(struct toc_incident_manager *m, struct toc_ts since,
                           struct toc_incident_stats *out, struct toc_err *err) TOC_MUST_CHECK;

#endif
