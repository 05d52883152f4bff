/* Slow convergence: the loss does not leave its start. */
#include "diagnose/hint_priv.h"

static const double none = NAN;

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
    const struct toc_course *c = m->learn.loss;
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
    const struct toc_course *c = m->learn.loss;
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
    const struct toc_course *c = m->learn.loss;
    if (c->reports < LEAST_REPORTS || !(c->first_step <= NEAR_FRESH_STEP) ||
        warm_steps(m) < d->o.limits.standstill_steps)
        return false;
    size_t w = TOC_MAX(c->count / 4, (size_t)5);
    double now = toc_course_mean(c, c->count - TOC_MIN(w, c->count), c->count);
    double noise = toc_course_noise(c, 0, c->count);
    bool is_told;
    *out = (struct standstill){.start = toc_hint_start_loss(c), .now = now};
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
    const struct toc_course *curve = m->learn.loss;
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
    toc_hint_add_loss(m, c, x->now, 0.95 * x->start, none, x->start);
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
    if (!m->learn.loss || !m->learn.loss->count || !toc_run_is_running(m))
        return toc_hint_idle(m);
    if (!toc_hint_is_news(m, CASE_SLOW_CONVERGENCE))
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    if ((toc_hint_is_broken(m) && !c->is_open) || m->cases[CASE_PLATEAU].is_open)
        return VERDICT_CALM;
    struct toc_beside b = toc_hint_beside(m);
    if (b.is_known && toc_hint_is_behind(m, &b) && !toc_hint_is_flat(m->learn.loss)) {
        toc_hint_fill_behind(m, c, TOC_KIND_SLOW_CONVERGENCE, &b);
        return VERDICT_ILL;
    }
    if (b.is_known || !find_standstill(d, m, &x))
        return VERDICT_CALM;
    fill_standstill(m, c, &x);
    return VERDICT_ILL;
}
