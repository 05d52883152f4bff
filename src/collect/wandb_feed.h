/*
 * The file of an offline (or any) run of Weights & Biases as reports of a training run: bytes in,
 * lines of the run protocol out, without files, clocks or network.
 *
 * What is taken of its records (wandb_internal.proto): `run` (id, name, host, project, config),
 * `history` (each row is a report), `summary` (values that no row had, at the end), `exit`. A row's
 * keys with a meaning (model/alias.h) become fields, others `scalars`, histograms of gradients and
 * parameters statistics of their layers (wandb_layers.h); the job's own count of steps
 * (`global_step`, `trainer/global_step`, …) goes before `_step`, which counts calls of log().
 */
#ifndef TOC_COLLECT_WANDB_FEED_H
#define TOC_COLLECT_WANDB_FEED_H

#include "codec/wandb_log.h"
#include "model/alias.h"

struct toc_wandb_feed_options {
    const struct toc_alias_table *aliases; /* borrowed */
    struct toc_buf *lines; /* borrowed: lines of the protocol are appended, each with its newline */
    size_t max_keys;       /* without a meaning, 0: 512; more are dropped */
};

/* X(member, what it counts) */
#define TOC_WANDB_FEED_COUNTERS(X)                                        \
    X(reports, "reports given")                                           \
    X(rows, "rows of history")                                            \
    X(restarts, "steps that went back")                                   \
    X(values, "numbers taken")                                            \
    X(histograms, "histograms of layers taken")                           \
    X(values_ignored, "texts, tables, images, other histograms")          \
    X(values_dropped, "numbers left out because there are too many keys") \
    X(records_malformed, "records that are no message")

struct toc_wandb_feed_counters {
#define X(member, what) uint64_t member;
    TOC_WANDB_FEED_COUNTERS(X)
#undef X
    struct toc_wandb_log_counters log;
};

struct toc_wandb_feed; /* opaque; one thread at a time */
struct toc_wandb_feed *toc_wandb_feed_new(const struct toc_wandb_feed_options *o);
void toc_wandb_feed_free(struct toc_wandb_feed **f);

/* Takes whole chunks at the start of `bytes`, which are those at toc_wandb_feed_at; returns how
 * many bytes are done with. */
size_t toc_wandb_feed_push(struct toc_wandb_feed *f, struct toc_sv bytes);
uint64_t toc_wandb_feed_at(const struct toc_wandb_feed *f);
/* Time of the last line, 0 before the first. */
int64_t toc_wandb_feed_last_ms(const struct toc_wandb_feed *f);
struct toc_wandb_feed_counters toc_wandb_feed_counters(const struct toc_wandb_feed *f);

/* Where to read on (a record that is cut is read again) and what must be known there. */
void toc_wandb_feed_save(const struct toc_wandb_feed *f, struct toc_buf *out);
void toc_wandb_feed_restore(struct toc_wandb_feed *f, struct toc_reader *r);

/* What the start of a file tells: who it is, and when it began. */
struct toc_wandb_look {
    bool is_file;     /* its header is that of such a file */
    char name[129];   /* of the run: "NAME-ID", or the id; "" when its record is not there yet */
    int64_t first_ms; /* 0: not told */
};
struct toc_wandb_look toc_wandb_look_at(struct toc_sv start);

#endif
