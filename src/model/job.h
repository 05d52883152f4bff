/* States of jobs as schedulers (Slurm, Kubernetes) know them, and what each means for a run. */
#ifndef TOC_MODEL_JOB_H
#define TOC_MODEL_JOB_H

#include <stdbool.h>

#include "base/sv.h"

/*
 * X(enum, word, value of train_job_state, has the job ended, did it end badly)
 * The word begins the message of an event `job` (docs/design/run-protocol.md).
 */
#define TOC_JOB_STATE_TABLE(X)                               \
    X(TOC_JOB_COMPLETED, "completed", 0, true, false)        \
    X(TOC_JOB_RUNNING, "running", 1, false, false)           \
    X(TOC_JOB_PENDING, "pending", 2, false, false)           \
    X(TOC_JOB_SUSPENDED, "suspended", 3, false, false)       \
    X(TOC_JOB_CANCELLED, "cancelled", 4, true, false)        \
    X(TOC_JOB_FAILED, "failed", 5, true, true)               \
    X(TOC_JOB_PREEMPTED, "preempted", 6, true, true)         \
    X(TOC_JOB_TIMED_OUT, "timed_out", 7, true, true)         \
    X(TOC_JOB_OUT_OF_MEMORY, "out_of_memory", 8, true, true) \
    X(TOC_JOB_NODE_FAILED, "node_failed", 9, true, true)     \
    X(TOC_JOB_EVICTED, "evicted", 10, true, true)            \
    X(TOC_JOB_REQUEUED, "requeued", 11, true, true)          \
    X(TOC_JOB_VANISHED, "vanished", 12, true, true)

enum toc_job_state {
#define X(name, word, value, is_over, is_bad) name,
    TOC_JOB_STATE_TABLE(X)
#undef X
        TOC_JOB_STATE_COUNT
};

static inline const char *toc_job_state_text(enum toc_job_state s) {
    static const char *const words[] = {
#define X(name, word, value, is_over, is_bad) word,
        TOC_JOB_STATE_TABLE(X)
#undef X
    };
    return s < TOC_JOB_STATE_COUNT ? words[s] : "?";
}

/* Value of the series train_job_state. */
static inline double toc_job_state_value(enum toc_job_state s) {
    static const double values[] = {
#define X(name, word, value, is_over, is_bad) value,
        TOC_JOB_STATE_TABLE(X)
#undef X
    };
    return s < TOC_JOB_STATE_COUNT ? values[s] : -1;
}

static inline bool toc_job_state_is_over(enum toc_job_state s) {
    static const bool flags[] = {
#define X(name, word, value, is_over, is_bad) is_over,
        TOC_JOB_STATE_TABLE(X)
#undef X
    };
    return s < TOC_JOB_STATE_COUNT && flags[s];
}

static inline bool toc_job_state_is_bad(enum toc_job_state s) {
    static const bool flags[] = {
#define X(name, word, value, is_over, is_bad) is_bad,
        TOC_JOB_STATE_TABLE(X)
#undef X
    };
    return s < TOC_JOB_STATE_COUNT && flags[s];
}

/* The state whose word the text begins with; TOC_JOB_STATE_COUNT when there is none. */
static inline enum toc_job_state toc_job_state_of_message(struct toc_sv message) {
    for (int i = 0; i < TOC_JOB_STATE_COUNT; i++) {
        struct toc_sv word = toc_sv_cstr(toc_job_state_text((enum toc_job_state)i));
        if (toc_sv_starts_with(message, word) && (message.n == word.n || message.p[word.n] == ':'))
            return (enum toc_job_state)i;
    }
    return TOC_JOB_STATE_COUNT;
}

#endif
