/* Kinds about checkpoints: checkpoint_overdue, checkpoint_corrupt. */
#include <math.h>
#include <stdio.h>

#include "diagnose/doctor_priv.h"

static const double none = NAN;

enum { CORRUPT_SHOWN_MS = 30 * 60 * 1000 };

/* What may pass between two checkpoints. */
struct due {
    double limit_s, usual_s, since_s;
    bool is_declared;
};

static bool find_due(const struct toc_doctor *d, const struct toc_run_model *m, struct due *out) {
    enum { LEAST = 3 };
    const struct toc_doctor_limits *l = &d->o.limits;
    const struct toc_checkpoints *k = &m->ranks.checkpoints;
    int64_t from_ms = k->last_ms ? k->last_ms : k->first_seen_ms;
    *out = (struct due){.since_s = (double)(d->now_ms - from_ms - m->blind_ms) / 1000};
    if (k->declared_s > 0) {
        out->is_declared = true;
        out->usual_s = k->declared_s;
        out->limit_s = TOC_MAX(l->checkpoint_floor_s, l->checkpoint_ratio * k->declared_s);
        return from_ms != 0;
    }
    if (k->count < LEAST + 1)
        return false;
    out->usual_s = k->longest_s;
    out->limit_s = TOC_MAX(l->checkpoint_floor_s, l->checkpoint_learned_ratio * k->longest_s);
    return true;
}

/* Jobs save every so many steps: a slow run is late by the clock and right by its steps. */
static bool is_late_in_steps(const struct toc_doctor *d, const struct toc_run_model *m) {
    const struct toc_checkpoints *k = &m->ranks.checkpoints;
    double step = toc_run_step_at(m, INT64_MAX);
    return !(k->longest_steps > 0) || !isfinite(step) ||
           step - k->last_step > d->o.limits.checkpoint_learned_ratio / 2 * k->longest_steps;
}

static void fill_overdue(struct toc_run_model *m, struct toc_case *c, const struct due *due,
                         bool has_failed, int64_t since_ms) {
    double step = toc_run_step_at(m, INT64_MAX);
    const struct toc_checkpoints *k = &m->ranks.checkpoints;
    toc_case_begin(c, TOC_KIND_CHECKPOINT_OVERDUE, c->is_open ? c->started_ms : since_ms);
    toc_case_step(c, step);
    if (has_failed)
        toc_case_title(c, "%.*s: a checkpoint could not be written: %s", TOC_SV_ARG(m->name),
                       m->checkpoint_error);
    else
        toc_case_title(c, "%.*s: no checkpoint for %.0f s, %s every %.0f s", TOC_SV_ARG(m->name),
                       due->since_s, due->is_declared ? "meant" : "usual", due->usual_s);
    if (k->last_ms)
        toc_case_summary(c, "The last one was at step %.0f; a failure now loses %.0f steps.",
                         k->last_step, isfinite(step) ? step - k->last_step : 0);
    else
        toc_case_summary(c, "None was written yet; a failure now loses all %.0f steps.",
                         isfinite(step) ? step : 0);
    toc_case_action(c, "Look at the space and the speed of the disk or store that checkpoints go "
                       "to, and at the job's log for errors of saving; save one by hand if the job "
                       "can.");
    toc_case_evidence(
        c, "Time since the last checkpoint", "s",
        (struct toc_evidence_numbers){due->since_s, due->limit_s > 0 ? due->limit_s : none, 0,
                                      due->usual_s > 0 ? due->usual_s : none},
        "time() - train_last_checkpoint_timestamp_seconds{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    if (m->checkpoint_failed_ms)
        toc_case_cause(c, 0.8, m->checkpoint_error, "Writing one failed: %s", m->checkpoint_error);
}

enum toc_verdict toc_judge_checkpoint_overdue(struct toc_doctor *d, struct toc_run_model *m,
                                              struct toc_case *c) {
    const struct toc_checkpoints *k = &m->ranks.checkpoints;
    struct due due;
    if (m->is_dormant || !m->last_t_ms)
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m))
        return VERDICT_CALM;
    bool has_failed = m->checkpoint_failed_ms && !m->is_checkpoint_corrupt &&
                      m->checkpoint_failed_ms > k->last_ms;
    bool is_known = find_due(d, m, &due);
    if (has_failed) {
        fill_overdue(m, c, &due, true, m->checkpoint_failed_ms);
        return VERDICT_ILL;
    }
    if (!is_known || !toc_run_is_running(m) || m->cases[CASE_HANG].is_open ||
        d->now_ms - m->last_seen_ms > 60000)
        return is_known ? VERDICT_CALM : VERDICT_UNKNOWN;
    if (due.since_s <= due.limit_s || (!due.is_declared && !is_late_in_steps(d, m)))
        return VERDICT_CALM;
    fill_overdue(m, c, &due, false, d->now_ms - (int64_t)((due.since_s - due.limit_s) * 1000));
    return VERDICT_ILL;
}

enum toc_verdict toc_judge_checkpoint_corrupt(struct toc_doctor *d, struct toc_run_model *m,
                                              struct toc_case *c) {
    if (m->is_dormant)
        return VERDICT_UNKNOWN;
    bool is_recent = m->checkpoint_failed_ms && m->is_checkpoint_corrupt &&
                     d->now_ms - m->checkpoint_failed_ms < CORRUPT_SHOWN_MS;
    /* A checkpoint written or a step made since: another one could be read. */
    if (!is_recent || m->ranks.checkpoints.last_ms > m->checkpoint_failed_ms)
        return VERDICT_CALM;
    double step = m->checkpoint_failed_step;
    if (!isfinite(step))
        step = toc_run_step_at(m, INT64_MAX);
    toc_case_begin(c, TOC_KIND_CHECKPOINT_CORRUPT,
                   c->is_open ? c->started_ms : m->checkpoint_failed_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: a checkpoint cannot be read: %s", TOC_SV_ARG(m->name),
                   m->checkpoint_error);
    toc_case_summary(c, "Loading reports: %s", m->checkpoint_error);
    toc_case_action(c, "Keep the file for study, start from the checkpoint before it, and compare "
                       "sizes and checksums; look whether the disk was full or the job was killed "
                       "while it was written.");
    toc_case_evidence(
        c, "Step of the last checkpoint", "",
        (struct toc_evidence_numbers){m->ranks.checkpoints.last_step, none, none, none},
        "train_checkpoint_step{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_cause(c, 0.7, m->checkpoint_error,
                   "The file is damaged or was not written to its end");
    return VERDICT_ILL;
}
