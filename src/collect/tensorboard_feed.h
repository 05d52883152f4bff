/*
 * Event files of TensorBoard as reports of a training run: bytes in, lines of the run protocol out,
 * without any file, clock or network.
 *
 * A feed is one run, that is a folder; each of its event files is a stream. Writers put each tag
 * into a record of its own: what a stream says about one step is gathered until another step, the
 * same tag again, a second of wall time or a flush ends it, and becomes one report. Its time is the
 * wall time of its first value, at least 1 ms after the report before.
 *
 * Tags with a meaning (model/alias.h) become fields, others `scalars`; histograms become statistics
 * of layers. A tag whose step goes back means that the run was started again from a checkpoint:
 * event `restart`. Nothing but a report for a step beyond the last one moves `step`, because
 * evaluations are often counted in epochs beside steps.
 */
#ifndef TOC_COLLECT_TENSORBOARD_FEED_H
#define TOC_COLLECT_TENSORBOARD_FEED_H

#include "base/buf.h"
#include "codec/tfevents.h"
#include "collect/run_report.h"
#include "model/alias.h"

struct toc_tensorboard_feed_options {
    const struct toc_alias_table *aliases; /* borrowed */
    struct toc_report_taker *taker;        /* borrowed */
    bool is_validation;    /* the folder is named so: "loss" is the loss of the evaluation */
    size_t max_tags;       /* of a run, 0: 10000; values of more are counted and dropped */
    size_t max_scalars;    /* tags without a meaning, 0: 512; the same */
    size_t max_line_bytes; /* 0: 128 KiB; longer reports become several of one step */
};

/* X(member, what it counts) */
#define TOC_TENSORBOARD_FEED_COUNTER_TABLE(X)                          \
    X(reports, "reports given")                                        \
    X(restarts, "steps that went back")                                \
    X(bad_times, "values left out because their wall time is none")    \
    X(bad_steps, "values given without their step, which is negative") \
    X(tags_dropped, "values left out because of too many tags, or a name that cannot be one")

struct toc_tensorboard_feed_counters {
#define X(member, what) uint64_t member;
    TOC_TENSORBOARD_FEED_COUNTER_TABLE(X)
#undef X
    struct toc_tfevents_counters codec; /* of all streams, closed ones included */
};

struct toc_tensorboard_feed; /* opaque; one thread at a time, with its streams */
struct toc_tensorboard_feed *toc_tensorboard_feed_new(const struct toc_tensorboard_feed_options *o);
/* All streams are closed before. */
void toc_tensorboard_feed_free(struct toc_tensorboard_feed **f);
struct toc_tensorboard_feed_counters
toc_tensorboard_feed_counters(const struct toc_tensorboard_feed *f);

struct toc_tensorboard_stream; /* opaque; one event file */
struct toc_tensorboard_stream *toc_tensorboard_stream_open(struct toc_tensorboard_feed *f);
/* Gives what is still gathered. */
void toc_tensorboard_stream_close(struct toc_tensorboard_stream **s);
/* Takes the whole records at the start of `bytes` and returns how many bytes are done with; the
 * caller presents the rest again, with more behind it. 0 only when fewer than _wanted were given.
 */
size_t toc_tensorboard_stream_push(struct toc_tensorboard_stream *s, struct toc_sv bytes);
/* How many bytes the next push needs at least to get on. */
size_t toc_tensorboard_stream_wanted(const struct toc_tensorboard_stream *s);
struct toc_tfevents_counters
toc_tensorboard_stream_counters(const struct toc_tensorboard_stream *s);
/* Gives what is gathered: at the end of a file, or when it has not grown for a while. */
void toc_tensorboard_stream_flush(struct toc_tensorboard_stream *s);

#endif
