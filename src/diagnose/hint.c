#include "diagnose/hint_priv.h"

static const double none = NAN;

double toc_hint_start_loss(const struct toc_course *c) {
    double highest = -INFINITY; /* a report per many steps sees little of the first fall */
    for (size_t i = 0; i < 3 && i < c->count; i++)
        highest = TOC_MAX(highest, c->points[i].mean);
    return highest;
}

struct toc_beside toc_hint_beside(struct toc_run_model *m) {
    enum { LEAST_POINTS = 10 };
    const struct toc_course *c = m->learn.loss;
    struct toc_beside b = {.is_known = false};
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
bool toc_hint_is_behind(struct toc_run_model *m, const struct toc_beside *b) {
    enum { LEAST_REPORTS = 20 };
    static const double share = 0.1;
    struct toc_learn_model *l = &m->learn;
    const struct toc_course *c = m->learn.loss;
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
bool toc_hint_is_flat(const struct toc_course *c) {
    size_t n = c->count, w = TOC_MAX(n / 4, (size_t)2);
    if (n < 4 * w)
        return false;
    double earlier = toc_course_mean(c, n - 3 * w, n - 2 * w);
    double before = toc_course_mean(c, n - 2 * w, n - w), now = toc_course_mean(c, n - w, n);
    /* Two steps back as well: noise hides the fall from one quarter to the next. */
    return fabs(before - now) < 0.02 * fabs(now) && fabs(earlier - now) < 0.03 * fabs(now) &&
           now < 0.9 * toc_hint_start_loss(c);
}

void toc_hint_add_loss(const struct toc_run_model *m, struct toc_case *c, double value,
                       double threshold, double lower, double upper) {
    toc_case_evidence(c, "Loss", "", (struct toc_evidence_numbers){value, threshold, lower, upper},
                      "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    const struct toc_sample_at *rate = toc_recent_at(&m->rates, 0);
    if (rate)
        toc_case_evidence(c, "Learning rate", "",
                          (struct toc_evidence_numbers){rate->value, none, none, none},
                          "train_learning_rate{run=\"%.*s\"}", TOC_SV_ARG(m->name));
}

void toc_hint_fill_behind(struct toc_run_model *m, struct toc_case *c, enum toc_kind kind,
                          const struct toc_beside *b) {
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
    toc_hint_add_loss(m, c, b->loss, b->line, b->lower, b->upper);
    toc_case_cause(c, 0.4, "earlier runs of the recipe were further at this step",
                   "Something differs from the earlier runs: data, labels, learning rate or code");
}

/* Judges of the course look again only when it has a new point. */
bool toc_hint_is_news(struct toc_run_model *m, enum toc_case_id id) {
    const struct toc_course *c = m->learn.loss;
    bool is_new = m->learn.judged_reports[id] != c->reports;
    m->learn.judged_reports[id] = c->reports;
    return is_new;
}

enum toc_verdict toc_hint_idle(const struct toc_run_model *m) {
    return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
}

/* What a broken run shows in its course is a consequence. */
bool toc_hint_is_broken(const struct toc_run_model *m) {
    return m->cases[CASE_NON_FINITE].is_open || m->cases[CASE_DIVERGENCE].is_open ||
           m->cases[CASE_EXPLODING].is_open;
}
