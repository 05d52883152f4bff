/*
 * hang: a run that should make progress and does not. Progress is a step of any rank, or a rank's
 * return from an evaluation or a checkpoint; reports without it are none. A phase counts as work
 * until it is far longer than ever before, or a rank stands out within it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "diagnose/doctor_priv.h"

static const double none = NAN;

enum { ACTIVE_MS = 10 * 60 * 1000, TALK_MS = 10 * 1000 };

/* What the judge found. */
struct stall {
    double silent_s, limit_s;
    bool may_be_over; /* all reports stopped, and nobody would have told an end */
    int64_t since_ms;
    enum toc_phase phase;
    struct toc_culprit culprit;
};

static size_t usual_intervals(const struct toc_run_model *m, double *v) {
    size_t n = TOC_MIN(m->interval_count, (size_t)TOC_RECENT);
    for (size_t i = 0; i < n; i++)
        v[i] = m->intervals[i];
    return n;
}

/* 95th percentile of the time between steps, NaN while too few were seen. */
static double usual_interval(const struct toc_run_model *m) {
    enum { LEAST = 20 };
    double v[TOC_RECENT];
    size_t n = usual_intervals(m, v);
    return n < LEAST ? NAN : toc_history_quantile(v, n, 0.95);
}

/* A pause that was seen twice belongs to the run, whether it has a name or not. */
static double known_pause(const struct toc_run_model *m) {
    double longest = 0, second = 0, v[TOC_RECENT];
    size_t n = usual_intervals(m, v);
    for (size_t i = 0; i < n; i++)
        if (v[i] > longest) {
            second = longest;
            longest = v[i];
        } else {
            second = TOC_MAX(second, v[i]);
        }
    return second;
}

/* Does the process of some rank exist, as far as we know? Its end would be told. */
static bool has_process(const struct toc_run_model *m) {
    for (size_t i = 0; i < m->ranks.items.count; i++)
        if (m->ranks.items.items[i].pid > 0 && !m->ranks.items.items[i].gone_ms)
            return true;
    return false;
}

static bool tells_nothing(const struct toc_run_model *m) {
    return m->tells_state < 0.5; /* false, too, while that is not known */
}

/* Files that tell no state just stop, whether their job ended or hangs. */
static bool may_be_over(const struct toc_doctor *d, const struct toc_run_model *m) {
    return tells_nothing(m) && !has_process(m) && d->now_ms - m->last_seen_ms >= TALK_MS;
}

/* How much training a writer holds back before it lets others see it: the longest of the latest
 * arrivals. In a replay arrivals are the moments that are judged. */
static double held_back(const struct toc_doctor *d, const struct toc_run_model *m) {
    double longest = 0;
    for (size_t i = 0; i < TOC_ARRIVALS; i++)
        longest = TOC_MAX(longest, m->held_back_s[i]);
    return d->o.is_replay ? 0 : TOC_MIN(longest, d->o.limits.hang_first_step_s);
}

/* How long a run may go without a step, in seconds. */
static double hang_limit(const struct toc_doctor *d, const struct toc_run_model *m) {
    enum { SLOW_FACTOR = 3, FAST_FACTOR = 20 };
    static const double pause_factor = 1.5;
    const struct toc_doctor_limits *l = &d->o.limits;
    double p95 = usual_interval(m);
    if (!isfinite(p95))
        return l->hang_first_step_s;
    double pause = TOC_MIN(pause_factor * known_pause(m), l->hang_first_step_s);
    if (p95 < 1)
        return TOC_MAX(pause, TOC_MAX(l->hang_fast_floor_s, FAST_FACTOR * p95));
    return TOC_MAX(pause, TOC_MAX(l->hang_floor_s, SLOW_FACTOR * p95));
}

/* No limit is lower: while a run is not silent for so long, the limit need not be known. */
static double least_limit(const struct toc_doctor_limits *l) {
    return TOC_MIN(l->hang_first_step_s, TOC_MIN(l->hang_floor_s, l->hang_fast_floor_s));
}

static double seconds_since(const struct toc_doctor *d, const struct toc_run_model *m,
                            int64_t since_ms) {
    return (double)(d->now_ms - since_ms - m->blind_ms) / 1000;
}

/* The rank that has been in a phase for longest, of those that speak; NULL when none is. */
static const struct toc_rank *in_phase(const struct toc_doctor *d, const struct toc_run_model *m) {
    const struct toc_rank *found = NULL;
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        const struct toc_rank *k = &m->ranks.items.items[i];
        if (k->phase == TOC_PHASE_NONE || !toc_rank_is_active(k, d->now_ms - ACTIVE_MS))
            continue;
        if (!found || k->phase == TOC_PHASE_PAUSED ||
            (found->phase != TOC_PHASE_PAUSED && k->phase_since_ms < found->phase_since_ms))
            found = k;
    }
    return found;
}

/* The last sign of life within a phase: someone entered it, left it or a collective. */
static int64_t last_movement(const struct toc_run_model *m, const struct toc_rank *k) {
    int64_t at_ms = k->phase_since_ms;
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        const struct toc_rank *other = &m->ranks.items.items[i];
        at_ms = TOC_MAX(at_ms, other->collectives_moved_ms);
        at_ms = TOC_MAX(at_ms, other->phase_since_ms);
        at_ms = TOC_MAX(at_ms, other->left_ms);
    }
    return at_ms;
}

/* Did ranks that shared the phase go on without this one? A rank that evaluates alone while the
 * others wait for it does what it should. */
static bool have_others_left(const struct toc_run_model *m, const struct toc_rank *k) {
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        const struct toc_rank *other = &m->ranks.items.items[i];
        if (other != k && other->phase == TOC_PHASE_NONE && other->left_phase == k->phase &&
            other->left_ms >= k->phase_since_ms)
            return true;
    }
    return false;
}

/* Are all ranks in the phase? */
static bool is_shared(const struct toc_doctor *d, const struct toc_run_model *m) {
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        const struct toc_rank *k = &m->ranks.items.items[i];
        if (k->phase == TOC_PHASE_NONE && toc_rank_is_active(k, d->now_ms - ACTIVE_MS))
            return false;
    }
    return true;
}

/* Does every rank say in the phase how many collectives it entered? Then one that is stuck while
 * the others wait for it would show. */
static bool would_show(const struct toc_doctor *d, const struct toc_run_model *m,
                       const struct toc_rank *first) {
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        const struct toc_rank *k = &m->ranks.items.items[i];
        if (toc_rank_is_active(k, d->now_ms - ACTIVE_MS) &&
            (k->collectives_told_ms <= first->phase_since_ms ||
             d->now_ms - k->seen_ms > 3 * TALK_MS))
            return false;
    }
    return is_shared(d, m);
}

/* Does a rank stand out within the phase, and has nobody moved for a while? Ranks may well take
 * some longer than others. */
static bool stands_out(const struct toc_doctor *d, const struct toc_run_model *m,
                       const struct toc_rank *k, struct stall *s) {
    static const double uneven_ratio = 0.3;
    int64_t moved_ms = last_movement(m, k);
    double still_s = seconds_since(d, m, moved_ms);
    s->culprit = toc_ranks_culprit(&m->ranks, moved_ms, d->now_ms);
    return s->culprit.rank >= 0 && (have_others_left(m, k) || is_shared(d, m)) &&
           still_s > TOC_MAX(d->o.limits.hang_floor_s / 2, uneven_ratio * s->silent_s);
}

/* Are such phases so alike that one far longer is stuck, although nobody stands out? */
static bool is_regular(const struct toc_doctor *d, const struct toc_run_model *m,
                       const struct toc_rank *k) {
    enum { CHECKPOINTS = 2, EVALUATIONS = 3 };
    uint32_t seen = m->ranks.lengths[k->phase].count;
    return k->phase == TOC_PHASE_CHECKPOINT ? seen >= CHECKPOINTS
                                            : seen >= EVALUATIONS && !would_show(d, m, k);
}

static bool is_stuck_in_phase(const struct toc_doctor *d, const struct toc_run_model *m,
                              const struct toc_rank *k, struct stall *s) {
    const struct toc_doctor_limits *l = &d->o.limits;
    const struct toc_phase_lengths *known = &m->ranks.lengths[k->phase];
    s->phase = k->phase;
    s->since_ms = k->phase_since_ms;
    s->silent_s = seconds_since(d, m, k->phase_since_ms);
    bool is_apart = stands_out(d, m, k, s);
    if (!known->count)
        s->limit_s = l->phase_first_s;
    else if (is_apart || is_regular(d, m, k))
        s->limit_s = TOC_MAX(l->hang_floor_s, l->phase_apart_ratio * known->max_s);
    else
        s->limit_s = TOC_MAX(l->phase_floor_s, l->phase_ratio * known->max_s);
    return s->silent_s > s->limit_s;
}

static bool is_stuck_in_step(const struct toc_doctor *d, const struct toc_run_model *m,
                             struct stall *s) {
    static const double held_back_factor = 2;
    s->since_ms = TOC_MAX(m->progress_seen_ms, m->ranks.progress_ms);
    s->silent_s = seconds_since(d, m, s->since_ms);
    if (s->silent_s <= least_limit(&d->o.limits))
        return false;
    s->limit_s = hang_limit(d, m);
    s->may_be_over = may_be_over(d, m);
    if (tells_nothing(m)) /* a file, and its writer may buffer it */
        s->limit_s = TOC_MAX(s->limit_s, held_back_factor * held_back(d, m));
    if (s->may_be_over)
        s->limit_s = TOC_MAX(s->limit_s, d->o.limits.hang_floor_s);
    if (s->silent_s <= s->limit_s)
        return false;
    s->culprit = toc_ranks_culprit(&m->ranks, s->since_ms, d->now_ms);
    return true;
}

/* A rank that goes on talking without a step while the others train: they do not wait for it. */
static bool is_left_behind(const struct toc_doctor *d, const struct toc_run_model *m,
                           struct stall *s) {
    enum { LEAST = 20 };
    const struct toc_rank *ahead = NULL, *stuck = NULL;
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        const struct toc_rank *k = &m->ranks.items.items[i];
        if (k->advances < LEAST || k->phase != TOC_PHASE_NONE ||
            !toc_rank_is_active(k, d->now_ms - TALK_MS))
            continue;
        if (!ahead || k->step > ahead->step)
            ahead = k;
        if (!stuck || k->step_seen_ms < stuck->step_seen_ms)
            stuck = k;
    }
    if (!stuck || ahead->step - stuck->step < LEAST)
        return false;
    s->since_ms = stuck->step_seen_ms;
    s->silent_s = seconds_since(d, m, s->since_ms);
    s->limit_s = TOC_MAX(hang_limit(d, m), d->o.limits.hang_floor_s);
    s->culprit = (struct toc_culprit){.rank = stuck->rank,
                                      .count = 1,
                                      .of = m->ranks.items.count,
                                      .host = toc_sv_cstr(stuck->host),
                                      .confidence = 0.9,
                                      .why = "the others go on training",
                                      .expr = "train_step"};
    return s->silent_s > s->limit_s;
}

static bool is_stalled(const struct toc_doctor *d, const struct toc_run_model *m, struct stall *s) {
    const struct toc_rank *k = in_phase(d, m);
    if (k && k->phase == TOC_PHASE_PAUSED)
        return false;
    if (k)
        return is_stuck_in_phase(d, m, k, s);
    return toc_run_is_running(m) && (is_stuck_in_step(d, m, s) || is_left_behind(d, m, s));
}

/* "rank 3 on host-b", "4 ranks on host-b", "ranks 3 and 1 more". */
static void name_culprit(const struct toc_culprit *c, char *out, size_t size) {
    char who[64], where[100] = "";
    if (c->count == 1)
        snprintf(who, sizeof who, "rank %lld", (long long)c->rank);
    else if (c->host.n)
        snprintf(who, sizeof who, "%zu ranks", c->count);
    else
        snprintf(who, sizeof who, "rank %lld and %zu more", (long long)c->rank, c->count - 1);
    if (c->host.n)
        snprintf(where, sizeof where, " on %.*s", TOC_SV_ARG(c->host));
    snprintf(out, size, "%s%s", who, where);
}

static void tell_culprit(struct toc_run_model *m, struct toc_case *c, const struct stall *s) {
    const struct toc_culprit *who = &s->culprit;
    char name[180];
    if (who->rank < 0)
        return;
    name_culprit(who, name, sizeof name);
    toc_case_rank(c, who->rank, who->host);
    toc_case_cause(c, who->confidence, who->why, "%s holds the run up: %s", name, who->why);
    toc_case_evidence(
        c, "Ranks that stand apart", "",
        (struct toc_evidence_numbers){(double)who->count, none, 0, (double)who->of / 2},
        "%s{run=\"%.*s\"}", who->expr, TOC_SV_ARG(m->name));
}

static void tell_title(struct toc_run_model *m, struct toc_case *c, const struct stall *s,
                       double step) {
    char name[180] = "", tail[200] = "";
    if (s->culprit.rank >= 0) {
        name_culprit(&s->culprit, name, sizeof name);
        snprintf(tail, sizeof tail, "; %s holds it up", name);
    }
    if (s->phase == TOC_PHASE_NONE)
        toc_case_title(c, "%.*s: no step for %.0f s, stuck at step %.0f%s", TOC_SV_ARG(m->name),
                       s->silent_s, step, tail);
    else
        toc_case_title(c, "%.*s: %s takes %.0f s, stuck at step %.0f%s", TOC_SV_ARG(m->name),
                       toc_phase_text(s->phase), s->silent_s, step, tail);
}

static void tell_summary(struct toc_run_model *m, struct toc_case *c, const struct stall *s,
                         double step, bool reports_go_on) {
    const char *life =
        reports_go_on ? "Its reports go on, so the process lives." : "Its reports stopped as well.";
    double p95 = usual_interval(m);
    if (s->phase == TOC_PHASE_NONE)
        toc_case_summary(c,
                         "The run says it is running, but step %.0f was its last; a step usually "
                         "takes %.2g s. %s",
                         step, isfinite(p95) ? p95 : 0, life);
    else
        toc_case_summary(c,
                         "The %s at step %.0f does not end; the longest before took %.3g s (%u "
                         "seen). %s",
                         toc_phase_text(s->phase), step, m->ranks.lengths[s->phase].max_s,
                         m->ranks.lengths[s->phase].count, life);
}

/* What the GPUs of the run's machines do, means of a minute; NaN = nobody measures it. */
struct gpu_use {
    double sum[3];
    size_t count[3];
    const struct toc_run_model *m;
};

static bool is_host_of(const struct toc_run_model *m, struct toc_labels labels) {
    struct toc_sv host = toc_labels_get(labels, TOC_SV("Hostname"));
    for (size_t i = 0; host.n && i < m->ranks.items.count; i++)
        if (toc_sv_eq_cstr(host, m->ranks.items.items[i].host))
            return true;
    return false;
}

static const char *const gpu_metrics[] = {"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
                                          "DCGM_FI_PROF_DRAM_ACTIVE"};

static int on_gpu(void *ctx, const struct toc_series_view *v) {
    struct gpu_use *use = ctx;
    struct toc_sv metric = toc_labels_get(v->labels, TOC_METRIC_NAME);
    for (size_t i = 0; is_host_of(use->m, v->labels) && i < TOC_ARRAY_LEN(gpu_metrics); i++)
        for (size_t k = 0; toc_sv_eq_cstr(metric, gpu_metrics[i]) && k < v->count; k++)
            if (isfinite(v->values[k])) {
                use->sum[i] += v->values[k];
                use->count[i]++;
            }
    return 0;
}

static double mean_of(const struct gpu_use *use, int i) {
    return use->count[i] ? use->sum[i] / (double)use->count[i] : NAN;
}

/* A collective that waits spins on the device: busy without tensor work or memory traffic. A device
 * that idles waits for the host. */
static void tell_gpu(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c) {
    static const double busy = 95, idle = 5, no_tensor = 0.01, no_dram = 0.02;
    struct gpu_use use = {.m = m};
    struct toc_select select = {.matchers = &d->gpu_metrics,
                                .matcher_count = 1,
                                .min_ms = d->now_ms - 60000,
                                .max_ms = d->now_ms};
    char text[120];
    if (d->o.querier->select(d->o.querier, &select, on_gpu, &use, NULL) != 0)
        return; /* the hang stands without it */
    double util = mean_of(&use, 0), tensor = mean_of(&use, 1), dram = mean_of(&use, 2);
    snprintf(text, sizeof text, "GPU use %.0f %%, tensor pipe %.1f %%, DRAM %.1f %%", util,
             100 * tensor, 100 * dram);
    if (util > busy && tensor < no_tensor && dram < no_dram)
        toc_case_cause(c, 0.9, text, "The GPUs spin in a collective without work");
    else if (util < idle)
        toc_case_cause(c, 0.6, "DCGM_FI_DEV_GPU_UTIL near 0",
                       "The GPUs idle: the job waits on the host's side, not in a GPU collective");
}

/* Of a run that tells no state and whose reports all stopped: which of the two it is, its files do
 * not say, and neither do we. */
static void tell_over_or_stuck(struct toc_run_model *m, struct toc_case *c, const struct stall *s,
                               double step) {
    double p95 = usual_interval(m);
    c->finding.severity = TOC_SEVERITY_WARNING;
    toc_case_title(c, "%.*s: no report for %.0f s, the last was step %.0f: it has ended or hangs",
                   TOC_SV_ARG(m->name), s->silent_s, step);
    toc_case_summary(c,
                     "The reports stopped at step %.0f; a step usually takes %.2g s. This run does "
                     "not report its state, so an end looks like a hang.",
                     step, isfinite(p95) ? p95 : 0);
    toc_case_action(c,
                    "Look whether its process lives. If so, take its stacks (py-spy dump, gdb). "
                    "If it has ended, all is well: report {\"state\": \"finished\"} at the end, or "
                    "start the job by `tocsin run -- COMMAND`, and ends will be known.");
    toc_case_cause(c, 0.5, "it tells no state", "The job has ended");
    toc_case_cause(c, 0.4, "steps and reports ended together",
                   "The process is stopped, dead or cut off from the network");
}

/* The run is stuck, and says so. */
static void tell_stuck(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                       const struct stall *s, double step) {
    bool reports_go_on = d->now_ms - m->last_seen_ms < TALK_MS;
    tell_title(m, c, s, step);
    tell_summary(m, c, s, step, reports_go_on);
    toc_case_action(c, "Take the stacks of the training processes (py-spy dump, gdb), of the named "
                       "rank first; look for a collective that it did not enter or a data loader "
                       "that blocks; then restart from the last checkpoint.");
    tell_culprit(m, c, s);
    tell_gpu(d, m, c);
    if (reports_go_on)
        toc_case_cause(c, 0.5, "reports go on without a step",
                       "The training loop waits: data loader, collective or lock");
    else
        toc_case_cause(c, 0.5, "steps and reports ended together",
                       "The process is stopped, dead or cut off from the network");
}

static void fill(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                 const struct stall *s) {
    double p95 = usual_interval(m), step = toc_run_step_at(m, INT64_MAX);
    double shown = isfinite(step) ? step : 0;
    toc_case_begin(c, TOC_KIND_HANG, s->since_ms);
    toc_case_step(c, step);
    toc_case_evidence(
        c, "Time since the last step", "s",
        (struct toc_evidence_numbers){s->silent_s, s->limit_s, 0, isfinite(p95) ? p95 : none},
        "time() - train_last_step_timestamp_seconds{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    /* At an end no rank is behind the others. */
    if (s->may_be_over && s->culprit.rank < 0)
        tell_over_or_stuck(m, c, s, shown);
    else
        tell_stuck(d, m, c, s, shown);
}

enum toc_verdict toc_judge_hang(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c) {
    struct stall s = {.culprit = {.rank = -1}};
    if (!m->steps.count || m->is_dormant)
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m) || m->cases[CASE_OOM].is_open || m->cases[CASE_CRASH].is_open)
        return VERDICT_CALM;
    if (!is_stalled(d, m, &s) || s.silent_s > d->o.limits.hang_abandoned_s)
        return VERDICT_CALM;
    struct toc_culprit seen_by_nccl = toc_ras_culprit(d, m);
    if (seen_by_nccl.rank >= 0)
        s.culprit = seen_by_nccl;
    fill(d, m, c, &s);
    return VERDICT_ILL;
}
