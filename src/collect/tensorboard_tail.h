/*
 * Follows the event files of TensorBoard in watched folders. Every folder that holds
 * events.out.tfevents.* is a run, named by its path behind the watched folder as TensorBoard does
 * ("lr-0.1/train"; the watched folder itself by its own name). Files grow, new ones appear,
 * finished runs are imported. One thread at a time; counters from any.
 */
#ifndef TOC_COLLECT_TENSORBOARD_TAIL_H
#define TOC_COLLECT_TENSORBOARD_TAIL_H

#include "collect/run_dirs.h"
#include "collect/run_receiver.h"
#include "collect/tensorboard_feed.h"

struct toc_tensorboard_tail_options {
    struct toc_vfs *vfs; /* NULL: the system's */
    struct toc_run_receiver *receiver;
    const struct toc_alias_table *aliases; /* borrowed */
    size_t max_runs;                       /* 0: 1000; files of more are counted and left alone */
    size_t max_files;                      /* 0: 4096; the same */
    size_t max_poll_bytes;                 /* read in one poll, 0: 16 MiB */
};

struct toc_tensorboard_tail; /* opaque */
struct toc_tensorboard_tail *toc_tensorboard_tail_new(const struct toc_tensorboard_tail_options *o);
void toc_tensorboard_tail_free(struct toc_tensorboard_tail **t);

/* Looks for what is new; meant to run once a second. TOC_E… of the store when it refused: nothing
 * is lost, the next poll goes on there. */
int toc_tensorboard_tail_poll(struct toc_tensorboard_tail *t,
                              const struct toc_run_dirs_listing *listing, struct toc_ts now,
                              struct toc_err *err) TOC_MUST_CHECK;

/* X(member, end of the metric's name, help) */
#define TOC_TENSORBOARD_TAIL_COUNTER_TABLE(X)                                               \
    X(runs, "", "Folders with event files that are followed.")                              \
    X(files, "", "Event files that are followed.")                                          \
    X(files_over_limit, "",                                                                 \
      "Event files left alone because there are too many, or their "                        \
      "folder has no name that a run can have.")                                            \
    X(bytes, "_total", "Bytes of event files read.")                                        \
    X(files_restarted, "_total", "Event files that became shorter or were replaced.")       \
    X(reports, "_total", "Reports made of event files.")                                    \
    X(reports_skipped, "_total", "Reports of event files that were refused.")               \
    X(restarts, "_total", "Steps in event files that went back.")                           \
    X(scalars, "_total", "Scalars read.")                                                   \
    X(histograms, "_total", "Histograms read.")                                             \
    X(values_ignored, "_total", "Values of text, images, hyperparameters and other kinds.") \
    X(values_dropped, "_total", "Values over the limits on tags, or without a time.")       \
    X(records_damaged, "_total", "Records left out because they are damaged or too long.")  \
    X(bytes_skipped, "_total", "Bytes passed over behind damage.")

struct toc_tensorboard_tail_counters {
#define X(member, end, help) uint64_t member;
    TOC_TENSORBOARD_TAIL_COUNTER_TABLE(X)
#undef X
};
struct toc_tensorboard_tail_counters toc_tensorboard_tail_counters(struct toc_tensorboard_tail *t);

/* Offsets and what is known of tags as bytes for the state store, and back before the first poll
 * (TOC_ECORRUPT changes nothing). While the store refuses, what was saved last is given again. */
void toc_tensorboard_tail_save(struct toc_tensorboard_tail *t, struct toc_buf *out);
int toc_tensorboard_tail_restore(struct toc_tensorboard_tail *t,
                                 struct toc_sv bytes) TOC_MUST_CHECK;

#endif
