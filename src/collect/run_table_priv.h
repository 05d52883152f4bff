/* What the receiver remembers of each run. Guarded by the receiver's mutex. */
#ifndef TOC_COLLECT_RUN_TABLE_PRIV_H
#define TOC_COLLECT_RUN_TABLE_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "collect/run_line_priv.h"
#include "collect/run_receiver.h"

enum {
    TOC_RUN_SESSIONS_MAX = 8,
    TOC_RUN_RANKS_MAX = 4096,
    TOC_RUN_KNOWN_LAYERS_MAX = 4096,
    TOC_RUN_HOST_MAX_BYTES = 255,
    TOC_RUN_PID_MAX_BYTES = 10,
    TOC_RUN_JOB_MAX_BYTES = 259 /* "pod/" and the longest name of a pod */
};

/* X(enum, value of the label kind) of train_nonfinite_total */
#define TOC_RUN_NONFINITE_TABLE(X)  \
    X(TOC_NONFINITE_LOSS, "loss")   \
    X(TOC_NONFINITE_GRAD, "grad")   \
    X(TOC_NONFINITE_PARAM, "param") \
    X(TOC_NONFINITE_MISSING, "missing")

enum toc_run_nonfinite {
#define X(name, text) name,
    TOC_RUN_NONFINITE_TABLE(X)
#undef X
        TOC_NONFINITE_COUNT
};

struct toc_run_session {
    char name[TOC_RUN_SESSION_MAX_BYTES + 1];
    int64_t seq;     /* last accepted */
    int64_t dropped; /* as last reported */
    uint64_t used;   /* order of last use */
};

/* One reporting process. Plain data: a refused body is undone by copying the former value back. */
struct toc_run_rank {
    int64_t rank;
    bool has_step, has_loss, is_known, is_announced;
    bool tells_state; /* some line of it had a state or an event but `restart` */
    int64_t step;
    enum toc_run_state state;
    uint64_t nonfinite[TOC_NONFINITE_COUNT];
    uint64_t restarts;
    uint64_t dropped_before; /* of sessions no longer remembered */
    int64_t derived_at_ms;   /* when the derived series were last written */
    struct toc_run_session sessions[TOC_RUN_SESSIONS_MAX];
    uint64_t session_clock;
    char last_session[TOC_RUN_SESSION_MAX_BYTES + 1];
    uint64_t noted_body; /* body in which its former value was noted */
    /* Where it runs, of its labels `host` and `pid`; "" = not told. */
    char host[TOC_RUN_HOST_MAX_BYTES + 1];
    char pid[TOC_RUN_PID_MAX_BYTES + 1];
    /* The job it is part of: of its labels `slurm_job_id` or `pod`, or of its process. Not saved:
     * both come again. */
    char job[TOC_RUN_JOB_MAX_BYTES + 1];
    bool is_job_told; /* by the rank */
};

/* The latest numbers, for people. */
struct toc_run_latest {
    int64_t started_ms, last_step_ms, last_line_ms, last_t_ms;
    double loss, grad_norm, step_seconds, tokens_per_second, memory_bytes, learning_rate;
};

/* Series that the receiver writes of each line, or every few seconds. */
enum toc_run_own {
    TOC_RUN_OWN_STEP,
    TOC_RUN_OWN_STEP_TIME,
    TOC_RUN_OWN_STATE,
    TOC_RUN_OWN_TELLS_STATE,
    TOC_RUN_OWN_PHASE,
    TOC_RUN_OWN_RESTARTS,
    TOC_RUN_OWN_DROPPED,
    TOC_RUN_OWN_NONFINITE, /* and a place for each kind */
    TOC_RUN_OWNS = TOC_RUN_OWN_NONFINITE + TOC_NONFINITE_COUNT
};

struct toc_run {
    struct toc_sv name; /* owned */
    uint64_t number;    /* of the receiver's runs; another one later has another */
    struct toc_run_memo own[TOC_RUN_OWNS];
    struct {
        TOC_VEC_FIELDS(struct toc_run_rank)
    } ranks;
    struct toc_map rank_index; /* rank → place in ranks + 1 */
    struct {
        TOC_VEC_FIELDS(struct toc_sv)
    } layers; /* owned names, order of first appearance */
    struct {
        TOC_VEC_FIELDS(struct toc_sv)
    } unknown; /* owned metric names */
    struct toc_map layer_set;
    struct toc_labels labels; /* owned */
    struct toc_run_latest latest;
    struct toc_map series; /* "metric|layer|rank" → struct toc_run_series */
    size_t scalar_tags;    /* of them with a tag */
};

/* A cached identity and its point in the body at hand. */
struct toc_run_series {
    struct toc_labels labels; /* owned */
    uint64_t body;
    size_t point;
    int64_t line_t_ms; /* of the line of the last point */
    int64_t last_t_ms; /* of the last point: that, or some milliseconds later */
};

struct toc_run *toc_run_new(struct toc_sv name);
void toc_run_free(struct toc_run *run);
/* The rank's memory, made when new; NULL over the limit. Pointers move when a rank is added. */
struct toc_run_rank *toc_run_rank_get(struct toc_run *run, int64_t rank);
/* True when the line repeats one already accepted; otherwise remembers its seq. */
bool toc_run_rank_is_repeated(struct toc_run_rank *rank, const struct toc_run_line *line);
/* Lost lines over all sessions. */
uint64_t toc_run_rank_dropped(const struct toc_run_rank *rank);
/* The rank's memory, NULL when it never spoke. */
struct toc_run_rank *toc_run_rank_find(const struct toc_run *run, int64_t rank);
/* Forgets all but the first `count` ranks. */
void toc_run_ranks_cut(struct toc_run *run, size_t count);
void toc_run_encode(const struct toc_run *run, struct toc_buf *out);
/* version: of the state at hand, TOC_RUN_STATE_VERSION or an earlier one. */
enum { TOC_RUN_STATE_VERSION = 2 };
int toc_run_decode(struct toc_reader *r, int version, struct toc_run **out) TOC_MUST_CHECK;

#endif
