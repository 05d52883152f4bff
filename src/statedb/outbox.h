/*
 * The durable outbox: a notification is written here before it is tried, and every attempt is
 * recorded. At least once: an item stays due until an attempt succeeded or failed for good. Items
 * of one order_key leave in the order in which they were added: only the oldest unfinished one is
 * due.
 */
#ifndef TOC_STATEDB_OUTBOX_H
#define TOC_STATEDB_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "statedb/statedb.h"

/* X(enum, text as in the API) */
#define TOC_OUTBOX_STATE_TABLE(X)        \
    X(TOC_OUTBOX_PENDING, "pending")     \
    X(TOC_OUTBOX_DELIVERED, "delivered") \
    X(TOC_OUTBOX_FAILED, "failed")

enum toc_outbox_state {
#define X(name, text) name,
    TOC_OUTBOX_STATE_TABLE(X)
#undef X
};
const char *toc_outbox_state_text(enum toc_outbox_state state);

struct toc_outbox_new {
    struct toc_sv idempotency_key; /* unique; the same key again adds nothing */
    struct toc_sv receiver;
    struct toc_sv channel;
    struct toc_sv incident_id; /* may be empty */
    struct toc_sv order_key;   /* items with the same key leave in order */
    struct toc_sv subject;     /* one line for the ledger */
    struct toc_sv payload;     /* bytes that only notify understands */
};

/* Durable when it returns 0. *out_id is the item's id; *out_is_new (may be NULL) is false when the
 * key was known already. TOC_EINVAL without key, receiver, channel or order_key. */
int toc_outbox_add(struct toc_statedb *db, const struct toc_outbox_new *item, struct toc_ts now,
                   int64_t *out_id, bool *out_is_new, struct toc_err *err) TOC_MUST_CHECK;

struct toc_outbox_item {
    int64_t id;
    struct toc_sv idempotency_key, receiver, channel, incident_id, order_key, subject, payload;
    enum toc_outbox_state state;
    int64_t attempt_count;
    struct toc_ts created_at, next_at, delivered_at; /* delivered_at 0 when not */
};
/* Everything is borrowed for the call. Non-zero stops and is returned. The callback may write to
 * the database but must not start another reading callback inside. */
typedef int toc_on_outbox_item(void *ctx, const struct toc_outbox_item *item);

/* Pending items whose time has come, oldest first, at most `limit` (0 = 100). */
int toc_outbox_due(struct toc_statedb *db, struct toc_ts now, size_t limit, toc_on_outbox_item *fn,
                   void *ctx, struct toc_err *err) TOC_MUST_CHECK;
/* Earliest next_at of a pending item that may go out; 0 when nothing is pending. */
int toc_outbox_next_due(struct toc_statedb *db, struct toc_ts *out,
                        struct toc_err *err) TOC_MUST_CHECK;

struct toc_outbox_attempt {
    struct toc_ts at;
    bool ok;
    bool is_permanent; /* of a failure: do not try again */
    struct toc_sv detail;
    struct toc_ts next_at; /* of a failure that is not permanent */
};
/* Records the attempt and moves the item (delivered, failed, or pending until next_at) in one
 * transaction. TOC_ENOENT, TOC_ECONFLICT when it is finished already. */
int toc_outbox_attempted(struct toc_statedb *db, int64_t id, const struct toc_outbox_attempt *a,
                         struct toc_err *err) TOC_MUST_CHECK;

struct toc_outbox_filter {
    struct toc_sv incident_id; /* empty = any */
    struct toc_sv receiver;    /* empty = any */
    bool has_state;
    enum toc_outbox_state state;
    size_t limit; /* 0 = 100, at most 10 000 */
};
typedef int toc_on_delivery(void *ctx, const struct toc_outbox_item *item,
                            const struct toc_outbox_attempt *attempts, size_t count);
/* The ledger, newest first, payload left empty; at most 100 latest attempts per item, oldest first.
 */
int toc_outbox_list(struct toc_statedb *db, const struct toc_outbox_filter *f, toc_on_delivery *fn,
                    void *ctx, struct toc_err *err) TOC_MUST_CHECK;

/* Pending and failed items per receiver. */
int toc_outbox_pending(struct toc_statedb *db,
                       int (*fn)(void *ctx, struct toc_sv receiver, uint64_t pending,
                                 uint64_t failed),
                       void *ctx, struct toc_err *err) TOC_MUST_CHECK;
/* Forgets items that were finished before `before`, with their attempts. */
int toc_outbox_prune(struct toc_statedb *db, struct toc_ts before, uint64_t *out_removed,
                     struct toc_err *err) TOC_MUST_CHECK;

#endif
