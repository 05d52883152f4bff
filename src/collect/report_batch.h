/* Reports kept until they are put into the receiver together; what they borrow from their feed
 * stays borrowed. */
#ifndef TOC_COLLECT_REPORT_BATCH_H
#define TOC_COLLECT_REPORT_BATCH_H

#include "base/arena.h"
#include "base/vec.h"
#include "collect/run_report.h"

/* A report, and where its numbers begin in the batch: values, scalars, statistics of its layers. */
struct toc_report_entry {
    struct toc_run_report report;
    size_t numbers, layers;
};

struct toc_report_batch {
    struct {
        TOC_VEC_FIELDS(struct toc_report_entry)
    } entries;
    struct {
        TOC_VEC_FIELDS(struct toc_report_value)
    } numbers;
    struct {
        TOC_VEC_FIELDS(struct toc_report_layer)
    } layers;
    struct toc_arena texts;
};

void toc_report_batch_fini(struct toc_report_batch *b);
void toc_report_batch_reset(struct toc_report_batch *b);
void toc_report_batch_add(struct toc_report_batch *b, const struct toc_run_report *report);
/* Valid until another one is added. */
struct toc_run_report toc_report_batch_at(struct toc_report_batch *b, size_t i);

#endif
