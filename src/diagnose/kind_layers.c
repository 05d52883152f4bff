/* Kinds that show in one layer's statistics: dead_units, saturation, update_ratio. */
#include "diagnose/doctor_priv.h"

#include <string.h>

static const double none = NAN;

enum { HELD = 4, ZERO_HELD = 5, WARM_UP = 5 };

static const struct toc_layer_stat *stat_of(const struct toc_layer_model *l,
                                            enum toc_layer_stat_id id) {
    return l->stats[id];
}

/* So many reports in a row are enough; where samples are rare, so are as many as chance does not
 * explain. */
static bool is_held(const struct toc_hold *h) {
    return h->count >= HELD || toc_hold_is_sure(h);
}

/* All units of a layer that used to answer are silent: no gradient comes back, so nothing but
 * chance of a single sample could end it. */
static bool is_all_gone(const struct toc_layer_stat *s, double usual_most) {
    enum { TWICE = 2 };
    return s->start < usual_most && s->zero_hold.count >= TWICE;
}

/* Updates of exactly zero: a layer may rest now and then, so once it did only chance is asked. */
static bool is_at_rest(const struct toc_hold *h) {
    return (!h->before && h->count >= ZERO_HELD) || toc_hold_is_sure(h);
}

/* What looks up rows by index has zero gradients by nature. */
static bool is_embedding(struct toc_sv name) {
    static const char *const words[] = {"embed", "wte", "wpe", "emb.", "lookup", "token_emb"};
    char text[160];
    toc_sv_copy(name, text, sizeof text);
    for (size_t i = 0; i < TOC_ARRAY_LEN(words); i++)
        if (strcasestr(text, words[i]))
            return true;
    return false;
}

/* A layer's illness as one judge found it. */
struct complaint {
    const struct toc_layer_model *layer;
    const struct toc_layer_stat *stat;
    const char *series, *what;
    double limit;
    const struct toc_hold *hold;
};

/* Units that never answer decide; sparse activations alone may be how the layer works. */
static bool find_dead_activation(const struct toc_doctor *d, const struct toc_layer_model *l,
                                 struct complaint *out) {
    const struct toc_layer_stat *units = stat_of(l, STAT_DEAD_UNITS);
    const struct toc_layer_stat *zeros = stat_of(l, STAT_ZERO_ACTIVATION);
    const struct toc_layer_stat *s = units ? units : zeros;
    if (!s || s->reports <= WARM_UP)
        return false;
    bool is_all = is_held(&s->zero_hold), is_risen = is_held(&s->hold);
    is_risen |= s->hold.count && is_all_gone(s, d->o.limits.dead_ratio);
    if ((!is_all && !is_risen) || is_embedding(l->name))
        return false;
    *out = (struct complaint){
        .layer = l,
        .stat = s,
        .series = units ? "train_layer_dead_unit_ratio" : "train_layer_zero_activation_ratio",
        .what = units ? "of its units never answer" : "of its activations are zero",
        .limit = d->o.limits.dead_ratio,
        .hold = is_risen ? &s->hold : &s->zero_hold,
    };
    return true;
}

static bool find_dead_gradient(const struct toc_doctor *d, const struct toc_layer_model *l,
                               struct complaint *out) {
    const struct toc_layer_stat *s = stat_of(l, STAT_ZERO_GRAD);
    bool has_activations = stat_of(l, STAT_DEAD_UNITS) || stat_of(l, STAT_ZERO_ACTIVATION);
    if (!s || has_activations || s->reports <= WARM_UP || !is_held(&s->hold) ||
        is_embedding(l->name))
        return false;
    *out = (struct complaint){.layer = l,
                              .stat = s,
                              .series = "train_zero_grad_ratio",
                              .what = "of its gradients are exactly zero",
                              .limit = d->o.limits.dead_ratio,
                              .hold = &s->hold};
    return true;
}

typedef bool find_fn(const struct toc_doctor *d, const struct toc_layer_model *l,
                     struct complaint *out);

/* Of the layers that complain, the one that began first, then the first in the network. */
static bool find_first(const struct toc_doctor *d, const struct toc_run_model *m, find_fn *find,
                       struct complaint *out, size_t *out_count) {
    size_t order[TOC_DOCTOR_LAYERS_MAX];
    bool is_found = false;
    size_t n = toc_run_model_layer_order(m, order, TOC_DOCTOR_LAYERS_MAX);
    *out_count = 0;
    for (size_t i = 0; i < n; i++) {
        struct complaint one;
        if (!find(d, &m->layers.items[order[i]], &one))
            continue;
        ++*out_count;
        if (!is_found || one.hold->since_ms < out->hold->since_ms)
            *out = one;
        is_found = true;
    }
    return is_found;
}

static bool has_stat(const struct toc_run_model *m, enum toc_layer_stat_id id) {
    for (size_t i = 0; i < m->layers.count; i++)
        if (m->layers.items[i].stats[id])
            return true;
    return false;
}

static void begin(struct toc_case *c, enum toc_kind kind, const struct complaint *x,
                  double *out_step) {
    int64_t since_ms = toc_case_is_known(c) ? c->started_ms : x->hold->since_ms;
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : x->hold->step;
    toc_case_begin(c, kind, since_ms);
    toc_case_step(c, step);
    toc_case_layer(c, x->layer->name);
    *out_step = isfinite(step) ? step : 0;
}

static void add_share_evidence(const struct toc_run_model *m, struct toc_case *c,
                               const struct complaint *x, const char *title) {
    toc_case_evidence(c, title, "ratio",
                      (struct toc_evidence_numbers){x->stat->value, x->limit, none, x->stat->start},
                      "%s{run=\"%.*s\",layer=\"%.*s\"}", x->series, TOC_SV_ARG(m->name),
                      TOC_SV_ARG(x->layer->name));
}

/* Not running: what was said stays until steps come again. */
static bool is_idle(const struct toc_run_model *m, enum toc_verdict *out) {
    *out = toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
    return !toc_run_is_running(m);
}

enum toc_verdict toc_judge_dead_units(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    enum toc_verdict idle;
    struct complaint x;
    size_t count, more;
    double step;
    if (!has_stat(m, STAT_DEAD_UNITS) && !has_stat(m, STAT_ZERO_ACTIVATION) &&
        !has_stat(m, STAT_ZERO_GRAD))
        return VERDICT_UNKNOWN;
    if (is_idle(m, &idle))
        return idle;
    /* Once numbers are broken, zeros are a consequence; gradients that vanish are named as such. */
    bool is_consequence = !c->is_open && (m->cases[CASE_NON_FINITE].is_open);
    bool is_found = find_first(d, m, find_dead_activation, &x, &count);
    if (!is_found && !m->cases[CASE_VANISHING].is_open)
        is_found = find_first(d, m, find_dead_gradient, &x, &more), count = more;
    if (!is_found || is_consequence)
        return VERDICT_CALM;
    begin(c, TOC_KIND_DEAD_UNITS, &x, &step);
    toc_case_title(c, "%.*s: layer %.*s is dying: %.0f %% %s", TOC_SV_ARG(m->name),
                   TOC_SV_ARG(x.layer->name), 100 * x.stat->value, x.what);
    toc_case_summary(c,
                     "Since step %.0f %.0f %% of layer %.*s: %s (at the start %.0f %%). Dead units "
                     "get no gradient and do not come back by themselves.%s",
                     step, 100 * x.stat->value, TOC_SV_ARG(x.layer->name), x.what,
                     100 * x.stat->start, count > 1 ? " Other layers show the same." : "");
    toc_case_action(c, "Go back to a checkpoint before this step; lower the learning rate, use "
                       "LeakyReLU or GELU, check the initialisation and the bias of this layer.");
    add_share_evidence(m, c, &x, "Share of dead units");
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.5, "", "A step that was too large pushed the units below zero for good");
    toc_case_cause(c, 0.3, "",
                   "Initialisation or bias keeps the inputs of the activation negative");
    return VERDICT_ILL;
}

static bool find_saturated(const struct toc_doctor *d, const struct toc_layer_model *l,
                           struct complaint *out) {
    const struct toc_layer_stat *s = stat_of(l, STAT_SATURATED);
    if (!s || s->reports <= WARM_UP || !(is_held(&s->hold) || is_held(&s->zero_hold)))
        return false;
    *out = (struct complaint){
        .layer = l,
        .stat = s,
        .series = "train_layer_saturated_ratio",
        .what = "of its activations sit at a bound",
        .limit = d->o.limits.saturated_ratio,
        .hold = s->hold.count ? &s->hold : &s->zero_hold,
    };
    return true;
}

/* The output of a classifier saturates when it is sure of itself: that is its task. */
static bool is_output(struct toc_run_model *m, const struct toc_layer_model *l) {
    size_t order[TOC_DOCTOR_LAYERS_MAX];
    size_t n = toc_run_model_layer_order(m, order, TOC_DOCTOR_LAYERS_MAX);
    return n > 1 && &m->layers.items[order[n - 1]] == l;
}

enum toc_verdict toc_judge_saturation(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    enum toc_verdict idle;
    struct complaint x;
    size_t count;
    double step;
    if (!has_stat(m, STAT_SATURATED))
        return VERDICT_UNKNOWN;
    if (is_idle(m, &idle))
        return idle;
    if (!find_first(d, m, find_saturated, &x, &count) || (count == 1 && is_output(m, x.layer)) ||
        (!c->is_open && m->cases[CASE_NON_FINITE].is_open))
        return VERDICT_CALM;
    begin(c, TOC_KIND_SATURATION, &x, &step);
    toc_case_title(c, "%.*s: layer %.*s is saturated: %.0f %% %s", TOC_SV_ARG(m->name),
                   TOC_SV_ARG(x.layer->name), 100 * x.stat->value, x.what);
    toc_case_summary(
        c,
        "Since step %.0f %.0f %% of the activations of layer %.*s are within 1 %% of a "
        "bound of their function (at the start %.0f %%). There the slope is almost "
        "zero, so the layers before it hardly learn.",
        step, 100 * x.stat->value, TOC_SV_ARG(x.layer->name), 100 * x.stat->start);
    toc_case_action(c, "Lower the learning rate or the scale of this layer's weights, normalise "
                       "its inputs, or use a function without bounds.");
    add_share_evidence(m, c, &x, "Share of saturated activations");
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.5, "", "The weights before the activation grew too large");
    toc_case_cause(c, 0.3, "", "Inputs are not normalised");
    return VERDICT_ILL;
}

enum stillness { MOVES, NEVER_MOVED, STOPPED, BEHIND_PEERS, TOO_FAST };

/* Has the layer a gradient that the optimizer could use? */
static bool has_gradient(const struct toc_layer_model *l) {
    const struct toc_layer_stat *g = stat_of(l, STAT_GRAD), *z = stat_of(l, STAT_ZERO_GRAD);
    return g ? g->value > 0 : z && z->value < 1;
}

static enum stillness stillness_of(const struct toc_layer_model *l) {
    const struct toc_layer_stat *s = stat_of(l, STAT_UPDATE);
    if (!s)
        return MOVES;
    if (s->hold.count >= HELD)
        return TOO_FAST;
    if (s->peer_hold.count >= HELD)
        return BEHIND_PEERS;
    if (!is_at_rest(&s->zero_hold))
        return MOVES;
    if (s->start_reports) /* it moved once */
        return STOPPED;
    return has_gradient(l) ? NEVER_MOVED : MOVES; /* without gradient: frozen by intention */
}

static bool find_still(const struct toc_doctor *d, const struct toc_layer_model *l,
                       struct complaint *out) {
    static const char *const texts[] = {
        [MOVES] = "",
        [NEVER_MOVED] = "gets gradients but was never updated",
        [STOPPED] = "is not updated any more",
        [BEHIND_PEERS] = "hardly moves while the other layers do",
        [TOO_FAST] = "changes far more per step than before",
    };
    enum stillness kind = stillness_of(l);
    const struct toc_layer_stat *s = stat_of(l, STAT_UPDATE);
    if (kind == MOVES)
        return false;
    const struct toc_hold *h = kind == TOO_FAST       ? &s->hold
                               : kind == BEHIND_PEERS ? &s->peer_hold
                                                      : &s->zero_hold;
    *out = (struct complaint){
        .layer = l,
        .stat = s,
        .series = "train_update_ratio",
        .what = texts[kind],
        .limit = kind == TOO_FAST ? d->o.limits.update_high : d->o.limits.update_low,
        .hold = h,
    };
    return true;
}

/* Logarithm of a layer's update ratio over that of its start, both per learning rate. */
static double change_since_start(const struct toc_run_model *m, const struct toc_layer_stat *s) {
    double rate = toc_recent_value_at(&m->rates, s->t_ms);
    double log_v = log(s->value);
    return (rate > 0 ? log_v - log(rate) : log_v) - s->start_log;
}

/* Schedules, growing weights and convergence slow all layers alike: only a layer that falls behind
 * the others counts. */
static void note_peers(struct toc_doctor *d, struct toc_run_model *m) {
    enum { LEAST_PEERS = 3, SETTLED = 20 };
    double changes[TOC_DOCTOR_LAYERS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < m->layers.count; i++) {
        const struct toc_layer_stat *s = m->layers.items[i].stats[STAT_UPDATE];
        if (s && s->start_reports >= SETTLED && s->value > 0)
            changes[n++] = change_since_start(m, s);
    }
    double usual = n >= LEAST_PEERS ? toc_history_median(changes, n) : NAN;
    for (size_t i = 0; isfinite(usual) && i < m->layers.count; i++) {
        struct toc_layer_stat *s = m->layers.items[i].stats[STAT_UPDATE];
        if (!s || s->t_ms <= s->judged_ms)
            continue;
        s->judged_ms = s->t_ms;
        bool is_behind =
            s->start_reports >= SETTLED && s->value > 0 && s->value < d->o.limits.update_low &&
            change_since_start(m, s) < TOC_MIN(usual, 0.0) - log(d->o.limits.update_change);
        toc_hold_note(&s->peer_hold, is_behind, (struct toc_report_at){s->t_ms, s->step});
    }
}

static bool is_all_still(const struct toc_run_model *m) {
    size_t able = 0, still = 0;
    for (size_t i = 0; i < m->layers.count; i++) {
        const struct toc_layer_stat *s = m->layers.items[i].stats[STAT_UPDATE];
        able += s != NULL;
        still += s && is_at_rest(&s->zero_hold);
    }
    return able > 1 && able == still;
}

/* The end of a schedule, or mixed precision that still looks for its scale. */
static bool is_still_by_intention(const struct toc_run_model *m, const struct complaint *x) {
    enum { SCALE_SEARCH = 25 };
    if (!is_all_still(m))
        return false;
    return !m->rates.count || (!x->stat->start_reports && x->stat->reports < SCALE_SEARCH);
}

static void fill_update(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                        const struct complaint *x, size_t count) {
    bool is_all = is_all_still(m);
    bool is_fast = x->limit == d->o.limits.update_high;
    double step;
    begin(c, TOC_KIND_UPDATE_RATIO, x, &step);
    if (is_all)
        toc_case_title(c, "%.*s: no layer is updated any more since step %.0f", TOC_SV_ARG(m->name),
                       step);
    else
        toc_case_title(c, "%.*s: layer %.*s %s (step %.0f)", TOC_SV_ARG(m->name),
                       TOC_SV_ARG(x->layer->name), x->what, step);
    toc_case_summary(c,
                     "Since step %.0f layer %.*s changes by %.2g of its size per step; about 1e-3 "
                     "is usual, and this run had %.2g.%s",
                     step, TOC_SV_ARG(x->layer->name), x->stat->value,
                     x->stat->start_reports ? exp(x->stat->usual_log) : 0,
                     count > 1 ? " Other layers show the same." : "");
    toc_case_action(c, is_fast ? "Lower the learning rate (of this layer's parameter group) or "
                                 "clip the gradients."
                               : "Check that the optimizer was given this layer's parameters, that "
                                 "requires_grad is set, and that no step is skipped.");
    toc_case_evidence(c, "Update over weights", "ratio",
                      (struct toc_evidence_numbers){x->stat->value, x->limit,
                                                    d->o.limits.update_low,
                                                    d->o.limits.update_high},
                      "train_update_ratio{run=\"%.*s\",layer=\"%.*s\"}", TOC_SV_ARG(m->name),
                      TOC_SV_ARG(x->layer->name));
    if (is_fast) {
        toc_case_rate_cause(d, m, c, m->last_t_ms);
        toc_case_cause(c, 0.4, "", "The learning rate is too high for this layer");
    } else if (is_all) {
        toc_case_cause(c, 0.5, "every layer stands still while the learning rate is not 0",
                       "The optimizer's step is skipped or works on other tensors");
    } else {
        toc_case_cause(c, 0.6, has_gradient(x->layer) ? "the layer gets gradients" : "",
                       "The optimizer does not contain this layer, or it was frozen");
    }
}

enum toc_verdict toc_judge_update_ratio(struct toc_doctor *d, struct toc_run_model *m,
                                        struct toc_case *c) {
    enum toc_verdict idle;
    struct complaint x;
    size_t count;
    if (!has_stat(m, STAT_UPDATE))
        return VERDICT_UNKNOWN;
    if (is_idle(m, &idle))
        return idle;
    note_peers(d, m);
    /* Vanished gradients, NaN and an explosion move weights too little or too much: they say it. */
    bool is_consequence =
        !c->is_open && (m->cases[CASE_NON_FINITE].is_open || m->cases[CASE_VANISHING].is_open ||
                        m->cases[CASE_EXPLODING].is_open || m->cases[CASE_DIVERGENCE].is_open);
    if (is_consequence || !find_first(d, m, find_still, &x, &count) || is_still_by_intention(m, &x))
        return VERDICT_CALM;
    fill_update(d, m, c, &x, count);
    return VERDICT_ILL;
}
