/*
 * Exemplars: samples with a trace id or the like beside a series. Kept in memory and in a file, the
 * newest `max_exemplars` of all series; an older one goes when a new one needs its place.
 */
#ifndef TOC_METRICDB_EXEMPLAR_H
#define TOC_METRICDB_EXEMPLAR_H

#include <stdint.h>

#include "base/error.h"
#include "model/labels.h"
#include "model/querier.h"

struct toc_metricdb;

enum {
    TOC_EXEMPLAR_LABEL_CHARACTERS_MAX = 128
}; /* names and values together, as OpenMetrics says */

struct toc_exemplar {
    struct toc_labels labels;
    int64_t t_ms;
    double value;
};

/* X(enum, reason): why an exemplar was not kept. */
#define TOC_EXEMPLAR_REJECT_TABLE(X)                   \
    X(TOC_EXEMPLAR_KEPT, "kept")                       \
    X(TOC_EXEMPLAR_DUPLICATE, "duplicate")             \
    X(TOC_EXEMPLAR_OUT_OF_ORDER, "out_of_order")       \
    X(TOC_EXEMPLAR_LABELS_TOO_LONG, "labels_too_long") \
    X(TOC_EXEMPLAR_INVALID_LABELS, "invalid_labels")

enum toc_exemplar_verdict {
#define X(name, text) name,
    TOC_EXEMPLAR_REJECT_TABLE(X)
#undef X
};

/* Copies everything. The one that the series had last is a duplicate; time may not fall. */
enum toc_exemplar_verdict toc_metricdb_exemplar_add(struct toc_metricdb *db,
                                                    struct toc_labels series,
                                                    const struct toc_exemplar *exemplar);
/* Writes those added since the last time to disk, so that they survive the end of the process
 * (exemplar_log.h). A failure is logged, tried again by maintenance, and costs nobody else. */
void toc_metricdb_exemplars_save(struct toc_metricdb *db);

/* Exemplars of one series in rising time order, borrowed for the call. Non-zero stops. */
typedef int toc_on_exemplars(void *ctx, struct toc_labels series,
                             const struct toc_exemplar *exemplars, size_t count);
/* The series that match and have exemplars in the range, in label order. */
int toc_metricdb_exemplar_select(struct toc_metricdb *db, const struct toc_select *s,
                                 toc_on_exemplars *fn, void *ctx, struct toc_err *err);
/* Those that were added after the first *io_cursor ones, `max` at most, in the order in which they
 * came; moves the cursor. Returns how many of them are not kept any more. fn is called without a
 * lock. */
typedef void toc_on_exemplar(void *ctx, struct toc_labels series, const struct toc_exemplar *e);
uint64_t toc_metricdb_exemplars_since(struct toc_metricdb *db, uint64_t *io_cursor, size_t max,
                                      toc_on_exemplar *fn, void *ctx);
/* How many were added since start. */
uint64_t toc_metricdb_exemplars_added(struct toc_metricdb *db);
/* How many are kept now. */
size_t toc_metricdb_exemplar_count(struct toc_metricdb *db);

#endif
