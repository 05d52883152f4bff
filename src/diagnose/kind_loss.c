/* Kinds that show in the loss: divergence, loss_spike. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/doctor_priv.h"

static const double none = NAN;

/* How much the learning rate grew within the last two minutes before t; 1 when unknown. */
static double rate_jump(const struct toc_run_model *m, int64_t t_ms) {
    enum { LATELY_MS = 120000 };
    const struct toc_rate_jump *jump = &m->learn.rate_jump;
    if (jump->t_ms && jump->t_ms <= t_ms && t_ms - jump->t_ms < LATELY_MS)
        return jump->to / jump->from;
    struct toc_bin_range before = toc_bins_range(&m->rate, t_ms - 120000, t_ms - 20000);
    if (before.count < 3)
        before = toc_bins_range(&m->rate, 0, t_ms - 8000);
    /* The highest of before: a warm-up that climbs is no jump. */
    const struct toc_sample_at *now = toc_recent_at(&m->rates, 0);
    return now && before.most > 0 ? now->value / before.most : 1;
}

void toc_case_rate_cause(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                         int64_t t_ms) {
    double jump = rate_jump(m, t_ms);
    const struct toc_sample_at *rate = toc_recent_at(&m->rates, 0);
    char text[160];
    if (jump < d->o.limits.lr_jump_ratio || !rate)
        return;
    snprintf(text, sizeof text, "train_learning_rate{run=\"%.*s\"} is %.3g", TOC_SV_ARG(m->name),
             rate->value);
    toc_case_cause(c, 0.9, text, "The learning rate jumped to %.3g, %.3g times what it was",
                   rate->value, jump);
}

/* What the loss usually is, from bins before `until`; NaN with too little history. */
struct usual {
    double median, sigma;
};

/* Where they begin, and their range; too few have none. */
static struct toc_bin_range usual_range(const struct toc_run_model *m, int64_t until_ms,
                                        int64_t *out_from_ms) {
    enum { LEAST_BINS = 8, SKIP_MS = 3000, WINDOW_MS = 120000 };
    *out_from_ms = TOC_MAX(until_ms - WINDOW_MS, toc_bins_first_ms(&m->loss) + SKIP_MS);
    struct toc_bin_range range = toc_bins_range(&m->loss, *out_from_ms, until_ms);
    if (range.count < LEAST_BINS && toc_bins_first_ms(&m->loss) != INT64_MAX) {
        *out_from_ms = 0; /* a slow run: all there is */
        range = toc_bins_range(&m->loss, 0, until_ms);
    }
    return range.count < LEAST_BINS ? (struct toc_bin_range){0, NAN, NAN} : range;
}

/* What the usual loss is not less than; found much faster. NaN when little is known. */
static double least_usual(const struct toc_run_model *m, int64_t until_ms) {
    int64_t from_ms;
    return usual_range(m, until_ms, &from_ms).least;
}

/* The median is known before the spread, which costs more; without it sigma is 0. */
static struct usual usual_loss(const struct toc_run_model *m, int64_t until_ms, bool has_sigma) {
    double v[TOC_BINS], w[TOC_BINS];
    int64_t from_ms;
    if (!usual_range(m, until_ms, &from_ms).count)
        return (struct usual){NAN, NAN};
    size_t n = toc_bins_window(&m->loss, from_ms, until_ms, v, TOC_BINS);
    for (size_t i = 0; i < n; i++)
        w[i] = v[i];
    struct usual u = {.median = toc_history_median(w, n)};
    /* Noise is what differs from one bin to the next; the trend of a falling loss is none of it. */
    for (size_t i = 0; has_sigma && i + 1 < n; i++)
        w[i] = v[i + 1] - v[i];
    if (has_sigma)
        u.sigma = toc_history_mad(w, n - 1, 0) / sqrt(2);
    /* v is still in order of time: the most recent level counts when it is higher than the
     * median */
    double recent = toc_history_median(v + n - TOC_MIN(n, (size_t)8), TOC_MIN(n, (size_t)8));
    u.median = TOC_MAX(u.median, recent);
    if (has_sigma)
        u.sigma = TOC_MAX(u.sigma, 0.01 * fabs(u.median) + 1e-9);
    return u;
}

/* Newest bins whose loss lies above the line, and since when. */
static void measure_run_above(const struct toc_run_model *m, double line, size_t *out_bins,
                              int64_t *out_since_ms, double *out_peak) {
    const struct toc_bins *b = &m->loss;
    *out_bins = 0;
    *out_peak = -INFINITY;
    for (size_t i = b->count; i-- > 0;) {
        const struct toc_bin *bin = &b->items[(b->start + i) % TOC_BINS];
        if (bin->median <= line)
            return;
        ++*out_bins;
        *out_since_ms = bin->t_ms;
        *out_peak = TOC_MAX(*out_peak, (double)bin->median);
    }
}

/* A run that has just begun wanders: nothing is called a rise before this. */
static bool is_too_young(const struct toc_run_model *m) {
    enum { YOUNG_MS = 10000, YOUNG_SAMPLES = 50 };
    return m->last_t_ms - toc_bins_first_ms(&m->loss) < YOUNG_MS && m->losses.count < YOUNG_SAMPLES;
}

/* A rise too slow for the bins, whose usual level climbs with it: against the best of the whole
 * course. */
static bool is_slow_rise(const struct toc_doctor *d, const struct toc_run_model *m,
                         struct toc_course_rise *out) {
    static const double of_start = 0.03;
    const struct toc_course *c = m->learn.loss;
    if (!c || !toc_course_rise(c, out) || out->after >= c->count)
        return false;
    double margin = TOC_MAX(d->o.limits.divergence_ratio * fabs(out->best),
                            d->o.limits.divergence_sigma * out->error);
    margin = TOC_MAX(margin, of_start * fabs(c->points[0].mean));
    return out->now > out->best + margin && out->lowest_now > out->best + margin / 2;
}

static void fill_slow_rise(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                           const struct toc_course_rise *x) {
    size_t jump = toc_course_jump(m->learn.loss, x);
    const struct toc_course_point *p = &m->learn.loss->points[jump ? jump : x->after];
    double step = isfinite(p->step) ? p->step : 0;
    c->reference = x->best + 0.5 * d->o.limits.divergence_ratio * fabs(x->best);
    toc_case_begin(c, TOC_KIND_DIVERGENCE, p->t_ms);
    toc_case_step(c, p->step);
    toc_case_title(c,
                   jump ? "%.*s: loss jumped at step %.0f, from %.3g to %.3g"
                        : "%.*s: loss has risen since step %.0f, from %.3g to %.3g",
                   TOC_SV_ARG(m->name), step, x->best, x->now);
    toc_case_summary(
        c, "Since step %.0f the loss %s; it is now %.0f %% above the best level of this run.", step,
        jump ? "stays high" : "goes up slowly and steadily", 100 * (x->now / x->best - 1));
    toc_case_action(c, "Go back to the checkpoint before this step and continue with a lower "
                       "learning rate; check the schedule, the data and weight decay.");
    toc_case_evidence(c, "Loss", "",
                      (struct toc_evidence_numbers){x->now, c->reference, none, c->reference},
                      "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.4, "", "The learning rate is too high for this phase of training");
    toc_case_cause(c, 0.3, "", "The data change while the run goes on");
}

/* The learning rate jumped, and the loss with it. */
struct lost_level {
    double before, now, line;
};

enum { LOST_BEFORE = 16, LOST_BEFORE_MOST = 64, LOST_AFTER = 16 };

/* Losses at and after the jump, newest first, and of those before it the newest; false when either
 * are few. */
static bool losses_around(const struct toc_run_model *m, int64_t jump_ms, double *after,
                          size_t *out_after, double *before, size_t *out_before) {
    const struct toc_sample_at *s;
    *out_after = *out_before = 0;
    for (size_t i = 0; (s = toc_recent_at(&m->losses, i)) && *out_before < LOST_BEFORE_MOST; i++) {
        if (!isfinite(s->value))
            continue;
        if (s->t_ms >= jump_ms)
            after[(*out_after)++] = s->value;
        else
            before[(*out_before)++] = s->value;
    }
    return *out_after >= LOST_AFTER && *out_before >= LOST_BEFORE;
}

/* Noise of reports: what differs from one to the next, for the level itself may fall. */
static double report_noise(const double *v, size_t n) {
    double jumps[LOST_BEFORE_MOST];
    for (size_t i = 0; i + 1 < n; i++)
        jumps[i] = v[i + 1] - v[i];
    return toc_history_mad(jumps, n - 1, 0) / sqrt(2);
}

/* Is what was lost coming back? The older half of what followed the jump beside the newer one. */
static bool is_coming_back(const double *newest_first, size_t n, double before) {
    static const double regained = 0.2;
    double w[TOC_RECENT];
    size_t half = n / 2;
    memcpy(w, newest_first, half * sizeof *w);
    double newer = toc_history_median(w, half);
    memcpy(w, newest_first + half, (n - half) * sizeof *w);
    double older = toc_history_median(w, n - half);
    return older - newer > regained * (older - before);
}

/* Does the loss stay above the level that it had reached when the learning rate jumped? Told by
 * reports, so that it is known long before the seconds of a fast run are many. */
static bool find_lost_level(const struct toc_doctor *d, const struct toc_run_model *m,
                            struct lost_level *out) {
    enum { HOLD_MS = 2000 };
    const struct toc_rate_jump *jump = &m->learn.rate_jump;
    double after[TOC_RECENT], before[LOST_BEFORE_MOST], w[TOC_RECENT];
    size_t n_after, n_before;
    if (!jump->t_ms || m->losses.last_t_ms - jump->t_ms < HOLD_MS ||
        !losses_around(m, jump->t_ms, after, &n_after, before, &n_before))
        return false;
    double noise = report_noise(before, n_before);
    memcpy(w, before, n_before * sizeof *w);
    out->before = toc_history_median(w, n_before);
    double error = noise * sqrt(1.0 / (double)n_before + 1.0 / LOST_AFTER);
    double margin = TOC_MAX(d->o.limits.divergence_ratio * fabs(out->before),
                            d->o.limits.divergence_sigma * error);
    size_t newest = TOC_MAX(n_after / 2, (size_t)LOST_AFTER);
    memcpy(w, after, newest * sizeof *w);
    out->now = toc_history_median(w, newest);
    memcpy(w, after, newest * sizeof *w);
    double low = toc_history_quantile(w, newest, 0.1);
    out->line = out->before + margin;
    return out->now > out->line && low > out->before + margin / 2 &&
           !is_coming_back(after, n_after, out->before);
}

static void fill_lost_level(struct toc_run_model *m, struct toc_case *c,
                            const struct lost_level *x) {
    const struct toc_rate_jump *jump = &m->learn.rate_jump;
    c->reference = x->line;
    toc_case_begin(c, TOC_KIND_DIVERGENCE, jump->t_ms);
    toc_case_step(c, jump->step);
    toc_case_title(c, "%.*s: loss jumped from %.3g to %.3g at step %.0f with the learning rate",
                   TOC_SV_ARG(m->name), x->before, x->now, isfinite(jump->step) ? jump->step : 0);
    toc_case_summary(c,
                     "At step %.0f the learning rate went from %.3g to %.3g; since then the loss "
                     "stays above %.3g and does not come back to the %.3g that it had reached.",
                     isfinite(jump->step) ? jump->step : 0, jump->from, jump->to, x->line,
                     x->before);
    toc_case_action(c, "Stop the run and go back to the checkpoint before this step with the "
                       "learning rate of before; check the schedule and who set it.");
    toc_case_evidence(c, "Loss", "", (struct toc_evidence_numbers){x->now, x->line, none, x->line},
                      "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_evidence(c, "Learning rate", "",
                      (struct toc_evidence_numbers){jump->to, none, none, jump->from},
                      "train_learning_rate{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_cause(c, 0.9, "the loss rose at the very report with which the rate did",
                   "The learning rate jumped to %.3g, %.1f times what it was", jump->to,
                   jump->to / jump->from);
}

/* A rise over seconds, against what was usual before. */
struct risen {
    struct usual usual;
    double margin, line, peak;
    int64_t since_ms;
};

static enum toc_verdict find_risen(const struct toc_doctor *d, const struct toc_run_model *m,
                                   struct risen *out) {
    enum { LEAST_BINS = 5 };
    const struct toc_doctor_limits *l = &d->o.limits;
    int64_t now_ms = m->last_t_ms;
    int64_t until_ms = now_ms - 2 * (int64_t)(l->divergence_hold_s * 1000) - 2000;
    size_t bins = 0;
    bool has_cause = rate_jump(m, now_ms) >= l->lr_jump_ratio;
    double share = (has_cause ? 0.5 : 1) * l->divergence_ratio, least = least_usual(m, until_ms);
    *out = (struct risen){{least, 0}, share * least, least + share * least, 0, now_ms};
    measure_run_above(m, out->line, &bins, &out->since_ms, &out->peak);
    if (!(least > 0) || bins >= LEAST_BINS) {
        out->usual = usual_loss(m, until_ms, false);
        if (!isfinite(out->usual.median))
            return VERDICT_UNKNOWN;
        out->margin = share * fabs(out->usual.median);
        out->line = out->usual.median + out->margin;
        measure_run_above(m, out->line, &bins, &out->since_ms, &out->peak);
    }
    if (bins >= LEAST_BINS) { /* else there are no more above a line that is higher */
        out->usual = usual_loss(m, until_ms, true);
        out->margin = TOC_MAX(l->divergence_sigma * out->usual.sigma, out->margin);
        out->line = out->usual.median + out->margin;
        measure_run_above(m, out->line, &bins, &out->since_ms, &out->peak);
    }
    bool is_held = (double)(now_ms - out->since_ms) >= (l->divergence_hold_s - 1) * 1000;
    return bins >= LEAST_BINS && is_held ? VERDICT_ILL : VERDICT_CALM;
}

static void fill_risen(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                       const struct risen *x) {
    const struct toc_sample_at *grad = toc_recent_at(&m->grads, 0);
    double step = toc_run_step_at(m, x->since_ms);
    c->reference = x->line;
    toc_case_begin(c, TOC_KIND_DIVERGENCE, x->since_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: loss rose to %.3g at step %.0f, usually %.3g", TOC_SV_ARG(m->name),
                   x->peak, isfinite(step) ? step : 0, x->usual.median);
    toc_case_summary(c,
                     "Since step %.0f the loss stays above %.3g, the upper end of what this run "
                     "showed before, and does not come back.",
                     isfinite(step) ? step : 0, x->line);
    toc_case_action(c, "Go back to the checkpoint before this step and continue with a lower "
                       "learning rate; check the schedule and gradient clipping.");
    toc_case_evidence(
        c, "Loss", "",
        (struct toc_evidence_numbers){x->peak, x->line, x->usual.median - x->margin, x->line},
        "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    if (grad)
        toc_case_evidence(c, "Gradient norm", "",
                          (struct toc_evidence_numbers){grad->value, none, none, none},
                          "train_grad_norm{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    if (m->rates.count)
        toc_case_evidence(
            c, "Learning rate", "",
            (struct toc_evidence_numbers){toc_recent_at(&m->rates, 0)->value, none, none, none},
            "train_learning_rate{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.4, "", "The learning rate is too high for this phase of training");
    toc_case_cause(c, 0.2, "", "The data changed: a new shard, another mixture, corrupt batches");
}

/* A rise that is told by its course: when the learning rate jumped after the best of it, that is
 * where it began. */
static void fill_course_rise(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                             const struct toc_course_rise *x) {
    const struct toc_rate_jump *jump = &m->learn.rate_jump;
    if (!jump->t_ms || jump->t_ms < m->learn.loss->points[x->after].t_ms) {
        fill_slow_rise(d, m, c, x);
        return;
    }
    double line = x->best + 0.5 * d->o.limits.divergence_ratio * fabs(x->best);
    fill_lost_level(m, c, &(struct lost_level){x->best, x->now, line});
}

enum toc_verdict toc_judge_divergence(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    enum { NEW_NORMAL_MS = 10 * 60 * 1000 };
    struct lost_level lost;
    struct risen risen;
    struct toc_course_rise rise;
    if (!m->loss.count || is_too_young(m))
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m))
        return VERDICT_CALM;
    /* Against the line of its opening: the ill level must not become the usual one. */
    if (toc_case_is_known(c)) {
        size_t bins;
        measure_run_above(m, c->reference, &bins, &risen.since_ms, &risen.peak);
        return bins && d->now_ms - c->started_ms < NEW_NORMAL_MS ? VERDICT_ILL : VERDICT_CALM;
    }
    if (find_lost_level(d, m, &lost)) {
        fill_lost_level(m, c, &lost);
        return VERDICT_ILL;
    }
    enum toc_verdict v = find_risen(d, m, &risen);
    if (v == VERDICT_ILL) {
        fill_risen(d, m, c, &risen);
    } else if (is_slow_rise(d, m, &rise)) { /* also of a run with too few seconds behind it */
        fill_course_rise(d, m, c, &rise);
        v = VERDICT_ILL;
    }
    return v;
}

/* A spike is a rise that came back within the time after which it would be called divergence. */
static bool has_bin_above(const struct toc_run_model *m, int64_t from_ms, double line) {
    const struct toc_bins *b = &m->loss;
    for (size_t i = b->count; i-- > 0;) {
        const struct toc_bin *bin = &b->items[(b->start + i) % TOC_BINS];
        if (bin->t_ms < from_ms)
            return false;
        if ((double)bin->median > line)
            return true;
    }
    return false;
}

enum toc_verdict toc_judge_loss_spike(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    enum { LOOK_BACK_MS = 20000, LEAST_SAMPLES = 3, SINGLE_FACTOR = 3 };
    const struct toc_doctor_limits *l = &d->o.limits;
    if (!m->loss.count || is_too_young(m))
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m) || m->cases[CASE_DIVERGENCE].is_open)
        return VERDICT_CALM;
    int64_t now_ms = m->last_t_ms;
    double least = least_usual(m, now_ms - LOOK_BACK_MS);
    if (least > 0 && !has_bin_above(m, now_ms - LOOK_BACK_MS, least + 0.5 * least))
        return VERDICT_CALM; /* nor above a line that is higher */
    struct usual u = usual_loss(m, now_ms - LOOK_BACK_MS, false);
    if (!isfinite(u.median))
        return VERDICT_UNKNOWN;
    if (!has_bin_above(m, now_ms - LOOK_BACK_MS, u.median + 0.5 * fabs(u.median)))
        return VERDICT_CALM; /* nor above a line that is higher */
    u = usual_loss(m, now_ms - LOOK_BACK_MS, true);
    double line = u.median + TOC_MAX(l->spike_sigma * u.sigma, 0.5 * fabs(u.median)), peak = 0;
    double samples = 0;
    int64_t t_ms = 0;
    size_t above = 0;
    const struct toc_bins *b = &m->loss;
    for (size_t i = b->count; i-- > 0;) {
        const struct toc_bin *bin = &b->items[(b->start + i) % TOC_BINS];
        if (bin->t_ms < now_ms - LOOK_BACK_MS)
            break;
        if (bin->median > line) {
            above++;
            samples += bin->count;
            t_ms = bin->t_ms;
            peak = TOC_MAX(peak, (double)bin->median);
        }
    }
    const struct toc_bin *last = b->count ? &b->items[(b->start + b->count - 1) % TOC_BINS] : NULL;
    if (!above || !last || last->median > line)
        return toc_case_is_known(c) && above ? VERDICT_ILL : VERDICT_CALM;
    if (toc_case_is_known(c))
        return VERDICT_ILL;
    if (samples < LEAST_SAMPLES && peak < u.median + SINGLE_FACTOR * (line - u.median))
        return VERDICT_CALM; /* one odd batch is no spike unless it is far out */
    double step = toc_run_step_at(m, t_ms);
    toc_case_begin(c, TOC_KIND_LOSS_SPIKE, t_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: loss spiked to %.3g at step %.0f, usually %.3g", TOC_SV_ARG(m->name),
                   peak, isfinite(step) ? step : 0, u.median);
    toc_case_summary(c, "The loss left its band (up to %.3g) and came back.", line);
    toc_case_action(c,
                    "Look at the batches of these steps. If spikes come back, skip the batches or "
                    "lower the learning rate.");
    toc_case_evidence(c, "Loss", "", (struct toc_evidence_numbers){peak, line, none, line},
                      "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_rate_cause(d, m, c, now_ms);
    toc_case_cause(c, 0.4, "", "Unusual batches");
    return VERDICT_ILL;
}
