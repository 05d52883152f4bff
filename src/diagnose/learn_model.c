#include "base/num.h"
#include "diagnose/doctor_priv.h"
#include "model/sample.h"

#include <math.h>

void toc_hold_note(struct toc_hold *h, bool is_shown, struct toc_report_at at) {
    if (!is_shown)
        *h = (struct toc_hold){0};
    else if (!h->count++)
        h->since_ms = at.t_ms, h->step = at.step;
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

/* Ids in the map: 1 + number, then 1 + NUMBER_COUNT + statistic. */
void toc_learn_metric_ids(struct toc_map *ids) {
    for (uintptr_t i = 0; i < NUMBER_COUNT; i++)
        toc_map_put(ids, toc_sv_cstr(number_names[i]), (void *)(i + 1));
    for (uintptr_t i = 0; i < STAT_COUNT; i++)
        toc_map_put(ids, toc_sv_cstr(stat_names[i]), (void *)(i + 1 + NUMBER_COUNT));
}

void toc_learn_init(struct toc_learn_model *l) {
    *l = (struct toc_learn_model){.rate_max = 0, .loss_start = NAN};
    l->steps.before = l->rates.before = NAN;
}

void toc_learn_fini(struct toc_learn_model *l) {
    TOC_VEC_FINI(&l->steps.t);
    TOC_VEC_FINI(&l->steps.v);
    TOC_VEC_FINI(&l->rates.t);
    TOC_VEC_FINI(&l->rates.v);
}

void toc_learn_index(struct toc_learn_model *l, struct toc_sv metric,
                     const struct toc_series_view *s) {
    bool is_step = toc_sv_eq_cstr(metric, number_names[NUMBER_STEP]);
    struct toc_time_index *x = is_step ? &l->steps : &l->rates;
    if (!is_step && !toc_sv_eq_cstr(metric, number_names[NUMBER_RATE]))
        return;
    for (size_t i = 0; i < s->count; i++) {
        if (toc_is_stale_nan(s->values[i]) || !isfinite(s->values[i]))
            continue;
        TOC_VEC_PUSH(&x->t, s->t_ms[i]);
        TOC_VEC_PUSH(&x->v, s->values[i]);
    }
}

static double index_at(const struct toc_time_index *x, int64_t t_ms) {
    size_t low = 0, high = x->t.count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (x->t.items[mid] <= t_ms)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? x->v.items[low - 1] : x->before;
}

static void index_settle(struct toc_time_index *x) {
    if (x->v.count)
        x->before = x->v.items[x->v.count - 1];
    x->t.count = x->v.count = 0;
}

void toc_learn_settle(struct toc_learn_model *l) {
    index_settle(&l->steps);
    index_settle(&l->rates);
}

double toc_learn_rate_at(const struct toc_learn_model *l, int64_t t_ms) {
    return index_at(&l->rates, t_ms);
}

double toc_learn_recent_loss(const struct toc_learn_model *l) {
    double v[TOC_NORM_FIRST];
    size_t n = TOC_MIN(l->loss_reports, (uint64_t)TOC_NORM_FIRST);
    for (size_t i = 0; i < n; i++)
        v[i] = l->loss_recent[i];
    return toc_history_median(v, n);
}

static void take_loss(struct toc_learn_model *l, double v) {
    if (!isfinite(v))
        return;
    if (l->loss_reports < TOC_NORM_FIRST) {
        double sorted[TOC_NORM_FIRST];
        size_t n = (size_t)l->loss_reports + 1;
        l->loss_first[l->loss_reports] = v;
        for (size_t i = 0; i < n; i++)
            sorted[i] = l->loss_first[i];
        l->loss_start = toc_history_median(sorted, n);
    }
    l->loss_recent[l->loss_reports++ % TOC_NORM_FIRST] = v;
}

static struct toc_norm_limits norm_limits(const struct toc_doctor *d, bool is_layer) {
    const struct toc_doctor_limits *l = &d->o.limits;
    return (struct toc_norm_limits){
        .sigma = l->exploding_sigma,
        .ratio = is_layer ? l->exploding_layer_ratio : l->exploding_ratio,
        .runaway_ratio = l->exploding_runaway,
    };
}

static void take_number(struct toc_doctor *d, struct toc_learn_model *l, enum toc_run_number_id id,
                        struct toc_report_at at, double v) {
    struct toc_norm_limits limits = norm_limits(d, false);
    if (at.t_ms <= l->number_t_ms[id])
        return;
    l->number_t_ms[id] = at.t_ms;
    switch (id) {
    case NUMBER_RATE:
        if (isfinite(v))
            l->rate_max = TOC_MAX(l->rate_max, v);
        break;
    case NUMBER_LOSS:
        take_loss(l, v);
        break;
    case NUMBER_GRAD_NORM:
        toc_norm_take(&l->grad_norm, &limits, at, v);
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
        s->hold.count = 0;
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

void toc_learn_take(struct toc_doctor *d, struct toc_run_model *m, struct toc_sv metric,
                    struct toc_sv layer_name, const struct toc_series_view *s) {
    uintptr_t id = (uintptr_t)toc_map_get(&d->learn_ids, metric);
    bool is_stat = id > NUMBER_COUNT;
    if (!id || is_stat != (layer_name.n > 0))
        return;
    struct toc_layer_model *layer = is_stat ? toc_run_model_layer(m, layer_name) : NULL;
    if (is_stat && !layer)
        return;
    size_t stat = is_stat ? id - 1 - NUMBER_COUNT : 0;
    if (is_stat && !layer->stats[stat]) {
        layer->stats[stat] = TOC_NEW(struct toc_layer_stat);
        layer->norm = stat == STAT_GRAD ? TOC_NEW(struct toc_norm_watch) : layer->norm;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (toc_is_stale_nan(s->values[i]))
            continue;
        struct toc_report_at at = {s->t_ms[i], index_at(&m->learn.steps, s->t_ms[i])};
        if (is_stat)
            take_stat(d, m, layer, (enum toc_layer_stat_id)stat, at, s->values[i]);
        else
            take_number(d, &m->learn, (enum toc_run_number_id)(id - 1), at, s->values[i]);
    }
}
