/*
 * Tocsin's C SDK: a training loop says where it is, in two calls. Compile sdk/c's sources with your
 * program: C11, POSIX threads and sockets, nothing else. Apache-2.0.
 *
 *     struct tocsin_run *run = tocsin_init(&(struct tocsin_options){.run = "my-model"});
 *     for (…) {
 *         struct tocsin_report r = tocsin_report_init(step);
 *         r.loss = loss;
 *         tocsin_report(run, &r);
 *     }
 *     tocsin_finish(run, TOCSIN_FINISHED, NULL);
 *
 * A report is formatted in the caller's thread (microseconds), put into a bounded ring and sent by
 * one background thread. No call blocks on the network, none ends the job, each accepts a NULL run.
 * When the ring is full the oldest lines go and are counted. After 3 s without a line the thread
 * says again where the run is: a sign of life. The format is docs/design/run-protocol.md. All
 * functions may be called from any thread.
 */
#ifndef TOCSIN_H
#define TOCSIN_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tocsin_label {
    const char *name, *value;
};

/* Everything is copied. A zero field takes its default. */
struct tocsin_options {
    const char *run;   /* default $TOCSIN_RUN, else "run-<pid>" */
    const char *url;   /* default $TOCSIN_URL, else http://127.0.0.1:9797; http only */
    const char *token; /* default $TOCSIN_TOKEN */
    const char *file;  /* append lines to this file instead of sending them */
    const struct tocsin_label *labels; /* describe the run: model, recipe, … */
    size_t label_count;                /* at most 16 */
    int rank;                          /* of this process; 0 = the one that speaks for the run */
    size_t max_buffered_bytes;         /* of lines not yet sent, default 4 MiB */
};

enum tocsin_state {
    TOCSIN_RUNNING,
    TOCSIN_EVALUATION,
    TOCSIN_CHECKPOINT,
    TOCSIN_PAUSED,
    TOCSIN_FINISHED,
    TOCSIN_FAILED
};

struct tocsin_metric {
    const char *name;
    double value;
};

/* Statistics of one layer's parameters and gradients. Not-a-number in a field that was not computed
 * must be said by TOCSIN_ABSENT, because a NaN is data here. */
struct tocsin_layer {
    const char *name; /* layers in the order of the network */
    double grad_norm, param_mean, param_std, param_min, param_max;
    double update_ratio;    /* ‖Δw‖ / ‖w‖ of the last update */
    double zero_grad_ratio; /* share of exactly zero gradients */
    double nonfinite_ratio; /* share of NaN or infinite parameters and gradients */
    /* Further ones, at most 24: param_norm, grad_std, activation_q50, dead_unit_ratio, … */
    const struct tocsin_metric *statistics;
    size_t statistic_count;
};

/* "Not measured": a NaN with this bit pattern, which no computation produces. */
double tocsin_absent(void);
#define TOCSIN_ABSENT (tocsin_absent())

struct tocsin_report {
    int64_t step; /* steps completed */
    enum tocsin_state state;
    double loss, grad_norm, lr;
    double step_seconds, tokens_per_second;
    double memory_bytes, memory_limit_bytes;
    const struct tocsin_layer *layers; /* NULL: none this time */
    size_t layer_count;
    const struct tocsin_metric *metrics; /* further numbers: <name> becomes train_<name> */
    size_t metric_count;
};
/* A report in which nothing is measured; set what you have. */
struct tocsin_report tocsin_report_init(int64_t step);
/* A layer in which nothing is measured. */
struct tocsin_layer tocsin_layer_init(const char *name);

struct tocsin_run;

/* Starts the background thread and says that the run has begun. NULL when there is no memory or no
 * thread: then every other call does nothing. */
struct tocsin_run *tocsin_init(const struct tocsin_options *options);
void tocsin_report(struct tocsin_run *run, const struct tocsin_report *report);
/* Around a collective (all-reduce, barrier, …), one at a time: lines then carry how many this
 * process has entered and how long it was inside, and when the job stalls the rank that did not get
 * to the next one is named. They take no lock. */
void tocsin_collective_begin(struct tocsin_run *run);
void tocsin_collective_end(struct tocsin_run *run);
/* event: "checkpoint", "checkpoint_failed", "restart", "error" (that the job survives) or "exit";
 * another one counts as dropped, for the daemon would refuse it. message for people, may be NULL.
 */
void tocsin_event(struct tocsin_run *run, int64_t step, const char *event, const char *message);
/* Waits until everything reported so far has arrived or timeout_ms passed; 0 when it has. */
int tocsin_flush(struct tocsin_run *run, int timeout_ms);
/* Lines lost so far: ring full, refused by the daemon, file not writable. */
uint64_t tocsin_dropped(const struct tocsin_run *run);
/* Says how it ended (TOCSIN_FINISHED or TOCSIN_FAILED, with a message or NULL), flushes for at most
 * 2 s, frees. */
void tocsin_finish(struct tocsin_run *run, enum tocsin_state state, const char *message);

#ifdef __cplusplus
}
#endif
#endif
