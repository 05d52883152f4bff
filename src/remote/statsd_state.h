/*
 * What StatsD clients sent, summed up: counters since their first packet, the last value of gauges,
 * observations as native histograms, the members of sets. A flush writes a sample for each series;
 * a series without packets for `ttl` is ended by a staleness marker and forgotten. One thread,
 * apart from the stats.
 */
#ifndef TOC_REMOTE_STATSD_STATE_H
#define TOC_REMOTE_STATSD_STATE_H

#include <stdint.h>

#include "base/error.h"
#include "codec/statsd.h"
#include "model/sink.h"
#include "sys/clock.h"

enum {
    TOC_STATSD_LINE_MAX = 8192,
    TOC_STATSD_SET_MEMBERS_MAX = 100000, /* of all sets between two flushes */
};

struct toc_statsd_limits {
    size_t max_series; /* 0: 100,000 */
    int64_t ttl_ms;    /* 0: 5 minutes */
};

struct toc_statsd;
/* Sink and clock must outlive it. */
struct toc_statsd *toc_statsd_new(const struct toc_statsd_limits *limits, struct toc_sink *sink,
                                  struct toc_clock *clock);
/* NULL is accepted. What was not flushed is gone. */
void toc_statsd_free(struct toc_statsd **s);

/* The lines of a packet. */
void toc_statsd_take(struct toc_statsd *s, struct toc_sv packet);
/* A line that came in too many bytes. */
void toc_statsd_count_too_long(struct toc_statsd *s);
/* Writes a sample for each series at the clock's time. With an error nothing is lost but the
 * members of sets: the next flush writes the sums. */
int toc_statsd_flush(struct toc_statsd *s, struct toc_err *err) TOC_MUST_CHECK;

/* Since start, and the series there are now. Any thread. */
struct toc_statsd_stats {
    uint64_t packets, lines, values[TOC_STATSD_TYPE_COUNT], refused[TOC_STATSD_FAULT_COUNT];
    uint64_t series, expired, flushes, failed_flushes, samples;
    uint64_t rejected[TOC_REJECT_REASON_COUNT];
};
void toc_statsd_stats(struct toc_statsd *s, struct toc_statsd_stats *out);

#endif
