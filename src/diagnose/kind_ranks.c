/*
 * Kinds that show between the ranks of one job: straggler (one rank's own time beyond that of its
 * peers) and data_starvation (steps that wait for input). A rank's own time is the step without
 * what it spent in collectives: in a synchronous job the whole step takes everybody as long as the
 * slowest, and the others wait just as much longer.
 */
#include <math.h>
#include <stdio.h>

#include "diagnose/doctor_priv.h"

enum { FRESH_MS = 60 * 1000, LEAST_LINES = 12, BASE_LINES = 20 };

static bool is_fresh(const struct toc_doctor *d, const struct toc_rank *k) {
    return toc_rank_is_active(k, d->now_ms - FRESH_MS) && k->phase == TOC_PHASE_NONE &&
           toc_rank_lines(k) >= LEAST_LINES;
}

/* What a rank did when it was new is its own measure; the first lines are warm-up. */
static void learn_base(struct toc_rank *k) {
    if (k->has_base || k->line_total < BASE_LINES)
        return;
    struct toc_rank_usual u = toc_rank_usual(k);
    if (!isfinite(u.own_s))
        return;
    k->has_base = true;
    k->base = u;
}

static void learn_bases(struct toc_run_model *m) {
    for (size_t i = 0; i < m->ranks.items.count; i++)
        learn_base(&m->ranks.items.items[i]);
}

/* ------------------------------------------------------------------------------------ straggler */

struct peers {
    struct toc_rank *slowest;
    double slowest_s, median_s, spread_s, step_s, waits_s, slowest_waits_s;
    size_t count;
};

/* The slowest rank and what the others need. */
static bool compare_peers(const struct toc_doctor *d, struct toc_run_model *m, struct peers *out) {
    enum { LEAST = 3 };
    double *own = TOC_NEW_ARRAY(double, 3 * m->ranks.items.count + 1);
    double *waits = own + m->ranks.items.count, *steps = waits + m->ranks.items.count;
    *out = (struct peers){0};
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        struct toc_rank *k = &m->ranks.items.items[i];
        struct toc_rank_usual u = is_fresh(d, k) ? toc_rank_usual(k) : (struct toc_rank_usual){0};
        if (!(u.own_s > 0))
            continue;
        if (!out->slowest || u.own_s > out->slowest_s) {
            out->slowest = k;
            out->slowest_s = u.own_s;
            out->slowest_waits_s = u.wait_s;
        }
        own[out->count] = u.own_s;
        waits[out->count] = u.wait_s;
        steps[out->count++] = u.step_s;
    }
    if (out->count >= LEAST) {
        out->median_s = toc_history_median(own, out->count);
        out->spread_s = toc_history_mad(own, out->count, out->median_s);
        out->waits_s = toc_history_median(waits, out->count);
        out->step_s = toc_history_median(steps, out->count);
    }
    toc_free(own);
    return out->count >= LEAST;
}

/* Stages of a pipeline differ by design: what a rank did from its start on is held against it only
 * when it is far out. */
static bool is_out(const struct toc_doctor_limits *l, const struct peers *p, double ratio) {
    static const double worth = 0.1; /* of the step: less does not matter */
    const struct toc_rank *k = p->slowest;
    bool has_grown = k->has_base && p->slowest_s > l->straggler_growth_ratio * k->base.own_s;
    double line = p->median_s * (has_grown ? ratio : l->straggler_start_ratio);
    return p->slowest_s > line && p->slowest_s > p->median_s + 4 * p->spread_s &&
           p->slowest_s - p->median_s > worth * p->step_s;
}

static void fill_straggler(struct toc_run_model *m, struct toc_case *c, const struct peers *p) {
    const struct toc_rank *k = p->slowest;
    struct toc_rank_usual u = toc_rank_usual(k);
    bool others_wait = p->waits_s > p->slowest_waits_s + 0.3 * (p->slowest_s - p->median_s);
    const char *host = k->host[0] ? k->host : "";
    double step = toc_run_step_at(m, INT64_MAX);
    toc_case_begin(c, TOC_KIND_STRAGGLER, m->straggler_since_ms);
    toc_case_step(c, step);
    toc_case_rank(c, k->rank, toc_sv_cstr(host));
    toc_case_title(c,
                   "%.*s: rank %lld%s%s takes %.3g s of its own for a step, %.1f times its peers",
                   TOC_SV_ARG(m->name), (long long)k->rank, host[0] ? " on " : "", host,
                   p->slowest_s, p->slowest_s / p->median_s);
    toc_case_summary(c, "The median of %zu ranks is %.3g s. %s", p->count, p->median_s,
                     others_wait ? "The others wait for it in collectives." : "");
    toc_case_action(c, "Compare this rank's machine with the others: GPU clocks and throttling, "
                       "PCIe and network errors, other work on its CPUs; take it out when it is "
                       "slow again.");
    toc_case_evidence(
        c, "Own time per step of the rank", "s",
        (struct toc_evidence_numbers){p->slowest_s, p->median_s * 1.5,
                                      p->median_s - 3 * p->spread_s, p->median_s + 3 * p->spread_s},
        "train_step_seconds{run=\"%.*s\"} - train_collective_seconds", TOC_SV_ARG(m->name));
    if (u.data_s > 0.5 * (p->slowest_s - p->median_s))
        toc_case_cause(c, 0.8, "train_data_seconds", "It waits for input");
    toc_case_cause(c, others_wait ? 0.7 : 0.5, others_wait ? "the others wait longer" : "",
                   "Its device or machine is slower than the others");
}

enum toc_verdict toc_judge_straggler(struct toc_doctor *d, struct toc_run_model *m,
                                     struct toc_case *c) {
    const struct toc_doctor_limits *l = &d->o.limits;
    struct peers p;
    if (m->is_dormant || m->ranks.items.count < 3)
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m) || m->cases[CASE_HANG].is_open || m->cases[CASE_CRASH].is_open)
        return VERDICT_CALM;
    learn_bases(m);
    if (!compare_peers(d, m, &p))
        return VERDICT_UNKNOWN;
    double ratio = c->is_open ? 1 + (l->straggler_ratio - 1) / 2 : l->straggler_ratio;
    bool is_same = m->straggler_since_ms && m->straggler_rank == p.slowest->rank;
    if (!is_out(l, &p, ratio)) {
        m->straggler_since_ms = 0;
        return VERDICT_CALM;
    }
    if (!is_same) {
        m->straggler_since_ms = d->now_ms;
        m->straggler_rank = p.slowest->rank;
        m->straggler_lines = p.slowest->line_total;
    }
    /* Seconds for fast steps, steps for slow ones. */
    if ((double)(d->now_ms - m->straggler_since_ms) < 1000 * l->straggler_hold_s ||
        p.slowest->line_total - m->straggler_lines < LEAST_LINES / 2)
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    fill_straggler(m, c, &p);
    return VERDICT_ILL;
}

/* ------------------------------------------------------------------------------- data_starvation
 */

static double share_of(struct toc_rank_usual u) {
    return u.step_s > 0 && isfinite(u.data_s) ? u.data_s / u.step_s : NAN;
}

struct starving {
    struct toc_rank *worst;
    double share, before;
    size_t count, of;
};

static bool is_starving(const struct toc_doctor_limits *l, const struct toc_rank *k, bool is_open) {
    double share = share_of(toc_rank_usual(k)), before = share_of(k->base);
    double rise = is_open ? l->data_share_rise / 2 : l->data_share_rise;
    return k->has_base && share >= l->data_share * (is_open ? 0.8 : 1) && share >= before + rise;
}

static struct starving who_starves(const struct toc_doctor *d, const struct toc_run_model *m,
                                   bool is_open) {
    struct starving s = {.share = 0};
    for (size_t i = 0; i < m->ranks.items.count; i++) {
        struct toc_rank *k = &m->ranks.items.items[i];
        if (!is_fresh(d, k))
            continue;
        s.of++;
        if (!is_starving(&d->o.limits, k, is_open))
            continue;
        s.count++;
        double share = share_of(toc_rank_usual(k));
        if (share > s.share) {
            s.worst = k;
            s.share = share;
            s.before = share_of(k->base);
        }
    }
    return s;
}

static void fill_starvation(const struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                            const struct starving *s) {
    const struct toc_rank *k = s->worst;
    struct toc_rank_usual u = toc_rank_usual(k);
    bool is_one = s->count * 2 <= s->of && s->of > 1;
    char who[120] = "steps wait", concerned[80] = "";
    if (s->of > 1)
        snprintf(concerned, sizeof concerned, " %zu of %zu ranks are concerned.", s->count, s->of);
    if (is_one)
        snprintf(who, sizeof who, "rank %lld%s%s waits", (long long)k->rank,
                 k->host[0] ? " on " : "", k->host);
    toc_case_begin(c, TOC_KIND_DATA_STARVATION, m->starving_since_ms);
    toc_case_step(c, toc_run_step_at(m, INT64_MAX));
    if (is_one)
        toc_case_rank(c, k->rank, toc_sv_cstr(k->host));
    toc_case_title(c, "%.*s: %s for input %.0f %% of the time", TOC_SV_ARG(m->name), who,
                   100 * s->share);
    toc_case_summary(c,
                     "Of a step of %.3g s, %.3g s pass waiting for input; at the start of the run "
                     "it was %.0f %%.%s",
                     u.step_s, u.data_s, 100 * s->before, concerned);
    toc_case_action(c, "Look at the loader: its workers, the disk or network it reads from, and "
                       "what else uses them; more workers or prefetching help when the source can "
                       "keep up.");
    toc_case_evidence(c, "Share of the step spent waiting for input", "ratio",
                      (struct toc_evidence_numbers){s->share, d->o.limits.data_share, 0,
                                                    s->before + d->o.limits.data_share_rise},
                      "train_data_seconds{run=\"%.*s\"} / train_step_seconds", TOC_SV_ARG(m->name));
    if (toc_doctor_is_contended(d, d->o.limits.slow_hold_s))
        toc_case_cause(c, 0.7, "rate(node_pressure_cpu_waiting_seconds_total[30s])",
                       "The machine's CPUs are busy with other work, and so are the loaders");
    toc_case_cause(c, 0.5, "", "The source of the data or the loader no longer keeps up");
}

enum toc_verdict toc_judge_starvation(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    if (m->is_dormant)
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m) || m->cases[CASE_HANG].is_open)
        return VERDICT_CALM;
    learn_bases(m);
    struct starving s = who_starves(d, m, c->is_open);
    if (!s.of)
        return VERDICT_UNKNOWN;
    if (!s.count) {
        m->starving_since_ms = 0;
        return VERDICT_CALM;
    }
    if (!m->starving_since_ms)
        m->starving_since_ms = d->now_ms;
    if ((double)(d->now_ms - m->starving_since_ms) < 1000 * d->o.limits.data_hold_s)
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    fill_starvation(d, m, c, &s);
    return VERDICT_ILL;
}
