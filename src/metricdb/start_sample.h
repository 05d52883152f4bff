/*
 * Start timestamps: when a counter, histogram or summary began to count. With
 * `storage.start_timestamps: zero_sample` a series that began anew gets a sample of zero at that
 * time, so that increase() and rate() see the reset where it was, and the first increment. Every
 * way in that knows start timestamps fills a list beside its samples and has it written first; what
 * is written is decided here and nowhere else:
 *
 *   known               the series has a sample at the start or after it: nothing to do
 *   not_before_sample   the start is not earlier than the sample that tells it
 *   in_future           the start lies ahead of the clock by more than samples may
 *   too_old             the start lies in what is in blocks already, or more than half a block
 *                       window (one hour) in the past
 *   not_stored          the store refused the zero: the log cannot be written
 *   written             else
 *
 * A start that is known is not judged further: long-lived series repeat theirs with every sample.
 */
#ifndef TOC_METRICDB_START_SAMPLE_H
#define TOC_METRICDB_START_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "model/histogram.h"

struct toc_metricdb;

/* X(ENUM, text) */
#define TOC_START_VERDICT_TABLE(X)                      \
    X(TOC_START_WRITTEN, "written")                     \
    X(TOC_START_KNOWN, "known")                         \
    X(TOC_START_NOT_BEFORE_SAMPLE, "not_before_sample") \
    X(TOC_START_IN_FUTURE, "in_future")                 \
    X(TOC_START_TOO_OLD, "too_old")                     \
    X(TOC_START_NOT_STORED, "not_stored")

enum toc_start_verdict {
#define X(name, text) name,
    TOC_START_VERDICT_TABLE(X)
#undef X
        TOC_START_VERDICT_COUNT
};
const char *toc_start_verdict_text(enum toc_start_verdict v);

struct toc_start_bounds {
    int64_t floor_ms, ceiling_ms; /* a start is taken when floor < start <= ceiling */
};
/* last_ms: the newest sample that the series has before this one; INT64_MIN: none. */
enum toc_start_verdict toc_start_judge(int64_t start_ms, int64_t t_ms, int64_t last_ms,
                                       const struct toc_start_bounds *bounds);

/* A sample on its way into the store. */
struct toc_start {
    uint64_t ref;
    int64_t start_ms; /* 0: not told */
    int64_t t_ms;
    const struct toc_histogram *histogram; /* NULL: a float */
    uint32_t origin;                       /* for toc_starts_resolver */
    uint32_t place;                        /* in the list */
};

struct toc_starts {
    TOC_VEC_FIELDS(struct toc_start)
};

/* Shall start timestamps be told at all? Never changes while the database is open. */
bool toc_metricdb_wants_starts(const struct toc_metricdb *db);

/* To be called for every sample of a series that may have a start, also for one without: what comes
 * before in the same list counts as the series' last sample. Gauge histograms and stale ones have
 * no start. The histogram is borrowed until the list is written. */
void toc_starts_add(struct toc_starts *s, uint64_t ref, int64_t start_ms, int64_t t_ms,
                    const struct toc_histogram *histogram, uint32_t origin);
void toc_starts_fini(struct toc_starts *s);

/* A new reference for a series that the store has forgotten; 0: it is not taken any more. */
typedef uint64_t toc_starts_resolver(void *owner, uint32_t origin);

/* Writes the zeros that are due and empties the list; to be called before the samples themselves
 * are written, whose acknowledgement stands for the zeros, too. A failure is counted, no more: the
 * samples will meet it as well. */
void toc_starts_write(struct toc_starts *s, struct toc_metricdb *db, toc_starts_resolver *resolve,
                      void *owner);

#endif
