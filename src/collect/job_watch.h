/*
 * Follows jobs of schedulers from one list to the next: writes their state as series (train_job_*),
 * and tells the runs that belong to them by an event `job` how a job ended, why, and when it is
 * held and goes on. A job belongs to a run whose ranks told its identity (labels `slurm_job_id`,
 * `pod`; the control group of their process; for pods also their host name).
 *
 * One thread at a time.
 */
#ifndef TOC_COLLECT_JOB_WATCH_H
#define TOC_COLLECT_JOB_WATCH_H

#include "collect/job.h"
#include "collect/run_receiver.h"

/* X(enum, label, what people call it, what one of its jobs is) */
#define TOC_SCHEDULER_TABLE(X)                   \
    X(TOC_SCHEDULER_SLURM, "slurm", "Slurm job") \
    X(TOC_SCHEDULER_KUBERNETES, "kubernetes", "pod")

enum toc_scheduler {
#define X(name, label, noun) name,
    TOC_SCHEDULER_TABLE(X)
#undef X
        TOC_SCHEDULER_COUNT
};
const char *toc_scheduler_text(enum toc_scheduler s);

enum { TOC_JOB_SOURCES_MAX = 16 };

struct toc_job_watch; /* opaque */
struct toc_job_watch *toc_job_watch_new(struct toc_run_receiver *runs, struct toc_sink *sink);
void toc_job_watch_free(struct toc_job_watch **w);

/* All jobs of source number `source` (below TOC_JOB_SOURCES_MAX). A job that was there before and
 * is not any more has vanished. An error of the store or of the receiver comes with what was not
 * told; the next list tells it again. */
int toc_job_watch_take(struct toc_job_watch *w, unsigned source, enum toc_scheduler s,
                       const struct toc_jobs *jobs, struct toc_ts now,
                       struct toc_err *err) TOC_MUST_CHECK;
/* The source could not be asked: its series stay as they are, and it is said to be down. */
int toc_job_watch_fail(struct toc_job_watch *w, unsigned source, enum toc_scheduler s,
                       struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

/* X(member, what it counts) */
#define TOC_JOB_WATCH_COUNTERS(X)                                  \
    X(lists, "lists of jobs taken")                                \
    X(failures, "attempts to get one that failed")                 \
    X(left_out, "jobs left out: over the limit, or without an id") \
    X(events, "ends, holds and continuations of jobs told to their run")

struct toc_job_watch_counters {
#define X(member, what) uint64_t member;
    TOC_JOB_WATCH_COUNTERS(X)
#undef X
};
/* Any thread. */
struct toc_job_watch_counters toc_job_watch_counters(const struct toc_job_watch *w);

#endif
