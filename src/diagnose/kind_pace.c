/*
 * Kinds that show in the pace and the appetite of a run: throughput_drop, cpu_contention,
 * memory_growth. Steps that take longer because the job's threads wait for a CPU are the machine's
 * trouble, not the job's.
 */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "diagnose/doctor_priv.h"

static const double none = NAN;

/* Step lengths: as reported, else derived from the times of the steps. */
static const struct toc_bins *step_bins(const struct toc_run_model *m) {
    return m->step_seconds.count ? &m->step_seconds : &m->derived_step_seconds;
}

struct pace {
    double usual, sigma, now, now_sigma, line;
    size_t bins;
    int64_t usual_from_ms, usual_to_ms, since_ms;
};

/* Steps before `until`, from up to five minutes, or of a slow run from all there is. */
struct usual_steps {
    int64_t from_ms; /* of the five minutes */
    int64_t read_from_ms;
    struct toc_bin_range range;
};

/* False when they are few. */
static bool find_usual(const struct toc_run_model *m, int64_t until_ms, struct usual_steps *out) {
    enum { WINDOW_MS = 300000, WARM_UP_MS = 3000, LEAST_BINS = 10 };
    const struct toc_bins *b = step_bins(m);
    if (!b->count)
        return false;
    out->from_ms = TOC_MAX(until_ms - WINDOW_MS, toc_bins_first_ms(b) + WARM_UP_MS);
    out->read_from_ms = out->from_ms;
    out->range = toc_bins_range(b, out->from_ms, until_ms);
    if (out->range.count < LEAST_BINS && b->count >= LEAST_BINS * 2) {
        out->read_from_ms = 0; /* minutes hold few steps */
        out->range = toc_bins_range(b, 0, until_ms);
    }
    return out->range.count >= LEAST_BINS;
}

/* Are nearly all steps within the last `hold_s` longer than `line`? One quick second in ten is
 * forgiven. */
static bool is_slow_for(const struct toc_run_model *m, double hold_s, double line, struct pace *p) {
    enum { LEAST_BINS = 4 };
    const struct toc_bins *b = step_bins(m);
    int64_t from_ms = m->last_t_ms - (int64_t)(hold_s * 1000), oldest_ms = INT64_MAX;
    double v[TOC_BINS];
    size_t n = 0, slow = 0;
    size_t at =
        b->start + b->count < TOC_BINS ? b->start + b->count : b->start + b->count - TOC_BINS;
    for (size_t i = b->count; i-- > 0;) {
        at = at ? at - 1 : TOC_BINS - 1;
        const struct toc_bin *bin = &b->items[at];
        if (bin->t_ms < from_ms)
            break;
        oldest_ms = bin->t_ms;
        slow += bin->median > line;
        v[n++] = bin->median;
    }
    /* After a silence the window is mostly empty: what it holds speaks for a moment only. */
    bool is_covered = n >= LEAST_BINS && (double)(m->last_t_ms - oldest_ms) >= 750 * hold_s;
    if (!is_covered || toc_bins_first_ms(b) > from_ms || slow * 10 < n * 9)
        return false;
    p->bins = n;
    p->now = toc_history_median(v, n);
    p->now_sigma = toc_history_mad(v, n, p->now);
    p->since_ms = from_ms;
    return true;
}

/* Seconds of a step that the training thread wanted a CPU and had none; NaN when nobody tells. */
static double wait_per_step(const struct toc_run_model *m, int64_t from_ms, int64_t to_ms,
                            double step_s) {
    double v[TOC_BINS];
    size_t n = toc_bins_window(&m->cpu_wait, from_ms, to_ms, v, TOC_BINS);
    return toc_history_median(v, n) * step_s;
}

/* Is most of what the steps take longer spent waiting for a CPU? */
static bool is_contended(const struct toc_doctor *d, const struct toc_run_model *m,
                         const struct pace *p) {
    double before = wait_per_step(m, p->usual_from_ms, p->usual_to_ms, p->usual);
    double now = wait_per_step(m, p->since_ms, INT64_MAX, p->now);
    return isfinite(now) && now - (isfinite(before) ? before : 0) >=
                                d->o.limits.cpu_wait_explains * (p->now - p->usual);
}

/* From one report to the next to a new level, and there as steady as before: that is how a larger
 * batch or longer sequences look, not how a disk, a network or a neighbour do. Only the mild kind:
 * work that becomes three times as much is worth a word. */
static bool is_more_work(const struct pace *p) {
    static const double steady = 0.02;
    return p->sigma <= steady * p->usual && p->now_sigma <= steady * p->now;
}

/* Did the last `hold_s` take `ratio` times as long as before? UNKNOWN: too little is known. */
static enum toc_verdict judge_hold(const struct toc_run_model *m, double hold_s, double ratio,
                                   struct pace *p) {
    struct usual_steps usual;
    double v[TOC_BINS];
    p->usual_to_ms = m->last_t_ms - (int64_t)(hold_s * 1000) - 2000;
    if (!find_usual(m, p->usual_to_ms, &usual))
        return VERDICT_UNKNOWN;
    p->usual_from_ms = usual.from_ms;
    /* What is not slow beside the shortest step is not beside the usual one, which costs more. */
    if (usual.range.least > 0 && !is_slow_for(m, hold_s, ratio * usual.range.least, p))
        return VERDICT_CALM;
    size_t n = toc_bins_window(step_bins(m), usual.read_from_ms, p->usual_to_ms, v, TOC_BINS);
    p->usual = toc_history_median(v, n);
    if (!(p->usual > 0))
        return VERDICT_UNKNOWN;
    if (!is_slow_for(m, hold_s, ratio * p->usual, p))
        return VERDICT_CALM;
    p->sigma = toc_history_mad(v, n, p->usual);
    p->line = TOC_MAX(ratio * p->usual, p->usual + 4 * p->sigma);
    return is_slow_for(m, hold_s, p->line, p) ? VERDICT_ILL : VERDICT_CALM;
}

/* What is slow on this machine: where the job does not tell its own waits, a busy machine must do.
 */
static enum toc_verdict judge_slowness(const struct toc_doctor *d, const struct toc_run_model *m,
                                       struct pace *p) {
    const struct toc_doctor_limits *l = &d->o.limits;
    bool is_busy = !m->cpu_wait.count && toc_doctor_is_contended(d, l->slow_hold_s);
    double mild_hold_s = l->slow_mild_hold_s * (is_busy ? 3 : 1);
    enum toc_verdict v =
        judge_hold(m, l->slow_hold_s, is_busy ? l->slow_contended_ratio : l->slow_ratio, p);
    if (v != VERDICT_CALM)
        return v;
    /* Mild slowness counts when it lasts. */
    v = judge_hold(m, mild_hold_s, l->slow_mild_ratio, p);
    return v == VERDICT_ILL && !is_more_work(p) ? VERDICT_ILL : VERDICT_CALM;
}

/* Common to both kinds of slowness: p is filled when ILL. */
static enum toc_verdict judge_pace(const struct toc_doctor *d, const struct toc_run_model *m,
                                   struct toc_case *c, struct pace *p) {
    enum { LONGEST_MS = 30 * 60 * 1000 };
    if (!step_bins(m)->count || m->is_dormant)
        return VERDICT_UNKNOWN;
    if (!toc_run_is_running(m))
        return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
    if (m->starving_since_ms) /* the cause speaks for itself */
        return VERDICT_CALM;
    if (d->now_ms - m->last_seen_ms > 5000)
        return VERDICT_UNKNOWN; /* no steps, no pace: that is for `hang` to say */
    if (toc_case_is_known(c))
        return is_slow_for(m, d->o.limits.slow_hold_s, 1.3 * c->reference, p) &&
                       d->now_ms - c->started_ms < LONGEST_MS
                   ? VERDICT_ILL
                   : VERDICT_CALM;
    return judge_slowness(d, m, p);
}

static void add_pace_evidence(const struct toc_run_model *m, struct toc_case *c,
                              const struct pace *p) {
    struct toc_evidence_numbers n = {p->now, p->line, p->usual - 3 * p->sigma,
                                     p->usual + 3 * p->sigma};
    if (m->step_seconds.count)
        toc_case_evidence(c, "Time per step", "s", n, "train_step_seconds{run=\"%.*s\"}",
                          TOC_SV_ARG(m->name));
    else
        toc_case_evidence(c, "Time per step", "s", n, "1 / rate(train_step{run=\"%.*s\"}[30s])",
                          TOC_SV_ARG(m->name));
}

static void fill_throughput(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                            const struct pace *p) {
    double step = toc_run_step_at(m, p->since_ms);
    toc_case_begin(c, TOC_KIND_THROUGHPUT_DROP, p->since_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: steps take %.3g s, %.1f times as long as usual", TOC_SV_ARG(m->name),
                   p->now, p->now / p->usual);
    toc_case_summary(c, "Since about step %.0f a step takes %.3g s; before it took %.3g s.",
                     isfinite(step) ? step : 0, p->now, p->usual);
    toc_case_action(c,
                    "Look at the data loader's wait, at the GPU's clocks and throttle reasons, and "
                    "at what else runs on the machine.");
    add_pace_evidence(m, c, p);
    if (toc_doctor_is_contended(d, d->o.limits.slow_hold_s))
        toc_case_cause(c, 0.7, "rate(node_pressure_cpu_waiting_seconds_total[30s])",
                       "The machine's CPUs are busy with other work");
    toc_case_cause(c, 0.4, "", "The input pipeline no longer keeps up");
    toc_case_cause(c, 0.3, "", "The device is throttled or shared");
}

enum toc_verdict toc_judge_throughput(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    struct pace p = {0};
    enum toc_verdict v = judge_pace(d, m, c, &p);
    if (v != VERDICT_ILL || toc_case_is_known(c))
        return v;
    if (is_contended(d, m, &p)) /* said as such */
        return VERDICT_CALM;
    c->reference = p.usual;
    fill_throughput(d, m, c, &p);
    return VERDICT_ILL;
}

static void fill_contention(const struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                            const struct pace *p) {
    double step = toc_run_step_at(m, p->since_ms),
           wait = wait_per_step(m, p->since_ms, INT64_MAX, 1);
    toc_case_begin(c, TOC_KIND_CPU_CONTENTION, p->since_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: the host is contended: steps take %.3g s, %.1f times as long as usual",
                   TOC_SV_ARG(m->name), p->now, p->now / p->usual);
    toc_case_summary(c,
                     "Since about step %.0f the job waits for a CPU %.0f %% of the time; "
                     "that is what makes its steps longer (%.3g s before). The job itself did not "
                     "become slower.",
                     isfinite(step) ? step : 0, 100 * wait, p->usual);
    toc_case_action(c, "Look at what else runs on the machine and at the CPU limit of the job's "
                       "cgroup; move the other work away or give the job CPUs of its own.");
    toc_case_evidence(c, "Time the training thread waits for a CPU", "ratio",
                      (struct toc_evidence_numbers){
                          wait, d->o.limits.cpu_wait_explains * (1 - p->usual / p->now), 0, none},
                      "train_cpu_wait_ratio{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    add_pace_evidence(m, c, p);
    toc_case_cause(c, 0.9, "train_cpu_wait_ratio", "Other work takes the CPUs of the machine");
}

enum toc_verdict toc_judge_contention(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    struct pace p = {0};
    if (!m->cpu_wait.count)
        return VERDICT_UNKNOWN;
    enum toc_verdict v = judge_pace(d, m, c, &p);
    if (v != VERDICT_ILL || toc_case_is_known(c))
        return v;
    if (m->cases[CASE_THROUGHPUT].is_open || !is_contended(d, m, &p))
        return VERDICT_CALM;
    c->reference = p.usual;
    fill_contention(d, m, c, &p);
    return VERDICT_ILL;
}

/* Theil–Sen: the median of the slopes of all pairs; a few jumps do not move it. */
static double robust_slope(const double *v, const double *t, size_t n) {
    enum { MAX = 64 };
    double slopes[MAX * (MAX - 1) / 2];
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (t[j] != t[i])
                slopes[k++] = (v[j] - v[i]) / (t[j] - t[i]);
    return toc_history_median(slopes, k);
}

enum { GROWTH_BINS_MAX = 60, GROWTH_BINS_LEAST = 8 };

struct growth {
    double grown, largest_jump, span_s, rising_share;
    int64_t since_ms;
    double bytes_per_s, eta_s; /* once the slope was measured */
    double bytes[GROWTH_BINS_MAX], t_s[GROWTH_BINS_MAX];
    size_t count;
};

/* The newest bins of the window, of a long one every n-th. */
static bool look_at_growth(const struct toc_run_model *m, double window_s, struct growth *out) {
    enum { MAX = GROWTH_BINS_MAX, LEAST = GROWTH_BINS_LEAST };
    double *v = out->bytes, *t = out->t_s;
    size_t n = 0, rising = 0, from = 0;
    const struct toc_bins *b = &m->memory;
    int64_t from_ms = m->last_t_ms - (int64_t)(window_s * 1000);
    size_t stride = (size_t)ceil(TOC_MAX(window_s / MAX, 1.0));
    for (size_t i = b->count; i > 0 && n<MAX; i = i> stride ? i - stride : 0) { /* newest first */
        const struct toc_bin *bin = &b->items[(b->start + i - 1) % TOC_BINS];
        if (bin->t_ms < from_ms && n >= LEAST)
            break;
        v[n] = (double)bin->median * 1024;
        t[n++] = (double)(bin->t_ms - m->last_t_ms) / 1000;
        from = i - 1;
    }
    if (n < LEAST)
        return false;
    out->largest_jump = 0;
    double slight = 0.2 * (v[0] - v[n - 1]) / (double)(n - 1); /* up and down at rest is no rise */
    for (size_t i = 0; i + 1 < n; i++) {
        rising += v[i] - v[i + 1] > TOC_MAX(slight, 0.0);
        out->largest_jump = TOC_MAX(out->largest_jump, v[i] - v[i + 1]);
    }
    out->rising_share = (double)rising / (double)(n - 1);
    out->grown = v[0] - v[n - 1];
    out->span_s = t[0] - t[n - 1];
    out->since_ms = b->items[(b->start + from) % TOC_BINS].t_ms;
    out->count = n;
    return true;
}

/* All pairs of bins: the costly part. */
static void measure_slope(const struct toc_run_model *m, struct growth *g) {
    g->bytes_per_s = robust_slope(g->bytes, g->t_s, g->count);
    g->eta_s =
        g->bytes_per_s > 0 ? (m->memory_limit - g->bytes[0]) / g->bytes_per_s : (double)INFINITY;
}

static bool measure_growth(const struct toc_run_model *m, double window_s, struct growth *out) {
    bool is_known = look_at_growth(m, window_s, out);
    if (is_known)
        measure_slope(m, out);
    return is_known;
}

static void fill_memory(struct toc_run_model *m, struct toc_case *c, const struct growth *g) {
    struct toc_buf now = TOC_BUF_INIT, rate = TOC_BUF_INIT, limit = TOC_BUF_INIT;
    double step = toc_run_step_at(m, g->since_ms);
    toc_format_bytes(m->memory_now, &now);
    toc_format_bytes(g->bytes_per_s, &rate);
    toc_format_bytes(m->memory_limit, &limit);
    toc_case_begin(c, TOC_KIND_MEMORY_GROWTH, g->since_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: memory grows %s/s, out of memory in about %.0f s", TOC_SV_ARG(m->name),
                   toc_buf_cstr(&rate), TOC_MAX(g->eta_s, 0));
    toc_case_summary(c, "%s of %s are in use and grow steadily since about step %.0f.",
                     toc_buf_cstr(&now), toc_buf_cstr(&limit), isfinite(step) ? step : 0);
    toc_case_action(
        c, "Save a checkpoint now. Look for what is kept from step to step: losses that hold "
           "their graph, lists of outputs, caches without a limit.");
    toc_case_evidence(c, "Memory in use", "bytes",
                      (struct toc_evidence_numbers){m->memory_now, m->memory_limit, none, none},
                      "train_memory_bytes{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_evidence(c, "Growth per second", "bytes",
                      (struct toc_evidence_numbers){g->bytes_per_s, none, none, none},
                      "deriv(train_memory_bytes{run=\"%.*s\"}[1m])", TOC_SV_ARG(m->name));
    toc_case_cause(c, 0.6, "growth from step to step", "Something is kept that each step adds to");
    toc_buf_fini(&now);
    toc_buf_fini(&rate);
    toc_buf_fini(&limit);
}

/* Filling caches and arenas at the start of a run is growth too, but it ends. */
static bool is_warm(const struct toc_run_model *m, const struct growth *g) {
    enum { WARM_UP_MS = 8000 };
    return g->since_ms - m->memory_first_ms >= WARM_UP_MS || m->memory_now > 0.8 * m->memory_limit;
}

/* Does memory grow steadily over the window, and will it reach the limit in time? */
static bool is_leaking(const struct toc_doctor *d, const struct toc_run_model *m, double window_s,
                       double eta_s, struct growth *g) {
    static const double covered = 0.6; /* of the window; a young run has no long one yet */
    struct growth last;
    if (!look_at_growth(m, window_s, g) || g->span_s < covered * window_s)
        return false;
    /* Steady: most bins rise, and the slope they share explains the growth (one jump does not). */
    bool is_growing = g->rising_share >= 0.7 && g->largest_jump <= 0.4 * g->grown &&
                      g->grown >= d->o.limits.memory_growth_ratio * m->memory_limit;
    if (!is_warm(m, g) || !is_growing)
        return false;
    measure_slope(m, g);
    bool is_steady = g->bytes_per_s * g->span_s >= 0.5 * g->grown;
    if (!is_steady || g->eta_s > eta_s)
        return false;
    /* The last third must grow as the whole does, the newest bins too: what is over is no leak. */
    if (g->bytes[0] - g->bytes[2] < 0.3 * g->bytes_per_s * (g->t_s[0] - g->t_s[2]))
        return false;
    return !measure_growth(m, window_s / 3, &last) || last.bytes_per_s >= 0.3 * g->bytes_per_s;
}

/*
 * A leak that leaves only seconds: the newest bins rise one after the other, each by about as much,
 * and what is left is not more than what they took. So the forecast reaches no further ahead than
 * the growth was watched, and a handful of bins is enough.
 */
static bool look_at_surge(const struct toc_run_model *m, struct growth *out) {
    enum { RISES_LEAST = 4, RISES_MOST = GROWTH_BINS_MAX - 1 };
    static const double even = 3, slight = 0.005;
    const struct toc_bins *b = &m->memory;
    double rates[RISES_MOST], least = INFINITY, most = 0;
    size_t rises = 0;
    *out = (struct growth){0};
    for (size_t i = b->count; i-- > 0 && rises < RISES_MOST;) {
        const struct toc_bin *bin = &b->items[(b->start + i) % TOC_BINS];
        const struct toc_bin *older = i ? &b->items[(b->start + i - 1) % TOC_BINS] : NULL;
        out->bytes[rises] = (double)bin->median * 1024;
        out->t_s[rises] = (double)(bin->t_ms - m->last_t_ms) / 1000;
        out->since_ms = bin->t_ms;
        double rise = older ? (double)(bin->median - older->median) * 1024 : 0;
        double rate = older ? rise * 1000 / (double)(bin->t_ms - older->t_ms) : 0;
        if (rise < slight * m->memory_limit || rate > even * least || rate * even < most)
            break;
        least = TOC_MIN(least, rate);
        most = TOC_MAX(most, rate);
        rates[rises++] = rate;
    }
    if (rises < RISES_LEAST)
        return false;
    out->count = rises + 1;
    out->grown = out->bytes[0] - out->bytes[rises];
    out->span_s = out->t_s[0] - out->t_s[rises];
    out->bytes_per_s = toc_history_median(rates, rises);
    out->eta_s = (m->memory_limit - out->bytes[0]) / out->bytes_per_s;
    return true;
}

static bool is_surging(const struct toc_run_model *m, struct growth *g) {
    return look_at_surge(m, g) && is_warm(m, g) && g->eta_s <= g->span_s;
}

enum toc_verdict toc_judge_memory(struct toc_doctor *d, struct toc_run_model *m,
                                  struct toc_case *c) {
    enum { CALM_ETA_S = 3600 };
    /* Fast leaks show in seconds, slow ones only over many minutes; what takes longer to see may
     * be told the longer ahead. */
    static const struct { double window, eta; } scales[] = {{1, 1}, {10, 2}, {70, 4}};
    const struct toc_doctor_limits *l = &d->o.limits;
    struct growth g;
    if (!(m->memory_limit > 0) || m->is_dormant || !m->memory.count)
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m))
        return VERDICT_CALM;
    if (d->now_ms - m->last_seen_ms > 5000)
        return VERDICT_UNKNOWN;
    if (!toc_case_is_known(c) && is_surging(m, &g)) {
        c->reference = l->memory_window_s;
        fill_memory(m, c, &g);
        return VERDICT_ILL;
    }
    if (!look_at_growth(m, l->memory_window_s, &g))
        return toc_case_is_known(c) ? VERDICT_ILL : VERDICT_UNKNOWN;
    if (toc_case_is_known(c))
        return measure_growth(m, c->reference, &g) && g.eta_s < CALM_ETA_S && g.rising_share > 0.3
                   ? VERDICT_ILL
                   : VERDICT_CALM;
    for (size_t i = 0; i < TOC_ARRAY_LEN(scales); i++) {
        double window_s = scales[i].window * l->memory_window_s;
        if (!is_leaking(d, m, window_s, scales[i].eta * l->memory_eta_s, &g))
            continue;
        c->reference = window_s;
        fill_memory(m, c, &g);
        return VERDICT_ILL;
    }
    return VERDICT_CALM;
}
