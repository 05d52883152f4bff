/* parameter_drift: the distribution of a layer's parameters or activations changed at once. */
#include "diagnose/doctor_priv.h"

static const double none = NAN;

static const char *const drift_names[] = {"param", "activation"};

enum toc_verdict toc_judge_drift(struct toc_doctor *d, struct toc_run_model *m,
                                 struct toc_case *c) {
    size_t order[TOC_DOCTOR_LAYERS_MAX];
    const struct toc_quantile_watch *found = NULL;
    const struct toc_layer_model *layer = NULL;
    size_t kind = 0, others = 0;
    if (!m->learn.has_quantiles)
        return VERDICT_UNKNOWN;
    if (!toc_run_is_running(m))
        return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
    size_t n = toc_run_model_layer_order(m, order, TOC_DOCTOR_LAYERS_MAX);
    for (size_t i = 0; i < n * TOC_ARRAY_LEN(drift_names); i++) {
        const struct toc_layer_model *l = &m->layers.items[order[i % n]];
        const struct toc_quantile_watch *w = l->quantiles[i / n];
        if (!w || !w->is_open)
            continue;
        others++;
        if (!found || w->since_ms < found->since_ms)
            found = w, layer = l, kind = i / n;
    }
    if (!found || (!c->is_open && m->cases[CASE_NON_FINITE].is_open))
        return VERDICT_CALM;
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : found->since_step;
    toc_case_begin(c, TOC_KIND_PARAMETER_DRIFT,
                   toc_case_is_known(c) ? c->started_ms : found->since_ms);
    toc_case_step(c, step);
    toc_case_layer(c, layer->name);
    toc_case_title(c, "%.*s: distribution of %ss in layer %.*s changed at step %.0f (PSI %.2g)",
                   TOC_SV_ARG(m->name), drift_names[kind], TOC_SV_ARG(layer->name),
                   isfinite(step) ? step : 0, found->psi);
    toc_case_summary(c,
                     "Compared with the reports just before step %.0f the population stability "
                     "index is %.2g; below 0.1 is no change, above %.2g a major one. Usually it "
                     "is %.2g in this layer.%s",
                     isfinite(step) ? step : 0, found->psi, d->o.limits.drift_psi, found->usual,
                     others > 1 ? " Other layers show the same." : "");
    toc_case_action(c, "Look at what happened at this step: a loaded checkpoint, another learning "
                       "rate, a changed input scale, weights that were overwritten.");
    toc_case_evidence(
        c, "Median of the layer", "",
        (struct toc_evidence_numbers){found->psi, d->o.limits.drift_psi, 0, found->usual},
        "train_layer_%s_q50{run=\"%.*s\",layer=\"%.*s\"}", drift_names[kind], TOC_SV_ARG(m->name),
        TOC_SV_ARG(layer->name));
    toc_case_evidence(c, "Width of the layer (q95 - q05)", "",
                      (struct toc_evidence_numbers){none, none, none, none},
                      "train_layer_%s_q95{run=\"%.*s\",layer=\"%.*s\"} - "
                      "train_layer_%s_q05{run=\"%.*s\",layer=\"%.*s\"}",
                      drift_names[kind], TOC_SV_ARG(m->name), TOC_SV_ARG(layer->name),
                      drift_names[kind], TOC_SV_ARG(m->name), TOC_SV_ARG(layer->name));
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.4, "", "Weights were changed from outside: a wrong checkpoint, a reload");
    toc_case_cause(c, 0.3, "", "One update was far too large, or the input's scale changed");
    return VERDICT_ILL;
}
