/* Shared by the files of the tail of event files. */
#ifndef TOC_COLLECT_TENSORBOARD_TAIL_PRIV_H
#define TOC_COLLECT_TENSORBOARD_TAIL_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "collect/followed_files.h"
#include "collect/report_queue_priv.h"
#include "collect/tensorboard_tail.h"
#include "sys/thread.h"

struct toc_tb_run;

struct toc_tb_file {
    struct toc_followed_file file;
    struct toc_tb_run *run;
    struct toc_tensorboard_stream *stream;
    uint64_t at;                       /* where to read on */
    uint64_t seen_bytes;               /* its size when it was read last */
    int64_t seen_mtime_ms, seen_at_ms; /* at_ms: our time when it was seen so */
    bool is_blamed;                    /* its damage was told */
};

struct toc_tb_run {
    char name[TOC_RUN_NAME_MAX_BYTES + 1];
    struct toc_tensorboard_feed *feed;
    size_t files;
};

struct toc_tensorboard_tail {
    struct toc_tensorboard_tail_options o;
    struct toc_followed_files files; /* struct toc_tb_file */
    struct toc_map by_name;          /* struct toc_tb_run */
    struct {
        TOC_VEC_FIELDS(struct toc_tb_run *)
    } runs;
    struct toc_report_queue queue;
    struct toc_buf chunk, saved;
    size_t budget; /* bytes this poll may still read */
    uint64_t bytes, files_restarted, files_over_limit;
    struct toc_tensorboard_feed_counters gone; /* of runs no longer followed */
    struct toc_mutex mutex;                    /* guards told */
    struct toc_tensorboard_tail_counters told;
};

/* The run of a folder, made when new; NULL over the limit or when it can have no name. */
struct toc_tb_run *toc_tb_run_get(struct toc_tensorboard_tail *t, struct toc_sv name);
/* A file of the run that begins anew, or where `stream` goes on. */
struct toc_tb_file *toc_tb_file_add(struct toc_tensorboard_tail *t, struct toc_tb_run *run,
                                    struct toc_sv path, uint64_t inode);

#endif
