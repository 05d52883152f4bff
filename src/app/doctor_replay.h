/*
 * Recorded runs, judged: what readers of files put into the run receiver is dealt out to one
 * patient per run, and their clocks follow. With more than one thread, one of them deals out and
 * judges while the readers go on; what it does is the same and in the same order.
 */
#ifndef TOC_APP_DOCTOR_REPLAY_H
#define TOC_APP_DOCTOR_REPLAY_H

#include "app/doctor_batch.h"
#include "app/doctor_lane.h"
#include "app/doctor_patient.h"
#include "base/executor.h"

enum { TOC_REPLAY_RUNS_MAX = 256, TOC_REPLAY_BATCHES = 4 };

struct toc_replay_options {
    struct toc_sv run; /* only this one; empty: all */
    struct toc_doctor_limits limits;
    int64_t now_ms, since_ms, until_ms;
    bool is_thorough;
    struct toc_executor *executor; /* with more than one worker readers and judges work at once;
                                      NULL: one thread */
};

struct toc_replay {
    struct toc_replay_options o;
    struct toc_sink sink;
    struct toc_run_listener listener;
    struct toc_run_receiver *receiver;
    struct toc_doctor_batch batches[TOC_REPLAY_BATCHES];
    struct toc_doctor_batch *open; /* that is being filled; NULL: none */
    struct toc_lane *lane;
    struct toc_err err; /* what the lane failed with */
    int put_error;      /* of an event that could not be kept */
    /* The lane's from here on, until it is drained. */
    struct {
        TOC_VEC_FIELDS(struct toc_patient *)
    } patients;               /* by first appearance */
    struct toc_map by_name;   /* struct toc_patient * */
    struct toc_map by_labels; /* address of a series' labels → struct toc_replay_place * */
    struct toc_replay_place *latest_place; /* of the last point; NULL: none */
    struct toc_log_hits *hits; /* of logs, in order of time; owned; NULL: no log was read */
    size_t hits_given;
    bool is_one_run;               /* all files of reports are of one run */
    uint64_t runs_dropped_samples; /* of runs beyond TOC_REPLAY_RUNS_MAX */
    int error;                     /* of a patient that could not be made */
};

int toc_replay_new(const struct toc_replay_options *o, struct toc_replay **out) TOC_MUST_CHECK;
void toc_replay_free(struct toc_replay **r);

/* Readers have put everything before to_ms. */
int toc_replay_advance(struct toc_replay *r, int64_t to_ms, struct toc_err *err) TOC_MUST_CHECK;
/* Waits until all that was put is dealt out, so that patients may be looked at. */
int toc_replay_settle(struct toc_replay *r, struct toc_err *err) TOC_MUST_CHECK;
/* Readers have put everything. written_ms: latest change of a run's files. */
typedef int64_t toc_replay_written(void *ctx, struct toc_sv run);
int toc_replay_finish(struct toc_replay *r, toc_replay_written *written_ms, void *ctx,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
