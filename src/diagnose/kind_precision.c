/* amp_trouble and moe_imbalance: what mixed precision and routers report about themselves. */
#include "diagnose/doctor_priv.h"

static const double none = NAN;

static const struct toc_recent *kept(const struct toc_run_model *m, enum toc_run_number_id id) {
    return m->learn.kept[id];
}

/* Highest loss scale that held for some reports within the last hour; the search for the first
 * scale, which falls at each step, holds none. */
static double held_scale(const struct toc_recent *r) {
    enum { HELD = 20, HOUR_MS = 3600 * 1000 };
    double best = NAN;
    size_t same = 0;
    for (size_t i = r->count; i-- > 0;) {
        const struct toc_sample_at *s = toc_recent_at(r, i), *older = toc_recent_at(r, i + 1);
        same = older && older->value == s->value ? same + 1 : 1;
        if (same >= HELD && r->last_t_ms - s->t_ms <= HOUR_MS && !(best >= s->value))
            best = s->value;
    }
    return best;
}

static size_t reports_at_or_below(const struct toc_recent *r, double limit) {
    size_t n = 0;
    const struct toc_sample_at *s;
    while ((s = toc_recent_at(r, n)) && s->value <= limit)
        n++;
    return n;
}

/* Skipped steps over steps, in the last 512 reports and past the first steps. */
static double skipped_share(const struct toc_run_model *m, double *out_skipped) {
    enum { LEAST_STEPS = 100, SEARCH_STEPS = 50 };
    const struct toc_recent *r = kept(m, NUMBER_SKIPPED);
    const struct toc_sample_at *last = r ? toc_recent_at(r, 0) : NULL, *s;
    double last_step = last ? toc_recent_value_at(&m->steps, last->t_ms) : NAN;
    for (size_t i = 1; last && (s = toc_recent_at(r, i)); i++) {
        double step = toc_recent_value_at(&m->steps, s->t_ms);
        if (!(step >= SEARCH_STEPS) || s->value > last->value) /* a restart counts anew */
            return NAN;
        *out_skipped = last->value - s->value;
        if (last_step - step >= LEAST_STEPS)
            return *out_skipped / (last_step - step);
    }
    return NAN;
}

enum amp { AMP_FINE, AMP_FALLS, AMP_MINIMUM, AMP_SKIPS };

static enum amp find_amp(const struct toc_doctor *d, const struct toc_run_model *m,
                         double *out_reference, double *out_share) {
    enum { AT_MINIMUM = 20 };
    const struct toc_doctor_limits *l = &d->o.limits;
    const struct toc_recent *scale = kept(m, NUMBER_LOSS_SCALE);
    const struct toc_sample_at *now = scale ? toc_recent_at(scale, 0) : NULL;
    double skipped = 0;
    *out_share = skipped_share(m, &skipped);
    *out_reference = scale ? held_scale(scale) : NAN;
    if (now && now->value * l->amp_fall <= *out_reference)
        return AMP_FALLS;
    if (now && m->learn.scale_max >= l->amp_fall && now->value <= l->amp_least_scale &&
        reports_at_or_below(scale, l->amp_least_scale) >= AT_MINIMUM)
        return AMP_MINIMUM;
    return *out_share > l->amp_skipped && skipped >= 3 ? AMP_SKIPS : AMP_FINE;
}

static void fill_amp(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                     enum amp amp, double reference, double share) {
    static const char *const texts[] = {
        [AMP_FINE] = "",
        [AMP_FALLS] = "the loss scale fell again and again",
        [AMP_MINIMUM] = "the loss scale sits at its minimum",
        [AMP_SKIPS] = "many optimizer steps are skipped",
    };
    const struct toc_recent *scale = kept(m, NUMBER_LOSS_SCALE);
    const struct toc_sample_at *now = scale ? toc_recent_at(scale, 0) : NULL;
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : toc_run_step_at(m, INT64_MAX);
    toc_case_begin(c, TOC_KIND_AMP_TROUBLE, toc_case_is_known(c) ? c->started_ms : m->last_t_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: %s (step %.0f)", TOC_SV_ARG(m->name), texts[amp],
                   isfinite(step) ? step : 0);
    toc_case_summary(c, "Gradients overflow in low precision more often than the loss scale "
                        "recovers; each overflow loses an optimizer step.");
    toc_case_action(c, "Look for the layer whose activations or gradients overflow; use bfloat16, "
                       "or keep softmax, norms and the loss in float32.");
    if (now)
        toc_case_evidence(c, "Loss scale", "",
                          (struct toc_evidence_numbers){now->value,
                                                        isfinite(reference)
                                                            ? reference / d->o.limits.amp_fall
                                                            : d->o.limits.amp_least_scale,
                                                        none, reference},
                          "train_loss_scale{run=\"%.*s\"}", TOC_SV_ARG(m->name));
    if (isfinite(share))
        toc_case_evidence(c, "Share of skipped steps", "ratio",
                          (struct toc_evidence_numbers){share, d->o.limits.amp_skipped, 0, none},
                          "increase(train_skipped_iterations_total{run=\"%.*s\"}[1h]) / "
                          "delta(train_step{run=\"%.*s\"}[1h])",
                          TOC_SV_ARG(m->name), TOC_SV_ARG(m->name));
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.5, "", "Activations or gradients exceed the range of float16");
    toc_case_cause(c, 0.3, "", "Training becomes unstable; divergence may follow");
}

enum toc_verdict toc_judge_amp(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c) {
    double reference, share;
    if (!kept(m, NUMBER_LOSS_SCALE) && !kept(m, NUMBER_SKIPPED))
        return VERDICT_UNKNOWN;
    if (!toc_run_is_running(m))
        return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
    enum amp amp = find_amp(d, m, &reference, &share);
    if (amp == AMP_FINE)
        return VERDICT_CALM;
    fill_amp(d, m, c, amp, reference, share);
    return VERDICT_ILL;
}

static const struct router_kind {
    enum toc_layer_stat_id stat;
    const char *run_series, *layer_series, *title;
} router_kinds[] = {
    {STAT_EXPERT_MAX, "train_expert_load_max_ratio", "train_layer_expert_load_max_ratio",
     "Largest expert load over the mean"},
    {STAT_EXPERT_MIN, "train_expert_load_min_ratio", "train_layer_expert_load_min_ratio",
     "Smallest expert load over the mean"},
    {STAT_ROUTER_ENTROPY, "train_router_entropy", "train_layer_router_entropy",
     "Entropy of the routing"},
};

/* The run's own numbers first, then the first layer that shows one. */
static const struct toc_layer_stat *find_router(const struct toc_run_model *m,
                                                const struct router_kind **out_kind,
                                                const struct toc_layer_model **out_layer) {
    enum { HELD = 10 };
    *out_layer = NULL;
    for (size_t k = 0; k < TOC_ARRAY_LEN(router_kinds); k++) {
        *out_kind = &router_kinds[k];
        const struct toc_layer_stat *s = m->learn.routers[k];
        if (s && s->hold.count >= HELD)
            return s;
        for (size_t i = 0; i < m->layers.count; i++) {
            s = m->layers.items[i].stats[router_kinds[k].stat];
            *out_layer = &m->layers.items[i];
            if (s && s->hold.count >= HELD)
                return s;
        }
        *out_layer = NULL;
    }
    return NULL;
}

static double router_limit(const struct toc_doctor *d, enum toc_layer_stat_id id,
                           const struct toc_layer_stat *s) {
    return id == STAT_EXPERT_MAX   ? d->o.limits.expert_high
           : id == STAT_EXPERT_MIN ? d->o.limits.expert_low
                                   : d->o.limits.router_entropy_ratio * s->start;
}

enum toc_verdict toc_judge_moe(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c) {
    const struct router_kind *kind;
    const struct toc_layer_model *layer;
    if (!m->learn.has_router)
        return VERDICT_UNKNOWN;
    if (!toc_run_is_running(m))
        return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
    const struct toc_layer_stat *s = find_router(m, &kind, &layer);
    if (!s)
        return VERDICT_CALM;
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : s->hold.step;
    toc_case_begin(c, TOC_KIND_MOE_IMBALANCE,
                   toc_case_is_known(c) ? c->started_ms : s->hold.since_ms);
    toc_case_step(c, step);
    if (layer)
        toc_case_layer(c, layer->name);
    toc_case_title(c, "%.*s: experts are out of balance%s%.*s: %s %.3g (step %.0f)",
                   TOC_SV_ARG(m->name), layer ? " in layer " : "",
                   TOC_SV_ARG(layer ? layer->name : TOC_SV_NULL), kind->title, s->value,
                   isfinite(step) ? step : 0);
    toc_case_summary(c, "Tokens gather at few experts: those become slow and drop tokens, the "
                        "others learn nothing.");
    toc_case_action(c, "Raise the weight of the load-balancing loss or add a router z-loss; check "
                       "the capacity factor and the router's learning rate.");
    struct toc_evidence_numbers n = {s->value, router_limit(d, kind->stat, s), none, none};
    if (layer)
        toc_case_evidence(c, kind->title, "", n, "%s{run=\"%.*s\",layer=\"%.*s\"}",
                          kind->layer_series, TOC_SV_ARG(m->name), TOC_SV_ARG(layer->name));
    else
        toc_case_evidence(c, kind->title, "", n, "%s{run=\"%.*s\"}", kind->run_series,
                          TOC_SV_ARG(m->name));
    toc_case_cause(c, 0.5, "", "The balancing loss is too weak: the router collapses");
    toc_case_cause(c, 0.2, "", "The data of these steps are one-sided");
    return VERDICT_ILL;
}
