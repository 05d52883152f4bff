/* Kinds that show in the numbers of training itself: non_finite, divergence, loss_spike,
 * vanishing_gradient. */
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

/* How much the learning rate grew within the last minute before t; 1 when unknown. */
static double rate_jump(struct toc_doctor *d, const struct toc_run_model *m, int64_t t_ms) {
    double v[TOC_BINS];
    (void)d;
    size_t n = toc_bins_window(&m->rate, t_ms - 120000, t_ms - 20000, v, TOC_BINS);
    if (n < 3)
        n = toc_bins_window(&m->rate, 0, t_ms - 8000, v, TOC_BINS);
    /* The highest of before: a warm-up that climbs is no jump. */
    double before = 0;
    for (size_t i = 0; i < n; i++)
        before = TOC_MAX(before, v[i]);
    const struct toc_sample_at *now = toc_recent_at(&m->rates, 0);
    return n && now && before > 0 ? now->value / before : 1;
}

void toc_case_rate_cause(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                         int64_t t_ms) {
    double jump = rate_jump(d, m, t_ms);
    const struct toc_sample_at *rate = toc_recent_at(&m->rates, 0);
    char text[160];
    if (jump < d->o.limits.lr_jump_ratio || !rate)
        return;
    snprintf(text, sizeof text, "train_learning_rate{run=\"%.*s\"} is %.3g", TOC_SV_ARG(m->name),
             rate->value);
    toc_case_cause(c, 0.9, text, "The learning rate jumped to %.3g, %.1f times what it was",
                   rate->value, jump);
}

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

enum toc_verdict toc_judge_non_finite(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    const struct toc_layer_model *layer = first_bad_layer(m);
    int64_t t_ms = 0;
    enum bad_value bad = bad_value_of(m, layer, &t_ms);
    if (bad == BAD_NONE || toc_run_is_over(m)) {
        if (bad == BAD_NONE && !c->is_open)
            m->nonfinite_first_ms = 0; /* the next one is a new story */
        return m->last_t_ms ? VERDICT_CALM : VERDICT_UNKNOWN;
    }
    if (toc_case_is_known(c))
        t_ms = c->finding.first_seen.ms;
    fill_non_finite(d, m, c, bad, layer, t_ms);
    return VERDICT_ILL;
}

/* What the loss usually is, from bins before `until`; NaN with too little history. */
struct usual {
    double median, sigma;
};

static size_t usual_losses(const struct toc_run_model *m, int64_t until_ms, double v[TOC_BINS]) {
    enum { LEAST_BINS = 8, SKIP_MS = 3000, WINDOW_MS = 120000 };
    int64_t from_ms = TOC_MAX(until_ms - WINDOW_MS, toc_bins_first_ms(&m->loss) + SKIP_MS);
    size_t n = toc_bins_window(&m->loss, from_ms, until_ms, v, TOC_BINS);
    if (n < LEAST_BINS && toc_bins_first_ms(&m->loss) != INT64_MAX) /* a slow run: all there is */
        n = toc_bins_window(&m->loss, 0, until_ms, v, TOC_BINS);
    return n < LEAST_BINS ? 0 : n;
}

/* What the usual loss is not less than; found much faster. NaN when little is known. */
static double least_usual(const struct toc_run_model *m, int64_t until_ms) {
    double v[TOC_BINS], least = INFINITY;
    size_t n = usual_losses(m, until_ms, v);
    for (size_t i = 0; i < n; i++)
        least = TOC_MIN(least, v[i]);
    return n ? least : (double)NAN;
}

/* The median is known before the spread, which costs more; without it sigma is 0. */
static struct usual usual_loss(const struct toc_run_model *m, int64_t until_ms, bool has_sigma) {
    double v[TOC_BINS], w[TOC_BINS];
    size_t n = usual_losses(m, until_ms, v);
    if (!n)
        return (struct usual){NAN, NAN};
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
    const struct toc_course_point *p = &m->learn.loss->points[x->after];
    c->reference = x->best + 0.5 * d->o.limits.divergence_ratio * fabs(x->best);
    toc_case_begin(c, TOC_KIND_DIVERGENCE, p->t_ms);
    toc_case_step(c, p->step);
    toc_case_title(c, "%.*s: loss has risen since step %.0f, from %.3g to %.3g",
                   TOC_SV_ARG(m->name), isfinite(p->step) ? p->step : 0, x->best, x->now);
    toc_case_summary(
        c,
        "Since step %.0f the loss goes up slowly and steadily; it is now %.0f %% above "
        "the best level of this run.",
        isfinite(p->step) ? p->step : 0, 100 * (x->now / x->best - 1));
    toc_case_action(c, "Go back to the checkpoint before this step and continue with a lower "
                       "learning rate; check the schedule, the data and weight decay.");
    toc_case_evidence(c, "Loss", "",
                      (struct toc_evidence_numbers){x->now, c->reference, none, c->reference},
                      "train_loss{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.4, "", "The learning rate is too high for this phase of training");
    toc_case_cause(c, 0.3, "", "The data change while the run goes on");
}

enum toc_verdict toc_judge_divergence(struct toc_doctor *d, struct toc_run_model *m,
                                      struct toc_case *c) {
    enum { LEAST_BINS = 5, NEW_NORMAL_MS = 10 * 60 * 1000 };
    const struct toc_doctor_limits *l = &d->o.limits;
    if (!m->loss.count || is_too_young(m))
        return VERDICT_UNKNOWN;
    if (toc_run_is_over(m))
        return VERDICT_CALM;
    int64_t now_ms = m->last_t_ms, since_ms = now_ms;
    size_t bins = 0;
    double peak = 0, jump = rate_jump(d, m, now_ms);
    bool has_cause = jump >= l->lr_jump_ratio;
    /* Against the line of its opening: the ill level must not become the usual one. */
    if (toc_case_is_known(c)) {
        measure_run_above(m, c->reference, &bins, &since_ms, &peak);
        return bins && d->now_ms - c->started_ms < NEW_NORMAL_MS ? VERDICT_ILL : VERDICT_CALM;
    }
    int64_t until_ms = now_ms - 2 * (int64_t)(l->divergence_hold_s * 1000) - 2000;
    double share = (has_cause ? 0.5 : 1) * l->divergence_ratio, least = least_usual(m, until_ms);
    double margin = share * least, line = least + margin;
    struct usual u = {least, 0};
    measure_run_above(m, line, &bins, &since_ms, &peak);
    if (!(least > 0) || bins >= LEAST_BINS) {
        u = usual_loss(m, until_ms, false);
        if (!isfinite(u.median))
            return VERDICT_UNKNOWN;
        margin = share * fabs(u.median);
        line = u.median + margin;
        measure_run_above(m, line, &bins, &since_ms, &peak);
    }
    if (bins >= LEAST_BINS) { /* else there are no more above a line that is higher */
        u = usual_loss(m, until_ms, true);
        margin = TOC_MAX(l->divergence_sigma * u.sigma, margin);
        line = u.median + margin;
        measure_run_above(m, line, &bins, &since_ms, &peak);
    }
    struct toc_course_rise rise;
    if (bins < LEAST_BINS || (double)(now_ms - since_ms) < (l->divergence_hold_s - 1) * 1000) {
        if (!is_slow_rise(d, m, &rise))
            return VERDICT_CALM;
        fill_slow_rise(d, m, c, &rise);
        return VERDICT_ILL;
    }
    c->reference = line;
    const struct toc_sample_at *grad = toc_recent_at(&m->grads, 0);
    double step = toc_run_step_at(m, since_ms);
    toc_case_begin(c, TOC_KIND_DIVERGENCE, since_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: loss rose to %.3g at step %.0f, usually %.3g", TOC_SV_ARG(m->name),
                   peak, isfinite(step) ? step : 0, u.median);
    toc_case_summary(c,
                     "Since step %.0f the loss stays above %.3g, the upper end of what this run "
                     "showed before, and does not come back.",
                     isfinite(step) ? step : 0, line);
    toc_case_action(c, "Go back to the checkpoint before this step and continue with a lower "
                       "learning rate; check the schedule and gradient clipping.");
    toc_case_evidence(c, "Loss", "",
                      (struct toc_evidence_numbers){peak, line, u.median - margin, line},
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
    toc_case_rate_cause(d, m, c, now_ms);
    toc_case_cause(c, 0.4, "", "The learning rate is too high for this phase of training");
    toc_case_cause(c, 0.2, "", "The data changed: a new shard, another mixture, corrupt batches");
    return VERDICT_ILL;
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
                        m->cases[CASE_DEAD_UNITS].is_open || m->cases[CASE_NON_FINITE].is_open))
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
