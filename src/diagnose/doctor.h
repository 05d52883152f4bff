/*
 * The training and serving doctor: watches the series of runs (train_*) and of inference servers,
 * and says what is wrong with them in the vocabulary of model/finding.h: which step, which layer,
 * since when, why probably, what to do first. It touches no socket, file or clock: it is driven by
 * `toc_doctor_tick` with a time, reads through a querier and speaks through an alert sink. The same
 * code judges live data and stored history.
 */
#ifndef TOC_DIAGNOSE_DOCTOR_H
#define TOC_DIAGNOSE_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/time.h"
#include "model/alert.h"
#include "model/finding.h"
#include "model/querier.h"
#include "model/run.h"

/*
 * X(member, default, unit, meaning): every threshold of the doctor. Zero in the options means the
 * default. docs/design/diagnose.md explains each; a test compares.
 */
#define TOC_DOCTOR_LIMIT_TABLE(X)                                                                  \
    X(hang_floor_s, 60, "s", "a run without progress for less than this never hangs")              \
    X(hang_fast_floor_s, 20, "s", "the same for a run whose steps take less than a second")        \
    X(hang_first_step_s, 600, "s", "limit while too few steps were seen to know their length")     \
    X(phase_first_s, 1800, "s", "an evaluation or a checkpoint whose length is not known yet")     \
    X(phase_floor_s, 600, "s", "and one whose length is known, when no rank stands out")           \
    X(phase_ratio, 5, "ratio", "or this many times the longest before")                            \
    X(phase_apart_ratio, 3, "ratio", "the same when one rank stands out, and hang_floor_s")        \
    X(hang_abandoned_s, 3600, "s", "after this silence a hang is history and its alert ends")      \
    X(spike_sigma, 10, "sigma", "a loss spike is this far above the loss before it")               \
    X(divergence_sigma, 8, "sigma", "divergence: this far above the loss before it")               \
    X(divergence_ratio, 0.2, "ratio", "and by at least this share of that loss")                   \
    X(divergence_hold_s, 5, "s", "for this long")                                                  \
    X(lr_jump_ratio, 5, "ratio", "a learning rate that grew this much is named as the cause")      \
    X(vanishing_ratio, 0.001, "ratio", "gradient of the first layer over that of the last")        \
    X(vanishing_norm, 0.0001, "", "and the first layer's gradient itself")                         \
    X(vanishing_drop, 0.01, "ratio", "or: a layer's gradient over its own history")                \
    X(vanishing_hold_s, 5, "s", "for this long")                                                   \
    X(exploding_sigma, 6, "sigma", "a gradient norm this far above its usual logarithm")           \
    X(exploding_ratio, 10, "ratio", "and this many times the usual")                               \
    X(exploding_layer_ratio, 30, "ratio", "the same for the gradient of one layer")                \
    X(exploding_runaway, 1000, "ratio", "or this many times the first reports, and this large")    \
    X(exploding_end_ratio, 70, "ratio", "gradient of the first layer over that of the last")       \
    X(dead_ratio, 0.7, "ratio", "share of a layer that is dead")                                   \
    X(saturated_ratio, 0.7, "ratio", "share of a layer's activations at a bound")                  \
    X(share_rise, 0.2, "ratio", "and this much above the layer's own start")                       \
    X(dead_all, 0.995, "ratio", "a layer that is dead from the start on")                          \
    X(saturated_all, 0.9, "ratio", "a layer that is saturated from the start on")                  \
    X(update_low, 0.00001, "ratio", "update over weights that is hardly a change")                 \
    X(update_high, 0.01, "ratio", "update over weights that is too much")                          \
    X(update_change, 10, "ratio", "and this many times off the run's own start")                   \
    X(drift_psi, 0.25, "ratio", "population stability index of a layer that is a major change")    \
    X(amp_fall, 4, "ratio", "the loss scale falls this much below what it held in the hour")       \
    X(amp_least_scale, 1, "", "minimum of the loss scale")                                         \
    X(amp_skipped, 0.05, "ratio", "share of optimizer steps that are skipped")                     \
    X(expert_high, 2, "ratio", "largest expert load over the mean")                                \
    X(expert_low, 0.1, "ratio", "smallest expert load over the mean")                              \
    X(router_entropy_ratio, 0.7, "ratio", "entropy of the routing over that of the start")         \
    X(overfit_rise, 0.05, "ratio", "validation loss above its best while training gets better")    \
    X(standstill_steps, 150, "steps", "after so many steps a loss has left its start")             \
    X(slow_ratio, 3, "ratio", "a step takes this many times its usual length")                     \
    X(slow_hold_s, 11, "s", "for this long")                                                       \
    X(slow_mild_ratio, 1.5, "ratio", "or this many times")                                         \
    X(slow_mild_hold_s, 120, "s", "for this long")                                                 \
    X(contention_ratio, 0.4, "ratio", "tasks wait for a CPU this share of the time: busy machine") \
    X(slow_contended_ratio, 8, "ratio", "what counts as slow on a busy machine")                   \
    X(cpu_wait_explains, 0.5, "ratio", "share of a slowdown that is waiting for a CPU")            \
    X(straggler_ratio, 1.5, "ratio", "a rank's own time per step over the median of its peers")    \
    X(straggler_start_ratio, 2, "ratio", "the same for what it did from its start on")             \
    X(straggler_growth_ratio, 1.25, "ratio", "or: own time over that of its start")                \
    X(straggler_hold_s, 20, "s", "for this long, and six reports")                                 \
    X(data_share, 0.3, "ratio", "share of the step that waits for input")                          \
    X(data_share_rise, 0.15, "ratio", "and this much above the run's own start")                   \
    X(data_hold_s, 8, "s", "for this long")                                                        \
    X(checkpoint_ratio, 2, "ratio", "time since the last checkpoint over the declared interval")   \
    X(checkpoint_learned_ratio, 3, "ratio", "the same over the longest interval seen")             \
    X(checkpoint_floor_s, 60, "s", "but at least this")                                            \
    X(memory_eta_s, 900, "s", "memory growth matters when the limit is nearer than this")          \
    X(memory_growth_ratio, 0.04, "ratio", "growth in the window as a share of the limit")          \
    X(memory_window_s, 12, "s", "window of the growth")                                            \
    X(oom_ratio, 0.95, "ratio", "a run that dies above this share of its limit died of memory")    \
    X(restart_storm_count, 4, "", "restarts in the window that make a storm")                      \
    X(restart_storm_window_s, 1800, "s", "window of the restarts")                                 \
    X(latency_slo_s, 10, "s", "99 of 100 requests are answered in less")                           \
    X(ttft_slo_s, 2, "s", "99 of 100 requests see their first token in less")                      \
    X(latency_ratio, 3, "ratio", "or: requests take this many times their usual time")             \
    X(latency_hold_s, 9, "s", "for this long")                                                     \
    X(error_ratio, 0.1, "ratio", "share of requests that fail")                                    \
    X(error_count, 5, "", "and at least this many failures in the window")                         \
    X(over_hold_s, 3600, "s", "a dead run that stays dead: its alert ends after this")

struct toc_doctor_limits {
#define X(member, value, unit, meaning) double member;
    TOC_DOCTOR_LIMIT_TABLE(X)
#undef X
};

struct toc_doctor_options {
    struct toc_querier *querier;
    struct toc_alert_sink *alerts;
    const char *runbook_base; /* NULL: "/docs/runbooks/"; the kind and ".md" follow */
    struct toc_doctor_limits limits;
    /* Recorded data under a virtual clock: time between ticks is not time in which nobody looked.
     */
    bool is_replay;
};

struct toc_doctor; /* opaque */
struct toc_doctor *toc_doctor_new(const struct toc_doctor_options *o);
void toc_doctor_free(struct toc_doctor **d);

/* Where the run receiver reports events; valid until toc_doctor_free. Any thread; never blocks
 * on a judgement. */
struct toc_run_listener *toc_doctor_listener(struct toc_doctor *d);
/* Reads what is new, judges, and tells the sink about alerts that open, change or end. Meant to
 * run each second. When the querier fails nothing is judged: blind is neither healthy nor ill. */
int toc_doctor_tick(struct toc_doctor *d, struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;
/* Does it look at series of that name when it judges a run? */
bool toc_doctor_reads(const struct toc_doctor *d, struct toc_sv metric);
/* Can the doctor judge that kind for a run? */
struct toc_coverage_row {
    enum toc_kind kind;
    bool is_watched;
    struct toc_sv missing; /* names of series that would be needed: "a or b, c"; for the call */
};
typedef void toc_on_coverage(void *ctx, const struct toc_coverage_row *row);
/* One row per kind of training; TOC_ENOENT when the run is not known. Any thread. */
int toc_doctor_coverage(struct toc_doctor *d, struct toc_sv run, toc_on_coverage *fn,
                        void *ctx) TOC_MUST_CHECK;
/* Takes over an alert of the doctor's that was firing before a restart, so that it can end.
 * Ignores others. */
void toc_doctor_adopt(struct toc_doctor *d, const struct toc_alert *alert);
/* Is an alert of that kind open for the run? Any thread. */
bool toc_doctor_is_open(struct toc_doctor *d, struct toc_sv run, enum toc_kind kind);

#endif
