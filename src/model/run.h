/*
 * Training runs as they travel from whoever receives their reports to whoever judges them: states,
 * events and the listener. The wire form is docs/design/run-protocol.md.
 */
#ifndef TOC_MODEL_RUN_H
#define TOC_MODEL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"
#include "base/time.h"

/* X(enum, word on the line, value of train_run_state) */
#define TOC_RUN_STATE_TABLE(X)             \
    X(TOC_RUN_RUNNING, "running", 1)       \
    X(TOC_RUN_EVALUATION, "evaluation", 2) \
    X(TOC_RUN_CHECKPOINT, "checkpoint", 2) \
    X(TOC_RUN_PAUSED, "paused", 2)         \
    X(TOC_RUN_FINISHED, "finished", 0)     \
    X(TOC_RUN_FAILED, "failed", 3)

enum toc_run_state {
#define X(name, word, value) name,
    TOC_RUN_STATE_TABLE(X)
#undef X
        TOC_RUN_STATE_COUNT
};

/* X(enum, word on the line); LAYERS is made by the receiver: the list of layers became longer. */
#define TOC_RUN_EVENT_TABLE(X)                              \
    X(TOC_RUN_EVENT_START, "start")                         \
    X(TOC_RUN_EVENT_END, "end")                             \
    X(TOC_RUN_EVENT_CHECKPOINT, "checkpoint")               \
    X(TOC_RUN_EVENT_CHECKPOINT_FAILED, "checkpoint_failed") \
    X(TOC_RUN_EVENT_RESTART, "restart")                     \
    X(TOC_RUN_EVENT_ERROR, "error")                         \
    X(TOC_RUN_EVENT_EXIT, "exit")                           \
    X(TOC_RUN_EVENT_JOB, "job")                             \
    X(TOC_RUN_EVENT_LAYERS, "layers")

enum toc_run_event_kind {
#define X(name, word) name,
    TOC_RUN_EVENT_TABLE(X)
#undef X
        TOC_RUN_EVENT_COUNT
};

/* Everything is borrowed for the call. */
struct toc_run_event {
    enum toc_run_event_kind kind;
    struct toc_sv run;
    int64_t rank;
    struct toc_ts t;
    bool has_step;
    int64_t step;
    enum toc_run_state state; /* of the run after the line */
    struct toc_sv message;
    const struct toc_sv *layers; /* all known layers, in the order of the network */
    size_t layer_count;
};

/* Called once per event, in order, after the samples of its line are durable. */
struct toc_run_listener {
    void (*on_event)(struct toc_run_listener *l, const struct toc_run_event *event);
};

/* Word of the protocol; "?" outside the table. */
static inline const char *toc_run_state_text(enum toc_run_state s) {
    switch (s) {
#define X(name, word, value) \
    case name:               \
        return word;
        TOC_RUN_STATE_TABLE(X)
#undef X
    default:
        return "?";
    }
}

static inline const char *toc_run_event_text(enum toc_run_event_kind k) {
    switch (k) {
#define X(name, word) \
    case name:        \
        return word;
        TOC_RUN_EVENT_TABLE(X)
#undef X
    default:
        return "?";
    }
}

/* Value of the series train_run_phase: which pause it is that train_run_state calls 2. */
static inline double toc_run_phase_value(enum toc_run_state s) {
    return s == TOC_RUN_EVALUATION ? 1 : s == TOC_RUN_CHECKPOINT ? 2 : s == TOC_RUN_PAUSED ? 3 : 0;
}

/* Value of the series train_run_state. */
static inline double toc_run_state_value(enum toc_run_state s) {
    switch (s) {
#define X(name, word, value) \
    case name:               \
        return value;
        TOC_RUN_STATE_TABLE(X)
#undef X
    default:
        return 1;
    }
}

#endif
