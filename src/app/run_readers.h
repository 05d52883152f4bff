/*
 * Everything that reads what training jobs leave in runs.directories: lines of the run protocol,
 * event files of TensorBoard, run files of Weights & Biases, logs. One thread at a time; counters
 * from any.
 */
#ifndef TOC_APP_RUN_READERS_H
#define TOC_APP_RUN_READERS_H

#include "collect/run_log_tail.h"
#include "collect/tensorboard_tail.h"
#include "collect/wandb_tail.h"
#include "model/blob_store.h"

struct toc_run_readers_options {
    struct toc_run_receiver *receiver;
    struct toc_sink *sink;
    const char *const *dirs;
    size_t dir_count;
    bool reads_tensorboard, reads_wandb, reads_logs;
    bool are_logs_utc; /* dates without a zone */
};

struct toc_run_readers; /* opaque */
int toc_run_readers_new(const struct toc_run_readers_options *o, struct toc_run_readers **out,
                        struct toc_err *err) TOC_MUST_CHECK;
void toc_run_readers_free(struct toc_run_readers **r);
/* Meant to run once a second. TOC_E… of the store when it refused: the next poll goes on there. */
int toc_run_readers_poll(struct toc_run_readers *r, struct toc_ts now,
                         struct toc_err *err) TOC_MUST_CHECK;
/* What changed since the last time; and back, before the first poll. */
void toc_run_readers_save(struct toc_run_readers *r, struct toc_blob_store *blobs);
void toc_run_readers_restore(struct toc_run_readers *r, struct toc_blob_store *blobs);
/* All 0 when that kind is not read. */
struct toc_tensorboard_tail_counters toc_run_readers_tensorboard(struct toc_run_readers *r);
struct toc_wandb_tail_counters toc_run_readers_wandb(struct toc_run_readers *r);
struct toc_run_log_tail_counters toc_run_readers_logs(struct toc_run_readers *r);

#endif
