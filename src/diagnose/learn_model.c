#include "base/num.h"
#include "diagnose/doctor_priv.h"
#include "model/sample.h"

#include <math.h>
#include <stdio.h>

void toc_hold_note(struct toc_hold *h, bool is_shown, struct toc_report_at at) {
    if (!is_shown)
        *h = (struct toc_hold){.without = h->without + 1, .before = h->before + h->count};
    else if (!h->count++)
        h->since_ms = at.t_ms, h->step = at.step;
}

bool toc_hold_is_sure(const struct toc_hold *h) {
    enum { LEAST = 3 };
    static const double by_chance = 0.01;
    double reports = (double)h->before + h->without, share = (h->before + 1) / (reports + 2);
    return h->count >= LEAST && reports > 0 && reports * pow(share, h->count) <= by_chance;
}

double toc_norm_line(const struct toc_norm_watch *w, const struct toc_norm_limits *l) {
    static const double least_sigma = 0.1; /* a norm that hardly moved is no reason for alarm */
    double sigma = TOC_MAX(sqrt(w->var), least_sigma);
    return TOC_MAX(exp(w->mean + l->sigma * sigma), l->ratio * exp(w->mean));
}

/* The first reports show no level yet, but what grows without bound from the start is high, too. */
static bool is_runaway(const struct toc_norm_watch *w, const struct toc_norm_limits *l, double v) {
    return w->reports >= 3 && v >= l->runaway_ratio && v >= l->runaway_ratio * w->start;
}

static void learn_start(struct toc_norm_watch *w, double v) {
    double sorted[TOC_NORM_FIRST];
    if (w->reports >= TOC_NORM_FIRST)
        return;
    w->first[w->reports] = v;
    for (uint32_t i = 0; i <= w->reports; i++)
        sorted[i] = w->first[i];
    w->start = toc_history_quantile(sorted, w->reports + 1, w->reports < 3 ? 0 : 0.25);
}

static void learn_level(struct toc_norm_watch *w, double log_v) {
    static const double alpha = 0.03, clip_sigma = 2.5;
    if (w->reports < TOC_NORM_WARM_UP) { /* plain mean and variance */
        double n = w->reports + 1, delta = log_v - w->mean;
        w->mean += delta / n;
        w->var += (delta * (log_v - w->mean) - w->var) / n;
        return;
    }
    double sigma = sqrt(w->var);
    double entered = TOC_MIN(log_v, w->mean + clip_sigma * TOC_MAX(sigma, 0.05));
    double delta = entered - w->mean;
    w->mean += alpha * delta;
    w->var = (1 - alpha) * (w->var + alpha * delta * delta);
}

void toc_norm_take(struct toc_norm_watch *w, const struct toc_norm_limits *l,
                   struct toc_report_at at, double v) {
    enum { NEW_NORMAL = 500 };
    static const double least = 1e-30;
    if (!isfinite(v) || v < 0)
        return;
    double log_v = log(TOC_MAX(v, least));
    bool is_warm = w->reports >= TOC_NORM_WARM_UP;
    bool is_high = (is_warm && v > toc_norm_line(w, l)) || is_runaway(w, l, v);
    w->value = v;
    w->growth = w->reports ? exp(TOC_MIN(log_v - w->mean, 700.0)) : 1;
    w->high_in_row = is_high ? w->high_in_row + 1 : 0;
    if (is_high && !w->high)
        w->since_ms = at.t_ms, w->since_step = at.step;
    w->high = (uint8_t)(w->high << 1 | (is_high ? 1 : 0));
    if (w->high_in_row > NEW_NORMAL) { /* what has lasted this long is how the run is */
        *w = (struct toc_norm_watch){.value = v};
        is_high = false;
    }
    learn_start(w, v);
    if (!is_high) /* what is ill must not become the usual */
        learn_level(w, log_v);
    w->reports++;
}

static unsigned count_bits(uint8_t v) {
    unsigned n = 0;
    for (; v; v &= (uint8_t)(v - 1))
        n++;
    return n;
}

bool toc_norm_is_high(const struct toc_norm_watch *w) {
    static const double beyond_doubt = 1e6;
    return count_bits(w->high) >= TOC_NORM_LEAST_HIGH ||
           ((w->high & 1) && w->growth >= beyond_doubt && w->reports > TOC_NORM_WARM_UP);
}

static const char *const stat_names[] = {
#define X(name, series) series,
    TOC_LAYER_STAT_TABLE(X)
#undef X
};

static const char *const number_names[] = {
#define X(name, series) series,
    TOC_RUN_NUMBER_TABLE(X)
#undef X
};

static const char *const quantile_kinds[TOC_LAYER_QUANTILES] = {"param", "activation"};
static const char *const quantile_ends[TOC_QUANTILES] = {"01", "05", "25", "50", "75", "95", "99"};

enum { ID_NUMBER = 1, ID_STAT = ID_NUMBER + NUMBER_COUNT, ID_QUANTILE = ID_STAT + STAT_COUNT };

/* Ids in the map: numbers, then statistics of layers, then their quantiles. */
void toc_learn_metric_ids(struct toc_map *ids) {
    for (uintptr_t i = 0; i < NUMBER_COUNT; i++)
        toc_map_put(ids, toc_sv_cstr(number_names[i]), (void *)(ID_NUMBER + i));
    for (uintptr_t i = 0; i < STAT_COUNT; i++)
        toc_map_put(ids, toc_sv_cstr(stat_names[i]), (void *)(ID_STAT + i));
    for (uintptr_t i = 0; i < (uintptr_t)TOC_LAYER_QUANTILES * TOC_QUANTILES; i++) {
        char name[64];
        snprintf(name, sizeof name, "train_layer_%s_q%s", quantile_kinds[i / TOC_QUANTILES],
                 quantile_ends[i % TOC_QUANTILES]);
        toc_map_put(ids, toc_sv_cstr(name), (void *)(ID_QUANTILE + i));
    }
}

void toc_learn_init(struct toc_learn_model *l) {
    *l = (struct toc_learn_model){.accuracy = NAN, .val_accuracy = NAN};
    l->steps.before = l->rates.before = NAN;
}

void toc_learn_fini(struct toc_learn_model *l) {
    toc_time_index_fini(&l->steps);
    toc_time_index_fini(&l->rates);
    toc_free(l->loss);
    toc_free(l->val_loss);
    toc_free(l->val_acc);
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        toc_free(l->kept[i]);
    for (size_t i = 0; i < TOC_ROUTERS; i++)
        toc_free(l->routers[i]);
    toc_envelope_fini(&l->envelope);
    toc_map_fini(&l->seen);
}

void toc_time_index_add(struct toc_time_index *x, int64_t t_ms, double v) {
    TOC_VEC_PUSH(&x->t, t_ms);
    TOC_VEC_PUSH(&x->v, v);
}

void toc_time_index_fini(struct toc_time_index *x) {
    TOC_VEC_FINI(&x->t);
    TOC_VEC_FINI(&x->v);
}

static double value_before(const struct toc_time_index *x, int64_t t_ms) {
    size_t n = x->t.count; /* what is added comes mostly after all that is there */
    return n && x->t.items[n - 1] < t_ms ? x->v.items[n - 1] : toc_time_index_at(x, t_ms - 1);
}

void toc_learn_index(struct toc_learn_model *l, struct toc_sv metric,
                     const struct toc_series_view *s) {
    bool is_step = toc_sv_eq_cstr(metric, number_names[NUMBER_STEP]);
    struct toc_time_index *x = is_step ? &l->steps : &l->rates;
    if (!is_step && !toc_sv_eq_cstr(metric, number_names[NUMBER_RATE]))
        return;
    TOC_VEC_RESERVE(&x->t, x->t.count + s->count);
    TOC_VEC_RESERVE(&x->v, x->v.count + s->count);
    for (size_t i = 0; i < s->count; i++) {
        if (!isfinite(s->values[i])) /* a mark of staleness is none either */
            continue;
        if (is_step && s->t_ms[i] > x->before_ms && s->values[i] < value_before(x, s->t_ms[i]))
            l->rewound_ms = TOC_MAX(l->rewound_ms, s->t_ms[i]);
        toc_time_index_add(x, s->t_ms[i], s->values[i]);
    }
}

static size_t first_after(const struct toc_time_index *x, int64_t t_ms) {
    size_t low = 0, high = x->t.count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (x->t.items[mid] <= t_ms)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

double toc_time_index_at(const struct toc_time_index *x, int64_t t_ms) {
    size_t at = first_after(x, t_ms);
    return at ? x->v.items[at - 1] : x->before;
}

/* The samples of a series come in order of time, so what an index says of one is often what
 * it said of the sample before it, or the next thing. */
static double follow(const struct toc_time_index *x, int64_t t_ms, size_t *place) {
    size_t at = *place;
    if (at < x->t.count && x->t.items[at] <= t_ms)
        at++;
    bool is_it = at <= x->t.count && (!at || x->t.items[at - 1] <= t_ms) &&
                 (at == x->t.count || x->t.items[at] > t_ms);
    *place = is_it ? at : first_after(x, t_ms);
    return *place ? x->v.items[*place - 1] : x->before;
}

static void index_settle(struct toc_time_index *x) {
    if (x->v.count) {
        x->before = x->v.items[x->v.count - 1];
        x->before_ms = x->t.items[x->t.count - 1];
    }
    x->t.count = x->v.count = 0;
}

void toc_learn_settle(struct toc_learn_model *l) {
    index_settle(&l->steps);
    index_settle(&l->rates);
}

double toc_learn_rate_at(const struct toc_learn_model *l, int64_t t_ms) {
    return toc_time_index_at(&l->rates, t_ms);
}

double toc_learn_recent_loss(const struct toc_learn_model *l) {
    double v[TOC_NORM_FIRST];
    size_t n = TOC_MIN(l->loss_reports, (uint64_t)TOC_NORM_FIRST);
    for (size_t i = 0; i < n; i++)
        v[i] = l->loss_recent[i];
    return toc_history_median(v, n);
}

static void take_loss(struct toc_learn_model *l, struct toc_report_at at, double v) {
    if (!isfinite(v))
        return;
    if (!l->loss)
        l->loss = TOC_NEW(struct toc_course);
    toc_course_add(l->loss, at.t_ms, at.step, v, follow(&l->rates, at.t_ms, &l->rate_place));
    l->loss_recent[l->loss_reports++ % TOC_NORM_FIRST] = v;
}

static void take_eval(struct toc_evals **e, struct toc_report_at at, double v, double train) {
    if (!*e)
        *e = TOC_NEW(struct toc_evals);
    toc_evals_add(*e, (struct toc_eval){at.t_ms, at.step, v, train});
}

static void keep(struct toc_learn_model *l, enum toc_run_number_id id, int64_t t_ms, double v) {
    if (!l->kept[id])
        l->kept[id] = TOC_NEW(struct toc_recent);
    if (isfinite(v))
        toc_recent_add(l->kept[id], t_ms, v);
}

/* Routers settle in the first steps; then loads must stay apart for some reports. */
static void take_router(const struct toc_doctor *d, struct toc_learn_model *l,
                        struct toc_layer_stat *s, enum toc_layer_stat_id id,
                        struct toc_report_at at, double v) {
    enum { SETTLED_REPORTS = 15, SETTLED_STEP = 50 };
    const struct toc_doctor_limits *lim = &d->o.limits;
    bool is_settled = s->start_reports > SETTLED_REPORTS && !(at.step < SETTLED_STEP);
    bool is_shown = id == STAT_EXPERT_MAX   ? v > lim->expert_high
                    : id == STAT_EXPERT_MIN ? v < lim->expert_low
                                            : v < lim->router_entropy_ratio * s->start;
    l->has_router = true;
    s->value = v;
    toc_hold_note(&s->hold, is_settled && is_shown, at);
    if (s->start_reports <= SETTLED_REPORTS) /* entropy: the mean of the start */
        s->start += (v - s->start) / (double)++s->start_reports;
}

static struct toc_norm_limits norm_limits(const struct toc_doctor *d, bool is_layer) {
    const struct toc_doctor_limits *l = &d->o.limits;
    return (struct toc_norm_limits){
        .sigma = l->exploding_sigma,
        .ratio = is_layer ? l->exploding_layer_ratio : l->exploding_ratio,
        .runaway_ratio = l->exploding_runaway,
    };
}

static void take_rate(const struct toc_doctor *d, struct toc_learn_model *l,
                      struct toc_report_at at, double v) {
    if (!isfinite(v))
        return;
    if (l->rate_max > 0 && v >= d->o.limits.lr_jump_ratio * l->rate_max)
        l->rate_jump = (struct toc_rate_jump){at.t_ms, at.step, l->rate_max, v};
    l->rate_max = TOC_MAX(l->rate_max, v);
}

static void take_number(struct toc_doctor *d, struct toc_learn_model *l, enum toc_run_number_id id,
                        struct toc_report_at at, double v) {
    struct toc_norm_limits limits = norm_limits(d, false);
    struct toc_layer_stat **router;
    if (at.t_ms <= l->number_t_ms[id])
        return;
    l->number_t_ms[id] = at.t_ms;
    switch (id) {
    case NUMBER_RATE:
        take_rate(d, l, at, v);
        break;
    case NUMBER_LOSS:
        take_loss(l, at, v);
        break;
    case NUMBER_GRAD_NORM:
        toc_norm_take(&l->grad_norm, &limits, at, v);
        break;
    case NUMBER_VAL_LOSS:
        take_eval(&l->val_loss, at, v, toc_learn_recent_loss(l));
        break;
    case NUMBER_ACCURACY:
        l->accuracy = v;
        break;
    case NUMBER_VAL_ACCURACY:
        l->val_accuracy = v;
        take_eval(&l->val_acc, at, v, l->accuracy);
        break;
    case NUMBER_LOSS_SCALE:
        l->scale_max = TOC_MAX(l->scale_max, v);
        keep(l, id, at.t_ms, v);
        break;
    case NUMBER_SKIPPED:
        keep(l, id, at.t_ms, v);
        break;
    case NUMBER_EXPERT_MAX:
    case NUMBER_EXPERT_MIN:
    case NUMBER_ROUTER_ENTROPY:
        router = &l->routers[id - NUMBER_EXPERT_MAX];
        *router = *router ? *router : TOC_NEW(struct toc_layer_stat);
        if (isfinite(v))
            take_router(d, l, *router,
                        (enum toc_layer_stat_id)(STAT_EXPERT_MAX + (id - NUMBER_EXPERT_MAX)), at,
                        v);
        break;
    default:
        break;
    }
}

/* A share that should be low: high, and clearly higher than this run began. */
struct share_limit {
    double high, rise, all;
};

static void take_share(struct toc_layer_stat *s, struct share_limit limit, struct toc_report_at at,
                       double v) {
    enum { FIRST = 5 };
    if (s->start_reports < FIRST) {
        s->start = s->start_reports ? TOC_MIN(s->start, v) : v;
        s->start_reports++;
    }
    toc_hold_note(&s->hold, v >= limit.high && v >= s->start + limit.rise, at);
    toc_hold_note(&s->zero_hold, v >= limit.all, at);
}

/* How far the weights move: against the own usual, and never at all. */
static void take_update(const struct toc_doctor *d, struct toc_layer_stat *s, double rate,
                        struct toc_report_at at, double v) {
    enum { LEARN = 10, START = 50 };
    const struct toc_doctor_limits *l = &d->o.limits;
    bool is_off = rate == 0; /* nothing moves at a learning rate of 0, by intention */
    toc_hold_note(&s->zero_hold, v == 0 && !is_off, at);
    if (!(v > 0) || is_off) {
        toc_hold_note(&s->hold, false, at);
        return;
    }
    bool is_high =
        s->start_reports >= LEARN && v > l->update_high && v > l->update_change * exp(s->usual_log);
    toc_hold_note(&s->hold, is_high, at);
    double log_v = log(v), per_rate = rate > 0 ? log_v - log(rate) : log_v;
    if (!is_high) {
        double alpha = s->start_reports < LEARN ? 1.0 / (s->start_reports + 1) : 0.05;
        s->usual_log += alpha * (log_v - s->usual_log);
    }
    if (s->start_reports < START)
        s->start_log += (per_rate - s->start_log) / (s->start_reports + 1);
    s->start_reports += s->start_reports < START;
}

static void take_stat(struct toc_doctor *d, struct toc_run_model *m, struct toc_layer_model *layer,
                      enum toc_layer_stat_id id, struct toc_report_at at, double v) {
    const struct toc_doctor_limits *l = &d->o.limits;
    struct toc_layer_stat *s = layer->stats[id];
    struct toc_norm_limits limits = norm_limits(d, true);
    if (at.t_ms <= s->t_ms || !isfinite(v))
        return;
    s->t_ms = at.t_ms;
    s->step = at.step;
    s->value = v;
    s->reports++;
    switch (id) {
    case STAT_GRAD:
        toc_norm_take(layer->norm, &limits, at, v);
        break;
    case STAT_UPDATE:
        take_update(d, s, toc_learn_rate_at(&m->learn, at.t_ms), at, v);
        break;
    case STAT_EXPERT_MAX:
    case STAT_EXPERT_MIN:
    case STAT_ROUTER_ENTROPY:
        take_router(d, &m->learn, s, id, at, v);
        break;
    case STAT_SATURATED:
        take_share(s, (struct share_limit){l->saturated_ratio, l->share_rise, l->saturated_all}, at,
                   v);
        break;
    case STAT_DEAD_UNITS: /* nothing natural keeps units silent for every input */
        take_share(s, (struct share_limit){l->dead_ratio, 0, l->dead_all}, at, v);
        break;
    default:
        take_share(s, (struct share_limit){l->dead_ratio, l->share_rise, l->dead_all}, at, v);
    }
}

static struct toc_layer_stat *stat_for(struct toc_layer_model *layer, size_t stat) {
    if (!layer->stats[stat]) {
        layer->stats[stat] = TOC_NEW(struct toc_layer_stat);
        layer->norm = stat == STAT_GRAD ? TOC_NEW(struct toc_norm_watch) : layer->norm;
    }
    return layer->stats[stat];
}

static struct toc_quantile_watch *quantile_for(struct toc_learn_model *l,
                                               struct toc_layer_model *layer, size_t kind) {
    l->has_quantiles = true;
    if (!layer->quantiles[kind])
        layer->quantiles[kind] = TOC_NEW(struct toc_quantile_watch);
    return layer->quantiles[kind];
}

static void take_one(struct toc_doctor *d, struct toc_run_model *m, uintptr_t id,
                     struct toc_layer_model *layer, struct toc_report_at at, double v) {
    struct toc_learn_model *l = &m->learn;
    if (id < ID_STAT) {
        take_number(d, l, (enum toc_run_number_id)(id - ID_NUMBER), at, v);
    } else if (id < ID_QUANTILE) {
        (void)stat_for(layer, id - ID_STAT);
        take_stat(d, m, layer, (enum toc_layer_stat_id)(id - ID_STAT), at, v);
    } else {
        size_t place = id - ID_QUANTILE;
        toc_quantile_take(quantile_for(l, layer, place / TOC_QUANTILES), place % TOC_QUANTILES,
                          at.t_ms, at.step, v, d->o.limits.drift_psi);
    }
}

void toc_learn_take(struct toc_doctor *d, struct toc_run_model *m, struct toc_sv metric,
                    struct toc_sv layer_name, const struct toc_series_view *s) {
    uintptr_t id = (uintptr_t)toc_map_get(&d->learn_ids, metric);
    bool is_of_layer = id >= ID_STAT;
    if (!id || is_of_layer != (layer_name.n > 0))
        return;
    struct toc_layer_model *layer = is_of_layer ? toc_run_model_layer(m, layer_name) : NULL;
    if (is_of_layer && !layer)
        return;
    size_t place = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (toc_is_stale_nan(s->values[i]))
            continue;
        struct toc_report_at at = {s->t_ms[i], follow(&m->learn.steps, s->t_ms[i], &place)};
        take_one(d, m, id, layer, at, s->values[i]);
    }
}
