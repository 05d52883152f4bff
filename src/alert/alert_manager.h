/*
 * The alert manager: takes alerts from rules, detectors, the doctor and from outside, merges them
 * by fingerprint, routes and groups them, applies silences, inhibition and time intervals, and says
 * when which group is to be notified. Alertmanager's semantics (0.34); see docs/design/alert.md.
 *
 * Pure: time comes in as `now`; drive it with toc_alert_manager_tick at (or after)
 * toc_alert_manager_next_due. Thread-safe by one mutex of rank TOC_LOCK_ALERT. Callbacks run under
 * it: they may take locks of higher rank and must not call back.
 */
#ifndef TOC_ALERT_ALERT_MANAGER_H
#define TOC_ALERT_ALERT_MANAGER_H

#include "alert/config.h"
#include "alert/silence.h"
#include "model/alert.h"
#include "model/blob_store.h"

struct toc_alert_manager;

/* Why a group is notified; the texts are those of notification_reason. X(enum, text) */
#define TOC_FLUSH_REASON_TABLE(X)                      \
    X(TOC_FLUSH_NONE, "none")                          \
    X(TOC_FLUSH_FIRST, "first notification")           \
    X(TOC_FLUSH_CHANGED, "new alerts added")           \
    X(TOC_FLUSH_ALL_RESOLVED, "all alerts resolved")   \
    X(TOC_FLUSH_SOME_RESOLVED, "some alerts resolved") \
    X(TOC_FLUSH_REPEAT, "repeat interval elapsed")

enum toc_flush_reason {
#define X(name, text) name,
    TOC_FLUSH_REASON_TABLE(X)
#undef X
};
const char *toc_flush_reason_text(enum toc_flush_reason r);

struct toc_flush_alert {
    const struct toc_alert *alert; /* ends_at is 0 while firing */
    uint64_t fingerprint;
    bool is_resolved;
};

struct toc_alert_flush {
    struct toc_sv receiver;
    struct toc_sv group_key; /* `ROUTEKEY:{labels}` as in Alertmanager's payload */
    struct toc_labels group_labels;
    const struct toc_flush_alert *alerts; /* sorted by job, instance, labels */
    size_t count;
    enum toc_flush_reason reason;
    struct toc_ts now;
};

/* What is known of an alert when it changes or is listed. Borrowed for the call. */
struct toc_alert_view {
    const struct toc_alert *alert;
    uint64_t fingerprint;
    bool is_resolved;
    bool is_processed;                /* routed at least once */
    const struct toc_sv *silenced_by; /* silence ids */
    size_t silenced_count;
    const uint64_t *inhibited_by; /* fingerprints */
    size_t inhibited_count;
    const struct toc_sv *muted_by; /* time interval names */
    size_t muted_count;
    const struct toc_sv *receivers;
    size_t receiver_count;
};

static inline bool toc_alert_view_is_suppressed(const struct toc_alert_view *v) {
    return v->silenced_count || v->inhibited_count || v->muted_count;
}

enum toc_alert_event {
    TOC_ALERT_FIRING,  /* new, or again after it was resolved */
    TOC_ALERT_UPDATED, /* annotations, value or finding changed while firing */
    TOC_ALERT_RESOLVED,
    TOC_ALERT_SUPPRESSED, /* silenced or inhibited from now on */
    TOC_ALERT_UNSUPPRESSED
};

/* Told of each change of state, in order. */
struct toc_alert_observer {
    void (*on_change)(struct toc_alert_observer *o, enum toc_alert_event event,
                      const struct toc_alert_view *view, struct toc_ts now);
    /* All changes of this step were told; until it returns the alerts of their views stay as they
     * are. May be NULL. */
    void (*settled)(struct toc_alert_observer *o, struct toc_ts now);
};

struct toc_alert_manager_options {
    /* True when the notification is accepted for good (written to the outbox); false: it is offered
     * again after group_interval. Required. */
    bool (*flush)(void *ctx, const struct toc_alert_flush *f);
    /* Would it reach anybody? When not, flush is not called: the notification counts as accepted.
     * NULL: always. */
    bool (*tells_anybody)(void *ctx, struct toc_sv receiver);
    void *flush_ctx;                         /* of both */
    struct toc_alert_observer *observer;     /* may be NULL */
    struct toc_blob_store *store;            /* alerts, groups, notification log; NULL: not kept */
    struct toc_silence_store *silence_store; /* may be NULL */
    struct toc_zone_source zones;
    uint64_t id_seed;     /* for silence ids: random in the daemon, fixed in tests */
    size_t max_alerts;    /* default 20000 */
    size_t max_groups;    /* default 10000 */
    size_t max_silences;  /* default 10000 */
    int64_t retention_ms; /* of expired silences and of the log; default 120 h */
};

/* Takes the configuration. */
struct toc_alert_manager *toc_alert_manager_new(const struct toc_alert_manager_options *o,
                                                struct toc_alert_config *take_config);
void toc_alert_manager_free(struct toc_alert_manager **m);
/* Reads silences, alerts, groups and the notification log back. Once, before anything else. */
int toc_alert_manager_load(struct toc_alert_manager *m, struct toc_ts now,
                           struct toc_err *err) TOC_MUST_CHECK;
/* Swaps the configuration: routes and groups are rebuilt, the notification log prevents repeats. */
void toc_alert_manager_set_config(struct toc_alert_manager *m, struct toc_alert_config *take_config,
                                  struct toc_ts now);

/* The sink for alerts from inside; ends_at 0 means firing until told otherwise. */
struct toc_alert_sink *toc_alert_manager_sink(struct toc_alert_manager *m);
/* An alert from outside (API): missing times are filled in as Alertmanager does (resolve_timeout),
 * bad ones refused with upstream's text. */
int toc_alert_manager_post(struct toc_alert_manager *m, const struct toc_alert *alert,
                           struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

/* Does what is due at `now`: ends alerts, expires silences, flushes groups. */
void toc_alert_manager_tick(struct toc_alert_manager *m, struct toc_ts now);
/* When tick has something to do next, in ms since the epoch; INT64_MAX when never. */
int64_t toc_alert_manager_next_due(struct toc_alert_manager *m);

/* Creates or changes a silence; rules of POST /silences. out_id gets the UUID. */
int toc_alert_manager_set_silence(struct toc_alert_manager *m, const struct toc_silence_record *r,
                                  struct toc_ts now, char out_id[37],
                                  struct toc_err *err) TOC_MUST_CHECK;
/* TOC_ENOENT; an expired one is left as it is. */
int toc_alert_manager_expire_silence(struct toc_alert_manager *m, struct toc_sv id,
                                     struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;
typedef void toc_on_silence(void *ctx, const struct toc_silence_view *v);
/* In the order of GET /silences; id empty = all. Returns how many were visited. */
size_t toc_alert_manager_each_silence(struct toc_alert_manager *m, struct toc_sv id,
                                      struct toc_ts now, toc_on_silence *fn, void *ctx);

/* Filters of GET /alerts and /alerts/groups. */
struct toc_alert_filter {
    bool active, silenced, inhibited, unprocessed, muted; /* which states to show */
    const struct toc_matcher_list *matchers;              /* NULL = all */
    struct toc_sv receiver;                               /* anchored RE2; empty = all */
};
#define TOC_ALERT_FILTER_ALL \
    ((struct toc_alert_filter){true, true, true, true, true, NULL, {NULL, 0}})

typedef void toc_on_alert_view(void *ctx, const struct toc_alert_view *v);
/* Unresolved alerts in order of their fingerprints. TOC_EPARSE for a bad receiver expression. */
int toc_alert_manager_each_alert(struct toc_alert_manager *m, const struct toc_alert_filter *f,
                                 struct toc_ts now, toc_on_alert_view *fn, void *ctx,
                                 struct toc_err *err) TOC_MUST_CHECK;

struct toc_alert_group_view {
    struct toc_sv receiver;
    struct toc_sv key;
    struct toc_labels labels;
    struct toc_ts next_flush;
    const struct toc_alert_view *alerts;
    size_t count;
};
typedef void toc_on_alert_group(void *ctx, const struct toc_alert_group_view *g);
/* Groups with at least one shown alert, sorted by labels, then receiver. */
int toc_alert_manager_each_group(struct toc_alert_manager *m, const struct toc_alert_filter *f,
                                 struct toc_ts now, toc_on_alert_group *fn, void *ctx,
                                 struct toc_err *err) TOC_MUST_CHECK;
typedef void toc_on_receiver(void *ctx, const struct toc_alert_receiver *r);
void toc_alert_manager_each_receiver(struct toc_alert_manager *m, toc_on_receiver *fn, void *ctx);

struct toc_alert_stats {
    size_t alerts_firing, alerts_suppressed, groups, silences_active;
    uint64_t alerts_received;
    uint64_t alerts_dropped_limit; /* over max_alerts */
    uint64_t groups_dropped_limit; /* over max_groups */
    uint64_t flushes, flushes_refused;
    uint64_t store_failures; /* state that could not be written */
};
struct toc_alert_stats toc_alert_manager_stats(struct toc_alert_manager *m);

#endif
