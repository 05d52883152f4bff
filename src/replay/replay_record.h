/* What happened in a back-test, or would have: alerts, notifications, incidents, failures. Times
 * are those of the virtual clock; 0 means "not in this range". */
#ifndef TOC_REPLAY_REPLAY_RECORD_H
#define TOC_REPLAY_REPLAY_RECORD_H

#include "alert/alert_manager.h"
#include "base/map.h"
#include "base/vec.h"

enum { TOC_REPLAY_ALERTS_MAX = 2000000, TOC_REPLAY_PAGES_MAX = 2000000 };

/* One occurrence of an alert: from firing to resolved. */
struct toc_replay_alert {
    uint64_t fingerprint;
    struct toc_labels labels;
    struct toc_sv rule; /* label alertname */
    int64_t fired_ms;
    int64_t ended_ms;       /* 0: still firing when the range ended */
    int64_t first_page_ms;  /* 0: nobody was told of it */
    int64_t previous_ms;    /* end of the same alert's occurrence before; 0: there is none */
    double value;           /* when it fired */
    bool is_suppressed;     /* inhibited or muted at some time */
    struct toc_sv incident; /* id; empty when it belongs to none */
};

/* A notification to a receiver. */
struct toc_replay_page {
    int64_t at_ms;
    enum toc_flush_reason reason;
    struct toc_sv receiver, group_key;
    struct toc_sv rule; /* of its first alert */
    size_t firing, resolved;
};
/* Does it call somebody: a first notification, or new alerts? Repeats and ends do not count. */
static inline bool toc_replay_page_calls(const struct toc_replay_page *p) {
    return p->firing && (p->reason == TOC_FLUSH_FIRST || p->reason == TOC_FLUSH_CHANGED);
}

struct toc_replay_incident {
    struct toc_sv id; /* "B-000001" */
    struct toc_sv rule, title, subject;
    int64_t detected_ms, resolved_ms;
    int64_t reopen_count;
};

struct toc_replay_rule {
    struct toc_sv group, name, expr;
    bool is_alert;
    int64_t for_ms;
    bool reads_detectors;     /* series of anomaly detectors */
    uint64_t failures;        /* evaluations that failed */
    struct toc_sv last_error; /* of the last evaluation, when that failed */
};

struct toc_replay_record {
    struct toc_arena arena;
    int64_t from_ms, to_ms;
    TOC_VEC(struct toc_replay_alert) alerts; /* by the time at which they fired */
    TOC_VEC(struct toc_replay_page) pages;
    TOC_VEC(struct toc_replay_incident) incidents;
    TOC_VEC(struct toc_replay_rule) rules;
    uint64_t evaluations;       /* of rules */
    uint64_t range_queries;     /* many times in one go */
    uint64_t instant_queries;   /* one time each */
    uint64_t samples;           /* read by range queries */
    bool is_thinned;            /* a part of the history is there as roll-ups only */
    size_t alerts_dropped;      /* over the limits of the alert manager */
    struct toc_map open;        /* fingerprint → index of its open occurrence + 1 */
    struct toc_map last_end_ms; /* fingerprint → index of its last occurrence + 1 */
};

void toc_replay_record_init(struct toc_replay_record *r);
void toc_replay_record_fini(struct toc_replay_record *r);

/* What replay.c tells. TOC_ELIMIT. */
int toc_replay_record_alert(struct toc_replay_record *r, enum toc_alert_event event,
                            const struct toc_alert_view *v, struct toc_ts now) TOC_MUST_CHECK;
int toc_replay_record_page(struct toc_replay_record *r,
                           const struct toc_alert_flush *f) TOC_MUST_CHECK;

#endif
