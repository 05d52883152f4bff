/*
 * The cheap tier: every active series has an anomaly bit (detect/anomaly_bit.h), and every instance
 * a rate: the share of its samples that were anomalous. Written every `report` as
 *
 *     tocsin_anomaly_rate{detector="every_series", instance="…"}     and one without instance, of
 * all
 *
 * Nothing is in the way of ingestion: a sweep looks at the newest sample of each series, and a
 * sample that a newer one replaced between two sweeps is not judged. What detectors write is left
 * out. Memory: 88 bytes per series in pages of a thousand, at most max_series of them; the rest is
 * counted. Pure: time comes in; one thread sweeps, the others may read the stats.
 */
#ifndef TOC_RULES_SERIES_WATCH_H
#define TOC_RULES_SERIES_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/time.h"
#include "model/newest.h"
#include "model/sink.h"

struct toc_series_watch;

/* An instance without samples for so long is forgotten. */
#define TOC_SERIES_WATCH_FORGET_MS INT64_C(86400000)
enum { TOC_SERIES_WATCH_STATE_BYTES_MAX = 32 << 20 }; /* kept over a restart */

struct toc_series_watch_options {
    struct toc_newest_source *source;
    struct toc_sink *sink;
    size_t max_series;    /* default 200000 */
    size_t max_instances; /* with a rate of their own; default 5000 */
    int64_t report_ms;    /* default 15 s */
};

struct toc_series_watch *toc_series_watch_new(const struct toc_series_watch_options *o);
void toc_series_watch_free(struct toc_series_watch **w);

/* Judges every series that has a newer sample than at the last sweep; writes the rates when a
 * report is due. The error is that of writing. */
int toc_series_watch_sweep(struct toc_series_watch *w, struct toc_ts now, struct toc_err *err);

/* Appends the states of all series: letters and version, count, per series the hash of its labels
 * and its anomaly bit, CRC-32C. At most TOC_SERIES_WATCH_STATE_BYTES_MAX; what is over is left out.
 * Locks for a page of series at a time. */
void toc_series_watch_encode(struct toc_series_watch *w, struct toc_buf *out);
/* Before the first sweep: each series goes on from there when it is seen again, within an hour of
 * sweeps. TOC_ECORRUPT, TOC_ETRUNCATED, TOC_EVERSION, TOC_ENOMEM; then everything begins anew. */
int toc_series_watch_restore(struct toc_series_watch *w, struct toc_sv bytes) TOC_MUST_CHECK;

/* Series whose newest sample is anomalous, as of the last sweep. Borrowed for the call. Takes as
 * long as a sweep. */
struct toc_anomalous_series {
    uint64_t ref;
    double value, surprise; /* -log10 of the probability */
    int64_t t_ms;
    bool is_above;
};
size_t toc_series_watch_anomalous(struct toc_series_watch *w, struct toc_anomalous_series *out,
                                  size_t max);

/* X(field, type, help) */
#define TOC_SERIES_WATCH_STATS_TABLE(X)                                                  \
    X(series, "gauge", "Series with an anomaly bit.")                                    \
    X(series_unwatched, "gauge", "Series over max_series, without one.")                 \
    X(series_excluded, "gauge", "Series that are not judged: what detectors write.")     \
    X(series_anomalous, "gauge", "Series whose newest sample is anomalous.")             \
    X(instances, "gauge", "Instances with an anomaly rate.")                             \
    X(series_without_rate_total, "counter",                                              \
      "Series of instances over the limit of 5000: they count in the rate of all only.") \
    X(bytes, "gauge", "Memory of the states of all series.")                             \
    X(sweeps_total, "counter", "Times that all series were looked at.")                  \
    X(samples_total, "counter", "Samples judged.")                                       \
    X(samples_skipped_total, "counter",                                                  \
      "Samples without a judgement: first ones, after gaps, "                            \
      "not a number.")                                                                   \
    X(anomalies_total, "counter", "Samples judged anomalous.")                           \
    X(write_failures_total, "counter", "Reports that the store refused.")
struct toc_series_watch_stats {
#define X(field, type, help) uint64_t field;
    TOC_SERIES_WATCH_STATS_TABLE(X)
#undef X
};
struct toc_series_watch_stats toc_series_watch_stats(struct toc_series_watch *w);

#endif
