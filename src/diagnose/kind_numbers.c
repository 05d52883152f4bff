/* Kinds that show in the numbers of training itself: non_finite, vanishing_gradient. */
#include <math.h>
#include <stdio.h>

#include "diagnose/doctor_priv.h"

static const double none = NAN;

/*
 * A report from after the step in which it began: NaN has reached all layers, but where activations
 * cut gradients off (ReLU) it began in the layer that has by far the fewest. Each step on spreads
 * it from there: one weight, then a row, then all. NULL when no layer stands out.
 */
static const struct toc_layer_model *least_bad_layer(const struct toc_run_model *m,
                                                     int64_t first_ms) {
    static const double apart = 0.25;
    const struct toc_layer_model *least = NULL;
    double next = INFINITY;
    size_t count = 0;
    for (size_t i = 0; i < m->layers.count; i++) {
        const struct toc_layer_model *l = &m->layers.items[i];
        if (l->share_bad_since_ms != first_ms || !(l->first_bad_share > 0))
            continue;
        count++;
        if (!least || l->first_bad_share < least->first_bad_share) {
            next = least ? least->first_bad_share : INFINITY;
            least = l;
        } else {
            next = TOC_MIN(next, l->first_bad_share);
        }
    }
    return count > 2 && least->first_bad_share <= apart * next ? least : NULL;
}

/* First layer of the network with non-finite numbers; NULL when no layer has any. */
static const struct toc_layer_model *first_bad_layer(const struct toc_run_model *m) {
    enum { MAX = TOC_DOCTOR_LAYERS_MAX };
    size_t order[MAX];
    int64_t earliest = INT64_MAX;
    for (size_t i = 0; i < m->layers.count; i++)
        if (m->layers.items[i].bad_since_ms)
            earliest = TOC_MIN(earliest, m->layers.items[i].bad_since_ms);
    if (earliest == INT64_MAX)
        return NULL;
    /* NaN spreads through the whole network in a step: only the first report says where it
     * began. There a share says more than a gradient: one NaN loss makes every gradient NaN. */
    size_t n = toc_run_model_layer_order(m, order, MAX);
    const struct toc_layer_model *first = NULL, *least = least_bad_layer(m, earliest);
    if (least)
        return least;
    for (size_t i = 0; i < n; i++) {
        const struct toc_layer_model *l = &m->layers.items[order[i]];
        /* One NaN in the loss makes every gradient NaN; activations go bad from its place on. */
        if (l->bad_activation_ms == earliest || l->share_bad_since_ms == earliest)
            return l;
        if (!first && l->bad_since_ms == earliest)
            first = l;
    }
    return first;
}

static bool is_layer_bad_for_long(const struct toc_layer_model *l) {
    enum { HOLD_MS = 2000 }; /* mixed precision meets single overflows and skips those steps */
    return l && l->nonfinite_t_ms - l->bad_since_ms >= HOLD_MS;
}

enum bad_value { BAD_NONE, BAD_LOSS, BAD_GRAD, BAD_LAYER, BAD_HIDDEN, BAD_MISSING };

/* The loss was reported and no longer is, while steps go on. */
static bool is_loss_missing(const struct toc_run_model *m) {
    enum { LEAST_MS = 10000, GAPS = 5, LEAST_GAPS = 10 };
    if (m->loss_gaps < LEAST_GAPS || !toc_run_is_running(m))
        return false;
    int64_t silent_ms = m->progress_t_ms - m->losses.last_t_ms;
    int64_t running_ms = m->progress_t_ms - TOC_MAX(m->losses.last_t_ms, m->resumed_t_ms);
    int64_t limit_ms = TOC_MAX((int64_t)LEAST_MS, GAPS * m->loss_gap_ms);
    return m->progress_t_ms && silent_ms > limit_ms && running_ms > limit_ms;
}

static enum bad_value bad_value_of(const struct toc_run_model *m,
                                   const struct toc_layer_model *layer, int64_t *out_t_ms) {
    enum { BAD_GRADS = 5 };
    const struct toc_sample_at *loss = toc_recent_at(&m->losses, 0);
    const struct toc_sample_at *grad = toc_recent_at(&m->grads, 0);
    if (loss && !isfinite(loss->value)) {
        *out_t_ms = m->nonfinite_first_ms;
        return BAD_LOSS;
    }
    bool is_grad_bad = grad && !isfinite(grad->value);
    *out_t_ms = grad ? grad->t_ms : 0;
    if (is_grad_bad && loss && loss->value == 0.0)
        return BAD_HIDDEN;
    if (is_grad_bad && m->bad_grads_in_row >= BAD_GRADS)
        return BAD_GRAD;
    if (is_layer_bad_for_long(layer) && layer->nonfinite_t_ms >= layer->ratio_t_ms) {
        *out_t_ms = layer->bad_since_ms;
        return BAD_LAYER;
    }
    *out_t_ms = m->losses.last_t_ms;
    return is_loss_missing(m) ? BAD_MISSING : BAD_NONE;
}

static const char *const bad_texts[] = {
    [BAD_NONE] = "",
    [BAD_LOSS] = "the loss is not finite",
    [BAD_GRAD] = "gradients are not finite",
    [BAD_LAYER] = "parameters or gradients of a layer are not finite",
    [BAD_HIDDEN] = "the loss reads 0 while gradients are not finite (the framework hides a NaN)",
    [BAD_MISSING] = "steps go on without a loss (some frameworks leave a NaN loss out)",
};

static void fill_non_finite(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                            enum bad_value bad, const struct toc_layer_model *layer, int64_t t_ms) {
    double step = toc_run_step_at(m, t_ms);
    const struct toc_sample_at *loss = toc_recent_at(&m->losses, 0);
    const struct toc_sample_at *grad = toc_recent_at(&m->grads, 0);
    toc_case_begin(c, TOC_KIND_NON_FINITE, t_ms);
    toc_case_step(c, step);
    if (layer)
        toc_case_layer(c, layer->name);
    toc_case_title(c, "%.*s: non-finite values at step %.0f%s%.*s", TOC_SV_ARG(m->name),
                   isfinite(step) ? step : 0, layer ? ", first in layer " : "",
                   TOC_SV_ARG(layer ? layer->name : TOC_SV_NULL));
    toc_case_summary(c, "From step %.0f on %s. Every later step trains on garbage.",
                     isfinite(step) ? step : 0, bad_texts[bad]);
    toc_case_action(c, "Stop the run, go back to the last checkpoint before this step, and look at "
                       "the named layer's inputs and at the batch of this step.");
    toc_case_evidence(c, "Loss", "",
                      (struct toc_evidence_numbers){loss ? loss->value : none, none, none, none},
                      "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    if (grad)
        toc_case_evidence(c, "Gradient norm", "",
                          (struct toc_evidence_numbers){grad->value, none, none, none},
                          "train_grad_norm{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    if (layer)
        toc_case_evidence(c, "Share of non-finite numbers in the layer", "ratio",
                          (struct toc_evidence_numbers){none, 0, none, none},
                          "train_layer_nonfinite_ratio{run=\"%.*s\",layer=\"%.*s\"}",
                          TOC_SV_ARG(m->name), TOC_SV_ARG(layer->name));
    toc_case_rate_cause(d, m, c, t_ms);
    if (layer)
        toc_case_cause(c, 0.6, "first layer of the network with non-finite numbers",
                       "Numbers overflow in layer %.*s", TOC_SV_ARG(layer->name));
    toc_case_cause(c, 0.3, "", "A bad batch: an empty, unnormalised or NaN input");
}

/* A writer that holds reports back tells of the values and of the end at once: news for one look.
 * What was over when we first looked is history. */
static bool came_with_the_end(const struct toc_run_model *m, const struct toc_case *c) {
    return m->is_seen_running && !c->is_open && m->nonfinite_first_ms &&
           m->nonfinite_first_ms != m->nonfinite_judged_ms;
}

enum toc_verdict toc_judge_non_finite(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    const struct toc_layer_model *layer = first_bad_layer(m);
    int64_t t_ms = 0;
    enum bad_value bad = bad_value_of(m, layer, &t_ms);
    bool is_over = toc_run_is_over(m);
    m->is_seen_running |= m->last_t_ms && !is_over;
    if (bad == BAD_NONE || (is_over && !came_with_the_end(m, c))) {
        if (bad == BAD_NONE && !c->is_open)
            m->nonfinite_first_ms = 0; /* the next one is a new story */
        return m->last_t_ms ? VERDICT_CALM : VERDICT_UNKNOWN;
    }
    if (toc_case_is_known(c))
        t_ms = c->finding.first_seen.ms;
    m->nonfinite_judged_ms = m->nonfinite_first_ms;
    fill_non_finite(d, m, c, bad, layer, t_ms);
    return VERDICT_ILL;
}

bool toc_run_end_layers(struct toc_run_model *m, struct toc_layer_model **out_first,
                        struct toc_layer_model **out_last) {
    size_t order[TOC_DOCTOR_LAYERS_MAX];
    size_t n = toc_run_model_layer_order(m, order, TOC_DOCTOR_LAYERS_MAX);
    *out_first = *out_last = NULL;
    for (size_t i = 0; i < n; i++) {
        struct toc_layer_model *l = &m->layers.items[order[i]];
        if (!l->seen || !isfinite(l->grad))
            continue;
        *out_first = *out_first ? *out_first : l;
        *out_last = l;
    }
    return *out_first && *out_first != *out_last;
}

/* A norm that falls in the whole network (it often starts high) is no cut: the layer must also fall
 * behind the last one. */
static bool is_behind_last(struct toc_layer_model *l, const struct toc_layer_model *last) {
    enum { LEARNED = 3 };
    static const double behind = 0.1, alpha = 0.1;
    if (!(l->grad > 0) || !(last->grad > 0))
        return last->grad > 0;
    double share_log = log(l->grad / last->grad);
    bool is_behind = l->shares >= LEARNED && share_log < l->usual_share_log + log(behind);
    if (is_behind || l->share_t_ms == l->last_t_ms)
        return is_behind;
    l->share_t_ms = l->last_t_ms;
    double weight = TOC_MAX(alpha, 1.0 / (double)(l->shares + 1));
    l->usual_share_log += weight * (share_log - l->usual_share_log);
    l->shares++;
    return false;
}

/* Since when the layer's gradient is too low; 0 when it is not. */
static int64_t low_since(struct toc_doctor *d, struct toc_layer_model *l,
                         const struct toc_layer_model *first, const struct toc_layer_model *last) {
    enum { LEARNED = 10 };
    const struct toc_doctor_limits *lim = &d->o.limits;
    bool is_ratio_low =
        l == first && l->grad < lim->vanishing_norm && l->grad < lim->vanishing_ratio * last->grad;
    /* Against its own history, provided the end of the network still learns as it used to. */
    bool is_behind = l != last && is_behind_last(l, last);
    bool is_drop = is_behind && l->seen >= LEARNED && l != last && last->seen >= LEARNED &&
                   l->grad < lim->vanishing_drop * exp(l->usual_log) &&
                   last->grad > 0.2 * exp(last->usual_log);
    if (!is_ratio_low && !is_drop)
        return l->low_since_ms = 0;
    if (!l->low_since_ms)
        l->low_since_ms = l->last_t_ms;
    return l->low_since_ms;
}

static void fill_vanishing(struct toc_run_model *m, struct toc_case *c,
                           const struct toc_layer_model *l, const struct toc_layer_model *last,
                           const struct toc_doctor_limits *lim) {
    double step = toc_run_step_at(m, l->low_since_ms), usual = exp(l->usual_log);
    toc_case_begin(c, TOC_KIND_VANISHING_GRADIENT, l->low_since_ms);
    toc_case_step(c, step);
    toc_case_layer(c, l->name);
    toc_case_title(c, "%.*s: gradient of layer %.*s vanished (%.2g, usually %.2g)",
                   TOC_SV_ARG(m->name), TOC_SV_ARG(l->name), l->grad, usual);
    toc_case_summary(
        c,
        "Since step %.0f layer %.*s hardly learns: its gradient is %.2g while the last "
        "layer %.*s has %.2g.",
        isfinite(step) ? step : 0, TOC_SV_ARG(l->name), l->grad, TOC_SV_ARG(last->name),
        last->grad);
    toc_case_action(c, "Look at what follows the named layer: saturated or dead activations, a "
                       "detached graph, a missing residual path, gradients scaled away.");
    toc_case_evidence(
        c, "Gradient norm of the layer", "",
        (struct toc_evidence_numbers){l->grad, lim->vanishing_drop * usual, usual / 10, usual * 10},
        "train_layer_grad_norm{run=\"%.*s\",layer=\"%.*s\"}", TOC_SV_ARG(m->name),
        TOC_SV_ARG(l->name));
    toc_case_evidence(c, "First layer over last", "ratio",
                      (struct toc_evidence_numbers){last->grad > 0 ? l->grad / last->grad : none,
                                                    lim->vanishing_ratio, none, none},
                      "train_layer_grad_norm{run=\"%.*s\",layer=\"%.*s\"} / ignoring(layer) "
                      "train_layer_grad_norm{run=\"%.*s\",layer=\"%.*s\"}",
                      TOC_SV_ARG(m->name), TOC_SV_ARG(l->name), TOC_SV_ARG(m->name),
                      TOC_SV_ARG(last->name));
    toc_case_cause(c, 0.5, "", "Activations behind the layer are saturated or dead");
    toc_case_cause(c, 0.3, "", "The layer is cut off from the loss (detach, freeze, zero scale)");
}

/* A layer whose units do not answer lets no gradient through; the newest sample already shows it.
 */
static bool has_silent_layer(const struct toc_run_model *m) {
    for (size_t i = 0; i < m->layers.count; i++) {
        const struct toc_layer_stat *const *stats =
            (const struct toc_layer_stat *const *)m->layers.items[i].stats;
        const struct toc_layer_stat *s = stats[STAT_DEAD_UNITS];
        s = s ? s : stats[STAT_ZERO_ACTIVATION];
        if (s && s->hold.count)
            return true;
    }
    return false;
}

enum toc_verdict toc_judge_vanishing(struct toc_doctor *d, struct toc_run_model *m,
                                     struct toc_case *c) {
    size_t order[TOC_DOCTOR_LAYERS_MAX];
    struct toc_layer_model *first, *last, *worst = NULL;
    size_t n = toc_run_model_layer_order(m, order, TOC_DOCTOR_LAYERS_MAX);
    if (!toc_run_end_layers(m, &first, &last))
        return VERDICT_UNKNOWN;
    if (!toc_run_is_running(m))
        return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
    /* Weights that a diverging loss has driven into saturation have small gradients, and through
     * dead units none comes: consequences. */
    if (!c->is_open && (m->cases[CASE_DIVERGENCE].is_open || m->cases[CASE_LOSS_SPIKE].is_open ||
                        m->cases[CASE_DEAD_UNITS].is_open || m->cases[CASE_NON_FINITE].is_open ||
                        has_silent_layer(m)))
        return VERDICT_CALM;
    for (size_t i = 0; i < n; i++) {
        struct toc_layer_model *l = &m->layers.items[order[i]];
        int64_t since = isfinite(l->grad) && l->seen ? low_since(d, l, first, last) : 0;
        bool is_held =
            since && (double)(l->last_t_ms - since) >= (d->o.limits.vanishing_hold_s - 0.5) * 1000;
        if (!worst && since && (is_held || c->is_open))
            worst = l;
    }
    if (!worst)
        return VERDICT_CALM;
    fill_vanishing(m, c, worst, last, &d->o.limits);
    if (c->is_open)
        c->finding.first_seen.ms = c->started_ms;
    return VERDICT_ILL;
}
