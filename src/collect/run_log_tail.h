/*
 * Follows logs (*.log, *.out, *.txt) in watched folders and takes numbers from their lines. A log
 * that says something is a run, named by its path behind the watched folder without the suffix. A
 * log that became shorter or has another inode is read from its start. One thread at a time;
 * counters from any.
 */
#ifndef TOC_COLLECT_RUN_LOG_TAIL_H
#define TOC_COLLECT_RUN_LOG_TAIL_H

#include "collect/run_dirs.h"
#include "collect/run_log_feed.h"
#include "collect/run_receiver.h"

struct toc_run_log_tail_options {
    struct toc_vfs *vfs; /* NULL: the system's */
    struct toc_run_receiver *receiver;
    struct toc_sink *sink;                 /* of servers' numbers */
    const struct toc_run_log_table *table; /* borrowed */
    const struct toc_alias_table *aliases; /* borrowed */
    bool is_utc;                           /* dates in logs without a zone are UTC, not local */
    size_t max_files;                      /* 0: 1024; more are counted and left alone */
    size_t max_poll_bytes;                 /* read in one poll, 0: 16 MiB */
};

struct toc_run_log_tail; /* opaque */
struct toc_run_log_tail *toc_run_log_tail_new(const struct toc_run_log_tail_options *o);
void toc_run_log_tail_free(struct toc_run_log_tail **t);

/* Looks for new lines; meant to run once a second. TOC_E… of the store when it refused: nothing is
 * lost, the next poll goes on there. */
int toc_run_log_tail_poll(struct toc_run_log_tail *t, const struct toc_run_dirs_listing *listing,
                          struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

/* X(member, end of the metric's name, help) */
#define TOC_RUN_LOG_TAIL_COUNTER_TABLE(X)                                                         \
    X(files, "", "Logs that are followed.")                                                       \
    X(files_over_limit, "",                                                                       \
      "Logs left alone because there are too many, or their path is no name of a run.")           \
    X(bytes, "_total", "Bytes of logs read.")                                                     \
    X(lines, "_total", "Lines of logs read.")                                                     \
    X(lines_matched, "_total", "Lines of logs that say something known.")                         \
    X(lines_cut, "_total", "Lines of logs whose tail was not looked at because of their length.") \
    X(lines_binary, "_total", "Lines of logs passed over because they are no text.")              \
    X(values_bad, "_total", "Values of a known meaning that are no number.")                      \
    X(values_dropped, "_total", "Values over the limit of a line, or with a bad name.")           \
    X(files_restarted, "_total", "Logs that became shorter or were replaced.")                    \
    X(reports, "_total", "Reports made of logs.")                                                 \
    X(reports_skipped, "_total", "Reports of logs that were refused.")                            \
    X(restarts, "_total", "Restarts that logs tell or show.")                                     \
    X(serve_reports, "_total", "Lines of servers' statistics.")

struct toc_run_log_tail_counters {
#define X(member, end, help) uint64_t member;
    TOC_RUN_LOG_TAIL_COUNTER_TABLE(X)
#undef X
};
struct toc_run_log_tail_counters toc_run_log_tail_counters(struct toc_run_log_tail *t);

/* Offsets and what later lines depend on as bytes for the state store, and back before the first
 * poll (TOC_ECORRUPT changes nothing). While the store refuses, what was saved last is given again.
 */
void toc_run_log_tail_save(struct toc_run_log_tail *t, struct toc_buf *out);
int toc_run_log_tail_restore(struct toc_run_log_tail *t, struct toc_sv bytes) TOC_MUST_CHECK;

#endif
