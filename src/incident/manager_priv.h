/* Inside the incident manager. */
#ifndef TOC_INCIDENT_MANAGER_PRIV_H
#define TOC_INCIDENT_MANAGER_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "incident/manager.h"
#include "sys/thread.h"

enum { TOC_INCIDENT_LISTENERS_MAX = 8 };

#define TOC_SYSTEM_ACTOR TOC_SV("tocsin")

/* An incident in memory: open, still firing, or closed so recently that a re-fire re-opens it. */
struct toc_live {
    struct toc_incident i;
    int root_rank;             /* of the root alert; see rank_of in intake.c */
    uint64_t root_fingerprint; /* of the root alert; 0: not known since a restart */
    size_t firing_count;
    size_t unsuppressed_count; /* of the firing ones */
    bool is_dirty;             /* differs from the store */
    bool is_urgent;            /* a save is due at the end of the call, not only by the next tick */
    unsigned events;           /* bits of toc_incident_event to tell after the save */
    struct {
        TOC_VEC_FIELDS(struct toc_timeline_entry)
    } pending;              /* timeline entries not yet stored */
    struct toc_arena texts; /* of pending */
};

/* Where an alert is: value of by_fingerprint. */
struct toc_tracked {
    struct toc_live *live;
    size_t index; /* in live->i.alerts; alerts never move */
};

struct toc_incident_manager {
    struct toc_mutex mutex;
    struct toc_incident_options options;
    struct {
        TOC_VEC_FIELDS(struct toc_live *)
    } lives;
    struct toc_map by_fingerprint; /* struct toc_tracked */
    struct {
        toc_on_incident_event *fn;
        void *ctx;
    } listeners[TOC_INCIDENT_LISTENERS_MAX];
    size_t listener_count;
    uint64_t alerts_dropped, cascades_dropped, save_errors;
};

/* manager.c */
struct toc_live *toc_live_new(struct toc_incident_manager *m);
/* Appends an entry to be stored with the next save; text is copied. */
void toc_live_entry(struct toc_live *l, struct toc_sv actor, enum toc_timeline_type type,
                    struct toc_ts at, const char *fmt, ...) TOC_PRINTF(5, 6);
void toc_live_event(struct toc_live *l, enum toc_incident_event event);
/* Makes alert `index` findable by its fingerprint. */
void toc_live_track(struct toc_incident_manager *m, struct toc_live *l, size_t index);
/* Stores and tells listeners; keeps everything for a retry when the store fails. */
void toc_live_persist(struct toc_incident_manager *m, struct toc_live *l, struct toc_ts now);
/* The same for all that are urgent, in one transaction: a storm is one commit, not one each. */
void toc_lives_persist_urgent(struct toc_incident_manager *m, struct toc_ts now);
/* Forgets a live incident and its alerts. */
void toc_live_drop(struct toc_incident_manager *m, size_t index);

/* intake.c: moves the state to where its alerts say it should be. */
void toc_live_evaluate(struct toc_live *l, struct toc_ts now);
void toc_live_set_alert(struct toc_live *l, size_t index, bool is_firing, bool is_suppressed);
/* Re-opens a closed incident whose alert fires. */
void toc_live_reopen(struct toc_live *l, struct toc_ts now, const char *why);

#endif
