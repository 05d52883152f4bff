/*
 * Sums of delta points: what makes a cumulative series of senders that tell differences only. The
 * state is in memory and bounded; a series that is idle for too long is forgotten, one that comes
 * again begins anew (PromQL sees a counter reset).
 *
 * A message is one transaction: between begin and end the caller holds the lock, and either all
 * that the message added stays or nothing does, so that a sender may send a message that the store
 * refused once more. A point that is not newer than the last one of its series is refused: it was
 * counted already, or it is out of order.
 */
#ifndef TOC_REMOTE_OTLP_DELTA_H
#define TOC_REMOTE_OTLP_DELTA_H

#include <stdint.h>

#include "base/hash.h"
#include "base/time.h"
#include "remote/otlp_message.h"

struct otlp_delta;

struct otlp_delta *otlp_delta_new(void);
/* NULL is accepted. */
void otlp_delta_free(struct otlp_delta **d);

struct otlp_delta_limits {
    size_t max_series, max_bytes;
    int64_t max_idle_ms;
};
/* Takes the lock and forgets what is idle. */
void otlp_delta_begin(struct otlp_delta *d, const struct otlp_delta_limits *limits,
                      struct toc_mono now);
/* Keeps or undoes what was added since begin and gives the lock back. */
void otlp_delta_end(struct otlp_delta *d, bool is_kept);

enum otlp_delta_verdict {
    OTLP_DELTA_ADDED,
    OTLP_DELTA_OUT_OF_ORDER, /* not newer than the last */
    OTLP_DELTA_FULL,         /* a new series, and there is no room */
    OTLP_DELTA_INVALID,      /* buckets that cannot be added */
};
/* Adds the point to the series `key`; on success value and distribution of *io become the sums.
 * The distribution belongs to the state and lives until end. */
enum otlp_delta_verdict otlp_delta_add(struct otlp_delta *d, struct toc_hash128 key,
                                       enum otlp_kind kind, struct otlp_point *io);

struct otlp_delta_stats {
    uint64_t series, bytes; /* now */
    uint64_t evicted;       /* since start */
};
void otlp_delta_stats(struct otlp_delta *d, struct otlp_delta_stats *out);

#endif
