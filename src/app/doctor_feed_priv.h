/* Inside of the feeds: what the readers of the forms of files share. */
#ifndef TOC_APP_DOCTOR_FEED_PRIV_H
#define TOC_APP_DOCTOR_FEED_PRIV_H

#include "app/doctor_feed.h"
#include "collect/run_log_feed.h"
#include "collect/run_report.h"
#include "collect/tensorboard_feed.h"
#include "collect/wandb_tail.h"

enum {
    TOC_FEED_PIECE_BYTES = 64 << 10,
    TOC_FEED_LOOK_BYTES = 32 << 10,
    TOC_FEED_SKIP_BYTES = 1 << 20,
    TOC_FEED_UNTIMED_GAP_MS = 1000, /* a file without times is taken as a report a second */
};

struct feed;

/* A form of files. */
struct feed_form {
    /* Does the file hold reports? Then run, is_timed and next_ms are set. */
    bool (*open)(struct toc_doctor_feeds *fs, struct feed *f);
    /* Takes the next piece; sets is_done, or next_ms to a time that nothing to come is before. */
    int (*take)(struct toc_doctor_feeds *fs, struct feed *f, struct toc_err *err);
    void (*close)(struct toc_doctor_feeds *fs, struct feed *f);
};

/* Event files of one folder. */
struct feed_folder {
    char *name;
    struct toc_tensorboard_feed *feed;
};

struct feed {
    const struct toc_doctor_file *file;
    const struct feed_form *form;
    char run[TOC_DOCTOR_REASON_MAX]; /* used when a line names none */
    bool is_csv, is_timed, is_done;
    uint64_t offset;
    int64_t next_ms;                       /* nothing to come is earlier, as far as is known */
    struct toc_buf header;                 /* CSV: first line, with its newline */
    int64_t line;                          /* number of the next line */
    struct feed_folder *folder;            /* of an event file */
    struct toc_tensorboard_stream *stream; /* event file, once its first piece was taken */
    struct toc_run_log_feed *log;          /* log, the same */
    struct toc_wandb_feed *wandb;          /* run file of Weights & Biases */
    int64_t base_ms;                       /* log without times: of its first report */
    int64_t reports;                       /* given so far */
};

struct toc_doctor_feeds {
    struct toc_vfs *vfs;
    struct toc_doctor_scan *scan;
    struct toc_replay *replay;
    char *root_name;
    struct {
        TOC_VEC_FIELDS(struct feed *)
    } feeds;
    struct toc_buf piece, body;
    struct toc_doctor_feed_counts counts;
    /* What event files and logs gave since it was last put. */
    struct toc_report_taker taker;
    struct toc_report_batch reports;
    struct toc_alias_table *aliases;
    struct toc_run_log_table *log_table;
    struct {
        TOC_VEC_FIELDS(struct feed_folder *)
    } folders;
};

extern const struct feed_form toc_feed_lines, toc_feed_tfevents, toc_feed_wandb, toc_feed_log;

/* Up to `bytes` from the feed's offset into out; the number read, or TOC_E…. */
int64_t toc_feed_read(struct toc_doctor_feeds *fs, const struct feed *f, struct toc_buf *out,
                      size_t bytes);
/* Notes the file as unread and ends the feed. */
void toc_feed_fail(struct toc_doctor_feeds *fs, struct feed *f, int rc);
/* Part of the file's name before its own: "a/b" of "a/b/c.csv"; "" at the root. */
struct toc_sv toc_feed_folder_of(const struct feed *f);
/* Reports gathered and not yet put, and the times of the first and the last of them. */
size_t toc_feed_gathered(const struct toc_doctor_feeds *fs);
int64_t toc_feed_first_ms(const struct toc_doctor_feeds *fs);
int64_t toc_feed_last_ms(const struct toc_doctor_feeds *fs);
/* Puts the gathered reports. */
int toc_feed_put_reports(struct toc_doctor_feeds *fs, struct feed *f, struct toc_err *err);
int64_t toc_feed_count_lines(struct toc_sv s);
/* How many lines the file has. */
int64_t toc_feed_lines_of_file(struct toc_doctor_feeds *fs, const struct feed *f);
/* Notes what was damaged in event files, once all of them were read. */
void toc_feed_note_damage(struct toc_doctor_feeds *fs);
/* Sets feed->run: at most 128 bytes, of a long name its end. */
void toc_feed_set_run(struct feed *f, struct toc_sv name);

#endif
