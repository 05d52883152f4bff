/* The notifier from inside: outbox.c dispatches, delivery.c makes one attempt. */
#ifndef TOC_NOTIFY_OUTBOX_PRIV_H
#define TOC_NOTIFY_OUTBOX_PRIV_H

#include "base/map.h"
#include "base/rng.h"
#include "base/vec.h"
#include "notify/outbox.h"
#include "sys/thread.h"

/* A copy of one outbox item; one heap block per view set. */
struct toc_job {
    int64_t id, attempt_count;
    struct toc_ts created_at;
    struct toc_sv receiver, channel, incident_id, payload;
    char bytes[];
};

/* A worker with its queue: one per receiver and channel, until there are LANES_MAX of them. */
struct toc_lane {
    struct toc_notifier *notifier;
    struct toc_thread thread;
    struct toc_cond cond;
    TOC_VEC(struct toc_job *) queue;
    struct toc_http_client *client; /* used by this lane's thread only */
};

struct toc_notifier {
    struct toc_notifier_options options;
    struct toc_mutex mutex; /* guards everything below */
    struct toc_cond wake;   /* of the dispatcher */
    struct toc_cond pause;  /* of workers that wait for the store; broadcast at the stop */
    bool is_woken;
    _Atomic bool is_stopping;
    struct toc_receiver_set *receivers;
    struct toc_map lanes; /* receiver NUL channel → struct toc_lane */
    TOC_VEC(struct toc_lane *) lane_list;
    struct toc_map in_flight; /* id → itself */
    struct toc_rng rng;
    struct toc_notifier_stats stats;
    struct toc_thread dispatcher;
    struct toc_http_client *manual_client;
};

/* Makes one attempt and records it. The client is made at *client when it is NULL. */
void toc_notifier_attempt(struct toc_notifier *n, const struct toc_job *job,
                          struct toc_http_client **client);

#endif
