/*
 * Follows files that training jobs append to (*.jsonl, *.csv in watched folders) and feeds their
 * lines to the run receiver. A line is taken once its newline is there; a file that became shorter
 * or has another inode is read from its start; a renamed file goes on where it was. One thread at a
 * time.
 */
#ifndef TOC_COLLECT_RUN_TAIL_H
#define TOC_COLLECT_RUN_TAIL_H

#include "collect/run_receiver.h"
#include "sys/vfs.h"

struct toc_run_tail_options {
    struct toc_vfs *vfs; /* NULL: the system's */
    struct toc_run_receiver *receiver;
    const char *const *dirs; /* copied; one that does not exist is looked for again at each poll */
    size_t dir_count;
    size_t max_files; /* 0: 256; more are counted and left alone */
};

struct toc_run_tail; /* opaque */
struct toc_run_tail *toc_run_tail_new(const struct toc_run_tail_options *o);
void toc_run_tail_free(struct toc_run_tail **t);

/* Looks for new lines; meant to run once a second. Reads at most 4 MiB per file and call. TOC_E…
 * of the store when it refused: nothing is lost, the next poll tries again. */
int toc_run_tail_poll(struct toc_run_tail *t, struct toc_ts now,
                      struct toc_err *err) TOC_MUST_CHECK;

struct toc_run_tail_counters {
    uint64_t files, lines_skipped, files_over_limit;
    char last_error[256]; /* "" when no line was skipped */
};
struct toc_run_tail_counters toc_run_tail_counters(const struct toc_run_tail *t);

/* Offsets as bytes for the state store, and back before the first poll (TOC_ECORRUPT changes
 * nothing). */
void toc_run_tail_save(const struct toc_run_tail *t, struct toc_buf *out);
int toc_run_tail_restore(struct toc_run_tail *t, struct toc_sv bytes) TOC_MUST_CHECK;

#endif
