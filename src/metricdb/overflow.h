/*
 * What found no room: samples refused because of a limit on series or labels, counted by who sent
 * them (job, instance) and by reason. The rows become the series tocsin_overflow_samples_total, so
 * that what is missing is seen where it is looked for. A fixed number of rows; who comes later is
 * counted under one row for all the rest. Thread-safe; touched on refusal only.
 */
#ifndef TOC_METRICDB_OVERFLOW_H
#define TOC_METRICDB_OVERFLOW_H

#include <stdint.h>

#include "model/labels.h"
#include "model/sink.h"
#include "sys/thread.h"

enum { TOC_OVERFLOW_ROWS = 256, TOC_OVERFLOW_TEXT_MAX = 96 };

struct toc_overflow_row {
    uint64_t key;                                                     /* 0: free */
    char job[TOC_OVERFLOW_TEXT_MAX], instance[TOC_OVERFLOW_TEXT_MAX]; /* cut when longer */
    enum toc_reject_reason reason;
    uint64_t samples;
};

struct toc_overflow {
    struct toc_mutex mutex;
    size_t count;
    struct toc_overflow_row rows[TOC_OVERFLOW_ROWS]; /* the last for those without one */
};

void toc_overflow_init(struct toc_overflow *o);
void toc_overflow_fini(struct toc_overflow *o);
void toc_overflow_add(struct toc_overflow *o, struct toc_labels labels,
                      enum toc_reject_reason reason);
/* Copies the rows; returns how many. */
size_t toc_overflow_list(struct toc_overflow *o, struct toc_overflow_row out[TOC_OVERFLOW_ROWS]);

#endif
