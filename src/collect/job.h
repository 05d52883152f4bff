/*
 * What schedulers say about jobs, as one list: `squeue --states=all --json` of Slurm and the pods
 * of Kubernetes. Pure functions from bytes; whoever asks and whoever judges is elsewhere.
 */
#ifndef TOC_COLLECT_JOB_H
#define TOC_COLLECT_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/time.h"
#include "base/vec.h"
#include "model/job.h"

enum { TOC_JOBS_MAX = 10000 /* of one source; further ones are counted */ };

/* How one life of a job ended. */
struct toc_job_end {
    enum toc_job_state state; /* TOC_JOB_STATE_COUNT: not known */
    bool has_exit;
    int64_t exit_code, signal;
    int64_t at_ms;        /* 0: not told */
    struct toc_sv reason; /* in the scheduler's words; may be empty */
};

/* Texts live in the arena or are constants. */
struct toc_job {
    struct toc_sv id;     /* Slurm: job id; Kubernetes: namespace/pod */
    struct toc_sv uid;    /* of the pod; "" for Slurm */
    struct toc_sv name;   /* of the job; a pod that belongs to none has its own */
    struct toc_sv user;   /* Slurm */
    struct toc_sv place;  /* partition; namespace */
    struct toc_sv nodes;  /* as the scheduler writes them; "" while it waits */
    struct toc_sv reason; /* why it waits */
    enum toc_job_state state;
    struct toc_job_end end;  /* of the present life, when it is over or about to be */
    struct toc_job_end last; /* of the life before */
    int64_t restarts;
    int64_t started_ms, deadline_ms; /* 0: not told */
};

struct toc_jobs {
    TOC_VEC_FIELDS(struct toc_job)
    uint64_t left_out; /* beyond TOC_JOBS_MAX, or without an id */
};

/* Appends the jobs of `squeue --json` (21.08 and later). TOC_EPARSE, TOC_EUNAVAILABLE with Slurm's
 * own words, TOC_ELIMIT. */
int toc_jobs_of_slurm(struct toc_sv text, struct toc_arena *a, struct toc_jobs *out,
                      struct toc_err *err) TOC_MUST_CHECK;
/* Appends the pods of one page of a PodList; *out_continue gets the token of the next one, empty
 * on the last. */
int toc_jobs_of_kubernetes(struct toc_sv page, struct toc_arena *a, struct toc_jobs *out,
                           struct toc_buf *out_continue, struct toc_err *err) TOC_MUST_CHECK;

#endif
