/* How a run ended. A job that dies leaves files that just stop; whether that is an end, a death or
 * a hang is told by what the run said, by the clock and by its process. */
#include <math.h>
#include <stdio.h>

#include "app/doctor_patient_priv.h"

enum {
    AFTER_MS = 3000,            /* an error's text may follow the state by a moment */
    GROWING_MS = 60 * 1000,     /* files changed this lately: the job writes */
    ABANDONED_MS = 3600 * 1000, /* a silence this long is no hang that somebody could still see */
    BUFFER_MS = 3 * 60 * 1000,  /* writers hold back this much (TensorBoard flushes after 120 s) */
};

static bool is_open(const struct toc_patient *p, enum toc_kind kind) {
    return toc_doctor_is_open(p->doctor, p->o.name, kind);
}

/* Is the end explained by what was found? */
static bool is_explained(const struct toc_patient *p) {
    return is_open(p, TOC_KIND_HANG) || is_open(p, TOC_KIND_OOM) || is_open(p, TOC_KIND_CRASH);
}

/* Since when nothing was written. A change of the files long after their last report is a copy. */
static int64_t silent_ms(const struct toc_patient *p, const struct toc_patient_circumstances *c) {
    int64_t last_ms = p->last_ms;
    if (c->written_ms > last_ms && c->written_ms - last_ms < BUFFER_MS)
        last_ms = c->written_ms;
    return TOC_MAX(c->now_ms - last_ms, (int64_t)0);
}

static enum toc_patient_end end_of(const struct toc_patient *p,
                                   const struct toc_patient_circumstances *c) {
    const struct toc_run_info *i = c->info;
    int64_t quiet_ms = silent_ms(p, c);
    if (i && i->state == TOC_RUN_FINISHED)
        return TOC_END_FINISHED;
    if (i && i->state == TOC_RUN_FAILED)
        return TOC_END_FAILED;
    if (c->process == TOC_PROCESS_ALIVE)
        return TOC_END_RUNNING;
    if (i && i->tells_state)
        return c->process == TOC_PROCESS_GONE || quiet_ms > ABANDONED_MS ? TOC_END_SILENT
                                                                         : TOC_END_RUNNING;
    return quiet_ms < TOC_MAX((int64_t)GROWING_MS, (int64_t)(3 * p->usual_gap_ms))
               ? TOC_END_RUNNING
               : TOC_END_UNMARKED;
}

/* The state that the run could not report any more is reported for it, so that the doctor judges
 * this death as any other: with the memory it had, after the faults it had. */
static int report_death(struct toc_patient *p, const struct toc_patient_circumstances *c,
                        struct toc_err *err) {
    char text[400];
    struct toc_label labels[] = {{TOC_METRIC_NAME, TOC_SV("train_run_state")},
                                 {TOC_SV("run"), p->o.name}};
    int64_t t_ms = TOC_MAX(p->last_ms + 1, p->tick_ms);
    /* A process that is gone did not report an error: it ended without a word. */
    bool is_gone = c->process == TOC_PROCESS_GONE;
    snprintf(text, sizeof text, "the reports stop without an end%s%s",
             c->process_text[0] ? "; " : " and nothing was written since", c->process_text);
    size_t series = toc_patient_series(p, (struct toc_labels){labels, 2});
    int64_t last_ms = p->last_ms;
    toc_patient_take(p, series, t_ms, toc_run_state_value(TOC_RUN_FAILED));
    p->last_ms = last_ms;
    struct toc_run_event e = {.kind = is_gone ? TOC_RUN_EVENT_EXIT : TOC_RUN_EVENT_ERROR,
                              .t = {t_ms},
                              .has_step = isfinite(p->last_step),
                              .step = isfinite(p->last_step) ? (int64_t)p->last_step : 0,
                              .state = TOC_RUN_FAILED,
                              .message = toc_sv_cstr(text)};
    toc_patient_event(p, &e);
    if (p->events.count)
        p->events.items[p->events.count - 1].is_inferred = true;
    return toc_patient_advance(p, INT64_MAX, err);
}

static void keep_info(struct toc_patient *p, const struct toc_run_info *i) {
    if (!i)
        return;
    toc_labels_free(&p->labels);
    p->labels = toc_labels_dup(i->labels);
    p->restarts = i->restarts;
    p->reports_dropped = i->reports_dropped;
}

/* Judges on through what follows the last report. */
static int judge_until(struct toc_patient *p, int64_t to_ms, struct toc_err *err) {
    int rc = toc_patient_silence(p, to_ms, err);
    return rc ? rc : toc_patient_tick(p, to_ms, err);
}

static int finish_failures(struct toc_patient *p, int64_t to_ms, struct toc_err *err) {
    int rc = judge_until(p, to_ms, err);
    p->judged_until_ms = p->tick_ms;
    if (!rc && p->failures)
        toc_doctor_failures_finish(p->failures, (struct toc_ts){p->tick_ms});
    /* Writes what it has not written yet. */
    toc_incident_manager_free(&p->manager);
    return rc;
}

int toc_patient_finish(struct toc_patient *p, const struct toc_patient_circumstances *c,
                       struct toc_err *err) {
    int rc = toc_patient_advance(p, INT64_MAX, err);
    if (rc || (!p->samples && !p->failures))
        return rc;
    keep_info(p, c->info);
    if (!p->samples) /* only its logs speak */
        return finish_failures(p, p->tick_ms + AFTER_MS, err);
    p->end = end_of(p, c);
    if (p->end == TOC_END_SILENT && !is_explained(p))
        rc = report_death(p, c, err);
    /* The clock may have been some way behind a calm end. */
    int64_t to_ms = TOC_MAX(p->tick_ms, p->quiet_since_ms) + AFTER_MS;
    if (p->end == TOC_END_RUNNING)
        to_ms = TOC_MAX(to_ms, TOC_MIN(c->now_ms, p->o.until_ms));
    return rc ? rc : finish_failures(p, to_ms, err);
}
