/*
 * What readers put between two moments at which runs are judged: samples and events in their order,
 * copied, so that they may be judged while the readers go on.
 */
#ifndef TOC_APP_DOCTOR_BATCH_H
#define TOC_APP_DOCTOR_BATCH_H

#include "base/arena.h"
#include "base/vec.h"
#include "model/run.h"
#include "model/sink.h"

struct toc_replay_event {
    struct toc_run_event event; /* its texts are the batch's */
    size_t points;              /* samples of the batch that come before it */
};

struct toc_doctor_batch {
    struct {
        TOC_VEC_FIELDS(struct toc_point)
    } points; /* labels are the receiver's, as long as it knows the run */
    struct {
        TOC_VEC_FIELDS(struct toc_replay_event)
    } events;
    struct toc_arena texts;
    int64_t to_ms; /* all before it has been put; INT64_MIN: not yet known */
};

void toc_doctor_batch_reset(struct toc_doctor_batch *b);
void toc_doctor_batch_fini(struct toc_doctor_batch *b);
void toc_doctor_batch_add_points(struct toc_doctor_batch *b, const struct toc_point *points,
                                 size_t count);
/* 0 or TOC_ENOMEM. */
int toc_doctor_batch_add_event(struct toc_doctor_batch *b,
                               const struct toc_run_event *e) TOC_MUST_CHECK;

#endif
