/*
 * Receiver of Prometheus remote write, 1.0 and 2.0 (prometheus.io/docs/specs/prw): one message of a
 * sender becomes one write to the store. docs/design/remote-write.md tells what is refused and why.
 * Thread-safe; the requests of several senders share their fsyncs.
 */
#ifndef TOC_REMOTE_REMOTE_WRITE_H
#define TOC_REMOTE_REMOTE_WRITE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "metricdb/metricdb.h"
#include "sys/clock.h"

enum toc_remote_message {
    TOC_REMOTE_WRITE_1, /* prometheus.WriteRequest */
    TOC_REMOTE_WRITE_2, /* io.prometheus.write.v2.Request */
    TOC_REMOTE_MESSAGE_COUNT
};

struct toc_remote_write;

/* `db` and `clock` must outlive it. */
struct toc_remote_write *toc_remote_write_new(struct toc_metricdb *db, struct toc_clock *clock);
/* NULL is accepted. */
void toc_remote_write_free(struct toc_remote_write **rw);

/* What became of a message. */
struct toc_remote_outcome {
    size_t samples, histograms, exemplars; /* stored */
    size_t rejected[TOC_REJECT_REASON_COUNT];
    size_t rejected_exemplars;
    /* A refusal that the sender has to hear of. Message 1.0 passes over series with invalid labels
     * in silence. */
    bool is_partial;
    struct toc_buf text; /* a line for each of the first refusals; the caller's to free */
};

/* Takes one message (not compressed). 0: everything that was not refused is durable. TOC_EPARSE,
 * TOC_ETRUNCATED: no such message; nothing of it was stored. Another code: the store failed and
 * nothing may be taken as stored. is_echo: its sender receives what this server sends, so
 * what is here already ends here (toc_metricdb_write_echo). */
int toc_remote_write_receive(struct toc_remote_write *rw, enum toc_remote_message message,
                             bool is_echo, struct toc_sv body, struct toc_remote_outcome *out,
                             struct toc_err *err) TOC_MUST_CHECK;

/* Since start. */
struct toc_remote_write_stats {
    uint64_t requests[TOC_REMOTE_MESSAGE_COUNT];
    uint64_t samples, histograms, exemplars, failed_requests, bytes;
    uint64_t rejected[TOC_REJECT_REASON_COUNT];
    uint64_t cached_series;
};
void toc_remote_write_stats(struct toc_remote_write *rw, struct toc_remote_write_stats *out);

#endif
