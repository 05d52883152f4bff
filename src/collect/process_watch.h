/*
 * Watches the processes of training runs on this machine: ranks that told `host` (ours) and `pid`.
 * When one ends without having said so, its run is told by an event `exit`: exit code or signal
 * where the kernel gives it away, whether the kernel killed it for memory, and otherwise that it
 * disappeared without goodbye. One thread at a time.
 */
#ifndef TOC_COLLECT_PROCESS_WATCH_H
#define TOC_COLLECT_PROCESS_WATCH_H

#include "collect/run_receiver.h"
#include "sys/vfs.h"

struct toc_process_watch_options {
    struct toc_run_receiver *receiver;
    const char *host;    /* what ranks of this machine call it; borrowed */
    struct toc_vfs *vfs; /* NULL: the system's */
    const char *root;    /* of /proc and /sys; NULL: the machine's own */
    size_t max;          /* processes, 0: 1024; more are counted and left alone */
};

struct toc_process_watch; /* opaque */
struct toc_process_watch *toc_process_watch_new(const struct toc_process_watch_options *o);
void toc_process_watch_free(struct toc_process_watch **w);

/* Looks for processes to watch and for those that ended; meant to run once a second. A process is
 * reported at the poll after the one that saw its end, so that its own last words come first. */
int toc_process_watch_poll(struct toc_process_watch *w, struct toc_ts now,
                           struct toc_err *err) TOC_MUST_CHECK;

/* X(member, what it counts) */
#define TOC_PROCESS_WATCH_COUNTERS(X)                        \
    X(watched, "processes of training runs under watch now") \
    X(ended, "processes whose end was told to their run")    \
    X(over_limit, "processes left alone for want of room")

struct toc_process_watch_counters {
#define X(member, what) uint64_t member;
    TOC_PROCESS_WATCH_COUNTERS(X)
#undef X
};
/* Any thread. */
struct toc_process_watch_counters toc_process_watch_counters(const struct toc_process_watch *w);

#endif
