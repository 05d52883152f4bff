/* Oscillation: the loss swings and makes no progress. */
#include "diagnose/hint_priv.h"

#include <stdio.h>

#include "base/assert.h"

struct swing {
    double level, spread; /* of the window; spread: robust standard deviation */
    double period;        /* reports; 0 = none */
    bool is_found;
    int64_t since_ms;
};

/* Detrended by the line through both halves' medians, and clipped so that one spike is none.
 * *out_spread: 1.4826 times the median distance from the line, which clipping does not change. */
static double detrend(double *v, size_t n, double *out_level, double *out_spread) {
    double half[TOC_RECENT], *w = half;
    size_t h = n / 2;
    for (size_t i = 0; i < h; i++)
        w[i] = v[i];
    double a = toc_history_median(w, h);
    for (size_t i = 0; i < h; i++)
        w[i] = v[n - h + i];
    double b = toc_history_median(w, h), slope = (b - a) / (double)(n - h);
    *out_level = b;
    for (size_t i = 0; i < n; i++)
        v[i] -= a + slope * ((double)i - (double)h / 2);
    for (size_t i = 0; i < n; i++)
        w[i] = v[i];
    double spread = toc_history_mad(w, n, 0);
    for (size_t i = 0; i < n; i++)
        v[i] = TOC_MAX(TOC_MIN(v[i], 3 * spread), -3 * spread);
    *out_spread = spread;
    return (a - b) / TOC_MAX(fabs(a), 1e-12);
}

/* A swing comes back to its middle: all quarters of the window have it. A loss that went from one
 * level to another does not swing. */
static bool is_around_one_level(const double *v, size_t n, double spread) {
    enum { QUARTERS = 4 };
    double w[TOC_RECENT], low = INFINITY, high = -INFINITY;
    for (size_t q = 0; q < QUARTERS; q++) {
        size_t from = q * n / QUARTERS, to = (q + 1) * n / QUARTERS;
        for (size_t i = from; i < to; i++)
            w[i - from] = v[i];
        double middle = toc_history_median(w, to - from);
        low = TOC_MIN(low, middle);
        high = TOC_MAX(high, middle);
    }
    return high - low < spread;
}

/* The lag, with at least four cycles in the window, at which the course repeats itself best. */
static double best_period(const double *v, size_t n, double *out_likeness) {
    double zero = 0, best = 0, period = 0;
    for (size_t i = 0; i < n; i++)
        zero += v[i] * v[i];
    bool was_low = false;
    for (size_t lag = 1; lag <= n / 4 && zero > 0; lag++) {
        double sum = 0;
        for (size_t i = lag; i < n; i++)
            sum += v[i] * v[i - lag];
        double likeness = sum / zero * (double)n / (double)(n - lag);
        was_low |= likeness < 0;
        if (was_low && likeness > best) {
            best = likeness;
            period = (double)lag;
        }
    }
    *out_likeness = best;
    return period;
}

static const double large_swing = 0.15, swing_of_start = 0.03;

struct moments {
    double mean, sigma;
};

static struct moments moments_of(const double *v, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double x = v[i] - v[0];
        sum += x;
        squares += x * x;
    }
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    return (struct moments){v[0] + mean, sqrt(TOC_MAX(variance, 0.0))};
}

/*
 * May the spread that detrend() gives be a large one? Most losses are so steady that their means
 * rule it out, which costs less than the medians. With s the larger spread of the halves around
 * their means and d the distance between these: a median lies within one spread of its mean, so the
 * line through the medians lies at most 0.8 (s + s) off the line through the means (mean square,
 * over the window), that one at most 0.3 d off the means, and the values s off these. Half of the
 * values lie within sqrt(2) times the mean square distance: 1.4826 sqrt(2) = 2.1.
 */
static bool may_swing(const double *v, size_t n, double start) {
    static const double bound = 2.2;
    struct moments a = moments_of(v, n / 2), b = moments_of(v + (n - n / 2), n / 2);
    double s = TOC_MAX(a.sigma, b.sigma);
    double most = bound * (s + 0.3 * fabs(b.mean - a.mean) + 0.8 * (a.sigma + b.sigma));
    double least_level = TOC_MAX(fabs(b.mean) - b.sigma, 0.0);
    return !(most <= large_swing * least_level || most <= swing_of_start * fabs(start));
}

static struct swing measure_swing(const struct toc_run_model *m, double start, size_t n) {
    static const double least_like = 0.5, sure = 5, grown = 3, progress = 0.05;
    /* The likeness of noise at a lag has this standard error; many lags are tried at many looks. */
    double like = TOC_MAX(least_like, sure / sqrt((double)n));
    double v[TOC_RECENT], before[TOC_RECENT], level, level_before, spread_before, likeness;
    struct swing s = {0};
    size_t older = 0;
    TOC_ASSERT(n >= 2 && n <= TOC_RECENT); /* both halves have values */
    for (size_t i = 0; i < n; i++)
        v[n - 1 - i] = toc_recent_at(&m->losses, i)->value;
    if (!may_swing(v, n, start))
        return s;
    double fall = detrend(v, n, &level, &s.spread);
    s.level = level;
    bool is_large = s.spread > large_swing * fabs(level) && s.spread > swing_of_start * fabs(start);
    if (!is_large || !(fall < progress)) /* mostly: the period, which costs most, is not needed */
        return s;
    s.period = best_period(v, n, &likeness);
    bool is_grown = false;
    for (size_t i = n; i < m->losses.count; i++)
        before[older++] = toc_recent_at(&m->losses, i)->value;
    if (older >= n / 2) {
        (void)detrend(before, older, &level_before, &spread_before);
        is_grown = s.spread > grown * spread_before && level >= 0.95 * level_before;
    }
    s.is_found = (likeness > like || is_grown) && is_around_one_level(v, n, s.spread);
    s.period = likeness > like ? s.period : 0;
    s.since_ms = toc_recent_at(&m->losses, n - 1)->t_ms;
    return s;
}

/* A learning rate that swings (restarts, cycles) makes the loss swing by intention. */
static bool is_rate_steady(const struct toc_run_model *m, int64_t since_ms) {
    double low = INFINITY, high = 0;
    const struct toc_sample_at *r;
    for (size_t i = 0; (r = toc_recent_at(&m->rates, i)) && r->t_ms >= since_ms; i++) {
        low = TOC_MIN(low, r->value);
        high = TOC_MAX(high, r->value);
    }
    return high == 0 || high <= 1.5 * low;
}

static void fill_swing(struct toc_run_model *m, struct toc_case *c, const struct swing *s) {
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : toc_run_step_at(m, s->since_ms);
    char how[80] = "";
    if (s->period > 0)
        snprintf(how, sizeof how, " with a period of %.0f reports", s->period);
    toc_case_begin(c, TOC_KIND_OSCILLATION, toc_case_is_known(c) ? c->started_ms : s->since_ms);
    toc_case_step(c, step);
    toc_case_title(c, "%.*s: loss swings by %.2g around %.3g", TOC_SV_ARG(m->name), 2 * s->spread,
                   s->level);
    toc_case_summary(c, "Since about step %.0f the loss swings%s and makes no progress.",
                     isfinite(step) ? step : 0, how);
    toc_case_action(c, "Lower the learning rate (by 3 to 10) or raise the batch size; when the "
                       "period is an epoch, shuffle the data.");
    toc_hint_add_loss(m, c, s->spread, 0.15 * fabs(s->level), s->level - s->spread,
                      s->level + s->spread);
    toc_case_cause(c, 0.5, "", "The learning rate is too high: each step overshoots");
    if (s->period > 2)
        toc_case_cause(c, 0.3, "the swing has a period", "The data come in a fixed order");
}

enum toc_verdict toc_judge_oscillation(struct toc_doctor *d, struct toc_run_model *m,
                                       struct toc_case *c) {
    enum { LEAST = 48, MOST = 256, YOUNG = 20 };
    (void)d;
    const struct toc_course *curve = m->learn.loss;
    if (!curve || !curve->count || !toc_run_is_running(m))
        return toc_hint_idle(m);
    if (!toc_hint_is_news(m, CASE_OSCILLATION))
        return c->is_open ? VERDICT_ILL : VERDICT_CALM;
    size_t n = TOC_MIN((size_t)MOST, TOC_MIN(m->losses.count, (size_t)curve->reports) / 2);
    if (toc_hint_is_broken(m) || curve->reports < LEAST * 2 + YOUNG || n < LEAST)
        return VERDICT_CALM;
    if (m->losses.nonfinite)
        return VERDICT_CALM;
    struct swing s = measure_swing(m, toc_hint_start_loss(curve), n);
    if (!s.is_found || !is_rate_steady(m, s.since_ms))
        return VERDICT_CALM;
    fill_swing(m, c, &s);
    return VERDICT_ILL;
}
