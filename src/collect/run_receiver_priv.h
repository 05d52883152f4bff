/* Shared by the files of the run receiver. */
#ifndef TOC_COLLECT_RUN_RECEIVER_PRIV_H
#define TOC_COLLECT_RUN_RECEIVER_PRIV_H

#include "collect/run_receiver.h"
#include "collect/run_table_priv.h"
#include "sys/thread.h"

/* How a run was before the body at hand. */
struct toc_run_touch {
    struct toc_run *run;
    bool is_new, has_labels;
    struct toc_labels labels; /* former ones, owned, when has_labels */
    struct toc_run_latest latest;
    size_t ranks, layers, unknown;
};

struct toc_run_old_rank {
    struct toc_run *run;
    size_t index;
    struct toc_run_rank value;
};

struct toc_run_noted_event {
    struct toc_run *run;
    struct toc_run_event event; /* message in the body arena */
};

struct toc_run_receiver {
    struct toc_run_receiver_options o;
    struct toc_mutex mutex; /* guards everything below */
    struct {
        TOC_VEC_FIELDS(struct toc_run *)
    } runs;
    struct toc_map by_name;
    struct toc_run *latest; /* the one that was looked for last; NULL: none */
    uint64_t runs_made;
    struct toc_run_shapes *shapes;
    struct toc_run_counters counters;
    uint64_t described; /* metadata of the fixed metrics was sent */
    /* the body at hand */
    struct toc_ts now;
    int64_t recorded_ms;               /* of the line before; 0: lines without a time are of now */
    uint64_t body_number, failed_body; /* failed_body: the last one that was undone */
    struct toc_arena line_arena, body_arena;
    struct {
        TOC_VEC_FIELDS(struct toc_point)
    } points;
    struct {
        TOC_VEC_FIELDS(struct toc_run_touch)
    } touched;
    struct {
        TOC_VEC_FIELDS(struct toc_run_old_rank)
    } old_ranks;
    struct {
        TOC_VEC_FIELDS(struct toc_run_noted_event)
    } events;
    struct toc_run_counters pending;
};

/* Applies one line to the run and appends its points. TOC_EPARSE when it goes beyond a limit of
 * the run. */
int toc_run_apply(struct toc_run_receiver *r, struct toc_run *run, const struct toc_run_line *line,
                  struct toc_err *err) TOC_MUST_CHECK;
/* Remembers an event for the listener; line may be NULL. */
void toc_run_note_event(struct toc_run_receiver *r, struct toc_run *run,
                        const struct toc_run_line *line, enum toc_run_event_kind kind,
                        int64_t t_ms);
/* The rank that speaks for the run: 0, else the first seen; NULL before the first line. */
const struct toc_run_rank *toc_run_speaker(const struct toc_run *run);

#endif
