/* exploding_gradient: a gradient norm far above what this run showed, for the run or one layer. */
#include "diagnose/doctor_priv.h"

static const double none = NAN;

/* The layer that grew most over its own usual; NULL when none is high. */
static struct toc_layer_model *highest_layer(struct toc_run_model *m, bool is_any) {
    struct toc_layer_model *found = NULL;
    for (size_t i = 0; i < m->layers.count; i++) {
        struct toc_layer_model *l = &m->layers.items[i];
        if (!l->norm || !(toc_norm_is_high(l->norm) || (is_any && l->norm->high)))
            continue;
        if (!found || l->norm->growth > found->norm->growth)
            found = l;
    }
    return found;
}

/* When the run as a whole is high, the layer that grew most is named even below its own line. */
static struct toc_layer_model *grown_layer(struct toc_run_model *m) {
    static const double least_growth = 5;
    struct toc_layer_model *found = NULL;
    for (size_t i = 0; i < m->layers.count; i++) {
        struct toc_layer_model *l = &m->layers.items[i];
        if (l->norm && l->norm->reports > TOC_NORM_FIRST && l->norm->growth >= least_growth &&
            (!found || l->norm->growth > found->norm->growth))
            found = l;
    }
    return found;
}

/* AutoTrainer's ratio: the first layer's gradient over the last's; from the start it needs a norm
 * that is large in itself. */
static struct toc_layer_model *lopsided_first(struct toc_doctor *d, struct toc_run_model *m,
                                              double *out_ratio) {
    enum { SETTLED = 10 };
    static const double large = 100, grown = 10;
    struct toc_layer_model *first, *last;
    if (!toc_run_end_layers(m, &first, &last) || !first->norm || !last->norm)
        return NULL;
    struct toc_layer_stat *s = first->stats[STAT_GRAD];
    *out_ratio = last->norm->value > 0 ? first->norm->value / last->norm->value : 0;
    bool is_shown = first->norm->reports > SETTLED &&
                    *out_ratio > d->o.limits.exploding_end_ratio &&
                    (first->norm->value >= large || first->norm->growth >= grown);
    if (s->t_ms > s->judged_ms)
        toc_hold_note(&s->peer_hold, is_shown, (struct toc_report_at){s->t_ms, s->step});
    s->judged_ms = s->t_ms;
    return s->peer_hold.count >= TOC_NORM_LEAST_HIGH ? first : NULL;
}

static void add_layer_evidence(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                               const struct toc_layer_model *layer, double ratio) {
    const struct toc_norm_watch *w = layer->norm;
    struct toc_norm_limits limits = {d->o.limits.exploding_sigma, d->o.limits.exploding_layer_ratio,
                                     d->o.limits.exploding_runaway};
    toc_case_evidence(
        c, "Gradient norm of the layer", "",
        (struct toc_evidence_numbers){w->value, toc_norm_line(w, &limits), none, toc_norm_usual(w)},
        "train_layer_grad_norm{run=\"%.*s\",layer=\"%.*s\"}", TOC_SV_ARG(m->name),
        TOC_SV_ARG(layer->name));
    struct toc_layer_model *first, *last;
    if (isfinite(ratio) && toc_run_end_layers(m, &first, &last))
        toc_case_evidence(
            c, "First layer over last", "ratio",
            (struct toc_evidence_numbers){ratio, d->o.limits.exploding_end_ratio, none, none},
            "train_layer_grad_norm{run=\"%.*s\",layer=\"%.*s\"} / ignoring(layer) "
            "train_layer_grad_norm{run=\"%.*s\",layer=\"%.*s\"}",
            TOC_SV_ARG(m->name), TOC_SV_ARG(first->name), TOC_SV_ARG(m->name),
            TOC_SV_ARG(last->name));
}

static void add_run_evidence(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c) {
    const struct toc_norm_watch *w = &m->learn.grad_norm;
    struct toc_norm_limits limits = {d->o.limits.exploding_sigma, d->o.limits.exploding_ratio,
                                     d->o.limits.exploding_runaway};
    double sigma = sqrt(w->var);
    if (w->reports)
        toc_case_evidence(c, "Gradient norm", "",
                          (struct toc_evidence_numbers){w->value, toc_norm_line(w, &limits),
                                                        exp(w->mean - 2.5 * sigma),
                                                        exp(w->mean + 2.5 * sigma)},
                          "train_grad_norm{run=\"%.*s\"}", TOC_SV_ARG(m->name));
}

static void fill(struct toc_doctor *d, struct toc_run_model *m, struct toc_case *c,
                 const struct toc_layer_model *layer, bool is_run_high, double ratio) {
    const struct toc_norm_watch *w = is_run_high || !layer ? &m->learn.grad_norm : layer->norm;
    const struct toc_hold *lopsided =
        layer && !w->since_ms ? &layer->stats[STAT_GRAD]->peer_hold : NULL;
    int64_t since_ms = toc_case_is_known(c) ? c->started_ms
                       : lopsided           ? lopsided->since_ms
                                            : w->since_ms;
    double step = toc_case_is_known(c) ? toc_case_known_step(c)
                  : lopsided           ? lopsided->step
                                       : w->since_step;
    toc_case_begin(c, TOC_KIND_EXPLODING_GRADIENT, since_ms);
    toc_case_step(c, step);
    if (layer)
        toc_case_layer(c, layer->name);
    toc_case_title(c, "%.*s: gradient norm%s%.*s rose to %.3g at step %.0f, usually %.3g",
                   TOC_SV_ARG(m->name), layer && !is_run_high ? " of layer " : "",
                   TOC_SV_ARG(layer && !is_run_high ? layer->name : TOC_SV_NULL), w->value,
                   isfinite(step) ? step : 0, toc_norm_usual(w));
    toc_case_summary(c,
                     "Since step %.0f the gradient norm is %.3g times what it was. Such updates "
                     "undo what was learned, and non-finite values follow.%s%.*s%s",
                     isfinite(step) ? step : 0, w->value / TOC_MAX(toc_norm_usual(w), 1e-30),
                     layer ? " Layer " : "", TOC_SV_ARG(layer ? layer->name : TOC_SV_NULL),
                     layer ? " grew most." : "");
    toc_case_action(c, "Clip the gradient norm or lower the learning rate; if it goes on, go back "
                       "to the checkpoint before this step.");
    add_run_evidence(d, m, c);
    if (layer)
        add_layer_evidence(d, m, c, layer, ratio);
    toc_case_rate_cause(d, m, c, m->last_t_ms);
    toc_case_cause(c, 0.4, "", "The learning rate is too high and gradients are not clipped");
    if (layer)
        toc_case_cause(c, 0.3, "this layer's gradient grew most", "Layer %.*s is badly scaled",
                       TOC_SV_ARG(layer->name));
    toc_case_cause(c, 0.2, "", "Corrupt or very unusual batches");
}

enum toc_verdict toc_judge_exploding(struct toc_doctor *d, struct toc_run_model *m,
                                     struct toc_case *c) {
    const struct toc_norm_watch *w = &m->learn.grad_norm;
    double ratio = NAN;
    struct toc_layer_model *lopsided = lopsided_first(d, m, &ratio);
    if (!w->reports && !m->layers.count)
        return VERDICT_UNKNOWN;
    if (!toc_run_is_running(m))
        return toc_run_is_over(m) ? VERDICT_CALM : VERDICT_UNKNOWN;
    struct toc_layer_model *layer = highest_layer(m, c->is_open);
    bool is_run_high = toc_norm_is_high(w) || (c->is_open && w->high);
    if (!is_run_high && !layer)
        layer = lopsided;
    if (!is_run_high && !layer)
        return VERDICT_CALM;
    if (!layer)
        layer = grown_layer(m);
    fill(d, m, c, layer, is_run_high, ratio);
    return VERDICT_ILL;
}
