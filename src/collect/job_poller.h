/*
 * Asks schedulers for their jobs on a thread of its own: `squeue --states=all --json` of Slurm, the
 * pods of Kubernetes. What comes goes to collect/job_watch.h. A scheduler that hangs or is gone
 * costs its time limit on this thread, nothing else.
 */
#ifndef TOC_COLLECT_JOB_POLLER_H
#define TOC_COLLECT_JOB_POLLER_H

#include "collect/config_part.h"
#include "collect/job_watch.h"
#include "sys/clock.h"

struct toc_job_source {
    enum toc_scheduler scheduler;
    struct toc_sv where;  /* for people */
    struct toc_sv squeue; /* Slurm: a name to be looked for in PATH, or a path */
    int64_t timeout_ms;
    const void *kubernetes; /* settings as kubernetes_sd_configs has them */
};

struct toc_job_poller_options {
    struct toc_job_source sources[TOC_JOB_SOURCES_MAX];
    size_t count; /* 0: off */
    int64_t interval_ms;
};

/* Reads the lists `slurm` and `kubernetes`; either may be NULL. Texts live in the reader's arena.
 */
int toc_job_sources_read(const struct toc_yaml *slurm, const struct toc_yaml *kubernetes,
                         const struct toc_config_reader *r,
                         struct toc_job_poller_options *out) TOC_MUST_CHECK;

struct toc_job_poller; /* opaque */
int toc_job_poller_start(const struct toc_job_poller_options *o, struct toc_run_receiver *runs,
                         struct toc_sink *sink, struct toc_clock *clock,
                         struct toc_job_poller **out, struct toc_err *err) TOC_MUST_CHECK;
/* Ends a program or request under way. */
void toc_job_poller_stop(struct toc_job_poller **s);
/* Zeros for NULL. Any thread. */
struct toc_job_watch_counters toc_job_poller_counters(const struct toc_job_poller *s);

#endif
