/* The inside of the alert manager, shared by its files. Everything here is called under the mutex.
 */
#ifndef TOC_ALERT_MANAGER_PRIV_H
#define TOC_ALERT_MANAGER_PRIV_H

#include "alert/alert_manager.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/vec.h"
#include "sys/thread.h"

enum { TOC_ROUTES_PER_ALERT_MAX = 64, TOC_BY_MAX = 16 };

enum {
    ENTRY_ENDS_BY_TIMEOUT = 1, /* ends_at came from resolve_timeout */
    ENTRY_SUPPRESSED = 2,      /* as last told to the observer */
};

enum entry_change { CHANGE_NONE, CHANGE_FIRING, CHANGE_UPDATED };

/* One alert: its encoded bytes and the view decoded from them. */
struct alert_entry {
    uint64_t fingerprint;
    struct toc_buf bytes;
    struct toc_arena arena;
    struct toc_alert alert;
    struct toc_finding finding; /* alert.finding points here when there is one */
    unsigned flags;             /* ENTRY_… */
    enum entry_change pending;  /* to be told once suppression is known again */
    uint32_t arrival;           /* place among those taken since the last settling, from 1 */
    uint64_t content_hash;      /* of all but ends_at and updated_at */
    int64_t saved_ms;           /* when it was last to be stored; 0: it is not */
    bool is_firing;             /* as last told to the observer */
    bool is_unseen;             /* since the start; the observer waits for it to be seen again */
    size_t group_count;         /* groups that hold it */
    uint64_t inhibited_by[TOC_BY_MAX];
    size_t inhibited_count;
    struct toc_sv silenced_by[TOC_BY_MAX]; /* borrowed from the silences */
    size_t silenced_count;
};

struct silence {
    char id[37];
    struct toc_matcher_list matchers;
    char *matcher_text, *created_by, *comment; /* owned */
    struct toc_ts starts_at, ends_at, updated_at;
    bool is_until_resolved;
};

/* What was last notified for a group; outlives the group. */
struct notified {
    bool is_set;
    struct toc_ts at, expires_at;
    TOC_VEC(uint64_t) firing;
    TOC_VEC(uint64_t) resolved;
};

struct alert_group {
    const struct toc_alert_route *route; /* NULL until an alert binds it (after a load or reload) */
    struct toc_labels labels;            /* owned */
    struct toc_sv key;                   /* owned: route key + labels, as shown */
    struct toc_sv id; /* owned: receiver, route id, labels; identity in store and map */
    struct toc_ts next_flush;
    bool is_live; /* false: empty, only its log is kept */
    bool has_flushed;
    struct notified log;
    TOC_VEC(struct alert_entry *) alerts;
};

struct toc_alert_manager {
    struct toc_alert_sink sink;
    struct toc_alert_manager_options options;
    struct toc_alert_config *config;
    struct toc_mutex mutex;
    struct toc_rng rng;
    struct toc_map alerts; /* fingerprint → struct alert_entry */
    struct toc_map groups; /* id → struct alert_group */
    TOC_VEC(struct silence *) silences;
    int64_t silence_edge_ms; /* next start or end of a silence */
    struct toc_ts last_tick;
    bool is_stale;     /* suppression has to be computed anew */
    uint32_t arrivals; /* since the last settling */
    struct toc_alert_stats stats;
    struct {
        TOC_VEC_FIELDS(struct toc_blob_change)
    } unsaved;                     /* since the last commit; keys and values are owned */
    TOC_VEC(uint64_t) unsaved_ids; /* of what they say something, one for one */
};

/* alert_codec.c */
void toc_alert_encode(const struct toc_alert *a, unsigned flags, struct toc_buf *out);
int toc_alert_decode(struct alert_entry *e) TOC_MUST_CHECK;
void toc_alert_entry_free(struct alert_entry *e);

/* alert_store.c */

/* Gathers one change; an empty value removes. */
void toc_alert_store_put(struct toc_alert_manager *m, const char *ns, uint64_t id,
                         struct toc_sv value);
/* What was gathered is durable when it returns; what is not is counted, and alerts are stored anew
 * when they are told again. */
void toc_alert_store_commit(struct toc_alert_manager *m);
void toc_alert_store_fini(struct toc_alert_manager *m);

/* alert_state.c */
void toc_alert_take(struct toc_alert_manager *m, const struct toc_alert *a, bool ends_by_timeout,
                    struct toc_ts now);
/* Ends what is over, computes suppression anew when needed and tells the observer. */
void toc_alert_settle(struct toc_alert_manager *m, struct toc_ts now);
/* Forgets an entry that is resolved and in no group. */
void toc_alert_release(struct toc_alert_manager *m, struct alert_entry *e, struct toc_ts now);
int toc_alert_load_one(struct toc_alert_manager *m, struct toc_sv value, struct toc_ts now);
int64_t toc_alert_next_end(const struct toc_alert_manager *m);

/* alert_group.c */
void toc_group_dispatch(struct toc_alert_manager *m, struct alert_entry *e, struct toc_ts now);
void toc_group_flush_due(struct toc_alert_manager *m, struct toc_ts now);
int64_t toc_group_next_due(const struct toc_alert_manager *m);
/* Takes all alerts out of all groups; they stay to be bound again. */
void toc_group_unbind_all(struct toc_alert_manager *m);
/* Closes the groups that nothing was bound to. */
void toc_group_close_unbound(struct toc_alert_manager *m);
/* Forgets closed groups whose log has expired. */
void toc_group_sweep(struct toc_alert_manager *m, struct toc_ts now);
int toc_group_load_one(struct toc_alert_manager *m, struct toc_sv value);
void toc_group_free(struct alert_group *g);

/* alert_query.c */
struct view_space {
    struct toc_sv receivers[TOC_ROUTES_PER_ALERT_MAX], muted[TOC_BY_MAX];
};
/* The view borrows from e and from the space. */
struct toc_alert_view toc_alert_view_of(const struct toc_alert_manager *m,
                                        const struct alert_entry *e, struct toc_ts now,
                                        struct view_space *space);
/* Names of the intervals by which a route is muted at `now`; at most max. */
size_t toc_route_muted_by(const struct toc_alert_manager *m, const struct toc_alert_route *r,
                          struct toc_ts now, struct toc_sv *out, size_t max);

/* notification_log.c */
struct hash_set {
    const uint64_t *items;
    size_t count;
};
enum toc_flush_reason toc_notified_decide(const struct notified *log, struct hash_set firing,
                                          struct hash_set resolved, bool sends_resolved,
                                          int64_t repeat_ms, struct toc_ts now);
void toc_notified_record(struct notified *log, struct hash_set firing, struct hash_set resolved,
                         int64_t repeat_ms, int64_t retention_ms, struct toc_ts now);
void toc_notified_encode(const struct notified *log, struct toc_buf *out);
int toc_notified_decode(struct toc_reader *r, struct notified *out) TOC_MUST_CHECK;
void toc_notified_fini(struct notified *log);

/* alert_inhibit.c */
void toc_inhibit_refresh(struct toc_alert_manager *m, struct toc_ts now);

/* silence.c */
void toc_silence_refresh(struct toc_alert_manager *m, struct toc_ts now);
enum toc_silence_state toc_silence_state_at(const struct silence *s, struct toc_ts now);
/* Ends and forgets silences whose time has come. */
void toc_silence_sweep(struct toc_alert_manager *m, struct toc_ts now);
int toc_silence_load_all(struct toc_alert_manager *m, struct toc_ts now, struct toc_err *err);
void toc_silence_free(struct silence *s);

#endif
