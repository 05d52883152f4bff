/*
 * Where incidents are kept: the interface between the incident engine and the state database. A
 * call that returns 0 is durable. Any thread.
 */
#ifndef TOC_MODEL_INCIDENT_STORE_H
#define TOC_MODEL_INCIDENT_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/incident.h"

/* A change that somebody made to the monitoring itself. */
struct toc_change {
    int64_t id;
    struct toc_sv kind;    /* "threshold" */
    struct toc_sv subject; /* name of the rule */
    struct toc_sv before, after;
    struct toc_sv actor;
    struct toc_ts at;
    struct toc_sv incident_id; /* may be empty */
};
typedef int toc_on_change(void *ctx, const struct toc_change *c);

struct toc_incident_filter {
    bool is_open_only;
    size_t limit; /* 0 = 100, at most 1000 */
};

struct toc_incident_stats {
    uint64_t open_count;
    uint64_t total_count;        /* detected since `since` */
    uint64_t acknowledged_count; /* of them */
    uint64_t resolved_count;
    double mean_detect_s;      /* NaN without one */
    double mean_acknowledge_s; /* MTTA */
    double mean_resolve_s;     /* MTTR */
};

/* Borrowed for the call; non-zero stops and is returned. */
typedef int toc_on_incident(void *ctx, const struct toc_incident *i);
typedef int toc_on_timeline(void *ctx, const struct toc_timeline_entry *e);

struct toc_incident_saving {
    struct toc_incident *i;
    const struct toc_timeline_entry *entries;
    size_t count;
};

struct toc_incident_store {
    /* Incident, its changed alerts and the new timeline entries in one transaction. An empty id is
     * assigned (date of detected_at and a counter, never used twice) and written to i->id. Alerts
     * lose is_changed. On failure nothing has changed. */
    int (*save)(struct toc_incident_store *s, struct toc_incident *i,
                const struct toc_timeline_entry *entries, size_t count, struct toc_err *err);
    /* Several, each as above, in one transaction. NULL: the store has no use for it. */
    int (*save_all)(struct toc_incident_store *s, const struct toc_incident_saving *items,
                    size_t count, struct toc_err *err);
    /* The same, with a change in the same transaction; *out_change_id. */
    int (*save_with_change)(struct toc_incident_store *s, struct toc_incident *i,
                            const struct toc_timeline_entry *entries, size_t count,
                            const struct toc_change *change, int64_t *out_change_id,
                            struct toc_err *err);
    /* *out is initialised by the call and the caller's to fini. TOC_ENOENT with a sentence. */
    int (*load)(struct toc_incident_store *s, struct toc_sv id, struct toc_incident *out,
                struct toc_err *err);
    /* Incidents that are open, have a firing alert, or were resolved at or after `since`; with
     * alerts. */
    int (*load_live)(struct toc_incident_store *s, struct toc_ts since, toc_on_incident *fn,
                     void *ctx, struct toc_err *err);
    /* Newest first, without alerts. */
    int (*list)(struct toc_incident_store *s, const struct toc_incident_filter *f,
                toc_on_incident *fn, void *ctx, struct toc_err *err);
    /* Timeline in the order in which it was written. */
    int (*timeline)(struct toc_incident_store *s, struct toc_sv id, toc_on_timeline *fn, void *ctx,
                    struct toc_err *err);
    /* Changes that name the incident, oldest first. */
    int (*changes)(struct toc_incident_store *s, struct toc_sv id, toc_on_change *fn, void *ctx,
                   struct toc_err *err);
    int (*stats)(struct toc_incident_store *s, struct toc_ts since, struct toc_incident_stats *out,
                 struct toc_err *err);
};

#endif
