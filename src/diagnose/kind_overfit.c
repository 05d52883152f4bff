/* Overfit: training gets better and validation worse. */
#include "diagnose/hint_priv.h"

static const double none = NAN;

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
        return toc_hint_idle(m);
    if (toc_hint_is_broken(m) && !c->is_open)
        return VERDICT_CALM;
    if (!is_loss_gap(d, m, &g)) {
        g = (struct gap){0};
        if (!is_accuracy_gap(m, &g))
            return VERDICT_CALM;
    }
    fill_overfit(m, c, &g);
    return VERDICT_ILL;
}
