/*
 * How samples are read: the interface between whoever stores series (metricdb, a remote engine, a
 * test) and whoever computes with them (promql, detect, diagnose, rules, api).
 *
 * `select` hands over one decoded series at a time, so that an aggregation over many series never
 * holds them all. Nothing it passes outlives the callback.
 */
#ifndef TOC_MODEL_QUERIER_H
#define TOC_MODEL_QUERIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/rollup.h"
#include "model/series_buffer.h"

struct toc_histogram; /* model/histogram.h */

/* One series and its samples in rising time order, columnar. */
struct toc_series_view {
    struct toc_labels labels;
    const int64_t *t_ms;
    const double *values;                          /* 0 where histograms[i] is set */
    const struct toc_histogram *const *histograms; /* NULL when the series holds floats only */
    const int64_t *start_ms;                       /* start timestamps; NULL when unknown */
    size_t count;
    /* Instead of samples (t_ms and values are NULL, count is 0); only to whoever takes them. */
    const struct toc_rollup *rollups;
    size_t rollup_count;
    int64_t resolution_ms; /* of the roll-ups */
    /* The samples of a part are gone: the last one of each bucket stands in for them. */
    bool is_thinned;
};

/* What the reader can do with roll-ups (model/rollup.h) of samples that are gone. */
enum toc_rollup_use {
    TOC_ROLLUP_NONE,    /* samples only: what is gone is not there */
    TOC_ROLLUP_LAST,    /* the last sample of each bucket stands in (is_thinned) */
    TOC_ROLLUP_BUCKETS, /* it computes from buckets */
};

struct toc_select {
    const struct toc_matcher *matchers;
    size_t matcher_count;
    int64_t min_ms;   /* inclusive */
    int64_t max_ms;   /* inclusive */
    bool sorted;      /* series in label order */
    bool labels_only; /* samples are not needed: count may be 0 */
    enum toc_rollup_use rollups;
    /* With TOC_ROLLUP_BUCKETS: buckets of a resolution that divides it give the very result, so
     * they may be handed over instead of samples that are still there, too. 0: none does. */
    int64_t aligned_ms;
};

/* Non-zero stops the selection and is returned by it. */
typedef int toc_on_series(void *ctx, const struct toc_series_view *series);
typedef int toc_on_string(void *ctx, struct toc_sv value);

/* Room that `labels` of a series set needs. */
enum { TOC_SERIES_LABELS_MAX = 1024 };

/* A frozen selection: its series can be read one by one, in any order, by several threads at once
 * (one buffer each). */
struct toc_series_set {
    size_t count; /* series whose labels match; one may turn out to have no sample */
    /* Labels of series i; pairs go to `items` (room for TOC_SERIES_LABELS_MAX) or are borrowed;
     * valid until close. */
    struct toc_labels (*labels)(struct toc_series_set *set, size_t i, struct toc_label *items);
    /* Samples of series i in [min_ms, max_ms], rising, staleness markers included; the view borrows
     * from the buffer and from the set. */
    int (*read)(struct toc_series_set *set, size_t i, int64_t min_ms, int64_t max_ms,
                struct toc_series_buffer *buffer, struct toc_series_view *out_view,
                struct toc_err *err);
    void (*close)(struct toc_series_set **set);
};

struct toc_querier {
    /* Series that match and have a sample in [min_ms, max_ms]. */
    int (*select)(struct toc_querier *q, const struct toc_select *s, toc_on_series *fn, void *ctx,
                  struct toc_err *err);
    /* Distinct label names / values of the matching series, sorted. Of the range only what it
     * excludes cheaply is left out: a series without a sample in it may be among them. */
    int (*label_names)(struct toc_querier *q, const struct toc_select *s, toc_on_string *fn,
                       void *ctx, struct toc_err *err);
    int (*label_values)(struct toc_querier *q, struct toc_sv name, const struct toc_select *s,
                        toc_on_string *fn, void *ctx, struct toc_err *err);
    /* May be NULL. The range of the toc_select is the widest that read will ask for. */
    int (*open)(struct toc_querier *q, const struct toc_select *s, struct toc_series_set **out,
                struct toc_err *err);
};

/* The querier's own `open`, or, where it has none, everything that `select` gives, copied. The set
 * ends with set->close(&set). */
int toc_querier_open(struct toc_querier *q, const struct toc_select *s, struct toc_series_set **out,
                     struct toc_err *err) TOC_MUST_CHECK;

#endif
