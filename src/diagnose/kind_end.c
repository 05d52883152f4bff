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

/* Its scheduler says that the job has ended, and nobody has made a step since. */
static bool has_job_end(const struct toc_run_model *m) {
    enum { LAST_STEPS_MS = 5000 };
    return m->is_job_end && m->ranks.progress_ms < m->job_seen_ms + LAST_STEPS_MS;
}

static bool is_failed(const struct toc_run_model *m) {
    return m->state > 2.5 || has_exit(m) || has_job_end(m);
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
    if ((has_exit(m) && m->is_exit_oom) ||
        (has_job_end(m) && m->job_state == TOC_JOB_OUT_OF_MEMORY))
        return true;
    return (is_failed(m) && memory_share(m) >= d->o.limits.oom_ratio) || is_silent_at_limit(d, m);
}

static double end_step(const struct toc_run_model *m) {
    return isfinite(m->error_step) ? m->error_step : toc_run_step_at(m, INT64_MAX);
}

/* Our time when the end was first seen: said by the run, by its process or by its scheduler. */
static int64_t ended_seen_ms(const struct toc_run_model *m) {
    if (m->ended_seen_ms || m->exit_seen_ms)
        return m->ended_seen_ms ? m->ended_seen_ms : m->exit_seen_ms;
    return m->is_job_end ? m->job_seen_ms : 0;
}

/* How long a dead run has been dead; its alert does not stay for ever. */
static bool is_history(const struct toc_doctor *d, const struct toc_run_model *m) {
    int64_t ended_ms = ended_seen_ms(m);
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

/* What each end means for who looks after the run. */
static const struct {
    enum toc_job_state state;
    const char *cause, *action;
} job_ends[] = {
    {TOC_JOB_PREEMPTED, "The scheduler took the job's place away for another",
     "Nothing of the run is broken: start it again from the last checkpoint, or let the scheduler "
     "do so; save on the signal before a preemption, or ask for a class that is not preempted."},
    {TOC_JOB_TIMED_OUT, "The job reached its time limit",
     "Start it again from the last checkpoint with a longer limit; save before the limit comes."},
    {TOC_JOB_NODE_FAILED, "The scheduler lost a node of the job",
     "Start the run again from the last checkpoint on other nodes, and have the node looked at "
     "before it is used again."},
    {TOC_JOB_OUT_OF_MEMORY, "The job reached its memory limit and was killed",
     "Ask for more memory, or use less: smaller batches or fewer workers that load data."},
    {TOC_JOB_EVICTED, "The node gave the pod's place away",
     "Ask for the resources that the pod really uses, so that others go first; start the run again "
     "from the last checkpoint."},
    {TOC_JOB_REQUEUED, "Somebody or the scheduler put the job back into the queue", NULL},
    {TOC_JOB_FAILED, "The scheduler says that the job failed", NULL},
    {TOC_JOB_VANISHED, "The scheduler does not know the job any more", NULL},
};

/* The job's end is the cause of the run's; of a failed job it is only its echo. Returns what to do
 * about it, NULL when that is nothing of its own. */
static const char *add_job(struct toc_run_model *m, struct toc_case *c) {
    bool is_echo = m->job_state == TOC_JOB_FAILED || m->job_state == TOC_JOB_VANISHED;
    for (size_t i = 0; m->job_seen_ms && i < TOC_ARRAY_LEN(job_ends); i++) {
        if (job_ends[i].state != m->job_state)
            continue;
        toc_case_cause(c, is_echo ? 0.3 : 0.95, m->job_text, "%s", job_ends[i].cause);
        return job_ends[i].action;
    }
    return NULL;
}

/* Only a word about this life. */
static void add_job_end(struct toc_run_model *m, struct toc_case *c) {
    const char *action = m->is_job_past ? NULL : add_job(m, c);
    if (action)
        toc_case_action(c, action);
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
    else if (has_job_end(m) && m->job_state == TOC_JOB_OUT_OF_MEMORY)
        toc_case_summary(c, "%s", m->job_text);
    else if (has_exit(m) && m->is_exit_oom)
        toc_case_summary(c, "A process of the run was killed for memory: %s.", m->exit_text);
    else
        toc_case_summary(c, "The run ended with %.0f %% of its memory limit in use.",
                         100 * memory_share(m));
    toc_case_action(
        c, "Restart from the last checkpoint with a smaller batch, gradient accumulation or "
           "activation checkpointing; if memory grew from step to step, look for the leak.");
    add_memory_evidence(m, c);
    if (m->job_state == TOC_JOB_OUT_OF_MEMORY)
        add_job_end(m, c);
    add_exit(m, c);
    add_leak(m, c, 0.9, "A leak filled the memory");
    toc_case_cause(c, says_so ? 0.5 : 0.7, says_so ? m->error_text : "memory at its limit",
                   "The step needs more memory than the limit leaves");
    return VERDICT_ILL;
}

/* A preemption, a time limit, a lost node, an eviction: what the run and its processes say after it
 * are its effects. */
static bool is_end_by_scheduler(const struct toc_run_model *m) {
    return m->is_job_end && m->job_state != TOC_JOB_FAILED;
}

static void tell_crash(struct toc_run_model *m, struct toc_case *c, double step) {
    char name[120];
    double shown = isfinite(step) ? step : 0;
    name_exit(m, name, sizeof name);
    if (is_end_by_scheduler(m)) {
        toc_case_title(c, "%.*s: stopped at step %.0f: %s", TOC_SV_ARG(m->name), shown,
                       m->job_text);
        toc_case_summary(c, "%s%s%s", m->job_text, has_error(m) ? "; the run's last words: " : "",
                         has_error(m) ? m->error_text : "");
    } else if (has_error(m)) {
        toc_case_title(c, "%.*s: training failed at step %.0f: %s", TOC_SV_ARG(m->name), shown,
                       m->error_text);
        toc_case_summary(c, "The run ended with the state failed: %s%s%s", m->error_text,
                         has_exit(m) ? "; " : "", has_exit(m) ? m->exit_text : "");
    } else if (has_exit(m)) {
        toc_case_title(c, "%.*s: %s died at step %.0f: %s", TOC_SV_ARG(m->name), name, shown,
                       m->exit_text);
        toc_case_summary(c, "The run said nothing of an end when %s died: %s.", name, m->exit_text);
    } else if (has_job_end(m)) {
        toc_case_title(c, "%.*s: training failed at step %.0f: %s", TOC_SV_ARG(m->name), shown,
                       m->job_text);
        toc_case_summary(c, "%s", m->job_text);
    } else {
        toc_case_title(c, "%.*s: training failed at step %.0f", TOC_SV_ARG(m->name), shown);
        toc_case_summary(c, "The run ended with the state failed.");
    }
}

static const char *what_to_do(const struct toc_run_model *m) {
    return has_exit(m) && !has_error(m)
               ? "Look what ended the process: the kernel's log (out of memory), the scheduler, "
                 "somebody's kill; then restart from the last checkpoint."
               : "Read the first error of the first rank that failed; restart from the last "
                 "checkpoint once its cause is known.";
}

enum toc_verdict toc_judge_crash(struct toc_doctor *d, struct toc_run_model *m,
                                 struct toc_case *c) {
    if (!m->last_t_ms)
        return VERDICT_UNKNOWN;
    if (is_history(d, m) || !is_failed(m) || is_out_of_memory(d, m))
        return VERDICT_CALM;
    int64_t ended_ms = ended_seen_ms(m);
    if (!has_error(m) && !has_exit(m) && !has_job_end(m) && d->now_ms - ended_ms < TEXT_WAIT_MS)
        return c->is_open ? VERDICT_ILL : VERDICT_UNKNOWN;
    double step = end_step(m);
    int64_t since_ms = m->state > 2.5 ? m->state_t_ms : ended_seen_ms(m);
    toc_case_begin(c, TOC_KIND_CRASH, c->is_open ? c->started_ms : since_ms);
    toc_case_step(c, step);
    tell_crash(m, c, step);
    toc_case_action(c, what_to_do(m));
    toc_case_evidence(c, "State of the run (3 = failed)", "",
                      (struct toc_evidence_numbers){3, none, none, none},
                      "train_run_state{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    add_memory_evidence(m, c);
    add_job_end(m, c);
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
    if (d->now_ms - m->job_seen_ms < (int64_t)(l->restart_storm_window_s * 1000))
        (void)add_job(m, c);
    toc_case_cause(c, 0.5, has_error(m) ? m->error_text : "", "Each attempt meets the same error");
    return VERDICT_ILL;
}
