/*
 * Takes reports of training runs (docs/design/run-protocol.md), turns them into series, remembers
 * each run and tells a listener about its events. All functions may be called from any thread.
 */
#ifndef TOC_COLLECT_RUN_RECEIVER_H
#define TOC_COLLECT_RUN_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "collect/report_batch.h"
#include "model/labels.h"
#include "model/run.h"
#include "model/sink.h"

enum toc_run_format { TOC_RUN_JSONL, TOC_RUN_CSV };

struct toc_run_receiver_options {
    struct toc_sink *sink;
    struct toc_run_listener *listener; /* may be NULL */
    size_t max_body_bytes;             /* 0: 8 MiB */
    size_t max_runs;                   /* 0: 1000; the run silent for longest makes room */
    size_t max_unknown_fields;         /* per run, 0: 64 */
    size_t max_series_per_run;         /* 0: 100000 (4096 ranks with 20 each) */
    size_t max_scalar_tags;            /* per run, 0: 512; more are counted and dropped */
    int64_t derived_every_ms;          /* state and counters that do not change, 0: 5 s */
    /* A run is about to be forgotten, and with it its labels, which points borrow. Called within a
     * call of the receiver, and may not call it. May be NULL. */
    void (*before_forgetting)(void *ctx);
    void *before_forgetting_ctx;
};

struct toc_run_receiver; /* opaque */
struct toc_run_receiver *toc_run_receiver_new(const struct toc_run_receiver_options *o);
void toc_run_receiver_free(struct toc_run_receiver **r);

struct toc_run_body {
    struct toc_sv run; /* name; for files the one used when a line names none */
    enum toc_run_format format;
    struct toc_sv bytes;
    bool is_file;   /* lines may name their run */
    int first_line; /* number of the first line in error messages; 0 = 1 */
    /* Of recorded lines: one without `t` is recorded_gap_ms later than the one before it, the
     * first than recorded_t. With recorded_t 0 such lines are of now. */
    struct toc_ts recorded_t;
    int64_t recorded_gap_ms;
};

/* All lines or none. 0: accepted and durable. TOC_EPARSE: malformed, err names line, reason and
 * remedy (HTTP 400). TOC_ELIMIT: body too large (413). Anything else: not now (503), nothing was
 * taken. */
int toc_run_receiver_put(struct toc_run_receiver *r, const struct toc_run_body *body,
                         struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

/* Takes reports of the feeds, each of them or, where it breaks a rule of the protocol, all but that
 * one: on_refused hears why. 0, or a reason why nothing was taken, as above. */
struct toc_run_reports {
    struct toc_sv run;
    struct toc_report_batch *batch;
    void (*on_refused)(void *ctx, const char *why);
    void *ctx;
};
int toc_run_receiver_put_reports(struct toc_run_receiver *r, const struct toc_run_reports *reports,
                                 struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

/* What a look at the first lines tells before they are taken. */
struct toc_run_look {
    bool is_report; /* some line says step, loss, state or event, or a named number */
    bool has_t;
    struct toc_ts t; /* of the first line that has one */
};
/* Reads lines until one tells a time, at most 32; bad lines are passed over. */
struct toc_run_look toc_run_look_at(const struct toc_run_body *body);

/* One run as the API shows it; borrowed for the call. Numbers that were never reported are NaN. */
struct toc_run_info {
    struct toc_sv run;
    enum toc_run_state state;
    bool has_step;
    int64_t step;
    double loss, grad_norm, step_seconds, tokens_per_second, memory_bytes, learning_rate;
    struct toc_ts started_at, last_step_at, last_line_at; /* 0 = never */
    struct toc_labels labels;
    uint64_t restarts, reports_dropped;
    bool tells_state; /* some line had a state or an event but `restart`: it would tell its end */
};
/* Calls fn for each run, latest start first. fn must not call the receiver. */
void toc_run_receiver_list(struct toc_run_receiver *r,
                           void (*fn)(void *ctx, const struct toc_run_info *info), void *ctx);

/* Where one rank of a run lives, as it told; borrowed for the call. */
struct toc_run_place {
    struct toc_sv run, host; /* host "": not told */
    int64_t rank, pid;       /* pid 0: not told */
    struct toc_sv job; /* "slurm/ID", "kubernetes/UID of the pod", "pod/NAME"; "": not known */
    bool is_over;      /* finished or failed */
};
/* Calls fn for each rank that told host and pid, or whose job is known. fn must not call the
 * receiver. */
void toc_run_receiver_each_place(struct toc_run_receiver *r,
                                 void (*fn)(void *ctx, const struct toc_run_place *place),
                                 void *ctx);
/* Whoever sees the rank's process knows its job. What the rank itself told goes before that. */
void toc_run_receiver_note_job(struct toc_run_receiver *r, struct toc_sv run, int64_t rank,
                               struct toc_sv job);

/* X(member, what it counts) */
#define TOC_RUN_COUNTER_TABLE(X)                                               \
    X(bodies_accepted, "bodies accepted")                                      \
    X(bodies_refused, "bodies refused as malformed or too large")              \
    X(lines_accepted, "lines accepted")                                        \
    X(lines_repeated, "lines ignored because their session and seq were seen") \
    X(fields_ignored, "fields ignored because they hold no number")            \
    X(samples_rejected, "samples the store refused")                           \
    X(scalars_dropped, "scalars left out because the run has too many tags")   \
    X(runs_evicted, "runs forgotten to make room")

struct toc_run_counters {
#define X(member, what) uint64_t member;
    TOC_RUN_COUNTER_TABLE(X)
#undef X
};
struct toc_run_counters toc_run_receiver_counters(struct toc_run_receiver *r);

/* What must survive a restart (once-only marks, counters, layer order), as bytes; and back. The
 * caller stores them wherever state lives. Restoring refuses damaged bytes with TOC_ECORRUPT and
 * changes nothing. */
void toc_run_receiver_save(struct toc_run_receiver *r, struct toc_buf *out);
int toc_run_receiver_restore(struct toc_run_receiver *r, struct toc_sv bytes) TOC_MUST_CHECK;

#endif
