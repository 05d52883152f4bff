/*
 * Reports on their way from a feed to the receiver of runs and the store. What a store refused
 * stays in the queue and is sent again; a line that is bad is left out alone. One thread.
 */
#ifndef TOC_COLLECT_REPORT_QUEUE_PRIV_H
#define TOC_COLLECT_REPORT_QUEUE_PRIV_H

#include "base/buf.h"
#include "base/vec.h"
#include "collect/run_line_priv.h"
#include "collect/run_receiver.h"
#include "collect/run_report.h"

struct toc_report_queue {
    struct toc_report_taker taker; /* for the feed */
    struct toc_run_receiver *receiver;
    struct toc_sink *sink; /* of servers' numbers */
    char run[TOC_RUN_NAME_MAX_BYTES + 1];
    struct toc_buf lines;
    size_t sent; /* bytes of them */
    struct {
        TOC_VEC_FIELDS(struct toc_point)
    } points; /* labels owned */
    uint64_t lines_skipped, samples_refused;
    char last_error[256]; /* "" when no line was left out */
};

void toc_report_queue_init(struct toc_report_queue *q, struct toc_run_receiver *receiver,
                           struct toc_sink *sink);
void toc_report_queue_fini(struct toc_report_queue *q);
bool toc_report_queue_is_empty(const struct toc_report_queue *q);
/* Whose reports come next; the queue is empty. */
void toc_report_queue_begin(struct toc_report_queue *q, struct toc_sv run);
/* TOC_E… of the store: what was not taken is still there. */
int toc_report_queue_send(struct toc_report_queue *q, struct toc_ts now,
                          struct toc_err *err) TOC_MUST_CHECK;

#endif
