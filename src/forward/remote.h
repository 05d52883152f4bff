/*
 * One receiver: a thread that reads along with the log, keeps a bounded queue and sends. However
 * slow the receiver is, nobody else waits for it.
 */
#ifndef TOC_FORWARD_REMOTE_H
#define TOC_FORWARD_REMOTE_H

#include "forward/config.h"
#include "forward/queue.h"
#include "remote/remote_path.h"
#include "sys/clock.h"

struct toc_forward_remote;

struct toc_forward_remote_options {
    struct toc_metricdb *db;
    struct toc_clock *clock;
    struct toc_vfs *vfs;
    const char *dir;              /* of the positions; copied */
    struct toc_remote_path *path; /* told to the receiver; may be NULL */
    struct toc_forward_set *set;  /* a reference is taken */
    const struct toc_forward_config *config;
};

/* Begins where its position stands; without one at the end of the log as it is now, and that is
 * written down at once. An error: no position can be kept. */
int toc_forward_remote_start(const struct toc_forward_remote_options *o,
                             struct toc_forward_remote **out, struct toc_err *err) TOC_MUST_CHECK;
/* Requests under way get a moment to end; keeps the position. NULL is accepted. */
void toc_forward_remote_stop(struct toc_forward_remote **r);
const struct toc_forward_config *toc_forward_remote_config(const struct toc_forward_remote *r);
/* Segments of the log below `number` will not be there much longer: what was not read of them is
 * counted as dropped for this reason. */
void toc_forward_remote_set_floor(struct toc_forward_remote *r, uint64_t number,
                                  enum toc_forward_drop reason);

/* Since its start, but for what says "now". */
struct toc_forward_stats {
    char name[256];
    uint64_t read;                                                 /* samples met in the log */
    uint64_t sent, sent_histograms, sent_exemplars, sent_metadata; /* taken by the receiver */
    uint64_t sent_bytes; /* compressed, of every attempt */
    uint64_t requests, failed_requests;
    uint64_t retried; /* samples that had to be sent again */
    uint64_t dropped[TOC_FORWARD_DROP_COUNT];
    uint64_t dropped_exemplars, failed_metadata;
    uint64_t lost_records; /* of the log: damaged or gone */
    uint64_t position_failures;
    double request_seconds;
    size_t shards, wanted_shards, min_shards, max_shards; /* now */
    uint64_t pending;                                     /* samples in memory, now */
    uint64_t behind_bytes, behind_samples;  /* in the log, now; the samples are estimated */
    int64_t behind_ms;                      /* age of the oldest that is not delivered, now */
    int64_t newest_read_ms, newest_sent_ms; /* times of samples; 0: none yet */
    struct toc_log_position saved;          /* what a restart goes on from */
    uint64_t read_segment;                  /* the reader is in it */
    bool is_older_message;                  /* 2.0 was not understood: 1.0 is sent */
    bool is_failing;                        /* the last request, or reading the log */
    char problem[256];                      /* of then */
};
void toc_forward_remote_stats(struct toc_forward_remote *r, struct toc_forward_stats *out);

#endif
