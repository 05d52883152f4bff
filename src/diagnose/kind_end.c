/* Kinds in which a run ends badly: oom, crash, restart_storm. */
#include <math.h>
#include <stdio.h>

#include "diagnose/doctor_priv.h"

static const double none = NAN;

/* After the state "failed" the error's text may be a moment behind. */
enum { TEXT_WAIT_MS = 1500, SILENT_DEATH_MS = 20000 };

static double memory_share(const struct toc_run_model *m) {
    return m->memory_limit > 0 ? m->memory_now / m->memory_limit : NAN;
}

/* A process of the run ended badly, and nobody has made a step since. */
static bool has_exit(const struct toc_run_model *m) {
    enum { LAST_STEPS_MS = 5000 }; /* others may finish theirs */
    return m->exit_seen_ms && m->ranks.progress_ms < m->exit_seen_ms + LAST_STEPS_MS;
}

static bool is_failed(const struct toc_run_model *m) {
    return m->state > 2.5 || has_exit(m);
}

/* Does the error event belong to the run's present life? */
static bool has_error(const struct toc_run_model *m) {
    return m->error_seen_ms != 0;
}

/* Silent at the brim: killed by the kernel without a word. */
static bool is_silent_at_limit(const struct toc_doctor *d, const struct toc_run_model *m) {
    return toc_run_is_running(m) && memory_share(m) >= d->o.limits.oom_ratio &&
           d->now_ms - m->last_seen_ms - m->blind_ms > SILENT_DEATH_MS &&
           d->now_ms - m->last_seen_ms < (int64_t)(d->o.limits.over_hold_s * 1000);
}

static bool is_out_of_memory(const struct toc_doctor *d, const struct toc_run_model *m) {
    if (has_error(m) && m->is_error_oom && (is_failed(m) || d->now_ms - m->error_seen_ms < 30000))
        return true;
    if (has_exit(m) && m->is_exit_oom)
        return true;
    return (is_failed(m) && memory_share(m) >= d->o.limits.oom_ratio) || is_silent_at_limit(d, m);
}

static double end_step(const struct toc_run_model *m) {
    return isfinite(m->error_step) ? m->error_step : toc_run_step_at(m, INT64_MAX);
}

/* How long a dead run has been dead; its alert does not stay for ever. */
static bool is_history(const struct toc_doctor *d, const struct toc_run_model *m) {
    int64_t ended_ms = m->ended_seen_ms ? m->ended_seen_ms : m->exit_seen_ms;
    return m->is_dormant ||
           (ended_ms && d->now_ms - ended_ms > (int64_t)(d->o.limits.over_hold_s * 1000));
}

/* "rank 2 on host-b", "the process on host-b"; for runs of one rank its number says nothing. */
static void name_exit(const struct toc_run_model *m, char *out, size_t size) {
    const struct toc_rank *k = toc_ranks_find(&m->ranks, m->exit_rank);
    char who[40] = "the process";
    if (m->ranks.items.count > 1)
        snprintf(who, sizeof who, "rank %lld", (long long)m->exit_rank);
    snprintf(out, size, "%s%s%s", who, k && k->host[0] ? " on " : "", k ? k->host : "");
}

static void add_exit(struct toc_run_model *m, struct toc_case *c) {
    const struct toc_rank *k = toc_ranks_find(&m->ranks, m->exit_rank);
    char name[120];
    if (!has_exit(m))
        return;
    name_exit(m, name, sizeof name);
    toc_case_cause(c, 0.8, m->exit_text, "The end of %s: %s", name, m->exit_text);
    if (m->ranks.items.count > 1)
        toc_case_rank(c, m->exit_rank, toc_sv_cstr(k ? k->host : ""));
}

static void add_memory_evidence(struct toc_run_model *m, struct toc_case *c) {
    if (isfinite(m->memory_now))
        toc_case_evidence(c, "Memory in use", "bytes",
                          (struct toc_evidence_numbers){m->memory_now, m->memory_limit, none, none},
                          "train_memory_bytes{run=\"%.*s\"}", TOC_SV_ARG(m->name));
}

/* Memory that grew steadily until the end. */
static void add_leak(const struct toc_run_model *m, struct toc_case *c, double confidence,
                     const char *text) {
    char evidence[120];
    if (!m->cases[CASE_MEMORY].is_open)
        return;
    snprintf(evidence, sizeof evidence, "memory grew steadily, at last to %.0f %% of its limit",
             100 * memory_share(m));
    toc_case_cause(c, confidence, evidence, "%s", text);
}

enum toc_verdict toc_judge_oom(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c) {
    if (!m->last_t_ms)
        return VERDICT_UNKNOWN;
    if (is_history(d, m) || !is_out_of_memory(d, m))
        return VERDICT_CALM;
    double step = end_step(m);
    bool says_so = has_error(m) && m->is_error_oom;
    toc_case_begin(c, TOC_KIND_OOM, c->is_open ? c->started_ms : m->last_t_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: out of memory at step %.0f", TOC_SV_ARG(m->name),
                   isfinite(step) ? step : 0);
    if (says_so)
        toc_case_summary(c, "The run reports: %s", m->error_text);
    else if (has_exit(m) && m->is_exit_oom)
        toc_case_summary(c, "A process of the run was killed for memory: %s.", m->exit_text);
    else
        toc_case_summary(c, "The run ended with %.0f %% of its memory limit in use.",
                         100 * memory_share(m));
    toc_case_action(
        c, "Restart from the last checkpoint with a smaller batch, gradient accumulation or "
           "activation checkpointing; if memory grew from step to step, look for the leak.");
    add_memory_evidence(m, c);
    add_exit(m, c);
    add_leak(m, c, 0.9, "A leak filled the memory");
    toc_case_cause(c, says_so ? 0.5 : 0.7, says_so ? m->error_text : "memory at its limit",
                   "The step needs more memory than the limit leaves");
    return VERDICT_ILL;
}

static void tell_crash(struct toc_run_model *m, struct toc_case *c, double step) {
    char name[120];
    double shown = isfinite(step) ? step : 0;
    name_exit(m, name, sizeof name);
    if (has_error(m)) {
        toc_case_title(c, "%.*s: training failed at step %.0f: %s", TOC_SV_ARG(m->name), shown,
                       m->error_text);
        toc_case_summary(c, "The run ended with the state failed: %s%s%s", m->error_text,
                         has_exit(m) ? "; " : "", has_exit(m) ? m->exit_text : "");
    } else if (has_exit(m)) {
        toc_case_title(c, "%.*s: %s died at step %.0f: %s", TOC_SV_ARG(m->name), name, shown,
                       m->exit_text);
        toc_case_summary(c, "The run said nothing of an end when %s died: %s.", name, m->exit_text);
    } else {
        toc_case_title(c, "%.*s: training failed at step %.0f", TOC_SV_ARG(m->name), shown);
        toc_case_summary(c, "The run ended with the state failed.");
    }
}

enum toc_verdict toc_judge_crash(struct toc_doctor *d, struct toc_run_model *m,
                                 struct toc_case *c) {
    if (!m->last_t_ms)
        return VERDICT_UNKNOWN;
    if (is_history(d, m) || !is_failed(m) || is_out_of_memory(d, m))
        return VERDICT_CALM;
    int64_t ended_ms = m->ended_seen_ms ? m->ended_seen_ms : m->exit_seen_ms;
    if (!has_error(m) && !has_exit(m) && d->now_ms - ended_ms < TEXT_WAIT_MS)
        return c->is_open ? VERDICT_ILL : VERDICT_UNKNOWN;
    double step = end_step(m);
    int64_t since_ms = m->state > 2.5 ? m->state_t_ms : m->exit_seen_ms;
    toc_case_begin(c, TOC_KIND_CRASH, c->is_open ? c->started_ms : since_ms);
    toc_case_step(c, step);
    tell_crash(m, c, step);
    toc_case_action(c, "Read the first error of the first rank that failed; restart from the last "
                       "checkpoint once its cause is known.");
    toc_case_evidence(c, "State of the run (3 = failed)", "",
                      (struct toc_evidence_numbers){3, none, none, none},
                      "train_run_state{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    add_memory_evidence(m, c);
    /* An allocation that fails in native code ends a process without a word of its own. */
    add_leak(m, c, 0.85, "The process ran out of memory: an allocation beyond the limit failed");
    if (has_error(m))
        toc_case_cause(c, 0.6, m->error_text, "The error that the run reported");
    add_exit(m, c);
    return VERDICT_ILL;
}

enum toc_verdict toc_judge_restarts(struct toc_doctor *d, struct toc_run_model *m,
                                    struct toc_case *c) {
    const struct toc_doctor_limits *l = &d->o.limits;
    if (!m->restarts_t_ms || m->is_dormant)
        return VERDICT_UNKNOWN;
    int64_t from_ms = m->last_t_ms - (int64_t)(l->restart_storm_window_s * 1000);
    size_t recent = 0, known = TOC_MIN(m->restart_count, (size_t)64);
    for (size_t i = 0; i < known; i++)
        recent += m->restart_times[i] >= from_ms;
    if ((double)recent < l->restart_storm_count / (c->is_open ? 2 : 1))
        return VERDICT_CALM;
    double step = toc_run_step_at(m, INT64_MAX);
    toc_case_begin(c, TOC_KIND_RESTART_STORM, c->is_open ? c->started_ms : m->restarts_t_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: %zu restarts in %.0f min", TOC_SV_ARG(m->name), recent,
                   l->restart_storm_window_s / 60);
    toc_case_summary(c, "The run keeps starting again and loses its work each time.");
    toc_case_action(c,
                    "Stop the automatic restarts, find the first error of the last attempts, and "
                    "check whether they share a node.");
    toc_case_evidence(
        c, "Restarts in the window", "",
        (struct toc_evidence_numbers){(double)recent, l->restart_storm_count, 0, none},
        "increase(train_restarts_total{run=\"%.*s\"}[30m])", TOC_SV_ARG(m->name));
    toc_case_cause(c, 0.5, has_error(m) ? m->error_text : "", "Each attempt meets the same error");
    return VERDICT_ILL;
}
