/*
 * Kinds that show in the course of a run: plateau, slow_convergence, oscillation, overfit. All are
 * hints (info), and a run that has learned what it can is none of them: where earlier runs of the
 * same recipe are known, those decide; without them only what no converging run shows counts.
 */
#include "diagnose/doctor_priv.h"

#include <stdio.h>

#include "base/assert.h"

static const double none = NAN;

static const struct toc_course *loss_of(const struct toc_run_model *m) {
    return m->learn.loss;
}

static double start_loss(const struct toc_course *c) {
    double highest = -INFINITY; /* a report per many steps sees little of the first fall */
    for (size_t i = 0; i < 3 && i < c->count; i++)
        highest = TOC_MAX(highest, c->points[i].mean);
    return highest;
}

/* ---- against earlier runs ---- */

/* Where the run is now, beside the earlier runs. */
struct beside {
    double loss, lower, upper, line;
    bool is_known, is_behind;
};

static struct beside beside_others(struct toc_run_model *m) {
    enum { LEAST_POINTS = 10 };
    const struct toc_course *c = loss_of(m);
    struct beside b = {.is_known = false};
    if (c->count < LEAST_POINTS || !m->learn.envelope.run_count)
        return b;
    size_t width = TOC_MAX((size_t)5, c->count / 20);
    b.loss = toc_course_mean(c, c->count - width, c->count);
    double step = c->points[c->count - 1 - width / 2].step;
    b.is_known = toc_envelope_band(&m->learn.envelope, step, &b.lower, &b.upper);
    double noise = toc_course_noise(c, c->count - width, c->count) /
                   sqrt((double)width * (double)c->per_point);
    b.line = b.upper + 4 * noise;
    b.is_behind = b.is_known && b.loss > b.line;
    return b;
}

/* Behind for a tenth of its course, and for some reports: not a dent. */
static bool is_behind_for_long(struct toc_run_model *m, const struct beside *b) {
    enum { LEAST_REPORTS = 20 };
    static const double share = 0.1;
    struct toc_learn_model *l = &m->learn;
    const struct toc_course *c = loss_of(m);
    if (!b->is_behind) {
        l->behind_reports = 0;
        return false;
    }
    if (!l->behind_reports) {
        l->behind_reports = c->reports;
        l->behind_step = c->last_step;
        l->behind_ms = c->points[c->count - 1].t_ms;
    }
    return c->reports >= l->behind_reports + LEAST_REPORTS &&
           c->last_step - l->behind_step >= share * (c->last_step - c->first_step);
}

/* Did the loss hardly move over the last half, after it had fallen before? */
static bool is_flat_after_fall(const struct toc_course *c) {
    size_t n = c->count, w = TOC_MAX(n / 4, (size_t)2);
    if (n < 4 * w)
        return false;
    double earlier = toc_course_mean(c, n - 3 * w, n - 2 * w);
    double before = toc_course_mean(c, n - 2 * w, n - w), now = toc_course_mean(c, n - w, n);
    /* Two steps back as well: noise hides the fall from one quarter to the next. */
    return fabs(before - now) < 0.02 * fabs(now) && fabs(earlier - now) < 0.03 * fabs(now) &&
           now < 0.9 * start_loss(c);
}

static void add_loss_evidence(const struct toc_run_model *m, struct toc_case *c, double value,
                              double threshold, double lower, double upper) {
    toc_case_evidence(c, "Loss", "", (struct toc_evidence_numbers){value, threshold, lower, upper},
                      "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    const struct toc_sample_at *rate = toc_recent_at(&m->rates, 0);
    if (rate)
        toc_case_evidence(c, "Learning rate", "",
                          (struct toc_evidence_numbers){rate->value, none, none, none},
                          "train_learning_rate{run=\"%.*s\"}", TOC_SV_ARG(m->name));
}

static void fill_behind(struct toc_run_model *m, struct toc_case *c, enum toc_kind kind,
                        const struct beside *b) {
    const struct toc_learn_model *l = &m->learn;
    bool is_plateau = kind == TOC_KIND_PLATEAU;
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : l->behind_step;
    toc_case_begin(c, kind, toc_case_is_known(c) ? c->started_ms : l->behind_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: loss %s at %.4g, earlier runs had %.4g to %.4g here",
                   TOC_SV_ARG(m->name), is_plateau ? "stays" : "lags", b->loss, b->lower, b->upper);
    toc_case_summary(c,
                     "Since step %.0f the loss is above what %zu earlier runs of the recipe \"%s\" "
                     "had at the same step.%s",
                     step, l->envelope.run_count, l->envelope.recipe,
                     is_plateau ? " It hardly moves any more." : "");
    toc_case_action(c, "Compare this run with an earlier one of the recipe: learning rate and "
                       "schedule, data and labels, batch size, code version.");
    add_loss_evidence(m, c, b->loss, b->line, b->lower, b->upper);
    toc_case_cause(c, 0.4, "earlier runs of the recipe were further at this step",
                   "Something differs from the earlier runs: data, labels, learning rate or code");
}

/* ---- without them: a fall that ends as if cut off ---- */

struct cut_off {
    size_t at; /* point where the fall ended */
    double fall_per_block, level;
};

/* Blocks b0 b1 b2 b3 fall steadily, then (one block of transition) four hardly change. An
 * exponential or power-law course cannot do both: where four blocks fall alike, the next ones do.
 */
static bool find_cut_off(const struct toc_course *c, size_t width, struct cut_off *out) {
    enum { FALLING = 4, GAP = 1, FLAT = 4, BLOCKS = FALLING + GAP + FLAT, LEAST_REPORTS = 24 };
    static const double steady = 0.75, flat = 0.1, sure = 6, matters = 0.02;
    double b[BLOCKS];
    /* Few reports fall and stop falling by chance. */
    if (width * c->per_point < LEAST_REPORTS || width < 2 || c->count < BLOCKS * width)
        return false;
    size_t first = c->count - BLOCKS * width;
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < FALLING; i++) {
        b[i] = toc_course_mean(c, first + i * width, first + (i + 1) * width);
        if (!i)
            continue;
        least = TOC_MIN(least, b[i - 1] - b[i]);
        most = TOC_MAX(most, b[i - 1] - b[i]);
        if (!(least >= 0) || !(least >= steady * most)) /* mostly: the rest is not needed */
            return false;
    }
    for (size_t i = FALLING; i < BLOCKS; i++)
        b[i] = toc_course_mean(c, first + i * width, first + (i + 1) * width);
    double noise = toc_course_noise(c, first, c->count);
    double error = noise * sqrt(2.0 / ((double)width * (double)c->per_point));
    double low = INFINITY, high = -INFINITY; /* a spike within is no flat stretch either */
    for (size_t i = FALLING + GAP; i < BLOCKS; i++) {
        low = TOC_MIN(low, b[i]);
        high = TOC_MAX(high, b[i]);
    }
    /* The first fall of a run, from where it started, ends in a bend by nature. */
    bool is_late_fall = b[0] - b[FALLING - 1] <= 0.5 * (start_loss(c) - b[FALLING - 1]);
    double rest = (b[FALLING + GAP] - b[BLOCKS - 1]) / (FLAT - 1);
    double usual_rate = toc_course_rate(c, first, first + FALLING * width);
    double rate = toc_course_rate(c, c->count - FLAT * width, c->count);
    bool is_rate_steady = !isfinite(rate) || !isfinite(usual_rate) ||
                          (rate > 0.5 * usual_rate && rate < 2 * usual_rate);
    *out = (struct cut_off){first + FALLING * width, least, b[BLOCKS - 1]};
    return least > sure * error && least >= steady * most && fabs(rest) <= flat * least &&
           high - low <= 0.5 * least + error && is_late_fall &&
           (FLAT + GAP) * least >= matters * fabs(b[BLOCKS - 1]) && is_rate_steady;
}

/* A loss that comes back from a rise falls steadily and stops as well: only a fall to where the run
 * had never been counts. */
static bool is_new_ground(const struct toc_course *c, size_t width) {
    enum { BLOCKS = 9 };
    size_t first = c->count - BLOCKS * width;
    double start = toc_course_mean(c, first, first + width);
    for (size_t at = 0; at + width <= first; at += width)
        if (toc_course_mean(c, at, at + width) < start)
            return false;
    return true;
}

static bool find_plateau(const struct toc_course *c, struct cut_off *out) {
    static const size_t divisors[] = {36, 24, 16, 11, 9};
    for (size_t i = 0; i < TOC_ARRAY_LEN(divisors); i++)
        if (find_cut_off(c, c->count / divisors[i], out) &&
            is_new_ground(c, c->count / divisors[i]))
            return true;
    return false;
}

static void fill_plateau(struct toc_run_model *m, struct toc_case *c, const struct cut_off *x) {
    const struct toc_course *curve = loss_of(m);
    double step = curve->points[x->at].step;
    toc_case_begin(c, TOC_KIND_PLATEAU, curve->points[x->at].t_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: loss stopped falling at step %.0f (%.4g)", TOC_SV_ARG(m->name),
                   isfinite(step) ? step : 0, x->level);
    toc_case_summary(c,
                     "Up to step %.0f the loss fell steadily; since then it stays at %.4g although "
                     "the learning rate did not change.",
                     isfinite(step) ? step : 0, x->level);
    toc_case_action(c, "Look at what changed at this step: data (the same batches again?), frozen "
                       "parameters, a skipped optimizer step, an update ratio that fell.");
    add_loss_evidence(m, c, x->level, x->level - 4 * x->fall_per_block, none, none);
    toc_case_cause(
        c, 0.4, "the fall ended from one moment to the next",
        "Training stopped to have an effect: frozen weights, zero gradients, stuck data");
    toc_case_cause(c, 0.3, "", "The learning rate is too high to get further down from here");
}

/* Judges of the course look again only when it has a new point. */
static bool is_news(struct toc_run_model *m, enum toc_case_id id) {
    const struct toc_course *c = loss_of(m);
    bool is_new = m->learn.judged_reports[id] != c->reports;
    m->learn.judged_reports[id] = c->reports;
    return is_new;
}

static enum toc_verdict idle_verdict(const struct toc_run_model *m) {
    return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
}

/* What a broken run shows in its course is a consequence. */
static bool is_broken(const struct toc_run_model *m) {
    return m->cases[CASE_NON_FINITE].is_open || m->cases[CASE_DIVERGENCE].is_open ||
           m->cases[CASE_EXPLODING].is_open;
}

enum toc_verdict toc_judge_plateau(struct toc_doctor *d, struct toc_run_model *m,
                                   struct toc_case *c) {
    struct cut_off x;
    (void)d;
    if (!loss_of(m) || !loss_of(m)->count || !toc_run_is_running(m))
        return idle_verdict(m);
    if (!is_news(m, CASE_PLATEAU))
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    if ((is_broken(m) || m->cases[CASE_LOSS_SPIKE].is_open) && !c->is_open)
        return VERDICT_CALM;
    struct beside b = beside_others(m);
    if (b.is_known) {
        if (!is_behind_for_long(m, &b) || !is_flat_after_fall(loss_of(m)))
            return VERDICT_CALM;
        fill_behind(m, c, TOC_KIND_PLATEAU, &b);
        return VERDICT_ILL;
    }
    if (toc_case_is_known(c)) { /* until it falls again */
        size_t n = loss_of(m)->count, w = TOC_MAX(n / 20, (size_t)4);
        return n < w || toc_course_mean(loss_of(m), n - w, n) > c->reference ? VERDICT_ILL
                                                                             : VERDICT_CALM;
    }
    if (!find_plateau(loss_of(m), &x))
        return VERDICT_CALM;
    c->reference = x.level - 2 * x.fall_per_block;
    fill_plateau(m, c, &x);
    return VERDICT_ILL;
}

/* ---- slow convergence ---- */

/* Number of classes whose guess has this loss; 0 when none fits. */
static unsigned guess_classes(double loss) {
    static const unsigned classes[] = {2,  3,  4,  5,  6,  7,  8,  9,   10,  11,  12,
                                       15, 16, 20, 26, 47, 50, 62, 100, 200, 1000};
    for (size_t i = 0; i < TOC_ARRAY_LEN(classes); i++)
        if (fabs(loss - log(classes[i])) <= 0.02 * loss)
            return classes[i];
    return 0;
}

/* Share of the right answers at the level of a guess: exp(-loss) = 1 / classes. */
static bool is_guessing(const struct toc_run_model *m, double loss, bool *out_is_told) {
    const struct toc_learn_model *l = &m->learn;
    double accuracy = isfinite(l->accuracy) ? l->accuracy : l->val_accuracy;
    *out_is_told = isfinite(accuracy);
    return *out_is_told && loss > 0.3 && accuracy <= 1.5 * exp(-loss) + 0.02;
}

/* Steps taken with a learning rate past its warm-up. */
static double warm_steps(const struct toc_run_model *m) {
    const struct toc_course *c = loss_of(m);
    for (size_t i = 0; i < c->count; i++)
        if (!(c->points[i].rate < 0.5 * m->learn.rate_max))
            return c->last_step - c->points[i].step;
    return 0;
}

/* Was the run, at any time, clearly below its start? What it lost again is divergence. */
static bool has_learned(const struct toc_course *c, double start, size_t width) {
    static const double learned = 0.1;
    for (size_t at = 0; at + width <= c->count; at += width)
        if (toc_course_mean(c, at, at + width) < start - learned * fabs(start))
            return true;
    return false;
}

struct standstill {
    double start, now;
    unsigned classes;
    bool is_guess, is_idle;
};

/* Fell a little at once, as an output that learns how frequent each class is does, and since then
 * neither the training loss nor that of the evaluations has moved, over most of the course. */
static bool is_idle_since_start(const struct toc_run_model *m) {
    enum { REPORTS = 100, EVALS = 6, LAST = 3 };
    static const double skipped = 0.1, moved = 0.01, seen = 0.75;
    const struct toc_course *c = loss_of(m);
    const struct toc_evals *e = m->learn.val_loss;
    if (!e || e->count < EVALS || c->reports < REPORTS)
        return false;
    const struct toc_eval *first = &e->items[0], *last = &e->items[e->count - 1];
    size_t from = (size_t)(skipped * (double)c->count) + 1, width = (c->count - from) / 4;
    double early = toc_course_mean(c, from, from + width);
    double late = toc_course_mean(c, c->count - width, c->count);
    double v[LAST];
    for (size_t i = 0; i < LAST; i++)
        v[i] = e->items[e->count - 1 - i].value;
    bool is_most = last->step - first->step >= seen * (c->last_step - c->first_step);
    return is_most && fabs(late - early) < moved * fabs(early) &&
           toc_history_median(v, LAST) > (1 - moved) * first->value;
}

static bool find_standstill(const struct toc_doctor *d, const struct toc_run_model *m,
                            struct standstill *out) {
    enum { FRESH_STEP = 3, NEAR_FRESH_STEP = 20, LEAST_REPORTS = 25, IDLE_TIMES = 4 };
    static const double slight = 0.015, little = 0.05, quiet = 0.03;
    const struct toc_course *c = loss_of(m);
    if (c->reports < LEAST_REPORTS || !(c->first_step <= NEAR_FRESH_STEP) ||
        warm_steps(m) < d->o.limits.standstill_steps)
        return false;
    size_t w = TOC_MAX(c->count / 4, (size_t)5);
    double now = toc_course_mean(c, c->count - TOC_MIN(w, c->count), c->count);
    double noise = toc_course_noise(c, 0, c->count);
    bool is_told;
    *out = (struct standstill){.start = start_loss(c), .now = now};
    out->is_guess = is_guessing(m, now, &is_told);
    out->classes = guess_classes(now);
    double fall = (out->start - now) / fabs(out->start);
    if (has_learned(c, out->start, TOC_MAX(c->count / 16, (size_t)5)))
        return false;
    bool has_gradient =
        !m->learn.grad_norm.reports || m->learn.grad_norm.value > 0.1 * m->learn.grad_norm.start;
    if (is_told) /* a run that knows its answers is no guesser, however flat its loss */
        return out->is_guess && fall < little;
    bool is_seen_from_start = c->first_step <= FRESH_STEP;
    bool has_left = !(is_seen_from_start ? fall < slight || (out->classes && fall < little)
                                         : out->classes && fall < little);
    out->is_idle = has_left && is_seen_from_start &&
                   warm_steps(m) >= IDLE_TIMES * d->o.limits.standstill_steps &&
                   is_idle_since_start(m);
    return noise < quiet * now && has_gradient && (!has_left || out->is_idle);
}

static void fill_standstill(struct toc_run_model *m, struct toc_case *c,
                            const struct standstill *x) {
    const struct toc_course *curve = loss_of(m);
    const struct toc_sample_at *rate = toc_recent_at(&m->rates, 0);
    toc_case_begin(c, TOC_KIND_SLOW_CONVERGENCE, curve->points[0].t_ms);
    toc_case_step(c, curve->last_step);
    toc_case_title(c, "%.*s: loss still %.4g after %.0f steps, it began at %.4g",
                   TOC_SV_ARG(m->name), x->now, curve->last_step, x->start);
    toc_case_summary(c, "%s%s. Nothing is learned from the inputs.",
                     x->is_idle ? "After a first small fall neither the loss nor that of the "
                                  "evaluations has moved"
                                : "The loss has not left its start",
                     x->is_guess ? ", and the answers are as good as a guess" : "");
    toc_case_action(c, "Check that labels belong to their inputs (a shuffle of one of them?), that "
                       "inputs are normalised and not constant, and the learning rate.");
    add_loss_evidence(m, c, x->now, 0.95 * x->start, none, x->start);
    if (rate && rate->value < 1e-6)
        toc_case_cause(c, 0.7, "train_learning_rate is below 1e-6",
                       "The learning rate %.2g is too low", rate->value);
    if (x->classes)
        toc_case_cause(c, 0.6, "the loss is the logarithm of the number of classes",
                       "It guesses among %u classes: labels do not belong to their inputs",
                       x->classes);
    toc_case_cause(c, 0.3, "", "Labels or inputs carry no information: shuffled, constant, empty");
    toc_case_cause(c, 0.2, "", "The learning rate is far too low or far too high");
}

enum toc_verdict toc_judge_slow_convergence(struct toc_doctor *d, struct toc_run_model *m,
                                            struct toc_case *c) {
    struct standstill x;
    if (!loss_of(m) || !loss_of(m)->count || !toc_run_is_running(m))
        return idle_verdict(m);
    if (!is_news(m, CASE_SLOW_CONVERGENCE))
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    if ((is_broken(m) && !c->is_open) || m->cases[CASE_PLATEAU].is_open)
        return VERDICT_CALM;
    struct beside b = beside_others(m);
    if (b.is_known && is_behind_for_long(m, &b) && !is_flat_after_fall(loss_of(m))) {
        fill_behind(m, c, TOC_KIND_SLOW_CONVERGENCE, &b);
        return VERDICT_ILL;
    }
    if (b.is_known || !find_standstill(d, m, &x))
        return VERDICT_CALM;
    fill_standstill(m, c, &x);
    return VERDICT_ILL;
}

/* ---- oscillation ---- */

struct swing {
    double level, spread; /* of the window; spread: robust standard deviation */
    double period;        /* reports; 0 = none */
    bool is_found;
    int64_t since_ms;
};

/* Detrended by the line through both halves' medians, and clipped so that one spike is none.
 * *out_spread: 1.4826 times the median distance from the line, which clipping does not change. */
static double detrend(double *v, size_t n, double *out_level, double *out_spread) {
    double half[TOC_RECENT], *w = half;
    size_t h = n / 2;
    for (size_t i = 0; i < h; i++)
        w[i] = v[i];
    double a = toc_history_median(w, h);
    for (size_t i = 0; i < h; i++)
        w[i] = v[n - h + i];
    double b = toc_history_median(w, h), slope = (b - a) / (double)(n - h);
    *out_level = b;
    for (size_t i = 0; i < n; i++)
        v[i] -= a + slope * ((double)i - (double)h / 2);
    for (size_t i = 0; i < n; i++)
        w[i] = v[i];
    double spread = toc_history_mad(w, n, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = TOC_MAX(TOC_MIN(v[i], 3 * spread), -3 * spread);
    *out_spread = spread;
    return (a - b) / TOC_MAX(fabs(a), 1e-12);
}

/* A swing comes back to its middle: all quarters of the window have it. A loss that went from one
 * level to another does not swing. */
static bool is_around_one_level(const double *v, size_t n, double spread) {
    enum { QUARTERS = 4 };
    double w[TOC_RECENT], low = INFINITY, high = -INFINITY;
    for (size_t q = 0; q < QUARTERS; q++) {
        size_t from = q * n / QUARTERS, to = (q + 1) * n / QUARTERS;
        for (size_t i = from; i < to; i++)
            w[i - from] = v[i];
        double middle = toc_history_median(w, to - from);
        low = TOC_MIN(low, middle);
        high = TOC_MAX(high, middle);
    }
    return high - low < spread;
}

/* The lag, with at least four cycles in the window, at which the course repeats itself best. */
static double best_period(const double *v, size_t n, double *out_likeness) {
    double zero = 0, best = 0, period = 0;
    for (size_t i = 0; i < n; i++)
        zero += v[i] * v[i];
    bool was_low = false;
    for (size_t lag = 1; lag <= n / 4 && zero > 0; lag++) {
        double sum = 0;
        for (size_t i = lag; i < n; i++)
            sum += v[i] * v[i - lag];
        double likeness = sum / zero * (double)n / (double)(n - lag);
        was_low |= likeness < 0;
        if (was_low && likeness > best) {
            best = likeness;
            period = (double)lag;
        }
    }
    *out_likeness = best;
    return period;
}

static const double large_swing = 0.15, swing_of_start = 0.03;

struct moments {
    double mean, sigma;
};

static struct moments moments_of(const double *v, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double x = v[i] - v[0];
        sum += x;
        squares += x * x;
    }
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    return (struct moments){v[0] + mean, sqrt(TOC_MAX(variance, 0.0))};
}

/*
 * May the spread that detrend() gives be a large one? Most losses are so steady that their means
 * rule it out, which costs less than the medians. With s the larger spread of the halves around
 * their means and d the distance between these: a median lies within one spread of its mean, so the
 * line through the medians lies at most 0.8 (s + s) off the line through the means (mean square,
 * over the window), that one at most 0.3 d off the means, and the values s off these. Half of the
 * values lie within sqrt(2) times the mean square distance: 1.4826 sqrt(2) = 2.1.
 */
static bool may_swing(const double *v, size_t n, double start) {
    static const double bound = 2.2;
    struct moments a = moments_of(v, n / 2), b = moments_of(v + (n - n / 2), n / 2);
    double s = TOC_MAX(a.sigma, b.sigma);
    double most = bound * (s + 0.3 * fabs(b.mean - a.mean) + 0.8 * (a.sigma + b.sigma));
    double least_level = TOC_MAX(fabs(b.mean) - b.sigma, 0.0);
    return !(most <= large_swing * least_level || most <= swing_of_start * fabs(start));
}

static struct swing measure_swing(const struct toc_run_model *m, double start, size_t n) {
    static const double least_like = 0.5, sure = 5, grown = 3, progress = 0.05;
    /* The likeness of noise at a lag has this standard error; many lags are tried at many looks. */
    double like = TOC_MAX(least_like, sure / sqrt((double)n));
    double v[TOC_RECENT], before[TOC_RECENT], level, level_before, spread_before, likeness;
    struct swing s = {0};
    size_t older = 0;
    TOC_ASSERT(n >= 2 && n <= TOC_RECENT); /* both halves have values */
    for (size_t i = 0; i < n; i++)
        v[n - 1 - i] = toc_recent_at(&m->losses, i)->value;
    if (!may_swing(v, n, start))
        return s;
    double fall = detrend(v, n, &level, &s.spread);
    s.level = level;
    bool is_large = s.spread > large_swing * fabs(level) && s.spread > swing_of_start * fabs(start);
    if (!is_large || !(fall < progress)) /* mostly: the period, which costs most, is not needed */
        return s;
    s.period = best_period(v, n, &likeness);
    bool is_grown = false;
    for (size_t i = n; i < m->losses.count; i++)
        before[older++] = toc_recent_at(&m->losses, i)->value;
    if (older >= n / 2) {
        (void)detrend(before, older, &level_before, &spread_before);
        is_grown = s.spread > grown * spread_before && level >= 0.95 * level_before;
    }
    s.is_found = (likeness > like || is_grown) && is_around_one_level(v, n, s.spread);
    s.period = likeness > like ? s.period : 0;
    s.since_ms = toc_recent_at(&m->losses, n - 1)->t_ms;
    return s;
}

/* A learning rate that swings (restarts, cycles) makes the loss swing by intention. */
static bool is_rate_steady(const struct toc_run_model *m, int64_t since_ms) {
    double low = INFINITY, high = 0;
    const struct toc_sample_at *r;
    for (size_t i = 0; (r = toc_recent_at(&m->rates, i)) && r->t_ms >= since_ms; i++) {
        low = TOC_MIN(low, r->value);
        high = TOC_MAX(high, r->value);
    }
    return high == 0 || high <= 1.5 * low;
}

static void fill_swing(struct toc_run_model *m, struct toc_case *c, const struct swing *s) {
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : toc_run_step_at(m, s->since_ms);
    char how[80] = "";
    if (s->period > 0)
        snprintf(how, sizeof how, " with a period of %.0f reports", s->period);
    toc_case_begin(c, TOC_KIND_OSCILLATION, toc_case_is_known(c) ? c->started_ms : s->since_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: loss swings by %.2g around %.3g", TOC_SV_ARG(m->name), 2 * s->spread,
                   s->level);
    toc_case_summary(c, "Since about step %.0f the loss swings%s and makes no progress.",
                     isfinite(step) ? step : 0, how);
    toc_case_action(c, "Lower the learning rate (by 3 to 10) or raise the batch size; when the "
                       "period is an epoch, shuffle the data.");
    add_loss_evidence(m, c, s->spread, 0.15 * fabs(s->level), s->level - s->spread,
                      s->level + s->spread);
    toc_case_cause(c, 0.5, "", "The learning rate is too high: each step overshoots");
    if (s->period > 2)
        toc_case_cause(c, 0.3, "the swing has a period", "The data come in a fixed order");
}

enum toc_verdict toc_judge_oscillation(struct toc_doctor *d, struct toc_run_model *m,
                                       struct toc_case *c) {
    enum { LEAST = 48, MOST = 256, YOUNG = 20 };
    (void)d;
    const struct toc_course *curve = loss_of(m);
    if (!curve || !curve->count || !toc_run_is_running(m))
        return idle_verdict(m);
    if (!is_news(m, CASE_OSCILLATION))
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    size_t n = TOC_MIN((size_t)MOST, TOC_MIN(m->losses.count, (size_t)curve->reports) / 2);
    if (is_broken(m) || curve->reports < LEAST * 2 + YOUNG || n < LEAST)
        return VERDICT_CALM;
    if (m->losses.nonfinite)
        return VERDICT_CALM;
    struct swing s = measure_swing(m, start_loss(curve), n);
    if (!s.is_found || !is_rate_steady(m, s.since_ms))
        return VERDICT_CALM;
    fill_swing(m, c, &s);
    return VERDICT_ILL;
}

/* ---- overfit ---- */

struct gap {
    const struct toc_eval *best, *last;
    double now, train_now, threshold, noise;
    bool is_accuracy;
};

static double last_median(const struct toc_evals *e, bool is_train) {
    enum { N = 3 };
    double v[N];
    for (size_t i = 0; i < N; i++)
        v[i] = is_train ? e->items[e->count - 1 - i].train : e->items[e->count - 1 - i].value;
    return toc_history_median(v, N);
}

static bool find_best(const struct toc_evals *e, double sign, struct gap *out) {
    enum { LEAST = 6, AFTER = 3 };
    size_t best = 0;
    if (e->count < LEAST)
        return false;
    for (size_t i = 1; i < e->count; i++)
        if (sign * e->items[i].value < sign * e->items[best].value)
            best = i;
    double jumps[TOC_EVALS];
    for (size_t i = 1; i < e->count; i++)
        jumps[i - 1] = e->items[i].value - e->items[i - 1].value;
    out->noise = toc_history_mad(jumps, e->count - 1, 0) / sqrt(2);
    out->best = &e->items[best];
    out->last = &e->items[e->count - 1];
    out->now = last_median(e, false);
    out->train_now = last_median(e, true);
    return e->count - 1 - best >= AFTER;
}

static bool is_loss_gap(const struct toc_doctor *d, const struct toc_run_model *m,
                        struct gap *out) {
    static const double least = 0.01, train_fall = 0.02; /* AutoTrainer: 0.01 both */
    if (!m->learn.val_loss || !find_best(m->learn.val_loss, 1, out))
        return false;
    double best = out->best->value, train = out->best->train;
    out->threshold =
        best + TOC_MAX(TOC_MAX(d->o.limits.overfit_rise * fabs(best), least), 4 * out->noise);
    /* Training goes on getting better, also after the last evaluation: a loss that has just risen
     * tells of something else. */
    double line = train - TOC_MAX(train_fall * fabs(train), least);
    return out->now > out->threshold && isfinite(train) && out->train_now < line &&
           toc_learn_recent_loss(&m->learn) < line;
}

static bool is_accuracy_gap(const struct toc_run_model *m, struct gap *out) {
    /* AutoTrainer: train accuracy above 0.9 and 0.07 apart, or 0.1 apart; and no longer better */
    if (!m->learn.val_acc || !find_best(m->learn.val_acc, -1, out) || !isfinite(out->train_now))
        return false;
    double gap = out->train_now - out->now;
    out->is_accuracy = true;
    out->threshold = out->train_now - (out->train_now > 0.9 ? 0.07 : 0.1);
    return gap > 0 && out->now < out->threshold &&
           out->now < out->best->value - TOC_MAX(0.01, 4 * out->noise) &&
           out->train_now > out->best->train + 0.01;
}

static void fill_overfit(struct toc_run_model *m, struct toc_case *c, const struct gap *g) {
    const char *what = g->is_accuracy ? "accuracy" : "loss";
    toc_case_begin(c, TOC_KIND_OVERFIT, toc_case_is_known(c) ? c->started_ms : g->best->t_ms);
    toc_case_step(c, g->best->step);
    toc_case_title(c, "%.*s: validation %s was best at step %.0f (%.4g), now %.4g",
                   TOC_SV_ARG(m->name), what, isfinite(g->best->step) ? g->best->step : 0,
                   g->best->value, g->now);
    toc_case_summary(c,
                     "Since step %.0f the run gets better on its training data (%s %.4g to %.4g) "
                     "and worse on the validation data.",
                     isfinite(g->best->step) ? g->best->step : 0, what, g->best->train,
                     g->train_now);
    toc_case_action(c, "Keep the checkpoint of the named step; stop early, or add data, dropout or "
                       "weight decay.");
    toc_case_evidence(c, g->is_accuracy ? "Validation accuracy" : "Validation loss", "",
                      (struct toc_evidence_numbers){g->now, g->threshold, none, none},
                      "train_val_%s{run=\"%.*s\"}", what, TOC_SV_ARG(m->name));
    toc_case_evidence(c, g->is_accuracy ? "Training accuracy" : "Training loss", "",
                      (struct toc_evidence_numbers){g->train_now, none, none, none},
                      "train_%s{run=\"%.*s\"}", what, TOC_SV_ARG(m->name));
    toc_case_cause(c, 0.6, "training improves while validation gets worse",
                   "The model learns its training data by heart");
    toc_case_cause(c, 0.2, "", "Training and validation data differ more and more");
}

enum toc_verdict toc_judge_overfit(struct toc_doctor *d, struct toc_run_model *m,
                                   struct toc_case *c) {
    struct gap g = {0};
    if ((!m->learn.val_loss && !m->learn.val_acc) || !toc_run_is_running(m))
        return idle_verdict(m);
    if (is_broken(m) && !c->is_open)
        return VERDICT_CALM;
    if (!is_loss_gap(d, m, &g)) {
        g = (struct gap){0};
        if (!is_accuracy_gap(m, &g))
            return VERDICT_CALM;
    }
    fill_overfit(m, c, &g);
    return VERDICT_ILL;
}
