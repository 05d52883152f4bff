/*
 * Delivery: notifications are committed to the state database's outbox, then tried by one worker
 * per receiver and channel, so that a dead receiver delays no other. At least once; in order per
 * incident, receiver and channel. Failed attempts come again after 1 s, 2 s, 4 s … 5 min (± 20 %,
 * or later when the peer says so) until max_age; what is pending at a stop goes out after the next
 * start.
 */
#ifndef TOC_NOTIFY_OUTBOX_H
#define TOC_NOTIFY_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "notify/receiver.h"
#include "statedb/outbox.h"
#include "sys/clock.h"

struct toc_notifier;

/* Told after each attempt, on the worker's thread, without locks held. */
struct toc_notifier_event {
    struct toc_sv incident_id, receiver, channel;
    bool ok;
    bool gave_up;    /* failed for good */
    int64_t attempt; /* 1-based */
    struct toc_ts at;
    const char *detail;
};

struct toc_notifier_options {
    struct toc_statedb *db;
    struct toc_clock *clock;
    int64_t max_age_ms; /* 0 = 24 h */
    uint64_t seed;      /* of the jitter; 0 = from the kernel */
    bool is_manual;     /* no threads: the caller turns toc_notifier_pump (simulation) */
    void (*on_event)(void *ctx, const struct toc_notifier_event *e); /* may be NULL */
    void *event_ctx;
    /* Replaces toc_channel_deliver (tests). */
    int (*deliver)(void *ctx, const struct toc_channel *c, const struct toc_notification *n,
                   struct toc_http_client *client, struct toc_delivery *out, struct toc_err *err);
    void *deliver_ctx;
};

/* Starts the dispatcher unless is_manual; pending notifications of earlier runs go out. */
int toc_notifier_start(const struct toc_notifier_options *o, struct toc_notifier **out,
                       struct toc_err *err) TOC_MUST_CHECK;
/* Stops the workers (a running attempt is cancelled and stays pending) and frees. NULL is accepted.
 */
void toc_notifier_stop(struct toc_notifier **n);

/* Takes over one reference of the set; the former set is dropped when no delivery uses it. Any
 * thread. */
void toc_notifier_set_receivers(struct toc_notifier *n, struct toc_receiver_set *take_set);
/* A reference to the current set. */
struct toc_receiver_set *toc_notifier_receivers(struct toc_notifier *n);

/* Commits the notification once per channel of n->receiver and wakes the workers. Durable when it
 * returns 0. The same key again adds nothing. TOC_ENOENT: no such receiver. *out_count (may be
 * NULL): new items. */
int toc_notifier_send(struct toc_notifier *n, const struct toc_notification *what,
                      size_t *out_count, struct toc_err *err) TOC_MUST_CHECK;

/* One result per channel. */
struct toc_notify_result {
    const char *channel; /* borrowed from the receiver */
    bool ok;
    char detail[TOC_DELIVERY_DETAIL_MAX];
};
/* Sends a real test message now, synchronously, past the outbox; fills up to max results (no more
 * channels are tried) and returns how many. Any thread. */
size_t toc_notify_test(const struct toc_receiver *r, struct toc_ts now, struct toc_sv external_url,
                       struct toc_notify_result *out, size_t max);

/* Manual mode: delivers everything that is due, including what becomes due by it. Returns how many
 * attempts were made. */
size_t toc_notifier_pump(struct toc_notifier *n);

/* X(field, metric name, help) – counters per channel kind, for the program's own metrics */
#define TOC_NOTIFIER_COUNTER_TABLE(X)                                                        \
    X(delivered, "tocsin_notifications_total", "Notifications taken by their receiver.")     \
    X(failed_attempts, "tocsin_notification_attempts_failed_total", "Attempts that failed.") \
    X(gave_up, "tocsin_notifications_failed_total", "Notifications that failed for good.")   \
    X(template_errors, "tocsin_notification_template_errors_total",                          \
      "Messages sent in their default form because a template was broken.")

struct toc_notifier_channel_stats {
#define X(field, name, help) uint64_t field;
    TOC_NOTIFIER_COUNTER_TABLE(X)
#undef X
    double latency_sum_s; /* from the commit to the receiver's yes */
    double latency_max_s;
    uint64_t latency_count;
};
struct toc_notifier_stats {
    struct toc_notifier_channel_stats by_kind[TOC_CHANNEL_KIND_COUNT];
    uint64_t unknown_receiver; /* attempts for receivers that are not configured */
    uint64_t store_errors;     /* the state database refused */
    size_t workers;
    size_t in_flight;
};
void toc_notifier_get_stats(struct toc_notifier *n, struct toc_notifier_stats *out);

#endif
