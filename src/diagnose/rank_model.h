/*
 * What the doctor remembers of each rank of a run: how far it is, when it spoke last, what it is
 * doing, where it lives. Ranks run on machines whose clocks differ: times are kept on our clock,
 * to which a rank's own are moved by the smallest difference seen between arrival and stamp.
 * Bounded: TOC_RANKS_MAX ranks of a run; what comes beyond is counted.
 */
#ifndef TOC_DIAGNOSE_RANK_MODEL_H
#define TOC_DIAGNOSE_RANK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/sv.h"
#include "base/vec.h"
#include "model/querier.h"

enum { TOC_RANKS_MAX = 4096, TOC_RANK_LINES = 16, TOC_RANK_METRICS_MAX = 12 };

/* What a rank does besides training steps; values 0–3 are those of train_run_phase. */
enum toc_phase {
    TOC_PHASE_NONE,
    TOC_PHASE_EVALUATION,
    TOC_PHASE_CHECKPOINT,
    TOC_PHASE_PAUSED,
    TOC_PHASE_UNNAMED, /* the state is 2 and nobody says why */
    TOC_PHASE_COUNT
};
const char *toc_phase_text(enum toc_phase p);

/* Seconds of one reported step; NaN = not told. */
struct toc_rank_line {
    int64_t t_ms; /* its clock */
    float step, collective, data;
};

/* Medians over the latest lines. own: the step without the wait in collectives. */
struct toc_rank_usual {
    double own_s, wait_s, data_s, step_s;
};

/* Checkpoints of the run, on our clock. */
struct toc_checkpoints {
    double declared_s; /* NaN = not told */
    int64_t last_ms;   /* 0 = none yet */
    int64_t first_seen_ms;
    double told; /* newest time stamp, whoever told it */
    double last_step, longest_s, longest_steps;
    uint32_t count;
};

struct toc_rank {
    int64_t rank, pid;
    char host[64];
    int64_t metric_t_ms[TOC_RANK_METRICS_MAX]; /* newest sample of each metric, its clock */
    int64_t last_t_ms;                         /* of any, its clock; 0 = only its name is known */
    int64_t seen_ms;                           /* our time when it came */
    int64_t skew_ms;                     /* added to its times gives ours; INT64_MAX = unknown */
    int64_t skew_next_ms, skew_since_ms; /* smallest of the minute that runs, and its start */
    double state;                        /* NaN = not told */
    enum toc_phase phase;
    int64_t phase_since_ms; /* our times */
    enum toc_phase left_phase;
    int64_t left_ms;       /* when it came back from left_phase; 0 = never */
    double step;           /* NaN = none */
    int64_t step_t_ms;     /* its time when the step changed last */
    int64_t step_seen_ms;  /* our time of that */
    int64_t step_told_ms;  /* our time when it was last told, changed or not */
    double stride;         /* usual number of steps from one report to the next */
    uint32_t advances;     /* times the step advanced */
    double collectives;    /* entered so far, NaN = not told */
    double collectives_at; /* the same when the step changed last */
    int64_t collectives_moved_ms, collectives_told_ms;
    struct toc_rank_line lines[TOC_RANK_LINES]; /* ring by line_count */
    uint32_t line_count;
    uint32_t line_total; /* lines that told the length of a step */
    bool has_base;
    struct toc_rank_usual base; /* when it was new */
    double data_seconds;
    int64_t data_told_ms;
    int64_t gone_ms; /* its process ended, our time; 0 = lives as far as we know */
};

/* Lengths of finished phases. One that several ranks went through together counts once. */
struct toc_phase_lengths {
    double max_s;
    uint32_t count;
    int64_t left_ms; /* our time when it was left last */
};

struct toc_ranks {
    struct {
        TOC_VEC_FIELDS(struct toc_rank)
    } items;
    struct toc_map index; /* rank → place + 1 */
    struct toc_phase_lengths lengths[TOC_PHASE_COUNT];
    struct toc_checkpoints checkpoints;
    int64_t progress_ms; /* our time of the last step of any rank, or return from a phase */
    int64_t read_ms;     /* our time of the last read; 0 = none yet */
    int64_t listed_ms;
    bool is_stranger_known; /* a rank was listed whose samples were not read yet */
    size_t limit;           /* ranks there is room for; 0: TOC_RANKS_MAX */
    uint64_t refused;       /* ranks beyond it, as often as they were seen */
};

void toc_ranks_fini(struct toc_ranks *rs);
/* Reads what is new of all ranks of a run. `metrics`: matcher from toc_ranks_matcher. */
int toc_ranks_read(struct toc_ranks *rs, struct toc_querier *q, const struct toc_matcher *metrics,
                   struct toc_sv run, int64_t now_ms, struct toc_err *err) TOC_MUST_CHECK;
/* Pattern for the name of the metrics that are read. */
const char *toc_ranks_pattern(void);
struct toc_rank *toc_ranks_find(const struct toc_ranks *rs, int64_t rank);
/* Value of the label `rank` of the rank that speaks for the run: "" for rank 0, the lowest that
 * reports steps when there is no rank 0. */
struct toc_sv toc_ranks_speaker(const struct toc_ranks *rs, char out[24]);
/* The process of a rank has ended. */
void toc_ranks_note_exit(struct toc_ranks *rs, int64_t rank, int64_t now_ms);
/* Spoke at or after that time, and neither finished nor ended. */
bool toc_rank_is_active(const struct toc_rank *k, int64_t since_ms);
/* Lines at hand that tell the length of a step. */
size_t toc_rank_lines(const struct toc_rank *k);
/* NaN where too little was told. */
struct toc_rank_usual toc_rank_usual(const struct toc_rank *k);

/* Who holds a stalled run up. */
struct toc_culprit {
    int64_t rank;       /* the first of them; -1 = nobody stands out */
    size_t count, of;   /* how many stand out, of how many active ranks */
    struct toc_sv host; /* the host that all of them share, borrowed; empty = unknown or several */
    double confidence;
    const char *why;  /* static: what sets it apart */
    const char *expr; /* static: metric that shows it */
};
/* since_ms: our time of the last progress. */
struct toc_culprit toc_ranks_culprit(const struct toc_ranks *rs, int64_t since_ms, int64_t now_ms);

#endif
