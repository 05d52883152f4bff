/*
 * Follows the run files of Weights & Biases (run-ID.wandb, offline runs foremost) in watched
 * folders: each is a run, called by its name and id. Files grow, new ones appear, finished ones are
 * imported. One thread at a time; counters from any.
 */
#ifndef TOC_COLLECT_WANDB_TAIL_H
#define TOC_COLLECT_WANDB_TAIL_H

#include "collect/run_dirs.h"
#include "collect/run_receiver.h"
#include "collect/wandb_feed.h"

struct toc_wandb_tail_options {
    struct toc_vfs *vfs; /* NULL: the system's */
    struct toc_run_receiver *receiver;
    const struct toc_alias_table *aliases; /* borrowed */
    size_t max_files;                      /* 0: 1000; more are counted and left alone */
    size_t max_poll_bytes;                 /* read in one poll, 0: 16 MiB */
};

struct toc_wandb_tail; /* opaque */
struct toc_wandb_tail *toc_wandb_tail_new(const struct toc_wandb_tail_options *o);
void toc_wandb_tail_free(struct toc_wandb_tail **t);

/* Looks for what is new; meant to run once a second. TOC_E… of the store when it refused: nothing
 * is lost, the next poll goes on there. */
int toc_wandb_tail_poll(struct toc_wandb_tail *t, const struct toc_run_dirs_listing *listing,
                        struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;
/* Is it the file of a run? Not the second name that the folder latest-run gives it. */
bool toc_wandb_is_run_file(struct toc_sv path);

/* X(member, end of the metric's name, help) */
#define TOC_WANDB_TAIL_COUNTER_TABLE(X)                                                         \
    X(files, "", "Run files that are followed.")                                                \
    X(files_over_limit, "", "Run files left alone: too many, no such file, or without a name.") \
    X(bytes, "_total", "Bytes of run files read.")                                              \
    X(files_restarted, "_total", "Run files that became shorter or were replaced.")             \
    X(reports, "_total", "Reports made of run files.")                                          \
    X(reports_skipped, "_total", "Reports of run files that were refused.")                     \
    X(restarts, "_total", "Steps in run files that went back.")                                 \
    X(values, "_total", "Numbers read.")                                                        \
    X(histograms, "_total", "Histograms of layers read.")                                       \
    X(values_ignored, "_total", "Texts, tables, images and other histograms.")                  \
    X(values_dropped, "_total", "Numbers over the limit on keys.")                              \
    X(records_damaged, "_total", "Records left out because they are damaged or too long.")      \
    X(bytes_skipped, "_total", "Bytes passed over behind damage.")

struct toc_wandb_tail_counters {
#define X(member, end, help) uint64_t member;
    TOC_WANDB_TAIL_COUNTER_TABLE(X)
#undef X
};
struct toc_wandb_tail_counters toc_wandb_tail_counters(struct toc_wandb_tail *t);

/* Offsets as bytes for the state store, and back before the first poll (TOC_ECORRUPT changes
 * nothing). While the store refuses, what was saved last is given again. */
void toc_wandb_tail_save(struct toc_wandb_tail *t, struct toc_buf *out);
int toc_wandb_tail_restore(struct toc_wandb_tail *t, struct toc_sv bytes) TOC_MUST_CHECK;

#endif
