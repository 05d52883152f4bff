/* Plateau: a fall that ends as if cut off, or a run that stays behind earlier ones. */
#include "diagnose/hint_priv.h"

static const double none = NAN;

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
    bool is_late_fall = b[0] - b[FALLING - 1] <= 0.5 * (toc_hint_start_loss(c) - b[FALLING - 1]);
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
    const struct toc_course *curve = m->learn.loss;
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
    toc_hint_add_loss(m, c, x->level, x->level - 4 * x->fall_per_block, none, none);
    toc_case_cause(
        c, 0.4, "the fall ended from one moment to the next",
        "Training stopped to have an effect: frozen weights, zero gradients, stuck data");
    toc_case_cause(c, 0.3, "", "The learning rate is too high to get further down from here");
}

enum toc_verdict toc_judge_plateau(struct toc_doctor *d, struct toc_run_model *m,
                                   struct toc_case *c) {
    struct cut_off x;
    (void)d;
    if (!m->learn.loss || !m->learn.loss->count || !toc_run_is_running(m))
        return toc_hint_idle(m);
    if (!toc_hint_is_news(m, CASE_PLATEAU))
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    if ((toc_hint_is_broken(m) || m->cases[CASE_LOSS_SPIKE].is_open) && !c->is_open)
        return VERDICT_CALM;
    struct toc_beside b = toc_hint_beside(m);
    if (b.is_known) {
        if (!toc_hint_is_behind(m, &b) || !toc_hint_is_flat(m->learn.loss))
            return VERDICT_CALM;
        toc_hint_fill_behind(m, c, TOC_KIND_PLATEAU, &b);
        return VERDICT_ILL;
    }
    if (toc_case_is_known(c)) { /* until it falls again */
        size_t n = m->learn.loss->count, w = TOC_MAX(n / 20, (size_t)4);
        return n < w || toc_course_mean(m->learn.loss, n - w, n) > c->reference ? VERDICT_ILL
                                                                                : VERDICT_CALM;
    }
    if (!find_plateau(m->learn.loss, &x))
        return VERDICT_CALM;
    c->reference = x.level - 2 * x.fall_per_block;
    fill_plateau(m, c, &x);
    return VERDICT_ILL;
}
