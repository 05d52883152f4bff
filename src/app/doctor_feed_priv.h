/*
 * Inside of the feeds: what the readers of the forms of files share. Readers make pieces, in the
 * order in which they are to be put; app/doctor_feed_put.c puts them, maybe on another thread.
 */
#ifndef TOC_APP_DOCTOR_FEED_PRIV_H
#define TOC_APP_DOCTOR_FEED_PRIV_H

#include "app/doctor_feed.h"
#include "app/doctor_lane.h"
#include "collect/run_log_feed.h"
#include "collect/run_receiver.h"
#include "collect/run_report.h"
#include "collect/tensorboard_feed.h"
#include "collect/wandb_tail.h"

enum {
    TOC_FEED_PIECE_BYTES = 64 << 10,
    TOC_FEED_LOOK_BYTES = 32 << 10,
    TOC_FEED_SKIP_BYTES = 1 << 20,
    TOC_FEED_UNTIMED_GAP_MS = 1000, /* a file without times is taken as a report a second */
};

enum { TOC_FEED_PIECES = 4 };

struct feed;

/* Something that could not be read. */
struct feed_note {
    int64_t line;       /* 0: not told */
    bool is_whole_file; /* nothing of it could be */
    char text[TOC_DOCTOR_REASON_MAX];
};

/* What was read of a file: notes, lines and reports, to be put in this order. */
struct feed_piece {
    const struct feed *feed;
    struct {
        TOC_VEC_FIELDS(struct feed_note)
    } notes;
    uint64_t lines_skipped;
    struct toc_buf bytes;     /* lines of the run protocol, of CSV without the header */
    struct toc_run_body body; /* how they are to be taken; without the bytes */
    uint64_t lines;           /* that count as taken, if none is refused */
    bool is_rest;             /* a last line without an end */
    struct toc_report_batch reports;
    int64_t to_ms; /* everything before it has been put then; INT64_MIN: not known */
};

/* A form of files. */
struct feed_form {
    /* Does the file hold reports? Then run, is_timed and next_ms are set. */
    bool (*open)(struct toc_doctor_feeds *fs, struct feed *f);
    /* NULL, or what a file without times is counted by before it is taken, with next_ms set to when
     * it ends: a report a second. Any thread. */
    int64_t (*count)(const struct toc_doctor_feeds *fs, const struct feed *f);
    /* Reads the next piece; sets is_done, or next_ms to a time that nothing to come is before. */
    void (*take)(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p);
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
    int64_t reports;                       /* given in pieces so far */
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
    uint64_t bytes; /* read */
    /* What event files and logs give. */
    struct toc_report_taker taker;
    struct toc_report_batch
        *reports; /* where it goes: the piece at hand, or while files are opened */
    struct toc_report_batch probed;
    struct feed_piece pieces[TOC_FEED_PIECES];
    struct toc_lane *lane; /* puts them; what follows is its own until it is drained */
    struct toc_buf put_body;
    struct toc_doctor_feed_counts counts;
    struct toc_err put_error;
    struct toc_alias_table *aliases;
    struct toc_run_log_table *log_table;
    struct {
        TOC_VEC_FIELDS(struct feed_folder *)
    } folders;
};

extern const struct feed_form toc_feed_lines, toc_feed_tfevents, toc_feed_wandb, toc_feed_log;

/* Up to `bytes` from the feed's offset into out; the number read, or TOC_E…. */
int64_t toc_feed_read(const struct toc_doctor_feeds *fs, const struct feed *f, struct toc_buf *out,
                      size_t bytes);
/* Notes the file as unread and ends the feed. */
void toc_feed_fail(struct feed *f, struct feed_piece *p, int rc);
/* Part of the file's name before its own: "a/b" of "a/b/c.csv"; "" at the root. */
struct toc_sv toc_feed_folder_of(const struct feed *f);
/* Reports gathered and not yet put, and the times of the first and the last of them. */
size_t toc_feed_gathered(const struct toc_doctor_feeds *fs);
int64_t toc_feed_first_ms(const struct toc_doctor_feeds *fs);
int64_t toc_feed_last_ms(const struct toc_doctor_feeds *fs);
/* Notes something unread in the piece. */
void toc_feed_note(struct feed_piece *p, int64_t line, const char *text);
void toc_feed_note_count(struct feed_piece *p, uint64_t count, const char *what);
int64_t toc_feed_count_lines(struct toc_sv s);
/* Notes what was damaged in event files, once all of them were read. */
void toc_feed_note_damage(struct toc_doctor_feeds *fs);
/* The lines with the header of their file, as the receiver takes them; the bytes are in `buffer` or
 * the lines themselves. */
struct toc_run_body toc_feed_body(const struct feed *f, struct toc_run_body body,
                                  struct toc_sv lines, struct toc_buf *buffer);

/* app/doctor_feed_put.c: puts a piece, and judges up to its to_ms. 0 or a code in put_error. */
int toc_feed_put(struct toc_doctor_feeds *fs, struct feed_piece *p) TOC_MUST_CHECK;
void toc_feed_piece_reset(struct feed_piece *p);
void toc_feed_piece_fini(struct feed_piece *p);

/* app/doctor_feed_search.c: counts files without times, which sets when they begin, and looks for
 * known errors in logs. */
int toc_feed_search(struct toc_doctor_feeds *fs, struct toc_err *err) TOC_MUST_CHECK;

/* Sets feed->run to the file's name below the folder without its suffix; where that only says
 * "metrics", to its folder's. */
void toc_feed_name_run(struct feed *f, const char *root_name);
/* Sets feed->run: at most 128 bytes, of a long name its end. */
void toc_feed_set_run(struct feed *f, struct toc_sv name);

#endif
